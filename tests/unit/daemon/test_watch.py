"""Every way in which a file can come into a folder is noticed, and soon."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fake_calibration as fake
import pytest

from calwebbd.daemon import watched
from calwebbd.daemon.config import Root
from calwebbd.daemon.sightings import Doubt, Found, Hint, Scanned
from calwebbd.daemon.watch import Watcher


class Heard:
    """Collects what a watcher posts, and lets tests wait for it."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.handles = True
        self._changed = threading.Condition()

    def post(self, message: Any) -> None:
        if isinstance(message, Found) and self.handles:
            message.handled.set()
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def wait(self, condition: Callable[[list[Any]], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self.messages), timeout=10.0), self.messages

    def hint(self, path: Path, *, closed: bool) -> None:
        self.wait(lambda all: Hint(path, closed) in all)

    def found(self, path: Path) -> None:
        self.wait(lambda all: any(path == p for m in all if isinstance(m, Found) for p, _ in m.files))

    def scans(self, count: int) -> None:
        self.wait(lambda all: sum(isinstance(m, Scanned) for m in all) >= count)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    root.mkdir()
    return root


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def watcher(root: Path, heard: Heard) -> Iterator[Watcher]:
    watcher = Watcher([Root(path=root)], [root / "products"], heard.post)
    watcher.start()
    heard.scans(1)
    heard.messages.clear()
    yield watcher
    watcher.stop()


NAME = fake.name()


@pytest.mark.usefixtures("watcher")
def test_a_copied_file_is_heard_of_when_its_writer_lets_go(root: Path, heard: Heard) -> None:
    (root / NAME).write_text("x")
    heard.hint(root / NAME, closed=True)


@pytest.mark.usefixtures("watcher")
def test_a_slow_writer_is_not_taken_for_done(root: Path, heard: Heard) -> None:
    with (root / NAME).open("w") as file:
        file.write("half")
        file.flush()
        heard.hint(root / NAME, closed=False)
        assert Hint(root / NAME, True) not in heard.messages
    heard.hint(root / NAME, closed=True)


@pytest.mark.usefixtures("watcher")
def test_a_file_moved_in_is_heard_of(root: Path, tmp_path: Path, heard: Heard) -> None:
    (tmp_path / NAME).write_text("x")
    os.rename(tmp_path / NAME, root / NAME)
    heard.hint(root / NAME, closed=False)


@pytest.mark.usefixtures("watcher")
def test_a_temporary_file_counts_once_it_has_its_name(root: Path, heard: Heard) -> None:
    (root / f".{NAME}.Xy12").write_text("x")
    os.rename(root / f".{NAME}.Xy12", root / NAME)
    heard.hint(root / NAME, closed=False)
    assert {m.path for m in heard.messages} == {root / NAME}


@pytest.mark.usefixtures("watcher")
def test_a_hard_link_is_heard_of(root: Path, tmp_path: Path, heard: Heard) -> None:
    (tmp_path / NAME).write_text("x")
    os.link(tmp_path / NAME, root / NAME)
    heard.hint(root / NAME, closed=False)


@pytest.mark.usefixtures("watcher")
def test_a_tree_moved_in_is_heard_of_file_by_file(root: Path, tmp_path: Path, heard: Heard) -> None:
    (tmp_path / "visit" / "deep").mkdir(parents=True)
    (tmp_path / "visit" / "deep" / NAME).write_text("x")
    os.rename(tmp_path / "visit", root / "visit")
    heard.hint(root / "visit" / "deep" / NAME, closed=False)


def test_a_folder_moved_within_the_root_asks_for_a_scan(root: Path, watcher: Watcher, heard: Heard) -> None:
    (root / "a").mkdir()
    (root / "a" / NAME).write_text("x")
    heard.wait(lambda all: any(isinstance(m, Hint) for m in all))
    os.rename(root / "a", root / "b")
    heard.wait(lambda all: any(isinstance(m, Doubt) for m in all))
    watcher.scan()
    heard.found(root / "b" / NAME)


