"""What a plan found, in the words and tables of its page."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from signalpost.config import Workspace
from signalpost.proposals.comparison import Cell, Comparison, Size
from signalpost.store import report
from signalpost.web.words import amounts, count

MOST = 4
"""Sentences of the headline about signals, and about people."""


class Sum(Struct, frozen=True, kw_only=True):
    """What one destination would be sent in one currency."""

    destination: str
    currency: str
    before: Decimal
    after: Decimal


class Tables(Struct, frozen=True, kw_only=True):
    """A comparison's rows as they are shown: what differs, and what stays."""

    differing: list[Cell]
    staying: list[Cell]
    sums: list[Sum]
    people: list[Size]
    people_staying: list[Size]


def drawn(found: Comparison, workspace: Workspace) -> Tables:
    """The tables of a comparison, the largest difference first."""
    sizes = (*found.segments, *found.audiences)
    return Tables(
        differing=sorted((each for each in found.cells if _differs(each)), key=lambda each: -abs(each.after - each.before)),
        staying=[each for each in found.cells if not _differs(each)],
        sums=_sums(found.cells, workspace),
        people=[each for each in sizes if each.before != each.after],
        people_staying=[each for each in sizes if each.before == each.after],
    )


def _differs(cell: Cell) -> bool:
    return cell.before != cell.after or cell.value_before != cell.value_after


def _sums(cells: Iterable[Cell], workspace: Workspace) -> list[Sum]:
    totals: dict[tuple[str, str], list[Decimal]] = {}
    for cell in cells:
        if cell.verdict != "sent":
            continue
        for place, values in enumerate((cell.value_before, cell.value_after)):
            for currency, value in values.items():
                totals.setdefault((cell.destination, currency), [Decimal(0), Decimal(0)])[place] += value
    return [
        Sum(destination=report.title(name, workspace), currency=currency, before=before, after=after)
        for (name, currency), (before, after) in totals.items()
        if before or after
    ]


def headline(found: Comparison, workspace: Workspace) -> list[str]:
    """What would change, in sentences for a marketer; one when nothing would."""
    if not found.events:
        return ["No event came in within this time, so there is nothing to compare. Choose a longer one."]
    if found.same:
        return ["Nothing would change: every signal, value, segment and audience of this time would be the same."]
    sent = [cell for cell in found.cells if cell.verdict == "sent" and _differs(cell)]
    sent.sort(key=lambda cell: (-_worth(cell), -abs(cell.after - cell.before)))
    said = [_sentence(cell, workspace) for cell in sent[:MOST]]
    if len(sent) > MOST:
        said.append(f"{count(len(sent) - MOST, 'more event')} would be sent otherwise; the table below has them all.")
    sizes = [each for each in (*found.segments, *found.audiences) if each.before != each.after]
    sizes.sort(key=lambda each: -abs((each.after or 0) - (each.before or 0)))
    said += [_size(each, workspace) for each in sizes[:MOST]]
    if not said:
        said.append(
            f"As many signals would be sent, worth as much; {count(found.examples_of, 'signal')} would carry other fields or be "
            "withheld for another reason."
        )
    return said


def _worth(cell: Cell) -> Decimal:
    currencies = cell.value_before.keys() | cell.value_after.keys()
    return sum(
        (abs(cell.value_after.get(one, Decimal(0)) - cell.value_before.get(one, Decimal(0))) for one in currencies), Decimal(0)
    )


def _sentence(cell: Cell, workspace: Workspace) -> str:
    title, moved = report.title(cell.destination, workspace), cell.after - cell.before
    value = {
        currency: abs(difference)
        for currency in sorted(cell.value_before.keys() | cell.value_after.keys())
        if (difference := cell.value_after.get(currency, Decimal(0)) - cell.value_before.get(currency, Decimal(0)))
    }
    worth = f" worth {amounts(value)}" if value else ""
    named = f"{count(abs(moved), 'signal')} of {cell.event}{worth}"
    if moved < 0:
        return f"{named} would no longer reach {title}."
    if moved > 0:
        return f"{named} would reach {title} that {'does' if moved == 1 else 'do'} not today."
    before, after = amounts(cell.value_before) or "nothing", amounts(cell.value_after) or "nothing"
    return f"{title} would be told {after} for {count(cell.after, 'signal')} of {cell.event}, not {before}."


def _size(each: Size, workspace: Workspace) -> str:
    what = (
        f"The audience {each.name} at {report.title(each.destination, workspace)}"
        if each.destination
        else f"The segment {each.name}"
    )
    if each.before is None:
        return f"{what} would be new, with {count(each.after or 0, 'person', 'people')}."
    if each.after is None:
        return f"{what} would be gone; it holds {count(each.before, 'person', 'people')}."
    return f"{what} would hold {count(each.after, 'person', 'people')}, not {each.before:,}."
