"""Migrations: in order, all or nothing, after a backup, and never backwards."""

import sqlite3
from pathlib import Path

import pytest

from calwebbd.queues.migrate import Unfit, migrate, migrations, version
from calwebbd.queues.store import Store, connect


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "0001-shelf.sql").write_text("CREATE TABLE shelf (id INTEGER PRIMARY KEY) STRICT;")
    return scripts


def brought_up(database: Path, *folders: Path) -> sqlite3.Connection:
    connection = connect(database)
    try:
        migrate(connection, database, migrations(*folders))
    except BaseException:
        connection.close()
        raise
    return connection


def tables(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_scripts_of_several_folders_are_one_sequence(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "0002-book.sql").write_text("CREATE TABLE book (shelf INTEGER REFERENCES shelf (id)) STRICT;")
    connection = brought_up(tmp_path / "db", other, folder)
    assert (tables(connection), version(connection)) == ({"shelf", "book"}, 2)
    connection.close()


def test_two_scripts_of_one_number_are_refused(tmp_path: Path, folder: Path) -> None:
    (folder / "0001-again.sql").touch()
    with pytest.raises(ValueError, match="have the same number"):
        migrations(folder)


def test_only_scripts_that_are_missing_are_applied_and_a_copy_is_kept(tmp_path: Path, folder: Path) -> None:
    first = brought_up(tmp_path / "db", folder)
    first.execute("INSERT INTO shelf VALUES (7)")
    first.close()
    (folder / "0002-floor.sql").write_text(
        "ALTER TABLE shelf ADD COLUMN floor TEXT NOT NULL DEFAULT 'first';"
    )
    connection = brought_up(tmp_path / "db", folder)
    assert [tuple(row) for row in connection.execute("SELECT * FROM shelf")] == [(7, "first")]
    connection.close()
    kept = connect(tmp_path / "db.v1", readonly=True)
    assert ([tuple(row) for row in kept.execute("SELECT * FROM shelf")], version(kept)) == ([(7,)], 1)
    kept.close()


def test_a_new_database_needs_no_copy(tmp_path: Path, folder: Path) -> None:
    brought_up(tmp_path / "db", folder).close()
    assert list(tmp_path.glob("db.v*")) == []


def test_a_script_that_fails_leaves_everything_as_it_was(tmp_path: Path, folder: Path) -> None:
    brought_up(tmp_path / "db", folder).close()
    (folder / "0002-good.sql").write_text("CREATE TABLE good (id INTEGER) STRICT;")
    (folder / "0003-bad.sql").write_text("INSERT INTO nowhere VALUES (1);")
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        brought_up(tmp_path / "db", folder)
    left = connect(tmp_path / "db", readonly=True)
    assert (tables(left), version(left)) == ({"shelf"}, 1)
    left.close()


def test_a_script_that_leaves_a_row_referring_to_nothing_is_refused(tmp_path: Path, folder: Path) -> None:
    (folder / "0002-book.sql").write_text(
        "CREATE TABLE book (shelf INTEGER REFERENCES shelf (id)) STRICT; INSERT INTO book VALUES (9);"
    )
    with pytest.raises(Unfit, match="a row of book refers to none of shelf"):
        brought_up(tmp_path / "db", folder)


def test_a_table_others_refer_to_can_be_made_anew(tmp_path: Path, folder: Path) -> None:
    book = "CREATE TABLE book (shelf INTEGER REFERENCES shelf (id)) STRICT;"
    (folder / "0002-book.sql").write_text(book)
    first = brought_up(tmp_path / "db", folder)
    first.executescript("INSERT INTO shelf VALUES (1); INSERT INTO book VALUES (1);")
    first.close()
    (folder / "0003-anew.sql").write_text(
        "CREATE TABLE new (id INTEGER PRIMARY KEY CHECK (id > 0)) STRICT;"
        "INSERT INTO new SELECT * FROM shelf;"
        "DROP TABLE shelf; ALTER TABLE new RENAME TO shelf;"
    )
    connection = brought_up(tmp_path / "db", folder)
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute("INSERT INTO book VALUES (2)")
    connection.close()


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    store.connection.execute("PRAGMA user_version = 9999")
    store.close()
    with pytest.raises(Unfit, match=r"db is of version 9999, this calwebbd knows up to \d+: install"):
        Store(tmp_path / "db")


def test_a_view_does_not_stand_in_the_way_of_making_a_table_anew(tmp_path: Path, folder: Path) -> None:
    first = brought_up(tmp_path / "db", folder)
    first.execute("CREATE VIEW shelves AS SELECT id FROM shelf")
    first.close()
    (folder / "0002-anew.sql").write_text(
        "CREATE TABLE other (id INTEGER PRIMARY KEY CHECK (id > 0)) STRICT;"
        "DROP TABLE shelf; ALTER TABLE other RENAME TO shelf;"
    )
    connection = brought_up(tmp_path / "db", folder)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'view'").fetchone()[0] == 0
    connection.close()
