"""What a rule leaves possible is held against who is inside."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from signalpost.conditions import NEVER
from signalpost.events import Bought, Person
from signalpost.segments import live, reach
from signalpost.segments.reach import PURCHASE, Past, last_of
from signalpost.segments.rules import Age, All, Happened, Inside, Not, Rule, Some, Trait

NOW = 1_000_000
CHECKOUT, VIEW, CANCELLED = "Checkout Started", "Product Viewed", "Order Cancelled"
EVENTS = (PURCHASE, CHECKOUT, VIEW, CANCELLED)
BIG = {"event.properties.big": {"eq": "yes"}}

names = st.sampled_from(EVENTS)
small = st.integers(1, 40)
wheres = st.sampled_from([None, None, BIG])


@st.composite
def happened(draw: st.DrawFn) -> Rule:
    """Any `did`."""
    least = draw(st.sampled_from([1, 1, 0, 2]))
    most = draw(st.none() | st.integers(least, 3))
    start = NOW - draw(small)
    return Happened(
        event=draw(names),
        where=draw(wheres),
        least=least,
        most=most,
        within=draw(st.none() | small),
        since=draw(st.none() | names),
        between=draw(st.none() | st.just((start, start + 15))),
    )


@st.composite
def aged(draw: st.DrawFn) -> Rule:
    """Any `last` or `first`."""
    low = draw(st.integers(0, 30))
    high = draw(st.none() | st.integers(low + 1, 45))
    return Age(event=draw(names), where=draw(wheres), first=draw(st.booleans()), low=low, high=high)


traits = st.sampled_from(
    [
        {"person.orders": {"gte": 1}},
        {"person.orders": 0},
        {"person.orders": {"in": [0, 1]}},
        {"not": {"person.orders": {"gt": 0}}},
        {"person.lifetime_value": {"gt": 0}},
        {"person.last_order_at": {"exists": True}},
        {"person.last_order_at": {"age": {"lt": "20ms"}}},
        {"any": [{"person.refund_rate": {"gt": "50%"}}, {"person.last_order_at": {"age": {"gte": "10ms"}}}]},
        {"person.average_order_value": {"ne": 10}},
    ]
).map(lambda when: Trait(when=when))

rules = st.recursive(
    st.one_of(happened(), aged(), traits, st.just(Inside(segment="other"))),
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=3).map(lambda many: All(parts=tuple(many))),
        st.lists(parts, min_size=1, max_size=3).map(lambda many: Some(parts=tuple(many))),
        parts.map(lambda one: Not(part=one)),
    ),
    max_leaves=6,
)
histories = st.lists(st.tuples(st.integers(0, 50), names, st.booleans()), max_size=8, unique_by=lambda each: each[0]).map(
    lambda many: sorted(many, reverse=True)
)
"""(age, event, whether it is big), oldest first."""


def person(rule: Rule, known: dict[str, Rule], history: list[tuple[int, str, bool]], *, cancels: bool) -> Person:
    """Somebody with this history; with `cancels` the newest event, a cancellation, takes the last order back."""
    found = Person(id=7)
    for slot in live.slots(rule, known):
        for age, event, big in history:
            if event == slot.event and (slot.where is None or big):
                found = live.remember(found, slot, NOW - age)
    bought = [age for age, event, _ in history if event == PURCHASE]
    zero = Decimal(0)
    orders = {
        f"o{age}": Bought(NOW - age, Decimal(10), zero, zero, zero, cancels and age == min(bought), cancels) for age in bought
    }
    changed: Any = {"orders": orders}
    return replace(found, **changed)


@settings(max_examples=400)
@given(rule=rules, other=st.one_of(happened(), aged(), traits), history=histories, data=st.data())
def test_a_sure_answer_is_always_right(
    rule: Rule, other: Rule, history: list[tuple[int, str, bool]], data: st.DataObject
) -> None:
    """Whatever part of somebody's true past is told, True means that they are inside and False that they are not."""
    known = {"other": other}
    last = {event: age for age, event, _ in history}
    told = {
        event: (data.draw(st.integers(0, age)), age + data.draw(small)) for event, age in last.items() if data.draw(st.booleans())
    }
    ever = {event: event in last for event in EVENTS if event not in told and data.draw(st.booleans())}
    newest: list[str] = []
    for _, event, _ in reversed(history):
        if event not in told or event in newest:
            break
        newest.insert(0, event)
    newest = newest[len(newest) - data.draw(st.integers(0, len(newest))) :]
    # Orders are taken to stand unless the past ends with one that was taken back, so only then one is.
    cancels = newest[-2:] == [PURCHASE, CANCELLED]
    answer = reach.verdict(rule, known, Past(last=told, ever=ever, newest=tuple(newest)))
    inside, _ = live.closure(rule, known)(person(rule, known, history, cancels=cancels), NOW)
    assert answer in {None, inside}


