"""A mapping file of CRDS as data: read by a small grammar of literals, never executed.

The file looks like Python: ``header = {…}``, sometimes ``comment = \"\"\"…\"\"\"``, and
``selector = {…}`` or nested calls such as ``Match({(…): UseAfter({…})})``. Anything else
(an import, an attribute, an operator, a call of another name) is an error, as is nesting
or a number beyond what rules need. Source: specification crds §1.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from calwebbd.stages.errors import ReferenceMissing

LARGEST = 32 * 2**20  #: characters of a mapping
DEEPEST = 16  #: brackets in brackets; real rules have five
LONGEST = 40  #: characters of a number
SELECTORS = frozenset(
    {"Match", "UseAfter", "VersionAfter", "SelectVersion", "ClosestTime", "GeometricallyNearest", "Bracket"}
)
SECTIONS = ("header", "comment", "selector")
NAME = re.compile(r"jwst(_[a-z0-9-]+)*(_\d{4,})?\.(pmap|imap|rmap)")

_WORDS = {"True": True, "False": False, "None": None}
_CLOSING = {"{": "}", "(": ")", "[": "]"}
_PLAIN = re.compile(r"'[^'\\]+'|\"[^\"\\]+\"")  #: what it means is what is written
_TOKEN = re.compile(
    r"""(?P<space>(?:\s|\#[^\n]*|\\\n)+)
      | (?P<string>[rRuU]?(?:'{3}(?:[^\\]|\\.)*?'{3}|"{3}(?:[^\\]|\\.)*?"{3}
                          |'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
      | (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<mark>[{}()\[\],:=])""",
    re.VERBOSE | re.DOTALL,
)


class Malformed(ReferenceMissing):
    """A mapping that cannot be what CRDS meant; fetched again it may be."""


@dataclass(frozen=True)
class Call:
    """A selector: its name, and what it selects by key."""

    name: str
    selections: Map[Any, Any]


@dataclass(frozen=True)
class Mapping:
    """header as written; selector : instrument or type -> mapping, or the outermost `Call`."""

    name: str
    header: Map[str, Any]
    selector: Map[str, Any] | Call
    sha1: str

    def mappings(self) -> list[str]:
        """Names of the mappings it selects; those of types that are N/A or omitted are left out."""
        if isinstance(self.selector, Call):
            return []
        return sorted({v for v in self.selector.values() if v.upper().removeprefix("TEMP_") not in SPECIAL})


SPECIAL = frozenset({"N/A", "OMIT"})


def read(path: Path) -> Mapping:
    """Read and check a mapping file. Raises Malformed, or OSError."""
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    return parse(content, path.name)


def parse(content: bytes, name: str) -> Mapping:
    """A mapping from its text, which must have the checksum that it states. Raises Malformed."""
    if len(content) > LARGEST:
        raise Malformed(f"{name} is larger than any mapping ({len(content)} bytes)")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"{name} is not text ({error.reason})") from error
    sections = _Reader(name, text).sections()
    header, selector = sections.get("header"), sections.get("selector")
    if not isinstance(header, dict) or not isinstance(selector, (dict, Call)):
        raise Malformed(f"{name} has no header, or no selector")
    stated, found = header.get("sha1sum"), checksum(text)
    if stated != found:
        raise Malformed(f"{name} has the checksum {found}, but states {stated}")
    mapping = Mapping(name, header, selector, hashlib.sha1(content).hexdigest())
    if isinstance(selector, dict):
        _check_names(mapping, selector)
    return mapping


def checksum(text: str) -> str:
    """SHA-1 of a mapping without the lines that state it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").splitlines(keepends=True)
    return hashlib.sha1("".join(line for line in lines if "sha1sum" not in line).encode()).hexdigest()


def _check_names(mapping: Mapping, selector: Map[Any, Any]) -> None:
    for key, value in selector.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise Malformed(f"{mapping.name} selects {value!r} for {key!r}, which are no names")
    for name in mapping.mappings():
        if not NAME.fullmatch(name):
            raise Malformed(f"{mapping.name} selects {name!r}, which is no mapping's name")


class _Reader:
    """Recursive descent over the tokens of one text, no deeper than `DEEPEST`."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._tokens = self._scan(text)
        self._line = 1
        self._depth = 0
        self._advance()

    def sections(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._kind:
            section = self._take("word")
            if section not in SECTIONS or section in found:
                self._fail(f"a section {section!r}")
            self._expect("=")
            found[section] = self._value()
        return found

    def _scan(self, text: str) -> Iterator[tuple[str, str]]:
        place = 0
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                self._fail(f"{text[place : place + 20]!r}")
            place = match.end()
            if match.lastgroup != "space":
                yield str(match.lastgroup), match[0]
            self._line += match[0].count("\n")
        yield "", "the end"

    def _advance(self) -> None:
        self._kind, self._token = next(self._tokens, ("", "the end"))

    def _take(self, kind: str) -> str:
        if self._kind != kind:
            self._fail(repr(self._token))
        token = self._token
        self._advance()
        return token

    def _expect(self, mark: str) -> None:
        if (self._kind, self._token) != ("mark", mark):
            self._fail(f"{self._token!r} in place of {mark!r}")
        self._advance()

    def _fail(self, what: str) -> NoReturn:
        raise Malformed(f"{self._name}, line {self._line}: {what} is not what a mapping has there")

    def _value(self) -> Any:
        kind, token = self._kind, self._token
        if kind == "string":
            return self._strings()
        if kind == "number":
            return self._number(self._take("number"))
        if kind == "word":
            return self._word(self._take("word"))
        if token not in _CLOSING:
            self._fail(repr(token))
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(f"nesting deeper than {DEEPEST}")
        self._advance()
        value = self._dictionary() if token == "{" else self._sequence(token)
        self._depth -= 1
        return value

    def _strings(self) -> str:
        """Strings that stand side by side are one."""
        parts = []
        while self._kind == "string":
            parts.append(self._string(self._token))
            self._advance()
        return "".join(parts)

    def _string(self, token: str) -> str:
        if _PLAIN.fullmatch(token):
            return token[1:-1]
        try:
            return str(ast.literal_eval(token))
        except (SyntaxError, ValueError):
            self._fail(f"{token[:20]!r}")

    def _number(self, token: str) -> int | float:
        if len(token) > LONGEST:
            self._fail(f"a number of {len(token)} characters")
        try:
            return int(token)
        except ValueError:
            return float(token)

    def _word(self, word: str) -> Any:
        if word in _WORDS:
            return _WORDS[word]
        if word not in SELECTORS:
            self._fail(repr(word))
        self._expect("(")
        selections = self._value()
        if not isinstance(selections, dict):
            self._fail(f"what {word} selects from")
        if self._token == ",":
            self._advance()
        self._expect(")")
        return Call(word, selections)

    def _dictionary(self) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        while self._token != "}" or self._kind != "mark":
            key = self._value()
            try:
                hash(key)
            except TypeError:
                self._fail("a key that may change")
            self._expect(":")
            found[key] = self._value()
            if not self._more("}"):
                break
        self._expect("}")
        return found

    def _sequence(self, opening: str) -> Any:
        closing = _CLOSING[opening]
        found: list[Any] = []
        comma = False
        while self._token != closing or self._kind != "mark":
            found.append(self._value())
            if not self._more(closing):
                break
            comma = True
        self._expect(closing)
        if opening == "[":
            return found
        return found[0] if len(found) == 1 and not comma else tuple(found)

    def _more(self, closing: str) -> bool:
        """Whether a comma says that more may follow."""
        if (self._kind, self._token) == ("mark", ","):
            self._advance()
            return True
        if (self._kind, self._token) != ("mark", closing):
            self._fail(repr(self._token))
        return False
