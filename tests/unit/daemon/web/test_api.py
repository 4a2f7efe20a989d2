"""JSON, metrics and health."""

import json
import re
import time
from pathlib import Path

import fake_calibration as fake
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from web_nights import MOSAIC

from calwebbd.daemon import heartbeat
from calwebbd.daemon.ask import asking
from calwebbd.daemon.config import Config
from calwebbd.daemon.database import open_store
from calwebbd.daemon.records import Records
from calwebbd.daemon.web import vitals


def test_answers_are_those_of_the_verbs(client: TestClient, night: Config) -> None:
    cal, raw = fake.name(suffix="cal"), fake.name()
    with asking(night.folders.database) as ask:
        expected = {
            "status": ask.status(),
            "quarantine": ask.quarantine(),
            f"where/{raw}": ask.where(raw),
            f"why/{cal}": ask.why(cal),
            f"lineage/{MOSAIC}_i2d.fits": ask.lineage(f"{MOSAIC}_i2d.fits"),
            f"versions/{cal}": ask.versions(cal),
            "uses/fake_paper_0001.fits": ask.uses("fake_paper_0001.fits"),
            f"diff?one={cal}&other={fake.name(2, suffix='cal')}": ask.diff(cal, fake.name(2, suffix="cal")),
        }
    for question, answer in expected.items():
        told = client.get(f"/api/{question}")
        assert told.headers["content-type"] == "application/json"
        assert told.json() == json.loads(json.dumps(answer)), question


def test_a_file_is_asked_for_by_its_whole_path_too_if_it_is_on_record(
    client: TestClient, night: Config
) -> None:
    path = night.folders.watch[0] / fake.name()
    assert client.get(f"/api/where/{path}").json()["file"] == str(path)


@pytest.mark.parametrize("question", ["failures?since=yesterday", "latency?since=", "diff", "diff?one=a"])
def test_a_question_that_is_not_understood_is_said_not_to_be(client: TestClient, question: str) -> None:
    assert client.get(f"/api/{question}").status_code == 400


def test_other_questions_are_listed(client: TestClient) -> None:
    answer = client.get("/api/everything")
    assert answer.status_code == 404
    assert {"status", "why", "lineage"} <= set(answer.json()["questions"])


def metrics(client: TestClient) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_metrics_count_what_is_on_record(client: TestClient) -> None:
    found = metrics(client)
    assert found["calwebbd_jobs"][("pipeline", "detector1"), ("state", "done")] == 2
    assert found["calwebbd_jobs"][("pipeline", "detector1"), ("state", "dead")] == 1
    assert found["calwebbd_failures_total"][("failure", "error"), ("pipeline", "detector1")] == 1
    assert found["calwebbd_attempts_total"][(("outcome", "complete"),)] == 5
    assert found["calwebbd_quarantined"][()] == 1
    assert found["calwebbd_queue_depth"][()] == 0
    assert found["calwebbd_compute_seconds_count"][(("stage", "1"),)] == 2
    assert found["calwebbd_disk_free_bytes"][(("folder", "products"),)] > 0
    assert found["calwebbd_context_info"][(("context", "jwst_0001.pmap"),)] == 1
    assert any(
        ("standing", "seen") in labels and n == 4 for labels, n in found["calwebbd_watched_files"].items()
    )


def test_buckets_of_histograms_grow(client: TestClient) -> None:
    rows = metrics(client)["calwebbd_wait_seconds_bucket"]
    for stage in "123":
        counts = [n for labels, n in rows.items() if ("stage", stage) in labels]
        assert counts == sorted(counts)


def set_heartbeat(config: Config, at: float) -> None:
    store = open_store(config.folders.database)
    Records(store.connection).set(heartbeat.NAME, json.dumps(heartbeat.told([])), at)
    store.close()


def test_health_is_good_while_the_service_is_heard_of(client: TestClient, night: Config) -> None:
    set_heartbeat(night, time.time())
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["ok"], answer.json()["reasons"]) == (200, True, [])


def test_health_names_what_is_wrong(client: TestClient, night: Config) -> None:
    set_heartbeat(night, time.time() - 300)
    answer = client.get("/health")
    assert answer.status_code == 503
    (reason,) = answer.json()["reasons"]
    assert re.fullmatch(r"the service was not heard of for 30\d s", reason)


def test_health_tells_of_full_and_lost_disks(
    night: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full = {"what": "products", "folder": "/out", "total": 1 << 40, "free": 5 << 20}
    lost = {"what": "state", "folder": "/state", "total": None, "free": None}
    monkeypatch.setattr(vitals, "disks", lambda _: [full, lost])
    with asking(night.folders.database) as ask:
        reasons = vitals.health(ask, night)["reasons"]
    assert "the disk of /out has 5 MB left" in reasons
    assert "/state cannot be reached" in reasons


def test_health_tells_of_a_queue_that_stands(night: Config) -> None:
    now = time.time()
    with asking(night.folders.database) as ask:
        ask.oldest_ready = lambda: now - 30 * 3600  # type: ignore[method-assign]
        assert "a job has been ready for 30 h" in vitals.health(ask, night, now)["reasons"]
        ask.oldest_ready = lambda: now - 3600  # type: ignore[method-assign]
        assert "ready" not in str(vitals.health(ask, night, now)["reasons"])


def test_the_heartbeat_tells_of_processes() -> None:
    import os

    assert heartbeat.told([])["pid"] == os.getpid()
    assert (heartbeat.resident_mb(os.getpid()) or 0) > 1
    assert heartbeat.resident_mb(2**30) is None


def test_disks_that_are_gone_are_told_of(night: Config) -> None:
    from web_nights import configuration

    rows = vitals.disks(configuration(Path("/nowhere at all")))
    assert [row["free"] for row in rows] == [None, None]
