"""``whatif`` and ``crds impact``, which are the same: what another context would change."""

from __future__ import annotations

import argparse
import os
from typing import Any

from calwebbd.daemon.commands import Common, Verbs
from calwebbd.daemon.commands.asking import answer, settings, verb
from calwebbd.daemon.errors import CommandError

MOST = 50  #: products that are listed; JSON has all


def add(verbs: Verbs, common: Common, name: str) -> None:
    parser = verb(verbs, common, name, "what another context would change of what has been made")
    parser.add_argument("context", metavar="CONTEXT", help="jwst_NNNN.pmap, in the cache or on the server")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare here, over a read-only connection; the service is not asked. Missing rules are fetched."""
    from calwebbd.daemon.contexts.policy import environment
    from calwebbd.stages.crds import contexts, keep
    from calwebbd.stages.errors import ReferenceMissing

    os.environ.update(environment(settings(args)))
    try:
        keep.keep_context(args.context)
    except ReferenceMissing as error:
        newest = ", ".join(contexts()[-3:])
        raise CommandError(f"{error}" + (f"; the newest in the cache: {newest}" if newest else "")) from error
    return answer(args, lambda ask: ask.whatif(args.context), _say)


def _say(found: dict[str, Any]) -> None:
    if not found["products"]:
        print(f"{found['context']}: nothing is there that was made in another context")
        return
    jobs = f"{found['affected']} of {found['products']} jobs that were done in other contexts"
    print(f"{found['context']}: other references for {jobs}")
    for stage, count in found["by_stage"].items():
        print(f"  from stage {stage} on: {count}")
    for stage, count in found["following"].items():
        print(f"  following in stage {stage}: {count}")
    print(f"  unaffected, to be certified: {found['unaffected']}")
    for instrument, kinds in found["types"].items():
        for kind, files in kinds.items():
            for change, count in files.items():
                print(f"  {instrument} {kind}: {count} x {change}")
    for row in found["first"][:MOST]:
        print(f"{row['pipeline']} {row['product']}: {', '.join(row['references'])}")
    if len(found["first"]) > MOST:
        print(f"and {len(found['first']) - MOST} more (--json)")
