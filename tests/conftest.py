"""What many tests share: simulated exposures and the references that calibrate them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


#: Detectors of each instrument, and a small subarray of them.
SMALL = {
    "NIRCAM": (("NRCA1", "NRCALONG"), "SUB64P"),
    "NIRSPEC": (("NRS1",), "SUB512"),
    "NIRISS": (("NIS",), "SUB80"),
    "FGS": (("GUIDER1",), "SUB128CNTR"),
    "MIRI": (("MIRIMAGE",), "SUB64"),
}


@pytest.fixture(scope="session")
def crds_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The simulated references of an instrument in its subarray of `SMALL`, made when first asked for."""
    from calwebbd.stages.simulate import simulate_cache

    @cache
    def make(instrument: str) -> Path:
        folder = tmp_path_factory.mktemp(f"crds-{instrument.lower()}")
        detectors, subarray = SMALL[instrument]
        simulate_cache(folder, detectors=detectors, subarrays=(subarray,))
        return folder

    return make


@pytest.fixture(scope="session")
def crds_cache(crds_of: Callable[[str], Path]) -> Path:
    """References of NRCA1 and NRCALONG in SUB64P, which has reference pixels; contexts 0001 to 0003."""
    return crds_of("NIRCAM")


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
def observe(
    crds_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Simulation]:
    """Simulate exposures with the given arguments, into a folder of their own.

    Without other arguments, NRCA1 in SUB64P; of another instrument the subarray of `SMALL`.
    """
    from calwebbd.stages.simulate import simulate_exposures
    from calwebbd.stages.simulate.detectors import DETECTORS

    def make(*, detectors: Sequence[str] = ("NRCA1",), **arguments: Any) -> Simulation:
        instrument = DETECTORS[detectors[0]].instrument
        arguments = {"subarray": SMALL[instrument][1], "dithers": 1} | arguments
        folder = tmp_path_factory.mktemp("raw")
        return simulate_exposures(crds_of(instrument), folder, detectors=detectors, **arguments)

    return make
