"""What a value is compared with: read from the file as its path's kind wants it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from signalpost.conditions.operators import ORDERING, Kind
from signalpost.conditions.paths import Path
from signalpost.conditions.scalars import fold, moment_of
from signalpost.conditions.words import quoted
from signalpost.marked import Notes, Value
from signalpost.options import number, share


class Operand(Struct, frozen=True):
    """What a value is compared with: its reading, and how it is printed."""

    exact: Any
    words: str


class Moment(Struct, frozen=True):
    """A date where a number might be meant too."""

    at: int


def operands(key: str, known: Path, operator: str, value: Value, notes: Notes) -> list[Operand] | None:
    """The values of a list; None with its mistakes noted."""
    if value.kind != "list" or not value.items:
        hint = f": write `[{value.raw}]`" if value.kind == "scalar" else ""
        notes.at(value, f"`{value.path}` must be a list of values{hint}.")
        return None
    read = [operand(key, known, operator, item, notes) for item in value.items]
    return None if None in read else [one for one in read if one is not None]


def operand(key: str, known: Path, operator: str, value: Value, notes: Notes) -> Operand | None:
    """One value; None with its mistake noted."""
    if value.kind != "scalar":
        what = "is empty" if value.kind == "nothing" else f"must be one value, not a {value.kind}"
        notes.at(value, f"`{value.path}` {what}.")
        return None
    if value.text is None:
        return None
    if value.text.strip() == "":
        notes.at(value, f"`{value.path}` is empty; to ask whether there is any, write `exists: false`.")
        return None
    reader = _as_ordered if known.kind == "any" and operator in ORDERING else _READERS[known.kind]
    try:
        return reader(value.text)
    except ValueError as error:
        notes.at(value, f"`{key}` is compared with {error}, not with `{value.raw}`.")
        return None


def _as_number(text: str) -> Operand:
    exact = number(text)
    return Operand(exact, f"{exact:f}")


def _as_share(text: str) -> Operand:
    exact = share(text)
    return Operand(exact, f"{(exact * 100).normalize():f}%")


def _as_text(text: str) -> Operand:
    return Operand(fold(text), quoted(text.strip()))


def _as_moment(text: str) -> Operand:
    at = moment_of(text)
    if at is None:
        raise ValueError("a date such as `2026-11-27` or `2026-11-27T18:00:00Z`, or by `age`")
    return Operand(at, text.strip())


def _as_ordered(text: str) -> Operand:
    at = moment_of(text)
    if at is not None:
        return Operand(Moment(at), text.strip())
    try:
        return _as_number(text)
    except ValueError:
        raise ValueError("a number or a date such as `2026-11-27`") from None


_READERS: dict[Kind, Callable[[str], Operand]] = {
    "amount": _as_number,
    "count": _as_number,
    "share": _as_share,
    "text": _as_text,
    "texts": _as_text,
    "any": _as_text,
    "moment": _as_moment,
}
