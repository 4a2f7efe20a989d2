"""A fault campaign against a service, repeatable by its seed: ``python tests/campaign --seed 1``.

Faults of all kinds in random order, while exposures keep coming; then the service may finish, and
an auditor holds what is there against what an undisturbed service makes of the same. Prints a
table, and exits with 1 if anything was lost, wrong or left over.
"""

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
for _folder in (HERE.parent / "importroot", HERE.parent / "lib", HERE):
    sys.path.insert(0, str(_folder))

import auditor  # noqa: E402
import faults  # noqa: E402
import section  # noqa: E402
from crds_server import serve, small_cache  # noqa: E402
from night import Night  # noqa: E402
from observatory import Observatory  # noqa: E402

RECOVERY_S = 900.0  #: within which a service must have made a mosaic after each fault
NOTICE_S = 120.0  #: within which it must then have told of it
KNOWN_S = 10.0  #: within which it must have told of a worker that was killed
KILLS = ("service killed", "worker killed")


def main() -> int:
    args = _arguments()
    base = args.folder or Path(tempfile.mkdtemp(prefix="campaign-", dir="/dev/shm"))
    cache = small_cache(base / "server")
    with (
        serve(cache, "jwst_0001.pmap") as crds,
        faults.small_disk(base / "night" / "out", faults.DISK_MB) as mounted,
        faults.small_disk(base / "night" / "state", faults.STATE_MB),
    ):
        night = Night(base / "night", crds=_crds(base, crds.url))
        night.disturb()
        sky = Observatory(night.folder / "in", random.Random(args.seed + 1))
        scene = faults.Scene(night, sky, random.Random(args.seed), crds, args.flood)
        plan = _plan(args, mounted=mounted, clocked=night.clocked)
        random.Random(args.seed).shuffle(plan)
        began = time.monotonic()
        try:
            seconds = _undergo(scene, plan, args.quiet)
            night.finish(timeout=3600.0)
            minutes = (time.monotonic() - began) / 60
            findings = scene.wrong + list(auditor.audit(night, _undisturbed(base, night, sky), sky))
        finally:
            night.kill()
        text = _report(args, scene, seconds, findings, minutes)
    print(f"\n{text}")
    if args.write:
        section.write(args.write, "tests/campaign", text)
    if not findings and args.folder is None:
        shutil.rmtree(base)
    else:
        print(f"everything is in {base}")
    return 1 if findings else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/campaign", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200, help="of the service and of workers, half of each")
    parser.add_argument("--each", type=int, default=3, help="how often every other fault comes")
    parser.add_argument("--flood", type=int, default=2000, help="files in an event overflow")
    parser.add_argument("--only", nargs="*", help="no other faults than these, by their names")
    parser.add_argument("--folder", type=Path, help="default: one in memory, removed if all is well")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the table goes there")
    return parser.parse_args()


def _plan(args: argparse.Namespace, *, mounted: bool, clocked: bool) -> list[str]:
    """Names of faults; those which this machine does not allow are said to be left out."""
    impossible = faults.NEED_MOUNTS if not mounted else frozenset()
    impossible |= frozenset() if clocked else {"clock jumps"}
    plan = []
    for name in args.only or faults.FAULTS:
        if name in impossible:
            print(f"left out, not possible here: {name}")
            continue
        times = (args.kills + KILLS.index(name)) // 2 if name in KILLS else args.each
        plan += [name] * (1 if name == "event overflow" else times)
    return plan


def _undergo(scene: faults.Scene, plan: list[str], quiet: bool) -> dict[str, list[float]]:
    """All of it; what the service did not meet comes once more, later. Returns s until each was over."""
    seconds: dict[str, list[float]] = defaultdict(list)
    left = list(plan)
    for n in range(1, 2 * len(plan) + 1):
        if not left:
            break
        name = left.pop(0)
        scene.night.keep()
        took = _befall(scene, name)
        if took is None:
            left.insert(scene.moments.randint(0, len(left)), name)
        else:
            seconds[name].append(took)
        if not quiet:
            told = "not met" if took is None else f"{took:.1f} s" if name not in KILLS else ""
            print(f"{n}, {len(left)} left: {name} {told}", flush=True)
    scene.wrong += [(name, "was not met as often as planned") for name in left]
    return seconds


def _befall(scene: faults.Scene, name: str) -> float | None:
    """Seconds until a fresh observation was combined, after kills none; None if it was not met."""
    night, fault, before = scene.night, faults.FAULTS[name], scene.night.logged()
    try:
        fault.act(scene)
    except faults.Missed:
        return None
    if name in KILLS:
        known = not fault.trace or night.until(lambda: night.told(fault.trace, before), KNOWN_S) is not None
        return 0.0 if known else None
    prefix = scene.sky.observe(name)
    took = night.until(lambda: night.combined(prefix), RECOVERY_S)
    if took is None:
        scene.wrong.append((name, f"no mosaic was made for {RECOVERY_S:.0f} s"))
        return RECOVERY_S
    return None if night.until(lambda: night.told(fault.trace, before), NOTICE_S) is None else took


def _undisturbed(base: Path, night: Night, sky: Observatory) -> Path:
    """The products of another service, which is given all files at once."""
    quiet = Night(base / "quiet")
    for name, text in sky.valid.items():
        (quiet.folder / "in" / name).write_text(text)
    quiet.finish(timeout=3600.0)
    return quiet.output


def _crds(base: Path, url: str) -> str:
    """A cache that has one of the server's two contexts."""
    cache = base / "cache" / "mappings" / "jwst"
    cache.mkdir(parents=True)
    for path in (base / "server" / "mappings" / "jwst").glob("*0001*"):
        shutil.copy(path, cache)
    return f'path = "{base / "cache"}"\nserver = "{url}"\ncontext = "latest"'


def _report(
    args: argparse.Namespace,
    scene: faults.Scene,
    seconds: dict[str, list[float]],
    findings: list[tuple[str, str]],
    minutes: float,
) -> str:
    lost = auditor.by_cause(findings, scene.sky)
    rows = []
    for name in faults.FAULTS:
        if took := seconds.get(name):
            back = "" if name in KILLS else f"{statistics.median(took):.1f}, {max(took):.1f}"
            rows.append((name, f"{len(took)}", back, f"{lost.pop(name, 0)}"))
    rows.append(("of no single fault", "", "", f"{sum(lost.values())}"))
    head = ("fault", "times", "back after (median, longest), s", "lost, wrong or left over")
    sky, night = scene.sky, scene.night
    told = (
        f"Seed {args.seed}; {minutes:.0f} minutes; {len(sky.valid)} valid exposures, {len(sky.invalid)} "
        f"invalid, {len(sky.unused)} of which nothing follows, {len(sky.dead)} dead letters; "
        f"{len(list(night.output.glob('*.*')))} files made; {night.lives} lives of the service, "
        f"{night.deaths} of which ended by themselves."
    )
    more = [f"{name}: {what}" for name, what in findings[:50]]
    return "\n".join([section.table(head, rows), "", told, *(f"* {each}" for each in more)])


if __name__ == "__main__":
    sys.exit(main())
