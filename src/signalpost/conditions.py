"""The condition language: a YAML mapping of a path to a predicate, checked, printed as a sentence, compiled to a closure.

    order.value: {lte: 0}                     a mapping: every line of it must hold
    person.tags: employee                     a plain value: equals it, or has it among several
    order.source_name: [pos, draft]           a list: one of these
    any:                                      `all`, `any`: every one, at least one; `not`: none of these
      - {order.discount_share: {gt: 40%}}
      - {person.last_order_at: {age: 30d..90d}, person.orders: {gte: 3}}

`PATHS` is all that can be read, `OPERATORS` all that can be asked of it. What is not known meets no predicate but the negative
ones (`ne`, `not_in`, `exists: false`). Text is compared without regard to case and outer spaces, numbers exactly.
Nothing of the text is left at run time: `compile` makes one closure, which reads a `Subject` and answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal

from crawleruseragents import is_crawler  # type: ignore[import-untyped]  # it has no types
from msgspec import Struct

from signalpost.events import Claim, Event, Facts, Order, Person
from signalpost.marked import Mistake, Notes, Value, listed, nearest
from signalpost.options import duration, number, share, spelt

Test = Callable[["Subject"], bool]
Accept = Callable[[Any], bool]
Kind = Literal["amount", "share", "count", "text", "texts", "moment", "switch", "presence", "any"]


class Subject(Struct, frozen=True, kw_only=True, gc=False):
    """What a condition looks at: one event, its order and its person, as they are when the signal is decided."""

    name: str
    """The canonical event."""
    event: Event
    order: Order
    person: Person
    now: int
    """The moment (epoch ms) to which ages are counted."""
    claim: Callable[[], Claim]
    """What this event's source says of the order; asked only by a condition that needs it, as the next three."""
    facts: Callable[[], Facts]
    number: Callable[[], int | None]
    """The order's number among the person's, by event time; None when the event is of no order."""
    record: Any = None
    """`purchases.Record` of the order: `refunds`, `cancelled_at` and `flagged_at`; None when there is none."""


class Condition(Struct, frozen=True):
    """A condition ready to be asked, with the sentence that says it."""

    test: Test
    sentence: str
    traits: frozenset[str]
    """Traits that must be kept in `Person.given` for it."""


def compile(raw: Any) -> Condition:  # noqa: A001 - conditions.compile reads as what it is
    """The condition that plain data (mappings, lists, texts) says; raise `ValueError` with what is wrong with it."""
    notes = Notes("")
    condition = read(_marked(raw, "when"), notes)
    if condition is None:
        raise ValueError(notes.mistakes[0].sentence if notes.mistakes else "The condition says nothing.")
    return condition


def read(value: Value, notes: Notes) -> Condition | None:
    """The condition that a value of the workspace file says; None with every mistake noted. No value makes this raise."""
    node = _node(value, notes)
    return None if node is None else Condition(node.test, node.say(False), node.traits)


def check(raw: Any) -> tuple[Mistake, ...]:
    """Everything wrong with plain data as a condition, for those who have no file."""
    notes = Notes("")
    read(_marked(raw, "when"), notes)
    return notes.found


def written(raw: Any) -> str:
    """Plain data as a line of YAML, to be copied into a workspace file: `{order.value: {lte: 0}}`."""
    if isinstance(raw, dict):
        return "{" + ", ".join(f"{written(key)}: {written(each)}" for key, each in raw.items()) + "}"
    if isinstance(raw, (list, tuple)):
        return "[" + ", ".join(written(each) for each in raw) + "]"
    text = "" if raw is None else str(raw).lower() if isinstance(raw, bool) else str(raw)
    return text if _PLAIN.fullmatch(text) and text.lower() != "null" else json.dumps(text, ensure_ascii=False)


_PLAIN = re.compile(r"[A-Za-z0-9][\w.%/+-]*( [\w.%/+-]+)*")
"""Text that is the same text in YAML without quotes."""


# ---- what can be read ------------------------------------------------------------------------------------------------------


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
}
"""Path -> what it is. Three more begin a path of the source's own: `OPEN`."""

