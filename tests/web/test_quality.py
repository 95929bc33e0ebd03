"""The console's page about quality: every leak with its figure, and the same facts as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.report import weeks
from tests.store.shop import RAW, order, workspace
from tests.web import test_browser
from tests.web.conftest import Running, now_ms, running

from signalpost.options import Audience
from signalpost.store import audiences, batches
from signalpost.store.database import Connection, Database
from signalpost.store.report import orders_latest
from signalpost.web import quality, words
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
def test_the_page_and_its_data_say_the_same(busy: Running, window: str) -> None:
    """Findings, value ledger, clocks, keys, trials, returns, radar and rollouts of the data stand on the page."""
    with busy.client(signed_in=True) as client:
        text = client.get("/quality", params={"window": window}).text
        data = client.get("/quality.json", params={"window": window}).json()
    assert data["window"] == (window if window in WINDOWS else "24h")
    assert len(data["findings"]) == 2
    for each in data["findings"]:
        assert each["finding"]["sentence"] in text
        assert f'id="finding-{each["id"]}"' in text
    assert words.money(data["at_stake"]["GBP"], "GBP") in text
    for ordered in (*data["latest"], *data["disagreeing"]):
        assert ordered["order_id"] in text
        for claim in ordered["claims"]:
            assert words.money(claim["value"], claim["currency"]) in text
    assert data["disagreeing"]
    for each in data["disagreeing"]:
        assert each["disagreement"] in text
    for clock in data["clocks"]:
        for measure in ("p50", "p95", "p99"):
            assert words.took(clock[measure]) in text
    for each in data["matched"]:
        assert f"<b>{each['score']:.0f}</b>" in text
    for each in (*data["trials"], *data["after"]):
        assert words.total(Decimal(each["value"]), each["currency"]) in text
    if window == "7d":
        assert data["clocks"]
        assert data["matched"]
        assert {each["what"] for each in data["after"]} == {"cancelled_after", "refunded_after"}
        assert text.count('<svg xmlns="http://www.w3.org/2000/svg" class="chart"') == 2
        assert "of value" in text
    assert {each["destination"]: each["merged"] > 0 for each in data["radar"]} == {"pinterest": False, "tiktok": True}
    assert "Accepted is 96.4 %, not 99 %." in text


def test_the_front_page_says_how_many_findings_are_open(busy: Running) -> None:
    """Today has a line with the open findings and the money at stake that leads to the page; none when nothing is open."""
    with busy.client(signed_in=True) as client:
        text = client.get("/").text
        strip = re.search(r'<a class="strip"[^>]*href="/quality">(.*?)</a>', text, re.DOTALL)
        assert strip
        for part in ("2 findings open", "A source mixes gross and net", "up to 212.40 GBP at stake"):
            assert part in strip.group(1)
        assert client.get("/index.json").json()["findings"]["findings"] == 2
        assert 'aria-current="page">Quality' in client.get("/quality").text


def test_nothing_yet(console: Running) -> None:
    """Without an event the page says what will stand where, and has no chart; the front page has no line of findings."""
    with console.client(signed_in=True) as client:
        for window in WINDOWS:
            text = client.get("/quality", params={"window": window}).text
            assert "No finding is open" in text
            assert "No order yet" in text
            assert "<svg" not in text
        assert 'class="strip"' not in client.get("/").text
        assert client.get("/quality.json").json()["among"] == 0


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
        for address in ("/quality", "/quality.json"):
            answer = client.get(address)
            assert answer.status_code == 200
            assert "A-accepted" in answer.text
            assert not [raw for raw in RAW if raw.lower() in answer.text.lower()]
        text = client.get("/quality").text
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text
        assert "49.90 GBP" in text
        assert not re.search(r'<script(?![^>]*src="/static/)|<style|\sstyle="|\son[a-z]+="', text)


def test_the_facts_are_the_same_in_parts_as_whole(database: Database) -> None:
    """On either database the charts' points hold what the tables hold, and what no gate withheld is the counters' exactly."""
    weeks.fill(database)
    chosen = weeks.workspace(database.address)
    now = weeks.NOW + 60_000
    facts = database.look(lambda connection: quality.quality(connection, chosen, "7d", WINDOWS["7d"], now))
    whole = {(each.clock, each.name): each.signals for each in facts.clocks}
    assert whole["accepted", "tiktok"] == 8 * 50
    assert len(facts.points) == 29
    assert sum("tiktok" in point.p95 for point in facts.points) == sum("tiktok" in point.scores for point in facts.points) == 8
    assert [(each.destination, each.reason, each.signals, each.value) for each in facts.stopped] == [
        ("tiktok", "cancelled_before_sending", 2, Decimal("80.25"))
    ]
    (trial,) = [each for each in facts.trials if each.destination == "tiktok"]
    assert (trial.of_signals, trial.of_value) == (50, Decimal("3110.5"))
    assert facts.among == len(facts.latest) + 86 == 98
    assert set(quality.drawn(facts, chosen, words.zone(chosen.timezone))) == {"speed", "score"}


def test_audiences_and_how_soon_buyers_are_kept_from_ads(tmp_path: Path) -> None:
    """Each audience stands on the page with its state, and the clock from an order to the platform having taken it."""
    buyers = Audience(segment="buyers", to=("tiktok", "pinterest"), use="suppress")
    segments = {"buyers": {"did": "Order Completed", "within": "14d"}}
    chosen = workspace(str(tmp_path / "signalpost.db"), segments=segments, audiences=(buyers,))
    with running(tmp_path, chosen) as console:

        def stopped(connection: Connection) -> None:
            audiences.register(connection, chosen)
            connection.run("audience_says", "stopped", "The token has expired.", audiences.standings(connection)[0].slot)
            batches.time(connection, now_ms(), {("suppressed", "pinterest", 3_000): 9})

        console.shop.write(stopped)
        with console.client(signed_in=True) as client:
            text = client.get("/quality").text
            data = client.get("/quality.json").json()
    assert [(each["name"], each["destination"], each["state"]) for each in data["audiences"]] == [
        ("buyers", "tiktok", "stopped"),
        ("buyers", "pinterest", "new"),
    ]
    assert "The token has expired." in text
    assert "Order to kept from ads" in text


@needs_chromium
def test_a_look_at_quality_in_a_browser(busy: Running, page: Page) -> None:
    """From the line of findings to the page, to an order's story and back, fitting the window, without a complaint."""
    page.goto(busy.enter("viewer"))
    page.goto(f"{busy.url}/?live=off")
    test_browser.fits(page)
    page.locator("#findings-strip").click()
    expect(page.get_by_role("heading", name="Quality")).to_be_visible()
    page.get_by_role("link", name="7d").click()
    expect(page.get_by_role("img", name="Match key score")).to_be_visible()
    for heading in (
        "What to look at",
        "Value ledger",
        "Clocks",
        "Match keys",
        "Gates on trial",
        "Holds, and what came too late",
        "Rollouts",
    ):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    test_browser.fits(page)
    test_browser.keep(page, "quality")
    page.get_by_role("link", name="G-000").first.click()
    expect(page.get_by_role("heading", name="The order as Signalpost knows it")).to_be_visible()
    test_browser.fits(page)
