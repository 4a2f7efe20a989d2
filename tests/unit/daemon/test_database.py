"""The database: its place, its version."""

from pathlib import Path

import pytest

from calwebbd.daemon import database, filesystems
from calwebbd.daemon.ask import Unknown, asking
from calwebbd.queues.migrate import Unfit

MOUNTS = """
20 1 8:1 / / rw - ext4 /dev/sda1 rw
21 20 0:5 / /data rw - ext4 /dev/sdb1 rw
22 21 0:6 / /data/night\\0401 rw shared:1 - nfs4 server:/night rw
23 21 0:7 / /data/over rw - nfs4 server:/over rw
24 21 0:8 / /data/over rw - tmpfs tmpfs rw
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS.strip())
    monkeypatch.setattr(filesystems, "MOUNTS", tmp_path / "mountinfo")


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "ext4"), ("/database", "ext4"), ("/data/night 1/x/y", "nfs4"), ("/data/over/x", "tmpfs")],
)
def test_the_innermost_and_latest_mount_says_what_a_path_lies_on(path: str, kind: str) -> None:
    assert filesystems.kind(Path(path)) == kind
    assert filesystems.network(Path(path)) == (kind if kind == "nfs4" else None)


@pytest.mark.usefixtures("mounts")
def test_a_database_on_a_network_file_system_is_refused() -> None:
    with pytest.raises(Unfit, match=r"network file system \(nfs4\): folders.state must be on a local"):
        database.open_store(Path("/data/night 1/calwebbd.db"))


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [script.number for script in database.SCRIPTS] == list(range(1, database.VERSION + 1))


def test_questions_to_a_database_of_another_version_are_refused(tmp_path: Path) -> None:
    store = database.open_store(tmp_path / "db")
    store.connection.execute("PRAGMA user_version = 9999")
    store.close()
    with pytest.raises(Unknown, match="is of version 9999"), asking(tmp_path / "db"):
        pass
