"""Whole stories in a real browser: the real server as people start it, both emulators, and somebody who clicks and types."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.web import test_browser
from tests.web.conftest import entering

from signalpost.platforms.settings import Settings
from signalpost.platforms.testing import Client
from signalpost.platforms.testing import running as emulating
from signalpost.store.database import Database

pytestmark = test_browser.pytestmark
browser = test_browser.browser

KEY = "story-write-key"
WORKSPACE = """\
# The shop of the stories.
workspace: stories
environment: production
currency: USD
country: US
order_value: gross
database: stories.db
server: {{port: 0}}
sources:
  storefront: {{type: pipelines, write_key: ${{STORY_KEY}}}}   # the shop's own client
segments:
  buyers: {{did: Order Completed, within: 30d}}
destinations:
  tiktok:
    type: tiktok
    endpoint: {platforms}
    pixel: CDEMOPIXEL0000000001
    advertiser: "7000000000000000001"
    access_token: ${{TIKTOK_TOKEN}}
    website: https://shop.example
    events: {{Order Completed: Purchase, Checkout Started: InitiateCheckout}}
  pinterest:
    type: pinterest
    endpoint: {platforms}
    ad_account: "549755885175"
    access_token: ${{PINTEREST_TOKEN}}
    rollout:
      - {{send: [Order Completed], for: 72h, until: {{events: ">= 50"}}}}
      - {{send: [Checkout Started, Product Added]}}
"""


class Story:
    """A running shop: its console's address, its folder, its emulators."""

    def __init__(self, folder: Path, told: dict[str, Any], platforms: Client) -> None:
        self.folder, self.url, self.console, self.platforms = folder, told["url"], told["console"], platforms

    def enter(self, role: str) -> str:
        """An address that signs in as somebody of this role, made as another process would."""
        database = Database(str(self.folder / "stories.db"))
        secret = entering(database, role)
        database.close()
        return f"{self.url}/enter/{secret}"

    def send(self, *messages: dict[str, Any]) -> None:
        """Events, as the shop's client sends them."""
        for message in messages:
            answer = httpx.post(f"{self.url}/v1/track", auth=(KEY, ""), json=message, trust_env=False)
            assert answer.status_code == 200, answer.text


def order(number: int, **changed: Any) -> dict[str, Any]:
    """An order, as a shop's client reports it."""
    message = {
        "event": "Order Completed",
        "messageId": f"m-{number}",
        "userId": f"user-{number}",
        "properties": {"order_id": f"A-{number}", "total": 49.90 + number, "currency": "USD"},
        "context": {
            "ip": "8.8.8.8",
            "userAgent": "Mozilla/5.0",
            "page": {"url": "https://shop.example/thanks"},
            "traits": {"email": f"user{number}@private-mail.example"},
        },
    }
    return {**message, **changed}


def until(asked: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not asked():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@contextmanager
def served(folder: Path, platforms: Client) -> Iterator[Story]:
    """`signalpost serve`, as an operator starts it."""
    (folder / "signalpost.yaml").write_text(WORKSPACE.format(platforms=platforms.url), "utf-8")
    environ = {
        **os.environ,
        "STORY_KEY": KEY,
        "TIKTOK_TOKEN": platforms.settings.tiktok_token,
        "PINTEREST_TOKEN": platforms.settings.pinterest_token,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "signalpost", "serve", "--json"],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=(folder / "stderr").open("w"),
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "stderr").read_text()
        try:
            yield Story(folder, json.loads(line), platforms)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    said = (folder / "stderr").read_text()
    assert "Traceback" not in said, said[-3_000:]


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """The shop, with nothing in it."""
    settings = Settings(tiktok_minimum=1, pinterest_minimum=1)
    with emulating(settings) as url, Client(url, settings) as platforms, served(tmp_path, platforms) as ready:
        yield ready


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A browser's page that fails its test when a script fails, a file is missing or the content security policy is broken."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    yield opened
    context.close()
    assert complaints == []


def test_from_first_start_to_the_first_accepted_purchase(story: Story, page: Page) -> None:
    """Somebody new opens the link on the terminal, becomes the admin, is led to Set-up, sends an order and sees it accepted."""
    assert "/enter/" in story.console
    page.goto(story.console)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("E-mail address").fill("ada@shop.example")
    page.get_by_label("Password", exact=True).fill("a long enough password")
    page.get_by_role("button", name="Open the console").click()
    expect(page).to_have_url(f"{story.url}/")
    page.get_by_role("main").locator('a[href^="/setup"]').first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    story.send(order(1))
    page.goto(f"{story.url}/signals")
    row = page.locator("[data-row]").first
    expect(row).to_contain_text("A-1")
    expect(row).to_contain_text("accepted")
    row.get_by_role("link").first.click()
    expect(page.get_by_role("main")).to_contain_text("TikTok")
    expect(page.get_by_role("main")).to_contain_text("50.90 USD")
    assert story.platforms.received("tiktok")["accepted"] == 1
    assert httpx.get(story.console, trust_env=False).status_code == 404  # the link is used up


