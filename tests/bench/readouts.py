"""The exposures that are measured: of the size of real ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nights import Campaign, Case

from calwebbd.stages.simulate.crds_cache import CONTEXT, MANIFEST

EVERYTHING = "jwst_0003.pmap"


@dataclass(frozen=True)
class Measured:
    """A case, in a context; simulated only once into the folder of `data`."""

    case: Case
    context: str = CONTEXT
    data: str = ""

    @property
    def title(self) -> str:
        return self.case.title

    def simulated(self, folder: Path) -> tuple[Path, list[Path]]:
        """Its CRDS cache and exposures, made below the folder if they are not there."""
        here = folder / (self.data or self.case.name)
        if not (here / "crds" / MANIFEST).exists():
            Campaign(here.name, (self.case,), (self.context,)).simulate(here, seed=1)
        return here / "crds", sorted((here / self.case.name).glob("*_uncal.fits"))


def _case(name: str, title: str, detector: str, subarray: str, readpatt: str, *counts: int) -> Case:
    """counts : groups, and integrations if there are several"""
    ngroups, nints = (*counts, 1)[:2]
    return Case(name, title, (detector,), subarray, ngroups, readpatt, nints, snowballs=5.0)


NIRCAM = _case("nircam", "NIRCam 2048 x 2048 x 10", "NRCA1", "FULL", "BRIGHT1", 10)
ALL_STEPS = replace(NIRCAM, title=f"{NIRCAM.title}, every optional step on")
CASES = {
    "nircam": Measured(NIRCAM),
    "nircam-all": Measured(ALL_STEPS, EVERYTHING, "nircam"),
    "miri": Measured(_case("miri", "MIRI 1024 x 1032 x 40", "MIRIMAGE", "FULL", "FASTR1", 40)),
    "irs2": Measured(_case("irs2", "NIRSpec IRS2 3200 x 2048 x 20", "NRS1", "FULL", "NRSIRS2RAPID", 20)),
    "soss": Measured(
        _case("soss-100", "NIRISS SOSS 256 x 2048 x 5 x 100", "NIS", "SUBSTRIP256", "NISRAPID", 5, 100)
    ),
    "slitless": Measured(
        _case("slitless", "MIRI slitless 416 x 72 x 45 x 50", "MIRIMAGE", "SLITLESSPRISM", "FASTR1", 45, 50)
    ),
}
#: Series of ever more integrations.
SERIES = tuple(
    Measured(_case(f"soss-{n}", f"NIRISS SOSS 256 x 2048 x 5 x {n}", "NIS", "SUBSTRIP256", "NISRAPID", 5, n))
    for n in (10, 50, 100)
)
DITHERS = Measured(Case("dithers", "4 full frames", ("NRCA1",), "FULL", 10, dithers=4, snowballs=20.0))
