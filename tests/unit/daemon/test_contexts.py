"""Contexts in the records: impact, certification, approval, rollback, and level 3 of one epoch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from catalogues import Catalogue, entity

from calwebbd.daemon.ask import Ask
from calwebbd.daemon.ask.differences import compared
from calwebbd.daemon.config import Config, Crds, Folders
from calwebbd.daemon.contexts import requests
from calwebbd.daemon.contexts.due import DAY_S, RETRY_S, again_due, refresh_due, spread
from calwebbd.daemon.contexts.epochs import Change, Epochs
from calwebbd.daemon.contexts.impact import impact
from calwebbd.daemon.contexts.policy import activate, receive
from calwebbd.daemon.control import Desk, carry_out
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.records import Records
from calwebbd.daemon.terms import terms
from calwebbd.daemon.work import FileSum, Result, work_of
from calwebbd.queues.job import State
from calwebbd.stages.crds import rules
from calwebbd.stages.simulate import mappings

OLD, NEW = "jwst_0001.pmap", "jwst_0002.pmap"
HEADER = {
    "INSTRUME": "NIRCAM",
    "EXP_TYPE": "NRC_IMAGE",
    "FILTER": "F200W",
    "PUPIL": "CLEAR",
    "DATE-OBS": "2024-06-01",
    "TIME-OBS": "10:00:00.123",
    "OBSERVTN": "001",
}
USED = {
    "detector1": {"gain": "jwst_nircam_gain_0001.fits", "rscd": "N/A"},
    "image2": {"flat": "jwst_nircam_flat_0001.fits"},
}


def write_contexts(folder: Path) -> None:
    """0001: gain 1, flat 1. 0002: another gain for NRCA2; another flat for NRCA3 from 2024-05 on."""
    place = folder / "mappings" / "jwst"
    place.mkdir(parents=True)
    detectors = ("NRCA1", "NRCA2", "NRCA3")
    for n in (1, 2):
        gains = {(d,): "jwst_nircam_gain_0001.fits" for d in detectors}
        if n == 2:
            gains["NRCA2",] = "jwst_nircam_gain_0002.fits"
        key = ("META.INSTRUMENT.DETECTOR",)
        mappings.write_rmap(place / f"jwst_nircam_gain_000{n}.rmap", "NIRCAM", "gain", key, gains)
        dated = "UseAfter({'1900-01-01 00:00:00': 'jwst_nircam_flat_0001.fits', %s})"
        later = "'2024-05-01 00:00:00': 'jwst_nircam_flat_0002.fits'" if n == 2 else ""
        header = {
            "mapping": "REFERENCE",
            "instrument": "NIRCAM",
            "filekind": "FLAT",
            "classes": ("Match", "UseAfter"),
            "parkey": (key, ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME")),
        }
        flats = ", ".join(f"({d!r},): " + dated % (later if d == "NRCA3" else "") for d in detectors)
        mappings.write(place / f"jwst_nircam_flat_000{n}.rmap", header, f"Match({{{flats}}})")
        rmaps = {kind: f"jwst_nircam_{kind}_000{n}.rmap" for kind in ("gain", "flat")}
        mappings.write_imap(place / f"jwst_nircam_000{n}.imap", "NIRCAM", rmaps)
        mappings.write_pmap(place / f"jwst_000{n}.pmap", {"NIRCAM": f"jwst_nircam_000{n}.imap"})


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    write_contexts(tmp_path / "crds")
    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "crds"))
    monkeypatch.delenv("CRDS_SERVER_URL", raising=False)
    rules.forget()
    (tmp_path / "state").mkdir()
    return Config(
        folders=Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path / "state"),
        crds=Crds(path=tmp_path / "crds"),
    )


@pytest.fixture
def catalogue(config: Config) -> Iterator[Catalogue]:
    found = Catalogue(config.folders.database)
    yield found
    found.store.close()


@pytest.fixture
def dispatch(config: Config, catalogue: Catalogue) -> Dispatch:
    """A service of which OLD is the context."""
    found = Dispatch(catalogue.store, Records(catalogue.store.connection), terms(config, OLD))
    activate(found, Change(OLD), "start", 1.0, redo=False)
    return found


def root(detector: str, n: int = 1) -> str:
    return f"jw01234001001_02101_{n:05d}_{detector.lower()}"


def expose(catalogue: Catalogue, detector: str, n: int = 1, **header: Any) -> None:
    catalogue.exposure(root(detector, n), HEADER | {"DETECTOR": detector} | header, OLD, USED)


def test_the_impact_is_what_uses_another_file_and_what_follows_from_it(catalogue: Catalogue) -> None:
    expose(catalogue, "NRCA1")
    expose(catalogue, "NRCA2")
    expose(catalogue, "NRCA3")
    expose(catalogue, "NRCA3", 2, **{"DATE-OBS": "2024-04-30"})
    found = impact(catalogue.store.connection, NEW)
    assert [(each.product, each.stage, each.types) for each in found.first] == [
        (root("NRCA2"), 1, {"gain": ("jwst_nircam_gain_0001.fits", "jwst_nircam_gain_0002.fits")}),
        (root("NRCA3"), 2, {"flat": ("jwst_nircam_flat_0001.fits", "jwst_nircam_flat_0002.fits")}),
    ]
    assert found.following == {2: 1}
    assert len(found.certified) == 5
    assert found.attempts == 8
    summary = found.summary()
    assert summary["by_stage"] == {1: 1, 2: 1}
    assert summary["types"]["nircam"]["gain"] == {
        "jwst_nircam_gain_0001.fits -> jwst_nircam_gain_0002.fits": 1
    }


def test_a_file_that_was_not_asked_for_affects_nothing(catalogue: Catalogue) -> None:
    header = HEADER | {"DETECTOR": "NRCA2"}
    catalogue.exposure(root("NRCA2"), header, OLD, USED | {"detector1": {"rscd": "N/A"}})
    assert impact(catalogue.store.connection, NEW).first == []


def test_a_mosaic_follows_from_its_members(catalogue: Catalogue) -> None:
    for detector in ("NRCA1", "NRCA2"):
        expose(catalogue, detector)
    cals = [entity(f"{root(d)}_cal.fits", OLD) for d in ("NRCA1", "NRCA2")]
    header = HEADER | {"DETECTOR": "NRCA1"}
    catalogue.made("image3", "jw01234-o001_nircam", cals, header, OLD, {}, "i2d")
    found = impact(catalogue.store.connection, NEW)
    assert found.following == {2: 1, 3: 1}


def test_activation_certifies_and_puts_again_from_the_first_affected_stage(
    catalogue: Catalogue, dispatch: Dispatch
) -> None:
    for detector in ("NRCA1", "NRCA2", "NRCA3"):
        expose(catalogue, detector)
    found = impact(catalogue.store.connection, NEW)
    change = Change(NEW, jobs=tuple(a.job for a in found.first), certified=tuple(found.certified))
    assert receive(dispatch, "auto", change, 2.0) == "activated"
    assert dispatch.terms.context == NEW
    assert dispatch.epochs.behind(NEW) == 3
    pending = dispatch.epochs.next_redo()
    assert len(pending) == 2
    for job, live, reason in pending:
        dispatch.redo(job, 3.0, live=live, reason=reason)
        dispatch.epochs.redone(job)
    row = catalogue.store.connection.execute("SELECT payload, priority FROM job WHERE state = 'ready'")
    works = {work_of(payload).subject: (work_of(payload), priority) for payload, priority in row}
    assert {name: work.pipeline for name, (work, _) in works.items()} == {
        root("NRCA2"): "detector1",
        root("NRCA3"): "image2",
    }
    for work, priority in works.values():
        assert work.context == NEW
        assert work.again
        assert priority < 10
    assert impact(catalogue.store.connection, NEW).certified == []


def test_a_file_that_was_made_again_to_the_same_bytes_is_not_behind(
    catalogue: Catalogue, dispatch: Dispatch
) -> None:
    expose(catalogue, "NRCA2")
    assert dispatch.epochs.behind(NEW) == 2
    name = f"{root('NRCA2')}_rate.fits"
    catalogue.made("detector1", "again", [], HEADER, NEW, {}, "rate")
    catalogue.store.connection.execute(
        "UPDATE generated SET path = ?, entity = ? WHERE activity = (SELECT max(activity) FROM generated)",
        (f"/out/{name}", entity(name, OLD)),
    )
    assert dispatch.epochs.behind(NEW) == 1


def test_nothing_changes_before_an_operator_approves(
    config: Config, catalogue: Catalogue, dispatch: Dispatch
) -> None:
    expose(catalogue, "NRCA2")
    (first,) = impact(catalogue.store.connection, NEW).first
    assert receive(dispatch, "ask", Change(NEW, jobs=(first.job,)), 2.0) == "proposed"
    assert dispatch.terms.context == OLD
    assert [change.context for _, change in dispatch.epochs.proposals()] == [NEW]
    answer = carry_out(requests.Approve(context=NEW), Desk(config, dispatch))
    assert answer == {"context": NEW, "jobs": 1, "certified": 0}
    assert dispatch.terms.context == NEW
    assert dispatch.epochs.proposals() == []
    assert dispatch.epochs.pending() == 1


def test_what_affects_nothing_need_not_be_asked_for(dispatch: Dispatch) -> None:
    assert receive(dispatch, "ask", Change(NEW, certified=()), 2.0) == "activated"


def test_never_leaves_what_is_affected_until_it_is_approved(
    config: Config, catalogue: Catalogue, dispatch: Dispatch
) -> None:
    expose(catalogue, "NRCA2")
    (first,) = impact(catalogue.store.connection, NEW).first
    change = Change(NEW, jobs=(first.job,))
    receive(dispatch, "never", change, 2.0)
    assert dispatch.terms.context == NEW
    assert dispatch.epochs.pending() == 0
    carry_out(requests.Approve(context=NEW), Desk(config, dispatch))
    assert receive(dispatch, "never", change, 3.0) == "settled"
    assert dispatch.epochs.pending() == 1


def test_a_job_that_was_never_begun_is_done_by_the_new_rules_as_urgently(
    catalogue: Catalogue, dispatch: Dispatch
) -> None:
    expose(catalogue, "NRCA1")
    connection = catalogue.store.connection
    payload = connection.execute("SELECT payload FROM job WHERE stage = 'image2'").fetchone()[0]
    work = work_of(payload.replace(root("NRCA1"), root("NRCA1", 7)))
    catalogue.store.put(work.job(10), 1.0)
    activate(dispatch, Change(NEW), "refresh", 2.0, redo=True)
    ((job, live, reason),) = dispatch.epochs.next_redo()
    assert live
    dispatch.redo(job, 3.0, live=live, reason=reason)
    assert catalogue.store.get(job).state is State.SUPERSEDED
    (new,) = connection.execute("SELECT payload, priority FROM job WHERE state = 'ready'").fetchall()
    assert work_of(new["payload"]).context == NEW
    assert new["priority"] > 10


def test_one_command_goes_back_and_products_are_made_as_before(
    config: Config, catalogue: Catalogue, dispatch: Dispatch
) -> None:
    expose(catalogue, "NRCA2")
    (first,) = impact(catalogue.store.connection, NEW).first
    receive(dispatch, "auto", Change(NEW, jobs=(first.job,)), 2.0)
    dispatch.redo(first.job, 3.0, live=False, reason="")
    answer = carry_out(requests.Rollback(), Desk(config, dispatch))
    assert answer == {"context": OLD, "from": NEW}
    states = catalogue.store.connection.execute("SELECT state FROM job WHERE id > 2").fetchall()
    assert [row["state"] for row in states] == ["superseded"]
    assert dispatch.epochs.pending() == 0
    assert receive(dispatch, "auto", Change(NEW, jobs=(first.job,)), 4.0) == "proposed"
    assert dispatch.terms.context == OLD
    dispatch.redo(first.job, 5.0, live=False, reason="")
    (again,) = catalogue.store.connection.execute("SELECT payload FROM job WHERE state = 'ready'").fetchall()
    assert work_of(again["payload"]).edition > 0


def test_there_must_be_something_to_go_back_to(config: Config, dispatch: Dispatch) -> None:
    with pytest.raises(CommandError, match="no context to go back to"):
        carry_out(requests.Rollback(), Desk(config, dispatch))
    with pytest.raises(CommandError, match="is not in the CRDS cache"):
        carry_out(requests.Approve(context="jwst_0009.pmap"), Desk(config, dispatch))


def test_a_mosaic_is_of_one_context(catalogue: Catalogue, dispatch: Dispatch) -> None:
    for n in (1, 2):
        expose(catalogue, "NRCA1", n)
    header = HEADER | {"DETECTOR": "NRCA1"}
    mine = [entity(f"{root('NRCA1', n)}_cal.fits", OLD) for n in (1, 2)]
    new = catalogue.made("image2", root("NRCA1", 3), ["x"], header, NEW, {}, "cal")
    common = dispatch.epochs.common
    assert common("g", mine, OLD) == (OLD, "")
    assert common("g", mine, NEW) == (OLD, "")  # all are of one, though it is not the newest
    context, reason = common("g", [*mine, new], NEW)
    assert context is None
    assert "2 of 3 members are of other contexts than jwst_0002.pmap" in reason
    activities = tuple(
        row[0]
        for row in catalogue.store.connection.execute("SELECT id FROM activity WHERE context = ?", (OLD,))
    )
    dispatch.epochs.settle(Change(NEW, certified=activities), 2.0, redo=False)
    assert common("g", [*mine, new], NEW) == (NEW, "")
    assert common("g", ["what others made"], NEW) == (NEW, "")
    assert common("g", [*mine, "what others made"], OLD) == (OLD, "")
    dispatch.epochs.settle(Change(NEW, jobs=(1,)), 3.0, redo=True)
    context, reason = common("image3:001", mine, NEW)
    assert context is None
    assert "to be made again" in reason


def test_those_who_used_a_file_since_it_was_well_are_known(catalogue: Catalogue, dispatch: Dispatch) -> None:
    expose(catalogue, "NRCA1")
    (user,) = dispatch.epochs.users("jwst_nircam_flat_0001.fits", 0.0)
    assert user["product"] == root("NRCA1")
    assert user["files"] == [f"/out/{root('NRCA1')}_cal.fits"]
    assert dispatch.epochs.users("jwst_nircam_flat_0001.fits", 3.0) == []


def test_what_is_due_is_made_up_after_a_sleep() -> None:
    day = 1000 * DAY_S
    three = day + 3 * 3600.0
    assert refresh_due(None, None, day, 3, 0.0)
    assert not refresh_due(three - 10, None, three - 5, 3, 0.0)
    assert refresh_due(three - 10, None, three + 5, 3, 0.0)
    assert not refresh_due(three + 5, None, three + 20 * 3600, 3, 0.0)
    assert refresh_due(three + 5, None, three + 5 * DAY_S, 3, 0.0)
    assert not refresh_due(three - DAY_S, three + 1, three + 2, 3, 0.0)
    assert refresh_due(three - DAY_S, three + 1, three + RETRY_S + 2, 3, 0.0)
    assert refresh_due(three + 400 * DAY_S, None, three, 3, 0.0)  # the clock was wrong
    assert 0 <= spread("here") < 3600
    assert spread("here") == spread("here") != spread("there")
    assert again_due(None, day, 7 * DAY_S)
    assert again_due(day - 7 * DAY_S, day, 7 * DAY_S)
    assert not again_due(day - 6 * DAY_S, day, 7 * DAY_S)


def test_the_records_of_epochs_outlive_the_service(catalogue: Catalogue, dispatch: Dispatch) -> None:
    activate(dispatch, Change(NEW, rules="abc"), "refresh", 2.0, redo=True)
    epochs = Epochs(catalogue.store.connection)
    assert [(e.context, e.cause, e.redo, e.rules) for e in epochs.history()] == [
        (NEW, "refresh", True, "abc"),
        (OLD, "start", False, ""),
    ]
    assert epochs.before() == OLD
    assert epochs.rejected() is None


def test_the_sum_of_a_reference_is_on_record_with_each_attempt(
    catalogue: Catalogue, dispatch: Dispatch
) -> None:
    expose(catalogue, "NRCA1")
    job, name = catalogue.store.get(1), "jwst_nircam_gain_0001.fits"
    step = {"name": "all", "references": {"gain": name}, "parameters": {}}
    facts: dict[str, Any] = {"started": 3.0, "ended": 4.0, "peak_mb": 1.0, "cpu_s": 1.0}
    for sha1 in ("a", "b"):
        result = Result(products=(), steps=(step,), sums={name: FileSum(sha1, 7)}, **facts)
        dispatch.records.complete(job, work_of(job.payload), result, Path("out"), 4.0)
    connection = catalogue.store.connection
    used = connection.execute("SELECT sha1 FROM used WHERE entity = 'crds:' || ?", (name,)).fetchall()
    assert [row[0] for row in used] == [None, "a", "b"]
    assert connection.execute("SELECT size FROM entity WHERE name = ?", (name,)).fetchone()[0] == 7
    ask, last = Ask(connection), connection.execute("SELECT max(id) FROM activity").fetchone()[0]
    before, after = (ask._recipe(attempt) for attempt in (last - 1, last))
    assert after["checksums"] == {name: "b"}
    assert compared(before, after) == [f"content of {name}: SHA-1 a → b"]
