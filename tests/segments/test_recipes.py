"""The ten recipes of docs/how-to/segment-recipes.md: checked, and run through the real pipeline with people who come and go."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.laws.flow import DAY, HOUR, Flow

from signalpost import config
from signalpost import memberships as moving
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.events import Person
from signalpost.sources import Received
from signalpost.store import batches, memberships
from signalpost.store.database import Connection, Database

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "segment-recipes.md"

HEAD = """\
workspace: recipes
environment: production
currency: USD
country: US
order_value: net
sources:
  web: {type: pipelines, write_key: web-key}
  messages: {type: reporting, secret: "${SECRET}"}
destinations:
  tiktok: {type: tiktok, pixel: P, access_token: "${SECRET}", website: "https://shop.example"}
  pinterest: {type: pinterest, ad_account: '549755885175', access_token: "${SECRET}"}
"""

BEGIN = round(datetime(2026, 11, 10, tzinfo=UTC).timestamp() * 1000)
END = 400 * DAY

RECIPES = {
    int(number): (title, block)
    for number, title, block in re.findall(
        r"^## (\d+)\. (.+?)$.*?^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
}

Told = tuple[int, str, dict[str, Any]]
"""(ms after the beginning, event, properties); `identify` has traits for properties."""

Stays = list[tuple[int, int | None]]
"""(entered, left) in ms after the beginning; None: still inside."""


def checkout(at: int) -> Told:
    return (at, "Checkout Started", {})


def order(at: int, value: int = 100, *, id: str = "", products: tuple[str, ...] = ()) -> Told:  # noqa: A002 - what shops call it
    lines = [{"product_id": each, "quantity": 1, "price": value} for each in products]
    return (at, "Order Completed", {"order_id": id or f"o{at}", "total": value, "currency": "USD", "products": lines})


def refund(at: int, id: str, value: int) -> Told:  # noqa: A002 - as above
    return (at, "Order Refunded", {"order_id": id, "total": value, "currency": "USD"})


def cancel(at: int, id: str) -> Told:  # noqa: A002 - as above
    return (at, "Order Cancelled", {"order_id": id})


def mail(at: int, metric: str, **data: Any) -> Told:
    return (at, f"email {metric}", data)


def view(at: int) -> Told:
    return (at, "Product Viewed", {"product_id": "serum-30ml"})


STORIES: list[tuple[int, str, list[Told], dict[str, Stays]]] = [
    (1, "waits", [checkout(0)], {
        "cart_reminder": [(0, 6 * HOUR)], "cart_social_proof": [(6 * HOUR, DAY)], "cart_offer": [(DAY, 4 * DAY)],
        "cart_last_call": [(4 * DAY, 7 * DAY)], "cart": [(0, 7 * DAY)],
    }),
    (1, "buys", [checkout(0), order(30 * HOUR)], {
        "cart_reminder": [(0, 6 * HOUR)], "cart_social_proof": [(6 * HOUR, DAY)], "cart_offer": [(DAY, 30 * HOUR)],
        "cart_last_call": [], "cart": [(0, 30 * HOUR)],
    }),
    (1, "begins again", [checkout(0), checkout(10 * HOUR), order(17 * HOUR)], {
        "cart_reminder": [(0, 6 * HOUR), (10 * HOUR, 16 * HOUR)],
        "cart_social_proof": [(6 * HOUR, 10 * HOUR), (16 * HOUR, 17 * HOUR)], "cart": [(0, 17 * HOUR)],
    }),
    (1, "looks", [view(0)], {"cart": [], "cart_reminder": []}),
    (2, "buys", [order(0)], {"recent_buyers": [(0, 14 * DAY)]}),
    (2, "buys twice", [order(0), order(10 * DAY)], {"recent_buyers": [(0, 24 * DAY)]}),
    (2, "looks", [view(0)], {"recent_buyers": []}),
    (3, "buys once", [order(0)], {"lapsed_90d": [(90 * DAY, None)]}),
    (3, "comes back", [order(0), order(100 * DAY)], {"lapsed_90d": [(90 * DAY, 100 * DAY), (190 * DAY, None)]}),
    (3, "never bought", [checkout(0)], {"lapsed_90d": []}),
    (4, "waits", [order(0, 350)], {"vip": [(0, None)], "early_access": [(0, None)]}),
    (4, "uses it", [order(0, 350), order(11 * DAY)], {"vip": [(0, None)], "early_access": [(0, 11 * DAY)]}),
    (4, "buys before the access", [order(0, 350), order(10 * DAY + 5 * HOUR - 1)], {"early_access": [(0, None)]}),
    (4, "buys as it begins", [order(0, 350), order(10 * DAY + 5 * HOUR)], {"early_access": [(0, 10 * DAY + 5 * HOUR)]}),
    (4, "small orders", [order(0), order(DAY)], {"vip": [], "early_access": []}),
    (4, "sends back", [order(0, 350, id="a"), refund(DAY, "a", 100)], {"vip": [(0, DAY)], "early_access": [(0, DAY)]}),
    (5, "twice", [order(0), order(10 * DAY)], {"second_time_buyers": [(10 * DAY, 375 * DAY)]}),
    (5, "once", [order(0)], {"second_time_buyers": []}),
    (5, "calls it off", [order(0), order(DAY, id="b"), cancel(2 * DAY, "b")], {"second_time_buyers": [(DAY, 2 * DAY)]}),
    (6, "hears nothing", [checkout(0)], {"not_reached_by_email": [(DAY, 4 * DAY)]}),
    (6, "a program opens", [checkout(0), mail(2 * HOUR, "opened", prefetched=True)],
     {"not_reached_by_email": [(DAY, 4 * DAY)]}),
    (6, "opens", [checkout(0), mail(2 * HOUR, "opened")], {"not_reached_by_email": []}),
    (6, "opens late", [checkout(0), mail(30 * HOUR, "opened")], {"not_reached_by_email": [(DAY, 30 * HOUR)]}),
    (6, "opened before", [mail(0, "opened"), checkout(HOUR)], {"not_reached_by_email": [(25 * HOUR, 97 * HOUR)]}),
    (6, "buys", [checkout(0), order(30 * HOUR)], {"not_reached_by_email": [(DAY, 30 * HOUR)]}),
    (7, "runs out", [order(0, products=("serum-30ml", "soap"))], {"serum_runs_out": [(50 * DAY, 75 * DAY)]}),
    (7, "buys soap", [order(0, products=("serum-30ml",)), order(55 * DAY, products=("soap",))],
     {"serum_runs_out": [(50 * DAY, 75 * DAY)]}),
    (7, "buys anew", [order(0, products=("serum-30ml",)), order(60 * DAY, products=("serum-50ml",))],
     {"serum_runs_out": [(50 * DAY, 60 * DAY), (110 * DAY, 135 * DAY)]}),
    (7, "never had it", [order(0, products=("soap",))], {"serum_runs_out": []}),
    (8, "once", [order(0, id="a"), refund(DAY, "a", 20)], {"returners": [(DAY, 31 * DAY)]}),
    (8, "always", [order(0, id="a"), refund(DAY, "a", 100), order(2 * DAY, id="b"), refund(3 * DAY, "b", 100)],
     {"returners": [(DAY, None)]}),
    (8, "improves", [order(0, id="a"), refund(DAY, "a", 100), order(40 * DAY), order(50 * DAY)],
     {"returners": [(DAY, 31 * DAY), (40 * DAY, 50 * DAY)]}),
    (8, "keeps it", [order(0), order(DAY)], {"returners": []}),
    (9, "is won", [order(0), order(120 * DAY)], {"winback": [(90 * DAY, 120 * DAY), (210 * DAY, 300 * DAY)]}),
    (9, "had an offer", [order(0), (80 * DAY, "Coupon Applied", {})], {"winback": [(110 * DAY, 180 * DAY)]}),
    (9, "unsubscribed", [order(0), mail(10 * DAY, "unsubscribed")], {"winback": []}),
    (9, "unsubscribes", [order(0), mail(95 * DAY, "unsubscribed")], {"winback": [(90 * DAY, 95 * DAY)]}),
    (10, "looks twice", [view(0), view(DAY)], {"prospects": [(DAY, 30 * DAY)], "customers": []}),
    (10, "looks once", [view(0)], {"prospects": []}),
    (10, "buys", [view(0), view(DAY), order(2 * DAY)], {"prospects": [(DAY, 2 * DAY)], "customers": [(2 * DAY, None)]}),
    (10, "is known to the shop", [(0, "identify", {"orders_count": 3}), view(1), view(2)],
     {"prospects": [], "customers": [(0, None)]}),
]  # fmt: skip


def workspace(number: int) -> Workspace:
    text = RECIPES[number][1]
    found, notes = config.check(HEAD + text, {"SECRET": "hush"}, CATALOG)
    assert [str(note) for note in notes if note.severity == "mistake"] == []
    assert found is not None
    return found


def received(person: str, told: Told) -> Received:
    """One event as its source would send it, taken in at its own time."""
    after, name, properties = told
    at = BEGIN + after
    if "order_id" in properties:
        properties = {**properties, "order_id": f"{person} {properties['order_id']}"}
    if name.startswith("email "):
        data = {"identifiers": {"id": person}, "delivery_id": f"d{after}", **properties}
        body: dict[str, Any] = {
            "event_id": f"{person}-{name}-{after}",
            "object_type": "email",
            "metric": name.removeprefix("email "),
            "timestamp": at // 1000,
            "data": data,
        }
        return Received(
            source="messages", wire="reporting", method="POST", path="/webhooks/customerio/messages",
            body=json.dumps(body).encode(), client_ip="203.0.113.7", user_agent="", received_at=at,
        )  # fmt: skip
    when = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    message = {"userId": person, "messageId": f"{person}-{name}-{after}", "timestamp": when}
    if name == "identify":
        message |= {"type": "identify", "traits": properties}  # type: ignore[dict-item]
    else:
        message |= {"type": "track", "event": name, "properties": properties}  # type: ignore[dict-item]
    return Received(
        source="web", wire="pipelines", method="POST", path="/v1/batch", body=json.dumps({"batch": [message]}).encode(),
        client_ip="203.0.113.7", user_agent="", received_at=at,
    )  # fmt: skip


def pass_time(flow: Flow, upto: int) -> None:
    """Let every timer up to a moment fire."""

    def work(connection: Connection) -> int:
        people = memberships.people_due(connection, upto, 500)
        batches.fire(connection, moving.fired(people, upto, flow.plan, upto))
        return len(people)

    while flow.write(work):
        pass


def stays(flow: Flow) -> dict[tuple[str, str], Stays]:
    """(who, segment) -> when they were inside, as the history of membership tells."""
    names = {int(slot): name for slot, name in flow.rows("SELECT slot, name FROM segments")}
    found: dict[tuple[str, str], Stays] = {}
    people = {
        number: next(
            iter(msgspec.json.decode(bytes(record) if isinstance(record, memoryview) else record, type=Person).external_ids)
        )
        for number, record in flow.rows("SELECT id, record FROM people")
    }
    for person, at, segment, entered in flow.rows("SELECT person, at, segment, entered FROM moves ORDER BY at, entered"):
        each = found.setdefault((people[person], names[segment]), [])
        if entered:
            each.append((at - BEGIN, None))
        else:
            each[-1] = (each[-1][0], at - BEGIN)
    return found


@pytest.mark.parametrize("number", range(1, 11), ids=[title for title, _ in RECIPES.values()])
def test_a_recipe_does_what_it_says(number: int, database: Database) -> None:
    """Everybody enters and leaves the recipe's segments at exactly the moments that their story tells, and at no other."""
    flow = Flow(database, workspace(number))
    stories = {f"{number} {who}": (told, wanted) for recipe, who, told, wanted in STORIES if recipe == number}
    everything = sorted(
        (received(who, each) for who, (told, _) in stories.items() for each in told), key=lambda one: one.received_at
    )
    assert everything

    def take_in(connection: Connection) -> None:
        for one in everything:
            batches.append(connection, one, 1)

    flow.write(take_in)
    flow.process(now=BEGIN + END)
    pass_time(flow, BEGIN + END)
    found = stays(flow)
    expected = {(who, segment): each for who, (_, wanted) in stories.items() for segment, each in wanted.items()}
    assert {key: found.get(key, []) for key in expected} == expected


