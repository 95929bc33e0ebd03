"""What a broken or hostile client may send: it gets a verdict like everything else and never stops the stream."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.flow import NOW, Flow, Said, moment

from signalpost.store import sums
from signalpost.store.database import Database

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(("x" * 9_000, "1e-999999", "9" * 300, "\u0000", "\u202e", "🛒" * 3_000, "m-0#65536")),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6
)
PRODUCT = ("product_id", "sku", "name", "price", "quantity", "category", "brand")
CONTEXT = ("ip", "userAgent", "page", "traits", "consent", "device", "locale", "campaign", "library")
names = ("order_id", "total", "revenue", "tax", "shipping", "currency", "products", "value", "email", "phone", "event_id")
products = st.lists(
    st.one_of(
        values,
        st.dictionaries(st.sampled_from(PRODUCT), values, max_size=5),
    ),
    max_size=3,
)
properties = st.one_of(
    st.dictionaries(st.sampled_from(names), values, max_size=6),
    st.fixed_dictionaries({"order_id": scalars, "total": scalars, "products": products}),
)
contexts = st.dictionaries(st.sampled_from(CONTEXT), values, max_size=4)
messages = st.fixed_dictionaries(
    {
        "type": st.sampled_from(("track", "page", "identify", "alias", "group", "screen")),
        "event": st.one_of(st.just("Order Completed"), scalars),
    },
    optional={
        "userId": scalars,
        "anonymousId": st.one_of(st.just("b1"), scalars),
        "previousId": scalars,
        "messageId": scalars,
        "timestamp": st.one_of(st.just(moment(NOW)), scalars),
        "properties": properties,
        "traits": st.one_of(properties, values),
        "context": contexts,
    },
)


@pytest.fixture
def flow(database: Database) -> Flow:
    """A database of each kind, used again for each example."""
    return Flow(database)


@given(stream=st.lists(st.tuples(st.sampled_from(("web", "shop")), messages), min_size=1, max_size=5))
def test_whatever_a_client_sends_is_taken_through(flow: Flow, stream: list[Said]) -> None:
    """No message stops the batch it comes in; each that can be read has a verdict for every destination."""
    world = flow.run(stream, request_of=3, batch_of=500)

    assert flow.table("backlog") == []
    signals = {row[0] for row in world["events"] if row[2] in {"track", "page", "screen"}}
    assert 2 * len(signals) == len(world["ledger"])
    read = len(world["events"]) + len([row for row in flow.table("refusals") if row[1] >= 0])
    assert read == len(stream)


def track(place: int, event: str = "Order Completed", **said: Any) -> Said:
    return "web", {
        "type": "track",
        "event": event,
        "messageId": f"m-{place}",
        "anonymousId": "b1",
        "timestamp": moment(NOW),
        "context": {"ip": "203.0.113.9", "userAgent": "Mozilla/5.0"},
        "properties": said,
    }


def test_a_minute_of_absurd_turnover_does_not_overflow_the_counters(flow: Flow) -> None:
    """Sums of the largest amounts stay within the databases' integers."""
    stream = [track(place, order_id=str(place), total=10**12) for place in range(40)]
    flow.run(stream, batch_of=7)

    counted = flow.database.look(lambda connection: sums.read(connection, 0))

    assert {"waiting"} == {row[2] for row in flow.rows("SELECT * FROM ledger")}
    assert [cell for cell in counted if cell.verdict == "waiting"] == []

    refused = [track(100 + place, event=f"{'long name ' * 900}{place}", total=-(10**12)) for place in range(40)]
    flow.append(refused, 5)
    flow.process(9)

    counted = flow.database.look(lambda connection: sums.read(connection, 0))
    assert sum(cell.signals for cell in counted if cell.destination == "tiktok" and cell.reason == "not_mapped") == 40
    assert all(len(cell.name) <= 100 for cell in counted)


def test_a_message_id_that_looks_like_a_repeat_stops_nothing(flow: Flow) -> None:
    """A client cannot guess how a repeat will be stored and block it with a message of its own."""
    flow.clear()
    flow.append([track(0), track(1)])
    flow.process()
    last = max(row[0] for row in flow.table("events"))
    coming = [((last >> 16) + ahead) << 16 for ahead in range(1, 90)]

    guesses = [("web", {**track(0)[1], "messageId": f"m-0#{number}"}) for number in coming]
    flow.append(guesses, 89)
    flow.append([track(0)] * 30)
    flow.process(3)

    assert flow.table("backlog") == []
    assert len(flow.table("ledger")) == 2 * (2 + 89 + 30)
