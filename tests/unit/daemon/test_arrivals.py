"""A service hears of files however they come, and counts them all. Calibration is fake, folders are real."""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_calibration as fake
import msgspec
import pytest
from live_service import Live, config, started

from calwebbd.daemon import canary, intake, schedule, watched
from calwebbd.daemon.ask import asking
from calwebbd.daemon.config import Config, Root, Rule
from calwebbd.daemon.intake import Refused, examine
from calwebbd.daemon.records import stamp
from calwebbd.daemon.service import Service

__all__ = ["config", "started"]
NAME = fake.name()
# watchdog's, when folders are made or moved quickly; the service has them ignored
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def incoming(config: Config) -> Path:
    return config.folders.watch[0]


def once(config: Config) -> dict[str, Any]:
    """A whole night; returns the status after it."""
    here = "fake_calibration"
    Service(config, calibrate=f"{here}:calibrate", verify=f"{here}:verify").run(once=True)
    with asking(config.folders.database) as ask:
        return ask.status()


# How files come


def _written(folder: Path, outside: Path) -> None:
    fake.expose(folder)


def _renamed(folder: Path, outside: Path) -> None:
    os.rename(fake.expose(outside), folder / NAME)


def _hard_linked(folder: Path, outside: Path) -> None:
    os.link(fake.expose(outside), folder / NAME)


def _linked(folder: Path, outside: Path) -> None:
    (folder / NAME).symlink_to(fake.expose(outside))


def _as_rsync_does(folder: Path, outside: Path) -> None:
    (folder / f".{NAME}.Xa3bQ9").write_text(fake.content())
    os.rename(folder / f".{NAME}.Xa3bQ9", folder / NAME)


def _as_rsync_does_late(folder: Path, outside: Path) -> None:
    """rsync --delay-updates keeps whole files, under their names, in a hidden folder first."""
    (folder / ".~tmp~").mkdir()
    fake.expose(folder / ".~tmp~")
    time.sleep(0.3)
    os.rename(folder / ".~tmp~" / NAME, folder / NAME)


def _as_browsers_do(folder: Path, outside: Path) -> None:
    for suffix in (".part", ".crdownload"):
        (folder / f"{NAME}{suffix}").write_text(fake.content()[:-2])
    os.rename(folder / f"{NAME}.part", folder / NAME)
    (folder / NAME).write_text(fake.content())


def _in_a_tree(folder: Path, outside: Path) -> None:
    (outside / "program" / "visit").mkdir(parents=True)
    fake.expose(outside / "program" / "visit")
    os.rename(outside / "program", folder / "program")


def _in_folders_just_made(folder: Path, outside: Path) -> None:
    (folder / "a" / "b" / "c").mkdir(parents=True)
    fake.expose(folder / "a" / "b" / "c")


def _slowly(folder: Path, outside: Path) -> None:
    text = fake.content()
    with (folder / NAME).open("w") as file:
        for start in range(0, len(text), 40):
            file.write(text[start : start + 40])
            file.flush()
            time.sleep(0.03)


def _in_pieces(folder: Path, outside: Path) -> None:
    """Opened and closed again and again."""
    text = fake.content()
    for start in range(0, len(text), 100):
        with (folder / NAME).open("a") as file:
            file.write(text[start : start + 100])
        time.sleep(0.02)


def _over_another(folder: Path, outside: Path) -> None:
    (folder / NAME).write_text("once upon a time")
    time.sleep(0.3)
    os.rename(fake.expose(outside), folder / NAME)


WAYS = [
    _written, _renamed, _hard_linked, _linked, _as_rsync_does, _as_rsync_does_late, _as_browsers_do,
    _in_a_tree, _in_folders_just_made, _slowly, _in_pieces, _over_another,
]  # fmt: skip


