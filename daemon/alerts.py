"""Tell people: one alert for each cause, by mail, chat or web hook, as the configuration says for whom.

Sending is the business of apprise (``pip install calwebbd[notify]``), in a thread of its own:
whatever becomes of it, the service goes on. What is told is in the records, told or not.
"""

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import structlog

from calwebbd.daemon.config import Notify

REMIND_S = 30 * 86400.0  #: what has not gone away by then is told again
CLOSING_S = 5.0

Send = Callable[[str, str, str], bool]
_log = structlog.get_logger(__name__)


class Alerts:
    """Lives in the main loop. send : (URL, title, text) -> whether it went."""

    def __init__(
        self, connection: sqlite3.Connection, subscribers: Sequence[Notify], send: Send | None = None
    ) -> None:
        self._connection = connection
        self.subscribers = subscribers
        self._send = send or by_apprise
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="notify")

    def close(self) -> None:
        """What is still to be sent has a moment."""
        with suppress(TimeoutError):
            self._threads.submit(lambda: None).result(CLOSING_S)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def tell(self, cause: str, event: str, text: str, instruments: Collection[str] = ()) -> bool:
        """Tell whom it concerns, unless they know; whether they were told now.

        instruments : none for what concerns all
        """
        now = time.time()
        known = self._connection.execute(
            "SELECT first, gone FROM alert WHERE cause = :cause", {"cause": cause}
        ).fetchone()
        fresh = known is None or known["gone"] is not None or now - known["first"] > REMIND_S
        self._connection.execute(
            _NOTE, {"cause": cause, "event": event, "text": text, "now": now, "fresh": fresh}
        )
        if fresh:
            self._deliver(event, text, {name.lower() for name in instruments})
        return fresh

    def clear(self, cause: str) -> None:
        """It is well again: the next time is news."""
        self._connection.execute(
            "UPDATE alert SET gone = :now WHERE cause = :cause AND gone IS NULL",
            {"cause": cause, "now": time.time()},
        )

    def lasting(self, start: str) -> list[str]:
        """Causes that begin so and are not gone."""
        query = "SELECT cause FROM alert WHERE gone IS NULL AND substr(cause, 1, :n) = :start ORDER BY cause"
        return [row["cause"] for row in self._connection.execute(query, {"n": len(start), "start": start})]

    def _deliver(self, event: str, text: str, instruments: Collection[str]) -> None:
        for each in self.subscribers:
            if wants(each, event, instruments):
                self._threads.submit(self._attempt, each.url, f"calwebbd: {event}", text)

    def _attempt(self, url: str, title: str, text: str) -> None:
        try:
            sent = self._send(url, title, text)
        except Exception as error:  # a library for a hundred services: none may stop ours
            sent = False
            _log.warning("notification failed", error=f"{type(error).__name__}: {error}")
        if not sent:
            _log.warning("not notified", service=url.partition(":")[0], text=text)  # the rest may be secret


_NOTE = """
INSERT INTO alert (cause, event, text, first, last, count) VALUES (:cause, :event, :text, :now, :now, 1)
ON CONFLICT (cause) DO UPDATE SET event = excluded.event, text = excluded.text, last = excluded.last,
    first = CASE WHEN :fresh THEN excluded.first ELSE alert.first END,
    count = CASE WHEN :fresh THEN 1 ELSE alert.count + 1 END, gone = NULL
"""


def wants(subscriber: Notify, event: str, instruments: Collection[str]) -> bool:
    """Whether an alert is for a subscriber; what concerns no instrument concerns all."""
    of_kind = not subscriber.events or event in subscriber.events
    own = {name.lower() for name in subscriber.instruments}
    return of_kind and (not own or not instruments or bool(own & set(instruments)))


def by_apprise(url: str, title: str, text: str) -> bool:
    """Send one message. ImportError without the extra ``calwebbd[notify]``."""
    import apprise

    sender: Any = apprise.Apprise()
    if not sender.add(url):
        return False
    return bool(sender.notify(body=text, title=title))


def instruments_of(product: str) -> tuple[str, ...]:
    """The instrument of a product, by the detector or instrument in its name; none if there is none."""
    parts = product.lower().split("_")
    found = (part if part in _DETECTORS.values() else _DETECTORS.get(part[:3]) for part in parts[1:])
    return tuple(dict.fromkeys(name for name in found if name))


#: instrument by the first letters of its detectors
_DETECTORS = {
    "nrc": "nircam",
    "mir": "miri",
    "nis": "niriss",
    "nrs": "nirspec",
    "gui": "fgs",
}
