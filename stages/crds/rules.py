"""The rules of a context, evaluated by the crds package but loaded by our own parser.

The package compiles and runs the text of a mapping, and evaluates the expressions in its
header. Here the same classes get what `mapping` has read, and expressions are walked by
a small interpreter, so that a mapping from anywhere can do no more than choose wrongly.
Source: specification crds §2.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from crds.core import config, exceptions, rmap, selectors, utils
from crds.core.rmap import LowerCaseDict

from calwebbd.stages.crds import mapping
from calwebbd.stages.crds.mapping import Call, Malformed

INSTRUMENTS = frozenset({"fgs", "miri", "nircam", "niriss", "nirspec", "system", "all"})
EXPRESSION = 20_000  #: characters of one
#: what may take exponential time: something repeated that is itself of repeated parts
_RUNAWAY = re.compile(r"[*+?}]\)*\)[*+{]")

#: what the package raises when rules are not as it expects them
_UNUSABLE = (exceptions.CrdsError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


def load(name: str, **keys: Any) -> Any:
    """The rules of a mapping file in the cache, and of those below it when they are asked for.

    Raises Malformed, or OSError where there is no file.
    """
    return _load(name, config.locate_mapping(name))


@lru_cache(maxsize=4096)
def _load(name: str, path: str) -> Any:
    kinds = {".pmap": _Pipeline, ".imap": _Instrument, ".rmap": _Reference}
    found = mapping.read(Path(path))
    try:
        return kinds[Path(name).suffix].of(found)
    except (
        exceptions.CrdsError,
        AssertionError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise Malformed(f"{name} cannot be used ({' '.join(str(error).split())})") from error


def forget() -> None:
    """Mappings are read anew: files of the cache may have been replaced."""
    _load.cache_clear()


class _Parsed(rmap.Mapping):  # type: ignore[misc]
    @classmethod
    def of(cls, found: mapping.Mapping) -> Any:
        header = LowerCaseDict(found.header)
        if header.get("observatory", "jwst") != "jwst":
            raise Malformed(f"{found.name} is of observatory {found.header['observatory']!r}")
        if header.get("instrument", "all") not in INSTRUMENTS:
            raise Malformed(f"{found.name} is of instrument {found.header['instrument']!r}")
        chosen = found.selector
        if isinstance(chosen, Call):
            chosen = _parameters(found.name, chosen).instantiate(header)
        rules = cls(found.name, header, chosen, loader=load)
        rules._check_type()
        return rules


class _Pipeline(_Parsed, rmap.PipelineContext):  # type: ignore[misc]
    """A context of all instruments."""


class _Instrument(_Parsed, rmap.InstrumentContext):  # type: ignore[misc]
    """The context of one."""


class _Reference(_Parsed, rmap.ReferenceMapping):  # type: ignore[misc]
    """Rules of one type; expressions are trees, and there are no hooks."""

    def get_expr(self, expr: str) -> tuple[str, ast.expr]:
        return expr, _tree(self.filename, expr)

    def get_hook(self, name: str, default: Any) -> Any:
        return default

    def check_rmap_relevance(self, header: dict[str, str]) -> None:
        """An expression that cannot be evaluated does not make the type irrelevant."""
        if not self._holds(self._rmap_relevance_expr, header, otherwise=True):
            raise exceptions.IrrelevantReferenceTypeError("its rules do not apply to the exposure")

    def check_rmap_omit(self, header: dict[str, str]) -> None:
        if self._holds(self._rmap_omit_expr, header, otherwise=False):
            raise exceptions.OmitReferenceTypeError("its rules leave the type out for the exposure")

    def map_irrelevant_parkeys_to_na(self, header: dict[str, str], keep_comments: bool = False) -> Any:
        defined = dict.fromkeys(self._required_parkeys, "UNDEFINED") | header
        values = utils.condition_header_keys(defined) | {"keep_comments": keep_comments}
        changed = dict(header)
        for key in self._required_parkeys:
            expression = self._parkey_relevance_exprs.get(key.lower())
            if expression is not None and not _value(expression[1], values):
                changed[key] = "N/A"
        return changed

    def _holds(self, expression: tuple[str, ast.expr], header: dict[str, str], *, otherwise: bool) -> bool:
        try:
            return bool(_value(expression[1], header))
        except (LookupError, TypeError):
            return otherwise


def _parameters(name: str, call: Call) -> Any:
    """The package's selectors, not yet instantiated, with what they select."""
    for key in call.selections:
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, str) and part.startswith("(") and _RUNAWAY.search(part):
                raise Malformed(f"{name} matches by {part!r}, which may never end")
    return selectors.SELECTORS[call.name](
        {key: _selected(name, value) for key, value in call.selections.items()}
    )


def _selected(name: str, value: Any) -> Any:
    if isinstance(value, Call):
        return _parameters(name, value)
    files = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
    for file in files:
        if not isinstance(file, str) or file.startswith(".") or ("/" in file and file.upper() not in NONE):
            raise Malformed(f"{name} selects {file!r}, which is no file's name")
    return value


NONE = frozenset({"N/A", "TEMP_N/A"})


def _tree(name: str, expression: str) -> ast.expr:
    if len(expression) > EXPRESSION:
        raise Malformed(f"{name} has an expression of {len(expression)} characters")
    try:
        tree = ast.parse(expression, mode="eval").body
        for node in ast.walk(tree):
            if not isinstance(node, _ALLOWED):
                raise Malformed(f"{name} has {type(node).__name__} in the expression {expression[:80]!r}")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Malformed(f"{name} has the expression {expression[:80]!r} ({error or 'too deep'})") from error
    return tree


_ALLOWED = (
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.Compare, ast.cmpop, ast.IfExp),
    *(ast.Name, ast.Attribute, ast.Load, ast.Constant, ast.Tuple, ast.List, ast.USub),
)


def _value(node: ast.expr, header: dict[str, Any]) -> Any:
    """What an expression says of a header. Raises LookupError for a name it does not have."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Tuple() | ast.List():
            return tuple(_value(each, header) for each in node.elts)
        case ast.Name() | ast.Attribute():
            return header[ast.unparse(node)]
        case ast.BoolOp():
            all_of = isinstance(node.op, ast.And)
            value: Any = all_of
            for each in node.values:
                value = _value(each, header)
                if bool(value) is not all_of:
                    break
            return value
        case ast.UnaryOp():
            value = _value(node.operand, header)
            return not value if isinstance(node.op, ast.Not) else -value
        case ast.IfExp():
            return _value(node.body if _value(node.test, header) else node.orelse, header)
        case ast.Compare():
            return _compared(node, header)
    raise TypeError(f"{type(node).__name__} is no part of an expression")


def _compared(node: ast.Compare, header: dict[str, Any]) -> bool:
    left = _value(node.left, header)
    for operation, other in zip(node.ops, node.comparators, strict=True):
        right = _value(other, header)
        if not _COMPARE[type(operation)](left, right):
            return False
        left = right
    return True
