"""``run`` is the service, ``demo`` shows it at work."""

from __future__ import annotations

import argparse
from pathlib import Path

from calwebbd.daemon.commands import Common, Verbs


def add(verbs: Verbs, common: Common) -> None:
    run = verbs.add_parser("run", parents=[common], help="the service, in the foreground")
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="a TOML file")
    run.add_argument("--once", action="store_true", help="end when everything that can be done is done")
    run.set_defaults(run=run_service)

    demo = verbs.add_parser(
        "demo", parents=[common], help="simulate a night and calibrate it, to see how it goes"
    )
    demo.add_argument(
        "--dir", type=Path, default=Path("calwebbd-demo"), metavar="DIR", help="default: %(default)s"
    )
    demo.set_defaults(run=run_demo)


def run_service(args: argparse.Namespace) -> int:
    """Serve until stopped, or with ``--once`` until nothing is left to do."""
    from calwebbd.daemon import config, logs, places
    from calwebbd.daemon.commands.calibrate import warm_apart
    from calwebbd.daemon.errors import CommandError
    from calwebbd.daemon.instance import AlreadyRunning
    from calwebbd.daemon.service import Service
    from calwebbd.queues.migrate import Unfit

    try:
        settings = config.load(args.config)
        logs.setup(settings.log.level, settings.log.file)
        warm_apart()
        places.remember(args.config)
        Service(settings).run(once=args.once)
    except (config.ConfigError, AlreadyRunning, Unfit) as error:
        raise CommandError(str(error)) from error
    return 0


def run_demo(args: argparse.Namespace) -> int:
    """Make a night, watch the service calibrate it, show what came of it."""
    from calwebbd.daemon.demo import demo

    demo(args.dir)
    return 0
