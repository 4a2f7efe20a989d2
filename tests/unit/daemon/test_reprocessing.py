"""A new context, or a corrupt file, from the server to the last product: what is made again, what is not."""

from pathlib import Path
from typing import Any

import fake_calibration as fake
import msgspec
import pytest
from crds_night import GAIN, NEW, OLD, config, double, forget_refresh, origin, quick_errands, rows, run_once
from crds_server import CrdsServer, Faults

from calwebbd.daemon import channel
from calwebbd.daemon.config import Associations, Config, Crds
from calwebbd.daemon.contexts.epochs import Epochs
from calwebbd.daemon.contexts.requests import Approve, Rollback
from calwebbd.queues.store import connect
from calwebbd.stages.crds import cache

__all__ = ["config", "double", "origin", "quick_errands"]

pytestmark = pytest.mark.usefixtures("quick_errands")

MOSAIC = "jw01234-o001_t001_nircam_clear-f200w-sub64p_i2d.fits"
AFFECTED, SAME = "NRCA1", "NRCA2"  # by the gain of the new context
NEW_GAIN = "jwst_nircam_gain_0002.fits"
ROOT = "jw01234001001_02101_00001_nrca"


def expose(config: Config, number: int = 1, text: str = "light", detector: str = AFFECTED) -> None:
    """A ramp that uses the gain which the rules of the server's contexts choose for it."""
    gains = {OLD: GAIN, NEW: NEW_GAIN if detector == AFFECTED else GAIN}
    header = {"DETECTOR": detector, "DATE-OBS": "2024-06-01", "TIME-OBS": "10:00:00.123"}
    fake.expose(config.folders.watch[0], number, text=text, REFS={"detector1": {"gain": gains}}, **header)


@pytest.fixture
def night(config: Config) -> Config:
    """Two detectors that see the same, whose ramps ask for a gain."""
    for detector in (AFFECTED, SAME):
        expose(config, text=detector, detector=detector)
    clocks = Associations(hold_seconds=0.1, quiet_seconds=0.1)
    return msgspec.structs.replace(config, associations=clocks)


def asked_for(config: Config, policy: str) -> Config:
    crds = msgspec.structs.replace(config.crds, reprocess=policy)
    return msgspec.structs.replace(config, crds=crds)


def data(config: Config, name: str) -> str:
    return str(fake.read(config.folders.output / name)["data"])


def mosaic(first: str, second: str = GAIN) -> str:
    """What is in a mosaic whose members were made with these gains."""
    return f"i2d(cal(rate({AFFECTED} by {first}))+cal(rate({SAME} by {second})))"


def made(config: Config) -> list[tuple[Any, ...]]:
    """Pipelines that have run, with the product and context, in order."""
    columns = "activity.pipeline, substr(job.subject, instr(job.subject, ':') + 1), activity.context"
    return rows(
        config, f"SELECT {columns} FROM activity JOIN job ON job.id = activity.job ORDER BY activity.id"
    )


def versions(config: Config, name: str) -> list[str]:
    """Contexts of all versions of a product, the first first."""
    of_product = f"generated ON generated.activity = activity.id WHERE path LIKE '%/{name}'"
    return [
        row[0] for row in rows(config, f"SELECT context FROM activity JOIN {of_product} ORDER BY activity.id")
    ]


def refresh(config: Config, double: CrdsServer, context: str) -> None:
    """A day later the server has another context."""
    double.contexts |= {"latest": context}
    forget_refresh(config)
    run_once(config)


def check_made_again(config: Config) -> None:
    """All that the new context affects was made again in it, once, and nothing else."""
    again = [row for row in made(config) if row[2] == NEW]
    root = fake.name(1, "nrca1").removesuffix("_uncal.fits")
    assert again == [
        ("detector1", root, NEW), ("image2", root, NEW), ("image3", MOSAIC.removesuffix("_i2d.fits"), NEW),
    ]  # fmt: skip
    assert data(config, MOSAIC) == mosaic(NEW_GAIN)
    assert versions(config, MOSAIC) == [OLD, NEW]
    certified = "SELECT count(*) FROM certified JOIN activity ON activity.id = certified.activity"
    assert rows(config, f"{certified} WHERE certified.context = '{NEW}' AND activity.context = '{OLD}'") == [
        (2,)
    ]


def test_a_new_context_is_followed_to_the_mosaic_and_back(night: Config, double: CrdsServer) -> None:
    night = asked_for(night, "auto")
    run_once(night)
    assert data(night, MOSAIC) == mosaic(GAIN)
    refresh(night, double, NEW)
    check_made_again(night)
    assert channel.ask(night, Rollback(why="it was too soon")) == {"context": OLD, "from": NEW}
    run_once(night)
    assert data(night, MOSAIC) == mosaic(GAIN)
    assert versions(night, MOSAIC) == [OLD, NEW, OLD]
    forget_refresh(night)
    run_once(night)
    assert versions(night, MOSAIC) == [OLD, NEW, OLD]
    assert rows(night, "SELECT context FROM proposal") == [(NEW,)]
    assert rows(night, "SELECT count(*) FROM impacts") == [(1,)]  # what was made twice is to be made once


