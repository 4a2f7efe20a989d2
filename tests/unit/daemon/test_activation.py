"""A kill before each write by which a context comes into force: in the cache, in the database."""

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from catalogues import Catalogue
from crds_night import GAIN, NEW, OLD, config, double, origin, rows
from crds_server import CrdsServer
from fuses import Crash, FragileStore, Fuse

from calwebbd.daemon import records
from calwebbd.daemon.alerts import Alerts
from calwebbd.daemon.config import Config, Crds, Folders
from calwebbd.daemon.contexts import errands
from calwebbd.daemon.contexts.epochs import Epochs
from calwebbd.daemon.contexts.keeper import Keeper, Returned, first_context
from calwebbd.daemon.contexts.policy import activate
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.records import Records
from calwebbd.daemon.terms import terms
from calwebbd.stages.crds import rules

__all__ = ["config", "double", "origin"]

NOW = 1.8e9
FACTS = {"INSTRUME": "NIRCAM", "EXP_TYPE": "NRC_IMAGE", "DATE-OBS": "2024-06-01", "TIME-OBS": "10:00:00"}
USED = {"detector1": {"gain": GAIN}, "image2": {}}


@pytest.fixture
def before(config: Config, double: CrdsServer, tmp_path: Path) -> Path:
    """The folder of a service with products of the old context; the server has a new one."""
    errands.main("refresh", msgspec.json.encode({"context": OLD}))
    config.folders.state.mkdir()
    catalogue = Catalogue(config.folders.database)
    dispatch = Dispatch(catalogue.store, Records(catalogue.store.connection), terms(config, OLD))
    activate(dispatch, errands.Change(OLD), "start", 1.0, redo=False)
    for detector in ("NRCA1", "NRCA2"):
        name = f"jw01234001001_02101_00001_{detector.lower()}"
        catalogue.exposure(name, FACTS | {"DETECTOR": detector}, OLD, USED)
    catalogue.store.close()
    double.contexts |= {"latest": NEW}
    return tmp_path


def copied(config: Config, before: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The same service in a folder of its own."""
    here = before.parent / f"{before.name}-{number}"
    for name in ("state", "crds"):
        shutil.copytree(before / name, here / name)
    monkeypatch.setenv("CRDS_PATH", str(here / "crds"))
    folders = Folders(watch=(here / "in",), output=here / "out", state=here / "state")
    crds = Crds(path=here / "crds", server=config.crds.server, reprocess="auto")
    return msgspec.structs.replace(config, folders=folders, crds=crds)


def live(config: Config, fuse: Fuse) -> None:
    """What a service does about contexts, without its threads and processes, until nothing is left to do."""
    rules.forget()
    store = FragileStore(config.folders.database, [records.MIGRATIONS])
    store.connection.execute("PRAGMA synchronous = OFF")  # the machine itself does not crash
    store.fuse = fuse
    alerts = Alerts(store.connection, [])
    try:
        context = first_context(config, Epochs(store.connection).active())
        dispatch = Dispatch(store, Records(store.connection), terms(config, context))
        keeper = Keeper(config, dispatch, alerts, lambda returned: None, lambda event, **facts: None)

        def start(errand: str, context: str | None = None) -> bool:
            asked = {"context": context or "latest", "active": dispatch.terms.context}
            asked |= {"database": str(config.folders.database)}
            empty = {"damaged": [], "verified": 0, "change": None, "bad": [], "doubt": ""}
            answer = msgspec.json.decode(errands.main(errand, msgspec.json.encode(asked)))
            keeper.returned(Returned(errand, empty | answer), NOW)
            return True

        keeper.start = start  # type: ignore[method-assign]
        keeper.begin(context, NOW)
        keeper.tick(NOW)
        while keeper.pump(NOW) or dispatch.behind:
            keeper.tick(NOW)
    finally:
        alerts.close()
        store.close()


def check_whole(config: Config) -> None:
    """Either the old context, or the new one with all that follows from it."""
    (active,) = rows(config, "SELECT context FROM epoch ORDER BY id DESC LIMIT 1")[0]
    certified = rows(config, f"SELECT count(*) FROM certified WHERE context = '{NEW}'")[0][0]
    waiting = "SELECT subject FROM job WHERE state = 'ready' OR id IN (SELECT job FROM redo)"
    again = rows(config, f"SELECT count(DISTINCT subject) FROM ({waiting})")
    expected = (0, 0) if active == OLD else (2, 1)
    assert (certified, again[0][0]) == expected


def check_done(config: Config) -> None:
    check_whole(config)
    assert rows(config, "SELECT context, cause FROM epoch ORDER BY id") == [(OLD, "start"), (NEW, "refresh")]
    (job,) = rows(config, "SELECT stage, json_extract(payload, '$.context') FROM job WHERE state = 'ready'")
    assert job == ("detector1", NEW)
    assert rows(config, "SELECT count(*) FROM redo") == [(0,)]
    assert rows(config, "SELECT value FROM setting WHERE name IN ('context', 'crds refreshed')") == [
        (NEW,), (str(NOW),)
    ]  # fmt: skip


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fuse], None]:
    """Have renames in a cache burn a fuse, too."""
    rename = os.replace

    def watch(fuse: Fuse) -> None:
        def replace(source: Path, target: Path) -> None:
            if "crds" in Path(target).parts:
                fuse.burn()
            rename(source, target)

        monkeypatch.setattr(os, "replace", replace)

    return watch


def test_a_kill_at_any_moment_leaves_the_old_context_or_the_new_and_the_next_start_goes_on(
    config: Config, before: Path, fused: Callable[[Fuse], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for moment in itertools.count():
        service = copied(config, before, moment, monkeypatch)
        fused(fuse := Fuse(moment))
        try:
            live(service, fuse)
        except Crash:
            check_whole(service)
            fused(fuse := Fuse(None))
            live(service, fuse)
            check_done(service)
        else:
            check_done(service)
            break
        finally:
            shutil.rmtree(service.folders.state.parent)
    assert moment > 8  # mappings, the record of the server, activation, jobs
