"""Build the sample data in `src/signalpost/samples/` from the published data sets.

    python scripts/make_samples.py ONLINE_RETAIL.parquet OTTO_SESSIONS.parquet [--into FOLDER]

The inputs are the two CC BY 4.0 data sets named in `src/signalpost/samples/README.md`, as Parquet. Needs
`duckdb` and the installed `signalpost`. The output is the same byte for byte on every run with the same xz library.
"""

from __future__ import annotations

import argparse
import csv
import lzma
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb

from signalpost.samples import shop

SAMPLES = Path(__file__).resolve().parent.parent / "src" / "signalpost" / "samples"
EPOCH = datetime(2010, 12, 1)  # noqa: DTZ001 - the shop's wall clock, on purpose without a zone

Product = tuple[str, str]
Line = tuple[Product, int, Decimal]


class Order:
    """One invoice while it is being collected: its head, its lines, and where its second minute starts."""

    def __init__(self, number: str, minute: int, customer: int | None, country: str) -> None:
        self.number = number
        self.minute = minute
        self.customer = customer
        self.country = country
        self.lines: list[Line] = []
        self.later: tuple[int, int] | None = None  # (minutes later, first line with that time)

    def add(self, line: Line, minute: int) -> None:
        """Append one line; remember where the clock ticked on while the invoice was written."""
        shift = minute - self.minute
        if self.later is None and shift:
            self.later = (shift, len(self.lines))
        if shift != (self.later[0] if self.later else 0):
            sys.exit(f"invoice {self.number} has more than two times; the layout has no place for that")
        self.lines.append(line)


def collect(source: Path) -> list[Order]:
    """Read the Parquet file whole: invoices by time of their first line, lines in file order."""
    rows = duckdb.execute(
        "select invoice_no, stock_code, coalesce(description, ''), quantity, invoice_ts, unit_price,"
        " customer_id, country from read_parquet(?, file_row_number = true)"
        " order by invoice_ts, file_row_number",
        [str(source)],
    )
    orders: dict[str, Order] = {}
    while batch := rows.fetchmany(20_000):
        for number, code, description, quantity, moment, price, customer, country in batch:
            minute = int((moment - EPOCH).total_seconds()) // 60
            order = orders.get(number)
            if order is None:
                order = orders[number] = Order(number, minute, customer, country)
            order.add(((code, description), quantity, price), minute)
    return list(orders.values())


def plain(price: Decimal) -> str:
    """`Decimal('4.250')` as `4.25`: no exponent, no trailing zeros."""
    text = format(price, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def layout(orders: list[Order]) -> Iterator[str]:
    """The text inside the xz file, line by line; `shop.py` describes it."""
    counted = Counter(product for order in orders for product, _, _ in order.lines)
    products = sorted(counted, key=lambda product: (-counted[product], product))
    place = {product: str(number) for number, product in enumerate(products)}
    yield f"online_retail\t1\t{len(products)}\t{len(orders)}"
    for code, description in products:
        if {"\t", "\n", "\r"} & set(code + description):
            sys.exit(f"product {code!r} {description!r} holds a separator")
        yield f"{code}\t{description}"
    last_minute, last_price = 0, dict.fromkeys(products, "")
    for order in orders:
        lines = []
        for product, quantity, price in order.lines:
            text = plain(price)
            word = f"{place[product]} {quantity}"
            if text != last_price[product]:
                word += f" {text}"
                last_price[product] = text
            lines.append(word)
        minute = str(order.minute - last_minute)
        last_minute = order.minute
        if order.later:
            minute += f" {order.later[0]} {order.later[1]}"
        customer = "" if order.customer is None else str(order.customer)
        yield "\t".join((order.number, minute, customer, order.country, ",".join(lines)))


def write_orders(lines: list[str], target: Path) -> None:
    """Write the whole year as one xz file."""
    text = "\n".join(lines) + "\n"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0}]
    target.write_bytes(lzma.compress(text.encode(), check=lzma.CHECK_CRC64, filters=filters))
    print(f"{target.name}: {len(text):,} characters, {target.stat().st_size:,} bytes")


def taken_back(year: Iterable[shop.Invoice]) -> Iterator[tuple[str, str, str, int]]:
    """Which order each cancellation takes back, where that can be known: (credit note, order, whole or part, minutes since).

    The data names no order. One is known where exactly one earlier order of the same customer still has every product of the
    cancellation, at its price, in at least its quantity; what earlier cancellations took from an order is no longer in it.
    """
    of_customer: dict[int, list[tuple[shop.Invoice, Counter[tuple[str, Decimal]]]]] = defaultdict(list)
    for invoice in year:
        if invoice.customer is None:
            continue
        goods: Counter[tuple[str, Decimal]] = Counter()
        for line in invoice.lines:
            goods[line.stock_code, line.unit_price] += line.quantity
        if not invoice.is_cancellation:
            if shop.is_bought(invoice):
                of_customer[invoice.customer].append((invoice, goods))
            continue
        able = [
            (order, left)
            for order, left in of_customer[invoice.customer]
            if all(left[product] >= -quantity for product, quantity in goods.items())
        ]
        if len(able) == 1:
            order, left = able[0]
            left.update(goods)
            whole = "part" if any(left.values()) else "whole"
            yield invoice.number, order.number, whole, (invoice.time - order.time) // 60_000


def write_taken_back(lines: list[str], target: Path) -> None:
    """Write which cancellation takes back which order, as plain CSV."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("credit_note", "order", "taken_back", "minutes_after"))
        rows = list(taken_back(shop.read(iter(lines))))
        writer.writerows(rows)
    print(f"{target.name}: {len(rows):,} cancellations with their order")


def write_sessions(source: Path, target: Path) -> None:
    """Write the OTTO sessions as plain CSV, ordered by time."""
    rows = duckdb.execute(
        "select session, ts_ms, type, aid from read_parquet(?, file_row_number = true) order by 2, file_row_number",
        [str(source)],
    ).fetchall()
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("session", "ts_ms", "type", "aid"))
        writer.writerows(rows)
    print(f"{target.name}: {len(rows):,} rows, {target.stat().st_size:,} bytes")


def main() -> None:
    """Read the arguments and write both samples."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("online_retail", type=Path)
    arguments.add_argument("otto_sessions", type=Path)
    arguments.add_argument("--into", type=Path, default=SAMPLES)
    given = arguments.parse_args()
    lines = list(layout(collect(given.online_retail)))
    write_orders(lines, given.into / "online_retail.txt.xz")
    write_taken_back(lines, given.into / "online_retail_taken_back.csv")
    write_sessions(given.otto_sessions, given.into / "otto_sessions.csv")


if __name__ == "__main__":
    main()
