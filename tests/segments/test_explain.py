"""Explanations: every part tells the truth, at every instant, and so does what is said to come next."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from hypothesis import given, note
from hypothesis import strategies as st
from tests.segments.rules_at_random import DAY, HOUR, NOW, people, rules

from signalpost.events import Person
from signalpost.segments import live
from signalpost.segments.bands import Bands
from signalpost.segments.explain import Part, explain
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Not, Rule, Some, Split, Trait

CHECKOUT, ORDER = "Checkout Started", "Order Completed"
CART = All(parts=(Age(event=CHECKOUT, low=6 * HOUR, high=24 * HOUR), Not(part=Happened(event=ORDER, since=CHECKOUT))))
BERLIN = ZoneInfo("Europe/Berlin")


def every(part: Part) -> Iterator[Part]:
    yield part
    for inner in part.parts:
        yield from every(inner)


@given(st.data())
def test_an_explanation_says_what_the_rule_does_and_when_that_ends(data: st.DataObject) -> None:
    """Inside is what the rule's function says; so it stays until the moment that is told and no longer, for a named cause."""
    one = data.draw(rules)
    of: dict[str, Rule] = {"one": one, "not_one": Not(part=Inside(segment="one"))}
    person = data.draw(people((one,)))
    now = NOW + data.draw(st.sampled_from((0, 1, HOUR, 23 * HOUR, 2 * DAY)))
    for name, rule in of.items():
        test = live.closure(rule, of)
        told = explain(name, of, {}, person, now)
        note(repr(told))
        assert told.inside == test(person, now)[0]
        assert told.inside == told.part.holds
        if told.changes_at is None:
            assert told.because == ""
            later = data.draw(st.integers(0, 20 * DAY))
            assert test(person, now + later)[0] == told.inside
        else:
            assert told.because
            between = data.draw(st.integers(now, told.changes_at - 1))
            assert test(person, between)[0] == test(person, told.changes_at - 1)[0] == told.inside
            assert test(person, told.changes_at)[0] != told.inside


@given(st.data())
def test_parts_add_up_to_the_whole(data: st.DataObject) -> None:
    """`all` holds when every part does, `any` when one does, `not` when its part does not; each at each instant."""
    one = data.draw(rules)
    person = data.draw(people((one,)))
    told = explain("one", {"one": one}, {}, person, NOW + data.draw(st.integers(0, 4 * DAY)))
    for part in every(told.part):
        inner = [each.holds for each in part.parts]
        if part.word == "all":
            assert part.holds == all(inner)
        elif part.word == "any":
            assert part.holds == any(inner)
        elif part.word == "not":
            assert part.holds != inner[0]


def test_a_cart_says_when_and_why_it_leaves() -> None:
    """The sentence of what comes next names the event, its moment and the window that ends."""
    person = Person(id=1, memory={CHECKOUT: (NOW - 7 * HOUR,), ORDER: (NOW - 30 * DAY,)})
    told = explain("cart", {"cart": CART}, {}, person, NOW, BERLIN)
    assert (told.inside, told.changes_at) == (True, NOW + 17 * HOUR)
    assert told.because == "24 hours have passed since Checkout Started (2025-12-31 18:00:00 CET)"
    assert told.events == (CHECKOUT, ORDER)
    age, left = told.part.parts
    assert [(seen.name, seen.times) for seen in left.seen] == [(ORDER, (NOW - 30 * DAY,)), (CHECKOUT, (NOW - 7 * HOUR,))]
    assert (age.changes_at, left.changes_at) == (NOW + 17 * HOUR, None)


def test_who_never_did_it_waits_for_events_alone() -> None:
    """Of a person without any history time alone changes nothing, and the events that might are named."""
    told = explain("cart", {"cart": CART}, {}, Person(id=1), NOW)
    assert (told.inside, told.changes_at, told.because) == (False, None, "")
    assert told.part.parts[0].seen[0].times == ()


def test_every_kind_of_line_says_what_it_looked_at() -> None:
    """Traits tell their values, lots the lot, bands the fact they are cut of; an e-mail address is only known or not."""
    of: dict[str, Rule] = {
        "rich": Band(tiers="value", index=1),
        "all": Some(
            parts=(
                Inside(segment="rich"),
                Split(salt="s", low=0, high=live.LOTS),
                Trait(when={"person.traits.plan": "gold", "person.email": {"exists": True}}),
            )
        ),
    }
    person = Person(id=7, given={"plan": ("gold", 1)}, emails={"ann@example.test": 1})
    told = explain("all", of, {"value": Bands(names=("low", "high"))}, person, NOW)
    seen = {each.name: each.value for part in every(told.part) for each in part.seen}
    assert seen == {
        "person.lifetime_value": None,
        "lot in s": live.lot("s", 7) / live.LOTS,
        "person.traits.plan": "gold",
        "person.email": True,
    }
    assert [part.word for part in told.part.parts] == ["in", "", ""]
