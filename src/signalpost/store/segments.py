"""Segments as they are in the database: who is inside, who moved when and why, how far new rules have come, who moves next."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec
from msgspec import Struct

from signalpost import identity, state
from signalpost.config import Workspace
from signalpost.events import IDENTIFIER_KINDS, Identifier, Person
from signalpost.segments.flows import Step
from signalpost.store import batches, memberships
from signalpost.store.database import Connection, Row

PAGE = 500

_person = msgspec.json.Decoder(Person)


class Registered(Struct, frozen=True, kw_only=True):
    """One segment as the database knows it; times in epoch ms."""

    name: str
    slot: int
    digest: str
    ready_at: int | None
    """Since when membership is exact; None: being built."""
    removed_at: int | None


class Move(Struct, frozen=True, kw_only=True):
    """Somebody entered or left a segment."""

    person: int
    at: int
    segment: int
    entered: bool
    event: int
    """What moved them; 0: time, -1: the rule or the workspace changed."""
    name: str | None = None
    """Of the event, while it is known."""
    time: int | None = None
    """When that event happened; it may have been told later."""


def registered(connection: Connection) -> dict[str, Registered]:
    """Every segment there is or was, by name."""
    return {
        name: Registered(name=name, slot=slot, digest=digest, ready_at=ready_at, removed_at=removed_at)
        for name, slot, digest, ready_at, removed_at in connection.rows("segment_rows")
    }


def slots(connection: Connection) -> dict[str, int]:
    """The small number of every segment there is or was."""
    return {name: int(slot) for name, slot in connection.rows("segment_slots")}


def sizes(connection: Connection) -> dict[int, int]:
    """How many people are in each segment, by its number; a segment without anybody is not there."""
    return {int(slot): int(many) for slot, many in connection.rows("segments_sizes")}


def members(connection: Connection, slot: int, *, after: int = 0, most: int = PAGE) -> list[tuple[int, int]]:
    """(person, since) of a page of who is inside, by number."""
    return [(int(person), int(since)) for person, since in connection.rows("segments_members", slot, after, most)]


def since(connection: Connection, slot: int, person: int) -> int | None:
    """Since when a person is inside; None: they are not."""
    rows = connection.rows("segments_since", slot, person)
    return int(rows[0][0]) if rows else None


def _move(row: Row) -> Move:
    person, at, segment, entered, event, name, time = row
    return Move(person=person, at=at, segment=segment, entered=bool(entered), event=event, name=name, time=time)


def why(move: Move) -> str:
    """What moved them, as a half sentence."""
    if move.event == state.BY_TIME:
        return "because time passed"
    if move.event == state.BY_RULE:
        return "because the rule or the workspace changed"
    return f"by {move.name or 'an event that is no longer kept'} (event {move.event})"


def moves_of(connection: Connection, person: int, slot: int | None = None, *, most: int = 20) -> list[Move]:
    """What a person entered and left, in one segment or in all, newest first."""
    if slot is None:
        return [_move(row) for row in connection.rows("segments_moves_of_person", person, most)]
    return [_move(row) for row in connection.rows("segments_moves_between", person, slot, most)]


def latest(connection: Connection, slot: int, *, most: int = 20) -> list[Move]:
    """Who entered and left a segment, newest first."""
    return [_move(row) for row in connection.rows("segments_moves", slot, most)]


def newest(connection: Connection, slot: int, *, until: int, among: int, entered: bool | None = None) -> list[Move]:
    """Of the newest `among` moves of a segment up to a moment those that entered, or left, or all; newest first."""
    ways = (0, 1) if entered is None else (int(entered), int(entered))
    return [_move(row) for row in connection.rows("segments_latest", slot, until, among, *ways)]


def arrived(connection: Connection, slot: int, *, among: int, most: int) -> list[tuple[int, int]]:
    """(person, since) of those who are inside and entered last, as far as the newest `among` moves tell."""
    return [(int(person), int(at)) for person, at in connection.rows("segments_arrived", slot, among, most)]


def through(connection: Connection, slots: Collection[int], since: int, most: int) -> tuple[list[Step], dict[int, str], int]:
    """Moves of tiers, with the names of the events that made them, and since when they are all there: later than asked for
    where a tier has more than `most`."""
    read: list[Step] = []
    for slot in slots:
        rows = connection.rows("segments_moves_since", slot, since, most)
        read += [Step(person, at, segment, entered == 1, event) for person, at, segment, entered, event in rows]
        if len(rows) == most:
            since = max(since, rows[-1][1] + 1)
    read = [step for step in read if step.at >= since]
    events = list({step.event for step in read if step.event > 0})
    names = {int(event): str(name) for event, name in connection.rows("segments_event_names", events)} if events else {}
    return read, names, since


def moved(connection: Connection, slot: int, since: int, until: int) -> tuple[int, int]:
    """How many entered and left a segment in [since, until)."""
    entered, every = connection.rows("segments_moved", slot, since, until)[0]
    return int(entered), int(every) - int(entered)


def steps(connection: Connection, slot: int, since: int, until: int, step: int = 3_600_000) -> dict[int, tuple[int, int]]:
    """Start of each step in which somebody moved -> how many entered and left."""
    rows = connection.rows("segments_steps", step, slot, since, until)
    return {int(start): (int(entered), int(every) - int(entered)) for start, entered, every in rows}


def due_count(connection: Connection, until: int) -> int:
    """How many people time alone may move before a moment."""
    return int(connection.rows("segments_due_count", until)[0][0])


def due(connection: Connection, until: int, page: int = PAGE) -> Iterator[Person]:
    """Those people, in the order of their moments, read page by page."""
    place = (-(2**62), 0)
    while rows := connection.rows("segments_due", until, *place, page):
        for _, _, record in rows:
            yield _person.decode(bytes(record))
        place = (rows[-1][1], rows[-1][0])


def find(connection: Connection, key: str, workspace: Workspace) -> list[Person]:
    """The people whom a key names: their number, or an identifier of any kind, also written `email:ann@example.test`.

    Somebody who was merged into another is that other.
    """
    kind, _, value = key.partition(":")
    pairs = [(kind, value)] if kind in IDENTIFIER_KINDS else [(each, key) for each in IDENTIFIER_KINDS]
    blocked = tuple(each.lower() for each in workspace.identity.blocked)
    keys = identity.keys(pairs, country=workspace.country, blocked=blocked)
    numbers = dict.fromkeys(int(person) for _, person in connection.rows("identifiers_owned", [f"{a}:{b}" for a, b in keys]))
    if key.isascii() and key.isdigit() and len(key) < 19:
        number = int(key)
        numbers |= {memberships.last_known_as(connection, [number]).get(number, number): None}
    found = batches.people(connection, list(numbers))
    return [found[number] for number in numbers if number in found]


def identifiers(connection: Connection, person: int) -> list[Identifier]:
    """(kind, value) of everything that a person is known by."""
    return [(kind, value) for (key,) in connection.rows("identifiers_of", person) for kind, _, value in [key.partition(":")]]
