"""Real shops' data through the flow: dirt comes out right, and the numbers are those of an independent query."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.laws.flow import DAY, NOW, Flow, Message, moment, request, workspace

from signalpost.samples import traffic
from signalpost.store import batches
from signalpost.store.database import Connection, Database

SHARED = Path(os.environ.get("SIGNALPOST_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
CLICKSTREAM = SHARED / "ga4_events.parquet"

clickstream = pytest.mark.skipif(
    not CLICKSTREAM.exists(),
    reason="the Google store's clickstream, without a clear licence, is not in here; SIGNALPOST_SHARED_DATA names its folder",
)


def query(sql: str) -> list[Any]:
    """All rows of a query over the files."""
    with duckdb.connect() as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def flow(database: Database) -> Flow:
    """A database of each kind."""
    return Flow(database, workspace(currency="GBP", country="GB"))


def replay(flow: Flow, messages: Iterable[tuple[int, Message]], chunk: int = DAY) -> None:
    """Take (moment, message) through as if each was received at its moment and processed within `chunk` (ms)."""

    def taken(rows: list[tuple[int, Message]]) -> None:
        def work(connection: Connection) -> None:
            for at, message in rows:
                batches.append(connection, request("web", [message], at), 1)

        flow.write(work)
        flow.process(500, rows[-1][0])

    rows: list[tuple[int, Message]] = []
    for at, message in messages:
        if rows and at - rows[0][0] > chunk:
            taken(rows)
            rows = []
        rows.append((at, message))
    if rows:
        taken(rows)


def verdicts(flow: Flow, destination: str, name: str | None = None) -> Counter[tuple[str, str | None]]:
    """(verdict, reason) -> signals of a destination, of one canonical event when named."""
    return Counter(
        (verdict, reason)
        for each, verdict, reason, event in flow.rows(
            "SELECT l.destination, l.verdict, l.reason, e.name FROM ledger l JOIN events e ON e.id = l.event"
        )
        if each == destination and name in {None, event}
    )


def every_event_has_its_verdicts(flow: Flow) -> None:
    """One row for each signal event and destination, and nothing left in the backlog."""
    assert [] == flow.table("backlog")
    assert [] == flow.table("refusals")
    signals = flow.rows("SELECT count(*) FROM events WHERE kind IN ('track', 'page', 'screen')")[0][0]
    assert 2 * signals == flow.rows("SELECT count(*) FROM ledger")[0][0]


# ---- OTTO: four weeks of twenty visitors -----------------------------------------------------------------------------------


def otto() -> Iterator[tuple[int, Message]]:
    """Clicks, carts and orders as a tracker would send them; orders have neither an id nor a value."""
    names = {"clicks": "Product Viewed", "carts": "Product Added", "orders": "Order Completed"}
    text = (files("signalpost.samples") / "otto_sessions.csv").read_text("utf-8")
    rows = [line.split(",") for line in text.splitlines()[1:]]
    for place, (session, at, kind, article) in sorted(enumerate(rows), key=lambda each: (int(each[1][1]), each[0])):
        yield (
            int(at),
            {
                "type": "track",
                "event": names[kind],
                "messageId": f"otto-{place}",
                "anonymousId": f"visitor-{session}",
                "timestamp": moment(int(at)),
                "properties": {"product_id": article},
                "context": {"ip": "203.0.113.9", "userAgent": "Mozilla/5.0"},
            },
        )


def test_the_sessions_of_otto_run_through(flow: Flow) -> None:
    """Every click and cart waits for both platforms; the orders, which have no id, are withheld for that reason."""
    replay(flow, otto())

    every_event_has_its_verdicts(flow)
    counted = query(f"SELECT type, count(*) FROM '{files('signalpost.samples') / 'otto_sessions.csv'}' GROUP BY type")
    kinds: dict[str, int] = dict(counted)
    assert {"clicks": 800, "carts": 52, "orders": 10} == kinds
    for destination in ("tiktok", "pinterest"):
        assert verdicts(flow, destination, "Product Added") == {("waiting", None): kinds["carts"]}
        assert verdicts(flow, destination, "Order Completed") == {("withheld", "missing_order_id"): kinds["orders"]}
    assert verdicts(flow, "tiktok", "Product Viewed") == {("waiting", None): kinds["clicks"]}
    assert 20 == len(flow.table("people"))


# ---- a shop's year of orders -----------------------------------------------------------------------------------------------


def test_a_slice_of_the_year_of_orders_runs_through(flow: Flow) -> None:
    """Each sound order is one purchase with its exact value on TikTok; no order is more than one, nothing without a verdict."""
    stream = list(traffic.messages(start=NOW, invoice_limit=300))
    truth = traffic.summarise(stream)

    replay(flow, ((message.due_ms, message.body) for message in stream))

    every_event_has_its_verdicts(flow)
    sound: dict[str, Decimal] = {}
    for message in stream:
        first = message.invoice is not None and message.invoice not in sound and message.body.get("event") == "Order Completed"
        if first and message.value is not None and not any(traffic.DIRT[kind].withholds for kind in message.dirt):
            sound[str(message.invoice)] = message.value
    assert truth.sound_orders == len(sound)
    for destination in ("tiktok", "pinterest"):
        sent = {
            order: Decimal(value)
            for order, value in flow.rows(
                "SELECT e.order_id, l.value FROM ledger l JOIN events e ON e.id = l.event "
                f"WHERE l.destination = '{destination}' AND l.verdict = 'waiting' AND e.name = 'Order Completed'"
            )
        }
        purchases = verdicts(flow, destination, "Order Completed")
        assert len(sent) == purchases["waiting", None], "an order id was sent twice"
        assert {order: value for order, value in sent.items() if order in sound} == {
            order: value for order, value in sound.items() if order in sent
        }
        assert purchases["withheld", "duplicate_order"] == told_again(flow, stream, destination)
        if destination == "tiktok":
            assert sound.keys() <= sent.keys()
    repeats = verdicts(flow, "tiktok")["withheld", "duplicate_message"]
    retried_signals = [m for m in stream if "retry" in m.dirt and m.body["type"] != "identify"]
    assert repeats == len(retried_signals)


def told_again(flow: Flow, stream: Iterable[traffic.Message], destination: str) -> int:
    """Purchases, retries left out, that come after one of the same order that was to be sent: double fires, second sources."""
    stopped = "'cancelled_before_sending', 'refunded_before_sending', 'flagged_before_sending'"
    sent = {
        key.removeprefix("web:")
        for (key,) in flow.rows(
            "SELECT e.message_key FROM ledger l JOIN events e ON e.id = l.event "
            f"WHERE l.destination = '{destination}' AND (l.verdict = 'waiting' OR l.reason IN ({stopped})) "
            "AND e.name = 'Order Completed'"
        )
    }
    counted: set[str] = set()
    again = 0
    for message in stream:
        if message.body.get("event") == "Order Completed" and "retry" not in message.dirt:
            order = str(message.body["properties"].get("order_id"))
            again += order in counted
            if message.body["messageId"] in sent:
                counted.add(order)
    return again


# ---- the Google store's purchases ------------------------------------------------------------------------------------------


def purchases(*, stand_in: bool) -> Iterator[tuple[int, Message]]:
    """The purchases of the clickstream by time; `stand_in` gives those without an id one of their own."""
    rows = query(
        f"""SELECT event_ts_us, user_pseudo_id, ecommerce_transaction_id, value, tax_usd, shipping_usd, currency
            FROM '{CLICKSTREAM}' WHERE event_name = 'purchase' ORDER BY event_ts_us, user_pseudo_id"""
    )
    for micros, visitor, given, value, tax, shipping, currency in rows:
        at = micros // 1000
        order = f"stand-in-{micros}-{visitor}" if stand_in and given in {None, "(not set)"} else given
        yield (
            at,
            {
                "type": "track",
                "event": "Order Completed",
                "messageId": f"{micros}-{visitor}",
                "anonymousId": visitor,
                "timestamp": moment(at),
                "properties": {
                    "transaction_id": order, "value": value, "tax": tax, "shipping": shipping, "currency": currency,
                },
            },
        )  # fmt: skip


def asked(question: str) -> Any:
    """The first value of a query over the clickstream's purchases as `p` (moment, who, id, value)."""
    found = query(
        f"""WITH p AS (SELECT event_ts_us AS moment, user_pseudo_id AS who, ecommerce_transaction_id AS id, value
                       FROM '{CLICKSTREAM}' WHERE event_name = 'purchase') {question}"""
    )
    return found[0][0]


