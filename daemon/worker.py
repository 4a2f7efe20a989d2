"""What a worker does: one attempt at one job, in a process of its own.

It never opens the database: it tells of its steps and sends one Reply through a pipe, and ends.
"""

import ctypes
import errno
import importlib
import os
import resource
import signal
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import structlog

from calwebbd.daemon import logs, sidecar, workspace
from calwebbd.daemon.work import HANDED, FileSum, Result, Work
from calwebbd.queues.retry import Failure
from calwebbd.stages.crds import damage
from calwebbd.stages.crds.damage import Damaged
from calwebbd.stages.errors import (
    InputError,
    ParameterError,
    PluginError,
    ReferenceMissing,
    Unreadable,
)

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
    """How an attempt ended: with a result, or with a failure, its reason, and the memory it had used.

    damaged : references that were found corrupt meanwhile
    """

    result: Result | None = None
    failure: Failure | None = None
    reason: str = ""
    detail: str = ""
    peak_mb: float | None = None
    damaged: tuple[Damaged, ...] = ()


@dataclass(frozen=True)
class Progress:
    """A step begins, or has ended: COMPLETE or SKIPPED."""

    step: str
    state: str


def load(name: str) -> Callable[..., Any]:
    """The function meant by ``module:name``."""
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return function


def main(channel: Connection, setting: Setting, job: int, number: int, work: Work, folder: Path) -> None:
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
    _let_go()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    Path("/proc/self/oom_score_adj").write_text("500")  # rather the worker than the service


def _let_go() -> None:
    """Close what keeps the fork server alive: it must end with the service, and its workers with it."""
    server: Any = forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None


def attempt(
    function: str, work: Work, folder: Path, report: Callable[[str, str], None], job: int = 0, number: int = 1
) -> Reply:
    """Run the pipeline; its end, and the corrupt references that were met.

    job, number : which attempt at which job it is, for the record beside the products
    """
    damage.met.clear()
    reply = _attempt(function, work, folder, report, job, number)
    return replace(reply, damaged=tuple(damage.met.values()))


def _attempt(
    function: str, work: Work, folder: Path, report: Callable[[str, str], None], job: int, number: int
) -> Reply:
    """The one broad `except`, so that every end is an answer."""
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
            **workspace.handing(folder, work),
        )
        return Reply(result=_result(work, folder, outcomes, started, job, number))
    except (InputError, ParameterError) as error:
        return _unless_away(work, Reply(failure=Failure.INPUT, reason=_said(error)))
    except Unreadable as error:
        from calwebbd.stages.crds.keep import doubt

        return Reply(failure=Failure.MISSING, reason=doubt(error.path, _said(error)))
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
    if work.chained:
        written += [(path, HANDED) for path in [workspace.left(folder, work)] if path.exists()]
    if work.quicklook:
        from calwebbd.stages.pictures import pictures

        written += [(path, "png") for path in pictures([path for path, _ in written])]
    if work.made:
        written.append((folder / "out" / work.asn_name, "asn"))
    used = resource.getrusage(resource.RUSAGE_SELF)
    steps = [msgspec.to_builtins(s, enc_hook=_plain) for outcome in outcomes for s in outcome.steps]
    if work.chained:
        for step in steps:
            step["parameters"] = _named(step["parameters"], folder)
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


def _named(parameters: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Files in the attempt's own folder by their names: the folder is gone when somebody reads that."""
    own = f"{folder}/"
    return {
        name: [Path(value).name, origin]
        if isinstance(value, str) and value.startswith(own)
        else [value, origin]
        for name, (value, origin) in parameters.items()
    }


def _sums(steps: Sequence[Mapping[str, Any]]) -> dict[str, FileSum]:
    """Of all references: what those of CRDS were found to be when they were verified, others are now."""
    from calwebbd.stages.crds import cache
    from calwebbd.stages.crds.fetch import measure
    from calwebbd.stages.crds.ledger import Entry, Ledger
    from calwebbd.stages.crds.server import Sum

    ledger = Ledger() if os.environ.get("CRDS_PATH") else None
    names = {file for step in steps for file in step["references"].values() if file != "N/A"}
    found = {}
    for name in sorted(names):
        ours = "/" not in name  # else it is one that somebody uses instead
        entry: Entry | Sum | None = ledger.get(name) if ledger and ours else None
        if entry is None:
            with suppress(ReferenceMissing, FileNotFoundError):
                entry = measure(cache.place(name) if ours else Path(name))
        if entry is not None:
            found[Path(name).name] = FileSum(entry.sha1, entry.size)
    return found


def _plain(value: Any) -> Any:
    """Mappings of other kinds, numpy scalars and paths, as JSON has them."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.item() if hasattr(value, "item") else str(value)


def _said(error: Exception) -> str:
    """A calibration error's step and reason; which file it is the records know."""
    step, reason = getattr(error, "step", ""), getattr(error, "reason", str(error))
    return f"{step}: {reason}" if step else str(reason)
