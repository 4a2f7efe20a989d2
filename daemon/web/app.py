"""The routes, and what is answered where there is no page or no database."""

import asyncio
import sqlite3
from collections.abc import Callable
from urllib.parse import parse_qs

import structlog
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from calwebbd.daemon.ask import Unknown
from calwebbd.daemon.config import Config
from calwebbd.daemon.web import api, holdings, pages
from calwebbd.daemon.web.desk import HERE, Desk, Unready, desk_of
from calwebbd.daemon.web.guard import COOKIE, SESSION_S, Guard


class Anything(Convertor[str]):
    """Names of files may hold whatever they like, lines and slashes too."""

    regex = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any", Anything())
PENALTY_S = 1.0  #: before a wrong token is told to be one
LARGEST_FORM = 4096  #: bytes
_log = structlog.get_logger(__name__)


def application(config: Config, host: str = "127.0.0.1", token: str | None = None) -> Guard:
    """All of it, as an ASGI application. token : None where everybody who gets here may look."""
    routes = [
        Route("/", pages.overview),
        Route("/exposures", pages.exposures),
        Route("/associations", pages.associations),
        Route("/association/{name:any}", pages.association),
        Route("/quarantine", pages.quarantine),
        Route("/failures", pages.failures),
        Route("/decisions", pages.decisions),
        Route("/search", pages.search),
        Route("/file/{name:any}", pages.file),
        Route("/job/{id:int}", pages.job),
        Route("/program/{number}", pages.program),
        Route("/preview/{sha256}.png", preview),
        Route("/login", login, methods=["GET", "HEAD", "POST"]),
        Route("/metrics", api.metrics),
        Route("/health", api.health),
        Route("/api/{question}", api.answer),
        Route("/api/{question}/{name:any}", api.answer),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    handlers: dict[type[Exception] | int, Callable[..., Response]] = {
        HTTPException: _refused,
        Unknown: _unknown,
        Unready: _unready,
        sqlite3.Error: _unreadable,
        Exception: _broken,
    }
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.state.desk = Desk(config, locked=token is not None)
    guard = app.state.guard = Guard(app, host, config.web.names, token)
    return guard


def preview(request: Request) -> Response:
    """A picture by its content, so that it may be kept for ever."""
    sha256 = request.path_params["sha256"]
    desk = desk_of(request)
    with desk.ask() as ask:
        path = ask.picture(sha256)
    if path is None:
        raise Unknown("there is no such picture")
    try:
        content = holdings.picture(path, desk.config.folders.output)
    except holdings.Unseen as error:
        raise Unknown(f"the picture cannot be shown: {error}") from error
    kept = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(content, media_type="image/png", headers=kept)


async def login(request: Request) -> Response:
    """A form for the token; whoever gives it is remembered by a cookie."""
    desk, guard = desk_of(request), request.app.state.guard
    if not desk.locked:
        return RedirectResponse("/", 303)
    if request.method != "POST":
        return desk.page(request, "login.html", wrong=False)
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "the form was sent from elsewhere")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            raise HTTPException(413, "that is no token")
    shown = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
    if not guard.knows(shown.strip()):
        await asyncio.sleep(PENALTY_S)
        return desk.page(request, "login.html", 403, wrong=True)
    response = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, guard.session(), max_age=SESSION_S, httponly=True, samesite="strict", secure=secure
    )
    return response


def _refused(request: Request, error: HTTPException) -> Response:
    return _apology(request, error.status_code, str(error.detail))


def _unknown(request: Request, error: Unknown) -> Response:
    return _apology(request, 404, str(error))


def _unready(request: Request, error: Unready) -> Response:
    return _apology(request, 503, str(error))


def _unreadable(request: Request, error: sqlite3.Error) -> Response:
    _log.error("the records cannot be read", path=request.url.path, reason=str(error))
    return _apology(request, 503, f"the records cannot be read: {error}")


def _broken(request: Request, error: Exception) -> Response:
    """Starlette raises it again when it is answered, so that uvicorn logs it with its traceback."""
    return _apology(request, 500, f"internal error: {type(error).__name__}")


def _apology(request: Request, status: int, reason: str) -> Response:
    if request.url.path.startswith("/api/"):
        return api.told({"error": reason}, status)
    return desk_of(request).page(request, "apology.html", status, code=status, reason=reason)
