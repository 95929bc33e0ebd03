"""Tiers: what is proved holds for everybody, and who is shown as a counter-example is one."""

from __future__ import annotations

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from tests.segments.rules_at_random import DAY, HOUR, NOW, people, rules

from signalpost import config
from signalpost.destinations import CATALOG
from signalpost.events import Person
from signalpost.options import Tiers
from signalpost.segments import kinds, live, tiers
from signalpost.segments.catalog import Catalog
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Not, Rule, Split, Trait

CHECKOUT, ORDER = "Checkout Started", "Order Completed"
NOT_BOUGHT = Not(part=Happened(event=ORDER, since=CHECKOUT))


def tier(low: int, high: int) -> Rule:
    return All(parts=(Age(event=CHECKOUT, low=low, high=high), NOT_BOUGHT))


def inside(of: dict[str, Rule], person: Person, now: int) -> set[str]:
    return {name for name, rule in of.items() if live.closure(rule, of)(person, now)[0]}


@given(st.data())
def test_a_proof_holds_for_everybody_and_a_counter_example_is_one(data: st.DataObject) -> None:
    """Who is shown is in two segments, or in none though covered; of what is proved no random person is a counter-example."""
    one, two, whole = (data.draw(rules) for _ in range(3))
    of = {"one": one, "two": two, "whole": whole}
    proof = tiers.prove(of, ("one", "two"), data.draw(st.sampled_from((None, "whole"))), NOW, most=20_000)
    note(proof.sentence)
    if not proof.holds:
        assert proof.person is not None
        found = inside(of, proof.person, proof.at)
        assert set(proof.both) == found & {"one", "two"}
        assert proof.both == ("one", "two") or "whole" in found
        return
    if proof.way == "proved":
        for _ in range(3):
            person = data.draw(people((one, two, whole)))
            now = data.draw(st.sampled_from((NOW, NOW + 1, NOW + 5 * HOUR, NOW + 2 * DAY)))
            found = inside(of, person, now)
            assert not {"one", "two"} <= found
            assert proof.covering is None or found != {"whole"}


@given(st.data())
def test_no_person_is_of_a_kind_that_is_not_there(data: st.DataObject) -> None:
    """Whatever a random person's answers to some rules are, one of the kinds of people has the same answers."""
    of = tuple(data.draw(rules) for _ in range(2))
    everybody = kinds.of(of, {}, NOW, fine=False)
    if not everybody.whole or everybody.many > 5_000 or len(everybody.worlds) > 1:
        return
    tests = [live.closure(rule) for rule in of]
    answers = {tuple(test(kinds.person(parts), NOW)[0] for test in tests) for _, parts in everybody.people(5_000)}
    for _ in range(5):
        person = data.draw(people(of))
        assert tuple(test(person, NOW)[0] for test in tests) in answers


@pytest.mark.parametrize(
    ("since", "orders"),
    [
        (((ORDER, CHECKOUT),), 2),
        (((ORDER, CHECKOUT), ("Email Opened", CHECKOUT)), 4),
        (((ORDER, CHECKOUT), (CHECKOUT, ORDER)), 3),
    ],
)
def test_times_between_the_same_bounds_come_in_every_order(since: tuple[tuple[str, str], ...], orders: int) -> None:
    """Of events that all happened 6 to 24 hours ago, each may be before, with or after another: every case is there."""
    same = tuple(Age(event=event, low=6 * HOUR, high=DAY) for event in {each for pair in since for each in pair})
    compared = tuple(Happened(event=event, since=start) for event, start in since)
    rules: tuple[Rule, ...] = (*same, *compared)
    everybody = kinds.of(rules, {}, NOW, fine=False)
    assert everybody.whole
    tests = [live.closure(rule) for rule in rules]
    answers = {tuple(test(kinds.person(parts), NOW)[0] for test in tests) for _, parts in everybody.people(everybody.many)}
    assert len({answer[len(same) :] for answer in answers if all(answer[: len(same)])}) == orders


LADDER = {"a": tier(0, 6 * HOUR), "b": tier(6 * HOUR, DAY), "c": tier(DAY, 3 * DAY), "d": tier(4 * DAY, 7 * DAY)}
OPEN = {"open": tier(0, 7 * DAY)}


def test_a_ladder_is_proved_disjoint() -> None:
    """Tiers that begin where the one before ends exclude one another, over every person they can tell apart."""
    proof = tiers.prove(LADDER, tuple(LADDER))
    assert (proof.holds, proof.way) == (True, "proved")
    assert proof.sentence.startswith("Nobody is in two of `a`, `b`, `c` and `d`: proved over all ")


