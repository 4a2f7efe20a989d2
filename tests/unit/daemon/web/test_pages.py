"""What each page shows of a night."""

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import fake_calibration as fake
import pytest
from starlette.testclient import TestClient
from web_nights import MOSAIC, configuration

from calwebbd.daemon import heartbeat
from calwebbd.daemon.ask import asking
from calwebbd.daemon.commands.ask import _status
from calwebbd.daemon.config import Config
from calwebbd.daemon.database import open_store
from calwebbd.daemon.records import Records
from calwebbd.daemon.web.app import application

CAL, RAW = fake.name(suffix="cal"), fake.name()
ASSOCIATION = f"/association/image3%3A{MOSAIC}"
PAGES = ["/", "/exposures", "/exposures?begins=jw01234001", "/associations", "/associations?state=fired"]
PAGES += ["/quarantine", "/failures", "/decisions", "/search", "/search?q=nrca1", "/program/01234", "/job/1"]
PAGES += [ASSOCIATION, *(f"/file/{name}" for name in (RAW, CAL, f"{MOSAIC}_i2d.fits", fake.name(4)))]
VOID = {"meta", "link", "img", "input", "br", "hr"}


class Outline(HTMLParser):
    """Elements that are open, ids, links, and what a browser would have to repair."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def every(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def outline(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    found.close()
    assert not found.open
    return found


@pytest.mark.parametrize("page", PAGES)
def test_each_page_is_well_formed_and_can_be_used_by_everybody(client: TestClient, page: str) -> None:
    answer = client.get(page)
    assert answer.status_code == 200
    found = outline(answer.text)
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(found.every("h1")) == 1
    assert len(found.every("main")) == 1
    assert ("a", {"class": "skip", "href": "#main"}) in found.tags
    assert len(found.every("table")) == len(found.every("caption"))
    assert all("alt" in image for image in found.every("img"))
    labelled = {label.get("for") for label in found.every("label")}
    assert all(field.get("id") in labelled for field in found.every("input", "meter") if "id" in field)
    assert all("scope" in cell for cell in found.every("th"))


@pytest.mark.parametrize("page", PAGES)
def test_no_page_needs_anything_from_elsewhere_nor_styles_or_scripts_within(
    client: TestClient, page: str
) -> None:
    found = outline(client.get(page).text)
    for _, attributes in found.tags:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    assert all(script.get("src") == "/static/live.js" for script in found.every("script"))
    for place in found.every("img", "script", "link", "a"):
        target = place.get("src") or place.get("href") or ""
        assert target.startswith(("/", "#", "?"))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(client: TestClient, page: str) -> None:
    found = outline(client.get(page).text)
    for place in found.every("a", "img", "link", "script"):
        target = (place.get("src") or place.get("href") or "").partition("#")[0]
        if target and not target.startswith("?"):
            assert client.get(target).status_code == 200, target


def test_the_overview_counts_what_there_is(client: TestClient) -> None:
    text = client.get("/").text
    tiles = dict(re.findall(r"<dt>(?:<a[^>]*>)?([^<]+)(?:</a>)?</dt><dd[^>]*>([^<]+)</dd>", text))
    assert tiles["Failed"] == "1"
    assert tiles["Quarantine"] == "1"
    assert tiles["Exposures"] == "3"
    assert "detector1" in text


def test_the_overview_says_first_what_needs_a_person(client: TestClient, night: Config) -> None:
    store = open_store(night.folders.database)
    records, desk = Records(store.connection), client.app.__dict__["_app"].state.desk
    try:
        for heard, told in ((9.0, "Something needs you"), (time.time(), "1 job needs a person")):
            records.set(heartbeat.NAME, "{}", heard)
            desk._kept.clear()
            assert f"{told}</h1>" in client.get("/").text
    finally:
        store.close()


def test_the_overview_is_renewed_without_scripts_too(client: TestClient) -> None:
    text = client.get("/").text
    assert '<noscript><meta http-equiv="refresh"' in text
    assert 'aria-live="polite"' in text


def test_a_product_has_its_picture_its_history_and_its_parameters(client: TestClient) -> None:
    text = client.get(f"/file/{CAL}").text
    assert f"/preview/{'c' * 64}.png" in text
    assert 'class="lineage"' in text
    assert "fake_paper_0001.fits" in text
    assert "copy.factor" in text
    assert "default" in text


def test_an_exposure_in_quarantine_says_why(client: TestClient) -> None:
    assert "is no exposure" in client.get(f"/file/{fake.name(4)}").text
    assert "is no exposure" in client.get("/quarantine").text


def test_a_dead_letter_shows_its_traceback(client: TestClient) -> None:
    text = client.get("/failures").text
    assert "ZeroDivisionError: one by nought" in text
    job = re.search(r'href="(/job/\d+)"', text)
    assert job is not None
    assert "Traceback (most recent call last)" in client.get(job[1]).text


def test_a_cause_of_failures_leads_to_an_example(client: TestClient) -> None:
    causes = client.get("/failures").text.partition("by cause")[2]
    assert re.search(r'as <a href="/job/\d+">', causes)
    assert f'as <a class="name" href="/file/{fake.name(4)}">' in causes


def test_an_association_names_its_members(client: TestClient) -> None:
    assert MOSAIC in client.get("/associations?state=fired").text
    text = client.get(ASSOCIATION).text
    for exposure in (1, 2):
        assert fake.name(exposure, suffix="cal") in text


def test_a_pipeline_that_is_paused_is_on_the_overview(client: TestClient, night: Config) -> None:
    store = open_store(night.folders.database)
    store.pause("image2", "the moon is full", 1.0)
    try:
        text = client.get("/").text
        assert "image2, by operator" in text
        assert "the moon is full" in text
        assert 'calwebbd_paused{by="operator",pipeline="image2"} 1.0' in client.get("/metrics").text
    finally:
        store.resume("image2", 2.0)
        store.close()


def test_a_name_is_found_by_any_part_and_the_only_one_at_once(client: TestClient) -> None:
    assert client.get("/search?q=00001_nrca1").text.count(fake.name(1, suffix="rate")) > 0
    answer = client.get(f"/search?q={CAL}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/file/{CAL}")


def test_a_program_is_found_by_its_number(client: TestClient) -> None:
    for text in ("1234", "01234", "jw01234"):
        answer = client.get(f"/search?q={text}", follow_redirects=False)
        assert answer.headers["location"] == "/program/01234"


@pytest.mark.parametrize(
    "page", ["/file/nothing", "/job/999", "/association/none", "/nowhere", "/program/09999"]
)
def test_what_is_not_there_is_said_not_to_be(client: TestClient, page: str) -> None:
    assert client.get(page).status_code == 404


def test_the_hosts_of_a_cluster_are_named_with_what_they_do(
    client: TestClient, night: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = [
        {"name": "node7", "jobs": 1, "slots": 2, "mb": 8000},
        {"name": "node8", "jobs": 0, "slots": 2, "mb": 8000},
    ]
    cluster = {"hosts": hosts, "refused": {"node9": "it has <another> version"}, "cut": "no answer for 30 s"}
    store = open_store(night.folders.database)
    records = Records(store.connection)
    before = records.setting(heartbeat.NAME)
    assert 'id="hosts"' not in client.get("/").text
    try:
        records.set(heartbeat.NAME, json.dumps(heartbeat.told([]) | {"cluster": cluster}), time.time())
        client.app.__dict__["_app"].state.desk._kept.clear()
        text = client.get("/").text
        with asking(night.folders.database) as ask:
            _status(ask.status())
    finally:
        records.set(heartbeat.NAME, before or "{}", time.time())
        store.close()
    outline(text)
    for told in (
        "node7",
        ">running<",
        "1 of 2",
        "node8",
        ">ready<",
        "node9",
        "it has &lt;another&gt; version",
    ):
        assert told in text
    assert "no answer for 30 s" in text
    lines = capsys.readouterr().out
    assert "host         node7: 1 of 2 jobs, 8000 MB" in lines
    assert "host         node9: refused, it has <another> version" in lines


@pytest.mark.parametrize("page", ["0", "-1", "x", "99999999999", "²", "1.5", ""])
def test_pages_of_a_list_that_are_none_are_the_first(client: TestClient, page: str) -> None:
    assert client.get(f"/exposures?page={quote(page)}").status_code == 200


def test_without_any_service_the_page_says_so(tmp_path: Path) -> None:
    client = TestClient(application(configuration(tmp_path)), base_url="http://127.0.0.1")
    answer = client.get("/")
    assert answer.status_code == 503
    assert "no service has run" in answer.text
    assert client.get("/health").json()["ok"] is False


def test_the_records_are_never_written_to(client: TestClient, night: Config) -> None:
    before = night.folders.database.read_bytes()
    for page in PAGES:
        client.get(page)
    assert night.folders.database.read_bytes() == before
