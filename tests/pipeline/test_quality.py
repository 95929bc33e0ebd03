"""What the rules of a workspace do to an event on its way, one rule at a time, on both databases."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.laws.flow import DAY, HOUR, MINUTE, NOW, Flow, Message, moment, workspace

from signalpost import purchases
from signalpost.config import Orders
from signalpost.events import Person
from signalpost.facts import of as facts_of
from signalpost.options import Derived, Gate, Stage
from signalpost.store import outbox
from signalpost.store.database import Database

TIKTOK = workspace().destinations["tiktok"]


def said(event: str, number: str, at: int = NOW, *, user: str | None = "u1", **properties: Any) -> tuple[str, Message]:
    """One message of a known customer, from the shop's website."""
    made: Message = {
        "type": "track",
        "event": event,
        "messageId": number,
        "timestamp": moment(at),
        "properties": properties,
        "context": {
            "ip": "203.0.113.9",
            "userAgent": "Mozilla/5.0",
            "page": {"url": "https://shop.example/p?ttclid=E.C.P"},
            "library": {"name": "analytics.js", "version": "2.11.1"},
        },
    }
    return "web", made | (
        {"anonymousId": "b1"} if user is None else {"userId": user, "traits": {"email": f"{user}@shop.example"}}
    )


def bought(order: str, at: int = NOW, *, total: Any = "20.00", **more: Any) -> tuple[str, Message]:
    """A purchase."""
    return said("Order Completed", f"bought-{order}", at, order_id=order, total=total, **more)


def verdicts(flow: Flow, name: str, destination: str = "tiktok") -> list[tuple[str, str | None]]:
    """(verdict, reason) of an event's signals to one destination, oldest first."""
    return [
        (verdict, reason)
        for verdict, reason in flow.rows(
            "SELECT l.verdict, l.reason FROM ledger l JOIN events e ON e.id = l.event "
            f"WHERE l.destination = '{destination}' AND e.name = '{name}' ORDER BY e.time, e.id"
        )
    ]


def person(flow: Flow) -> Person:
    """The only person there is."""
    ((record,),) = flow.rows("SELECT record FROM people")
    return msgspec.json.decode(bytes(record), type=Person)


def bodies(flow: Flow, name: str, destination: str = "tiktok") -> list[dict[str, Any]]:
    """What waits to be sent of an event."""
    rows = flow.rows(f"SELECT body FROM outbox WHERE destination = '{destination}' AND name = '{name}' ORDER BY event")
    return [msgspec.json.decode(bytes(body)) for (body,) in rows]


# ---- holds and what comes after --------------------------------------------------------------------------------------------


def test_a_held_purchase_waits_and_is_stopped_by_its_cancellation(database: Database) -> None:
    """Within the hold a cancellation withholds the purchase everywhere, with its reason; before its end nothing is leased."""
    flow = Flow(database, workspace(holds={"Order Completed": "15m"}))
    flow.append([bought("1001")])
    made = flow.step()
    assert made is not None
    assert outbox.lease_new(made, "tiktok", until=NOW + HOUR) == []
    flow.commit(made)
    assert (
        flow.write(lambda connection: outbox.lease(connection, "tiktok", most=9, now=NOW + 14 * MINUTE, until=NOW + HOUR)) == []
    )

    flow.append([said("Order Cancelled", "c1", NOW + MINUTE, order_id="1001")])
    flow.process(now=NOW + 5 * MINUTE)

    for destination in ("tiktok", "pinterest"):
        assert verdicts(flow, "Order Completed", destination) == [("withheld", "cancelled_before_sending")]
    assert flow.rows("SELECT count(*) FROM outbox") == [(0,)]
    assert flow.rows("SELECT count(*) FROM notices") == [(0,)]
    assert flow.rows("SELECT sum(signals) FROM rollups WHERE reason = 'cancelled_before_sending'") == [(2,)]


def test_a_held_purchase_leaves_when_its_hold_ends(database: Database) -> None:
    """Fifteen minutes after intake, not after its own time, the signal is due; the hold is on the clock."""
    flow = Flow(database, workspace(holds={"Order Completed": "15m"}))
    flow.append([bought("1001", NOW - HOUR)])
    flow.process()

    leased = flow.write(lambda connection: outbox.lease(connection, "tiktok", most=9, now=NOW + 15 * MINUTE, until=NOW + HOUR))
    assert [signal.name for signal in leased] == ["Order Completed"]
    assert {row[:2] for row in flow.rows("SELECT clock, name, signals FROM clocks WHERE clock = 'held'")} == {
        ("held", "tiktok"),
        ("held", "pinterest"),
    }


