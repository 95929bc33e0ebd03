"""A real shop's year, with what was taken back, through the real pipeline: the totals are those of a plain query, to the cent.

The query is DuckDB's, over the lines of the sample as plain text; nothing of ours is in it. The orders arrive as a shop's server
tells of them, and some of them days late, so that refunds come before their order and second orders before the first.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
import pytest
from tests.laws.flow import DAY, Flow, Message, moment, request, workspace

from signalpost import purchases
from signalpost.events import Facts, Person
from signalpost.facts import of as facts_of
from signalpost.options import Derived
from signalpost.purchases import Record
from signalpost.samples import people, shop, traffic
from signalpost.store import batches
from signalpost.store.database import Connection, Database

TAKEN_BACK = files("signalpost.samples") / "online_retail_taken_back.csv"


class Told(NamedTuple):
    """One message of the shop's server, and when it arrives."""

    arrives: int
    message: Message


def arrival(invoice: shop.Invoice) -> int:
    """When the shop tells of it: at once, or, of one in twenty, up to twelve days late."""
    late = people.draw(invoice.number, "told late") < 0.05
    return invoice.time + (people.pick(invoice.number, "how late", 12 * DAY) if late else 0)


def is_cancelled(number: str) -> bool:
    """Of the cancellations of a whole order, those with an odd number are told as such, the others as refunds of it all."""
    taken = shop.taken_back().get(number)
    return taken is not None and taken.whole and int(number[1:]) % 2 == 1


def told(invoice: shop.Invoice) -> Told:
    """What the shop's server says of one document; a guest is a person for each of their orders."""
    if invoice.is_cancellation:
        name = "Order Cancelled" if is_cancelled(invoice.number) else "Order Refunded"
        taken = shop.taken_back().get(invoice.number)
        properties: dict[str, Any] = {"refund_id": invoice.number, "total": float(-invoice.value), "currency": shop.CURRENCY}
        if taken is not None:
            properties["order_id"] = taken.order
    else:
        name, properties = "Order Completed", traffic.order_properties(invoice)
    message: Message = {
        "type": "track",
        "event": name,
        "messageId": f"m-{invoice.number}",
        "timestamp": moment(invoice.time),
        "properties": properties,
        "context": {"library": {"name": "analytics-python", "version": "2.3.4"}},
    }
    if invoice.customer is None:
        message["anonymousId"] = f"guest-{invoice.number}"
    else:
        message["userId"] = str(invoice.customer)
    return Told(arrival(invoice), message)


def written(year: list[shop.Invoice], folder: Path) -> duckdb.DuckDBPyConnection:
    """The documents' lines and what is known of the cancellations, as tables of plain values.

    `bought` leaves out the two documents worth less than nothing: adjustments of a bad debt, which are no orders.
    """
    lines, arrivals = folder / "lines.csv", folder / "arrivals.csv"
    with lines.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for invoice in year:
            writer.writerows(
                (invoice.number, invoice.time, invoice.customer, line.stock_code, line.quantity, line.unit_price)
                for line in invoice.lines
            )
    with arrivals.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows((invoice.number, arrival(invoice)) for invoice in year)
    query = duckdb.connect()
    query.execute(
        """CREATE TABLE line (document TEXT, happened BIGINT, customer INTEGER, code TEXT, pieces INTEGER, price DECIMAL(12, 3));
           CREATE TABLE arrival (document TEXT, arrived BIGINT);
           CREATE TABLE link (document TEXT, bought TEXT, taken TEXT, minutes BIGINT)"""
    )
    query.execute(f"COPY line FROM '{lines}'")
    query.execute(f"COPY arrival FROM '{arrivals}'")
    query.execute(f"COPY link FROM '{TAKEN_BACK}' (HEADER)")
    query.execute(
        """CREATE TABLE document AS
             SELECT document, any_value(customer) customer, min(happened) happened, sum(pieces * price) worth
             FROM line GROUP BY document;
           CREATE TABLE back AS
             SELECT l.bought, -d.worth amount, a.arrived,
                    l.taken = 'whole' AND CAST(substr(document, 2) AS INTEGER) % 2 = 1 cancels
             FROM link l JOIN document d USING (document) JOIN arrival a USING (document);
           CREATE TABLE bought AS
             SELECT d.document, coalesce(CAST(d.customer AS TEXT), 'guest-' || d.document) person, d.happened, d.worth,
                    a.arrived, coalesce(b.refunded, 0) refunded, b.cancelled
             FROM document d JOIN arrival a USING (document)
             LEFT JOIN (SELECT bought, sum(amount) FILTER (NOT cancels) refunded, min(arrived) FILTER (cancels) cancelled
                        FROM back GROUP BY bought) b ON b.bought = d.document
             WHERE NOT starts_with(d.document, 'C') AND d.worth >= 0"""
    )
    return query


def through(flow: Flow, year: list[shop.Invoice]) -> None:
    """Take the documents through the pipeline in the order in which they arrive, a week at a time."""
    waiting = sorted(map(told, year), key=lambda each: each.arrives)

    def weeks() -> Iterator[list[Told]]:
        week: list[Told] = []
        for each in waiting:
            if week and each.arrives - week[0].arrives > 7 * DAY:
                yield week
                week = []
            week.append(each)
        yield week

    for week in weeks():

        def append(connection: Connection, week: list[Told] = week) -> None:
            for each in week:
                batches.append(connection, request("shop", [each.message], each.arrives), 1)

        flow.write(append)
        flow.process(500, week[-1].arrives)


