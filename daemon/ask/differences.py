"""What differs between two ways of making a product, in sentences. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from calwebbd.daemon.ask.reader import Answer


def compared(one: Answer, other: Answer) -> list[str]:
    """Recipes as `Products._recipe` has them; an empty list if both make the same."""
    if not one or not other:
        return ["it is not on record how one of them was made"]
    return list(_differences(one, other))


def _differences(one: Answer, other: Answer) -> Iterator[str]:
    for what in ("pipeline", "context", "code"):
        if one[what] != other[what]:
            yield f"{what}: {one[what]} → {other[what]}"
    for name, old, new in changes(one["inputs"], other["inputs"]):
        yield f"input {name}: {_contents(old)} → {_contents(new)}"
    for kind, old, new in changes(one["references"], other["references"]):
        yield f"reference {kind}: {old or 'none'} → {new or 'none'}"
    for name, old, new in changes(one["checksums"], other["checksums"]):
        if old and new:  # the same name: CRDS never does that, a site's own files may
            yield f"content of {name}: SHA-1 {old[:12]} → {new[:12]}"
    for step, old, new in changes(one["parameters"], other["parameters"]):
        for name, before, after in changes(old or {}, new or {}):
            yield f"parameter {step}.{name}: {_value(before)} → {_value(after)}"
    for step, old, new in changes(one["steps"], other["steps"]):
        before, after = (each["status"] if each else "not run" for each in (old, new))
        if before != after:
            reason = next((each["reason"] for each in (new, old) if each and each["reason"]), "")
            yield f"step {step}: {before} → {after}" + (f" ({reason})" if reason else "")


def changes(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(key, value in one, value in other) wherever they differ; None where there is none."""
    for key in sorted(one.keys() | other.keys()):
        if one.get(key) != other.get(key):
            yield key, one.get(key), other.get(key)


def _contents(sha256: str | None) -> str:
    return sha256[:12] if sha256 else "none"


def _value(recorded: Any) -> str:
    """A parameter with where it comes from."""
    if recorded is None:
        return "none"
    value, origin = recorded
    return f"{value!r} ({origin})"
