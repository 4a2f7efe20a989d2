"""What may be changed while the service runs: pure."""

from typing import Any

import msgspec

from calwebbd.daemon.config import Config

#: keys, or whole sections, that take effect at once; jobs that are in the queue keep their parameters
SAFE = frozenset(
    {
        "folders.watch",
        "roots",
        "rules",
        "steps",
        "watch",
        "associations",
        "persistence",
        "products",
        "backup",
        "log",
        "queue",
        "notify",
        "web",
    }
    | {"workers.processes", "workers.memory_mb", "workers.timeout_seconds"}
)


def changes(old: Config, new: Config) -> list[str]:
    """Keys with another value, as ``workers.processes``; tables without fixed keys as a whole."""
    return [key for key, value in _keys(new).items() if _keys(old).get(key) != value]


def refusal(changed: list[str]) -> str:
    """Why a configuration cannot be taken over now, in a sentence that names the keys; empty if it can."""
    fixed = [key for key in changed if key not in SAFE and key.partition(".")[0] not in SAFE]
    if not fixed:
        return ""
    return f"{', '.join(fixed)} cannot change while the service runs: restart it (nothing was changed)"


def _keys(config: Config) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for section in config.__struct_fields__:
        value = getattr(config, section)
        if isinstance(value, msgspec.Struct):
            found |= {f"{section}.{key}": getattr(value, key) for key in value.__struct_fields__}
        else:
            found[section] = value
    return found
