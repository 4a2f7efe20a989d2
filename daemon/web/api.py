"""The questions as JSON: what the verbs answer with ``--json``."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from calwebbd.daemon.ask import Ask, Unknown
from calwebbd.daemon.ask.board import PAGE
from calwebbd.daemon.commands.asking import moment
from calwebbd.daemon.web import metrics as numbers
from calwebbd.daemon.web import vitals
from calwebbd.daemon.web.desk import Unready, desk_of, page_of
from calwebbd.daemon.web.show import clean

Question = Callable[[Ask, Request], Any]


class Unclear(Exception):
    """A question that cannot be answered as it is put."""


def _name(ask: Ask, request: Request) -> str:
    """A file by its name, or by a path that is on record: no other is even looked at."""
    name: str = request.path_params["name"]
    if "\0" in name or ("/" in name and not ask.knows(name)):
        raise Unknown(f"{clean(name)} is not on record; ask by name alone")
    return name


def _since(request: Request) -> float:
    """Of the last day, unless another time is asked for."""
    text = request.query_params.get("since", "1d")
    try:
        return moment(text)
    except ValueError as error:
        raise Unclear(
            f"since={clean(text)[:80]} is no time: 2026-11-22T03:00, or how long ago, as 12h"
        ) from error


def _diff(ask: Ask, request: Request) -> Any:
    one, other = (request.query_params.get(key, "") for key in ("one", "other"))
    for each in (one, other):
        path = each.rpartition("@")[0] if "@" in each else each
        if not each or "\0" in each or ("/" in each and not ask.knows(path)):
            raise Unclear("one= and other= name two products, with @N for a version")
    return ask.diff(one, other)


def _page(rows: tuple[int, list[Any]], request: Request) -> Any:
    return {"count": rows[0], "page": page_of(request), "of": PAGE, "rows": rows[1]}


#: by the last part of the address; with NAME, by that before it
QUESTIONS: dict[str, Question] = {
    "status": lambda ask, _: ask.status(),
    "board": lambda ask, _: ask.board(),
    "quarantine": lambda ask, _: ask.quarantine(),
    "stale": lambda ask, _: ask.stale(),
    "failures": lambda ask, request: ask.failures(_since(request)),
    "dead": lambda ask, request: _page(ask.dead_letters(page_of(request)), request),
    "progress": lambda ask, request: ask.progress(request.query_params.get("program", "")),
    "latency": lambda ask, request: ask.latency(_since(request)),
    "diff": _diff,
    "search": lambda ask, request: ask.found(request.query_params.get("q", "")[:200]),
}
NAMED: dict[str, Question] = {
    "where": lambda ask, request: ask.where(_name(ask, request)),
    "why": lambda ask, request: ask.why(_name(ask, request)),
    "lineage": lambda ask, request: ask.lineage(_name(ask, request)),
    "uses": lambda ask, request: ask.uses(_name(ask, request)),
    "versions": lambda ask, request: ask.versions(_name(ask, request)),
}


def answer(request: Request) -> Response:
    desk = desk_of(request)
    named = "name" in request.path_params
    question = (NAMED if named else QUESTIONS).get(request.path_params["question"])
    if question is None:
        return told({"error": "there is no such question", "questions": sorted({*QUESTIONS, *NAMED})}, 404)
    try:
        with desk.ask() as ask:
            return told(question(ask, request))
    except Unknown as error:
        return told({"error": str(error)}, 404)
    except Unclear as error:
        return told({"error": str(error)}, 400)


def health(request: Request) -> Response:
    """200 if all is well, else 503; either way with the reasons."""
    desk = desk_of(request)
    try:
        with desk.ask() as ask:
            found = vitals.health(ask, desk.config)
    except Unready as error:
        found = {"ok": False, "reasons": [str(error)], "notes": []}
    return told(found, 200 if found["ok"] else 503)


def metrics(request: Request) -> Response:
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    desk = desk_of(request)

    def find() -> bytes:
        with desk.ask() as ask:
            return generate_latest(numbers.registry(ask, desk.config))

    return Response(desk.kept("metrics", find), media_type=CONTENT_TYPE_LATEST)


def told(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(_sendable(value)) + b"\n", status, media_type="application/json")


def _sendable(value: Any) -> Any:
    """Names of files may hold what is no Unicode."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(key): _sendable(each) for key, each in value.items()}
        case list() | tuple():
            return [_sendable(each) for each in value]
    return value
