"""One small cache and one visit of two detectors, two dithers, made once for all tests here."""

from pathlib import Path

import pytest

from calwebbd.stages.simulate import Simulation, simulate_cache, simulate_exposures

SUBARRAYS = ["SUB64P", "SUB160"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("crds")
    simulate_cache(directory, subarrays=SUBARRAYS, seed=3)
    return directory


@pytest.fixture(scope="session")
def visit(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate_exposures(
        cache,
        tmp_path_factory.mktemp("visit"),
        subarray="SUB64P",
        readpatt="SHALLOW4",
        nints=2,
        dithers=2,
        seed=3,
    )
