"""Stage-2 associations from headers: one science exposure each.

Partners of images (dedicated backgrounds) are named by no header; an association file
dropped into the folder brings them.
"""

from calwebbd.stages.associations.asn import Association, Member, Product
from calwebbd.stages.associations.pool import row_of
from calwebbd.stages.associations.rules2 import RULES
from calwebbd.stages.header import Header, text
from calwebbd.stages.names import split_suffix


def level2_asn(header: Header, file_name: str) -> Association | None:
    """Associate a rate or rateints file with the product it makes; None if it is no image.

    The product has the file's name without its suffix (specification associations §6, §7).
    """
    root, _, suffix = split_suffix(file_name)
    row = row_of(header, root)
    rules = [rule for rule in RULES if rule.takes(row) and rule.part(row) == "science"]
    same_kind = [rule for rule in rules if rule.by_integration(row) == (suffix == "rateints")]
    if not rules:
        return None
    rule = (same_kind or rules)[-1]
    return Association(
        asn_type=rule.asn_type,
        asn_rule=f"candidate_{rule.name}",
        program=text(header, "PROGRAM").zfill(5),
        constraints="\n".join(rule.said(row)),
        asn_id=f"o{text(header, 'OBSERVTN').zfill(3)}",
        target="1",
        products=(Product(root, (Member(file_name, "science"),)),),
    )
