"""Every page, in light, dark and on a phone: WCAG AA by axe-core, nothing too wide, no script or policy that complains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from tests.web import crawl, test_browser
from tests.web.conftest import Running

from signalpost.web import pages

pytestmark = test_browser.pytestmark
browser = test_browser.browser


@pytest.fixture(params=[("light", 1280), ("dark", 1280), ("light", 390)], ids=["light", "dark", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page that fails its test when a script fails or the content security policy is broken."""
    scheme, width = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 844}, reduced_motion="reduce")
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    yield opened
    context.close()
    assert complaints == []


AXE = (Path(__file__).parent / "axe" / "axe-4.14.1.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

UNLINKED = {
    "/find": "a search leads there",
    "/shared/{secret}": "only whoever has the link",
    "/people/{person:int}/erased": "an erasure leads there",
    "/destinations/{name}/replay": "only a button leads there, when there is something to replay",
}
"""Pages that no page links to, and why."""


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[str, dict[str, str]]]:
    """(the address that signs in, every page) of a demo with a few hundred orders."""
    with crawl.demo("--invoices", "300") as enter:
        crawl.proposed(enter)
        yield enter, crawl.found(enter)


def test_every_page_can_be_reached(shop: tuple[str, dict[str, str]]) -> None:
    """From the menu, links lead to every page there is."""
    assert set(crawl.wanted(list(shop[1]))) <= set(UNLINKED)


def complaints(page: Page, named: str) -> list[str]:
    """What axe-core finds on the page that is open, and whether it is wider than the window."""
    page.evaluate(AXE)
    result = page.evaluate("(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}})", RULES)
    said = [
        f"{named}: {each['id']}: {node['html'][:90]} -- {' '.join(node['failureSummary'].split())[:250]}"
        for each in result["violations"]
        for node in each["nodes"][:3]
    ]
    if not page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"):
        said.append(f"{named}: wider than the window")
    return said


def test_every_page_is_accessible(shop: tuple[str, dict[str, str]], page: Page) -> None:
    """axe-core finds nothing on any page, nothing is wider than the window, and no script or policy complains."""
    enter, found = shop
    page.goto(enter)
    base = "{0.scheme}://{0.netloc}".format(urlsplit(enter))
    said = []
    others = {
        "/find": f"{base}/find?q=nothing",
        "/destinations/{name}/replay": f"{base}/destinations/tiktok/replay",
        "404": f"{base}/nothing",
    }
    for pattern, address in {**found, **others}.items():
        page.goto(address, wait_until="load")
        page.wait_for_timeout(150)
        said += complaints(page, pattern)
    assert not said, "\n".join(said)


def test_every_empty_page_is_accessible(console: Running, page: Page) -> None:
    """So is the login, and every page of the menu before anything arrived, the menu open on a phone."""
    page.goto(f"{console.url}/login")
    said = complaints(page, "login")
    page.get_by_label("E-mail address").fill("nobody@shop.example")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Log in").click()
    said += complaints(page, "login, refused")
    page.goto(console.enter("operator"))
    for _, entries in pages.GROUPS:
        for entry in entries:
            page.goto(console.url + entry.path, wait_until="load")
            if page.get_by_role("button", name="Menu").is_visible():
                page.get_by_role("button", name="Menu").click()
            said += complaints(page, entry.path)
    page.keyboard.press("?")
    said += complaints(page, "the keyboard's list")
    console.shop.database.submit(lambda connection: connection.script("DROP TABLE sessions")).result()
    page.goto(f"{console.url}/")
    said += complaints(page, "500")
    assert not said, "\n".join(said)
