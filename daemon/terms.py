"""What all jobs have in common, as the configuration says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from calwebbd.daemon.config import Config, Persistence, Rule
from calwebbd.daemon.route import estimate_mb
from calwebbd.queues.groups import Clocks, Partial
from calwebbd.queues.stages import Breaker
from calwebbd.stages import plugins

OWN_FILES = {"persistence_array_file", "save_persistence"}


@dataclass(frozen=True)
class Terms:
    """What all jobs put from now on have in common."""

    output: Path
    context: str
    code: str
    budget_mb: int
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    quicklook: bool = False
    sidecars: bool = False
    level3: bool = True
    clocks: Clocks = field(default_factory=lambda: Clocks(hold_s=5.0, quiet_s=600.0, hard_s=72 * 3600.0))
    partial: Mapping[str, Partial] = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)
    persistence: Persistence = field(default_factory=Persistence)
    estimate: Callable[[str, Sequence[Mapping[str, Any]]], int] = estimate_mb

    def clocks_of(self, group: str, header: Mapping[str, Any]) -> Clocks:
        """Of a group by its name, which begins with its type, and by what is known of its members."""
        partial = self.partial.get(group.partition(":")[0])
        for rule in self._concerning(header):
            partial = rule.partial or partial
        return replace(self.clocks, partial=partial)

    def priority_for(self, header: Mapping[str, Any]) -> int:
        """That of the last rule for such exposures that has one; 0 is usual."""
        found = [rule.priority for rule in self._concerning(header) if rule.priority is not None]
        return found[-1] if found else 0

    def _concerning(self, header: Mapping[str, Any]) -> Iterator[Rule]:
        return (rule for rule in self.rules if rule.concerns(header))

    def rules_for(self, header: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
        """Parameters that the site sets for such exposures, by the name of their rule."""
        return {rule.name: rule.steps for rule in self._concerning(header) if rule.steps}

    def chained(self, header: Mapping[str, Any]) -> bool:
        """Whether such an exposure takes its turn among those of its detector, see daemon/timeorder.py."""
        own = self._persistence(header)
        if self.persistence.chain == "off" or OWN_FILES & own.keys():  # or the site hands on by itself
            return False
        return self.persistence.chain == "on" or own.get("skip") is False

    def look_back(self, header: Mapping[str, Any]) -> float:
        """After so many seconds nothing remains of an exposure before."""
        lasting = self._persistence(header).get("persistence_time")
        most = self.persistence.look_back_hours * 3600.0
        return min(most, float(lasting)) if isinstance(lasting, int | float) and lasting > 0 else most

    @property
    def patience_s(self) -> float:
        """For which an exposure waits for a predecessor that has not come, or fails."""
        return self.persistence.patience_seconds

    def _persistence(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of this step that the site sets."""
        own = dict(self.steps.get("persistence", {}))
        for steps in self.rules_for(header).values():
            own |= steps.get("persistence", {})
        return own


def terms(config: Config, context: str) -> Terms:
    """What the configuration says of them."""
    waits, queue, workers = config.associations, config.queue, config.workers
    return Terms(
        output=config.folders.output,
        context=context,
        code=plugins.code(),
        budget_mb=workers.budget_mb,
        steps=config.steps,
        rules=config.rules,
        quicklook=config.products.quicklook,
        sidecars=config.products.sidecars,
        level3=waits.level3,
        clocks=Clocks(waits.hold_seconds, waits.quiet_seconds, waits.hard_seconds),
        partial=waits.partial,
        breaker=Breaker(queue.failures, queue.probe_seconds),
        persistence=config.persistence,
        estimate=partial(estimate_mb, threads=workers.threads, mosaic_mb=workers.mosaic_mb),
    )
