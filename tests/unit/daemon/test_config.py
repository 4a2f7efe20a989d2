"""The configuration: what it gives, and how it refuses."""

from pathlib import Path

import pytest

from calwebbd.daemon.configfile import ConfigError, load
from calwebbd.daemon.runner import surroundings
from calwebbd.daemon.terms import terms
from calwebbd.stages.memory import MB, THREAD

ROOT = Path(__file__).resolve().parents[3]
LEAST = '[folders]\nwatch = ["in"]\noutput = "out"\nstate = "state"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "calwebbd.toml"
    path.write_text(text)
    return path


def test_folders_are_enough_and_relative_to_the_file(tmp_path: Path) -> None:
    config = load(written(tmp_path, LEAST))
    assert config.folders.watch == (tmp_path / "in",)
    assert config.folders.database == tmp_path / "state" / "calwebbd.db"
    assert config.crds.context == "latest"
    assert config.workers.budget_mb > 100


def test_workers_get_the_budget_of_a_mosaic(tmp_path: Path) -> None:
    config = load(written(tmp_path, LEAST + "[workers]\nmosaic_mb = 700\n"))
    assert surroundings(config)["CALWEBBD_MOSAIC_MB"] == "700"


def test_memory_is_foreseen_for_the_threads_and_the_budget_of_a_worker(tmp_path: Path) -> None:
    frames = [{"SUBSIZE1": 2048, "SUBSIZE2": 2048, "NGROUPS": 10}] * 64
    plain, more = (
        terms(load(written(tmp_path, LEAST + workers)), "c.pmap").estimate
        for workers in ("", "[workers]\nthreads = 3\nmosaic_mb = 700\n")
    )
    assert more("detector1", frames[:1]) == plain("detector1", frames[:1]) + 2 * 2048 * 2048 * THREAD // MB
    assert more("image3", frames) == plain("image3", frames) + 700 - 256


def test_a_scheduler_has_an_address_or_a_file(tmp_path: Path) -> None:
    dask = LEAST + '[workers]\nengine = "dask"\nmemory_mb = 8000\nscheduler = "{}"\n'
    for scheduler, meant in (("tls://a:8786", "tls://a:8786"), ("s.json", str(tmp_path / "s.json"))):
        assert load(written(tmp_path, dask.format(scheduler))).workers.scheduler == meant


def test_the_example_is_valid_and_names_every_key() -> None:
    path = ROOT / "systemd" / "calwebbd.toml"
    config = load(path)
    text = path.read_text()
    for section in config.__struct_fields__:
        assert f"[{section}" in text
        for key in getattr(getattr(config, section), "__struct_fields__", ()):
            assert f"{key} = " in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LEAST + '[[roots]]\npath = "out"\n', "roots.path"),
        (LEAST + '[[roots]]\npath = "a"\ninstruments = ["HST"]\n', "roots[0].instruments[0] = 'HST'"),
        (LEAST + '[[roots]]\npath = "a"\n' * 2, "is given 2 times"),
        (LEAST + '[[rules]]\nname = "deep"\n' * 2, "rules.name = 'deep': is given 2 times"),
        (LEAST + '[[rules]]\nprograms = ["1"]\n', "missing required field `name`"),
        (LEAST + "[workers]\nproceses = 2\n", "workers: object contains unknown field `proceses`"),
        (LEAST + "[worker]\n", "object contains unknown field `worker`"),
        (LEAST + "[workers]\nprocesses = 0\n", "workers.processes = 0: expected `int` >= 1"),
        (LEAST + '[workers]\nthreads = "two"\n', "workers.threads = 'two': expected `int`, got `str`"),
        (LEAST + '[workers]\nengine = "dask"\n', "workers.scheduler must be given"),
        (LEAST + '[workers]\nengine = "dask"\nscheduler = "tcp://a:1"\n', "workers.memory_mb must be given"),
        (LEAST + '[log]\nlevel = "loud"\n', "log.level = 'loud': expected `str` matching regex"),
        (LEAST + "[steps.jump]\n[steps.ramp_fit\n", "is not TOML"),
        ('[folders]\noutput = "out"\nstate = "s"\n', "neither folders.watch nor a [[roots]] names a folder"),
        ('[folders]\nwatch = [1]\noutput = "out"\nstate = "s"\n', "folders.watch[0] = 1: expected"),
        ('[folders]\nwatch = ["a"]\noutput = "a"\nstate = "s"\n', "is the output folder"),
        ('[folders]\nwatch = ["a/b"]\noutput = "a"\nstate = "s"\n', "lies in the output folder"),
    ],
)
def test_a_mistake_is_told_with_file_key_and_value(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as refusal:
        load(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert message in str(refusal.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")


def test_parameters_of_steps_are_kept_as_written(tmp_path: Path) -> None:
    config = load(written(tmp_path, LEAST + "[steps.jump]\nrejection_threshold = 5.0\n"))
    assert config.steps == {"jump": {"rejection_threshold": 5.0}}
