"""Counted signals: chosen, added up, valued, with examples."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import TypeVar

from signalpost.config import Destination, Workspace
from signalpost.destinations import CATALOG
from signalpost.findings.figures import Count, Figures, Notice
from signalpost.findings.words import listed
from signalpost.iso import minor_units

Evidence = TypeVar("Evidence")

TAKEN = frozenset({"accepted", "warned"})
"""Verdicts by which a platform has a signal."""

ASIDE = frozenset({"not_mapped", "paused", "other_source", "not_yet_rolled_out"})
"""Reasons by which the workspace itself leaves signals out."""

REPEATED = frozenset({"duplicate_message", "duplicate_order", "repeat"})
"""Reasons by which a signal is one that was counted already."""


def pick(
    counts: Iterable[Count],
    *,
    destination: str | None = None,
    name: str | None = None,
    verdicts: Collection[str] = (),
    reasons: Collection[str] = (),
) -> list[Count]:
    """The counts that meet all that is given."""
    return [
        each
        for each in counts
        if (destination is None or each.destination == destination)
        and (name is None or each.name == name)
        and (not verdicts or each.verdict in verdicts)
        and (not reasons or each.reason in reasons)
    ]


def meant(counts: Iterable[Count]) -> list[Count]:
    """Those that were meant to leave: neither left out by the workspace itself nor repeats."""
    return [each for each in counts if each.reason not in ASIDE | REPEATED]


def signals(counts: Iterable[Count]) -> int:
    """How many they are together."""
    return sum(each.signals for each in counts)


def worth(amounts: Iterable[tuple[str | None, Decimal]], workspace: Workspace) -> tuple[Decimal, str] | None:
    """Amounts together: in the workspace's currency as far as rates are known, else in that with most; None for nothing."""
    exact: dict[str, Decimal] = {}
    for currency, amount in amounts:
        rate = Decimal(workspace.rates[currency]) if currency and currency in workspace.rates else None
        code = workspace.currency if rate is not None or not currency else currency
        exact[code] = exact.get(code, Decimal(0)) + amount * (rate or 1)
    if not any(exact.values()):
        return None
    code = workspace.currency if exact.get(workspace.currency) else max(exact, key=lambda each: (abs(exact[each]), each))
    return exact[code].quantize(Decimal(1).scaleb(-minor_units(code))), code


def worth_of(counts: Iterable[Count | Notice], workspace: Workspace) -> tuple[Decimal, str] | None:
    """The value of counted signals."""
    return worth(((each.currency, Decimal(each.micros) / 1_000_000) for each in counts), workspace)


def widest(counts: Iterable[Count]) -> list[Count]:
    """Those of the destination that has most: what a source does wrong is counted once a destination."""
    by: dict[str, list[Count]] = {}
    for each in counts:
        by.setdefault(each.destination, []).append(each)
    return max(by.values(), key=signals, default=[])


def worst(told: Iterable[tuple[str, int, int, Evidence]]) -> tuple[str, int, int, Evidence] | None:
    """Of (destination, part, whole, evidence) that with most, all affected destinations named; None where there is nothing.

    What an order or a source does is one finding, whichever platforms hear of it.
    """
    affected = [each for each in told if each[1]]
    if not affected:
        return None
    _, part, whole, evidence = max(affected, key=lambda each: (each[1], each[0]))
    return listed(name for name, *_ in affected), part, whole, evidence


def examples(figures: Figures, verdict: str, reasons: Collection[str], destination: str | None = None) -> list[int]:
    """Newest events of such a verdict."""
    found = [
        event
        for (where, was, why), sample in figures.samples.items()
        if was == verdict and why in reasons and destination in {None, where}
        for event in sample.events
    ]
    return sorted(set(found), reverse=True)


def mapped(chosen: Destination) -> Mapping[str, str]:
    """Canonical event -> platform event."""
    return CATALOG[chosen.type].events if chosen.events == "standard" else chosen.events
