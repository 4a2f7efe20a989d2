"""``process`` runs pipelines outside the service; ``warm`` compiles the kernels."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calwebbd.daemon.commands import Common, Verbs
from calwebbd.daemon.errors import CommandError

if TYPE_CHECKING:
    from calwebbd.stages.process import Options


def add(verbs: Verbs, common: Common) -> None:
    process = verbs.add_parser(
        "process", parents=[common], help="calibrate exposures or associations, outside the service"
    )
    process.add_argument("files", nargs="+", metavar="FILE", help="a product, or an association (*_asn.json)")
    process.add_argument("--pipeline", metavar="NAME", help="as detector1 or image3; default: by the header")
    process.add_argument("--through", metavar="NAME", help="go on with what was made, up to this pipeline")
    process.add_argument("--output-dir", type=Path, default=Path(), metavar="DIR", help="default: here")
    process.add_argument("--context", metavar="PMAP", help="default: CRDS_CONTEXT, else the latest")
    process.add_argument(
        "--set", action="append", default=[], metavar="STEP.PARAM=VALUE", help="a parameter; may be repeated"
    )
    process.add_argument("--save-steps", action="store_true", help="write the exposure after each step")
    process.add_argument("--quicklook", action="store_true", help="draw each image as a PNG beside it")
    process.add_argument("--stop-after", metavar="STEP", help="end after this step and write what it gave")
    process.add_argument(
        "--threads", type=int, metavar="N", help="default: CALWEBBD_THREADS, else all processors"
    )
    process.add_argument(
        "--memory",
        type=int,
        metavar="MB",
        help="for the images that are combined, and for their mosaic: what is more is on disk; default: 256",
    )
    process.add_argument(
        "--explain", action="store_true", help="say which steps, references and parameters, and run nothing"
    )
    process.add_argument("--json", action="store_true", help="with --explain: print JSON")
    process.set_defaults(run=run_process)

    warm = verbs.add_parser("warm", parents=[common], help="compile all kernels, once for this version")
    warm.set_defaults(run=run_warm)


def run_process(args: argparse.Namespace) -> int:
    """Process every file; one that fails says so and does not stop the others."""
    from calwebbd.daemon.cli import complain
    from calwebbd.stages.chain import process_through
    from calwebbd.stages.memory import BUDGET
    from calwebbd.stages.parameters import Layer, parse_settings
    from calwebbd.stages.pictures import pictures
    from calwebbd.stages.process import Options

    if args.threads:
        os.environ["CALWEBBD_THREADS"] = str(args.threads)
    if args.memory is not None:
        os.environ[BUDGET] = str(args.memory)
    layers = (Layer("command line", parse_settings(args.set)),) if args.set else ()
    code = 0

    def failed(error: Exception) -> None:
        nonlocal code
        code = max(code, complain(error, args.debug))

    options = Options(
        output_dir=args.output_dir,
        context=args.context,
        layers=layers,
        save_steps=args.save_steps,
        stop_after=args.stop_after,
    )
    if args.explain:
        return explain(args, options)
    warm_if_needed()
    with progress(len(args.files)) as report:
        options = replace(options, report=report)
        for outcome in process_through(
            [Path(f) for f in args.files], args.pipeline, args.through, options, failed
        ):
            for each in outcome.left_out:
                print(f"{outcome.name}: {each.file} is left out: {each.reason}", file=sys.stderr)
            paths = [product.path for product in outcome.products]
            for path in [*paths, *(pictures(paths) if args.quicklook else ())]:
                print(path)
    return code


def explain(args: argparse.Namespace, options: Options) -> int:
    """Say what would be done with every file."""
    from calwebbd.daemon.cli import complain
    from calwebbd.daemon.commands.explain import show
    from calwebbd.stages.explain import explain_through

    code, plans = 0, []
    for file in args.files:
        try:
            plans += explain_through(Path(file), args.pipeline, args.through, options)
        except Exception as error:
            code = max(code, complain(error, args.debug))
    show(plans, as_json=args.json)
    return code


def run_warm(args: argparse.Namespace) -> int:
    """Compile the kernels and say where they are."""
    from calwebbd.stages import kernels

    warm_if_needed()
    print(kernels.cache_folder())
    return 0


def warm_if_needed() -> None:
    """Compile the kernels if that has not been done, with a line of progress."""
    from calwebbd.stages import kernels

    if kernels.is_warm():
        return
    if not sys.stderr.isatty():
        print("compiling the kernels, once for this version …", file=sys.stderr)
        kernels.warm()
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("compiling the kernels, once for this version", total=None)
        kernels.warm(lambda done, total: bar.update(task, completed=done, total=total))


def warm_apart() -> None:
    """`warm_if_needed` in a process of its own: the service stays free of the compiler."""
    command = [sys.executable, "-m", "calwebbd.daemon", "warm"]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        raise CommandError("the kernels cannot be compiled; calwebbd warm --debug shows why")


def progress(files: int) -> AbstractContextManager[Callable[[str, str], None]]:
    """What shows the steps as they go on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        return nullcontext(lambda step, state: None)
    return _Bar()


class _Bar(AbstractContextManager["Callable[[str, str], None]"]):
    """A live line: the step that runs now and how many are done."""

    def __enter__(self) -> Callable[[str, str], None]:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed} steps"))
        self.bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task("reading", total=None)
        self.bar.start()
        return self.report

    def report(self, step: str, state: str) -> None:
        if state == "start":
            self.bar.update(self.task, description=step)
        else:
            self.bar.advance(self.task)

    def __exit__(self, *_: Any) -> None:
        self.bar.stop()
