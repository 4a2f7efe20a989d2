"""``simulate`` makes exposures, and the CRDS cache that calibrates them."""

from __future__ import annotations

import argparse
from pathlib import Path

from calwebbd.daemon.commands import Common, Verbs

EPILOG = """
DIR/crds gets a CRDS cache that needs no server (set CRDS_PATH to it), DIR/uncal the
exposures, DIR/truth what really happened.
"""


def add(verbs: Verbs, common: Common) -> None:
    parser = verbs.add_parser(
        "simulate", parents=[common], help="make exposures and the references they need", epilog=EPILOG
    )
    option = parser.add_argument
    option("directory", type=Path, metavar="DIR", help="where to write")
    option(
        "--detectors", "--detector", type=_names, default="NRCA1,NRCALONG", metavar="NAME,…",
        help="of one instrument, any; default %(default)s",
    )  # fmt: skip
    option("--subarray", type=str.upper, metavar="NAME", help="default: one usual for the instrument")
    option("--full", action="store_true", help="full frame, the same as --subarray FULL")
    option("--filters", type=_names, default="", metavar="NAME,…", help="one a channel; default F200W,F444W")
    option("--readpatt", type=str.upper, metavar="NAME", help="default: one usual for the instrument")
    option("--exp-type", type=str.upper, metavar="TYPE", help="default: that usual for the subarray")
    option("--ngroups", type=int, default=5, metavar="N", help="default %(default)s")
    option("--nints", type=int, default=1, metavar="N", help="default %(default)s")
    option("--dithers", type=int, default=4, metavar="N", help="default %(default)s")
    option(
        "--segments",
        type=int,
        default=1,
        metavar="N",
        help="files an exposure is cut into; default %(default)s",
    )
    option("--tso", action="store_true", help="a time series: one pointing")
    option("--nstars", type=int, metavar="N", help="sources a detector sees; default 60, full frame 800")
    option("--snowballs", type=float, default=0.0, metavar="N", help="in an integration, on the average")
    option(
        "--without",
        type=_effects,
        default="",
        metavar="EFFECT,…",
        help="leave out effects, as poisson,cosmic_rays",
    )
    option("--seed", type=int, default=1, metavar="N", help="same seed, same bytes; default %(default)s")
    option("--no-cache", action="store_true", help="use the cache already in DIR/crds")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Simulate as asked; print the files made."""
    from calwebbd.stages.simulate import command

    return command.main(args)


def _names(text: str) -> list[str]:
    return [name.strip().upper() for name in text.split(",") if name.strip()]


def _effects(text: str) -> list[str]:
    return [name.lower().replace("-", "_") for name in _names(text)]
