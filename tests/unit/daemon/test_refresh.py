"""A service and a CRDS server: refreshed, in doubt, approved; errands are processes of their own."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_calibration as fake
import msgspec
import pytest
from crds_night import GAIN, NEW, OLD, config, double, forget_refresh, origin, rows, run_once
from crds_server import CrdsServer, Faults
from live_service import Live, started

from calwebbd.daemon.channel import ask
from calwebbd.daemon.commands import contexts as commands
from calwebbd.daemon.config import Config
from calwebbd.daemon.contexts import errands
from calwebbd.daemon.contexts.errands import Answer, Asked
from calwebbd.daemon.contexts.requests import Refresh
from calwebbd.stages.crds import cache

__all__ = ["config", "double", "origin", "started"]


def asked(**facts: Any) -> Answer:
    question = msgspec.json.encode(Asked(**facts))
    return msgspec.json.decode(errands.main("refresh", question), type=Answer)


def test_a_service_with_an_empty_cache_asks_the_server_and_follows_it(
    config: Config, double: CrdsServer
) -> None:
    fake.expose(Path(config.folders.watch[0]), 1)
    run_once(config)
    assert cache.contexts() == [OLD]
    assert rows(config, "SELECT context, cause FROM epoch") == [(OLD, "start")]
    double.contexts |= {"latest": NEW}
    forget_refresh(config)
    events = run_once(config)
    activated = [facts for event, facts in events if event == "context activated"]
    assert [(facts["context"], facts["affected"]) for facts in activated] == [(NEW, 0)]
    certified = activated[0]["certified"]
    assert certified == rows(config, "SELECT count(*) FROM certified")[0][0] > 0
    assert rows(config, "SELECT event FROM alert") == [("context",)]


def test_in_doubt_nothing_changes_and_there_is_one_alert(config: Config, double: CrdsServer) -> None:
    run_once(config)
    double.contexts |= {"latest": NEW}
    double.faults = Faults(status=500, files=("get_server_info",))
    for _ in range(2):
        forget_refresh(config)
        events = run_once(config)
        assert "context kept" in [event for event, _ in events]
    assert [row[0] for row in rows(config, "SELECT context FROM epoch")] == [OLD]
    ((cause, count, gone),) = rows(config, "SELECT cause, count, gone FROM alert")
    assert (cause, count, gone) == ("refresh", 2, None)
    double.faults = Faults()
    forget_refresh(config)
    run_once(config)
    assert rows(config, "SELECT gone IS NOT NULL FROM alert WHERE cause = 'refresh'") == [(1,)]
    assert rows(config, "SELECT context FROM epoch ORDER BY id DESC LIMIT 1") == [(NEW,)]


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(garbage=True), "no JSON"),
        (Faults(status=403, files=("jwst_nircam_0002.imap",)), "refused with status 403"),
    ],
)
def test_an_answer_that_is_not_whole_is_a_doubt(
    config: Config, double: CrdsServer, faults: Faults, reason: str
) -> None:
    double.contexts |= {"latest": NEW}
    double.faults = faults
    answer = asked(context="latest", active=OLD)
    assert reason in answer.doubt
    assert answer.change is None
    assert not cache.record().exists()


def test_a_context_that_is_older_or_no_context_is_a_doubt(config: Config, double: CrdsServer) -> None:
    assert "jwst_0002.pmap is newer" in asked(context="latest", active=NEW).doubt
    double.contexts |= {"latest": "../../evil.pmap"}
    assert "says that the context is" in asked(context="latest", active=OLD).doubt
    double.contexts |= {"latest": NEW}
    double.bad_files.append("jwst_nircam_gain_0002.rmap")
    assert "list of bad files" in asked(context="latest", active=OLD).doubt


def test_the_build_context_is_that_of_a_version(config: Config, double: CrdsServer) -> None:
    double.builds["3.0.0"] = OLD
    double.contexts |= {"latest": NEW}
    answer = asked(context="build", active=NEW, as_jwst="3.0.0")
    assert answer.change is not None
    assert answer.change.context == OLD
    assert len(answer.change.rules) == 40
    assert "get_build_context" in asked(context="build", as_jwst="0.1").doubt


def test_an_errand_that_knows_no_answer_says_so(config: Config) -> None:
    answer = json.loads(errands.main("refresh", b"{}"))
    assert "ValidationError" in answer["doubt"]


def test_references_are_verified_and_mended_and_their_users_listed(
    config: Config, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from calwebbd.stages import crds

    run_once(config)
    crds.locate(GAIN, OLD)
    cache.place(GAIN).write_bytes(b"x")
    path = tmp_path / "calwebbd.toml"
    folders = config.folders
    path.write_text(
        f'[folders]\nwatch = ["{folders.watch[0]}"]\noutput = "{folders.output}"\nstate = "{folders.state}"\n'
        f'[crds]\npath = "{config.crds.path}"\nserver = "{config.crds.server}"\n'
    )
    capsys.readouterr()
    assert verb(["verify", "--config", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verified"] == 0
    (damaged,) = said["corrupt"]
    assert damaged["name"] == GAIN
    assert damaged["mended"]
    assert damaged["good_at"] > time.time() - 600
    assert verb(["verify", "--config", str(path)]) == 0
    assert "1 references are well" in capsys.readouterr().out
    assert verb(["status", "--config", str(path)]) == 0
    assert f"context    {OLD}" in capsys.readouterr().out
    assert verb(["impact", NEW, "--config", str(path)]) == 0
    assert f"{NEW}: nothing is there that was made in another context" in capsys.readouterr().out
    assert verb(["approve", NEW, "--config", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["context"] == NEW
    assert verb(["rollback", "--config", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"context": OLD, "from": NEW}
    assert verb(["status", "--config", str(path), "--json"]) == 0
    history = json.loads(capsys.readouterr().out)["history"]
    assert [(row["context"], row["cause"]) for row in history] == [
        (OLD, "rollback"),
        (NEW, "approved"),
        (OLD, "start"),
    ]


def verb(arguments: list[str]) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    common = argparse.ArgumentParser(add_help=False)
    commands.add(parser.add_subparsers(), common)
    args = parser.parse_args(arguments)
    return int(args.run(args))


def test_an_attempt_says_what_its_references_were(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calwebbd.daemon.work import FileSum
    from calwebbd.daemon.worker import _sums
    from calwebbd.stages import crds
    from calwebbd.stages.crds.fetch import measure

    found = measure(crds.locate(GAIN, OLD))
    own = tmp_path / "mask.fits"  # one that is used instead of that of CRDS
    own.write_text("mine")
    files = {"gain": GAIN, "dark": "N/A", "mask": str(own), "area": "/no/more.fits", "flat": "other.fits"}
    sums = {GAIN: FileSum(found.sha1, found.size), own.name: FileSum(measure(own).sha1, 4)}
    assert _sums([{"references": files}]) == sums
    monkeypatch.setenv("CALWEBBD_CACHE", "/proc")  # nothing is remembered of what was verified
    assert _sums([{"references": files}]) == sums


def test_who_asks_for_a_refresh_has_it_at_once_though_one_has_just_failed(
    config: Config, double: CrdsServer, started: Callable[..., Live]
) -> None:
    live = started(config)
    live.hears("context settled")
    when = "SELECT value FROM setting WHERE name = 'crds refreshed'"
    live.until(lambda: rows(config, when))
    before = rows(config, when)
    double.faults = Faults(status=500)
    ask(config, Refresh())
    live.hears("context kept")
    assert rows(config, when) == before
    double.faults, double.contexts["latest"] = Faults(), NEW
    ask(config, Refresh())
    live.hears("context activated", context=NEW)
    live.until(lambda: rows(config, when) > before)
    assert rows(config, "SELECT cause FROM alert WHERE gone IS NULL") == []  # news, nothing that lasts


def test_a_service_that_stops_ends_its_errands(config: Config, double: CrdsServer) -> None:
    from calwebbd.daemon.alerts import Alerts
    from calwebbd.daemon.contexts.keeper import Keeper, Returned
    from calwebbd.daemon.database import open_store
    from calwebbd.daemon.dispatch import Dispatch
    from calwebbd.daemon.records import Records
    from calwebbd.daemon.terms import terms

    config.folders.state.mkdir()
    store = open_store(config.folders.database)
    dispatch = Dispatch(store, Records(store.connection), terms(config, OLD))
    posted: list[Returned] = []
    alerts = Alerts(store.connection, [])
    keeper = Keeper(config, dispatch, alerts, posted.append, lambda event, **facts: None)
    double.faults = Faults(slow=60.0)
    assert keeper.start("refresh")
    assert not keeper.start("refresh")
    assert keeper.busy
    keeper.close()
    (message,) = posted
    assert "its process ended with exit code -9" in message.answer["doubt"]
    alerts.close()
    store.close()
