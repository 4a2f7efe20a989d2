"""The pages: each asks the records and fills a template. Run in threads, so that none waits for another."""

import re
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from calwebbd.daemon.ask.board import spread
from calwebbd.daemon.web import files, svg, vitals
from calwebbd.daemon.web.desk import Desk, Paging, desk_of, page_of
from calwebbd.daemon.web.show import href
from calwebbd.queues.groups import Clocks, Group, Member, Partial, judge

SLOTS = 24  #: of plots
WIDTHS = {60.0: "minute", 300.0: "five minutes", 3600.0: "hour"}  #: s
LONGEST = max(WIDTHS)
STAGES = (1, 2, 3)
NAMES = ("stage 1", "stage 2", "stage 3")


def overview(request: Request) -> Response:
    desk = desk_of(request)

    def find() -> dict[str, Any]:
        with desk.ask() as ask:
            board = ask.board()
            return {"board": board, "finished": ask.finished(), "health": vitals.health(ask, desk.config)}

    found = desk.kept("overview", find)
    plots = desk.kept("plots", lambda: _plots(desk), 30.0)
    machine = {"disks": vitals.disks(desk.config), "memory": vitals.memory(), "load": vitals.load()}
    return desk.page(request, "overview.html", **found, plots=plots, machine=machine)


def _plots(desk: Desk) -> dict[str, Any]:
    """What was made, and how long it took: of the last day, or of less where there is no more."""
    now = time.time()
    with desk.ask() as ask:
        age = now - (ask.first_ended(now - SLOTS * LONGEST) or now)
        width = next((each for each in WIDTHS if age < (SLOTS - 1) * each), LONGEST)
        since = (now // width - SLOTS + 1) * width
        made, delays = ask.throughput(since, width, SLOTS), ask.delays(since)
    labels = [time.strftime("%H:%M", time.gmtime(since + i * width)) for i in range(SLOTS)]
    slots = [[slot.get(stage, 0) for stage in STAGES] for slot in made]
    medians: list[list[float | None]] = [[None] * SLOTS for _ in range(2)]
    for i in range(SLOTS):
        rows = [row for row in delays if int((row["ended"] - since) // width) == i]
        for k, what in enumerate(("wait", "compute")):
            medians[k][i] = spread([row[what] for row in rows])[0] if rows else None
    table = [(labels[i], sum(slot), medians[0][i], medians[1][i]) for i, slot in enumerate(slots)]
    per = WIDTHS[width]
    return {
        "throughput": svg.bars(slots, NAMES, labels, f"Products per {per} (UTC)", f"products per {per}"),
        "latency": svg.lines(medians, labels, f"Median waiting and computing per {per} (UTC)", "seconds"),
        "table": [row for row in table if row[1]],
    }


def exposures(request: Request) -> Response:
    desk, page = desk_of(request), page_of(request)
    begin = request.query_params.get("begins", "").strip()[:200]
    with desk.ask() as ask:
        count, rows = ask.exposures(begin, page)
    return desk.page(request, "exposures.html", rows=rows, paging=Paging(page, count), begin=begin)


def associations(request: Request) -> Response:
    desk, page = desk_of(request), page_of(request)
    state = "fired" if request.query_params.get("state") == "fired" else "open"
    with desk.ask() as ask:
        totals, rows = ask.totals(), ask.associations(state, page)
    paging = Paging(page, totals[state])
    return desk.page(request, "associations.html", rows=rows, paging=paging, state=state, totals=totals)


def association(request: Request) -> Response:
    desk, name = desk_of(request), request.path_params["name"]
    with desk.ask() as ask:
        row = ask.association(name)
        product = name.partition(":")[2]
        mosaic = files.mosaic_named(ask, product, desk.config.folders.output)
    return desk.page(
        request, "association.html", row=row, clock=clock(row, desk), mosaic=mosaic, product=product
    )


def clock(row: dict[str, Any], desk: Desk) -> dict[str, Any]:
    """What an association waits for: the verdict of its clocks, and when they will have run out."""
    settings = desk.config.associations
    partial = settings.partial.get(row["name"].partition(":")[0])
    clocks = Clocks(settings.hold_seconds, settings.quiet_seconds, settings.hard_seconds, partial)
    members = tuple(
        Member(**{key: m[key] for key in ("name", "facts", "value", "failed")}) for m in row["members"]
    )
    fields = {key: row[key] for key in ("name", "state", "version", "payload", "reason", "missing")}
    fields |= {key: row[key] for key in ("opened_at", "changed_at", "stood_since")}
    fields |= {key: bool(row[key]) for key in ("listed", "complete", "busy")}
    group = Group(**fields, members=members)
    verdict = judge(group, clocks, time.time())
    if group.stood_since is not None:
        verdict = verdict.stopped()
    return {
        "reason": verdict.reason,
        "at": verdict.at if row["state"] == "open" else None,
        "quiet": row["changed_at"] + clocks.quiet_s,
        "hard": row["opened_at"] + clocks.hard_s,
        "listed": group.listed,
        "none": clocks.partial is Partial.NEVER or (group.listed and clocks.partial is None),
        "stands": verdict.stands,
    }


def quarantine(request: Request) -> Response:
    desk, page = desk_of(request), page_of(request)
    with desk.ask() as ask:
        count, rows = ask.quarantine_page(page)
    return desk.page(request, "quarantine.html", rows=rows, paging=Paging(page, count))


def failures(request: Request) -> Response:
    desk, page = desk_of(request), page_of(request)
    with desk.ask() as ask:
        count, dead = ask.dead_letters(page)
        causes = desk.kept("causes", lambda: ask.failures(time.time() - 7 * 86400.0), 10.0)
    return desk.page(request, "failures.html", dead=dead, causes=causes[:100], paging=Paging(page, count))


def job(request: Request) -> Response:
    desk = desk_of(request)
    with desk.ask() as ask:
        row = ask.job(min(request.path_params["id"], 2**62))
    return desk.page(request, "job.html", row=row)


def search(request: Request) -> Response:
    desk, text = desk_of(request), request.query_params.get("q", "").strip()[:200]
    program = re.fullmatch(r"(?:jw)?0*(\d{1,5})", text.lower())
    found: dict[str, Any] = {"files": [], "quarantined": [], "associations": []}
    if text:
        with desk.ask() as ask:
            found = ask.found(text)
            known = bool(program) and bool(ask.program(program[1].zfill(5))) if program else False
        if known and program:
            return RedirectResponse(href("program", program[1].zfill(5)), 303)
        names = {*found["files"], *found["quarantined"]}
        if len(names) == 1 and not found["associations"]:
            return RedirectResponse(href("file", names.pop()), 303)
    return desk.page(request, "search.html", text=text, found=found)


def program(request: Request) -> Response:
    desk, number = desk_of(request), request.path_params["number"].zfill(5)[:5]
    with desk.ask() as ask:
        observations = ask.program(number) if number.isascii() and number.isdecimal() else {}
        waits = ask.found(f":jw{number}-")["associations"] if observations else []
    status = 200 if observations else 404
    return desk.page(request, "program.html", status, number=number, observations=observations, waits=waits)


def file(request: Request) -> Response:
    desk, name = desk_of(request), request.path_params["name"]
    with desk.ask() as ask:
        found = files.about(ask, name, desk.config.folders.output)
    return desk.page(request, "file.html", **found)


def decisions(request: Request) -> Response:
    desk = desk_of(request)
    with desk.ask() as ask:
        rows = ask.decisions(100)
    return desk.page(request, "decisions.html", rows=rows)
