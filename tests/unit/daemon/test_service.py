"""The service with fake calibration: a night from raw files to mosaic."""

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import fake_calibration as fake
import msgspec
import pytest

from calwebbd.daemon import sidecar
from calwebbd.daemon.ask import asking
from calwebbd.daemon.config import Associations, Config, Crds, Folders, Watch, Workers
from calwebbd.daemon.instance import AlreadyRunning, alone
from calwebbd.daemon.service import Service
from calwebbd.queues.store import connect

MOSAIC = "jw01234-o001_t001_nircam_clear-f200w-sub64p_i2d.fits"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folders = Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path / "state")
    folders.watch[0].mkdir()
    return Config(
        folders=folders,
        crds=Crds(context="jwst_0001.pmap"),
        watch=Watch(settle_seconds=0.1, patience_seconds=0.3, rescan_seconds=600.0),
        workers=Workers(processes=2, memory_mb=4000, timeout_seconds=20.0),
        associations=Associations(hold_seconds=0.5, quiet_seconds=0.5),
        steps={"copy": {"factor": 3}},
    )


def service(config: Config, **options: Any) -> Service:
    here = "fake_calibration"
    return Service(config, calibrate=f"{here}:calibrate", verify=f"{here}:verify", **options)


def run_once(config: Config) -> list[tuple[str, dict[str, Any]]]:
    events: list[tuple[str, dict[str, Any]]] = []
    service(config, on_event=lambda event, facts: events.append((event, facts))).run(once=True)
    return events


def incoming(config: Config) -> Path:
    return config.folders.watch[0]


def products(config: Config) -> set[str]:
    """But for hidden files, and the records that lie beside the others."""
    names = (path.name for path in config.folders.output.iterdir())
    return {name for name in names if not name.startswith(".") and not name.endswith(sidecar.ENDING)}


def test_a_night_of_two_dithers_becomes_a_mosaic_with_its_association(config: Config) -> None:
    for exposure in (1, 2):
        fake.expose(incoming(config), exposure, of=2, text=f"light{exposure}")
    run_once(config)
    each = {fake.name(n, suffix=s) for n in (1, 2) for s in ("rate", "rateints", "cal")}
    assert products(config) == each | {MOSAIC, "jw01234-o001_image3_00001_asn.json"}
    mosaic = fake.read(config.folders.output / MOSAIC)
    assert mosaic["data"] == "i2d(cal(rate(light1))+cal(rate(light2)))"
    assert list(config.folders.scratch.iterdir()) == []


def test_lineage_tells_how_a_mosaic_came_to_be_down_to_the_raw_files(config: Config) -> None:
    raw = fake.expose(incoming(config))
    run_once(config)
    with asking(config.folders.database) as ask:
        mosaic = ask.lineage(MOSAIC)
    cal = mosaic["inputs"][0]
    rate = cal["inputs"][0]
    assert [entry["made_by"]["pipeline"] for entry in (mosaic, cal, rate)] == [
        "image3",
        "image2",
        "detector1",
    ]
    assert rate["inputs"][0]["path"] == str(raw)
    assert cal["made_by"]["context"] == "jwst_0001.pmap"
    assert cal["made_by"]["references"] == {"paper": "fake_paper_0001.fits"}
    assert cal["made_by"]["parameters"] == {"copy": {"factor": [3, "default"]}}
    json.dumps(mosaic)


def test_where_tells_what_was_made_of_a_file(config: Config) -> None:
    raw = fake.expose(incoming(config))
    run_once(config)
    with asking(config.folders.database) as ask:
        answer = ask.where(raw.name)
        status = ask.status()
    assert answer["state"] == "done"
    assert {Path(p["path"]).name for p in answer["products"]} >= {MOSAIC, fake.name(suffix="cal")}
    assert status["files"]["uncal"] == 1
    assert status["jobs"] == {p: {"done": 1} for p in ("detector1", "image2", "image3")}


