"""A night to look at: simulated exposures, and the service at work on them.

The service runs as a user would run it, as a process of its own with a configuration
file; files are copied into its folder one by one. What is shown comes from its folders
and its records only.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from calwebbd.daemon.ask import Unknown, asking
from calwebbd.daemon.commands.calibrate import warm_if_needed
from calwebbd.daemon.commands.products import tell
from calwebbd.daemon.errors import CommandError

CONFIGURATION = """\
# Of this demo. systemd/calwebbd.toml explains every key.
[folders]
watch = ["incoming"]
output = "products"
state = "state"

[crds]
path = "crds"

[workers]
processes = 2

[watch]
settle_seconds = 0.3

[associations]
hold_seconds = 1.0

[log]
file = "calwebbd.jsonl"
"""
DITHERS = 4
DETECTORS = ("NRCA1", "NRCALONG")
SUBARRAY = "SUB320"
LIMIT_S = 300.0  # a night that takes longer has gone wrong
SYMBOLS = {True: "[green]✓[/]", False: "[dim]·[/]"}


@dataclass(frozen=True)
class Night:
    """The folders of the demo."""

    base: Path

    @property
    def exposures(self) -> list[Path]:
        return sorted((self.base / "exposures").glob("*_uncal.fits"))

    @property
    def products(self) -> Path:
        return self.base / "products"

    @property
    def config(self) -> Path:
        return self.base / "calwebbd.toml"

    @property
    def database(self) -> Path:
        return self.base / "state" / "calwebbd.db"

    @property
    def mosaics(self) -> list[Path]:
        return sorted(self.products.glob("jw?????-*_i2d.fits"))


def demo(folder: Path) -> Night:
    """Simulate four dithers on two detectors, calibrate and combine them, and tell how it went.

    Raises CommandError if the folder is in use, or if the service fails or takes too long.
    """
    console = Console()
    start = time.perf_counter()
    if folder.exists() and any(folder.iterdir()):
        raise CommandError(f"{folder} is not empty; name another folder with --dir")
    night = Night(folder.absolute())
    warm_if_needed()
    _simulate(night, console)
    with _service(night):
        _watch(night, console)
    _tell(night, console)
    pictures = _draw(night)
    console.print(f"\n[bold]Pictures[/] {', '.join(p.name for p in pictures)} in {night.base / 'pictures'}")
    console.print(f"Everything took {time.perf_counter() - start:.0f} s and is in {night.base}.")
    return night


def _simulate(night: Night, console: Console) -> None:
    """The sky, the detectors and their references."""
    from calwebbd.stages.simulate import Effects, simulate_cache, simulate_exposures

    with console.status("simulating detectors, references and exposures"):
        cache = night.base / "crds"
        simulate_cache(cache, detectors=DETECTORS, subarrays=(SUBARRAY,))
        simulate_exposures(
            cache,
            night.base / "exposures",
            detectors=DETECTORS,
            subarray=SUBARRAY,
            dithers=DITHERS,
            ngroups=6,
            effects=Effects(snowballs=1.0),
            truth_directory=night.base / "truth",
        )
    console.print(f"Simulated {len(night.exposures)} exposures and the CRDS cache that calibrates them.")


@contextmanager
def _service(night: Night) -> Iterator[None]:
    """``calwebbd run`` while the block lasts."""
    for name in ("incoming", "products", "pictures"):
        (night.base / name).mkdir()
    night.config.write_text(CONFIGURATION)
    command = [sys.executable, "-m", "calwebbd.daemon", "run", "--config", str(night.config)]
    with (night.base / "service.log").open("w") as log:
        service = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
            if service.poll() is not None:
                raise CommandError(f"the service ended by itself; {log.name} says why")
        finally:
            service.terminate()
            service.wait(timeout=60)


def _watch(night: Night, console: Console) -> None:
    """Copy the exposures in, one by one, and show what becomes of them until the mosaics are there."""
    waiting = night.exposures
    end = time.monotonic() + LIMIT_S
    with Live(console=console, refresh_per_second=8, transient=not console.is_terminal) as live:
        while True:
            status = _status(night)
            if waiting and status is not None:
                file = waiting.pop(0)
                partial = night.base / "incoming" / f".{file.name}"
                shutil.copyfile(file, partial)
                partial.rename(night.base / "incoming" / file.name)
            live.update(_table(night, status))
            if not waiting and status is not None and _finished(night, status):
                return
            if time.monotonic() > end:
                raise CommandError(
                    f"not finished after {LIMIT_S:.0f} s; {night.base / 'service.log'} says why"
                )
            time.sleep(0.25)


def _status(night: Night) -> dict[str, Any] | None:
    """The service's status, once it has a database."""
    try:
        with asking(night.database) as records:
            return records.status()
    except Unknown:
        return None


