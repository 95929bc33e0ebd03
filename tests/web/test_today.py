"""The front page: where money is lost, in words and exact; today beside last week; what is on purpose apart from what is lost."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.shop import RAW, order, workspace
from tests.web.conftest import Running, now_ms, running

from signalpost import gates
from signalpost.findings import Finding
from signalpost.store import findings, pauses, today
from signalpost.store.findings import Kept
from signalpost.store.today import Heard, Ledger, Overview, Told, Why
from signalpost.web import flowing
from signalpost.web.live import Feed, Picture, Watchers
from signalpost.web.pages import today as page
from signalpost.web.words import total

LONDON = ZoneInfo("Europe/London")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def why(verdict: str, reason: str, sense: gates.Sense, value: int, sentence: str, advice: str = "") -> Why:
    """One order that was not accepted."""
    return Why(verdict=verdict, reason=reason, sense=sense, purchases=1, value=Decimal(value), sentence=sentence, advice=advice)


def ledger(**changes: object) -> Ledger:
    """Purchases at one destination, some lost and some meant."""
    facts: dict[str, object] = {
        "destination": "tiktok",
        "platform": "TikTok",
        "currency": "GBP",
        "purchases": 4,
        "known": Decimal(98000),
        "accepted": Decimal(85660),
        "waiting": Decimal(340),
        "meant": Decimal(9000),
        "lost": Decimal(3000),
        "lost_purchases": 1,
        "reasons": [
            why("refused", "40002", "lost", 3000, "No price.", "Send it."),
            why("withheld", "consent_denied", "meant", 5000, "No consent."),
            why("withheld", "gate:bot", "meant", 4000, "A bot."),
        ],
    }  # fmt: skip
    return Ledger(**{**facts, **changes})  # type: ignore[arg-type]


def test_the_first_sentence_says_what_is_missing_and_why() -> None:
    """What did not arrive is told exactly, what is lost apart from what was kept back on purpose and what waits."""
    told = page.leak([ledger()], "today")
    assert told.headline == "12,340.00 GBP of 98,000.00 GBP known today did not reach TikTok as an accepted purchase."
    assert [each.sentence for each in told.parts] == [
        "3,000.00 GBP should have arrived and did not: No price. Send it.",
        "9,000.00 GBP was kept back on purpose, mostly because: No consent.",
        "340.00 GBP waits to be sent.",
    ]
    assert sum(each.value for each in told.parts) == Decimal(12340)
    assert told.parts[0].link == "/signals?destination=tiktok&event=Order+Completed&verdict=refused&reason=40002"


def test_the_sentence_is_about_the_platform_at_which_most_is_lost() -> None:
    """A platform that keeps much back on purpose is not the worst; of nothing missing the sentence says so."""
    careful = ledger(destination="pinterest", platform="Pinterest", accepted=Decimal(0), meant=Decimal(98000), lost=Decimal(0))
    assert page.leak([careful, ledger()], "today").destination == "tiktok"
    well = ledger(accepted=Decimal(98000), waiting=Decimal(0), meant=Decimal(0), lost=Decimal(0), reasons=[])
    assert page.leak([well], "today").headline == "All 98,000.00 GBP known today reached TikTok as accepted purchases."
    assert page.leak([], "today").headline == ""


def test_the_page_tells_the_same_as_the_ledger(console: Running) -> None:
    """The sentence, each platform's row and the tiles have the sums of the orders there are; the twin has the same."""
    console.fill()
    with console.client(signed_in=True) as client:
        data = client.get("/index.json").json()
        text = re.sub(r"\s+", " ", client.get("/").text)
    assert data["leak"]["headline"] in text
    by = {each["destination"]: each for each in data["leak"]["ledgers"]}
    rows = console.shop.write(
        lambda connection: connection.raw.execute(
            "SELECT l.destination, l.verdict, l.value FROM ledger l WHERE coalesce(l.reason, '') NOT LIKE 'duplicate%'"
        ).fetchall()
    )
    for destination, each in by.items():
        own = [(verdict, Decimal(value)) for name, verdict, value in rows if name == destination and value is not None]
        assert Decimal(each["known"]) == sum(value for _, value in own)
        assert Decimal(each["accepted"]) == sum(value for verdict, value in own if verdict in {"accepted", "warned"})
        assert Decimal(each["lost"]) == sum(value for verdict, value in own if verdict in {"refused", "unknown"})
        assert total(Decimal(each["known"]), "GBP") in text
    for tile in data["tiles"]:
        assert tile["name"] in text
        assert tile["value"] in text
    assert data["today"]["orders"] == 5
    assert data["today"]["repeats"] == 4


