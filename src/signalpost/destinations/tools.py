"""What the destinations that are the shop's own tools share: who the person is in clear, and what is known of them.

Platforms are told hashes; the shop's own tools know their people by id and address, and would recognise none by a hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from signalpost import facts, normalize
from signalpost.destinations import readers
from signalpost.events import Person, Signal

MEMBERSHIP = {"Segment Entered": True, "Segment Left": False}
"""The events of a membership -> whether the person is inside from then on."""


def newest(known: Mapping[str, int]) -> str | None:
    """The value last heard that is not a digest; of several, always the same."""
    clear = [(when, value) for value, when in known.items() if not normalize.is_hashed(value)]
    return max(clear)[1] if clear else None


def instant(value: object) -> int | None:
    """A time of an event's properties in epoch milliseconds: such a number, or ISO 8601 with its offset; else None."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value.strip())
            return None if found.tzinfo is None else round(found.timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment(value: object) -> str | None:
    """The same as `2026-11-22T10:00:00.000Z`."""
    found = instant(value)
    if found is None:
        return None
    try:
        return f"{datetime.fromtimestamp(found // 1000, UTC).replace(tzinfo=None).isoformat()}.{found % 1000:03d}Z"
    except (OverflowError, OSError, ValueError):
        return None


def time(signal: Signal) -> str:
    """When it happened; a clock that runs ahead is held to the time of receipt."""
    return moment(min(signal.event.time, signal.event.received_at)) or "1970-01-01T00:00:00.000Z"


def filled(value: Any) -> Any:
    """A value of an event without all that is empty in it: nulls, blank texts, lists and objects of nothing; None if all is.

    A number that JSON cannot write (infinite, or none) would leave as null, so it counts as empty.
    """
    if isinstance(value, dict):
        return {name: clean for name, part in value.items() if (clean := filled(part)) is not None} or None
    if isinstance(value, list):
        return [clean for part in value if (clean := filled(part)) is not None] or None
    if isinstance(value, float):
        return value if isfinite(value) else None
    return None if isinstance(value, str) and not value.strip() else value


def products(signal: Signal) -> list[dict[str, Any]] | None:
    """The order's products, one object each, without returns and discount lines."""
    rows = [
        {"product_id": item.id, "name": item.name, "price": item.price, "quantity": item.quantity}
        for item in readers.cart(signal.order).products
    ]
    return [{name: value for name, value in row.items() if value is not None} for row in rows] or None


COMPUTED: dict[str, str] = {
    "orders": "Orders that were not cancelled.",
    "lifetime_value": "Their value less refunds, in the workspace's currency.",
    "average_order_value": "The mean value of an order.",
    "refund_rate": "Orders cancelled or paid back as a share of all orders, 0 to 1.",
    "discount_rate": "Discounts as a share of the goods' price before them, 0 to 1.",
    "first_order_at": "When the first order was placed.",
    "last_order_at": "When the last order was placed.",
    "days_between_orders": "The mean; with two orders or more.",
}
"""Fact -> what it is."""


def computed(person: Person) -> dict[str, Decimal | int]:
    """What is computed of the person's orders; times in epoch ms, and nothing for what is not known."""
    known = facts.of(person)
    return {name: value for name in COMPUTED if (value := getattr(known, name)) is not None}
