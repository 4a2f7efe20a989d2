"""Questions to the records of nights with fake calibration, and their views."""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import fake_calibration as fake
import msgspec
import pytest

from calwebbd.daemon import heartbeat
from calwebbd.daemon.ask import Ask, Unknown, asking, reader
from calwebbd.daemon.commands.ask import _status as show_status
from calwebbd.daemon.commands.asking import when
from calwebbd.daemon.config import Associations, Config, Crds, Folders, Watch, Workers
from calwebbd.daemon.database import VIEWS, open_store
from calwebbd.daemon.records import Records
from calwebbd.daemon.service import Service
from calwebbd.queues import retry
from calwebbd.queues.job import NewJob
from calwebbd.queues.sql import statements
from calwebbd.queues.store import connect
from calwebbd.stages.errors import ReferenceMissing

MOSAIC = "jw01234-o001_t001_nircam_clear-f200w-sub64p_i2d.fits"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setitem(retry.POLICIES, retry.Failure.ERROR, retry.Policy(attempts=2))
    folders = Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path / "state")
    folders.watch[0].mkdir()
    return Config(
        folders=folders,
        crds=Crds(context="jwst_0001.pmap"),
        watch=Watch(settle_seconds=0.1, patience_seconds=0.1, rescan_seconds=600.0),
        workers=Workers(processes=2, memory_mb=4000, timeout_seconds=20.0),
        associations=Associations(hold_seconds=0.2, quiet_seconds=0.2),
    )


def incoming(config: Config) -> Path:
    return config.folders.watch[0]


def serve(config: Config) -> None:
    here = "fake_calibration"
    Service(config, calibrate=f"{here}:calibrate", verify=f"{here}:verify").run(once=True)


def ask(config: Config, question: Callable[[Ask], Any]) -> Any:
    with asking(config.folders.database) as records:
        answer = question(records)
    json.dumps(answer)
    return answer


def view(config: Config, query: str) -> list[tuple[Any, ...]]:
    """As a person with sqlite3 does."""
    connection = connect(config.folders.database, readonly=True)
    try:
        return [tuple(row) for row in connection.execute(query)]
    finally:
        connection.close()


def test_why_tells_of_a_file_in_quarantine(config: Config) -> None:
    (incoming(config) / fake.name()).write_text("once upon a time")
    serve(config)
    answer = ask(config, lambda it: it.why(fake.name()))
    assert answer["verdict"] == "quarantined"
    assert answer["because"][0].endswith("is no exposure")


@pytest.mark.parametrize(("reason", "told"), [("a long day", " (a long day)"), ("", "")])
def test_why_tells_that_all_is_paused_with_or_without_a_reason(
    config: Config, reason: str, told: str
) -> None:
    serve(config)
    with closing(open_store(config.folders.database)) as store:
        store.pause("*", reason, 0.0)
        root = fake.name().removesuffix("_uncal.fits")
        of = f"detector1:{root}"
        store.put(NewJob(key="k", stage="detector1", subject=of, priority=1, mem_mb=1, payload="{}"), 0.0)
        Records(store.connection).set("intake", "a full disk", 0.0)
    (because,) = ask(config, lambda it: it.why(fake.name()))["because"]
    assert because.endswith(f"is ready, its stage is paused{told}")
    with pytest.raises(Unknown, match="no files are taken in now: a full disk"):
        ask(config, lambda it: it.where(fake.name(2)))


def test_why_tells_of_a_product_whose_exposure_is_in_quarantine(config: Config) -> None:
    (incoming(config) / fake.name()).write_text("once upon a time")
    serve(config)
    answer = ask(config, lambda it: it.why(fake.name(suffix="rate")))
    assert (answer["verdict"], len(answer["because"])) == ("quarantined", 1)
    assert f"{fake.name()} is in quarantine" in answer["because"][0]


def test_why_tells_of_a_file_that_only_a_manifest_names(config: Config) -> None:
    (incoming(config) / "night.manifest").write_text(f"{'0' * 64}  {fake.name()}\n")
    serve(config)
    answer = ask(config, lambda it: it.why(fake.name()))
    assert answer["verdict"] == "waits"
    assert answer["because"][0].endswith("night.manifest names it")


def test_why_tells_of_a_product_that_a_dead_job_was_to_make(config: Config) -> None:
    fake.expose(incoming(config), DO="bug", AT="image2")
    serve(config)
    answer = ask(config, lambda it: it.why(fake.name(suffix="cal")))
    assert answer["verdict"] == "dead"
    (job,) = [job for job in answer["jobs"] if job["pipeline"] == "image2"]
    assert [each["reason"] for each in job["attempts"]] == 2 * ["ZeroDivisionError: one by nought"]
    assert any("2 attempts, 2 of which failed: ZeroDivisionError" in text for text in answer["because"])


