"""What stage 2 takes beside its science: backgrounds, imprints, direct images and what was found in them."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fake_calibration as fake
import msgspec
import pytest

from calwebbd.daemon import channel
from calwebbd.daemon.ask import asking
from calwebbd.daemon.commands.products import tell
from calwebbd.daemon.config import Associations, Config, Crds, Folders, Rule, Watch, Workers
from calwebbd.daemon.database import open_store
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.intake import Seen
from calwebbd.daemon.operators import Release, Retry
from calwebbd.daemon.records import Known, Records
from calwebbd.daemon.service import Service
from calwebbd.daemon.terms import Terms
from calwebbd.daemon.work import work_of
from calwebbd.queues.groups import Clocks, Partial
from calwebbd.stages import exptypes
from calwebbd.stages.associations import Association, Member, Product

RATE = [fake.name(n, suffix="rate") for n in range(6)]
CAL = [fake.name(n, suffix="cal") for n in range(6)]
ROOT = RATE[1].removesuffix("_rate.fits")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folders = Folders(watch=(tmp_path / "in",), output=tmp_path / "out", state=tmp_path / "state")
    folders.watch[0].mkdir()
    return Config(
        folders=folders,
        crds=Crds(context="jwst_0001.pmap"),
        watch=Watch(settle_seconds=0.05, patience_seconds=0.2, rescan_seconds=600.0),
        workers=Workers(processes=2, memory_mb=4000, timeout_seconds=20.0),
        associations=Associations(level3=False),
    )


def run_once(config: Config) -> None:
    here = "fake_calibration"
    Service(config, calibrate=f"{here}:calibrate", verify=f"{here}:verify").run(once=True)


def expose(config: Config, number: int, **header: Any) -> Path:
    return fake.expose(config.folders.watch[0], number, text=header.pop("text", f"light{number}"), **header)


def associate(config: Config, kind: str, product: str, **members: str | list[str]) -> None:
    """Drop an association; members by their parts."""
    parts = [
        {"expname": name, "exptype": part}
        for part, names in members.items()
        for name in ([names] if isinstance(names, str) else names)
    ]
    asn = {"asn_type": kind, "products": [{"name": product, "members": parts}]}
    (config.folders.watch[0] / f"{product}_{kind}_asn.json").write_text(json.dumps(asn))


def data(config: Config, name: str) -> str:
    path = config.folders.output / name
    return str(fake.read(path)["data"]) if path.exists() else ""


def why(config: Config, name: str) -> dict[str, Any]:
    with asking(config.folders.database) as ask:
        return ask.why(name)


def test_an_exposure_waits_for_its_background_and_says_so(config: Config) -> None:
    associate(config, "image2", ROOT, science=RATE[1], background=[RATE[2], RATE[3]])
    expose(config, 1)
    expose(config, 2)
    run_once(config)
    assert data(config, CAL[1]) == ""
    assert data(config, CAL[2]) == "cal(rate(light2))"
    for name in (fake.name(1), RATE[1], CAL[1]):
        answer = why(config, name)
        assert answer["associations"][0]["reason"] == f"2 of 3 members are there, lacks {RATE[3]}"
        assert f"  {RATE[3]} has not come" in answer["because"]
    expose(config, 3)
    run_once(config)
    made = "cal(rate(light1)+background=rate(light2)+background=rate(light3))"
    assert data(config, CAL[1]) == made
    with asking(config.folders.database) as ask:
        lineage = tell(ask.lineage(CAL[1]))
    parts = [line.split("  ←")[0].strip() for line in lineage if "_rate.fits" in line]
    assert parts == [f"{RATE[2]} (background)", f"{RATE[3]} (background)", RATE[1]]


def test_a_new_version_of_the_background_makes_a_new_one_of_the_product(config: Config) -> None:
    associate(config, "image2", ROOT, science=RATE[1], background=RATE[2])
    expose(config, 1)
    expose(config, 2)
    run_once(config)
    expose(config, 2, text="darker")
    run_once(config)
    assert data(config, CAL[1]) == "cal(rate(light1)+background=rate(darker))"
    with asking(config.folders.database) as ask:
        assert len(ask.versions(CAL[1])["versions"]) == 2


def test_an_association_that_comes_late_makes_the_product_anew(config: Config) -> None:
    expose(config, 1)
    expose(config, 2)
    run_once(config)
    assert data(config, CAL[1]) == "cal(rate(light1))"
    associate(config, "image2", ROOT, science=RATE[1], background=RATE[2])
    run_once(config)
    assert data(config, CAL[1]) == "cal(rate(light1)+background=rate(light2))"


@pytest.mark.parametrize("by_rule", [False, True])
def test_what_may_be_made_without_its_background_is_and_again_when_it_comes(
    config: Config, by_rule: bool
) -> None:
    never = Associations(level3=False, partial={"image2": Partial.NEVER})
    quiet = Associations(level3=False, partial={"image2": Partial.QUIET}, quiet_seconds=0.1)
    rule = Rule(name="alone", programs=("1234",), partial=Partial.QUIET)
    config = (
        msgspec.structs.replace(config, associations=never, rules=(rule,))
        if by_rule
        else msgspec.structs.replace(config, associations=quiet)
    )
    associate(config, "image2", ROOT, science=RATE[1], background=RATE[2])
    expose(config, 1)
    run_once(config)
    assert data(config, CAL[1]) == "cal(rate(light1))"
    expose(config, 2)
    run_once(config)
    assert data(config, CAL[1]) == "cal(rate(light1)+background=rate(light2))"


def test_without_its_science_nothing_is_made(config: Config) -> None:
    quiet = Associations(level3=False, partial={"image2": Partial.QUIET}, quiet_seconds=0.1)
    config = msgspec.structs.replace(config, associations=quiet)
    associate(config, "image2", ROOT, science=RATE[1], background=RATE[2])
    expose(config, 2)
    run_once(config)
    assert why(config, f"image2:{ROOT}")["associations"][0]["reason"].endswith(
        "without its science nothing is made"
    )


def test_a_background_that_will_not_come_is_named_and_its_exposure_can_be_released(config: Config) -> None:

    associate(config, "image2", ROOT, science=RATE[1], background=RATE[2])
    expose(config, 1)
    expose(config, 2, DO="wrong")
    run_once(config)
    assert f"  {RATE[2]} will not come, copy: is out of focus" in why(config, CAL[1])["because"]
    channel.ask(config, Release(association=f"image2:{ROOT}"))
    run_once(config)
    assert data(config, CAL[1]) == "cal(rate(light1))"


def test_a_mosaic_waits_for_an_exposure_whose_background_is_on_the_way(config: Config) -> None:
    config = msgspec.structs.replace(config, associations=Associations(quiet_seconds=0.1, hold_seconds=0.1))
    associate(config, "image2", ROOT, science=RATE[1], background=RATE[3])
    expose(config, 1, of=2)
    expose(config, 2, of=2)
    expose(config, 3, OBSERVTN="009", DO="missing", AT="detector1")
    run_once(config)
    mosaic = "image3:jw01234-o001_t001_nircam_clear-f200w-sub64p"
    (group,) = why(config, mosaic)["associations"]
    assert group["state"] == "open"
    assert group["reason"].endswith("others are being made, no clock runs")
    assert data(config, CAL[2]) == "cal(rate(light2))"


def test_the_hard_clock_stands_while_a_member_is_ours_to_make(tmp_path: Path) -> None:
    """Of three backgrounds one is there, one is in the queue for long, and one never comes."""
    store = open_store(tmp_path / "db")
    clocks = Clocks(hold_s=1.0, quiet_s=1e6, hard_s=100.0)
    terms = Terms(output=tmp_path, context="c", code="0", budget_mb=9000, level3=False, clocks=clocks)
    terms = dataclasses.replace(terms, partial={"image2": Partial.HARD})
    dispatch = Dispatch(store, Records(store.connection), terms)

    def arrive(name: str, now: float, asn: Association | None = None) -> None:
        kind = "asn" if asn else name.partition(".")[0].rpartition("_")[2]
        known = Known(tmp_path / name, name, kind, {} if asn else fake.HEADER)
        dispatch.arrived(Seen(known, "stamp", 1, asn), now)

    def reason() -> str:
        return store.group(f"image2:{ROOT}").reason

    background = tuple(Member(name, "background") for name in RATE[2:5])
    asn = Association(asn_type="image2", products=(Product(ROOT, (Member(RATE[1], "science"), *background)),))
    arrive("one_asn.json", 0.0, asn)
    arrive(RATE[1], 1000.0)
    arrive(RATE[2], 1000.0)
    assert not dispatch.assemble(1010.0)
    assert "the hard clock runs until 1970-01-01 00:18:20" in reason()
    arrive(fake.name(3), 1040.0)
    assert not dispatch.assemble(1040.0)
    assert not dispatch.assemble(9000.0)
    assert reason().endswith(f"lacks {RATE[3]}, {RATE[4]}; others are being made, no clock runs")
    (job,) = store.ready_for(f"detector1:{ROOT.replace('00001_nrca1', '00003_nrca1')}")
    dispatch.dropped(job, "an operator gave it up", 10000.0)
    assert not dispatch.assemble(10000.0)
    assert "the hard clock runs until 1970-01-01 02:47:40" in reason()
    assert dispatch.assemble(10060.0)
    store.close()


def test_a_background_that_was_deleted_is_made_again_by_retry(config: Config) -> None:
    associate(config, "image2", ROOT, science=RATE[1], background=[RATE[2], RATE[3]])
    expose(config, 1)
    expose(config, 2)
    run_once(config)
    (config.folders.output / RATE[2]).unlink()
    expose(config, 3)
    run_once(config)
    assert data(config, CAL[1]) == ""
    channel.ask(config, Retry(file=RATE[2]))
    with pytest.raises(CommandError, match="job 7 is ready"):
        channel.ask(config, Retry(file=RATE[2]))
    run_once(config)
    with suppress(CommandError):  # it was tried in time
        channel.ask(config, Retry(file=CAL[1]))
    run_once(config)
    assert data(config, RATE[2]) == "rate(light2)"
    assert data(config, CAL[1]) == "cal(rate(light1)+background=rate(light2)+background=rate(light3))"
    with pytest.raises(CommandError, match="there is nothing to try again"):
        channel.ask(config, Retry(file=RATE[2]))
    (config.folders.output / RATE[2]).unlink()
    channel.ask(config, Retry(file=fake.name(2)))
    run_once(config)
    assert data(config, RATE[2]) == "rate(light2)"


@pytest.fixture
def spectra(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Undone, this version has a pipeline for spectra of stage 2."""
    with monkeypatch.context() as patch:
        patch.setattr(exptypes, "PIPELINES", exptypes.PIPELINES | {"spec2"})
        yield patch


