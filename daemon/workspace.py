"""A private folder for each attempt, and the way of its products to where they belong.

The folder lies on the file system of the products and is named for the job and its
fence: ``in/`` holds an association beside links to its members, ``out/`` what the
pipeline writes. The worker puts its files safely on disk; the service writes down what
it will publish, renames file by file, and writes down that it did. Wherever it is
killed, the next service finds each file in one of the two places.

Other machines must know whose it is: the service offers the folder, the first host to take
it has it, and gives up when it is gone.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from calwebbd.daemon.work import HANDED, Product, Work
from calwebbd.queues.job import Job
from calwebbd.stages.errors import ReferenceMissing


class Vanished(Exception):
    """A product that was to be published is neither here nor there."""


def folder(scratch: Path, job: Job) -> Path:
    return scratch / f"{job.id}-{job.fence}"


def prepare(workspace: Path, work: Work) -> Path:
    """Make the folders afresh; returns the file that the pipeline is given."""
    for name in ("in", "out"):
        shutil.rmtree(workspace / name, ignore_errors=True)
        (workspace / name).mkdir(parents=True)
    if work.asn is None:
        return work.inputs[0].path
    for source in work.inputs:
        (workspace / "in" / source.path.name).symlink_to(source.path)
    asn = workspace / "in" / work.asn_name
    asn.write_text(json.dumps(work.asn, indent=4) + "\n")
    if work.made:
        shutil.copy(asn, workspace / "out" / work.asn_name)
    return asn


def handing(workspace: Path, work: Work) -> dict[str, Path | None]:
    """The files by which exposures hand on: what is given to this one, copied, and what it is to leave.

    Raises ReferenceMissing if what was to be given is no longer what it was: a newer job will have that.
    """
    if not work.chained:
        return {}
    given = None
    if work.handed is not None:
        given = workspace / "in" / work.handed.path.name
        with suppress(FileNotFoundError):
            shutil.copy(work.handed.path, given)
        if not _is(given, work.handed.sha256):
            raise ReferenceMissing(f"{work.handed.path} has been made again meanwhile")
    return {"given": given, "left": left(workspace, work)}


def left(workspace: Path, work: Work) -> Path:
    """The file that an exposure hands on."""
    return workspace / "out" / f"{work.subject}_{HANDED}.asdf"


def settle(workspace: Path, products: Iterable[tuple[Path, str]]) -> tuple[Product, ...]:
    """Put products, as (path, suffix), safely on disk and take their fingerprints."""
    out = workspace / "out"
    found = []
    for path, suffix in products:
        if path.parent != out:
            raise ValueError(f"{path} was not written to {out}")
        with path.open("rb") as file:
            os.fsync(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            found.append(Product(path.name, suffix, sha256, os.fstat(file.fileno()).st_size))
    _sync(out)
    return tuple(found)


def publish(workspace: Path, products: Sequence[Product], output: Path) -> None:
    """Rename products into the output folder; those that are there already stay.

    Raises Vanished if a product is in neither place, so that the job must run again.
    """
    for product in products:
        source, target = workspace / "out" / product.name, output / product.name
        try:
            os.replace(source, target)
        except FileNotFoundError:
            if not _is(target, product.sha256):
                raise Vanished(f"{product.name} is neither in {source.parent} nor in {output}") from None
    _sync(output)


def offer(workspace: Path) -> None:
    """Make it, for the host that takes it."""
    workspace.mkdir(parents=True)
    (workspace / "offered").touch()


def take(workspace: Path) -> bool:
    """Have it alone; False if it was taken before, or is given up."""
    try:
        os.rename(workspace / "offered", workspace / "taken")
    except FileNotFoundError:
        return False
    return True


def is_taken(workspace: Path) -> bool:
    """Whether it is still wanted of whoever took it."""
    return (workspace / "taken").exists()


def discard(workspace: Path) -> None:
    shutil.rmtree(workspace, ignore_errors=True)


def sweep(scratch: Path, keep: Iterable[Path]) -> None:
    """Remove what attempts of another life have left."""
    kept = set(keep)
    for path in scratch.iterdir():
        if path not in kept:
            discard(path)


def _is(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _sync(folder: Path) -> None:
    """Make renames in a folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