def test_why_tells_when_a_job_is_tried_again_and_what_waits_for_it(config: Config) -> None:
    fake.expose(incoming(config), 1, DO="missing", AT="image2")
    serve(config)
    answer = ask(config, lambda it: it.why(MOSAIC))
    assert answer["verdict"] == "waits"
    (group,) = answer["associations"]
    assert answer["because"] == [
        f"association {group['name']}: {group['reason']}",
        f"  {group['members'][0]['name']} is on its way: image2 is ready (copy: there is no paper)",
    ]
    cal = ask(config, lambda it: it.why(fake.name(suffix="cal")))
    assert cal["verdict"] == "ready"
    assert any("to be tried again" in text and "there is no paper" in text for text in cal["because"])


def test_status_tells_what_is_tried_again_later_and_why(config: Config) -> None:
    fake.expose(incoming(config), 1, DO="missing", AT="image2")
    serve(config)
    (job,) = ask(config, lambda it: it.status())["later"]
    assert (job["pipeline"], job["reason"]) == ("image2", "copy: there is no paper")


def test_why_tells_that_what_a_member_is_made_by_is_paused(config: Config) -> None:
    fake.expose(incoming(config), 1, DO="missing", AT="image2")
    serve(config)
    with closing(open_store(config.folders.database)) as store:
        store.pause("image2", "a long day", 0.0)
    because = ask(config, lambda it: it.why(MOSAIC))["because"]
    told = "is on its way: image2 is ready (copy: there is no paper), its stage is paused (a long day)"
    assert because[1].endswith(told)


def test_why_tells_what_ends_with_stage_1(config: Config) -> None:
    fake.expose(incoming(config), 1, EXP_TYPE="NRC_WFSS")
    serve(config)
    told = f"{fake.name(suffix='rate')}: calwebb_spec2 is not available in this version"
    for name in (fake.name(suffix=suffix) for suffix in ("uncal", "rate", "cal")):
        with asking(config.folders.database) as records:
            because = records.why(name)["because"]
        assert told in because
        assert not any("provenance" in line or "rateints" in line for line in because)


def test_why_tells_how_a_product_came_to_be_there(config: Config) -> None:
    fake.expose(incoming(config))
    serve(config)
    answer = ask(config, lambda it: it.why(MOSAIC))
    assert answer["verdict"] == "made"
    assert any(d["what"] == "combine" for d in answer["decisions"])


def test_why_does_not_make_up_an_answer(config: Config) -> None:
    serve(config)
    with pytest.raises(Unknown, match="has not been seen"):
        ask(config, lambda it: it.why(fake.name()))


def test_uses_finds_every_product_of_a_reference_and_of_a_raw_file(config: Config) -> None:
    raw = fake.expose(incoming(config))
    fake.expose(incoming(config), 2, FILTER="F150W")
    serve(config)
    of_paper = ask(config, lambda it: it.uses("fake_paper_0001.fits"))["products"]
    of_raw = ask(config, lambda it: it.uses(raw.name))["products"]
    names = {Path(row["product"]).name: row["steps"] for row in of_raw}
    asn = "jw01234-o001_image3_00001_asn.json"
    made = {
        fake.name(suffix="rate"): 1,
        fake.name(suffix="rateints"): 1,
        fake.name(suffix="cal"): 2,
        MOSAIC: 3,
    }
    assert {name: names[name] for name in made} == made
    assert len(of_paper) == 2 * len(of_raw)
    assert asn in names or asn.replace("00001", "00002") in names
    by_hand = view(config, f"SELECT product FROM uses WHERE name = '{raw.name}'")
    assert {Path(path).name for (path,) in by_hand} == set(names)
    assert ask(config, lambda it: it.uses("jwst_0001.pmap"))["products"]


def test_versions_say_why_each_was_made(config: Config) -> None:
    fake.expose(incoming(config), text="dim")
    serve(config)
    fake.expose(incoming(config), text="bright")
    serve(config)
    answer = ask(config, lambda it: it.versions(fake.name(suffix="rate")))
    assert [row["version"] for row in answer["versions"]] == [1, 2]
    assert answer["versions"][0]["why"] == "the first"
    assert answer["versions"][1]["why"].startswith(f"input {fake.name()}: ")
    latest = view(config, f"SELECT version, latest FROM versions WHERE path = '{answer['product']}'")
    assert latest == [(1, 0), (2, 1)]