@pytest.mark.parametrize(
    ("event", "properties", "what", "micros"),
    [
        ("Order Cancelled", {}, "cancelled_after", 20_000_000),
        ("Order Refunded", {}, "refunded_after", 20_000_000),
        ("Order Refunded", {"total": "5.50"}, "refunded_after", 5_500_000),
        ("Order Flagged", {}, "flagged_after", 20_000_000),
    ],
)
def test_what_is_taken_back_after_sending_is_counted(
    database: Database, event: str, properties: dict[str, Any], what: str, micros: int
) -> None:
    """A signal in hand or gone is not called back; how much of its value went back is counted for each destination."""
    flow = Flow(database)
    flow.append([bought("1001")])
    flow.process()
    flow.write(
        lambda connection: [outbox.lease(connection, name, most=9, now=NOW, until=NOW + HOUR) for name in ("tiktok", "pinterest")]
    )

    flow.append([said(event, "later", NOW + MINUTE, order_id="1001", **properties)])
    flow.process(now=NOW + 2 * MINUTE)

    assert verdicts(flow, "Order Completed") == [("waiting", None)]
    assert flow.rows("SELECT destination, what, name, currency, signals, value_micros FROM notices ORDER BY destination") == [
        (destination, what, "Order Completed", "USD", 1, micros) for destination in ("pinterest", "tiktok")
    ]


def test_a_refund_before_its_order_keeps_it_from_being_sent(database: Database) -> None:
    """News of an order may come in any order: a purchase that is known to be paid back is not sent."""
    flow = Flow(database)
    flow.append([said("Order Refunded", "r", NOW, order_id="1001", total="20.00"), bought("1001", NOW - MINUTE)])
    flow.process()

    assert verdicts(flow, "Order Completed") == [("withheld", "refunded_before_sending")]
    assert facts_of(person(flow)).lifetime_value == 0


# ---- orders and facts ------------------------------------------------------------------------------------------------------


def test_facts_follow_orders_refunds_and_cancellations(database: Database) -> None:
    """What is computed of a person's orders is exact and net of what went back."""
    flow = Flow(database)
    flow.append(
        [
            bought("1001", NOW - 20 * DAY, total="30.00", subtotal="25.00", discount="5.00"),
            bought("1002", NOW - 10 * DAY, total="19.99"),
            bought("1003", NOW, total="100"),
            said("Order Refunded", "r", NOW, order_id="1002", total="9.99"),
            said("Order Cancelled", "c", NOW, order_id="1003"),
        ]
    )
    flow.process()

    facts = facts_of(person(flow))
    assert facts.orders == 2
    assert facts.lifetime_value == Decimal("40.00")
    assert facts.average_order_value == Decimal("24.995")
    assert facts.refund_rate == Decimal("0.666667")
    assert facts.discount_rate == Decimal("0.033336")
    assert (facts.first_order_at, facts.last_order_at) == (NOW - 20 * DAY, NOW - 10 * DAY)
    assert facts.days_between_orders == 10


def test_a_gross_refund_of_a_net_order_takes_its_share(database: Database) -> None:
    """Where only the gross refund is said and value is net, its share of the order goes back, in whole cents."""
    flow = Flow(database, workspace(order_value="net"))
    flow.append(
        [
            bought("1001", total="120.00", revenue="100.00", tax="20.00", shipping="0"),
            said("Order Refunded", "r", order_id="1001", total="33.33"),
        ]
    )
    flow.process()
    assert facts_of(person(flow)).lifetime_value == Decimal("72.22")


def test_two_sources_of_one_order_are_one_order_with_two_claims(database: Database) -> None:
    """Each source's claim is kept with the definition its parts show; the value counts once, of the source that counts."""
    flow = Flow(database, workspace(events={"canonical": {"Order Completed": "shop"}}))
    _, web = bought("1001", total="120.00", revenue="100.00", tax="15.00", shipping="5.00")
    _, shop = bought("1001", total="100.00", revenue="100.00", tax="15.00", shipping="5.00")
    flow.append([("web", web), ("shop", {**shop, "messageId": "shop-1"})])
    flow.process()

    ((record,),) = flow.rows("SELECT record FROM orders")
    claims = msgspec.json.decode(bytes(record), type=purchases.Record).claims
    assert {source: claim.stated for source, claim in claims.items()} == {"web": "gross", "shop": "net"}
    assert verdicts(flow, "Order Completed") == [("withheld", "other_source"), ("waiting", None)]
    assert facts_of(person(flow)).lifetime_value == Decimal("100.00")


