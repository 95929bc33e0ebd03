"""The sample of a real shop's year gives back every line, in time order, quirks kept."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from signalpost.samples import shop

SOURCE = Path(__file__).parents[3] / "shared" / "data" / "online_retail.parquet"


@pytest.fixture(scope="module")
def year() -> list[shop.Invoice]:
    return list(shop.invoices())


def test_the_whole_year_is_there(year: list[shop.Invoice]) -> None:
    """25,900 invoices, 3,836 cancellations and 541,909 lines add up to the published GBP 9,747,747.93."""
    assert len(year) == 25_900
    assert sum(invoice.is_cancellation for invoice in year) == 3_836
    assert sum(len(invoice.lines) for invoice in year) == 541_909
    assert sum((invoice.value for invoice in year), Decimal(0)) == Decimal("9747747.934")
    assert len({invoice.customer for invoice in year} - {None}) == 4_372
    assert len({invoice.country for invoice in year}) == 38


def test_invoices_come_in_time_order(year: list[shop.Invoice]) -> None:
    """No invoice is earlier than the one before it, and the span is the published one, in UTC."""
    times = [invoice.time for invoice in year]
    assert times == sorted(times)
    assert datetime(2010, 12, 1, 8, 26, tzinfo=UTC).timestamp() * 1000 == times[0]
    assert datetime(2011, 12, 9, 12, 50, tzinfo=UTC).timestamp() * 1000 == times[-1]


def test_quirks_are_kept(year: list[shop.Invoice]) -> None:
    """Second times, bad debts, write-offs, free lines, guests, huge quantities and double lines survive."""
    lines = [line for invoice in year for line in invoice.lines]
    assert sum(invoice.last_time != invoice.time for invoice in year) == 43
    assert [invoice.value for invoice in year if invoice.number.startswith("A")] == [
        Decimal("11062.06"),
        Decimal("-11062.06"),
        Decimal("-11062.06"),
    ]
    write_offs = [line for invoice in year if not invoice.is_cancellation for line in invoice.lines if line.quantity < 0]
    assert len(write_offs) == 1_336
    assert {line.unit_price for line in write_offs} == {Decimal(0)}
    assert sum(line.unit_price == 0 for line in lines) == 2_515
    assert sum(len(invoice.lines) for invoice in year if invoice.customer is None) == 135_080
    assert {80_995, -80_995} <= {line.quantity for line in lines}
    doubles = Counter((invoice.number, invoice.customer, line) for invoice in year for line in invoice.lines)
    assert sum(count - 1 for count in doubles.values()) >= 5_268


def test_summer_time_is_london_s() -> None:
    """The table of summer times says what the zone database says, for every half hour the sample can hold."""
    try:
        london = ZoneInfo("Europe/London")
    except ZoneInfoNotFoundError:
        pytest.skip("no zone database on this machine")
    first = shop.FIRST_MINUTE
    for local in range(first, first + 380 * 86_400_000, 1_800_000):
        naive = datetime.fromtimestamp(local / 1000, UTC).replace(tzinfo=london)
        assert naive.timestamp() * 1000 == shop.to_utc(local), naive


def test_every_line_equals_the_source(year: list[shop.Invoice]) -> None:
    """Invoice by invoice, the sample holds what a query over the published table gives, in its order."""
    if not SOURCE.exists():
        pytest.skip("the source table is not on this machine")
    import duckdb

    rows = duckdb.execute(
        "select invoice_no, any_value(customer_id), any_value(country), min(invoice_ts), max(invoice_ts),"
        " any_value(is_cancellation), sum(quantity * unit_price),"
        " string_agg(concat_ws('|', stock_code, coalesce(description, '-'), quantity, unit_price), '/'"
        " order by invoice_ts, file_row_number)"
        " from read_parquet(?, file_row_number = true) group by 1",
        [str(SOURCE)],
    ).fetchall()
    found = {invoice.number: invoice for invoice in year}
    assert len(rows) == len(found)
    for number, customer, country, first, last, taken_back, value, text in rows:
        invoice = found[number]
        assert (customer, country, taken_back) == (invoice.customer, invoice.country, invoice.is_cancellation)
        assert value == invoice.value
        for moment, time in ((first, invoice.time), (last, invoice.last_time)):
            assert moment.replace(tzinfo=ZoneInfo("Europe/London")).timestamp() * 1000 == time
        assert text == "/".join(
            f"{line.stock_code}|{line.description or '-'}|{line.quantity}|{line.unit_price:.3f}" for line in invoice.lines
        )


def test_the_first_invoice_comes_at_once() -> None:
    """Reading streams: when the first invoice is out, only the catalogue and its own line have been read."""
    taken = 0

    def counted() -> Iterator[str]:
        nonlocal taken
        for row in (
            "online_retail\t1\t1\t2\n",
            "A\tTHING\n",
            "1\t0\t\tEIRE\t0 1 2.5\n",
            "2\t1\t7\tEIRE\t0 1\n",
        ):
            taken += 1
            yield row

    invoices = shop.read(counted())
    assert next(invoices).customer is None
    assert taken == 3
    assert next(invoices).value == Decimal("2.5")


def test_another_layout_is_refused() -> None:
    """A file in a layout this reader does not know is an error that says so, never wrong numbers."""
    with pytest.raises(ValueError, match="layout 2"):
        next(shop.read(iter(["online_retail\t2\t0\t0\n"])))


def test_the_otto_sessions_are_there() -> None:
    """The small second sample is 862 events of 20 visitors, ordered by time."""
    with resources.files(shop.__package__).joinpath("otto_sessions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["type"] for row in rows) == {"clicks": 800, "carts": 52, "orders": 10}
    assert len({row["session"] for row in rows}) == 20
    assert [int(row["ts_ms"]) for row in rows] == sorted(int(row["ts_ms"]) for row in rows)


def test_a_cancellation_takes_back_what_was_ordered(year: list[shop.Invoice]) -> None:
    """An order named by a cancellation is an earlier one of that customer with all it takes, and all together take no more."""
    links = shop.taken_back()
    known = {invoice.number: invoice for invoice in year}
    left: dict[str, Counter[tuple[str, Decimal]]] = {}
    for invoice in year:
        link = links.get(invoice.number)
        if link is None:
            continue
        order = known[link.order]
        assert invoice.is_cancellation
        assert shop.is_bought(order)
        assert order.customer == invoice.customer is not None
        assert 0 <= link.after == (invoice.time - order.time) // 60_000 * 60_000
        goods = left.setdefault(order.number, _goods(order))
        goods.update(_goods(invoice))
        assert min(goods.values()) >= 0 or min(_goods(order).values()) < 0
        assert link.whole == (not any(goods.values()))
        assert -invoice.value <= order.value
    assert len(links) == 1_998 <= sum(invoice.is_cancellation for invoice in year)
    assert sum(link.whole for link in links.values()) == 94


def _goods(invoice: shop.Invoice) -> Counter[tuple[str, Decimal]]:
    goods: Counter[tuple[str, Decimal]] = Counter()
    for line in invoice.lines:
        goods[line.stock_code, line.unit_price] += line.quantity
    return goods
