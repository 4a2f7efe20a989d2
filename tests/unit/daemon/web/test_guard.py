"""Who may look, and what the page refuses."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from web_nights import PICTURE, PIXEL, TOKEN, configuration, publish

from calwebbd.daemon.ask import asking
from calwebbd.daemon.config import Config
from calwebbd.daemon.database import open_store
from calwebbd.daemon.errors import CommandError
from calwebbd.daemon.records import Records
from calwebbd.daemon.web import app, guard, server
from calwebbd.daemon.web.app import application
from calwebbd.daemon.web.guard import COOKIE, Guard, read_token

HOSTILE = [
    "<script>alert(1)</script>_uncal.fits",
    '"><img src=x onerror=alert(1)>_uncal.fits',
    "{{ 7 * 7 }}_uncal.fits",
    "two\nlines\r\nSet-Cookie: a=b_uncal.fits",
    "../../etc/passwd_uncal.fits",
    "&amp;%2e%2e%2f?q=1#top_uncal.fits",
    "x" * 3000 + "_uncal.fits",
    "\u202egnp.exe_uncal.fits",
    "' OR 1=1; DROP TABLE file; --_uncal.fits",
]


@pytest.fixture
def locked(night: Config, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(app, "PENALTY_S", 0.0)
    return TestClient(application(night, "0.0.0.0", TOKEN), base_url="http://192.0.2.1:8765")


# Methods and headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_looking_is_answered(client: TestClient, method: str) -> None:
    for page in ("/", "/login", "/api/status", "/static/style.css"):
        answer = client.request(method, page)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"


def test_a_head_has_no_body(client: TestClient) -> None:
    answer = client.head("/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("page", ["/", "/nowhere", "/login", "/static/style.css", "/metrics", "/api/nothing"])
def test_every_answer_has_the_headers_that_keep_browsers_careful(client: TestClient, page: str) -> None:
    headers = client.get(page, follow_redirects=False).headers
    for name, value in guard.HEADERS.items():
        assert headers[name] == value
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_an_error_has_them_too_and_tells_nothing(night: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("calwebbd.daemon.web.vitals.health", fail)
    client = TestClient(application(night), base_url="http://127.0.0.1", raise_server_exceptions=False)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


# The name by which the page is asked for


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost", "LOCALHOST:1", "[::1]:8765", "127.9.9.9", "jwst.example.org"]
)
def test_our_own_names_are_answered(night: Config, host: str) -> None:
    gate = Guard(application(night), "127.0.0.1", ["jwst.example.org"])
    assert gate.is_ours([host])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.1",
        "",
        "localhost.evil.example",
        "[::1",
        "a@localhost",
    ],
)
def test_other_names_are_not_for_they_may_have_been_made_to_point_here(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 421


def test_two_names_at_once_are_none(night: Config) -> None:
    gate = Guard(application(night), "127.0.0.1")
    assert not gate.is_ours(["localhost", "evil.example"])
    assert not gate.is_ours([])


def test_a_page_for_others_answers_to_numbers_and_to_its_names_only(night: Config) -> None:
    gate = Guard(application(night), "0.0.0.0", ["jwst.example.org"], TOKEN)
    assert gate.is_ours(["192.0.2.1:8765"])
    assert gate.is_ours(["jwst.example.org"])
    assert not gate.is_ours(["evil.example"])


# The token


def test_an_address_of_others_is_not_served_without_a_token(night: Config) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "jwst.example.org"):
        with pytest.raises(CommandError, match=r"set web\.token_file"):
            server.serve(night, host)


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [("short", 0o600, "5 characters"), (TOKEN, 0o604, "everybody"), ("", 0o600, "0 characters")],
)
def test_a_token_that_protects_nothing_is_refused(
    tmp_path: Path, content: str, mode: int, reason: str
) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(CommandError, match=reason):
        read_token(file)


def test_a_token_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\nof the web page\n")
    file.chmod(0o640)
    assert read_token(file) == TOKEN
    with pytest.raises(CommandError, match="cannot be read"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize(
    "page", ["/", "/metrics", "/health", "/api/status", f"/preview/{PICTURE}.png", "/nowhere", "/staticky"]
)
def test_without_the_token_nothing_is_shown(locked: TestClient, page: str) -> None:
    answer = locked.get(page, follow_redirects=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    browser = locked.get(page, headers={"accept": "text/html"}, follow_redirects=False)
    assert (browser.status_code, browser.headers["location"]) == (303, "/login")


@pytest.mark.parametrize(
    "shown",
    ["Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff"],
)
def test_a_wrong_token_shows_nothing(locked: TestClient, shown: str) -> None:
    assert locked.get("/api/status", headers=[(b"authorization", shown.encode("latin-1"))]).status_code == 401


def test_the_token_is_a_bearer(locked: TestClient) -> None:
    assert locked.get("/health", headers={"authorization": f"Bearer {TOKEN}"}).status_code in (200, 503)


def test_the_form_gives_a_cookie_that_is_not_the_token(locked: TestClient) -> None:
    assert locked.get("/login").status_code == 200
    assert locked.post("/login", data={"token": "wrong"}).status_code == 403
    answer = locked.post("/login", data={"token": TOKEN}, follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Max-Age=43200", "Path=/"):
        assert part in cookie
    assert TOKEN not in cookie
    assert locked.get("/").status_code == 200


def test_a_form_sent_from_elsewhere_is_refused(locked: TestClient) -> None:
    for site in ("cross-site", "same-site"):
        answer = locked.post("/login", data={"token": TOKEN}, headers={"sec-fetch-site": site})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_form_of_any_length_is_not_read(locked: TestClient) -> None:
    assert locked.post("/login", content=b"token=" + b"x" * 100_000).status_code == 413


def test_cookies_cannot_be_made_or_prolonged(locked: TestClient, night: Config) -> None:
    gate = Guard(application(night), "0.0.0.0", token=TOKEN)
    good = gate.session()
    end, _, signature = good.partition(".")
    later, old = f"{int(end) + 1}.{signature}", gate.session(time.time() - 13 * 3600)
    other = Guard(application(night), "0.0.0.0", token="another token of its kind").session()
    for value in (
        later,
        old,
        other,
        end,
        f"{end}.",
        "a.b",
        "-1.x",
        "²." + signature,
        f"{'9' * 5000}.{signature}",
    ):
        headers = [(b"cookie", f"{COOKIE}={value}".encode())]
        assert locked.get("/api/status", headers=headers).status_code == 401, value
    assert locked.get("/api/status", headers={"cookie": f"{COOKIE}={good}"}).status_code == 200


# Files


def test_a_picture_on_record_is_shown(client: TestClient) -> None:
    answer = client.get(f"/preview/{PICTURE}.png")
    assert (answer.content, answer.headers["content-type"]) == (PIXEL, "image/png")
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "name", ["..%2f..%2fetc%2fpasswd", "%00", "d" * 64, "c" * 63, "%2e%2e", "c" * 64 + "%00"]
)
def test_a_picture_that_is_not_on_record_is_not(client: TestClient, name: str) -> None:
    assert client.get(f"/preview/{name}.png").status_code == 404


def test_no_address_leads_out_of_the_static_files(client: TestClient) -> None:
    for path in (
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "....//app.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "..\\app.py",
        "style.css%00",
    ):
        assert client.get(f"/static/{path}").status_code == 404


def _elsewhere(base: Path, out: Path) -> Path:
    secret = base / "secret.png"
    secret.write_bytes(PIXEL)
    return secret


def _link(base: Path, out: Path) -> Path:
    (out / "link.png").symlink_to(_elsewhere(base, out))
    return out / "link.png"


def _linked_folder(base: Path, out: Path) -> Path:
    (base / "other").mkdir()
    (base / "other" / "p.png").write_bytes(PIXEL)
    (out / "folder").symlink_to(base / "other")
    return out / "folder" / "p.png"


def _dots(base: Path, out: Path) -> Path:
    _elsewhere(base, out)
    return out / ".." / "secret.png"


def _no_picture(base: Path, out: Path) -> Path:
    (out / "page.png").write_text("<script>alert(1)</script>")
    return out / "page.png"


def _pipe(base: Path, out: Path) -> Path:
    import os

    os.mkfifo(out / "pipe.png")
    return out / "pipe.png"


@pytest.mark.parametrize("make", [_elsewhere, _link, _linked_folder, _dots, _no_picture, _pipe])
def test_even_a_path_on_record_is_opened_only_among_the_products(
    tmp_path: Path, make: Callable[[Path, Path], Path]
) -> None:
    config = configuration(tmp_path)
    config.folders.output.mkdir()
    config.folders.state.mkdir()
    publish(config, config.folders.output / "honest.png", PIXEL, "png", "a" * 64)
    bad = make(tmp_path, config.folders.output)
    store = open_store(config.folders.database)
    store.connection.execute("UPDATE file SET path = ?", (str(bad),))
    store.close()
    client = TestClient(application(config), base_url="http://127.0.0.1")
    assert client.get(f"/preview/{'a' * 64}.png").status_code == 404


@pytest.mark.parametrize("question", ["where", "why", "lineage", "versions", "uses"])
def test_questions_look_at_no_path_that_is_not_on_record(client: TestClient, question: str) -> None:
    for path in ("/etc/passwd", "%2Fetc%2Fpasswd", "..%2F..%2Fetc%2Fpasswd", "a%00b"):
        assert client.get(f"/api/{question}/{path}").status_code == 404
    assert client.get("/api/diff?one=/etc/passwd&other=/etc/shadow").status_code == 400


# Names that mean harm


ROWS = """
INSERT INTO entity (id, kind, name, size, header, first_seen) VALUES (:entity, 'uncal', :name, 1, :header, 0);
INSERT INTO file (path, name, entity, origin, stamp, note, at)
VALUES (:path, :name, :entity, 'input', '', :name, 1.0);
INSERT INTO gathering (name, listed, payload, reason, missing, opened_at, changed_at)
VALUES (:group, 1, '{}', :name, :name, 1.0, 1.0);
INSERT INTO member (gathering, name, facts, failed) VALUES (:group, :name, '{}', :name);
INSERT INTO job (key, stage, subject, feeds, priority, mem_mb, predicted_mb, payload, state, not_before,
                 reason, created_at, changed_at)