def test_what_the_pixel_was_sent_is_kept_with_the_order_and_not_sent(database: Database) -> None:
    """The snippet's reports are evidence about an order, with or without an id, and no signals of their own."""
    flow = Flow(database)
    flow.append(
        [
            said("Pixel Sent", "p1", platform="tiktok", event_id="1001:order-completed", order_id="1001"),
            bought("1001"),
            said("Pixel Sent", "p2", NOW + MINUTE, platform="pinterest", order_id="1001"),
        ]
    )
    flow.process(now=NOW + MINUTE)

    ((record,),) = flow.rows("SELECT record FROM orders")
    assert msgspec.json.decode(bytes(record), type=purchases.Record).pixels == {
        "tiktok": ("1001:order-completed", NOW),
        "pinterest": ("", NOW),
    }
    assert verdicts(flow, "Pixel Sent") == [("withheld", "not_mapped")] * 2


# ---- derived events --------------------------------------------------------------------------------------------------------


def derived_workspace() -> Any:
    """Every kind of derived event, each mapped to an event of TikTok."""
    names = {
        "First Purchase": Derived(nth_order=1),
        "Second Purchase": Derived(nth_order=2),
        "Good Customer": Derived(lifetime_value="50"),
        "Came Back": Derived(returned_after="5d"),
        "Subscription Started": Derived(first="Order Completed", where={"order.tags": {"contains": "subscription"}}),
    }
    events = dict(TIKTOK.events) if isinstance(TIKTOK.events, dict) else {"Order Completed": "Purchase"}
    return workspace(derived=names, destinations={"tiktok": replace(TIKTOK, events=events | dict.fromkeys(names, "Subscribe"))})


def test_derived_events_come_with_the_order_that_makes_them_true(database: Database) -> None:
    """Each is made once, with its own id, of the order by which it came true."""
    flow = Flow(database, derived_workspace())
    flow.append(
        [
            bought("1001", NOW - 6 * DAY, tags="Subscription, vip"),
            bought("1002", NOW - MINUTE, total="30.00"),
            bought("1003", NOW, total="1.00", tags="subscription"),
        ]
    )
    flow.process()

    made = {
        name: (order, platform_id)
        for name, order, platform_id in flow.rows(
            "SELECT e.name, e.order_id, l.platform_id FROM events e JOIN ledger l ON l.event = e.id "
            "WHERE e.note LIKE 'derived%' AND l.verdict = 'waiting'"
        )
    }
    assert made == {
        "First Purchase": ("1001", "1001:first-purchase"),
        "Subscription Started": ("1001", "1001:subscription-started"),
        "Second Purchase": ("1002", "1002:second-purchase"),
        "Good Customer": ("1002", "1002:good-customer"),
        "Came Back": ("1002", "1002:came-back"),
    }
    assert [body["properties"]["value"] for body in bodies(flow, "Second Purchase")] == [30.0]


def test_derived_events_come_of_the_source_that_counts(database: Database) -> None:
    """With `events.canonical` the other source's report makes nothing true; the one that counts does, with its own value."""
    flow = Flow(database, replace(derived_workspace(), events={"canonical": {"Order Completed": "shop"}}))
    _, web = bought("1001", total="120.00")
    _, shop = bought("1001", total="100.00")
    flow.append([("web", web)])
    flow.process()
    assert verdicts(flow, "First Purchase") == []

    flow.append([("shop", {**shop, "messageId": "shop-1"})])
    flow.process(now=NOW + MINUTE)
    assert [body["properties"]["value"] for body in bodies(flow, "First Purchase")] == [100.0]


@pytest.mark.parametrize("together", [True, False])
def test_what_is_derived_of_an_order_is_held_and_stopped_with_it(database: Database, together: bool) -> None:
    """A derived event waits as long as the purchase it was made of, and a cancellation meanwhile stops both."""
    flow = Flow(database, replace(derived_workspace(), holds={"Order Completed": "15m"}))
    flow.append([bought("1001"), *([said("Order Cancelled", "c", order_id="1001")] if together else [])])
    flow.process()
    if not together:
        assert flow.rows("SELECT DISTINCT due_at FROM outbox") == [(NOW + 15 * MINUTE,)]
        flow.append([said("Order Cancelled", "c", order_id="1001")])
        flow.process(now=NOW + MINUTE)

    assert verdicts(flow, "First Purchase") == verdicts(flow, "Order Completed") == [("withheld", "cancelled_before_sending")]
    assert flow.rows("SELECT count(*) FROM outbox") == [(0,)]


