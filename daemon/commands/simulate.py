"""``simulate`` makes exposures, and the CRDS cache that calibrates them."""

from __future__ import annotations

from calwebbd.daemon.commands import Common, Verbs


def add(verbs: Verbs, common: Common) -> None:
    from calwebbd.stages.simulate import command

    parser = verbs.add_parser(
        "simulate", parents=[common], help="make exposures and the references they need"
    )
    command.add_arguments(parser)
    parser.set_defaults(run=command.main)
