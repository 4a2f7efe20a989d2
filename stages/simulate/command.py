"""What the command ``calwebbd simulate`` does with its arguments."""

from __future__ import annotations

import argparse

from calwebbd.stages.errors import ParameterError
from calwebbd.stages.simulate.crds_cache import simulate_cache
from calwebbd.stages.simulate.effects import Effects
from calwebbd.stages.simulate.modes import usual
from calwebbd.stages.simulate.observe import simulate_exposures


def main(arguments: argparse.Namespace) -> int:
    """Simulate as asked; print the files made. ParameterError for what cannot be."""
    unknown = set(arguments.without) - set(vars(Effects()))
    if unknown:
        raise ParameterError(f"{', '.join(sorted(unknown))} is no effect", step="simulate")
    usual_subarray, usual_pattern = usual(arguments.detectors[0])
    subarray = "FULL" if arguments.full else arguments.subarray or usual_subarray
    readpatt = arguments.readpatt or usual_pattern
    cache = arguments.directory / "crds"
    if not arguments.no_cache:
        simulate_cache(
            cache,
            detectors=arguments.detectors,
            subarrays=[subarray],
            filters=arguments.filters,
            readpatts=[readpatt],
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
        readpatt=readpatt,
        seed=arguments.seed,
        exp_type=arguments.exp_type,
        tso=arguments.tso,
        segments=arguments.segments,
        nstars=arguments.nstars,
        effects=Effects(snowballs=arguments.snowballs).without(*arguments.without),
        truth_directory=arguments.directory / "truth",
    )
    for path in made.paths:
        print(path)
    return 0
