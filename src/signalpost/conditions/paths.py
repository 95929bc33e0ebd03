"""What can be read: one table of paths, each with its kind, its words and its reader."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from crawleruseragents import is_crawler  # type: ignore[import-untyped]  # it has no types
from msgspec import Struct

from signalpost.conditions.operators import Kind
from signalpost.conditions.subject import Subject
from signalpost.conditions.words import quoted


class Path(Struct, frozen=True):
    """One thing to ask about: its kind, its words in a sentence, its reader and what it is."""

    kind: Kind
    words: str
    """`order value`; of a count the things counted, `order: coupon`; of a switch what follows `is`, `order: a test`."""
    read: Callable[[Subject], Any]
    """Decimal or int for amounts, shares and counts, epoch ms for moments, a tuple of texts for `texts`, None: not known."""
    doc: str
    traits: frozenset[str] = frozenset()


def _claimed(name: str) -> Callable[[Subject], Any]:
    return lambda subject: getattr(subject.claim(), name)


def _fact(name: str) -> Callable[[Subject], Any]:
    return lambda subject: getattr(subject.facts(), name)


def _dug(value: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _agent(subject: Subject) -> str | None:
    agent = subject.event.context.get("userAgent")
    return agent if isinstance(agent, str) else None


@lru_cache(maxsize=65_536)
def _robot(agent: str) -> bool:
    return bool(is_crawler(agent))


LONGEST_AGENT = 500
"""Characters of a user agent that are looked at: a browser's has some 150, and a longer one costs time at every pattern."""


def _bot(subject: Subject) -> bool:
    agent = _agent(subject)
    return agent is not None and _robot(agent[:LONGEST_AGENT])


def _separate(value: Any) -> tuple[str, ...]:
    """Tags as shops write them: a list of texts, or one text with commas."""
    if isinstance(value, str):
        return tuple(part for each in value.split(",") if (part := each.strip()))
    if isinstance(value, (list, tuple)):
        return tuple(part for each in value if isinstance(each, str) and (part := each.strip()))
    return ()


def _order_tags(subject: Subject) -> tuple[str, ...]:
    return _separate(subject.event.properties.get("tags")) or subject.claim().tags


def _source_name(subject: Subject) -> Any:
    return subject.event.properties.get("source_name")


def _of_items(name: str) -> Callable[[Subject], tuple[str, ...]]:
    return lambda subject: tuple(found for item in subject.order.items if (found := getattr(item, name)) is not None)


def _quantity(subject: Subject) -> int:
    return sum(item.quantity or 0 for item in subject.order.items)


def _known_of_order(name: str) -> Callable[[Subject], bool]:
    return lambda subject: subject.record is not None and bool(getattr(subject.record, name))


def _emails(subject: Subject) -> Iterable[str]:
    """The person's addresses and those the event itself gives; a hashed one has no domain that anybody could read."""
    yield from subject.person.emails
    event = subject.event
    for facts in (event.traits, event.context.get("traits"), event.properties):
        if isinstance(facts, dict) and isinstance(facts.get("email"), str):
            yield facts["email"]


def _domains(subject: Subject) -> tuple[str, ...]:
    return tuple(email.rpartition("@")[2] for email in _emails(subject) if "@" in email)


def _trait(names: tuple[str, ...]) -> Callable[[Subject], Any]:
    first, rest = names[0], names[1:]

    def find(subject: Subject) -> Any:
        heard = subject.person.given.get(first) or subject.person.traits.get(first)
        return None if heard is None else _dug(heard[0], rest)

    return find


def _in_event(where: str, names: tuple[str, ...]) -> Callable[[Subject], Any]:
    return lambda subject: _dug(getattr(subject.event, where), names)


def _person_tags(subject: Subject) -> tuple[str, ...]:
    heard = subject.person.given.get("tags")
    return () if heard is None else _separate(heard[0])


