"""One process for each job, born of a warm fork server.

The fork server has imported the calibration but has run no parallel kernel (a process
forked after that would abort), so a worker begins within milliseconds. A worker never
opens the database: it sends one Reply through a pipe and ends. It dies with the fork
server, and that with the service, so that none outlives it; a job that takes too long
is killed with all its children.
"""

import ctypes
import errno
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import structlog

from calwebbd.daemon import logs, memory, sidecar, workspace
from calwebbd.daemon.work import FileSum, Result, Work
from calwebbd.queues.job import Job
from calwebbd.queues.retry import Failure
from calwebbd.stages.errors import InputError, ParameterError, PluginError, ReferenceMissing

_PR_SET_PDEATHSIG = 1
#: a disk is full, over its quota, read-only, or gone
_OF_DISKS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.ENODEV}
)


@dataclass(frozen=True)
class Setting:
    """What all workers share.

    function : ``module:name`` of the pipeline runner, as `calwebbd.daemon.calibrate:calibrate`
    environment : variables set before it is imported
    """

    function: str
    environment: Mapping[str, str] = field(default_factory=dict)
    log_level: str = "info"
    log_file: Path | None = None


@dataclass(frozen=True)
class Reply:
    """How an attempt ended: with a result, or with a failure, its reason, and the memory it had used."""

    result: Result | None = None
    failure: Failure | None = None
    reason: str = ""
    detail: str = ""
    peak_mb: float | None = None


@dataclass(frozen=True)
class Progress:
    """A step begins, or has ended: COMPLETE or SKIPPED."""

    step: str
    state: str


@dataclass(eq=False)
class Running:
    job: Job
    work: Work
    workspace: Path
    started: float
    limit: float
    deadline: float
    process: BaseProcess
    channel: Connection
    step: str = ""  #: the last it told of
    peak_mb: float | None = None  #: when it was last looked at
    birth: "Future[None]" = field(default_factory=Future)
    killings: int = field(default_factory=memory.killings)  #: by the kernel, when it began


class Runner:
    """Starts workers and hears how they end. Use from one thread."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.running: list[Running] = []
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="start")
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__, setting.function.partition(":")[0]])
        os.environ.update(setting.environment)  # numba reads it once, in the fork server
        forkserver.ensure_running()  # its imports take seconds, in which no job need wait yet

    def start(self, job: Job, work: Work, folder: Path, timeout_s: float) -> Running:
        """Begin a job in its workspace. Its process is started by a thread: the fork server may be busy."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_main, args=(theirs, self.setting, job.id, job.attempt, work, folder), daemon=True
        )
        now = time.monotonic()
        running = Running(job, work, folder, time.time(), timeout_s, now + timeout_s, process, ours)
        running.birth = self._starter.submit(_start, process, theirs)
        self.running.append(running)
        return running

    def stuck(self) -> bool:
        """Whether a process should long have begun, or been ended."""
        now = time.monotonic()
        return any(not r.birth.done() or now > r.deadline + 60.0 for r in self.running)

    def wait_on(self) -> list[Connection]:
        """What becomes readable when a worker ends, well or not."""
        return [running.channel for running in self.running]

    def ended(self) -> list[tuple[Running, Reply]]:
        """Workers which have ended since last asked, and those which had to be ended."""
        found = [(running, reply) for running in self.running if (reply := _heard(running)) is not None]
        for running, _ in found:
            self.running.remove(running)
            _reap(running)
        return found

    def cancel(self, job: int) -> Path | None:
        """End the worker of a job; its workspace, or None if it has none."""
        for running in self.running:
            if running.job.id == job:
                _end(running)
                self.running.remove(running)
                return running.workspace
        return None

    def kill(self) -> None:
        """End all workers at once; their jobs go back to the queue by other means."""
        for running in self.running:
            _end(running)
        self.running.clear()


