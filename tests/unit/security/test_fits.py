"""FITS files made to harm: each is refused by one sentence, soon, and without much memory."""

import io
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from calwebbd.stages.errors import InputError
from calwebbd.stages.header import integer, parse_cards
from calwebbd.stages.verify import verify

NAME = "jw01234001001_02101_00001_nrca1_uncal.fits"
BLOCK = 2880
HUGE = 2**63 - 1


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """512 MB more than there are now, and ten seconds of the processor."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before, began = resource.getrlimit(resource.RLIMIT_AS), time.process_time()
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**29, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.process_time() - began < 10.0


def header(*cards: str) -> bytes:
    text = "".join(f"{card:80s}" for card in (*cards, "END"))
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode()


def card(keyword: str, value: object) -> str:
    shown = {True: "T", False: "F"}.get(value, value) if isinstance(value, bool) else value
    return f"{keyword:8s}= {shown!s:>20s}"


PRIMARY = header(card("SIMPLE", True), card("BITPIX", 8), card("NAXIS", 0), card("EXTEND", True))


def extension(name: str = "SCI", kind: str = "IMAGE", **changes: Any) -> bytes:
    values: dict[str, Any] = {"BITPIX": 16, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 8, "PCOUNT": 0, "GCOUNT": 1}
    values |= {"EXTNAME": f"'{name:8s}'"} | changes
    cards = [f"XTENSION= '{kind:8s}'", *(card(k, v) for k, v in values.items() if v is not None)]
    return header(*cards)


def refused(folder: Path, content: bytes, match: str) -> None:
    path = folder / NAME
    path.write_bytes(content)
    with pytest.raises(InputError, match=match) as error:
        verify(path)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"NAXIS1": 10**12}, "the data of SCI end at byte"),
        ({"NAXIS1": HUGE, "NAXIS2": HUGE}, "the data of SCI end at byte"),
        ({"NAXIS1": 2**32, "NAXIS2": 2**32}, "the data of SCI end at byte"),
        ({"NAXIS1": -8}, "NAXIS1 = -8, not a whole number"),
        ({"NAXIS1": -8, "NAXIS2": -8}, "not a whole number"),
        ({"NAXIS1": "1E999"}, "NAXIS1 = inf, not a whole number"),
        ({"NAXIS1": 8.0}, "not a whole number"),
        ({"NAXIS1": True}, "NAXIS1 = True, not a whole number"),
        ({"NAXIS1": None}, "NAXIS1 = None, not a whole number"),
        ({"NAXIS": 10**9}, "no more than 999 axes"),
        ({"NAXIS": 999}, "NAXIS3 = None, not a whole number"),
        ({"NAXIS": -1}, "NAXIS = -1, not a whole number"),
        ({"BITPIX": 7}, "BITPIX of SCI is 7"),
        ({"BITPIX": -8}, "BITPIX of SCI is -8"),
        ({"BITPIX": "1E999"}, "BITPIX = inf"),
        ({"PCOUNT": -128}, "PCOUNT = -128, not a whole number"),
        ({"PCOUNT": -(10**15)}, "PCOUNT = -1000000000000000"),
        ({"PCOUNT": 10**15}, "the data of SCI end at byte"),
        ({"GCOUNT": 0}, "GCOUNT = 0, not 1"),
        ({"GCOUNT": -1}, "GCOUNT = -1, not 1"),
        ({"GCOUNT": 10**15}, "GCOUNT = 1000000000000000, not 1"),
        ({"ZIMAGE": True, "ZNAXIS1": 10**6, "ZNAXIS2": 10**6}, "SCI is a compressed image"),
    ],
)
def test_lies_about_sizes_are_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    refused(tmp_path, PRIMARY + extension(**changes) + bytes(BLOCK), reason)


def test_a_heap_that_leads_back_is_no_endless_loop(tmp_path: Path) -> None:
    back = -(64 * 2 + 2 * BLOCK) // 2
    refused(tmp_path, PRIMARY + extension(PCOUNT=back) + bytes(BLOCK), "PCOUNT")


def test_a_header_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with path.open("wb") as file:
        file.write(PRIMARY[:-BLOCK] + f"{card('SIMPLE', True):2880s}".encode())
        for _ in range(2000):
            file.write(f"{'COMMENT nothing':80s}".encode() * 36)
    with pytest.raises(InputError, match="has no END in the first 2880000 bytes"):
        verify(path)


def test_a_header_of_very_many_keywords_takes_no_longer_than_it_is_long() -> None:
    cards = "".join(f"{f'K{n:07d}= 1':80s}" for n in range(36_000))
    assert len(parse_cards(cards)) == 36_000


def test_a_string_without_end_is_put_together_once() -> None:
    first = f"{'LONG    = ' + repr('x' * 60 + '&'):80s}"
    more = f"{'CONTINUE  ' + repr('x' * 60 + '&'):80s}"
    text = parse_cards(first + more * 35_000)["LONG"]
    assert len(str(text)) == 35_001 * 60 + 1


def test_numbers_that_are_none() -> None:
    assert integer({"NINTS": float("inf")}, "NINTS") is None
    assert integer({"NINTS": float("nan")}, "NINTS") is None
    assert integer({"NINTS": "9" * 10_000}, "NINTS") is None


def test_extensions_without_number_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calwebbd.stages.hdus.MOST", 500)
    empty = extension("X", NAXIS=0, NAXIS1=None, NAXIS2=None)
    refused(tmp_path, PRIMARY + empty * 1000, "has more than 500 HDUs")


def test_a_tree_larger_than_any_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calwebbd.stages.verify.LARGEST_ASDF", 100)
    monkeypatch.setattr("calwebbd.stages.verify.asdftail.flaw", lambda _: pytest.fail("it was read"))
    tree = extension("ASDF", "BINTABLE", BITPIX=8, NAXIS1=101, NAXIS2=1)
    refused(
        tmp_path, PRIMARY + extension() + bytes(BLOCK) + tree + bytes(BLOCK), "ASDF extension has 101 bytes"
    )


@pytest.mark.parametrize(
    "magic", [b"\x1f\x8b\x08", b"PK\x03\x04", b"BZh9", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"]
)
def test_packed_files_are_not_unpacked(tmp_path: Path, magic: bytes) -> None:
    refused(tmp_path, magic + bytes(BLOCK), "is not a FITS file")


def test_a_tile_compressed_image_is_refused(tmp_path: Path) -> None:
    """Some kB that become gigabytes."""
    content = io.BytesIO()
    data = np.zeros((512, 512), np.int16)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, name="SCI")]).writeto(content)
    refused(tmp_path, content.getvalue(), "SCI is a compressed image")