def test_the_gap_of_a_ladder_is_shown_by_a_person() -> None:
    """Between three and four days nobody is in a tier: the sentence says how somebody gets there."""
    proof = tiers.prove(LADDER | OPEN, tuple(LADDER), "open")
    who = f"A person whose last {CHECKOUT} was 3 days 12 hours ago and who has no {ORDER}"
    assert proof.sentence == f"{who} is in `open` but in none of `a`, `b`, `c` and `d`."


@pytest.mark.parametrize(
    ("low", "who"),
    [
        (5 * HOUR, "5 hours 30 minutes ago"),
        (6 * HOUR - 1, "5 hours 59 minutes 59 seconds 999 milliseconds ago"),
    ],
)
def test_an_overlap_is_found_to_the_millisecond(low: int, who: str) -> None:
    """Two tiers that share a single instant are found, and the person of that instant is named."""
    proof = tiers.prove(LADDER | {"b": tier(low, DAY)}, tuple(LADDER))
    assert proof.both == ("a", "b")
    assert proof.sentence == f"A person whose last {CHECKOUT} was {who} and who has no {ORDER} is in both `a` and `b`."


CASES: list[tuple[str, dict[str, Rule], str | None, str]] = [
    (
        "money has no gap",
        {
            "low": Trait(when={"person.lifetime_value": {"lt": 100}}),
            "middle": Trait(when={"person.lifetime_value": {"gte": 100, "lt": 300}}),
            "high": Trait(when={"person.lifetime_value": {"gte": 300}}),
            "all": All(parts=()),
        },
        "all",
        "",
    ),
    (
        "money with a hole at its bound",
        {
            "low": Trait(when={"person.lifetime_value": {"lt": 300}}),
            "high": Trait(when={"person.lifetime_value": {"gt": 300}}),
            "all": All(parts=()),
        },
        "all",
        "whose orders are worth 300",
    ),
    (
        "given traits are told apart without regard to case",
        {"gold": Trait(when={"person.traits.plan": "gold"}), "more": Trait(when={"person.traits.plan": ["silver", "GOLD"]})},
        None,
        "A person whose plan is gold is in both `gold` and `more`.",
    ),
    (
        "parts of a text stand beside one another",
        {
            "spring": Trait(when={"person.traits.campaign": {"contains": "spring"}}),
            "sale": Trait(when={"person.traits.campaign": {"ends_with": "sale"}}),
        },
        None,
        "A person whose campaign is spring sale is in both `spring` and `sale`.",
    ),
    (
        "lots",
        {
            "test": Split(salt="s", low=0, high=100_000),
            "control": Split(salt="s", low=100_000, high=live.LOTS),
            "all": All(parts=()),
        },
        "all",
        "",
    ),
    (
        "two salts are independent",
        {"one": Split(salt="s", low=0, high=100_000), "two": Split(salt="t", low=900_000, high=live.LOTS)},
        None,
        "whose lot in s is",
    ),
    (
        "orders of different kinds happen to one person",
        {
            "big": Happened(event=ORDER, where={"order.value": {"gte": 100}}),
            "small": Happened(event=ORDER, where={"order.value": {"lt": 100}}),
        },
        None,
        "(order value is below 100)",
    ),
    (
        "one order is of one kind",
        {
            "big": Age(event=ORDER, where={"order.value": {"gte": 100}}),
            "small": All(
                parts=(
                    Happened(event=ORDER, most=1),
                    Happened(event=ORDER, where={"order.value": {"lt": 100}}),
                )
            ),
        },
        None,
        "",
    ),
    (
        "lapsed and active",
        {
            "lapsed": All(parts=(Happened(event=ORDER), Not(part=Happened(event=ORDER, within=90 * DAY)))),
            "active": Happened(event=ORDER, within=90 * DAY),
            "buyers": Happened(event=ORDER),
        },
        "buyers",
        "",
    ),
    (
        "orders are told by Order Completed",
        {
            "known": Happened(event=ORDER),
            "new": All(parts=(Not(part=Happened(event=ORDER)), Trait(when={"person.orders": {"gte": 1}}))),
        },
        None,
        "",
    ),
    (
        "dates and ages",
        {"black_friday": Happened(event=ORDER, between=(NOW, NOW + 3 * DAY)), "lately": Happened(event=ORDER, within=DAY)},
        None,
        "seen at 20",
    ),
    (
        "a date and all but it",
        {
            "then": Happened(event=ORDER, between=(NOW, NOW + 3 * DAY)),
            "not_then": Not(part=Inside(segment="then")),
            "all": All(parts=()),
        },
        "all",
        "",
    ),
    (
        "bands exclude one another and cover who bought",
        {
            "value_low": Band(tiers="value", index=0),
            "value_high": Band(tiers="value", index=1),
            "buyers": Trait(when={"person.orders": {"gte": 1}}),
        },
        "buyers",
        "",
    ),
    (
        "one band is not all",
        {
            "value_low": Band(tiers="value", index=0),
            "buyers": Trait(when={"person.orders": {"gte": 1}}),
            "value_high": Band(tiers="value", index=1),
            "vip": Inside(segment="value_high"),
        },
        None,
        "is in both `value_high` and `vip`",
    ),
]