def test_a_second_night_on_the_same_files_does_nothing(config: Config) -> None:
    fake.expose(incoming(config))
    run_once(config)
    assert run_once(config) == []


def test_a_touched_file_of_the_same_content_is_no_new_work(config: Config) -> None:
    path = fake.expose(incoming(config))
    run_once(config)
    os.utime(path, (1, 1))
    assert [event for event, _ in run_once(config)] == ["arrived"]


def test_a_new_version_of_a_file_makes_new_versions_of_all_its_products(config: Config) -> None:
    fake.expose(incoming(config), text="dim")
    run_once(config)
    fake.expose(incoming(config), text="bright")
    run_once(config)
    assert fake.read(config.folders.output / MOSAIC)["data"] == "i2d(cal(rate(bright)))"


def test_a_late_dither_makes_the_mosaic_anew(config: Config) -> None:
    fake.expose(incoming(config), 1, of=2, text="early")
    run_once(config)
    assert fake.read(config.folders.output / MOSAIC)["data"] == "i2d(cal(rate(early)))"
    fake.expose(incoming(config), 2, of=2, text="late")
    run_once(config)
    assert fake.read(config.folders.output / MOSAIC)["data"] == "i2d(cal(rate(early))+cal(rate(late)))"
    assert "jw01234-o001_v002_image3_00001_asn.json" in products(config)


def test_two_filters_make_two_mosaics_and_two_associations(config: Config) -> None:
    fake.expose(incoming(config), 1, FILTER="F200W")
    fake.expose(incoming(config), 2, FILTER="F150W")
    run_once(config)
    made = {name for name in products(config) if "-o001_" in name}
    associations = {f"jw01234-o001_image3_0000{n}_asn.json" for n in (1, 2)}
    assert made == associations | {MOSAIC, MOSAIC.replace("f200w", "f150w")}


def test_targets_of_one_observation_never_share_a_mosaic_and_keep_their_numbers(config: Config) -> None:
    fake.expose(incoming(config), 1, of=2, text="m31", TARGPROP="M-31")
    run_once(config)
    fake.expose(incoming(config), 2, of=2, text="sirius", TARGPROP="SIRIUS")
    run_once(config)
    fake.expose(incoming(config), 3, of=2, text="late", TARGPROP="m-31")
    run_once(config)
    first, second = (config.folders.output / MOSAIC.replace("t001", number) for number in ("t001", "t002"))
    assert fake.read(first)["data"] == "i2d(cal(rate(m31))+cal(rate(late)))"
    assert fake.read(second)["data"] == "i2d(cal(rate(sirius)))"


def test_a_partial_mosaic_says_what_it_lacks(config: Config) -> None:
    fake.expose(incoming(config), 1, of=2)
    run_once(config)
    asn = json.loads((config.folders.output / "jw01234-o001_image3_00001_asn.json").read_text())
    assert "dither position 2 of 2" in asn["degraded_status"]


def test_bad_files_are_quarantined_with_a_reason_and_the_rest_goes_on(config: Config) -> None:
    good = fake.expose(incoming(config), 1)
    (incoming(config) / fake.name(2)).write_text(good.read_text()[:-2])
    (incoming(config) / fake.name(3)).write_text("once upon a time")
    (incoming(config) / "copy").mkdir()
    shutil.copy(good, incoming(config) / "copy")
    run_once(config)
    with asking(config.folders.database) as ask:
        reasons = {Path(q["path"]).relative_to(incoming(config)): q["reason"] for q in ask.quarantine()}
        alias = ask.where(str(incoming(config) / "copy" / good.name))
    copy = Path("copy", good.name) if Path("copy", good.name) in reasons else Path(good.name)
    assert reasons.pop(copy).startswith("duplicate of ")
    assert reasons == {Path(fake.name(2)): "ends too early", Path(fake.name(3)): "is no exposure"}
    assert MOSAIC in products(config)
    assert alias["kind"] == "uncal"


