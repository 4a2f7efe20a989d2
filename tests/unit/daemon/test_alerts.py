"""Alerts: one for each cause, to whom it concerns; whatever becomes of them, nothing else suffers."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from calwebbd.daemon.alerts import REMIND_S, Alerts, instruments_of, wants
from calwebbd.daemon.config import Notify
from calwebbd.daemon.database import open_store
from calwebbd.queues.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = open_store(tmp_path / "calwebbd.db")
    yield found
    found.close()


class Sent:
    """What was sent; `fails` for a service that cannot be reached, `raises` for a library with a bug."""

    def __init__(self, outcome: object = True) -> None:
        self.messages: list[tuple[str, str, str]] = []
        self.outcome = outcome

    def __call__(self, url: str, title: str, text: str) -> bool:
        self.messages.append((url, title, text))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return bool(self.outcome)


def done(alerts: Alerts) -> None:
    alerts._threads.submit(lambda: None).result()


def test_a_cause_is_told_once_until_it_is_gone(store: Store) -> None:
    sent = Sent()
    alerts = Alerts(store.connection, [Notify(url="json://localhost")], sent)
    assert alerts.tell("refresh", "crds", "the server is down")
    assert not alerts.tell("refresh", "crds", "the server is still down")
    alerts.clear("refresh")
    assert alerts.tell("refresh", "crds", "the server is down again")
    done(alerts)
    assert [text for _, _, text in sent.messages] == ["the server is down", "the server is down again"]
    (row,) = store.connection.execute("SELECT text, count, gone FROM alert").fetchall()
    assert tuple(row) == ("the server is down again", 1, None)
    alerts.close()


def test_a_restart_does_not_tell_again_but_a_month_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = Alerts(store.connection, [], Sent())
    assert alerts.tell("refresh", "crds", "down")
    again = Alerts(store.connection, [], Sent())
    assert not again.tell("refresh", "crds", "down")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + REMIND_S + 1)
    assert again.tell("refresh", "crds", "down")


def test_subscribers_hear_of_their_instruments_and_events_only() -> None:
    miri = Notify(url="x", instruments=("MIRI",))
    assert wants(miri, "context", ["miri", "nircam"])
    assert not wants(miri, "context", ["nircam"])
    assert wants(miri, "crds", [])
    assert wants(Notify(url="x"), "context", ["nircam"])
    assert not wants(Notify(url="x", events=("corrupt",)), "context", [])


def test_a_failure_to_notify_stops_nothing(store: Store) -> None:
    for outcome in (False, OSError("no route"), ImportError("no apprise")):
        sent = Sent(outcome)
        alerts = Alerts(store.connection, [Notify(url="mailto://secret@host")] * 2, sent)
        assert alerts.tell(f"cause {outcome}", "failed", "text")
        done(alerts)
        assert len(sent.messages) == 2
        alerts.close()


def test_the_instrument_is_in_the_name() -> None:
    assert instruments_of("jw01234001001_02101_00001_nrca1") == ("nircam",)
    assert instruments_of("jw01234-o001_t001_miri_f770w") == ("miri",)
    assert instruments_of("jw01234001001_gs-acq1_2022117003102") == ()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of apprise, when it is imported
def test_a_web_hook_gets_the_message(store: Store) -> None:
    heard: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with HTTPServer(("localhost", 0), Hook) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        alerts = Alerts(store.connection, [Notify(url=f"json://localhost:{server.server_address[1]}")])
        alerts.tell("context", "context", "jwst_0002.pmap waits", ["nircam"])
        thread.join(20)
        done(alerts)
        alerts.close()
    assert heard[0]["title"] == "calwebbd: context"
    assert heard[0]["message"] == "jwst_0002.pmap waits"
