"""What the segment language means, from the text to the answer."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.segments.naive import UNITS, Happening, holds

from signalpost import conditions
from signalpost.events import Claim, Event, Facts, Order, Person
from signalpost.segments import live, reading

HOUR, DAY = UNITS["h"], UNITS["d"]
NOW = round(datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1000)
EVENTS = ("Checkout Started", "Order Completed", "Email Opened")
SPANS = ("90m", "6h", "24h", "1d", "3d", "7d")
INSIDE: dict[str, Any] = {
    "buyers": {"did": "Order Completed", "within": "3d"},
    "cart": {"last": "Checkout Started", "age": "6h..24h", "did_not": ["Order Completed", "Email Opened"]},
}

events = st.sampled_from(EVENTS)
spans = st.sampled_from(SPANS)
wheres = st.just({"order.value": {"gte": "50"}})
times = st.one_of(
    st.integers(1, 3),
    st.fixed_dictionaries({}, optional={"gte": st.integers(1, 2), "lte": st.integers(2, 3)}).filter(bool),
    st.fixed_dictionaries({"gt": st.integers(0, 1), "lt": st.integers(3, 4)}),
    st.fixed_dictionaries({"lt": st.integers(2, 3)}),
)
windows = st.one_of(
    st.sampled_from(["6h..24h", "..6h", "24h..", "90m..6h", "1d..3d", "0h..7d"]),
    st.fixed_dictionaries({"gte": st.just("6h")}, optional={"lt": st.sampled_from(["24h", "3d"])}),
)


@st.composite
def did(draw: st.DrawFn) -> dict[str, Any]:
    several = draw(st.integers(0, 3)) == 0
    named: Any = draw(st.lists(events, min_size=2, max_size=3, unique=True)) if several else draw(events)
    raw: dict[str, Any] = {draw(st.sampled_from(["did", "did_not"])): named}
    others = [name for name in EVENTS if name not in (named if several else [named])]
    for bound, strategy, use in (
        ("within", spans, True), ("times", times, not several), ("where", wheres, True),
        ("since", st.sampled_from(others or EVENTS), bool(others)),
        ("between", st.sampled_from([["2026-11-20", "2026-11-21"], ["2026-11-21 18:00", "2026-11-25"]]), True),
    ):  # fmt: skip
        if use and draw(st.integers(0, 2)) == 0:
            raw[bound] = draw(strategy)
    return raw


@st.composite
def aged(draw: st.DrawFn) -> dict[str, Any]:
    raw: dict[str, Any] = {draw(st.sampled_from(["last", "first"])): draw(events), "age": draw(windows)}
    return {**raw, "where": draw(wheres)} if draw(st.integers(0, 2)) == 0 else raw


leaves: st.SearchStrategy[Any] = st.one_of(
    did(),
    did(),
    aged(),
    aged(),
    st.sampled_from([{"trait": {"traits.plan": "gold"}}, {"in_segment": "buyers"}, {"in_segment": ["cart", "buyers"]}]),
)
rules: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).flatmap(
            lambda each: st.sampled_from([{"all": each}, {"any": each}, {"not": each}, {"not": each[0]}])
        ),
        st.tuples(leaves, inner).map(lambda both: {**both[0], "all": [both[1]]}),
    ),
    max_leaves=5,
)
BOUNDS = (90 * 60_000, 6 * HOUR, DAY, 3 * DAY, 7 * DAY)
moments = st.one_of(
    st.integers(NOW - 8 * DAY, NOW),
    st.builds(lambda span, by: min(NOW, NOW - span + by), st.sampled_from(BOUNDS), st.integers(-1, 1)),
)
histories = st.lists(st.tuples(moments, events, st.sampled_from([10, 50, 90])), max_size=6)


def remembered(history: list[Happening], plan: str, rule: Any, inside: dict[str, Any]) -> Person:
    """What is kept of a history for a rule, whatever the order in which it came."""
    person = Person(id=7, given={"plan": (plan, 1)})
    for slot in live.slots(rule, inside):
        test = None if slot.where is None else conditions.compile(slot.where).test
        for at, name, value in history:
            if name == slot.event and (test is None or test(subject(at, name, value))):
                person = live.remember(person, slot, at)
    return person


def subject(at: int, name: str, value: int) -> conditions.Subject:
    event = Event(kind="track", source="shop", message_id="m", time=at, received_at=at, name=name)
    claim = Claim(source="shop", event=1, time=at, message_id="m")
    return conditions.Subject(
        name=name, event=event, order=Order(value=Decimal(value)), person=Person(id=7), now=at, claim=lambda: claim, facts=Facts,
        number=lambda: None,
    )  # fmt: skip


@given(rules, histories, st.sampled_from(["gold", "silver"]))
def test_a_rule_means_what_the_page_says(raw: Any, history: list[Happening], plan: str) -> None:
    """For any rule and any history the answer is that of a naive interpreter of the text: now, until it changes, and then."""
    inside = {name: reading.rule(each) for name, each in INSIDE.items()}
    rule = reading.rule(raw)
    person = remembered(history, plan, rule, inside)
    test = live.closure(rule, inside)
    now = NOW
    for _ in range(6):
        answer, until = test(person, now)
        assert answer == holds(raw, history, plan, INSIDE, now)
        if until == live.NEVER:
            assert answer == holds(raw, history, plan, INSIDE, now + 400 * DAY)
            return
        assert until > now
        assert answer == holds(raw, history, plan, INSIDE, until - 1)
        now = until
