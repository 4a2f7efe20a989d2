"""What all rules of association have in common, and an association as it grows.

A rule is a declaration: which rows of a pool it takes, which of them belong together, how the
product is called. `rules2` and `rules3` list those of the two levels, each with the one
function that gathers rows by them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from calwebbd.stages.associations.asn import Member
from calwebbd.stages.associations.classify import by_integration
from calwebbd.stages.associations.pool import Candidate, Row, value

#: of which the first that says something counts
Columns: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    name: str  #: as the official generator calls it
    asn_type: str
    takes: Callable[[Row], bool]
    alike: tuple[Columns, ...]  #: what rows of one association have in common
    by_integration: Callable[[Row], bool] = by_integration  #: which products take part

    def key(self, row: Row) -> tuple[str, ...]:
        """Equal for rows that belong together."""
        return tuple(value(row, *columns) for columns in self.alike)

    def said(self, row: Row) -> Iterator[str]:
        """What the row's association is bound to, in words."""
        for columns in self.alike:
            if found := value(row, *columns):
                yield f"{'|'.join(columns)} {found}"

    @abstractmethod
    def part(self, row: Row) -> str:
        """The role in which the row takes part."""

    @abstractmethod
    def member(self, row: Row) -> Member: ...

    @abstractmethod
    def valid(self, draft: "Draft") -> bool:
        """Whether the members that were found make an association."""

    @abstractmethod
    def product(self, draft: "Draft") -> str:
        """The name of the product."""

    @abstractmethod
    def target(self, draft: "Draft") -> str: ...


@dataclass(eq=False)
class Draft:
    """An association that still takes members."""

    rule: Rule
    candidate: Candidate
    rows: list[Row] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    files: set[str] = field(default_factory=set)  #: of the rows

    def add(self, row: Row) -> None:
        """Take a row, once."""
        if row["filename"] not in self.files:
            self.files.add(row["filename"])
            self.rows.append(row)
            self.members.append(self.rule.member(row))

    def has(self, part: str) -> bool:
        return any(member.exptype == part for member in self.members)

    @property
    def program(self) -> str:
        return f"{value(self.rows[0], 'program'):0>5}"
