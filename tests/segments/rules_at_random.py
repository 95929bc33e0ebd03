"""Rules and people at random, with few events and spans, so that bounds are often met exactly."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st
from msgspec.structs import replace

from signalpost.events import Bought, Person
from signalpost.options import UNITS
from signalpost.segments import live
from signalpost.segments.rules import Age, All, Happened, Not, Rule, Some, Split, Trait

HOUR, DAY = UNITS["h"], UNITS["d"]
NOW = 1_767_225_600_000
EVENTS = ("Checkout Started", "Order Completed", "Email Opened")
SPANS = (6 * HOUR, 24 * HOUR, 3 * DAY)
WORTH = {"order.value": {"gte": 100}}

_events = st.sampled_from(EVENTS)
_spans = st.sampled_from(SPANS)


@st.composite
def _happened(draw: st.DrawFn) -> Rule:
    least = draw(st.sampled_from((1, 1, 1, 2)))
    start = draw(st.sampled_from((NOW - 2 * DAY, NOW + DAY)))
    bound = draw(st.sampled_from(("", "within", "since", "between", "both")))
    return Happened(
        event=draw(_events),
        least=least,
        most=draw(st.sampled_from((None, None, least))),
        within=draw(_spans) if bound in {"within", "both"} else None,
        since=draw(_events) if bound in {"since", "both"} else None,
        between=(start, start + DAY) if bound == "between" else None,
    )


@st.composite
def _age(draw: st.DrawFn) -> Rule:
    low = draw(st.sampled_from((0, *SPANS[:2])))
    high = draw(st.sampled_from((None, *(span for span in SPANS if span > low))))
    return Age(event=draw(_events), first=draw(st.booleans()), low=low, high=high)


_traits = st.sampled_from(
    [
        Trait(when={"person.orders": {"gte": 2}}),
        Trait(when={"person.lifetime_value": {"gt": 300}}),
        Trait(when={"person.last_order_at": {"age": "0h..24h"}}),
        Trait(when={"person.traits.plan": ["gold", "silver"]}),
        Trait(when={"person.traits.score": {"gt": 10, "lte": 20}}),
        Trait(when={"person.phone": {"exists": True}}),
    ]
)
_splits = st.sampled_from([Split(salt="a", low=0, high=500_000), Split(salt="a", low=400_000, high=live.LOTS)])

leaves: st.SearchStrategy[Rule] = st.one_of(_happened(), _age(), _age(), _traits, _splits)


def put_together(leaf: st.SearchStrategy[Rule]) -> st.SearchStrategy[Rule]:
    """A few of these rules under `all`, `any` and `not`."""
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds(Not, part=inner),
            st.builds(All, parts=st.lists(inner, min_size=1, max_size=3).map(tuple)),
            st.builds(Some, parts=st.lists(inner, min_size=1, max_size=3).map(tuple)),
        ),
        max_leaves=4,
    )


rules = put_together(leaves)

ages = st.one_of(
    st.integers(0, 5 * DAY),
    st.builds(lambda span, by: max(0, span + by), st.sampled_from((0, *SPANS)), st.integers(-1, 1)),
)
"""Ages of events (ms), often at a bound or 1 ms beside it."""


@st.composite
def people(draw: st.DrawFn, of: tuple[Rule, ...], now: int = NOW) -> Person:
    """A person who remembers what these rules need of a random history up to `now`; orders are told by Order Completed."""
    person = Person(
        id=draw(st.integers(1, 100)),
        given=draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "plan": st.sampled_from(["gold", "Silver ", "none"]).map(lambda plan: (plan, 1)),
                    "score": st.integers(5, 25).map(lambda score: (score, 1)),
                },
            )
        ),
        phones=draw(st.sampled_from(({}, {"+14155550100": 1}))),
    )
    slots = {slot.key: slot for rule in of for slot in live.slots(rule, {})}
    history = draw(st.lists(st.tuples(_events, ages), max_size=6))
    orders = {}
    for number, (event, age) in enumerate(history):
        for slot in slots.values():
            if slot.event == event:
                person = live.remember(person, slot, now - age)
        if event == "Order Completed" and draw(st.booleans()):
            worth, zero = Decimal(draw(st.sampled_from((0, 10, 150, 300, 301)))), Decimal(0)
            orders[f"o{number}"] = Bought(now - age, worth, zero, zero, zero, draw(st.booleans()), False)
    return replace(person, orders=orders)
