"""How pages write times, amounts and durations; the filters of the templates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from signalpost.iso import minor_units
from signalpost.store.report import Sent
from signalpost.store.story import Mark

TELLING = frozenset({"withheld", "refused", "unknown", "warned"})
"""Verdicts whose sentence is worth a line in a list."""

VERDICTS = {
    "accepted": "accepted",
    "warned": "warned",
    "waiting": "waiting",
    "withheld": "withheld",
    "refused": "refused",
    "unknown": "unknown",
}


def zone(name: str) -> ZoneInfo:
    """The workspace's zone; UTC where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def moment(at: int, place: ZoneInfo, *, exact: bool = False) -> str:
    """`21 Nov 14:03:22`, or exactly: `21 Nov 2026, 14:03:22.120 GMT`; `at` in epoch ms."""
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(place)
    day = f"{local.day} {local:%b}"
    return f"{day} {local:%Y, %H:%M:%S}.{at % 1000:03d} {local:%Z}" if exact else f"{day} {local:%H:%M:%S}"


def time_tag(at: int | None, place: ZoneInfo, *, exact: bool = False) -> Markup:
    """A `<time>` in the workspace's zone; a dash for none."""
    if at is None or not 0 < at < 253_402_300_799_000:
        return Markup("–")
    iso = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        iso, moment(at, place, exact=True), moment(at, place, exact=exact)
    )


def took(milliseconds: int | None) -> str:
    """A duration as people say it: `240 ms`, `1.2 s`, `3 min`, `5 h`, `2 days`."""
    if milliseconds is None:
        return "–"
    if milliseconds < 0:
        return f"−{took(-milliseconds)}"
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def number(value: int) -> str:
    """`12,345`."""
    return f"{value:,}"


def count(value: int, one: str, many: str | None = None) -> str:
    """`1 signal`, `12,345 signals`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def money(value: str | Decimal | None, currency: str | None) -> str:
    """`1,234.50 GBP`; a dash for none."""
    if value is None:
        return "–"
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return str(value)
    places = max(2, -int(amount.as_tuple().exponent)) if amount != amount.to_integral() else 2
    return f"{amount:,.{min(places, 6)}f} {currency or ''}".rstrip()


def share(part: int, whole: int) -> str:
    """`98.2 %`; never rounded up to 100, and a dash of nothing."""
    if whole == 0:
        return "–"
    tenths = part * 1000 // whole
    return f"{tenths // 10}.{tenths % 10} %" if tenths < 1000 else "100 %"


def total(value: Decimal, currency: str | None) -> str:
    """A sum for people: `1,234.50 GBP`, rounded to the currency's smallest coin. Single amounts are told exactly, by `money`."""
    return f"{value:,.{minor_units(currency)}f} {currency or ''}".rstrip()


def amounts(value: Mapping[str, Decimal]) -> str:
    """Sums in several currencies: `1,234.50 GBP and 20.00 EUR`; empty for none."""
    return " and ".join(total(amount, currency) for currency, amount in value.items())


def percent(part: Decimal | float | None) -> str:
    """`3.1 %` of a share from 0 to 1, rounded down so that nothing incomplete is 100 %; a dash for none."""
    if part is None:
        return "–"
    tenths = (Decimal(str(part)) * 1000).to_integral_value(ROUND_FLOOR)
    return f"{tenths / 10:.1f} %" if tenths % 10 else f"{tenths / 10:.0f} %"


def change(value: Decimal, before: Decimal) -> str:
    """`+12.1 %`, `−3.4 %`, `±0 %`; a dash where there is nothing to compare with."""
    if not before:
        return "–"
    moved = (value - before) / abs(before)
    if abs(moved) < Decimal("0.0005"):
        return "±0 %"
    shown = f"{abs(moved) * 100:,.1f}" if abs(moved) < 1 else f"{abs(moved) * 100:,.0f}"
    return f"{'+' if moved > 0 else '−'}{shown} %"


def pretty(value: object) -> Markup:
    """A JSON value over lines, escaped."""
    return escape(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


_CODE = re.compile(r"`([^`]+)`")


def prose(sentence: str) -> Markup:
    """A sentence, with what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(sentence))))  # noqa: S704  (escaped first)


def alike(marks: Sequence[Mark]) -> list[tuple[str, Mark]]:
    """Verdicts in a line each: platforms that said the same share one."""
    lines: dict[tuple[str, str], tuple[list[str], Mark]] = {}
    for mark in marks:
        said = (mark.verdict, mark.sentence if mark.verdict in TELLING else "")
        lines.setdefault(said, ([], mark))[0].append(mark.platform)
    return [(", ".join(platforms), mark) for platforms, mark in lines.values()]


def told_alike(sent: Sequence[Sent]) -> list[tuple[str, Sent]]:
    """What platforms were told of an order, in a line each: those of which the same is to be said share one."""
    lines: dict[tuple[object, ...], tuple[list[str], Sent]] = {}
    for each in sent:
        doubled = each.pixel.sentence if each.pixel.verdict == "will_double_count" else ""
        said = (each.verdict, each.sentence, str(each.value), each.currency, doubled)
        lines.setdefault(said, ([], each))[0].append(each.platform)
    return [(", ".join(platforms), each) for platforms, each in lines.values()]


def percentile(values: list[int], part: float) -> int | None:
    """The nearest-rank percentile; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, int(part * len(ordered) + 0.999999) - 1))]


def environment(place: ZoneInfo) -> Environment:
    """The templates, with the words that every page and the report write by; times in the workspace's zone."""
    made = Environment(
        loader=PackageLoader("signalpost.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        time=lambda at: time_tag(at, place),
        took=took,
        number=number,
        count=count,
        prose=prose,
        percent=percent,
        amounts=amounts,
        told_alike=told_alike,
    )
    made.globals.update(money=money, total=total, share=share)
    return made
