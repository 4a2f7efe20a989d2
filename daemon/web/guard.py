"""Who may look: checks before any page, and headers on every answer.

Only GET and HEAD are answered, and POST where the token is given. The name by which the page is
asked for must be one of ours: else a page elsewhere whose name is made to point to this machine
could read it through the browser of somebody who may (DNS rebinding). Where there is a token,
everything but the login and what decorates it needs it, as a bearer or as a cookie that the
login set; the cookie is not the token, ends by itself, and cannot be made without the token.
"""

import hashlib
import hmac
import ipaddress
import socket
import time
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calwebbd.daemon.errors import CommandError

COOKIE = "calwebbd"
SESSION_S = 12 * 3600
SHORTEST = 16  #: characters of a token
OPEN = ("/login", "/static/")  #: what needs no token
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def read_token(file: Path) -> str:
    """The first line. Raises CommandError if it cannot be read, is short, or is readable by everybody."""
    try:
        token = (file.read_text().splitlines() or [""])[0].strip()
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"web.token_file {file} cannot be read: {error}") from error
    if len(token) < SHORTEST:
        raise CommandError(f"web.token_file {file}: the token has {len(token)} characters, not {SHORTEST}")
    if mode & 0o007:
        raise CommandError(f"web.token_file {file} can be read by everybody: chmod o= {file}")
    return token


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach an address to listen at."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """host : the address listened at; names : further ones; token : None where everybody may look."""

    def __init__(self, app: ASGIApp, host: str, names: Iterable[str] = (), token: str | None = None) -> None:
        self._app = app
        self._local = is_loopback(host)
        own = () if self._local else (socket.gethostname(), socket.getfqdn())
        self._names = {name.lower().rstrip(".") for name in ("localhost", host, *own, *names)}
        self._key = token.encode() if token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = self._refuse(scope)
        await (refused or self._app)(scope, receive, guarded)

    def _refuse(self, scope: Scope) -> Response | None:
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        if not self.is_ours(headers.getlist("host")):
            return PlainTextResponse("This page is not known under that name.", 421)
        logs_in = bool(self._key) and path == "/login" and method == "POST"
        if method not in ("GET", "HEAD") and not logs_in:
            return PlainTextResponse("Read only.", 405, {"Allow": "GET, HEAD"})
        if self._key is None or path == OPEN[0] or path.startswith(OPEN[1]) or self._may(headers):
            return None
        if "text/html" in headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        return PlainTextResponse("A token is needed.", 401, {"WWW-Authenticate": "Bearer"})

    def is_ours(self, hosts: list[str]) -> bool:
        """Whether the one Host header names us: no name of somebody else resolves to a mere number."""
        if len(hosts) != 1:
            return False
        name = hosts[0].lower()
        name = name[: name.index("]") + 1] if name.startswith("[") and "]" in name else name.partition(":")[0]
        if name.rstrip(".") in self._names:
            return True
        try:
            found = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return found.is_loopback or not self._local

    def _may(self, headers: Headers) -> bool:
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.knows(shown.strip()):
            return True
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and self._lives(morsel.value)

    def knows(self, token: str) -> bool:
        """Whether it is the token, in a time that does not tell how much of it is right."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        return self._key is not None and hmac.compare_digest(digest, hashlib.sha256(self._key).digest())

    def session(self, now: float | None = None) -> str:
        """A value for the cookie."""
        end = f"{int((now or time.time()) + SESSION_S)}"
        return f"{end}.{self._sign(end)}"

    def _lives(self, session: str) -> bool:
        end, _, signature = session.partition(".")
        known = end.isascii() and end.isdecimal() and len(end) < 12
        return (
            known
            and hmac.compare_digest(signature.encode(), self._sign(end).encode())
            and int(end) > time.time()
        )

    def _sign(self, text: str) -> str:
        return hmac.new(self._key or b"", f"calwebbd session {text}".encode(), hashlib.sha256).hexdigest()