@pytest.mark.parametrize(("of", "covering", "wrong"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_holds_and_what_does_not(of: dict[str, Rule], covering: str | None, wrong: str) -> None:
    """Every kind of rule can be decided: what holds is proved, and what does not is told by a person."""
    names = tuple(name for name in of if name not in {covering, "buyers"})
    proof = tiers.prove(of, names, covering, NOW)
    if wrong:
        assert not proof.holds
        assert wrong in proof.sentence
    else:
        assert (proof.holds, proof.way) == (True, "proved"), proof.sentence


def test_a_derived_event_happens_with_the_one_it_is_made_of() -> None:
    """Nobody made a second purchase without ever ordering, and nobody made one lately whose last order was long ago."""
    of: dict[str, Rule] = {
        "new": Not(part=Happened(event=ORDER)),
        "again": Happened(event="Second Purchase"),
        "long_ago": Age(event=ORDER, low=90 * DAY),
        "again_lately": Happened(event="Second Purchase", within=30 * DAY),
    }
    derived = {"Second Purchase": ORDER}
    for names in (("new", "again"), ("long_ago", "again_lately")):
        assert not tiers.prove(of, names).holds
        proof = tiers.prove(of, names, derived=derived)
        assert (proof.holds, proof.way) == (True, "proved")
    assert not tiers.prove(of, ("long_ago", "again"), derived=derived).holds


def test_what_cannot_be_gone_through_is_sampled_and_says_so() -> None:
    """Where there are more kinds of people than can be looked at, the sentence does not say that it is proved."""
    events = [f"Event {letter}" for letter in "abcdefgh"]
    busy = All(parts=tuple(Happened(event=event, within=day * DAY) for day, event in enumerate(events, 1)))
    of: dict[str, Rule] = {"busy": busy, "idle": Not(part=busy)}
    proof = tiers.prove(of, ("busy", "idle"), None, NOW, most=1_000)
    assert (proof.holds, proof.way, proof.people <= 1_000) == (True, "sampled", True)
    assert "as far as" in proof.sentence


def test_mistakes_of_a_workspace_name_the_set() -> None:
    """Every declared set that does not hold is told by its name, with what to do; a set that holds says nothing."""
    declared = {
        "ladder": Tiers(of=tuple(LADDER)),
        "covered": Tiers(of=tuple(LADDER), covering="open"),
        "unknown": Tiers(of=("a", "nobody_knows")),
    }
    found = tiers.mistakes(Catalog(rules=LADDER | OPEN, tiers=declared))
    assert [name for name, _ in found] == ["covered"]
    assert "Close the gap" in found[0][1]


FILE = """
workspace: glow
environment: production
currency: USD
country: US
order_value: net
segments:
  early: {all: [{last: Checkout Started, age: 0h..6h}, {did_not: Order Completed, since: Checkout Started}]}
  late: {all: [{last: Checkout Started, age: 5h..24h}, {did_not: Order Completed, since: Checkout Started}]}
  steps: {ladder: Product Added, until: Order Completed, tiers: [0h-6h hot, 6h-1d warm]}
tiers:
  carts:
    of: [early, late]
"""


def test_check_points_at_the_set_that_does_not_hold() -> None:
    """`signalpost check` refuses tiers that overlap, at their line, with the person who is in both."""
    workspace, mistakes = config.check(FILE, {}, CATALOG)
    assert workspace is None
    [mistake] = [each for each in mistakes if each.severity == "mistake"]
    assert (mistake.line, mistake.path) == (12, "tiers.carts")
    assert mistake.sentence.startswith(
        "A person whose last Checkout Started was 5 hours 30 minutes ago and who has no Order Completed"
    )
    mended, _ = config.check(FILE.replace("5h..24h", "6h..24h"), {}, CATALOG)
    assert mended is not None
