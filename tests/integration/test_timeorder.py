"""Exposures in the order of time: with real pixels, and with a service that is killed again and again."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import asdf
import fake_calibration as fake
import numpy as np
import pytest
from astropy.io import fits
from in_memory import tmp_path

from calwebbd.daemon.runner import CALIBRATE
from calwebbd.daemon.work import HANDED, Input, Result, Work
from calwebbd.daemon.worker import attempt
from calwebbd.stages.flags import PERSISTENCE, SATURATED

if TYPE_CHECKING:
    from calwebbd.stages.simulate import Simulation

__all__ = ["tmp_path"]

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "tests" / "lib"
CONFIG = """
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
context = "jwst_0001.pmap"
[workers]
processes = 2
memory_mb = 4000
[watch]
settle_seconds = 0.05
[associations]
level3 = false
hold_seconds = 0.2
[steps.persistence]
skip = false
persistence_time = 500
"""


def calibrated(raw: Path, folder: Path, handed: tuple[Input, ...] = ()) -> tuple[Result, Path]:
    """The result of one attempt with the real calibration, and where its products are."""
    work = Work(
        stage=1,
        pipeline="detector1",
        subject=raw.name.removesuffix("_uncal.fits"),
        inputs=(Input(raw, ""), *handed),
        context="jwst_0002.pmap",
        code="0",
        steps={"persistence": {"skip": False, "persistence_time": 500}},
        chained=True,
    )
    reply = attempt(CALIBRATE, work, folder, lambda step, state: None)
    assert reply.result is not None, reply.detail or reply.reason
    return reply.result, folder / "out"


def test_pixels_that_one_exposure_saturates_are_flagged_in_the_next(
    observe: "Callable[..., Simulation]", crds_environment: Path, tmp_path: Path
) -> None:
    first, second = observe(dithers=2, ngroups=4, nstars=200).paths
    result, out = calibrated(first, tmp_path / "1")
    left = next(product for product in result.products if product.suffix == HANDED)
    handed = Input(out / left.name, left.sha256, HANDED)
    alone, _ = calibrated(second, tmp_path / "alone")
    after, there = calibrated(second, tmp_path / "2", (handed,))
    with asdf.open(out / left.name) as file:
        lit = np.zeros(fits.getdata(there / _rate(second), "DQ").shape, bool)
        lit[file["NRCA1"]["rows"], file["NRCA1"]["cols"]] = True
    before = fits.getdata(out / _rate(first), "DQ")
    assert lit.any()
    assert not (lit & (before & (SATURATED | PERSISTENCE) == 0)).any()
    own = fits.getdata(tmp_path / "alone" / "out" / _rate(second), "DQ") & PERSISTENCE != 0
    both = fits.getdata(there / _rate(second), "DQ") & PERSISTENCE != 0
    np.testing.assert_array_equal(both, own | lit)
    assert (both & ~own).any()
    step = next(step for step in after.steps if step["name"] == "persistence")
    assert step["parameters"]["persistence_array_file"] == [left.name, "time order"]
    assert {product.suffix for product in alone.products} >= {"rate", "rateints"}


def _rate(raw: Path) -> str:
    return raw.name.replace("_uncal", "_rate")


@pytest.mark.slow
def test_a_service_killed_again_and_again_flags_as_one_that_saw_them_in_order(tmp_path: Path) -> None:
    """Eight exposures in random order; what each saturates lasts for the next two."""
    moments = random.Random(7)
    (tmp_path / "in").mkdir()
    (tmp_path / "calwebbd.toml").write_text(CONFIG)
    coming = list(range(1, 9))
    moments.shuffle(coming)
    while coming:
        for exposure in [coming.pop(), coming.pop()]:
            start = 60000.0 + exposure * 200 / 86400
            times = {"EXPSTART": start, "EXPEND": start + 100 / 86400, "PERSISTS": 400}
            fake.expose(tmp_path / "in", exposure, text=f"light{exposure}", SATURATES=str(exposure), **times)
        with _service(tmp_path) as service:
            time.sleep(moments.uniform(0.8, 1.6))
            service.send_signal(signal.SIGKILL)
    with _service(tmp_path, "--once") as service:
        assert service.wait(timeout=60.0) == 0
    rates = [fake.read(tmp_path / "out" / fake.name(n, suffix="rate"))["data"] for n in range(1, 9)]
    lit = ["", " lit 1", *(f" lit {n - 2}{n - 1}" for n in range(3, 9))]
    assert rates == [f"rate(light{n}{lit[n - 1]})" for n in range(1, 9)]


def _service(site: Path, *options: str) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join([str(ROOT / "tests" / "importroot"), str(LIB)])
    command = [sys.executable, str(LIB / "fake_service.py"), str(site / "calwebbd.toml"), *options]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL)