VALUES (:name, 'image2', :subject, '', 1, 1, 1, '{}', 'dead', 1.0, :name, 1.0, 1.0)
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """Every kind of row that holds a name or a reason, with each of the hostile ones."""
    config = configuration(tmp_path_factory.mktemp("hostile"))
    for folder in (config.folders.output, config.folders.state):
        folder.mkdir()
    store = open_store(config.folders.database)
    records = Records(store.connection)
    with store.transaction():
        for i, name in enumerate(HOSTILE):
            header = '{"FILTER": "<script>alert(1)</script>", "PROGRAM": "<b>"}'
            facts = {"path": f"/in/{name}", "name": name, "entity": f"{i:064d}", "header": header}
            facts |= {"subject": f"image2:{name}", "group": f"image3:{name}"}
            for statement in ROWS.split(";"):
                store.connection.execute(statement, facts)
            records.quarantine(Path("/bad") / name.replace("/", "_"), "", f"because of {name}", 1.0)
            records.decide(name, "pause", name, name, 1.0)
    store.close()
    return TestClient(application(config), base_url="http://127.0.0.1")


LISTS = [
    "/",
    "/exposures",
    "/associations",
    "/quarantine",
    "/failures",
    "/decisions",
    "/search?q=uncal",
    "/job/1",
]