def _finished(night: Night, status: dict[str, Any]) -> bool:
    states = {state for counts in status["jobs"].values() for state in counts}
    if "dead" in states or status["quarantined"]:
        raise CommandError("an exposure could not be calibrated; calwebbd status and quarantine say why")
    return len(night.mosaics) == len(DETECTORS) and states == {"done"}


def _table(night: Night, status: dict[str, Any] | None) -> Table:
    """A line for each exposure and mosaic: which of its products are there, and what runs."""
    table = Table(title="calwebbd run", title_justify="left", box=None, pad_edge=False)
    for title in ("exposure", "arrived", "rate", "cal", "now"):
        table.add_column(title)
    running = {job["subject"].split(":")[1]: job["pipeline"] for job in status["in_hand"]} if status else {}
    for file in night.exposures:
        root = file.name.removesuffix("_uncal.fits")
        there = (
            (night.base / "incoming" / file.name).exists(),
            *((night.products / f"{root}_{suffix}.fits").exists() for suffix in ("rate", "cal")),
        )
        table.add_row(root, *(SYMBOLS[t] for t in there), running.pop(root, ""))
    for subject, pipeline in running.items():
        table.add_row(f"[bold]{subject}[/]", "", "", "", pipeline)
    for mosaic in night.mosaics:
        table.add_row(f"[bold]{mosaic.stem}[/]", "", "", SYMBOLS[True])
    return table


def _tell(night: Night, console: Console) -> None:
    """What was made, where the time went, and how one mosaic came to be."""
    kinds: dict[str, int] = {}
    for product in (p for p in night.products.iterdir() if p.suffix in (".fits", ".ecsv")):
        suffix = product.stem.rsplit("_", 1)[-1]
        kinds[suffix] = kinds.get(suffix, 0) + 1
    console.print(f"\n[bold]Made[/] {', '.join(f'{n} {kind}' for kind, n in sorted(kinds.items()))}")
    with asking(night.database) as records:
        lineages = [records.lineage(str(mosaic)) for mosaic in night.mosaics]
    seconds: dict[tuple[str, str], float] = {}
    for lineage in lineages:
        _add_times(lineage, seconds)
    table = Table(title="Where the time went", title_justify="left", box=None, pad_edge=False)
    for title in ("pipeline", "step", "s"):
        table.add_column(title, justify="right" if title == "s" else "left")
    for (pipeline, step), spent in sorted(seconds.items(), key=lambda item: -item[1])[:12]:
        table.add_row(pipeline, step, f"{spent:.2f}")
    console.print(table)
    console.print(f"\n[bold]Lineage[/] (calwebbd lineage --config {night.config} PRODUCT)")
    for line in tell(lineages[0])[:14]:
        console.print(line, highlight=False, markup=False, overflow="ellipsis", no_wrap=True)


def _add_times(lineage: dict[str, Any], seconds: dict[tuple[str, str], float]) -> None:
    """Add the time of each step of each run in a lineage."""
    made = lineage.get("made_by", {})
    spent = made.get("ended", 0.0) - made.get("started", 0.0)
    for step in made.get("steps", []):
        key = (made["pipeline"], step["name"])
        seconds[key] = seconds.get(key, 0.0) + step["seconds"]
        spent -= step["seconds"]
    if made:
        key = (made["pipeline"], "(reading, writing)")
        seconds[key] = seconds.get(key, 0.0) + spent
    for source in lineage.get("inputs", []):
        _add_times(source, seconds)


def _draw(night: Night) -> list[Path]:
    """Quick-looks of one exposure through the stages, and of all of them side by side."""
    from calwebbd.stages.quicklook import montage, quicklook

    raw = night.exposures[0]
    root = raw.name.removesuffix("_uncal.fits")
    stages = [
        raw,
        *(night.products / f"{root}_{suffix}.fits" for suffix in ("rate", "cal")),
        night.mosaics[0],
    ]
    folder = night.base / "pictures"
    return [*(quicklook(p, folder / f"{p.stem}.png") for p in stages), montage(stages, folder / "night.png")]
