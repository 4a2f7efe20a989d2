"""All associations of a pool, as the official generator would make them.

Every candidate is taken by itself; then, unless candidates were asked for, the whole pool, for
what belongs together across candidates. Work and memory grow with the rows and the members
found: partners are found by keys, not by trying rows on associations.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path

from calwebbd.stages.associations import rules2, rules3
from calwebbd.stages.associations.asn import UNDEGRADED, Association, Product, asn_file_name, checked
from calwebbd.stages.associations.pool import ABSENT, Candidate, Pool, Row, candidates
from calwebbd.stages.associations.prune import prune
from calwebbd.stages.associations.rules import Draft
from calwebbd.stages.errors import InputError
from calwebbd.stages.names import split_suffix

#: of associations over the whole pool
DISCOVERED = Candidate("a3001", "discovered")
DEGRADED = (
    "One or more members have an error associated with them."
    "\nDetails can be found in the member.exposerr attribute."
)


def generate(pool: Pool, ids: Sequence[str] = (), version_id: str | None = None) -> dict[str, Association]:
    """The associations of a pool by the names of their files.

    Parameters
    ----------
    ids : of candidates, as ``o001`` or ``c1000``; none means all, and what spans several
    version_id : to be part of the names, or None

    Files are numbered by candidate and type from the last association to the first, as the
    official generator does. Raises InputError for an id that no row has, and for values that make
    names which lead elsewhere.
    """
    known = _by_candidate(pool.rows)
    named = {candidate.id: candidate for candidate in known}
    for name in ids:
        if name not in named:
            raise InputError(f"no row has the candidate {name}", file=pool.name, step="association")
    level2: list[Draft] = []
    level3: list[Draft] = [] if ids else rules3.gather(pool.rows, DISCOVERED)
    for candidate in [named[name] for name in ids] if ids else known:
        rows = [{**row, "asn_candidate": str(candidate)} for row in known[candidate]]
        level2 += rules2.gather(rows, candidate)
        level3 += rules3.gather(rows, candidate)
    made = {}
    for drafts in (level2, level3):
        numbers: dict[tuple[str, str], count[int]] = defaultdict(lambda: count(1))
        for draft in prune(draft for draft in drafts if draft.rule.valid(draft)):
            association = _association(draft, pool, version_id)
            number = next(numbers[association.asn_id, association.asn_type])
            made[asn_file_name(association, number)] = association
    return made


def of_observations(pool: Pool, version_id: str | None = None) -> dict[str, Association]:
    """The associations of each observation alone: all that can be told from headers."""
    kept = [candidate.id for candidate in _by_candidate(pool.rows) if candidate.kind == "observation"]
    return generate(pool, kept, version_id) if kept else {}


def of_candidates(pool: Pool) -> dict[str, Association]:
    """The associations of every candidate that the proposal names; none of what merely could be combined."""
    kept = [candidate.id for candidate in _by_candidate(pool.rows)]
    return generate(pool, kept) if kept else {}


def missing(association: Association, files: Iterable[Path]) -> list[str]:
    """The members of which none of these files is a product: exposures are compared, not suffixes."""
    there = {split_suffix(path.name)[0] for path in files}
    members = [member.expname for product in association.products for member in product.members]
    return [name for name in members if split_suffix(name)[0] not in there]


def _by_candidate(rows: Iterable[Row]) -> Mapping[Candidate, list[Row]]:
    """The rows of each candidate; candidates of one kind together, in the order of their first row."""
    kinds: dict[str, dict[Candidate, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for candidate in candidates(row):
            kinds[candidate.kind][candidate].append(row)
    return {candidate: found for kind in kinds.values() for candidate, found in kind.items()}


def _association(draft: Draft, pool: Pool, version_id: str | None) -> Association:
    """Raises InputError, of the pool, where it is none that a file could hold."""
    try:
        return checked(_made(draft, pool.name, version_id), Path())
    except InputError as error:
        error.file, error.step = pool.name, "association"
        raise


def _made(draft: Draft, pool: str, version_id: str | None) -> Association:
    ruleset = "discover" if draft.candidate is DISCOVERED else "candidate"
    degraded = any((member.exposerr or "").lower() not in ABSENT for member in draft.members)
    return Association(
        asn_type=draft.rule.asn_type,
        asn_rule=f"{ruleset}_{draft.rule.name}",
        version_id=version_id,
        degraded_status=DEGRADED if degraded else UNDEGRADED,
        program=draft.program,
        constraints="\n".join(draft.rule.said(draft.rows[0])),
        asn_id=draft.candidate.id,
        asn_pool=pool,
        target=draft.rule.target(draft),
        products=(Product(draft.rule.product(draft), tuple(draft.members)),),
    )
