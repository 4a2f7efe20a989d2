"""The page in a real browser: ``pytest -m browser``, with chromium and chromedriver on the path."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import fake_calibration as fake
import pytest
from in_memory import folder
from web_nights import MOSAIC, TOKEN

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "tests" / "lib"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
]  # fmt: skip
SIZES = {"desktop": (1180, 800), "phone": (390, 844)}
CONFIGURATION = """\
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
context = "jwst_0001.pmap"
[workers]
processes = 2
memory_mb = 4000
[watch]
settle_seconds = 0.1
patience_seconds = 0.1
[associations]
hold_seconds = 0.2
[web]
"""


def pages() -> dict[str, str]:
    return {
        "overview": "/",
        "exposures": "/exposures",
        "associations": "/associations?state=fired",
        "association": f"/association/image3%3A{MOSAIC}",
        "mosaic": f"/file/{MOSAIC}_i2d.fits",
        "exposure": f"/file/{fake.name(suffix='cal')}",
        "quarantine": "/quarantine",
        "failures": "/failures",
        "job": "/job/1",
        "search": "/search?q=nrca1",
        "program": "/program/01234",
    }


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Site:
    """The web page as a process of its own; the service, too, while somebody needs it."""

    def __init__(self, base: Path, web: str = "") -> None:
        self.base = base
        self.config = base / "calwebbd.toml"
        self.config.write_text(CONFIGURATION + web)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.web: subprocess.Popen[bytes] | None = None

    def serve_once(self) -> None:
        subprocess.run(
            [sys.executable, LIB / "fake_service.py", self.config, "--once"],
            check=True, timeout=120, stderr=subprocess.DEVNULL, env=self.environment,
        )  # fmt: skip

    def start(self) -> None:
        command = [sys.executable, "-m", "calwebbd.daemon", "web", "--config", str(self.config)]
        self.web = subprocess.Popen([*command, "--port", self.url.rpartition(":")[2]], env=self.environment)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.url}/static/icon.svg", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("the page does not come up")

    def stop(self) -> None:
        if self.web:
            self.web.terminate()
            self.web.wait(10)

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT / "tests" / "importroot"), str(LIB)])
        return os.environ | {"PYTHONPATH": path}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Two exposures and their mosaic, a dead letter, a file in quarantine with a name that means harm."""
    with folder() as base:
        found = Site(Path(base))
        incoming = found.base / "in"
        incoming.mkdir()
        fake.expose(incoming, 1, 2)
        fake.expose(incoming, 2, 2)
        fake.expose(incoming, 3, OBSERVTN="002", DO="wrong")
        (incoming / "<script>document.title='harm'_uncal.fits").write_text("once upon a time")
        (incoming / "<img src=x onerror=document.title=1>_uncal.fits").write_text("once upon a time")
        found.serve_once()
        found.start()
        yield found
        found.stop()


def browser(size: str, profile: Path, *, dark: bool = False) -> Chrome:
    """A fresh Chromium; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={profile}", "--window-size={},{}".format(*SIZES[size])]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found: Chrome = webdriver.Chrome(options=options, service=Service(driver))
    _resize(found, *SIZES[size])
    if dark:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        found.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    return found


def _resize(chrome: Chrome, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.fixture(params=SIZES)
def chrome(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chrome]:
    found = browser(request.param, tmp_path)
    yield found
    found.quit()


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Chrome]:
    found = browser("desktop", tmp_path)
    yield found
    found.quit()


def complaints(chrome: Chrome) -> list[Any]:
    return [entry for entry in chrome.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]


def test_no_page_is_wider_than_the_screen_nor_complained_of(chrome: Chrome, site: Site) -> None:
    for name, address in pages().items():
        chrome.get(site.url + address)
        assert chrome.find_elements("css selector", "main h1"), name
        width, screen = chrome.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert width <= screen, name
    assert complaints(chrome) == []


def test_text_has_contrast_enough_by_day_and_by_night(tmp_path: Path, site: Site) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3), of all text against what it stands on."""
    for dark in (False, True):
        chrome = browser("desktop", tmp_path / str(dark), dark=dark)
        try:
            for name, address in pages().items():
                chrome.get(site.url + address)
                poor = chrome.execute_script(CONTRAST)
                assert poor == [], (name, dark)
        finally:
            chrome.quit()


CONTRAST = """
const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = (c) => c.slice(0, 3).map((v) => linear(v / 255))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
const poor = [];
for (const e of document.querySelectorAll("body *")) {
  if (e.closest(".hidden, .skip, title, svg") && !(e.tagName === "text")) continue;
  if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
  const style = getComputedStyle(e);
  const colour = parse(e.tagName === "text" ? style.fill : style.color), behind = ground(e);
  const [a, b] = [light(colour), light(behind)];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.push([e.tagName, e.textContent.trim().slice(0, 40), ratio.toFixed(2)]);
}
return poor;
"""


