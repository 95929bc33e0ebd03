"""The console's page about quality: every leak with its figure, and the same facts as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.report import weeks
from tests.store.shop import RAW, order
from tests.web import test_browser
from tests.web.conftest import Running, now_ms, running

from signalpost.store.report import orders_latest
from signalpost.web import words
from signalpost.web.visit import WINDOWS

pytestmark = test_browser.pytestmark[1:]  # Playwright's loop and sockets outlive a failed test
browser, page, needs_chromium = test_browser.browser, test_browser.page, test_browser.pytestmark[0]


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Running]:
    """A console whose shop has two weeks behind it, up to now."""
    with running(tmp_path, weeks.workspace(str(tmp_path / "signalpost.db"))) as ready:
        weeks.fill(ready.shop.database, now_ms())
        yield ready


@pytest.mark.parametrize("window", [*WINDOWS, "never"])
def test_the_pages_and_their_data_say_the_same(busy: Running, window: str) -> None:
    """Keys, clocks, duplicates and trials of the data stand on the pages."""
    told = {}
    with busy.client(signed_in=True) as client:
        for name in ("", "/clocks", "/duplicates", "/gates"):
            text = client.get(f"/quality{name}", params={"window": window}).text
            told[name] = (text, client.get(f"/quality{name}.json", params={"window": window}).json())
            assert told[name][1]["window"] == (window if window in WINDOWS else "24h")
    text, data = told[""]
    for each in data["matched"]:
        assert f"<b>{each['score']:.0f}</b>" in text
    text, data = told["/clocks"]
    for clock in data["clocks"]:
        for measure in ("p50", "p95", "p99"):
            assert words.took(clock[measure]) in text
    text, data = told["/gates"]
    for each in (*data["trials"], *data["after"]):
        assert words.total(Decimal(each["value"]), each["currency"]) in text
    for would in data["would"].values():
        assert words.percent(Decimal(would)) in text
    if window == "7d":
        assert told["/clocks"][1]["clocks"]
        assert told[""][1]["matched"]
        assert {each["what"] for each in data["after"]} == {"cancelled_after", "refunded_after"}
        assert told[""][0].count('data-chart="lines"') == 2
        assert "of value" in text
    assert {each["destination"]: each["merged"] > 0 for each in told["/duplicates"][1]["radar"]} == {
        "pinterest": False,
        "tiktok": True,
    }


def test_the_value_ledger_tells_every_claim(busy: Running) -> None:
    """Each order stands with every claim, filtered by the address, page by page; no order is left out or told twice."""
    with busy.client(signed_in=True) as client:
        data = client.get("/quality/value.json", params={"show": "disagreeing"}).json()
        text = client.get("/quality/value", params={"show": "disagreeing"}).text
        assert data["orders"]
        for each in data["orders"]:
            assert each["order_id"] in text
            assert each["disagreement"] in text
            for claim in each["claims"]:
                assert words.money(claim["value"], claim["currency"]) in text
        keys, after = [], ""
        while True:
            page_ = client.get("/quality/value.json", params={"after": after}).json()
            keys += [each["key"] for each in page_["orders"]]
            if not page_["more"]:
                break
            after = page_["more"]
    everything = busy.shop.database.look(lambda connection: orders_latest(connection, 10_000, busy.shop.workspace))
    assert keys == [each.key for each in everything]


def test_nothing_yet(console: Running) -> None:
    """Without an event each page says what will stand there and what to do next, and has no chart."""
    with console.client(signed_in=True) as client:
        for name in ("", "/value", "/clocks"):
            text = client.get(f"/quality{name}").text
            assert 'class="empty"' in text
            assert 'href="/setup"' in text
            assert "data-chart" not in text
        assert "No order was sent yet" in client.get("/quality/duplicates").text
        assert client.get("/quality/duplicates.json").json()["among"] == 0
        assert "Nothing to show" in client.get("/quality/gates").text


def test_the_story_of_an_order_tells_what_each_source_claimed(busy: Running) -> None:
    """The page of any event of an order shows the order's claims and what was sent; its data has them too."""
    (ordered, *_) = busy.shop.database.look(
        lambda connection: [each for each in orders_latest(connection, 50, busy.shop.workspace) if each.disagreement]
    )
    with busy.client(signed_in=True) as client:
        for number in (ordered.event, ordered.claims[1].event):
            text = client.get(f"/signals/{number}").text
            assert "The order as Signalpost knows it" in text
            assert ordered.disagreement in text
            (told,) = client.get(f"/signals/{number}.json").json()["orders"]
            assert [claim["source"] for claim in told["claims"]] == ["web", "shop"]


def test_real_orders_stand_in_the_ledger_masked(console: Running) -> None:
    """Orders that went through the pipeline are on the page with their values; nobody's data is, nor markup that a shop sent."""
    evil = '"><script>alert(1)</script>'
    console.fill()
    console.shop.say(order("m-evil", evil, now_ms()), at=now_ms())
    console.shop.say(order("m-mail", "margarethe.winterbottom@private-mail.example", now_ms()), at=now_ms())
    console.shop.process(now_ms())
    with console.client(signed_in=True) as client:
        for address in ("/quality/value", "/quality/value.json"):
            answer = client.get(address)
            assert answer.status_code == 200
            assert "A-accepted" in answer.text
            assert not [raw for raw in RAW if raw.lower() in answer.text.lower()]
        text = client.get("/quality/value").text
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text
        assert "49.90 GBP" in text
        assert not re.search(r'<script(?![^>]*src="/static/)|<style|\sstyle="|\son[a-z]+="', text)


@needs_chromium
def test_a_look_at_quality_in_a_browser(busy: Running, page: Page) -> None:
    """Through all pages of quality, with charts drawn, to an order's story, fitting the window, without a complaint."""
    page.goto(busy.enter())
    page.goto(f"{busy.url}/quality?window=7d")
    expect(page.get_by_role("img", name="Match key score")).to_be_visible()
    expect(page.locator("figure canvas").first).to_be_visible()
    for tab in ("Clocks", "Counted twice", "Gates on trial", "Value ledger"):
        page.get_by_role("link", name=tab, exact=True).click()
        expect(page.locator(".tabs [aria-current]")).to_have_text(tab)
        test_browser.fits(page)
    page.get_by_role("link", name="G-000").first.click()
    page.get_by_text("The order as Signalpost knows it").click()
    expect(page.get_by_role("group", name="Orders and what became of them").get_by_role("table")).to_be_visible()
    test_browser.fits(page)
