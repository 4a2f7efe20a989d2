"""What befalls a service, one function each: it acts, and undoes what it did; it checks nothing."""

import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from crds_server import CrdsServer, Faults
from night import Night
from observatory import Observatory, rename, write

HOUR = 3600.0
MOST_KILLINGS = 2  #: of one job: a third in a row is taken for its own fault
DISK_MB = 64  #: of the products
STATE_MB = 800  #: of the database, which holds very many files


class Missed(Exception):
    """There was nothing to befall, just now."""


@dataclass
class Scene:
    """crds : the server that the service asks; flood : files at once; killed : how often, by job
    wrong : by the fault's name, what must not be
    """

    night: Night
    sky: Observatory
    moments: random.Random
    crds: CrdsServer
    flood: int
    killed: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    lies: Iterator[tuple[str, Faults]] = field(init=False)

    def __post_init__(self) -> None:
        self.lies = itertools.cycle(self.moments.sample(MISCHIEF, len(MISCHIEF)))

    def wait(self, shortest: float, longest: float) -> None:
        time.sleep(self.moments.uniform(shortest, longest))


def kill_service(scene: Scene) -> None:
    """At a moment of its start, of its work, or of its recovery."""
    scene.night.keep()
    scene.sky.observe("service killed")
    scene.wait(0.05, 3.0)
    alive = scene.night.kill()
    scene.night.start()
    if not alive:
        raise Missed


def kill_worker(scene: Scene) -> None:
    scene.sky.observe("worker killed")
    scene.night.until(lambda: _victims(scene), 30.0)
    scene.wait(0.0, 0.05)
    victims = _victims(scene)
    if not victims:
        raise Missed
    pid = scene.moments.choice(sorted(victims))
    scene.killed[victims[pid]] += 1
    _kill(pid)


def kill_fork_server(scene: Scene) -> None:
    """With it all workers die."""
    scene.sky.observe("fork server killed")
    scene.night.until(lambda: _victims(scene), 30.0)
    pid, running, victims = scene.night.fork_server(), scene.night.workers(), _victims(scene)
    if pid is None or not victims or running != victims:
        raise Missed
    scene.killed.update(victims.values())
    _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        raise Missed from None


def _victims(scene: Scene) -> dict[int, str]:
    return {p: job for p, job in scene.night.workers().items() if scene.killed[job] < MOST_KILLINGS}


def full_disk(scene: Scene) -> None:
    """The file system of the products has no byte left."""
    with _full(scene.night.folder / "out"):
        scene.sky.observe("full disk")
        scene.wait(3.0, 8.0)


def full_state(scene: Scene) -> None:
    """That of the database: nothing can be begun, nothing be written down."""
    with _full(scene.night.folder / "state"):
        scene.sky.observe("full disk of the database")
        began, used = time.monotonic(), scene.night.processor_s()
        scene.wait(3.0, 8.0)
        scene.night.keep()
        share = (scene.night.processor_s() - used) / (time.monotonic() - began)
        if share > 0.8:  # of one processor: it spins
            scene.wrong.append(("full disk of the database", "the service did not rest meanwhile"))


@contextmanager
def _full(folder: Path) -> Iterator[None]:
    balloon = folder / "balloon"
    for size in (1 << 20, 4096, 1):
        with suppress(OSError), balloon.open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * size)
    try:
        yield
    finally:
        balloon.unlink()


def read_only(scene: Scene) -> None:
    """The file system of the products is remounted read-only, by force, in the middle of work."""
    target = scene.night.folder / "out"
    scene.sky.observe("read-only output")
    scene.night.until(scene.night.workers, 20.0)
    # A remount is refused while a file is open for writing; what works at any time is to lay a
    # read-only view of the folder over itself.
    _run("mount", "--bind", str(target), str(target))
    _run("mount", "-o", "remount,ro,bind", str(target))
    try:
        scene.sky.observe("read-only output")
        scene.wait(3.0, 8.0)
    finally:
        _run("umount", "-l", str(target))


def clock_jumps(scene: Scene) -> None:
    for seconds in (2 * HOUR, -26 * HOUR, 30 * HOUR, -0.5 * HOUR):
        scene.sky.observe("clock jumps")
        scene.wait(0.2, 1.5)
        scene.night.jump(seconds)
        scene.wait(0.2, 1.5)


def out_of_memory(scene: Scene) -> None:
    """One that has enough in the end, and one that never has."""
    scene.sky.observe("job out of memory", SUFFER="memory", AT="detector1", TIMES=2)
    scene.sky.doom("job out of memory", "ran out of memory, alone with", SUFFER="memory", AT="detector1")


def hung_job(scene: Scene) -> None:
    """One that goes well the next time, and one that never does."""
    scene.sky.observe("hung job", SUFFER="hang", AT="detector1", TIMES=1)
    scene.sky.doom("hung job", "2 times the usual", SUFFER="hang", AT="detector1")


def torn_files(scene: Scene) -> None:
    """Some for good; the others are whole in the end."""
    scene.sky.spoil("torn files")
    prefix = scene.sky.observe("torn files", lambda path, text: path.write_text(text[:-9]))
    for cut in (-5, -3, -1):
        scene.wait(0.1, 0.5)
        for name in sorted(n for n in scene.sky.valid if n.startswith(prefix)):
            (scene.sky.folder / name).write_text(scene.sky.valid[name][:cut])
    scene.wait(0.0, 6.0)  # longer than patience, at times
    for name in sorted(n for n in scene.sky.valid if n.startswith(prefix)):
        scene.moments.choice((write, rename))(scene.sky.folder / name, scene.sky.valid[name])