REAL_ID = "id IS NOT NULL AND id <> '(not set)'"


@clickstream
def test_real_purchases_are_counted_as_a_query_counts_them(flow: Flow) -> None:
    """Double fires are one purchase, `(not set)` is no id, and an id two visitors share weeks apart is two purchases."""
    replay(flow, purchases(stand_in=False))

    every_event_has_its_verdicts(flow)
    total = asked("SELECT count(*) FROM p")
    nameless = asked("SELECT count(*) FROM p WHERE id IS NULL OR id = '(not set)'")
    orders = asked(f"SELECT count(DISTINCT (id, who)) FROM p WHERE {REAL_ID}")
    assert (3_058, 758, 2_105) == (total, nameless, orders)
    assert verdicts(flow, "tiktok") == {
        ("waiting", None): orders,
        ("withheld", "missing_order_id"): nameless,
        ("withheld", "duplicate_order"): total - nameless - orders,
    }
    shared = asked(f"SELECT count(*) FROM (SELECT id FROM p WHERE {REAL_ID} GROUP BY id HAVING count(DISTINCT who) = 2)")
    reused = flow.rows("SELECT order_id FROM orders GROUP BY order_id HAVING count(*) = 2")
    assert 3 == shared == len(reused)
    sent = flow.rows("SELECT platform_id, value FROM ledger WHERE destination = 'tiktok' AND verdict = 'waiting'")
    assert len(dict(sent)) == len(sent)
    first = f"SELECT sum(f) FROM (SELECT arg_min(value, moment)::DECIMAL(18, 6) f FROM p WHERE {REAL_ID} GROUP BY id, who)"
    assert asked(first) == sum(Decimal(value) for _, value in sent)


