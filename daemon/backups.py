"""Copies of the database by the clock: begun when they are due, the oldest given up.

The copy is made by a thread, over a connection of its own; when one was last made is in the
records, so that what a stop or a sleep has missed is made up at once.
"""

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calwebbd.daemon.alerts import Alerts
from calwebbd.daemon.backup import backup
from calwebbd.daemon.config import Backup, Config
from calwebbd.daemon.contexts.due import again_due
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.records import Records

NAMES = "calwebbd-*T*Z.db"
RETRY_S = 3600.0  #: after one that failed
LAST = "backed up"

Tell = Callable[..., None]


@dataclass(frozen=True)
class BackedUp:
    """A copy is made, or why it could not be; removed : of those before, how many."""

    made: dict[str, Any]
    removed: int = 0
    reason: str = ""


class Backups:
    """Lives in the main loop; only the copying is elsewhere."""

    def __init__(
        self,
        config: Config,
        records: Records,
        alerts: Alerts,
        post: Callable[[BackedUp], None],
        tell: Tell,
    ) -> None:
        self._config = config
        self._records = records
        self._alerts = alerts
        self._post = post
        self._tell = tell
        self._thread: threading.Thread | None = None
        self._failed: float | None = None

    def reconfigure(self, config: Config) -> None:
        self._config = config

    @property
    def busy(self) -> bool:
        """Whether a copy is being made."""
        return self._thread is not None

    def tick(self, now: float) -> None:
        """Begin a copy, if one is due."""
        wanted = self._config.backup
        last = self._records.setting(LAST)
        just_failed = self._failed is not None and 0 <= now - self._failed < RETRY_S
        if wanted.folder is None or self._thread or just_failed:
            return
        if again_due(float(last) if last else None, now, wanted.every_hours * 3600.0):
            asked = (self._config.folders.database, wanted, now)
            self._thread = threading.Thread(target=self._copy, args=asked, name="backup", daemon=True)
            self._thread.start()

    def returned(self, message: BackedUp, now: float) -> None:
        """Write down what came of it; one alert until it goes well again."""
        self._thread = None
        if message.reason:
            self._failed = now
            self._tell("not backed up", reason=message.reason)
            self._alerts.tell("backup", "backup", f"The database is not backed up: {message.reason}")
            return
        self._failed = None
        self._records.set(LAST, str(now), now)
        self._records.decide("service", "backup", message.made["backup"], "by the clock", now)
        self._alerts.clear("backup")
        self._tell("backed up", removed=message.removed, **message.made)

    def close(self) -> None:
        """A copy that has been begun is finished."""
        if self._thread:
            self._thread.join()

    def _copy(self, database: Path, wanted: Backup, now: float) -> None:
        assert wanted.folder is not None
        target = wanted.folder / f"calwebbd-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}.db"
        try:
            wanted.folder.mkdir(parents=True, exist_ok=True)
            made = backup(database, target)
            self._post(BackedUp(made, thin(wanted.folder, wanted.keep)))
        except (CommandError, OSError, sqlite3.Error) as error:
            self._post(BackedUp({}, reason=str(error)))


def thin(folder: Path, keep: int) -> int:
    """Remove all but the newest copies that were made by the clock; how many."""
    old = sorted(folder.glob(NAMES))[:-keep]
    for path in old:
        path.unlink()
    return len(old)
