"""What the web page asks: a screenful at a time, quick however much is on record."""

import json
from collections.abc import Sequence
from typing import Any

from calwebbd.daemon.ask.reader import Answer, Reader, Unknown
from calwebbd.daemon.heartbeat import NAME as HEARTBEAT

PAGE = 50  #: rows


class Board(Reader):
    def pulse(self) -> Answer:
        """The service as it last told of itself: at, jobs in hand with their steps; empty if it never did."""
        for row in self._all("since_when", name=HEARTBEAT):
            return {"at": row["at"], **json.loads(row["value"])}
        return {}

    def board(self) -> Answer:
        """Counts, the queue, what runs at which step, what is next, what is paused."""
        queue: dict[str, dict[str, int]] = {}
        for row in self._all("queue"):
            queue.setdefault(row["stage"], {})[row["state"]] = row["n"]
        pulse = self.pulse()
        steps = {each["job"]: each for each in pulse.get("jobs", [])}
        hands = [row | {"step": "", "mb": None} | steps.get(row["id"], {}) for row in self._all("hands")]
        heads = [
            row for each in self._all("pipelines") for row in self._all("heads", stage=each["name"], n=4)
        ]
        return {
            "pulse": pulse,
            "context": self._setting("context"),
            "code": self._setting("code"),
            "watch": self.watching(),
            "totals": self._all("totals")[0],
            "queue": queue,
            "hands": hands,
            "heads": heads,
            "later": self._all("later", n=8),
            "pauses": self._all("pauses"),
        }

    def finished(self, n: int = 12) -> list[Answer]:
        """The latest attempts, the last first."""
        return self._all("finished", n=n)

    def decisions(self, n: int = 12) -> list[Answer]:
        """The latest, the last first."""
        return self._all("latest_decisions", n=n)

    def throughput(self, since: float, width: float, slots: int) -> list[dict[int, int]]:
        """Attempts that ended well in each slot of so many seconds, by stage."""
        found: list[dict[int, int]] = [{} for _ in range(slots)]
        until = since + width * slots
        for row in self._all("throughput", since=since, width=width, until=until):
            found[row["slot"]][row["stage"]] = row["n"]
        return found

    def first_ended(self, since: float) -> float | None:
        """When the first attempt since then ended well."""
        found: float | None = self._all("first_ended", since=since)[0]["at"]
        return found

    def delays(self, since: float, n: int = 1000) -> list[Answer]:
        """Of the latest attempts that ended well: when, its stage, seconds of waiting and of computing."""
        begun = self._all("begun")[0]["at"] or 0.0
        return self._all("delays", since=since, n=n, begun=begun)

    def totals(self) -> Answer:
        """Files, quarantine, associations."""
        return self._all("totals")[0]

    def oldest_ready(self) -> float | None:
        """Since when the oldest job that could be begun has been there."""
        found: float | None = self._all("oldest_ready")[0]["at"]
        return found

    def watching(self) -> Answer:
        """How the watched folders do, as `Audit.told` has it; empty before the first scan."""
        found: Answer = json.loads(self._setting("watch") or "{}")
        return found

    def setting(self, name: str) -> str | None:
        return self._setting(name)

    def attempts_by(self) -> tuple[list[Answer], list[Answer]]:
        """Attempts by outcome; failures by pipeline and class."""
        return self._all("outcomes"), self._all("failure_counts")

    def queue_counts(self) -> list[Answer]:
        return self._all("queue")

    def dead_letters(self, page: int = 1) -> tuple[int, list[Answer]]:
        """How many there are, and those of one page."""
        return self._all("dead_count")[0]["n"], self._all("dead_page", **_page(page))

    def quarantine_page(self, page: int = 1) -> tuple[int, list[Answer]]:
        return self.totals()["quarantined"], self._all("quarantine_page", **_page(page))

    def associations(self, state: str, page: int = 1) -> list[Answer]:
        """Open or fired, the latest first."""
        return self._all("gatherings_page", state=state, **_page(page))

    def association(self, name: str) -> Answer:
        """One, with its members. Raises Unknown."""
        for row in self._all("gathering", name=name):
            return row | {"members": self._all("gathering_members", name=name)}
        raise Unknown(f"there is no association {name}")

    def exposures(self, begin: str = "", page: int = 1) -> tuple[int, list[Answer]]:
        """Raw exposures, the latest first, or those whose name begins so; each with its state and header."""
        if begin:
            pattern = glob_literal(begin) + "*"
            count = self._all("inputs_like_count", pattern=pattern)[0]["n"]
            rows = self._all("inputs_like", pattern=pattern, **_page(page))
        else:
            count, rows = self.totals()["inputs"], self._all("inputs_page", **_page(page))
        for row in rows:
            row["header"] = json.loads(row["header"])
            row |= self._standing(row["path"], row["sha256"])
        return count, rows

    def found(self, text: str, n: int = 40) -> Answer:
        """Names of files and of associations that begin with, or else contain, a text."""
        part = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        files = self._all("search_files", pattern=glob_literal(text) + "*", n=n)
        if not files:
            files = self._all("search_inside", part=part, n=n)
        refused = self._all("search_quarantine", part=part, n=n)
        return {
            "files": [row["name"] for row in files],
            "quarantined": [row["name"] for row in refused],
            "associations": self._all("search_gatherings", part=part, n=n),
        }

    def program(self, number: str) -> dict[str, dict[str, int]]:
        """Of each observation of a program, "" for what is of several: files by kind, as their names tell.

        number : five digits
        """
        found: dict[str, dict[str, int]] = {}
        for row in self._all("names_of", pattern=f"jw{number}*"):
            name: str = row["name"]
            if name.endswith((".fits", ".ecsv")):
                observation = name[7:10] if name[7:10].isdecimal() else ""
                kind = name.rpartition(".")[0].rpartition("_")[2]
                kinds = found.setdefault(observation, {})
                kinds[kind] = kinds.get(kind, 0) + 1
        return dict(sorted(found.items()))

    def header(self, sha256: str) -> dict[str, Any]:
        """Keywords of a content that were catalogued."""
        for row in self._all("header_of", entity=sha256):
            found: dict[str, Any] = json.loads(row["header"])
            return found
        return {}

    def picture(self, sha256: str) -> str | None:
        """Path of a published picture."""
        return next((row["path"] for row in self._all("picture", entity=sha256)), None)

    def product_at(self, path: str) -> Answer | None:
        return next(iter(self._all("beside", path=path)), None)

    def made_of(self, sha256: str) -> list[Answer]:
        """All that was made of a content, directly or not; see `uses`."""
        return self._all("made_with", entity=sha256)

    def knows(self, path: str) -> bool:
        """Whether just this path is on record."""
        return bool(self._all("is_known", path=path))

    def job(self, id: int) -> Answer:
        """One job with its attempts and inputs. Raises Unknown."""
        for row in self._all("job_told", id=id):
            more = {"attempts": self._all("attempts_in_full", job=id)}
            return row | more | {"inputs": self._all("inputs_of_job", job=id)}
        raise Unknown(f"there is no job {id}")

    def _standing(self, path: str, sha256: str) -> Answer:
        for row in self._all("refused_name", path=path):
            return {"state": "quarantined", "pipeline": "", "reason": row["reason"]}
        nothing = {"state": "catalogued", "pipeline": "", "reason": ""}
        return next(iter(self._all("state_of", entity=sha256)), nothing)


def glob_literal(text: str) -> str:
    """For GLOB, which has no escape but a set of one."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Median, and 90 of a hundred."""
    ranked = sorted(values)
    return ranked[len(ranked) // 2], ranked[min(len(ranked) - 1, int(0.9 * len(ranked)))]


def _page(page: int) -> dict[str, int]:
    return {"n": PAGE, "skip": PAGE * (page - 1)}
