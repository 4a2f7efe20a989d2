"""Which host has room, what is lost and when; and what a host agrees with before it has jobs."""

import asyncio
import dataclasses
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import in_memory
import msgspec
import pytest
from live_service import config

from calwebbd.daemon import workspace
from calwebbd.daemon.cluster import engine, host
from calwebbd.daemon.cluster.engine import Cluster
from calwebbd.daemon.cluster.link import Link
from calwebbd.daemon.cluster.messages import Cut, Ended, Host, Hosts, Message, Order, Terms, Told
from calwebbd.daemon.config import Config, Workers
from calwebbd.daemon.work import Input, Work, encode
from calwebbd.daemon.worker import Reply, Setting
from calwebbd.queues.job import Job
from calwebbd.queues.retry import Failure
from calwebbd.queues.store import Store
from calwebbd.stages import plugins

__all__ = ["config"]

SETTING = Setting("fake_calibration:calibrate")
SMALL, LARGE = (Host(f"tcp://{name}:1", "d", name, 2, mb) for name, mb in (("small", 1000), ("large", 3000)))
WORK = Work(
    stage=1,
    pipeline="detector1",
    subject="jw",
    inputs=(Input(Path("/in/a"), "0"),),
    context="c.pmap",
    code="1",
)


@cache
def claimed() -> Job:
    with in_memory.folder() as folder:
        store = Store(Path(folder) / "queue.db")
        store.put(WORK.job(300), 0.0)
        job = store.claim("w", 0.0, lease_s=1.0, budget_mb=300)
        store.close()
    assert job is not None
    return job


def job(number: int, mem_mb: int = 300) -> Job:
    return dataclasses.replace(claimed(), id=number, fence=7, mem_mb=mem_mb)


class FakeLink:
    """Says what a test has it say."""

    alive = True

    def __init__(self, scheduler: str, agree: object, folder: Path, post: Callable[[Message], None]) -> None:
        self.says = post
        self.orders: list[tuple[Order, Host]] = []
        self.dropped: list[object] = []

    def do(self, order: Order, to: Host) -> None:
        self.orders.append((order, to))

    def drop(self, mark: object) -> None:
        self.dropped.append(mark)

    def stop(self) -> None:
        self.alive = False