def test_everything_can_be_reached_by_the_keyboard_and_is_seen_when_it_is(
    desktop: Chrome, site: Site
) -> None:
    from selenium.webdriver.common.keys import Keys

    desktop.get(site.url)
    desktop.find_element("tag name", "body").send_keys(Keys.TAB)
    skip = desktop.switch_to.active_element
    assert skip.get_attribute("class") == "skip"
    assert skip.location["x"] >= 0
    skip.send_keys(Keys.ENTER)
    assert desktop.switch_to.active_element.get_attribute("id") == "main"
    desktop.get(site.url)
    desktop.execute_script("document.body.classList.add('stop'); document.body.dataset.live = ''")
    wanted = desktop.execute_script(
        "return document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]').length"
    )
    seen = set()
    for _ in range(wanted + 3):
        desktop.switch_to.active_element.send_keys(Keys.TAB)
        place = desktop.execute_script(
            "const e = document.activeElement; if (e === document.body) return null;"
            "const s = getComputedStyle(e); const all = [...document.querySelectorAll('*')];"
            "return [all.indexOf(e), s.outlineStyle, parseFloat(s.outlineWidth)]"
        )
        if place:
            assert place[1] != "none"
            assert place[2] >= 2
            seen.add(place[0])
    assert len(seen) >= wanted


def test_names_that_mean_harm_are_shown_and_do_none(desktop: Chrome, site: Site) -> None:
    desktop.get(f"{site.url}/quarantine")
    assert "<script>document.title='harm'_uncal.fits" in desktop.page_source.replace("&lt;", "<").replace(
        "&gt;", ">"
    )
    for link in [e.get_attribute("href") for e in desktop.find_elements("css selector", "tbody th a")]:
        desktop.get(link)
        assert "harm" not in desktop.title.partition("<")[0]
        assert desktop.title.endswith("calwebbd")
        assert not desktop.find_elements("css selector", "main script, img[src='x']")


def test_the_overview_follows_the_service_by_itself(desktop: Chrome, site: Site) -> None:
    desktop.get(site.url)
    tiles = "return document.querySelector('#tiles').innerText"
    before = desktop.execute_script(tiles)
    desktop.execute_script("window.same = true")
    fake.expose(site.base / "in", 7, OBSERVTN="003")
    site.serve_once()
    for _ in range(150):
        if desktop.execute_script(tiles) != before:
            break
        time.sleep(0.1)
    assert desktop.execute_script(tiles) != before
    assert desktop.execute_script("return window.same") is True
    assert complaints(desktop) == []


def test_what_one_is_in_the_middle_of_is_left_alone(desktop: Chrome, site: Site) -> None:
    desktop.get(site.url)
    desktop.execute_script("window.link = document.querySelector('#finished a'); window.link.focus()")
    time.sleep(6)
    assert desktop.execute_script("return document.activeElement === window.link && link.isConnected") is True


def test_one_searches_and_finds(desktop: Chrome, site: Site) -> None:
    from selenium.webdriver.common.keys import Keys

    desktop.get(site.url)
    desktop.find_element("id", "q").send_keys(fake.name(2, suffix="rate") + Keys.ENTER)
    for _ in range(50):
        if quote(fake.name(2, suffix="rate")) in desktop.current_url and "/file/" in desktop.current_url:
            break
        time.sleep(0.1)
    assert desktop.find_element("tag name", "h1").text == fake.name(2, suffix="rate")


def test_the_graph_leads_to_what_a_product_was_made_of(desktop: Chrome, site: Site) -> None:
    desktop.get(f"{site.url}/file/{MOSAIC}_i2d.fits")
    links = desktop.find_elements("css selector", "svg.lineage a")
    assert len(links) == 7
    assert links[0].get_attribute("href")


def test_whoever_has_the_token_comes_in_by_the_form(tmp_path: Path, desktop: Chrome) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    with folder() as base:
        locked = Site(Path(base), f'token_file = "{token}"\n')
        (locked.base / "in").mkdir()
        locked.serve_once()
        locked.start()
        try:
            desktop.get(f"{locked.url}/failures")
            assert desktop.current_url.endswith("/login")
            desktop.find_element("id", "token").send_keys(TOKEN)
            desktop.find_element("css selector", ".login button").click()
            for _ in range(50):
                if desktop.find_elements("id", "tiles"):
                    break
                time.sleep(0.1)
            assert desktop.find_elements("id", "tiles")
            assert desktop.execute_script("return document.cookie") == ""
            desktop.get(f"{locked.url}/failures")
            assert desktop.find_element("tag name", "h1").text == "Failures"
        finally:
            locked.stop()
