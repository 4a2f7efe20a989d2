"""Data-quality flags of JWST products (specification: dq_flags §2).

PIXELDQ and DQ are uint32. GROUPDQ is uint8 and holds the first eight bits only,
with the same meaning.
"""

from typing import Final

DO_NOT_USE: Final = 1 << 0
SATURATED: Final = 1 << 1
JUMP_DET: Final = 1 << 2
DROPOUT: Final = 1 << 3
OUTLIER: Final = 1 << 4
PERSISTENCE: Final = 1 << 5
AD_FLOOR: Final = 1 << 6
CHARGELOSS: Final = 1 << 7
NON_SCIENCE: Final = 1 << 9
DEAD: Final = 1 << 10
HOT: Final = 1 << 11
WARM: Final = 1 << 12
LOW_QE: Final = 1 << 13
RC: Final = 1 << 14
TELEGRAPH: Final = 1 << 15
NONLINEAR: Final = 1 << 16
BAD_REF_PIXEL: Final = 1 << 17
NO_FLAT_FIELD: Final = 1 << 18
NO_GAIN_VALUE: Final = 1 << 19
NO_LIN_CORR: Final = 1 << 20
NO_SAT_CHECK: Final = 1 << 21
UNRELIABLE_BIAS: Final = 1 << 22
UNRELIABLE_DARK: Final = 1 << 23
UNRELIABLE_SLOPE: Final = 1 << 24
UNRELIABLE_FLAT: Final = 1 << 25
OPEN: Final = 1 << 26
ADJ_OPEN: Final = 1 << 27
FLUX_ESTIMATED: Final = 1 << 28
MSA_FAILED_OPEN: Final = 1 << 29
OTHER_BAD_PIXEL: Final = 1 << 30
REFERENCE_PIXEL: Final = 1 << 31

BITS: Final[dict[str, int]] = {
    name: value for name, value in list(globals().items()) if name.isupper() and isinstance(value, int)
}

#: Names of older reference files for the same bits.
FORMER: Final[dict[str, int]] = {
    "RESERVED_1": OUTLIER,
    "RESERVED_2": PERSISTENCE,
    "RESERVED_3": AD_FLOOR,
    "RESERVED_4": CHARGELOSS,
    "ADJ/OPEN": ADJ_OPEN,
}


def parse(text: str | int | None) -> int | None:
    """The bits named by an option such as ``~DO_NOT_USE+NON_SCIENCE`` or ``1,512``.

    Names and numbers are not mixed; a leading ``~`` complements the whole
    expression. None and the text ``None`` mean that flags are ignored.
    Source: specification dq_flags §5. Raises ValueError for an unknown name.
    """
    if text is None or isinstance(text, int):
        return text
    words = text.strip().replace("(", "").replace(")", "")
    if words.lower() in ("", "none"):
        return None
    inverted = words.startswith("~")
    parts = [p.strip() for p in words.removeprefix("~").replace(",", "+").replace("|", "+").split("+")]
    if all(p.isdigit() for p in parts):
        value = 0
        for part in parts:
            value |= int(part)
    else:
        value = 0
        for part in parts:
            if part not in BITS:
                raise ValueError(f"{part!r} is not a data-quality flag")
            value |= BITS[part]
    return ~value & 0xFFFFFFFF if inverted else value