def test_a_context_that_changes_something_waits_for_approval(night: Config, double: CrdsServer) -> None:
    night = asked_for(night, "ask")
    run_once(night)
    before = made(night)
    refresh(night, double, NEW)
    assert made(night) == before
    assert rows(night, "SELECT context FROM proposal") == [(NEW,)]
    root = fake.name().removesuffix("_uncal.fits")
    assert rows(night, "SELECT context, pipeline, product FROM impacts") == [(NEW, "detector1", root)]
    answer = channel.ask(night, Approve(context=NEW))
    assert (answer["context"], answer["jobs"], answer["certified"]) == (NEW, 1, 2)
    assert rows(night, "SELECT cause FROM alert WHERE gone IS NULL") == []
    run_once(night)
    check_made_again(night)
    assert behind(night) == 0


def behind(config: Config) -> int:
    connection = connect(config.folders.database, readonly=True)
    try:
        return Epochs(connection).behind(NEW)
    finally:
        connection.close()


def test_nobody_has_to_be_asked_to_go_back(night: Config, double: CrdsServer) -> None:
    night = asked_for(night, "auto")
    run_once(night)
    refresh(night, double, NEW)
    double.faults = Faults(down=True)
    channel.ask(night, Rollback(why="the server is down as well"))
    forget_refresh(night)
    run_once(night)
    assert data(night, MOSAIC) == mosaic(GAIN)
    assert rows(night, "SELECT value FROM setting WHERE name = 'crds refreshed'") == [("0",)]
    assert rows(night, "SELECT cause FROM alert WHERE gone IS NULL AND event = 'crds'") == [("refresh",)]


def test_who_was_made_with_a_file_that_is_found_to_be_bad_is_told_of(
    night: Config, double: CrdsServer
) -> None:
    night = asked_for(night, "auto")
    run_once(night)
    double.bad_files.append(GAIN)
    forget_refresh(night)
    run_once(night)
    told = "SELECT text, gone IS NULL FROM alert WHERE event = 'bad'"
    listed = ", ".join(f"{ROOT}{n}" for n in "12")
    assert rows(night, told) == [(f"{GAIN} is on the list of bad files. Made with it: {listed}", 1)]
    double.bad_files.clear()
    forget_refresh(night)
    run_once(night)
    assert [gone for _, gone in rows(night, told)] == [0]


def spoil(content: bytes, size: int | None = None) -> Path:
    """The gain in the cache is another than it was."""
    path = cache.place(GAIN)
    path.write_bytes(content.ljust(path.stat().st_size if size is None else size, b"x"))
    return path


def alerts(config: Config) -> list[tuple[Any, ...]]:
    return rows(config, "SELECT text, gone IS NULL FROM alert WHERE event = 'corrupt'")


def test_a_corrupt_reference_that_a_job_meets_is_told_of_and_fetched_again_at_once(night: Config) -> None:
    run_once(night)
    whole = cache.place(GAIN).read_bytes()
    spoil(b"GARBLED")
    expose(night, 2)
    events = run_once(night)
    ((text, open_),) = alerts(night)
    assert f"{GAIN} has SHA-1" in text
    assert (
        "it was fetched again. Made with it since it was last well: jw01234001001_02101_00001_nrca1" in text
    )
    assert not open_
    assert cache.place(GAIN).read_bytes() == whole
    assert [facts for event, facts in events if event == "failed"] == []
    assert data(night, fake.name(2, suffix="rate")) == f"rate(light by {GAIN})"


def test_a_reference_that_rotted_unseen_is_hashed_when_it_cannot_be_read(
    night: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger takes it for the file that it verified: its size and times are the same."""
    import os

    run_once(night)
    path = cache.place(GAIN)
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"GARBLED")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    expose(night, 2)
    events = run_once(night)
    (failed,) = [facts for event, facts in events if event == "failed"]
    assert (failed["failure"], failed["state"]) == ("missing", "ready")
    assert failed["reason"].endswith("and has been fetched again")
    assert len(alerts(night)) == 1
    assert data(night, fake.name(2, suffix="rate")) == f"rate(light by {GAIN})"


def test_without_a_server_the_job_waits_and_there_is_one_alert(night: Config) -> None:
    run_once(night)
    offline = msgspec.structs.replace(night, crds=Crds(path=night.crds.path, server="", context=OLD))
    whole = cache.place(GAIN).read_bytes()
    spoil(b"GARBLED")
    expose(night, 2)
    events = run_once(offline)
    (failed,) = [facts for event, facts in events if event == "failed"]
    assert (failed["failure"], failed["state"]) == ("missing", "ready")
    assert failed["reason"].endswith("it is corrupt")
    ((text, open_),) = alerts(night)
    assert "it could not be replaced" in text
    assert open_
    cache.place(GAIN).write_bytes(whole)
    from calwebbd.daemon.operators import Retry

    channel.ask(offline, Retry(file=fake.name(2)))
    run_once(offline)
    assert data(night, fake.name(2, suffix="rate")) == f"rate(light by {GAIN})"
