"""The exported history: its tables, and how a value is read into them.

Times are epoch ms. Texts are folded as conditions compare them, numbers exact to nine decimals, so that a database only has to
compare. What changes (an order, a trait) has a row for each state, which holds from `since` until before `until`.
docs/reference/warehouse.md is made of this table.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import lru_cache
from typing import Any

import sqlglot
from msgspec import Struct

from signalpost.conditions.scalars import moment_of, number_of, text_of

PLACES = 9
"""Decimals of an exported number."""

LARGEST = Decimal(10) ** 29 - Decimal("0.000000001")
"""What is larger counts as this: a column has 38 digits."""

_STEP = Decimal(1).scaleb(-PLACES)

NUMBER = f"DECIMAL(38, {PLACES})"


class Column(Struct, frozen=True):
    """One column: its type in DuckDB's words, and what it holds."""

    type: str
    doc: str
    nullable: bool = False


_READING: dict[str, Column] = {
    "place": Column("BIGINT", "0: the value itself; 1 and on: one of a list."),
    "text": Column("TEXT", "The value as text, without regard to case and outer spaces.", nullable=True),
    "number": Column(NUMBER, "The value where it is a number, or a text that is one.", nullable=True),
    "moment": Column("BIGINT", "The value where it is a time.", nullable=True),
}
"""What a value is to a condition (`readings`)."""

TABLES: dict[str, dict[str, Column]] = {
    "events": {
        "id": Column("BIGINT", "The event's number."),
        "person": Column("BIGINT", "Whose it is, people who turned out to be one already joined."),
        "name": Column("TEXT", "The canonical name, or the shop's own where there is none."),
        "kind": Column("TEXT", "`track`, `page`, `screen`, `engagement`, `identify`."),
        "time": Column("BIGINT", "When it happened, as the source said."),
        "received_at": Column("BIGINT", "When it came in: before that nobody knew of it."),
        "happened_at": Column("BIGINT", "The earlier of the two: what rules count by."),
        "order_id": Column("TEXT", "The shop's order id.", nullable=True),
        "order_value": Column(NUMBER, "`order.value`: what it is worth, as `order_value` of the workspace says.", nullable=True),
        "order_total": Column(NUMBER, "`order.total`.", nullable=True),
        "order_subtotal": Column(NUMBER, "`order.subtotal`.", nullable=True),
        "order_tax": Column(NUMBER, "`order.tax`.", nullable=True),
        "order_shipping": Column(NUMBER, "`order.shipping`.", nullable=True),
        "order_discount": Column(NUMBER, "`order.discount`.", nullable=True),
        "order_discount_share": Column(NUMBER, "`order.discount_share`, from 0 to 1.", nullable=True),
        "order_coupons": Column("BIGINT", "`order.coupons`: how many coupon codes."),
        "order_items": Column("BIGINT", "`order.items`: how many lines."),
        "order_quantity": Column("BIGINT", "`order.quantity`: how many pieces."),
        "order_test": Column("BOOLEAN", "`order.test`."),
        "bot": Column("BOOLEAN", "`event.bot`."),
    },
    "event_values": {
        "event": Column("BIGINT", "The event's number."),
        "path": Column("TEXT", "As a condition names it: `event.properties.gift_note`, `order.coupon`."),
        **_READING,
    },
    "people": {
        "id": Column("BIGINT", "The person's number."),
        "created_at": Column("BIGINT", "When they were first seen."),
        "known_at": Column("BIGINT", "When the first event of theirs came in: before that they are in no segment."),
        "email_known": Column("BOOLEAN", "`person.email`: whether one is known."),
        "phone_known": Column("BOOLEAN", "`person.phone`: whether one is known."),
        "user_id_known": Column("BOOLEAN", "`person.user_id`: whether one is known."),
    },
    "person_values": {
        "person": Column("BIGINT", "The person's number."),
        "path": Column("TEXT", "As a condition names it: `person.traits.plan`, `person.tags`, `person.email_domain`."),
        **_READING,
        "since": Column("BIGINT", "When it was heard."),
        "until": Column("BIGINT", "When another one was heard; 4611686018427387904: it still holds."),
    },
    "orders": {
        "key": Column("TEXT", "The shop's order id, or `id~event` where the shop gave it to two orders."),
        "person": Column("BIGINT", "Who bought."),
        "time": Column("BIGINT", "When, as the source that counts said."),
        "value": Column(NUMBER, "What it is worth, in the workspace's currency.", nullable=True),
        "refunded": Column(NUMBER, "Of that, what went back."),
        "discount": Column(NUMBER, "What was taken off."),
        "list_value": Column(NUMBER, "The goods before the discount."),
        "cancelled": Column("BOOLEAN", "Whether it was called off."),
        "paid_back": Column("BOOLEAN", "Whether any money went back."),
        "since": Column("BIGINT", "Since when it stood so."),
        "until": Column("BIGINT", "When it changed; 4611686018427387904: it still stands so."),
    },
}
"""Table -> its columns."""


def creation(table: str, dialect: str = "duckdb") -> str:
    """The statement that makes a table, in a dialect of sqlglot."""
    columns = ", ".join(f"{name} {column.type}{'' if column.nullable else ' NOT NULL'}" for name, column in TABLES[table].items())
    return sqlglot.transpile(f"CREATE TABLE {table} ({columns})", read="duckdb", write=dialect)[0]


def number(value: Decimal | int | None) -> Decimal | None:
    """A number as a column has it."""
    if value is None:
        return None
    with localcontext(prec=100):
        return min(max(Decimal(value), -LARGEST), LARGEST).quantize(_STEP, ROUND_HALF_EVEN)


Reading = tuple[int, str | None, Decimal | None, int | None]
"""(place, text, number, moment) of a value."""


def readings(value: Any) -> Iterator[Reading]:
    """What a value is to a condition: itself, or each of a list. Nothing for what is not there."""
    if value is None or value in ("", [], {}):
        return
    if isinstance(value, (list, tuple)):
        for place, each in enumerate(value, 1):
            yield _read(place, each)
    elif isinstance(value, dict):
        yield 0, None, None, None
    else:
        yield _read(0, value)


def _read(place: int, value: Any) -> Reading:
    if isinstance(value, (dict, list, tuple)):
        return place, None, None, None
    return place, *_scalar(value)


@lru_cache(maxsize=65_536, typed=True)
def _scalar(value: Any) -> tuple[str | None, Decimal | None, int | None]:
    """The three readings of a value: a shop has some thousand products and cities and writes them in every event."""
    return text_of(value), number(number_of(value)), moment_of(value)


def flattened(root: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every (path, value) below an object, as conditions dig: a name with a dot in it cannot be asked for."""
    for name, each in value.items():
        if not name or "." in name:
            continue
        path = f"{root}.{name}"
        yield path, each
        if isinstance(each, dict):
            yield from flattened(path, each)
