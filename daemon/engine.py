"""What the service asks of whatever runs its jobs: processes of this machine, or the hosts of a cluster.

The service claims a job only when there is room for it, hears how it ended, and publishes.
Whoever runs it writes to the folder of the attempt and to nothing else.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from calwebbd.daemon.work import Work
from calwebbd.daemon.worker import Reply, Setting
from calwebbd.queues.job import Job


@dataclass(eq=False, kw_only=True)
class Running:
    """A job that is in hand.

    workspace : the folder of the attempt
    limit : of its time, s
    started : by the wall clock
    step : the last it told of
    host : where it runs, "" for this machine; pid : its process there
    peak_mb : the most memory it has used, when it was last looked at
    """

    job: Job
    work: Work
    workspace: Path
    limit: float
    started: float = field(default_factory=time.time)
    step: str = ""
    host: str = ""
    pid: int | None = None
    peak_mb: float | None = None


class Engine(Protocol):
    """Runs jobs. Used by one thread, that of the service's loop."""

    setting: Setting

    @property
    def running(self) -> Sequence[Running]: ...

    def room_mb(self, processes: int, budget_mb: int) -> int | None:
        """Memory that the next job may have; None while no job can be begun.

        processes, budget_mb : what this machine's jobs may have together
        """

    @property
    def most_mb(self) -> int | None:
        """Memory that a job has at best, while nothing else runs; None for the whole budget."""

    def start(self, job: Job, work: Work, folder: Path, timeout_s: float) -> Running:
        """Begin a job for which there is room."""

    def wait_on(self) -> Sequence[Any]:
        """What becomes readable when a job has ended, or there is room for more."""

    def ended(self) -> Sequence[tuple[Running, Reply]]:
        """Jobs which have ended since last asked, and those which had to be ended."""

    def cancel(self, job: int) -> Path | None:
        """End a job; its workspace, or None if it is not in hand."""

    def kill(self) -> None:
        """End all jobs at once, and begin none any more; they go back to the queue by other means."""

    def stuck(self) -> bool:
        """Whether it no longer gets on."""

    def told(self) -> dict[str, Any]:
        """What there is to know about it, for those who ask; nothing of this machine's processes."""
