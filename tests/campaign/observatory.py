"""Exposures that arrive in the course of a campaign, and what has to become of each."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fake_calibration as fake

DITHERS = 4
ALWAYS = 10_000


def name(observation: int, exposure: int, suffix: str = "uncal", program: str = "01234") -> str:
    return f"jw{program}{observation:03d}001_02101_{exposure:05d}_nrca1_{suffix}.fits"


def content(observation: int, exposure: int, of: int = DITHERS, program: str = "01234", **header: Any) -> str:
    own = {"PROGRAM": program, "OBSERVTN": f"{observation:03d}"}
    return fake.content(exposure, of, f"light{program}{observation}.{exposure}", **own, **header)


@dataclass
class Observatory:
    """folder : watched; moments : random

    valid : what each valid exposure finally holds, by its name; invalid : a part of the reason for
    which a file is to be in quarantine; unused : files from which nothing follows
    dead : a part of the reason for which an exposure's job is to be a dead letter, by its name
    cause : under which fault an observation was made, by the beginning of its files' names
    """

    folder: Path
    moments: random.Random
    valid: dict[str, str] = field(default_factory=dict)
    invalid: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)
    dead: dict[str, str] = field(default_factory=dict)
    cause: dict[str, str] = field(default_factory=dict)
    made: int = 0

    def observe(self, cause: str, arrive: Callable[[Path, str], None] | None = None, **header: Any) -> str:
        """An observation of four dithers arrives, in one of the ways in which files do; its prefix."""
        program, observation = self._next(cause)
        for exposure in range(1, DITHERS + 1):
            own = header if exposure == 1 else {}
            text = content(observation, exposure, program=program, SECONDS=0.02 * exposure, **own)
            path = self.folder / name(observation, exposure, program=program)
            self.valid[path.name] = text
            (arrive or self.moments.choice(WAYS))(path, text)
        return f"jw{program}{observation:03d}"

    def spoil(self, cause: str) -> None:
        """Files arrive that cannot be used."""
        program, observation = self._next(cause)
        texts = {
            "ends too early": content(observation, 1, program=program)[:-20],
            "is no exposure": "it is a JPEG",
            "copy: is out of focus": content(observation, 3, program=program, DO="wrong", AT="detector1"),
        }
        for exposure, (reason, text) in enumerate(texts.items(), 1):
            path = self.folder / name(observation, exposure, program=program)
            write(path, text)
            self.invalid[path.name] = reason
        self.dead[path.name.removesuffix("_uncal.fits")] = reason  # the last is whole

    def doom(self, cause: str, reason: str, **header: Any) -> None:
        """An exposure arrives that suffers the same in each attempt."""
        program, observation = self._next(cause)
        path = self.folder / name(observation, 1, program=program)
        write(path, content(observation, 1, program=program, TIMES=ALWAYS, **header))
        self.unused[path.name] = path.read_text()
        self.dead[path.name.removesuffix("_uncal.fits")] = reason

    def flood(self, cause: str, files: int, used: int) -> None:
        """Very many at once: `used` observations to calibrate, all others are only catalogued."""
        program, observation = self._next(cause)
        for exposure in range(1, files - used * DITHERS + 1):
            path = self.folder / name(observation, exposure, program=program)
            text = content(observation, exposure, program=program, EXP_TYPE="NRC_NONE")
            path.write_text(text)
            self.unused[path.name] = text
        for _ in range(used):
            self.observe(cause, write)

    def _next(self, cause: str) -> tuple[str, int]:
        program, observation = f"{1234 + self.made // 900:05d}", self.made % 900 + 1
        self.made += 1
        self.cause[f"jw{program}{observation:03d}"] = cause
        return program, observation


def write(path: Path, text: str) -> None:
    path.write_text(text)


def rename(path: Path, text: str) -> None:
    """As rsync does."""
    hidden = path.with_name(f".{path.name}.Xy12Zz")
    hidden.write_text(text)
    os.replace(hidden, path)


def link(path: Path, text: str) -> None:
    """From a store on the same file system."""
    store = path.parent.parent / "store"
    store.mkdir(exist_ok=True)
    (store / path.name).write_text(text)
    os.link(store / path.name, path)


def grow(path: Path, text: str) -> None:
    """In pieces, each closed."""
    third = len(text) // 3
    for piece in (text[:third], text[third : 2 * third], text[2 * third :]):
        with path.open("a") as file:
            file.write(piece)
        time.sleep(0.03)


def lay_out(path: Path, text: str) -> None:
    """First of its full size, then filled."""
    with path.open("w") as file:
        file.truncate(len(text))
        file.flush()
        time.sleep(0.03)
        file.write(text)


def replace(path: Path, text: str) -> None:
    """Cut, then another file in its place while it is read."""
    path.write_text(text[: len(text) // 2])
    time.sleep(0.06)
    rename(path, text)


WAYS = (write, rename, link, grow, lay_out, replace)
