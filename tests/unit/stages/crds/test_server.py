"""The server that tests use speaks as the crds client expects, and so does our own client."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from crds_server import Faults, serve

from calwebbd.stages.crds.server import Limits, Server, ServerError, Sum, decode, folder_url, sums_of

CONTEXT = "jwst_0002.pmap"
CLIENT = """
import json, sys
from crds.client import api
from crds.core import rmap
header = {"META.INSTRUMENT.NAME": "NIRCAM", "META.INSTRUMENT.DETECTOR": "NRCA1",
          "META.OBSERVATION.DATE": "2024-01-01", "META.OBSERVATION.TIME": "00:00:00"}
context = api.get_default_context("jwst", "latest")
found = api.dump_mappings(context)
references, count, size = api.dump_references3(context, ["jwst_nircam_gain_0001.fits"])
print(json.dumps({
    "context": context,
    "mappings": sorted(found),
    "same": sorted(rmap.load_mapping(context).mapping_names()) == sorted(found),
    "references": references,
    "size": size,
    "info": api.get_file_info(context, "jwst_nircam_gain_0001.fits"),
    "map": api.get_file_info_map("jwst", ["jwst_nircam_gain_0001.fits"], ["size"]),
    "best": api.get_best_references(context, header, ["gain"]),
    "history": api.get_context_history("jwst"),
    "bad": api.get_server_info()["bad_files_list"],
    "build": str(api.S.get_build_context("jwst", "3.0.0")),
}))
"""


def test_the_crds_client_syncs_a_context_from_the_double(origin: Path, tmp_path: Path) -> None:
    with serve(origin) as server:
        server.builds["3.0.0"] = "jwst_0001.pmap"
        server.bad_files.append("jwst_nircam_gain_0009.fits")
        environment = {
            "CRDS_SERVER_URL": server.url,
            "CRDS_PATH": str(tmp_path),
            "CRDS_OBSERVATORY": "jwst",
            "PATH": "",
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CLIENT],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    gain = "jwst_nircam_gain_0001.fits"
    assert said["context"] == CONTEXT
    assert said["mappings"] == [CONTEXT, "jwst_nircam_0002.imap", "jwst_nircam_gain_0002.rmap"]
    assert said["same"]
    assert (tmp_path / "references" / "jwst" / "nircam" / gain).stat().st_size == said["size"] == 102400
    assert said["info"]["size"] == said["map"][gain]["size"] == "102400"
    assert said["best"] == {"gain": "jwst_nircam_gain_0002.fits"}
    assert said["history"] == [["2026-01-01 00:00:00", CONTEXT, "a delivery"]] * 4
    assert said["bad"] == ["jwst_nircam_gain_0009.fits"]
    assert said["build"] == "jwst_0001.pmap"


def test_our_client_learns_the_same(origin: Path) -> None:
    with serve(origin) as double:
        double.builds["3.0.0"] = "jwst_0001.pmap"
        server = Server(double.url)
        info = server.info()
        assert info["latest_context"] == CONTEXT
        assert server.build_context("3.0.0") == "jwst_0001.pmap"
        assert sums_of(info)["jwst_nircam_gain_0001.fits"].size == 102400
        assert folder_url(info, "mapping") == f"{double.url}/unchecked_get/mappings/jwst/"


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(status=500), "status 500"),
        (Faults(garbage=True), "no JSON"),
        (Faults(endless=True), "does not end"),
        (Faults(slow=1.0), "does not answer"),
    ],
)
def test_a_bad_answer_is_one_sentence(origin: Path, faults: Faults, reason: str) -> None:
    with serve(origin) as double:
        double.faults = faults
        with pytest.raises(ServerError, match=reason):
            Server(double.url, Limits(silent_s=0.2, answer_s=0.5)).info()


def test_a_server_that_is_not_there_or_knows_no_such_method_is_one_sentence(origin: Path) -> None:
    with serve(origin) as double:
        with pytest.raises(ServerError, match="answers get_build_context with an error: KeyError"):
            Server(double.url).build_context("0.1")
        url = double.url
    with pytest.raises(ServerError, match="does not answer get_server_info"):
        Server(url).info()


@pytest.mark.parametrize("change", ["not base64!", "AAAA", ""])
def test_a_table_that_cannot_be_unpacked_is_refused(change: str) -> None:
    with pytest.raises(ServerError, match=r"cannot be unpacked|larger than any"):
        decode({"crds_encoded": "1.0", "crds_payload": change})


def test_a_table_that_unpacks_to_more_than_any_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from crds.client.proxy import crds_encode

    from calwebbd.stages.crds import server

    monkeypatch.setattr(server, "LARGEST_ANSWER", 1000)
    with pytest.raises(ServerError, match="larger than any"):
        decode(crds_encode({"x": "y" * 100000}))


def test_sums_and_folders_of_a_strange_answer_are_refused() -> None:
    assert sums_of({"download_metadata": {"a": {"sha1sum": "none", "size": "3"}}}) == {"a": Sum("", 3)}
    for strange in ([1], {"a": {"size": "3"}}, {"a": {"sha1sum": "x", "size": "many"}}):
        with pytest.raises(ServerError, match="cannot be read"):
            sums_of({"download_metadata": strange})
    for strange in ({}, {"mapping_url": {"jwst": "file:///etc"}}, {"mapping_url": {"jwst": 3}}):
        with pytest.raises(ServerError, match="does not say where its mappings are"):
            folder_url(strange, "mapping")
