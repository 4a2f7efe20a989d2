"""A plug-in for whole programs: when it runs, on what, and again when more has come."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import fake_calibration as fake
import pytest

from calwebbd.daemon.ask import asking
from calwebbd.daemon.config import Associations, Config, Crds, Folders, Watch, Workers
from calwebbd.daemon.service import Service
from calwebbd.stages import plugins
from calwebbd.stages.errors import PluginError

SITE = Path(__file__).resolve().parents[2] / "data" / "plugins"
PRODUCT = "jw01234-depth_depth.fits"


def forget() -> None:
    for cached in (plugins.installed, plugins.code, plugins.programs):
        cached.cache_clear()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    monkeypatch.syspath_prepend(str(SITE))
    forget()
    folders = Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path / "state")
    folders.watch[0].mkdir()
    yield Config(
        folders=folders,
        crds=Crds(context="jwst_0001.pmap"),
        watch=Watch(settle_seconds=0.1),
        workers=Workers(processes=2, memory_mb=4000),
        associations=Associations(hold_seconds=0.1, quiet_seconds=0.1),
    )
    sys.modules.pop("site_steps", None)
    monkeypatch.undo()
    forget()


def serve(config: Config) -> None:
    here = "fake_calibration"
    Service(config, calibrate=f"{here}:calibrate", verify=f"{here}:verify").run(once=True)


def test_all_calibrated_exposures_of_a_program_go_to_its_pipeline(config: Config) -> None:
    for exposure, observation in ((1, "001"), (2, "002")):
        fake.expose(config.folders.watch[0], exposure, text=f"light{exposure}", OBSERVTN=observation)
    serve(config)
    made = fake.read(config.folders.output / PRODUCT)
    assert made["data"] == "depth(cal(rate(light1))+cal(rate(light2)))"
    with asking(config.folders.database) as ask:
        told = ask.lineage(PRODUCT)
    assert told["made_by"]["pipeline"] == "depth"
    assert told["made_by"]["code"].endswith(" + site-steps 1.2")
    assert {source["name"] for source in told["inputs"]} == {fake.name(n, suffix="cal") for n in (1, 2)}


def test_what_comes_later_makes_a_new_version(config: Config) -> None:
    fake.expose(config.folders.watch[0], 1, text="early")
    serve(config)
    fake.expose(config.folders.watch[0], 2, text="late")
    serve(config)
    assert fake.read(config.folders.output / PRODUCT)["data"] == "depth(cal(rate(early))+cal(rate(late)))"
    names = {path.name for path in config.folders.output.glob("*_depth_*_asn.json")}
    assert names == {"jw01234-a3001_depth_00001_asn.json", "jw01234-a3001_v002_depth_00001_asn.json"}
    asn = json.loads((config.folders.output / "jw01234-a3001_v002_depth_00001_asn.json").read_text())
    assert asn["asn_rule"] == "all of program 01234"


def test_a_plugin_that_cannot_be_used_is_told_of_at_the_start(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(plugins.installed(plugins.PROGRAMS)[0]), "load", lambda entry: print)
    plugins.programs.cache_clear()
    with pytest.raises(
        PluginError, match=r"plug-in depth \(site-steps 1\.2\) is site_steps:depth, which is not"
    ):
        serve(config)