OPEN: dict[str, str] = {
    "event.properties": "event property",
    "event.context": "event context",
    "event.traits": "event trait",
    "person.traits": "person's trait",
}
"""Where any name may follow, such as `event.properties.gift_note` -> its words."""

_WORDS_OF_CONDITIONS = ("all", "any", "not")


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
            return Path("any", f"{words} {_quoted(rest)}", _trait(names), "", frozenset({names[0]}))
        where = root.partition(".")[2]
        return Path("any", f"{words} {_quoted(rest)}", _in_event(where, names), "")
    return None


def _in_event(where: str, names: tuple[str, ...]) -> Callable[[Subject], Any]:
    return lambda subject: _dug(getattr(subject.event, where), names)


# ---- what can be asked -----------------------------------------------------------------------------------------------------

ORDERING = ("gt", "gte", "lt", "lte")
_EQUALS = ("eq", "ne", "in", "not_in")
_TEXT = (*_EQUALS, "contains", "contains_any", "starts_with", "ends_with", "exists")

OPERATORS: dict[Kind, tuple[str, ...]] = {
    "amount": (*_EQUALS, *ORDERING, "exists"),
    "share": (*_EQUALS, *ORDERING, "exists"),
    "count": (*_EQUALS, *ORDERING, "exists"),
    "text": _TEXT,
    "texts": _TEXT,
    "moment": (*ORDERING, "age", "exists"),
    "switch": ("eq", "ne"),
    "presence": ("exists",),
    "any": (*_EQUALS, *ORDERING, "contains", "contains_any", "starts_with", "ends_with", "age", "exists"),
}
"""Kind -> what may be asked of it."""

KINDS: dict[Kind, str] = {
    "amount": "a number",
    "share": "a share such as `40%`",
    "count": "a number",
    "text": "a text",
    "texts": "a list of texts",
    "moment": "a time",
    "switch": "`true` or `false`",
    "presence": "known or not",
    "any": "whatever the source sends",
}

_LISTS = frozenset({"in", "not_in", "contains_any"})
_EVERY_OPERATOR = tuple(dict.fromkeys(name for names in OPERATORS.values() for name in names))

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda left, right: left > right,
    "gte": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "lte": lambda left, right: left <= right,
}

PHRASES: dict[str, dict[str, str]] = {
    "number": {
        "eq": "is {x}", "ne": "is not {x}", "gt": "is above {x}", "gte": "is {x} or more", "lt": "is below {x}",
        "lte": "is {x} or less", "in": "is {x}", "not_in": "is not {x}", "exists": "is known", "missing": "is not known",
    },
    "count": {
        "eq": "{has} exactly {x}", "ne": "{has} more or fewer than {x}", "gt": "{has} more than {x}",
        "gte": "{has} {x} or more", "lt": "{has} fewer than {x}", "lte": "{has} {x} or fewer", "in": "{has} exactly {x}",
        "not_in": "{has} any number but {x}",
        "exists": "{has} a known number of {things}", "missing": "{has} an unknown number of {things}",
    },
    "text": {
        "eq": "is {x}", "ne": "is not {x}", "in": "is {x}", "not_in": "is not {x}", "contains": "contains {x}",
        "contains_any": "contains {x}", "starts_with": "begins with {x}", "ends_with": "ends with {x}",
        "exists": "is known", "missing": "is not known",
        "gt": "is above {x}", "gte": "is {x} or more", "lt": "is below {x}", "lte": "is {x} or less",
    },
    "texts": {
        "eq": "include {x}", "ne": "do not include {x}", "in": "include {x}", "not_in": "do not include {x}",
        "contains": "include {x}", "contains_any": "include {x}", "starts_with": "include one that begins with {x}",
        "ends_with": "include one that ends with {x}", "exists": "are known", "missing": "are not known",
    },
    "moment": {
        "gt": "was after {x}", "gte": "was at {x} or later", "lt": "was before {x}", "lte": "was at {x} or earlier",
        "exists": "is known", "missing": "is not known",
    },
    "age": {
        "gt": "was more than {x} ago", "gte": "was {x} ago or longer", "lt": "was less than {x} ago",
        "lte": "was {x} ago or less", "range": "was {x} ago",
    },
}  # fmt: skip
"""How each question reads after the words of its path."""


