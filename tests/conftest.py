"""What many tests share: simulated exposures and the references that calibrate them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def _leave_the_user_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Services that tests start are not those of the user's questions."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    os.environ.pop("CALWEBBD_CONFIG", None)


@pytest.fixture(scope="session", autouse=True)
def _importable_by_child_processes() -> None:
    """Processes that tests start import this checkout, whatever is installed."""
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT / "tests" / "importroot"), *([known] if known else [])]
    )


@pytest.fixture(scope="session", autouse=True)
def _warm_kernels() -> None:
    """Kernels are compiled by one process before any test needs them."""
    from calwebbd.stages import kernels

    kernels.warm()


@pytest.fixture(scope="session")
def crds_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """References of NRCA1 and NRCALONG in SUB64P, which has reference pixels; contexts 0001 and 0002."""
    from calwebbd.stages.simulate import simulate_cache

    folder = tmp_path_factory.mktemp("crds")
    simulate_cache(folder, subarrays=("SUB64P",))
    return folder


@pytest.fixture
def crds_environment(crds_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The simulated cache as the one that CRDS uses."""
    from calwebbd.stages.simulate import environment

    for name in [name for name in os.environ if name.startswith("CRDS_")]:
        monkeypatch.delenv(name)
    for name, value in environment(crds_cache).items():
        monkeypatch.setenv(name, value)
    return crds_cache


@pytest.fixture(scope="session")
def observe(crds_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Simulation]:
    """Simulate exposures with the given arguments, into a folder of their own."""
    from calwebbd.stages.simulate import simulate_exposures

    def make(**arguments: object) -> Simulation:
        folder = tmp_path_factory.mktemp("raw")
        defaults: dict[str, object] = {"detectors": ("NRCA1",), "subarray": "SUB64P", "dithers": 1}
        return simulate_exposures(crds_cache, folder, **(defaults | arguments))  # type: ignore[arg-type]

    return make