@given(rule=rules, history=histories, event=names)
def test_ages_hold_everybody_who_is_inside(rule: Rule, history: list[tuple[int, str, bool]], event: str) -> None:
    """Who is inside has an age that may be inside; who has a sure age is inside; likewise of those without the event."""
    known: dict[str, Rule] = {"other": Happened(event=VIEW)}
    found = reach.ages(rule, known, event)
    inside, _ = live.closure(rule, known)(person(rule, known, history, cancels=False), NOW)
    age = {name: at for at, name, _ in history}.get(event)
    if age is None:
        assert found.without in {None, inside}
    else:
        assert not inside or any(low <= age < high for low, high in found.may)
        assert inside or not any(low <= age < high for low, high in found.sure)


def test_windows_are_read_exactly() -> None:
    """Of a plain rule the ages are its windows, through `not`, other segments and what is computed of orders."""
    hour = 3_600_000
    tier = All(parts=(Age(event=CHECKOUT, low=6 * hour, high=24 * hour), Not(part=Happened(event=PURCHASE, since=CHECKOUT))))
    known: dict[str, Rule] = {"tier": tier, "lately": Happened(event=CHECKOUT, within=8 * hour)}
    told = reach.ages(All(parts=(Inside(segment="tier"), Not(part=Inside(segment="lately")))), known, CHECKOUT)
    assert (told.may, told.without) == (((8 * hour, 24 * hour),), False)
    assert told.sure == ()
    fact = reach.ages(Trait(when={"person.last_order_at": {"age": {"lt": "14d"}}}), {}, PURCHASE)
    assert (fact.may, fact.sure, fact.without) == (((0, 14 * 24 * hour),), ((0, 14 * 24 * hour),), False)
    assert reach.ages(Happened(event=PURCHASE), {}, PURCHASE).sure == ((0, NEVER),)


def test_a_purchase_since_the_checkout_puts_out() -> None:
    """`did_not ... since` is seen to exclude who has just bought, though nobody says when the checkout began."""
    rule = All(parts=(Age(event=CHECKOUT, low=0, high=99), Not(part=Happened(event=PURCHASE, since=CHECKOUT))))
    assert reach.verdict(rule, {}, last_of(PURCHASE)) is False
    assert reach.verdict(rule, {}, last_of(PURCHASE, CHECKOUT)) is True
    assert reach.verdict(rule, {}, last_of(VIEW)) is None


def test_many_events_are_told_apart() -> None:
    """Of nine ways in, each with its own way out by buying, none is left after a purchase; with one way out missing, one is."""
    ways = [f"Way {number}" for number in range(9)]
    out = [Not(part=Happened(event=PURCHASE, since=way)) for way in ways]
    doors = Some(parts=tuple(Age(event=way, low=0, high=99) for way in ways))
    assert reach.verdict(All(parts=(doors, *out)), {}, last_of(PURCHASE)) is False
    assert reach.verdict(All(parts=(doors, *out[1:])), {}, last_of(PURCHASE)) is None
