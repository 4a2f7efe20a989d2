"""``run`` is the service, ``reload`` and ``install`` are about it, ``demo`` shows it at work."""

from __future__ import annotations

import argparse
import sqlite3
from pathlib import Path

from calwebbd.daemon.commands import Common, Verbs


def add(verbs: Verbs, common: Common) -> None:
    run = verbs.add_parser("run", parents=[common], help="the service, in the foreground")
    run.add_argument("--config", type=Path, required=True, metavar="FILE", help="a TOML file")
    run.add_argument("--once", action="store_true", help="end when everything that can be done is done")
    run.set_defaults(run=run_service)

    again = verbs.add_parser("reload", parents=[common], help="have the service read its configuration again")
    again.add_argument("--config", type=Path, metavar="FILE", help="of the service")
    again.set_defaults(run=reload_service)

    install = verbs.add_parser(
        "install", parents=[common], help="write unit, user and configuration for systemd"
    )
    install.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="default: %(default)s")
    install.add_argument(
        "--config", type=Path, metavar="FILE", help="to install, where there is none yet; default: an example"
    )
    install.add_argument("--dry-run", action="store_true", help="write nothing, show what would be written")
    install.set_defaults(run=install_service)

    demo = verbs.add_parser(
        "demo", parents=[common], help="simulate a night and calibrate it, to see how it goes"
    )
    demo.add_argument(
        "--dir", type=Path, default=Path("calwebbd-demo"), metavar="DIR", help="default: %(default)s"
    )
    demo.set_defaults(run=run_demo)


def run_service(args: argparse.Namespace) -> int:
    """Serve until stopped, or with ``--once`` until nothing is left to do."""
    from calwebbd.daemon import configfile, logs, places
    from calwebbd.daemon.commands.calibrate import warm_apart
    from calwebbd.daemon.errors import CommandError
    from calwebbd.daemon.instance import AlreadyRunning
    from calwebbd.daemon.service import Service
    from calwebbd.queues.migrate import Unfit

    try:
        settings = configfile.load(args.config)
        logs.setup(settings.log.level, settings.log.file)
        warm_apart()
        places.remember(args.config)
        Service(settings, source=args.config).run(once=args.once)
    except (configfile.ConfigError, AlreadyRunning, Unfit) as error:
        raise CommandError(str(error)) from error
    except sqlite3.OperationalError as error:  # the disk is full, as a rule; a supervisor starts us again
        raise CommandError(f"{settings.folders.database}: {error}") from error
    return 0


def reload_service(args: argparse.Namespace) -> int:
    """Have the running service read its configuration again."""
    from calwebbd.daemon import channel, configfile, operators, places
    from calwebbd.daemon.errors import CommandError

    try:
        settings = configfile.load(places.configuration(args.config))
    except configfile.ConfigError as error:
        raise CommandError(str(error)) from error
    changed = channel.ask(settings, operators.Reload())["changed"]
    print(f"changed: {', '.join(changed)}" if changed else "nothing has changed")
    return 0


def install_service(args: argparse.Namespace) -> int:
    """Write what systemd needs, and say what is to be done after that."""
    from calwebbd.daemon import configfile, install
    from calwebbd.daemon.errors import CommandError

    try:
        files = install.plan(args.root, args.config)
    except (configfile.ConfigError, install.Unfit) as error:
        raise CommandError(str(error)) from error
    for file in files:
        print(f"{file.fate:9s} {file.path}")
        if args.dry_run and file.fate != install.UNCHANGED:
            print("".join(f"          | {line}\n" for line in file.text.splitlines()), end="")
        if not args.dry_run:
            file.write()
    print("\nthen:" if not args.dry_run else "\nnothing was written; after writing:")
    for command in install.AFTERWARDS:
        print(f"  {command}")
    return 0


def run_demo(args: argparse.Namespace) -> int:
    """Make a night, watch the service calibrate it, show what came of it."""
    from calwebbd.daemon.demo import demo

    demo(args.dir)
    return 0
