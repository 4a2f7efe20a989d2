"""What a service is asked to do by signals, or by whoever runs it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum


class Stop(StrEnum):
    DRAIN = "drain"  #: end what runs, begin nothing
    NOW = "now"


@dataclass(frozen=True)
class Hangup:
    """Read the configuration again."""


@contextmanager
def posted(post: Callable[[Stop | Hangup], None]) -> Iterator[None]:
    """TERM and INT drain, the second time they end at once; HUP reloads. Only a main thread may ask."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    posts = {signal.SIGTERM: Stop.DRAIN, signal.SIGINT: Stop.DRAIN, signal.SIGHUP: Hangup()}
    old = {
        number: signal.signal(number, lambda *_, message=message: post(message))
        for number, message in posts.items()
    }
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
