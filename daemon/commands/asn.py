"""``asn make``: write association files."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calwebbd.daemon.commands import Common, Verbs
from calwebbd.daemon.errors import CommandError

if TYPE_CHECKING:
    from calwebbd.stages.associations import Association


def add(verbs: Verbs, common: Common) -> None:
    topics = verbs.add_parser("asn", help="associations: which exposures make which product").add_subparsers(
        metavar="TOPIC", required=True
    )
    make = topics.add_parser(
        "make",
        parents=[common],
        help="write the associations of exposures or of a pool",
        description="Write the associations of an association pool, or of exposures by their headers. With "
        "both, the pool decides, and associations are written of which all members are among the exposures.",
    )
    make.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="exposures (*.fits), and one pool at most"
    )
    make.add_argument("-o", "--output-dir", type=Path, default=Path(), metavar="DIR", help="default: here")
    make.add_argument(
        *("-i", "--ids"), action="append", default=[], metavar="IDS",
        help="only these candidates, as o001,c1000; may be repeated",
    )  # fmt: skip
    make.add_argument(
        *("--version-id",), nargs="?", const="", metavar="TEXT",
        help="a part of the file names; without TEXT the time",
    )  # fmt: skip
    make.add_argument("--json", action="store_true", help="print JSON")
    make.set_defaults(run=run_make)


def run_make(args: argparse.Namespace) -> int:
    """Write the associations; those that lack exposures are named on stderr and not written."""
    from calwebbd.stages.associations import write_asn
    from calwebbd.stages.associations.generate import missing

    exposures = [path for path in args.files if path.suffix == ".fits"]
    pools = [path for path in args.files if path.suffix != ".fits"]
    made = _made(exposures, pools, args)
    lacking = {name: missing(asn, exposures) for name, asn in made.items()} if pools and exposures else {}
    written = {name: asn for name, asn in made.items() if not lacking.get(name)}
    args.output_dir.mkdir(parents=True, exist_ok=True)
    for name, asn in written.items():
        write_asn(asn, args.output_dir / name)
    if args.json:
        print(json.dumps([_told(args.output_dir / name, asn) for name, asn in written.items()], indent=2))
    else:
        for name in written:
            print(args.output_dir / name)
    for name in sorted(made.keys() - written.keys()):
        members = lacking[name]
        if len(members) < len(made[name].products[0].members):
            print(f"calwebbd: {name} is not written, it lacks {', '.join(members)}", file=sys.stderr)
    if not written:
        raise CommandError("these exposures make no association of images")
    return 0


def _made(exposures: list[Path], pools: list[Path], args: argparse.Namespace) -> dict[str, Association]:
    """By the pool if there is one, else by headers: then each observation alone."""
    from calwebbd.stages.associations.generate import generate, of_observations
    from calwebbd.stages.associations.pool import pool_of, read_pool

    if len(pools) > 1:
        raise CommandError(f"one pool at a time, not {len(pools)}: {', '.join(map(str, pools))}")
    version = args.version_id
    if version == "":
        version = time.strftime("%Y%m%dt%H%M%S", time.gmtime())
    ids = [name for listed in args.ids for name in listed.split(",") if name]
    pool = read_pool(pools[0]) if pools else pool_of(exposures)
    return generate(pool, ids, version) if pools or ids else of_observations(pool, version)


def _told(path: Path, asn: Association) -> dict[str, Any]:
    product = asn.products[0]
    members = [{"expname": m.expname, "exptype": m.exptype} for m in product.members]
    return {
        "file": str(path),
        "asn_type": asn.asn_type,
        "asn_rule": asn.asn_rule,
        "product": product.name,
        "members": members,
    }
