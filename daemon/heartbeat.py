"""That the service lives, and what it has in hand: written down every few seconds for those who ask.

What runs is in the queue; at which step it is, and how much memory it takes, only the service knows.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

NAME = "heartbeat"  #: of the setting
STALE_S = 60.0  #: a service that was not heard of for so long does not live


class _Running(Protocol):
    job: Any
    step: str
    host: str
    pid: int | None
    peak_mb: float | None


def told(running: Iterable[_Running]) -> dict[str, Any]:
    """Our own process, and of each job in hand: id, step, host, process and memory, MB.

    The memory of a process elsewhere is the most that it has used.
    """
    jobs = []
    for each in running:
        mb = each.peak_mb if each.host else resident_mb(each.pid)
        jobs.append({"job": each.job.id, "step": each.step, "host": each.host, "pid": each.pid, "mb": mb})
    return {"pid": os.getpid(), "mb": resident_mb(os.getpid()), "jobs": jobs}


def resident_mb(pid: int | None) -> float | None:
    """Memory of a process, MB; None if it is no more."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
