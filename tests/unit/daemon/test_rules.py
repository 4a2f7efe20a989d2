"""What the site's rules say of exposures: how urgent they are, and whether they wait for others."""

from pathlib import Path

import pytest

from calwebbd.daemon.config import FOLDER, Rule
from calwebbd.daemon.configfile import load
from calwebbd.daemon.terms import Terms
from calwebbd.daemon.work import Work
from calwebbd.queues.groups import Partial

HEADER = {"PROGRAM": "01234", "EXP_TYPE": "NRC_IMAGE", FOLDER: "/data/urgent/night 1"}


def terms(*rules: Rule, **more: object) -> Terms:
    usual = {"output": Path("/out"), "context": "c.pmap", "code": "0", "budget_mb": 100}
    return Terms(**usual | {"rules": rules} | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "concerned"),
    [
        (Rule(name="all"), True),
        (Rule(name="program", programs=("1234",)), True),
        (Rule(name="another", programs=("1235",)), False),
        (Rule(name="type", exp_types=("nrc_image",)), True),
        (Rule(name="folder", folders=(Path("/data/urgent"),)), True),
        (Rule(name="just it", folders=(Path("/data/urgent/night 1"),)), True),
        (Rule(name="elsewhere", folders=(Path("/data/urgent/night"), Path("/data/other"))), False),
        (Rule(name="both", programs=("1235",), folders=(Path("/data/urgent"),)), False),
    ],
)
def test_a_rule_is_for_programs_types_and_folders(rule: Rule, concerned: bool) -> None:
    assert rule.concerns(HEADER) is concerned


def test_what_came_before_folders_were_known_came_from_none() -> None:
    assert not Rule(name="folder", folders=(Path("/data"),)).concerns({"PROGRAM": "01234"})


def test_the_last_rule_that_says_something_counts() -> None:
    first = Rule(name="1", priority=3, partial=Partial.HARD)
    second = Rule(name="2", programs=("1234",), priority=0)
    third = Rule(name="3", programs=("9",), priority=-2, partial=Partial.NEVER)
    found = terms(first, second, third)
    assert found.priority_for(HEADER) == 0
    assert found.priority_for({"PROGRAM": "00009"}) == -2
    assert found.clocks_of("image3:a", HEADER).partial is Partial.HARD
    assert found.clocks_of("image3:a", {"PROGRAM": "00009"}).partial is Partial.NEVER


def test_a_rule_goes_before_the_type_of_association() -> None:
    rule = Rule(name="1", programs=("1234",), partial=Partial.NEVER)
    found = terms(rule, partial={"image3": Partial.HARD})
    assert found.clocks_of("image3:a", HEADER).partial is Partial.NEVER
    assert found.clocks_of("image3:a", {}).partial is Partial.HARD
    assert found.clocks_of("image2:a", {}).partial is None


def work(stage: int, priority: int, *, again: bool = False) -> Work:
    pipeline = {1: "detector1", 3: "image3"}[stage]
    facts = {"subject": "a", "inputs": (), "context": "c", "code": "0"}
    return Work(stage=stage, pipeline=pipeline, priority=priority, again=again, **facts)  # type: ignore[arg-type]


def test_priority_outranks_the_stage_and_the_lowest_comes_behind_what_is_made_again() -> None:
    order = [work(1, 1), work(3, 0), work(1, 0), work(3, 9, again=True), work(1, 1, again=True), work(3, -1)]
    urgencies = [each.urgency for each in order]
    assert urgencies == sorted(urgencies, reverse=True)
    assert len(set(urgencies)) == len(order)
    assert len({each.key for each in order if each.stage == 1}) == 1  # it is the same work


def test_rules_are_read_with_folders_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "calwebbd.toml"
    path.write_text(
        '[folders]\nwatch = ["in"]\noutput = "out"\nstate = "state"\n'
        '[[rules]]\nname = "night"\nfolders = ["in/night"]\npriority = 2\npartial = "never"\n'
    )
    (rule,) = load(path).rules
    assert rule.folders == (tmp_path / "in" / "night",)
    assert (rule.priority, rule.partial) == (2, Partial.NEVER)