def test_an_older_order_that_comes_late_makes_the_later_one_the_second(database: Database) -> None:
    """The second purchase is the second by the time of the orders, whichever came in first; it is told of what is remembered."""
    flow = Flow(database, derived_workspace())
    flow.append([bought("1002", NOW - MINUTE, total="30.00")])
    flow.process()
    flow.append([bought("1001", NOW - 2 * DAY)])
    flow.process(now=NOW + MINUTE)

    assert flow.rows("SELECT order_id, time FROM events WHERE name = 'Second Purchase'") == [("1002", NOW - MINUTE)]
    assert [body["properties"]["value"] for body in bodies(flow, "Second Purchase")] == [30.0]
    assert {name: purchases.number(person(flow), name) for name in ("1001", "1002")} == {"1001": 1, "1002": 2}


def test_two_people_found_to_be_one_have_a_second_purchase(database: Database) -> None:
    """A merge makes true what neither was alone."""
    flow = Flow(database, derived_workspace())
    flow.append([bought("1001", NOW - DAY)])
    _, other = bought("1002")
    flow.append([("web", {**other, "userId": "u2", "traits": {}})])
    flow.process()
    assert flow.rows("SELECT count(*) FROM events WHERE name = 'Second Purchase'") == [(0,)]

    flow.append([("web", {"type": "alias", "messageId": "joined", "userId": "u1", "previousId": "u2"})])
    flow.process(now=NOW + MINUTE)

    assert flow.rows("SELECT order_id FROM events WHERE name = 'Second Purchase'") == [("1002",)]
    assert len(bodies(flow, "Second Purchase")) == 1


def test_a_buyer_is_new_or_returning_by_the_time_of_their_orders(database: Database) -> None:
    """With `orders.customer_type` TikTok hears `new` of a first order and `returning` of later ones; without it neither."""
    flow = Flow(database, workspace(orders=Orders(customer_type=True)))
    flow.append([bought("1001", NOW - DAY), bought("1002")])
    flow.process()
    assert [body["properties"]["customer_type"] for body in bodies(flow, "Order Completed")] == ["new", "returning"]

    plain = Flow(database)
    plain.clear()
    plain.append([bought("1003")])
    plain.process()
    assert "customer_type" not in bodies(plain, "Order Completed")[0]["properties"]


# ---- gates, repeats, rollout, rates ----------------------------------------------------------------------------------------


def test_an_enforcing_gate_withholds_with_its_sentence_and_an_observing_one_counts(database: Database) -> None:
    """The ledger says the rule's sentence; what an observing gate would have withheld is counted with its value."""
    flow = Flow(database, workspace(gates=(
        Gate(reason="tiny order", when={"order.value": {"lt": "5"}}),
        Gate(reason="big order", when={"order.value": {"gte": "100"}}, mode="observing", destinations=("tiktok",)),
    )))  # fmt: skip
    flow.append([bought("1001", total="4.99"), bought("1002", total="150.00")])
    flow.process()

    ((reason, sentence),) = set(flow.rows("SELECT reason, sentence FROM ledger WHERE verdict = 'withheld'"))
    assert reason == f"gate:{flow.plan.rules[0].name}"
    assert "below" in sentence
    assert flow.rows("SELECT destination, what, detail, name, currency, signals, value_micros FROM notices") == [
        ("tiktok", "observed", flow.plan.rules[1].name, "Order Completed", "USD", 1, 150_000_000)
    ]
    assert flow.rows("SELECT destination, verdict, reason FROM ledger_trace") == [
        ("tiktok", "observed", f"gate:{flow.plan.rules[1].name}")
    ]


def test_several_of_one_product_in_a_moment_are_one(database: Database) -> None:
    """The same person and product inside the window is a repeat; another product, another person and later are not."""
    flow = Flow(database, workspace(repeats={"Product Added": "1m"}))
    flow.append(
        [
            said("Product Added", "a1", NOW - 5 * MINUTE, product_id="sku-1"),
            said("Product Added", "a2", NOW - 5 * MINUTE + 20_000, product_id="sku-1"),
            said("Product Added", "a3", NOW - 5 * MINUTE + 21_000, product_id="sku-2"),
            said("Product Added", "a4", NOW - 3 * MINUTE, product_id="sku-1"),
            said("Product Added", "a5", NOW - 3 * MINUTE, product_id="sku-1", user="u2"),
        ]
    )
    flow.process()
    assert [reason for _, reason in verdicts(flow, "Product Added")] == [None, "repeat", None, None, None]


