"""What systemd needs, written below a root folder: unit, user, folders, journal, configuration.

Writing it again changes nothing that is as it should be; a configuration that is there is
kept, and the folders that it names are those which the unit may write to and waits for.
"""

import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from calwebbd.daemon import configfile
from calwebbd.daemon.config import Config

SOURCE = Path(__file__).absolute().parent.parent / "systemd"
UNCHANGED, WRITTEN, KEPT = "unchanged", "written", "kept"
#: where a hardened unit cannot see its program
HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"))
AFTERWARDS = (
    "systemd-sysusers",
    "systemd-tmpfiles --create",
    "systemctl daemon-reload",
    "systemctl enable --now calwebbd",
)


class Unfit(Exception):
    """It cannot be installed so; the message is one sentence."""


@dataclass(frozen=True)
class File:
    path: Path
    text: str
    kept: bool = False  #: if it is there already, whatever it says

    @property
    def fate(self) -> str:
        """What becomes of it, or became."""
        if not self.path.exists():
            return WRITTEN
        if self.path.read_text() == self.text:
            return UNCHANGED
        return KEPT if self.kept else WRITTEN

    def write(self) -> None:
        if self.fate == WRITTEN:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.text)


def plan(root: Path = Path("/"), given: Path | None = None, program: Path | None = None) -> list[File]:
    """The files to be written below `root`.

    given : a configuration, for a machine that has none; program : calwebbd of this environment
    Raises ConfigError, or Unfit if the unit could not run the program.
    """
    needed = [program] if program else [Path(sys.prefix) / "bin" / "calwebbd", Path(sys.base_prefix)]
    for path, folder in product(needed, HIDDEN):
        if path.is_relative_to(folder):
            raise Unfit(f"{path} lies below {folder}, which the unit does not see: see docs/install.md")
    program = needed[0]
    here = root / "etc/calwebbd/calwebbd.toml"
    source = here if here.exists() else given or SOURCE / "calwebbd.toml"
    settings = configfile.load(source)
    units, extra = root / "etc/systemd/system", root / "etc/systemd/system/calwebbd.service.d"
    unit, page = (
        _text(name).replace("/usr/bin/env calwebbd", str(program))
        for name in ("calwebbd.service", "calwebbd-web.service")
    )
    return [
        File(units / "calwebbd.service", unit),
        File(extra / "10-folders.conf", _folders(settings)),
        File(units / "calwebbd-web.service", page),
        File(units / "calwebbd-web.service.d" / "10-folders.conf", _state(settings)),
        File(extra / "20-resources.conf", _text("resources.conf"), kept=True),
        File(extra / "30-journal.conf", _text("journal.conf"), kept=True),
        File(root / "etc/systemd/journald@calwebbd.conf", _text("journald@calwebbd.conf"), kept=True),
        File(root / "etc/sysusers.d/calwebbd.conf", _text("calwebbd.sysusers")),
        File(root / "etc/tmpfiles.d/calwebbd.conf", _text("calwebbd.tmpfiles") + _own(settings)),
        File(here, (given or SOURCE / "calwebbd.toml").read_text(), kept=True),
    ]


def _text(name: str) -> str:
    return (SOURCE / name).read_text()


def _folders(config: Config) -> str:
    """Start after what is mounted there. Products' folders may be written to, watched ones may not."""
    folders = config.folders
    watched = [root.path for root in config.watched]
    needed = [folders.output, folders.state, *watched]
    lines = ["# Of the configuration, by calwebbd install: run it again when folders change.", "[Unit]"]
    lines += [f"RequiresMountsFor={_quoted(path)}" for path in dict.fromkeys(needed)]
    lines += ["", "[Service]"]
    written = [folders.output, folders.state, *([config.log.file.parent] if config.log.file else [])]
    written += [config.backup.folder] if config.backup.folder else []
    lines += [f"ReadWritePaths=-{_quoted(path)}" for path in dict.fromkeys(written)]
    return "\n".join(lines) + "\n"


def _state(config: Config) -> str:
    """The page reads everything, and writes only what readers of the database share beside it."""
    lines = ["# Of the configuration, by calwebbd install: run it again when folders change.", "[Service]"]
    return "\n".join([*lines, f"ReadWritePaths=-{_quoted(config.folders.state)}"]) + "\n"


def _own(config: Config) -> str:
    """The folder of products is the service's; watched ones belong to whoever fills them."""
    return f'd "{str(config.folders.output).replace("%", "%%")}" 0755 calwebbd calwebbd -\n'


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'
