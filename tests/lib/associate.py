"""Associations of calibrated images, by their headers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from calwebbd.stages.associations import GroupKey, asn_file_name, level3_key, make_asn, write_asn
from calwebbd.stages.fits import read_header


def associate(calibrated: Iterable[Path]) -> list[Path]:
    """Write an association for each group that can be combined, beside its members; their files."""
    groups: dict[GroupKey, list[Path]] = {}
    for path in sorted(calibrated):
        key = level3_key(read_header(path))
        if key is not None:
            groups.setdefault(key, []).append(path)
    files = []
    for number, (key, members) in enumerate(groups.items(), 1):
        if len(members) > 1:
            asn = make_asn(key, [path.name for path in members])
            files.append(members[0].parent / asn_file_name(asn, number))
            write_asn(asn, files[-1])
    return files
