"""Write exposures in the true level-1b format, through the JWST data model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calwebbd.stages.simulate.exposed import DAY, Exposed
from calwebbd.stages.simulate.keywords import every, tdb, utc
from calwebbd.stages.simulate.ramp import Raw
from calwebbd.stages.simulate.reproducible import dated

LIGHT_TIME = 0.0013  #: d, from the barycentre to the telescope, about


def write(path: Path, e: Exposed, raw: Raw) -> None:
    """Write one uncal file, with the integrations of the segment."""
    from stdatamodels.jwst import datamodels

    part = slice(e.first - 1, e.last)
    end = e.start + e.readout.nints * e.period / DAY
    with dated(datamodels.Level1bModel, utc(end))(data=raw.groups[part]) as model:
        for name, array in (("zeroframe", raw.zeroframe), ("refout", raw.refout)):
            if array is not None:
                model[name] = array[part]
        model.int_times = int_times(e)
        model.group = group_times(e)
        for name, value in every(e).items():
            model[name] = value
        model.save(str(path))


def int_times(e: Exposed) -> NDArray[np.void]:
    """INT_TIMES: a row for each integration of the segment."""
    dtype = [("integration_number", "i4")] + [
        (f"int_{part}_{system}", "f8")
        for system in ("MJD_UTC", "BJD_TDB")
        for part in ("start", "mid", "end")
    ]
    number = np.arange(e.first, e.last + 1)
    start = e.start + (number - 1) * e.period / DAY
    table = np.zeros(number.size, dtype)
    table["integration_number"] = number
    for part, fraction in (("start", 0.0), ("mid", 0.5), ("end", 1.0)):
        mjd = start + fraction * e.readout.integration_time / DAY
        table[f"int_{part}_MJD_UTC"] = mjd
        table[f"int_{part}_BJD_TDB"] = [tdb(t) + LIGHT_TIME for t in mjd]
    return table


def group_times(e: Exposed) -> NDArray[np.void]:
    """GROUP: a row for each group of the segment, with the time its last frame was read."""
    dtype = [
        ("integration_number", "i4"), ("group_number", "i2"), ("end_day", "i2"), ("end_milliseconds", "i4"),
        ("end_submilliseconds", "i2"), ("group_end_time", "S26"), ("number_of_columns", "i2"),
        ("number_of_rows", "i2"), ("number_of_gaps", "i2"), ("completion_code_number", "i2"),
        ("completion_code_text", "S36"), ("bary_end_time", "f8"), ("helio_end_time", "f8"),
    ]  # fmt: skip
    r = e.readout
    integration = np.repeat(np.arange(e.first, e.last + 1), r.ngroups)
    group = np.tile(np.arange(1, r.ngroups + 1), e.last - e.first + 1)
    frames = group * r.nframes + (group - 1) * r.groupgap
    end = e.start + ((integration - 1) * e.period + frames * r.tframe) / DAY
    table = np.zeros(end.size, dtype)
    table["integration_number"], table["group_number"] = integration, group
    table["end_day"] = end - 51544  # days of 2000, as on board
    table["end_milliseconds"] = end % 1 * DAY * 1000
    table["group_end_time"] = np.char.encode(np.atleast_1d(np.asarray(utc_all(end))))
    table["number_of_columns"], table["number_of_rows"] = e.window.nx, e.window.ny
    table["completion_code_text"] = b"COMPLETE"
    table["bary_end_time"] = table["helio_end_time"] = end + LIGHT_TIME
    return table


def utc_all(mjd: NDArray[np.float64]) -> list[str]:
    from astropy.time import Time

    return [str(t) for t in Time(mjd, format="mjd", scale="utc").isot]
