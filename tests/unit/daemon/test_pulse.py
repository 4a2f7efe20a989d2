"""Parts that no longer get on."""

from calwebbd.daemon.pulse import Pulse


def test_a_part_that_does_not_beat_in_time_is_stalled_until_it_does() -> None:
    now = 0.0
    pulse = Pulse(lambda: now)
    pulse.expect("scheduler", 60.0)
    pulse.expect("watcher", 10.0)
    now = 30.0
    assert pulse.stalled() == ["watcher"]
    pulse.beat("watcher")
    assert pulse.stalled() == []
    now = 61.0
    assert pulse.stalled() == ["scheduler", "watcher"]
