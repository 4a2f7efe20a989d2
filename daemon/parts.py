"""What a service is made of: opened in this order, closed in the reverse, and changed by a reload."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from calwebbd.daemon import control, logs, reload
from calwebbd.daemon.alerts import Alerts, instruments_of
from calwebbd.daemon.backups import Backups
from calwebbd.daemon.config import Config
from calwebbd.daemon.configfile import ConfigError
from calwebbd.daemon.configfile import load as load_config
from calwebbd.daemon.contexts.epochs import Epochs
from calwebbd.daemon.contexts.keeper import Keeper, first_context
from calwebbd.daemon.database import open_store
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.engine import Engine
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.inbox import Inbox
from calwebbd.daemon.pressure import Pressure
from calwebbd.daemon.reception import Reception
from calwebbd.daemon.records import Records
from calwebbd.daemon.runner import CALIBRATE, Runner, surroundings
from calwebbd.daemon.schedule import scheduler, set_periods
from calwebbd.daemon.terms import terms
from calwebbd.daemon.watch import Watcher
from calwebbd.daemon.worker import Setting, load
from calwebbd.daemon.workshop import Workshop
from calwebbd.stages import plugins

VERIFY = "calwebbd.stages.verify:verify"
WARNINGS = frozenset(
    {"quarantined", "failed", "left out", "underestimated", "events lost", "context kept", "corrupt"}
    | {"cannot write", "reload refused", "clock was set", "not backed up", "host refused", "cluster lost"}
)

#: (event, facts about it), for whoever shows progress
OnEvent = Callable[[str, dict[str, Any]], None]
_log = structlog.get_logger(__name__)


@dataclass(eq=False, kw_only=True)
class Parts:
    """What the loop of a service works with.

    source : file of the configuration, to read it again
    calibrate, verify : ``module:name`` of what does the work, for tests to replace
    """

    config: Config = field(kw_only=False)
    source: Path | None = None
    on_event: OnEvent | None = None
    calibrate: str = CALIBRATE
    verify: str = VERIFY
    _inbox: Inbox[Any] = field(default_factory=Inbox, init=False)

    def _open(self, stack: ExitStack) -> None:
        config, post = self.config, self._inbox.post
        plugins.programs()  # one that cannot be used is to be told of now
        store = open_store(config.folders.database)
        stack.callback(store.close)
        self._engine = engine = self._new_engine()
        stack.callback(engine.kill)
        self._records = Records(store.connection)
        self._alerts = Alerts(store.connection, config.notify)
        stack.callback(self._alerts.close)
        context = first_context(config, Epochs(store.connection).active())
        self._dispatch = Dispatch(store, self._records, terms(config, context))
        self._keeper = Keeper(config, self._dispatch, self._alerts, post, self._tell)
        stack.callback(self._keeper.close)
        self._keeper.begin(context, time.time())
        self._backups = Backups(config, self._records, self._alerts, post, self._tell)
        stack.callback(self._backups.close)
        self._note_terms()
        told = self._keeper.damaged
        self._workshop = Workshop(self._dispatch, engine, config, self._tell, told)
        self._pressure = Pressure(self._dispatch, self._workshop, config.queue.backlog, self._tell)
        self._reception = Reception(self._dispatch, load(self.verify), config.watch, post, self._tell)
        stack.callback(self._reception.close)
        excluded = (config.folders.output, config.folders.state)
        self._watcher = Watcher(config.watched, excluded, post, canaries=config.watch.canary)
        self._scheduler = scheduler(config, post)
        self._desk = self._new_desk()

    def _new_engine(self) -> Engine:
        workers = self.config.workers
        setting = Setting(
            self.calibrate, surroundings(self.config), self.config.log.level, self.config.log.file
        )
        if workers.engine == "local":
            return Runner(setting)
        try:
            from calwebbd.daemon.cluster.engine import Cluster
        except ModuleNotFoundError as error:
            raise CommandError(f"workers.engine = 'dask' needs calwebbd[dask]: {error}") from error
        return Cluster(setting, self.config, self._tell)

    def _new_desk(self) -> control.Desk:
        scan, refresh = self._watcher.scan, self._keeper.hasten
        return control.Desk(
            self.config, self._dispatch, self._workshop, scan, self._tell, self._reload, refresh
        )

    def _reload(self) -> list[str]:
        """Take over what has changed in the configuration's file; returns the keys.

        Raises CommandError if it cannot be read, or if a key has changed that may not; then
        everything stays as it was.
        """
        try:
            new = load_config(self.source) if self.source else self.config
        except ConfigError as error:
            self._tell("reload refused", reason=str(error))
            raise CommandError(str(error)) from error
        changed = reload.changes(self.config, new)
        if reason := reload.refusal(changed):
            self._tell("reload refused", reason=reason)
            raise CommandError(reason)
        self.config = new
        self._dispatch.terms = terms(new, self._dispatch.terms.context)
        self._dispatch.look_over(time.time())
        self._note_terms()
        self._workshop.reconfigure(new)
        self._engine.setting = replace(self._engine.setting, log_level=new.log.level, log_file=new.log.file)
        self._reception.reconfigure(new.watch)
        self._reception.audit.forget({root.path for root in new.watched})
        self._watcher.reconfigure(new.watched, new.watch.canary)
        self._alerts.subscribers = new.notify
        self._backups.reconfigure(new)
        set_periods(self._scheduler, new)
        self._desk = self._new_desk()
        if self.source:
            logs.setup(new.log.level, new.log.file)
        self._tell("reloaded", keys=changed)
        return changed

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
        if self.on_event is not None:
            self.on_event(event, facts)
