"""People found to be one: what is known of them does not depend on the order in which that was found out."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from signalpost import identity
from signalpost.events import Person

times = st.integers(1, 4)
texts = st.sampled_from(("a", "b", "c"))
heard = st.dictionaries(texts, times, max_size=3)
digests = st.dictionaries(st.sampled_from(("ann@shop.example", "bea@shop.example", "0" * 64)), times, max_size=3)
phones = st.dictionaries(st.sampled_from(("+14155550100", "+14155550101")), times, max_size=2)
told = st.dictionaries(st.sampled_from(("first_name", "city", "zip")), st.tuples(texts, times), max_size=3)
clicks = st.dictionaries(st.sampled_from(("ttclid", "epik")), st.tuples(texts, times), max_size=2)
said = st.dictionaries(st.sampled_from(("advertising", "limited_data_use")), st.tuples(st.booleans(), times), max_size=2)


@st.composite
def people(draw: st.DrawFn, number: int = 0) -> Person:
    """Somebody of whom a few things were heard, many at the same moment."""
    person = Person(
        id=number or draw(st.integers(1, 9)),
        created_at=draw(times),
        external_ids=draw(heard),
        anonymous_ids=draw(heard),
        emails=draw(digests),
        phones=draw(phones),
        traits=draw(told),
        clicks=draw(clicks),
        devices=draw(st.dictionaries(st.just("idfa"), st.tuples(texts, times), max_size=1)),
        consent=draw(said),
        suppressed_at=draw(st.sampled_from((0, 0, 0, 3, 4))),
    )
    return identity.combine(person, person)


@given(left=people(1), right=people(2))
def test_merging_two_people_commutes(left: Person, right: Person) -> None:
    """It does not matter who is merged into whom: the older id stays and all facts are the same."""
    assert identity.combine(left, right) == identity.combine(right, left)


@given(one=people(1), two=people(2), three=people(3))
def test_merging_three_people_associates(one: Person, two: Person, three: Person) -> None:
    """It does not matter which two of three were found to be one first."""
    first = identity.combine(identity.combine(one, two), three)
    last = identity.combine(one, identity.combine(two, three))

    assert first == last


@given(group=st.tuples(*(people(number) for number in range(1, 6))), data=st.data())
def test_any_order_of_merges_gives_the_same_person(group: tuple[Person, ...], data: st.DataObject) -> None:
    """Five people found to be one pair by pair, in whatever order, are the same person, down to the match keys in rank."""
    expected = reduce(identity.combine, group)

    left = list(data.draw(st.permutations(group)))
    while len(left) > 1:
        one = left.pop(data.draw(st.integers(0, len(left) - 1)))
        place = data.draw(st.integers(0, len(left) - 1))
        left[place] = identity.combine(one, left[place])

    assert expected == left[0]


@given(person=people(1))
def test_merging_somebody_with_themselves_changes_nothing(person: Person) -> None:
    """A merge told twice is a merge told once."""
    assert person == identity.combine(person, person)


@given(left=people(1), right=people(2))
def test_nothing_heard_is_lost_in_a_merge(left: Person, right: Person) -> None:
    """Every identifier of both is one of the joined person, heard last when either was; so is a suppression."""
    joined = identity.combine(left, right)

    for facts in ("external_ids", "anonymous_ids", "emails", "phones"):
        mine, theirs, ours = getattr(left, facts), getattr(right, facts), getattr(joined, facts)
        assert ours == {value: max(mine.get(value, 0), theirs.get(value, 0)) for value in {**mine, **theirs}}
    assert joined.suppressed_at == max(left.suppressed_at, right.suppressed_at)
    assert joined.id == min(left.id, right.id)
