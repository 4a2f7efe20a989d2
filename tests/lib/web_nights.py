"""A night with fake calibration, and its pages without a server."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import fake_calibration as fake
import pytest
from in_memory import folder
from starlette.testclient import TestClient

from calwebbd.daemon.config import Associations, Config, Crds, Folders, Watch, Web, Workers
from calwebbd.daemon.database import open_store
from calwebbd.daemon.records import Known, Records, stamp
from calwebbd.daemon.service import Service
from calwebbd.daemon.web.app import application
from calwebbd.queues import retry

LIB = Path(__file__).resolve().parent
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
MOSAIC = "jw01234-o001_t001_nircam_clear-f200w-sub64p"
PICTURE = "c" * 64
TOKEN = "correct horse battery staple"


def configuration(base: Path, **more: object) -> Config:
    folders = Folders(watch=(base / "in",), output=base / "out", state=base / "state")
    return Config(
        folders=folders,
        crds=Crds(context="jwst_0001.pmap"),
        watch=Watch(settle_seconds=0.1, patience_seconds=0.1, rescan_seconds=600.0),
        workers=Workers(processes=2, memory_mb=4000, timeout_seconds=20.0),
        associations=Associations(hold_seconds=0.2, quiet_seconds=0.2),
        web=Web(**more),  # type: ignore[arg-type]
    )


def publish(config: Config, path: Path, content: bytes, kind: str, sha256: str) -> None:
    """Put a file where the records say that a product of this content is."""
    path.write_bytes(content)
    store = open_store(config.folders.database)
    with store.transaction():
        known = Known(path, sha256, kind, {})
        Records(store.connection).catalogue(known, stamp(path) or "", len(content), "product", 1.0)
    store.close()


@pytest.fixture(scope="session")
def night() -> Iterator[Config]:
    """Two exposures calibrated and combined, one dead, one in quarantine; the service has stopped."""
    os.environ["PYTHONPATH"] = os.pathsep.join([os.environ["PYTHONPATH"], str(LIB)])
    with folder() as base:
        config = configuration(Path(base))
        incoming = config.folders.watch[0]
        incoming.mkdir()
        fake.expose(incoming, 1, 2)
        fake.expose(incoming, 2, 2)
        fake.expose(incoming, 3, OBSERVTN="002", DO="bug")
        (incoming / fake.name(4)).write_text("once upon a time")
        here = "fake_calibration"
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(retry.POLICIES, retry.Failure.ERROR, retry.Policy(attempts=1))
            Service(config, calibrate=f"{here}:calibrate", verify=f"{here}:verify").run(once=True)
        publish(
            config,
            config.folders.output / fake.name(suffix="cal").replace(".fits", ".png"),
            PIXEL,
            "png",
            PICTURE,
        )
        yield config


@pytest.fixture
def client(night: Config) -> TestClient:
    return TestClient(application(night), base_url="http://127.0.0.1:8765")
