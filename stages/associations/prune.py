"""Of associations that say the same, keep one (specification associations §5).

Candidates overlap: an observation is part of a mosaic, a background belongs to several. What
is made for an observation is preferred over what is made for a larger candidate with the same
members; of one product made with and without its backgrounds, the larger is kept.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from calwebbd.stages.associations.rules import Draft


def prune(drafts: Iterable[Draft]) -> list[Draft]:
    """The drafts to keep, the last of the highest candidate (o… > c… > a…) first."""
    kept: dict[frozenset[tuple[str, str]], Draft] = {}
    ordered = sorted(drafts, key=lambda draft: draft.candidate.id)
    for draft in reversed(ordered):
        kept.setdefault(frozenset((m.expname, m.exptype) for m in draft.members), draft)
    products = defaultdict(list)
    for draft in kept.values():
        products[draft.rule.product(draft)].append(draft)
    dropped = {id(draft) for alike in products.values() for draft in _smaller(alike)}
    return [draft for draft in kept.values() if id(draft) not in dropped]


def _smaller(drafts: Sequence[Draft]) -> list[Draft]:
    """Those of one product name of which a larger one has the members, or as many others."""
    kept: list[Draft] = []
    dropped: list[Draft] = []
    for draft in sorted(drafts, key=lambda draft: len(draft.members), reverse=True):
        larger = [k for k in kept if len(k.members) > len(draft.members) and not _disagree(k, draft)]
        (dropped if larger else kept).append(draft)
    return dropped


def _disagree(one: Draft, other: Draft) -> bool:
    """Whether a file has another part in the other association."""
    parts = {member.expname: member.exptype for member in one.members}
    return any(parts.get(m.expname, m.exptype) != m.exptype for m in other.members)
