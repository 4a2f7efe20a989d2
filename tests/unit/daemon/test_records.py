"""What the service writes down, and does not forget."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calwebbd.daemon.database import open_store
from calwebbd.daemon.records import Known, Records
from calwebbd.queues.store import Store

PATH = Path("/in/jw_uncal.fits")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "db")
    yield opened
    opened.close()


def rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in store.connection.execute(query)]


def test_a_decision_says_who_did_what_to_what_when_and_why(store: Store) -> None:
    Records(store.connection).decide("ada", "pause", "image3", "the flat is wrong", 5.0)
    found = rows(store, "SELECT at, who, what, subject, why FROM decision")
    assert found == [(5.0, "ada", "pause", "image3", "the flat is wrong")]


def test_what_a_path_held_before_is_not_forgotten(store: Store) -> None:
    written = Records(store.connection)
    written.quarantine(PATH, "1", "ends too early", 1.0)
    written.catalogue(Known(PATH, "old", "uncal", {}), "2", 10, "input", 2.0, closed=1.5)
    written.catalogue(Known(PATH, "new", "uncal", {}), "3", 10, "input", 3.0, closed=2.5)
    found = rows(store, "SELECT entity, origin, reason, closed, at FROM history ORDER BY id")
    assert found == [
        (None, "refused", "ends too early", None, 1.0),
        ("old", "input", "", 1.5, 2.0),
        ("new", "input", "", 2.5, 3.0),
    ]
    assert rows(store, "SELECT entity FROM file") == [("new",)]


def test_targets_are_numbered_in_each_observation_as_they_come_and_keep_their_numbers(tmp_path: Path) -> None:
    seen = [("o001", "m31"), ("o001", "sirius"), ("o002", "sirius"), ("o001", "m31"), ("o001", "")]
    for _ in range(2):  # a service, and the next one
        store = open_store(tmp_path / "db")
        numbers = [Records(store.connection).target_number("01234", *target, 1.0) for target in seen]
        store.close()
        assert numbers == [1, 2, 1, 1, 3]


def test_files_are_counted_by_kind_however_they_come_change_and_go(store: Store) -> None:
    written = Records(store.connection)
    other = PATH.with_name("copy_uncal.fits")
    written.catalogue(Known(PATH, "a", "uncal", {}), "1", 10, "input", 1.0)
    written.catalogue(Known(other, "a", "uncal", {}), "1", 10, "alias", 1.0)
    written.catalogue(Known(PATH, "a", "uncal", {}), "2", 10, "input", 2.0)
    counted = "SELECT origin, kind, n FROM tally WHERE n > 0 ORDER BY origin"
    assert rows(store, counted) == [("alias", "uncal", 1), ("input", "uncal", 1)]
    written.catalogue(Known(PATH, "b", "rate", {}), "3", 10, "input", 3.0)
    assert rows(store, counted) == [("alias", "uncal", 1), ("input", "rate", 1)]
    assert written.elsewhere(Known(other, "b", "rate", {})) is None  # nothing is there: it is forgotten
    assert rows(store, counted) == [("alias", "uncal", 1)]
