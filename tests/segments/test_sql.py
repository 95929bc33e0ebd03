"""What a rule reads like as SQL, that every dialect takes it, and what SQL cannot say."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.segments.told import BANDS, workspaces

from signalpost import facts, previews
from signalpost.events import Bought, Person
from signalpost.segments import live, sql, tables
from signalpost.segments.bands import Bands
from signalpost.segments.reading import rule
from signalpost.segments.rules import All, Band, Happened, Inside, Rule, Split, Trait

NOW = 1_780_000_000_000


@given(workspaces(), st.sampled_from(sorted(sql.DIALECTS)), st.sampled_from((None, NOW)))
def test_every_dialect_takes_every_rule(rules: dict[str, Rule], dialect: str, now: int | None) -> None:
    """Each statement parses in its dialect, means the same when written out again, and reads nothing but the exported tables."""
    for each in rules.values():
        statement = sql.select(each, rules, dialect=dialect, now=now, bands=BANDS)
        name = sql.DIALECTS[dialect].name
        # sqlglot writes psql's `:now` as Python's drivers have it.
        again = sqlglot.parse_one(statement.replace(":now", "1") if dialect == "postgresql" else statement, read=name)
        written = again.sql(name, pretty=True)
        assert sqlglot.parse_one(written, read=name) == again
        steps = {step.alias for step in again.find_all(sqlglot.exp.CTE)}
        assert {table.name for table in again.find_all(sqlglot.exp.Table)} <= tables.TABLES.keys() | steps
        assert "AT_NOW" not in statement
        assert "LOT(" not in statement


def test_a_rule_reads_as_it_is_meant() -> None:
    """The statement of a cart rule, whole: named steps, each with its sentence."""
    cart = rule(
        {"all": [{"last": "Checkout Started", "age": "6h..24h"}, {"did_not": "Order Completed", "since": "Checkout Started"}]}
    )
    assert (
        sql.select(cart, dialect="postgresql")
        == """\
WITH step_1 AS (
  /* Checkout Started happened last between 6 hours and 24 hours ago */
  SELECT
    e.person AS person
  FROM events AS e
  WHERE
    e.received_at <= :now AND e.name = 'Checkout Started'
  GROUP BY
    e.person
  HAVING
    MAX(e.happened_at) <= :now - 21600000 AND MAX(e.happened_at) > :now - 86400000
), step_2 AS (
  /* Order Completed happened since the last Checkout Started */
  SELECT
    e.person AS person
  FROM events AS e
  JOIN (
    SELECT
      s.person AS person,
      MAX(s.happened_at) AS last_at
    FROM events AS s
    WHERE
      s.received_at <= :now AND s.name = 'Checkout Started'
    GROUP BY
      s.person
  ) AS begun
    ON begun.person = e.person
  WHERE
    e.received_at <= :now
    AND e.name = 'Order Completed'
    AND e.happened_at >= begun.last_at
)
/* Checkout Started happened last between 6 hours and 24 hours ago, and Order Completed did not happen since then */
SELECT
  p.id AS person
