"""A crash before or after each write to disk, in the night and in the recovery from a crash.

The whole night runs in this process, without workers' processes, so that every write
can be counted and the night be broken off at each: what is left on disk is what a
kill -9 leaves. The night that follows must end as if nothing had happened.
"""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_calibration as fake
import pytest
from fuses import Crash, FragileStore, Fuse

from calwebbd.daemon import instance, records, workspace
from calwebbd.daemon.config import Config, Crds, Folders, Workers
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.engine import Running
from calwebbd.daemon.intake import Seen, examine
from calwebbd.daemon.records import Records, stamp
from calwebbd.daemon.terms import Terms
from calwebbd.daemon.worker import Reply, attempt
from calwebbd.daemon.workshop import Workshop
from calwebbd.queues.store import Store, connect

MOSAIC = "jw01234-o001_t001_nircam_clear-f200w-sub64p_i2d.fits"


class InlineRunner:
    """Does each job at once, in this process."""

    def __init__(self) -> None:
        self.running: list[Running] = []
        self.most_mb = None
        self._replies: list[Reply] = []

    def room_mb(self, processes: int, budget_mb: int) -> int | None:
        return None if self.running else budget_mb

    def start(self, job: Any, work: Any, folder: Path, timeout_s: float) -> None:
        reply = attempt("fake_calibration:calibrate", work, folder, lambda step, state: None)
        self.running.append(Running(job=job, work=work, workspace=folder, limit=timeout_s))
        self._replies.append(reply)

    def ended(self) -> list[tuple[Running, Reply]]:
        done = list(zip(self.running, self._replies, strict=True))
        self.running, self._replies = [], []
        return done


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], int]:
    """Live through a night up to a number of writes; says how many there were."""
    folders = Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path)
    for folder in (folders.watch[0], folders.scratch):
        folder.mkdir(parents=True)
    config = Config(
        folders=folders, crds=Crds(context="c.pmap"), workers=Workers(processes=1, memory_mb=9000)
    )
    for exposure in (1, 2):
        fake.expose(folders.watch[0], exposure, of=2, text=f"light{exposure}")
    lives = itertools.count()
    rename = os.replace
    monkeypatch.setattr(instance, "alive", lambda worker: False)

    def night(blows_at: int | None) -> int:
        number = next(lives)
        fuse = Fuse(blows_at)
        monkeypatch.setattr(instance, "identity", lambda: f"life {number}")

        def replace(source: Path, target: Path) -> None:
            if target.parent == folders.output:
                fuse.burn()
            rename(source, target)

        monkeypatch.setattr(workspace.os, "replace", replace)
        monkeypatch.setattr(workspace.os, "fsync", lambda descriptor: None)
        store = FragileStore(folders.database, [records.MIGRATIONS])
        store.connection.execute("PRAGMA synchronous = OFF")  # the machine itself does not crash
        store.fuse = fuse
        try:
            _work(config, store)
        finally:
            store.close()
        return fuse.writes

    return night


def _work(config: Config, store: Store) -> None:
    """What the service does, without its threads."""
    terms = Terms(output=config.folders.output, context="c.pmap", code="0", budget_mb=9000)
    dispatch = Dispatch(store, Records(store.connection), terms)
    shop = Workshop(dispatch, InlineRunner(), config, lambda event, **facts: None)  # type: ignore[arg-type]
    shop.recover()
    for path in sorted(config.folders.watch[0].iterdir()):
        before = stamp(path)
        assert before is not None
        if not dispatch.records.unchanged(path, before):
            seen = examine(path, before, fake.verify)
            assert isinstance(seen, Seen)
            dispatch.arrived(seen, 0.0)
    while True:
        shop.begin()
        if shop.idle and not dispatch.assemble(0.0, hurry=True):
            return
        shop.hear()


def check(folder: Path) -> None:
    """Every product is there once, and the records say that it was made once."""
    each = {fake.name(n, suffix=s) for n in (1, 2) for s in ("rate", "rateints", "cal")}
    asn = "jw01234-o001_image3_00001_asn.json"
    assert {path.name for path in (folder / "out").iterdir()} == each | {MOSAIC, asn, ".calwebbd"}
    assert fake.read(folder / "out" / MOSAIC)["data"] == "i2d(cal(rate(light1))+cal(rate(light2)))"
    assert list((folder / "out" / ".calwebbd").iterdir()) == []
    reader = connect(folder / "calwebbd.db", readonly=True)
    rows = reader.execute("SELECT path, count(*) AS n FROM generated GROUP BY path").fetchall()
    states = reader.execute("SELECT DISTINCT state FROM job").fetchall()
    reader.close()
    assert {Path(row["path"]).name: row["n"] for row in rows} == dict.fromkeys(each | {MOSAIC, asn}, 1)
    assert [row["state"] for row in states] == ["done"]


def writes_of_a_night() -> int:
    """Two catalogued, five jobs (claim, intent, renames, end), one association."""
    return 2 + 5 * 3 + 2 * 2 + 2 * 1 + 2 + 1


def test_a_night_has_so_many_writes(live: Callable[[int | None], int], tmp_path: Path) -> None:
    assert live(None) == writes_of_a_night()
    check(tmp_path)


@pytest.mark.parametrize("moment", range(writes_of_a_night()))
def test_a_night_that_breaks_off_anywhere_is_finished_by_the_next(
    live: Callable[[int | None], int], tmp_path: Path, moment: int
) -> None:
    with pytest.raises(Crash):
        live(moment)
    live(None)
    check(tmp_path)


@pytest.mark.parametrize("pace", [5, 6, 7, 11])
def test_a_service_that_breaks_off_every_few_writes_still_gets_there(
    live: Callable[[int | None], int], tmp_path: Path, pace: int
) -> None:
    """To take a job back, claim it, note its result and publish one product takes five writes."""
    assert any(_survives(live, pace) for _ in range(20))
    check(tmp_path)


def test_a_product_that_vanished_before_it_was_published_is_made_again(
    live: Callable[[int | None], int], tmp_path: Path
) -> None:
    assert not _survives(live, 4)  # two files, a claim, the intention: no product is in its place
    lost = list((tmp_path / "out" / ".calwebbd").rglob("*_rate.fits"))
    assert len(lost) == 1
    lost[0].unlink()
    live(None)
    check(tmp_path)


def _survives(live: Callable[[int | None], int], moment: int) -> bool:
    try:
        live(moment)
    except Crash:
        return False
    return True
