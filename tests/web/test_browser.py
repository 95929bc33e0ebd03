"""An operator's morning in a real browser: log in, watch, ask why, search. Needs Chromium; set CHROMIUM to its path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.store.shop import order
from tests.web.conftest import PASSWORD, Running, now_ms

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium, or set CHROMIUM)"),
    # Playwright's own loop and sockets outlive a failed test; they are not what is tested here.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=[("light", 1280), ("dark", 1280), ("light", 390)], ids=["light", "dark", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page that fails its test when a script fails, a file is missing or the content security policy is broken."""
    scheme, width = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 844})
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
    yield opened
    context.close()
    assert complaints == []


def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def keep(page: Page, name: str) -> None:
    """A picture for people, when the folder SCREENSHOTS is asked for."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        size = page.viewport_size or {"width": 0}
        scheme = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
        page.screenshot(path=str(Path(folder) / f"{name}-{scheme}-{size['width']}.png"), full_page=True)


def test_a_morning_from_the_printed_address_to_why(console: Running, page: Page) -> None:
    """From the address in the terminal to live figures, to a reason, to one signal's whole story, without a script failing."""
    page.goto(console.enter())
    expect(page).to_have_url(f"{console.url}/")
    expect(page.get_by_role("heading", name="Nothing has arrived yet")).to_be_visible()
    keep(page, "empty")
    console.fill()
    expect(page.locator("#v-tiktok-accepted + b")).to_have_text("1")
    expect(page.get_by_text("Pinterest is busy.")).to_be_visible()
    expect(page.get_by_text("resting", exact=True)).to_be_visible()
    fits(page)
    keep(page, "front")
    console.shop.say(order("m-new", "A-new", now_ms()), at=now_ms())
    console.shop.process(now_ms())
    console.shop.deliver("tiktok", now_ms())
    expect(page.locator("#v-tiktok-accepted + b")).to_have_text("3")
    expect(page.locator("#latest").get_by_text("order A-new")).to_be_visible()

    page.locator("#r-tiktok-withheld-duplicate_order").click()
    expect(page.get_by_role("heading", name="Signals")).to_be_visible()
    expect(page.locator(".lead")).to_contain_text("already counted as a purchase")
    fits(page)
    keep(page, "signals")
    page.locator(".what a").click()
    expect(page.get_by_role("heading", name="Order Completed order A-accepted")).to_be_visible()
    for part in ("It came in", "Whose it is", "What it is worth", "TikTok", "Pinterest"):
        expect(page.get_by_role("heading", name=part).first).to_be_visible()
    expect(page.locator(".answer-on-top")).to_contain_text("look for a thank-you page that fires on reload")
    page.locator("#to-tiktok").get_by_text("let it pass").click()
    expect(page.locator("#to-tiktok .checks")).to_contain_text(["already counted", "The purchase has an order id."])
    fits(page)
    page.get_by_role("link", name="Order Completed").first.click()
    expect(page.locator("#to-tiktok")).to_contain_text("It was accepted.")
    page.locator("#to-tiktok").get_by_text("The event as TikTok gets it").click()
    expect(page.locator("#to-tiktok pre")).to_contain_text('"event": "Purchase"')
    fits(page)
    keep(page, "signal")


def test_search_by_keyboard_alone(console: Running, page: Page) -> None:
    """The search takes an order id and Enter; the first Tab on a page offers to skip to the content."""
    console.fill()
    page.goto(console.enter())
    page.goto(f"{console.url}/?live=off")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_label("Find an order, a message or a person").fill("A-refused")
    page.keyboard.press("Enter")
    expect(page.locator("#to-tiktok")).to_contain_text("It was refused.")


def test_the_login_page(console: Running, page: Page) -> None:
    """Nobody known sees a form; a wrong password is said to be wrong; the right one leads to the page asked for."""
    console.fill()
    page.goto(f"{console.url}/signals?verdict=refused")
    console.enter("operator")  # makes the user
    page.get_by_label("E-mail address").fill("operator@shop.example")
    page.get_by_label("Password").fill(PASSWORD)
    keep(page, "login")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{console.url}/signals?verdict=refused")
    expect(page.locator(".what a")).to_have_count(1)
    if page.get_by_role("button", name="Menu").is_visible():
        page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("E-mail address")).to_be_visible()
