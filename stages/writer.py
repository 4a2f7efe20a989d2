"""What is to be made, and putting it where it belongs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from calwebbd.stages.associations import Association
from calwebbd.stages.catalogues import write_catalogue
from calwebbd.stages.exposure import Catalogue, Exposure
from calwebbd.stages.names import product_path
from calwebbd.stages.products import Segmentation
from calwebbd.stages.step import Step
from calwebbd.stages.threads import threads

Named = list[tuple[Path, Exposure]]


@dataclass(frozen=True)
class Task:
    """One product to make: its name, the science files it is made of, and their association, if any.

    separator : what joins the name and the suffixes of its products; a hyphen for some guide stars
    groups : of files for which the association names another group than their keywords do
    others : files of the association that are not science, by role: background, imprint, …
    """

    name: str
    science: tuple[Path, ...]
    asn: Association | None = None
    asn_file: str = ""
    separator: str = "_"
    groups: Mapping[Path, str] = field(default_factory=dict)
    others: Mapping[str, Sequence[Path]] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """All that it is made of, each once."""
        return tuple(dict.fromkeys(chain(self.science, *self.others.values())))

    def keywords(self) -> dict[str, str]:
        """By which a product names its association."""
        return {"ASNTABLE": self.asn_file, "ASNPOOL": self.asn.asn_pool} if self.asn else {}


@dataclass(frozen=True)
class Written:
    """One product on disk."""

    path: Path
    suffix: str


@dataclass
class Writer:
    """Puts products where they belong, with the keywords that say who made them.

    As a context it ends when all that has begun is written; what has begun appears then, unless
    an exception ended it.
    """

    task: Task
    context: str
    folder: Path
    written: dict[Path, Written] = field(default_factory=dict)
    _begun: dict[Path, tuple[Any, Future[None]]] = field(default_factory=dict)
    _background: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._background.shutdown()
        try:
            for prepared, done in self._begun.values() if kind is None else ():
                done.result()
                prepared.appear()
        finally:
            for prepared, _done in self._begun.values():
                prepared.discard()

    def begin(self, suffix: str, product: Exposure | Sequence[Exposure]) -> None:
        """`write` while the calibration goes on, which leaves the products as they are."""
        from calwebbd.stages.fits.write import prepare

        if threads() == 1:  # one may be used for all
            return
        # all of them first: Python makes headers twice as slowly while another thread writes
        prepared = {path: prepare(each, path) for path, each in self._named(suffix, product)}
        self._begun |= {path: (each, self._background.submit(each.put)) for path, each in prepared.items()}

    def write(self, suffix: str, product: Exposure | Catalogue | Sequence[Exposure]) -> None:
        """One product under the task's name; several under their own, with the association's id.

        suffix : or, of a product with a name of its own, its file
        """
        from calwebbd.stages.fits.write import write

        if isinstance(product, Catalogue):
            path = self.folder / self._name(suffix)
            write_catalogue(product, path, self._made_by())
            self._wrote(path, suffix)
            return
        for path, each in self._named(suffix, product):
            if path not in self._begun:
                write(each, path)
            self._wrote(path, suffix)

    def _wrote(self, path: Path, suffix: str) -> None:
        if path.parent == self.folder:  # what was asked for elsewhere is no product
            self.written[path] = Written(path, Path(suffix).stem)

    def _named(self, suffix: str, product: Exposure | Sequence[Exposure]) -> Named:
        """Where each product belongs, and it, with its keywords."""
        if isinstance(product, Exposure):
            named = [(self.folder / self._name(suffix), product)]
        else:
            asn_id = self.task.asn.asn_id if self.task.asn else "a3001"
            named = [(product_path(self.folder / Path(p.file).name, suffix, asn_id), p) for p in product]
        for _, each in named:
            each.header.update(self._made_by())
            if isinstance(each, Segmentation):
                each.header["SCATFILE"] = self._name("cat")
        return named

    def _name(self, suffix: str) -> str:
        if suffix.endswith((".fits", ".ecsv")):
            return suffix if Path(suffix).is_absolute() else Path(suffix).name
        if "{suffix}" in self.task.name:  # of wavefront sensing
            return self.task.name.replace("{suffix}", suffix) + ".fits"
        return product_path(Path(f"{self.task.name}{self.task.separator}uncal"), suffix).name

    def keep(self, step: Step, result: Any) -> None:
        """Save what a step gave."""
        if isinstance(result, tuple):  # of one exposure; the last is by integration
            for each, ending in zip(result, ("", "ints"), strict=True):
                self.write(step.name + ending, each)
        else:
            self.write(step.name, result)

    def _made_by(self) -> dict[str, str]:
        return {
            "CAL_VER": f"calwebbd {version('calwebbd')}",
            "CAL_VCS": "RELEASE",
            "CRDS_CTX": self.context,
            "CRDS_VER": version("crds"),
        }
