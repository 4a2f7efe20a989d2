"""What each step of stage 1 promises, and the small exposures and references it is shown on.

Without another word a step changes nothing with an identity reference, only adds flags,
treats integrations and pixels by themselves, and keeps a NaN where it is. Where it does not, its
row of `PROMISES` says why. A step may have several rows, one for each way it works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any

import asdf
import numpy as np
from astropy.io import fits
from parts import arrays, first
from ramps import write_reference
from random_exposures import (
    CORNER,
    IRS2,
    MIRI,
    NIRSPEC,
    Make,
    guide_stars,
    interleaved,
    large,
    lit_evenly,
    ramps,
    rates,
    with_bad_interleaved_pixels,
    with_reference_pixels,
    without_light_in_reference_pixels,
)
from random_references import (
    Content,
    cubes,
    flat,
    image,
    kernel,
    known_bad,
    polynomials,
    same,
    skips,
    waves,
    weights,
)

from calwebbd.stages.exposure import Ramp
from calwebbd.stages.flags import JUMP_DET
from calwebbd.stages.references import References
from calwebbd.stages.step import Step
from calwebbd.stages.steps.charge_migration import charge_migration
from calwebbd.stages.steps.clean_flicker_noise import clean_flicker_noise
from calwebbd.stages.steps.dark_current import dark_current
from calwebbd.stages.steps.dq_init import dq_init
from calwebbd.stages.steps.emicorr import emicorr
from calwebbd.stages.steps.firstframe import firstframe
from calwebbd.stages.steps.flat_field import flat_field
from calwebbd.stages.steps.gain_scale import gain_scale
from calwebbd.stages.steps.group_scale import group_scale
from calwebbd.stages.steps.guider_cds import guider_cds
from calwebbd.stages.steps.ipc import ipc
from calwebbd.stages.steps.jump import jump
from calwebbd.stages.steps.lastframe import lastframe
from calwebbd.stages.steps.linearity import linearity
from calwebbd.stages.steps.persistence import persistence
from calwebbd.stages.steps.picture_frame import picture_frame
from calwebbd.stages.steps.ramp_fit import ramp_fit
from calwebbd.stages.steps.refpix import refpix
from calwebbd.stages.steps.refpix.irs2 import correct_interleaved
from calwebbd.stages.steps.reset import reset
from calwebbd.stages.steps.rscd import rscd
from calwebbd.stages.steps.saturation import saturation
from calwebbd.stages.steps.superbias import superbias


@dataclass(frozen=True)
class Promise:
    """One way a step works, and how it behaves.

    make : the exposure it is shown on
    identity : other settings of this row with which the step changes nothing, also in an exposure
        without flags of groups; or why there are none
    references : their content by CRDS type
    removes : flags of groups that it may take away
    lone : "" if each integration has the result it would have alone; else why not
    of_all : arrays of the result that depend on all integrations nevertheless
    reach : rows and columns as far away as which a pixel counts; or why a part of the detector cannot
        be had alone
    nan : as far as a NaN spreads; needed where `reach` is no distance
    stored : "" if the result is the same for exposures on disk; else why they never are
    """

    step: Step
    make: Make
    way: str = ""
    _: KW_ONLY
    identity: Mapping[str, Any] | str
    params: Mapping[str, Any] = field(default_factory=dict)
    references: Mapping[str, Content] = field(default_factory=dict)
    removes: int = 0
    lone: str = ""
    of_all: frozenset[str] = frozenset()
    reach: int | str = 0
    nan: int | None = None
    stored: str = ""

    def __str__(self) -> str:
        return f"{self.step.name}-{self.way}".removesuffix("-").replace(" ", "-")

    @property
    def of_ramps(self) -> bool:
        """Neither of rates nor of guide stars."""
        return self.step is not gain_scale and not self.stored

    def write(self, folder: Path, exposure: Any) -> References:
        """The reference files, for the exposure's subarray."""
        subarray, random = first(exposure).subarray, np.random.default_rng(7)
        for kind, content in self.references.items():
            made = content(random, *first(exposure).sci.shape[-2:])
            if isinstance(made, np.ndarray):
                table = fits.BinTableHDU(made, name="IRS2" if kind == "refpix" else None)
                fits.HDUList([fits.PrimaryHDU(), table]).writeto(folder / f"{kind}.fits")
            elif kind == "emicorr":
                asdf.AsdfFile(made).write_to(folder / f"{kind}.fits")
            else:
                write_reference(folder, kind, first(exposure), **made)
        return References({kind: folder / f"{kind}.fits" for kind in self.references}, subarray)

    def apply(self, exposure: Any, references: References) -> dict[str, np.ndarray]:
        """The arrays of what the step makes of the exposure."""
        subarray = first(exposure).subarray
        return arrays(self.step(exposure, references.within(subarray), **self.params))


