"""People with histories at random, told twice: as the live rules remember them at an instant, and as the exported tables."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace
from tests.conditions.test_conditions import NUMBERS, SHARES, WORDS, question
from tests.segments.rules_at_random import put_together

from signalpost import conditions, orders, previews, purchases
from signalpost.events import Bought, Event, Person
from signalpost.segments import live
from signalpost.segments.bands import Bands
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Rule, Some, Split, Trait

NOW = 1_780_000_000_000
HOUR, DAY = 3_600_000, 86_400_000
EVENTS = ("Checkout Started", "Order Completed", "Email Opened")
SPANS = (6 * HOUR, 24 * HOUR, 3 * DAY, 7 * DAY, 30 * DAY)
START = NOW - 40 * DAY

GRID = tuple(NOW - back * DAY for back in (0, 1, 2, 3, 4, 7, 8, 10, 30, 37)) + tuple(NOW - each * HOUR for each in (6, 18, 30))
jitter = st.sampled_from((0, 0, 0, -1, 1))
moments = st.builds(
    lambda mark, by: mark + by, st.one_of(st.sampled_from(GRID), st.sampled_from(GRID), st.integers(START, NOW)), jitter
)
"""Mostly whole spans apart, so that bounds are often met exactly, and missed by 1 ms."""

IN_EVENTS = ("event.source", "event.name", "event.time", "event.properties.note", "event.properties.gift.kind",
             "event.context.page", "event.bot", "order.value", "order.discount_share", "order.coupons", "order.coupon",
             "order.items", "order.tags", "order.products", "order.currency", "order.test")  # fmt: skip
OF_PEOPLE = ("person.orders", "person.lifetime_value", "person.average_order_value", "person.refund_rate", "person.discount_rate",
             "person.first_order_at", "person.last_order_at", "person.days_between_orders", "person.traits.plan", "person.tags",
             "person.traits.address.city", "person.email", "person.phone", "person.email_domain")  # fmt: skip

NOBODY = Person(id=0)

words = st.sampled_from([*WORDS, "Straße", "ΣΑΣ", "İ", "it's", "100%", "a_b", "back\\slash", "1e3", " 7 ", "1_000", "2026-05-28"])
scalars = st.one_of(
    words, st.sampled_from(NUMBERS), st.integers(-5, 200), st.sampled_from([0.5, 49.9, 5.0, NOW, NOW // 1000, NOW / 1000]),
    st.booleans(), moments, st.none(), st.just(""),
)  # fmt: skip
anything = st.one_of(scalars, scalars, st.lists(scalars, max_size=3), st.sampled_from([{}, {"a": 1}, [[]], [{}], [None]]))
amounts = st.sampled_from(["0", "10", "49.90", "50", "100.5", "300", "0.01"]).map(Decimal)

TIERS = Bands(names=("low", "mid", "high"), of="lifetime_value", bounds=(Decimal(50), Decimal(300)))
MEANS = Bands(names=("low", "high"), of="average_order_value", bounds=(Decimal("49.90"),))
BANDS = {"value": TIERS, "means": MEANS}


class Told(Struct, frozen=True):
    """Everything that ever came of one person."""

    id: int
    known_at: int
    person: Person
    """What is known of them beside events, orders and traits."""
    events: tuple[tuple[int, Event], ...]
    """(id, event) in the order in which they came; names are canonical."""
    heard: dict[str, list[tuple[int, Any]]]
    orders: dict[str, tuple[tuple[int, Bought], ...]]
    """Key -> (since, how it stood)."""


# ---- people ------------------------------------------------------------------------------------------------------------------


@st.composite
def _event(draw: st.DrawFn) -> Event:
    received_at = draw(moments)
    # Late by days, or of a clock that goes before.
    late = draw(st.sampled_from((0, 0, 0, 1, HOUR, 3 * DAY, -HOUR)))
    properties: dict[str, Any] = {}
    for name, strategy in (
        ("total", st.sampled_from(NUMBERS)), ("subtotal", st.sampled_from(NUMBERS)), ("discount", st.sampled_from(NUMBERS)),
        ("coupon", st.sampled_from(["SAVE10", "a, B", " ", "gift"])), ("currency", st.sampled_from(["EUR", "usd", "?"])),
        ("tags", st.one_of(words, st.lists(words, max_size=2))), ("test", st.booleans()), ("note", anything),
        ("gift", st.one_of(scalars, st.fixed_dictionaries({"kind": anything}))),
        ("products", st.lists(st.fixed_dictionaries({"product_id": words, "quantity": st.integers(1, 3)}), max_size=2)),
    ):  # fmt: skip
        if draw(st.integers(0, 2)) == 0:
            properties[name] = draw(strategy)
    return Event(
        kind="track",
        source=draw(st.sampled_from(["shop", "Gift"])),
        message_id="m",
        time=received_at - late,
        received_at=received_at,
        name=draw(st.sampled_from(EVENTS)),
        properties=properties,
        context={"page": draw(scalars)} if draw(st.integers(0, 3)) == 0 else {"userAgent": "Googlebot/2.1"},
    )


@st.composite
def _orders(draw: st.DrawFn) -> dict[str, tuple[tuple[int, Bought], ...]]:
    found = {}
    for number in range(draw(st.sampled_from((0, 0, 1, 2, 3)))):
        time = draw(moments)
        value = draw(st.one_of(st.none(), amounts, amounts))
        discount = draw(st.sampled_from([Decimal(0), Decimal(10), Decimal("0.1")]))
        first = Bought(
            time=time, value=value, refunded=Decimal(0), discount=discount, list_value=(value or Decimal(0)) + discount,
            cancelled=False, refunds=False,
        )  # fmt: skip
        states = [(time, first)]
        back = draw(st.sampled_from(("", "", "refund", "cancel")))
        if back:
            part = draw(st.sampled_from((Decimal(1), Decimal("0.5"))))
            states.append(
                (
                    time + draw(st.sampled_from((1, HOUR, 24 * HOUR))),
                    Bought(
                        time=time, value=value, refunded=(value or Decimal(0)) * part, discount=discount,
                        list_value=first.list_value, cancelled=back == "cancel", refunds=back == "refund",
                    ),
                )
            )  # fmt: skip
        found[f"o{number}"] = tuple(states)
    return found


@st.composite
def _told(draw: st.DrawFn, number: int) -> Told:
    came = sorted(
        draw(st.lists(_event(), min_size=draw(st.sampled_from((0, 3, 5))), max_size=7)), key=lambda event: event.received_at
    )
    heard: dict[str, list[tuple[int, Any]]] = {}
    for name, strategy in (("plan", anything), ("tags", st.one_of(words, st.lists(words, max_size=3))),
                           ("address", st.one_of(scalars, st.fixed_dictionaries({"city": scalars})))):  # fmt: skip
        if said := draw(st.lists(st.tuples(moments, strategy), max_size=2)):
            heard[name] = said
    emails = draw(st.sampled_from(((), ("ada@shop.example",), ("a@gi", "b@Gift"))))
    return Told(
        id=number,
        known_at=draw(st.sampled_from((START, START, NOW - 7 * DAY))),
        person=Person(id=number, emails=dict.fromkeys(emails, 1), phones={"+1": 1} if draw(st.booleans()) else {}),
        events=tuple((number * 100 + place, event) for place, event in enumerate(came)),
        heard=heard,
        orders=draw(_orders()),
    )


populations = st.integers(3, 7).flatmap(lambda many: st.tuples(*(_told(1000 + number) for number in range(many))))


# ---- rules -------------------------------------------------------------------------------------------------------------------


def _without_age(asked: Any) -> Any:
    return {"exists": "true"} if isinstance(asked, dict) and "age" in asked else asked


def _shares(path: str, asked: Any) -> Any:
    """A question about a share or a count by what people really have."""
    return asked if path != "person.refund_rate" else {"gte": SHARES[2]} if isinstance(asked, dict) and len(asked) > 1 else asked


@st.composite
def _lines(draw: st.DrawFn, paths: tuple[str, ...], *, ages: bool) -> dict[str, Any]:
    path = draw(st.sampled_from(paths))
    known = conditions.path(path)
    assert known is not None
    asked = {"exists": draw(st.sampled_from(["true", "false"]))} if known.kind == "presence" else draw(question(path))
    return {path: _shares(path, asked if ages else _without_age(asked))}


def _conditions(paths: tuple[str, ...], *, ages: bool) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        _lines(paths, ages=ages),
        lambda inner: st.lists(inner, min_size=1, max_size=2).flatmap(
            lambda each: st.sampled_from([{"all": each}, {"any": each}, {"not": each}])
        ),
        max_leaves=3,
    )


wheres = st.one_of(st.none(), st.none(), _conditions(IN_EVENTS, ages=False))
traits = _conditions(OF_PEOPLE, ages=True)


@st.composite
def _happened(draw: st.DrawFn) -> Rule:
    least = draw(st.sampled_from((0, 1, 1, 2, 3)))
    start = draw(moments)
    return Happened(
        event=draw(st.sampled_from(EVENTS)),
        where=draw(wheres),
        least=least,
        most=draw(st.sampled_from((None, None, least, least + 1))),
        within=draw(st.sampled_from((None, *SPANS))),
        since=draw(st.sampled_from((None, None, *EVENTS))),
        between=draw(st.sampled_from((None, None, (start, start + DAY), (start, start + 30 * DAY)))),
    )


@st.composite
def _age(draw: st.DrawFn) -> Rule:
    low = draw(st.sampled_from((0, *SPANS[:3])))
    high = draw(st.sampled_from((None, *(span for span in SPANS if span > low))))
    return Age(event=draw(st.sampled_from(EVENTS)), where=draw(wheres), first=draw(st.booleans()), low=low, high=high)


SALTS = ("holdout:a", "it's", "ü:%s", "")
_splits = st.builds(
    lambda salt, low, share: Split(salt=salt, low=low, high=low + share),
    st.sampled_from(SALTS), st.integers(0, 500_000), st.integers(1, 500_000),
)  # fmt: skip
_banded = st.one_of(
    st.integers(0, 2).map(lambda index: Band(tiers="value", index=index)),
    st.integers(0, 1).map(lambda index: Band(tiers="means", index=index)),
)
_traits = traits.map(lambda when: Trait(when=when))
_everybody = st.sampled_from([All(parts=()), Some(parts=())])
leaves: st.SearchStrategy[Rule] = st.one_of(
    _everybody, _happened(), _happened(), _age(), _age(), _traits, _traits, _splits, _banded
)


@st.composite
def workspaces(draw: st.DrawFn) -> dict[str, Rule]:
    """A few segments, each of which may name the ones before it."""
    rules: dict[str, Rule] = {}
    for name in ("first", "Second one>6h", "third", "last")[: draw(st.integers(1, 4))]:
        named = [st.just(Inside(segment=each)) for each in rules]
        rules[name] = draw(put_together(st.one_of(leaves, leaves, *named)))
    return rules


def instants(population: tuple[Told, ...]) -> st.SearchStrategy[int]:
    """Moments to ask at, mostly at a bound of somebody's or 1 ms beside it."""
    marks = set(GRID)
    for told in population:
        marks |= {each.received_at for _, each in told.events}
        marks |= {min(each.time, each.received_at) for _, each in told.events}
        marks |= {since for states in told.orders.values() for since, _ in states} | {told.known_at}
        marks |= {at for said in told.heard.values() for at, _ in said}
    at_marks = st.builds(lambda mark, by: mark + by, st.sampled_from(sorted(marks)), jitter)
    return st.one_of(at_marks, st.builds(lambda mark, span: mark + span, at_marks, st.sampled_from(SPANS)))


