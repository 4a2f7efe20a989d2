"""Verbs of operators: by the command line, on what a night has left or while the service runs."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import fake_calibration as fake
import msgspec
import numpy as np
import pytest
import structlog
from astropy.io import fits

from calwebbd.daemon import backup, replay
from calwebbd.daemon.ask import asking
from calwebbd.daemon.cli import main
from calwebbd.daemon.config import Config
from calwebbd.daemon.configfile import load
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.service import Service
from calwebbd.queues import retry
from calwebbd.queues.store import connect

CONFIG = """
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
context = "jwst_0001.pmap"
[watch]
settle_seconds = 0.1
patience_seconds = 0.3
[workers]
processes = 2
memory_mb = 4000
[associations]
hold_seconds = 0.5
quiet_seconds = 0.5
[products]
sidecars = false
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    (tmp_path / "in").mkdir()
    (tmp_path / "calwebbd.toml").write_text(CONFIG)
    monkeypatch.setenv("CALWEBBD_CONFIG", str(tmp_path / "calwebbd.toml"))
    monkeypatch.setattr("calwebbd.daemon.runner.CALIBRATE", "fake_calibration:calibrate")
    monkeypatch.setitem(retry.POLICIES, retry.Failure.ERROR, retry.Policy(attempts=1))
    return load(tmp_path / "calwebbd.toml")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The log of a service in this process is not among the answers."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def service(config: Config, **options: Any) -> Service:
    here = "fake_calibration"
    return Service(config, calibrate=f"{here}:calibrate", verify=f"{here}:verify", **options)


