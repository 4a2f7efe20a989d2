"""All that is known of one file, as its page shows it."""

from pathlib import Path
from typing import Any

from calwebbd.daemon.ask import Ask, Unknown
from calwebbd.daemon.web import holdings, lineage, sky, svg
from calwebbd.stages.names import split_suffix

#: header facts and what they are called, in this order
FACTS = {
    "PROGRAM": "program", "OBSERVTN": "observation", "VISIT": "visit", "TARGPROP": "target",
    "INSTRUME": "instrument", "DETECTOR": "detector", "EXP_TYPE": "kind of exposure", "FILTER": "filter",
    "PUPIL": "pupil", "GRATING": "grating", "CHANNEL": "channel", "BAND": "band", "SUBARRAY": "subarray",
    "READPATT": "read-out pattern", "NINTS": "integrations", "NGROUPS": "groups", "DATE-OBS": "date",
    "TIME-OBS": "time (UTC)", "PATT_NUM": "dither", "NUMDTHPT": "of dithers",
}  # fmt: skip
#: pictures are shown in this order
ORDER = ("uncal", "rate", "cal", "crf", "i2d", "segm")


def about(ask: Ask, name: str, output: Path) -> dict[str, Any]:
    """Raises Unknown. Only the name is asked for, never a path."""
    if "/" in name or "\0" in name:
        raise Unknown("a file is asked for by its name alone")
    why = ask.why(name)
    best = why["files"][0] if why["files"] else None
    header = ask.header(best["sha256"]) if best else {}
    family = [*why["files"], *why["related"]]
    made = ask.lineage(best["path"]) if best else None
    return {
        "name": name,
        "why": why,
        "best": best,
        "facts": [(label, header[key]) for key, label in FACTS.items() if header.get(key) not in (None, "")],
        "rest": {key: value for key, value in sorted(header.items()) if key not in FACTS},
        "family": [row for row in family if row["kind"] not in ("png", "provenance") and row["name"] != name],
        "pictures": _pictures(family, name),
        "made": made.get("made_by") if made else None,
        "lineage": made,
        "graph": lineage.draw(made) if made and made.get("made_by") else None,
        "versions": ask.versions(best["path"])["versions"] if best and best["origin"] == "product" else [],
        "mosaic": mosaic(ask, best, output) if best and best["kind"] == "i2d" else None,
        "uses": [row for row in _uses(ask, best) if row["kind"] not in ("png", "provenance")],
    }


def _uses(ask: Ask, best: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Products that were made of it, each by its present path."""
    return [row for row in ask.made_of(best["sha256"]) if row["current"]] if best else []


def _pictures(family: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Those of this file, or else of its kin, in the order of the stages."""
    found = [row | {"of": Path(row["name"]).stem} for row in family if row["kind"] == "png"]
    own = [row for row in found if row["of"] == Path(name).stem]
    kin = sorted(found, key=lambda row: _rank(row["of"]))
    return own or kin[:6]


def _rank(stem: str) -> int:
    suffix = stem.rpartition("_")[2]
    return ORDER.index(suffix) if suffix in ORDER else len(ORDER)


def mosaic_named(ask: Ask, product: str, output: Path) -> dict[str, Any] | None:
    """Of the association that makes this product, if it has been made."""
    row = ask.product_at(str(output / f"{product}_i2d.fits"))
    return mosaic(ask, row, output) if row else None


def mosaic(ask: Ask, product: dict[str, Any], output: Path) -> dict[str, Any] | None:
    """Table of members, footprints, alignment; what of them is there, None if nothing of it is."""
    path = Path(product["path"])
    table = ask.product_at(str(path.with_name(f"{split_suffix(path.name)[0]}_members.ecsv")))
    if table is None:
        return None
    try:
        rows = holdings.member_table(table["path"], output)
    except holdings.Unseen:
        rows = []
    try:
        whole, regions = holdings.regions(product["path"], output)
    except holdings.Unseen:
        whole, regions = "", {}
    members = [(name, points) for name, region in regions.items() for points in sky.corners(region)]
    used = [row for row in rows if row.get("used") is not False]
    shifts = [
        (row["shift_ra"], row["shift_dec"], str(row.get("exposure")))
        for row in used
        if row.get("shift_ra") is not None and row.get("shift_dec") is not None
    ]
    return {
        "product": product,
        "table": table,
        "rows": used,
        "left_out": [row for row in rows if row.get("used") is False],
        "footprints": sky.draw(members, sky.corners(whole)),
        "shifts": svg.scatter(shifts, "Shifts by which members were aligned", "mas", ("RA", "Dec"))
        if shifts
        else None,
    }
