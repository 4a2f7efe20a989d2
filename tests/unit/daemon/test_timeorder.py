"""Exposures of a detector in the order of time, however they come: with fake calibration, in one process."""

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fake_calibration as fake
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calwebbd.daemon import records, workspace
from calwebbd.daemon.ask import Ask
from calwebbd.daemon.config import Config, Crds, Folders, Persistence, Workers
from calwebbd.daemon.database import VIEWS
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.engine import Running
from calwebbd.daemon.intake import Seen, examine
from calwebbd.daemon.records import Records, stamp
from calwebbd.daemon.terms import terms
from calwebbd.daemon.timeline import link_of
from calwebbd.daemon.work import work_of
from calwebbd.daemon.worker import Reply, attempt
from calwebbd.daemon.workshop import Workshop
from calwebbd.queues.job import Job, State
from calwebbd.queues.store import Store

MJD = 60000.0
ON: dict[str, Any] = {"persistence": {"skip": False, "persistence_time": 2000}}
MOSAIC = "jw01234-o001_t001_nircam_clear-f200w-sub64p_i2d.fits"


class InlineRunner:
    """Does each job in this process, when it is heard."""

    def __init__(self) -> None:
        self.running: list[Any] = []
        self.most_mb = None
        self.done: list[str] = []

    def room_mb(self, processes: int, budget_mb: int) -> int | None:
        return None if self.running else budget_mb

    def start(self, job: Any, work: Any, folder: Path, timeout_s: float) -> None:
        self.running.append(Running(job=job, work=work, workspace=folder, limit=timeout_s, started=0.0))

    def ended(self) -> list[tuple[Any, Reply]]:
        done, self.running = self.running, []
        self.done += [running.work.subject for running in done if running.work.stage == 1]
        return [
            (each, attempt("fake_calibration:calibrate", each.work, each.workspace, lambda step, state: None))
            for each in done
        ]

    def cancel(self, job: int) -> None:
        return None


class Night:
    """A service without threads, in which time is what the test says."""

    def __init__(self, folder: Path, steps: dict[str, Any] = ON, **settings: Any) -> None:
        self.config = Config(
            folders=Folders(watch=(folder / "in",), output=folder / "out", state=folder),
            crds=Crds(context="c.pmap"),
            workers=Workers(processes=1, memory_mb=9000),
            persistence=Persistence(**settings),
            steps=steps,
        )
        for path in (self.incoming, self.config.folders.scratch):
            path.mkdir(parents=True, exist_ok=True)
        self.now = 0.0
        self.runner = InlineRunner()
        self.store = Store(self.config.folders.database, [records.MIGRATIONS])
        self.store.connection.execute("PRAGMA synchronous = OFF")
        self.store.connection.executescript(VIEWS)
        self.records = Records(self.store.connection)
        self.dispatch = Dispatch(self.store, self.records, terms(self.config, "c.pmap"))
        self.told: list[str] = []
        self.shop = Workshop(
            self.dispatch, self.runner, self.config, lambda event, **facts: self.told.append(event)
        )  # type: ignore[arg-type]

    @property
    def incoming(self) -> Path:
        return self.config.folders.watch[0]

    @property
    def ask(self) -> Ask:
        return Ask(self.store.connection)

    def arrives(self, exposure: int, **header: Any) -> Path:
        """Of 100 s, 200 s after the last in number unless it is told otherwise."""
        start = header.pop("at", 200.0 * exposure)
        times = {"EXPSTART": MJD + start / 86400, "EXPEND": MJD + (start + 100) / 86400}
        path = fake.expose(self.incoming, exposure, text=f"light{exposure}", **(times | header))
        return self.sees(path)

    def sees(self, path: Path) -> Path:
        seen = examine(path, stamp(path) or "", fake.verify)
        assert isinstance(seen, Seen)
        self.dispatch.arrived(seen, self.now)
        return path

    def step(self) -> bool:
        """Begin one job, or end it."""
        if self.shop.idle:
            self.shop.begin()
            return not self.shop.idle
        self.shop.hear()
        return True

    def works(self, seconds: float = 0.0, *, hurry: bool = False) -> list[str]:
        """Let time pass, and do all that is to be done; the exposures that were calibrated, in order."""
        self.now += seconds
        before = len(self.runner.done)
        for _ in range(1000):
            if not self.step() and not self.dispatch.assemble(self.now, hurry=hurry):
                return [name[-11:-6] for name in self.runner.done[before:]]
        raise AssertionError("there is no end to it")

    def job(self, exposure: int) -> Job:
        found = self.store.newest(f"detector1:{root(exposure)}")
        assert found is not None
        return found

    def rate(self, exposure: int) -> str:
        return str(fake.read(self.config.folders.output / fake.name(exposure, suffix="rate"))["data"])

    def end(self) -> dict[str, str]:
        """All products but the records of how they were made."""
        files = self.config.folders.output.glob("jw*_*.*")
        return {path.name: path.read_text() for path in files if path.suffix in (".fits", ".asdf")}


