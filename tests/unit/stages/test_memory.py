"""Memory is predicted from headers: more for more, but not for ever longer exposures."""

import gc

import pytest

from calwebbd.stages.memory import (
    AT_ONCE,
    BUDGET,
    IN_MEMORY,
    MB,
    budget,
    disk_mb,
    integrations,
    only_new_garbage,
    peak_mb,
)

FRAME = {"SUBSIZE1": 2048, "SUBSIZE2": 2048, "NGROUPS": 10, "NINTS": 1, "READPATT": "RAPID"}
SERIES = {"SUBSIZE1": 2048, "SUBSIZE2": 256, "NGROUPS": 5, "NINTS": 100, "READPATT": "NISRAPID"}


def test_a_full_frame_needs_its_samples_and_its_planes() -> None:
    samples = 2048 * 2048 * 10 * 5 // MB
    assert 1.2 * samples + 250 < peak_mb(1, [FRAME]) < 5 * samples


def test_interleaved_frames_need_no_more_memory_but_room_on_the_disk() -> None:
    interleaved = FRAME | {"READPATT": "NRSIRS2RAPID"}
    assert peak_mb(1, [interleaved]) == peak_mb(1, [FRAME])
    assert disk_mb(1, [interleaved]) > disk_mb(1, [FRAME]) + 10 * 712 * 1025 * 8 // MB


@pytest.mark.parametrize("nints", [200, 1000, 100_000])
def test_longer_series_need_no_more(nints: int) -> None:
    assert peak_mb(1, [SERIES | {"NINTS": nints}]) == peak_mb(1, [SERIES | {"NINTS": 100}])


def test_short_series_need_less_than_the_limit_of_what_is_in_memory() -> None:
    few = peak_mb(1, [SERIES | {"NINTS": 2}])
    assert few < peak_mb(1, [SERIES]) < few + (IN_MEMORY + 3 * AT_ONCE) // MB


def test_a_segment_has_its_own_integrations() -> None:
    assert integrations(SERIES) == 100
    assert integrations(SERIES | {"INTSTART": 11, "INTEND": 20}) == 10


def test_later_stages_count_pixels() -> None:
    assert peak_mb(2, [FRAME]) < peak_mb(2, [FRAME | {"NINTS": 5}])
    assert peak_mb(3, [FRAME]) < peak_mb(3, [FRAME] * 4)


def test_a_mosaic_of_many_images_needs_no_more_than_one_of_several() -> None:
    header = {"SUBSIZE1": 2048, "SUBSIZE2": 2048}
    assert peak_mb(3, [header] * 2) < peak_mb(3, [header] * 8) == peak_mb(3, [header] * 64)


def test_superstripes_of_one_integration_are_there_together() -> None:
    plain = {"NINTS": 4000, "NGROUPS": 10, "SUBSIZE1": 256, "SUBSIZE2": 2048}
    assert peak_mb(1, [plain | {"SSTR_NST": 10}]) > peak_mb(1, [plain]) + 6 * AT_ONCE // MB
    assert peak_mb(1, [plain | {"SSTR_NST": 10}]) == peak_mb(1, [plain | {"SSTR_NST": 10, "NINTS": 8000}])


def test_the_budget_of_a_mosaic_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [{"SUBSIZE1": 2048, "SUBSIZE2": 2048}] * 64
    monkeypatch.delenv(BUDGET, raising=False)
    default = peak_mb(3, many)
    monkeypatch.setenv(BUDGET, "1000")
    assert budget() == 1000 * MB
    assert peak_mb(3, many) == default + 1000 - 256


def test_objects_that_were_there_before_are_not_gone_through_and_become_so_again() -> None:
    before = gc.get_freeze_count()
    with only_new_garbage():
        assert gc.get_freeze_count() > before
        with only_new_garbage():
            pass
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == before
