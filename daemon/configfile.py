"""calwebbd.toml becomes one frozen Config; unknown keys and impossible values are errors."""

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from calwebbd.daemon.config import Config, Folders, Workers


class ConfigError(Exception):
    """The configuration cannot be used; says which file, key and value."""


def load(path: Path) -> Config:
    """Read a configuration; relative paths are relative to its file.

    Raises ConfigError, one sentence naming the file, the key and the value.
    """
    try:
        table = msgspec.toml.decode(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:  # msgspec's own are ValueErrors
        raise ConfigError(f"{path}: is not TOML ({error})") from error
    try:
        config = msgspec.convert(table, Config, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_explain(str(error), table)}") from error
    config = _absolute(config, path.absolute().parent)
    _check_folders(path, config)
    _check_engine(path, config.workers)
    return config


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        if not value.isprintable() or any(len(os.fsencode(part)) > 255 for part in value.split("/")):
            raise ValueError("expected the name of a file or folder")
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

    def resolved(paths: Iterable[Path]) -> tuple[Path, ...]:
        return tuple(_resolve(base, path) for path in paths)

    watch = resolved(folders.watch)
    output, state = _resolve(base, folders.output), _resolve(base, folders.state)
    scheduler = config.workers.scheduler
    if scheduler and "://" not in scheduler:
        scheduler = str(_resolve(base, Path(scheduler)))
    return replace(
        config,
        workers=replace(config.workers, scheduler=scheduler),
        folders=Folders(watch=watch, output=output, state=state),
        crds=replace(config.crds, path=config.crds.path and _resolve(base, config.crds.path)),
        backup=replace(config.backup, folder=config.backup.folder and _resolve(base, config.backup.folder)),
        web=replace(config.web, token_file=config.web.token_file and _resolve(base, config.web.token_file)),
        log=replace(config.log, file=config.log.file and _resolve(base, config.log.file)),
        rules=tuple(replace(rule, folders=resolved(rule.folders)) for rule in config.rules),
        roots=tuple(replace(root, path=_resolve(base, root.path)) for root in config.roots),
    )


def _resolve(base: Path, path: Path) -> Path:
    """Absolute, without links: an output folder must not be taken for another one than it is."""
    return (base / path).resolve()


def _check_folders(path: Path, config: Config) -> None:
    output = config.folders.output
    if not config.watched:
        raise ConfigError(f"{path}: neither folders.watch nor a [[roots]] names a folder to watch")
    for root in config.watched:
        key = "roots.path" if root in config.roots else "folders.watch"
        if root.path.is_relative_to(output):
            where = "is" if root.path == output else "lies in"
            raise ConfigError(f"{path}: {key} = {str(root.path)!r}: {where} the output folder")
    for names, what in ((config.roots, "path"), (config.rules, "name")):
        for value, n in Counter(getattr(entry, what) for entry in names).items():
            if n > 1:
                key = "roots" if names is config.roots else "rules"
                raise ConfigError(f"{path}: {key}.{what} = {str(value)!r}: is given {n} times")


def _check_engine(path: Path, workers: Workers) -> None:
    if workers.engine == "local":
        return
    if not workers.scheduler:
        raise ConfigError(f"{path}: workers.scheduler must be given: engine is 'dask'")
    if workers.memory_mb is None:
        raise ConfigError(f"{path}: workers.memory_mb must be given, of the largest host: engine is 'dask'")
