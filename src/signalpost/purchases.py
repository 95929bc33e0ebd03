"""A person's orders, folded from what every source says of them, and what is computed of them.

An order's `Record` holds claims, refunds, a cancellation, a fraud flag and what the browser's pixels were sent. Every one of them
is put in its place by itself (by source, by refund, by earliest time), so the record is the same in whatever order they came.
A person remembers a few numbers of each order (`Bought`), made anew from its record whenever that changes; `facts` is computed
of those and of nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from signalpost import orders
from signalpost.events import Bought, Claim, Event, Order, Person
from signalpost.facts import in_time
from signalpost.iso import minor_units

MOST_ITEMS = 50
"""Lines of an order that a claim keeps."""

MOST_ORDERS = 1_000
"""Orders that a person remembers, the newest: who has more is a till or a marketplace, and is read for every event."""

MOST_SAID = 50
"""Sources, refunds and pixels that one order's record keeps: no order has more, and clients may repeat themselves for ever."""

_ZERO = Decimal(0)


class Refund(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Money that went back, as one source said it."""

    source: str
    time: int
    amount: Decimal | None = None
    """Under the workspace's definition; None: the whole order."""
    gross: bool = False
    """Only the gross amount was said though the workspace's definition is net: its share of the order counts."""


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """All that is known of one order."""

    claims: dict[str, Claim] = {}
    """Source -> its earliest report of the purchase."""
    refunds: dict[str, Refund] = {}
    """Source and refund -> the money that went back."""
    cancelled_at: int = 0
    flagged_at: int = 0
    """When it was first said to be fraudulent."""
    pixels: dict[str, tuple[str, int]] = {}
    """Platform -> (event id, time) that the browser's pixel was sent, as the snippet reports it; an empty id: it had none."""


NOTHING = Record()


# ---- what a source says ----------------------------------------------------------------------------------------------------


def claim(event: Event, number: int, order: Order) -> Claim:
    """What this event says of its order; `number` is the event's id."""
    said = event.properties
    money = orders.money
    total, revenue, subtotal = money(said, "total"), money(said, "revenue"), money(said, "subtotal")
    tax, shipping, discount, worth = money(said, "tax"), money(said, "shipping"), money(said, "discount"), money(said, "value")
    return Claim(
        source=event.source,
        event=number,
        time=event.time if event.time < event.received_at else event.received_at,  # noqa: FURB136 (min is slow)
        message_id=event.message_id,
        value=order.value,
        currency=order.currency,
        value_from=order.value_from,
        stated=recognise(order, total, revenue, subtotal, tax, shipping, discount, worth),
        total=total,
        revenue=revenue,
        subtotal=subtotal,
        tax=tax,
        shipping=shipping,
        discount=discount,
        worth=worth,
        coupons=coupons(order.coupon) if order.coupon else 0,
        items=tuple([(item.id, item.price, item.quantity) for item in order.items[:MOST_ITEMS]]),
        tags=tags(said["tags"]) if "tags" in said else (),
    )


def coupons(text: str | None) -> int:
    """How many coupon codes a coupon property names: they are separated by commas."""
    return 0 if not text else sum(bool(code.strip()) for code in text.split(","))


def tags(given: object) -> tuple[str, ...]:
    """Tags as Shopify (one text with commas) and other clients (a list) write them, trimmed, in lower case."""
    if isinstance(given, str):
        given = given.split(",")
    if not isinstance(given, (list, tuple)):
        return ()
    return tuple([tag.strip().lower() for tag in given[:MOST_ITEMS] if isinstance(tag, str) and tag.strip()])


def recognise(
    order: Order,
    total: Decimal | None,
    revenue: Decimal | None,
    subtotal: Decimal | None,
    tax: Decimal | None,
    shipping: Decimal | None,
    discount: Decimal | None,
    worth: Decimal | None,
) -> str:
    """Which definition the amount that a source calls the order's worth follows: gross, net, subtotal, or "" where none shows.

    The amount is compared with the parts sent beside it; where tax and shipping are nothing all definitions agree and none shows.
    """
    stated = total if total is not None else worth
    if stated is None:
        return "net" if revenue is not None else "subtotal" if subtotal is not None else ""
    if not tax and not shipping:
        return ""
    extra = (tax or _ZERO) + (shipping or _ZERO)
    for definition, goods in (("net", revenue), ("subtotal", subtotal)):
        if goods is not None and stated == goods + extra:
            return "gross"
        if goods is not None and stated == goods:
            return definition
    less = discount or _ZERO
    found = [] if subtotal is None or not less else [subtotal - less]
    priced = [item.price * item.quantity for item in order.items if item.price is not None and item.quantity is not None]
    if priced and len(priced) == len(order.items):
        found.append(sum(priced, _ZERO) - less)
    return "gross" if any(stated == goods + extra for goods in found) else "net" if stated in found else ""


# ---- the record of an order ------------------------------------------------------------------------------------------------


def claimed(record: Record, said: Claim) -> Record:
    """The record with one more report of the purchase; of one source the earliest counts."""
    before = record.claims.get(said.source)
    if before is not None and (before.time, before.message_id) <= (said.time, said.message_id):
        return record
    if before is None and len(record.claims) >= MOST_SAID:
        return record
    if record is NOTHING:
        return Record(claims={said.source: said})
    return replace(record, claims={**record.claims, said.source: said})


def paid_back(record: Record, event: Event, order: Order) -> Record:
    """The record with a refund; of the same refund, by its `refund_id` or message, the earliest report counts."""
    named = orders.text(event.properties.get("refund_id"))
    key = f"{event.source} {(named or event.message_id)[:200]}"
    before = record.refunds.get(key)
    if before is None and len(record.refunds) >= MOST_SAID:
        return record
    amount = None if order.value is None else abs(order.value)
    rough = order.value_from.startswith("total -") and "no " in order.value_from
    refund = Refund(source=event.source, time=min(event.time, event.received_at), amount=amount, gross=rough)
    if before is not None and (before.time, str(before.amount)) <= (refund.time, str(refund.amount)):
        return record
    return replace(record, refunds={**record.refunds, key: refund})


def cancelled(record: Record, at: int) -> Record:
    """The record with a cancellation; the earliest counts."""
    return record if record.cancelled_at and record.cancelled_at <= at else replace(record, cancelled_at=max(at, 1))


def flagged(record: Record, at: int) -> Record:
    """The record with a fraud flag; the earliest counts."""
    return record if record.flagged_at and record.flagged_at <= at else replace(record, flagged_at=max(at, 1))


def pixel_sent(record: Record, platform: str, event_id: str, at: int) -> Record:
    """The record with what the browser's pixel of a platform was sent; the earliest counts."""
    before = record.pixels.get(platform)
    if before is not None and (before[1], before[0]) <= (at, event_id):
        return record
    if before is None and len(record.pixels) >= MOST_SAID:
        return record
    return replace(record, pixels={**record.pixels, platform: (event_id, at)})


def chosen(record: Record, counts: str | None = None) -> Claim | None:
    """The report that counts: of the source that `counts` (`events.canonical`), else the earliest that has a value."""
    if len(record.claims) < 2:
        return next(iter(record.claims.values()), None)
    return min(
        record.claims.values(),
        key=lambda each: (each.source != counts, each.value is None, each.time, each.source, each.message_id),
    )


def gone_back(record: Record, said: Claim) -> Decimal:
    """What of the order's value went back, never more than it; a cancelled order's is all of it.

    Two sources that both report refunds report the same ones, so the source that reports most counts.
    """
    value = said.value or _ZERO
    if record.cancelled_at:
        return value
    if not record.refunds:
        return _ZERO
    by_source: dict[str, Decimal] = {}
    for refund in record.refunds.values():
        amount = value if refund.amount is None else refund.amount
        if refund.gross and said.total and amount < said.total:
            amount = (amount * value / said.total).quantize(Decimal(1).scaleb(-minor_units(said.currency)), ROUND_HALF_UP)
        by_source[refund.source] = by_source.get(refund.source, _ZERO) + amount
    return min(value, max(by_source.values()))


def whole(record: Record, counts: str | None = None) -> bool:
    """Whether nothing of the order's value is left."""
    said = chosen(record, counts)
    if record.cancelled_at:
        return True
    if said is None:
        return any(refund.amount is None for refund in record.refunds.values())
    return bool(record.refunds) and gone_back(record, said) >= (said.value or _ZERO)


# ---- what a person remembers -----------------------------------------------------------------------------------------------


def in_currency(value: Decimal | None, currency: str | None, own: str, rates: Mapping[str, Decimal]) -> Decimal | None:
    """An amount in the workspace's currency; None where no rate for its currency is known."""
    if value is None or currency == own:
        return value
    rate = rates.get(currency or "")
    return None if rate is None else (value * rate).quantize(Decimal(1).scaleb(-minor_units(own)), ROUND_HALF_UP)


def bought(record: Record, counts: str | None, own: str, rates: Mapping[str, Decimal]) -> Bought | None:
    """What a person remembers of this order; None while nobody has reported its purchase (a refund came first)."""
    said = chosen(record, counts)
    if said is None:
        return None
    worth, discount = said.value, said.discount or _ZERO
    goods = said.subtotal if said.subtotal is not None else said.revenue
    listed = (worth if goods is None else goods) or _ZERO
    back = gone_back(record, said) if record.refunds or record.cancelled_at else _ZERO
    if said.currency != own:
        worth = in_currency(worth, said.currency, own, rates)
        discount = in_currency(discount, said.currency, own, rates) or _ZERO
        listed = in_currency(listed, said.currency, own, rates) or _ZERO
        back = in_currency(back, said.currency, own, rates) or _ZERO
    if discount:
        listed += discount
    return Bought(
        time=said.time,
        value=worth,
        refunded=_ZERO if worth is None or not back else min(back, worth),
        discount=discount,
        list_value=listed,
        cancelled=bool(record.cancelled_at),
        refunds=bool(record.refunds),
    )


def remembered(person: Person, key: str, order: Bought | None) -> Person:
    """The person with this order as it is now; the same object when that changes nothing."""
    if order is None or person.orders.get(key) == order:
        return person
    known = {**person.orders, key: order}
    if len(known) > MOST_ORDERS:
        known = newest(known)
    return replace(person, orders=known)


def newest(known: Mapping[str, Bought]) -> dict[str, Bought]:
    """The newest `MOST_ORDERS` of them, by the time of the order."""
    kept = sorted(known, key=lambda key: (known[key].time, key))[-MOST_ORDERS:]
    return {key: known[key] for key in sorted(kept)}


def number(person: Person, key: str) -> int | None:
    """Which order of the person's this is (1 is the first), by the time of the orders; None for one cancelled or unknown."""
    own = person.orders.get(key)
    if own is None or own.cancelled:
        return None
    return 1 + sum((order.time, other) < (own.time, key) for other, order in person.orders.items() if not order.cancelled)


# ---- derived events --------------------------------------------------------------------------------------------------------


class Rule(Struct, frozen=True, kw_only=True):
    """A derived event about a person's orders, compiled; exactly one of the three is set."""

    name: str
    nth_order: int | None = None
    returned_after_ms: int | None = None
    lifetime_value: Decimal | None = None


def reached(rule: Rule, person: Person) -> str | None:
    """The key of the order by which the person's orders meet the rule; None while they do not."""
    standing = in_time(person)
    if rule.nth_order is not None:
        return standing[rule.nth_order - 1][1] if len(standing) >= rule.nth_order else None
    if rule.returned_after_ms is not None:
        pairs = pairwise(standing)
        return next((after[1] for before, after in pairs if after[0] - before[0] >= rule.returned_after_ms), None)
    worth = _ZERO
    for _, key, order in standing:
        worth += (order.value or _ZERO) - order.refunded
        if rule.lifetime_value is not None and worth >= rule.lifetime_value:
            return key
    return None


@lru_cache(maxsize=1024)
def slug(name: str) -> str:
    """`Second Purchase` -> `second-purchase`: the end of ids made of an event's name."""
    return name.lower().replace(" ", "-")
