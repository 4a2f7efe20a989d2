"""Threads within one calibration: as many as it may use, with results in order."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from calwebbd.stages import memory

TURN = 0.0005  # s; who comes back from a compiled loop does not wait longer for the interpreter
ROWS_AT_A_TIME = 32  # enough work for a thread, few enough that the last one does not lag


def threads() -> int:
    """Threads one calibration may use: CALWEBBD_THREADS, or the processors it may run on."""
    wanted = os.environ.get("CALWEBBD_THREADS")
    return max(1, int(wanted)) if wanted else len(os.sched_getaffinity(0))


_here = threading.local()  # `inside` is set in the threads of a pool


def _enter() -> None:
    _here.inside = True


@cache
def _pool(process: int, workers: int) -> ThreadPoolExecutor:
    memory.share_heap()
    sys.setswitchinterval(TURN)
    return ThreadPoolExecutor(workers, thread_name_prefix="rows", initializer=_enter)


def in_threads(tasks: list[Callable[[], Any]]) -> list[Any]:
    """Results of the tasks, in order, run in as many threads as this calibration may use.

    Tasks of a task are run by its own thread, one after the other: were they to wait for
    another, all might wait for each other.
    """
    workers = threads()
    if workers == 1 or len(tasks) == 1 or getattr(_here, "inside", False):
        return [task() for task in tasks]
    return [future.result() for future in [_pool(os.getpid(), workers).submit(task) for task in tasks]]


def by_rows(loop: Callable[..., Any], rows: int, *args: Any) -> None:
    """Call ``loop(start, stop, *args)`` for all rows, in blocks, in threads."""

    each = max(1, min(ROWS_AT_A_TIME, -(-rows // threads())))

    def task(start: int) -> Callable[[], Any]:
        return lambda: loop(start, min(rows, start + each), *args)

    in_threads([task(start) for start in range(0, rows, each)])