def test_a_mended_file_leaves_quarantine(config: Config) -> None:
    path = incoming(config) / fake.name(1)
    path.write_text("once upon a time")
    run_once(config)
    fake.expose(incoming(config), 1)
    run_once(config)
    with asking(config.folders.database) as ask:
        assert ask.quarantine() == []
    assert MOSAIC in products(config)


def test_wrong_input_found_by_a_pipeline_is_quarantined_and_not_waited_for(config: Config) -> None:
    fake.expose(incoming(config), 1, of=2)
    bad = fake.expose(incoming(config), 2, of=2, DO="wrong")
    run_once(config)
    with asking(config.folders.database) as ask:
        (entry,) = ask.quarantine()
        where = ask.where(bad.name)
    assert (entry["path"], entry["reason"]) == (str(bad), "detector1: copy: is out of focus")
    assert (where["state"], where["jobs"][0]["state"]) == ("quarantined", "dead")
    assert fake.read(config.folders.output / MOSAIC)["data"] == "i2d(cal(rate(light)))"


def test_what_a_pipeline_found_wrong_is_wrong_still_when_it_was_only_touched(config: Config) -> None:
    path = fake.expose(incoming(config), 1, of=1, text="light", DO="wrong")
    run_once(config)
    os.utime(path, (1.0, 1.0))
    run_once(config)
    with asking(config.folders.database) as ask:
        (held,) = ask.quarantine()
    assert held["reason"] == "detector1: copy: is out of focus"


def test_a_missing_reference_holds_its_exposure_only(config: Config) -> None:
    fake.expose(incoming(config), 1, DO="missing", AT="image2")
    fake.expose(incoming(config), 2, FILTER="F150W")
    events = run_once(config)
    failed = [facts for event, facts in events if event == "failed"]
    assert [(f["pipeline"], f["failure"], f["state"]) for f in failed] == [("image2", "missing", "ready")]
    assert MOSAIC.replace("f200w", "f150w") in products(config)
    assert MOSAIC not in products(config)


