"""What operators may ask for: requests, and how each is carried out."""

import time

from calwebbd.daemon.control import Answer, Desk, Request, carry_out
from calwebbd.daemon.errors import CommandError


class Revive(Request, frozen=True):
    """Try dead jobs again."""

    jobs: tuple[int, ...]

    @property
    def subject(self) -> str:
        return " ".join(map(str, self.jobs))


@carry_out.register
def _(request: Revive, desk: Desk) -> Answer:
    for job in request.jobs:
        if not desk.store.revive(job, time.time()):
            raise CommandError(f"job {job} is not dead")
    return {"jobs": list(request.jobs)}
