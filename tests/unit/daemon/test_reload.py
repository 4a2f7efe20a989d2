"""A configuration that changes while the service runs."""

from pathlib import Path

import msgspec
import pytest

from calwebbd.daemon.config import Config, Folders, Log, Rule, Watch, Workers
from calwebbd.daemon.reload import SAFE, changes, refusal

CONFIG = Config(folders=Folders(watch=(Path("/in"),), output=Path("/out"), state=Path("/state")))


def test_changes_are_named_by_key_and_free_tables_as_a_whole() -> None:
    new = msgspec.structs.replace(
        CONFIG,
        workers=msgspec.structs.replace(CONFIG.workers, memory_mb=77),
        log=Log(level="debug"),
        steps={"jump": {"rejection_threshold": 5.0}},
        rules=(Rule(name="deep"),),
    )
    assert set(changes(CONFIG, new)) == {"workers.memory_mb", "log.level", "steps", "rules"}
    assert changes(CONFIG, CONFIG) == []
    assert refusal(changes(CONFIG, new)) == ""


@pytest.mark.parametrize("key", ["folders.output", "folders.state", "workers.threads", "crds.path"])
def test_keys_that_a_running_service_stands_on_are_refused_by_name(key: str) -> None:
    assert refusal(["log.level", key]).startswith(f"{key} cannot change while the service runs")


def test_every_safe_key_is_one_that_there_is_or_will_be() -> None:
    known = set(CONFIG.__struct_fields__)
    for section in CONFIG.__struct_fields__:
        known |= {f"{section}.{key}" for key in getattr(getattr(CONFIG, section), "__struct_fields__", ())}
    assert SAFE - {"notify"} <= known


def test_watching_and_clocks_are_safe() -> None:
    new = msgspec.structs.replace(
        CONFIG, watch=Watch(settle_seconds=9.0), workers=Workers(processes=9, timeout_seconds=9.0)
    )
    assert refusal(changes(CONFIG, new)) == ""
