"""What the service and the hosts of a cluster say to one another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from calwebbd.daemon.worker import Reply, Setting
from calwebbd.queues.job import Job

Mark: TypeAlias = tuple[int, int]  #: of an attempt: job and fence


@dataclass(frozen=True)
class Terms:
    """What a host must agree with.

    code : version and plug-ins; folders : it must see
    probe : a file that the service has just written, where jobs write; token : its content
    """

    setting: Setting
    code: str
    folders: tuple[Path, ...]
    probe: Path
    token: str


@dataclass(frozen=True)
class Order:
    """One attempt.

    limit : of its time, s
    """

    setting: Setting
    job: Job
    folder: Path
    limit: float

    @property
    def mark(self) -> Mark:
        return self.job.id, self.job.fence


@dataclass(frozen=True)
class Host:
    """A worker of Dask.

    directory : of its own, by which it differs from another that had its address
    slots : jobs at a time; mb : memory for them
    """

    address: str
    directory: str
    name: str
    slots: int
    mb: int


@dataclass(frozen=True)
class Hosts:
    """Those that are there.

    flaws : why each cannot be used, "" if it can; None while that is not known
    """

    flaws: Mapping[Host, str | None] = field(default_factory=dict)

    @property
    def fit(self) -> list[Host]:
        return [host for host, flaw in self.flaws.items() if flaw == ""]

    @property
    def refused(self) -> dict[str, str]:
        """Why, by name."""
        return {host.name: flaw for host, flaw in self.flaws.items() if flaw}


@dataclass(frozen=True)
class Cut:
    """The cluster cannot be spoken with."""

    reason: str


@dataclass(frozen=True)
class Told:
    """How an attempt does that has not ended."""

    mark: Mark
    step: str
    pid: int | None
    peak_mb: float | None


@dataclass(frozen=True)
class Ended:
    mark: Mark
    reply: Reply


Message: TypeAlias = Hosts | Cut | Told | Ended
