"""Subjects made of what they should be known by: path -> value, as a condition would read them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct

from signalpost.conditions import Subject
from signalpost.events import Claim, Event, Facts, Item, Order, Person

NOW = 1_780_000_000_000
DAY = 86_400_000


class Record(Struct, frozen=True):
    """What a subject reads of `purchases.Record`."""

    refunds: dict[str, Any] = {}
    cancelled_at: int = 0
    flagged_at: int = 0


def subject(values: dict[str, Any], *, now: int = NOW) -> Subject:
    """A subject of which exactly these paths are known."""
    get = values.get
    properties = {name.removeprefix("event.properties."): each for name, each in values.items() if name.startswith("event.pr")}
    for name, own in (("order.tags", "tags"), ("order.source_name", "source_name")):
        if name in values:
            properties[own] = values[name]
    if get("order.test"):
        properties["test"] = True
    given = {name.removeprefix("person.traits."): (each, 1) for name, each in values.items() if name.startswith("person.traits.")}
    if "person.tags" in values:
        given["tags"] = (values["person.tags"], 1)
    claim = Claim(
        source="shop",
        event=1,
        time=NOW,
        message_id="m1",
        subtotal=get("order.subtotal"),
        discount=_discount(get("order.subtotal"), get("order.discount_share")),
        coupons=get("order.coupons", 0),
    )
    facts = Facts(
        orders=get("person.orders", 0),
        lifetime_value=get("person.lifetime_value", Decimal(0)),
        discount_rate=get("person.discount_rate"),
        refund_rate=get("person.refund_rate"),
        last_order_at=get("person.last_order_at"),
    )
    event = Event(
        kind="track",
        source=get("event.source", "shop"),
        message_id="m1",
        time=get("event.time", NOW),
        received_at=NOW,
        name="whatever",
        properties=properties,
        context={"userAgent": values["event.user_agent"]} if "event.user_agent" in values else {},
    )
    return Subject(
        name=get("event.name", "Order Completed"),
        event=event,
        order=Order(
            id="o1",
            value=get("order.value"),
            currency=get("order.currency"),
            items=tuple(Item(id=each) for each in get("order.products", ())),
        ),
        person=Person(id=1, emails=dict.fromkeys(get("emails", ()), 1), given=given),
        now=now,
        claim=lambda: claim,
        facts=lambda: facts,
        number=lambda: get("order.number"),
        record=Record(refunds={"r1": 1} if get("order.refunded") else {}, flagged_at=NOW if get("order.flagged") else 0),
    )


def _discount(subtotal: Decimal | None, share: Decimal | None) -> Decimal | None:
    """The discount that makes this share of the goods before it."""
    return None if subtotal is None or share is None else subtotal * share / (1 - share)
