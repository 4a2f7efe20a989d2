"""The header of an exposure, as the ground system writes it before calibration.

Every function returns entries of the JWST metadata tree by dotted path. Times are
MJD (UTC) unless a name says otherwise.
"""

from __future__ import annotations

import numpy as np
from astropy.time import Time

from calwebbd.stages.simulate import pointing
from calwebbd.stages.simulate.distortion import transform
from calwebbd.stages.simulate.exposed import (
    ACTIVITY,
    DAY,
    GROUP,
    OBSERVATION,
    PROGRAM,
    SEQUENCE,
    START,
    VISIT,
    Exposed,
)

Meta = dict[str, str | int | float | bool]


def utc(mjd: float) -> str:
    return str(Time(mjd, format="mjd", scale="utc").isot)


def tdb(mjd: float) -> float:
    return float(Time(mjd, format="mjd", scale="utc").tdb.mjd)


def every(e: Exposed) -> Meta:
    """All of them."""
    parts = (program, visit, configuration, exposure, times, dither, aperture, wcs)
    return {"meta." + path: value for part in parts for path, value in part(e).items()}


def program(e: Exposed) -> Meta:
    return {
        "telescope": "JWST",
        "origin": "STSCI",
        "time_sys": "UTC",
        "time_unit": "s",
        "data_processing_software_version": "2026_1a",
        "prd_software_version": "PRDOPSSOC-068",
        "oss_software_version": "8.4.12",
        "hga_move": False,
        "bunit_data": "DN",
        "program.title": "A simulated field",
        "program.pi_name": "calwebbd",
        "program.category": "CAL",
        "program.sub_category": "NONE",
        "program.science_category": "Calibration",
        "program.continuation_id": 0,
        "target.proposer_name": "SIMULATED-FIELD",
        "target.catalog_name": "",
        "target.type": "FIXED",
        "target.category": "Star",
        "target.ra": pointing.RA,
        "target.dec": pointing.DEC,
        "target.ra_uncertainty": 0.0,
        "target.dec_uncertainty": 0.0,
        "target.proposer_ra": pointing.RA,
        "target.proposer_dec": pointing.DEC,
    }


def visit(e: Exposed) -> Meta:
    begin, end = utc(e.start), utc(e.start + e.readout.nints * e.period / DAY)
    activity = f"{GROUP}{SEQUENCE}{ACTIVITY}"
    return {
        "observation.date": begin[:10],
        "observation.time": begin[11:],
        "observation.date_beg": begin,
        "observation.date_end": end,
        "observation.obs_id": f"V{PROGRAM}{OBSERVATION}{VISIT}{activity}",
        "observation.visit_id": f"{PROGRAM}{OBSERVATION}{VISIT}",
        "observation.program_number": PROGRAM,
        "observation.observation_number": OBSERVATION,
        "observation.visit_number": VISIT,
        "observation.visit_group": GROUP,
        "observation.sequence_id": SEQUENCE,
        "observation.activity_id": ACTIVITY,
        "observation.exposure_number": str(e.pointing.number),
        "observation.bkgdtarg": False,
        "observation.template": e.mode.template,
        "observation.observation_label": "SIMULATED",
        "visit.engineering_quality": "OK",
        "visit.engdb_pointing_quality": "CALCULATED_TRACK_TR_202111",
        "visit.type": "PRIME_TARGETED_FIXED",
        "visit.start_time": utc(START).replace("T", " "),
        "visit.status": "SUCCESSFUL",
        "visit.total_exposures": e.total,
        "visit.internal_target": False,
        "visit.too_visit": False,
        "visit.tsovisit": e.mode.tso,
        "visit.crowded_field": False,
        "guidestar.gs_id": "S1JK123456",
        "guidestar.gs_mag": 15.2,
    }


def optics(e: Exposed) -> Meta:
    """What the light passes on its way; the cover of MIRI is open but for darks."""
    meta: Meta = {"filter": e.filter, **e.mode.optics}
    if e.detector.instrument == "NIRCAM":
        meta |= {"module": e.detector.module, "channel": e.detector.channel, "pupil_imaging_lens": False}
    elif e.detector.instrument == "FGS" or e.mode.exp_type.endswith("MRS"):
        del meta["filter"]  # they have none
    if e.detector.miri:
        meta["ccc_state"] = "CLOSED" if e.mode.light == "dark" else "OPEN"
    return {f"instrument.{name}": value for name, value in meta.items()}


def configuration(e: Exposed) -> Meta:
    w = e.window
    return {
        "instrument.name": e.detector.instrument,
        "instrument.detector": e.detector.name,
        **optics(e),
        "subarray.name": e.readout.subarray,
        "subarray.xstart": w.x + 1,
        "subarray.ystart": w.y + 1,
        "subarray.xsize": w.nx,
        "subarray.ysize": w.ny,
        "subarray.fastaxis": e.detector.fastaxis,
        "subarray.slowaxis": e.detector.slowaxis,
    }


