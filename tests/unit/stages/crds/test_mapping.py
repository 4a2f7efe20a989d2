"""Mappings are read as data: nothing in them is ever run."""

import hashlib
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from calwebbd.stages.crds import mapping, rules
from calwebbd.stages.crds.mapping import Call, Malformed, checksum, parse
from calwebbd.stages.errors import ReferenceMissing

HEADER = {
    "mapping": "REFERENCE",
    "observatory": "JWST",
    "instrument": "NIRCAM",
    "filekind": "GAIN",
    "name": "jwst_nircam_gain_0001.rmap",
    "derived_from": "generated",
    "parkey": (("META.INSTRUMENT.DETECTOR",), ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME")),
    "classes": ("Match", "UseAfter"),
}
SELECTOR = "Match({('NRCA1',): UseAfter({'1900-01-01 00:00:00': 'jwst_nircam_gain_0001.fits'})})"
DATE = {"META.OBSERVATION.DATE": "2024-01-01", "META.OBSERVATION.TIME": "00:00:00"}


def text(selector: str = SELECTOR, before: str = "", **header: Any) -> str:
    """A mapping with the checksum that it must have."""
    entries = "".join(f"    {key!r}: {value!r},\n" for key, value in (HEADER | header).items())
    body = f"{before}header = {{\n{entries}    'sha1sum': 'X',\n}}\n\nselector = {selector}\n"
    return body.replace("'X'", repr(checksum(body)))


def load(folder: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> Any:
    """The rules of a mapping that lies in a cache."""
    monkeypatch.setenv("CRDS_PATH", str(folder))
    place = folder / "mappings" / "jwst" / "jwst_nircam_gain_0001.rmap"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    rules.forget()
    return rules.load(place.name)


def test_a_mapping_is_its_header_and_its_selector() -> None:
    found = parse(text().encode(), "jwst_nircam_gain_0001.rmap")
    assert found.header["parkey"][0] == ("META.INSTRUMENT.DETECTOR",)
    assert found.selector == Call(
        "Match", {("NRCA1",): Call("UseAfter", {"1900-01-01 00:00:00": "jwst_nircam_gain_0001.fits"})}
    )
    assert found.sha1 == hashlib.sha1(text().encode()).hexdigest()
    assert found.mappings() == []


def test_what_is_written_in_other_ways_means_the_same() -> None:
    odd = "# note\n" + SELECTOR.replace("'NRCA1'", "'NRC' \"A1\"").replace("UseAfter(", "UseAfter(  # x\n ")
    assert parse(text(odd).encode(), "x").selector == parse(text().encode(), "x").selector
    numbers = parse(text("{'a': 'N/A'}", limits=(1, -2.5, 1e3, True, None, [1], ("one",))).encode(), "x")
    assert numbers.header["limits"] == (1, -2.5, 1e3, True, None, [1], ("one",))


@pytest.mark.parametrize(
    "selector",
    [
        "__import__('os').system('true')",
        "Match({('A',): open('/etc/passwd')})",
        "Match.__class__",
        "Match({('A',): ().__class__.__bases__})",
        "Match({('A',): 9**9**9**9})",
        "Match({('A',): 'a' * 10**10})",
        "Match({('A',): 1" + "0" * 5000 + "})",
        "Match({x: x for x in 'abc'})",
        "(lambda: 1)()",
        "Match({('A',): f'{1}'})",
        "Match(*[{}])",
        "eval('1')",
        "{'a': b'c'}",
        "{[]: 'b'}",
        "{'a': 'b'} if 1 else {}",
        "{'a': -'b'}",
        "Match({('A',): UseAfter})",
        "Match({('A',): print('x')})",
        "{'a': 'b'",
        "{'a' 'b'}",
        "Match(('a', 'b'))",
        "[" * 100000 + "]" * 100000,
        "(" * 300 + "1" + ")" * 300,
        "Match({('A',): " * 200 + "'x'" + "})" * 200,
        "-" * 100000 + "1",
        "not " * 100000 + "x",
    ],
)
def test_whatever_is_no_literal_is_refused(selector: str) -> None:
    with pytest.raises(Malformed):
        parse(text(selector).encode(), "hostile.rmap")


@pytest.mark.parametrize(
    "before",
    ["import os\n", "from os import system\n", "os = 1\n", "header = {}\n", "x.y = 1\n", "del header\n"],
)
def test_statements_are_refused(before: str) -> None:
    with pytest.raises(Malformed):
        parse(text(before=before).encode(), "hostile.rmap")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"", b"header = {}", b"header = {}\nselector = 'x'", b"\0" * 10]
)
def test_other_content_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        parse(content, "other.rmap")


def test_a_mapping_that_is_larger_than_any_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "LARGEST", 100)
    with pytest.raises(Malformed, match="larger than any"):
        parse(text().encode(), "large.rmap")


def test_a_changed_mapping_has_not_the_checksum_that_it_states() -> None:
    with pytest.raises(Malformed, match="states"):
        parse(text().replace("gain_0001.fits", "gain_0002.fits").encode(), "changed.rmap")


def test_random_changes_are_refused_or_read_and_never_anything_else() -> None:
    rng, sound = random.Random(1), text()
    for _ in range(300):
        place = rng.randrange(len(sound))
        changed = sound[:place] + rng.choice("{}()[],:'\"\\=#\n*.-x1") + sound[place + rng.randrange(3) :]
        try:
            parse(changed.encode(), "changed.rmap")
        except Malformed:
            continue
        assert "sha1sum" in changed