@contextmanager
def _no_main() -> Iterator[None]:
    """Hide the program that was started: every worker would import it again before its job."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _start(process: BaseProcess, channel: Connection) -> None:
    try:
        with _no_main():
            process.start()
        # multiprocessing looks after all children whenever it starts one, here beside the main
        # thread, which does the same: only one of the two would see how a process ended.
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]
    finally:
        channel.close()


def _heard(running: Running) -> Reply | None:
    if not running.birth.done():
        return None
    if error := running.birth.exception():
        reason = f"its process cannot be started: {type(error).__name__}: {error}"
        return Reply(failure=Failure.LOST, reason=reason)
    if running.process.pid is not None:
        running.peak_mb = memory.peak_mb(running.process.pid) or running.peak_mb
    while running.channel.poll():
        try:
            message: Reply | Progress = running.channel.recv()
        except (EOFError, ConnectionResetError):
            running.process.join()
            return _killed(running)
        if isinstance(message, Reply):
            return message
        running.step = message.step
    if time.monotonic() > running.deadline:
        _kill(running.process)
        reason = f"took longer than its time limit, {running.limit:.0f} s"
        return Reply(failure=Failure.TIMEOUT, reason=reason, peak_mb=running.peak_mb)
    return None


def _killed(running: Running) -> Reply:
    """The pipe was closed without a reply."""
    code = running.process.exitcode
    if code is None or code >= 0:
        reason = f"its process ended with exit code {code} and no reply"
        return Reply(failure=Failure.ERROR, reason=reason, peak_mb=running.peak_mb)
    if -code == signal.SIGKILL and memory.killings() > running.killings:
        reason = "the kernel killed its process, for the machine was out of memory"
        return Reply(failure=Failure.MEMORY, reason=reason, peak_mb=running.peak_mb)
    reason = f"its process was killed by {signal.Signals(-code).name}"
    return Reply(failure=Failure.KILLED, reason=reason, peak_mb=running.peak_mb)


def _kill(process: BaseProcess) -> None:
    """The worker leads a process group of its own, once it has come so far."""
    if process.pid is None or process.exitcode is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def _end(running: Running) -> None:
    if running.birth.exception() is None:
        _kill(running.process)
    _reap(running)


def _reap(running: Running) -> None:
    if running.birth.exception() is not None:
        running.channel.close()
        return
    running.process.join(timeout=5.0)
    if running.process.exitcode is None:  # it has replied, but does not end
        _kill(running.process)
        running.process.join()
    running.process.close()
    running.channel.close()


def load(name: str) -> Callable[..., Any]:
    """The function meant by ``module:name``."""
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return function


def _main(channel: Connection, setting: Setting, job: int, number: int, work: Work, folder: Path) -> None:
    """The whole life of a worker."""
    _isolate()
    os.environ.update(setting.environment)
    logs.setup(setting.log_level, setting.log_file)
    names = {"job": job, "attempt": number, "stage": work.pipeline, "exposure": work.subject}
    structlog.contextvars.bind_contextvars(**names)

    def report(step: str, state: str) -> None:
        channel.send(Progress(step, state))

    channel.send(attempt(setting.function, work, folder, report, job, number))
    channel.close()


def _isolate() -> None:
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died just before
        os._exit(1)
    os.setpgid(0, 0)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    Path("/proc/self/oom_score_adj").write_text("500")  # rather the worker than the service


def attempt(
    function: str, work: Work, folder: Path, report: Callable[[str, str], None], job: int = 0, number: int = 1
) -> Reply:
    """Run the pipeline; the one broad `except`, so that every end is an answer.

    job, number : which attempt at which job it is, for the record beside the products
    """
    started = time.time()
    try:
        file = workspace.prepare(folder, work)
        outcomes = load(function)(
            file,
            pipeline=work.pipeline,
            output_dir=folder / "out",
            context=work.context,
            steps=work.steps,
            rules=work.rules,
            report=report,
        )
        return Reply(result=_result(work, folder, outcomes, started, job, number))
    except (InputError, ParameterError) as error:
        return _unless_away(work, Reply(failure=Failure.INPUT, reason=_said(error)))
    except ReferenceMissing as error:
        return Reply(failure=Failure.MISSING, reason=_said(error))
    except Exception as error:
        return _unless_away(work, _trouble(error))


def _trouble(error: Exception) -> Reply:
    """A failure that is not the input's; that of a plug-in is of the class of what it failed by."""
    cause = error.__cause__ if isinstance(error, PluginError) else error
    failure, reason = Failure.ERROR, f"{type(error).__name__}: {error}"
    if isinstance(cause, MemoryError):
        failure, reason = Failure.MEMORY, "ran out of memory"
    elif flaw := _of_disk(error):
        where = flaw.filename or "the scratch or output folder"
        failure, reason = Failure.DISK, f"{os.strerror(flaw.errno or 0)}: {where}"
    elif isinstance(error, PluginError):
        reason = _said(error)
    return Reply(failure=failure, reason=reason, detail=traceback.format_exc(), peak_mb=_used_mb())


