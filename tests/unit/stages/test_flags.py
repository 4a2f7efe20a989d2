"""Data-quality flags and the expressions that name them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.stages import flags


def test_flags_are_the_31_single_bits_of_the_standard() -> None:
    assert len(flags.BITS) == 31  # bit 8 is reserved
    assert sum(flags.BITS.values()) == 0xFFFFFFFF - (1 << 8)
    assert flags.REFERENCE_PIXEL == 2147483648


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("DO_NOT_USE", 1),
        ("DO_NOT_USE+NON_SCIENCE", 513),
        ("1,512", 513),
        ("(1|4)", 5),
        ("~DO_NOT_USE+NON_SCIENCE", 0xFFFFFDFE),
        ("~DO_NOT_USE", 0xFFFFFFFE),
        ("0", 0),
        (4, 4),
        (None, None),
        ("None", None),
    ],
)
def test_an_expression_gives_its_bits(text: str | int | None, bits: int | None) -> None:
    assert flags.parse(text) == bits


def test_an_unknown_or_lower_case_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'saturated' is not"):
        flags.parse("saturated")


@given(st.sets(st.sampled_from(sorted(flags.BITS)), min_size=1))
def test_a_sum_of_names_is_the_sum_of_their_bits(names: set[str]) -> None:
    assert flags.parse("+".join(names)) == sum(flags.BITS[name] for name in names)
