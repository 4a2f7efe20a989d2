"""Prometheus metrics, made from the records whenever they are asked for: nothing is counted in between."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from calwebbd.daemon.ask import Ask
from calwebbd.daemon.config import Config
from calwebbd.daemon.web import vitals
from calwebbd.daemon.web.show import clean

BUCKETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)  #: s
RECENT_S = 86400.0  #: of what the histograms tell
STANDINGS = ("seen", "catalogued", "aliases", "quarantined", "in hand")
Row: TypeAlias = tuple[Any, ...]


class Collector:
    """Of one question; lives as long as its connection."""

    def __init__(self, ask: Ask, config: Config) -> None:
        self._ask = ask
        self._config = config

    def collect(self) -> Iterator[Metric]:
        yield from self._jobs()
        yield from self._attempts()
        yield from self._delays()
        yield from self._holdings()
        yield from self._machine()

    def _jobs(self) -> Iterator[Metric]:
        rows = self._ask.queue_counts()
        of = ["pipeline", "state"]
        yield _gauge("jobs", "Jobs", of, [(row["n"], row["stage"], row["state"]) for row in rows])
        depth = sum(row["n"] for row in rows if row["state"] == "ready")
        yield _gauge("queue_depth", "Jobs that wait, to be begun or to be tried again", value=depth)
        oldest = self._ask.oldest_ready()
        age = time.time() - oldest if oldest else 0.0
        yield _gauge("oldest_ready_seconds", "Age of the oldest job that could be begun", value=age)
        paused = [(1, row["stage"], row["by"]) for row in self._ask.pauses()]
        yield _gauge("paused", "Pipelines that are paused", ["pipeline", "by"], paused)

    def _attempts(self) -> Iterator[Metric]:
        outcomes, failures = self._ask.attempts_by()
        ended = [(row["n"], row["outcome"]) for row in outcomes]
        yield _counter("attempts", "Attempts that have ended", ["outcome"], ended)
        failed = [(row["n"], row["pipeline"], row["failure"]) for row in failures]
        yield _counter("failures", "Attempts that failed", ["pipeline", "failure"], failed)

    def _delays(self) -> Iterator[Metric]:
        rows = self._ask.delays(time.time() - RECENT_S, n=5000)
        for what, help in (
            ("wait", "Of the last day: from the last input of a product to the beginning of its making"),
            ("compute", "Of the last day: making a product"),
        ):
            family = HistogramMetricFamily(f"calwebbd_{what}_seconds", help, labels=["stage"])
            for stage in sorted({row["stage"] for row in rows}):
                values = [row[what] for row in rows if row["stage"] == stage]
                counts = [(str(b), float(sum(v <= b for v in values))) for b in BUCKETS]
                family.add_metric([str(stage)], [*counts, ("+Inf", len(values))], sum(values))
            yield family

    def _holdings(self) -> Iterator[Metric]:
        totals = self._ask.totals()
        files = [(totals["inputs"], "input"), (totals["products"], "product")]
        yield _gauge("files", "Files on record", ["origin"], files)
        yield _gauge("quarantined", "Files in quarantine", value=totals["quarantined"])
        groups = [(totals[state], state) for state in ("open", "fired")]
        yield _gauge("associations", "Associations", ["state"], groups)
        watch = self._ask.watching()
        noticed = [(n, how) for how, n in watch.get("noticed", {}).items()]
        yield _counter("noticed", "How files came to be looked at, since the service began", ["how"], noticed)
        examined = [(n, standing) for standing, n in watch.get("examined", {}).items()]
        yield _counter("examined", "What came of it, since the service began", ["standing"], examined)
        roots = watch.get("roots", [])
        counts = [(root[each], root["folder"], each) for root in roots for each in STANDINGS]
        yield _gauge("watched_files", "Files of the last scan", ["folder", "standing"], counts)
        sums = [(root["adds_up"], root["folder"]) for root in roots]
        yield _gauge("watch_adds_up", "Whether each file of the last scan is accounted for", ["folder"], sums)

    def _machine(self) -> Iterator[Metric]:
        disks = [(d["free"], d["what"]) for d in vitals.disks(self._config) if d["free"] is not None]
        yield _gauge("disk_free_bytes", "Of the disks that are written to", ["folder"], disks)
        available = vitals.memory()["available"]
        yield _gauge("memory_available_bytes", "Of the machine", value=available)
        pulse, at, now = self._ask.pulse(), vitals.refreshed(self._ask), time.time()
        if pulse:
            silent = now - pulse["at"]
            yield _gauge("heard_seconds_ago", "Since the service told that it lives", value=silent)
        workers = [(each["mb"] * 2**20, each["job"]) for each in pulse.get("jobs", []) if each["mb"]]
        yield _gauge("worker_bytes", "Memory of the jobs in hand", ["job"], workers)
        if at:
            yield _gauge("context_refreshed_seconds_ago", "Since contexts were refreshed", value=now - at)
        context = self._ask.setting("context") or ""
        yield _gauge("context_info", "The context in force", ["context"], [(1, context)])


def registry(ask: Ask, config: Config) -> CollectorRegistry:
    found = CollectorRegistry(auto_describe=False)
    found.register(Collector(ask, config))
    return found


def _gauge(
    name: str, help: str, labels: Sequence[str] = (), rows: Iterable[Row] = (), value: float | None = None
) -> Metric:
    """Of each row its value and those of the labels; without labels one value."""
    family = GaugeMetricFamily(f"calwebbd_{name}", help, labels=labels)
    for number, *of in rows if value is None else [(value,)]:
        family.add_metric([clean(each) for each in of], float(number))
    return family


def _counter(name: str, help: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    family = CounterMetricFamily(f"calwebbd_{name}", help, labels=labels)
    for number, *of in rows:
        family.add_metric([clean(each) for each in of], float(number))
    return family
