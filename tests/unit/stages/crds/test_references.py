"""References and contexts from the rules of CRDS, without a server."""

from pathlib import Path

import pytest

from calwebbd.stages import crds
from calwebbd.stages.errors import InputError, ReferenceMissing
from calwebbd.stages.exposure import Header

NIRCAM = {
    "INSTRUME": "NIRCAM",
    "DETECTOR": "NRCA1",
    "CHANNEL": "SHORT",
    "MODULE": "A",
    "FILTER": "F200W",
    "PUPIL": "CLEAR",
    "EXP_TYPE": "NRC_IMAGE",
    "READPATT": "BRIGHT1",
    "SUBARRAY": "SUB64P",
    "DATE-OBS": "2024-01-01",
    "TIME-OBS": "06:00:00.000",
}


def test_the_context_is_the_argument_then_the_environment_then_the_latest(
    crds_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRDS_CONTEXT", "jwst_0001.pmap")
    assert crds.literal_context("jwst_0007.pmap") == "jwst_0007.pmap"
    assert crds.literal_context() == "jwst_0001.pmap"
    assert crds.literal_context("latest") == "jwst_0002.pmap"
    monkeypatch.delenv("CRDS_CONTEXT")
    assert crds.literal_context() == "jwst_0002.pmap"


def test_a_word_that_is_no_context_is_refused(crds_environment: Path) -> None:
    with pytest.raises(ReferenceMissing, match="'newest' is neither a context"):
        crds.literal_context("newest")


def test_without_a_cache_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CRDS_CONTEXT", raising=False)
    monkeypatch.delenv("CRDS_PATH", raising=False)
    with pytest.raises(ReferenceMissing, match="CRDS_PATH is not set"):
        crds.literal_context()
    monkeypatch.setenv("CRDS_PATH", str(tmp_path))
    with pytest.raises(ReferenceMissing, match=r"has no .*server_config"):
        crds.literal_context()


def test_a_server_record_is_read_as_data_and_never_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = tmp_path / "config" / "jwst" / "server_config"
    record.parent.mkdir(parents=True)
    record.write_text("__import__('os').abort()")
    monkeypatch.setenv("CRDS_PATH", str(tmp_path))
    with pytest.raises(ReferenceMissing, match="is not a CRDS server record"):
        crds.server_info()


def test_references_are_chosen_by_the_header(crds_environment: Path) -> None:
    found = crds.best_references(Header(NIRCAM), ["gain", "dark", "rscd"], "jwst_0002.pmap")
    assert found == {"gain": "jwst_nircam_gain_0001.fits", "dark": "jwst_nircam_dark_0001.fits", "rscd": None}
    other = crds.best_references(Header(NIRCAM | {"DETECTOR": "NRCALONG"}), ["gain"], "jwst_0002.pmap")
    assert other == {"gain": "jwst_nircam_gain_0002.fits"}


def test_rules_see_numbers_and_logicals_as_they_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rules:
        name = "rules"

        def get_best_references(self, header: dict[str, str], types: list[str]) -> dict[str, str]:
            return {types[0]: header["META.SUBARRAY.XSIZE"] + header["META.VISIT.TSOVISIT"]}

    monkeypatch.setattr(crds, "_mapping", lambda context: Rules())
    header = Header(SUBSIZE1=2048, TSOVISIT=True)
    assert crds.best_references(header, ["dark"], "jwst_0002.pmap") == {"dark": "2048.0T"}


def test_a_reference_that_the_rules_do_not_have_is_missing(crds_environment: Path) -> None:
    with pytest.raises(ReferenceMissing, match=r"jwst_0002.pmap has no gain for this exposure"):
        crds.best_references(Header(NIRCAM | {"DETECTOR": "NRCB4"}), ["gain"], "jwst_0002.pmap")


def test_an_optional_reference_that_the_rules_do_not_have_is_none(crds_environment: Path) -> None:
    header = Header(NIRCAM | {"DETECTOR": "NRCB4"})
    assert crds.best_references(header, ["gain"], "jwst_0002.pmap", ("gain",)) == {"gain": None}


def test_an_instrument_that_the_context_does_not_have_is_an_input_error(crds_environment: Path) -> None:
    with pytest.raises(InputError, match=r"jwst_0002.pmap has no instrument 'MIRI'"):
        crds.best_references(Header(NIRCAM | {"INSTRUME": "MIRI"}), ["gain"], "jwst_0002.pmap")


def test_parameter_references_are_there_only_in_the_context_that_has_them(crds_environment: Path) -> None:
    kinds = ["pars-jumpstep", "pars-detector1pipeline"]
    assert set(crds.best_references(Header(NIRCAM), kinds, "jwst_0001.pmap").values()) == {None}
    assert crds.best_references(Header(NIRCAM), kinds, "jwst_0002.pmap")["pars-jumpstep"]


def test_a_context_that_is_not_in_the_cache_is_missing(crds_environment: Path) -> None:
    with pytest.raises(ReferenceMissing, match=r"context jwst_0099.pmap cannot be loaded"):
        crds.best_references(Header(NIRCAM), ["gain"], "jwst_0099.pmap")


def test_contexts_and_mappings_of_the_cache_are_listed(crds_environment: Path) -> None:
    assert crds.contexts() == ["jwst_0001.pmap", "jwst_0002.pmap", "jwst_0003.pmap"]
    rules = crds.mappings("jwst_0002.pmap")
    assert rules["nircam"]["gain"] == "jwst_nircam_gain_0001.rmap"
    assert "rscd" not in rules["nircam"]


def test_a_reference_file_is_found_or_missing(crds_environment: Path) -> None:
    assert crds.locate("jwst_nircam_gain_0001.fits", "jwst_0002.pmap").exists()
    with pytest.raises(
        ReferenceMissing, match=r"jwst_nircam_gain_0099.fits is chosen .* not in the CRDS cache"
    ):
        crds.locate("jwst_nircam_gain_0099.fits", "jwst_0002.pmap")


def test_numbers_and_logicals_are_written_as_the_rules_have_them() -> None:
    words = crds.parameters(Header(SUBSTRT1=897, SUBSIZE1=2048, TSOVISIT=True, NGROUPS=5, DETECTOR="NRS1"))
    assert words["META.SUBARRAY.XSTART"] == "897.0"
    assert words["META.EXPOSURE.NGROUPS"] == "5.0"
    assert words["META.VISIT.TSOVISIT"] == "T"
    assert words["META.INSTRUMENT.DETECTOR"] == "NRS1"
    assert words["META.INSTRUMENT.PUPIL"] == "UNDEFINED"
