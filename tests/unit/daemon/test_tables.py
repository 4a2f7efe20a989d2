"""Answers in columns."""

import os

import pytest

from calwebbd.daemon.commands import asking

ROWS = [("jw1_rate.fits", 3, "context jwst_0001.pmap → jwst_0002.pmap"), ("b", 12, None)]


def test_columns_are_as_wide_as_their_longest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    asking.table(ROWS, "product", "n", "why", right=["n"])
    assert capsys.readouterr().out.splitlines() == [
        "product         n  why",
        "jw1_rate.fits   3  context jwst_0001.pmap → jwst_0002.pmap",
        "b              12",
    ]


def test_on_a_terminal_the_widest_column_is_folded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((40, 24)))
    asking.table(ROWS, "product", "n", "why", right=["n"])
    assert capsys.readouterr().out.splitlines() == [
        "product         n  why",
        "jw1_rate.fits   3  context",
        "                   jwst_0001.pmap →",
        "                   jwst_0002.pmap",
        "b              12",
    ]


def test_a_name_cannot_speak_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    asking.table([("a\x1b[2Jb\nc",)], "file")
    assert capsys.readouterr().out == "file\na�[2Jb�c\n"


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    asking.table([], "product", empty="there are none")
    assert capsys.readouterr().out == "there are none\n"