def test_stale_names_what_is_no_longer_current(config: Config) -> None:
    raw = fake.expose(incoming(config))
    serve(config)
    assert ask(config, lambda it: it.stale()) == []
    changed = {
        "crds": Crds(context="jwst_0002.pmap"),
        "steps": {"copy": {"factor": 4}, "jump": {"skip": True}},
    }
    later = msgspec.structs.replace(config, **changed)
    serve(later)
    reasons = {
        Path(row["product"]).name: [why["what"] for why in row["why"]]
        for row in ask(config, lambda it: it.stale())
    }
    assert reasons[MOSAIC] == ["context", "parameters"]
    fake.expose(incoming(config), text="other", DO="wrong")
    serve(config)
    stale = {Path(row["product"]).name: row["why"] for row in ask(config, lambda it: it.stale())}
    assert stale[fake.name(suffix="rate")] == [
        {"what": "input", "made_with": raw.name, "current": "replaced"}
    ]


def lacking(config: Config, product: str) -> set[tuple[Any, ...]]:
    """Of its second version what its first was not made of."""
    recipe = "SELECT what, name, CAST(value AS TEXT) FROM recipes JOIN versions USING (attempt)"
    of = f"{recipe} WHERE path = '{product}' AND version ="
    return set(view(config, f"{of} 2 EXCEPT {of} 1"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_diff_tells_inputs_contexts_and_parameters_of_two_versions(config: Config) -> None:
    fake.expose(incoming(config), text="dim")
    serve(config)
    later = msgspec.structs.replace(
        config, crds=Crds(context="jwst_0002.pmap"), steps={"copy": {"factor": 4}}
    )
    fake.expose(incoming(config), text="bright")
    serve(later)
    rate = fake.name(suffix="rate")
    answer = ask(config, lambda it: it.diff(f"{rate}@1", f"{rate}@2"))
    assert not answer["same"]
    assert answer["differences"][0] == "context: jwst_0001.pmap → jwst_0002.pmap"
    assert answer["differences"][1].startswith(f"input {fake.name()}: ")
    assert answer["differences"][2] == "parameter copy.factor: 1 (default) → 4 (default)"
    assert lacking(config, answer["products"][0]["path"]) == {
        ("context", "", "jwst_0002.pmap"),
        ("input", fake.name(), sha256(incoming(config) / fake.name())),
        ("parameter", "copy.factor", "4"),
    }
    with pytest.raises(Unknown, match="has 2 versions, none of them is 7"):
        ask(config, lambda it: it.diff(f"{rate}@7", rate))


def test_failures_of_one_cause_are_told_together(config: Config) -> None:
    for exposure in (1, 2, 3):
        fake.expose(incoming(config), exposure, DO="wrong" if exposure < 3 else "bug")
    serve(config)
    wrong, bug = sorted(ask(config, lambda it: it.failures()), key=lambda each: each["failure"], reverse=True)
    assert (wrong["cause"], wrong["count"], wrong["open"]) == ("copy: is out of focus", 2, 2)
    assert (bug["failure"], bug["count"], bug["example"]["now"]) == ("error", 2, "dead")
    assert bug["remedy"].startswith("a bug")
    assert wrong["first"] <= wrong["last"]
    assert ask(config, lambda it: it.failures(time.time() + 1.0)) == []


def test_progress_counts_each_observation_by_pipeline(config: Config) -> None:
    fake.expose(incoming(config), 1, of=2)
    fake.expose(incoming(config), 2, of=2, DO="missing", AT="image2")
    (incoming(config) / fake.name(3)).write_text("once upon a time")
    serve(config)
    (row,) = ask(config, lambda it: it.progress("1234"))
    assert (row["program"], row["observation"], row["exposures"], row["quarantined"]) == (
        "01234",
        "001",
        2,
        1,
    )
    assert row["pipelines"] == {"detector1": {"done": 2}, "image2": {"done": 1, "ready": 1}}
    assert [wait["association"] for wait in row["waits"]] == ["image3:" + MOSAIC.removesuffix("_i2d.fits")]
    assert ask(config, lambda it: it.progress("99")) == []


def test_latency_parts_waiting_from_computing(config: Config) -> None:
    fake.expose(incoming(config), SECONDS=0.3)
    serve(config)
    rows = {row["pipeline"]: row for row in ask(config, lambda it: it.latency())}
    assert list(rows) == ["detector1", "image2", "image3"]
    first = rows["detector1"]
    assert first["n"] == 1
    assert first["compute"]["median"] >= 0.3
    assert (
        0.0
        < first["overhead"]["p99"]
        == pytest.approx(first["wait"]["p99"] + first["publish"]["p99"], abs=0.002)
    )


@pytest.mark.usefixtures("crds_environment")
def test_whatif_tells_what_would_be_made_again_and_changes_nothing(config: Config) -> None:
    fake.expose(incoming(config))
    serve(config)
    answer = ask(config, lambda it: it.whatif("jwst_0002.pmap"))
    counts = (answer["context"], answer["products"], answer["affected"], answer["unaffected"])
    assert counts == ("jwst_0002.pmap", 3, 0, 3)  # no fake step asks for a reference that differs
    with pytest.raises(ReferenceMissing):
        ask(config, lambda it: it.whatif("jwst_0099.pmap"))


@pytest.mark.parametrize(
    "name",
    [line.split()[2] for line in VIEWS.splitlines() if line.startswith("CREATE VIEW")],
)
def test_each_view_can_be_asked(name: str, config: Config) -> None:
    fake.expose(incoming(config))
    serve(config)
    view(config, f"SELECT * FROM {name}")


def test_views_have_what_the_verbs_tell(config: Config) -> None:
    raw = fake.expose(incoming(config), 1, of=3)
    fake.expose(incoming(config), 2, of=3, DO="missing", AT="image2")
    (incoming(config) / fake.name(3)).write_text("once upon a time")
    serve(config)
    rate, cal = fake.name(suffix="rate"), fake.name(suffix="cal")
    files = dict(view(config, "SELECT name, state FROM files WHERE origin != 'product'"))
    assert files == {fake.name(1): "done", fake.name(2): "done", fake.name(3): "quarantined"}
    assert all(ask(config, lambda it, file=file: it.where(file))["state"] == files[file] for file in files)
    waiting = set(view(config, "SELECT kind, name FROM waiting"))
    assert ("job", f"image2:{fake.name(2).removesuffix('_uncal.fits')}") in waiting
    assert ("member", f"image3:{MOSAIC.removesuffix('_i2d.fits')} {fake.name(2, suffix='cal')}") in waiting
    of = f"FROM lineage WHERE product = '{config.folders.output / rate}'"
    assert view(config, f"SELECT name, sha256 {of} AND kind = 'uncal'") == [(raw.name, sha256(raw))]
    sources = dict(view(config, f"SELECT source, steps FROM ancestry WHERE product = '{cal}'"))
    assert sources[raw.name] == 2
    made = ask(config, lambda it: it.lineage(cal))["made_by"]
    steps = f"FROM steps JOIN versions USING (attempt) WHERE path = '{config.folders.output / cal}'"
    assert view(config, f"SELECT step, status {steps}") == [(s["name"], s["status"]) for s in made["steps"]]
    tries = "SELECT outcome, failure FROM attempts WHERE pipeline = 'image2' ORDER BY product"
    assert view(config, tries) == [("complete", ""), ("failed", "missing")]
    assert view(config, "SELECT count(*) FROM latency") == [(3,)]
    assert ("service", "start") in view(config, "SELECT who, what FROM decisions")


def test_status_says_whether_the_service_runs(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    config.folders.state.mkdir()
    store = open_store(config.folders.database)
    records, now = Records(store.connection), time.time()

    def told() -> tuple[str, str]:
        answer = ask(config, Ask.status)
        show_status(answer)
        return answer["service"]["state"], capsys.readouterr().out.splitlines()[0]

    assert told() == ("never", "service      has not run: its log says what it lacks")
    records.decide("service", "start", "", "context jwst_0001.pmap", now - 3600.0)
    assert told()[0] == "silent"
    records.set(heartbeat.NAME, "{}", now - 90.0)
    silent = f"service      not heard of since {when(now - 90.0)}: it does not run, or hangs"
    assert told() == ("silent", silent)
    records.set(heartbeat.NAME, "{}", now)
    assert told() == ("running", f"service      runs since {when(now - 3600.0)}")
    records.decide("service", "stop", "", "asked to", now)
    assert told() == ("stopped", f"service      stopped {when(now)}: asked to")
    store.close()


def test_a_database_that_may_not_be_read_says_who_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DIRECTORY
        raise error

    monkeypatch.setattr("calwebbd.daemon.ask.connect", refuse)
    with pytest.raises(Unknown, match="the user of the service and root may read it"), asking(tmp_path):
        pass


def test_each_statement_has_a_name_of_its_own() -> None:
    files = Path(reader.__file__).parent.glob("*.sql")
    names = [name for file in files for name in statements(file.read_text())]
    assert len(names) == len(set(names)) > 0
