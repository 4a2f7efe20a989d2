"""Threads within one calibration: as many as it may use, with results in order."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import Any

TURN = 0.0005  # s; who comes back from a compiled loop does not wait longer for the interpreter
ROWS_AT_A_TIME = 32  # enough work for a thread, few enough that the last one does not lag


def threads() -> int:
    """Threads one calibration may use: CALWEBBD_THREADS, or the processors it may run on."""
    wanted = os.environ.get("CALWEBBD_THREADS")
    return max(1, int(wanted)) if wanted else len(os.sched_getaffinity(0))


_here = threading.local()  # `inside` is set where a task runs


@cache
def _pool(process: int, workers: int) -> ThreadPoolExecutor:
    sys.setswitchinterval(TURN)
    return ThreadPoolExecutor(workers, thread_name_prefix="rows")


def in_threads(tasks: list[Callable[[], Any]]) -> list[Any]:
    """Results of the tasks, in order, run in as many threads as this calibration may use.

    The calling thread is one of them, and each takes the next task that nobody has: tasks may be
    short, as none of them is waited for alone. Tasks of a task are run by its own thread, one after
    the other: were they to wait for another, all might wait for each other.
    """
    workers = min(threads(), len(tasks))
    if workers < 2 or getattr(_here, "inside", False):
        return [task() for task in tasks]
    results: list[Any] = [None] * len(tasks)
    failed: dict[int, BaseException] = {}
    left = iter(range(len(tasks)))

    def work() -> None:
        _here.inside = True
        for n in left:
            try:
                results[n] = tasks[n]()
            except BaseException as error:  # raised by the caller, once nothing goes on behind its back
                failed[n] = error
                deque(left, maxlen=0)  # what has not begun need not
        _here.inside = False

    others = [_pool(os.getpid(), threads()).submit(work) for _ in range(workers - 1)]
    work()
    wait([other for other in others if not other.cancel()])
    if failed:
        raise failed[min(failed)]
    return results


def by_rows(loop: Callable[..., Any], rows: int, *args: Any) -> None:
    """Call ``loop(start, stop, *args)`` for all rows, in blocks, in threads."""

    each = max(1, min(ROWS_AT_A_TIME, -(-rows // threads())))

    def task(start: int) -> Callable[[], Any]:
        return lambda: loop(start, min(rows, start + each), *args)

    in_threads([task(start) for start in range(0, rows, each)])
