"""What is told too late, too early or is held: sources, clocks, holds, Pinterest's hour."""

from __future__ import annotations

from collections.abc import Iterator

from signalpost import clocks, gates
from signalpost.config import Workspace, duration
from signalpost.findings.counts import examples, meant, pick, signals, worst, worth_of
from signalpost.findings.figures import LAST, LATELY, Figures
from signalpost.findings.finding import Finding, finding
from signalpost.findings.words import HOUR, percent, span

OFFLINE = "pinterest"
"""The type of destination that files what comes later than an hour as offline (Pinterest's help on its Conversions API)."""

LONG_HOLD = HOUR
"""A hold as long as this makes Pinterest count the purchase as offline."""

STOPPED = frozenset({"refunded_before_sending", "cancelled_before_sending", "flagged_before_sending"})
"""Reasons by which a hold kept a signal back for good."""


def late(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Sources that tell an hour late and more, sources whose clock runs ahead."""
    for source in workspace.sources:
        histogram = figures.clocks.get(("source", source), {})
        whole = sum(histogram.values())
        if not whole:
            continue
        part = clocks.at_least(histogram, HOUR)
        yield from finding(
            "late_source",
            source,
            part,
            whole,
            f"{percent(part, whole)} of what {source} told {LAST} came an hour or more after it happened (half of all within "
            f"{span(clocks.quantile(histogram, 0.5))}, 19 of 20 within {span(clocks.quantile(histogram, 0.95))}).",
            "Send events as they happen instead of in batches; what is learned late no longer steers the bids of the hour.",
        )
        part = clocks.ahead(histogram, 60_000)
        yield from finding(
            "clock_skew",
            source,
            part,
            whole,
            f"{percent(part, whole)} of what {source} told {LAST} happened more than a minute after it came in: its clock runs "
            "ahead, or its time zone is wrong.",
            "Set the clock of the system that sends it by a time server, and send times in UTC (with Z).",
        )


def counted_offline(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Signals that Pinterest files as offline because more than an hour passed until it had them."""
    told = [histogram for (clock, name), histogram in figures.clocks.items() if clock == "source" and name in workspace.sources]
    came = clocks.merge(told)
    before = sum(came.values())
    for name, chosen in workspace.destinations.items():
        taken = figures.clocks.get(("accepted", name), {})
        whole = sum(taken.values())
        if chosen.type != OFFLINE or not whole:
            continue
        # Both parts of the way are known as shares only: what was late already, and of the rest what became late here.
        already = clocks.at_least(came, HOUR) / before if before else 0.0
        part = round(whole * (already + (1 - already) * clocks.at_least(taken, HOUR) / whole))
        yield from finding(
            "counted_offline",
            name,
            part,
            whole,
            f"About {percent(part, whole)} of the signals that {name} took {LAST} reached it more than an hour after they "
            "happened: Pinterest counts these as offline and does not deduplicate them with its tag.",
            "Look under late sources for who tells late; shorten holds of an hour and more.",
        )


def untimely(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Signals withheld because they are too old, or from the future."""
    words = {
        "too_old": "were older than a platform takes",
        "in_future": "said that they happen in the future",
    }
    for reason, spoken in words.items():
        told = []
        for name in workspace.destinations:
            every = meant(pick(figures.day, destination=name))
            wrong = pick(every, reasons={reason})
            told.append((name, signals(wrong), signals(every), wrong))
        if (found := worst(told)) is None:
            continue
        names, part, whole, wrong = found
        yield from finding(
            reason,
            "",
            part,
            whole,
            f"{percent(part, whole)} of the signals for {names} {LAST} ({part:,} of {whole:,}) {spoken} and were withheld.",
            gates.REASONS[reason].advice,
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {reason}),
        )


def hold_cost(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """What a hold on an event costs in speed, beside what it stops."""
    for event, text in workspace.holds.items():
        held = duration(text)
        for name, chosen in workspace.destinations.items():
            every = meant(pick(figures.week, destination=name, name=event))
            stopped = pick(every, reasons=STOPPED)
            whole, part = signals(every), signals(stopped)
            offline = chosen.type == OFFLINE and held >= LONG_HOLD
            useless = whole >= 100 and part * 1000 < whole
            if not whole or not (offline or useless):
                continue
            cost = (
                "so Pinterest counts every one of them as offline"
                if offline
                else f"and that stopped {part:,} of {whole:,} {LATELY}"
            )
            yield from finding(
                "hold_cost",
                f"{event} at {name}",
                whole,
                whole,
                f"Each {event} waits {span(held)} before it leaves for {name}, {cost}.",
                f"Shorten `holds: {{{event}: {text}}}` to less than an hour, or remove it."
                if offline
                else "Remove the hold, or shorten it to the time in which cancellations really come.",
                worth=worth_of(stopped, workspace),
            )
