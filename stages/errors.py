"""The ways in which calibrating an exposure can end other than well."""

from pathlib import Path
from typing import Self


class CalibrationError(Exception):
    """A calibration that cannot go on: which file, at which step, why.

    `file` and `step` are filled in by the layer that knows them, so that the
    message a person reads is always ``FILE: STEP: reason``.
    """

    def __init__(self, reason: str, *, file: str = "", step: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.file = file
        self.step = step

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.step, self.reason) if part)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.reason, self.file, self.step)


def _rebuild(kind: type[CalibrationError], reason: str, file: str, step: str) -> CalibrationError:
    return kind(reason, file=file, step=step)


class InputError(CalibrationError):
    """The exposure itself is wrong; no retry will mend it."""


class Incomplete(InputError):
    """The file may still be growing; hopeless only if it stays as it is."""


class ReferenceMissing(CalibrationError):
    """A reference file, mapping or context cannot be had now; it may be later."""


class Unreadable(ReferenceMissing):
    """A reference file is there, but cannot be read; `path` is where."""

    path = Path()

    @classmethod
    def of(cls, path: Path, why: str) -> Self:
        found = cls(f"{path.name} cannot be read ({why})")
        found.path = path
        return found


class ParameterError(CalibrationError):
    """A parameter that no step has, or a value it cannot take."""


class PluginError(CalibrationError):
    """A step or pipeline of a site's own cannot be used, or has failed; says which, and of what package."""