@pytest.mark.parametrize("come", WAYS, ids=lambda way: way.__name__.strip("_"))
@pytest.mark.parametrize("events", [True, False], ids=["by events", "by scans"])
def test_a_file_is_calibrated_however_it_comes(
    come: Callable[[Path, Path], None],
    events: bool,
    config: Config,
    tmp_path: Path,
    started: Callable[..., Live],
) -> None:
    (tmp_path / "outside").mkdir()
    live = started(msgspec.structs.replace(config, roots=(Root(path=incoming(config), events=events),)))
    come(incoming(config), tmp_path / "outside")
    live.hears("arrived", kind="uncal")
    live.hears("finished", pipeline="image2")
    assert not [facts for event, facts in live.events if event == "events lost"]


def test_a_tree_that_is_moved_away_and_back_is_no_new_work(
    config: Config, tmp_path: Path, started: Callable[..., Live]
) -> None:
    live = started(config)
    (incoming(config) / "visit").mkdir()
    fake.expose(incoming(config) / "visit")
    live.hears("finished", pipeline="image2")
    os.rename(incoming(config) / "visit", tmp_path / "away")
    live.until(lambda: live.root()["seen"] == 0)
    os.rename(tmp_path / "away", incoming(config) / "visit")
    live.scan()
    live.until(lambda: live.root()["catalogued"] == 1)
    assert sum(event == "started" for event, _ in live.events) <= 3


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path,
) -> None:
    path = fake.expose(tmp_path, text="old")

    def verify(path: Path) -> Any:
        facts = fake.verify(path)
        os.replace(fake.expose(tmp_path / "new", text="new"), path)
        return facts

    (tmp_path / "new").mkdir()
    assert examine(path, stamp(path) or "", verify) is None


# What is passed over


def test_names_that_are_no_text_and_things_that_are_no_files_are_ignored_and_counted(config: Config) -> None:
    root = incoming(config)
    for name in (
        ".hidden_uncal.fits",
        f"{NAME}.part",
        f"two\nlines_{NAME}",
        "notes.txt",
        fake.name(suffix="i2d"),
    ):
        (root / name).write_text("x")
    for name in (b"jw\xff_uncal.fits", b"folder\xff"):
        path = os.fsencode(root) + b"/" + name
        os.mkdir(path) if name == b"folder\xff" else os.mknod(path)
    (root / ".snapshot").mkdir()
    fake.expose(root / ".snapshot")
    os.mkfifo(root / fake.name(2))
    (root / fake.name(3)).symlink_to(root / "nothing")
    (root / fake.name(4)).symlink_to(root / ".snapshot")
    fake.expose(root, 5)
    (root / "circle").symlink_to(root)
    (told,) = once(config)["watch"]["roots"]
    assert told["ignored"] == {
        "hidden": 1,
        "temporary": 1,
        "other name": 4,
        "name is not UTF-8": 2,
        "hidden folder": 1,
        "not a file": 1,
        "link to nothing": 1,
        "link to a folder": 1,
    }
    assert (told["seen"], told["catalogued"], told["adds_up"]) == (13, 1, True)


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        ({"recursive": False}, {1}),
        ({"names": ("*_0000[12]_*",)}, {1, 2}),
        ({"programs": ("1234",)}, {1, 2, 3}),
        ({"programs": ("1235",)}, set()),
        ({"instruments": ("NIRCam",)}, {1, 2, 3}),
        ({"instruments": ("miri",)}, set()),
        ({"links": False}, {1, 2}),
    ],
)
def test_a_folder_may_have_rules_of_its_own(
    rules: dict[str, Any], taken: set[int], config: Config, tmp_path: Path
) -> None:
    root = incoming(config)
    (root / "deep").mkdir()
    (tmp_path / "outside").mkdir()
    fake.expose(root, 1)
    fake.expose(root / "deep", 2)
    (root / "deep" / fake.name(3)).symlink_to(fake.expose(tmp_path / "outside", 3))
    once(msgspec.structs.replace(config, roots=(Root(path=root, **rules),)))
    assert {n for n in (1, 2, 3) if (config.folders.output / fake.name(n, suffix="cal")).exists()} == taken


