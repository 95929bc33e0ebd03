"""Every page, in light, dark and on a phone: WCAG AA by axe-core, nothing too wide, no script or policy that complains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from tests.web import crawl, test_browser

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
        page.evaluate(AXE)
        result = page.evaluate("(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}})", RULES)
        said += [
            f"{pattern}: {each['id']}: {node['html'][:90]} -- {' '.join(node['failureSummary'].split())[:250]}"
            for each in result["violations"]
            for node in each["nodes"][:3]
        ]
        if not page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"):
            said.append(f"{pattern}: wider than the window")
    assert not said, "\n".join(said)
