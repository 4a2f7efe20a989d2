"""How the service and its machine do: what /health says, and what pages and metrics share."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from calwebbd.daemon.ask import Ask
from calwebbd.daemon.config import Config
from calwebbd.daemon.heartbeat import STALE_S

REFRESH_S = 3 * 86400.0  #: contexts are refreshed daily; two missed are too many


def disks(config: Config) -> list[dict[str, Any]]:
    """Of the folders that are written to: folder, total and free bytes, None where they cannot be known."""
    found = []
    for what, folder in (("products", config.folders.output), ("state", config.folders.state)):
        row: dict[str, Any] = {"what": what, "folder": str(folder), "total": None, "free": None}
        with suppress(OSError):
            usage = shutil.disk_usage(folder)
            row |= {"total": usage.total, "free": usage.free}
        found.append(row)
    return found


def memory() -> dict[str, int]:
    """Of the machine, bytes: total and available."""
    found = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        found[name] = int(value.split()[0]) * 1024
    return {"total": found["MemTotal"], "available": found["MemAvailable"]}


def load() -> tuple[float, int]:
    """Of the last minute, and how many processors there are."""
    return os.getloadavg()[0], os.cpu_count() or 1


def refreshed(ask: Ask) -> float | None:
    """When the contexts were last refreshed."""
    value = ask.setting("crds refreshed")
    return float(value) if value and float(value) else None


def health(ask: Ask, config: Config, now: float | None = None) -> dict[str, Any]:
    """ok, the reasons why not, and what is worth knowing though it is no reason."""
    now = time.time() if now is None else now
    reasons, notes = [], []
    pulse = ask.pulse()
    silent = now - pulse["at"] if pulse else None
    if silent is None:
        reasons.append("the service has never told that it lives")
    elif silent > STALE_S:
        reasons.append(f"the service was not heard of for {silent:.0f} s")
    for disk in disks(config):
        floor = config.queue.reserve_mb << 20 if disk["what"] == "products" else 100 << 20
        if disk["free"] is None:
            reasons.append(f"{disk['folder']} cannot be reached")
        elif disk["free"] < floor:
            reasons.append(f"the disk of {disk['folder']} has {disk['free'] >> 20} MB left")
    oldest = ask.oldest_ready()
    if oldest is not None and now - oldest > 3600 * config.web.patience_hours:
        reasons.append(f"a job has been ready for {(now - oldest) / 3600:.0f} h")
    at = refreshed(ask)
    refreshes = not config.crds.context.endswith(".pmap") and config.crds.server != ""
    if refreshes and at is not None and now - at > REFRESH_S:
        reasons.append(f"contexts were last refreshed {(now - at) / 86400:.1f} days ago")
    for row in ask.pauses():
        notes.append(f"{row['stage']} is paused by {row['by']}: {row['reason']}")
    for root in ask.watching().get("roots", []):
        if not root["adds_up"] or str(root["canary"]).startswith("not "):
            notes.append(f"{root['folder']}: canary {root['canary']}, adds up: {root['adds_up']}")
    return {
        "ok": not reasons,
        "reasons": reasons,
        "notes": notes,
        "heard_seconds_ago": None if silent is None else round(silent, 1),
        "oldest_ready_seconds": None if oldest is None else round(now - oldest, 1),
        "contexts_refreshed": at,
        "context": ask.setting("context"),
    }