def test_segments_of_customerio(database: Database) -> None:
    """A manual segment told by the Track API, or a trait that a campaign sends, is a segment here for as long as it is said."""
    text = "segments: {told: {customerio_segment: 7}, readers: {customerio_segment: Newsletter readers}}\n"
    found, notes = config.check(HEAD + text, {"SECRET": "hush"}, CATALOG)
    assert found is not None, notes
    flow = Flow(database, found)

    def call(after: int, action: str, ids: list[str]) -> Received:
        return Received(
            source="web", wire="track_v1", method="POST", path=f"/api/v1/segments/7/{action}",
            body=json.dumps({"ids": ids}).encode(), client_ip="203.0.113.7", user_agent="", received_at=BEGIN + after,
        )  # fmt: skip

    calls = [
        received("ann", view(0)),
        received("ann", (1, "identify", {"customerio_segment_newsletter_readers": True})),
        call(HOUR, "add_customers", ["ann", "bob"]),
        call(2 * HOUR, "remove_customers", ["ann"]),
        received("ann", (DAY, "identify", {"customerio_segment_newsletter_readers": False})),
    ]
    flow.write(lambda connection: [batches.append(connection, one, 1) for one in calls])
    flow.process(now=BEGIN + END)
    assert stays(flow) == {
        ("ann", "told"): [(HOUR, 2 * HOUR)],
        ("bob", "told"): [(HOUR, None)],
        ("ann", "readers"): [(1, DAY)],
    }


def test_the_page_has_ten_recipes() -> None:
    """The page has a recipe for each use, and each has stories of people who come in and of people who do not."""
    assert sorted(RECIPES) == list(range(1, 11))
    for number in RECIPES:
        told = [stay for recipe, _, _, wanted in STORIES if recipe == number for stay in wanted.values()]
        assert any(told)
        assert not all(told)