@pytest.fixture
def cluster(config: Config, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(engine, "Link", FakeLink)
    workers = Workers(engine="dask", scheduler="tcp://x:1", memory_mb=3000)
    there = msgspec.structs.replace(config, workers=workers)
    found = Cluster(SETTING, there, lambda event, **facts: None)
    assert found.room_mb(1, 1) is None
    return found


def link(cluster: Cluster) -> FakeLink:
    found = cluster._link
    assert isinstance(found, FakeLink)
    return found


def hear(cluster: Cluster, *messages: Message) -> list[tuple[int, Reply]]:
    """What has ended, by number of the job."""
    for message in messages:
        link(cluster).says(message)
    return [(running.job.id, reply) for running, reply in cluster.ended()]


def begin(cluster: Cluster, number: int, mem_mb: int = 300) -> Path:
    folder = cluster._config.folders.scratch / f"{number}-7"
    cluster.start(job(number, mem_mb), WORK, folder, 60.0)
    return folder


def test_the_host_with_most_room_has_the_next_job(cluster: Cluster) -> None:
    hear(cluster, Hosts({SMALL: "", LARGE: ""}))
    assert (cluster.room_mb(1, 1), cluster.most_mb) == (3000, 3000)
    begin(cluster, 1, 2500)
    assert cluster.room_mb(1, 1) == 1000
    begin(cluster, 2)
    begin(cluster, 3)
    assert [to.name for _, to in link(cluster).orders] == ["large", "small", "small"]


def test_a_host_has_as_many_jobs_as_threads(cluster: Cluster) -> None:
    hear(cluster, Hosts({SMALL: ""}))
    begin(cluster, 1)
    assert cluster.room_mb(1, 1) == 700
    begin(cluster, 2)
    assert cluster.room_mb(1, 1) is None


def test_a_host_that_was_not_found_fit_has_none(cluster: Cluster) -> None:
    hear(cluster, Hosts({SMALL: None, LARGE: "it does not see /data"}))
    assert cluster.room_mb(1, 1) is None
    assert cluster.told()["cluster"]["refused"] == {"large": "it does not see /data"}


def test_jobs_of_a_host_that_is_gone_are_lost_and_others_are_not(cluster: Cluster) -> None:
    hear(cluster, Hosts({SMALL: "", LARGE: ""}))
    begin(cluster, 1, 2500)
    begin(cluster, 2)
    assert hear(cluster, Hosts({LARGE: "it lost a job", SMALL: ""})) == []
    ((number, reply),) = hear(cluster, Hosts({SMALL: ""}))
    assert (number, reply.failure, reply.reason) == (1, Failure.LOST, "large: its host is gone")
    assert link(cluster).dropped == [(1, 7)]


def test_a_host_that_goes_with_a_job_that_was_too_large_went_for_want_of_memory(cluster: Cluster) -> None:
    hear(cluster, Hosts({SMALL: ""}))
    begin(cluster, 1)
    begin(cluster, 2)
    told = [Told((1, 7), "copy", 12, 290.0), Told((2, 7), "copy", 13, 310.0)]
    ended = hear(cluster, *told, Hosts({}))
    assert [(number, reply.failure) for number, reply in ended] == [(1, Failure.LOST), (2, Failure.MEMORY)]
    assert ended[1][1].reason == "small: its host is gone, while it had 310 MB"


def test_another_worker_at_the_same_address_is_another_host(cluster: Cluster) -> None:
    hear(cluster, Hosts({SMALL: ""}))
    begin(cluster, 1)
    again = dataclasses.replace(SMALL, directory="e")
    assert [number for number, _ in hear(cluster, Hosts({again: ""}))] == [1]


def test_without_the_scheduler_all_is_lost_and_nothing_begun(cluster: Cluster) -> None:
    hear(cluster, Hosts({SMALL: ""}))
    begin(cluster, 1)
    begin(cluster, 2)
    assert [reply.failure for _, reply in hear(cluster, Cut("it died"))] == [Failure.LOST] * 2
    assert cluster.room_mb(1, 1) is None
    assert cluster.told()["cluster"]["cut"] == "it died"


def test_an_answer_counts_once_and_none_that_comes_too_late(cluster: Cluster) -> None:
    hear(cluster, Hosts({SMALL: ""}))
    begin(cluster, 1)
    wrong = Ended((1, 7), Reply(failure=Failure.INPUT))
    assert hear(cluster, Ended((1, 6), Reply()), wrong, wrong) == [(1, wrong.reply)]
    begin(cluster, 2)
    assert cluster.cancel(2) is not None
    assert hear(cluster, Ended((2, 7), Reply())) == []


def test_a_job_of_which_nothing_is_heard_is_lost(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    hear(cluster, Hosts({SMALL: ""}))
    begin(cluster, 1)
    begin(cluster, 2)
    now = engine.time.monotonic()
    monkeypatch.setattr(engine.time, "monotonic", lambda: now + 200.0)
    assert hear(cluster, Told((1, 7), "copy", 12, 30.0)) == []
    monkeypatch.setattr(engine.time, "monotonic", lambda: now + 400.0)
    assert [number for number, _ in hear(cluster)] == [2]
    (running,) = cluster.running
    assert (running.step, running.pid, running.peak_mb) == ("copy", 12, 30.0)


def test_a_folder_that_cannot_be_made_is_the_disks_fault(cluster: Cluster) -> None:
    hear(cluster, Hosts({SMALL: ""}))
    cluster._config.folders.scratch.parent.mkdir()
    cluster._config.folders.scratch.write_text("in the way")
    begin(cluster, 1)
    assert [reply.failure for _, reply in hear(cluster)] == [Failure.DISK]


def test_folders_of_jobs_that_are_abandoned_go(cluster: Cluster) -> None:
    hear(cluster, Hosts({SMALL: ""}))
    folder = begin(cluster, 1)
    assert folder.exists()
    cluster.kill()
    assert not folder.exists()
    assert not link(cluster).alive


def test_hosts_must_see_what_the_service_sees(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRDS_PATH", str(tmp_path))
    terms = cluster._agree(tmp_path / "probe", "token")
    assert terms.folders == (tmp_path / "in", tmp_path)
    assert terms.setting.environment["CRDS_PATH"] == str(tmp_path)


# On the host


@pytest.fixture
def agreed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terms:
    monkeypatch.setattr(host, "_bench", None)
    monkeypatch.setattr(host, "Runner", FakeRunner)
    probe = tmp_path / "probe"
    probe.write_text("token")
    return Terms(SETTING, plugins.code(), (tmp_path,), probe, "token")


class FakeRunner:
    def __init__(self, setting: Setting) -> None:
        self.setting = setting


def fit(terms: Terms, **changes: Any) -> str:
    return asyncio.run(host.fit(pickle.dumps(dataclasses.replace(terms, **changes))))


def test_a_host_that_is_as_the_service_is_fit(agreed: Terms) -> None:
    assert fit(agreed) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": "0.0.0"}, "the service has 0.0.0"),
        ({"folders": (Path("/not/here"),)}, "it does not see /not/here"),
        ({"probe": Path("/not/here/probe")}, "it does not see /not/here as the service does"),
        ({"token": "another"}, "is not the service's"),
    ],
)
def test_one_that_is_not_says_why(agreed: Terms, changes: dict[str, Any], reason: str) -> None:
    assert reason in fit(agreed, **changes)


def test_one_whose_process_may_have_no_children_says_how_to_start_it(
    agreed: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.multiprocessing.current_process(), "_config", {"daemon": True})
    assert "--no-nanny" in fit(agreed)


def test_one_that_was_set_up_otherwise_has_to_start_again(agreed: Terms) -> None:
    assert fit(agreed) == ""
    assert "start it again" in fit(agreed, setting=Setting("f", {"CALWEBBD_THREADS": "2"}))


def test_an_attempt_is_begun_once_whatever_is_asked(agreed: Terms, tmp_path: Path) -> None:
    class Bench:
        async def do(self, order: Order, topic: str) -> Reply:
            return Reply()

    def do() -> Reply:
        order = Order(SETTING, job(1), tmp_path / "1-7", 60.0)
        return asyncio.run(host.do(pickle.dumps(order), "topic"))

    assert "started anew" in do().reason
    host._bench = Bench()  # type: ignore[assignment]
    assert do().failure is Failure.LOST
    workspace.offer(tmp_path / "1-7")
    assert do() == Reply()
    assert do().failure is Failure.LOST


def test_a_scheduler_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    told: list[Message] = []
    never: Any = None
    found = Link(str(tmp_path / "none.json"), lambda probe, token: never, tmp_path, told.append)
    while not told:
        assert found.alive
    found.stop()
    assert "none.json" in str(told[0])


def test_an_order_is_what_the_queue_has() -> None:
    order = Order(SETTING, job(3), Path("/out/3-7"), 60.0)
    assert pickle.loads(pickle.dumps(order)) == order
    assert (order.mark, order.job.payload) == ((3, 7), encode(WORK))
