"""The site in a browser: what `make docs` built, served on this machine, in Debian's chromium, without other hosts."""

import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs/_build/html"
WRITTEN = [path.relative_to(ROOT / "docs") for path in sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [path.with_suffix(".html").as_posix() for path in WRITTEN if path.parts[0] != "_build"]
MADE = [
    "api/generated/skgca.GCAEmbedder.html",
    "api/generated/skgca.inspection.TransportPlanDisplay.html",
    "api/generated/skgca.losses.make_loss.html",
    "auto_examples/index.html",
    "auto_examples/start/plot_quickstart.html",
    "search.html",
]
WIDTHS = (390, 1280)

pytestmark = pytest.mark.slow


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address():
    if not (SITE / "index.html").exists():
        pytest.skip("there is no site: `make docs` builds it")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium comes with the extra docs")
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("needs Debian's packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=chromedriver))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


def resize(browser, width):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )


def wait_for(browser, script, *, seconds=20):
    """Return what a script in the page gives, once that is true."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds).until(lambda driver: driver.execute_script(f"return {script}"))


def requested(browser):
    """Addresses that the pages asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }


TOO_WIDE = """
const wide = [];
if (document.documentElement.scrollWidth > window.innerWidth)
    wide.push("page: " + document.documentElement.scrollWidth);
for (const title of document.querySelectorAll("h1"))
    if (title.scrollWidth > title.clientWidth + 1 || title.getBoundingClientRect().right > window.innerWidth)
        wide.push("title: " + title.textContent);
return wide;
"""

SCROLLING = """
const inside = ".bd-article table, .bd-article div.highlight pre";
return [...document.querySelectorAll(inside)]
    .filter(element => element.scrollWidth > element.clientWidth + 1)
    .map(element => element.scrollWidth + " > " + element.clientWidth + ": " + element.textContent.trim().slice(0, 60));
"""


@pytest.mark.parametrize("page", [*PAGES, *MADE])
def test_a_page_fits_and_asks_no_other_host(browser, address, page):
    resize(browser, WIDTHS[-1])
    browser.get(f"{address}/{page}")
    wide = {}
    for width in WIDTHS:
        resize(browser, width)
        wide[width] = browser.execute_script(TOO_WIDE)
    assert wide == {width: [] for width in WIDTHS}
    assert browser.execute_script(SCROLLING) == []  # at the last width
    elsewhere = {url for url in requested(browser) if url.startswith(("http", "ws")) and not url.startswith(address)}
    assert elsewhere == set()
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    described = browser.execute_script("return document.querySelectorAll('head meta[name=description]').length")
    assert described == (page != "search.html")


def test_the_header_is_one_row(browser, address):
    resize(browser, 1280)
    browser.get(f"{address}/index.html")
    wait_for(browser, "document.querySelector('.version-switcher__button')?.dataset.activeVersion")
    tops = browser.execute_script(
        """return [...document.querySelectorAll(".bd-header .navbar-nav > .nav-item, .bd-header .navbar-item")]
            .map(item => item.getBoundingClientRect())
            .filter(place => place.height > 0)
            .map(place => Math.round((place.top + place.bottom) / 2));"""
    )
    assert len(tops) > 8
    assert max(tops) - min(tops) < 10
    header = browser.execute_script("return document.querySelector('.bd-header').getBoundingClientRect().height")
    assert header < 100


@pytest.mark.parametrize("width", WIDTHS)
def test_a_heading_is_not_under_the_header(browser, address, width):
    resize(browser, width)
    browser.get(f"{address}/method.html#the-family")
    header, heading = browser.execute_script(
        """return [document.querySelector(".bd-header").getBoundingClientRect().bottom,
            document.querySelector("#the-family > h2").getBoundingClientRect().top];"""
    )
    assert header > 0
    assert heading >= header


def test_search_finds_epsilon(browser, address):
    browser.get(f"{address}/search.html?q=epsilon")
    found = wait_for(
        browser,
        """(document.querySelector(".search-summary")?.textContent.includes("finished")
            && [...document.querySelectorAll("#search-results li a")].map(link => link.getAttribute("href")))""",
    )
    assert any("guide/choosing.html" in link for link in found), found
    assert any("generated/skgca.GCAEmbedder.html" in link for link in found), found


def test_formulas_are_drawn(browser, address):
    browser.get(f"{address}/method.html")
    drawn = "formula => formula.querySelector('mjx-container')"
    wait_for(browser, f"[...document.querySelectorAll('.math')].every({drawn})")
    sizes = browser.execute_script(
        """return [...document.querySelectorAll(".math")].map(
            formula => formula.querySelector("mjx-container")?.getBoundingClientRect().width ?? 0);"""
    )
    assert len(sizes) > 20
    assert min(sizes) > 1
    assert browser.execute_script("return document.querySelectorAll('mjx-merror').length") == 0


def test_code_can_be_copied_and_versions_chosen(browser, address):
    resize(browser, 1280)
    browser.get(f"{address}/getting_started.html")
    code = browser.execute_script("return document.querySelectorAll('div.highlight-python').length")
    assert code > 3
    wait_for(browser, f"document.querySelectorAll('button.copybtn').length >= {code}")
    versions = wait_for(
        browser,
        """(() => {
            const links = [...document.querySelectorAll(".version-switcher__menu a")];
            return links.length && links.map(link => link.dataset.version);
        })()""",
    )
    from skgca import __version__

    assert __version__ in versions
    names = browser.execute_script("return [...document.querySelectorAll('link[rel~=icon]')].map(link => link.href)")
    assert names == [f"{address}/_static/favicon.svg"]


def test_names_of_other_packages_are_links():
    page = (SITE / "api/generated/skgca.GCACrossEmbedder.html").read_text()
    assert "https://scikit-learn.org/stable/modules/generated/sklearn.cross_decomposition.CCA.html" in page
