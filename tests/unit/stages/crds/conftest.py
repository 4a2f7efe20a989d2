import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from crds_server import CrdsServer, serve, small_cache
from in_memory import tmp_path

__all__ = ["tmp_path"]


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the servers of these tests have."""
    return small_cache(tmp_path_factory.mktemp("origin"))


@pytest.fixture
def double(origin: Path) -> Iterator[CrdsServer]:
    with serve(origin) as server:
        yield server


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with nothing in it, and no server."""
    from calwebbd.stages.crds import rules

    for name in [name for name in os.environ if name.startswith("CRDS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "crds"))
    monkeypatch.setenv("CALWEBBD_CACHE", str(tmp_path / "own"))
    rules.forget()
    return tmp_path / "crds"
