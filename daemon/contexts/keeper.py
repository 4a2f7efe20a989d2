"""The contexts of a running service: begins errands when they are due, and does what their answers ask for.

Offline or in doubt nothing changes: the context in force stays, and one alert says why.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from calwebbd.daemon.alerts import Alerts
from calwebbd.daemon.config import Config
from calwebbd.daemon.contexts.due import RETRY_S, again_due, refresh_due, spread
from calwebbd.daemon.contexts.epochs import Change, Epoch, Epochs
from calwebbd.daemon.contexts.policy import activate, environment, receive, sentence, server_of
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.stages.crds.damage import Damaged
from calwebbd.stages.errors import ReferenceMissing

MODULE = "calwebbd.daemon.contexts.errands"
LONGEST_S = 6 * 3600.0  #: an errand
DOUBTS = {
    "refresh": "The context cannot be refreshed",
    "compare": "Products cannot be compared with the context",
    "verify": "References cannot be verified",
}

Tell = Callable[..., None]


@dataclass(frozen=True)
class Returned:
    """An errand has ended; answer : as `errands.Answer` has it, or only its `doubt`."""

    errand: str
    answer: Mapping[str, Any]


class Keeper:
    """Lives in the main loop; only the errands are elsewhere."""

    def __init__(
        self, config: Config, dispatch: Dispatch, alerts: Alerts, post: Callable[[Returned], None], tell: Tell
    ) -> None:
        self._config = config
        self._dispatch = dispatch
        self._alerts = alerts
        self._post = post
        self._tell = tell
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._failed: dict[str, float] = {}  # when each errand did, if that was the last time
        self._asked = False

    @property
    def epochs(self) -> Epochs:
        return self._dispatch.epochs

    @property
    def busy(self) -> bool:
        """Whether an errand runs, or jobs wait to be put again."""
        return bool(self._running) or self.epochs.pending() > 0

    def begin(self, context: str, now: float) -> None:
        """The service starts: that context is in force, by the configuration or as it was."""
        active = self.epochs.active()
        if active is not None and active.context == context:
            self._dispatch.behind = (
                True  # it may have come into force while no service ran, or just before a kill
            )
            return
        cause = "start" if active is None else "configured"
        redo = self._config.crds.reprocess == "auto"
        activate(self._dispatch, Change(context), cause, now, redo=redo)
        self._tell("context changed", context=context, cause=cause)

    def tick(self, now: float) -> None:
        """Begin what is due."""
        if not (self._config.crds.path or os.environ.get("CRDS_PATH")):
            return
        crds, records, context = self._config.crds, self._dispatch.records, self._dispatch.terms.context
        refreshed = 0.0 if self._asked else self._moment("crds refreshed")
        failed = self._failed.get("refresh")
        if refresh_due(refreshed, failed, now, crds.refresh_hour, spread()) and self._news(now):
            self.start("refresh")
        elif self._dispatch.behind and self._may_compare(now):
            self._dispatch.behind = False
            if self.epochs.behind(context):
                self.start("compare", context)
        verified = self._moment("references verified")
        if verified is None:  # each is verified when it is first used
            records.set("references verified", str(now), now)
        elif again_due(verified, now, crds.verify_days * 86400.0):
            self.start("verify")

    def hasten(self) -> None:
        """Refresh now, though it was done today, or failed just before."""
        self._failed.clear()
        self._asked = True  # until it succeeds; when it last did stays on record
        self.tick(time.time())

    def _may_compare(self, now: float) -> bool:
        free = not self._running.keys() & {"refresh", "compare"}
        return free and again_due(self._failed.get("compare"), now, RETRY_S)

    def _news(self, now: float) -> bool:
        """Whether there may be any; where there is no server, the cache tells at once."""
        wanted = self._config.crds.context
        if server_of(self._config) is not None:
            return True
        if not wanted.endswith(".pmap"):
            from calwebbd.stages.crds import literal_context

            try:
                if literal_context(wanted) != self._dispatch.terms.context:
                    return True
            except ReferenceMissing as error:
                self._failed["refresh"] = now
                self._doubt("refresh", error.reason)
                return False
        self._dispatch.records.set("crds refreshed", str(now), now)
        self._asked = False
        return False

    def start(self, errand: str, context: str | None = None) -> bool:
        """Send somebody; False if the same errand is being run."""
        if errand in self._running:
            return False
        crds = self._config.crds
        asked = {
            "context": context or crds.context,
            "active": self._dispatch.terms.context,
            "as_jwst": crds.as_jwst,
            "database": str(self._config.folders.database),
        }
        process = subprocess.Popen(
            _command(errand),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_variables(self._config),
        )
        self._running[errand] = process
        told = (errand, process, msgspec.json.encode(asked))
        self._threads[errand] = threading.Thread(target=self._await, args=told, name=errand, daemon=True)
        self._threads[errand].start()
        return True

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
        for thread in self._threads.values():
            thread.join()

    def returned(self, message: Returned, now: float) -> None:
        """Do what the answer asks for."""
        self._running.pop(message.errand, None)
        answer = message.answer
        if answer["doubt"]:
            self._failed[message.errand] = now
            self._dispatch.behind |= message.errand == "compare"
            self._doubt(message.errand, answer["doubt"])
            return
        self._failed.pop(message.errand, None)
        self._alerts.clear(message.errand)
        if message.errand == "verify":
            self._dispatch.records.set("references verified", str(now), now)
            damaged = msgspec.convert(answer["damaged"], list[Damaged])
            self.damaged(damaged)
            if not damaged:
                self._tell("references verified", files=answer["verified"])
            return
        self._refreshed(msgspec.convert(answer["change"], Change), now)
        if message.errand == "refresh":  # last: else a kill would cost a day
            self._forbid(answer["bad"])
            self._dispatch.records.set("crds refreshed", str(now), now)
            self._asked = False

    def pump(self, now: float) -> bool:
        """Put a few of the jobs that are to be done again; whether there are more."""
        jobs = self.epochs.next_redo()
        if not jobs:
            return False
        with self._dispatch.store.transaction():
            for job, live, reason in jobs:
                self._dispatch.redo(job, now, live=live, reason=reason)
                self.epochs.redone(job)
        return self.epochs.pending() > 0

    def _refreshed(self, change: Change, now: float) -> None:
        outcome = receive(self._dispatch, self._config.crds.reprocess, change, now)
        facts = {"context": change.context, "affected": len(change.jobs), "certified": len(change.certified)}
        what = {"activated": "is in force", "proposed": f"waits for: calwebbd crds approve {change.context}"}
        self._tell(f"context {outcome}", **facts)
        if outcome in what:
            text = sentence(change, what[outcome])
            instruments = tuple(change.summary.get("types", {}))
            self._alerts.tell(f"{outcome} {change.context}", "context", text, instruments)
            if outcome == "activated":  # that is news, nothing that lasts
                self._alerts.clear(f"activated {change.context}")

    def _doubt(self, errand: str, reason: str) -> None:
        context = self._dispatch.terms.context
        self._tell("context kept", context=context, reason=reason)
        self._alerts.tell(errand, "crds", f"{DOUBTS[errand]}, {context} stays in force: {reason}", ())

    def _forbid(self, bad: Iterable[str]) -> None:
        """Files that must not be used: tell which products are there that were made with each."""
        users = self.epochs.made_with(bad)
        for name, products in users.items():
            text = f"{name} is on the list of bad files. Made with it: {', '.join(products)}"
            self._alerts.tell(f"bad {name}", "bad", text, name.split("_")[1:2])
        for cause in self._alerts.lasting("bad "):
            if cause.removeprefix("bad ") not in users:
                self._alerts.clear(cause)

    def damaged(self, found: Iterable[Damaged]) -> None:
        """Corrupt references: tell of them, and of what was made with each since it was last well."""
        for each in found:
            users = self.epochs.users(each.name, each.good_at)
            facts = {"file": each.name, "reason": each.reason, "mended": each.mended}
            self._tell("corrupt", **facts, used_by=len(users))
            products = sorted({user["product"] for user in users})
            text = (
                f"{each.reason}; it {'was fetched again' if each.mended else 'could not be replaced'}. "
                f"Made with it since it was last well: {', '.join(products) or 'nothing'}"
            )
            cause = f"corrupt {each.name}"
            self._alerts.tell(cause, "corrupt", text, each.name.split("_")[1:2])
            if each.mended:
                self._alerts.clear(cause)

    def _moment(self, name: str) -> float | None:
        found = self._dispatch.records.setting(name)
        return None if found is None else float(found)

    def _await(self, errand: str, process: "subprocess.Popen[bytes]", question: bytes) -> None:
        try:
            output, _ = process.communicate(question, timeout=LONGEST_S)
            answer = msgspec.json.decode(output)
        except subprocess.TimeoutExpired:
            process.kill()
            answer = {"doubt": f"it took longer than {LONGEST_S / 3600:.0f} h"}
        except (OSError, msgspec.DecodeError):
            answer = {"doubt": f"its process ended with exit code {process.wait()} and no answer"}
        self._post(Returned(errand, answer))


def first_context(config: Config, active: Epoch | None) -> str:
    """With which context the service begins: the configured one; as it was before; the one that is found.

    A literal name needs no cache, nor the library that reads it. Raises ReferenceMissing.
    """
    wanted = config.crds.context
    if wanted.endswith(".pmap"):
        return wanted
    if active is not None:
        return active.context
    from calwebbd.stages import crds

    try:
        return crds.literal_context(wanted)
    except ReferenceMissing:
        if server_of(config) is None:
            raise
    return found_now(config)


def found_now(config: Config) -> str:
    """The context that the server says it is, fetched and verified, when there is none yet.

    Raises ReferenceMissing.
    """
    asked = {"context": config.crds.context, "as_jwst": config.crds.as_jwst}
    done = subprocess.run(
        _command("refresh"),
        input=msgspec.json.encode(asked),
        env=_variables(config),
        capture_output=True,
        check=False,
    )
    said = done.stderr.decode().strip()
    answer: dict[str, Any] = msgspec.json.decode(done.stdout) if done.stdout else {"doubt": said}
    if answer["doubt"]:
        raise ReferenceMissing(answer["doubt"])
    return str(answer["change"]["context"])


def _command(errand: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", MODULE, errand]


def _variables(config: Config) -> dict[str, str]:
    return {**os.environ, **environment(config)}
