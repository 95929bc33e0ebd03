"""What to add and remove: held against a platform that is a set, whatever answers come or do not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from signalpost.audiences import Asked, Change, Holder, State, change, due_at, settled


class World:
    """One audience: whom it wants, what is remembered, and the platform's set."""

    def __init__(self) -> None:
        self.own: dict[int, frozenset[str]] = {}
        self.wanted: set[int] = set()
        self.stale: dict[int, int] = {}
        self.rows: dict[tuple[str, int], State] = {}
        self.platform: set[str] = set()

    def move(self, person: int, wanted: bool, keys: frozenset[str]) -> None:
        """Somebody is wanted or not, and is to be found by these."""
        self.own[person] = keys
        (self.wanted.add if wanted else self.wanted.discard)(person)
        self.stale[person] = self.stale.get(person, 0) + 1

    def page(self, people: list[int]) -> tuple[list[Asked], Change]:
        """What is asked for these people; remembered before it is sent."""
        asked = [Asked(each, each in self.wanted, self.stale[each], 1, 0) for each in people]
        own = {each: tuple(sorted(self.own[each])) for each in people if each in self.wanted}
        keys = {key for some in own.values() for key in some} | {key for key, person in self.rows if person in people}
        holders = [Holder(key, person, state, person in self.wanted) for (key, person), state in self.rows.items() if key in keys]
        made = change(asked, own, holders)
        self.rows.update(dict.fromkeys(made.keep, "there"))
        self.rows.update(dict.fromkeys(made.refused, "refused"))
        for pair in made.forget:
            del self.rows[pair]
        self.rows |= dict.fromkeys(made.begin, "adding")
        removed = {key for some in made.remove.values() for key in some}
        self.rows |= {pair: "removing" for pair in self.rows if pair[0] in removed}
        return asked, made

    def answer(self, asked: list[Asked], made: Change, fates: list[str]) -> None:
        """Each identifier's request is taken, is lost before or after the platform took it, or is refused."""
        answered = set()
        requests = [(True, key) for some in made.add.values() for key in some]
        requests += [(False, key) for some in made.remove.values() for key in some]
        for place, (adding, key) in enumerate(requests):
            fate = fates[place % len(fates)]
            if fate in {"taken", "lost after"}:
                (self.platform.add if adding else self.platform.discard)(key)
            if fate == "taken":
                answered.add(key)
                for pair in [pair for pair in self.rows if pair[0] == key]:
                    if adding:
                        self.rows[pair] = "there"
                    else:
                        del self.rows[pair]
            if fate == "refused" and adding:
                answered.add(key)
                self.rows |= {pair: "refused" for pair in self.rows if pair[0] == key}
        for each in settled(asked, made, answered):
            if self.stale.get(each.person) == each.stale:
                del self.stale[each.person]


KEYS = st.frozensets(st.sampled_from("abcdef"), max_size=3)
MOVES = st.lists(st.tuples(st.integers(1, 5), st.booleans(), KEYS), max_size=6)
ROUNDS = st.lists(
    st.tuples(MOVES, st.lists(st.sampled_from(["taken", "lost before", "lost after", "refused"]), min_size=1, max_size=4), MOVES),
    max_size=8,
)


@given(ROUNDS, st.data())
def test_once_everything_is_answered_the_platform_has_what_is_wanted(rounds: Any, data: st.DataObject) -> None:
    """After any answers and moves in between, the platform holds the identifiers of the wanted, but for refused ones."""
    world = World()
    for moves, fates, meanwhile in rounds:
        for move in moves:
            world.move(*move)
        people = sorted(data.draw(st.sets(st.sampled_from(sorted(world.stale)), max_size=3))) if world.stale else []
        asked, made = world.page(people)
        for move in meanwhile:
            world.move(*move)
        world.answer(asked, made, fates)
    for _ in range(20):
        if world.stale:
            world.answer(*world.page(sorted(world.stale)[:2]), ["taken"])
    assert not world.stale
    refused = {key for (key, _), state in world.rows.items() if state == "refused"}
    wanted = {key for person in world.wanted for key in world.own[person]}
    assert wanted - refused <= world.platform <= wanted
    assert all(person in world.wanted for _, person in world.rows)


@given(ROUNDS)
def test_nothing_is_added_and_removed_at_once(rounds: Any) -> None:
    """No identifier stands twice in what is asked, and what is settled without an answer needs none."""
    world = World()
    for moves, fates, _ in rounds:
        for move in moves:
            world.move(*move)
        asked, made = world.page(sorted(world.stale))
        every = [key for some in (*made.add.values(), *made.remove.values()) for key in some]
        assert len(every) == len(set(every))
        assert set(every) == {key for needs in made.needs.values() for key in needs}
        world.answer(asked, made, fates)


def test_what_stands_still_asks_for_nothing() -> None:
    """Somebody looked at again without a change is settled without a request."""
    holders = [Holder("a", 1, "there", True), Holder("b", 1, "there", True)]
    made = change([Asked(1, True, 3, 2, 0)], {1: ("a", "b")}, holders)
    assert made.silent
    assert [] == made.keep + made.forget + made.begin
    assert not made.needs


def test_an_identifier_of_two_people_stays_while_one_of_them_is_wanted() -> None:
    """Whoever leaves takes along only what nobody else who is wanted has."""
    holders = [Holder("a", 1, "there", False), Holder("a", 2, "there", True), Holder("b", 1, "there", False)]
    made = change([Asked(1, False, 1, 1, 0)], {}, holders)
    assert ({1: ("b",)}, [("a", 1)]) == (made.remove, made.forget)
    made = change([Asked(1, False, 1, 1, 0), Asked(2, False, 1, 1, 0)], {}, holders)
    assert {1: ("a", "b")} == {person: tuple(sorted(keys)) for person, keys in made.remove.items()}
    assert {1: frozenset("ab"), 2: frozenset("a")} == made.needs


def test_only_the_urgent_and_the_many_do_not_wait_for_company() -> None:
    """A purchase goes at once, others a while after the first of them, or as soon as a request is full."""
    waiting = [Asked(1, True, 1, 1, 1_000), Asked(2, True, 1, 2, 900)]
    assert 1_900 == due_at(waiting, most=3, linger=1_000, now=1_200)
    assert 1_200 == due_at(waiting, most=2, linger=1_000, now=1_200)
    assert 1_200 == due_at([*waiting, Asked(3, False, 1, 0, 1_199)], most=9, linger=1_000, now=1_200)
