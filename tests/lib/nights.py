"""Simulated exposures on which calwebbd and the official package are compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calwebbd.stages.simulate import Effects, simulate_cache, simulate_exposures

CONTEXTS = {"jwst_0001.pmap": "code defaults", "jwst_0002.pmap": "CRDS parameters"}


@dataclass(frozen=True)
class Case:
    """A kind of exposure; `arguments` are those of `simulate_exposures`."""

    name: str
    title: str
    detectors: tuple[str, ...]
    subarray: str
    ngroups: int
    readpatt: str = "BRIGHT1"
    nints: int = 1
    dithers: int = 1
    tso: bool = False
    snowballs: float = 1.0

    def make(self, folder: Path, seed: int) -> tuple[Path, list[Path]]:
        """The CRDS cache and the exposures, made below `folder`."""
        cache = folder / "crds"
        simulate_cache(cache, detectors=self.detectors, subarrays=(self.subarray,), seed=seed)
        made = simulate_exposures(
            cache,
            folder / "raw",
            detectors=self.detectors,
            subarray=self.subarray,
            ngroups=self.ngroups,
            nints=self.nints,
            dithers=self.dithers,
            readpatt=self.readpatt,
            tso=self.tso,
            seed=seed,
            effects=Effects(snowballs=self.snowballs),
        )
        return cache, made.paths


BOTH = ("NRCA1", "NRCALONG")
SMALL = (
    Case("dithers", "SUB320, 5 groups, 4 dithers, 2 detectors", BOTH, "SUB320", 5, dithers=4),
    Case("shallow", "SUB320, SHALLOW4, 6 groups, 2 integrations", ("NRCA1",), "SUB320", 6, "SHALLOW4", 2),
    Case("series", "SUB160P, 5 groups, 100 integrations", ("NRCA1",), "SUB160P", 5, "RAPID", 100, tso=True),
)
FULL = Case("full", "FULL, 10 groups", ("NRCA1",), "FULL", 10, snowballs=20.0)
