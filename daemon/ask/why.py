"""Why is it not there? Why was it made? One answer from all that is on record about a name."""

import json
from datetime import UTC, datetime

from calwebbd.daemon.ask.reader import Answer, Reader, Unknown, asked
from calwebbd.daemon.route import STAGES
from calwebbd.stages.names import split_suffix

#: what an answer begins with, the first that holds
_VERDICTS = (
    "quarantined",
    "dead",
    "dropped",
    "running",
    "publishing",
    "ready",
    "waits",
    "made",
    "catalogued",
)


class Why(Reader):
    def why(self, name: str) -> Answer:
        """Why a file or product is there or not: quarantine, jobs and their attempts, associations, notes.

        name : of a file that came, of a product that is or should be there, or a path. Raises Unknown.
        """
        files = self._all("find", **asked(name))
        refused = self._all("refused", **asked(name))
        root = split_suffix(name.rpartition("/")[2].rpartition(":")[2])[0]
        jobs = self._jobs(root, files)
        groups = self._groups(name.rpartition("/")[2], root)
        family = [row for row in self._all("family", pattern=f"{_literal(root)}[_-]*") if row not in files]
        if not (files or refused or jobs or family):  # what it would be made of cannot be used
            refused = self._all("refused_like", pattern=f"{_literal(root)}_*")
        awaited = [] if files or refused else self._all("awaited_like", **asked(name))
        if not (files or refused or jobs or groups or family or awaited):
            raise Unknown(f"{name} has not been seen, and nothing that is known makes it{self._unseen(name)}")
        paused = {row["stage"]: row["reason"] for row in self._all("pauses")}
        answer: Answer = {"asked": name, "files": files, "jobs": jobs, "associations": groups}
        answer |= {"related": family, "decisions": self._all("decisions_on", root=f"%{root}%")}
        because = [*_of_files(files, refused), *_of_jobs(jobs, paused), *_of_groups(groups)]
        if jobs and not groups and all(STAGES.get(job["pipeline"]) == 1 for job in jobs):
            because += _of_ends(files + family)
        because += [("waits", f"{row['path']} has not come; {row['manifest']} names it") for row in awaited]
        if not files and not refused and family and not jobs:
            because = [("catalogued", f"{row['path']}: {row['note']}") for row in family if row["note"]]
        verdicts = [verdict for verdict, _ in because]
        answer["verdict"] = next((v for v in _VERDICTS if v in verdicts), "catalogued")
        answer["because"] = [text for _, text in because]
        return answer

    def _jobs(self, root: str, files: list[Answer]) -> list[Answer]:
        """Those which make products of this name, and those which take the file."""
        found = {
            row["id"]: row
            for pipeline in STAGES
            for row in self._all("jobs_for", subject=f"{pipeline}:{root}")
        }
        for file in files:
            found |= {row["id"]: row for row in self._all("jobs_taking", entity=file["sha256"])}
        for row in found.values():
            row["attempts"] = self._all("attempts_at", job=row["id"])
            row["left_out"] = self._all("left_out_of", job=row["id"])
            row["predecessor"] = self._predecessor(row) if row["held"] else ""
        return [found[id] for id in sorted(found)]

    def _predecessor(self, job: Answer) -> str:
        """What has become of the exposure that one waits for, in words."""
        for row in self._all("order_of", root=job["subject"].partition(":")[2]):
            if row["waits_for"]:
                member = {"name": f"{row['waits_for']}_uncal.fits", "present": 0, "failed": None}
                return self._state_of(member)
        return ""

    def _groups(self, name: str, root: str) -> list[Answer]:
        """Associations of this name, and those of files of this exposure or product, with their members."""
        names = [f"{pipeline}:{root}" for pipeline in STAGES] + [name]
        rows = [row for each in names for row in self._all("group_named", name=each)]
        rows += self._groups_with(root)
        found = {row["name"]: row for row in rows}
        for row in found.values():
            row["members"] = self._all("members_of", name=row["name"])
            for member in row["members"]:
                member["state"] = self._state_of(member)
        return list(found.values())

    def _state_of(self, member: Answer) -> str:
        """Of a member of an association, in words."""
        if member["present"]:
            return "is there"
        if member["failed"]:
            return f"will not come, {member['failed']}"
        root = split_suffix(member["name"])[0]
        for job in self._all("under_way", root=root, pipelines=json.dumps(list(STAGES))):
            if job["state"] != "done":
                stops = self._all("pause_of", stage=job["pipeline"]) if job["state"] == "ready" else []
                paused = [
                    ", its stage is paused" + (f" ({r['reason']})" if r["reason"] else "") for r in stops
                ]
                why = f" ({job['reason']})" if job["reason"] else ""
                why += "".join(paused[:1])
                return f"is on its way: {job['pipeline']} is {job['state']}{why}"
        for refused in self._all("refused_like", pattern=f"{_literal(root)}_*"):
            return f"{refused['path']} is in quarantine: {refused['reason']}"
        return "has not come"


def _of_files(files: list[Answer], refused: list[Answer]) -> list[tuple[str, str]]:
    bad = [
        ("quarantined", f"{row['path']} is in quarantine since {when(row['at'])}: {row['reason']}")
        for row in refused
    ]
    origins = {"input": "came", "product": "was published", "alias": "was found"}
    good = []
    for row in files:
        made = row["origin"] == "product"
        told = row["note"] and (not made or row["note"].startswith("left out of "))
        note = f": {row['note']}" if told else ""
        text = f"{row['path']} {origins[row['origin']]} {when(row['at'])}{note}"
        good.append(("made" if made else "catalogued", text))
    return bad + good


def _of_ends(files: list[Answer]) -> list[tuple[str, str]]:
    """Of an exposure with which nothing is done after stage 1: why not."""
    rates = [row for row in files if split_suffix(row["name"])[2] in {"rate", "rateints"} and row["note"]]
    told = [row for row in rates if not row["note"].startswith("stage 2 takes the ")]  # it does, another one
    return [("catalogued", f"{row['name']}: {row['note']}") for row in told]


def _of_jobs(jobs: list[Answer], paused: dict[str, str]) -> list[tuple[str, str]]:
    told = []
    for job in jobs:
        text = f"job {job['id']}, {job['subject']}, is {job['state']}"
        tries = len(job["attempts"])
        if job["state"] == "ready" and tries:
            text += f" to be tried again {when(job['due'])}"
        why = paused.get(job["pipeline"], paused.get("*"))
        if job["state"] == "ready" and why is not None:
            text += ", its stage is paused" + (f" ({why})" if why else "")
        if job["reason"]:
            text += f": {job['reason']}"
        if job["predecessor"]:
            text += f" ({job['predecessor']})"
        if tries > 1:
            failed = [each["reason"] for each in job["attempts"] if each["reason"]]
            reasons = "; ".join(dict.fromkeys(failed))
            text += f"; {tries} attempts" + (f", {len(failed)} of which failed: {reasons}" if failed else "")
        told.append(("waits" if job["held"] and job["state"] == "ready" else job["state"], text))
        told += [("without", f"  without {each['name']}: {each['reason']}") for each in job["left_out"]]
    return told


def _of_groups(groups: list[Answer]) -> list[tuple[str, str]]:
    told = []
    for group in groups:
        text = f"association {group['name']}: {group['reason'] or group['state']}"
        told.append(("waits" if group["state"] == "open" else "fired", text))
        if group["state"] == "open":
            told += [("member", f"  {m['name']} {m['state']}") for m in group["members"]]
    return told


def when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def _literal(text: str) -> str:
    """For GLOB, which has no escape but a set of one."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)