DETECTOR: dict[str, Any] = {"gain": image(1, 3, bad=0), "readnoise": image(5, 20, bad=0)}
ZERO_DARK: dict[str, Any] = {"dark": same(np.zeros(6), NFRAMES=1, GROUPGAP=0)}
TOO_NOISY: dict[str, Any] = {"references": {**DETECTOR, "readnoise": same(1e9)}}
BY_NUMBER = "it flags groups by their number"
ALL_LINES = "it needs whole lines"
ONE_MEDIAN = "differences of all integrations have one median"
OTHER_KIND = "it makes rates of groups"
OF_ONE_RATE = frozenset({"rateints.var_poisson", "rateints.err"})  # at which photons come
SMALL = "guide stars are never long"
AVERAGED: dict[str, Any] = {"NFRAMES": 4, "TGROUP": 40.0}


def on_a_small_detector(ramp: Ramp, references: References, params: Any) -> Ramp:
    """refpix of IRS2."""
    assert ramp.between
    return correct_interleaved(ramp, ramp.between, references, params, IRS2)


refpix_irs2 = replace(refpix, function=on_a_small_detector, whole=lambda ramp: True)

PROMISES: tuple[Promise, ...] = (
    Promise(
        group_scale,
        ramps(NFRAMES=5, FRMDIVSR=4),
        identity={"make": ramps(NFRAMES=4, FRMDIVSR=4)},
    ),
    Promise(dq_init, ramps(), references={"mask": known_bad}, identity={"references": {"mask": same(0)}}),
    Promise(
        emicorr,
        ramps(**MIRI),
        "joint",
        references={"emicorr": waves(3)},
        identity={"references": {"emicorr": waves(0)}},
        lone="all integrations have one wave",
        reach="all pixels have one wave",
        nan=0,
    ),
    Promise(
        emicorr,
        ramps(**MIRI),
        "sequential",
        params={"algorithm": "sequential", "nbins": 20},
        references={"emicorr": waves(3)},
        identity={"references": {"emicorr": waves(0)}},
        lone="integrations have one wave",
        reach="all pixels have one wave",
        nan=0,
    ),
    Promise(
        saturation,
        ramps(),
        references={"saturation": image(3e4, 6e4)},
        identity={"references": {"saturation": same(1e6)}},
        reach=1,
    ),
    Promise(
        saturation,
        ramps(**AVERAGED),
        "averaged groups",
        params={"n_pix_grow_sat": 2},
        references={"saturation": image(3e4, 6e4), "superbias": image(900, 1000)},
        identity={"references": {"saturation": same(1e6)}},
        reach=4,  # the groups before saturated ones are found where these have grown, and grow too
    ),
    Promise(
        saturation,
        interleaved,
        "interleaved",
        references={"saturation": image(3e4, 6e4)},
        identity={"references": {"saturation": same(1e6)}},
        reach=1,
    ),
    Promise(
        ipc,
        ramps(),
        references={"ipc": kernel(1.04, -0.01)},
        identity={"references": {"ipc": kernel(1, 0)}},
        reach=1,
    ),
    Promise(
        ipc,
        interleaved,
        "interleaved",
        references={"ipc": kernel(1.04, -0.01)},
        identity={"references": {"ipc": kernel(1, 0)}},
        reach=1,
    ),
    Promise(firstframe, ramps(), identity=BY_NUMBER),
    Promise(lastframe, ramps(), identity=BY_NUMBER),
    Promise(
        reset,
        ramps(**MIRI),
        references={"reset": cubes(2, 4, NINTS=2, NGROUPS=4)},
        identity={"references": {"reset": same(np.zeros((2, 4)), NINTS=2, NGROUPS=4)}},
    ),
    Promise(
        superbias,
        ramps(),
        references={"superbias": image(900, 1000)},
        identity={"references": {"superbias": same(0)}},
    ),
    Promise(
        refpix,
        ramps(NOUTPUTS=4, **CORNER),
        "four amplifiers",
        identity={"make": without_light_in_reference_pixels},
        reach="reference pixels are at the edges",
        nan=0,
    ),
    Promise(
        refpix,
        with_reference_pixels,
        "one amplifier",
        identity={"make": ramps(flagged=0, **CORNER)},
        reach="reference pixels are at the edges",
        nan=0,
    ),
    Promise(
        refpix,
        large((2, 2, 1024, 1032), **MIRI, **CORNER),
        "MIRI",
        identity={"make": lit_evenly((2, 2, 1024, 1032), **MIRI, **CORNER)},
        reach="reference pixels are at the edges",
        nan=0,
    ),
    Promise(
        refpix_irs2,
        with_bad_interleaved_pixels,
        "interleaved",
        params={"ovr_corr_mitigation_ftr": 1.5},
        references={"refpix": weights(0.01)},
        identity="outputs lose their trend with any weights",
        lone="reference pixels are bad in all integrations",
        reach="reference pixels are between the others",
        nan=0,
    ),
    Promise(
        linearity,
        ramps(),
        references={"linearity": polynomials("coeffs")},
        identity={"references": {"linearity": polynomials("coeffs", curved=0)}},
    ),
    Promise(
        linearity,
        ramps(**AVERAGED),
        "averaged groups",
        references={"linearity": polynomials("coeffs", "inv_coeffs")},
        identity={"references": {"linearity": polynomials("coeffs", "inv_coeffs", curved=0)}},
    ),
    Promise(
        rscd,
        ramps(**MIRI),
        references={"rscd": skips(1, 2)},
        identity={"references": {"rscd": skips(0, 0)}},
    ),
    Promise(
        dark_current,
        ramps(),
        references={"dark": cubes(6, NFRAMES=1, GROUPGAP=0)},
        identity={"references": ZERO_DARK},
    ),
    Promise(
        dark_current,
        ramps((3, 3, 40, 16), NFRAMES=2, GROUPGAP=1),
        "averaged groups",
        references={"dark": cubes(8, NFRAMES=1, GROUPGAP=0)},
        identity={"references": ZERO_DARK},
    ),
    Promise(
        dark_current,
        ramps(**MIRI),
        "MIRI",
        references={"dark": cubes(2, 6, NFRAMES=1, GROUPGAP=0)},
        identity={"references": {"dark": same(np.zeros((2, 6)), NFRAMES=1, GROUPGAP=0)}},
    ),
    Promise(charge_migration, ramps(), identity={"params": {"signal_threshold": np.inf}}, reach=1),
    Promise(
        jump,
        ramps(),
        "one by one",
        references=DETECTOR,
        identity=TOO_NOISY,
        removes=JUMP_DET,
        lone=ONE_MEDIAN,
        reach=1,
    ),
    Promise(
        jump,
        ramps((3, 14, 40, 16)),
        "at once",
        references=DETECTOR,
        identity=TOO_NOISY,
        removes=JUMP_DET,
        lone=ONE_MEDIAN,
        reach=1,
    ),
    Promise(
        jump,
        ramps(),
        "and after",
        params={"after_jump_flag_dn1": 1e3, "after_jump_flag_time1": 25.0},
        references=DETECTOR,
        identity=TOO_NOISY,
        removes=JUMP_DET,
        lone=ONE_MEDIAN,
        reach="limits are for the median gain",
        nan=1,
    ),
    Promise(
        jump,
        ramps((6, 4, 40, 16)),
        "clipping",
        params={"minimum_sigclip_groups": 5, "rejection_threshold": 1.5},
        references=DETECTOR,
        identity="it compares integrations, whatever their noise",
        removes=JUMP_DET,
        lone="it compares integrations",
        reach=1,
    ),
    Promise(
        jump,
        ramps((3, 6, 48, 48)),
        "snowballs",
        params={"expand_large_events": True, "edge_size": 0},
        references=DETECTOR,
        identity=TOO_NOISY,
        removes=0xFF,  # cores become SATURATED alone
        lone="snowballs last into the next integration",
        reach="snowballs have any size",
        nan=48,
    ),
    Promise(
        jump,
        ramps((3, 12, 48, 48), faint=True, **MIRI),
        "showers",
        params={"find_showers": True},
        references=DETECTOR,
        identity=TOO_NOISY,
        removes=JUMP_DET,
        lone=ONE_MEDIAN,
        reach="showers have any size",
        nan=48,
    ),
    Promise(
        picture_frame,
        ramps((2, 4, 100, 100), **NIRSPEC, **CORNER, SUBARRAY="FULL"),
        params={"mask_science_regions": False},
        references={**DETECTOR, "pictureframe": image(1, 2, bad=0)},
        identity={"make": lit_evenly((2, 4, 100, 100), **NIRSPEC, **CORNER, SUBARRAY="FULL")},
        lone="the background is that of the exposure",
        reach=ALL_LINES,
        nan=0,
    ),
    Promise(
        clean_flicker_noise,
        ramps(EXP_TYPE="NRC_IMAGE"),
        references=DETECTOR,
        identity={"make": lit_evenly(rate=32, EXP_TYPE="NRC_IMAGE")},
        lone="the background is that of the exposure",
        reach=ALL_LINES,
        nan=0,
    ),
    Promise(
        clean_flicker_noise,
        ramps(EXP_TYPE="NRC_IMAGE"),
        "masks by integration",
        params={"single_mask": False, "background_method": "model"},
        references=DETECTOR,
        identity={"make": lit_evenly(rate=32, EXP_TYPE="NRC_IMAGE")},
        reach=ALL_LINES,
        nan=0,
    ),
    Promise(
        clean_flicker_noise,
        ramps((2, 4, 64, 128), **NIRSPEC, EXP_TYPE="NRS_FIXEDSLIT"),
        "frequencies",
        params={"fit_method": "fft", "background_method": None},
        references=DETECTOR,
        identity={"make": lit_evenly((2, 4, 64, 128), **NIRSPEC, EXP_TYPE="NRS_FIXEDSLIT")},
        lone="the background is that of the exposure",
        reach=ALL_LINES,
        nan=0,
    ),
    Promise(
        persistence,
        ramps(),
        params={"persistence_time": 100, "dn_threshold": 5e4},
        identity={"params": {"persistence_time": 100}},
        lone="windows last into the next integration",
    ),
    Promise(
        ramp_fit,
        ramps(),
        "OLS",
        references=DETECTOR,
        identity=OTHER_KIND,
        of_all=OF_ONE_RATE,
    ),
    Promise(
        ramp_fit,
        ramps(),
        "OLS of single groups",
        params={"suppress_one_group": False},
        references=DETECTOR,
        identity=OTHER_KIND,
        of_all=OF_ONE_RATE,
    ),
    Promise(
        ramp_fit,
        ramps(),
        "likelihood",
        params={"algorithm": "LIKELY"},
        references=DETECTOR,
        identity=OTHER_KIND,
    ),
    Promise(
        gain_scale,
        rates(),
        references={"gain": same(1, GAINFACT=2.0)},
        identity={"references": {"gain": same(1, GAINFACT=1.0)}},
    ),
    Promise(
        dq_init,
        guide_stars("FGS_TRACK", 3, 2, 40, 16),
        "guide stars",
        references={"mask": known_bad},
        identity={"references": {"mask": same(0)}},
        stored=SMALL,
    ),
    Promise(
        guider_cds,
        guide_stars("FGS_ACQ1", 3, 2, 40, 16),
        "first less second group",
        references=DETECTOR,
        identity=OTHER_KIND,
        stored=SMALL,
    ),
    Promise(
        guider_cds,
        guide_stars("FGS_FINEGUIDE", 3, 9, 40, 16),
        "means",
        references=DETECTOR,
        identity=OTHER_KIND,
        stored=SMALL,
    ),
    Promise(
        guider_cds,
        guide_stars("FGS_ID-IMAGE", 2, 2, 40, 16),
        "lesser of two",
        references=DETECTOR,
        identity=OTHER_KIND,
        lone="it compares integrations",
        stored=SMALL,
    ),
    Promise(
        flat_field,
        guide_stars("FGS_TRACK", 3, 40, 16),
        "guide stars",
        references={"flat": flat(0.2)},
        identity={"references": {"flat": flat(0)}},
        stored=SMALL,
    ),
)
