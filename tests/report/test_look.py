"""The report in a real browser: nothing sticks out, nothing is fetched, it prints. Needs Chromium; set CHROMIUM to its path."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from tests.report import weeks
from tests.web import test_browser

from signalpost.store.database import Database
from signalpost.web import report, words

pytestmark = test_browser.pytestmark
browser, page = test_browser.browser, test_browser.page


@pytest.fixture
def written(tmp_path: Path) -> str:
    """The address of a report's file."""
    database = Database(str(tmp_path / "signalpost.db"))
    weeks.fill(database)
    chosen = weeks.workspace(database.address)
    period = report.period_of_days(7, words.zone(chosen.timezone), weeks.NOW + 60_000)
    made = database.look(lambda connection: report.gather(connection, chosen, period, weeks.NOW + 60_000))
    database.close()
    file = tmp_path / "report.html"
    file.write_text(report.page(made), "utf-8")
    return file.as_uri()


def test_the_page_fits_and_fetches_nothing(written: str, page: Page) -> None:
    """On a desk and on a phone, light and dark, the page is no wider than the window and asks nobody for anything."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written)
    test_browser.fits(page)
    test_browser.keep(page, "report")
    page.get_by_text("Score day by day").click()
    test_browser.fits(page)
    assert asked == [written]


def test_it_prints_on_a4(written: str, browser: Browser) -> None:
    """On paper every table stands within the sheet, in black on white whatever the screen prefers."""
    context = browser.new_context(
        color_scheme="dark", viewport={"width": 695, "height": 1000}
    )  # A4 less its margins, in CSS pixels
    opened = context.new_page()
    opened.goto(written)
    opened.emulate_media(media="print")
    test_browser.fits(opened)
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.evaluate("getComputedStyle(document.body).color") == "rgb(26, 33, 48)"
    assert opened.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    context.close()
