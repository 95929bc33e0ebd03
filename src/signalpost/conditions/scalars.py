"""JSON values as what they are compared as: folded text, exact numbers, moments. No value makes this raise."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

LONGEST_NUMBER = 60
"""Characters of a number that a source sends as text."""

LONGEST_INTEGER = 200
"""Bits of a whole number in JSON; one of five thousand digits is nobody's property, and Python does not write it out."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]{5,15}(Z|[+-][0-9:]{4,6})?)?")

_SECONDS_BELOW = Decimal(10**11)
"""A number below this is a time in seconds (until the year 5138), as Customer.io writes traits; above, in milliseconds."""


def fold(text: str) -> str:
    """Text as it is compared: without regard to case and outer spaces."""
    return text.strip().casefold()


def text_of(value: Any) -> str | None:
    """A JSON scalar as folded text."""
    if isinstance(value, str):
        return fold(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= LONGEST_INTEGER else None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return None


def number_of(value: Any) -> Decimal | None:
    """The exact number of a JSON number or of plain decimal text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return None
    if isinstance(value, str) and len(value) > LONGEST_NUMBER:
        return None
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return None
    try:
        exact = (
            Decimal(value.strip())
            if isinstance(value, str)
            else Decimal(repr(value))
            if isinstance(value, float)
            else Decimal(value)
        )
    except InvalidOperation:
        return None
    return exact if exact.is_finite() else None


def moment_of(value: Any) -> int | None:
    """Epoch ms of an ISO 8601 text (UTC where it names no zone) or of a number; None for anything else."""
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        try:
            moment = datetime.fromisoformat(value.strip())
            at = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            return round(at.timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    exact = None if isinstance(value, str) else number_of(value)
    if exact is None or abs(exact) > 10**14:
        return None
    return int(exact * 1000) if abs(exact) < _SECONDS_BELOW else int(exact)
