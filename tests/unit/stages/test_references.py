"""References: cut to the subarray, flags translated by name."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calwebbd.stages import flags
from calwebbd.stages.errors import ReferenceMissing, Unreadable
from calwebbd.stages.exposure import Subarray
from calwebbd.stages.references import Reference, References, translate


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A full-frame reference of 6 rows and 8 columns, with its own bit order."""
    sci = np.arange(48, dtype=np.float32).reshape(6, 8)
    cube = np.arange(96, dtype=np.float32).reshape(2, 6, 8)
    dq = np.zeros((6, 8), np.uint32)
    dq[2, 3] = 3
    definitions = np.array(
        [(0, 1, "HOT"), (1, 2, "DO_NOT_USE"), (2, 4, "SOMETHING_ELSE")],
        [("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40")],
    )
    path = tmp_path / "jwst_nircam_flat_0001.fits"
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(sci, name="SCI"), fits.ImageHDU(cube, name="COEFFS")]
    hdus += [fits.ImageHDU(dq, name="DQ"), fits.BinTableHDU(definitions, name="DQ_DEF")]
    fits.HDUList(hdus).writeto(path)
    return path


def test_a_full_frame_reference_is_cut_to_the_subarray(file: Path) -> None:
    reference = Reference("flat", file, Subarray(2, 1, 4, 3))
    np.testing.assert_array_equal(reference.floats(), [[10, 11, 12, 13], [18, 19, 20, 21], [26, 27, 28, 29]])
    assert reference.floats("COEFFS").shape == (2, 3, 4)
    assert reference.floats("COEFFS", planes=slice(1, 2))[0, 0, 0] == 58
    assert reference.floats(rows=slice(1, 3)).tolist() == [[18, 19, 20, 21], [26, 27, 28, 29]]
    assert reference.uncut().floats("COEFFS", rows=slice(1, 2))[:, 0, 0].tolist() == [8, 56]
    assert reference.floats(cut=False).shape == reference.shape() == (6, 8)


def test_arrays_are_native_float32_and_contiguous(file: Path) -> None:
    array = Reference("flat", file, Subarray(2, 1, 4, 3)).floats()
    assert array.dtype == np.float32
    assert array.dtype.isnative
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_flags_move_to_the_standard_bits_of_their_names(file: Path) -> None:
    dq = Reference("flat", file, Subarray(0, 0, 8, 6)).dq()
    assert dq[2, 3] == flags.HOT | flags.DO_NOT_USE
    assert np.count_nonzero(dq) == 1


def test_every_bit_can_move_and_former_names_are_known() -> None:
    names = [*flags.BITS, "RESERVED_4"]
    for n, name in enumerate(names):
        rows = np.array([(1 << 5, name)], [("VALUE", "u4"), ("NAME", "S40")])
        expected = flags.BITS.get(name) or flags.FORMER[name]
        assert translate(np.full((1, 1), 1 << 5, np.uint32), rows)[0, 0] == expected, n


def test_a_subarray_outside_of_the_reference_is_an_error(file: Path) -> None:
    with pytest.raises(ReferenceMissing, match="covers columns 0-8 and rows 0-6, not the subarray 6-10, 0-3"):
        Reference("flat", file, Subarray(6, 0, 4, 3)).floats()


def test_a_missing_extension_and_a_broken_file_are_named(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ReferenceMissing, match="has no extension ERR"):
        Reference("flat", file, Subarray(0, 0, 8, 6)).array("ERR")
    broken = tmp_path / "broken.fits"
    broken.write_text("not FITS")
    with pytest.raises(ReferenceMissing, match=r"broken.fits cannot be read"):
        Reference("flat", broken, Subarray(0, 0, 8, 6)).array()


@pytest.mark.filterwarnings("ignore:.*truncated")
def test_a_file_that_is_cut_short_is_unreadable_wherever_that_shows(file: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.fits"
    short.write_bytes(file.read_bytes()[: 2 * 2880 + 40])
    with pytest.raises(Unreadable, match=r"short.fits cannot be read") as found:
        Reference("flat", short, Subarray(0, 0, 8, 6)).array(cut=False)
    assert found.value.path == short
    tree = tmp_path / "tree.asdf"
    tree.write_text("#ASDF 1.0.0\n%YAML 1.1\n--- {a: [1\n")
    with pytest.raises(Unreadable, match=r"tree.asdf cannot be read"):
        Reference("distortion", tree, Subarray(0, 0, 8, 6)).tree()


def test_references_that_are_not_there_are_not_in_the_mapping(file: Path) -> None:
    references = References({"flat": file}, Subarray(0, 0, 8, 6))
    assert list(references) == ["flat"]
    assert "area" not in references


def test_columns_of_a_table_come_one_by_one_in_native_order(tmp_path: Path) -> None:
    table = np.array([(1, 2.5), (3, 4.5)], [("One", ">i4"), ("TWO", ">f4")])
    path = tmp_path / "table.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="T")]).writeto(path)
    columns = dict(Reference("kind", path, Subarray(0, 0, 1, 1)).columns("T"))
    assert {name: column.tolist() for name, column in columns.items()} == {"one": [1, 3], "two": [2.5, 4.5]}
    assert all(column.dtype.isnative for column in columns.values())
    one = Reference("kind", path, Subarray(0, 0, 1, 1)).column("two", "T")
    assert one.tolist() == [2.5, 4.5]
    assert one.dtype.isnative


def test_the_same_references_may_be_cut_to_another_subarray(file: Path) -> None:
    references = References({"kind": file}, Subarray(0, 0, 1, 1))
    other = references.within(Subarray(0, 0, 2, 1))
    assert other["kind"].subarray == Subarray(0, 0, 2, 1)
    assert references.asked == {"kind"}


def test_a_file_that_is_held_is_opened_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = Reference("flat", file, Subarray(2, 1, 4, 3))
    with reference.held():
        monkeypatch.setattr("calwebbd.stages.references.open_fits", None)
        assert [reference.floats("COEFFS", planes=slice(k, k + 1))[0, 0, 0] for k in (0, 1)] == [10, 58]
    monkeypatch.undo()
    assert reference.shape() == (6, 8)
