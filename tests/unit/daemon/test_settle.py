"""When a file is taken for finished. Times are given; nothing sleeps."""

from pathlib import Path

import pytest

from calwebbd.daemon.settle import Settling

FILE = Path("/in/jw_uncal.fits")


class Disk:
    """What one sees of files."""

    def __init__(self) -> None:
        self.stamps: dict[Path, str] = {FILE: "1"}

    def look(self, path: Path) -> str | None:
        return self.stamps.get(path)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def settling(disk: Disk) -> Settling:
    return Settling(settle_s=2.0, patience_s=60.0, look=disk.look)


def test_a_closed_file_is_due_at_once(settling: Settling) -> None:
    settling.see(FILE, 10.0, closed=True)
    assert [due.path for due in settling.due(10.0)] == [FILE]
    assert len(settling) == 0


def test_a_found_file_is_due_after_two_equal_looks(settling: Settling) -> None:
    settling.see(FILE, 10.0)
    assert settling.due(10.0) == []
    assert settling.due(11.9) == []
    assert len(settling.due(12.0)) == 1


def test_a_growing_file_waits_until_it_stands_still(settling: Settling, disk: Disk) -> None:
    settling.see(FILE, 10.0)
    settling.due(10.0)
    disk.stamps[FILE] = "2"
    assert settling.due(12.0) == []
    assert len(settling.due(14.0)) == 1


def test_closing_a_file_that_was_only_found_makes_it_due(settling: Settling) -> None:
    settling.see(FILE, 10.0)
    settling.due(10.0)
    settling.see(FILE, 10.5, closed=True)
    assert len(settling.due(10.5)) == 1


def test_a_file_that_has_gone_is_forgotten(settling: Settling, disk: Disk) -> None:
    settling.see(FILE, 10.0)
    del disk.stamps[FILE]
    assert settling.due(10.0) == []
    assert len(settling) == 0


def test_an_unfinished_file_that_stays_so_has_a_last_look(settling: Settling) -> None:
    settling.unfinished(FILE, "1", 0.0)
    assert not any(settling.due(t) for t in (0.2, 1.0, 30.0, 59.9))
    (due,) = settling.due(60.0)
    assert due.last


def test_an_unfinished_file_that_grows_is_looked_at_anew(settling: Settling, disk: Disk) -> None:
    settling.unfinished(FILE, "1", 0.0)
    disk.stamps[FILE] = "2"
    settling.due(50.0)
    (due,) = settling.due(52.0)
    assert not due.last


def test_unfinished_files_are_looked_at_less_and_less_often(settling: Settling) -> None:
    settling.unfinished(FILE, "1", 0.0)
    now, looks = 0.0, 0
    while (due := settling.next_due()) is not None:
        now, looks = due, looks + 1
        settling.due(now)
    assert now == 60.0
    assert looks < 12


def test_in_a_hurry_unfinished_files_have_their_last_look_now(settling: Settling) -> None:
    settling.unfinished(FILE, "1", 0.0)
    assert settling.patient()
    settling.hurry()
    (due,) = settling.due(1.0)
    assert due.last


def test_a_file_that_has_yet_to_settle_is_worth_waiting_for(settling: Settling) -> None:
    assert settling.patient()
    settling.see(FILE, 0.0)
    assert not settling.patient()
