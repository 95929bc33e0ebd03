"""Whose an event is: found, made, merged, taught, erased; within a batch being decided."""

from __future__ import annotations

from msgspec.structs import replace

from signalpost import identity, memberships
from signalpost.deciding import Arrived, Deciding
from signalpost.events import Event, Person
from signalpost.sources.memberships import SOURCE
from signalpost.state import Withdrawn


def person_of(arrived: Arrived, event: Event, said: dict[str, bool], work: Deciding) -> Person:
    """The person of this event after it: found or made, merged, taught; a passing stranger (id 0) without keys."""
    state, made, rules, kept = work.state, work.made, work.plan.workspace.identity, work.plan.kept_traits
    unknown = event.source == SOURCE and state.owners.keys().isdisjoint(arrived.keys)
    if not arrived.keys or unknown:  # what we tell ourselves makes nobody known who was forgotten meanwhile
        return identity.learn(Person(id=0), event, (), said, kept)
    if event.kind == "unmerge":
        return part(arrived, event, work)
    own = arrived.keys
    if arrived.previous:
        # An unknown id that somebody is said to have had is no id to remember, unless it is a browser's, which may speak again.
        own += tuple(key for key in arrived.previous if key in state.owners or key[0] == "anonymous_id")
    found = identity.stitch(
        own, state.owners, state.people, explicit=event.kind == "merge", merge_on=rules.merge_on, most=rules.max_identifiers
    )
    if found.person is None:
        person = Person(id=arrived.id, created_at=min(event.time, event.received_at))
        state.people[person.id] = person
        work.changed[person.id] = None
        work.before[person.id] = memberships.NOBODY
    else:
        person = memberships.begin(state.people[found.person], event.received_at, work)
    for key in found.attach:
        state.owners[key] = made.owners[key] = person.id
    for other, why in found.refused:
        made.merges.append((arrived.id, person.id, other, 0, why, None, made.now, None))
    for other, why in found.merged:
        person = merge(person, memberships.begin(state.people[other], event.received_at, work), why, arrived.id, work)
    if event.kind in {"delete", "suppress", "unsuppress"}:
        return exercise_right(person, event, arrived.id, work)
    if person.suppressed_at:
        return person
    learned = identity.learn(person, event, own, said, kept)
    if learned is not person:
        state.people[learned.id] = learned
        work.changed[learned.id] = None
        if learned.keys is not person.keys:
            work.taught[learned.id] = None
    return learned


def merge(one: Person, other: Person, why: str, event: int, work: Deciding) -> Person:
    """Two people are one from here on; the older id stays and everything of the other moves to it."""
    joined = identity.combine(one, other)
    loser = other if joined.id == one.id else one
    winner = one if loser is other else other
    work.made.merges.append((event, joined.id, loser.id, 1, why, loser, work.made.now, winner))
    work.made.moved.append((joined.id, loser.id))
    work.became[loser.id] = joined.id
    hand_over(loser, joined.id, work)
    for key, owner in work.state.owners.items():
        if owner == loser.id:
            work.state.owners[key] = joined.id
    work.state.people[joined.id] = joined
    del work.state.people[loser.id]
    work.changed[joined.id] = work.taught[joined.id] = None
    work.joined.add(joined.id)
    if joined.suppressed_at:
        withdraw(joined.id, work)
    return joined


def part(arrived: Arrived, event: Event, work: Deciding) -> Person:
    """A merge undone by hand: two people again, each with what was theirs; nobody where there is nothing to undo any more."""
    state, made = work.state, work.made
    other: Person = event.properties["parted"]
    joined = next((state.people[state.owners[key]] for key in arrived.keys if key in state.owners), None)
    theirs = [] if joined is None else [key for key in arrived.previous if state.owners.get(key) == joined.id]
    if joined is None or not theirs or joined.suppressed_at or joined.id == other.id:
        return Person(id=0)
    joined = memberships.begin(joined, event.received_at, work)
    kept, gone = identity.part(joined, event.properties["kept"], other, arrived.id)
    for person in (kept, gone):
        state.people[person.id] = person
        work.changed[person.id] = None
        work.joined.add(person.id)
    work.before[gone.id] = memberships.NOBODY
    work.became.pop(gone.id, None)  # where a replay decides the merge in the same batch
    for key in theirs:
        state.owners[key] = made.owners[key] = gone.id
    for under in state.orders.values():
        for known in under:
            if known.key in gone.orders:
                known.person = gone.id
    if gone.orders:
        made.handed.append((gone.id, list(gone.orders)))
    made.parted.append((kept.id, gone.id))
    made.merges.append((arrived.id, kept.id, gone.id, 0, "the merge was undone in the console", None, made.now, None))
    return kept


def hand_over(person: Person, to: int, work: Deciding) -> None:
    """What this person bought is somebody else's from here on, or (0) nobody's."""
    for under in work.state.orders.values():
        for known in under:
            if known.person == person.id:
                known.person = to
    if person.orders:
        work.made.handed.append((to, list(person.orders)))


def withdraw(person: int, work: Deciding) -> None:
    """Nothing of this person may leave: neither what this batch made nor what waits, also of those merged into them so far."""
    before = (person, *(one for one in work.became if work.now_known_as(one) == person))
    work.made.stops += [Withdrawn(each, "suppressed_person") for each in before]
    for pending in work.pending:
        if work.now_known_as(pending.person) == person:
            pending.withdrawn = pending.withdrawn or "suppressed_person"


def exercise_right(person: Person, event: Event, number: int, work: Deciding) -> Person:
    """Erased, suppressed or allowed again, as the person asked. What still waits of theirs is withdrawn."""
    state = work.state
    if event.kind == "unsuppress":
        if not person.suppressed_at:
            return person
        freed = replace(person, suppressed_at=0, forgotten=number)  # what came in between was not to be remembered
        state.people[person.id] = freed
        work.changed[person.id] = None
        return freed
    withdraw(person.id, work)
    hand_over(person, 0, work)
    emptied = Person(
        id=person.id,
        created_at=person.created_at,
        suppressed_at=max(event.time, 1),
        derived=person.derived,
        inside=person.inside,  # until they are seen to have left
        due=person.due,
        looked_at=person.looked_at,
        forgotten=number,
        apart=person.apart,
    )
    if event.kind == "suppress":
        work.made.silenced.append(person.id)
        state.people[person.id] = emptied
        work.changed[person.id] = None
        return emptied
    work.made.dropped.append(person.id)
    work.changed.pop(person.id, None)
    del state.people[person.id]
    for key in [key for key, owner in state.owners.items() if owner == person.id]:
        del state.owners[key]
        work.made.owners.pop(key, None)
    return emptied