PATHS: dict[str, Path] = {
    "event.name": Path("text", "event", lambda s: s.name, "The canonical event."),
    "event.source": Path("text", "event source", lambda s: s.event.source, "The source's name in the workspace file."),
    "event.time": Path("moment", "event", lambda s: s.event.time, "When it happened."),
    "event.user_agent": Path("text", "event user agent", _agent, "The browser's own line (`context.userAgent`)."),
    "event.bot": Path("switch", "event: made by a bot", _bot, "Whether the user agent is a known crawler or program."),
    "order.id": Path("text", "order id", lambda s: s.order.id, "The shop's order id."),
    "order.value": Path(
        "amount", "order value", lambda s: s.order.value, "What the order is worth, as `order_value` of the workspace says."
    ),
    "order.currency": Path("text", "order currency", lambda s: s.order.currency, "Three letters, such as `USD`."),
    "order.total": Path("amount", "order total", _claimed("total"), "What the buyer pays, as the source says."),
    "order.subtotal": Path("amount", "order subtotal", _claimed("subtotal"), "The goods after discounts, as the source says."),
    "order.tax": Path("amount", "order tax", _claimed("tax"), "As the source says."),
    "order.shipping": Path("amount", "order shipping", _claimed("shipping"), "As the source says."),
    "order.discount": Path("amount", "order discount", _claimed("discount"), "What was taken off, as the source says."),
    "order.discount_share": Path(
        "share", "order discount share", _claimed("discount_share"), "The discount as a share of the goods before it."
    ),
    "order.coupons": Path("count", "order: coupon", _claimed("coupons"), "How many coupon codes it carries."),
    "order.coupon": Path("texts", "order coupons", lambda s: _separate(s.order.coupon), "The coupon codes."),
    "order.items": Path("count", "order: line", lambda s: len(s.order.items), "How many lines it has."),
    "order.quantity": Path("count", "order: piece", _quantity, "How many pieces it has, over all lines."),
    "order.products": Path("texts", "order products", _of_items("id"), "The ids of its products."),
    "order.product_names": Path("texts", "order product names", _of_items("name"), "The names of its products."),
    "order.categories": Path("texts", "order categories", _of_items("category"), "The categories of its products."),
    "order.brands": Path("texts", "order brands", _of_items("brand"), "The brands of its products."),
    "order.tags": Path("texts", "order tags", _order_tags, "The order's tags in the shop."),
    "order.source_name": Path(
        "text", "order channel", _source_name, "Where the shop took it: Shopify's `source_name`, such as `web` or `pos`."
    ),
    "order.number": Path(
        "amount", "order's place among the person's orders", lambda s: s.number(), "1 is the person's first order, by event time."
    ),
    "order.refunded": Path("switch", "order: refunded", _known_of_order("refunds"), "Whether any money went back."),
    "order.cancelled": Path("switch", "order: cancelled", _known_of_order("cancelled_at"), "Whether it was called off."),
    "order.flagged": Path(
        "switch", "order: flagged as fraud", _known_of_order("flagged_at"), "Whether the shop flagged it as fraudulent."
    ),
    "order.test": Path(
        "switch", "order: a test", lambda s: s.event.properties.get("test") is True, "Whether the shop marked it as a test."
    ),
    "person.orders": Path("count", "person: order", _fact("orders"), "Their orders that were not cancelled."),
    "person.lifetime_value": Path(
        "amount", "person's lifetime value", _fact("lifetime_value"), "What those are worth, less refunds."
    ),
    "person.average_order_value": Path(
        "amount", "person's average order value", _fact("average_order_value"), "Lifetime value by order."
    ),
    "person.refund_rate": Path(
        "share", "person's refund rate", _fact("refund_rate"), "Orders cancelled or paid back, of all their orders."
    ),
    "person.discount_rate": Path(
        "share", "person's discount rate", _fact("discount_rate"), "Discounts, of the prices before them, over all their orders."
    ),
    "person.first_order_at": Path("moment", "person's first order", _fact("first_order_at"), "When they first ordered."),
    "person.last_order_at": Path("moment", "person's last order", _fact("last_order_at"), "When they last ordered."),
    "person.days_between_orders": Path(
        "amount", "person's days between orders", _fact("days_between_orders"), "The mean; not known before the second order."
    ),
    "person.email_domain": Path(
        "texts", "person's e-mail domains", _domains, "What follows the `@`; not known of addresses that come hashed."
    ),
    "person.email": Path("presence", "person's e-mail", lambda s: next(iter(_emails(s)), None), "Whether one is known."),
    "person.phone": Path("presence", "person's phone", lambda s: next(iter(s.person.phones), None), "Whether one is known."),
    "person.user_id": Path(
        "presence", "person's customer id", lambda s: next(iter(s.person.external_ids), None), "Whether one is known."
    ),
    "person.tags": Path("texts", "person's tags", _person_tags, "Their trait `tags`.", frozenset({"tags"})),
    "segment": Path("texts", "person's segments", lambda s: tuple(s.person.inside), "The segments they are in at that moment."),
}
"""Path -> what it is. Four more begin a path of the source's own: `OPEN`."""

OPEN: dict[str, str] = {
    "event.properties": "event property",
    "event.context": "event context",
    "event.traits": "event trait",
    "person.traits": "person's trait",
}
"""Where any name may follow, such as `event.properties.gift_note` -> its words."""


def path(written: str) -> Path | None:
    """What a path names, or None."""
    known = PATHS.get(written)
    if known is not None:
        return known
    for root, words in OPEN.items():
        rest = written.removeprefix(root + ".")
        names = tuple(rest.split("."))
        if rest == written or not all(names):
            continue
        if root == "person.traits":
            return Path("any", f"{words} {quoted(rest)}", _trait(names), "", frozenset({names[0]}))
        where = root.partition(".")[2]
        return Path("any", f"{words} {quoted(rest)}", _in_event(where, names), "")
    return None