def _of_disk(error: BaseException | None) -> OSError | None:
    """What the system said of a disk: libraries raise errors of their own for it, after that one."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _OF_DISKS:
            return error
        error = error.__cause__ or error.__context__
    return None


def _unless_away(work: Work, reply: Reply) -> Reply:
    """A file that has gone, as with the file system it lay on, may come back: nothing is wrong with it."""
    away = next((source.path for source in work.inputs if not source.path.exists()), None)
    return Reply(failure=Failure.MISSING, reason=f"{away} is not there") if away else reply


def _used_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _result(
    work: Work, folder: Path, outcomes: Sequence[Any], started: float, job: int, number: int
) -> Result:
    written = [(Path(p.path), str(p.suffix)) for outcome in outcomes for p in outcome.products]
    if work.quicklook:
        from calwebbd.stages.pictures import pictures

        written += [(path, "png") for path in pictures([path for path, _ in written])]
    if work.made:
        written.append((folder / "out" / work.asn_name, "asn"))
    used = resource.getrusage(resource.RUSAGE_SELF)
    steps = [msgspec.to_builtins(s, enc_hook=_plain) for outcome in outcomes for s in outcome.steps]
    own = {name: value for outcome in outcomes for name, value in outcome.parameters.items()}
    result = Result(
        products=workspace.settle(folder, written),
        steps=tuple(steps),
        parameters=own,
        sums=_sums(steps),
        left_out={each.file: each.reason for outcome in outcomes for each in outcome.left_out},
        started=started,
        ended=time.time(),
        peak_mb=_used_mb(),
        cpu_s=used.ru_utime + used.ru_stime,
    )
    if not work.sidecars:
        return result
    beside = [(path, sidecar.KIND) for path in sidecar.write(folder / "out", work, result, job, number)]
    return msgspec.structs.replace(result, products=result.products + workspace.settle(folder, beside))


def _sums(steps: Sequence[Mapping[str, Any]]) -> dict[str, FileSum]:
    """What the references of CRDS were found to be when they were verified."""
    if not os.environ.get("CRDS_PATH"):
        return {}
    from calwebbd.stages.crds.ledger import Ledger

    ledger = Ledger()
    names = {file for step in steps for file in step["references"].values() if "/" not in file}
    found = ((name, ledger.get(name)) for name in sorted(names))
    return {name: FileSum(entry.sha1, entry.size) for name, entry in found if entry is not None}


def _plain(value: Any) -> Any:
    """Mappings of other kinds, numpy scalars and paths, as JSON has them."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.item() if hasattr(value, "item") else str(value)


def _said(error: Exception) -> str:
    """A calibration error's step and reason; which file it is the records know."""
    step, reason = getattr(error, "step", ""), getattr(error, "reason", str(error))
    return f"{step}: {reason}" if step else str(reason)