FROM people AS p
WHERE
  p.known_at <= :now
  AND (
    p.id IN (
      SELECT
        person
      FROM step_1
    )
    AND NOT p.id IN (
      SELECT
        person
      FROM step_2
    )
  )"""
    )


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    st.sampled_from(("duckdb", "postgresql", "bigquery", "snowflake", "databricks", "spark", "clickhouse")),
)
@example("x' OR 1=1 --", "postgresql")
@example("*/ DROP TABLE people /*", "duckdb")
@example("back\\slash' and \\'", "bigquery")
def test_a_text_from_outside_stays_a_text(text: str, dialect: str) -> None:
    """Whatever an event is called, it is one literal in the statement, and in no dialect anything else."""
    statement = sql.select(Happened(event=text), dialect=dialect, now=NOW)
    name = sql.DIALECTS[dialect].name
    found = sqlglot.parse(statement, read=name)
    assert len(found) == 1
    assert found[0] is not None
    literals = [each.this for each in found[0].find_all(sqlglot.exp.Literal) if each.is_string]
    assert literals == [text]


REFUSED: list[tuple[Rule, str]] = [
    (Happened(event="A", where={"order.number": {"eq": 1}}), "what was known when the event came"),
    (Happened(event="A", where={"order.refunded": True}), "what was known when the event came"),
    (Happened(event="A", where={"person.orders": {"gt": 1}}), "Ask the person with `trait:`"),
    (Happened(event="A", where={"segment": "vip"}), "not in the exported history"),
    (Trait(when={"order.value": {"gt": 1}}), "A rule about a person cannot ask `order.value`"),
    (Trait(when={"segment": "vip"}), "cannot ask `segment`"),
    (Trait(when={"person.lifetime_value": {"gt": "0.0000000001"}}), "more digits"),
    (Inside(segment="gone"), "no segment `gone`"),
    (Band(tiers="gone", index=0), "are not known here"),
    (Band(tiers="flapping", index=0), "hysteresis"),
]


@pytest.mark.parametrize(("refused", "sentence"), REFUSED)
def test_what_sql_cannot_say_is_refused(refused: Rule, sentence: str) -> None:
    """A rule that the exported history cannot answer is a sentence, never another statement."""
    bands = {"flapping": Bands(names=("a", "b"), bounds=(Decimal(1),), hysteresis=Decimal("0.1"))}
    for each in (refused, All(parts=(Happened(event="B"), refused))):
        with pytest.raises(sql.Unsayable, match=sentence.replace("`", ".")):
            sql.select(each, bands=bands)
    with pytest.raises(sql.Unsayable, match="no dialect"):
        sql.select(Happened(event="A"), dialect="cobol")


amounts = st.integers(0, 5_000_000).map(lambda each: Decimal(each) / 10_000)
orders = st.builds(
    lambda time, value, discount, cancelled: Bought(
        time=time, value=value, refunded=Decimal(0), discount=discount, list_value=value + discount, cancelled=cancelled,
        refunds=False,
    ),
    st.integers(0, 10**10), amounts, st.one_of(st.just(Decimal(0)), amounts), st.booleans(),
)  # fmt: skip


@given(st.lists(orders, min_size=1, max_size=40), st.sampled_from(sorted(sql.FACT_SHARES)), st.integers(-2, 2), st.data())
def test_a_quotient_is_compared_as_it_is_rounded(bought: list[Bought], path: str, steps: int, data: st.DataObject) -> None:
    """A fact that is one number by another compares exactly as the live one, rounded half to even, also a millionth beside it."""
    person = Person(id=1, orders={str(place): each for place, each in enumerate(bought)})
    fact = getattr(facts.of(person), path.removeprefix("person."))
    bound = (fact or Decimal(0)) + data.draw(st.sampled_from((Decimal("0.000001"), Decimal("0.0000001")))) * steps
    assume(path not in SHARES or 0 <= bound <= 1)
    compared(person, path, bound, fact)


@pytest.mark.parametrize("worth", ["0.0001", "0.0003", "0.0005", "0.0007"])
def test_a_quotient_between_two_millionths_goes_to_the_even_one(worth: str) -> None:
    """Of eight orders the mean lies in the middle between two millionths: up or down, as live."""
    values = [Decimal(worth), *[Decimal(0)] * 7]
    bought = {
        str(place): Bought(
            time=0, value=each, refunded=Decimal(0), discount=Decimal(0), list_value=each, cancelled=False, refunds=False
        )
        for place, each in enumerate(values)
    }
    person = Person(id=1, orders=bought)
    fact = facts.of(person).average_order_value
    assert fact is not None
    for bound in (fact - Decimal("0.000001"), fact, fact + Decimal("0.000001")):
        compared(person, "person.average_order_value", bound, fact)


SHARES = frozenset({"person.refund_rate", "person.discount_rate"})


def compared(person: Person, path: str, bound: Decimal, fact: Decimal | None) -> None:
    """Every comparison of this fact with this bound is answered by SQL as live."""
    into = duckdb.connect()
    into.execute(tables.creation("orders") + "; " + tables.creation("people"))
    into.execute("INSERT INTO people VALUES (1, 0, 0, TRUE, TRUE, TRUE)")
    into.executemany(
        f"INSERT INTO orders VALUES ({', '.join('?' * len(tables.TABLES['orders']))})",
        [previews.bought_row(key, 1, each, 0, live.NEVER) for key, each in person.orders.items()],
    )
    for operator in ("gt", "gte", "lt", "lte", "eq", "ne"):
        when: Any = {path: {operator: f"{(bound * 100).normalize():f}%" if path in SHARES else f"{bound:f}"}}
        expected = live.closure(Trait(when=when))(person, NOW)[0]
        assert bool(into.execute(sql.select(Trait(when=when), now=NOW)).fetchall()) is expected, (operator, bound, fact)
    into.close()


def test_bands_and_lots_are_said() -> None:
    """A band without hysteresis and a share by lot are said; a share is of the very same people as live."""
    into = duckdb.connect()
    into.execute(tables.creation("people"))
    into.execute("INSERT INTO people SELECT i, 0, 0, TRUE, TRUE, TRUE FROM range(2000) AS r(i)")
    share = Split(salt="holdout:a", low=100_000, high=400_000)
    found = into.execute(sql.select(share, now=NOW)).fetchall()
    assert {person for (person,) in found} == {each for each in range(2000) if 100_000 <= live.lot("holdout:a", each) < 400_000}
    assert "lifetime_value" in sql.select(Band(tiers="value", index=1), bands=BANDS)
    into.close()


def test_the_page_has_every_column_and_dialect() -> None:
    """docs/reference/warehouse.md says of each table exactly its columns, with their types, and of each dialect its parameter."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "warehouse.md").read_text("utf-8")
    for table, columns in tables.TABLES.items():
        part = page.split(f"### {table}\n")[1].split("\n#")[0]
        rows = [
            f"| `{name}` | {column.type}{', may be NULL' if column.nullable else ''} | {column.doc} |"
            for name, column in columns.items()
        ]
        assert part[part.index("|---|---|---|\n") :].split("\n")[1:-1] == rows
    for name, dialect in sql.DIALECTS.items():
        assert f"| `{name}` | {dialect.words} | `{dialect.now}` |" in page
