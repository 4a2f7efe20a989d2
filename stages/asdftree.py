"""Look through the metadata tree of an ASDF file before a library builds what it asks for.

A tree comes with a file from elsewhere, and may ask for more than there is: for objects of any
Python class, arrays larger than memory, files or addresses elsewhere, or the same part over and
over (an alias of aliases). Its events are walked once, nothing is built.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from calwebbd.stages.errors import InputError

DEEPEST = 100  #: levels; a gwcs has twenty
MOST = 5_000_000  #: values, when aliases are written out
LARGEST = 2**28  #: samples of an array
_END = b"\n...\n"
_TAGS = ("!", "tag:stsci.edu:", "tag:astropy.org:", "tag:yaml.org,2002:", "asdf://")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class _Level:
    """A mapping or sequence that is open, with what stands under the last key."""

    anchor: str | None
    mapping: bool
    values: int = 1
    key: str | None = None
    at_key: bool = True
    numbers: list[float] = field(default_factory=list)


def check(content: bytes) -> None:
    """Raise InputError, in one sentence, if the tree at the beginning of `content` is not to be built."""
    end = content.find(_END)
    tree = content[: end + len(_END)] if end >= 0 else content
    try:
        _walk(yaml.parse(tree, Loader=_Loader))
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or type(error).__name__
        raise InputError(f"its ASDF tree is no YAML: {problem}") from error
    except RecursionError as error:
        raise InputError("its ASDF tree is nested too deep") from error


def _walk(events: Iterator[Any]) -> None:
    levels: list[_Level] = [_Level(None, mapping=False)]
    sizes: dict[str, int] = {}
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            _tag(event.tag)
            levels.append(_Level(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            if len(levels) > DEEPEST:
                raise InputError("its ASDF tree is nested too deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = levels.pop()
            if ended.anchor:
                sizes[ended.anchor] = ended.values
            _add(levels[-1], ended.values)
            _shape(levels[-1], ended)
            _pass(levels[-1])
        elif isinstance(event, yaml.AliasEvent):
            _add(levels[-1], sizes.get(event.anchor, 1))
            _pass(levels[-1])
        elif isinstance(event, yaml.ScalarEvent):
            _tag(event.tag)
            if event.anchor:
                sizes[event.anchor] = 1
            _add(levels[-1], 1)
            _scalar(levels[-1], event.value)


def _tag(tag: str | None) -> None:
    if tag and ("python" in tag or not tag.startswith(_TAGS)):
        raise InputError(f"its ASDF tree has the tag {tag[:80]!r}, which no product of JWST has")


def _add(level: _Level, values: int) -> None:
    level.values += values
    if level.values > MOST:
        raise InputError(f"its ASDF tree has more than {MOST} values, with aliases of aliases written out")


def _scalar(level: _Level, value: str) -> None:
    if not level.mapping:
        if len(level.numbers) < DEEPEST and value.isdecimal() and len(value) < DEEPEST:
            level.numbers.append(float(value))
    elif level.at_key:
        level.key = value
        if value == "$ref":
            raise InputError("its ASDF tree refers to another file, which no product of JWST does")
    elif level.key == "source" and not (value.lstrip("-").isdecimal() or value.startswith("fits:")):
        raise InputError(f"its ASDF tree has an array in {value[:80]!r}, outside of the file")
    _pass(level)


def _shape(above: _Level, ended: _Level) -> None:
    if above.mapping and not above.at_key and above.key == "shape" and math.prod(ended.numbers) > LARGEST:
        raise InputError(f"its ASDF tree has an array of more than {LARGEST} samples")


def _pass(level: _Level) -> None:
    """From a key to its value, or on to the next key."""
    level.at_key = not level.at_key
