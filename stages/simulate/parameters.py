"""References written as plain ASDF trees: parameters of steps, and Vega magnitudes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calwebbd.stages.simulate.detectors import FILTERS
from calwebbd.stages.simulate.reproducible import settle

DATE, USEAFTER = "2026-01-01T00:00:00.000", "1900-01-01T00:00:00"
HISTORY = "Made by calwebbd simulate, not for science"


@dataclass(frozen=True)
class StepParameters:
    """What a context says about one step."""

    name: str
    cls: str  #: class of the official package, by which the file is known
    parameters: dict[str, str | int | float | bool]

    @property
    def reftype(self) -> str:
        return "pars-" + self.cls.lower()


#: Values like those of operational NIRCam contexts, scaled to small exposures.
PARAMETERS = (
    StepParameters("ipc", "IPCStep", {"skip": True}),
    StepParameters(
        "jump",
        "JumpStep",
        {
            "rejection_threshold": 4.0,
            "expand_large_events": True,
            "min_sat_area": 15.0,
            "min_jump_area": 15.0,
            "expand_factor": 1.75,
            "sat_required_snowball": True,
            "after_jump_flag_dn1": 10.0,
            "after_jump_flag_time1": 20.0,
            "after_jump_flag_dn2": 1000.0,
            "after_jump_flag_time2": 3000.0,
        },
    ),
    StepParameters(
        "tweakreg",
        "TweakRegStep",
        {
            "kernel_fwhm": 2.14,
            "snr_threshold": 10.0,
            "minobj": 8,
            "separation": 0.6,
            "tolerance": 0.3,
            "searchrad": 1.0,
        },
    ),
    StepParameters("outlier_detection", "OutlierDetectionStep", {"snr": "5.0 4.0", "scale": "2.5 0.7"}),
    StepParameters(
        "source_catalog",
        "SourceCatalogStep",
        {"kernel_fwhm": 2.14, "bkg_boxsize": 100, "snr_threshold": 3.0, "npixels": 7},
    ),
)


def _write(path: Path, tree: Mapping[str, object]) -> None:
    import asdf

    file = asdf.AsdfFile(dict(tree))
    file.add_history_entry(HISTORY)
    file.write_to(path)
    settle(path)


def _meta(reftype: str, description: str) -> dict[str, object]:
    return {
        "author": "calwebbd simulate",
        "date": DATE,
        "description": description,
        "instrument": {"name": "NIRCAM"},
        "origin": "SIMULATED",
        "pedigree": "GROUND",
        "reftype": reftype,
        "telescope": "JWST",
        "useafter": USEAFTER,
    }


def write_parameters(path: Path, step: StepParameters) -> None:
    """Write a pars-* reference in the form stpipe reads."""
    tree = {
        "class": f"jwst.{step.name}.{step.name}_step.{step.cls}",
        "name": step.name,
        "parameters": dict(step.parameters),
        "meta": {
            **_meta(step.reftype, f"Parameters of {step.name} for simulated exposures"),
            "exposure": {"type": "NRC_IMAGE"},
        },
    }
    _write(path, tree)


def write_abvegaoffset(path: Path, filters: Sequence[str]) -> None:
    """Write AB minus Vega magnitudes. Its data model cannot be given a table, so it is not used."""
    from astropy.table import Table

    rows = [(name, "CLEAR", FILTERS[name].vega) for name in filters]
    table = Table(rows=rows, names=("filter", "pupil", "abvega_offset"), dtype=("str", "str", "f4"))
    meta = {**_meta("abvegaoffset", "Simulated abvegaoffset"), "model_type": "ABVegaOffsetModel"}
    _write(path, {"abvega_offset": table, "meta": meta})
