"""The law of two answers: the live function of a rule and its SQL over the exported history agree at every instant."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import new_postgres_database
from tests.segments.told import BANDS, Told, instants, populations, remembered, rows, workspaces

from signalpost import previews
from signalpost.segments import live, sql, tables
from signalpost.segments.rules import Rule

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
    asked = data.draw(st.lists(instants(population), min_size=3, max_size=8, unique=True))
    for warehouse in warehouses:
        warehouse.fill(history)
        for name, rule in rules.items():
            statement = sql.select(rule, rules, dialect=warehouse.dialect, bands=BANDS)
            for now in asked:
                assert warehouse.ask(statement, now) == inside(population, name, rules, now), (warehouse.dialect, name, now)