def test_a_rollout_keeps_later_events_back_and_caps_those_it_has(database: Database) -> None:
    """Events of later stages wait for their stage; at most so many of a capped event go out for each purchase."""
    stages = (
        Stage(send=("Order Completed", "Product Viewed"), at_most={"Product Viewed": 2}),
        Stage(send=("Product Added",)),
    )
    flow = Flow(database, workspace(destinations={"tiktok": replace(TIKTOK, rollout=stages)}))
    views = [said("Product Viewed", f"v{number}", product_id=f"sku-{number}") for number in range(7)]
    flow.append([*views[:3], said("Product Added", "a", product_id="sku-1"), bought("1001"), bought("1002"), *views[3:]])
    flow.process(batch_of := 3)

    assert [reason for _, reason in verdicts(flow, "Product Added")] == ["not_yet_rolled_out"]
    assert sorted(str(reason) for _, reason in verdicts(flow, "Product Viewed")) == ["None"] * 4 + ["over_cap"] * 3
    assert flow.rows("SELECT name, signals FROM tallies ORDER BY name") == [("Order Completed", 2), ("Product Viewed", 4)]
    assert batch_of == 3


def test_an_amount_that_a_platform_does_not_take_goes_by_the_rate_or_not_at_all(database: Database) -> None:
    """Pass through what is supported, convert by the configured rate to whole coins, withhold the rest with a reason."""
    flow = Flow(database, workspace(currency="JPY", rates={"FJD": "64.555"}))
    products = [{"product_id": "sku-1", "price": "10.01", "quantity": 2}]
    flow.append(
        [
            bought("1001", total="20.02", currency="FJD", products=products),
            bought("1002", total="10", currency="XAF"),
            bought("1003", total="10.25", currency="EUR"),
        ]
    )
    flow.process()

    assert flow.rows(
        "SELECT e.order_id, l.verdict, l.reason, l.value, l.currency FROM ledger l JOIN events e ON e.id = l.event "
        "WHERE l.destination = 'tiktok' ORDER BY e.id"
    ) == [
        ("1001", "waiting", None, "1292", "JPY"),
        ("1002", "withheld", "unsupported_currency", "10", "XAF"),
        ("1003", "waiting", None, "10.25", "EUR"),
    ]
    converted = bodies(flow, "Order Completed")[0]["properties"]
    assert (converted["value"], converted["currency"], converted["contents"][0]["price"]) == (1292, "JPY", 646)
    assert facts_of(person(flow)).lifetime_value == 1292


# ---- what is counted -------------------------------------------------------------------------------------------------------


def test_what_was_seen_first_is_marked_once(database: Database) -> None:
    """Client version, landing host and properties are marked with the first event that had them."""
    flow = Flow(database)
    flow.append([bought("1001", NOW - HOUR), bought("1002")])
    flow.process(batch_of := 1)

    marks = flow.rows("SELECT kind, source, name, value FROM marks ORDER BY kind, value")
    assert ("host", "web", "", "shop.example") in marks
    assert ("library", "web", "analytics.js", "2.11.1") in marks
    assert [row for row in marks if row[0] == "property"] == [
        ("property", "web", "Order Completed", "order_id"),
        ("property", "web", "Order Completed", "total"),
    ]
    first = flow.rows("SELECT min(id) FROM events")[0][0]
    assert {event for (event,) in flow.rows("SELECT event FROM marks")} == {first}
    assert batch_of == 1


def test_coverage_counts_the_keys_there_are_when_the_event_fires(database: Database) -> None:
    """An e-mail learned while a signal waits is sent with it, and does not count as having been there."""
    flow = Flow(database)
    flow.append([said("Product Viewed", "v", user=None, product_id="sku-1")])
    flow.process()
    before = flow.rows("SELECT destination, source, name, keys, signals FROM coverage ORDER BY destination")
    _, known = said("Product Viewed", "v2", product_id="sku-1")
    flow.append([("web", {**known, "anonymousId": "b1"})])
    flow.process(now=NOW + MINUTE)

    assert flow.rows("SELECT destination, source, name, keys, signals FROM coverage ORDER BY destination")[0] in before
    assert all("email" in body["user"] for body in bodies(flow, "Product Viewed"))
    assert flow.rows("SELECT sum(signals) FROM coverage WHERE destination = 'tiktok'") == [(2,)]
