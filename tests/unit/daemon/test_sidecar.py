"""How a product was made, in the file beside it and in PROV-JSON."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import fake_calibration as fake
import msgspec
import pytest
from prov.model import ProvActivity, ProvDocument, ProvEntity

from calwebbd.daemon import prov, sidecar
from calwebbd.daemon.ask import asking
from calwebbd.daemon.cli import main
from calwebbd.daemon.config import Associations, Config, Crds, Folders, Products, Watch, Workers
from calwebbd.daemon.service import Service

MOSAIC = "jw01234-o001_t001_nircam_clear-f200w-sub64p_i2d.fits"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folders = Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path / "state")
    folders.watch[0].mkdir()
    return Config(
        folders=folders,
        crds=Crds(context="jwst_0001.pmap"),
        watch=Watch(settle_seconds=0.1),
        workers=Workers(processes=2, memory_mb=4000),
        associations=Associations(hold_seconds=0.1, quiet_seconds=0.1),
        steps={"copy": {"factor": 3}},
    )


def serve(config: Config) -> None:
    here = "fake_calibration"
    Service(config, calibrate=f"{here}:calibrate", verify=f"{here}:verify").run(once=True)


@pytest.fixture
def mosaic(config: Config) -> Path:
    """Of two exposures."""
    for exposure in (1, 2):
        fake.expose(config.folders.watch[0], exposure, of=2, text=f"light{exposure}")
    serve(config)
    return config.folders.output / MOSAIC


def test_a_sidecar_has_all_that_a_product_was_made_of_and_by(mosaic: Path) -> None:
    told = json.loads(sidecar.path_of(mosaic).read_text())
    assert told["schema"] == "calwebbd-provenance-1"
    content = mosaic.read_bytes()
    assert told["product"] == {
        "name": MOSAIC, "kind": "i2d", "sha256": hashlib.sha256(content).hexdigest(), "size": len(content),
    }  # fmt: skip
    cals = [mosaic.parent / fake.name(n, suffix="cal") for n in (1, 2)]
    assert told["inputs"] == [
        {"name": cal.name, "sha256": hashlib.sha256(cal.read_bytes()).hexdigest(), "role": "science"}
        for cal in cals
    ]
    assert told["association"]["name"] == "jw01234-o001_image3_00001_asn.json"
    assert told["references"] == [{"type": "paper", "name": "fake_paper_0001.fits", "step": "copy"}]
    assert told["parameters"] == {"copy": {"factor": [3, "default"]}}
    assert (told["steps"][0]["name"], told["steps"][0]["status"]) == ("copy", "COMPLETE")
    assert (told["context"], told["attempt"], told["stage"]) == ("jwst_0001.pmap", 1, 3)
    assert told["environment"]["numpy"]
    assert [other["kind"] for other in told["made_together_with"]] == ["asn"]


def test_each_product_has_one_and_is_published_with_it(mosaic: Path) -> None:
    products = {path for path in mosaic.parent.iterdir() if path.suffix == ".fits"}
    assert {sidecar.path_of(path) for path in products} == set(mosaic.parent.glob("*.provenance.json"))
    assert len(products) == 7


def test_whoever_does_not_want_them_gets_none(config: Config) -> None:
    fake.expose(config.folders.watch[0])
    serve(msgspec.structs.replace(config, products=Products(sidecars=False)))
    assert list(config.folders.output.glob("*.provenance.json")) == []


def without(lineage: dict[str, Any], *names: str) -> dict[str, Any]:
    """What the database and the sidecars have alike: paths of raw files only one of them knows."""
    kept = {key: value for key, value in lineage.items() if key not in names}
    if "inputs" in kept:
        kept["inputs"] = [without(each, *names) for each in kept["inputs"]]
    return kept


def rounded(lineage: dict[str, Any]) -> str:
    return re.sub(r"(\d+\.\d{2})\d*", r"\1", json.dumps(lineage, sort_keys=True))


def test_sidecars_alone_tell_the_lineage_that_the_database_tells(config: Config, mosaic: Path) -> None:
    with asking(config.folders.database) as ask:
        there = ask.lineage(MOSAIC)
    here = sidecar.lineage(mosaic)
    unlike = ("path", "kind", "size", "started", "ended", "host")
    assert rounded(without(here, *unlike, "made_by")) == rounded(without(there, *unlike, "made_by"))
    assert here["made_by"]["job"] == there["made_by"]["job"]
    assert here["inputs"][1]["inputs"][0]["inputs"][0]["name"] == fake.name(2)


def test_a_replaced_input_is_not_taken_for_the_one_that_was_used(mosaic: Path) -> None:
    other = sidecar.path_of(mosaic.parent / fake.name(1, suffix="cal"))
    other.write_text(re.sub('"sha256": "....', '"sha256": "0000', other.read_text(), count=1))
    first, second = sidecar.lineage(mosaic)["inputs"]
    assert "made_by" not in first
    assert "made_by" in second


def test_the_prov_package_reads_the_lineage_and_writes_it_alike(config: Config, mosaic: Path) -> None:
    with asking(config.folders.database) as ask:
        text = json.dumps(prov.document(ask.lineage(MOSAIC)))
    read = ProvDocument.deserialize(content=text, format="json")
    again = ProvDocument.deserialize(content=read.serialize(format="json"), format="json")
    assert again == read
    labels = {str(record.label) for record in read.get_records(ProvEntity)}
    assert labels >= {MOSAIC, fake.name(1), fake.name(2), fake.name(1, suffix="cal"), "fake_paper_0001.fits"}
    assert len(list(read.get_records(ProvActivity))) == 5
    kinds = {type(record).__name__ for record in read.get_records()}
    assert kinds == {
        "ProvEntity", "ProvActivity", "ProvAgent", "ProvUsage", "ProvGeneration", "ProvDerivation",
        "ProvAssociation", "ProvAttribution",
    }  # fmt: skip


def test_prov_is_written_where_it_is_asked_for(
    mosaic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lineage", "--sidecars", str(mosaic), "--prov", str(tmp_path / "prov.json")]) == 0
    assert main(["lineage", "--sidecars", str(mosaic), "--prov", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "prov.json").read_text())
    assert main(["lineage", "--sidecars", str(mosaic)]) == 0
    assert capsys.readouterr().out.startswith(f"{MOSAIC}  ← image3")
    assert main(["lineage", "--sidecars", str(tmp_path / "none.fits")]) == 1
