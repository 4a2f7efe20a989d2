"""What all pages share: the records, the configuration, templates, and answers that are kept a moment."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from calwebbd.daemon.ask import Ask, Unknown, asking
from calwebbd.daemon.ask.board import PAGE
from calwebbd.daemon.config import Config
from calwebbd.daemon.web.show import FILTERS, clean, href

HERE = Path(__file__).parent
KEPT_S = 2.0  #: however many look, the same is not asked more often
T = TypeVar("T")


class Unready(Exception):
    """There are no records that can be read, yet."""


def environment() -> Environment:
    """Templates, in which everything that is not of ours is escaped."""
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=lambda value: (
            clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
        ),
    )
    found.filters |= FILTERS
    found.globals |= {"href": href}
    return found


@dataclass
class Desk:
    config: Config
    locked: bool = False  #: whether a token is asked for
    templates: Environment = field(default_factory=environment)
    _kept: dict[str, tuple[float, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def ask(self) -> Iterator[Ask]:
        """The records, read only. Raises Unready where no service of our version has ever run."""
        with ExitStack() as stack:
            try:
                found = stack.enter_context(asking(self.config.folders.database))
            except Unknown as error:
                raise Unready(str(error)) from error
            yield found

    def kept(self, name: str, make: Callable[[], T], seconds: float = KEPT_S) -> T:
        """What was found a moment ago, or else is found now, by one for all."""
        with self._lock:
            at, value = self._kept.get(name, (0.0, None))
            if time.monotonic() - at > seconds or not at:
                value = make()
                self._kept[name] = (time.monotonic(), value)
            found: T = value
            return found

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        shared = {"path": request.url.path, "locked": self.locked, "now": time.time()}
        text = self.templates.get_template(template).render(**shared, **values)
        return HTMLResponse(text, status)


def desk_of(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


@dataclass(frozen=True)
class Paging:
    """Where one is in a list."""

    page: int
    count: int

    @property
    def last(self) -> int:
        return max(1, -(-self.count // PAGE))

    @property
    def first_row(self) -> int:
        return PAGE * (self.page - 1) + 1 if self.count else 0

    @property
    def last_row(self) -> int:
        return min(self.count, PAGE * self.page)


def page_of(request: Request) -> int:
    """The number that is asked for; the first where it is none."""
    text = request.query_params.get("page", "1")
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 8 and int(text) else 1
