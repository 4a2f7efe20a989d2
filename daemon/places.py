"""Where a question finds the configuration of the service that it is about."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SYSTEM = Path("/etc/calwebbd/calwebbd.toml")


def configuration(asked: Path | None) -> Path:
    """The file asked for, of CALWEBBD_CONFIG, of this folder, of the user's last run, or of the system."""
    if asked:
        return asked
    if "CALWEBBD_CONFIG" in os.environ:
        return Path(os.environ["CALWEBBD_CONFIG"])
    here = Path("calwebbd.toml")
    if os.path.exists(here):  # which, unlike its method, bears a folder that may not be looked into
        return here
    last = _note()
    return Path(last.read_text()) if os.path.exists(last) else SYSTEM


def remember(config: Path) -> None:
    """Note the configuration of this run for the user's later questions."""
    with suppress(OSError):  # a service may have no home to write to; its questions name the file
        _note().parent.mkdir(parents=True, exist_ok=True)
        _note().write_text(str(config.absolute()))


def _note() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "calwebbd" / "configuration"
