"""The editor of the workspace file in a real browser: what may stand here, what is wrong, and from text to proposal."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from tests.web.conftest import Running
from tests.web.test_browser import browser, fits, keep, page, pytestmark
from tests.web.test_changes import place

__all__ = ["browser", "page", "place", "pytestmark"]


def opened(place: Running, page: Page) -> None:
    """The editor, ready."""
    page.goto(place.enter("operator"))
    page.goto(f"{place.url}/changes/new")
    expect(page.get_by_text("No mistakes.", exact=True)).to_be_visible()


def below(page: Page, line: str, text: str) -> None:
    """Text typed at the end of a line, without the editor's own indentation."""
    page.locator(".cm-line", has_text=line).first.click()
    page.keyboard.press("End")
    page.keyboard.insert_text(text)


def test_from_a_mistake_to_a_proposal(place: Running, page: Page) -> None:
    """Options and values are offered with what they mean, a mistake is told where it stands, and what is mended is proposed."""
    opened(place, page)
    keep(page, "editor")
    offers = page.locator(".cm-tooltip-autocomplete li")
    below(page, "currency: GBP", "\nga")
    page.keyboard.press("Control+Space")
    expect(offers.first).to_contain_text("gates")
    page.wait_for_timeout(200)  # an Enter that comes with the offers is still a new line
    page.keyboard.press("Enter")
    expect(page.locator(".cm-line", has_text="gates:")).to_be_visible()
    page.keyboard.insert_text("\n  - preset: ")
    page.keyboard.press("Control+Space")
    expect(offers.filter(has_text=re.compile("^bot$"))).to_be_visible()
    keep(page, "editor-offers")
    page.keyboard.insert_text("bott")
    expect(page.locator(".checked")).to_contain_text("1 mistake. Line 6")
    expect(page.locator(".cm-lintRange-error")).to_have_text("bott")
    page.keyboard.press("Escape")
    page.get_by_label("Why").fill("Robots stay out")
    fits(page)
    page.locator(".cm-line", has_text="bott").click()
    page.keyboard.press("End")
    page.keyboard.press("Backspace")
    expect(page.get_by_text("No mistakes.", exact=True)).to_be_visible()
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("heading", name="Robots stay out")).to_be_visible()
    expect(page.locator(".line-added code")).to_have_text(["gates:", "  - preset: bot"])
    fits(page)


def test_the_keyboard_leaves_the_editor(place: Running, page: Page) -> None:
    """Tab indents; after Escape it goes on to the next field, as the hint says."""
    opened(place, page)
    page.locator(".cm-content").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Why")).to_be_focused()
