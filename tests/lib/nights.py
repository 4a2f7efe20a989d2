"""Simulated exposures on which calwebbd and the official package are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calwebbd.stages.simulate import Effects, simulate_cache, simulate_exposures
from calwebbd.stages.simulate.detectors import DETECTORS
from calwebbd.stages.simulate.readout import Readout

CONTEXTS = {
    "jwst_0001.pmap": "code defaults",
    "jwst_0002.pmap": "CRDS parameters",
    "jwst_0003.pmap": "every optional step on",
}
NOISE = ("poisson", "read_noise", "pedestal", "amplifier_offsets", "one_over_f", "cosmic_rays", "snowballs")


@dataclass(frozen=True)
class Case:
    """A kind of exposure; fields are arguments of `simulate_exposures`."""

    name: str
    title: str
    detectors: tuple[str, ...]
    subarray: str
    ngroups: int
    readpatt: str = "BRIGHT1"
    nints: int = 1
    dithers: int = 1
    exp_type: str | None = None
    tso: bool = False
    segments: int = 1
    snowballs: float = 1.0
    pairs: bool = False  #: of wavefront sensing: combined by two
    tracks: float | None = None  #: of cosmic rays, for each pixel and group; as many as in flight if None
    stripes: float = 1.0  #: DN rms, from line to line
    crossed: bool = True  #: each package goes on from what the other made, too
    average_dark: bool = True  #: its noise is in ours, as it is not in theirs (docs/departures.md)

    @property
    def instrument(self) -> str:
        return DETECTORS[self.detectors[0]].instrument

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """What calwebbd is told, by step."""
        return {} if self.average_dark else {"dark_current": {"average_dark_current": 0.0}}

    def observe(self, cache: Path, folder: Path, seed: int, effects: Effects | None = None) -> list[Path]:
        """The exposures, made in the folder."""
        made = simulate_exposures(
            cache,
            folder,
            detectors=self.detectors,
            subarray=self.subarray,
            ngroups=self.ngroups,
            nints=self.nints,
            dithers=self.dithers,
            readpatt=self.readpatt,
            exp_type=self.exp_type,
            tso=self.tso,
            segments=self.segments,
            seed=seed,
            effects=effects or self.effects,
        )
        return made.paths

    @property
    def effects(self) -> Effects:
        usual = Effects(snowballs=self.snowballs, one_over_f=self.stripes)
        if self.tracks is None:
            return usual
        seconds = Readout(self.subarray, self.readpatt, self.ngroups, self.nints).tgroup
        return replace(usual, cosmic_rays=self.tracks / seconds)


@dataclass(frozen=True)
class Campaign:
    """Cases that share references, calibrated through so many stages, in these contexts."""

    name: str
    cases: tuple[Case, ...]
    contexts: tuple[str, ...]
    stages: int = 1
    dark_frames: int = 20

    def only(self, names: Iterable[str]) -> Campaign:
        """With those of its cases that are named."""
        cases = tuple(case for case in self.cases if case.name in names)
        return Campaign(self.name, cases, self.contexts, self.stages, self.dark_frames)

    def simulate(self, folder: Path, seed: int) -> tuple[Path, dict[Case, list[Path]]]:
        """The CRDS cache and the exposures of each case, made below `folder`."""
        cache = folder / "crds"
        simulate_cache(
            cache,
            detectors=sorted({name for case in self.cases for name in case.detectors}),
            subarrays=sorted({case.subarray for case in self.cases}),
            readpatts=sorted({case.readpatt for case in self.cases}),
            seed=seed,
            dark_frames=self.dark_frames,
        )
        return cache, {case: case.observe(cache, folder / case.name, seed) for case in self.cases}

    def quiet(self, case: Case, cache: Path, seed: int) -> Callable[[Path], list[Path]]:
        """Makes the exposures of a case without noise and cosmic rays, in a folder."""
        return lambda folder: case.observe(cache, folder, seed, case.effects.without(*NOISE))


BOTH = ("NRCA1", "NRCALONG")
USUAL, ALL = tuple(CONTEXTS)[:2], tuple(CONTEXTS)[1:]
IMAGING = Campaign(
    "imaging",
    (
        Case("dithers", "SUB320, 5 groups, 4 dithers, 2 detectors", BOTH, "SUB320", 5, dithers=4),
        Case("shallow", "SUB320, SHALLOW4, 6 groups, 2 integrations", ("NRCA1",), "SUB320", 6, "SHALLOW4", 2),
        Case(
            "series", "SUB160P, 5 groups, 100 integrations", ("NRCA1",), "SUB160P", 5, "RAPID", 100, tso=True
        ),
    ),
    USUAL,
    stages=3,
)
#: Images of the other instruments, to the end; in order not to be long, with few groups.
IMAGERS = Campaign(
    "imagers",
    (
        Case("niriss", "F158M SUB256, 4 groups, 4 dithers", ("NIS",), "SUB256", 4, "NIS", dithers=4),
        Case(
            "niriss-plain",
            "F158M SUB256, 4 groups, 4 dithers, without noise of the average dark",
            *(("NIS",), "SUB256", 4, "NIS"),
            dithers=4,
            crossed=False,
            average_dark=False,
        ),
        Case("guider", "SUB128CNTR, 6 groups, 4 dithers", ("GUIDER1",), "SUB128CNTR", 6, "FGS", dithers=4),
        Case("miri", "F770W SUB256, 12 groups, 4 dithers", ("MIRIMAGE",), "SUB256", 12, "FASTR1", dithers=4),
        Case("wavefront", "F200W SUB160, 5 groups, a pair", ("NRCB1",), "SUB160", 5, dithers=2, pairs=True),
    ),
    USUAL,
    stages=3,
)
FULL = Campaign(
    "full", (Case("full", "FULL, 10 groups", ("NRCA1",), "FULL", 10, snowballs=20.0),), USUAL, stages=3
)


def _readout(
    name: str, detector: str, subarray: str, readpatt: str, ngroups: int, nints: int = 1, **more: object
) -> Case:
    """A read-out for stage 1, with its title."""
    title = f"{detector} {subarray} {readpatt}, {nints} x {ngroups}"
    if more.get("segments"):
        title += f" in {more['segments']} segments"
    if more.get("exp_type"):
        title += f" {more['exp_type']}"
    return Case(name, title, (detector,), subarray, ngroups, readpatt, nints, **more)  # type: ignore[arg-type]


#: Stage 1 of every instrument; x stands between integrations and groups.
SUBARRAYS = Campaign(
    "subarrays",
    (
        _readout("nrc-rapid", "NRCA1", "SUB64P", "RAPID", 12, 3),
        _readout("nrc-medium8", "NRCA1", "SUB160P", "MEDIUM8", 5, 2),
        _readout("nrc-deep8", "NRCALONG", "SUB160", "DEEP8", 4),
        _readout("nrc-segments", "NRCA1", "SUB64P", "RAPID", 6, 20, tso=True, segments=3),
        _readout("nrc-series", "NRCA1", "SUB64P", "RAPID", 5, 120, tso=True),
        _readout("nrs-allslits", "NRS1", "ALLSLITS", "NRSRAPID", 6, 2),
        _readout("nrs-s200a1", "NRS2", "SUBS200A1", "NRSRAPID", 8, 2),
        _readout("nrs-average", "NRS1", "SUBS200A1", "NRS", 5),
        _readout("nrs-prism", "NRS1", "SUB512", "NRSRAPID", 5, 12),
        _readout("nis-soss", "NIS", "SUBSTRIP96", "NISRAPID", 5, 4),
        _readout("nis-ami", "NIS", "SUB80", "NISRAPID", 5, 10),
        _readout("nis-average", "NIS", "SUB80", "NIS", 5, 2),
        _readout("fgs-rapid", "GUIDER1", "SUB128CNTR", "FGSRAPID", 6, 2),
        _readout("fgs-average", "GUIDER1", "SUB128CNTR", "FGS", 5),
        _readout("mir-sub256", "MIRIMAGE", "SUB256", "FASTR1", 15, 2),
        _readout("mir-slitless", "MIRIMAGE", "SLITLESSPRISM", "FASTR1", 20, 8),
        _readout("mir-segments", "MIRIMAGE", "SLITLESSPRISM", "FASTR1", 12, 6, segments=2),
        _readout("nrc-dark", "NRCA1", "SUB64P", "RAPID", 8, 2, exp_type="NRC_DARK"),
        _readout("mir-dark", "MIRIMAGE", "SUB256", "FASTR1", 10, 2, exp_type="MIR_DARKIMG"),
    ),
    ALL,
)
#: Full frames where a step is another one there.
FRAMES = Campaign(
    "frames",
    (
        _readout("nrs-full", "NRS1", "FULL", "NRSRAPID", 5),
        _readout("nrs-irs2", "NRS1", "FULL", "NRSIRS2RAPID", 5),
        _readout("nrs-irs2-average", "NRS1", "FULL", "NRSIRS2", 3),
        _readout("nis-full", "NIS", "FULL", "NISRAPID", 4),
        _readout("fgs-full", "GUIDER1", "FULL", "FGSRAPID", 4),
        _readout("mrs-slow", "MIRIFULONG", "FULL", "SLOWR1", 8, 2),
        _readout("mrs-fast", "MIRIFUSHORT", "FULL", "FASTR1", 12, 2),
        _readout("mir-full", "MIRIMAGE", "FULL", "FASTR1", 10),
    ),
    ALL,
    dark_frames=6,
)
CAMPAIGNS = {campaign.name: campaign for campaign in (IMAGING, IMAGERS, SUBARRAYS, FRAMES, FULL)}
