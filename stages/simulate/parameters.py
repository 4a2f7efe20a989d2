"""Parameter references: what contexts say about steps, as plain ASDF trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calwebbd.stages.simulate.modes import exp_types
from calwebbd.stages.simulate.reproducible import settle

DATE, USEAFTER = "2026-01-01T00:00:00.000", "1900-01-01T00:00:00"
HISTORY = "Made by calwebbd simulate, not for science"

NIRCAM = ("NIRCAM",)
MIRI = ("MIRI",)
NEAR_INFRARED = ("NIRCAM", "NIRSPEC", "NIRISS", "FGS")
ALL = (*NEAR_INFRARED, *MIRI)


@dataclass(frozen=True)
class StepParameters:
    """What a context says about one step."""

    name: str
    cls: str  #: class of the official package, by which the file is known
    instruments: tuple[str, ...]
    parameters: dict[str, str | int | float | bool]

    @property
    def reftype(self) -> str:
        return "pars-" + self.cls.lower()

    @property
    def path(self) -> str:
        """The class with its module; ramp_fit is in a package of another name."""
        package = {"ramp_fit": "ramp_fitting"}.get(self.name, self.name)
        return f"jwst.{package}.{self.name}_step.{self.cls}"


SNOWBALLS = StepParameters(
    "jump",
    "JumpStep",
    NEAR_INFRARED,
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
)
SHOWERS = StepParameters(
    "jump",
    "JumpStep",
    MIRI,
    {
        "rejection_threshold": 5.0,
        "find_showers": True,
        "extend_snr_threshold": 3.0,
        "extend_min_area": 50,
        "after_jump_flag_dn1": 1000.0,
        "after_jump_flag_time1": 45.0,
    },
)
INTERFERENCE = StepParameters("emicorr", "EmiCorrStep", MIRI, {"skip": False})
COUPLED = StepParameters("ipc", "IPCStep", ALL, {"skip": True})

#: Values like those of operational contexts, scaled to small exposures.
OPERATIONAL = (
    COUPLED,
    SNOWBALLS,
    SHOWERS,
    INTERFERENCE,
    StepParameters(
        "tweakreg",
        "TweakRegStep",
        NIRCAM,
        {
            "kernel_fwhm": 2.14,
            "snr_threshold": 10.0,
            "minobj": 8,
            "separation": 0.6,
            "tolerance": 0.3,
            "searchrad": 1.0,
        },
    ),
    StepParameters(
        "outlier_detection", "OutlierDetectionStep", NIRCAM, {"snr": "5.0 4.0", "scale": "2.5 0.7"}
    ),
    StepParameters(
        "source_catalog",
        "SourceCatalogStep",
        NIRCAM,
        {"kernel_fwhm": 2.14, "bkg_boxsize": 100, "snr_threshold": 3.0, "npixels": 7},
    ),
)


def _flicker(method: str, *instruments: str) -> StepParameters:
    parameters: dict[str, str | int | float | bool] = {
        "skip": False,
        "fit_method": method,
        "mask_science_regions": False,
    }
    return StepParameters("clean_flicker_noise", "CleanFlickerNoiseStep", instruments, parameters)


#: Every optional step of stage 1 on.
EVERYTHING = (
    SNOWBALLS,
    SHOWERS,
    INTERFERENCE,
    _flicker("fft", "NIRSPEC"),
    _flicker("median", "NIRCAM", "NIRISS", "FGS", "MIRI"),
    StepParameters(
        "persistence",
        "PersistenceStep",
        ALL,
        {"skip": False, "persistence_time": 2000, "dn_threshold": 30000.0},
    ),
    StepParameters(
        "charge_migration", "ChargeMigrationStep", ALL, {"skip": False, "signal_threshold": 21000.0}
    ),
    StepParameters(
        "picture_frame", "PictureFrameStep", ("NIRSPEC",), {"skip": False, "mask_science_regions": False}
    ),
    StepParameters("firstframe", "FirstFrameStep", MIRI, {"skip": False}),
    StepParameters("refpix", "RefPixStep", ("NIRCAM", "NIRISS"), {"refpix_algorithm": "sirs"}),
    StepParameters("refpix", "RefPixStep", ("NIRSPEC",), {"irs2_mean_subtraction": True}),
    StepParameters("ramp_fit", "RampFitStep", ALL, {"algorithm": "LIKELY"}),
)

#: By the number of the context.
SETS: Final[dict[int, tuple[StepParameters, ...]]] = {1: (), 2: OPERATIONAL, 3: EVERYTHING}


def write_tree(path: Path, tree: Mapping[str, object]) -> None:
    """Write an ASDF file whose bytes depend on the tree alone."""
    import asdf

    file = asdf.AsdfFile(dict(tree))
    file.add_history_entry(HISTORY)
    file.write_to(path)
    settle(path)


def meta(instrument: str, reftype: str, description: str) -> dict[str, object]:
    """What every reference file says about itself."""
    return {
        "author": "calwebbd simulate",
        "date": DATE,
        "description": description,
        "instrument": {"name": instrument},
        "origin": "SIMULATED",
        "pedigree": "GROUND",
        "reftype": reftype,
        "telescope": "JWST",
        "useafter": USEAFTER,
    }


def write_parameters(path: Path, instrument: str, step: StepParameters) -> None:
    """Write a pars-* reference in the form stpipe reads."""
    tree = {
        "class": step.path,
        "name": step.name,
        "parameters": dict(step.parameters),
        "meta": {
            **meta(instrument, step.reftype, f"Parameters of {step.name} for simulated exposures"),
            "exposure": {"type": exp_types(instrument).split("|")[0]},
        },
    }
    write_tree(path, tree)