class _Predicate(Struct, frozen=True):
    """One question: what it accepts of a present value, how an absent one counts, and how it reads."""

    accept: Accept
    absent: bool
    phrase: str
    negative: bool = False
    """Of several values, none may be accepted by the question's opposite."""


def _fold(text: str) -> str:
    return text.strip().casefold()


def _text_of(value: Any) -> str | None:
    """A JSON scalar as folded text."""
    if isinstance(value, str):
        return _fold(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= LONGEST_INTEGER else None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return None


LONGEST_NUMBER = 60
"""Characters of a number that a source sends as text."""

LONGEST_INTEGER = 200
"""Bits of a whole number in JSON; one of five thousand digits is nobody's property, and Python does not write it out."""


def _number_of(value: Any) -> Decimal | None:
    """The exact number of a JSON number or of plain decimal text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    if isinstance(value, str) and len(value) > LONGEST_NUMBER:
        return None
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return None
    try:
        exact = (
            Decimal(value.strip())
            if isinstance(value, str)
            else Decimal(repr(value))
            if isinstance(value, float)
            else Decimal(value)
        )
    except InvalidOperation:
        return None
    return exact if exact.is_finite() else None


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]{5,15}(Z|[+-][0-9:]{4,6})?)?")
_SECONDS_BELOW = Decimal(10**11)
"""A number below this is a time in seconds (until the year 5138), as Customer.io writes traits; above, in milliseconds."""


def _moment_of(value: Any) -> int | None:
    """Epoch ms of an ISO 8601 text (UTC where it names no zone) or of a number; None for anything else."""
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        try:
            moment = datetime.fromisoformat(value.strip())
            at = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            return round(at.timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    exact = None if isinstance(value, str) else _number_of(value)
    if exact is None or abs(exact) > 10**14:
        return None
    return int(exact * 1000) if abs(exact) < _SECONDS_BELOW else int(exact)


# ---- text -> tree ----------------------------------------------------------------------------------------------------------


class _Node(Struct, frozen=True):
    """A condition or a part of one."""

    test: Test
    say: Callable[[bool], str]
    """The sentence; True: the person was named just before, so that they are `they` now."""
    traits: frozenset[str]
    person: bool = False
    """Whether it is about the person."""
    several: bool = False
    """Whether it needs brackets inside another."""


def _node(value: Value, notes: Notes) -> _Node | None:
    if value.kind == "scalar" and value.text is None:
        return None  # a variable that is not set; noted already
    if value.kind == "list":
        notes.at(value, f"`{value.path}` is a list; write `all:` or `any:` before it to say how many of it must hold.")
        return None
    if value.kind != "mapping" or not value.entries:
        notes.at(value, f"`{value.path}` must be a condition, such as `order.value: {{lte: 0}}`.")
        return None
    parts = [_entry(key, entry, notes) for key, entry in value.entries.items()]
    return _every([part for part in parts if part is not None]) if None not in parts else None


def _entry(key: str, value: Value, notes: Notes) -> _Node | None:
    if key in _WORDS_OF_CONDITIONS:
        return _group(key, value, notes)
    known = path(key)
    if known is None:
        notes.place(value.key_line, value.column, value.path, _unknown(key))
        return None
    found = _predicates(key, known, value, notes)
    return None if found is None else _leaf(known, found)


def _unknown(key: str) -> str:
    if key == "segment" or key.startswith("segment."):
        return "A condition cannot name a segment yet: there are no segments in a workspace file."
    if key in OPEN:
        return f"`{key}` needs the name of what it looks at, such as `{key}.gift_note`."
    root, *names = key.split(".")
    own = {name.removeprefix(f"{root}."): name for name in PATHS if name.startswith(f"{root}.")}
    if own:
        # The root is right, so only what follows it is compared: `order.` alone makes any two paths alike.
        near = own.get(nearest(key.removeprefix(f"{root}."), own) or "")
        opened = nearest(f"{root}.{names[0]}", OPEN) if len(names) > 1 and all(names) else None
        near = near or (".".join([opened, *names[1:]]) if opened is not None else None)
        there = listed([*own.values(), *(f"{one}.…" for one in OPEN if one.startswith(f"{root}."))])
        known = f"Did you mean `{near}`?" if near is not None else f"Of the {root} it knows {there}."
    else:
        ends = {name.rpartition(".")[2]: name for name in reversed(PATHS)}
        near = ends.get(nearest(key.rpartition(".")[2], ends) or "") or nearest(key, [*PATHS, *_WORDS_OF_CONDITIONS])
        known = f"Did you mean `{near}`?" if near is not None else "Paths begin with `event.`, `order.` or `person.`."
    return f"A condition cannot look at `{key}`. {known}"


def _group(word: str, value: Value, notes: Notes) -> _Node | None:
    if value.kind == "mapping" and word == "not":
        within = _node(value, notes)
        return None if within is None else _none([within])
    if value.kind != "list" or not value.items:
        more = " or one condition" if word == "not" else ""
        notes.at(value, f"`{value.path}` must be a list of conditions{more}, such as `- order.value: {{lte: 0}}`.")
        return None
    read = [_node(item, notes) for item in value.items]
    parts = [part for part in read if part is not None]
    if len(parts) < len(read):
        return None
    return {"all": _every, "any": _some, "not": _none}[word](parts)


def _every(parts: list[_Node]) -> _Node:
    if len(parts) == 1:
        return parts[0]
    tests = tuple(part.test for part in parts)

    def test(subject: Subject) -> bool:
        for one in tests:  # noqa: SIM110 - a loop is twice as fast as all() of a generator
            if not one(subject):
                return False
        return True

    def say(again: bool) -> str:
        said = []
        for part in parts:
            said.append(_bracketed(part, again))
            again = part.person
        return " and ".join(said)

    return _Node(test, say, _traits(parts), person=parts[0].person, several=True)


def _some(parts: list[_Node]) -> _Node:
    if len(parts) == 1:
        return parts[0]
    tests = tuple(part.test for part in parts)

    def test(subject: Subject) -> bool:
        for one in tests:  # noqa: SIM110 - as above
            if one(subject):
                return True
        return False

    def say(_again: bool) -> str:
        return "either " + ", or ".join(_bracketed(part, False) for part in parts)

    return _Node(test, say, _traits(parts), several=True)


def _none(parts: list[_Node]) -> _Node:
    some = _some(parts)

    def say(_again: bool) -> str:
        if len(parts) == 1:
            return f"it is not so that {_bracketed(parts[0], False)}"
        return "it is not so that " + ", nor that ".join(_bracketed(part, False) for part in parts)

    return _Node(lambda subject: not some.test(subject), say, some.traits, several=True)


def _bracketed(part: _Node, again: bool) -> str:
    return f"({part.say(False)})" if part.several else part.say(again)


def _traits(parts: Iterable[_Node]) -> frozenset[str]:
    return frozenset().union(*(part.traits for part in parts))


# ---- one path and its predicates -------------------------------------------------------------------------------------------


def _predicates(key: str, known: Path, value: Value, notes: Notes) -> list[_Predicate] | None:
    """The questions that one line asks; None with its mistakes noted."""
    if value.kind == "mapping":
        if not value.entries:
            notes.at(value, f"`{value.path}` says nothing of `{key}`; it takes {listed(OPERATORS[known.kind], 'or')}.")
            return None
        found = [_asked(key, known, name, entry, notes) for name, entry in value.entries.items()]
    else:
        found = [_asked(key, known, "in" if value.kind == "list" else "eq", value, notes)]
    several = [each for one in found if one is not None for each in one]
    return None if None in found else several


def _asked(key: str, known: Path, operator: str, value: Value, notes: Notes) -> list[_Predicate] | None:
    allowed = OPERATORS[known.kind]
    if operator not in allowed:
        sentence = f"`{key}` is {KINDS[known.kind]}: it takes {listed(allowed, 'or')}, not `{operator}`."
        if operator not in _EVERY_OPERATOR:
            near = nearest(operator, _EVERY_OPERATOR)
            meant = f"Did you mean `{near}`?" if near in allowed else f"`{key}` takes {listed(allowed, 'or')}."
            sentence = f"There is no `{operator}` in a condition. {meant}"
        notes.place(value.key_line, value.column, value.path, sentence)
        return None
    if operator == "age":
        return _age(value, notes)
    if operator == "exists" or known.kind == "switch":
        wanted = _switch(value, notes)
        if wanted is None:
            return None
        return [_whether(known, wanted != (operator == "ne")) if known.kind == "switch" else _present(known, wanted)]
    if operator in _LISTS:
        operands = _operands(key, known, operator, value, notes)
    else:
        one = _operand(key, known, operator, value, notes)
        operands = None if one is None else [one]
    return None if operands is None else [_predicate(known, operator, operands)]


def _switch(value: Value, notes: Notes) -> bool | None:
    text = (value.text or "").lower() if value.kind == "scalar" else ""
    if text in {"true", "false"}:
        return text == "true"
    if value.kind != "scalar" or value.text is not None:
        notes.at(value, f"`{value.path}` must be `true` or `false`{_not_this(value)}.")
    return None


def _not_this(value: Value) -> str:
    return f", not `{value.raw}`" if value.kind == "scalar" else f", not a {value.kind}" if value.kind != "nothing" else ""


class _Operand(Struct, frozen=True):
    """What a value is compared with: its reading, and how it is printed."""

    exact: Any
    words: str


def _operands(key: str, known: Path, operator: str, value: Value, notes: Notes) -> list[_Operand] | None:
    if value.kind != "list" or not value.items:
        hint = f": write `[{value.raw}]`" if value.kind == "scalar" else ""
        notes.at(value, f"`{value.path}` must be a list of values{hint}.")
        return None
    read = [_operand(key, known, operator, item, notes) for item in value.items]
    return None if None in read else [one for one in read if one is not None]


def _operand(key: str, known: Path, operator: str, value: Value, notes: Notes) -> _Operand | None:
    if value.kind != "scalar":
        what = "is empty" if value.kind == "nothing" else f"must be one value, not a {value.kind}"
        notes.at(value, f"`{value.path}` {what}.")
        return None
    if value.text is None:
        return None
    if value.text.strip() == "":
        notes.at(value, f"`{value.path}` is empty; to ask whether there is any, write `exists: false`.")
        return None
    reader = _ORDERED if known.kind == "any" and operator in ORDERING else _READERS[known.kind]
    try:
        return reader(value.text)
    except ValueError as error:
        notes.at(value, f"`{key}` is compared with {error}, not with `{value.raw}`.")
        return None


def _as_number(text: str) -> _Operand:
    exact = number(text)
    return _Operand(exact, f"{exact:f}")


def _as_share(text: str) -> _Operand:
    exact = share(text)
    return _Operand(exact, f"{(exact * 100).normalize():f}%")


def _as_text(text: str) -> _Operand:
    return _Operand(_fold(text), _quoted(text.strip()))


def _as_moment(text: str) -> _Operand:
    at = _moment_of(text)
    if at is None:
        raise ValueError("a date such as `2026-11-27` or `2026-11-27T18:00:00Z`, or by `age`")
    return _Operand(at, text.strip())


def _as_ordered(text: str) -> _Operand:
    at = _moment_of(text)
    if at is not None:
        return _Operand(_Moment(at), text.strip())
    try:
        return _as_number(text)
    except ValueError:
        raise ValueError("a number or a date such as `2026-11-27`") from None


class _Moment(Struct, frozen=True):
    """A date where a number might be meant too."""

    at: int


_ORDERED = _as_ordered
_READERS: dict[Kind, Callable[[str], _Operand]] = {
    "amount": _as_number,
    "count": _as_number,
    "share": _as_share,
    "text": _as_text,
    "texts": _as_text,
    "any": _as_text,
    "moment": _as_moment,
}

_WORD = re.compile(r"[\w@.+/-]+")


def _quoted(text: str) -> str:
    """A text inside a sentence: as it is when it is one word, else in quotes."""
    return text if _WORD.fullmatch(text) else '"' + text.replace('"', '""') + '"'


def _either(words: Iterable[str]) -> str:
    named = list(words)
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"


def _predicate(known: Path, operator: str, operands: list[_Operand]) -> _Predicate:
    negative = operator in {"ne", "not_in"}
    phrases = _phrases(known)
    words = _either(operand.words for operand in operands)
    return _Predicate(_accept(known.kind, operator, operands), negative, phrases[operator].replace("{x}", words), negative)


def _phrases(known: Path) -> dict[str, str]:
    return PHRASES[{"amount": "number", "share": "number", "any": "text", "presence": "text"}.get(known.kind, known.kind)]


def _accept(kind: Kind, operator: str, operands: list[_Operand]) -> Accept:
    """What a single present value must be; of `ne` and `not_in`, what it must not be."""
    first = operands[0].exact
    if operator in ORDERING:
        compare = _COMPARE[operator]
        if kind != "any":
            return lambda value: compare(value, first)
        reads, bound = (_moment_of, first.at) if isinstance(first, _Moment) else (_number_of, first)
        return lambda value: (found := reads(value)) is not None and compare(found, bound)
    if kind in {"amount", "share", "count"}:
        numbers = frozenset(operand.exact for operand in operands)
        return lambda value: value in numbers
    wanted = tuple(operand.exact for operand in operands)
    if operator in {"contains", "contains_any"} and kind == "text":
        return lambda value: (text := _text_of(value)) is not None and any(part in text for part in wanted)
    if operator in {"starts_with", "ends_with"}:
        tried = str.startswith if operator == "starts_with" else str.endswith
        return lambda value: (text := _text_of(value)) is not None and tried(text, wanted)
    texts = frozenset(wanted)
    if kind != "any":
        return lambda value: _text_of(value) in texts
    exact = frozenset(found for text in texts if (found := _number_of(text)) is not None)
    if operator in {"contains", "contains_any"}:
        return lambda value: (text := _text_of(value)) is not None and any(part in text for part in wanted)
    return lambda value: _text_of(value) in texts or (bool(exact) and _number_of(value) in exact)


def _age(value: Value, notes: Notes) -> list[_Predicate] | None:
    """`age: 6h..24h`, or `age: {gt: 30d}`: how long ago, counted to the subject's `now`."""
    if value.kind == "mapping" and value.entries:
        found: list[_Predicate] = []
        for name, entry in value.entries.items():
            if name not in ORDERING:
                notes.place(entry.key_line, entry.column, entry.path, f"`age` takes {listed(ORDERING, 'or')}, not `{name}`.")
                continue
            least = _duration(entry, notes)
            if least is not None:
                found.append(_Aged(_compared(_COMPARE[name], least), False, PHRASES["age"][name].replace("{x}", spelt(least))))
        return found if len(found) == len(value.entries) else None
    text = value.text if value.kind == "scalar" else ""
    if text is None:
        return None
    begin, dots, end = text.partition("..")
    try:
        least, most = duration(begin), duration(end)
    except ValueError:
        least = most = 0
    if not dots or least >= most:
        notes.at(value, f"`{value.path}` must be a range such as `6h..24h` or a bound such as `{{gt: 30d}}`{_not_this(value)}.")
        return None
    phrase = PHRASES["age"]["range"].replace("{x}", f"{spelt(least)} to {spelt(most)}")
    return [_Aged(lambda age: least <= age < most, False, phrase)]


def _compared(compare: Callable[[Any, Any], bool], bound: int) -> Accept:
    return lambda age: compare(age, bound)


def _duration(value: Value, notes: Notes) -> int | None:
    if value.kind == "scalar" and value.text is None:
        return None
    try:
        return duration(value.text or "" if value.kind == "scalar" else "")
    except ValueError as error:
        notes.at(value, f"`{value.path}` must be a duration{_not_this(value)}: {error}.")
        return None


class _Aged(_Predicate, frozen=True):
    """A question about how long ago a moment was."""


class _Presence(_Predicate, frozen=True):
    """A question about whether there is anything at all."""


def _present(known: Path, wanted: bool) -> _Predicate:
    return _Presence(lambda _value: wanted, not wanted, _phrases(known)["exists" if wanted else "missing"])


def _whether(known: Path, wanted: bool) -> _Predicate:
    what = known.words.partition(": ")[2]
    return _Predicate(lambda value: value is wanted, not wanted, f"is {'' if wanted else 'not '}{what}")


# ---- a line of a condition -------------------------------------------------------------------------------------------------


def _leaf(known: Path, predicates: list[_Predicate]) -> _Node:
    tests = tuple(_tested(known, one) for one in predicates)
    person = known.words.startswith("person")

    def say(again: bool) -> str:
        owner, counted, thing = known.words.partition(": ")
        subject = owner
        if person and again:
            subject = "they" if counted else "their" + owner.removeprefix("person's")
        has = "have" if subject == "they" else "has"
        said = []
        for one in predicates:
            phrase = one.phrase.replace("{has}", has).replace("{things}", f"{thing}s")
            said.append(_counting(phrase, thing) if known.kind == "count" else phrase)
        return f"{subject} {' and '.join(said)}"

    if len(tests) == 1:
        return _Node(tests[0], say, known.traits, person=person)
    joined = _every([_Node(test, say, known.traits) for test in tests])
    return _Node(joined.test, say, known.traits, person=person, several=True)


def _counting(phrase: str, thing: str) -> str:
    """Put the thing counted after the last number: `has 3 or more` -> `has 3 orders or more`."""
    numbers = list(re.finditer(r"-?[0-9]+(?:\.[0-9]+)?", phrase))
    if not numbers:
        return phrase
    last = numbers[-1]
    ending = "" if last[0] == "1" and len(numbers) == 1 else "s"
    return f"{phrase[: last.end()]} {thing}{ending}{phrase[last.end() :]}"


def _tested(known: Path, predicate: _Predicate) -> Test:
    reads, accept, absent = known.read, predicate.accept, predicate.absent
    if isinstance(predicate, _Aged):
        moment: Callable[[Any], int | None] = _moment_of if known.kind == "any" else lambda value: value

        def aged(subject: Subject) -> bool:
            at = moment(reads(subject))
            return at is not None and accept(subject.now - at)

        return aged
    if isinstance(predicate, _Presence):
        if known.kind == "texts":
            return lambda subject: accept(None) if reads(subject) else absent
        return lambda subject: accept(None) if reads(subject) not in (None, "", [], {}) else absent
    if known.kind == "texts":
        if predicate.negative:
            return lambda subject: not any(map(accept, reads(subject)))
        return lambda subject: any(map(accept, reads(subject)))
    if known.kind == "any":
        return _of_anything(reads, accept, negative=predicate.negative)
    if predicate.negative:
        return lambda subject: not ((value := reads(subject)) is not None and accept(value))
    return lambda subject: (value := reads(subject)) is not None and accept(value)


def _of_anything(reads: Callable[[Subject], Any], accept: Accept, *, negative: bool) -> Test:
    def test(subject: Subject) -> bool:
        value = reads(subject)
        found = any(map(accept, value)) if isinstance(value, (list, tuple)) else value is not None and accept(value)
        return found != negative

    return test


# ---- plain data ------------------------------------------------------------------------------------------------------------


def _marked(raw: Any, where: str) -> Value:
    """Plain data as the values that a file's text has."""
    value = Value(path=where, line=0, column=0, key_line=0, kind="nothing")
    if isinstance(raw, dict):
        value.kind = "mapping"
        value.entries = {str(key): _marked(each, f"{where}.{key}") for key, each in raw.items()}
    elif isinstance(raw, (list, tuple)):
        value.kind = "list"
        value.items = [_marked(each, f"{where}[{place}]") for place, each in enumerate(raw)]
    elif raw is not None:
        value.kind = "scalar"
        value.boolean = isinstance(raw, bool)
        value.raw = value.text = str(raw).lower() if value.boolean else str(raw)
    return value