def expose(config: Config, exposure: int = 1, **header: Any) -> Path:
    return fake.expose(config.folders.watch[0], exposure, **header)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command, which shall succeed; its answer as JSON."""

    def run(*argv: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert main([*argv, "--json"]) == code, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*argv: str) -> str:
        capsys.readouterr()
        assert main([*argv, "--json"]) == 1
        return capsys.readouterr().err

    return run


@pytest.fixture
def live(config: Config) -> Iterator[Service]:
    running = service(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    await_(lambda: (config.folders.state / "control").exists())
    yield running
    running.stop()
    thread.join(timeout=20.0)
    assert not thread.is_alive()


def await_(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def status(config: Config) -> dict[str, Any]:
    with asking(config.folders.database) as ask:
        return ask.status()


def test_a_paused_stage_waits_and_goes_on_when_resumed(config: Config, say: Callable[..., Any]) -> None:
    service(config).run(once=True)
    assert say("pause", "image2", "--why", "the flat is wrong") == {"paused": "image2"}
    expose(config)
    service(config).run(once=True)
    assert status(config)["jobs"] == {"detector1": {"done": 1}, "image2": {"ready": 1}}
    (pause,) = say("status")["paused"]
    assert (pause["stage"], pause["by"], pause["reason"]) == ("image2", "operator", "the flat is wrong")
    assert say("resume", "all") == {"resumed": ["image2"]}
    service(config).run(once=True)
    assert status(config)["jobs"]["image2"] == {"done": 1}


def test_a_stage_that_is_not_there_is_refused(config: Config, refuse: Callable[..., str]) -> None:
    service(config).run(once=True)
    assert "'image9' is no stage" in refuse("pause", "image9")


def test_draining_lets_what_runs_end_and_begins_nothing(
    config: Config, live: Service, say: Callable[..., Any]
) -> None:
    expose(config, SECONDS=1.0)
    await_(lambda: status(config)["in_hand"])
    assert say("drain") == {"running": []}
    assert status(config)["jobs"] == {"detector1": {"done": 1}, "image2": {"ready": 1}}
    say("resume", "all")
    await_(lambda: status(config)["jobs"].get("image2") == {"done": 1})


def test_a_running_job_is_cancelled_at_once_and_can_be_tried_again(
    config: Config, live: Service, say: Callable[..., Any], refuse: Callable[..., str]
) -> None:
    raw = expose(config, DO="hang")
    await_(lambda: status(config)["in_hand"])
    (job,) = status(config)["in_hand"]
    assert say("cancel", str(job["id"]), "--why", "it hangs")["was"] == "running"
    assert status(config)["in_hand"] == []
    assert live._workshop.idle
    assert list(config.folders.scratch.iterdir()) == []
    assert "is dropped: it neither waits nor runs" in refuse("cancel", str(job["id"]))
    assert say("retry", raw.name)["retried"] == [job["id"]]
    await_(lambda: status(config)["in_hand"])
    say("cancel", str(job["id"]))


def test_a_dead_letter_has_its_traceback_and_is_tried_again_or_dropped(
    config: Config, say: Callable[..., Any], refuse: Callable[..., str]
) -> None:
    expose(config, 1, DO="bug")
    expose(config, 2, DO="bug", AT="image2")
    service(config).run(once=True)
    first, second = say("dlq", "list")
    assert (first["failure"], first["reason"]) == ("error", "ZeroDivisionError: one by nought")
    letter = say("dlq", "show", str(first["id"]))
    assert "_suffer" in letter["attempts"][0]["detail"]
    assert letter["peak_mb"] > 1.0
    assert "no job 99" in refuse("dlq", "show", "99")
    assert say("dlq", "retry", "--reason", "*paper*") == {"retried": []}
    assert say("dlq", "retry", "--reason", "ZeroDivision*")["retried"] == [first["id"], second["id"]]
    service(config).run(once=True)
    assert say("dlq", "drop", str(first["id"])) == {"dropped": [first["id"]]}
    assert [row["id"] for row in say("dlq", "list")] == [second["id"]]
    assert "is dropped, not dead" in refuse("dlq", "drop", str(first["id"]))
    assert "say which" in refuse("dlq", "retry")


def test_what_an_operator_did_is_on_record(config: Config, say: Callable[..., Any]) -> None:
    service(config).run(once=True)
    say("priority", "1234", "5", "--why", "a supernova")
    reader = asking(config.folders.database)
    with reader as ask:
        rows = ask._connection.execute("SELECT what, subject, why FROM decision ORDER BY id").fetchall()
    assert tuple(rows[-1]) == ("priority", "program 01234 +5", "a supernova")


def test_what_is_no_number_of_a_program_has_no_priority(config: Config, refuse: Callable[..., str]) -> None:
    service(config).run(once=True)
    assert "'abc' is no number of a program" in refuse("priority", "abc", "1")


def test_a_program_of_higher_priority_comes_first(config: Config, say: Callable[..., Any]) -> None:
    service(config).run(once=True)
    say("pause", "all")
    for exposure, program in ((1, "01234"), (2, "05678")):
        expose(config, exposure, PROGRAM=program)
    service(config).run(once=True)
    say("priority", "5678", "1")
    say("resume", "all")
    started: list[str] = []

    def note(event: str, facts: dict[str, Any]) -> None:
        if event == "started":
            started.append(f"{facts['pipeline']} {facts['product']}")

    alone = msgspec.structs.replace(config.workers, processes=1)
    service(msgspec.structs.replace(config, workers=alone), on_event=note).run(once=True)
    second = fake.name(2).removesuffix("_uncal.fits")
    assert started[:2] == [f"detector1 {second}", f"image2 {second}"]


def test_a_file_in_quarantine_is_looked_at_again(config: Config, say: Callable[..., Any]) -> None:
    path = expose(config)
    path.write_text("once upon a time")
    service(config).run(once=True)
    assert say("retry", str(path)) == {"retried": [], "looked_at_again": [str(path)]}
    assert status(config)["quarantined"] == 0
    service(config).run(once=True)
    assert status(config)["quarantined"] == 1


def test_there_must_be_something_to_try_again(config: Config, refuse: Callable[..., str]) -> None:
    path = expose(config)
    service(config).run(once=True)
    assert "nothing to try again: job 1 is done" in refuse("retry", path.name)
    assert "has not been seen" in refuse("retry", "jw09999_uncal.fits")


def test_a_product_is_made_again_and_is_the_same(
    config: Config, say: Callable[..., Any], tmp_path: Path
) -> None:
    raw = expose(config)
    service(config).run(once=True)
    product = config.folders.output / fake.name(suffix="cal")
    answer = say("replay", product.name, "--output-dir", str(tmp_path / "again"))
    assert (answer["verdict"], answer["context"]) == ("identical", "jwst_0001.pmap")
    assert (tmp_path / "again" / "out" / product.name).read_bytes() == product.read_bytes()
    moved = raw.rename(config.folders.watch[0] / "kept_as_something_else")
    rate = fake.name(suffix="rate")
    assert main(["replay", rate]) == 1
    moved.rename(raw)
    assert say("replay", rate)["verdict"] == "identical"
    with closing(connect(config.folders.database, readonly=True)) as records:
        told = records.execute("SELECT product, verdict FROM replays ORDER BY id").fetchall()
    assert [tuple(row) for row in told] == [
        (str(product), "identical"), (str(config.folders.output / rate), "identical"),
    ]  # fmt: skip


def test_what_was_recorded_counts_not_what_lies_there_now(config: Config, say: Callable[..., Any]) -> None:
    expose(config)
    service(config).run(once=True)
    (config.folders.output / fake.name(suffix="rate")).write_text("changed by hand")
    assert say("replay", fake.name(suffix="rate"))["verdict"] == "identical"


def image(path: Path, value: float, date: str = "2026", wcs: str = "here") -> Path:
    sci = fits.ImageHDU(np.full((2, 2), value, np.float32), name="SCI")
    tree = np.frombuffer(f"meta:\n  date: {date}\n  wcs: {wcs}\n".encode(), np.uint8)
    column = fits.Column("ASDF_METADATA", f"{tree.size}B", array=tree[np.newaxis])
    asdf = fits.BinTableHDU.from_columns([column], name="ASDF")
    fits.HDUList([fits.PrimaryHDU(header=fits.Header({"DATE": date})), sci, asdf]).writeto(path)
    return path


def test_images_are_the_same_if_only_their_dates_differ(tmp_path: Path) -> None:
    one = image(tmp_path / "1.fits", 1.0)
    assert replay.differences(one, image(tmp_path / "2.fits", 1.0, "2027")) == []
    assert any("differ" in line for line in replay.differences(one, image(tmp_path / "3.fits", 2.0)))
    (other,) = replay.differences(one, image(tmp_path / "4.fits", 1.0, wcs="there"))
    assert other.startswith("the ASDF extension")


def test_versions_of_libraries_and_dates_are_not_what_makes_files_differ(tmp_path: Path) -> None:
    def tree(*extensions: str, rest: str = "here") -> list[bytes]:
        lines = ["asdf_library:", "  version: 1", "history:", "  extensions:", *extensions, f"wcs: {rest}"]
        array = np.frombuffer("\n".join(lines).encode(), np.uint8)
        column = fits.Column("ASDF_METADATA", f"{array.size}B", array=array[np.newaxis])
        return replay._tree(fits.HDUList([fits.BinTableHDU.from_columns([column], name="ASDF")]))

    assert tree("  - gwcs", "    version: 1", "  - units") == tree("  - units", "  - gwcs") == [b"wcs: here"]
    assert tree("  - gwcs") != tree("  - gwcs", rest="there")

    def table(name: str, date: str, value: int) -> Path:
        head = f"# %ECSV 1.0\n# meta:\n# - {{date: {date}}}\n# - version: {{a: 1,\n#     b: {date}}}\n"
        (tmp_path / name).write_text(f"{head}# - {{CRDS_CTX: jwst_0001.pmap}}\nflux\n{value}\n")
        return tmp_path / name

    one = table("1.ecsv", "2026", 1)
    assert replay.differences(one, table("2.ecsv", "2027", 1)) == []
    assert replay.differences(one, table("3.ecsv", "2026", 2)) == ["its lines differ"]


def test_a_backup_beside_the_running_service_is_whole_and_can_be_put_back(
    config: Config, say: Callable[..., Any], refuse: Callable[..., str], tmp_path: Path
) -> None:
    expose(config, 1)
    running = service(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    await_(lambda: (config.folders.state / "control").exists())
    await_(lambda: status(config)["jobs"].get("image3") == {"done": 1})
    copy = tmp_path / "copy.db"
    assert say("backup", str(copy))["bytes"] > 10000
    assert "exists already" in refuse("backup", str(copy))
    assert "stop the service first" in refuse("restore", str(copy))
    running.stop()
    thread.join()
    expose(config, 2, FILTER="F150W")
    service(config).run(once=True)
    kept = Path(say("restore", str(copy))["kept"])
    assert status(config)["jobs"]["detector1"] == {"done": 1}
    assert kept.exists()
    service(config).run(once=True)
    assert status(config)["jobs"]["detector1"] == {"done": 2}


def test_what_is_no_database_is_not_put_back(config: Config, tmp_path: Path) -> None:
    service(config).run(once=True)
    (tmp_path / "text").write_text("once upon a time" * 100)
    with pytest.raises(CommandError, match="is not a database"):
        backup.restore(config.folders.database, tmp_path / "text")
    with pytest.raises(CommandError, match="does not exist"):
        backup.restore(config.folders.database, tmp_path / "nothing")
    assert status(config)["jobs"] == {}


def test_why_tells_which_members_a_mosaic_is_without(config: Config, say: Callable[..., Any]) -> None:
    for exposure, what in ((1, ""), (2, "astray")):
        expose(config, exposure, of=2, DO=what)
    service(config).run(once=True)
    mosaic = "jw01234-o001_t001_nircam_clear-f200w-sub64p"
    (job,) = say("why", f"{mosaic}_i2d.fits")["jobs"]
    assert job["left_out"] == [{"name": fake.name(2, suffix="cal"), "reason": "its pointing is wrong"}]
    because = say("why", f"image3:{mosaic}")["because"]
    assert f"  without {fake.name(2, suffix='cal')}: its pointing is wrong" in because
    (of_member,) = say("why", fake.name(2, suffix="cal"))["files"]
    assert of_member["note"] == f"left out of {mosaic}: its pointing is wrong"


def test_why_tells_what_an_association_waits_for_and_release_makes_it_without(
    config: Config, say: Callable[..., Any], refuse: Callable[..., str]
) -> None:
    for exposure in (1, 2, 3):
        expose(config, exposure, DO="bug" if exposure == 2 else "", FILTER="F150W")
    members = [{"expname": fake.name(n, suffix="cal"), "exptype": "science"} for n in (1, 2, 4)]
    asn = {"asn_type": "image3", "products": [{"name": "mine", "members": members}]}
    (config.folders.watch[0] / "my_image3_asn.json").write_text(json.dumps(asn))
    service(config).run(once=True)
    answer = say("why", "image3:mine")
    assert answer["verdict"] == "waits"
    states = {member["name"]: member["state"] for member in answer["associations"][0]["members"]}
    assert states == {
        fake.name(1, suffix="cal"): "is there",
        fake.name(2, suffix="cal"): "will not come, ZeroDivisionError: one by nought",
        fake.name(4, suffix="cal"): "has not come",
    }
    assert "is not known" in refuse("release", "yours")
    assert say("release", "mine", "--why", "it is late")["released"] == "image3:mine"
    service(config).run(once=True)
    assert fake.read(config.folders.output / "mine_i2d.fits")["data"] == "i2d(cal(rate(light)))"


def test_an_exposure_that_waits_for_its_predecessor_says_so_and_is_released(
    config: Config, say: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "calwebbd.toml"
    file.write_text(CONFIG + "[steps.persistence]\nskip = false\npersistence_time = 2000\n")
    config = load(file)
    service(config).run(once=True)
    for exposure in (1, 2):
        start = 60000.0 + exposure / 1000
        expose(config, exposure, EXPSTART=start, EXPEND=start + 0.0005, SATURATES=str(exposure))
    say("pause", "detector1")
    service(config).run(once=True)
    first, second = (fake.name(n).removesuffix("_uncal.fits") for n in (1, 2))
    why = say("why", fake.name(2))
    assert why["verdict"] == "waits"
    told = f"waits for its predecessor {first} (is on its way: detector1 is ready, its stage is paused)"
    assert any(told in line for line in why["because"])
    (held,) = say("status")["held"]
    assert (held["subject"], held["reason"]) == (
        f"detector1:{second}",
        f"waits for its predecessor {first}",
    )
    assert say("release", fake.name(2))["released"] == second
    assert say("status")["held"] == []
    say("resume", "detector1")
    service(config).run(once=True)
    assert fake.read(config.folders.output / fake.name(2, suffix="rate"))["data"] == "rate(light lit 1)"
    assert say("replay", fake.name(2, suffix="rate"))["verdict"] == "identical"