def test_spectra_are_held_with_a_reason_until_a_version_can_make_them(
    config: Config, spectra: pytest.MonkeyPatch
) -> None:
    """A grism exposure with its imprint, a background, and what a mosaic of direct images shows."""
    direct = {"direct_image": "direct_i2d.fits", "sourcecat": "direct_cat.fits", "segmap": "direct_segm.fits"}
    associate(config, "spec2", ROOT, science=RATE[1], imprint=RATE[2], background=RATE[3], **direct)
    associate(config, "image3", "direct", science=CAL[4])
    for n in (1, 2, 3):
        expose(config, n, EXP_TYPE="NRC_WFSS")
    expose(config, 4, ALSO={"image3": ["cat", "segm"]})
    with pytest.MonkeyPatch.context() as now:
        now.setattr(exptypes, "PIPELINES", exptypes.PIPELINES - {"spec2"})
        run_once(config)
        answer = why(config, RATE[1])
        held = "calwebb_spec2 is not available in this version"
        assert answer["verdict"] == "waits"
        assert f"association spec2:{ROOT}: {held}" in answer["because"]
        assert {m["state"] for m in answer["associations"][0]["members"]} == {"is there"}
        store = open_store(config.folders.database)
        terms = Terms(output=config.folders.output, context="c", code="0", budget_mb=100)
        assert Dispatch(store, Records(store.connection), terms).release(f"spec2:{ROOT}", 0.0) == held
        store.close()
        with asking(config.folders.database) as ask:
            assert ask.quarantine() == []
            assert "spec2" not in ask.status()["jobs"]
    run_once(config)
    light = "rate(light1)+imprint=rate(light2)+background=rate(light3)"
    found = "direct_image=i2d(cal(rate(light4)))+sourcecat=cat(cal(rate(light4)))"
    assert data(config, f"{ROOT}_x1d.fits") == f"x1d({light}+{found}+segmap=segm(cal(rate(light4))))"


