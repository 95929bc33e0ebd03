"""The history as it is exported: events, people, orders and who became whom, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from signalpost.events import Person
from signalpost.purchases import Record
from signalpost.store.database import Connection, Row

PAGE = 2_000
"""Rows read at once."""

_person = msgspec.json.Decoder(Person)
_record = msgspec.json.Decoder(Record)


class Happening(Struct, frozen=True, gc=False):
    """One event of a person, as it was kept."""

    id: int
    kind: str
    name: str
    person: int
    order_id: str | None
    time: int
    received_at: int
    note: str | None
    counts: int


def size(connection: Connection) -> tuple[int, int, int]:
    """How many events of people, people and orders there are."""
    events, people, orders = connection.rows("history_size")[0]
    return int(events), int(people), int(orders)


def merged(connection: Connection) -> dict[int, int]:
    """Person who is no longer -> who they are now."""
    became: dict[int, int] = dict(connection.rows("history_merges"))
    for other, person in became.items():
        last = person
        while last in became:
            last = became[last]
        became[other] = last
    return became


def events(connection: Connection, names: Sequence[str] | None = None) -> Iterator[list[Happening]]:
    """Events of people, oldest first, page by page: all, or those of these names that count."""
    after = -1
    while True:
        if names is None:
            rows = connection.rows("history_events", after, PAGE)
        else:
            rows = connection.rows("history_events_named", after, list(names), PAGE)
        if not rows:
            return
        yield [Happening(*row) for row in rows]
        after = rows[-1][0]


def people(connection: Connection) -> Iterator[list[tuple[Person, int]]]:
    """(person, since when they are known) page by page."""
    for rows in _pages(connection, "history_people", -1):
        found = [(_person.decode(record), received_at) for _, record, received_at in rows]
        yield [(person, person.created_at if received_at is None else received_at) for person, received_at in found]


def orders(connection: Connection) -> Iterator[list[tuple[str, int, Record]]]:
    """(key, person, record) page by page."""
    for rows in _pages(connection, "history_orders", ""):
        yield [(key, person, _record.decode(record)) for key, person, record in rows]


def _pages(connection: Connection, statement: str, after: Any) -> Iterator[list[Row]]:
    while rows := connection.rows(statement, after, PAGE):
        yield rows
        after = rows[-1][0]
