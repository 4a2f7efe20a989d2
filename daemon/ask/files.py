"""Of files and of the whole service: what is there, and how far it has come."""

import json
import time

from calwebbd.daemon.ask.reader import Answer, Reader, Unknown, asked
from calwebbd.daemon.heartbeat import NAME as HEARTBEAT
from calwebbd.daemon.heartbeat import STALE_S
from calwebbd.stages.names import split_suffix


class Files(Reader):
    def status(self) -> Answer:
        """Counts by stage and state, what runs, what died, which associations wait and why.

        Of associations that wait no longer, the latest ones.
        """
        jobs: dict[str, dict[str, int]] = {}
        for row in self._all("jobs"):
            jobs.setdefault(row["stage"], {})[row["state"]] = row["n"]
        return {
            "service": self._service(time.time()),
            "context": self._setting("context"),
            "files": {row["kind"]: row["n"] for row in self._all("files")},
            "jobs": jobs,
            "in_hand": self._all("in_hand"),
            "held": self._all("held"),
            "later": self._all("tried_later", now=time.time()),
            "dead": self._all("dead"),
            "associations": self._all("groups"),
            "quarantined": len(self._all("quarantined")),
            "awaited": self._all("awaited"),
            "watch": json.loads(self._setting("watch") or "{}"),
            "paused": self._all("pauses"),
            "intake": self._setting("intake") or "",
            "cluster": json.loads(self._setting(HEARTBEAT) or "{}").get("cluster", {}),
        }

    def _service(self, now: float) -> Answer:
        """Whether it runs: ``running``, ``stopped``, ``silent`` or ``never``; since when, and why."""
        for row in self._all("service", heartbeat=HEARTBEAT):
            if row["what"] == "stop":
                return {"state": "stopped", "since": row["at"], "why": row["why"]}
            heard = max(row["at"], row["heard"] or 0.0)
            if now - heard > STALE_S:
                return {"state": "silent", "since": heard, "why": "it does not run, or hangs"}
            return {"state": "running", "since": row["at"], "why": ""}
        return {"state": "never", "since": None, "why": "its log says what it lacks"}

    def quarantine(self) -> list[Answer]:
        """Files that cannot be used, each with its reason."""
        return self._all("quarantined")

    def where(self, file: str) -> Answer:
        """State of one file, what it went through, what waits for it, what was made of it.

        file : a path, or a name alone. Raises Unknown.
        """
        found, refused = self._all("find", **asked(file)), self._all("refused", **asked(file))
        if found:  # of several files of this name, the one that is of use
            refused = [row for row in refused if row["path"] == found[0]["path"]]
        if not found and not refused:
            for row in self._all("awaited_like", **asked(file)):
                return {"file": row["path"], "state": "awaited", "reason": f"{row['manifest']} names it"}
            if self._all("group_named", name=file):
                raise Unknown(f"{file} is an association: `calwebbd why {file}` tells of it")
            raise Unknown(f"{file} has not been seen{self._unseen(file)}")
        answer: Answer = {"file": (found or refused)[0]["path"]}
        if refused:
            answer |= {"state": "quarantined", "reason": refused[0]["reason"]}
        if not found:
            return answer
        best = found[0]
        jobs = self._all("jobs_of", entity=best["sha256"])
        answer = {"state": _state(jobs), "reason": best["note"]} | answer
        return answer | {
            "kind": best["kind"],
            "sha256": best["sha256"],
            "origin": best["origin"],
            "jobs": jobs,
            "associations": self._groups_with(split_suffix(best["name"])[0]),
            "products": self._all("descendants", entity=best["sha256"]),
        }


def _state(jobs: list[Answer]) -> str:
    """Of the jobs that take a file, the one that matters most to whoever asks."""
    states = {job["state"] for job in jobs}
    order = ("dead", "running", "publishing", "ready", "done")
    return next((state for state in order if state in states), "catalogued")