def test_every_finding_has_its_own_sum(console: Running) -> None:
    """Findings stand by their money with their own sums and their own anchors; alike ones are one line."""
    made = [
        Finding(
            kind=kind,
            subject=str(number),
            severity="warning",
            sentence=f"Sentence {kind} {number}.",
            advice="Do this.",
            link="docs/leaks/README.md",
            money=None if money is None else Decimal(money),
            currency=None if money is None else "GBP",
        )
        for number, (kind, money) in enumerate(
            [("refused", "10.50"), ("too_old", "99.00"), ("nobody", None), ("too_old", "98.00"), ("missing_value", "50.00")]
        )
    ]
    console.shop.write(lambda connection: findings.reconcile(connection, made, now_ms()))
    with console.client(signed_in=True) as client:
        data = client.get("/index.json").json()
        text = client.get("/").text
    assert [(each["kept"]["finding"]["kind"], each["alike"]) for each in data["findings"]] == [
        ("too_old", 1),
        ("missing_value", 0),
        ("refused", 0),
        ("nobody", 0),
    ]
    assert data["open"] == 5
    for each in data["findings"]:
        number, finding = each["kept"]["id"], each["kept"]["finding"]
        (item,) = re.findall(rf"<li>(?:(?!</li>).)*?/findings#finding-{number}\".*?</li>", text, re.DOTALL)
        assert finding["sentence"] in item
        assert ("at stake" in item) == (finding["money"] is not None)
        if finding["money"] is not None:
            assert total(Decimal(finding["money"]), "GBP") in item


def test_a_pause_and_a_rest_are_told(console: Running) -> None:
    """A destination that somebody paused says who and why; one that rests says why and until when."""
    console.fill()
    console.shop.write(
        lambda connection: pauses.pause(connection, "tiktok", who="ann@shop.example", note="new pixel", now=now_ms())
    )
    with console.client(signed_in=True) as client:
        text = client.get("/").text
    assert "Paused by ann@shop.example" in text
    assert "new pixel" in text
    assert "Pinterest is busy." in text


@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d"])
def test_the_picture_is_of_the_window(console: Running, window: str) -> None:
    """Each window has its picture, whose links lead to signals; nothing raw is in any of it."""
    console.fill()
    with console.client(signed_in=True, role="viewer") as client:
        text = client.get("/", params={"window": window}).text
    (block,) = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    drawn = json.loads(block)
    assert drawn["kind"] == "flow"
    assert {each["label"] for each in drawn["nodes"]} >= {"web", "Order Completed", "TikTok", "Pinterest", "accepted"}
    assert all(each["link"].startswith("/signals") for each in drawn["nodes"])
    assert not [raw for raw in RAW if raw.lower() in text.lower()]


names = st.sampled_from(["Order Completed", "Product Viewed", *(f"Event {number}" for number in range(12))])
told = st.lists(
    st.builds(
        Told,
        destination=st.sampled_from(["tiktok", "pinterest"]),
        name=names,
        verdict=st.sampled_from(["accepted", "warned", "waiting", "refused", "unknown", "withheld"]),
        reason=st.sampled_from(["consent_denied", "repeat", "gate:bot", "too_old", "not_mapped", "over_cap", "in_future", "x"]),
        signals=st.integers(1, 10_000),
    ),
    max_size=60,
)
heard = st.lists(
    st.builds(Heard, source=st.sampled_from(["", "web", *"abcdef"]), name=names, events=st.integers(1, 10_000)), max_size=40
)


@given(heard=heard, told=told)
def test_what_enters_the_picture_leaves_it(heard: list[Heard], told: list[Told]) -> None:
    """Every signal is on one way through the picture; nodes are few, joined from left to right, and named once."""
    seen = Overview(since=0, events=0, unreadable=0, backlog_requests=0, backlog_events=0, heard=heard, told=told, flows=[])
    chart = flowing.picture(seen, workspace("unused.db"), "last hour")
    if not told:
        assert chart is None
        return
    assert chart is not None
    nodes = {each.id: each for each in chart.facts["nodes"]}
    assert len(nodes) == len(chart.facts["nodes"]) <= 34
    flows: dict[str, list[float]] = {name: [0, 0] for name in nodes}
    for edge in chart.facts["edges"]:
        assert nodes[edge.source].depth < nodes[edge.target].depth
        flows[edge.source][1] += edge.value
        flows[edge.target][0] += edge.value
    whole = sum(each.signals for each in told)
    assert sum(out for name, (_, out) in flows.items() if name.startswith("event ")) == whole
    for name, (entered, left) in flows.items():
        if name.startswith("to "):
            assert entered == left
    ended = sum(entered for name, (entered, _) in flows.items() if name.startswith(("why ", "verdict ")))
    assert ended == whole


