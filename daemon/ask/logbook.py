"""Search the log file: JSON lines, of which one may have been cut off or be another program's."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

#: names by which a line may say what it is about
ABOUT = ("exposure", "product", "file", "files", "subject", "association")
_LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3, "critical": 4, "exception": 3}
_FIRST = ("timestamp", "level", "event", "logger")

Line = dict[str, Any]


def search(
    file: Path,
    *,
    job: int | None = None,
    name: str | None = None,
    since: float = 0.0,
    level: str = "debug",
    pattern: re.Pattern[str] | None = None,
) -> Iterator[Line]:
    """Lines that are of all that is asked for, the oldest first; those rotated to ``.1``, ``.2``, … too.

    name : a part of the name of a file or product; pattern : searched for in the whole line
    """
    for path in _files(file):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for text in lines:
                if pattern is not None and not pattern.search(text):
                    continue
                line = _parsed(text)
                if line is not None and _is(line, job, name, since, level):
                    yield line


def told(line: Line) -> str:
    """A line for people: when, how grave, what, and the rest by name."""
    rest = [f"{key}={value}" for key, value in line.items() if key not in _FIRST]
    time = str(line.get("timestamp", ""))[:19].replace("T", " ")
    return "  ".join([time, f"{line.get('level', ''):8s}{line.get('event', '')}", *rest])


def _files(file: Path) -> list[Path]:
    """The file and those that logrotate has moved away beside it, the oldest first."""
    rotated = [path for path in file.parent.glob(f"{file.name}.*") if path.suffix[1:].isdecimal()]
    return [*sorted(rotated, key=lambda path: -int(path.suffix[1:])), *([file] if file.exists() else [])]


def _parsed(text: str) -> Line | None:
    try:
        line = json.loads(text)
    except json.JSONDecodeError:
        return None
    return line if isinstance(line, dict) else None


def _is(line: Line, job: int | None, name: str | None, since: float, level: str) -> bool:
    if job is not None and line.get("job") != job:
        return False
    if _LEVELS.get(str(line.get("level")), 1) < _LEVELS[level]:
        return False
    if name is not None and not any(name in str(line.get(key, "")) for key in ABOUT):
        return False
    return not since or _time(line) >= since


def _time(line: Line) -> float:
    try:
        return datetime.fromisoformat(str(line.get("timestamp"))).timestamp()
    except ValueError:
        return 0.0
