"""Of the service's work as a whole: failures, progress, latency."""

import math
import re
from collections.abc import Sequence

from calwebbd.daemon.ask.reader import Answer, Reader

#: what an operator does about each class of failure
REMEDIES = {
    "input": "put a good copy under the same name; it is looked at again when it changes",
    "refused": "put a good copy under the same name; it is looked at again when it changes",
    "missing": "bring the reference into the CRDS cache, or wait for a context without it if it is bad; "
    "it is tried again by itself",
    "memory": "raise workers.memory_mb, or run fewer processes; it was tried with more by itself",
    "timeout": "raise workers.timeout_seconds if the exposure is that large",
    "killed": "look for the kernel's out-of-memory killer in its log; it is tried again by itself",
    "lost": "none: the service ended in the middle; it is tried again by itself",
    "error": "a bug: report it with its traceback, in the view `attempts`, column detail",
}
_PARTICULAR = re.compile(r"\S*/\S+|\bjw\d[\w-]*(?:\.\w+)?|\d+(?:\.\d+)?")


class Operations(Reader):
    def failures(self, since: float = 0.0) -> list[Answer]:
        """What went wrong since then, by cause: how often, when first and last, an example, a remedy.

        Failures have one cause if their sentences differ in names and numbers only. `open` counts
        those which are not yet mended.
        """
        causes: dict[tuple[str, str, str], Answer] = {}
        for row in self._all("failures_since", since=since):
            cause = _PARTICULAR.sub("…", row["reason"])
            new = {
                "pipeline": row["pipeline"],
                "failure": row["failure"],
                "cause": cause,
                "count": 0,
                "open": 0,
            }
            new |= {"first": row["at"], "remedy": REMEDIES.get(row["failure"], "")}
            each = causes.setdefault((row["pipeline"], row["failure"], cause), new)
            each["count"] += 1
            each["open"] += row["now"] in ("dead", "quarantined", "ready")
            each |= {
                "last": row["at"],
                "example": {key: row[key] for key in ("subject", "reason", "job", "now")},
            }
        return sorted(causes.values(), key=lambda each: (-each["open"], -each["count"], each["first"]))

    def progress(self, program: str = "") -> list[Answer]:
        """Of each observation: raw exposures, jobs of each pipeline by state, what associations wait for.

        program : its number, all programs if ""
        """
        number = program.zfill(5) if program else ""
        found: dict[tuple[str, str], Answer] = {}
        for row in self._all("progress_of", program=number):
            each = found.setdefault((row["program"], row["observation"]), _nothing(row))
            states = ("done", "running", "ready", "dead")
            each["pipelines"][row["pipeline"]] = {state: row[state] for state in states if row[state]}
        for row in self._all("raw_of", program=number):
            found.setdefault((row["program"], row["observation"]), _nothing(row))["exposures"] = row["n"]
        for row in self._all("refused_of", program=number):
            found.setdefault((row["program"], row["observation"]), _nothing(row))["quarantined"] = row["n"]
        for row in self._all("open_of", program=number):
            key = (row["program"], row["candidate"].removeprefix("o"))
            found.setdefault(key, _nothing(row | {"observation": key[1]}))["waits"].append(
                {"association": row["name"], "reason": row["reason"]}
            )
        return [found[key] for key in sorted(found)]

    def latency(self, since: float = 0.0) -> list[Answer]:
        """Seconds from a file being there to its product's being published, without computing: by pipeline.

        Of each kind of time (see the view): n, median, 90 and 99 of a hundred, longest.
        """
        times: dict[tuple[int, str], list[Sequence[float]]] = {}
        for stage, pipeline, *parts in self._each("latency_since", since=since):
            times.setdefault((stage, pipeline), []).append(parts)
        names = ("wait", "compute", "publish", "overhead")
        return [
            {"pipeline": pipeline, "n": len(rows)}
            | {name: _spread(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
            for (_, pipeline), rows in sorted(times.items())
        ]


def _nothing(row: Answer) -> Answer:
    own = {key: row[key] for key in ("program", "observation")}
    return own | {"exposures": 0, "quarantined": 0, "pipelines": {}, "waits": []}


def _spread(values: Sequence[float]) -> dict[str, float]:
    ranked = sorted(values)
    shares = {"median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(ranked[math.ceil(share * len(ranked)) - 1], 3) for name, share in shares.items()}
