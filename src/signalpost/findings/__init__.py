"""Everything wrong or doubtful, decided from figures: one table of kinds, one table of rules.

A rule is a function of `Figures` and the workspace that gives findings. What a finding is called, which page tells of it and how
much there must be before anybody is told stands in `KINDS`, so that a shop with three orders a day is not shouted at for one.
`store/findings.py` gathers the figures and keeps the findings, opened and closed by themselves.

    kinds     the table of kinds: title, page, and how much is a warning or a problem
    words     shares, sums, counts and spans of time for people
    finding   one finding
    figures   what the rules look at
    counts    counted signals: chosen, added up, valued

The rules, one file for each part of the table:

    values    one order, one value: gross and net mixed, values that differ
    gaps      purchases without value, currency or order id
    repeats   what is told twice
    times     what is told too late, too early or is held
    keys      match keys that went missing
    answers   what the platforms answer
    junk      what should not leave
    intent    what drowns the purchases
    arrivals  what never arrives
    audiences what keeps audiences from being what they should be
    suppression  how surely and how soon buyers are kept from ads
    guards    what the workspace file alone tells of segments, audiences and journeys
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from signalpost.config import Workspace
from signalpost.findings import (
    answers,
    arrivals,
    audiences,
    gaps,
    guards,
    intent,
    junk,
    keys,
    repeats,
    suppression,
    times,
    values,
)
from signalpost.findings.counts import TAKEN, mapped, meant, pick, signals, widest
from signalpost.findings.figures import DAYS, PURCHASE, Building, Count, Figures, Notice, Purchase, Rest, Sample, Synced, Told
from signalpost.findings.finding import EXAMPLES, Finding, rank
from signalpost.findings.kinds import KINDS, SEVERITIES, Kind, Severity, severity_of
from signalpost.findings.repeats import predicted
from signalpost.findings.words import DAY, HOUR, listed, many, money, percent, span

__all__ = [
    "DAY",
    "DAYS",
    "EXAMPLES",
    "HOUR",
    "KINDS",
    "PURCHASE",
    "RULES",
    "SEVERITIES",
    "TAKEN",
    "Building",
    "Count",
    "Figures",
    "Finding",
    "Kind",
    "Notice",
    "Purchase",
    "Rest",
    "Rule",
    "Sample",
    "Severity",
    "Synced",
    "Told",
    "find",
    "listed",
    "many",
    "mapped",
    "meant",
    "money",
    "percent",
    "pick",
    "predicted",
    "rank",
    "severity_of",
    "signals",
    "span",
    "widest",
]

Rule = Callable[[Figures, Workspace], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    values.mixed_source,
    values.mixed_order,
    values.value_differs,
    values.told_differently,
    gaps.incomplete,
    gaps.unsupported_currency,
    repeats.repeated,
    repeats.rival_sources,
    repeats.rival_events,
    repeats.double_sending,
    times.late,
    times.counted_offline,
    times.untimely,
    times.hold_cost,
    keys.keys_dropped,
    keys.nobody,
    answers.answers,
    answers.resting,
    junk.test_events,
    junk.junk_orders,
    junk.observed,
    junk.gone_back,
    intent.low_intent,
    intent.rollout_held,
    arrivals.never_seen,
    arrivals.unmapped_purchases,
    arrivals.unreadable,
    suppression.slow,
    suppression.overlap,
    audiences.stopped,
    audiences.pending,
    audiences.too_small,
    audiences.jumped,
    audiences.nameless,
    audiences.unused,
    audiences.unremembered,
    guards.guarded,
)


def find(figures: Figures, workspace: Workspace) -> list[Finding]:
    """Everything wrong or doubtful, the worst first."""
    found = {finding.key: finding for rule in RULES for finding in rule(figures, workspace)}
    return sorted(found.values(), key=rank)