@pytest.mark.usefixtures("watcher")
def test_other_files_and_our_own_products_are_passed_over(root: Path, heard: Heard) -> None:
    (root / "products").mkdir()
    (root / "products" / fake.name(suffix="rate")).write_text("x")
    (root / "notes.txt").write_text("x")
    (root / fake.name(suffix="i2d")).write_text("x")
    (root / NAME).write_text("x")
    heard.hint(root / NAME, closed=True)
    assert {m.path for m in heard.messages} == {root / NAME}


def test_a_root_that_is_replaced_is_watched_again(root: Path, watcher: Watcher, heard: Heard) -> None:
    os.rename(root, root.with_name("old"))
    root.mkdir()
    watcher.check()
    assert any(isinstance(m, Doubt) for m in heard.messages)
    (root / NAME).write_text("x")
    heard.hint(root / NAME, closed=True)


def test_a_root_that_is_deleted_and_made_again_is_watched_again(
    root: Path, watcher: Watcher, heard: Heard
) -> None:
    shutil.rmtree(root)
    watcher.check()
    root.mkdir()
    watcher.check()
    (root / NAME).write_text("x")
    heard.hint(root / NAME, closed=True)


def test_a_root_that_comes_later_is_watched_from_then_on(tmp_path: Path, heard: Heard) -> None:
    late = tmp_path / "mount"
    watcher = Watcher([Root(path=late)], [], heard.post)
    watcher.start()
    heard.wait(lambda all: any(isinstance(m, Scanned) and m.tally.unreadable for m in all))
    late.mkdir()
    watcher.check()
    (late / NAME).write_text("x")
    heard.hint(late / NAME, closed=True)
    watcher.stop()


@pytest.mark.usefixtures("watcher")
def test_events_dropped_by_the_kernel_ask_for_a_scan(heard: Heard) -> None:
    from watchdog.observers import inotify_c

    inotify_c.logger.warning("Inotify queue overflowed; filesystem events were lost")
    assert heard.messages == [Doubt("the kernel has dropped events")]


def test_the_words_of_watchdog_for_an_overflow_are_those_we_wait_for() -> None:
    from watchdog.observers import inotify_c

    assert "overflowed" in Path(inotify_c.__file__).read_text()
    assert logging.getLogger("watchdog.observers.inotify_c") is inotify_c.logger


def test_a_scan_finds_what_was_there_before(root: Path, heard: Heard) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / NAME).write_text("x")
    watcher = Watcher([Root(path=root)], [], heard.post)
    watcher.start()
    heard.found(root / "a" / "b" / NAME)
    watcher.stop()


def test_scans_asked_for_while_one_runs_become_one_more(root: Path, heard: Heard) -> None:
    watcher = Watcher([Root(path=root)], [], heard.post)
    gate = threading.Event()

    def slow(message: Any) -> None:
        gate.wait(timeout=10.0)
        heard.post(message)

    watcher.post = slow
    for _ in range(5):
        watcher.scan()
    gate.set()
    heard.scans(2)
    time.sleep(0.05)
    assert sum(isinstance(m, Scanned) for m in heard.messages) == 2


def test_a_scan_goes_on_when_what_it_found_has_been_handled(
    root: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "BATCH", 2)
    for number in range(3):
        (root / f"jw{number:011d}_02101_00001_nrca1_uncal.fits").write_text("raw")
    heard.handles = False
    watcher = Watcher([Root(path=root)], [], heard.post)
    try:
        watcher.start()
        heard.wait(lambda all: any(isinstance(m, Found) for m in all))
        (first,) = (m for m in heard.messages if isinstance(m, Found))
        assert len(first.files) == 2
        heard.handles = True
        first.handled.set()
        heard.scans(1)
    finally:
        watcher.stop()
    assert [len(m.files) for m in heard.messages if isinstance(m, Found)] == [2, 1]
