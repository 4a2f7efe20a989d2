"""What operators may ask for: requests, and how each is carried out."""

import time
from collections.abc import Iterable
from fnmatch import fnmatchcase

from calwebbd.daemon.ask import Ask, Unknown
from calwebbd.daemon.control import Answer, Desk, Request, carry_out
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.route import STAGES
from calwebbd.queues.job import Job, State
from calwebbd.queues.stages import ALL
from calwebbd.stages.names import split_suffix


class Pause(Request, frozen=True):
    """Begin no job of a stage, or of ``*``; those that run end."""

    stage: str

    @property
    def subject(self) -> str:
        return self.stage


class Resume(Request, frozen=True):
    """Go on with a stage, or with all, whoever paused them."""

    stage: str

    @property
    def subject(self) -> str:
        return self.stage


class Revive(Request, frozen=True):
    """Try dead or dropped jobs again.

    jobs : these; or, if there are none, all dead ones whose reason matches `reason`
    """

    jobs: tuple[int, ...] = ()
    reason: str = "*"

    @property
    def subject(self) -> str:
        return _named(self.jobs) or f"reason {self.reason}"


class Drop(Request, frozen=True):
    """Give up dead jobs: they are no longer listed."""

    jobs: tuple[int, ...]

    @property
    def subject(self) -> str:
        return _named(self.jobs)


class Cancel(Request, frozen=True):
    """Give up a job that waits or runs."""

    job: int

    @property
    def subject(self) -> str:
        return _named((self.job,))


class Retry(Request, frozen=True):
    """Try again, now, whatever did not go well with a file."""

    file: str

    @property
    def subject(self) -> str:
        return self.file


class Priority(Request, frozen=True):
    """Put all jobs of a program before those of others, or behind them; 0 is usual."""

    program: str
    boost: int

    @property
    def subject(self) -> str:
        return f"program {self.number} {self.boost:+d}"

    @property
    def number(self) -> str:
        return self.program.zfill(5)


class Reload(Request, frozen=True):
    """Read the configuration again."""


class Release(Request, frozen=True):
    """Make an association's product without the missing members, an exposure's before its predecessor's."""

    association: str

    @property
    def subject(self) -> str:
        return self.association


class Note(Request, frozen=True):
    """What an operator did elsewhere: a backup, a replay."""

    what: str
    about: str

    @property
    def verb(self) -> str:
        return self.what

    @property
    def subject(self) -> str:
        return self.about


@carry_out.register
def _pause(request: Pause, desk: Desk) -> Answer:
    _check_stage(request.stage)
    desk.store.pause(request.stage, request.why, time.time())
    return {"paused": request.stage}


@carry_out.register
def _resume(request: Resume, desk: Desk) -> Answer:
    _check_stage(request.stage)
    resumed = desk.store.resume(request.stage, time.time())
    if not resumed and any(row["name"] == ALL for row in desk.store.paused()):
        raise CommandError(f"all stages are paused: {request.stage} cannot be resumed by itself")
    return {"resumed": resumed}


@carry_out.register
def _revive(request: Revive, desk: Desk) -> Answer:
    if request.jobs:
        jobs = [_job(desk, number) for number in request.jobs]
    else:
        jobs = [job for job in desk.store.dead() if fnmatchcase(job.reason, request.reason)]
    for job in jobs:
        if not desk.store.revive(job.id, time.time()) and request.jobs:
            why = (
                f"it is {job.state}"
                if job.state not in (State.DEAD, State.DROPPED)
                else "a newer one makes it"
            )
            raise CommandError(f"job {job.id} ({job.subject}) cannot be tried again: {why}")
    return {"retried": [job.id for job in jobs if desk.store.get(job.id).state is State.READY]}


@carry_out.register
def _drop(request: Drop, desk: Desk) -> Answer:
    for number in request.jobs:
        job = _job(desk, number)
        if job.state is not State.DEAD:
            raise CommandError(f"job {job.id} ({job.subject}) is {job.state}, not dead")
        desk.dispatch.dropped(job, _because("dropped", request.why), time.time())
    return {"dropped": list(request.jobs)}


@carry_out.register
def _cancel(request: Cancel, desk: Desk) -> Answer:
    job = _job(desk, request.job)
    if job.state not in (State.READY, State.RUNNING):
        raise CommandError(f"job {job.id} ({job.subject}) is {job.state}: it neither waits nor runs")
    reason = _because("cancelled", request.why)
    if desk.workshop is None:
        desk.dispatch.dropped(job, reason, time.time())
    else:
        desk.workshop.cancel(job, reason)
    return {"cancelled": job.id, "subject": job.subject, "was": job.state}


@carry_out.register
def _retry(request: Retry, desk: Desk) -> Answer:
    ask, now = Ask(desk.store.connection), time.time()
    try:
        known = ask.why(request.file)
    except Unknown as error:
        raise CommandError(str(error)) from error
    numbers = [row["id"] for row in known["jobs"]]
    begun = [n for n in numbers if desk.store.revive(n, now) or desk.store.hasten(n, now)]
    begun += [n for n in ask.lost(numbers) if desk.dispatch.make_again(n, now, "its product is gone")]
    released = [path for path in ask.refused_paths(request.file) if desk.records.release(path)]
    if not begun and not released:
        states = ", ".join(f"job {row['id']} is {row['state']}" for row in known["jobs"]) or "no job takes it"
        raise CommandError(f"{request.file}: there is nothing to try again: {states}")
    if released:
        desk.scan()
    return {"retried": begun, "looked_at_again": released}


@carry_out.register
def _priority(request: Priority, desk: Desk) -> Answer:
    if not request.program.isdecimal():
        raise CommandError(f"{request.program!r} is no number of a program")
    desk.store.boost(request.number, request.boost, time.time())
    return {"program": request.number, "priority": request.boost}


@carry_out.register
def _release(request: Release, desk: Desk) -> Answer:
    exposure = split_suffix(request.association)[0]
    if desk.dispatch.release_exposure(exposure, time.time()):
        return {"released": exposure, "reason": "it waits for no predecessor"}
    names = Ask(desk.store.connection).groups_called(request.association)
    if len(names) != 1:
        known = f"may be {', '.join(names)}" if names else "is not known"
        raise CommandError(f"the association {request.association} {known}")
    refused = desk.dispatch.release(names[0], time.time())
    if refused:
        raise CommandError(f"{names[0]} cannot be released: {refused}")
    return {"released": names[0], "reason": desk.store.group(names[0]).reason}


@carry_out.register
def _note(request: Note, desk: Desk) -> Answer:
    return {}


@carry_out.register
def _reload(request: Reload, desk: Desk) -> Answer:
    if desk.reload is None:
        raise CommandError("no service runs with this configuration")
    return {"changed": desk.reload()}


def _check_stage(stage: str) -> None:
    if stage != ALL and stage not in STAGES:
        raise CommandError(f"{stage!r} is no stage: it is all, or one of {', '.join(STAGES)}")


def _job(desk: Desk, number: int) -> Job:
    try:
        return desk.store.get(number)
    except KeyError:
        raise CommandError(f"there is no job {number}") from None


def _because(what: str, why: str) -> str:
    return f"{what} by an operator" + (f": {why}" if why else "")


def _named(jobs: Iterable[int]) -> str:
    return ", ".join(f"job {number}" for number in jobs)
