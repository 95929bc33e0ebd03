"""Segments named by gates and by derived events, through the real pipeline."""

from __future__ import annotations

from typing import Any

from tests.laws.flow import MINUTE, NOW, Flow, moment, request, workspace

from signalpost.options import Derived, Gate
from signalpost.store import batches
from signalpost.store.database import Connection, Database


def bought(flow: Flow, who: str, order: int, after: int, total: int, discount: int) -> None:
    """Take one order in at its own time."""
    message: dict[str, Any] = {
        "type": "track",
        "event": "Order Completed",
        "userId": who,
        "messageId": f"{who}-{order}",
        "timestamp": moment(NOW + after),
        "context": {"ip": "203.0.113.9", "userAgent": "Mozilla/5.0"},
        "properties": {
            "order_id": f"{who}-{order}",
            "total": total,
            "subtotal": total,
            "discount": discount,
            "currency": "USD",
            "email": f"{who}@shop.example",
        },
    }

    def take_in(connection: Connection) -> None:
        batches.append(connection, request("web", [message], NOW + after), 1)

    flow.write(take_in)


def test_gates_and_derived_events_ask_for_segments(database: Database) -> None:
    """A gate withholds what people in its segment do, from the event on that makes them members; a derived event asks alike."""
    chosen = workspace(
        segments={
            "chronic_discounters": {"trait": {"discount_rate": {"gte": "40%"}, "orders": {"gte": "2"}}},
            "big_spenders": {"trait": {"lifetime_value": {"gte": "150"}}},
        },
        gates=(Gate(reason="Chronic discounter", when={"segment": "chronic_discounters"}),),
        derived={"VIP Order": Derived(first="Order Completed", where={"segment": ["big_spenders"]})},
    )
    flow = Flow(database, chosen)
    for order in range(3):
        bought(flow, "ann", order, order * MINUTE, 100, 100)
        bought(flow, "bob", order, order * MINUTE, 100, 0)
    flow.process(now=NOW + 10 * MINUTE)
    rows = flow.rows(
        "SELECT l.event, e.order_id, e.name, l.reason FROM ledger l JOIN events e ON e.id = l.event "
        "WHERE l.destination = (SELECT MIN(destination) FROM ledger) ORDER BY l.event"
    )
    withheld = [order for _, order, name, reason in rows if name == "Order Completed" and reason == "gate:chronic_discounter"]
    assert withheld == ["ann-1", "ann-2"]
    made = flow.rows("SELECT order_id FROM events WHERE name = 'VIP Order' ORDER BY order_id")
    assert made == [("ann-1",), ("bob-1",)]
