"""Configurations that cannot be meant: each is one sentence, never a traceback."""

from pathlib import Path

import pytest

from calwebbd.daemon.configfile import ConfigError, load

FOLDERS = '[folders]\nwatch = ["in"]\noutput = "out"\nstate = "state"\n'


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 100_000,
        "x = " + "{a = " * 50_000,
        "[" + "a." * 100_000 + "a]",
        "x = 1" + "0" * 100_000,
        FOLDERS + "[workers]\ntimeout_seconds = inf",
        FOLDERS + "[workers]\ntimeout_seconds = nan",
        FOLDERS + "[watch]\nrescan_seconds = 1e300",
        FOLDERS + "[watch]\nrescan_seconds = inf",
        FOLDERS + "[workers]\nprocesses = 99999999999999999999999",
        FOLDERS + "[workers]\nprocesses = -1",
        FOLDERS + "[workers]\nprocesses = true",
        '[folders]\nwatch = ["a\\u0000b"]\noutput = "out"\nstate = "state"\n',
        '[folders]\nwatch = ["in"]\noutput = "' + "x" * 10_000 + '"\nstate = "state"\n',
        FOLDERS + "unknown = 1",
        FOLDERS + '[crds]\ncontext = "../../jwst_0001.pmap"',
        FOLDERS + '[crds]\ncontext = "jwst_0001.pmap; rm -rf /"',
        "\x00\x01",
    ],
)
def test_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calwebbd.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert len(str(error.value)) < 12_000
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "calwebbd.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(path)