@pytest.mark.parametrize(
    ("now", "start", "before"),
    [
        ("2026-06-17T10:30:00", "2026-06-16T23:00:00", "2026-06-09T23:00:00"),  # summer: midnight is an hour earlier in UTC
        ("2026-10-28T10:30:00", "2026-10-28T00:00:00", "2026-10-20T23:00:00"),  # a week ago it was summer
    ],
)
def test_the_day_is_the_zones(now: str, start: str, before: str) -> None:
    """Today begins at the zone's midnight, and a week ago at the same wall time, whatever the clocks did between."""
    at = int(datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp() * 1000)
    said = [datetime.fromtimestamp(each / 1000, UTC).replace(tzinfo=None).isoformat() for each in page.midnight(at, LONDON)]
    assert said == [start, now]
    began, until = page.midnight(at, LONDON, 7)
    assert datetime.fromtimestamp(began / 1000, UTC).replace(tzinfo=None).isoformat() == before
    here = datetime.fromtimestamp(at / 1000, LONDON)
    assert datetime.fromtimestamp(until / 1000, LONDON).time() == here.time()


def test_last_week_is_told_beside_today(tmp_path: Path) -> None:
    """Orders of the same day last week, up to this time of day, stand beside today's; what came later that day does not."""
    with running(tmp_path) as console, console.client(signed_in=True) as client:
        now = now_ms()
        start, then = page.midnight(now, LONDON, 7)
        for number, at in enumerate((start, then - MINUTE, then + HOUR, then + 2 * HOUR)):
            if at >= start:
                console.shop.say(order(f"old-{number}", f"O-{number}", at), at=at)
                console.shop.process(at)
                console.shop.deliver("tiktok", at)
        expected = sum(start - start % MINUTE <= at - at % MINUTE < then - then % MINUTE for at in (start, then - MINUTE))
        for number in range(2):
            console.shop.say(order(f"new-{number}", f"N-{number}", now), at=now)
        console.shop.process(now)
        console.shop.deliver("tiktok", now)
        data = client.get("/index.json").json()
        tiles = {each["name"]: each for each in data["tiles"]}
    assert data["before"]["orders"] == expected
    assert data["today"]["orders"] == 2
    assert tiles["Orders known"]["value"] == "2"
    assert tiles["TikTok accepted"]["value"] == "99.80 GBP"
    assert f"{expected} last" in tiles["Orders known"]["was"]


def test_change_is_told_in_words() -> None:
    """More and less are words, better and worse are told apart, and nothing is compared with nothing."""
    assert page._more(Decimal(110), Decimal(100)) == "10.0 % more"
    assert page._more(Decimal(90), Decimal(100)) == "10.0 % less"
    assert page._more(Decimal(100), Decimal(100)) == "as much"
    assert page._more(Decimal(500), Decimal(100)) == "5 times as much"
    assert page._more(Decimal(5), Decimal(0)) == ""
    slow = page._time("T", today.Time(signals=1, p50=10, p95=400), today.Time(signals=1, p50=10, p95=100), "last Monday", "/")
    assert (slow.change, slow.better) == ("300 % slower", False)
    fast = page._time("T", today.Time(signals=1, p50=10, p95=50), today.Time(signals=1, p50=10, p95=100), "last Monday", "/")
    assert (fast.change, fast.better) == ("50 % faster", True)


async def test_a_chart_is_not_drawn_again_without_need() -> None:
    """A feed that the page has drawn already is sent when it changes, all others at once; nothing is sent twice alike."""
    charts = iter(["one", "one", "two", "two", "two", "two", "two", "two"])

    async def chart() -> Picture:
        return Picture({"chart": next(charts)})

    async def moves() -> Picture:
        return Picture({"moves": "same"})

    watchers = Watchers()
    heard: list[str] = []

    async def watch() -> None:
        async for message in watchers.follow(Feed(moves, every=0.01), Feed(chart, every=0.01, drawn=True)):
            heard.append(message)
            if "two" in message:
                watchers.stop()

    await asyncio.wait_for(watch(), 20)
    assert [each.partition("\n")[0] for each in heard if each.startswith("event:")] == ["event: moves", "event: chart"]
    assert any("two" in each for each in heard)


def test_alike_findings_are_one() -> None:
    """The dearest of a kind stands for all of its kind."""

    def kept(number: int, kind: str, money: str | None) -> Kept:
        worth = None if money is None else Decimal(money)
        finding = Finding(
            kind=kind, subject=str(number), severity="problem", sentence="", advice="", link="", money=worth, currency="GBP"
        )
        return Kept(id=number, finding=finding, since=0, seen_at=0, closed_at=None, alerted_at=None)

    found = page.dearest([kept(1, "a", None), kept(2, "b", "5"), kept(3, "a", None), kept(4, "b", "7")])
    assert [(each.kept.id, each.alike) for each in found] == [(4, 1), (1, 1)]
