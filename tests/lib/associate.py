"""Associations of calibrated images, by their headers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from calwebbd.stages.associations import asn_file_name, level3_groups, level3_key, make_asn, write_asn
from calwebbd.stages.fits import read_header


def associate(calibrated: Iterable[Path]) -> list[Path]:
    """Write an association for each group that can be combined, beside its members; their files."""
    groups = level3_groups((path, read_header(path)) for path in sorted(calibrated))
    files = []
    for number, (key, members) in enumerate(groups.items(), 1):
        if len(members) > 1:
            asn = make_asn(key, [path.name for path in members])
            files.append(members[0].parent / asn_file_name(asn, number))
            write_asn(asn, files[-1])
    return files


def pair(calibrated: Iterable[Path]) -> list[Path]:
    """Write an association of the two images of wavefront sensing, beside them; its file."""
    first, second = sorted(calibrated)
    key = level3_key({**read_header(first), "VISITYPE": ""})  # a visit of wavefront sensing has none
    assert key is not None
    asn = make_asn(key, [first.name, second.name])
    (product,) = asn.products
    product = msgspec.structs.replace(product, name=f"{product.name}-nrcb1_{{suffix}}-01")
    file = first.parent / asn_file_name(asn, 1).replace("image3", "wfs-image3")
    write_asn(msgspec.structs.replace(asn, asn_type="wfs-image3", products=(product,)), file)
    return [file]