@clickstream
def test_real_purchases_without_a_value_are_withheld(flow: Flow) -> None:
    """Where only the value is missing, that is the reason."""
    replay(flow, purchases(stand_in=True))

    valueless = asked("SELECT count(*) FROM p WHERE value IS NULL")
    assert 351 == valueless == verdicts(flow, "tiktok")["withheld", "missing_value"]
    assert 0 == verdicts(flow, "tiktok")["withheld", "missing_order_id"]


@clickstream
def test_real_quantities_beyond_32_bits_are_harmless(flow: Flow) -> None:
    """The cart is sent, without a quantity that nobody can have meant."""
    rows = query(
        f"""SELECT event_ts_us, user_pseudo_id, items FROM '{CLICKSTREAM}'
            WHERE event_name = 'add_to_cart' AND len(list_filter(items, lambda i: i.quantity > 100000)) > 0 ORDER BY 1"""
    )
    beyond = [row for row in rows if any((item["quantity"] or 0) > 2**31 - 1 for item in row[2])]
    assert beyond

    replay(
        flow,
        (
            (
                micros // 1000,
                {
                    "type": "track",
                    "event": "Product Added",
                    "messageId": f"{micros}-{visitor}",
                    "anonymousId": visitor,
                    "timestamp": moment(micros // 1000),
                    "properties": {
                        "currency": "USD",
                        "products": [{"product_id": i["item_id"], "price": i["price"], "quantity": i["quantity"]} for i in items],
                    },
                },
            )
            for micros, visitor, items in rows
        ),
    )

    every_event_has_its_verdicts(flow)
    assert verdicts(flow, "tiktok") == {("waiting", None): len(rows)}
    for (body,) in flow.rows("SELECT body FROM outbox WHERE destination = 'tiktok'"):
        for line in json.loads(bytes(body))["properties"].get("contents", []):
            assert line.get("quantity", 1) < 2**31
