"""What each step of stage 1 promises, and small random exposures and references to hold it to that.

Without another word a step changes nothing with an identity reference, only adds flags,
treats integrations and pixels by themselves, and keeps a NaN where it is. Where it does not, its
row of `PROMISES` says why. A step may have several rows, one for each way it works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import asdf
import numpy as np
from astropy.io import fits
from guide_stars import make_guide_star
from numpy.random import Generator
from ramps import make_ramp, write_reference

from calwebbd.stages.exposure import Exposure, Image, Ramp
from calwebbd.stages.flags import JUMP_DET
from calwebbd.stages.irs2 import Layout, is_interleaved
from calwebbd.stages.readout import SIZE
from calwebbd.stages.references import References
from calwebbd.stages.scratch import Cube
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

SHAPE = (3, 6, 40, 16)  # more rows than a thread takes at a time
CLOCK = {"TGROUP": 10.0, "TFRAME": 10.0, "EFFINTTM": 60.0, "EXPSTART": 60000.0, "DETECTOR": "NRCA1"}
CORNER = {"SUBSTRT1": 1, "SUBSTRT2": 1}
MIRI = {"INSTRUME": "MIRI", "DETECTOR": "MIRIMAGE", "READPATT": "FASTR1", "SUBARRAY": "SUB256"}
NIRSPEC = {"INSTRUME": "NIRSPEC", "DETECTOR": "NRS1", "FASTAXIS": 2, "SLOWAXIS": 1}
IRS2 = Layout(cells=2, lines=16)
INTERLEAVED = (2, 4, 3200, 8)

Make = Callable[[Generator], Any]  # of an exposure, or exposures
Content = Callable[[Generator, int, int], Any]  # of a reference for so many rows and columns


@dataclass(frozen=True)
class Promise:
    """One way a step works, and how it behaves.

    make : the exposure it is shown on
    references : their content by CRDS type
    identity : other settings of this row with which the step changes nothing, also in an exposure
        without flags of groups; or why there are none
    removes : flags of groups that it may take away
    lone : "" if each integration has the result it would have alone; else why not
    of_all : arrays of the result that depend on all integrations nevertheless
    reach : rows and columns as far away as which a pixel counts; or why a part of the detector cannot
        be had alone
    nan : as far as a NaN spreads, if that is another distance
    stored : "" if the result is the same for exposures on disk; else why they never are
    """

    step: Step
    make: Make
    way: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    references: Mapping[str, Content] = field(default_factory=dict)
    identity: Mapping[str, Any] | str = ""
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
        return self.step is not gain_scale and not self.stored

    def write(self, folder: Path, exposure: Any) -> References:
        """The reference files, for the exposure's subarray."""
        subarray, random = first(exposure).subarray, np.random.default_rng(7)
        for kind, content in self.references.items():
            made = content(random, *covered(kind, first(exposure)).sci.shape[-2:])
            if isinstance(made, np.ndarray):
                table = fits.BinTableHDU(made, name="IRS2" if kind == "refpix" else None)
                fits.HDUList([fits.PrimaryHDU(), table]).writeto(folder / f"{kind}.fits")
            elif kind == "emicorr":
                asdf.AsdfFile(made).write_to(folder / f"{kind}.fits")
            else:
                write_reference(folder, kind, covered(kind, first(exposure)), **made)
        return References({kind: folder / f"{kind}.fits" for kind in self.references}, subarray)

    def keep(self, exposure: Any, references: References) -> dict[str, np.ndarray]:
        """The arrays of what the step makes of the exposure."""
        subarray = first(exposure).subarray
        return arrays(self.step(exposure, references.within(subarray), **self.params))


def covered(kind: str, exposure: Exposure) -> Exposure:
    """What a reference is for: of interleaved exposures some are for the image alone."""
    if is_interleaved(exposure) and kind in ("saturation", "ipc"):
        return Exposure(exposure.header, exposure.sci[0, 0, :SIZE])
    return exposure


def every(exposure: Any) -> tuple[Any, ...]:
    """Steps after ramp_fit take two exposures, others one."""
    return exposure if isinstance(exposure, tuple) else (exposure,)


def first(exposure: Any) -> Any:
    return every(exposure)[0]


