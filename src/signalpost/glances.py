"""A rule asked of some people while it is being written: at once, and saying of how many.

Where there are few people everybody is asked, and the answer is exact. Where there are many, people are drawn by lot: the numbers
of people are cut into stretches of one width, and whole stretches are drawn, so that each person is as likely as any other
whatever gaps the numbers have. What happened to those drawn is read from the events, not from what is remembered for the rules
of today, because a rule that is being written asks for other things. Within a day the same people are drawn, so that figures
move with the rule and not with the lot. `previews` asks the whole history, and takes minutes for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import sqrt

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from signalpost import backfill, conditions
from signalpost.backfill import RIGHTS, Past, origin
from signalpost.events import Person
from signalpost.options import UNITS
from signalpost.plan import Plan
from signalpost.segments import catalog, live
from signalpost.segments.bands import Bands
from signalpost.segments.live import Slot
from signalpost.segments.rules import Rule
from signalpost.store.database import Connection
from signalpost.store.memberships import TRAIT

DAY = UNITS["d"]

EVERYBODY = 10_000
"""So many people are all asked."""

STRETCHES = 250
"""Stretches of numbers that are drawn where there are more."""

EACH = 20
"""People that a stretch holds, more or less."""

AT_ONCE = 25
"""Stretches read together."""

SAMPLE = 8

SURE = 1.96
"""Standard errors to each side: 95 of 100 such spans hold the true number."""

_person = msgspec.json.Decoder(Person)

Memory = dict[str, tuple[int, ...]]


class Size(Struct, frozen=True, kw_only=True):
    """How many people a rule holds; of everybody, reckoned from those who were asked."""

    inside: int
    low: int
    """With `high`: between them with 95 %; the same as `inside` when everybody was asked."""
    high: int
    entered: int
    """Who are inside now and were not a day before."""
    left: int
    """Who were inside a day before and are not now."""


class Glance(Struct, frozen=True, kw_only=True):
    """What some people say of rules."""

    looked: int
    """People who were asked."""
    people: int
    """People there are."""
    exact: bool
    """Whether everybody was asked."""
    sizes: dict[str, Size]
    """By the name of the rule."""
    sample: dict[str, list[int]]
    """Some who are inside."""
    missing: int
    """Events whose request the journal no longer holds: what a condition asks of them is not known."""
    unknown: list[str]
    """Traits that nothing has noted yet, because no rule asked for them: whoever has them is taken not to."""


class _Tally(Struct):
    """What one stretch said: people, and of each rule who are inside, came and went."""

    people: int = 0
    inside: dict[str, int] = field(default_factory=dict)
    entered: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)


def glance(
    connection: Connection,
    plan: Plan,
    asked: Mapping[str, Rule],
    rules: Mapping[str, Rule],
    bands: Mapping[str, Bands],
    *,
    people: int,
    now: int,
    stop: Callable[[], bool],
) -> Glance:
    """Ask the rules of some people; `rules` are all that they may name, `people` is how many there are.

    Ends early when `stop` says so, with those who were asked by then.
    """
    everything = {**rules, **asked}
    wanted = {slot.key: slot for rule in asked.values() for slot in live.slots(rule, everything)}
    tests = {name: live.closure(rule, everything, bands) for name, rule in asked.items()}
    traits = frozenset().union(*(catalog.traits(leaf) for rule in asked.values() for leaf in live.leaves(rule, everything)))
    noted = {what.removeprefix(TRAIT) for what, dropped in connection.rows("remembered") if not dropped}
    tallies: list[_Tally] = []
    sample: dict[str, list[int]] = {name: [] for name in asked}
    missing = 0
    stretches = list(_stretches(connection, people, now))
    for place in range(0, len(stretches), AT_ONCE):
        drawn = [_people(connection, low, high) for low, high in stretches[place : place + AT_ONCE]]
        histories, gone = _histories(connection, plan, [each for group in drawn for each in group], list(wanted.values()))
        missing += gone
        for group in drawn:
            tally = _Tally(people=len(group))
            for person in group:
                for name, (is_in, was_in) in _answers(person, histories.get(person.id, []), wanted, tests, now).items():
                    if is_in:
                        sample[name].append(person.id)
                    tally.inside[name] = tally.inside.get(name, 0) + is_in
                    tally.entered[name] = tally.entered.get(name, 0) + (is_in and not was_in)
                    tally.left[name] = tally.left.get(name, 0) + (was_in and not is_in)
            tallies.append(tally)
        if stop():
            break
    looked = sum(tally.people for tally in tallies)
    exact = len(tallies) == len(stretches) and people <= EVERYBODY
    whole = looked if exact else people
    return Glance(
        looked=looked,
        people=whole,
        exact=exact,
        sizes={name: _size(tallies, name, whole, exact=exact) for name in asked},
        sample={name: sorted(found, key=lambda each: live.lot("glance", each))[:SAMPLE] for name, found in sample.items()},
        missing=missing,
        unknown=sorted(traits - noted),
    )


# ---- who is asked ------------------------------------------------------------------------------------------------------------


def _stretches(connection: Connection, people: int, now: int) -> Iterator[tuple[int, int]]:
    """[low, high) of the numbers of people who are asked, in an order drawn by lot."""
    last = int(connection.rows("glances_last")[0][0] or 0) + 1
    if people <= EVERYBODY:
        width = max(1, -(-last // max(1, people // 500)))
        yield from ((low, low + width) for low in range(0, last, width))
        return
    width = max(1, last * EACH // people)
    drawn = random.Random(now // DAY).sample(range(-(-last // width)), k=min(STRETCHES, -(-last // width)))
    yield from ((place * width, (place + 1) * width) for place in drawn)


def _people(connection: Connection, low: int, high: int) -> list[Person]:
    return [_person.decode(record) for (record,) in connection.rows("glances_people", low, high)]


def _histories(
    connection: Connection, plan: Plan, people: Sequence[Person], slots: Sequence[Slot]
) -> tuple[dict[int, list[tuple[Slot, int, int]]], int]:
    """Person -> (slot, time, received at) of all that the slots ask for; and how many events could not be read again."""
    known = {person.id: person for person in people if not person.suppressed_at}
    whose = _whose(connection, known)
    by_event: dict[str, list[Slot]] = {}
    for slot in slots:
        by_event.setdefault(slot.event, []).append(slot)
    if not by_event or not known:
        return {}, 0
    past: list[tuple[Past, int]] = []
    for number, kind, name, person, time, received_at, note in connection.rows("glances_events", list(whose), list(by_event)):
        owner = known[whose[person]]
        if kind not in RIGHTS and number > owner.forgotten:
            past.append((Past(number, kind, name, owner.id, min(time, received_at), origin(number, note)), received_at))
    read = {each.origin for each, _ in past if any(slot.where is not None for slot in by_event[each.name])}
    said = backfill.told(connection, read) if read else {}
    tests = {slot.key: conditions.compile(slot.where).test for slot in slots if slot.where is not None}
    found: dict[int, list[tuple[Slot, int, int]]] = {}
    for each, received_at in past:
        event = said.get(each.origin)
        for slot in by_event[each.name]:
            if slot.where is None or (
                event is not None and tests[slot.key](backfill.subject(each, event, known[each.person], plan))
            ):
                found.setdefault(each.person, []).append((slot, each.time, received_at))
    return found, len(read - said.keys())


def _whose(connection: Connection, known: Iterable[int]) -> dict[int, int]:
    """Person as events name them -> who they are now: those asked, and those who were merged into them."""
    whose = {number: number for number in known}
    fresh = list(whose)
    while fresh:
        rows = connection.rows("glances_merged", fresh)
        fresh = [int(other) for other, _ in rows if other not in whose]
        whose |= {int(other): whose[int(person)] for other, person in rows if other not in whose}
    return whose


# ---- what they say -----------------------------------------------------------------------------------------------------------


def _answers(
    person: Person,
    history: Sequence[tuple[Slot, int, int]],
    wanted: Mapping[str, Slot],
    tests: Mapping[str, live.Test],
    now: int,
) -> dict[str, tuple[bool, bool]]:
    """Rule -> whether it holds for the person now, and a day before."""
    if person.suppressed_at:
        return {}
    then = now - DAY
    present = replace(person, memory=_memory(history, wanted))
    before = replace(
        person,
        memory=_memory((each for each in history if each[2] <= then), wanted),
        orders={key: order for key, order in person.orders.items() if order.time <= then},
    )
    there = person.created_at <= then
    return {name: (test(present, now)[0], there and test(before, then)[0]) for name, test in tests.items()}


def _memory(history: Iterable[tuple[Slot, int, int]], wanted: Mapping[str, Slot]) -> Memory:
    memory: Memory = {}
    for slot, time, _ in history:
        own = wanted[slot.key]
        memory[slot.key] = live.added(memory.get(slot.key), own, time) or memory.get(slot.key, ())
    return {key: times for key, times in memory.items() if times}


def _size(tallies: Sequence[_Tally], name: str, people: int, *, exact: bool) -> Size:
    """The figures of everybody, from those of the stretches; the span from how much the stretches differ."""
    looked = sum(tally.people for tally in tallies)
    inside = sum(tally.inside.get(name, 0) for tally in tallies)
    times = 1.0 if exact or not looked else people / looked
    entered = sum(tally.entered.get(name, 0) for tally in tallies)
    left = sum(tally.left.get(name, 0) for tally in tallies)
    if exact or not looked:
        return Size(inside=inside, low=inside, high=inside, entered=entered, left=left)
    share, many = inside / looked, len(tallies)
    spread = sum((tally.inside.get(name, 0) - share * tally.people) ** 2 for tally in tallies)
    error = sqrt(many / max(1, many - 1) * spread) / looked * sqrt(max(0.0, 1 - looked / people))
    # Nobody among those asked does not mean nobody: then up to three in so many may be inside (the rule of three).
    most = share + SURE * error if 0 < inside < looked else share + 3 / looked
    least = share - SURE * error if 0 < inside < looked else share - 3 / looked
    return Size(
        inside=round(share * people),
        low=max(inside, round(least * people)),
        high=min(people - (looked - inside), round(most * people)),
        entered=round(entered * times),
        left=round(left * times),
    )
