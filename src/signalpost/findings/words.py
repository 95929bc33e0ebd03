"""Shares, sums, counts and spans of time for people."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from signalpost.iso import minor_units

HOUR, DAY = 3_600_000, 86_400_000


def percent(part: int, whole: int) -> str:
    """A share for people: `0.4 %`, `12 %`."""
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if share < 10 else f"{share:.0f} %"


def many(number: int, noun: str) -> str:
    """`1 order`, `2,300 orders`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def money(amount: Decimal, currency: str | None) -> str:
    """`1,204.50 EUR`, `1,204 JPY`; digits beyond the currency's own are kept."""
    whole, _, cents = f"{amount:,f}".partition(".")
    cents = cents.rstrip("0").ljust(minor_units(currency), "0")
    return f"{whole}{'.' if cents else ''}{cents} {currency or ''}".strip()


def listed(words: Iterable[str], most: int = 4) -> str:
    """`a, b and c`; of many the first and how many more."""
    every = list(words)
    if len(every) > most:
        every = [*every[: most - 1], f"{len(every) - most + 1} more"]
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} and {every[-1]}" if every else ""


def span(milliseconds: int) -> str:
    """A time for people, in its largest unit: `3 days`, `2 hours`, `40 seconds`."""
    if milliseconds < 1000:
        return "less than a second"
    for unit, size in (("day", DAY), ("hour", HOUR), ("minute", 60_000)):
        if milliseconds >= 2 * size or milliseconds == size:
            return many(round(milliseconds / size), unit)
    return many(round(milliseconds / 1000), "second")
