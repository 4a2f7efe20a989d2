"""calwebbd.toml becomes one frozen Config; unknown keys and impossible values are errors."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

Seconds: TypeAlias = Annotated[float, Meta(gt=0)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]
#: parameters by step, under their official names
Steps: TypeAlias = dict[str, dict[str, Any]]


class ConfigError(Exception):
    """The configuration cannot be used; says which file, key and value."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are refused."""


class Folders(Section, frozen=True):
    """watch : with all folders below; output : products; state : database and lock."""

    watch: Annotated[tuple[Path, ...], Meta(min_length=1)]
    output: Path
    state: Path

    @property
    def database(self) -> Path:
        return self.state / "calwebbd.db"

    @property
    def scratch(self) -> Path:
        """On the file system of the products, so that publishing one is a rename."""
        return self.output / ".calwebbd"


class Crds(Section, frozen=True):
    """path : the cache, None for that of the environment; context : latest, or a literal one."""

    path: Path | None = None
    context: str = "latest"


class Workers(Section, frozen=True):
    """memory_mb : for all jobs together, None for four fifths of the machine's."""

    processes: Count = len(os.sched_getaffinity(0))
    threads: Count = 1
    memory_mb: Count | None = None
    timeout_seconds: Seconds = 4 * 3600.0

    @property
    def budget_mb(self) -> int:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return self.memory_mb or int(0.8 * pages * size / 2**20)


class Watch(Section, frozen=True):
    """settle_seconds : a file is looked at when its size and time stand still so long;
    patience_seconds : an incomplete file is quarantined when it has not grown for so long."""

    settle_seconds: Seconds = 2.0
    patience_seconds: Seconds = 60.0
    rescan_seconds: Seconds = 300.0


class Associations(Section, frozen=True):
    """hold_seconds : of a complete group; quiet_seconds and hard_seconds : of another (see queues.groups)."""

    level3: bool = True
    hold_seconds: Seconds = 5.0
    quiet_seconds: Seconds = 600.0
    hard_seconds: Seconds = 72 * 3600.0


class Queue(Section, frozen=True):
    """reserve_mb : so much of the products' disk is never used
    backlog : with so many jobs waiting no more files are taken in
    failures, probe_seconds : so many alike in a row pause their stage, until a probe succeeds
    """

    reserve_mb: Count = 1024
    backlog: Count = 100_000
    failures: Count = 5
    probe_seconds: Seconds = 300.0


class Products(Section, frozen=True):
    """quicklook : whether there is a PNG beside each image;
    sidecars : whether there is the record of how it was made beside each product."""

    quicklook: bool = False
    sidecars: bool = True


class Log(Section, frozen=True):
    """file : JSON lines beside those on stderr."""

    file: Path | None = None
    level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"


class Config(Section, frozen=True):
    folders: Folders
    crds: Crds = Crds()
    workers: Workers = Workers()
    watch: Watch = Watch()
    associations: Associations = Associations()
    queue: Queue = Queue()
    products: Products = Products()
    log: Log = Log()
    steps: Steps = {}


def load(path: Path) -> Config:
    """Read a configuration; relative paths are relative to its file.

    Raises ConfigError, one sentence naming the file, the key and the value.
    """
    try:
        table = msgspec.toml.decode(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: is not TOML ({error})") from error
    try:
        config = msgspec.convert(table, Config, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_explain(str(error), table)}") from error
    config = _absolute(config, path.absolute().parent)
    _check_folders(path, config.folders)
    return config


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise TypeError(f"expected a {kind.__name__.lower()}")


def _explain(message: str, table: Any) -> str:
    """msgspec's sentence with its path as a TOML key, and the value found there."""
    found = re.fullmatch(r"(?P<what>.*?)(?: - at `\$(?P<where>.*)`)?", message, re.DOTALL)
    assert found is not None
    where = (found["where"] or "").lstrip(".")
    what = found["what"][0].lower() + found["what"][1:]
    if not where:
        return what
    value = table
    for part in re.findall(r"[^.\[\]]+", where):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal():
            value = value[int(part)]
    return f"{where}: {what}" if isinstance(value, dict) else f"{where} = {value!r}: {what}"


def _absolute(config: Config, base: Path) -> Config:
    replace = msgspec.structs.replace
    folders = config.folders
    watch = tuple(_resolve(base, folder) for folder in folders.watch)
    output, state = _resolve(base, folders.output), _resolve(base, folders.state)
    return replace(
        config,
        folders=Folders(watch=watch, output=output, state=state),
        crds=replace(config.crds, path=config.crds.path and _resolve(base, config.crds.path)),
        log=replace(config.log, file=config.log.file and _resolve(base, config.log.file)),
    )


def _resolve(base: Path, path: Path) -> Path:
    """Absolute, without links: an output folder must not be taken for another one than it is."""
    return (base / path).resolve()


def _check_folders(path: Path, folders: Folders) -> None:
    for watch in folders.watch:
        if watch.is_relative_to(folders.output):
            where = "is" if watch == folders.output else "lies in"
            raise ConfigError(f"{path}: folders.watch = {str(watch)!r}: {where} the output folder")
