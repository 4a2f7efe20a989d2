"""Which configuration a question is about."""

from pathlib import Path

import pytest

from calwebbd.daemon import places


def test_the_nearest_configuration_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CALWEBBD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert places.configuration(None) == places.SYSTEM
    places.remember(Path("night.toml"))
    assert places.configuration(None) == tmp_path / "night.toml"
    Path("calwebbd.toml").touch()
    assert places.configuration(None) == Path("calwebbd.toml")
    monkeypatch.setenv("CALWEBBD_CONFIG", "/site/calwebbd.toml")
    assert places.configuration(None) == Path("/site/calwebbd.toml")
    assert places.configuration(Path("mine.toml")) == Path("mine.toml")


def test_a_folder_that_may_not_be_looked_into_holds_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.delenv("CALWEBBD_CONFIG", raising=False)
    monkeypatch.setattr("os.stat", refuse)
    found = places.configuration(None)
    monkeypatch.undo()
    assert found == places.SYSTEM


def test_a_home_that_cannot_be_written_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    places.remember(Path("night.toml"))
