"""Requests: to the running service, or done in its place; and what is written down."""

import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from calwebbd.daemon import channel, control
from calwebbd.daemon.config import Config, Crds, Folders
from calwebbd.daemon.database import open_store
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.inbox import Inbox
from calwebbd.daemon.instance import alone
from calwebbd.daemon.operators import Revive
from calwebbd.daemon.records import Records
from calwebbd.daemon.terms import terms
from calwebbd.queues.job import NewJob, State
from calwebbd.queues.retry import Failure
from calwebbd.queues.store import connect


@pytest.fixture
def config(tmp_path: Path) -> Config:
    state = tmp_path / ("a state folder with so long a name that no socket could be bound there " * 3)
    state.mkdir()
    folders = Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=state)
    config = Config(folders=folders, crds=Crds(context="jwst_0001.pmap"))
    store = open_store(folders.database)
    job = NewJob(key="k", stage="s", subject="a", priority=1, mem_mb=9000, payload="{}")
    store.put(job, now=0.0)
    taken = store.claim("w", 0.0, lease_s=60.0, budget_mb=9000)
    assert taken is not None
    store.fail(taken, Failure.INPUT, "is out of focus", 0.0, jitter=0.0, budget_mb=9000)
    store.close()
    return config


@pytest.fixture
def service(config: Config) -> Iterator[Inbox[channel.Asked]]:
    """What a service does about requests; its inbox."""
    inbox: Inbox[channel.Asked] = Inbox()
    ended = threading.Event()
    begun = threading.Event()

    def loop() -> None:
        with alone(config.folders.state):
            store = open_store(config.folders.database)
            desk = control.Desk(config, Dispatch(store, Records(store.connection), terms(config, "c.pmap")))
            listener = channel.Listener(config.folders.state, inbox.post)
            begun.set()
            while not ended.wait(0.01):
                for asked in inbox.drain():
                    asked.answer(desk)
            listener.stop()
            store.close()

    thread = threading.Thread(target=loop)
    thread.start()
    assert begun.wait(60.0)
    yield inbox
    ended.set()
    thread.join()
    inbox.close()


def state_of(config: Config) -> State:
    reader = connect(config.folders.database, readonly=True)
    state = State(reader.execute("SELECT state FROM job").fetchone()[0])
    reader.close()
    return state


def decisions(config: Config) -> list[dict[str, object]]:
    reader = connect(config.folders.database, readonly=True)
    rows = [dict(row) for row in reader.execute("SELECT * FROM decision")]
    reader.close()
    return rows


def raw(config: Config, message: bytes) -> channel.Reply:
    """What the service replies to just these bytes."""
    with socket.socket(socket.AF_UNIX) as line, channel._address(config.folders.state) as address:
        line.connect(address)
        line.sendall(message)
        line.shutdown(socket.SHUT_WR)
        return msgspec.json.decode(line.recv(65536), type=channel.Reply)


@pytest.mark.usefixtures("service")
def test_a_running_service_carries_a_request_out(config: Config) -> None:
    assert channel.ask(config, Revive(jobs=(1,), why="more memory")) == {"retried": [1]}
    assert state_of(config) is State.READY


def test_without_a_service_the_command_does_it_in_its_place(config: Config) -> None:
    assert channel.ask(config, Revive(jobs=(1,))) == {"retried": [1]}
    assert state_of(config) is State.READY


@pytest.mark.parametrize("running", [True, False])
def test_who_wanted_what_and_why_is_written_down(
    config: Config, running: bool, request: pytest.FixtureRequest
) -> None:
    if running:
        request.getfixturevalue("service")
    channel.ask(config, Revive(jobs=(1,), why="more memory"))
    (row,) = decisions(config)
    expected = (channel._name(os.geteuid()), "revive", "job 1", "more memory")
    assert (row["who"], row["what"], row["subject"], row["why"]) == expected


@pytest.mark.parametrize("running", [True, False])
def test_a_refused_request_changes_nothing_and_says_why(
    config: Config, running: bool, request: pytest.FixtureRequest
) -> None:
    if running:
        request.getfixturevalue("service")
    with pytest.raises(CommandError, match="there is no job 2"):
        channel.ask(config, Revive(jobs=(1, 2)))
    assert state_of(config) is State.DEAD
    assert decisions(config) == []


@pytest.mark.usefixtures("service")
def test_only_the_user_may_use_the_socket(config: Config) -> None:
    found = (config.folders.state / channel.SOCKET).stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600


@pytest.mark.usefixtures("service")
def test_another_user_is_refused(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_allowed", lambda uid: False)
    with pytest.raises(CommandError, match="is not the user of the service"):
        channel.ask(config, Revive(jobs=(1,)))


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("message", [b"", b"{", b'{"type":"Explode"}', b'{"type":"Revive","jobs":[1],"x":1}'])
def test_what_is_no_request_is_refused(config: Config, message: bytes) -> None:
    assert raw(config, message).refused.startswith("the service does not understand the request")
    assert state_of(config) is State.DEAD


@pytest.mark.usefixtures("service")
def test_a_bug_in_a_handler_does_not_end_the_service(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bool:
        raise ZeroDivisionError("one by nought")

    with monkeypatch.context() as patch:
        patch.setattr("calwebbd.queues.store.Store.revive", broken)
        with pytest.raises(CommandError, match="one by nought"):
            channel.ask(config, Revive(jobs=(1,)))
    assert channel.ask(config, Revive(jobs=(1,))) == {"retried": [1]}


def test_the_socket_of_a_killed_service_does_no_harm(config: Config) -> None:
    left = socket.socket(socket.AF_UNIX)
    with channel._address(config.folders.state) as address:
        left.bind(address)
    left.close()
    assert channel.ask(config, Revive(jobs=(1,))) == {"retried": [1]}


def test_a_service_that_does_not_answer_is_not_waited_for_for_ever(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "PATIENCE_S", 0.2)
    with alone(config.folders.state), pytest.raises(CommandError, match=r"in use by process .* not answer"):
        channel.ask(config, Revive(jobs=(1,)))


def test_without_a_database_there_is_nothing_to_change(config: Config) -> None:
    config.folders.database.unlink()
    with pytest.raises(CommandError, match="no service has run here"):
        channel.ask(config, Revive(jobs=(1,)))


def test_every_request_has_a_handler_and_a_name_of_its_own() -> None:
    control.decoder()
    kinds = control.Request.__subclasses__()
    assert all(kind in control.carry_out.registry for kind in kinds)
    assert len({kind.__name__ for kind in kinds}) == len(kinds)