def test_a_folder_within_a_watched_one_has_its_own_rules(config: Config) -> None:
    inner = incoming(config) / "inner"
    inner.mkdir()
    for number, folder in enumerate((incoming(config), inner), 1):
        fake.expose(folder, number)
    roots = (Root(path=inner, programs=("9999",)),)
    outer_told, inner_told = once(msgspec.structs.replace(config, roots=roots))["watch"]["roots"]
    assert (outer_told["seen"], outer_told["catalogued"]) == (1, 1)
    assert (inner_told["seen"], inner_told["ignored"]) == (1, {"program": 1})


def test_a_rule_gives_parameters_to_its_program_and_kind_only(config: Config) -> None:
    fake.expose(incoming(config), 1)
    fake.expose(incoming(config), 2, EXP_TYPE="NRC_TACQ")
    rules = (
        Rule(name="all", programs=("1234",), steps={"copy": {"factor": 2}}),
        Rule(name="acquisitions", exp_types=("nrc_tacq",), steps={"copy": {"factor": 7}}),
        Rule(name="others", programs=("9999",), steps={"copy": {"factor": 9}}),
    )
    once(msgspec.structs.replace(config, rules=rules, steps={"copy": {"factor": 1}}))
    with asking(config.folders.database) as ask:
        found = [
            ask.lineage(fake.name(n, suffix="rate"))["made_by"]["parameters"]["copy"]["factor"]
            for n in (1, 2)
        ]
    assert found == [[2, "rule all"], [7, "rule acquisitions"]]


# What cannot be read