def exposure(e: Exposed) -> Meta:
    r = e.readout
    integrated = r.integration_time * r.nints
    between: Meta = {"exposure.nrs_normal": 16, "exposure.nrs_reference": 4} if r.irs2 else {}
    return {
        **between,
        "exposure.count": e.pointing.number,
        "exposure.prime_parallel": "PRIME",
        "exposure.type": e.mode.exp_type,
        "exposure.readpatt": r.pattern,
        "exposure.segment_number": e.segment,
        "exposure.segment_total": e.segments,
        "exposure.noutputs": r.noutputs,
        "exposure.nints": r.nints,
        "exposure.integration_start": e.first,
        "exposure.integration_end": e.last,
        "exposure.ngroups": r.ngroups,
        "exposure.nframes": r.nframes,
        "exposure.frame_divisor": r.divisor,
        "exposure.groupgap": r.groupgap,
        "exposure.drop_frames1": 0,
        "exposure.drop_frames3": 0,
        "exposure.nsamples": r.samples,
        "exposure.sample_time": 10.0,
        "exposure.frame_time": r.tframe,
        "exposure.group_time": r.tgroup,
        "exposure.integration_time": r.integration_time,
        "exposure.exposure_time": integrated,
        "exposure.effective_exposure_time": integrated,
        "exposure.measurement_time": r.tgroup * (r.ngroups - 1) * r.nints,
        "exposure.duration": e.period * r.nints,
        "exposure.elapsed_exposure_time": e.period * r.nints,
        "exposure.nresets_at_start": 1,
        "exposure.nresets_between_ints": 1,
        "exposure.zero_frame": r.zeroframe,
        "exposure.data_problem": False,
        "exposure.sca_num": e.detector.sca,
        "exposure.datamode": 0,
    }


def times(e: Exposed) -> Meta:
    half = e.readout.nints * e.period / DAY / 2
    meta: Meta = {}
    for i, name in enumerate(("start_time", "mid_time", "end_time")):
        mjd = e.start + i * half
        meta[f"exposure.{name}"] = meta[f"exposure.{name}_mjd"] = mjd
        meta[f"exposure.{name}_tdb"] = tdb(mjd)
    return meta


def dither(e: Exposed) -> Meta:
    return {
        "dither.primary_type": "NONE" if e.total == 1 else "INTRAMODULEX",
        "dither.position_number": e.pointing.number,
        "dither.total_points": e.total,
        "dither.pattern_size": "DEFAULT",
        "dither.x_offset": e.pointing.offset[0],
        "dither.y_offset": e.pointing.offset[1],
    }


def aperture(e: Exposed) -> Meta:
    name = f"{e.detector.aperture}_{e.readout.subarray}"
    v2, v3 = e.aperture_centre
    ra, dec = pointing.to_sky(e.pointing.header, v2, v3)
    ra1, dec1 = pointing.to_sky(e.pointing.header, 0.0, 0.0)
    roll = pointing.roll_at(e.pointing.header, v2, v3)
    return {
        "aperture.name": name,
        "aperture.pps_name": name,
        "aperture.position_angle": (roll + e.detector.yangle) % 360,
        "velocity_aberration.va_ra_ref": float(ra),
        "velocity_aberration.va_dec_ref": float(dec),
        "velocity_aberration.scale_factor": pointing.VA_SCALE,
        "ephemeris.reference_frame": "EME2000",
        "ephemeris.type": "Definitive",
        **{f"ephemeris.spatial_{axis}_bary": 1.0e8 for axis in "xyz"},
        **{f"ephemeris.velocity_{axis}_bary": 12.0 for axis in "xyz"},
        "coordinates.reference_frame": "ICRS",
        "pointing.ra_v1": float(ra1),
        "pointing.dec_v1": float(dec1),
        "pointing.pa_v3": pointing.roll_at(e.pointing.header, 0.0, 0.0),
    }


def wcs(e: Exposed) -> Meta:
    v2, v3 = e.aperture_centre
    ra, dec = (float(a) for a in pointing.to_sky(e.pointing.header, v2, v3))
    roll = pointing.roll_at(e.pointing.header, v2, v3)
    sin, cos = (float(f(np.deg2rad(roll + e.detector.yangle))) for f in (np.sin, np.cos))
    x, y = (e.window.nx + 1) / 2, (e.window.ny + 1) / 2
    return {
        "wcsinfo.wcsaxes": 2,
        "wcsinfo.ctype1": "RA---TAN",
        "wcsinfo.ctype2": "DEC--TAN",
        "wcsinfo.cunit1": "deg",
        "wcsinfo.cunit2": "deg",
        "wcsinfo.crpix1": x,
        "wcsinfo.crpix2": y,
        "wcsinfo.crval1": ra,
        "wcsinfo.crval2": dec,
        "wcsinfo.cdelt1": e.detector.scale[0] / 3600,
        "wcsinfo.cdelt2": e.detector.scale[1] / 3600,
        "wcsinfo.pc1_1": -cos,
        "wcsinfo.pc1_2": sin,
        "wcsinfo.pc2_1": sin,
        "wcsinfo.pc2_2": cos,
        "wcsinfo.s_region": footprint(e),
        "wcsinfo.v2_ref": v2,
        "wcsinfo.v3_ref": v3,
        "wcsinfo.vparity": -1,
        "wcsinfo.v3yangle": e.detector.yangle,
        "wcsinfo.ra_ref": ra,
        "wcsinfo.dec_ref": dec,
        "wcsinfo.roll_ref": roll,
        "wcsinfo.velosys": -12345.6,
        "wcsinfo.siaf_xref_sci": x,
        "wcsinfo.siaf_yref_sci": y,
    }


def footprint(e: Exposed) -> str:
    """S_REGION: the corners of the subarray."""
    w = e.window
    x = w.x - 0.5 + np.array([0, 0, w.nx, w.nx])
    y = w.y - 0.5 + np.array([0, w.ny, w.ny, 0])
    ra, dec = pointing.to_sky(e.pointing.header, *transform(e.detector)(x, y))
    return "POLYGON ICRS  " + " ".join(f"{a:.9f} {d:.9f}" for a, d in zip(ra, dec, strict=True))
