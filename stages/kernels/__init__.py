"""Compiled loops: arrays in, arrays out.

Each kernel states its argument types, so that all of them can be compiled once,
into one cache (`warm`), before any exposure is calibrated; after that no process
writes to the cache. The cache's folder is named for everything its content
depends on, so that an upgrade makes a new one and old processes keep theirs.

A kernel that works by rows takes ``start, stop`` first; `by_rows` runs it in
threads. Rows do not see each other, so the result is the same to the last bit for
any number of threads.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import os
import pkgutil
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numba
from numba.core.runtime import nrtdynmod
from numba.core.sigutils import normalize_signature

from calwebbd.stages.threads import by_rows, in_threads, threads


def _sources() -> list[Path]:
    return sorted(Path(__file__).resolve().parent.glob("*.py"))


def _stamp() -> str:
    """Changes with the kernels' source, numba, the Python and the processor."""
    digest = hashlib.sha256(f"{numba.__version__} {platform.python_version()} {_processor()}".encode())
    for source in _sources():
        stat = source.stat()
        digest.update(f"{source} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    return next((line for line in text.splitlines() if line.startswith("model name")), platform.machine())


def cache_folder() -> Path:
    """Where compiled kernels live: below CALWEBBD_CACHE, or the user's cache folder."""
    base = os.environ.get("CALWEBBD_CACHE") or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "calwebbd"
    )
    return Path(base) / f"kernels-{_stamp()}"


class Later:
    """What a function makes, made when something is asked of it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)


def _compile_runtime_late() -> None:
    """Have numba compile its reference counting once it compiles something that will be linked with it.

    What comes from the cache has it in it; to compile it takes 30 MB of LLVM, and a tenth of a second.
    """
    compile_now: Any = nrtdynmod.compile_nrt_functions
    nrtdynmod.compile_nrt_functions = lambda context: Later(lambda: compile_now(context))


_compile_runtime_late()
numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]
KERNELS: list[Kernel] = []


class Kernel:
    """A compiled function with one declared signature, compiled or loaded at its first call.

    Arguments of other types are a TypeError, so that nothing is ever compiled unasked.
    """

    def __init__(self, function: Callable[..., Any], signature: str) -> None:
        self.python = function
        self.signature = signature
        self._lock = Lock()
        self._ready = False
        self.dispatcher = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        KERNELS.append(self)

    def compile(self) -> None:
        """Compile, or load from the cache; nothing if that has been done."""
        with self._lock:
            if not self._ready and not numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
                self.dispatcher.compile(normalize_signature(self.signature)[0])
                self.dispatcher.disable_compile()
                compiled: Any
                for compiled in self.dispatcher.overloads.values():  # nothing else is ever linked with it
                    compiled.library._shared_module = None
            self._ready = True

    def __call__(self, *args: Any) -> Any:
        if not self._ready:
            self.compile()
        return self.dispatcher(*args)


def kernel(signature: str) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a compiled loop with the types of its arguments: ``kernel("(i8, i8, f4[:, ::1])")``."""

    def declare(function: Callable[..., Any]) -> Kernel:
        return Kernel(function, signature)

    return declare


def helper(function: Callable[..., Any]) -> Any:
    """Declare a small function that kernels inline; it is not called from Python."""
    return numba.njit(nogil=True, error_model="numpy", forceinline=True)(function)


@contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_warm() -> bool:
    """True when every kernel is in the cache, or none is to be compiled."""
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return True
    return (cache_folder() / "complete").exists()


def warm(progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Compile every kernel into the cache; one process does it, others wait for it."""
    if is_warm():
        return
    folder = cache_folder()
    with _sole_writer(folder):
        if (folder / "complete").exists():
            return
        for module in pkgutil.iter_modules(__path__, __name__ + "."):
            importlib.import_module(module.name)
        for done, each in enumerate(KERNELS):
            progress(done, len(KERNELS))
            each.compile()
        progress(len(KERNELS), len(KERNELS))
        (folder / "complete").touch()


def load() -> None:
    """Load every kernel imported so far, in a process that others are forked from."""
    warm()
    for each in KERNELS:
        each.compile()


__all__ = [
    "KERNELS",
    "Kernel",
    "by_rows",
    "helper",
    "in_threads",
    "is_warm",
    "kernel",
    "load",
    "threads",
    "warm",
]
