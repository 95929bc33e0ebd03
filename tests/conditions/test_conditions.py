"""The condition language: what it means, how it reads, and that it takes whatever somebody writes."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.conditions.naive import holds
from tests.conditions.subjects import DAY, NOW, subject

from signalpost import conditions, config
from signalpost.conditions import OPERATORS, PATHS
from signalpost.destinations import CATALOG

NUMBERS = ["0", "1", "2", "3", "-1", "49.90", "50", "100.5"]
SHARES = ["0%", "10%", "25%", "40%", "50%"]
WORDS = ["shop", "Gift", "gift", "GIFT ", "pos", "gi", "vip", "a or b", "a", "b", "true", "5"]
DATES = ["2026-01-01", "2026-05-28T20:26:40Z", "2026-06-01T10:00:00+02:00"]
AGES: list[Any] = ["0d..30d", "6h..24h", "1d..2d", {"gt": "30d"}, {"gte": "1d", "lt": "7d"}, {"lte": "24h"}]

ASKED: dict[str, list[str]] = {
    "amount": NUMBERS,
    "count": NUMBERS,
    "share": SHARES,
    "text": WORDS,
    "texts": WORDS,
    "moment": DATES,
    "any": [*WORDS, *NUMBERS],
}
"""Kind -> what its paths are compared with here."""

decimals = st.sampled_from([Decimal(each) for each in NUMBERS])
words = st.sampled_from(WORDS)
scalars = st.one_of(
    words, st.sampled_from(NUMBERS + DATES), st.integers(-5, 200), st.sampled_from([0.5, 49.9, 5.0]), st.booleans()
)
anything = st.one_of(scalars, st.lists(scalars, max_size=3), st.sampled_from([NOW - DAY, (NOW - 40 * DAY) // 1000, {}, {"a": 1}]))

KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "event.name": st.sampled_from(["Order Completed", "gift"]),
    "event.source": words,
    "event.time": st.integers(NOW - 60 * DAY, NOW),
    "order.value": decimals,
    "order.currency": st.sampled_from(["USD", "EUR"]),
    "order.coupons": st.integers(0, 3),
    "order.products": st.lists(words, max_size=3).map(tuple),
    "order.tags": st.lists(words.filter(str.strip), max_size=3),
    "order.source_name": words,
    "order.number": st.integers(1, 4),
    "order.refunded": st.booleans(),
    "order.test": st.booleans(),
    "person.orders": st.integers(0, 4),
    "person.lifetime_value": decimals,
    "person.discount_rate": st.sampled_from([Decimal("0.1"), Decimal("0.25"), Decimal("0.4"), Decimal("0.5")]),
    "person.last_order_at": st.integers(NOW - 60 * DAY, NOW),
    "person.tags": st.lists(words.filter(str.strip), max_size=3),
    "person.traits.plan": anything,
    "event.properties.note": anything,
}

ALWAYS: dict[str, Any] = {
    "event.name": "Order Completed",
    "event.source": "shop",
    "event.time": NOW,
    "order.coupons": 0,
    "order.products": (),
    "order.tags": (),
    "order.refunded": False,
    "order.test": False,
    "person.orders": 0,
    "person.lifetime_value": Decimal(0),
    "person.tags": (),
}
"""What is known of every subject, though nobody said it."""


@st.composite
def known(draw: st.DrawFn) -> dict[str, Any]:
    """What is known of a subject, by path; often not much."""
    return {path: draw(strategy) for path, strategy in KNOWN.items() if draw(st.integers(0, 3))}


def kind_of(path: str) -> str:
    found = conditions.path(path)
    assert found is not None
    return found.kind


@st.composite
def question(draw: st.DrawFn, path: str) -> Any:
    """What a condition may ask of a path."""
    kind = kind_of(path)
    if kind == "switch":
        return draw(st.sampled_from(["true", "false", {"ne": "true"}, {"eq": "false"}]))
    asked = {}
    for operator in draw(st.lists(st.sampled_from(OPERATORS[kind]), min_size=1, max_size=2, unique=True)):  # type: ignore[index]
        if operator == "age":
            asked[operator] = draw(st.sampled_from(AGES))
        elif operator == "exists":
            asked[operator] = draw(st.sampled_from(["true", "false"]))
        elif operator in {"in", "not_in", "contains_any"}:
            asked[operator] = draw(st.lists(st.sampled_from(ASKED[kind]), min_size=1, max_size=3))
        else:
            ordered = kind == "any" and operator in {"gt", "gte", "lt", "lte"}
            asked[operator] = draw(st.sampled_from(NUMBERS + DATES if ordered else ASKED[kind]))
    if len(asked) == 1 and draw(st.booleans()):
        (operator, operand) = next(iter(asked.items()))
        return operand if operator in {"eq", "in"} else asked
    return asked


lines = st.sampled_from(sorted(KNOWN)).flatmap(lambda path: question(path).map(lambda asked: {path: asked}))


def merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(itertools.chain.from_iterable(part.items() for part in parts))


raw_conditions = st.recursive(
    lines,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(merged),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"all": each}),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"any": each}),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"not": each}),
        inner.map(lambda each: {"not": each}),
    ),
    max_leaves=6,
)


@given(raw_conditions, known())
def test_the_compiled_condition_means_what_the_page_says(raw: Any, values: dict[str, Any]) -> None:
    """For any condition and any subject the closure gives the answer of a naive interpreter of the plain data."""
    assert conditions.compile(raw).test(subject(values)) == holds(raw, {**ALWAYS, **values}, NOW)


@given(raw_conditions)
def test_what_is_written_out_is_the_same_condition(raw: Any) -> None:
    """A condition printed as YAML and read from a workspace file again has the same sentence, without a mistake."""
    workspace, notes = config.check(
        "workspace: glow\nenvironment: production\ncurrency: USD\ncountry: US\norder_value: net\n"
        f"gates: [{{reason: One, when: {conditions.written(raw)}}}]\n",
        {},
        CATALOG,
    )
    assert [note for note in notes if note.severity == "mistake"] == []
    assert workspace is not None
    assert conditions.compile(workspace.gates[0].when).sentence == conditions.compile(raw).sentence


def every_small_condition() -> list[dict[str, Any]]:
    """Each question of each kind with few operands, alone, paired and denied."""
    chosen = ("order.value", "order.coupons", "order.source_name", "order.tags", "person.last_order_at", "person.discount_rate",
              "order.test", "event.properties.note")  # fmt: skip
    found: list[dict[str, Any]] = []
    for path in chosen:
        kind = kind_of(path)
        for operator in OPERATORS[kind]:  # type: ignore[index]
            few = ASKED.get(kind, ["true", "false"])
            operands: list[Any] = [*few[:4], *(["a or b"] if kind in {"text", "texts", "any"} else [])]
            if operator in {"in", "not_in", "contains_any"}:
                operands = [few[:1], few[1:3], ["a", "b"] if "a" in few else few[:3], *([["a or b"]] if "a" in few else [])]
            elif operator == "exists":
                operands = ["true", "false"]
            elif operator == "age":
                operands = [*AGES]
            elif kind == "any" and operator in {"gt", "gte", "lt", "lte"}:
                operands = NUMBERS[:2] + DATES[:1]
            found += [{path: {operator: operand}} for operand in operands]
    sparse = found[:: len(found) // 12]
    pairs = [[left, right] for left in sparse for right in sparse if left is not right]
    found += [{word: pair} for pair in pairs for word in ("all", "any", "not")]
    found += [{"all": [{"any": pair}, sparse[0]]} for pair in pairs[:40]] + [
        {"any": [{"all": pair}, sparse[0]]} for pair in pairs[:40]
    ]
    return found + [{"not": one} for one in found]


def some_subjects() -> list[dict[str, Any]]:
    known: list[dict[str, Any]] = [{}]
    for word, amount, share, days in zip(
        WORDS, (NUMBERS * 2)[: len(WORDS)], (SHARES * 3)[: len(WORDS)], range(0, 60, 5), strict=True
    ):
        known += [
            {
                "order.value": Decimal(amount),
                "order.coupons": days % 3,
                "order.source_name": word,
                "order.tags": [word.strip()],
                "order.test": days > 30,
                "person.discount_rate": Decimal(share[:-1]) / 100,
                "person.last_order_at": NOW - days * DAY,
                "event.properties.note": note,
            }
            for note in (word, amount, DATES[0], [word, "a"])
        ]
    return known


def test_what_reads_the_same_is_the_same() -> None:
    """No two conditions that differ on some subject have the same sentence."""
    subjects = [subject(values) for values in some_subjects()]
    answers: dict[str, tuple[bool, ...]] = {}
    for raw in every_small_condition():
        condition = conditions.compile(raw)
        found = tuple(condition.test(each) for each in subjects)
        assert answers.setdefault(condition.sentence, found) == found, (condition.sentence, raw)
    assert len(set(answers.values())) > 100


keys = st.one_of(
    st.sampled_from(
        [*PATHS, *KNOWN, "all", "any", "not", "segment", "event.properties", "age", "", ".", "person.", "order.vale"]
    ),
    st.sampled_from(sorted({name for names in OPERATORS.values() for name in names})),
    st.text(max_size=12),
)
garbage = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=12), st.sampled_from(WORDS + NUMBERS + SHARES + DATES)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=12,
)


@given(garbage)
@example({"order.value": {"gt": "9" * 400}})
@example({"person.last_order_at": {"lt": "9999-99-99"}})
@example({"person.last_order_at": {"age": "99999999d..1d"}})
@example({"event.properties.\x00": {"in": [[]]}})
def test_no_condition_makes_the_check_raise(raw: Any) -> None:
    """Whatever is written, it is either a condition that can be asked or there is at least one sentence about it."""
    mistakes = conditions.check(raw)
    if mistakes:
        assert all(mistake.sentence.endswith((".", "?", "!")) for mistake in mistakes)
        with pytest.raises(ValueError, match=r"."):
            conditions.compile(raw)
    else:
        condition = conditions.compile(raw)
        assert condition.sentence
        assert condition.test(subject({})) in {True, False}


json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20), st.sampled_from(DATES)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


@given(question("event.properties.note"), json)
@example({"eq": "5"}, 10**5000)
@example({"gt": "5"}, -(10**5000))
@example({"gt": "5"}, "1e999999999")
@example({"age": "1d..2d"}, 1e300)
@example({"lt": "2026-01-01"}, "0001-01-01T00:00:00+14:00")
@example({"eq": "5"}, "sNaN")
def test_whatever_a_source_sends_can_be_asked(asked: Any, value: Any) -> None:
    """A question about a property has an answer for any JSON value."""
    for path in ("event.properties.note", "person.traits.plan"):
        assert conditions.compile({path: asked}).test(subject({path: value})) in {True, False}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"order.value": {"lte": "0"}}, "order value is 0 or less"),
        (
            {"person.discount_rate": {"gt": "40%"}, "person.orders": {"gte": "3"}},
            "person's discount rate is above 40% and they have 3 orders or more",
        ),
        ({"person.orders": "1"}, "person has exactly 1 order"),
        ({"order.coupons": ["1", "2"]}, "order has exactly 1 or 2 coupons"),
        ({"person.tags": {"not_in": ["vip", "staff"]}}, "person's tags do not include vip or staff"),
        ({"order.test": "true", "order.refunded": "false"}, "order is a test and order is not refunded"),
        ({"person.last_order_at": {"age": "6h..24h"}}, "person's last order was 6 hours to 24 hours ago"),
        ({"person.first_order_at": {"age": {"gt": "30d"}}}, "person's first order was more than 30 days ago"),
        ({"person.first_order_at": {"lt": "2026-01-01"}}, "person's first order was before 2026-01-01"),
        ({"event.properties.gift_note": {"exists": "true"}}, "event property gift_note is known"),
        (
            {"any": [{"order.tags": "gift"}, {"order.source_name": "pos", "order.value": "0"}]},
            "either order tags include gift, or (order channel is pos and order value is 0)",
        ),
        ({"not": {"person.tags": "vip"}}, "it is not so that person's tags include vip"),
        ({"order.value": {"gt": "10", "lt": "20"}}, "order value is above 10 and is below 20"),
    ],
)
def test_a_condition_reads_as_a_sentence(raw: Any, sentence: str) -> None:
    """The sentence is what a marketer would say."""
    assert conditions.compile(raw).sentence == sentence


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"order.vale": "0"}, "Did you mean `order.value`?"),
        ({"value": "0"}, "Did you mean `order.value`?"),
        ({"event.property.gift": "0"}, "Did you mean `event.properties.gift`?"),
        ({"event.properties": "0"}, "such as `event.properties.gift_note`"),
        ({"customer.orders": "0"}, "Did you mean `person.orders`?"),
        ({"order.value": {"gte ": "0"}}, "Did you mean `gte`?"),
        ({"order.value": {"contains": "0"}}, "`order.value` is a number: it takes"),
        ({"person.discount_rate": {"gt": "40"}}, "compared with a share from `0%` to `100%`, not with `40`"),
        ({"person.last_order_at": {"age": "30d"}}, "must be a range such as `6h..24h` or a bound such as `{gt: 30d}`"),
        ({"segment.vip": "true"}, "A condition names a segment as `segment: vip`."),
        ([{"order.value": "0"}], "write `all:` or `any:` before it"),
        ({"any": {"order.value": "0"}}, "must be a list of conditions"),
        ({"order.value": ""}, "is empty"),
        ({}, "must be a condition"),
        ({"order.test": "yes"}, "must be `true` or `false`"),
    ],
)
def test_a_mistake_says_what_was_meant(raw: Any, said: str) -> None:
    """A wrong condition is told with the nearest right one."""
    assert any(said in mistake.sentence for mistake in conditions.check(raw)), conditions.check(raw)


def test_what_must_be_remembered_of_a_person_is_told() -> None:
    """A condition names the traits that have to be kept for it, by the name under which events bring them."""
    condition = conditions.compile(
        {"any": [{"person.tags": "vip"}, {"person.traits.address.city": "Berlin"}], "order.value": "1"}
    )
    assert condition.traits == {"tags", "address"}


def test_a_hashed_address_has_no_domain() -> None:
    """A domain is read from plain addresses, those the event brings included; a hash says nothing."""
    condition = conditions.compile({"person.email_domain": ["glow.example"]})
    assert condition.test(subject({"emails": ["ada@glow.example"]}))
    assert condition.test(subject({"emails": ["ada@else.example"], "event.properties.email": "Bo@Glow.Example"}))
    assert not condition.test(subject({"emails": ["0e4f" * 16]}))
    assert conditions.compile({"person.email": {"exists": "true"}}).test(subject({"emails": ["0e4f" * 16]}))


@pytest.mark.parametrize(
    ("agent", "bot"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("python-requests/2.32", True),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1",
            False,
        ),
        ("Mozilla/5.0 (Linux; Android 10; CUBOT X20) AppleWebKit/537.36 Chrome/80.0 Mobile Safari/537.36", False),
    ],
)
def test_bots_are_known_by_their_user_agent(agent: str, bot: bool) -> None:
    """Crawlers and programs are bots, browsers are not, and an event without user agent is not one either."""
    condition = conditions.compile({"event.bot": "true"})
    assert condition.test(subject({"event.user_agent": agent})) is bot
    assert not condition.test(subject({}))


def test_a_condition_can_name_segments() -> None:
    """`segment` asks in which segments the person is at the moment of deciding, as any path with several texts."""
    base = subject({})
    inside = replace(base, person=replace(base.person, inside={"vip": 1, "recent_buyers": 2}))
    asked: list[tuple[Any, bool, str]] = [
        ("vip", True, "person's segments include vip"),
        (["lapsed", "recent_buyers"], True, "person's segments include lapsed or recent_buyers"),
        ({"not_in": ["vip", "lapsed"]}, False, "person's segments do not include vip or lapsed"),
        ({"ne": "lapsed"}, True, "person's segments do not include lapsed"),
    ]
    for question, answer, sentence in asked:
        condition = conditions.compile({"segment": question})
        assert (condition.test(inside), condition.sentence) == (answer, sentence)
    assert not conditions.compile({"segment": "vip"}).test(base)