def test_a_file_that_may_not_be_read_is_told_once_and_taken_when_it_may(
    config: Config, started: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = intake.examine
    locked = threading.Event()
    locked.set()

    def guarded(path: Path, *rest: Any) -> Any:
        return (
            Refused(path, "", "cannot be read: Permission denied", False)
            if locked.is_set()
            else real(path, *rest)
        )

    monkeypatch.setattr("calwebbd.daemon.reception.examine", guarded)
    live = started(config)
    fake.expose(incoming(config))
    live.hears("quarantined", reason="cannot be read: Permission denied")
    for _ in range(3):
        before = live.root()["scanned_at"]
        live.scan()
        live.until(lambda before=before: live.root()["scanned_at"] > before)  # type: ignore[misc]
    live.until(lambda: live.status()["watch"]["examined"]["quarantined"] > 1)
    assert sum(event == "quarantined" for event, _ in live.events) == 1
    locked.clear()
    live.scan()
    live.hears("finished", pipeline="image2")
    assert live.status()["quarantined"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give up rights")
def test_rights_that_are_wanting_are_no_fault_of_the_file(tmp_path: Path) -> None:
    path = fake.expose(tmp_path)
    path.chmod(0)
    tmp_path.chmod(0o755)
    libc = ctypes.CDLL(None)
    libc.setfsuid(65534)  # of this thread alone
    try:
        answer = examine(path, stamp(path) or "", fake.verify)
    finally:
        libc.setfsuid(0)
    assert answer == Refused(path, "", "cannot be read: Permission denied", growing=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give up rights")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    from calwebbd.daemon.scan import Tally, walk

    (tmp_path / "locked").mkdir(mode=0)
    tmp_path.chmod(0o755)
    libc, tally = ctypes.CDLL(None), Tally()
    libc.setfsuid(65534)
    try:
        assert list(walk(Root(path=tmp_path), frozenset(), tally)) == []
    finally:
        libc.setfsuid(0)
    assert tally.unreadable == [f"{tmp_path / 'locked'} (Permission denied)"]


def test_a_job_whose_input_is_away_waits_for_it(config: Config, started: Callable[..., Live]) -> None:
    live = started(config)
    fake.expose(incoming(config), 1, SECONDS=1.0)
    live.hears("started", pipeline="detector1")
    fake.expose(incoming(config), 2)
    live.hears("arrived", count=2)
    shutil.rmtree(incoming(config))
    failed = live.hears("failed", failure="missing")
    assert failed["state"] == "ready"
    assert "is not there" in failed["reason"]


# Manifests


def sums(folder: Path, *names: str) -> str:
    return "".join(f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names)


def test_a_manifest_says_what_is_awaited_and_what_it_has_to_be(config: Config, tmp_path: Path) -> None:
    root, full = incoming(config), tmp_path / "full"
    full.mkdir()
    for number in (1, 2, 3):
        fake.expose(full, number, text=f"light{number}")
    (root / "night.manifest").write_text(sums(full, *(fake.name(n) for n in (1, 2, 3))))
    shutil.copy(full / fake.name(1), root)
    fake.expose(root, 2, text="forged")
    status = once(config)
    assert [Path(row["path"]).name for row in status["awaited"]] == [fake.name(3)]
    with asking(config.folders.database) as ask:
        (refused,) = ask.quarantine()
        where = ask.where(fake.name(3))
    assert refused["path"] == str(root / fake.name(2))
    assert refused["reason"].startswith(f"its content is not what {root / 'night.manifest'} says (SHA-256 ")
    assert (where["state"], where["reason"]) == ("awaited", f"{root / 'night.manifest'} names it")
    assert not (config.folders.output / fake.name(2, suffix="rate")).exists()
    shutil.copy(full / fake.name(2), root)
    shutil.copy(full / fake.name(3), root)
    status = once(config)
    assert (status["awaited"], status["quarantined"]) == ([], 0)
    assert status["watch"]["roots"][0]["catalogued"] == 4


def test_a_manifest_that_comes_last_is_held_against_what_is_there(config: Config) -> None:
    good, bad = fake.expose(incoming(config), 1), fake.expose(incoming(config), 2)
    once(config)
    text = sums(incoming(config), good.name) + f"{'0' * 64}  {bad.name}\n"
    (incoming(config) / "SHA256SUMS").write_text(text)
    once(config)
    with asking(config.folders.database) as ask:
        assert [row["path"] for row in ask.quarantine()] == [str(bad)]


# Events that are lost, and folders that come and go


def flood(folder: Path, count: int) -> None:
    """Files in many folders, by hard links: the fastest way to make events."""
    paths = [folder / f"{n % 50}" for n in range(50)]
    for path in paths:
        path.mkdir()
    for number in range(count):
        path = paths[number % 50] / f"jw01234001001_02101_{number:05d}_nrca1_uncal.fits"
        path.write_text(json.dumps({"header": {"EXP_TYPE": "NRC_DARK"}, "data": number}) + "\nEND")


@pytest.mark.parametrize("count", [2000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_no_file_of_a_flood_is_lost_though_the_kernel_drops_events(
    count: int, config: Config, started: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = Path("/proc/sys/fs/inotify/max_queued_events")
    before = limit.read_text()
    try:
        limit.write_text("100")  # of observers that are made from now on
    except OSError:
        pytest.skip("the limit of the kernel may not be lowered")
    try:
        queue = msgspec.structs.replace(config.queue, backlog=10**6)
        monkeypatch.setattr("calwebbd.daemon.workshop.Workshop.begin", lambda self: None)
        live = started(msgspec.structs.replace(config, queue=queue))
    finally:
        limit.write_text(before)
    flood(incoming(config), count)
    live.until(lambda: live.root()["catalogued"] == count, patience_s=600.0)
    told = live.status()["watch"]
    assert told["roots"][0]["adds_up"]
    assert told["noticed"]["doubts"] > 0


def test_a_file_that_only_a_scan_finds_though_events_come_is_told_as_lost(
    config: Config, started: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = started(config)
    monkeypatch.setattr("calwebbd.daemon.roots.Territory.wants", lambda self, path: False)
    fake.expose(incoming(config))
    live.service._inbox.post(schedule.Tick.RESCAN)
    assert live.hears("events lost")["files"] == 1
    live.hears("finished", pipeline="image2")
    live.until(lambda: live.status()["watch"]["noticed"].get("only by scan") == 1)


def test_a_file_that_was_only_touched_is_not_told_as_lost(
    config: Config, started: Callable[..., Live]
) -> None:
    live = started(config)
    path = fake.expose(incoming(config))
    live.hears("finished", pipeline="image2")
    os.utime(path, (1, 1))
    live.service._inbox.post(schedule.Tick.RESCAN)
    live.hears("arrived", kind="uncal", count=2)
    assert not [facts for event, facts in live.events if event == "events lost"]


def test_a_canary_is_seen_heard_and_removed(config: Config, started: Callable[..., Live]) -> None:
    live = started(config)
    live.scan()
    live.until(lambda: live.root()["canary"] == "heard")
    assert (incoming(config) / canary.NAME).exists()
    assert (live.root()["seen"], live.root()["events"]) == (0, True)
    live.service.stop()
    live.thread.join(timeout=30.0)
    assert list(incoming(config).iterdir()) == []


def test_a_folder_that_cannot_be_written_to_has_no_canary_and_is_served(
    config: Config, started: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("calwebbd.daemon.canary._write", refuse)
    live = started(config)
    fake.expose(incoming(config))
    live.hears("finished", pipeline="image2")
    assert live.root()["canary"] == "none (Read-only file system)"


def test_a_canary_is_not_written_through_a_link(config: Config, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("gold")
    (incoming(config) / canary.NAME).symlink_to(tmp_path / "precious")
    once(config)
    assert (tmp_path / "precious").read_text() == "gold"


def test_when_canaries_are_not_heard_the_folder_is_armed_anew_and_at_last_only_scanned(
    config: Config, started: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "PATIENCE_S", 0.1)
    monkeypatch.setattr("calwebbd.daemon.canary.Canary.heard", lambda self: None)
    live = started(config)
    live.until(lambda: not live.root()["events"])
    assert live.root()["mode"] == "its events do not come"
    assert live.status()["watch"]["noticed"]["doubts"] == watched.DEAF - 1
    monkeypatch.setattr("calwebbd.daemon.roots.Territory.wants", lambda self, path: False)
    fake.expose(incoming(config))
    live.hears("finished", pipeline="image2")


def test_a_network_file_system_is_only_scanned(
    config: Config, started: Callable[..., Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = str(incoming(config))
    monkeypatch.setattr(watched.filesystems, "network", lambda path: "nfs4" if str(path) == here else None)
    live = started(config)
    assert live.root()["mode"] == "lies on a network file system (nfs4)"
    fake.expose(incoming(config))
    live.hears("finished", pipeline="image2")
    assert live.status()["watch"]["noticed"].get("events", 0) == 0


def test_a_folder_that_is_replaced_removed_and_made_again_is_watched(
    config: Config, started: Callable[..., Live]
) -> None:
    root = incoming(config)
    live = started(config)
    os.rename(root, root.with_name("old"))
    root.mkdir()
    live.until(lambda: live.status()["watch"]["noticed"].get("doubts"))
    fake.expose(root, 1)
    live.hears("arrived", kind="uncal")
    shutil.rmtree(root)
    live.until(lambda: live.root()["unreadable"])
    root.mkdir()
    live.until(lambda: not live.root()["unreadable"])
    fake.expose(root, 2)
    live.hears("arrived", count=2, kind="uncal")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_what_is_mounted_over_a_folder_is_watched_and_what_lies_beneath_again_after_that(
    config: Config, started: Callable[..., Live]
) -> None:
    root = incoming(config)
    live = started(config)
    fake.expose(root, 1)
    live.hears("finished", pipeline="image2", count=1)
    mount("-t", "tmpfs", "none", root)
    try:
        live.until(lambda: live.root()["seen"] == 0)
        fake.expose(root, 2)
        live.hears("arrived", kind="uncal", count=2)
        live.hears("finished", pipeline="image2", count=2)
        mount("-o", "remount,ro", root)
        live.scan()
        live.until(lambda: live.root()["canary"] == "none (Read-only file system)")
    finally:
        subprocess.run(["umount", "-l", root], check=True)
    live.until(lambda: live.root()["catalogued"] == 1)
    fake.expose(root, 3)
    live.hears("finished", pipeline="image2", count=3)


def mount(*arguments: object) -> None:
    if subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode:
        pytest.skip("may not mount here")
