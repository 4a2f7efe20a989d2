"""Jobs on hosts of a Dask cluster: a scheduler and hosts that are processes of this machine."""

from collections.abc import Callable, Iterator

import fake_calibration as fake
import msgspec
import pytest
from dask_cluster import QUICK, DaskCluster
from live_service import Live, config, started

from calwebbd.daemon import operators
from calwebbd.daemon.channel import ask
from calwebbd.daemon.config import Config, Workers
from calwebbd.daemon.heartbeat import resident_mb

__all__ = ["config", "started"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler and a host."""
    found = DaskCluster(tmp_path_factory.mktemp("cluster"))
    found.schedule()
    found.host("a")
    yield found
    found.stop()


@pytest.fixture
def there(config: Config, cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The service's configuration, with the cluster as its engine."""
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("calwebbd.daemon.cluster.session.LOOK_S", 0.2)
    monkeypatch.setattr("calwebbd.daemon.cluster.link.RETRY_S", 0.2)
    workers = Workers(engine="dask", scheduler=str(cluster.file), memory_mb=4000, timeout_seconds=20.0)
    return msgspec.structs.replace(config, workers=workers)


def in_hand(live: Live) -> list[dict[str, object]]:
    """Of each job: its host, step and process."""
    return [
        {"host": each.host, "step": each.step, "pid": each.pid} for each in list(live.service._engine.running)
    ]


def test_jobs_run_on_a_host_and_the_service_publishes(
    there: Config, cluster: DaskCluster, started: Callable[..., Live]
) -> None:
    live = started(there)
    live.hears("host joined", host="a", slots=2, mb=4000)
    path = fake.expose(there.folders.watch[0])
    fake.expose(there.folders.watch[0], 2, DO="wrong")
    live.hears("finished", pipeline="image2")
    product = there.folders.output / path.name.replace("uncal", "cal")
    assert fake.read(product)["data"] == "cal(rate(light))"
    assert "is out of focus" in live.hears("failed", failure="input", state="dead")["reason"]
    live.until(lambda: list(there.folders.scratch.iterdir()) == [])
    idle = {"name": "a", "jobs": 0, "slots": 2, "mb": 4000}
    live.until(lambda: live.status()["cluster"]["hosts"] == [idle])


def test_the_process_of_a_job_that_is_given_up_is_ended_on_its_host(
    there: Config, cluster: DaskCluster, started: Callable[..., Live]
) -> None:
    live = started(there)
    fake.expose(there.folders.watch[0], DO="hang")
    job = live.hears("started")["job"]
    live.until(lambda: any(each["step"] == "copy" for each in in_hand(live)))
    (running,) = in_hand(live)
    assert running["host"] == "a"
    ask(there, operators.Cancel(job=job, why="a test"))
    pid = running["pid"]
    assert isinstance(pid, int)
    live.until(lambda: resident_mb(pid) is None)
    live.until(lambda: list(there.folders.scratch.iterdir()) == [])


def test_a_job_whose_host_dies_is_done_by_another(
    there: Config, cluster: DaskCluster, started: Callable[..., Live]
) -> None:
    cluster.host("b", mb=8000)
    live = started(there)
    live.hears("host joined", host="b")
    path = fake.expose(there.folders.watch[0], SECONDS=2, AT="detector1")
    live.until(lambda: any(each["pid"] for each in in_hand(live)))
    assert [each["host"] for each in in_hand(live)] == ["b"]
    cluster.kill("b")
    assert live.hears("failed", failure="lost", state="ready")["reason"] == "b: its host is gone"
    live.hears("finished", pipeline="image2")
    assert (there.folders.output / path.name.replace("uncal", "cal")).exists()
    live.until(lambda: list(there.folders.scratch.iterdir()) == [])


def test_a_scheduler_that_dies_costs_only_attempts(
    there: Config, cluster: DaskCluster, started: Callable[..., Live]
) -> None:
    live = started(there)
    path = fake.expose(there.folders.watch[0], SECONDS=1, AT="detector1")
    live.until(lambda: any(each["pid"] for each in in_hand(live)))
    cluster.kill("scheduler")
    live.hears("failed", failure="lost", state="ready")
    live.hears("cluster lost")
    cluster.processes.pop("a").wait(timeout=20.0)
    cluster.schedule()
    cluster.host("a")
    live.hears("finished", pipeline="image2")
    assert (there.folders.output / path.name.replace("uncal", "cal")).exists()