def overflow(scene: Scene) -> None:
    """The service sleeps while more files come than the kernel remembers."""
    prefix = scene.sky.observe("event overflow")
    scene.night.until(lambda: scene.night.combined(prefix), 600.0)  # by now it listens
    scene.night.signal(signal.SIGSTOP)
    scene.sky.flood("event overflow", scene.flood, used=10)
    length = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    noise = [scene.sky.folder / f".noise-{n}" for n in range(2)]
    for n in range(length):  # two files in turn, else the kernel makes one event of all
        noise[n % 2].write_bytes(b"")
    scene.night.signal(signal.SIGCONT)
    for path in noise:
        path.unlink()


def root_replaced(scene: Scene) -> None:
    """The watched folder is moved away, another one with the same files comes in its place later."""
    folder = scene.sky.folder
    scene.sky.observe("root replaced")
    away = folder.with_name("in.away")
    folder.rename(away)
    scene.wait(0.5, 3.0)
    copy = folder.with_name("in.copy")
    shutil.copytree(away, copy)
    copy.rename(folder)
    shutil.rmtree(away)
    scene.sky.observe("root replaced")


def database_locked(scene: Scene) -> None:
    """By another process, for shorter and for longer than the service waits for it."""
    path = scene.night.folder / "state" / "calwebbd.db"
    if not path.exists():
        raise Missed
    for shortest, longest in ((1.0, 4.0), (12.0, 15.0)):
        scene.sky.observe("database locked")
        with closing(sqlite3.connect(path, timeout=30.0, isolation_level=None)) as other:
            try:
                other.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                raise Missed from None
            scene.wait(shortest, longest)


def crds_server(scene: Scene) -> None:
    """Down, slow, out of its mind, or lying about what is the context, and what is in it: four of these."""
    crds = scene.crds
    for latest, fault in itertools.islice(scene.lies, 4):
        crds.faults, crds.contexts["latest"] = fault, latest
        scene.sky.observe("CRDS server down, slow or lying")
        try:
            _refresh(scene.night)
        finally:
            crds.faults, crds.contexts["latest"] = Faults(), "jwst_0001.pmap"


def _refresh(night: Night) -> None:
    """Have the service ask the server, and wait until it has made up its mind."""
    before = night.logged()
    try:
        told = night.command("crds", "refresh", timeout=60.0)
    except subprocess.TimeoutExpired:
        raise Missed from None
    if told.returncode or night.until(lambda: night.told(REFRESHED, before), 120.0) is None:
        raise Missed


REFRESHED = '"event": "context (kept|settled|activated)"'
#: what the server says is the latest context, and what else is wrong with it; where that is right, it is slow
MISCHIEF = (
    ("jwst_0000.pmap", Faults()),
    ("jwst_0001.pmap", Faults(slow=4.0)),
    ("jwst_0002.pmap", Faults(down=True)),
    ("jwst_0002.pmap", Faults(status=500)),
    ("jwst_0002.pmap", Faults(garbage=True)),
    ("jwst_0002.pmap", Faults(endless=True)),
    ("jwst_0002.pmap", Faults(truncate=0)),
    ("jwst_0002.pmap", Faults(short=True)),
    ("jwst_0002.pmap", Faults(wrong=True)),
    ("jwst_0002.pmap", Faults(lies=True)),
)


@dataclass(frozen=True)
class Fault:
    """trace : of which the service must tell in its log, as a regular expression, or it was not met"""

    act: Callable[[Scene], None]
    trace: str = ""


#: how they are called in the table
FAULTS: dict[str, Fault] = {
    "service killed": Fault(kill_service),
    "worker killed": Fault(kill_worker, '"failure": "killed"'),
    "fork server killed": Fault(kill_fork_server, '"failure": "(killed|lost)"|"event": "rescued"'),
    "full disk": Fault(full_disk, '"failure": "disk"|cannot write to [^:]*/out'),
    "full disk of the database": Fault(full_state, "cannot write to [^:]*/state: No space"),
    "read-only output": Fault(read_only, "Read-only file system"),
    "clock jumps": Fault(clock_jumps, "clock was set"),
    "job out of memory": Fault(out_of_memory, '"failure": "memory"'),
    "hung job": Fault(hung_job, '"failure": "timeout"'),
    "torn files": Fault(torn_files, '"event": "quarantined"'),
    "event overflow": Fault(overflow, "the kernel has dropped events"),
    "root replaced": Fault(root_replaced, "watched folder is missing|not the folder it was"),
    "database locked": Fault(database_locked),
    "CRDS server down, slow or lying": Fault(crds_server, '"event": "context kept"'),
}
NEED_MOUNTS = frozenset({"full disk", "full disk of the database", "read-only output"})
NEED_FAKE = frozenset({"job out of memory", "hung job", "torn files", "event overflow"})


@contextmanager
def small_disk(folder: Path, mb: int) -> Iterator[bool]:
    """A file system of its own at a folder; False, and none, where that is not allowed."""
    folder.mkdir(parents=True)
    options = f"size={mb}m"
    allowed = _run("mount", "-t", "tmpfs", "-o", options, "campaign", str(folder)) == 0
    try:
        yield allowed
    finally:
        if allowed:
            _run("umount", "-l", str(folder))


def _run(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode
