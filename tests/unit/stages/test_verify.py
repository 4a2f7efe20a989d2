"""Files that arrive: whole ones pass, every other gets one clear reason."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calwebbd.stages.associations.level3 import level3_key
from calwebbd.stages.errors import Incomplete, InputError
from calwebbd.stages.verify import verify

FLIGHT = Path(__file__).parents[2] / "data/nircam_l1b/jw01075001001_03105_00009_nrca2_uncal.fits"
NAME = "jw01234001001_02101_00001_nrca1_uncal.fits"
ASDF = b"#ASDF 1.0.0\n#ASDF_STANDARD 1.6.0\n%YAML 1.1\n--- {asdf_library: 'tests'}\n...\n"
POINTING = ("RA_REF", "DEC_REF", "ROLL_REF", "V2_REF", "V3_REF", "V3I_YANG", "VPARITY")
PRIMARY = {
    "TELESCOP": "JWST", "INSTRUME": "NIRCAM", "DETECTOR": "NRCA1", "MODULE": "A", "CHANNEL": "SHORT",
    "FILTER": "F200W", "PUPIL": "CLEAR", "EXP_TYPE": "NRC_IMAGE", "TSOVISIT": False,
    "PROGRAM": "01234", "OBSERVTN": "001", "VISIT": "001", "VISITGRP": "02", "SEQ_ID": "1", "ACT_ID": "01",
    "EXPOSURE": "1", "DATE-OBS": "2024-01-01", "TIME-OBS": "06:00:00.000", "READPATT": "RAPID",
    "NINTS": 2, "NGROUPS": 3, "NFRAMES": 1, "GROUPGAP": 0, "TFRAME": 1.0, "TGROUP": 1.0,
    "SUBARRAY": "SUB8", "SUBSTRT1": 1, "SUBSTRT2": 1, "SUBSIZE1": 8, "SUBSIZE2": 4,
    "FASTAXIS": -1, "SLOWAXIS": 2,
}  # fmt: skip


def _table(name, **columns):
    formats = {"i": "J", "f": "D", "u": f"{len(ASDF)}B"}
    made = [
        fits.Column(n, formats[np.asarray(c).dtype.kind], array=np.asarray(c)) for n, c in columns.items()
    ]
    return fits.BinTableHDU.from_columns(made, name=name)


def _asdf(body=ASDF):
    return _table("ASDF", ASDF_METADATA=np.frombuffer(body, np.uint8)[np.newaxis])


def make(folder, name=NAME, data=None, without=(), asdf=True, tables=("GROUP", "INT_TIMES"), **changes):
    """Write a small exposure; None as a keyword's value leaves it out."""
    if data is None:
        data = np.arange(2 * 3 * 4 * 8, dtype=np.uint16).reshape(2, 3, 4, 8)
    header = {"FILENAME": name, **PRIMARY, **changes}
    primary = fits.PrimaryHDU(header=fits.Header([(k, v) for k, v in header.items() if v is not None]))
    sci = fits.ImageHDU(data, name="SCI")
    sci.header.update(dict.fromkeys(POINTING, 1.0))
    for keyword in without:
        (primary.header if keyword in primary.header else sci.header).remove(keyword)
    hdus = [primary, sci, *(_table(t, integration_number=[1, 2], time=[0.5, 1.5]) for t in tables)]
    path = folder / name
    fits.HDUList(hdus + [_asdf()] * asdf).writeto(path)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make(tmp_path_factory.mktemp("whole")).read_bytes()


def put(folder, content, name=NAME):
    path = folder / name
    path.write_bytes(content)
    return path


def test_verification_and_associations_need_no_arrays():
    """The daemon, which imports them, stays small."""
    script = (
        "import sys, calwebbd.stages.verify, calwebbd.stages.associations\n"
        "print({'numpy', 'astropy', 'asdf', 'numba'} & sys.modules.keys())"
    )
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", script], env=path, capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def test_a_whole_file_passes_with_its_kind_and_header(tmp_path):
    path = make(tmp_path)

    facts = verify(path)

    assert (facts.path, facts.kind) == (path, "uncal")
    assert facts.header == {"FILENAME": NAME, **PRIMARY, **dict.fromkeys(POINTING, 1.0)}


def test_where_both_headers_have_a_keyword_that_of_sci_holds(tmp_path):
    assert verify(make(tmp_path, V2_REF=7.0)).header["V2_REF"] == 1.0


def test_a_file_cut_at_any_hdu_boundary_or_block_is_incomplete(tmp_path, whole):
    edges = {edge + step for edge in range(0, len(whole), 2880) for step in (-1, 0, 1, 80)}
    for end in sorted(edge for edge in edges if 0 <= edge < len(whole)):
        with pytest.raises(Incomplete):
            verify(put(tmp_path, whole[:end]))