@pytest.mark.parametrize("page", LISTS)
def test_hostile_names_are_only_names_in_lists(hostile: TestClient, page: str) -> None:
    _is_harmless(hostile.get(page))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_names_on_their_own_pages(hostile: TestClient, name: str) -> None:
    from calwebbd.daemon.web.show import href

    for kind, what in (("file", name.replace("/", "_")), ("association", f"image3:{name}")):
        answer = hostile.get(href(kind, what))
        assert answer.status_code == 200 or "%" in name  # which the client under test decodes twice
        _is_harmless(answer)
    _is_harmless(hostile.get("/search", params={"q": name[:100]}))
    _is_harmless(hostile.get("/exposures", params={"begins": name[:100]}))


def test_hostile_names_are_only_names_in_metrics_and_answers(hostile: TestClient) -> None:
    for page in ("/metrics", "/health", "/api/status", "/api/quarantine", "/api/failures?since=1970-01-02"):
        answer = hostile.get(page)
        assert answer.status_code in (200, 503)
        assert "text/html" not in answer.headers["content-type"]


def _is_harmless(answer: Any) -> None:
    assert answer.status_code in (200, 404)
    assert "set-cookie" not in answer.headers
    for harm in ("<script>alert", "<img src=x", "<b>", " 49_uncal"):
        assert harm not in answer.text
    assert answer.text.count("<script") == answer.text.count('<script src="/static/live.js" defer></script>')


@pytest.mark.parametrize(
    "path", [b"/file/%ff%fe.fits", b"/search?q=%ff", b"/api/where/%ff", b"/program/%ff", b"/job/%ff"]
)
def test_addresses_need_not_be_unicode(client: TestClient, path: bytes) -> None:
    assert client.get(path.decode()).status_code in (200, 404)


def test_names_that_are_no_unicode_can_be_shown() -> None:
    from calwebbd.daemon.web.show import clean, href

    name = b"\xff\xfe.fits".decode("utf-8", "surrogateescape")
    assert clean(name) == "\\udcff\\udcfe.fits"
    assert href("file", name).isascii()


def test_the_database_is_opened_so_that_nothing_can_be_written(night: Config) -> None:
    import sqlite3

    with asking(night.folders.database) as ask, pytest.raises(sqlite3.OperationalError, match="readonly"):
        ask._connection.execute("DELETE FROM file")