def test_what_waits_in_the_queue_alone_waits_for_its_partners_instead(tmp_path: Path) -> None:
    store = open_store(tmp_path / "db")
    terms = Terms(output=tmp_path, context="c", code="0", budget_mb=9000, level3=False)
    dispatch = Dispatch(store, Records(store.connection), terms)

    def arrive(name: str, asn: Association | None = None) -> None:
        header = {} if asn else fake.HEADER
        kind = "asn" if asn else "rate"
        dispatch.arrived(Seen(Known(tmp_path / name, name, kind, header), "stamp", 1, asn), 1.0)

    members = (Member(RATE[1], "science"), Member(RATE[2], "background"))
    asn = Association(asn_type="image2", products=(Product(ROOT, members),))
    arrive(RATE[1])
    arrive("one_asn.json", asn)
    alone = store.get(1)
    assert (alone.state, alone.reason) == (
        "superseded",
        "an association makes its product, with the other members",
    )
    assert not dispatch.assemble(2.0, hurry=True)
    arrive(RATE[2])
    assert dispatch.assemble(3.0)
    (job,) = store.ready_for(f"image2:{ROOT}")
    assert [source.role for source in work_of(job.payload).inputs] == ["science", "background"]
    arrive("copy_asn.json", asn)  # the same once more takes nothing out of the queue
    assert store.ready_for(f"image2:{ROOT}")
    store.close()
