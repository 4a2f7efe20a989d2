"""The one database of a service: whether it may be used, and its version."""

from pathlib import Path

from calwebbd.daemon import filesystems, records
from calwebbd.queues import database as queue
from calwebbd.queues.migrate import Unfit, migrations
from calwebbd.queues.store import Store

#: all migrations, in order: the database's version is the number of the last
SCRIPTS = migrations(queue.MIGRATIONS, records.MIGRATIONS)
VERSION = SCRIPTS[-1].number
#: what people may ask with SQL
VIEWS = (Path(__file__).parent / "views.sql").read_text()


def open_store(path: Path) -> Store:
    """Open the database for writing, brought up to date, with its views made anew.

    Raises Unfit if it is of a newer version, or on a network file system: there SQLite's
    locks and shared memory do not hold.
    """
    kind = filesystems.network(path)
    if kind is not None:
        raise Unfit(f"{path} lies on a network file system ({kind}): folders.state must be on a local disk")
    store = Store(path, [records.MIGRATIONS])
    store.connection.executescript(f"BEGIN IMMEDIATE;\n{VIEWS}\nCOMMIT;")
    return store
