"""``web``: a read-only page beside the service."""

from __future__ import annotations

import argparse
from pathlib import Path

from calwebbd.daemon.commands import Common, Verbs
from calwebbd.daemon.errors import CommandError

LACKING = "the web page needs more packages: pip install 'calwebbd[web]'"


def add(verbs: Verbs, common: Common) -> None:
    web = verbs.add_parser("web", parents=[common], help="a read-only web page beside the service")
    web.add_argument(
        "--config", type=Path, metavar="FILE", help="of the service; found as by other questions"
    )
    web.add_argument(
        "--host", metavar="ADDRESS", help="to listen at; default: web.host, or this machine alone"
    )
    web.add_argument("--port", type=int, metavar="N", help="default: web.port, or 8765")
    web.set_defaults(run=run_web)


def run_web(args: argparse.Namespace) -> int:
    """Serve the page until stopped."""
    from calwebbd.daemon import logs
    from calwebbd.daemon.commands.asking import settings

    config = settings(args)
    logs.setup(config.log.level, None)
    try:
        from calwebbd.daemon.web.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("calwebbd"):
            raise
        raise CommandError(f"{LACKING} ({error.name} is missing)") from error
    serve(config, args.host, args.port)
    return 0
