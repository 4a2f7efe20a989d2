"""The library's front door: files in, products out, as the header or the association says."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from images import placed_image

from calwebbd.stages.associations import Association, Member, Product, load_asn, make_asn, write_asn
from calwebbd.stages.associations.level3 import level3_key
from calwebbd.stages.chain import process_through
from calwebbd.stages.errors import InputError, ParameterError
from calwebbd.stages.exposure import Header
from calwebbd.stages.fits import read_header, read_ramp
from calwebbd.stages.fits.write import write
from calwebbd.stages.parameters import Layer, parse_settings
from calwebbd.stages.process import Options, process, tasks_of

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation

ROOT = "jw01234001001_02101_00001_nrca1"


@pytest.fixture(scope="module")
def night(observe: Callable[..., "Simulation"]) -> list[Path]:
    """Two dithers of one detector."""
    return observe(dithers=2, ngroups=4).paths


@pytest.fixture
def uncal(night: list[Path], crds_environment: Path) -> Path:
    return night[0]


def test_a_raw_exposure_becomes_rates_by_its_header(uncal: Path, tmp_path: Path) -> None:
    (outcome,) = process(uncal, output_dir=tmp_path)
    assert outcome.pipeline == "detector1"
    assert outcome.context == "jwst_0002.pmap"
    assert [p.path.name for p in outcome.products] == [f"{ROOT}_rate.fits", f"{ROOT}_rateints.fits"]
    header = read_header(outcome.products[0].path)
    assert (header["S_RAMP"], header["S_JUMP"], header["S_IPC"]) == ("COMPLETE", "COMPLETE", "SKIPPED")
    assert header["CRDS_CTX"] == "jwst_0002.pmap"
    assert str(header["CAL_VER"]).startswith("calwebbd ")
    assert str(header["R_GAIN"]).startswith("crds://jwst_nircam_gain")


def test_inputs_are_never_modified(uncal: Path, tmp_path: Path) -> None:
    before = uncal.read_bytes(), uncal.stat().st_mtime_ns
    process(uncal, output_dir=tmp_path)
    assert (uncal.read_bytes(), uncal.stat().st_mtime_ns) == before


def test_the_number_of_threads_changes_no_bit(
    uncal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = []
    for threads in ("1", "3"):
        monkeypatch.setenv("CALWEBBD_THREADS", threads)
        (outcome,) = process(uncal, output_dir=tmp_path / threads)
        with fits.open(outcome.products[1].path) as hdus:
            arrays.append([hdu.data.tobytes() for hdu in hdus[1:6]])
    assert arrays[0] == arrays[1]


def test_a_rate_by_integration_can_be_calibrated_if_asked(uncal: Path, tmp_path: Path) -> None:
    (rates,) = process(uncal, output_dir=tmp_path)
    (outcome,) = process(rates.products[1].path, output_dir=tmp_path)
    assert [p.suffix for p in outcome.products] == ["calints"]


def test_each_step_can_be_kept_and_the_run_stopped(uncal: Path, tmp_path: Path) -> None:
    (outcome,) = process(uncal, output_dir=tmp_path, save_steps=True, stop_after="superbias")
    names = [p.path.name.removeprefix(f"{ROOT}_") for p in outcome.products]
    assert names == ["dq_init.fits", "saturation.fits", "superbias.fits"]
    assert [step.name for step in outcome.steps][-1] == "superbias"


def test_parameters_of_the_caller_are_used_and_recorded(uncal: Path, tmp_path: Path) -> None:
    layer = Layer("command line", parse_settings(["jump.skip=true", "ipc.skip=false"]))
    (outcome,) = process(uncal, output_dir=tmp_path, layers=(layer,))
    status = {step.name: step.status for step in outcome.steps}
    assert (status["jump"], status["ipc"]) == ("SKIPPED", "COMPLETE")
    ipc = next(step for step in outcome.steps if step.name == "ipc")
    assert ipc.parameters["skip"] == [False, "command line"]


def test_a_chain_goes_on_to_the_mosaic(night: list[Path], crds_environment: Path, tmp_path: Path) -> None:
    failures: list[Exception] = []
    outcomes = list(process_through(night, None, "image3", Options(tmp_path), failures.append))
    assert failures == []
    assert [o.pipeline for o in outcomes] == ["detector1", "image2", "detector1", "image2", "image3"]
    mosaic = outcomes[-1].product("i2d")
    assert mosaic is not None
    assert mosaic.name == "jw01234-o001_t001_nircam_clear-f200w-sub64p_i2d.fits"
    header = read_header(mosaic)
    assert header["ASNTABLE"] == "jw01234-o001_image3_00001_asn.json"
    assert header["NDRIZ"] == 2
    with fits.open(mosaic) as hdus:
        assert len(hdus["HDRTAB"].data) == 2
        assert np.isfinite(hdus["SCI"].data).mean() > 0.7
    assert {p.path.name for p in outcomes[-1].products if p.suffix == "crf"} == {
        f"jw01234001001_02101_0000{n}_nrca1_o001_crf.fits" for n in (1, 2)
    }


def test_settings_of_a_chain_reach_the_pipeline_they_are_for(uncal: Path, tmp_path: Path) -> None:
    settings = parse_settings(["jump.rejection_threshold=5", "resample.pixfrac=0.8"])
    options = Options(tmp_path, layers=(Layer("command line", settings),))
    rates, calibrated = process_through([uncal], None, "image2", options, _raise)
    used = {step.name: step.parameters for outcome in (rates, calibrated) for step in outcome.steps}
    assert used["jump"]["rejection_threshold"] == [5.0, "command line"]
    assert used["resample"]["pixfrac"] == [0.8, "command line"]
    stopped = list(process_through([uncal], None, "image2", replace(options, stop_after="photom"), _raise))
    assert [p.suffix for outcome in stopped for p in outcome.products] == ["rate", "rateints", "photom"]
    wrong = Options(tmp_path, layers=(Layer("command line", parse_settings(["jmup.skip=true"])),))
    with pytest.raises(ParameterError, match="step 'jmup'"):
        list(process_through([uncal], None, "image2", wrong, _raise))


def test_an_association_names_its_products_and_their_groups(
    night: list[Path], crds_environment: Path, tmp_path: Path
) -> None:
    cals = []
    for path in night:
        for outcome in process_through([path], None, "image2", Options(tmp_path), _raise):
            cals += [p.path for p in outcome.products if p.suffix == "cal"]
    key = level3_key(read_header(cals[0]))
    assert key is not None
    file = tmp_path / "mine_image3_asn.json"
    write_asn(make_asn(key, [p.name for p in cals]), file)
    (outcome,) = process(file, output_dir=tmp_path, save_steps=True)
    assert outcome.name == load_asn(file).products[0].name
    assert outcome.inputs == tuple(cals)
    assert list(tmp_path.glob("*_resample.fits"))
    assert not list(tmp_path.glob("*_source_catalog.fits"))  # it leaves the mosaic as it is


def _raise(error: Exception) -> None:
    raise error


def test_one_bad_file_does_not_stop_the_others(
    night: list[Path], crds_environment: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "jw01234001001_02101_00009_nrca1_uncal.fits"
    broken.write_bytes(night[0].read_bytes()[:50000])
    failures: list[Exception] = []
    outcomes = list(process_through([broken, night[0]], None, None, Options(tmp_path), failures.append))
    assert [o.inputs for o in outcomes] == [(night[0],)]
    assert str(failures[0]).startswith(f"{broken}: ends at byte 50000")


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"pipeline": "spec2"}, ParameterError, "there is no pipeline 'spec2'"),
        ({"stop_after": "tweakreg"}, ParameterError, "detector1 has no step 'tweakreg'"),
        ({"layers": (Layer("site", {"jump": {"x": 1}}),)}, ParameterError, r"site sets jump\.x"),
    ],
)
def test_what_cannot_be_done_is_said(
    uncal: Path, tmp_path: Path, arguments: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        process(uncal, output_dir=tmp_path, **arguments)


def test_files_that_no_pipeline_takes_are_refused(uncal: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing_uncal\.fits: does not exist"):
        process(tmp_path / "nothing_uncal.fits")
    with pytest.raises(InputError, match="NRC_DREAM has no pipeline that starts from uncal products"):
        process(as_another(uncal, tmp_path, EXP_TYPE="NRC_DREAM"))


def test_members_that_are_not_science_are_known_by_their_role(tmp_path: Path) -> None:
    roles = ("science", "background", "Background", "sourcecat")
    members = tuple(Member(f"{n}_rate.fits", role) for n, role in enumerate(roles))
    write_asn(
        Association(asn_type="tso-image2", products=(Product("one", members),)), tmp_path / "a_asn.json"
    )
    pipeline, (task,) = tasks_of(tmp_path / "a_asn.json", None)
    assert pipeline.name == "image2"
    assert task.science == (tmp_path / "0_rate.fits",)
    assert task.files == tuple(tmp_path / f"{n}_rate.fits" for n in range(4))
    assert task.others == {
        "background": [tmp_path / "1_rate.fits", tmp_path / "2_rate.fits"],
        "sourcecat": [tmp_path / "3_rate.fits"],
    }


def test_a_pair_of_wavefront_images_is_combined_under_the_name_of_its_association(
    uncal: Path, tmp_path: Path
) -> None:
    members = []
    for n in range(2):
        image = placed_image(np.full((8, 8), 2 * n), (4 + n, 4), S_WCS="COMPLETE")
        image.header = Header({**image.header, **read_header(uncal), "SUBSIZE1": 8, "SUBSIZE2": 8})
        members.append(Member(write(image, tmp_path / f"{n}_cal.fits").name, "science"))
    name = "jw01234-o001_t001_nircam_clear-f200w-nrca1_{suffix}-02"
    asn = Association(asn_type="wfs-image3", products=(Product(name, tuple(members)),))
    write_asn(asn, tmp_path / "a_asn.json")
    (outcome,) = process(tmp_path / "a_asn.json", output_dir=tmp_path / "out")
    (product,) = outcome.products
    assert product.path.name == name.format(suffix="wfscmb") + ".fits"
    combined = read_header(product.path)
    assert (combined["S_WFSCOM"], combined["ASNTABLE"]) == ("COMPLETE", "a_asn.json")


def as_another(uncal: Path, folder: Path, **keywords: str) -> Path:
    """A copy with other keywords."""
    with fits.open(uncal) as hdus:
        hdus[0].header.update(keywords)
        hdus.writeto(folder / uncal.name)
    return folder / uncal.name


def test_a_dark_is_corrected_but_its_dark_is_not_subtracted(uncal: Path, tmp_path: Path) -> None:
    layers = (Layer("command line", {"ipc": {"skip": "true"}}),)  # as parameters of detector1 have it
    (outcome,) = process(
        as_another(uncal, tmp_path, EXP_TYPE="NRC_DARK"), output_dir=tmp_path / "out", layers=layers
    )
    assert outcome.pipeline == "dark"
    assert [p.path.name for p in outcome.products] == [f"{ROOT}_dark.fits"]
    assert [step.name for step in outcome.steps][-1] == "linearity"
    options = {"stop_after": "linearity", "pipeline": "detector1"}
    (same,) = process(uncal, output_dir=tmp_path / "same", **options)
    ramps = [read_ramp(outcome.products[0].path), read_ramp(same.products[0].path)]
    for name in ("sci", "groupdq", "pixeldq"):
        np.testing.assert_array_equal(*(getattr(ramp, name) for ramp in ramps))
    assert "S_DARK" not in ramps[0].header


def test_the_ramp_that_is_fitted_is_written_if_asked_for(uncal: Path, tmp_path: Path) -> None:
    asked = parse_settings(["detector1.save_calibrated_ramp=true", "dark_current.dark_output=mine"])
    (outcome,) = process(uncal, output_dir=tmp_path, layers=(Layer("command line", asked),))
    names = [p.path.name for p in outcome.products]
    assert names == [*(f"{ROOT}_{suffix}.fits" for suffix in ("ramp", "rate", "rateints")), "mine.fits"]
    assert outcome.parameters == {"save_calibrated_ramp": [True, "command line"]}
    elsewhere = Layer("command line", {"dark_current": {"dark_output": f"{tmp_path}/elsewhere.fits"}})
    options = {"stop_after": "dark_current", "layers": (elsewhere,)}
    (outside,) = process(uncal, output_dir=tmp_path / "out", **options)
    assert [p.suffix for p in outside.products] == ["dark_current"]
    assert (tmp_path / "elsewhere.fits").exists()
    ramp = read_ramp(outcome.products[0].path)
    assert ramp.header["S_JUMP"] == "COMPLETE"
    assert "S_RAMP" not in ramp.header
    (again,) = process(outcome.products[0].path, output_dir=tmp_path / "again", stop_after="dq_init")
    assert again.pipeline == "detector1"


def test_a_member_that_cannot_be_read_is_left_out_of_the_mosaic(
    night: list[Path], tmp_path: Path, crds_environment: Path
) -> None:
    calibrated = list(process_through(night, None, "image2", Options(tmp_path), raising))
    cals = [p.path for outcome in calibrated for p in outcome.products if p.suffix == "cal"]
    torn = tmp_path / cals[0].name.replace("_00001_", "_00003_")
    torn.write_bytes(cals[0].read_bytes()[:9000])
    key = level3_key(read_header(cals[0]))
    assert key is not None
    write_asn(make_asn(key, [path.name for path in (*cals, torn)]), tmp_path / "jw_asn.json")
    (outcome,) = process(tmp_path / "jw_asn.json", output_dir=tmp_path)
    assert outcome.product("i2d")
    members = QTable.read(outcome.product("members"))
    assert members["used"].tolist() == [True, True, False]
    assert "truncated" in members["reason"][2] or "ends" in members["reason"][2]


def raising(error: Exception) -> None:
    raise error
