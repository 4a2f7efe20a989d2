"""A visit on disk: names, headers, tables, truth; same seed, same bytes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from stdatamodels.jwst import datamodels

from calwebbd.daemon import cli
from calwebbd.stages.errors import ParameterError
from calwebbd.stages.simulate import Effects, Simulation, command, simulate_exposures
from calwebbd.stages.simulate.detectors import DETECTORS
from calwebbd.stages.simulate.nonlinearity import linearize
from calwebbd.stages.simulate.readout import window
from calwebbd.stages.simulate.sensor import make_sensor


def digests(directory: Path) -> dict[str, str]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(p.relative_to(directory)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_files_have_the_names_of_the_archive(visit: Simulation) -> None:
    assert [path.name for path in visit.paths] == [
        f"jw01234001001_02101_0000{exposure}_{detector}_uncal.fits"
        for exposure in (1, 2)
        for detector in ("nrca1", "nrcalong")
    ]


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(
    cache: Path, visit: Simulation, tmp_path: Path
) -> None:
    again = {"subarray": "SUB64P", "readpatt": "SHALLOW4", "nints": 2, "dithers": 2}
    simulate_exposures(cache, tmp_path / "same", seed=3, **again)  # type: ignore[arg-type]
    simulate_exposures(cache, tmp_path / "other", seed=4, **again)  # type: ignore[arg-type]
    first, same, other = (digests(p) for p in (visit.truth.parent, tmp_path / "same", tmp_path / "other"))
    assert first == same
    assert all(first[name] != other[name] for name in first if name.endswith(".fits"))


def test_files_obey_the_schema_and_hold_what_the_format_asks(visit: Simulation) -> None:
    for path in visit.paths:
        with datamodels.Level1bModel(path, strict_validation=True) as model:
            model.validate()
            assert model.data.dtype == np.uint16
            assert model.data.shape == (2, 5, 64, 64)
            assert model.zeroframe.shape == (2, 64, 64)
            assert len(model.int_times) == 2
            assert len(model.group) == 10
        with fits.open(path) as hdus:
            assert hdus[1].name == "SCI"
            assert hdus[-1].name == "ASDF"


def test_headers_of_a_visit_belong_together(visit: Simulation) -> None:
    heads = [fits.getheader(path) for path in visit.paths]
    assert [h["PATT_NUM"] for h in heads] == [1, 1, 2, 2]
    assert {h["NUMDTHPT"] for h in heads} == {h["NEXPOSUR"] for h in heads} == {2}
    assert heads[0]["EXPSTART"] == heads[1]["EXPSTART"] < heads[0]["EXPEND"] < heads[2]["EXPSTART"]
    assert [(h["DETECTOR"], h["FILTER"], h["CHANNEL"]) for h in heads[:2]] == [
        ("NRCA1", "F200W", "SHORT"),
        ("NRCALONG", "F444W", "LONG"),
    ]
    for path, head in zip(visit.paths, heads, strict=True):
        assert head["FILENAME"] == path.name
        assert head["DATAMODL"] == "Level1bModel"
        w = window(DETECTORS[head["DETECTOR"]], "SUB64P")
        assert (head["SUBSTRT1"], head["SUBSTRT2"], head["SUBSIZE1"]) == (w.x + 1, w.y + 1, 64)
        assert head["TGROUP"] == pytest.approx(5 * head["TFRAME"])
        assert head["EFFINTTM"] == pytest.approx(24 * head["TFRAME"])
        assert head["ZEROFRAM"] is True


def test_the_footprint_encloses_the_pointing(visit: Simulation) -> None:
    head = fits.getheader(visit.paths[0], "SCI")
    corners = np.array(head["S_REGION"].split()[2:], float).reshape(-1, 2)
    assert corners.shape == (4, 2)
    centre = corners.mean(axis=0)
    assert centre == pytest.approx((head["RA_REF"], head["DEC_REF"]), abs=1e-5)


def test_times_of_integrations_follow_each_other(visit: Simulation) -> None:
    with fits.open(visit.paths[0]) as hdus:
        table, start = hdus["INT_TIMES"].data, hdus[0].header["EXPSTART"]
        ends = hdus["GROUP"].data["bary_end_time"]
    assert table["int_start_MJD_UTC"][0] == start
    assert table["int_end_MJD_UTC"][0] < table["int_start_MJD_UTC"][1]
    assert (np.diff(ends) > 0).all()


def test_segments_divide_the_integrations_of_one_exposure(cache: Path, tmp_path: Path) -> None:
    options = {"detectors": ["NRCA1"], "subarray": "SUB64P", "readpatt": "RAPID", "nints": 5, "tso": True}
    whole = simulate_exposures(cache, tmp_path / "whole", **options)  # type: ignore[arg-type]
    parts = simulate_exposures(cache, tmp_path / "parts", segments=2, **options)  # type: ignore[arg-type]
    assert [path.name[25:] for path in parts.paths] == [
        "-seg001_nrca1_uncal.fits",
        "-seg002_nrca1_uncal.fits",
    ]
    heads = [fits.getheader(path) for path in parts.paths]
    assert [(h["EXSEGNUM"], h["EXSEGTOT"], h["INTSTART"], h["INTEND"], h["NINTS"]) for h in heads] == [
        (1, 2, 1, 2, 5),
        (2, 2, 3, 5, 5),
    ]
    assert {(h["EXP_TYPE"], h["TSOVISIT"]) for h in heads} == {("NRC_TSIMAGE", True)}
    np.testing.assert_array_equal(
        np.concatenate([fits.getdata(path) for path in parts.paths]), fits.getdata(whole.paths[0])
    )
    numbers = [fits.getdata(path, "INT_TIMES")["integration_number"].tolist() for path in parts.paths]
    assert numbers == [[1, 2], [3, 4, 5]]
    hits = sum(parts.truth_of(path).cosmic_rays.size for path in parts.paths)
    assert hits == whole.truth_of(whole.paths[0]).cosmic_rays.size


def test_simple_differences_recover_the_true_rate(cache: Path, tmp_path: Path) -> None:
    effects = Effects().without("cosmic_rays", "one_over_f", "ipc", "amplifier_offsets")
    made = simulate_exposures(
        cache, tmp_path, detectors=["NRCALONG"], subarray="SUB160", readpatt="RAPID", ngroups=6, nints=4,
        dithers=1, effects=effects,
    )  # fmt: skip
    s = make_sensor(DETECTORS["NRCALONG"], window(DETECTORS["NRCALONG"], "SUB160"), "F444W", 3)
    sci, tframe = fits.getdata(made.paths[0]).astype(np.float32), 0.27864
    linear = linearize(sci - s.bias, s.strength) - np.stack([s.dark_signal(g, tframe) for g in range(1, 7)])
    rate = (linear[:, -1] - linear[:, 0]).mean(axis=0) / (5 * tframe)
    truth = made.truth_of(made.paths[0])
    good = (sci[:, -1].max(axis=0) < 0.9 * s.saturation) & (s.dq == 0)
    variance = (s.noise**2 + truth.rate * 5 * tframe / s.gain) / 4 / (5 * tframe) ** 2
    pull = ((rate - truth.rate) / np.sqrt(variance))[good]
    assert pull.size > 24000
    assert pull.mean() == pytest.approx(0, abs=0.03)
    # a pedestal of 15 DN under a slightly curved response, rounding and truth itself widen it little
    assert pull.std() == pytest.approx(1, abs=0.03)


def test_sources_stand_where_the_truth_says_in_every_file(visit: Simulation) -> None:
    for path in visit.paths:
        truth = visit.truth_of(path)
        sources = Table.read(visit.truth / path.name.replace("uncal.fits", "sources.ecsv"))
        stars = sources[(sources["radius"] == 0) & (np.abs(sources["x"] - 31.5) < 26)]
        stars = stars[np.abs(stars["y"] - 31.5) < 26]
        assert len(stars)
        brightest = stars[np.argmin(stars["abmag"])]
        x, y = round(brightest["x"]), round(brightest["y"])
        stamp = truth.rate[y - 3 : y + 4, x - 3 : x + 4]
        assert np.abs(np.array(np.unravel_index(stamp.argmax(), stamp.shape)) - 3).max() <= 1


def test_both_detectors_see_the_same_star(visit: Simulation) -> None:
    lists = [Table.read(p) for p in sorted(visit.truth.glob("*00001_nrc*_sources.ecsv"))]
    assert len(lists) == 2
    for table in lists:
        known = {row["id"]: (row["ra"], row["dec"]) for row in visit.sources}
        assert all(known[row["id"]] == (row["ra"], row["dec"]) for row in table)


def test_counts_that_make_no_sense_are_refused(cache: Path, tmp_path: Path) -> None:
    for wrong in (
        {"segments": 2},
        {"dithers": 0},
        {"ngroups": 0},
        {"detectors": ["NRCC1"]},
        {"subarray": "SUB1"},
    ):
        with pytest.raises(ParameterError):
            simulate_exposures(cache, tmp_path / "no", **wrong)  # type: ignore[arg-type]


def test_the_command_makes_cache_exposures_and_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = cli.parser()
    options = "--detectors nrcb1 --subarray sub64p --ngroups 2 --dithers 1 --without cosmic-rays,dark"
    assert command.main(parser.parse_args(["simulate", str(tmp_path), *options.split()])) == 0
    path = tmp_path / "uncal" / "jw01234001001_02101_00001_nrcb1_uncal.fits"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.is_file()
    assert (tmp_path / "crds" / "mappings" / "jwst" / "jwst_0002.pmap").is_file()
    assert (tmp_path / "truth" / "truth.json").is_file()
    with pytest.raises(ParameterError, match="rain"):
        command.main(parser.parse_args(["simulate", str(tmp_path), "--without", "rain"]))