# ---- as the live rules remember them -------------------------------------------------------------------------------------


def _subject(event: Event, number: int) -> conditions.Subject:
    order = orders.read(event, definition="gross", default_currency="USD")
    return previews.subject(event.name, event, order, purchases.claim(event, number, order))


def remembered(told: Told, slots: tuple[live.Slot, ...], now: int) -> Person | None:
    """The person as the live rules know them at a moment; None: nobody has heard of them."""
    if told.known_at > now:
        return None
    person = told.person
    for number, event in told.events:
        if event.received_at > now:
            continue
        for slot in slots:
            if slot.event == event.name and (slot.where is None or conditions.compile(slot.where).test(_subject(event, number))):
                person = live.remember(person, slot, min(event.time, event.received_at))
    given = {}
    for name, said in told.heard.items():
        known = [each for each in said if each[0] <= now]
        if known:
            at, value = max(known, key=lambda each: (each[0], str(each[1])))
            given[name] = (value, at)
    standing = {}
    for key, states in told.orders.items():
        known_states = [state for since, state in states if since <= now]
        if known_states:
            standing[key] = known_states[-1]
    return replace(person, given=given, orders=standing)


# ---- as the exported tables ----------------------------------------------------------------------------------------


def rows(population: tuple[Told, ...]) -> dict[str, list[tuple[Any, ...]]]:
    """Table -> the rows that the export has of these people."""
    found: dict[str, list[tuple[Any, ...]]] = {
        name: [] for name in ("events", "event_values", "people", "person_values", "orders")
    }
    for told in population:
        found["people"].append(previews.person_row(told.person, told.known_at))
        found["person_values"] += previews.person_values(told.person, told.heard, previews.ALL)
        for number, event in told.events:
            asked = _subject(event, number)
            found["events"].append(previews.event_row(number, told.id, asked))
            found["event_values"] += previews.event_values(number, asked, previews.ALL)
        for key, states in told.orders.items():
            for place, (since, state) in enumerate(states):
                until = states[place + 1][0] if place + 1 < len(states) else live.NEVER
                found["orders"].append(previews.bought_row(f"{told.id}{key}", told.id, state, since, until))
    return found
