"""When time alone may change what a condition answers."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from tests.conditions.subjects import DAY, NOW, subject
from tests.conditions.test_conditions import known, question, raw_conditions

from signalpost import conditions
from signalpost.conditions import NEVER

aged = st.sampled_from(["event.time", "person.last_order_at", "person.traits.plan"]).flatmap(
    lambda path: st.sampled_from(
        ["0d..30d", "6h..24h", "1d..2d", {"gt": "1d"}, {"gte": "1d"}, {"lt": "1d"}, {"lte": "1d"}, {"gte": "1d", "lt": "7d"}]
    ).map(lambda age: {path: {"age": age}})
)
mixed = st.recursive(
    st.one_of(aged, aged, question("person.orders").map(lambda asked: {"person.orders": asked})),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).flatmap(
            lambda each: st.sampled_from([{"all": each}, {"any": each}, {"not": each}])
        ),
    ),
    max_leaves=6,
)


@given(st.one_of(mixed, raw_conditions), known(), st.lists(st.integers(0, 40 * DAY), max_size=6))
@example({"person.last_order_at": {"age": {"gt": "1d"}}}, {"person.last_order_at": NOW}, [DAY])
@example({"person.last_order_at": {"age": {"lte": "1d"}}}, {"person.last_order_at": NOW - DAY}, [0])
@example({"event.time": {"age": "6h..24h"}}, {"event.time": NOW - DAY + 1}, [0])
def test_the_answer_is_the_same_until_it_changes(raw: Any, values: dict[str, Any], later: list[int]) -> None:
    """For any condition and subject the answer is constant in [now, changes), and `changes` lies after `now`."""
    condition, now = conditions.compile(raw), NOW
    asked = subject(values, now=now)
    answer, until = condition.test(asked), condition.changes(asked)
    assert until > now
    bounds = [now + bound + near for bound in (DAY // 4, DAY, 2 * DAY, 7 * DAY, 30 * DAY) for near in (-1, 0, 1)]
    instants = [*bounds, *(now + each for each in later)]
    for moment in [*instants, until - 1] if until < NEVER else instants:
        if now <= moment < until:
            assert condition.test(subject(values, now=moment)) is answer


@given(aged, st.integers(0, 31 * DAY))
def test_one_line_about_an_age_changes_exactly_then(raw: Any, ago: int) -> None:
    """Of a single question about a known moment, `changes` is the very moment at which the answer turns."""
    condition = conditions.compile(raw)
    values = dict.fromkeys(("event.time", "person.last_order_at", "person.traits.plan"), NOW - ago)
    first = condition.changes(subject(values))
    ((asked,),) = (each.values() for each in raw.values())
    if first < NEVER and not (isinstance(asked, dict) and len(asked) > 1):
        assert condition.test(subject(values, now=first)) is not condition.test(subject(values))


def test_what_asks_no_age_never_changes() -> None:
    """A condition without `age` does not change by time alone."""
    condition = conditions.compile(
        {"all": [{"person.orders": {"gte": 1}}, {"not": {"person.last_order_at": {"lt": "2026-01-01"}}}]}
    )
    assert condition.changes(subject({"person.last_order_at": NOW})) == NEVER


def test_a_part_that_settles_the_whole_settles_when_it_changes() -> None:
    """While one of `all` does not hold, the ends of the others' windows do not matter."""
    raw = {"all": [{"event.time": {"age": {"gt": "30d"}}}, {"person.last_order_at": {"age": "0d..1d"}}]}
    asked = subject({"event.time": NOW, "person.last_order_at": NOW})
    assert conditions.compile(raw).changes(asked) == NOW + 30 * DAY + 1
    assert conditions.compile({"any": [{"not": raw}]}).changes(asked) == NOW + 30 * DAY + 1