def planes(exposure: Exposure) -> Iterator[tuple[str, Any]]:
    """Names and values of an exposure's images and cubes."""
    for each in fields(exposure):
        value = getattr(exposure, each.name)
        if isinstance(value, np.ndarray | Cube) and value.ndim > 1:
            yield each.name, value


def arrays(exposure: Any) -> dict[str, np.ndarray]:
    """All of them by name, in memory; of a second exposure, rateints, with its name."""
    named = zip(("", "rateints."), every(exposure), strict=False)
    return {f"{of}{name}": np.asarray(value) for of, each in named for name, value in planes(each)}


def changed(exposure: Any, change: Callable[[str, Any], Any], **others: Any) -> Any:
    """The exposure, or exposures, with arrays that `change` makes of their names and values."""
    made = tuple(
        replace(each, header=each.header.copy(), **{k: change(k, v) for k, v in planes(each)}, **others)
        for each in every(exposure)
    )
    return made if isinstance(exposure, tuple) else made[0]


def alone(exposure: Any, i: int) -> Any:
    """One of its integrations, with the number that it has."""

    def one(name: str, array: np.ndarray) -> np.ndarray:
        return array[i : i + 1].copy() if has_integrations(exposure, array) else array.copy()

    return changed(exposure, one, **({"first": i} if isinstance(exposure, Ramp) else {}))


def has_integrations(exposure: Any, array: np.ndarray) -> bool:
    return array.ndim > 2 and len(array) == len(every(exposure)[-1].sci)


def cut(exposure: Any, rows: slice, columns: slice) -> Any:
    """A part of the subarray, read as a subarray of its own."""
    part = changed(exposure, lambda name, array: array[..., rows, columns].copy())
    for each in every(part):
        each.header["SUBSTRT1"] += columns.start
        each.header["SUBSTRT2"] += rows.start
    return part


def on_disk(exposure: Any) -> Any:
    """The same, with what has integrations on disk."""

    def stored(name: str, array: np.ndarray) -> Any:
        if not has_integrations(exposure, array):
            return array
        cube = Cube(array.shape, array.dtype)
        cube.write(0, array)
        return cube

    return changed(exposure, stored)


# exposures


def some_flags(random: Generator, shape: tuple[int, ...], kind: Any, fraction: float = 0.1) -> Any:
    """Any bits, in a part of the elements."""
    bits = random.integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    return np.where(random.random(shape) < fraction, bits, kind(0))


