"""What the pipeline needs of segments and audiences in the database: their numbers, what is new, and who is due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from signalpost import gates
from signalpost.config import Workspace
from signalpost.events import Person
from signalpost.segments import catalog, live
from signalpost.segments.bands import Bands
from signalpost.segments.rules import Band
from signalpost.state import Numbers
from signalpost.store import audiences, batches, valuing
from signalpost.store.database import Connection

_person = msgspec.json.Decoder(Person)
_names = msgspec.json.Decoder(tuple[str, ...])
_encode = msgspec.json.Encoder().encode

TRAIT = "trait:"
"""What stands before the name of a trait in the table `remembered`."""


class Backfill(Struct, frozen=True):
    """New rules being brought up to date: events up to `upto` are read again, then everybody is asked."""

    id: int
    segments: tuple[str, ...]
    slots: tuple[str, ...]
    traits: tuple[str, ...]
    upto: int
    event: int
    person: int
    total: int
    done: int
    missing: int

    @property
    def remembers(self) -> bool:
        """Whether events are left to be read, before people are asked."""
        return self.event < self.upto and bool(self.slots or self.traits)


def numbers(connection: Connection, workspace: Workspace, now: int) -> Numbers:
    """The small numbers of everything the workspace names, given on first sight; what is new begins a backfill."""
    segments = catalog.of(workspace)
    _register(connection, workspace, segments, now)
    return known(connection, workspace)


def known(connection: Connection, workspace: Workspace) -> Numbers:
    """The numbers as they are; every segment and audience of the workspace must have been registered."""
    rows = connection.rows("segment_rows")
    filling = {name for each in backfills(connection) if each.remembers for name in each.segments}
    return Numbers(
        destinations=batches.slots(connection, list(workspace.destinations)),
        segments={name: int(slot) for name, slot, _, _, _ in rows},
        audiences={(name, destination): int(slot) for name, destination, slot in connection.rows("audience_slots")},
        bands=valuing.present(connection, workspace),
        unready=frozenset(name for name, _, _, ready_at, _ in rows if ready_at is None and name in filling),
    )


def _register(connection: Connection, workspace: Workspace, segments: catalog.Catalog, now: int) -> None:
    known_rows = {name: (digest, removed_at) for name, _, digest, _, removed_at in connection.rows("segment_rows")}
    changed = []
    for name in segments.rules:
        digest = segments.digest(name)
        if name not in known_rows:
            connection.run("segment_add", name, digest, None)
            changed.append(name)
        elif known_rows[name] != (digest, None):
            connection.run("segment_changed", digest, name)
            changed.append(name)
    for name, (_, removed_at) in known_rows.items():
        if name not in segments.rules and removed_at is None:
            connection.run("segment_removed", now, name)
            changed.append(name)
    slots = {slot.key for rule in segments.rules.values() for slot in live.slots(rule, segments.rules)}
    # What gates read of people is kept by the same hand: it must not be filled in a second time.
    needed = slots | {TRAIT + trait for trait in segments.traits | gates.kept_traits(workspace)}
    there = {what: bool(dropped) for what, dropped in connection.rows("remembered")}
    fresh = sorted(what for what in needed if there.get(what, True))
    stale = {what for what in fresh if what in there}
    if stale:
        _strip(connection, {what for what in stale if not what.startswith(TRAIT)})
    for what in fresh:
        connection.run("remembered_add", what)
    for what in there.keys() - needed:
        connection.run("remembered_dropped", what)
    redefined = any(each.changed for each in audiences.register(connection, workspace))
    if not changed and not fresh and not redefined:
        return
    many = int(connection.rows("people_count")[0][0])
    events = int(connection.rows("events_count")[0][0]) if fresh else 0
    _begin(connection, changed, fresh, events + many, now)


def recut(connection: Connection, workspace: Workspace, known: Mapping[str, Bands], now: int) -> bool:
    """Whether bounds of value tiers are others than `known`; then everybody is to be asked about what is made of them."""
    moved = {name for name, bands in valuing.present(connection, workspace).items() if bands != known.get(name)}
    if not moved:
        return False
    rules = catalog.of(workspace).rules
    segments = [
        name
        for name, rule in rules.items()
        if any(isinstance(leaf, Band) and leaf.tiers in moved for leaf in live.leaves(rule, rules))
    ]
    _begin(connection, segments, (), int(connection.rows("people_count")[0][0]), now)
    return True


def _begin(connection: Connection, segments: Sequence[str], fresh: Sequence[str], total: int, now: int) -> None:
    """Begin a backfill; `fresh` is what must be remembered that was not: slots and traits."""
    connection.run(
        "backfill_add",
        _encode(segments).decode(),
        _encode([what for what in fresh if not what.startswith(TRAIT)]).decode(),
        _encode([what.removeprefix(TRAIT) for what in fresh if what.startswith(TRAIT)]).decode(),
        int(connection.rows("events_last")[0][0]) if fresh else 0,
        total,
        now,
        now,
    )


def _strip(connection: Connection, keys: set[str]) -> None:
    """Drop memory that was kept once, and not since: it has gaps. Only when a rule comes back that had gone."""
    last = 0
    while page := people_page(connection, last):
        last = page[-1].id
        kept = [
            msgspec.structs.replace(each, memory={key: times for key, times in each.memory.items() if key not in keys})
            for each in page
            if not keys.isdisjoint(each.memory)
        ]
        write_people(connection, kept)


# ---- people, in pages ----------------------------------------------------------------------------------------------------------


def people_page(connection: Connection, after: int, most: int = 500) -> list[Person]:
    """The next people by number."""
    return [_person.decode(record) for (record,) in connection.rows("people_page", after, most)]


def people_due(connection: Connection, upto: int, most: int) -> list[Person]:
    """Who moves next by time alone, up to a moment; the longest due first."""
    return [_person.decode(record) for (record,) in connection.rows("people_due", upto, most)]


def next_due(connection: Connection, after: int) -> int | None:
    """When time alone moves anybody next, of moments after this one; None: never."""
    found = connection.rows("people_next_due", after)[0][0]
    return None if found is None else int(found)


def write_people(connection: Connection, people: Iterable[Person]) -> None:
    """Write records that changed without news of the person."""
    connection.run_many("person_moved", [(_encode(each), batches.next_change(each), each.id) for each in people])


# ---- backfills -----------------------------------------------------------------------------------------------------------------


def backfills(connection: Connection) -> list[Backfill]:
    """What is being brought up to date, in the order in which it is done."""
    return [
        Backfill(
            id=row[0],
            segments=_names.decode(row[1]),
            slots=_names.decode(row[2]),
            traits=_names.decode(row[3]),
            upto=row[4],
            event=row[5],
            person=row[6],
            total=row[7],
            done=row[8],
            missing=row[9],
        )
        for row in connection.rows("backfill_rows")
    ]


def last_known_as(connection: Connection, people: Iterable[int]) -> Mapping[int, int]:
    """Who these people are now, of those who were merged into others."""
    became: dict[int, int] = {}
    asked = set(people)
    while asked:
        found = {int(other): int(person) for other, person in connection.rows("merged_of", list(asked))}
        became.update(found)
        asked = set(found.values()) - became.keys()
    return {each: _end(each, became) for each in became}


def _end(person: int, became: Mapping[int, int]) -> int:
    while person in became:
        person = became[person]
    return person
