"""What happens by the clock. A tick only posts its name; the main loop does the work."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

from apscheduler.schedulers.background import BackgroundScheduler

from calwebbd.daemon.config import Config

LEASE_S = 120.0
ROOTS_S = 5.0


class Tick(StrEnum):
    ROOTS = "roots"  #: are the watched folders what they were?
    RESCAN = "rescan"
    POLL = "poll"  #: scan the folders without events
    LEASES = "leases"  #: renew ours, take back those of the dead
    GROUPS = "groups"  #: clocks of associations
    BACKUP = "backup"  #: is a copy of the database to be made?
    CONTEXT = "context"  #: are contexts to be refreshed, references to be verified?


def scheduler(config: Config, post: Callable[[Tick], None]) -> BackgroundScheduler:
    """A scheduler that is not yet started. Late ticks come once, not never and not in a burst."""
    defaults = {"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
    found = BackgroundScheduler(timezone="UTC", job_defaults=defaults)
    for tick, seconds in _periods(config).items():
        found.add_job(post, "interval", seconds=seconds, args=(tick,), id=tick)
    return found


def set_periods(running: BackgroundScheduler, config: Config) -> None:
    """Tick as often as the configuration now says; what has not changed goes on as it was."""
    for tick, seconds in _periods(config).items():
        if running.get_job(tick).trigger.interval.total_seconds() != seconds:
            running.reschedule_job(tick, trigger="interval", seconds=seconds)


def tick_now(running: BackgroundScheduler) -> None:
    """Tick at once, and from then on as ever: the wall clock was set, by which ticks are planned."""
    for job in running.get_jobs():
        job.modify(next_run_time=datetime.now(UTC))


def _periods(config: Config) -> dict[Tick, float]:
    return {
        Tick.ROOTS: ROOTS_S,
        Tick.RESCAN: config.watch.rescan_seconds,
        Tick.POLL: config.watch.poll_seconds,
        Tick.LEASES: LEASE_S / 4,
        Tick.CONTEXT: 60.0,  # what is due is in the records, so that no sleep or stop makes it miss
        Tick.BACKUP: 60.0,  # likewise
        Tick.GROUPS: min(60.0, max(0.5, config.associations.hold_seconds / 2)),
    }
