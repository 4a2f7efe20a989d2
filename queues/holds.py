"""Jobs that are held: they are in the queue, so that whoever needs their product waits for it, but do not
stand in line before they are let go. Meanwhile what they take may still be completed."""

from calwebbd.queues.database import Database
from calwebbd.queues.job import NewJob


class Holds(Database):
    def hold(self, job_id: int, reason: str, now: float) -> bool:
        """Take a READY job out of the line; False if it is not READY."""
        with self.transaction():
            return self._do("hold", id=job_id, reason=reason, now=now) == 1

    def let_go(self, job_id: int, now: float, reason: str = "") -> bool:
        """Put a job that is held into the line; False if it is not."""
        with self.transaction():
            return self._do("let_go", id=job_id, reason=reason, now=now) == 1

    def amend(self, job_id: int, job: NewJob) -> None:
        """Give a READY job what it was still to be given: another key and payload."""
        with self.transaction():
            self._do("amend", id=job_id, key=job.key, payload=job.payload)
