"""``status``, ``where``, ``why`` and ``quarantine``: of files, and of the service as it is."""

from __future__ import annotations

from typing import Any

from calwebbd.daemon.commands import Common, Verbs
from calwebbd.daemon.commands.asking import answer, said, state, verb, when


def add(verbs: Verbs, common: Common) -> None:
    status = verb(verbs, common, "status", "what runs, what waits and why")
    status.set_defaults(run=lambda args: answer(args, lambda ask: ask.status(), _status))
    quarantine = verb(verbs, common, "quarantine", "files that cannot be used, and why")
    quarantine.set_defaults(run=lambda args: answer(args, lambda ask: ask.quarantine(), _quarantine))
    where = verb(verbs, common, "where", "what became of a file")
    where.add_argument("file", metavar="FILE", help="a path, or a name alone")
    where.set_defaults(run=lambda args: answer(args, lambda ask: ask.where(args.file), _where))
    why = verb(verbs, common, "why", "why a file or product is not there, or why it was made")
    why.add_argument("name", metavar="FILE|PRODUCT", help="a path, or a name alone")
    why.set_defaults(run=lambda args: answer(args, lambda ask: ask.why(args.name), _why))


def _status(answer: dict[str, Any]) -> None:
    print(f"service      {_service(answer['service'])}")
    print(f"context      {answer['context']}")
    print(f"files        {', '.join(f'{n} {kind}' for kind, n in answer['files'].items()) or 'none yet'}")
    print(f"quarantined  {answer['quarantined']}")
    for root in answer["watch"].get("roots", []):
        print(f"watched      {root['folder']}: {_root(root)}")
    for row in answer["awaited"]:
        print(f"awaited      {row['path']}, which {row['manifest']} names")
    if answer["intake"]:
        print(f"intake       waits: {answer['intake']}")
    if cut := answer["cluster"].get("cut"):
        print(f"cluster      lost: {cut}")
    for host in answer["cluster"].get("hosts", []):
        print(f"host         {host['name']}: {host['jobs']} of {host['slots']} jobs, {host['mb']} MB")
    for name, reason in answer["cluster"].get("refused", {}).items():
        print(f"host         {name}: refused, {reason}")
    for pause in answer["paused"]:
        print(f"paused       {'all stages' if pause['stage'] == '*' else pause['stage']}, {said(pause)}")
    for stage, states in answer["jobs"].items():
        print(f"{stage:12s} {', '.join(f'{n} {state}' for state, n in states.items())}")
    for job in answer["in_hand"]:
        print(f"now          {job['subject']} ({job['state']}, attempt {job['attempt']})")
    for job in answer["held"]:
        print(f"held         {job['subject']}: {job['reason']}")
    for job in answer["later"]:
        print(f"waits        {job['subject']}: {job['reason']}; tried again {when(job['due'])}")
    for job in answer["dead"]:
        print(f"dead         {job['subject']}: {job['reason']}")
    for group in answer["associations"]:
        print(f"association  {state(group['name'], group)}")


def _service(service: dict[str, Any]) -> str:
    words = {"running": "runs since", "silent": "not heard of since", "never": "has not run"}
    told = f"{words.get(service['state'], 'stopped')} {when(service['since'])}".rstrip()
    return told + (f": {service['why']}" if service["why"] else "")


def _root(root: dict[str, Any]) -> str:
    standings = [name for name in ("catalogued", "aliases", "quarantined", "in hand") if root[name]]
    counts = [f"{root[name]} {name}" for name in standings]
    counts += [f"{n} ignored ({reason})" for reason, n in root["ignored"].items()]
    told = f"{root['seen']} files ({', '.join(counts)})" if counts else "no files when it was last scanned"
    heard = "events and scans" if root["events"] else f"scans only, {root['mode']}"
    return f"{told}; {heard}; canary {root['canary']}" + ("" if root["adds_up"] else "; THIS DOES NOT ADD UP")


def _quarantine(answer: list[dict[str, Any]]) -> None:
    for row in answer:
        print(f"{row['path']}: {row['reason']}")


def _where(answer: dict[str, Any]) -> None:
    print(state(answer["file"], answer))
    for job in answer.get("jobs", []):
        print(f"  {state(job['subject'], job)}")
    for group in answer.get("associations", []):
        print(f"  {state(group['name'], group)}")
    for product in answer.get("products", []):
        print(f"  {product['path']}")


def _why(answer: dict[str, Any]) -> None:
    print(f"{answer['asked']}: {answer['verdict']}")
    for sentence in answer["because"]:
        print(f"  {sentence}")
    for row in answer["decisions"]:
        print(f"  {when(row['at'])} {row['who']}: {row['what']} {row['subject']}: {row['why']}")
