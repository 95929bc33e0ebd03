"""A year of one real web shop: how its invoices are read from the sample file, quirks kept.

The data is UCI *Online Retail* (Daqing Chen, 2015, doi:10.24432/C5BW33, CC BY 4.0): every invoice and every
cancellation from 2010-12-01 to 2011-12-09, 25,900 documents with 541,909 lines. Nothing is dropped or
corrected: 5,268 lines occur twice, 43 invoices carry two times, prices are zero or negative, stock is
written off.

The file is text in xz. Its first line is `online_retail TAB layout TAB products TAB invoices`; then one
line a product, `code TAB description`; then one line an invoice, by time:

    number TAB minutes since the invoice before TAB customer TAB country TAB lines

Lines are `product quantity [price]`, joined by commas, with the product's place in the list above; a line
without price has the price that product had last. The minutes may be followed by ` later first`: from line
`first` on, the time is `later` minutes later.
"""

from __future__ import annotations

import csv
import io
import lzma
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from importlib import resources

import msgspec

CURRENCY = "GBP"
FIRST_MINUTE = 1_291_161_600_000
"""2010-12-01 00:00 as epoch milliseconds, the zero of the file's minutes (London is on UTC then)."""

SUMMER = ((1_301_191_200_000, 1_319_940_000_000),)
"""Summer times in the file's span, in London's own clock: 2011-03-27 02:00 to 2011-10-30 02:00.

A table, because `zoneinfo` finds no zones on a machine without tzdata; a test compares it with zoneinfo.
The repeated hour on 2011-10-30 is read as summer time; the shop wrote no invoice in it.
"""

SHIPPING = frozenset({"POST", "DOT", "C2"})
"""Stock codes that are postage and carriage."""
DISCOUNT = frozenset({"D"})
"""Stock codes that are a discount; in this data they occur on cancellation documents only."""
BOOKKEEPING = frozenset({"AMAZONFEE", "B", "BANK CHARGES", "CRUK", "M", "PADS", "S", "m"})
"""Stock codes that are neither goods nor postage: fees, bad debt, commissions, manual entries, samples."""

NO_GOODS = BOOKKEEPING | SHIPPING | DISCOUNT

_MINUTE = 60_000
_HOUR = 3_600_000


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of an invoice; `quantity * unit_price` is its value in GBP."""

    stock_code: str
    description: str | None
    quantity: int
    unit_price: Decimal


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """One document of the shop: an order, a cancellation (`C...`), or a bookkeeping entry (`A...`)."""

    number: str
    time: int
    """Epoch milliseconds UTC of the first line; the shop wrote minutes in London's clock."""
    last_time: int
    """The same for the last line: later by some minutes for 43 invoices, else equal to `time`."""
    customer: int | None
    """The shop's customer number; None for a guest."""
    country: str
    """As the shop wrote it: 'EIRE', 'Channel Islands', 'Unspecified', 'European Community' are among them."""
    lines: tuple[Line, ...]
    """In the shop's order, exact duplicates kept."""

    @property
    def is_cancellation(self) -> bool:
        """Whether the document takes something back. It does not say which order."""
        return self.number.startswith("C")

    @property
    def value(self) -> Decimal:
        """The exact sum of its lines in GBP, postage included; negative for a cancellation."""
        return sum((line.quantity * line.unit_price for line in self.lines), Decimal(0))


class TakenBack(msgspec.Struct, frozen=True, gc=False):
    """What a cancellation takes back."""

    order: str
    """The order's number."""
    whole: bool
    """Whether nothing of the order is left after it."""
    after: int
    """Milliseconds between the order and its cancellation."""


def is_bought(invoice: Invoice) -> bool:
    """Whether somebody bought something: goods in it, and money or a known customer behind it."""
    goods = any(line.quantity > 0 and line.stock_code not in NO_GOODS for line in invoice.lines)
    return goods and invoice.number.isdigit() and (invoice.customer is not None or invoice.value > 0)


def to_utc(local: int) -> int:
    """Epoch milliseconds of London's clock -> epoch milliseconds UTC, for times in the sample's span."""
    return local - _HOUR if any(begin <= local < end for begin, end in SUMMER) else local


def invoices() -> Iterator[Invoice]:
    """Yield the year's 25,900 invoices by time, reading the file as they are asked for."""
    sample = resources.files(__package__).joinpath("online_retail.txt.xz")
    with (
        sample.open("rb") as packed,
        lzma.open(packed) as raw,
        io.TextIOWrapper(raw, "utf-8", newline="\n") as text,
    ):
        yield from read(text)


@lru_cache(maxsize=1)
def taken_back() -> dict[str, TakenBack]:
    """Number of a cancellation -> what it takes back, for those whose order is known."""
    with resources.files(__package__).joinpath("online_retail_taken_back.csv").open("r", encoding="utf-8") as text:
        return {
            row["credit_note"]: TakenBack(row["order"], row["taken_back"] == "whole", int(row["minutes_after"]) * _MINUTE)
            for row in csv.DictReader(text)
        }


def read(text: Iterator[str]) -> Iterator[Invoice]:
    """Yield the invoices in the lines of a sample file's text; ValueError when its layout is another one."""
    name, layout, products, _ = next(text).rstrip("\n").split("\t")
    if (name, layout) != ("online_retail", "1"):
        raise ValueError(f"the sample is {name} in layout {layout}; this reader knows online_retail in layout 1")
    catalogue: list[tuple[str, str | None]] = []
    for _ in range(int(products)):
        code, description = next(text).rstrip("\n").split("\t")
        catalogue.append((code, description or None))
    prices: dict[str, Decimal] = {}
    last_price = [Decimal(0)] * len(catalogue)
    minute = 0
    for row in text:
        number, moment, customer, country, words = row.rstrip("\n").split("\t")
        step, *later = moment.split(" ")
        minute += int(step)
        time = to_utc(FIRST_MINUTE + minute * _MINUTE)
        lines = []
        for word in words.split(","):
            place_text, quantity, *given = word.split(" ")
            place = int(place_text)
            if given:
                price_text = given[0]
                price = prices.get(price_text)
                if price is None:
                    price = prices[price_text] = Decimal(price_text)
                last_price[place] = price
            lines.append(Line(*catalogue[place], int(quantity), last_price[place]))
        yield Invoice(
            number=number,
            time=time,
            last_time=time + int(later[0]) * _MINUTE if later else time,
            customer=int(customer) if customer else None,
            country=country,
            lines=tuple(lines),
        )
