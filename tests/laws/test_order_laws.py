"""The laws of orders: what is known of them, what is derived of them, and what observing gates leave alone."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.laws.flow import DAY, HOUR, MINUTE, NOW, Flow, Message, Said, guarded, moment
from tests.laws.histories import histories

from signalpost import purchases
from signalpost.events import Person
from signalpost.facts import in_time
from signalpost.facts import of as facts_of
from signalpost.store.database import Database

PEOPLE = ("u1", "u2")
ORDERS = {"1001": "u1", "1002": "u1", "1003": "u2", "1004": "u1"}
AMOUNTS = ("10.00", "19.99", "0.10", "100")


@pytest.fixture
def flow(database: Database) -> Flow:
    """A database of each kind with every rule there is, used again for each example."""
    return Flow(database, guarded())


@st.composite
def news(draw: st.DrawFn) -> Said:
    """Something told of one of a few orders, by a source that knows whose it is or does not."""
    order = draw(st.sampled_from(sorted(ORDERS)))
    event = draw(
        st.sampled_from(("Order Completed",) * 3 + ("Order Refunded", "Order Refunded", "Order Cancelled", "Order Flagged"))
    )
    properties: dict[str, Any] = {"order_id": order}
    total = draw(st.sampled_from((*AMOUNTS, None)))
    if total is not None:
        properties["total"] = total
    if event == "Order Completed" and draw(st.booleans()):
        properties |= {"revenue": draw(st.sampled_from(AMOUNTS)), "discount": draw(st.sampled_from(AMOUNTS))}
    if event == "Order Refunded" and draw(st.booleans()):
        properties["refund_id"] = draw(st.sampled_from(("r1", "r2")))
    at = NOW - draw(st.sampled_from((MINUTE, HOUR, 3 * HOUR, DAY, 2 * DAY)))
    made: Message = {"type": "track", "event": event, "timestamp": moment(at), "properties": properties}
    made["userId"] = ORDERS[order]
    return draw(st.sampled_from(("web", "shop"))), made


@st.composite
def told_twice(draw: st.DrawFn) -> tuple[list[Said], list[Said]]:
    """The same news in two orders of arrival."""
    said = [
        (source, {**made, "messageId": f"m-{place}"})
        for place, (source, made) in enumerate(draw(st.lists(news(), min_size=1, max_size=9)))
    ]
    return said, draw(st.permutations(said))


def known(flow: Flow) -> tuple[list[Any], list[Any]]:
    """Facts of each person and the record of each order, without the numbers of events."""
    facts = []
    for (body,) in flow.rows("SELECT record FROM people"):
        person = msgspec.json.decode(bytes(body), type=Person)
        facts.append((sorted(person.external_ids), sorted(person.orders.items()), facts_of(person)))
    records = []
    for key, body in flow.rows("SELECT key, record FROM orders"):
        record = json.loads(bytes(body))
        for claim in record.get("claims", {}).values():
            del claim["event"]
        records.append((key, record))
    return sorted(facts, key=str), sorted(records, key=str)


@given(twice=told_twice(), batch_of=st.integers(1, 9))
def test_the_order_of_arrival_changes_nothing_that_is_known_of_orders(
    flow: Flow, twice: tuple[list[Said], list[Said]], batch_of: int
) -> None:
    """Late, repeated, out-of-order news of orders, refunds before their order among it, end in the same records and facts."""
    first, second = twice

    flow.run(first, batch_of=batch_of)
    one = known(flow)
    flow.run(second, batch_of=batch_of)

    assert one == known(flow)


@given(history=histories(), batch_of=st.integers(1, 9))
def test_a_derived_event_is_told_once_for_a_person(flow: Flow, history: list[Said], batch_of: int) -> None:
    """However often a person buys, merges or is told of again, a derived event happens at most once for them."""
    flow.run(history, batch_of=batch_of)
    flow.append([(source, {**made, "messageId": f"again-{place}"}) for place, (source, made) in enumerate(history)], 3)
    flow.process(batch_of)

    derived = Counter(flow.rows("SELECT person, name FROM events WHERE note LIKE 'derived from event %'"))
    assert all(times == 1 for times in derived.values()), derived
    assert 0 not in {person for person, _ in derived}


@given(history=histories(), batch_of=st.integers(1, 9))
def test_observing_gates_change_nothing_that_is_sent(database: Database, history: list[Said], batch_of: int) -> None:
    """Verdicts, signals and people are the same with observing gates as without them."""
    chosen = guarded()
    watched = Flow(database, chosen).run(history, batch_of=batch_of)
    unwatched = Flow(database, replace(chosen, gates=tuple(gate for gate in chosen.gates if gate.mode == "enforcing"))).run(
        history, batch_of=batch_of
    )

    for what in ("ledger", "outbox", "events", "orders", "identifiers"):
        assert watched[what] == unwatched[what], what


@given(history=histories(), batch_of=st.integers(1, 9))
def test_what_was_called_off_does_not_wait_to_be_sent(flow: Flow, history: list[Said], batch_of: int) -> None:
    """No purchase waits whose order is cancelled, flagged or wholly paid back, whichever came first."""
    flow.run(history, batch_of=batch_of)

    waiting = {event for (event,) in flow.rows("SELECT event FROM outbox WHERE name = 'Order Completed'")}
    for key, sent, body in flow.rows("SELECT key, sent, record FROM orders"):
        record = msgspec.json.decode(bytes(body), type=purchases.Record)
        if purchases.whole(record) or record.flagged_at:
            assert waiting.isdisjoint(int(each.partition(":")[2]) for each in sent.split()), key


@given(history=histories(), batch_of=st.integers(1, 9))
def test_no_more_is_paid_back_than_was_paid(flow: Flow, history: list[Said], batch_of: int) -> None:
    """Refunds never exceed their order; lifetime value is the orders' value less refunds, and never below zero."""
    flow.run(history, batch_of=batch_of)

    for (body,) in flow.rows("SELECT record FROM people"):
        person = msgspec.json.decode(bytes(body), type=Person)
        for order in person.orders.values():
            assert order.value is None or 0 <= order.refunded <= order.value
        facts = facts_of(person)
        assert facts.lifetime_value >= 0
        assert facts.orders <= len(person.orders)
        assert [purchases.number(person, key) for _, key, _ in in_time(person)] == list(range(1, facts.orders + 1))


@given(history=histories(), batch_of=st.integers(1, 9))
def test_an_order_belongs_to_who_remembers_it(flow: Flow, history: list[Said], batch_of: int) -> None:
    """An order's row names exactly the person who remembers it, through merges, suppression and erasure; else nobody."""
    flow.run(history, batch_of=batch_of)

    remembered: dict[str, int] = {}
    for (body,) in flow.rows("SELECT record FROM people"):
        person = msgspec.json.decode(bytes(body), type=Person)
        remembered |= dict.fromkeys(person.orders, person.id)
    assert remembered == {key: person for key, person in flow.rows("SELECT key, person FROM orders") if person}