def known_people(flow: Flow) -> dict[str, Facts]:
    """Customer number, or guest -> what is computed of their orders, of everybody who has any."""
    found = {}
    for (record,) in flow.rows("SELECT record FROM people"):
        person = msgspec.json.decode(record, type=Person)
        (name,) = {*person.external_ids, *person.anonymous_ids}
        if person.orders:
            found[name] = facts_of(person)
    return found


def year_adds_up(flow: Flow, year: list[shop.Invoice], folder: Path) -> tuple[Decimal, Decimal]:
    """What the product knows at the end is what the query says: of every order, of every person, and in all; (gross, net)."""
    through(flow, year)
    query = written(year, folder)

    def asked(question: str) -> list[tuple[Any, ...]]:
        return query.execute(question).fetchall()

    assert flow.rows("SELECT count(*) FROM backlog") == [(0,)]
    assert flow.rows("SELECT count(*) FROM refusals") == [(0,)]

    # every order, in the orders table
    orders: dict[str, tuple[Decimal, Decimal, bool]] = {}
    for key, record in flow.rows("SELECT key, record FROM orders"):
        known = msgspec.json.decode(record, type=Record)
        said = purchases.chosen(known)
        if said is not None:
            assert said.value is not None
            orders[key] = (said.value, said.value - purchases.gone_back(known, said), bool(known.cancelled_at))
    net = "CASE WHEN cancelled IS NOT NULL THEN 0 ELSE worth - least(refunded, worth) END"
    assert orders == {
        key: (worth, left, cancelled)
        for key, worth, left, cancelled in asked(f"SELECT document, worth, {net}, cancelled IS NOT NULL FROM bought")
    }
    ((gross, left),) = asked(f"SELECT sum(worth), sum({net}) FROM bought")
    assert sum((worth for worth, _, _ in orders.values()), Decimal(0)) == gross
    assert sum((after for _, after, _ in orders.values()), Decimal(0)) == left

    # every person, from what is remembered of them
    facts = known_people(flow)
    assert {name: (each.orders, each.lifetime_value) for name, each in facts.items()} == {
        name: (count, value)
        for name, count, value in asked(
            f"SELECT person, count(*) FILTER (cancelled IS NULL), sum({net}) FROM bought GROUP BY person"
        )
    }
    assert {name: (each.first_order_at, each.last_order_at) for name, each in facts.items() if each.orders} == {
        name: (first, last)
        for name, first, last in asked(
            "SELECT person, min(happened), max(happened) FROM bought WHERE cancelled IS NULL GROUP BY person"
        )
    }
    ((back, of),) = asked("SELECT count(*) FILTER (cancelled IS NOT NULL OR refunded > 0), count(*) FROM bought")
    assert (
        sum(each.refund_rate is not None and each.refund_rate > 0 for each in facts.values())
        == asked(
            "SELECT count(DISTINCT person) FROM bought WHERE cancelled IS NOT NULL OR document IN (SELECT bought FROM back)"
        )[0][0]
    )
    assert 0 < back < of
    repeat_buyers = (
        "SELECT count(*) FROM (SELECT person FROM bought WHERE cancelled IS NULL GROUP BY person HAVING count(*) >= 2)"
    )
    assert sum(each.orders >= 2 for each in facts.values()) == asked(repeat_buyers)[0][0]

    # the derived events: of everybody who, at some moment, had so many orders that were not called off
    for name, least in (("First Purchase", 1), ("Second Purchase", 2)):
        ((expected,),) = asked(
            f"""WITH changes AS (
                  SELECT person, arrived moment, 1 change FROM bought WHERE cancelled IS NULL OR cancelled > arrived
                  UNION ALL SELECT person, cancelled, -1 FROM bought WHERE cancelled > arrived),
                standing AS (SELECT person, sum(change) OVER (PARTITION BY person ORDER BY moment, change) orders FROM changes)
                SELECT count(DISTINCT person) FROM standing WHERE orders >= {least}"""
        )
        made = flow.rows(f"SELECT person, count(*) FROM events WHERE name = '{name}' GROUP BY person")
        assert {count for _, count in made} == {1}
        assert len(made) == expected
    return gross, left


@pytest.fixture
def flow(database: Database) -> Flow:
    """A database of each kind; a shop in the United Kingdom with two derived events and one destination."""
    return Flow(
        database,
        workspace(
            currency="GBP",
            country="GB",
            derived={"First Purchase": Derived(nth_order=1), "Second Purchase": Derived(nth_order=2)},
            destinations={"tiktok": workspace().destinations["tiktok"]},
        ),
    )


def test_the_first_months_add_up(flow: Flow, tmp_path: Path) -> None:
    """On both databases: gross, net, orders of each person and second purchases of the first 3,000 documents are the query's."""
    year_adds_up(flow, list(islice(shop.invoices(), 3_000)), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_the_whole_year_adds_up(flow: Flow, tmp_path: Path) -> None:
    """The same for all 25,900 documents, of which 1,998 take something back from an order that they name."""
    year = list(shop.invoices())
    gross, net = year_adds_up(flow, year, tmp_path)
    named = sum((invoice.value for invoice in year if invoice.number in shop.taken_back()), Decimal(0))
    assert (gross, net) == (Decimal("10666684.544"), Decimal("10666684.544") + named)
