"""The members of an association: who can be used, and what was done to each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calwebbd.stages import flags, footprints
from calwebbd.stages.errors import InputError
from calwebbd.stages.exposure import Catalogue, Exposure, Image
from calwebbd.stages.groups import groups


@dataclass(frozen=True)
class LeftOut:
    """A member that was not used, and why."""

    file: str
    reason: str


def read_usable(
    paths: Sequence[Path], read: Callable[[Path], Exposure]
) -> tuple[list[Exposure], list[LeftOut]]:
    """The members that can be read, and the others. Raises InputError if none can."""
    exposures: list[Exposure] = []
    left_out: list[LeftOut] = []
    for path in paths:
        try:
            exposures.append(read(path))
        except InputError as error:
            if len(paths) == 1:
                raise
            left_out.append(LeftOut(path.name, error.reason))
    if not exposures:
        raise InputError(f"none of {len(paths)} members can be used: {left_out[0].reason}")
    return exposures, left_out


def planned(images: Sequence[Image]) -> list[LeftOut]:
    """Those whose pointing is what was planned: no one has measured where they look."""
    reason = "its pointing was not measured (ENGQLPTG is PLANNED)"
    return [LeftOut(Path(i.file).name, reason) for i in images if i.header.text("ENGQLPTG") == "PLANNED"]


def unfit(images: Sequence[Image]) -> list[LeftOut]:
    """Those that lack what is needed to place them on the sky, or to say what they weigh."""
    return [LeftOut(Path(image.file).name, reason) for image in images if (reason := _flaw(image))]


def _flaw(image: Image) -> str:
    header = image.header
    if image.by_integration:
        return "it has its integrations one by one, which are not combined"
    if image.wcs is None or not _placed(str(header.get("S_REGION", ""))):
        return "it has no S_REGION or no WCS: assign_wcs has not run"
    time = header.get("EFFEXPTM")
    if not (isinstance(time, int | float) and time > 0):
        return f"its EFFEXPTM is {time}, but must be positive"
    odd = [name for name in ("err", "dq") if getattr(image, name).shape != image.sci.shape]
    if odd:
        return f"{odd[0].upper()} has another shape than SCI"
    return "" if _has_values(image) else "none of its pixels has a value that may be used"


def _has_values(image: Image) -> bool:
    """Found within a few rows, as a rule."""
    rows = zip(image.sci, image.dq, strict=True)
    return any((np.isfinite(sci) & (dq & flags.DO_NOT_USE == 0)).any() for sci, dq in rows)


def _placed(region: str) -> bool:
    try:
        return bool(footprints.parse(region))
    except ValueError:
        return False


def require(images: Sequence[Image], left_out: Sequence[LeftOut], share: float) -> None:
    """Raise InputError unless at least this share of all members is used."""
    count = len(images) + len(left_out)
    if not images or len(images) < share * count:
        reasons = "; ".join(f"{each.file}: {each.reason}" for each in left_out)
        raise InputError(f"only {len(images)} of {count} members can be used, {share:.0%} must be: {reasons}")


def member_table(images: Sequence[Image], left_out: Sequence[LeftOut]) -> Catalogue:
    """One row for each member, those left out last.

    How it was aligned (shift of its middle on the sky, mas, turn, degrees, and rms of the stars
    that were matched), the sky level it was matched to, and its share of outliers.
    """
    from astropy.table import QTable

    numbers = {index: n for n, group in enumerate(groups(images).values(), 1) for index in group}
    rows = [_row(image, numbers[index]) for index, image in enumerate(images)]
    rows += [{"exposure": each.file, "used": False, "reason": each.reason} for each in left_out]
    table = QTable()
    for name, (empty, unit) in COLUMNS.items():
        table[name] = [row.get(name, empty) for row in rows]
        if unit:
            table[name].unit = unit
    return Catalogue(table)


#: what stands where nothing is known, and the unit
COLUMNS: dict[str, tuple[Any, str]] = {
    "exposure": ("", ""),
    "used": (True, ""),
    "reason": ("", ""),
    "group": (0, ""),
    "alignment": ("", ""),
    "sources": (0, ""),
    "matches": (0, ""),
    "shift_ra": (np.nan, "mas"),
    "shift_dec": (np.nan, "mas"),
    "rotation": (np.nan, "deg"),
    "rms": (np.nan, "mas"),
    "sky": (np.nan, "MJy/sr"),
    "sky_method": ("", ""),
    "outliers": (np.nan, "%"),
    "exposure_time": (np.nan, "s"),
}


def _row(image: Image, group: int) -> dict[str, Any]:
    header = image.header
    notes = image.notes.get("tweakreg", {})
    row = {
        "exposure": Path(image.file).name,
        "group": group,
        "alignment": notes.get("outcome", ""),
        "shift_ra": notes.get("dx", np.nan),
        "shift_dec": notes.get("dy", np.nan),
        "sky": header.real("BKGLEVEL", np.nan),
        "sky_method": str(header.get("BKGMETH", "")),
        "exposure_time": header.real("EFFEXPTM", np.nan),
    }
    row |= {name: notes[name] for name in ("sources", "matches", "rotation", "rms") if name in notes}
    if outliers := image.notes.get("outlier_detection"):
        row["outliers"] = 100 * outliers["share"]
    return row