@pytest.mark.parametrize("value", ["../../etc/passwd.rmap", "/tmp/x.imap", "jwst_x.py", "a.rmap", "n/a/b"])
def test_names_of_mappings_lead_nowhere_else(value: str) -> None:
    with pytest.raises(Malformed, match="no mapping's name"):
        parse(text(f"{{'gain': {value!r}}}").encode(), "jwst_nircam_0001.imap")


@pytest.mark.parametrize("value", ["../../etc/passwd", "/etc/passwd", ".x", "a/b.fits"])
def test_names_of_references_lead_nowhere_else(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Malformed, match="no file's name"):
        load(tmp_path, monkeypatch, text(SELECTOR.replace("jwst_nircam_gain_0001.fits", value)))


def test_rules_choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(tmp_path, monkeypatch, text())
    assert found.get_best_ref({"META.INSTRUMENT.DETECTOR": "NRCA1"} | DATE) == "jwst_nircam_gain_0001.fits"
    assert "NOT FOUND" in found.get_best_ref({"META.INSTRUMENT.DETECTOR": "NRCA2"} | DATE)


@pytest.mark.parametrize(
    ("expression", "relevant"),
    [
        ('(META.INSTRUMENT.DETECTOR in ("NRCA1", "NRCA2"))', True),
        ('(META.INSTRUMENT.DETECTOR not in ("NRCA1", "NRCA2"))', False),
        ('(META.INSTRUMENT.DETECTOR == "NRCA1" and not META.INSTRUMENT.DETECTOR != "NRCA1")', True),
        ('(META.INSTRUMENT.DETECTOR == "X" or META.INSTRUMENT.DETECTOR < "A")', False),
        ('(True if META.INSTRUMENT.DETECTOR == "X" else False)', False),
        ("always", True),
        ("(META.NOTHING.NOWHERE == 1)", True),  # cannot be evaluated
        ("(META.INSTRUMENT.DETECTOR < 1)", True),
    ],
)
def test_expressions_are_walked(
    expression: str, relevant: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load(tmp_path, monkeypatch, text(rmap_relevance=expression))
    best = found.get_best_ref({"META.INSTRUMENT.DETECTOR": "NRCA1"} | DATE)
    assert best == ("jwst_nircam_gain_0001.fits" if relevant else "NOT FOUND n/a")


def test_types_are_omitted_and_parameters_do_not_matter_where_an_expression_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = {"META.INSTRUMENT.DETECTOR": "NRCA1"} | DATE
    assert load(tmp_path, monkeypatch, text(rmap_omit="(True)")).get_best_ref(header) is None
    relevance = {"META.INSTRUMENT.DETECTOR": '(META.INSTRUMENT.DETECTOR == "NRCA1")'}
    selector = SELECTOR.replace("})})", "}), ('N/A',): UseAfter({'1900-01-01 00:00:00': 'other.fits'})})")
    found = load(tmp_path, monkeypatch, text(selector, parkey_relevance=relevance))
    assert found.get_best_ref(header) == "jwst_nircam_gain_0001.fits"


@pytest.mark.parametrize(
    "expression",
    [
        "(__import__('os').abort())",
        "(META.__class__.__bases__())",
        "(9**9**9**9)",
        "([x for x in (1,)])",
        "((lambda: 1)())",
        "(" + "not " * 4000 + "1)",
        "(" + "(" * 150 + "1" + ")" * 150 + ")" * 200,
        "(" + "a." * 6000 + "b)",
        "(x" + " " * 30000 + ")",
    ],
)
def test_hostile_expressions_are_refused(
    expression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Malformed):
        load(tmp_path, monkeypatch, text(rmap_relevance=expression))


def test_hooks_are_not_called_and_strange_headers_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load(tmp_path, monkeypatch, text(hooks={"precondition_header": "__doc__"}))
    assert found.get_best_ref({"META.INSTRUMENT.DETECTOR": "NRCA1"} | DATE)
    for change in ({"observatory": "HST"}, {"instrument": "misc.os"}, {"parkey": 3}, {"mapping": "PIPELINE"}):
        with pytest.raises(Malformed):
            load(tmp_path, monkeypatch, text(**change))


def test_a_pattern_that_may_never_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Malformed, match="may never end"):
        load(tmp_path, monkeypatch, text(SELECTOR.replace("'NRCA1'", "'((A+)+)B'")))


def test_no_hostile_mapping_reaches_the_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While mappings are loaded and used, nothing is executed or imported by name."""
    events: list[str] = []
    active = True

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if active and event in {"exec", "os.system", "subprocess.Popen"}:
            events.append(event)

    found = load(tmp_path, monkeypatch, text())  # imports are done
    sys.addaudithook(hear)
    found = load(tmp_path, monkeypatch, text(rmap_relevance='(META.INSTRUMENT.DETECTOR == "NRCA1")'))
    found.get_best_ref({"META.INSTRUMENT.DETECTOR": "NRCA1"} | DATE)
    for hostile in ("__import__('os').system('true')", "Match({('A',): eval('1')})"):
        with pytest.raises(ReferenceMissing):
            load(tmp_path, monkeypatch, text(hostile))
    active = False
    assert events == []
