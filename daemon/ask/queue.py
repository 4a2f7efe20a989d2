"""Of the queue: dead letters, stages that are paused, what a product was made of and how."""

import json
from collections.abc import Iterable
from pathlib import Path

from calwebbd.daemon.ask.reader import Answer, Reader, Unknown, asked
from calwebbd.stages.names import split_suffix


class Queue(Reader):
    def letters(self) -> list[Answer]:
        """Dead jobs: each with its last reason, how often and with how much it was tried."""
        return self._all("letters")

    def letter(self, job: int) -> Answer:
        """One job with all its attempts and their tracebacks. Raises Unknown."""
        rows = self._all("job", id=job)
        if not rows:
            raise Unknown(f"there is no job {job}")
        answer = rows[0]
        payload = json.loads(answer.pop("payload"))
        inputs = [source["path"] for source in payload.get("inputs", [])]
        return answer | {"inputs": inputs, "attempts": self._all("attempts_of", id=job)}

    def pauses(self) -> list[Answer]:
        return self._all("pauses")

    def refused_paths(self, file: str) -> list[str]:
        return [row["path"] for row in self._all("refused_paths", **asked(file))]

    def lost(self, jobs: Iterable[int]) -> list[int]:
        """Which of these jobs have made current products that are no longer there."""
        rows = self._all("makers_of", jobs=json.dumps(list(jobs)))
        return sorted({row["job"] for row in rows if not Path(row["path"]).exists()})

    def groups_called(self, name: str) -> list[str]:
        """Associations by their name (``image3:jw…``), that of the product, or of a file it makes."""
        for asked_for in (name, split_suffix(name)[0]):
            found = [row["name"] for row in self._all("groups_called", name=asked_for)]
            if found:
                return found
        return []

    def recipe(self, product: str) -> Answer:
        """What the latest attempt that made a product was asked, and all that it made. Raises Unknown."""
        for found in self._find(product):
            for row in self._all("payload_of", entity=found["sha256"]):
                made = self._all("made_by", activity=row["activity"])
                return row | {"product": found["path"], "sha256": found["sha256"], "made": made}
        raise Unknown(f"{product} was not made by this service")

    def holders(self, sha256: str) -> list[str]:
        """Paths that hold this content, if they have not changed since."""
        return [row["path"] for row in self._all("holders_of", entity=sha256)]