def test_why_an_order_was_not_sent(story: Story, page: Page) -> None:
    """An operator types an order id, and reads in a sentence why it did not go out, and what to do."""
    story.send(order(1, context={**order(1)["context"], "consent": {"advertising": False}}))
    page.goto(story.enter("operator"))
    expect(page.get_by_role("main")).to_contain_text("A-1")  # Today moves by itself
    page.keyboard.press("/")
    page.keyboard.type("A-1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("A-1")
    main = page.get_by_role("main")
    expect(main).to_contain_text("withheld")
    expect(main).to_contain_text("The person did not allow advertising use of this event")
    expect(main).to_contain_text("check the consent paths")
    assert story.platforms.received("tiktok")["accepted"] == 0


def test_a_segment_is_built_previewed_and_synced(story: Story, page: Page) -> None:
    """An operator begins with a use case, sees who would be inside, plans it, applies it, and the platform holds those people."""
    story.send(*(order(number) for number in range(1, 6)))
    until(lambda: story.platforms.received("tiktok")["accepted"] == 5)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(story.enter("operator"))
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Segments").click()
    page.locator("main").locator('a[href^="/segments/new"]').first.click()
    page.get_by_role("link", name="Recent buyers").click()
    page.locator("#rule-name").fill("fresh_buyers")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("5 people now")
    expect(preview).to_contain_text("Order Completed happened in the last 14 days")
    expect(preview).not_to_contain_text("private-mail")
    page.get_by_label("Keep these people in sync on an ad platform").check()
    page.get_by_label("tiktok", exact=True).check()
    page.get_by_label("Why").fill("Do not pay for who has bought")
    page.get_by_role("button", name="Plan this change").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Do not pay for who has bought")
    page.get_by_role("main").get_by_role("button", name="Plan", exact=True).click()
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("It came into force", timeout=60_000)
    assert "# the shop's own client" in (story.folder / "signalpost.yaml").read_text()  # comments stay
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Audiences").click()
    page.get_by_role("link", name="fresh_buyers").first.click()
    until(lambda: held(story) == 5, 60)
    page.reload()
    expect(page.get_by_role("main")).to_contain_text("5")
    story.send(order(6))
    until(lambda: held(story) == 6, 60)


def held(story: Story) -> int:
    """How many people TikTok found in its audiences."""
    told = story.platforms.http.get("/audiences", params={"platform": "tiktok"}).json()
    return sum(each["matched"] for each in told["tiktok"]["audiences"])


def test_a_broken_mapping_is_seen_in_the_plan_and_discarded(story: Story, page: Page) -> None:
    """An operator takes purchases from TikTok's map by mistake, reads in the plan what that costs, and discards it."""
    story.send(*(order(number) for number in range(1, 4)))
    until(lambda: story.platforms.received("tiktok")["accepted"] == 3)
    before = (story.folder / "signalpost.yaml").read_text()
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(story.enter("operator"))
    page.goto(f"{story.url}/changes/new")
    editor = page.locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")  # or Chromium writes the old text's style into the new
    page.keyboard.insert_text(before.replace("Order Completed: Purchase, ", ""))
    page.get_by_label("Why").fill("Tidy the map")
    page.get_by_role("button", name="Plan", exact=True).click()
    main = page.get_by_role("main")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tidy the map")
    expect(main).to_contain_text("3 signals of Order Completed worth 155.70 USD would no longer reach TikTok", timeout=60_000)
    page.get_by_role("button", name="Discard").click()
    expect(main).to_contain_text("discarded")
    assert (story.folder / "signalpost.yaml").read_text() == before
    story.send(order(4))
    until(lambda: story.platforms.received("tiktok")["accepted"] == 4)


def test_a_rollout_is_advanced(story: Story, page: Page) -> None:
    """An operator moves Pinterest on to its next stage, with a reason, and its signals go out from then on."""
    started = {**order(1), "event": "Checkout Started", "messageId": "c-1"}
    story.send(started)
    until(lambda: story.platforms.received("tiktok")["accepted"] == 1)
    assert story.platforms.received("pinterest")["accepted"] == 0
    page.goto(story.enter("operator"))
    page.goto(f"{story.url}/destinations/pinterest/rollout")
    page.get_by_label("On to stage 2").check()
    page.get_by_label("Why").fill("The figures agree with the invoices")
    page.get_by_role("button", name="Move it").click()
    expect(page.get_by_role("main")).to_contain_text("The figures agree with the invoices")
    story.send({**started, "messageId": "c-2", "userId": "user-2", "properties": {"order_id": "A-2", "total": 5}})
    until(lambda: story.platforms.received("pinterest")["accepted"] == 1)


def test_a_viewer_cannot_change_anything(story: Story, page: Page) -> None:
    """A viewer sees every page of the menu, and finds no form there but the search."""
    story.send(order(1))
    page.goto(story.enter("viewer"))
    links = page.locator("#menu a").evaluate_all("all => all.map((each) => each.href)")
    assert len(links) > 10
    for link in links:
        if urlsplit(link).path == "/settings":
            continue
        page.goto(link)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        forms = page.locator("main form[method=post]").evaluate_all("all => all.map((each) => each.getAttribute('action'))")
        assert set(forms) <= {"/find"}, link
