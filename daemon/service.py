"""The service: one loop which hears of files, workers and clocks, and acts.

Threads watch, scan, verify and tick; processes calibrate; all of them only post what
they found. The loop alone uses the database. On start it first brings to an end what
an earlier life left, then watches. So a kill at any moment costs at most the attempts
under way.
"""

import json
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import singledispatchmethod
from importlib.metadata import version
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import msgspec
import structlog

from calwebbd.daemon import channel, control, heartbeat, instance, logs, notify, reload, schedule
from calwebbd.daemon.alerts import Alerts, instruments_of
from calwebbd.daemon.config import Config, ConfigError
from calwebbd.daemon.config import load as load_config
from calwebbd.daemon.contexts.epochs import Epoch, Epochs
from calwebbd.daemon.contexts.keeper import Keeper, Returned, found_now
from calwebbd.daemon.contexts.policy import environment, server_of
from calwebbd.daemon.database import open_store
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.inbox import Inbox
from calwebbd.daemon.outlet import cannot_write
from calwebbd.daemon.pressure import Pressure
from calwebbd.daemon.pulse import Pulse
from calwebbd.daemon.reception import Examined, Reception
from calwebbd.daemon.records import Records
from calwebbd.daemon.runner import Runner
from calwebbd.daemon.schedule import Tick, scheduler, set_periods
from calwebbd.daemon.sightings import Doubt, Found, Hint, Scanned
from calwebbd.daemon.terms import terms
from calwebbd.daemon.watch import Watcher
from calwebbd.daemon.worker import Setting, load
from calwebbd.daemon.workshop import Workshop
from calwebbd.stages import plugins
from calwebbd.stages.errors import ReferenceMissing
from calwebbd.stages.memory import BUDGET

CALIBRATE = "calwebbd.daemon.calibrate:calibrate"
VERIFY = "calwebbd.stages.verify:verify"
LONGEST_WAIT_S = 5.0
WARNINGS = frozenset(
    {"quarantined", "failed", "left out", "underestimated", "events lost", "context kept", "corrupt"}
    | {"cannot write", "reload refused"}
)
SOON_S = 60.0  #: with `once`, jobs to be tried again within this are waited for

#: (event, facts about it), for whoever shows progress
OnEvent = Callable[[str, dict[str, Any]], None]
_log = structlog.get_logger(__name__)


class Stop(StrEnum):
    DRAIN = "drain"  #: end what runs, begin nothing
    NOW = "now"


@dataclass(frozen=True)
class Hangup:
    """Read the configuration again."""