def test_a_worker_that_dies_does_not_take_the_service_with_it(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calwebbd.queues import retry

    monkeypatch.setitem(retry.POLICIES, retry.Failure.KILLED, retry.Policy(attempts=2))
    fake.expose(incoming(config), 1, DO="die")
    events = run_once(config)
    failed = [facts for event, facts in events if event == "failed"]
    assert [(f["failure"], f["state"]) for f in failed] == [("killed", "ready"), ("killed", "dead")]
    assert failed[0]["reason"] == "its process was killed by SIGKILL"


def test_a_bug_leaves_its_traceback_in_the_records(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    from calwebbd.queues import retry
    from calwebbd.queues.store import connect

    monkeypatch.setitem(retry.POLICIES, retry.Failure.ERROR, retry.Policy(attempts=1))
    fake.expose(incoming(config), 1, DO="bug")
    run_once(config)
    reader = connect(config.folders.database, readonly=True)
    (row,) = reader.execute("SELECT reason, detail FROM activity").fetchall()
    reader.close()
    assert row["reason"] == "ZeroDivisionError: one by nought"
    assert "fake_calibration" in row["detail"]


def test_a_job_that_hangs_is_ended(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec

    from calwebbd.queues import retry

    monkeypatch.setitem(retry.POLICIES, retry.Failure.TIMEOUT, retry.Policy(attempts=1))
    monkeypatch.setattr("calwebbd.daemon.service.LONGEST_WAIT_S", 0.1)
    fake.expose(incoming(config), 1, DO="hang")
    short = msgspec.structs.replace(config, workers=Workers(processes=1, memory_mb=4000, timeout_seconds=0.5))
    failed = [facts for event, facts in run_once(short) if event == "failed"]
    assert [f["failure"] for f in failed] == ["timeout"]


def test_a_dropped_association_makes_its_product_of_just_its_members(config: Config) -> None:
    for exposure in (1, 2, 3):
        fake.expose(incoming(config), exposure, of=3, text=f"light{exposure}")
    members = [{"expname": fake.name(n, suffix="cal"), "exptype": "science"} for n in (1, 3)]
    asn = {
        "asn_type": "image3",
        "asn_id": "c1001",
        "products": [{"name": "jw01234-c1001_t001_my", "members": members}],
    }
    (incoming(config) / "my_image3_asn.json").write_text(json.dumps(asn))
    run_once(config)
    mine = fake.read(config.folders.output / "jw01234-c1001_t001_my_i2d.fits")
    assert mine["data"] == "i2d(cal(rate(light1))+cal(rate(light3)))"
    assert fake.read(config.folders.output / MOSAIC)["data"].count("light") == 3


def test_an_association_of_stage_2_brings_a_background(config: Config) -> None:
    fake.expose(incoming(config), 1, text="light")
    fake.expose(incoming(config), 2, text="sky", OBSERVTN="002", BKGDTARG=True)
    roles = {1: "science", 2: "background"}
    members = [{"expname": fake.name(n, suffix="rate"), "exptype": role} for n, role in roles.items()]
    product = {"name": fake.name(1).removesuffix("_uncal.fits"), "members": members}
    asn = {"asn_type": "image2", "asn_id": "c1000", "products": [product]}
    (incoming(config) / "jw01234-c1000_image2_00001_asn.json").write_text(json.dumps(asn))
    run_once(config)
    assert (
        fake.read(config.folders.output / fake.name(1, suffix="cal"))["data"]
        == "cal(rate(light)+background=rate(sky))"
    )
    assert fake.read(config.folders.output / fake.name(2, suffix="cal"))["data"] == "cal(rate(sky))"
    assert fake.read(config.folders.output / MOSAIC)["data"] == "i2d(cal(rate(light)+background=rate(sky)))"


def test_an_association_that_comes_after_its_members_finds_them(config: Config) -> None:
    fake.expose(incoming(config), 1)
    run_once(config)
    members = [{"expname": fake.name(1, suffix="cal"), "exptype": "science"}]
    asn = {"asn_type": "image3", "products": [{"name": "mine", "members": members}]}
    (incoming(config) / "my_image3_asn.json").write_text(json.dumps(asn))
    run_once(config)
    assert "mine_i2d.fits" in products(config)


def test_an_association_with_a_member_missing_waits_and_says_for_whom(config: Config) -> None:
    members = [{"expname": fake.name(n, suffix="cal"), "exptype": "science"} for n in (1, 2)]
    asn = {"asn_type": "image3", "products": [{"name": "mine", "members": members}]}
    (incoming(config) / "my_image3_asn.json").write_text(json.dumps(asn))
    fake.expose(incoming(config), 1)
    run_once(config)
    with asking(config.folders.database) as ask:
        groups = {g["name"]: g["reason"] for g in ask.status()["associations"]}
    assert groups["image3:mine"] == f"1 of 2 members are there, lacks {fake.name(2, suffix='cal')}"


def test_two_services_on_one_state_folder_are_refused(config: Config) -> None:
    config.folders.state.mkdir()
    with alone(config.folders.state), pytest.raises(AlreadyRunning, match="is in use by process"):
        service(config).run(once=True)


def test_the_output_folder_inside_a_watched_one_is_not_watched(config: Config) -> None:
    import msgspec

    inside = msgspec.structs.replace(config.folders, output=incoming(config) / "products")
    fake.expose(incoming(config))
    inner = msgspec.structs.replace(config, folders=inside)
    run_once(inner)
    assert run_once(inner) == []


@pytest.fixture
def live(config: Config) -> Iterator[tuple[Config, Callable[[str], float]]]:
    """A service that runs in a thread, and a way to await an event: its time is returned."""
    events: list[tuple[str, float]] = []
    heard = threading.Condition()

    def note(event: str, _: dict[str, Any]) -> None:
        with heard:
            events.append((event, time.monotonic()))
            heard.notify_all()

    def await_event(event: str) -> float:
        with heard:
            assert heard.wait_for(lambda: any(e == event for e, _ in events), timeout=20.0), events
            return next(at for e, at in events if e == event)

    running = service(config, on_event=note)
    thread = threading.Thread(target=running.run)
    thread.start()
    yield config, await_event
    running.stop()
    thread.join(timeout=20.0)
    assert not thread.is_alive()


def test_a_file_that_is_dropped_in_is_calibrated_and_its_mosaic_follows_the_quiet_clock(
    live: tuple[Config, Callable[[str], float]],
) -> None:
    config, await_event = live
    time.sleep(0.3)
    fake.expose(incoming(config))
    await_event("started")
    deadline = time.monotonic() + 20.0
    while MOSAIC not in products(config) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert MOSAIC in products(config)


def test_what_the_service_decides_is_on_record(config: Config) -> None:
    fake.expose(incoming(config), 1, of=2)
    run_once(config)
    reader = connect(config.folders.database, readonly=True)
    found = [tuple(row) for row in reader.execute("SELECT who, what, subject, why FROM decision ORDER BY id")]
    reader.close()
    assert [row[:2] for row in found] == [("service", what) for what in ("start", "combine", "stop")]
    assert found[0][3].startswith("context jwst_0001.pmap, version ")
    assert found[1][2].startswith("image3:jw01234-o001")
    assert "dither position 2 of 2" in found[1][3]


def test_no_more_files_are_taken_in_than_there_is_room_for_and_in_the_end_all_are(config: Config) -> None:
    import msgspec

    from calwebbd.daemon.config import Queue

    for exposure in range(1, 5):
        fake.expose(incoming(config), exposure, of=4, text=f"light{exposure}")
    events: list[str] = []
    narrow = msgspec.structs.replace(config, queue=Queue(backlog=1, reserve_mb=1))
    service(narrow, on_event=lambda event, _: events.append(event)).run(once=True)
    assert fake.read(config.folders.output / MOSAIC)["data"].count("light") == 4


def test_a_full_disk_kills_no_job(config: Config) -> None:
    fake.expose(incoming(config), 1, DO="full")
    failed = [facts for event, facts in run_once(config) if event == "failed"]
    assert {(f["failure"], f["state"]) for f in failed} == {("disk", "ready")}


def test_without_room_nothing_begins_and_jobs_say_what_they_wait_for(config: Config) -> None:
    import msgspec

    from calwebbd.daemon.config import Queue

    fake.expose(incoming(config), 1)
    run_once(msgspec.structs.replace(config, queue=Queue(reserve_mb=1 << 30)))
    with asking(config.folders.database) as ask:
        status = ask.status()
    assert (status["jobs"], status["intake"]) == ({}, "there is no room for products on their disk")
    run_once(config)
    assert MOSAIC in products(config)


def test_failures_alike_pause_their_stage_until_a_probe_succeeds(config: Config) -> None:
    import msgspec

    from calwebbd.daemon.config import Queue

    config = msgspec.structs.replace(config, queue=Queue(failures=2, probe_seconds=300.0, reserve_mb=1))
    one = msgspec.structs.replace(config, workers=Workers(processes=1, memory_mb=4000))
    for exposure in (1, 2):
        fake.expose(incoming(config), exposure, DO="missing", FILTER="F150W")
    run_once(one)
    fake.expose(incoming(config), 3)
    run_once(one)  # it stands in line, and is what is tried first
    with closing(sqlite3.connect(config.folders.database)) as database:
        database.execute("UPDATE stage SET probe_at = 0 WHERE paused != ''")  # five minutes later
        database.commit()
    run_once(one)
    with asking(config.folders.database) as ask:
        decisions = ask._connection.execute("SELECT what, subject FROM decision ORDER BY id").fetchall()
        jobs = ask.status()["jobs"]["detector1"]
    told = [tuple(row) for row in decisions if row["subject"] == "detector1"]
    assert told[:2] == [("pause", "detector1"), ("resume", "detector1")]
    assert jobs["done"] == 1


POOL_COLUMNS = (
    *("filename", "program", "obs_num", "exp_type", "pntgtype", "instrume", "detector", "filter"),
    *("pupil", "subarray", "targetid", "bkgdtarg", "asn_candidate"),
)


def drop_pool(config: Config, exposures: dict[int, str]) -> None:
    """Exposures of two observations by their candidates; the second is the background of the first."""
    lines = ["|".join(POOL_COLUMNS)]
    for exposure, observation in exposures.items():
        dark = "T" if observation == "2" else "F"
        candidates = [(f"o00{observation}", "OBSERVATION"), ("c1000", "BACKGROUND")]
        row = [fake.name(exposure), "1234", observation, "NRC_IMAGE", "SCIENCE", "NIRCAM", "NRCA1", "F200W"]
        lines.append("|".join([*row, "CLEAR", "SUB64P", "5", dark, str(candidates)]))
    (incoming(config) / "jw01234_20261122t000000_pool.csv").write_text("\n".join(lines))


def test_a_pool_is_authoritative_for_its_program(config: Config) -> None:
    fake.expose(incoming(config), 1, text="light")
    run_once(config)
    assert MOSAIC in products(config)
    drop_pool(config, {1: "1", 2: "2"})
    fake.expose(incoming(config), 2, text="sky", OBSERVTN="002", BKGDTARG=True)
    run_once(config)
    cal = fake.read(config.folders.output / fake.name(1, suffix="cal"))["data"]
    assert cal == "cal(rate(light)+background=rate(sky))"
    mosaic = fake.read(config.folders.output / MOSAIC.replace("t001", "t005"))["data"]
    assert mosaic == f"i2d({cal})"
    with asking(config.folders.database) as ask:
        states = {g["name"]: g["reason"] for g in ask.status()["associations"]}
    assert "tells of its program's associations" in states[f"image3:{MOSAIC.removesuffix('_i2d.fits')}"]


def test_an_association_of_one_exposure_is_not_done_twice(config: Config) -> None:
    fake.expose(incoming(config), 1)
    run_once(config)
    members = [{"expname": fake.name(1, suffix="rate"), "exptype": "science"}]
    product = {"name": fake.name(1).removesuffix("_uncal.fits"), "members": members}
    asn = {"asn_type": "image2", "asn_id": "o001", "products": [product]}
    (incoming(config) / "jw01234-o001_image2_00001_asn.json").write_text(json.dumps(asn))
    run_once(config)
    with asking(config.folders.database) as ask:
        assert ask.status()["jobs"]["image2"] == {"done": 1}


def exposed(folder: Path, exposure: int, **header: Any) -> Path:
    """Of 100 s, 200 s after the last in number."""
    start = 60000.0 + exposure * 200 / 86400
    return fake.expose(
        folder, exposure, of=3, text=f"light{exposure}", EXPSTART=start, EXPEND=start + 100 / 86400, **header
    )


def test_a_late_exposure_has_what_it_lit_up_flagged_in_those_after_it_and_in_a_new_mosaic(
    config: Config,
) -> None:
    steps = {"persistence": {"skip": False, "persistence_time": 2000}}
    config = msgspec.structs.replace(config, steps=steps)
    exposed(incoming(config), 3)
    exposed(incoming(config), 2, SATURATES="b")
    run_once(config)
    mosaic = fake.read(config.folders.output / MOSAIC)
    assert mosaic["data"] == "i2d(cal(rate(light2))+cal(rate(light3 lit b)))"
    exposed(incoming(config), 1, SATURATES="a")
    run_once(config)
    mosaic = fake.read(config.folders.output / MOSAIC)
    assert mosaic["data"] == "i2d(cal(rate(light1))+cal(rate(light2 lit a))+cal(rate(light3 lit ab)))"
    assert run_once(config) == []