def test_a_file_cut_between_two_hdus_says_what_is_missing(tmp_path):
    with pytest.raises(Incomplete, match=f"^{NAME}: verify: ends after INT_TIMES: it has no ASDF extension$"):
        verify(make(tmp_path, asdf=False))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_file_cut_anywhere_is_incomplete(tmp_path, whole, data):
    with pytest.raises(Incomplete):
        verify(put(tmp_path, whole[: data.draw(st.integers(0, len(whole) - 1))]))


def test_zeros_from_anywhere_to_the_end_are_seen(tmp_path, whole):
    for start in range(0, len(whole), 61):
        unwritten = whole[:start].ljust(len(whole), b"\0")
        path = put(tmp_path, unwritten)
        if unwritten == whole:
            verify(path)
        else:
            with pytest.raises(Incomplete):
                verify(path)


def test_a_hole_in_the_samples_is_seen(tmp_path, whole):
    sci = whole.index(b"XTENSION= 'IMAGE")
    start = whole.index(b"END" + b" " * 77, sci) // 2880 * 2880 + 2880

    with pytest.raises(Incomplete, match="SCI is zero in its last 384 bytes"):
        verify(put(tmp_path, whole[:start] + bytes(384) + whole[start + 384 :]))


@pytest.mark.parametrize("content", [b"These are not the data.\n", b"SIMPLY" * 1000, b"\x89HDF\r\n\x1a\n"])
def test_other_formats_are_hopeless(tmp_path, content):
    with pytest.raises(InputError, match="is not a FITS file: it begins with") as refusal:
        verify(put(tmp_path, content))
    assert not isinstance(refusal.value, Incomplete)


def test_bytes_after_the_last_hdu_are_seen(tmp_path, whole):
    with pytest.raises(InputError, match=f"has b'rubbish' at byte {len(whole)}"):
        verify(put(tmp_path, whole + b"rubbish"))


def test_bytes_that_no_header_holds_are_seen(tmp_path, whole):
    with pytest.raises(InputError, match="bytes at 0 that no FITS header holds"):
        verify(put(tmp_path, whole[:100] + b"\xe9" + whole[101:]))


@pytest.mark.parametrize(("keyword", "value"), [("NAXIS1", "-8"), ("BITPIX", "12")])
def test_a_header_that_is_no_fits_layout_is_hopeless(tmp_path, whole, keyword, value):
    at = whole.index(keyword.ljust(8).encode() + b"=", 2880)
    changed = whole[:at] + f"{keyword:8}= {value:>20}".encode() + whole[at + 30 :]

    with pytest.raises(InputError, match=f"{keyword} .*{value}"):
        verify(put(tmp_path, changed))


