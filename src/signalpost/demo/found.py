"""Findings as a table: the worst first, and of each kind only as many as say something new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from signalpost import findings
from signalpost.findings import Finding

OF_A_KIND = 2
"""So many of a kind are told whole; of the others only what they are about."""


def table(found: Sequence[Finding], most: int | None = None) -> Table:
    """The findings, `most` lines of them at most."""
    drawn = Table(title=f"{len(found)} findings: what is wrong or doubtful", expand=False)
    drawn.add_column("")
    drawn.add_column("what")
    drawn.add_column("at stake", justify="right")
    for severity, sentence, at_stake in list(_lines(found))[:most]:
        drawn.add_row(Text(severity, style="bold red" if severity == "problem" else "yellow"), sentence, at_stake)
    return drawn


def _lines(found: Sequence[Finding]) -> Iterator[tuple[str, str, str]]:
    many = Counter((each.severity, each.kind) for each in found)
    told: Counter[tuple[str, str]] = Counter()
    for each in found:
        which = each.severity, each.kind
        told[which] += 1
        if told[which] <= OF_A_KIND or many[which] == OF_A_KIND + 1:
            at_stake = "" if each.money is None else findings.money(each.money, each.currency)
            yield each.severity, each.sentence, at_stake
        elif told[which] == OF_A_KIND + 1:
            rest = [one.subject for one in found if (one.severity, one.kind) == which][OF_A_KIND:]
            yield each.severity, f"{each.title}, {len(rest)} more: {', '.join(rest)}.", ""
