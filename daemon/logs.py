"""Logs: one JSON object a line, fields to the journal, or plain to a terminal; those of other packages join.

`structlog.contextvars.bind_contextvars(job=…, attempt=…, stage=…, exposure=…)` puts the same
names on every line that a job writes, in the service and in its worker.
"""

import logging
import logging.handlers
import sys
import warnings
from pathlib import Path

import structlog

from calwebbd.daemon import journal

_SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def setup(level: str = "info", file: Path | None = None) -> None:
    """Write to the journal if that is stderr, else to stderr; and to a file that logrotate may move away."""
    journald = journal.is_stderr() and Path(journal.SOCKET).exists()
    first = journal.JournalHandler(journal.SOCKET) if journald else logging.StreamHandler()
    handlers: list[logging.Handler] = [_handler(first, json=journald or not sys.stderr.isatty())]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_handler(logging.handlers.WatchedFileHandler(file), json=True))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        if isinstance(old, (logging.FileHandler, journal.JournalHandler)):
            old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    for chatty in ("apscheduler", "CRDS", "asdf"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # These name every watched folder: megabytes, whenever folders are made quickly.
    warnings.filterwarnings("ignore", module=r"watchdog\.observers\.inotify")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _handler(handler: logging.Handler, *, json: bool) -> logging.Handler:
    last: list[structlog.typing.Processor] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
        if json
        else [structlog.dev.ConsoleRenderer()]
    )
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=list(_SHARED), processors=[clean, *last])
    )
    return handler
