"""The command line: arguments in, exit code out.

Each module of `commands` has the verbs of one kind: it declares their arguments
without importing anything heavy, so that ``calwebbd --help`` is instant.
"""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib.metadata import version

from calwebbd.daemon.commands import (
    ask,
    asn,
    calibrate,
    crds,
    operate,
    operations,
    products,
    serve,
    simulate,
    web,
)
from calwebbd.daemon.errors import CommandError
from calwebbd.stages.errors import CalibrationError, ParameterError


def parser() -> argparse.ArgumentParser:
    """All verbs and their options; the documentation prints it."""
    main_parser = argparse.ArgumentParser(
        prog="calwebbd", description="Calibrates James Webb Space Telescope data as they arrive."
    )
    main_parser.add_argument("--version", action="version", version=f"calwebbd {version('calwebbd')}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    verbs = main_parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (calibrate, serve, web, ask, products, operations, operate, asn, crds, simulate):
        module.add(verbs, common)
    return main_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it did what was asked, 1 if not, 2 if it was asked wrongly."""
    args = parser().parse_args(argv)
    if not args.debug:
        warnings.simplefilter("ignore")  # those of libraries; ours are errors or log lines
    try:
        return int(args.run(args))
    except (CalibrationError, CommandError) as error:
        return complain(error, args.debug)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    except Exception as error:
        return complain(error, args.debug)


def complain(error: Exception, debug: bool) -> int:
    """Say in one line what went wrong, with the traceback if asked; the exit code for it."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, (CalibrationError, CommandError)):
        print(f"calwebbd: {' '.join(str(error).split())}", file=sys.stderr)
    else:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"calwebbd: internal error: {reason} (--debug shows where)", file=sys.stderr)
    return 2 if isinstance(error, ParameterError) else 1
