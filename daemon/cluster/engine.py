"""The engine of many machines: which host has room, which job is where, and which is lost."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from pathlib import Path
from typing import Any

from calwebbd.daemon import workspace
from calwebbd.daemon.cluster.link import Link
from calwebbd.daemon.cluster.messages import Cut, Ended, Host, Hosts, Mark, Message, Order, Terms, Told
from calwebbd.daemon.config import Config
from calwebbd.daemon.engine import Running
from calwebbd.daemon.inbox import Inbox
from calwebbd.daemon.work import Work
from calwebbd.daemon.worker import Reply, Setting
from calwebbd.queues.job import Job
from calwebbd.queues.retry import Failure
from calwebbd.stages import plugins

SILENCE_S = 300.0  #: a job of which nothing was heard for so long is lost
SHARED = ("CRDS_PATH", "CRDS_SERVER_URL", "CALWEBBD_GAIA")  #: variables which hosts have from us


@dataclass(eq=False, kw_only=True)
class Remote(Running):
    """A job on a host.

    heard : when it was last told of, by the monotonic clock
    """

    at: Host
    heard: float = field(default_factory=time.monotonic)

    @property
    def mark(self) -> Mark:
        return self.job.id, self.job.fence


class Cluster:
    """Jobs on hosts that are fit for them. Use from one thread."""

    def __init__(self, setting: Setting, config: Config, tell: Callable[..., None]) -> None:
        self.setting = setting
        self.running: list[Remote] = []
        self._config, self._tell = config, tell
        self._hosts = Hosts()
        self._cut = "it was not asked yet"
        self._inbox: Inbox[Message] = Inbox()
        self._found: list[tuple[Remote, Reply]] = []
        self._link: Link | None = None

    def room_mb(self, processes: int, budget_mb: int) -> int | None:
        """What is left of the host which has most, if it has a thread left."""
        if self._link is None:  # the folder of jobs has been swept by now
            scheduler, scratch = self._config.workers.scheduler, self._config.folders.scratch
            self._link = Link(scheduler, self._agree, scratch, self._inbox.post)
        return max((self._free_mb(host) for host in self._with_room()), default=None)

    @property
    def most_mb(self) -> int | None:
        """Of the largest host."""
        return max((host.mb for host in self._hosts.fit), default=None)

    def start(self, job: Job, work: Work, folder: Path, timeout_s: float) -> Remote:
        """Give a job to the host with most room."""
        assert self._link is not None
        host = max(self._with_room(), key=self._free_mb)
        running = Remote(job=job, work=work, workspace=folder, limit=timeout_s, host=host.name, at=host)
        self.running.append(running)
        try:
            workspace.offer(folder)
        except OSError as error:
            reason = f"{error.strerror}: {error.filename}"
            self._inbox.post(Ended(running.mark, Reply(failure=Failure.DISK, reason=reason)))
        else:
            self._link.do(Order(self._abroad, job, folder, timeout_s), host)
        return running

    def wait_on(self) -> list[Inbox[Message]]:
        return [self._inbox]

    def ended(self) -> list[tuple[Remote, Reply]]:
        """Jobs of which hosts have told the end, and those that are lost."""
        for message in self._inbox.drain():
            self._hear(message)
        late = time.monotonic() - SILENCE_S
        for running in [each for each in self.running if each.heard < late]:
            self._lose(running, f"nothing was heard of it for {SILENCE_S:.0f} s")
        found, self._found = self._found, []
        return found

    def cancel(self, job: int) -> Path | None:
        for running in self.running:
            if running.job.id == job:
                self._give_up(running)
                return running.workspace
        return None

    def kill(self) -> None:
        """Hosts end jobs whose folder is gone."""
        for running in self.running:
            workspace.discard(running.workspace)
        self.running.clear()
        if self._link is not None:
            self._link.stop()

    def stuck(self) -> bool:
        """Whether the thread that speaks with the cluster is no more."""
        return self._link is not None and not self._link.alive

    def told(self) -> dict[str, Any]:
        """Hosts with their jobs and memory, those refused, and why the cluster cannot be spoken with."""
        hosts = [
            {"name": host.name, "jobs": len(self._jobs(host)), "slots": host.slots, "mb": host.mb}
            for host in self._hosts.fit
        ]
        return {"cluster": {"hosts": hosts, "refused": self._hosts.refused, "cut": self._cut}}

    @singledispatchmethod
    def _hear(self, message: Message) -> None:
        raise TypeError(f"the cluster does not say {message!r}")

    @_hear.register
    def _(self, message: Hosts) -> None:
        before, self._hosts, self._cut = self._hosts, message, ""
        for host in set(message.fit) - set(before.fit):
            self._tell("host joined", host=host.name, slots=host.slots, mb=host.mb)
        for name, flaw in message.refused.items():
            if before.refused.get(name) != flaw:
                self._tell("host refused", host=name, reason=flaw)
        for host in before.flaws.keys() - message.flaws.keys():
            self._tell("host left", host=host.name)
        for running in [each for each in self.running if each.at not in message.flaws]:
            self._lose(running, "its host is gone", blame=True)

    @_hear.register
    def _(self, message: Cut) -> None:
        if message.reason != self._cut:
            self._tell("cluster lost", scheduler=self._config.workers.scheduler, reason=message.reason)
        self._hosts, self._cut = Hosts(), message.reason
        for running in list(self.running):
            self._lose(running, "the scheduler of the cluster is lost")

    @_hear.register
    def _(self, message: Told) -> None:
        for running in self.running:
            if running.mark == message.mark:
                running.heard = time.monotonic()
                running.step, running.pid, running.peak_mb = message.step, message.pid, message.peak_mb

    @_hear.register
    def _(self, message: Ended) -> None:
        for running in list(self.running):
            if running.mark == message.mark:
                self.running.remove(running)
                self._found.append((running, message.reply))

    def _lose(self, running: Remote, reason: str, *, blame: bool = False) -> None:
        """blame : whether it may have been the job, if it had more memory than it asked for."""
        self._give_up(running)
        failure, peak_mb = Failure.LOST, running.peak_mb
        if blame and peak_mb is not None and peak_mb > running.job.mem_mb:
            failure, reason = Failure.MEMORY, f"{reason}, while it had {peak_mb:.0f} MB"
        reply = Reply(failure=failure, reason=f"{running.host}: {reason}", peak_mb=peak_mb)
        self._found.append((running, reply))

    def _give_up(self, running: Remote) -> None:
        """Its answer, if there ever is one, means nothing any more."""
        assert self._link is not None
        self._link.drop(running.mark)
        self.running.remove(running)

    def _jobs(self, host: Host) -> list[Remote]:
        return [running for running in self.running if running.at == host]

    def _free_mb(self, host: Host) -> int:
        return host.mb - sum(running.job.mem_mb for running in self._jobs(host))

    def _with_room(self) -> list[Host]:
        return [host for host in self._hosts.fit if len(self._jobs(host)) < host.slots]

    @property
    def _abroad(self) -> Setting:
        """What hosts share: our variables, but no file of ours for the log."""
        ours = {name: os.environ[name] for name in SHARED if name in os.environ}
        environment = ours | dict(self.setting.environment)
        return replace(self.setting, environment=environment, log_file=None)

    def _agree(self, probe: Path, token: str) -> Terms:
        """Called by the link's thread."""
        setting = self._abroad
        folders = [root.path for root in self._config.watched]
        if cache := setting.environment.get("CRDS_PATH"):
            folders.append(Path(cache))
        there = tuple(folder for folder in folders if folder.is_dir())
        return Terms(setting, plugins.code(), there, probe, token)
