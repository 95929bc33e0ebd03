"""New and altered segments brought up to date from the journal, in pieces beside the flow.

First the events that came before the rule are read again, in order, and what the rule needs of them is added to what their
people remember; later events the flow remembers itself. Meanwhile nobody is asked about the rule, so nobody enters on half a
past. Then everybody is asked once, and the flow goes on asking. Each piece is one transaction with how far it came, so a crash
repeats a piece and changes nothing, and what comes out is what reading everything from the beginning would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from msgspec import Struct, field

from signalpost import conditions, facts, identity, memberships, orders, purchases, sources
from signalpost.audiences import wants
from signalpost.events import Event, Person
from signalpost.memberships import LOAD, by_rule, by_time
from signalpost.pipeline import DERIVED_FROM
from signalpost.plan import Plan
from signalpost.segments import live
from signalpost.state import BY_RULE, PLACES, Decision
from signalpost.store import batches
from signalpost.store import memberships as stored
from signalpost.store.database import Connection
from signalpost.store.memberships import Backfill

EVENTS = 1_000
"""Events that one piece reads again."""

PEOPLE = 200
"""People that one piece asks."""


RIGHTS = frozenset({"delete", "suppress", "unsuppress"})
"""Kinds of events that exercise a right: nothing is learned of who does."""


class Piece(Struct):
    """One step of a backfill, decided."""

    backfill: Backfill
    event: int
    person: int
    seen: int
    """Events or people that it got through."""
    missing: int = 0
    """Events whose request the journal no longer holds, where it was needed."""
    people: list[Person] = field(default_factory=list)
    """Records with more in memory."""
    moved: Decision = field(default_factory=Decision)
    turns: bool = False
    """Whether events are done and people may be asked from here on: the plan must be made anew."""
    ends: bool = False


def piece(connection: Connection, plan: Plan, backfill: Backfill, upto: int, now: int) -> Piece:
    """The next step: events to remember, then people to ask at the moment `upto`."""
    return _remembering(connection, plan, backfill) if backfill.remembers else _asking(connection, plan, backfill, upto, now)


def commit(connection: Connection, made: Piece, now: int) -> None:
    """Write the step; the caller's transaction makes it one."""
    stored.write_people(connection, made.people)
    batches.fire(connection, made.moved)
    connection.run("backfill_went", made.event, made.person, made.seen, made.missing, now, made.backfill.id)
    if made.ends:
        looked, missing = made.backfill.done + made.seen, made.backfill.missing + made.missing
        for name in made.backfill.segments:
            connection.run("segment_ready", now, looked, missing, name)
        connection.run("backfill_done", made.backfill.id)


# ---- events --------------------------------------------------------------------------------------------------------------------


class Past(Struct, frozen=True):
    """One event that was taken through the pipeline before."""

    id: int
    kind: str
    name: str
    person: int
    time: int
    origin: int
    """The event it was derived of, else itself: whose request says more."""


def _remembering(connection: Connection, plan: Plan, backfill: Backfill) -> Piece:
    rows = connection.rows("events_page", backfill.event, backfill.upto, EVENTS)
    if not rows:
        return Piece(backfill=backfill, event=backfill.upto, person=0, seen=0, turns=True)
    wanted = [each for each in plan.segments.slots if each.key in set(backfill.slots)]
    by_event: dict[str, list[tuple[live.Slot, Callable[[conditions.Subject], bool] | None]]] = {}
    for slot in wanted:
        by_event.setdefault(slot.event, []).append((slot, None if slot.where is None else conditions.compile(slot.where).test))
    traits = frozenset(backfill.traits)
    past = [
        Past(number, kind, name, person, min(time, received_at), origin(number, note))
        for number, kind, name, person, time, received_at, counts, note in rows
        if person and counts and kind not in RIGHTS and (traits or name in by_event)
    ]
    became = stored.last_known_as(connection, {each.person for each in past})
    people = batches.people(connection, list({became.get(each.person, each.person) for each in past}))
    read = [each for each in past if traits or any(test is not None for _, test in by_event[each.name])]
    said = told(connection, [each.origin for each in read])
    missing = sum(each.origin not in said for each in read)
    changed: dict[int, None] = {}
    for each in past:
        person = people.get(became.get(each.person, each.person))
        if person is None or person.suppressed_at or each.id <= person.forgotten:
            continue
        event = said.get(each.origin)
        known = person
        for slot, test in by_event.get(each.name, ()):
            if test is None or (event is not None and test(subject(each, event, person, plan))):
                known = live.remember(known, slot, each.time)
        if traits and event is not None:
            known = identity.given(known, event, traits)
        if known is not person:
            people[known.id] = known
            changed[known.id] = None
    last = rows[-1][0]
    return Piece(
        backfill=backfill,
        event=last,
        person=0,
        seen=len(rows),
        missing=missing,
        people=[people[each] for each in changed],
        turns=last >= backfill.upto,
    )


def origin(number: int, note: str | None) -> int:
    """The event whose request says what this one says: of a derived one, the one that made it."""
    return int(note.removeprefix(DERIVED_FROM)) if note is not None and note.startswith(DERIVED_FROM) else number


def told(connection: Connection, numbers: Iterable[int]) -> Mapping[int, Event]:
    """These events as they came in, by number, with those they came with; of requests that the journal still holds."""
    found: dict[int, Event] = {}
    for position, received in batches.requests(connection, sorted({number >> PLACES for number in numbers})):
        for place, event in enumerate(sources.read(received).events):
            found[(position << PLACES) + place] = event
    return found


def subject(past: Past, event: Event, person: Person, plan: Plan) -> conditions.Subject:
    """What the condition of a rule looks at: the event and its order, as they were."""
    order = orders.read(event, definition=plan.workspace.order_value, default_currency=plan.workspace.currency)
    return conditions.Subject(
        name=past.name,
        event=event,
        order=order,
        person=person,
        now=event.received_at,
        claim=lambda: purchases.claim(event, past.id, order),
        facts=cache(lambda: facts.of(person)),
        number=lambda: None,
    )


# ---- people --------------------------------------------------------------------------------------------------------------------


def _asking(connection: Connection, plan: Plan, backfill: Backfill, upto: int, now: int) -> Piece:
    page = stored.people_page(connection, backfill.person, PEOPLE)
    made = Piece(backfill=backfill, event=backfill.event, person=backfill.person, seen=len(page), ends=len(page) < PEOPLE)
    made.moved.now = now
    if not page:
        return made
    made.person = page[-1].id
    held: dict[tuple[int, int], bool] = {}
    for audience, person, wanted in connection.rows("wanted_of_people", [each.id for each in page]):
        held[audience, person] = bool(wanted)
    for before in page:
        person, moves = memberships.caught_up(before, plan.segments, upto)
        moment = max(upto, person.looked_at)
        memberships.write(before, person, moves, by_time(moment, LOAD), plan, made.moved)
        after, moves = memberships.asked(person, plan.segments, backfill.segments, moment)
        memberships.write(person, after, moves, by_rule(moment), plan, made.moved)
        if after is not before:
            made.moved.people.append(after)
        for audience in plan.audiences:
            wanted = wants(audience, after)
            for slot in audience.slots:
                if wanted != held.get((slot, after.id), False):
                    made.moved.wanted.setdefault((slot, after.id), (int(wanted), LOAD, BY_RULE, moment))
    return made
