"""Which order an event is about, and what the hub knows of it afterwards; within a batch being decided.

News of an order (a purchase, a refund, a cancellation, a fraud flag, a pixel's report) goes into its record, from there into what
its person remembers, and back: what was called off before it was sent is stopped, what had been sent is counted.
"""

from __future__ import annotations

from decimal import Decimal

from signalpost import memberships, orders, purchases
from signalpost.deciding import Deciding, micros
from signalpost.events import Event, Order, Person
from signalpost.plan import Plan
from signalpost.purchases import Record
from signalpost.state import Back, Gone, KnownOrder

PURCHASE, REFUND, CANCELLATION, FLAG, PIXEL = (
    "Order Completed",
    "Order Refunded",
    "Order Cancelled",
    "Order Flagged",
    "Pixel Sent",
)

NEWS = frozenset({PURCHASE, REFUND, CANCELLATION, FLAG, PIXEL})
"""Canonical events that tell something of an order."""

STOPS = {
    CANCELLATION: ("cancelled_before_sending", "cancelled_after"),
    REFUND: ("refunded_before_sending", "refunded_after"),
    FLAG: ("flagged_before_sending", "flagged_after"),
}
"""News -> (the reason for which a signal not yet sent is stopped, what is counted for one that was)."""


def about(event: Event, name: str, order: Order, person: Person, number: int, work: Deciding) -> KnownOrder | None:
    """The order this event tells of, with the news in it; None for an event that tells of none."""
    if order.id is None or name not in NEWS or person.suppressed_at:
        return None
    known = _found(order.id, person.id, event.time, number, purchase=name == PURCHASE, work=work)
    before = known.record
    known.record = _told(before, event, name, order, number)
    bought = name == PURCHASE and not known.person and bool(known.record.claims)
    if bought:
        known.person = person.id
    work.orders[known.key] = known
    if name == PURCHASE and known.record.claims and not known.purchased:
        known.purchased = number
    if known.record is not before or bought:
        remember(known, event.received_at, work)
        if name in STOPS:
            _take_back(known, before, name, work)
    return known


def _found(order_id: str, person: int, time: int, number: int, *, purchase: bool, work: Deciding) -> KnownOrder:
    """The order under this id: the one known, or a new one where the shop used the id again.

    The same person's is always the same order; another person's purchase is a repeat by a second source unless it is
    `orders.reused_after` apart: then one id was given to two orders. Other news is of the person's own order, else of the latest.
    """
    under = work.state.orders.setdefault(order_id, [])
    for known in under:
        if 0 in {person, known.person} or known.person == person:
            return known
    apart = work.plan.reused_after_ms
    if under and not purchase:
        return max(under, key=lambda known: (known.time <= time, known.time))
    for known in under:
        if abs(time - known.time) < apart:
            return known
    key = f"{order_id}~{number}" if under else order_id
    known = KnownOrder(key=key, order_id=order_id, person=0, event=number, time=time, sent={})
    under.append(known)
    return known


def _told(record: Record, event: Event, name: str, order: Order, number: int) -> Record:
    """The record after this event."""
    at = min(event.time, event.received_at)
    if name == PURCHASE:
        correction = order.value is not None and order.value < 0
        return record if correction else purchases.claimed(record, purchases.claim(event, number, order))
    if name == REFUND:
        return purchases.paid_back(record, event, order)
    if name == CANCELLATION:
        return purchases.cancelled(record, at)
    if name == FLAG:
        return purchases.flagged(record, at)
    platform, event_id = orders.text(event.properties.get("platform")), orders.text(event.properties.get("event_id"))
    # A pixel that was sent without an id is told with an empty one: nothing will merge with it.
    return purchases.pixel_sent(record, platform[:50], (event_id or "")[:200], at) if platform else record


def remember(known: KnownOrder, at: int, work: Deciding) -> None:
    """Bring what the order's person remembers of it up to date; `at`: when the news came in."""
    owner = work.state.people.get(work.now_known_as(known.person))
    if owner is None or owner.suppressed_at:
        return
    owner = memberships.begin(owner, at, work)
    plan = work.plan
    counts = plan.counted_source.get(PURCHASE)
    order = purchases.bought(known.record, counts, plan.workspace.currency, plan.rates)
    after = purchases.remembered(owner, known.key, order)
    if after is not owner:
        work.state.people[owner.id] = after
        work.changed[owner.id] = None


def _take_back(known: KnownOrder, before: Record, name: str, work: Deciding) -> None:
    """Stop the signals of an order of which nothing is left; count what is gone of it where its purchase was sent."""
    plan, made = work.plan, work.made
    counts = plan.counted_source.get(PURCHASE)
    said = purchases.chosen(known.record, counts)
    if said is None:
        return
    stop, what = STOPS[name]
    reason = stop if name == FLAG or purchases.whole(known.record, counts) else None
    gone = said.value or Decimal(0)
    if name != FLAG:
        gone = purchases.gone_back(known.record, said) - purchases.gone_back(before, said)
    waiting = {
        (each.route.name, each.event): each
        for each in work.pending
        if each.signal.order.id == known.order_id and (each.derived or known.sent.get(each.route.name) == each.event)
    }
    if reason is not None:
        for pending in waiting.values():
            pending.withdrawn = pending.withdrawn or reason
        if plan.reached or plan.firsts:
            made.stops.append(Gone(known.order_id, reason))
    first, gone_micros, currency = not (before.refunds or before.cancelled_at), micros(gone) or 0, said.currency or ""
    for destination, event in known.sent.items():
        here = waiting.get((destination, event))
        if here is not None:  # it waits by this very batch, whatever becomes of it afterwards
            if reason is None and not here.withdrawn:
                made.notice(destination, what, PURCHASE, event, currency=currency, signals=first, value=gone_micros)
            continue
        route = next((route for route in plan.routes if route.name == destination), None)
        if route is not None:
            (made.back if reason is None else made.stops).append(
                Back(
                    event=event,
                    destination=destination,
                    slot=route.slot,
                    name=PURCHASE,
                    reason=reason,
                    what=what,
                    currency=currency,
                    micros=gone_micros,
                    first=first,
                )
            )


def told_before(known: KnownOrder | None, name: str, number: int) -> bool:
    """Whether this purchase had been reported before, by another source or again: what happened once counts once."""
    return name == PURCHASE and known is not None and number != known.purchased


def called_off(known: KnownOrder | None, plan: Plan) -> str | None:
    """Why a purchase must not be sent any more, or at all: its cancellation, refund or fraud flag came before it."""
    if known is None:
        return None
    record = known.record
    if record.cancelled_at:
        return STOPS[CANCELLATION][0]
    if record.flagged_at:
        return STOPS[FLAG][0]
    if record.refunds and purchases.whole(record, plan.counted_source.get(PURCHASE)):
        return STOPS[REFUND][0]
    return None


def moved_money(order: Order, currencies: frozenset[str] | None, plan: Plan) -> Order:
    """The order in the workspace's currency where the platform does not take its own and the workspace has a rate."""
    if not plan.rates or currencies is None or order.currency is None or order.currency in currencies:
        return order
    rate = plan.rates.get(order.currency)
    return order if rate is None else orders.converted(order, plan.workspace.currency, rate)


def with_standing(known: KnownOrder, person: Person) -> str | None:
    """`new` or `returning`: whether this is the first of the person's orders by time; None for nobody one can know."""
    place = purchases.number(person, known.key) if person.id else None
    return None if place is None else "new" if place == 1 else "returning"