def test_an_unreadable_file_says_so(tmp_path, monkeypatch):
    path = make(tmp_path)

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        verify(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_permissions_are_heeded(tmp_path):
    path = make(tmp_path)
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        verify(path)


def test_a_folder_named_like_a_file_is_unreadable(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        verify(tmp_path / NAME)


def test_a_file_that_has_gone_is_no_bad_input(tmp_path):
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / NAME)


@pytest.mark.parametrize(
    "keyword", ["EXP_TYPE", "DETECTOR", "NGROUPS", "FILTER", "OBSERVTN", "ROLL_REF", "TGROUP"]
)
def test_a_missing_keyword_is_named(tmp_path, keyword):
    with pytest.raises(InputError, match=f"verify: its header lacks {keyword}$"):
        verify(make(tmp_path, without=[keyword]))


def test_all_missing_keywords_are_named_at_once(tmp_path):
    with pytest.raises(InputError, match=r"its header lacks NINTS, TFRAME$"):
        verify(make(tmp_path, NINTS=None, TFRAME=""))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"NINTS": 3}, "NAXIS4 of SCI is 2, but NINTS says 3"),
        ({"NGROUPS": 4}, "NAXIS3 of SCI is 3, but NGROUPS says 4"),
        ({"SUBSIZE2": 8}, "NAXIS2 of SCI is 4, but SUBSIZE2 says 8"),
        ({"SUBSIZE1": 4}, "NAXIS1 of SCI is 8, but SUBSIZE1 says 4"),
        ({"NGROUPS": 0}, "its NGROUPS is 0, not a positive whole number"),
        ({"INTSTART": 5, "INTEND": 7}, r"NAXIS4 of SCI is 2, but INTSTART … INTEND \(5 … 7\) says 3"),
        ({"data": np.ones((3, 4, 8), np.uint16)}, "SCI has 3 axes; uncal products have 4"),
        ({"data": np.ones((2, 3, 4, 8), np.float32)}, "SCI has BITPIX -32 and BZERO 0"),
        ({"data": np.ones((2, 3, 4, 8), np.int16)}, "SCI has BITPIX 16 and BZERO 0"),
        ({"ZEROFRAM": True}, "has ZEROFRAM = T but no ZEROFRAME extension"),
        ({"EXP_TYPE": "NRC_TSIMAGE", "tables": ()}, "is a time series .NRC_TSIMAGE. without an INT_TIMES"),
        ({"DETECTOR": "NRCB1"}, "its name disagrees with DETECTOR = NRCB1"),
        ({"FILENAME": "other_uncal.fits"}, "its name disagrees with FILENAME = other_uncal.fits"),
        ({"EXSEGNUM": 2, "EXSEGTOT": 3}, "its name disagrees with EXSEGNUM = 2"),
        ({"name": "exposure.fits"}, "its name does not end in a JWST product suffix"),
    ],
)  # fmt: skip
def test_a_contradiction_is_one_clear_reason(tmp_path, changes, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        verify(make(tmp_path, **changes))
    assert not isinstance(refusal.value, Incomplete)


@pytest.mark.parametrize("keyword", ["PROGRAM", "OBSERVTN", "INSTRUME", "FILTER", "PUPIL", "SUBARRAY"])
def test_no_header_makes_a_name_that_leads_out_of_a_folder(tmp_path, keyword):
    with pytest.raises(
        InputError, match=f"its {keyword} is '/../../x', which can be no part of a file's name"
    ):
        verify(make(tmp_path, **{keyword: "/../../x"}))


def test_an_element_that_is_not_there_is_no_part_of_a_name(tmp_path):
    header = verify(make(tmp_path, PUPIL="N/A", FILTER="F200W")).header
    key = level3_key(header)
    assert key is not None
    assert "_nircam_f200w-" in key.product_name


def test_a_segment_holds_its_own_integrations_only(tmp_path):
    name = NAME.replace("_nrca1", "-seg002_nrca1")
    path = make(tmp_path, name, EXSEGNUM=2, EXSEGTOT=4, INTSTART=3, INTEND=4, NINTS=8)

    assert verify(path).header["EXSEGNUM"] == 2


def test_products_of_each_stage_pass(tmp_path):
    image, cube = np.zeros((4, 8), np.float32), np.zeros((2, 4, 8), np.float32)
    for kind, data in {"rate": image, "rateints": cube, "cal": image, "calints": cube, "crf": image}.items():
        assert verify(make(tmp_path, NAME.replace("uncal", kind), data=data)).kind == kind


def test_a_mosaic_passes_whatever_its_size(tmp_path):
    name = "jw01234-o001_t001_nircam_clear-f200w_i2d.fits"

    assert verify(make(tmp_path, name, data=np.zeros((40, 50), np.float32))).kind == "i2d"


def test_modes_unknown_to_this_version_pass(tmp_path):
    assert verify(make(tmp_path, EXP_TYPE="NRC_NOVELTY", PUPIL="HOLOGRAM"))


def test_guide_star_names_and_shapes_pass(tmp_path):
    name = "jw01234001001_gs-acq1_2022117003102_uncal.fits"
    path = make(
        tmp_path, name, EXP_TYPE="FGS_ACQ1", INSTRUME="FGS", DETECTOR="GUIDER1", NINTS=6, EXPOSURE=None
    )

    assert verify(path).kind == "uncal"


def test_flight_headers_are_read_and_their_cut_pixels_noticed():
    with pytest.raises(InputError, match="NAXIS3 of SCI is 1, but NGROUPS says 10"):
        verify(FLIGHT)


def test_flight_headers_with_pixels_pass(tmp_path):
    with fits.open(FLIGHT) as flight:
        primary, sci = flight[0].copy(), fits.ImageHDU(np.ones((1, 10, 4, 4), np.uint16), flight[1].header)
        primary.header.update(SUBSIZE1=4, SUBSIZE2=4)
        fits.HDUList([primary, sci, flight["ASDF"].copy()]).writeto(tmp_path / FLIGHT.name)
        wanted = {k: v for k, v in flight[0].header.items() if k in PRIMARY and not k.startswith("SUBSIZE")}

    header = verify(tmp_path / FLIGHT.name).header

    assert {keyword: header[keyword] for keyword in wanted} == wanted
    assert header["S_REGION"].startswith("POLYGON ICRS  245.979858401 28.398269261")
