"""What differs in what two names stand for: arrays of files, rules of contexts."""

from pathlib import Path

from calwebbd.daemon.ask.differences import changes
from calwebbd.daemon.ask.reader import Answer, Unknown


def arrays(one: Answer, other: Answer) -> list[str]:
    """What differs in the files of two versions of products. Raises Unknown if one is no longer there.

    one, other : as `Products.diff` has them
    """
    from calwebbd.stages.fits.compare import differing_arrays

    for row in (one, other):
        if not row["latest"] or not Path(row["path"]).exists():
            raise Unknown(f"version {row['version']} of {row['path']} is no longer there")
        if not row["path"].endswith(".fits"):
            raise Unknown(f"{row['path']} has no arrays")
    return differing_arrays(Path(one["path"]), Path(other["path"])) or ["all arrays are equal"]


def contexts(one: str, other: str) -> Answer:
    """Which rules differ between two contexts of the CRDS cache, by instrument and reference type."""
    from calwebbd.stages import crds

    before, after = crds.mappings(one), crds.mappings(other)
    lines = [
        f"{instrument} {kind}: {old or 'none'} → {new or 'none'}"
        for instrument, rules, others in changes(before, after)
        for kind, old, new in changes(rules or {}, others or {})
    ]
    return {"contexts": [one, other], "same": not lines, "differences": lines}
