"""Previews: the exported history says what the live flow says."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.flow import DAY, HOUR, NOW, Flow, Message, Said, guarded, moment
from tests.laws.histories import histories

from signalpost import previews
from signalpost.events import Person
from signalpost.segments import catalog, live, sql, tables
from signalpost.segments.reading import rule
from signalpost.segments.rules import Band, Inside, Rule
from signalpost.store.database import Database


@pytest.fixture
def flow(database: Database) -> Flow:
    return Flow(database, guarded())


def people(flow: Flow) -> list[Person]:
    """Everybody who is in the store and may be in a segment."""
    found = [msgspec.json.decode(record, type=Person) for (record,) in flow.rows("SELECT record FROM people ORDER BY id")]
    return [person for person in found if not person.suppressed_at]


def loaded(flow: Flow, into: duckdb.DuckDBPyConnection, wanted: previews.Wanted) -> int:
    return flow.database.look(lambda connection: previews.load(connection, flow.plan, into, wanted))


@given(histories(), st.sampled_from((NOW, NOW + 1, NOW + HOUR, NOW + 23 * HOUR, NOW + 3 * DAY)), st.data())
def test_what_is_exported_says_what_the_flow_remembers(flow: Flow, stream: list[Said], at: int, data: st.DataObject) -> None:
    """After any stream the SQL of every segment over the store's export gives those whom the live function has inside."""
    flow.run(stream)
    rules = catalog.of(flow.plan.workspace).rules
    chosen = data.draw(st.sampled_from([*rules, ""]))  # the whole history, or what one rule needs of it
    asked = [chosen] if chosen else list(rules)
    into = previews.opened()
    assert loaded(flow, into, previews.needs(rules[chosen], rules) if chosen else previews.ALL) == 0
    for name in asked:
        test = live.closure(rules[name], rules)
        found = into.execute(sql.select(rules[name], rules), {"now": at}).fetchall()
        assert {person for (person,) in found} == {person.id for person in people(flow) if test(person, at)[0]}, name
    into.close()


def view(user: str, at: int, **properties: object) -> Said:
    """Somebody looks at a product."""
    said: Message = {
        "type": "track", "event": "Product Viewed", "messageId": f"{user}{at}", "userId": user, "timestamp": moment(at),
        "properties": properties, "context": {"traits": {"plan": f"p{len(properties)}"}},
    }  # fmt: skip
    return "web", said


def asked(flow: Flow, rule: Rule, *, days: int = 0, rules: dict[str, Rule] | None = None) -> previews.Preview:
    return flow.database.look(
        lambda connection: previews.preview(
            connection, flow.plan, rule, rules or {}, now=NOW, days=days, zone=ZoneInfo("UTC"), bands={}
        )
    )


def test_a_preview_counts_now_and_at_the_end_of_each_day(flow: Flow) -> None:
    """The size at each midnight is that of the rule at that moment, over what had come in by then."""
    flow.run([view("u1", NOW - HOUR), view("u2", NOW - 2 * HOUR), view("u2", NOW - 30 * HOUR)])
    found = asked(flow, rule({"did": "Product Viewed", "within": "1d"}), days=3)
    # All of it was received at NOW, which is midnight: the days before knew nothing of it.
    assert (found.inside, found.known, len(found.sample)) == (2, 2, 2)
    assert [(day.at, day.inside) for day in found.days] == [(NOW - 2 * DAY, 0), (NOW - DAY, 0), (NOW, 2)]


def test_a_preview_asks_conditions_and_traits(flow: Flow) -> None:
    """What a rule asks of properties and traits is read from the journal, though no rule asked it when it came."""
    flow.run([view("u1", NOW - HOUR, note="Gift"), view("u2", NOW - HOUR, note="none", more=1), view("u3", NOW - HOUR)])
    assert asked(flow, rule({"did": "Product Viewed", "where": {"event.properties.note": "gift"}})).inside == 1
    assert asked(flow, rule({"trait": {"traits.plan": ["P1", "p2"]}})).inside == 2
    both = {"first": rule({"trait": {"traits.plan": "p1"}})}
    assert asked(flow, Inside(segment="first"), rules=both).inside == 1


def test_orders_are_read_for_rules_that_ask_about_them() -> None:
    """A rule that asks what is computed of orders, or for a band, itself or by a segment, needs them, and no other does."""
    worth = {"dear": rule({"trait": {"lifetime_value": {"gt": 15}}}), "top": Band(tiers="ltv", index=1)}
    for asks in (*worth.values(), Inside(segment="dear"), Inside(segment="top")):
        assert previews.needs(asks, worth).orders
    assert not previews.needs(rule({"did": "Order Completed", "where": {"order.value": {"gt": 5}}}), worth).orders
    assert not previews.needs(rule({"trait": {"traits.plan": "p1"}}), worth).orders


def test_what_the_journal_no_longer_holds_is_told(flow: Flow) -> None:
    """Events whose request was pruned are counted as missing when a condition asks of them, and count where none does."""
    flow.run([view("u1", NOW - HOUR, note="gift")])
    flow.write(lambda connection: connection.script("DELETE FROM journal"))
    conditional = asked(flow, rule({"did": "Product Viewed", "where": {"event.properties.note": "gift"}}))
    assert (conditional.inside, conditional.missing) == (0, 1)
    plain = asked(flow, rule({"did": "Product Viewed"}))
    assert (plain.inside, plain.missing) == (1, 0)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_export_has_every_table(flow: Flow, tmp_path: Path, kind: str) -> None:
    """Each table of the schema is one file with exactly its columns, and progress ends with everything done."""
    flow.run([view("u1", NOW - HOUR, note="gift"), view("u2", NOW - HOUR)])
    steps: list[tuple[int, int]] = []
    rows = flow.database.look(
        lambda connection: previews.export(
            connection, flow.plan, tmp_path / "out", kind=kind, progress=lambda done, total: steps.append((done, total))
        )
    )
    assert rows["events"] == rows["people"] == 2
    assert steps[-1][0] == steps[-1][1] > 0
    for table, columns in tables.TABLES.items():
        with duckdb.connect() as connection:
            reading = connection.execute(f"SELECT * FROM '{tmp_path}/out/{table}.{kind}'")
            assert [column[0] for column in reading.description or ()] == list(columns)
            assert len(reading.fetchall()) == rows[table]
