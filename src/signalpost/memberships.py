"""Which segments people are in, within a batch being decided.

Membership is a function of the journal: it is decided after each event at the moment the event was received, and in between at
the exact moments at which time alone moves a person. A moment that has passed unlooked at is caught up with before the next
event of that person is applied, so neither how the stream is cut into batches nor when a timer really fires changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from signalpost import audiences, conditions
from signalpost.deciding import Deciding
from signalpost.events import Event, Person
from signalpost.plan import Plan
from signalpost.segments import live
from signalpost.segments.live import NEVER, Live
from signalpost.sources import memberships as tell
from signalpost.state import BY_RULE, BY_TIME, Decision

URGENT = frozenset({"Order Completed", "Order Refunded", "Order Cancelled", "Order Flagged"})
"""Events whose audience changes go before all others: whoever bought must not be chased."""

NORMAL, LOAD = 1, 2
"""Priorities of audience changes, after `audiences.URGENT`."""


class Cause(Struct, frozen=True, gc=False):
    """What moved people, and how urgent it is that audiences follow."""

    event: int
    """Or `BY_TIME`, `BY_RULE`."""
    at: int
    why: str
    priority: int = NORMAL


def by_time(upto: int, priority: int = NORMAL) -> Cause:
    """The passing of time up to a moment."""
    return Cause(BY_TIME, upto, "time", priority)


def by_rule(at: int) -> Cause:
    """A rule that is new or was changed."""
    return Cause(BY_RULE, at, "rule", LOAD)


class Move(Struct, frozen=True, gc=False):
    """One person entered or left one segment."""

    segment: str
    at: int
    entered: bool


# ---- one person and time alone -----------------------------------------------------------------------------------------------


def caught_up(person: Person, segments: Live, upto: int) -> tuple[Person, list[Move]]:
    """The person after every moment up to `upto` at which time alone moves them, with the moves in order."""
    if not person.due:
        return person, []
    moves: list[Move] = []
    inside, due, looked_at = person.inside, person.due, person.looked_at
    while due and (moment := min(due.values())) <= upto:
        looked_at = moment
        asked = [name for name, at in due.items() if at <= moment]
        inside, due = _asked(person, segments, asked, inside, due, moment, moves)
        # A segment's own members may be what a band's hysteresis reads.
        person = replace(person, inside=inside, due=due, looked_at=looked_at)
    return person, moves


def _asked(
    person: Person,
    segments: Live,
    names: Iterable[str],
    inside: dict[str, int],
    due: dict[str, int],
    now: int,
    moves: list[Move],
) -> tuple[dict[str, int], dict[str, int]]:
    """`inside` and `due` after asking these segments at this moment; the same objects where nothing changes."""
    own_inside = own_due = False
    memory = person.memory
    for name in names:
        segment = segments.segments.get(name)
        if segment is not None and not person.suppressed_at:
            holds, change = False, NEVER
            for slot in segment.needs:
                if slot not in memory:
                    break
            else:
                holds, change = segment.test(person, now)
        elif name in segments.unready and not person.suppressed_at:  # as they were, until its past is filled in
            holds, change = name in inside, NEVER
        else:
            holds, change = False, NEVER
        if holds != (name in inside):
            if not own_inside:
                inside, own_inside = inside.copy(), True
            if holds:
                inside[name] = now
            else:
                del inside[name]
            moves.append(Move(name, now, holds))
        before = due.get(name, NEVER)
        if change != before:
            if not own_due:
                due, own_due = due.copy(), True
            if change == NEVER:
                del due[name]
            else:
                due[name] = change
    return inside, due


def asked(person: Person, segments: Live, names: Iterable[str], now: int) -> tuple[Person, list[Move]]:
    """The person after asking these segments at this moment, with the moves."""
    moves: list[Move] = []
    inside, due = _asked(person, segments, names, person.inside, person.due, now, moves)
    if inside is person.inside and due is person.due:
        return person, moves
    return replace(person, inside=inside, due=due, looked_at=now), moves


def touched(before: Person, after: Person, segments: Live) -> Iterable[str]:
    """The segments that may hold otherwise now that the person has changed so."""
    if before.suppressed_at != after.suppressed_at:
        return {**segments.segments, **before.inside}
    names: dict[str, None] = {}
    if after.memory is not before.memory:
        for key, times in after.memory.items():
            if times is not before.memory.get(key):
                names.update(dict.fromkeys(segments.by_slot.get(key, ())))
    if after.orders is not before.orders and (after.orders or before.orders):
        names.update(dict.fromkeys(segments.by_orders))
    if segments.by_traits and (
        after.given is not before.given or after.keys is not before.keys or after.traits is not before.traits
    ):
        names.update(dict.fromkeys(segments.by_traits))
    return names


# ---- within a batch ------------------------------------------------------------------------------------------------------------


NOBODY = Person(id=0)
"""Who a person was before they were known."""


def begin(person: Person, at: int, work: Deciding) -> Person:
    """Called before an event changes a person: fires what is due by then, and notes who they were."""
    segments = work.plan.segments
    if segments is live.NONE or person.id in work.before:
        return person
    if person.due and min(person.due.values()) <= at:
        after, moves = caught_up(person, segments, at)
        write(person, after, moves, by_time(at), work.plan, work.made)
        work.state.people[person.id] = after
        work.changed[person.id] = None
        person = after
    work.before[person.id] = person
    return person


def remember(event: Event, name: str, person: Person, subject: Callable[[], conditions.Subject], work: Deciding) -> Person:
    """The person with this event in memory, where a rule wants it."""
    wanted = work.plan.segments.by_event.get(name)
    if wanted is None or not person.id or person.suppressed_at:
        return person
    at = event.time if event.time < event.received_at else event.received_at  # noqa: FURB136 (min is slow)
    looked = None
    before = memory = person.memory
    for slot, test in wanted:
        if test is not None:
            looked = looked or subject()
            if not test(looked):
                continue
        times = live.added(memory.get(slot.key), slot, at)
        if times is not None:
            if memory is before:
                memory = before.copy()
            memory[slot.key] = times
    if memory is before:
        return person
    work.state.people[person.id] = known = replace(person, memory=memory)
    work.changed[person.id] = None
    return known


def settle(number: int, name: str, at: int, work: Deciding) -> None:
    """Called after an event: where is everybody whom it changed, now?"""
    segments, people = work.plan.segments, work.state.people
    for each, before in work.before.items():
        after = people.get(each)
        if after is None or after is before:
            continue
        joined = each in work.joined
        if joined:
            after = live.trimmed(after, segments)
            if after.suppressed_at:  # who joins somebody that wished to be forgotten is forgotten with them
                after = replace(after, memory={}, forgotten=number)
            names: Iterable[str] = {**segments.segments, **after.inside}
        else:
            names = touched(before, after, segments)
            if before is NOBODY:
                names = {**dict.fromkeys(segments.blank), **dict.fromkeys(names)}
        moment = max(at, after.looked_at)
        after, moves = asked(after, segments, names, moment)
        if after is not people[each]:
            people[each] = after
            work.changed[each] = None
        cause = Cause(number, moment, name, audiences.URGENT if name in URGENT or after.suppressed_at else NORMAL)
        write(before, after, moves, cause, work.plan, work.made, joined=joined)
        work.before[each] = after
    work.joined.clear()


def follow(work: Deciding) -> None:
    """What was decided of people before they were merged or erased, in the same batch, is of those who are left."""
    made, people = work.made, work.state.people
    made.moves = [(known, *row[1:]) for row in made.moves if (known := work.now_known_as(row[0])) in people]
    made.members = {key: since for key, since in made.members.items() if key[1] in people}
    slots = work.plan.segment_slots
    made.joined = {
        person: tuple([(slots[name], since) for name, since in people[person].inside.items()])
        for person in made.joined
        if person in people
    }
    made.wanted = {key: row for key, row in made.wanted.items() if key[1] in people}


def fired(people: Iterable[Person], upto: int, plan: Plan, now: int) -> Decision:
    """What the passing of time up to a moment changes for these people."""
    made = Decision(now=now)
    for person in people:
        after, moves = caught_up(person, plan.segments, upto)
        if after is not person:
            made.people.append(after)
            write(person, after, moves, by_time(upto), plan, made)
    return made


def write(
    before: Person,
    after: Person,
    moves: list[Move],
    cause: Cause,
    plan: Plan,
    made: Decision,
    *,
    joined: bool = False,
) -> None:
    """The rows of what moved, and of the audiences that want the person now, or no longer do, or under other identifiers."""
    slots = plan.segment_slots
    for move in moves:
        slot = slots[move.segment]
        made.moves.append((after.id, move.at, slot, int(move.entered), cause.event))
        made.members[slot, after.id] = after.inside.get(move.segment)
        if move.segment in plan.told and not after.suppressed_at and (who := tell.named(after)):
            made.told.append(
                tell.Told(
                    person=who,
                    segment=move.segment,
                    entered=move.entered,
                    at=move.at,
                    since=move.at if move.entered else before.inside.get(move.segment, move.at),
                    why=cause.why,
                    changes_at=after.due.get(move.segment),
                )
            )
    if joined:
        made.joined[after.id] = ()  # all they are in is written at the end of the batch (`follow`)
    if not plan.audiences:
        return
    taught = joined or after.keys is not before.keys
    if not (moves or taught or after.consent is not before.consent or after.suppressed_at != before.suppressed_at):
        return
    asked_at = moves[-1].at if moves else cause.at
    for each in plan.audiences:
        wants, had = audiences.wants(each, after), audiences.wants(each, before)
        if wants != had or (wants and taught):
            for slot in each.slots:
                earlier = made.wanted.get((slot, after.id))
                if earlier is not None and earlier[1] < cause.priority:  # the more urgent of two changes says how urgent it is
                    made.wanted[slot, after.id] = (int(wants), *earlier[1:])
                else:
                    made.wanted[slot, after.id] = (int(wants), cause.priority, cause.event, asked_at)