def root(exposure: int) -> str:
    return fake.name(exposure).removesuffix("_uncal.fits")


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Night]]:
    nights: list[Night] = []
    monkeypatch.setattr("calwebbd.daemon.instance.alive", lambda worker: False)

    def make(**settings: Any) -> Night:
        nights.append(Night(tmp_path, **settings))
        monkeypatch.setattr("calwebbd.daemon.workshop.time.time", lambda: nights[-1].now)
        return nights[-1]

    yield make
    for night in nights:
        night.store.close()


def test_an_exposure_takes_what_the_one_before_has_left(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(1, SATURATES="ab")
    night.arrives(2, SATURATES="c")
    night.arrives(3)
    assert night.works(10.0) == ["00001", "00002", "00003"]
    assert [night.rate(n) for n in (1, 2, 3)] == [
        "rate(light1)",
        "rate(light2 lit ab)",
        "rate(light3 lit abc)",
    ]


def test_nothing_is_in_order_unless_the_step_is_switched_on(new: Callable[..., Night]) -> None:
    night = new(steps={})
    night.arrives(2)
    night.arrives(1, SATURATES="a")
    assert night.works() == ["00002", "00001"]
    assert night.end().keys() == {
        fake.name(n, suffix=suffix) for n in (1, 2) for suffix in ("rate", "rateints", "cal")
    }


@pytest.mark.parametrize(
    ("settings", "steps", "chained"),
    [
        ({}, {"skip": False}, True),
        ({}, {"skip": True}, False),
        ({}, {}, False),
        ({"chain": "on"}, {}, True),
        ({"chain": "off"}, {"skip": False}, False),
        ({"chain": "on"}, {"persistence_array_file": "mine.asdf"}, False),
    ],
)
def test_who_takes_turns(
    settings: dict[str, Any], steps: dict[str, Any], chained: bool, new: Callable[..., Night]
) -> None:
    assert new(steps={"persistence": steps}, **settings).dispatch.terms.chained({}) is chained


def test_an_exposure_waits_for_its_predecessor_and_says_so(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(2)
    night.arrives(1)
    night.now = 10.0
    night.dispatch.assemble(night.now)
    night.shop.begin()
    assert [running.work.subject for running in night.shop.running] == [root(1)]
    assert night.job(2).reason == f"waits for its predecessor {root(1)}"
    why = night.ask.why(fake.name(2))
    assert why["verdict"] == "waits"
    assert any(
        "waits for its predecessor" in line and "detector1 is running" in line for line in why["because"]
    )


def test_a_new_exposure_is_held_for_a_moment_as_others_may_come_with_it(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(2)
    assert night.works(1.0) == []
    assert night.job(2).reason == "waits until 1970-01-01 00:00:05 for exposures just before it"
    night.arrives(1, SATURATES="a")
    assert night.works(5.0) == ["00001", "00002"]


def test_a_late_predecessor_has_the_next_made_again_and_what_follows_only_as_far_as_it_matters(
    new: Callable[..., Night],
) -> None:
    night = new()
    for exposure in (1, 3, 4, 5):
        night.arrives(exposure, **({"SATURATES": "a", "PERSISTS": 350} if exposure == 1 else {}))
    night.works(10.0)
    night.arrives(2, SATURATES="b", PERSISTS=150)  # until 650 s: 3 begins at 600 s and ends at 700 s
    assert night.works(10.0) == ["00002", "00003"]
    assert night.rate(3) == "rate(light3 lit ab)"
    versions = night.ask.versions(fake.name(3, suffix="rate"))["versions"]
    assert len(versions) == 2
    assert f"input {root(2)}_persistence.asdf: none" in versions[1]["why"]
    (decision,) = [row for row in night.ask.why(fake.name(3))["decisions"] if row["what"] == "make again"]
    assert decision["why"] == f"late predecessor {root(2)}"
    assert len(night.ask.versions(fake.name(4, suffix="rate"))["versions"]) == 1


def test_what_follows_is_made_again_as_long_as_what_is_handed_on_differs(new: Callable[..., Night]) -> None:
    night = new()
    for exposure in range(2, 8):
        night.arrives(exposure)
    night.works(10.0)
    night.arrives(1, SATURATES="z", PERSISTS=550)  # until 850 s
    assert night.works(10.0) == ["00001", "00002", "00003", "00004"]
    assert night.rate(4) == "rate(light4 lit z)"
    mosaic = fake.read(night.config.folders.output / fake.name(4, suffix="cal"))["data"]
    assert mosaic == "cal(rate(light4 lit z))"


def test_after_a_gap_nothing_remains_and_nobody_waits(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(2, at=100.0 + 2001.0 + 200.0)
    night.works(10.0)
    night.arrives(1, SATURATES="a", PERSISTS=1e6)
    assert night.works(10.0) == ["00001"]
    assert night.rate(2) == "rate(light2)"


def test_detectors_do_not_wait_for_one_another(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(1, SATURATES="a")
    night.arrives(2, DETECTOR="NRCB1")
    night.works(10.0)
    product = night.config.folders.output / fake.name(2, "nrcb1", "rate")
    assert fake.read(product)["data"] == "rate(light2)"


@pytest.mark.parametrize("fate", ["wrong", "bug", "die"])
def test_a_dead_predecessor_is_passed_over_with_what_the_one_before_it_has_left(
    fate: str, new: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake.os, "kill", lambda *_: 1 / 0)
    night = new()
    night.arrives(1, SATURATES="a")
    night.arrives(2, DO=fate, AT="detector1")
    night.arrives(3)
    night.works(10.0)
    for _ in range(5):
        night.works(60.0)
    assert night.job(2).state is State.DEAD
    assert night.rate(3) == "rate(light3 lit a)"
    decisions = night.ask.why(fake.name(3))["decisions"]
    told = [row["why"] for row in decisions if row["what"] == "go on"]
    assert len(told) == 1
    assert told[0].startswith(f"without its predecessor {root(2)}, which is dead: ")


def test_one_that_is_dead_and_brought_back_has_the_next_made_again(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(1, DO="wrong", SATURATES="a")
    night.arrives(2)
    night.works(10.0)
    assert (night.job(1).state, night.rate(2)) == (State.DEAD, "rate(light2)")
    (night.incoming / fake.name(1)).unlink()
    night.arrives(1, SATURATES="b")
    assert night.works(10.0) == ["00001", "00002"]
    assert night.rate(2) == "rate(light2 lit b)"


def test_a_predecessor_that_fails_again_and_again_is_waited_for_only_so_long(
    new: Callable[..., Night],
) -> None:
    night = new(patience_seconds=300.0)
    night.arrives(1, DO="missing", SATURATES="a")
    night.arrives(2)
    assert night.works(10.0) == ["00001"]
    assert night.job(2).reason == f"waits for its predecessor {root(1)} until 1970-01-01 00:05:10"
    assert night.works(200.0) == []
    assert night.works(200.0) == ["00002"]
    assert night.job(2).state is State.DONE


def test_an_announced_predecessor_is_waited_for_only_so_long(new: Callable[..., Night]) -> None:
    night = new(patience_seconds=300.0)
    manifest = night.incoming / "night.manifest"
    names = [fake.name(1, "nrcb1"), fake.name(1), fake.name(3)]
    manifest.write_text("".join(f"{'0' * 64}  {name}\n" for name in names))
    night.sees(manifest)
    night.arrives(2)
    assert night.works(100.0) == []
    assert night.job(2).reason == f"waits for its predecessor {root(1)} until 1970-01-01 00:05:00"
    night.dispatch.postpone(1000.0, night.now + 1000.0)  # the service was away
    assert night.works(1000.0) == []
    assert night.works(201.0) == ["00002"]
    (decision,) = [row for row in night.ask.why(fake.name(2))["decisions"] if row["what"] == "go on"]
    assert decision["why"] == f"without its predecessor {root(1)}, which has not come"


def test_an_exposure_that_an_association_lists_is_announced(new: Callable[..., Night]) -> None:
    night = new()
    members = [{"expname": fake.name(n, suffix="cal"), "exptype": "science"} for n in (1, 2, 3)]
    asn = night.incoming / "mine_image3_asn.json"
    asn.write_text(json.dumps({"asn_type": "image3", "products": [{"name": "mine", "members": members}]}))
    night.sees(asn)
    night.arrives(2)
    night.works(100.0)
    assert night.job(2).reason.startswith(f"waits for its predecessor {root(1)} until")
    night.arrives(1, SATURATES="a")
    assert night.works(10.0) == ["00001", "00002"]


def test_whoever_cannot_wait_is_released(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(1)
    night.arrives(2)
    assert night.dispatch.release_exposure(root(2), night.now)
    assert not night.dispatch.release_exposure(root(2), night.now)
    assert night.works(0.0) == ["00002"]


def test_in_a_hurry_no_clock_is_waited_for(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(2)
    night.arrives(1, DO="missing")
    assert night.works(hurry=True) == ["00001", "00002"]


def test_no_clock_is_put_off_beyond_now(new: Callable[..., Night]) -> None:
    night = new(patience_seconds=300.0)
    night.arrives(1, DO="missing")
    night.arrives(2)
    timeline = night.dispatch.timeline
    before = timeline.link(root(2))
    night.dispatch.postpone(1e6, night.now + 10.0)  # the service was away since long before they came
    after = timeline.link(root(2))
    assert after.since == night.now + 10.0
    if before.look_at is not None:
        assert after.look_at - after.since == pytest.approx(before.look_at - before.since)
    assert night.works(hurry=True) == ["00001", "00002"]


def test_segments_of_an_exposure_follow_one_another(new: Callable[..., Night]) -> None:
    night = new()
    for segment in (2, 1):
        header = {"EXSEGNUM": segment, "EXSEGTOT": 2, "SATURATES": str(segment)}
        times = {"EXPSTART": MJD, "EXPEND": MJD + 0.001}
        path = night.incoming / fake.name().replace("_nrca1", f"-seg00{segment}_nrca1")
        path.write_text(fake.content(1, 1, f"part{segment}", **header, **times))
        night.sees(path)
    night.works(10.0)
    rate = night.config.folders.output / fake.name(suffix="rate").replace("_nrca1", "-seg002_nrca1")
    assert fake.read(rate)["data"] == "rate(part2 lit 1)"


def test_one_whose_step_is_skipped_passes_on_what_it_was_given(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(1, SATURATES="a")
    night.arrives(2, BLIND=True)
    night.arrives(3)
    night.works(10.0)
    assert (night.rate(2), night.rate(3)) == ("rate(light2)", "rate(light3 lit a)")


def test_a_file_that_was_only_touched_is_no_new_work(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(1, SATURATES="a")
    path = night.arrives(2)
    night.works(10.0)
    os.utime(path, (1, 1))
    night.sees(path)
    assert night.works(10.0) == []


def test_a_new_version_of_an_exposure_hands_on_anew(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(1, SATURATES="a")
    night.arrives(2)
    night.works(10.0)
    night.arrives(1, SATURATES="b")
    assert night.works(10.0) == ["00001", "00002"]
    assert night.rate(2) == "rate(light2 lit b)"


def test_what_was_handed_on_and_is_gone_is_gone_without(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(1, SATURATES="a")
    night.works(10.0)
    (night.config.folders.output / f"{root(1)}_persistence.asdf").unlink()
    night.arrives(2)
    night.works(10.0)
    assert night.rate(2) == "rate(light2)"


def test_what_was_handed_on_and_passed_on_again_is_gone_for_all(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(1, SATURATES="a")
    night.arrives(2, BLIND=True)
    night.works(10.0)
    (night.config.folders.output / f"{root(1)}_persistence.asdf").write_text("{}")
    night.arrives(3)
    night.works(10.0)
    assert night.rate(3) == "rate(light3)"
    assert any(row["what"] == "go on" for row in night.ask.why(fake.name(3))["decisions"])


def test_lineage_tells_who_handed_on_and_no_more_of_that_one(new: Callable[..., Night]) -> None:
    night = new()
    for exposure in (1, 2, 3):
        night.arrives(exposure, SATURATES=str(exposure))
    night.works(10.0)
    lineage = night.ask.lineage(fake.name(3, suffix="rate"))
    roles = {source["role"]: source for source in lineage["inputs"]}
    assert roles.keys() == {"science", "persistence"}
    handed = roles["persistence"]
    assert handed["name"] == f"{root(2)}_persistence.asdf"
    assert handed["made_by"]["pipeline"] == "detector1"
    assert "inputs" not in handed
    recorded = lineage["made_by"]["parameters"]
    assert recorded["persistence"] == {
        "persistence_array_file": [f"{root(2)}_persistence.asdf", "time order"],
        "save_persistence": [f"{root(3)}_persistence.asdf", "time order"],
    }
    of_raw = night.ask.where(fake.name(1))["products"]
    assert {Path(row["path"]).name.split("_nrca1_")[0][-5:] for row in of_raw} == {"00001"}
    of_handed = night.ask.uses(f"{root(2)}_persistence.asdf")["products"]
    assert {Path(row["product"]).name for row in of_handed} >= {fake.name(3, suffix="cal")}
    assert not [row for row in night.ask.stale() if row["why"][0]["what"] == "input"]


def test_in_another_context_they_are_made_again_in_order(new: Callable[..., Night]) -> None:
    night = new()
    for exposure in (1, 2, 3):
        night.arrives(exposure, SATURATES=str(exposure))
    night.works(10.0)
    numbers = [night.job(exposure).id for exposure in (3, 1, 2)]
    night.dispatch.terms = terms(night.config, "d.pmap")
    for number in numbers:
        night.dispatch.redo(number, night.now, live=False, reason="d.pmap is in force")
    assert night.works(10.0) == ["00001", "00002", "00003"]
    assert work_of(night.job(3).payload).context == "d.pmap"


def test_new_data_do_not_wait_for_old_data_that_are_made_again(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(1, SATURATES="a")
    night.works(10.0)
    number = night.job(1).id
    night.store.pause("image2", "so that little else is done", night.now)
    night.dispatch.terms = terms(night.config, "d.pmap")
    night.dispatch.redo(number, night.now, live=False, reason="d.pmap is in force")
    night.arrives(2)
    assert night.works(10.0) == ["00002", "00001"]
    assert night.rate(2) == "rate(light2 lit a)"


def test_for_those_who_are_less_urgent_and_were_never_made_a_clock_runs(new: Callable[..., Night]) -> None:
    night = new(patience_seconds=300.0)
    night.store.boost("09999", -1, night.now)
    night.store.pause("detector1", "by the test", night.now)
    night.arrives(1, PROGRAM="09999")
    night.arrives(2)
    night.works(10.0)
    assert night.job(2).reason == f"waits for its predecessor {root(1)} until 1970-01-01 00:05:00"
    night.works(300.0)
    assert not night.job(2).held


def test_when_the_order_is_switched_off_those_that_wait_go_on(new: Callable[..., Night]) -> None:
    night = new()
    night.arrives(2)
    night.arrives(1, SATURATES="a")
    night.dispatch.terms = replace(night.dispatch.terms, steps={})
    night.dispatch.look_over(night.now)
    assert set(night.works(0.0)) == {"00001", "00002"}
    assert night.rate(2) == "rate(light2)"


EXPOSURES = {
    1: {"SATURATES": "a", "PERSISTS": 450},
    2: {"SATURATES": "b", "PERSISTS": 2000},
    3: {"BLIND": True},
    4: {"SATURATES": "ad", "PERSISTS": 150},
    5: {"at": 5000.0, "SATURATES": "e"},
    6: {"at": 5200.0},
}


@cache
def in_order(lost: int | None) -> dict[str, str]:
    return products(sorted(EXPOSURES), [0] * 6, lost)


def products(order: Sequence[int], pauses: Sequence[int], lost: int | None) -> dict[str, str]:
    """Of a night in which exposures come in this order, with so many steps of work after each."""
    with TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        night = Night(Path(folder))
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("calwebbd.daemon.workshop.time.time", lambda: night.now)
                patch.setattr("calwebbd.daemon.workspace.os.fsync", lambda descriptor: None)
                for exposure, pause in zip(order, pauses, strict=True):
                    fate = {"DO": "wrong", "AT": "detector1"} if exposure == lost else {}
                    night.arrives(exposure, **EXPOSURES[exposure], **fate)
                    night.now += 6.0
                    for _ in range(pause):
                        if not night.step():
                            night.dispatch.assemble(night.now)
                night.works(hurry=True)
                return night.end()
        finally:
            night.store.close()


@settings(max_examples=25, deadline=None)
@given(
    order=st.permutations(sorted(EXPOSURES)),
    pauses=st.lists(st.sampled_from([0, 1, 2, 3, 20]), min_size=6, max_size=6),
    lost=st.sampled_from([None, 2, 4]),
)
def test_any_order_of_arrival_gives_the_same_products(
    order: list[int], pauses: list[int], lost: int | None
) -> None:
    """One exposure may be such that it cannot be calibrated."""
    assert products(order, pauses, lost) == in_order(lost)


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moment", range(0, 60, 3))
def test_a_night_that_breaks_off_anywhere_ends_as_if_it_had_not(
    moment: int, new: Callable[..., Night], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exposure 1 is late; the process is killed before its write of that number, and begins anew."""
    writes = itertools.count()
    transaction, rename = Store.transaction, os.replace

    def burn() -> None:
        if next(writes) == moment:
            raise Crash

    class Fragile:
        def __call__(self, store: Store) -> Any:
            return _fragile(store, transaction, burn)

    monkeypatch.setattr(Store, "transaction", lambda store: Fragile()(store))

    def moved(source: Path, target: Path) -> None:
        burn()
        rename(source, target)

    monkeypatch.setattr(workspace.os, "replace", moved)
    monkeypatch.setattr(workspace.os, "fsync", lambda descriptor: None)

    def live(now: float) -> Night:
        night = new()
        night.now = now
        night.shop.recover()
        night.dispatch.look_over(night.now)
        for exposure in (2, 3, 1):
            path = night.incoming / fake.name(exposure)
            if not path.exists():
                night.arrives(exposure, SATURATES=str(exposure))
            elif not night.records.unchanged(path, stamp(path) or ""):
                night.sees(path)
            night.works(10.0)
        return night

    try:
        live(100.0)
    except Crash:
        live(1000.0)
    found = {name: text for name, text in new().end().items() if name.endswith("_rate.fits")}
    assert [
        json.loads(found[fake.name(n, suffix="rate")].removesuffix("END"))["data"] for n in (1, 2, 3)
    ] == [
        "rate(light1)",
        "rate(light2 lit 1)",
        "rate(light3 lit 12)",
    ]
    shutil.rmtree(tmp_path / "out")


def _fragile(store: Store, transaction: Any, burn: Callable[[], None]) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def whole() -> Iterator[None]:
        before = store.connection.total_changes
        with transaction(store):
            yield
            if store._depth == 1 and store.connection.total_changes > before:
                burn()

    return whole()


def test_the_time_of_an_exposure_is_that_of_its_header() -> None:
    header = {"INSTRUME": "MIRI", "DETECTOR": "MIRIMAGE", "EXPSTART": 40588.0, "EXPEND": 40588.5}
    link = link_of("x", header, 10.0, 0.0)
    assert link is not None
    assert (link.detector, link.start, link.ended, link.reach) == (
        "MIRI MIRIMAGE",
        86400.0,
        129600.0,
        86390.0,
    )
    dated = link_of("x", header | {"EXPSTART": 0.0, "DATE-OBS": "1970-01-02", "TIME-OBS": "00:00:01.5"}, 0, 0)
    assert dated is not None
    assert dated.start == 86401.5
    assert link_of("x", {"DETECTOR": "MIRIMAGE", "EXPSTART": "soon"}, 0, 0) is None
