"""An export as it leaves: a stream of CSV, or a Parquet file written by DuckDB."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from signalpost import previews
from signalpost.store.exports import Cell, Column, Kind

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A text that begins so would be worked out by a spreadsheet; an apostrophe before it keeps it a text (OWASP, CSV injection)."""

TYPES: dict[Kind, str] = {"text": "VARCHAR", "integer": "BIGINT", "moment": "TIMESTAMP", "amount": "DECIMAL(38, 6)"}
"""What a column is in a Parquet file; moments in UTC."""


def parquet_possible() -> bool:
    """Whether DuckDB is installed."""
    return importlib.util.find_spec("duckdb") is not None


def harmless(text: str) -> str:
    """The text as no spreadsheet takes it for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def moment(at: int) -> str:
    """`2026-11-22T17:40:12.345Z`."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(column: Column, value: Cell) -> str:
    if value is None:
        return ""
    if column.kind == "moment" and isinstance(value, int):
        return moment(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return harmless(value) if isinstance(value, str) else str(value)


def lines(columns: Sequence[Column], pages: Iterable[Sequence[Sequence[Cell]]]) -> Iterator[bytes]:
    """The export as CSV (UTF-8, a header, moments in UTC), a piece for each page."""
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow([each.name for each in columns])
    for rows in pages:
        writer.writerows([_cell(column, value) for column, value in zip(columns, row, strict=True)] for row in rows)
        yield made.getvalue().encode()
        made.seek(0)
        made.truncate()
    if made.tell():
        yield made.getvalue().encode()


def write_parquet(columns: Sequence[Column], pages: Iterable[Sequence[Sequence[Cell]]], path: Path) -> None:
    """The export as a Parquet file at `path`, beside it for a while the same as JSON; blocking. Raises `SignalpostError` without
    DuckDB."""
    database = previews.opened()
    encode = msgspec.json.Encoder(decimal_format="number").encode
    told = path.with_suffix(".ndjson")
    try:
        with told.open("wb") as file:
            for rows in pages:
                for row in rows:
                    file.write(encode({column.name: _typed(column, value) for column, value in zip(columns, row, strict=True)}))
                    file.write(b"\n")
        said = ", ".join(f"'{each.name}': '{TYPES[each.kind]}'" for each in columns)
        database.execute(
            f"COPY (SELECT * FROM read_json(?, format = 'newline_delimited', columns = {{{said}}})) "  # noqa: S608  (our own names)
            f"TO '{str(path).replace(chr(39), chr(39) * 2)}' (FORMAT parquet, COMPRESSION zstd)",
            [str(told)],
        )
    finally:
        database.close()
        told.unlink(missing_ok=True)


def _typed(column: Column, value: Cell) -> Cell:
    return moment(value).removesuffix("Z") if column.kind == "moment" and isinstance(value, int) else value
