"""The service: one loop which hears of files, workers and clocks, and acts.

Threads watch, scan, verify and tick; processes calibrate; all of them only post what
they found. The loop alone uses the database. On start it first brings to an end what
an earlier life left, then watches. So a kill at any moment costs at most the attempts
under way.
"""

import json
import sqlite3
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import singledispatchmethod
from importlib.metadata import version
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import structlog

from calwebbd.daemon import channel, heartbeat, instance, notify, schedule, signals
from calwebbd.daemon.backups import BackedUp
from calwebbd.daemon.clock import WallClock
from calwebbd.daemon.contexts.keeper import Returned
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.outlet import cannot_write
from calwebbd.daemon.parts import Parts
from calwebbd.daemon.pulse import Pulse
from calwebbd.daemon.reception import Examined
from calwebbd.daemon.schedule import Tick, tick_now
from calwebbd.daemon.sightings import Doubt, Found, Hint, Scanned
from calwebbd.daemon.signals import Hangup, Stop
from calwebbd.stages import memory

LONGEST_WAIT_S = 5.0
TABLE = 1 << 17  #: bytes; the interpreter's tables of strings are larger, and leave holes in a heap
SOON_S = 60.0  #: with `once`, jobs to be tried again within this are waited for

_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Service(Parts):
    """The loop over the parts; all that it hears comes through the inbox and the pipes of workers."""

    _stop: Stop | None = field(default=None, init=False)
    _held: str = field(default="", init=False)  #: why no job is begun
    _clock: WallClock = field(default_factory=WallClock, init=False)
    _pulse: Pulse = field(default_factory=Pulse, init=False)
    _scanned: set[Path] = field(default_factory=set, init=False)

    def run(self, *, once: bool = False) -> None:
        """Serve until stopped; with `once`, until everything that can be done is done.

        Raises AlreadyRunning if another service has the state folder, Unfit if its database
        cannot be used, ReferenceMissing if the context cannot be resolved.
        """
        folders = self.config.folders
        memory.keep_heap_small(TABLE)
        with ExitStack() as stack:
            stack.enter_context(signals.posted(self._inbox.post))
            if not self._can_write(once):
                return
            stack.enter_context(instance.alone(folders.state))
            self._open(stack)
            self._workshop.recover()
            self._pressure.begin(time.time())
            self._dispatch.look_over(time.time())
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
            self._backups.tick(time.time())
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

    def _loop(self, once: bool) -> None:
        more = False
        while True:
            self._wait(0.0 if more else LONGEST_WAIT_S)
            if seconds := self._clock.jumped():
                self._clock_was_set(seconds)
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

    def _clock_was_set(self, seconds: float) -> None:
        """Nothing is due sooner or later for it."""
        with self._dispatch.store.transaction():
            self._workshop.shift(seconds)
            self._pressure.note(time.time())
            self._decide("notice", f"the clock was set by {seconds:.0f} s")
        tick_now(self._scheduler)
        self._tell("clock was set", seconds=round(seconds))

    def _wait(self, longest: float) -> None:
        """Until something is heard or due."""
        settling = self._reception.next_due()
        job = self._dispatch.store.next_due(time.time())
        dues = [longest]
        if settling is not None:
            dues.append(settling - time.monotonic())
        if job is not None and job > time.time():  # one that is due already waits for a process
            dues.append(job - time.time())
        wait([self._inbox.fileno(), *self._engine.wait_on()], max(0.0, min(dues)))

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
        if self._dispatch.behind:  # somebody waits for what comes of it
            self._keeper.tick(time.time())

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
                memory.release()
            case Tick.GROUPS:
                if self._pressure.clocks_go(self._looked_through, self._reception.stuck):
                    self._dispatch.assemble(time.time())
            case Tick.CONTEXT:
                self._keeper.tick(time.time())
            case Tick.BACKUP:
                self._backups.tick(time.time())

    @_handle.register
    def _(self, message: Returned) -> None:
        self._keeper.returned(message, time.time())

    @_handle.register
    def _(self, message: BackedUp) -> None:
        self._backups.returned(message, time.time())

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
        if self._keeper.busy or self._backups.busy:
            return False
        taken_in = self._reception.stuck or bool(self._pressure.high)
        done = self._workshop.idle and not self._workshop.waits and not soon
        return self._looked_through and taken_in and done

    @property
    def _looked_through(self) -> bool:
        """All folders, since the start."""
        return self._scanned >= {root.path for root in self._watcher.roots}

    def _note(self) -> None:
        """Write down that we live, and how the watching goes, for those who ask."""
        beat = heartbeat.told(self._workshop.running) | self._engine.told()
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
        if self._watcher.alive():
            self._pulse.beat("watcher")
        if not self._engine.stuck():
            self._pulse.beat("workers")
        running = len(self._workshop.running)
        state = self._held or f"{running} jobs run, context {self._dispatch.terms.context}"
        self._pulse.feed(state)
