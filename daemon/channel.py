"""The way of a request to the service and of its reply back: a socket in the state folder.

Only the user of the service, and root, are listened to. Where no service runs, the command
carries its request out itself, under the lock of the state folder.
"""

import os
import pwd
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from calwebbd.daemon import instance
from calwebbd.daemon.config import Config
from calwebbd.daemon.control import Answer, Desk, Request, decoder, do
from calwebbd.daemon.database import open_store
from calwebbd.daemon.dispatch import Dispatch
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.records import Records
from calwebbd.daemon.terms import terms
from calwebbd.queues.migrate import Unfit

SOCKET = "control"
LARGEST = 1 << 20  #: bytes of a request
PATIENCE_S = 60.0  #: for an answer; for a service that is just starting or ending
_log = structlog.get_logger(__name__)


class Reply(msgspec.Struct, frozen=True):
    """refused : why not, in one sentence, or ``""``."""

    answer: Answer = {}
    refused: str = ""


@dataclass(frozen=True)
class Asked:
    """What the thread posts to the loop."""

    request: Request
    who: str
    reply: "Future[Reply]"

    def answer(self, desk: Desk) -> None:
        """Carry it out and reply; a handler's bug must not end the service."""
        try:
            reply = Reply(do(self.request, desk, self.who))
        except CommandError as error:
            reply = Reply(refused=str(error))
        except Exception as error:
            _log.exception("a request failed", verb=self.request.verb, who=self.who)
            reply = Reply(refused=f"internal error of the service: {type(error).__name__}: {error}")
        self.reply.set_result(reply)


class Listener:
    """Takes requests in, in threads of its own, while the lock of the state folder is held."""

    def __init__(self, state: Path, post: Callable[[Asked], None]) -> None:
        self._state = state
        with _address(state) as address:
            (state / SOCKET).unlink(missing_ok=True)  # of a service that was killed
            self._server = _Server(address, _Handler)
        self._server.post = post
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        (self._state / SOCKET).unlink(missing_ok=True)
        self._server.shutdown()
        self._server.end()
        self._server.server_close()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str, handler: type[socketserver.BaseRequestHandler]) -> None:
        self.post: Callable[[Asked], None]
        self._waiting: set[Future[Reply]] = set()
        self._ended = False
        super().__init__(address, handler)

    def server_bind(self) -> None:
        os.fchmod(self.socket.fileno(), 0o600)  # before it has a name, so that it never has other rights
        super().server_bind()

    def have_done(self, request: Request, who: str) -> Reply:
        future: Future[Reply] = Future()
        self._waiting.add(future)
        if self._ended:
            self.end()
        else:
            self.post(Asked(request, who, future))
        try:
            return future.result(PATIENCE_S)
        except TimeoutError:
            return Reply(refused=f"the service has not answered for {PATIENCE_S:.0f} s")
        finally:
            self._waiting.discard(future)

    def end(self) -> None:
        """Nobody will answer those who wait."""
        self._ended = True
        for future in list(self._waiting):
            with suppress(Exception):  # answered at this very moment
                future.set_result(Reply(refused="the service is just ending"))


class _Handler(socketserver.BaseRequestHandler):
    server: _Server
    request: socket.socket

    def handle(self) -> None:
        self.request.settimeout(PATIENCE_S)  # a machine may stand still for a while
        with suppress(OSError):  # it has gone: nobody is there to be told
            reply = self._reply()
            self.request.sendall(msgspec.json.encode(reply))

    def _reply(self) -> Reply:
        told = _read(self.request)
        _, uid, _ = struct.unpack("3i", self.request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if not _allowed(uid):
            return Reply(refused=f"{_name(uid)} is not the user of the service")
        try:
            request = decoder().decode(told)
        except msgspec.DecodeError as error:
            return Reply(refused=f"the service does not understand the request: {error}")
        return self.server.have_done(request, _name(uid))


def ask(config: Config, request: Request) -> Answer:
    """Have a request carried out, by the service or, where none runs, here.

    Raises CommandError if it is refused, or if no service has run with this configuration.
    """
    decoder()  # so that handlers are known
    state = config.folders.state
    if not config.folders.database.exists():
        raise CommandError(f"{config.folders.database} does not exist: no service has run here")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        reply = _sent(state, request)
        if reply is not None:
            break
        try:
            with instance.alone(state), _own(config) as desk:
                return do(request, desk, _name(os.geteuid()))
        except instance.AlreadyRunning as error:  # it starts, or ends, or is another command
            if time.monotonic() > deadline:
                raise CommandError(f"{error}, which does not answer") from None
            time.sleep(0.1)
    if reply.refused:
        raise CommandError(reply.refused)
    return reply.answer


@contextmanager
def _own(config: Config) -> Iterator[Desk]:
    """A desk where no service runs; the lock must be held."""
    try:
        store = open_store(config.folders.database)
    except Unfit as error:
        raise CommandError(str(error)) from error
    try:
        records = Records(store.connection)
        context = records.setting("context") or config.crds.context
        yield Desk(config, Dispatch(store, records, terms(config, context)))
    finally:
        store.close()


def _sent(state: Path, request: Request) -> Reply | None:
    """What the service replies; None if there is none."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(PATIENCE_S + 5.0)
        try:
            with _address(state) as address:
                channel.connect(address)
        except PermissionError as error:
            raise CommandError(
                f"{state / SOCKET}: only the user of the service may change anything"
            ) from error
        except OSError:
            return None
        try:
            channel.sendall(msgspec.json.encode(request))
            channel.shutdown(socket.SHUT_WR)
            return msgspec.json.decode(_read(channel), type=Reply)
        except (OSError, msgspec.DecodeError) as error:
            raise CommandError("the service ended before it had answered") from error


def _read(channel: socket.socket) -> bytes:
    """All that the other side sends before it closes."""
    parts, size = [], 0
    while part := channel.recv(65536):
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise OSError(f"more than {LARGEST} bytes")
    return b"".join(parts)


@contextmanager
def _address(state: Path) -> Iterator[str]:
    """The socket's address by its folder's descriptor: that of a deep folder would be too long."""
    folder = os.open(state, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


def _allowed(uid: int) -> bool:
    return uid in (0, os.geteuid())


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
