"""What a configuration says: one frozen Config of sections, as the tables of calwebbd.toml are named."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from calwebbd.queues.groups import Partial

Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=1e9)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=10**9)]
Instrument: TypeAlias = Annotated[str, Meta(pattern="^(?i:nircam|nirspec|niriss|miri|fgs)$")]
#: parameters by step, under their official names
Steps: TypeAlias = dict[str, dict[str, Any]]
#: catalogued like a keyword: the folder from which an exposure came, and so all that is made of it
FOLDER = "FOLDER"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are refused."""


class Folders(Section, frozen=True, kw_only=True):
    """watch : with all folders below; output : products; state : database and lock."""

    watch: tuple[Path, ...] = ()
    output: Path
    state: Path

    @property
    def database(self) -> Path:
        return self.state / "calwebbd.db"

    @property
    def scratch(self) -> Path:
        """On the file system of the products, so that publishing one is a rename."""
        return self.output / ".calwebbd"


class Root(Section, frozen=True):
    """A watched folder with rules of its own; of each list, all if it is empty.

    recursive : with all folders below; names : patterns, as in a shell, of which a name must match one
    programs, instruments : as file names tell them; links : whether links to files are taken for files
    events : False to scan only, True not to; None asks the kind of its file system
    """

    path: Path
    recursive: bool = True
    names: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    instruments: tuple[Instrument, ...] = ()
    links: bool = True
    events: bool | None = None


class Rule(Section, frozen=True):
    """What differs for some exposures, of each list for all if it is empty.

    name : the origin of its parameters in the records; steps : over those of the site
    folders : their files came from there, or from a folder below
    priority : of new data, before others, or behind if it is negative; 0 is usual
    partial : whether and when associations are made without those that are missing
    """

    name: Annotated[str, Meta(min_length=1)]
    programs: tuple[str, ...] = ()
    exp_types: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    priority: Annotated[int, Meta(ge=-9, le=9)] | None = None
    partial: Partial | None = None
    steps: Steps = {}

    def concerns(self, header: Mapping[str, Any]) -> bool:
        """Whether it is for exposures with this header."""
        program, kind = str(header.get("PROGRAM", "")), str(header.get("EXP_TYPE", ""))
        came = Path(str(header.get(FOLDER, "")))
        return (
            (not self.programs or program.zfill(5) in {p.zfill(5) for p in self.programs})
            and (not self.exp_types or kind.upper() in {e.upper() for e in self.exp_types})
            and (not self.folders or any(came.is_relative_to(folder) for folder in self.folders))
        )


class Crds(Section, frozen=True):
    """path : the cache, None for that of the environment
    server : None for that of the environment, "" for none
    context : latest, build (that of the version `as_jwst` of the official package) or a literal one
    reprocess : what a new context would make differently is left (never), made again when an operator
        approves (ask), or made again (auto)
    refresh_hour : UTC; verify_days : how often all references are hashed
    bad_files : of the site: jobs that would use one are held
    """

    path: Path | None = None
    server: str | None = None
    context: Annotated[str, Meta(pattern=r"^(latest|build|operational|jwst_\d{4,}\.pmap)$")] = "latest"
    as_jwst: str = "3.0.0"
    reprocess: Literal["never", "ask", "auto"] = "ask"
    refresh_hour: Annotated[int, Meta(ge=0, le=23)] = 3
    verify_days: Annotated[float, Meta(gt=0)] = 7.0
    bad_files: tuple[str, ...] = ()


class Notify(Section, frozen=True):
    """url : of a service, as apprise has them (mailto://, slack://, json://, …)
    instruments : those it is about, all if empty; events : as context or corrupt, all if empty
    """

    url: str
    instruments: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


