"""Questions as they are typed: what is printed, and as JSON."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import fake_calibration as fake
import pytest

from calwebbd.daemon import configfile, logs
from calwebbd.daemon.ask import asking
from calwebbd.daemon.cli import main
from calwebbd.daemon.commands.asking import moment
from calwebbd.daemon.service import Service

CONFIGURATION = """
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
settle_seconds = 0.1
patience_seconds = 0.1
[associations]
hold_seconds = 0.1
quiet_seconds = 0.1
[log]
file = "calwebbd.jsonl"
"""
RATE, CAL = fake.name(suffix="rate"), fake.name(suffix="cal")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a service that has had one good exposure, in two versions, and a bad one."""
    base = tmp_path_factory.mktemp("night")
    (base / "in").mkdir()
    (base / "calwebbd.toml").write_text(CONFIGURATION)
    settings = configfile.load(base / "calwebbd.toml")
    here = "fake_calibration"
    logs.setup("info", settings.log.file)
    fake.expose(base / "in", 2, DO="wrong", FILTER="F150W")
    for text in ("dim", "bright"):
        fake.expose(base / "in", 1, text=text)
        Service(settings, calibrate=f"{here}:calibrate", verify=f"{here}:verify").run(once=True)
    yield base / "calwebbd.toml"
    logs.setup()


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("status", "quarantined  1"),
        ("quarantine", "detector1: copy: is out of focus"),
        (f"where {RATE}", "done"),
        (f"why {fake.name(2)}", "in quarantine since 20"),
        (f"lineage {CAL}", "← image2"),
        ("uses fake_paper_0001.fits", CAL),
        (f"versions {RATE}", f"input {fake.name(1)}: "),
        ("stale", "every product is as it would be made now"),
        (f"diff {RATE}@1 {RATE}@2", f"input {fake.name(1)}: "),
        ("failures", "1 failed in detector1, input: copy: is out of focus"),
        ("failures --since 2030-01-01", "nothing has failed"),
        ("progress 1234", "1/2 (1 dead)"),
        ("latency", "overhead"),
        ("audit --disk", "every file is accounted for"),
        ("log --level warning", "reason=copy: is out of focus"),
        (f"log --file {CAL} --since 1h", "finished"),
    ],
)
def test_each_question_has_an_answer_for_people_and_for_programs(
    question: str, said: str, night: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb, *rest = question.split()
    assert main([verb, "--config", str(night), *rest]) == 0
    assert said in capsys.readouterr().out
    assert main([verb, "--config", str(night), *rest, "--json"]) == 0
    for answer in capsys.readouterr().out.splitlines() if verb == "log" else [capsys.readouterr().out]:
        json.loads(answer) if answer else None


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (f"where {RATE.replace('rate', 'rte')}", f"has not been seen; perhaps {RATE}"),
        (f"why {fake.name(2, suffix='uncl')}", f"nothing that is known makes it; perhaps {fake.name(2)}"),
        (f"lineage {RATE[:-1]}", f"not a file that the service knows; perhaps {RATE}"),
        ("uses fake_paper_0002.fits", "no file of this name is known; perhaps fake_paper_0001.fits?"),
        ("where nothing.fits", "nothing.fits has not been seen\n"),
        ("where image3:jw01234-o001_t001_nircam_clear-f200w-sub64p", "is an association: `calwebbd why "),
        (f"diff {CAL}@1 {CAL}@3", "has 2 versions, none of them is 3"),
        (f"lineage --sidecars {RATE}", "has no record beside it: there is no "),
    ],
)
def test_who_asks_of_what_is_not_there_gets_a_hint(
    question: str, said: str, night: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb, *rest = question.split()
    assert main([verb, "--config", str(night), *rest]) == 1
    assert said in capsys.readouterr().err


def test_a_program_of_which_nothing_has_come_is_named(
    night: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["progress", "--config", str(night), "99"]) == 0
    assert capsys.readouterr().out == "nothing of program 99 has come\n"


def test_lines_of_a_job_are_found_in_the_log_by_its_number(
    night: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", "--config", str(night), "--job", "1", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines][:1] == ["started"]
    assert {line["job"] for line in lines} == {1}


def test_a_version_that_is_no_more_has_no_arrays_to_compare(
    night: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "--config", str(night), "--data", f"{RATE}@1", f"{RATE}@2"]) == 1
    assert "version 1 of" in capsys.readouterr().err


def test_an_audit_finds_what_is_lost_changed_or_nobody_knows(
    night: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, incoming = night.parent / "out", night.parent / "in"
    kept = (output / RATE).read_bytes()
    (output / RATE).write_bytes(kept[:-3] + b"XXX")
    (output / "stray.txt").touch()
    fake.expose(incoming, 7)
    (incoming / "notes.txt").touch()
    asked = ["audit", "--config", str(night), "--json"]
    assert main(asked) == 1
    quick = json.loads(capsys.readouterr().out)
    assert main([*asked, "--disk"]) == 1
    answer = json.loads(capsys.readouterr().out)
    (output / RATE).write_bytes(kept)
    for path in (output / "stray.txt", incoming / fake.name(7), incoming / "notes.txt"):
        path.unlink()
    found = {Path(row["path"]).name: row["what"] for row in answer["examples"]}
    assert found == {
        fake.name(7): "not on record yet",
        "stray.txt": "is no product of this service",
        RATE: "its checksum is not that of what was made",
    }
    assert RATE not in {Path(row["path"]).name for row in quick["examples"]}  # as many bytes as it had
    assert sum(answer["ignored"].values()) == 1
    assert answer["accounts"]["quarantined"] == 1


def test_an_audit_counts_as_the_view_of_accounts_does(night: Path, tmp_path: Path) -> None:
    database = tmp_path / "db"
    records = night.parent / "state" / "calwebbd.db"
    with closing(sqlite3.connect(records)) as source, closing(sqlite3.connect(database)) as copy:
        source.backup(copy)
        copy.execute("DELETE FROM file WHERE name = ?", (CAL,))
        copy.execute("UPDATE file SET origin = 'alias' WHERE name = ?", (fake.name(1),))
        refuse = "INSERT INTO quarantine SELECT path, name, stamp, 'torn', at FROM file WHERE name IN (?, ?)"
        copy.execute(refuse, (fake.name(1), RATE))
        copy.commit()
    with asking(database) as it:
        view = dict(it._connection.execute("SELECT account, count(*) FROM accounts GROUP BY account"))
        counted = it.audit(configfile.load(night))["accounts"]
    assert counted == view
    assert {"alias", "moved", "product", "quarantined"} <= counted.keys()


def test_times_are_given_as_they_are_or_as_so_long_ago() -> None:
    assert moment("2026-11-22T00:00") == 1795305600.0
    assert moment("2026-11-22T01:00+01:00") == 1795305600.0
    assert moment("90m") == pytest.approx(time.time() - 5400.0, abs=5.0)
    with pytest.raises(ValueError, match=r"neither a time, .* nor how long ago"):
        moment("tonight")
