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


class People(Struct, frozen=True):
    """Who became whom, and what is not remembered of whom."""

    became: dict[int, int]
    """Person who is no longer -> who they are now."""
    silent: dict[int, list[tuple[int, int]]]
    """Person, as events name them -> ranges of events that are not remembered: they wished to be left alone."""

    def whose(self, event: Happening) -> int | None:
        """Whose an event is by now; None where nothing of it is remembered."""
        if any(start <= event.id <= end for start, end in self.silent.get(event.person, ())):
            return None
        return self.became.get(event.person, event.person)


def joined(connection: Connection) -> People:
    """Merges and wishes gone through in the order in which they came: a wish forgets all that came before it, and until it is
    taken back nothing is remembered; who merges with somebody silent is silent from then on."""
    news = [(event, 0, "", other, person) for event, other, person in connection.rows("history_merges")]
    news += [(event, 1, kind, person, person) for event, kind, person in connection.rows("history_rights")]
    members: dict[int, list[int]] = {}
    since: dict[int, int] = {}
    silent: dict[int, list[tuple[int, int]]] = {}
    for event, _, kind, other, person in sorted(news, key=lambda each: each[:2]):
        own = members.setdefault(person, [person])
        if not kind:
            lost = members.pop(other, [other])
            if other in since:
                begun = since.pop(other)
                for each in lost:
                    silent.setdefault(each, []).append((begun, event))
                since.setdefault(person, event)
            own.extend(lost)
        elif kind == "suppress":
            since.setdefault(person, event)
            for each in own:
                silent.setdefault(each, []).append((0, event))
        elif person in since:
            begun = since.pop(person)
            for each in own:
                silent.setdefault(each, []).append((begun, event))
    return People({each: person for person, own in members.items() for each in own if each != person}, silent)


def events(connection: Connection, names: Sequence[str] | None = None) -> Iterator[list[Happening]]:
    """Events of people, oldest first, page by page: all, or those of these names that count."""
    told = ("history_events", -1) if names is None else ("history_events_named", -1, list(names))
    for rows in _pages(connection, *told):
        yield [Happening(*row) for row in rows]


def people(connection: Connection) -> Iterator[list[tuple[Person, int]]]:
    """(person, since when they are known) page by page."""
    for rows in _pages(connection, "history_people", -1):
        found = [(_person.decode(record), received_at) for _, record, received_at in rows]
        yield [(person, person.created_at if received_at is None else received_at) for person, received_at in found]


def orders(connection: Connection) -> Iterator[list[tuple[str, int, Record]]]:
    """(key, person, record) page by page."""
    for rows in _pages(connection, "history_orders", ""):
        yield [(key, person, _record.decode(record)) for key, person, record in rows]


def _pages(connection: Connection, statement: str, after: Any, *others: Any) -> Iterator[list[Row]]:
    """The rows of a statement by their first column; `others` stand between it and the page's size."""
    while rows := connection.rows(statement, after, *others, PAGE):
        yield rows
        after = rows[-1][0]
