"""A condition as a value: what it asks of which path, for those who say it in another language than Python (`segments.sql`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from signalpost.conditions.operators import Kind


class Asks(Struct, frozen=True):
    """One question about one path."""

    path: str
    kind: Kind
    operator: str
    """A key of `OPERATORS`; of a switch always `eq`."""
    operands: tuple[Any, ...]
    """What it is compared with, as read: Decimal of amounts, counts and shares, epoch ms of moments, folded text of texts,
    `operands.Moment` where any value is compared with a date, a bool of `exists` and switches, (`gte`, ms) pairs of `age`,
    all of which must hold."""


class Every(Struct, frozen=True):
    """All of these."""

    parts: tuple[Expression, ...]


class Either(Struct, frozen=True):
    """At least one of these."""

    parts: tuple[Expression, ...]


class Neither(Struct, frozen=True):
    """None of these."""

    parts: tuple[Expression, ...]


Expression = Asks | Every | Either | Neither


def asks_of(expression: Expression) -> Iterator[Asks]:
    """Every question of a condition."""
    if isinstance(expression, Asks):
        yield expression
        return
    for part in expression.parts:
        yield from asks_of(part)