class Workers(Section, frozen=True):
    """memory_mb : for all jobs together, None for four fifths of the machine's;
    mosaic_mb : for the images that one job combines, and for their mosaic: what is more is on disk
    engine : local for processes of this machine, dask for the hosts of a cluster, of which `scheduler` is
        the address or the file; then `processes` is not used and `memory_mb` is that of the largest host
    """

    engine: Literal["local", "dask"] = "local"
    scheduler: str = ""
    processes: Count = len(os.sched_getaffinity(0))
    threads: Count = 1
    memory_mb: Count | None = None
    mosaic_mb: Count = 256
    timeout_seconds: Seconds = 4 * 3600.0

    @property
    def budget_mb(self) -> int:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return self.memory_mb or int(0.8 * pages * size / 2**20)


class Watch(Section, frozen=True):
    """settle_seconds : a file is looked at when its size and time stand still so long;
    patience_seconds : an incomplete file is quarantined when it has not grown for so long;
    rescan_seconds : between scans, poll_seconds of folders without events; canary : see daemon.canary
    """

    settle_seconds: Seconds = 2.0
    patience_seconds: Seconds = 60.0
    rescan_seconds: Seconds = 300.0
    poll_seconds: Seconds = 30.0
    canary: bool = True


class Associations(Section, frozen=True):
    """hold_seconds : of a complete group; quiet_seconds and hard_seconds : of another (see queues.groups);
    partial : by type, whether and when one is made without those that are missing."""

    level3: bool = True
    hold_seconds: Seconds = 5.0
    quiet_seconds: Seconds = 600.0
    hard_seconds: Seconds = 72 * 3600.0
    partial: dict[str, Partial] = {}


class Persistence(Section, frozen=True):
    """chain : whether exposures of a detector are calibrated in the order of time, each with what the one
        before has left: on, off, or where the configuration switches the step persistence on (auto)
    look_back_hours : after which nothing remains; less where persistence_time is less
    patience_seconds : for a predecessor that is announced and does not come, or fails
    """

    chain: Literal["auto", "on", "off"] = "auto"
    look_back_hours: Annotated[float, Meta(gt=0, le=1e5)] = 24.0
    patience_seconds: Seconds = 600.0


class Queue(Section, frozen=True):
    """reserve_mb : so much of the products' disk is never used
    backlog : with so many jobs waiting no more files are taken in
    failures, probe_seconds : so many alike in a row pause their stage, until a probe succeeds
    """

    reserve_mb: Count = 1024
    backlog: Count = 100_000
    failures: Count = 5
    probe_seconds: Seconds = 300.0


class Products(Section, frozen=True):
    """quicklook : whether there is a PNG beside each image;
    sidecars : whether there is the record of how it was made beside each product."""

    quicklook: bool = False
    sidecars: bool = True


class Backup(Section, frozen=True):
    """folder : of the copies of the database, None for none; best on another disk
    every_hours : how often one is made; keep : so many of them, the newest."""

    folder: Path | None = None
    every_hours: Annotated[float, Meta(gt=0, le=1e5)] = 24.0
    keep: Count = 7


class Web(Section, frozen=True):
    """token_file : its first line has to be shown by whoever asks; required unless host is this machine alone
    names : further names under which the page is reached, as that of a reverse proxy
    patience_hours : a job that has been ready for longer makes /health say so
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8765
    token_file: Path | None = None
    names: tuple[str, ...] = ()
    patience_hours: Annotated[float, Meta(gt=0)] = 24.0


class Log(Section, frozen=True):
    """file : JSON lines beside those on stderr."""

    file: Path | None = None
    level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"


class Config(Section, frozen=True):
    folders: Folders
    crds: Crds = Crds()
    workers: Workers = Workers()
    watch: Watch = Watch()
    associations: Associations = Associations()
    persistence: Persistence = Persistence()
    queue: Queue = Queue()
    products: Products = Products()
    backup: Backup = Backup()
    web: Web = Web()
    log: Log = Log()
    notify: tuple[Notify, ...] = ()
    steps: Steps = {}
    roots: tuple[Root, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def watched(self) -> tuple[Root, ...]:
        """All watched folders: those with rules, and the others."""
        ruled = {root.path for root in self.roots}
        return self.roots + tuple(Root(path=path) for path in self.folders.watch if path not in ruled)
