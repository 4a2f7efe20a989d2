"""The command ``calwebbd simulate``: its arguments, and what it does with them."""

from __future__ import annotations

import argparse
from pathlib import Path

from calwebbd.stages.simulate.detectors import DETECTORS, READ_PATTERNS, SUBARRAYS
from calwebbd.stages.simulate.effects import Effects

EPILOG = """
DIR/crds gets a CRDS cache that needs no server (set CRDS_PATH to it), DIR/uncal the
exposures, DIR/truth what really happened.
"""


def _names(text: str) -> list[str]:
    return [name.strip().upper() for name in text.split(",") if name.strip()]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add = parser.add_argument
    parser.epilog = EPILOG
    add("directory", type=Path, metavar="DIR", help="where to write")
    add("--detectors", type=_names, default=["NRCA1", "NRCALONG"], metavar="NAME,…",
        help=f"of {', '.join(DETECTORS)}; default NRCA1,NRCALONG")  # fmt: skip
    add("--subarray", type=str.upper, choices=list(SUBARRAYS), default="SUB160", help="default %(default)s")
    add("--full", action="store_true", help="full frame, the same as --subarray FULL")
    add("--filters", type=_names, default=["F200W", "F444W"], metavar="NAME,…",
        help="one a channel; default F200W,F444W")  # fmt: skip
    add(
        "--readpatt",
        type=str.upper,
        choices=list(READ_PATTERNS),
        default="BRIGHT1",
        help="default %(default)s",
    )
    add("--ngroups", type=int, default=5, help="default %(default)s")
    add("--nints", type=int, default=1, help="default %(default)s")
    add("--dithers", type=int, default=4, help="default %(default)s")
    add("--segments", type=int, default=1, help="files an exposure is cut into; default %(default)s")
    add("--tso", action="store_true", help="a time series: one pointing, NRC_TSIMAGE")
    add("--nstars", type=int, help="sources a detector sees; default 60, full frame 800")
    add("--snowballs", type=float, default=0.0, metavar="N", help="in an integration, on the average")
    add("--without", type=lambda text: text.replace("-", "_").split(","), default=[], metavar="EFFECT,…",
        help=f"leave out effects: {', '.join(vars(Effects()))}")  # fmt: skip
    add("--seed", type=int, default=1, help="same seed, same bytes; default %(default)s")
    add("--no-cache", action="store_true", help="use the cache already in DIR/crds")


def main(arguments: argparse.Namespace) -> int:
    """Simulate as asked; print the files made. ParameterError for what cannot be."""
    from calwebbd.stages.errors import ParameterError
    from calwebbd.stages.simulate.crds_cache import simulate_cache
    from calwebbd.stages.simulate.observe import simulate_exposures

    unknown = set(arguments.without) - set(vars(Effects()))
    if unknown:
        raise ParameterError(f"{', '.join(sorted(unknown))} is no effect", step="simulate")
    subarray = "FULL" if arguments.full else arguments.subarray
    cache = arguments.directory / "crds"
    if not arguments.no_cache:
        simulate_cache(
            cache,
            detectors=arguments.detectors,
            subarrays=[subarray],
            filters=arguments.filters,
            seed=arguments.seed,
        )
    made = simulate_exposures(
        cache,
        arguments.directory / "uncal",
        detectors=arguments.detectors,
        subarray=subarray,
        ngroups=arguments.ngroups,
        nints=arguments.nints,
        dithers=arguments.dithers,
        readpatt=arguments.readpatt,
        seed=arguments.seed,
        tso=arguments.tso,
        segments=arguments.segments,
        nstars=arguments.nstars,
        effects=Effects(snowballs=arguments.snowballs).without(*arguments.without),
        truth_directory=arguments.directory / "truth",
    )
    for path in made.paths:
        print(path)
    return 0
