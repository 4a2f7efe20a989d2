"""Header cards, as astropy writes them."""

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from calwebbd.stages.header import flag, integer, parse_cards, text

KEYWORDS = st.from_regex(r"[A-Z][A-Z0-9_-]{0,7}", fullmatch=True).filter(
    lambda keyword: keyword not in {"END", "COMMENT", "HISTORY", "CONTINUE", "HIERARCH"}
)
PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.booleans() | st.integers(-(2**63), 2**63) | FINITE | PRINTABLE


@given(st.dictionaries(KEYWORDS, VALUES, max_size=8))
def test_what_astropy_writes_is_read_again(values):
    """Texts are compared with what was written: astropy 7 itself cuts ``'/`` to ``'``."""
    cards = fits.Header(list(values.items())).tostring()

    header = fits.Header.fromstring(cards)

    assert parse_cards(cards) == {
        keyword: value.rstrip() if isinstance(value, str) else header[keyword]
        for keyword, value in values.items()
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("                   T / logical", True),
        ("                  12 / number", 12),
        ("  1.5D-03", 0.0015),
        ("'O''HARA / not a comment' / comment", "O'HARA / not a comment"),
        ("''", ""),
    ],
)
def test_a_card_gives_its_value(field, value):
    assert parse_cards(f"KEY     = {field}".ljust(80)) == {"KEY": value}


def test_cards_without_value_and_comments_are_left_out():
    cards = ["KEY     =", "COMMENT = 3", "HISTORY none", "C       = (1, 2)", "END"]

    assert parse_cards("".join(card.ljust(80) for card in cards)) == {}


def test_of_a_repeated_keyword_the_first_counts():
    assert parse_cards("A       = 1".ljust(80) + "A       = 2".ljust(80)) == {"A": 1}


def test_absent_words_are_no_text():
    header = {"A": " NULL ", "B": "N/A", "C": " F200W ", "D": 3}

    assert [text(header, keyword) for keyword in "ABCDE"] == ["", "", "F200W", "3", ""]


def test_integers_may_be_written_as_text():
    assert [integer({"A": value}, "A") for value in (3, "9", "x", 2.0)] == [3, 9, None, 2]
    assert integer({}, "A") is None


def test_flags_may_be_written_as_text():
    assert [flag({"A": value}, "A") for value in (True, "T", "y", False, "F", "")] == [True] * 3 + [False] * 3
    assert flag({}, "A") is False
