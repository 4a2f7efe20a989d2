"""Kernels: declared types, rows in threads, one writer of the cache."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from calwebbd.stages import kernels

PROGRAM = """
import sys
from calwebbd.stages import kernels
kernels.warm()
print(kernels.cache_folder(), kernels.is_warm())
"""


def double(start: int, stop: int, array: np.ndarray) -> None:
    array[start:stop] *= 2


def test_rows_are_each_visited_once_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for count in ("1", "2", "5"):
        monkeypatch.setenv("CALWEBBD_THREADS", count)
        array = np.arange(1000.0)
        kernels.by_rows(double, 1000, array)
        np.testing.assert_array_equal(array, 2 * np.arange(1000.0))


def test_results_of_tasks_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALWEBBD_THREADS", "3")
    assert kernels.in_threads([lambda n=n: n * n for n in range(20)]) == [n * n for n in range(20)]  # type: ignore[misc]


def test_tasks_may_have_tasks_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALWEBBD_THREADS", "2")

    def outer(n: int) -> list[int]:
        return kernels.in_threads([lambda k=k: n * k for k in range(4)])  # type: ignore[misc]

    found = kernels.in_threads([lambda n=n: outer(n) for n in range(8)])  # type: ignore[misc]
    assert found == [[n * k for k in range(4)] for n in range(8)]


def test_an_error_in_a_thread_is_raised() -> None:
    def fail(start: int, stop: int) -> None:
        raise ValueError(f"row {start}")

    with pytest.raises(ValueError, match="row 0"):
        kernels.by_rows(fail, 100)


def test_of_several_errors_that_of_the_first_task_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALWEBBD_THREADS", "3")
    both = Barrier(2)

    def fail(n: int) -> None:
        both.wait(timeout=30)
        raise ValueError(f"task {n}")

    with pytest.raises(ValueError, match="task 0"):
        kernels.in_threads([partial(fail, n) for n in range(2)])
    assert kernels.in_threads([partial(int, 1), partial(int, 2)]) == [1, 2]


def test_what_is_for_compilation_alone_is_made_by_the_first_that_asks() -> None:
    made: list[str] = []

    def make() -> str:
        made.append("runtime")
        return made[0]

    later = kernels.Later(make)
    assert not made
    assert later.upper() == later.upper() == "RUNTIME"
    assert made == ["runtime"]


def test_threads_are_those_asked_for_or_those_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALWEBBD_THREADS", "7")
    assert kernels.threads() == 7
    monkeypatch.delenv("CALWEBBD_THREADS")
    assert kernels.threads() == len(os.sched_getaffinity(0))


@pytest.mark.slow
def test_processes_that_warm_together_leave_one_complete_cache(tmp_path: Path) -> None:
    environment = os.environ | {"CALWEBBD_CACHE": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM]
    racing = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate()[0].strip() for process in racing}
    assert len(answers) == 1
    assert answers.pop().endswith("True")
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb[ci]")}
    assert stamps
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb[ci]")} == stamps
