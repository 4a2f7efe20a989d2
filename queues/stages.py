"""Stages that are paused, by an operator or because everything fails there.

The breaker: when jobs for several subjects have failed in a row for the same reason, it is not
the fault of the inputs. The stage is paused; after a while one job is let through, to see whether
it goes again. When it does, the stage goes on; if not, the next is let through later.
"""

import json
from dataclasses import dataclass

from calwebbd.queues.database import Database, Row
from calwebbd.queues.retry import Failure

ALL = "*"


@dataclass(frozen=True)
class Breaker:
    """failures : of so many subjects in a row
    probe_s : until the first probe, doubled up to `longest_s`
    """

    failures: int = 5
    probe_s: float = 300.0
    longest_s: float = 3600.0
    classes: frozenset[Failure] = frozenset({Failure.MISSING, Failure.ERROR, Failure.DISK})


class Stages(Database):
    def pause(self, stage: str, reason: str, now: float) -> None:
        """Claim no job of a stage, or of `ALL`, until it is resumed."""
        with self.transaction():
            self._do("pause", stage=stage, reason=reason, now=now)

    def resume(self, stage: str, now: float) -> list[str]:
        """Go on, whoever paused it; of `ALL`, every one. Says which stages were paused."""
        with self.transaction():
            return [row["name"] for row in self._all("resume", stage=stage, now=now)]

    def paused(self) -> list[Row]:
        return [dict(row) for row in self._all("paused")]

    def stages(self) -> list[str]:
        return [row["name"] for row in self._all("stages") if row["name"] != ALL]

    def strain(
        self, stage: str, subject: str, failure: Failure, reason: str, now: float, breaker: Breaker
    ) -> str:
        """Count a failure; if the stage is paused for it, the reason why, else ``""``."""
        if failure not in breaker.classes:
            return ""
        with self.transaction():
            row = self._all("stage", stage=stage)[0]
            culprits: set[str] = set(json.loads(row["culprits"])) if row["failure"] == failure else set()
            if len(culprits) < breaker.failures:
                culprits.add(subject)
            self._do("strain", stage=stage, failure=failure, culprits=json.dumps(sorted(culprits)))
            self._do("probe_failed", stage=stage, now=now, longest_s=breaker.longest_s)
            if len(culprits) < breaker.failures:
                return ""
            why = f"{len(culprits)} in a row have failed alike: {reason}"
            tripped = self._do("trip", stage=stage, reason=why, now=now, wait_s=breaker.probe_s)
            return why if tripped else ""

    def relax(self, stage: str, now: float) -> bool:
        """Count a success; whether the stage goes on because of it."""
        with self.transaction():
            failure = self._all("stage", stage=stage)[0]["failure"]
            self._do("relax", stage=stage)
            closed = self._do("close", stage=stage, now=now) == 1
            if closed:
                self._do("hasten_alike", stage=stage, failure=failure, now=now)
            return closed
