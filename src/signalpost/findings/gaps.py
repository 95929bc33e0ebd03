"""What purchases lack: a value, a currency, an order id, a currency that the platform takes."""

from __future__ import annotations

from collections.abc import Iterator

from signalpost import gates
from signalpost.config import Workspace
from signalpost.findings.counts import examples, meant, pick, signals, widest, worth_of
from signalpost.findings.figures import LAST, PURCHASE, Figures
from signalpost.findings.finding import Finding, finding
from signalpost.findings.words import listed, many

INPUT = {
    "missing_value": "{part} of {whole} came without a value, and no platform learns from such a purchase",
    "missing_currency": "{part} of {whole} name no currency, or one that is none, and were withheld",
    "missing_order_id": "{part} of {whole} came without an order id: they cannot be told apart from repeats, and were withheld",
}
"""Reasons of the ledger that are findings by themselves, about purchases and other signals with a value."""


def incomplete(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Purchases without value, currency or order id, which are withheld."""
    for reason, words in INPUT.items():
        wrong = widest(pick(figures.day, verdicts={"withheld"}, reasons={reason}))
        if not wrong:
            continue
        named = {each.name for each in wrong}
        every = pick(figures.day, destination=wrong[0].destination)
        whole = signals(each for each in meant(every) if each.name in named)
        noun = "purchase" if named == {PURCHASE} else "signal"
        yield from finding(
            reason,
            "",
            signals(wrong),
            whole,
            f"{words.format(part=f'{signals(wrong):,}', whole=many(whole, noun)).capitalize()} ({LAST}).",
            gates.REASONS[reason].advice,
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {reason}),
        )


def unsupported_currency(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Amounts in a currency that a platform does not take and for which there is no rate."""
    for name in workspace.destinations:
        wrong = pick(figures.day, destination=name, verdicts={"withheld"}, reasons={"unsupported_currency"})
        if not wrong:
            continue
        codes = sorted({each.currency for each in wrong if each.currency})
        every = meant(pick(figures.day, destination=name))
        whole = signals(each for each in every if each.name in {one.name for one in wrong})
        yield from finding(
            "unsupported_currency",
            name,
            signals(wrong),
            whole,
            f"{name} does not take amounts in {listed(codes)}: {signals(wrong):,} of {whole:,} signals were withheld {LAST}.",
            f"Give under `rates` what one {codes[0] if codes else 'unit'} is worth in {workspace.currency}, and keep it fresh.",
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {"unsupported_currency"}, name),
        )
