"""How an attempt ends, and what identifies a piece of work."""

from pathlib import Path
from types import SimpleNamespace

import fake_calibration as fake
import msgspec
import pytest

from calwebbd.daemon import runner, workspace
from calwebbd.daemon.work import Input, Product, Work, encode, work_of
from calwebbd.daemon.worker import Reply, attempt
from calwebbd.queues.retry import Failure


def work(path: Path, **changes: object) -> Work:
    source = (Input(path, "0" * 64),)
    made = Work(stage=1, pipeline="detector1", subject="jw", inputs=source, context="c.pmap", code="1")
    return msgspec.structs.replace(made, **changes)


def tried(tmp_path: Path, what: str) -> Reply:
    path = fake.expose(tmp_path, DO=what)
    return attempt("fake_calibration:calibrate", work(path), tmp_path / "job", lambda step, state: None)


def test_a_good_attempt_tells_what_it_made_and_at_what_cost(tmp_path: Path) -> None:
    result = tried(tmp_path, "").result
    assert result is not None
    assert [p.suffix for p in result.products] == ["rate", "rateints"]
    assert result.steps[0]["references"] == {"paper": "fake_paper_0001.fits"}
    assert result.peak_mb > 1


@pytest.mark.parametrize(
    ("what", "failure", "reason"),
    [
        ("wrong", Failure.INPUT, "copy: is out of focus"),
        ("missing", Failure.MISSING, "copy: there is no paper"),
        ("memory", Failure.MEMORY, "ran out of memory"),
        ("bug", Failure.ERROR, "ZeroDivisionError: one by nought"),
    ],
)
def test_every_failure_has_its_class_and_reason(
    tmp_path: Path, what: str, failure: Failure, reason: str
) -> None:
    reply = tried(tmp_path, what)
    assert (reply.result, reply.failure, reply.reason) == (None, failure, reason)


def test_work_survives_the_database() -> None:
    once = work(Path("/in/a"), steps={"jump": {"skip": True}}, asn={"products": []}, asn_name="x_asn.json")
    assert work_of(encode(once)) == once


def test_where_an_input_lies_does_not_change_the_work() -> None:
    assert work(Path("/in/a")).key == work(Path("/elsewhere/b")).key


@pytest.mark.parametrize(
    "change",
    [
        {"context": "d.pmap"},
        {"code": "2"},
        {"pipeline": "image2"},
        {"subject": "jx"},
        {"steps": {"jump": {"skip": True}}},
        {"inputs": (Input(Path("/in/a"), "1" * 64),)},
        {"inputs": (Input(Path("/in/a"), "0" * 64, "background"),)},
    ],
)
def test_anything_else_does(change: dict[str, object]) -> None:
    assert work(Path("/in/a")).key != work(Path("/in/a"), **change).key


def test_an_association_is_given_beside_links_to_its_members(tmp_path: Path) -> None:
    cal = fake.expose(tmp_path)
    asn = {"products": [{"name": "p", "members": [{"expname": cal.name, "exptype": "science"}]}]}
    given = workspace.prepare(tmp_path / "job", work(cal, asn=asn, asn_name="x_asn.json", made=True))
    assert given == tmp_path / "job" / "in" / "x_asn.json"
    assert (given.parent / cal.name).read_text() == cal.read_text()
    assert (tmp_path / "job" / "out" / "x_asn.json").read_text() == given.read_text()


def test_publishing_twice_is_publishing_once(tmp_path: Path) -> None:
    (tmp_path / "job" / "out").mkdir(parents=True)
    (tmp_path / "published").mkdir()
    (tmp_path / "job" / "out" / "a_rate.fits").write_text("x")
    products = workspace.settle(tmp_path / "job", [(tmp_path / "job" / "out" / "a_rate.fits", "rate")])
    workspace.publish(tmp_path / "job", products, tmp_path / "published")
    workspace.publish(tmp_path / "job", products, tmp_path / "published")
    assert (tmp_path / "published" / "a_rate.fits").read_text() == "x"


def test_a_product_of_another_content_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "a_rate.fits").write_text("older")
    with pytest.raises(workspace.Vanished, match=r"a_rate\.fits"):
        workspace.publish(tmp_path / "job", [Product("a_rate.fits", "rate", "0" * 64, 1)], tmp_path)


def test_when_the_fork_server_dies_its_workers_are_lost_by_no_fault_of_theirs() -> None:
    running = SimpleNamespace(process=SimpleNamespace(exitcode=255), peak_mb=None)
    assert runner._killed(running).failure is Failure.LOST  # type: ignore[arg-type]
