"""Exposures that another program has simulated, with the references they belong to.

A folder holds ``*_uncal.fits`` or ``*_rate.fits`` of one set, and ``crds``, the cache or a link to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nights import CONTEXTS

from calwebbd.stages.exptypes import is_wavefront
from calwebbd.stages.fits import read_header
from calwebbd.stages.header import Header, text


@dataclass(frozen=True)
class Given:
    """A campaign of one case, which is not simulated but there."""

    folder: Path
    stages: int = 3
    crossed: bool = False

    @property
    def name(self) -> str:
        return f"given-{self.folder.name}"

    @property
    def files(self) -> list[Path]:
        return sorted([*self.folder.glob("*_uncal.fits"), *self.folder.glob("*_rate.fits")])

    @property
    def header(self) -> Header:
        return read_header(self.files[0])

    @property
    def instrument(self) -> str:
        return text(self.header, "INSTRUME")

    @property
    def title(self) -> str:
        keywords = ("DETECTOR", "FILTER", "PUPIL", "SUBARRAY")
        seen = " ".join(filter(None, (text(self.header, key) for key in keywords)))
        return f"{seen}, {len(self.files)} exposures, made by another program"

    @property
    def pairs(self) -> bool:
        return is_wavefront(self.header)

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        return {}

    @property
    def cases(self) -> tuple[Given, ...]:
        return (self,)

    @property
    def contexts(self) -> tuple[str, ...]:
        """That with parameters of CRDS, if its cache has it."""
        made = {path.name for path in self.folder.glob("crds/mappings/jwst/*.pmap")}
        return tuple(context for context in list(CONTEXTS)[1::-1] if context in made)[:1]

    def only(self, names: Iterable[str]) -> Given:
        return self

    def simulate(self, folder: Path, seed: int) -> tuple[Path, dict[Given, list[Path]]]:
        return self.folder / "crds", {self: self.files}

    def quiet(self, case: Given, cache: Path, seed: int) -> None:
        """Nobody can make them once more."""
