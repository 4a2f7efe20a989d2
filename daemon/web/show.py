"""How values are shown: times, sizes, states. Filters of the templates."""

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

NOTHING = "\N{EN DASH}"
#: what a state is to whoever looks: good, busy, waiting, bad, or nothing of these
TONES = {
    "done": "good", "fired": "good", "complete": "good", "COMPLETE": "good", "made": "good", "used": "good",
    "running": "busy", "publishing": "busy",
    "ready": "wait", "open": "wait", "awaited": "wait", "waits": "wait", "paused": "wait", "missing": "wait",
    "dead": "bad", "failed": "bad", "quarantined": "bad", "left out": "bad",
    "refused": "bad", "lost": "bad",
}  # fmt: skip


def ago(at: float | None, now: float | None = None) -> Markup | str:
    """How long ago, with the time itself for whoever asks."""
    if not at:
        return NOTHING
    seconds = (time.time() if now is None else now) - at
    text = f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso(at), when(at), text)


def span(seconds: float | None) -> str:
    """A duration, to two figures or so."""
    if seconds is None:
        return NOTHING
    if seconds < 0.95:
        return f"{1000 * seconds:.0f} ms" if seconds > 0.0005 else "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86400:.0f} d"


def when(at: float | None) -> str:
    return NOTHING if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def size(count: float | None) -> str:
    """Of bytes."""
    if count is None:
        return NOTHING
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.5 else f"{count:.2g} {unit}"
        count /= 1000
    return f"{count:.2f} TB"


def number(count: float | None) -> str:
    """With thin spaces between thousands."""
    return NOTHING if count is None else f"{count:,.0f}".replace(",", "\N{THIN SPACE}")


def real(value: Any, digits: int = 3) -> str:
    """A number of a table; nothing where there is none."""
    return NOTHING if value is None or value != value else f"{value:.{digits}g}"


def product(subject: str) -> str:
    """Of a job's or association's name, what it makes."""
    return subject.partition(":")[2] or subject


def href(kind: str, name: object) -> str:
    """The address of a page about one thing; whatever its name is, it stays one part of the path."""
    return f"/{kind}/{quote(clean(str(name)), safe='')}"


def clean(text: object) -> str:
    """Text that can be sent: what is no Unicode (names of files may hold any bytes) becomes visible."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def badge(state: object) -> Markup:
    """A state, coloured and in words."""
    text = clean(state)
    return Markup('<span class="badge {}">{}</span>').format(TONES.get(text, "plain"), text)


FILTERS = {
    "ago": ago, "span": span, "when": when, "size": size, "number": number, "real": real,
    "product": product, "badge": badge, "clean": clean,
}  # fmt: skip
