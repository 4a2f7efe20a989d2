"""Associations: which exposures make which product.

`asn` reads and writes ``*_asn.json`` files; `generate` makes all associations of a pool by
the rules of `rules2` and `rules3`. `level2` and `level3` ask the same rules about single
headers, as the service needs it, and `complete` tells from headers when all members are there.
"""

from calwebbd.stages.associations.asn import (
    Association,
    Member,
    Product,
    asn_file_name,
    load_asn,
    member_path,
    write_asn,
)
from calwebbd.stages.associations.complete import Completeness, completeness
from calwebbd.stages.associations.level2 import level2_asn
from calwebbd.stages.associations.level3 import (
    GroupKey,
    level3_groups,
    level3_key,
    make_asn,
    numbered,
    target_of,
)

__all__ = [
    "Association",
    "Completeness",
    "GroupKey",
    "Member",
    "Product",
    "asn_file_name",
    "completeness",
    "level2_asn",
    "level3_groups",
    "level3_key",
    "load_asn",
    "make_asn",
    "member_path",
    "numbered",
    "target_of",
    "write_asn",
]