class Service:
    """source : file of the configuration, to read it again
    calibrate, verify : ``module:name`` of what does the work, for tests to replace
    """

    def __init__(
        self,
        config: Config,
        *,
        source: Path | None = None,
        on_event: OnEvent | None = None,
        calibrate: str = CALIBRATE,
        verify: str = VERIFY,
    ) -> None:
        self.config = config
        self._on_event = on_event
        self._calibrate = calibrate
        self._verify = verify
        self._inbox: Inbox[Any] = Inbox()
        self._source = source
        self._stop: Stop | None = None
        self._held = ""  #: why no job is begun
        self._pulse = Pulse()
        self._stalled: list[str] = []
        self._fed_at = 0.0
        self._scanned: set[Path] = set()

    def run(self, *, once: bool = False) -> None:
        """Serve until stopped; with `once`, until everything that can be done is done.

        Raises AlreadyRunning if another service has the state folder, Unfit if its database
        cannot be used, ReferenceMissing if the context cannot be resolved.
        """
        folders = self.config.folders
        with ExitStack() as stack:
            stack.enter_context(self._signals())
            if not self._can_write(once):
                return
            stack.enter_context(instance.alone(folders.state))
            self._open(stack)
            self._workshop.recover()
            self._pressure.begin(time.time())
            stack.callback(channel.Listener(folders.state, self._inbox.post).stop)
            self._watcher.start()
            stack.callback(self._watcher.stop)
            self._scheduler.start()
            stack.callback(self._scheduler.shutdown)
            stack.callback(self._scheduler.pause)  # else a last tick meets a pool that is gone already
            self._expect()
            notify.notify("READY=1")
            self._decide("start", f"context {self._dispatch.terms.context}, version {version('calwebbd')}")
            self._keeper.tick(time.time())
            self._loop(once)
            notify.notify("STOPPING=1")
            self._workshop.abandon()
            self._note()
            self._decide("stop", "asked to" if self._stop else "nothing is left to do")

    def _can_write(self, once: bool) -> bool:
        """Wait until there is somewhere to write to; False if stopped meanwhile."""
        told = ""
        while reason := cannot_write(self._written):
            if once:
                raise CommandError(reason)
            if reason != told:
                self._tell("cannot write", reason=reason)
            told = reason
            notify.notify("READY=1", "WATCHDOG=1", f"STATUS={reason}")
            wait([self._inbox.fileno()], LONGEST_WAIT_S)
            if any(isinstance(message, Stop) for message in self._inbox.drain()):
                return False
        return True

    @property
    def _written(self) -> tuple[Path, ...]:
        folders = self.config.folders
        return folders.state, folders.output, folders.scratch

    def stop(self, how: Stop = Stop.DRAIN) -> None:
        """From any thread: end what runs, or everything at once."""
        self._inbox.post(how)

    @property
    def steps(self) -> dict[str, str]:
        """The step at which each running product is."""
        return {running.work.subject: running.step for running in list(self._workshop.running)}

    def _open(self, stack: ExitStack) -> None:
        config, post = self.config, self._inbox.post
        plugins.programs()  # one that cannot be used is to be told of now
        store = open_store(config.folders.database)
        stack.callback(store.close)
        setting = Setting(self._calibrate, surroundings(config), config.log.level, config.log.file)
        self._runner = runner = Runner(setting)
        stack.callback(runner.kill)
        self._records = Records(store.connection)
        self._alerts = Alerts(store.connection, config.notify)
        stack.callback(self._alerts.close)
        context = first_context(config, Epochs(store.connection).active())
        self._dispatch = Dispatch(store, self._records, terms(config, context))
        self._keeper = Keeper(config, self._dispatch, self._alerts, post, self._tell)
        stack.callback(self._keeper.close)
        self._keeper.begin(context, time.time())
        self._note_terms()
        self._workshop = Workshop(self._dispatch, runner, config, self._tell)
        self._pressure = Pressure(self._dispatch, self._workshop, config.queue.backlog, self._tell)
        self._reception = Reception(self._dispatch, load(self._verify), config.watch, post, self._tell)
        stack.callback(self._reception.close)
        excluded = (config.folders.output, config.folders.state)
        self._watcher = Watcher(config.watched, excluded, post, canaries=config.watch.canary)
        self._scheduler = scheduler(config, post)
        self._desk = self._new_desk()

    def _new_desk(self) -> control.Desk:
        scan = self._watcher.scan
        return control.Desk(self.config, self._dispatch, self._workshop, scan, self._tell, self._reload)

    def _loop(self, once: bool) -> None:
        more = False
        while True:
            self._wait(0.0 if more else LONGEST_WAIT_S)
            for message in self._inbox.drain():
                self._handle(message)
            self._workshop.hear()
            if self._stop is Stop.NOW or (self._stop and self._workshop.idle):
                return
            if not self._stop:
                if not self._pressure.look():
                    self._reception.look()
                putting = self._keeper.pump(time.time())
                if not self._held:
                    self._workshop.begin()
                idle = once and not putting and self._idle()
                hurried = idle and self._hurry()
                more = putting or hurried
                if idle and not more:
                    return
            self._feed()

    def _wait(self, longest: float) -> None:
        """Until something is heard or due."""
        settling = self._reception.next_due()
        job = self._dispatch.store.next_due(time.time())
        dues = [longest]
        if settling is not None:
            dues.append(settling - time.monotonic())
        if job is not None and job > time.time():  # one that is due already waits for a process
            dues.append(job - time.time())
        wait(
            [self._inbox.fileno(), *(running.channel for running in self._workshop.running)],
            max(0.0, min(dues)),
        )

    @singledispatchmethod
    def _handle(self, message: Any) -> None:
        raise TypeError(f"the service does not understand {message!r}")

    @_handle.register
    def _(self, message: Hint) -> None:
        self._reception.hint(message)

    @_handle.register
    def _(self, message: Found) -> None:
        self._reception.found(message)

    @_handle.register
    def _(self, message: Scanned) -> None:
        self._scanned.add(message.root)
        for flaw in self._reception.audit.scanned(message, time.time()):
            _log.warning("scan", folder=str(message.root), flaw=flaw)

    @_handle.register
    def _(self, message: Doubt) -> None:
        self._reception.audit.noticed["doubts"] += 1
        _log.info("scanning again", folder=str(message.root or "all"), reason=message.reason)
        self._watcher.scan(message.reason, message.root)

    @_handle.register
    def _(self, message: Examined) -> None:
        self._reception.examined(message)

    @_handle.register
    def _(self, message: channel.Asked) -> None:
        message.answer(self._desk)

    @_handle.register
    def _(self, message: Stop) -> None:
        self._stop = Stop.NOW if self._stop else message

    @_handle.register
    def _(self, message: Hangup) -> None:
        notify.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        with suppress(CommandError):  # it is told
            self._reload()
        notify.notify("READY=1")

    @_handle.register
    def _(self, message: Tick) -> None:
        match message:
            case Tick.ROOTS:
                self._pulse.beat("scheduler")
                self._watcher.check()
                self._check_outlet()
                self._note()
            case Tick.RESCAN:
                self._watcher.scan()
            case Tick.POLL:
                self._watcher.poll()
            case Tick.LEASES:
                self._workshop.renew()
                self._pressure.note(time.time())
            case Tick.GROUPS:
                if self._pressure.clocks_go(self._looked_through, self._reception.stuck):
                    self._dispatch.assemble(time.time())
            case Tick.CONTEXT:
                self._keeper.tick(time.time())

    @_handle.register
    def _(self, message: Returned) -> None:
        self._keeper.returned(message, time.time())

    def _reload(self) -> list[str]:
        """Take over what has changed in the configuration's file; returns the keys.

        Raises CommandError if it cannot be read, or if a key has changed that may not; then
        everything stays as it was.
        """
        try:
            new = load_config(self._source) if self._source else self.config
        except ConfigError as error:
            self._tell("reload refused", reason=str(error))
            raise CommandError(str(error)) from error
        changed = reload.changes(self.config, new)
        if reason := reload.refusal(changed):
            self._tell("reload refused", reason=reason)
            raise CommandError(reason)
        self.config = new
        self._dispatch.terms = terms(new, self._dispatch.terms.context)
        self._note_terms()
        self._workshop.reconfigure(new)
        self._runner.setting = replace(self._runner.setting, log_level=new.log.level, log_file=new.log.file)
        self._reception.reconfigure(new.watch)
        self._reception.audit.forget({root.path for root in new.watched})
        self._watcher.reconfigure(new.watched, new.watch.canary)
        self._alerts.subscribers = new.notify
        set_periods(self._scheduler, new)
        self._desk = self._new_desk()
        if self._source:
            logs.setup(new.log.level, new.log.file)
        self._tell("reloaded", keys=changed)
        return changed

    def _check_outlet(self) -> None:
        """Jobs are begun only while their products could be written."""
        held, self._held = self._held, cannot_write(self._written)
        if self._held and self._held != held:
            self._tell("cannot write", reason=self._held)
        elif held and not self._held:
            self._tell("can write again")

    def _idle(self) -> bool:
        """Whether only clocks are left to wait for."""
        due = self._dispatch.store.next_due(time.time())
        soon = due is not None and due < time.time() + SOON_S
        if self._dispatch.behind:
            self._keeper.tick(time.time())
        if self._keeper.busy:
            return False
        taken_in = self._reception.stuck or bool(self._pressure.high)
        return self._looked_through and taken_in and self._workshop.idle and not soon

    @property
    def _looked_through(self) -> bool:
        """All folders, since the start."""
        return self._scanned >= {root.path for root in self._watcher.roots}

    def _note(self) -> None:
        """Write down that we live, and how the watching goes, for those who ask."""
        beat = heartbeat.told(self._workshop.running)
        with suppress(sqlite3.OperationalError):  # a full disk: silence tells of that too
            self._records.set(heartbeat.NAME, json.dumps(beat), time.time())
        audit = self._reception.audit
        if audit.changed:
            audit.changed = False
            self._records.set("watch", json.dumps(audit.told()), time.time())

    def _hurry(self) -> bool:
        """Whether there is more to do if clocks are not waited for."""
        unfinished = not self._pressure.high and self._reception.hurry()
        return unfinished or self._dispatch.assemble(time.time(), hurry=True)

    def _expect(self) -> None:
        self._pulse.expect("scheduler", 12 * schedule.ROOTS_S)
        self._pulse.expect("watcher", 60.0)
        self._pulse.expect("workers", 60.0)

    def _feed(self) -> None:
        """The supervisor hears that we live only if those get on whom we depend on."""
        now = time.monotonic()
        if now - self._fed_at < 1.0:
            return
        self._fed_at = now
        if self._watcher.alive():
            self._pulse.beat("watcher")
        if not self._runner.stuck():
            self._pulse.beat("workers")
        before, self._stalled = self._stalled, self._pulse.stalled()
        if stalled := self._stalled:
            if stalled != before:
                _log.error("stalled", parts=stalled)
            notify.notify(f"STATUS=stalled: {', '.join(stalled)}")
            return
        running = len(self._workshop.running)
        state = self._held or f"{running} jobs run, context {self._dispatch.terms.context}"
        notify.notify("WATCHDOG=1", f"STATUS={state}")

    def _note_terms(self) -> None:
        """What products are made with from now on, so that it can be asked which were made otherwise."""
        terms, now = self._dispatch.terms, time.time()
        self._records.set("context", terms.context, now)
        self._records.set("code", terms.code, now)
        self._records.set("steps", msgspec.json.encode(terms.steps).decode(), now)

    def _decide(self, what: str, why: str) -> None:
        self._records.decide("service", what, "", why, time.time())

    def _tell(self, event: str, **facts: Any) -> None:
        level = _log.warning if event in WARNINGS else _log.info
        level(event, **facts)
        if facts.get("state") == "dead" and "reason" in facts:
            what = f"{facts['pipeline']}: {facts['reason']}"
            product = facts.get("product", "")
            self._alerts.tell(f"failed {what}", "failed", f"{product} {what}", instruments_of(product))
        if self._on_event is not None:
            self._on_event(event, facts)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """TERM and INT drain, the second time they end at once; HUP reloads. Only a main thread may ask."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        posts = {signal.SIGTERM: Stop.DRAIN, signal.SIGINT: Stop.DRAIN, signal.SIGHUP: Hangup()}
        old = {
            number: signal.signal(number, lambda *_, post=post: self._inbox.post(post))
            for number, post in posts.items()
        }
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)


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


def surroundings(config: Config) -> dict[str, str]:
    """Environment variables of whatever calibrates."""
    threads = str(config.workers.threads)
    names = (
        "CALWEBBD_THREADS",
        "NUMBA_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
    )
    budget = {BUDGET: str(config.workers.mosaic_mb)}
    return dict.fromkeys(names, threads) | budget | environment(config)
