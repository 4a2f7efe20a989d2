"""Stage-2 associations from headers: one science exposure each.

Partners of images (dedicated backgrounds) are named by no header; an association file
dropped into the folder brings them.
"""

from calwebbd.stages.associations.asn import Association, Member, Product
from calwebbd.stages.exptypes import ACQUISITIONS, exp_type, in_series, is_wavefront, stage2
from calwebbd.stages.header import Header, flag, text
from calwebbd.stages.names import split_suffix


def level2_asn(header: Header, file_name: str) -> Association | None:
    """Associate a rate or rateints file with the product it makes; None if it is no image.

    The product has the file's name without its suffix (specification associations §6, §7).
    """
    if stage2(header) != "image2":
        return None
    product = Product(split_suffix(file_name)[0], (Member(file_name, "science"),))
    return Association(
        asn_type="tso-image2" if in_series(header) else "image2",
        asn_rule=f"candidate_{_rule(header)}",
        program=text(header, "PROGRAM").zfill(5),
        constraints=f"exp_type {exp_type(header)}",
        asn_id=f"o{text(header, 'OBSERVTN').zfill(3)}",
        target="1",
        products=(product,),
    )


def _rule(header: Header) -> str:
    kind = exp_type(header)
    if is_wavefront(header):
        return "Asn_Lv2WFSC"
    if kind == "FGS_FOCUS":
        return "Asn_Lv2FGS"
    if kind in ACQUISITIONS - {"NRS_MIMF"}:
        return "Asn_Lv2ImageNonScience"
    if in_series(header):
        return "Asn_Lv2ImageTSO"
    special = flag(header, "BKGDTARG") or flag(header, "IS_PSF")
    return "Asn_Lv2ImageSpecial" if special else "Asn_Lv2Image"