def ramps(
    shape: tuple[int, ...] = SHAPE, *, flagged: float = 0.1, faint: bool = False, **keywords: Any
) -> Make:
    """Ramps of all rates, some of which saturate, with jumps, and any flags.

    In the first integration there is an event in the middle: a snowball, or, of faint rates, a shower.
    """

    def make(random: Generator) -> Ramp:
        nints, _, ny, nx = shape
        y, x = np.mgrid[:ny, :nx]
        away = np.hypot(y - ny // 2, x - nx // 2)
        rate = 10 ** random.uniform(0, 1 if faint else 3.8, (ny, nx))
        steps = random.normal(rate, 10, shape) + 2e3 * (random.random(shape) < 0.03)
        steps[0, 2] += 30 * (away < 10) if faint else 4e3 * (away < 7) + 1e5 * (away < 3)
        sci = np.minimum(1000 + np.cumsum(steps, axis=1), 65535).round()
        zeroframe = 1000 + rate / 2 * (random.random((nints, ny, nx)) < 0.9)
        header = {**CLOCK, "NINTS": nints, "NSAMPLES": 1, **keywords}
        ramp = make_ramp(sci, None if "MIRI" in header.values() else zeroframe, **header)
        ramp.groupdq = some_flags(random, shape, np.uint8, flagged / 5)
        ramp.pixeldq = some_flags(random, (ny, nx), np.uint32, flagged)
        return ramp

    return make


def lit_evenly(shape: tuple[int, ...] = SHAPE, rate: float = 0.0, **keywords: Any) -> Make:
    """Ramps without noise: every pixel has a level of its own, and all the same rate."""

    def make(random: Generator) -> Ramp:
        sci = random.integers(500, 1500, shape[-2:]) + rate * np.arange(shape[1])[:, None, None]
        return make_ramp(np.broadcast_to(sci, shape).copy(), **{**CLOCK, **keywords})

    return make


def large(shape: tuple[int, ...], **keywords: Any) -> Make:
    """Ramps repeated over the detector, which would take long to make."""

    def make(random: Generator) -> Ramp:
        nints, ngroups, ny, nx = shape
        tile = random.normal(1000, 10, (nints, ngroups, ny // 16, nx // 8))
        ramp = make_ramp(np.tile(tile, (16, 8)), **{**CLOCK, **keywords})
        ramp.pixeldq[4::9, :3] = 1
        return ramp

    return make


def rates(**keywords: Any) -> Make:
    """Those of an exposure and of its integrations."""

    def make(random: Generator) -> tuple[Image, Image]:
        return one(random, 40, 16), one(random, 3, 40, 16)

    def one(random: Generator, *shape: int) -> Image:
        header = make_ramp(np.zeros((1, 1, 1, 1)), **keywords).header
        sci, err, *variances = random.uniform(1, 100, (4, *shape)).astype(np.float32)
        return Image(header, sci, err, some_flags(random, shape, np.uint32), *variances)

    return make


def guide_stars(exp_type: str, *shape: int, **keywords: Any) -> Make:
    """Raw groups, (nints, ngroups, ny, nx), or count rates, (nplanes, ny, nx)."""

    def make(random: Generator) -> Any:
        star = make_guide_star(random.uniform(0, 6e4, shape).round(), exp_type, TGROUP=0.3, **keywords)
        star.dq = some_flags(random, shape[-2:], np.uint32)
        if len(shape) == 3:
            star.err = np.sqrt(star.sci)
        return star

    return make


# contents of references


def image(low: float, high: float, *, dq: bool = True, bad: float = 0.03, **keywords: Any) -> Content:
    """Values between two, with NaN and flags here and there."""

    def make(random: Generator, ny: int, nx: int) -> dict[str, Any]:
        values = random.uniform(low, high, (ny, nx))
        values[random.random((ny, nx)) < bad] = np.nan
        return {"sci": values, "dq": some_flags(random, (ny, nx), np.uint32) if dq else 0, **keywords}

    return make


def same(value: Any, **keywords: Any) -> Content:
    """One value for all pixels, in planes if there are several."""
    each = np.asarray(value)[..., None, None]
    return lambda random, ny, nx: {"sci": np.broadcast_to(each, (*np.shape(value), ny, nx)), **keywords}


def flat(noise: float) -> Content:
    def make(random: Generator, ny: int, nx: int) -> dict[str, Any]:
        return {"sci": random.normal(1, noise, (ny, nx)), "err": random.normal(noise, noise, (ny, nx))}

    return make


def known_bad(random: Generator, ny: int, nx: int) -> dict[str, Any]:
    return {"dq": some_flags(random, (ny, nx), np.uint32)}


def kernel(centre: float, side: float) -> Content:
    """Interpixel capacitance."""
    return lambda random, ny, nx: {"sci": [[0, side, 0], [side, centre, side], [0, side, 0]]}


def cubes(*shape: int, **keywords: Any) -> Content:
    """Planes of noise, with NaN here and there."""

    def make(random: Generator, ny: int, nx: int) -> dict[str, Any]:
        values = random.normal(0, 5, (*shape, ny, nx))
        values[..., random.random((ny, nx)) < 0.03] = np.nan
        dq = some_flags(random, (ny, nx), np.uint32)
        return {"sci": values, "dq": dq, **keywords}

    return make


def polynomials(*names: str, curved: float = 1.0) -> Content:
    """Coefficients close to the identity, or just that."""

    def make(random: Generator, ny: int, nx: int) -> dict[str, Any]:
        noise = curved * random.normal(0, 1, (4, ny, nx)) * np.reshape([1, 1e-2, 1e-7, 1e-12], (4, 1, 1))
        noise[1] += 1
        noise[1, random.random((ny, nx)) < 0.03 * curved] = np.nan
        dq = some_flags(random, (ny, nx), np.uint32) if curved else 0
        return {**dict.fromkeys(names, noise), "dq": dq}

    return make


def skips(first: int, later: int) -> Content:
    columns = [("subarray", "S17"), ("readpatt", "S12"), ("group_skip1", "i4"), ("group_skip", "i4")]
    return lambda random, ny, nx: np.array([("SUB256", "FASTR1", first, later)], columns)


def waves(amplitude: float) -> Content:
    wave = amplitude * np.sin(2 * np.pi * (np.arange(500) + 0.5) / 500)
    case = {"rowclocks": 96, "frameclocks": 29952, "freqs": {"FAST": ["Hz218"]}}
    return lambda random, ny, nx: {
        "frequencies": {"Hz218": {"frequency": 218.52, "phase_amplitudes": wave}},
        "subarray_cases": {"SUB256": case},
    }


def weights(size: float) -> Content:
    """Of the interleaved reference pixels, at all frequencies."""
    length = 2 * IRS2.slots * IRS2.lines
    columns = [(f"{kind}_{k}", "f4") for kind in ("alpha", "beta") for k in range(4)]

    def make(random: Generator, ny: int, nx: int) -> np.ndarray:
        table = np.zeros(length, columns)
        for name, _ in columns:
            table[name] = random.normal(0, size, length)
        return table

    return make


def without_light_in_reference_pixels(random: Generator) -> Ramp:
    ramp = ramps(flagged=0, NOUTPUTS=4, **CORNER)(random)
    for array in (ramp.sci, ramp.zeroframe):
        array[..., :4, :] = array[..., :4] = 0
    return ramp


def with_reference_pixels(random: Generator) -> Ramp:
    """Those of one amplifier, in the four left columns."""
    ramp = ramps(**CORNER)(random)
    ramp.pixeldq &= np.uint32(2**31 - 1)
    ramp.pixeldq[:, :4] = 1 << 31
    return ramp


def with_bad_interleaved_pixels(random: Generator) -> Ramp:
    """Noise, which is much in two of the interleaved pixels of one integration."""
    sci = random.normal(1000, 10, (2, 3, IRS2.samples, IRS2.lines))
    sci[0, :, IRS2.block + 8 : IRS2.block + 10] *= 20
    return make_ramp(sci, **{**CLOCK, **NIRSPEC, **CORNER})


DETECTOR = {"gain": image(1, 3, bad=0), "readnoise": image(5, 20, bad=0)}
ZERO_DARK = {"dark": same(np.zeros(6), NFRAMES=1, GROUPGAP=0)}
NO_NOISE = {"references": {**DETECTOR, "readnoise": same(1e9)}}
BY_NUMBER = "it flags groups by their number"
ALL_LINES = "it needs whole lines"
ONE_MEDIAN = "differences of all integrations have one median"
OTHER_KIND = "it makes rates of groups"
OF_ONE_RATE = frozenset({"rateints.var_poisson", "rateints.err"})  # at which photons come
READING = "rows are in the order in which they were read"
SMALL = "guide stars are never long"
AVERAGED = {"NFRAMES": 4, "TGROUP": 40.0}


def interleaved(ramp: Ramp, references: References, params: Any) -> Ramp:
    """refpix of IRS2, on a small detector."""
    return correct_interleaved(ramp, references, params, IRS2)


refpix_irs2 = replace(refpix, function=interleaved, whole=lambda ramp: True)

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
        ramps(INTERLEAVED, **NIRSPEC, **CORNER),
        "interleaved",
        references={"saturation": image(3e4, 6e4)},
        identity={"references": {"saturation": same(1e6)}},
        reach=READING,
        nan=1,
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
        ramps(INTERLEAVED, **NIRSPEC, **CORNER),
        "interleaved",
        references={"ipc": kernel(1.04, -0.01)},
        identity={"references": {"ipc": kernel(1, 0)}},
        reach=READING,
        nan=9,  # rows that are neighbours on the detector may have others between them in the array
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
        params={"preserve_irs2_refpix": True, "ovr_corr_mitigation_ftr": 1.5},
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
        identity=NO_NOISE,
        removes=JUMP_DET,
        lone=ONE_MEDIAN,
        reach=1,
    ),
    Promise(
        jump,
        ramps((3, 14, 40, 16)),
        "at once",
        references=DETECTOR,
        identity=NO_NOISE,
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
        identity=NO_NOISE,
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
        identity=NO_NOISE,
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
        identity=NO_NOISE,
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
