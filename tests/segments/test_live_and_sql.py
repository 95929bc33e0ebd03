"""The law of two answers: the live function of a rule and its SQL over the exported history agree at every instant."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import new_postgres_database
from tests.segments.told import BANDS, DAY, EVENTS, HOUR, NOW, Told, instants, populations, remembered, rows, workspaces

from signalpost import previews
from signalpost.events import Bought, Event, Person
from signalpost.segments import live, sql, tables
from signalpost.segments.rules import Age, Happened, Rule, Trait

Tables = dict[str, list[tuple[Any, ...]]]


class Ducks:
    """DuckDB, filled as previews fill it."""

    dialect = "duckdb"

    def __init__(self) -> None:
        self.connection = duckdb.connect()

    def fill(self, history: Tables) -> None:
        for table in tables.TABLES:
            self.connection.execute(f"DROP TABLE IF EXISTS {table}")
        with tempfile.TemporaryDirectory() as folder:
            shelf = previews.Shelf(self.connection, Path(folder))
            for table, found in history.items():
                shelf.put(table, found)
            shelf.close()

    def ask(self, statement: str, now: int) -> set[int]:
        return {
            person for (person,) in self.connection.execute(statement, {"now": now} if "$now" in statement else {}).fetchall()
        }


class Elephant:
    """PostgreSQL, filled with the same rows."""

    dialect = "postgresql"

    def __init__(self, address: str) -> None:
        self.connection = psycopg.connect(address, autocommit=True)
        for table in tables.TABLES:
            self.connection.execute(tables.creation(table, "postgres").encode())

    def fill(self, history: Tables) -> None:
        self.connection.execute(f"TRUNCATE {', '.join(tables.TABLES)}".encode())
        with self.connection.cursor() as cursor:
            for table, found in history.items():
                with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    for row in found:
                        copy.write_row(row)

    def ask(self, statement: str, now: int) -> set[int]:
        return {person for (person,) in self.connection.execute(statement.replace(":now", str(now)).encode()).fetchall()}


@pytest.fixture(scope="module")
def warehouses(postgres: str) -> Iterator[tuple[Ducks, Elephant]]:
    ducks, elephant = Ducks(), Elephant(new_postgres_database(postgres))
    yield ducks, elephant
    ducks.connection.close()
    elephant.connection.close()


def inside(population: tuple[Told, ...], name: str, rules: dict[str, Rule], now: int) -> set[int]:
    """Whom the live rule has inside."""
    test, slots = live.closure(rules[name], rules, BANDS), live.slots(rules[name], rules)
    known = (remembered(told, slots, now) for told in population)
    return {person.id for person in known if person is not None and test(person, now)[0]}


@given(st.data(), populations, workspaces())
def test_live_and_sql_agree(
    warehouses: tuple[Ducks, Elephant], data: st.DataObject, population: tuple[Told, ...], rules: dict[str, Rule]
) -> None:
    """For any people, rules and instant the people inside by the live function are those the SQL gives, in both databases."""
    history = rows(population)
    asked = data.draw(st.lists(instants(population), min_size=6, max_size=12, unique=True))
    for warehouse in warehouses:
        warehouse.fill(history)
        for name, rule in rules.items():
            statement = sql.select(rule, rules, dialect=warehouse.dialect, bands=BANDS)
            for now in asked:
                assert warehouse.ask(statement, now) == inside(population, name, rules, now), (warehouse.dialect, name, now)


ONE, OTHER = EVENTS[:2]
EDGES: dict[str, Rule] = {
    "within": Happened(event=ONE, within=DAY),
    "twice": Happened(event=ONE, least=2, within=DAY),
    "at most": Happened(event=ONE, least=0, most=1, within=DAY),
    "none": Happened(event=ONE, least=0, most=0, within=DAY),
    "between": Happened(event=ONE, between=(NOW - 2 * DAY, NOW - DAY)),
    "since": Happened(event=ONE, since=OTHER),
    "since and within": Happened(event=ONE, since=OTHER, within=2 * DAY),
    "last": Age(event=ONE, low=6 * HOUR, high=DAY),
    "first": Age(event=ONE, first=True, low=6 * HOUR, high=DAY),
    "ever": Age(event=ONE),
    "trait": Trait(when={"person.traits.at": {"age": "6h..24h"}}),
    "longer": Trait(when={"person.traits.at": {"age": {"gt": "24h"}}}),
    "shorter": Trait(when={"person.traits.at": {"age": {"lte": "24h"}}}),
    "of a list": Trait(when={"person.traits.several": {"age": {"gte": "0h"}}}),
    "in a list": Trait(when={"person.traits.several": {"lt": 50}}),
    "empty": Trait(when={"person.traits.none": {"exists": "true"}}),
    "alike": Trait(when={"person.traits.worth": "49.90"}),
    "not alike": Trait(when={"person.traits.worth": {"not_in": ["1000", "49.90"]}}),
    "bought": Trait(when={"person.orders": {"gte": 1}, "person.last_order_at": {"age": {"gte": "6h"}}}),
    "paid back": Trait(when={"person.lifetime_value": {"lt": 50}}),
}


def test_live_and_sql_agree_at_every_edge(warehouses: tuple[Ducks, Elephant]) -> None:
    """At each bound of each kind of rule, 1 ms before it and 1 ms after, the two answers are the same."""

    def event(name: str, time: int, late: int = 0) -> Event:
        return Event(kind="track", source="shop", message_id="m", time=time, received_at=time + late, name=name)

    def bought(refunded: int) -> Bought:
        zero = Decimal(0)
        return Bought(NOW - DAY, Decimal(60), Decimal(refunded), zero, Decimal(60), cancelled=False, refunds=refunded > 0)

    times = [NOW - 2 * DAY - 1, NOW - 2 * DAY, NOW - DAY - 1, NOW - DAY, NOW - DAY + 1]
    population = tuple(
        Told(
            id=1000 + number,
            known_at=NOW - 5 * DAY,
            person=Person(id=1000 + number),
            events=tuple(
                sorted(((number * 100 + place, each) for place, each in enumerate(events)), key=lambda pair: pair[1].received_at)
            ),
            heard={
                "at": [(time, time)],
                "several": [(time, [time, 49.9])],
                "worth": [(time, 49.9), (time + HOUR, "1e3")],
                "none": [(time, {})],
            },
            orders={"o": ((time, bought(0)), (time + HOUR, bought(20)))},
        )
        for number, (time, events) in enumerate(
            (time, events)
            for time in times
            for events in (
                [event(ONE, time)],
                [event(ONE, time), event(ONE, time)],
                [event(ONE, time), event(ONE, time - HOUR), event(OTHER, time)],
                [event(OTHER, time), event(ONE, time, late=3 * HOUR)],
                [event(OTHER, time), event(ONE, time - 1, late=HOUR), event(OTHER, time - HOUR)],
            )
        )
    )
    marks = {time + span for time in times for span in (0, HOUR, 3 * HOUR, 6 * HOUR, DAY, 2 * DAY)}
    history = rows(population)
    for warehouse in warehouses:
        warehouse.fill(history)
        for name, rule in EDGES.items():
            statement = sql.select(rule, EDGES, dialect=warehouse.dialect)
            for now in sorted({mark + by for mark in marks for by in (-1, 0, 1)}):
                assert warehouse.ask(statement, now) == inside(population, name, EDGES, now), (warehouse.dialect, name, now)
