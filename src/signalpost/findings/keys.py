"""Match keys that went missing, and signals that have none."""

from __future__ import annotations

from collections.abc import Iterator

from signalpost import gates
from signalpost.config import Workspace
from signalpost.findings.counts import examples, meant, pick, signals, worth_of
from signalpost.findings.figures import LAST, Figures
from signalpost.findings.finding import Finding, finding
from signalpost.findings.words import percent


def keys_dropped(figures: Figures, _: Workspace) -> Iterator[Finding]:
    """Match keys whose coverage has dropped, with what changed at about that time."""
    for alarm in figures.alarms:
        yield from finding(
            "keys_dropped",
            alarm.subject,
            alarm.lacking,
            max(alarm.lacking, alarm.drop.signals),
            alarm.sentence,
            alarm.advice,
            examples=(mark.event for mark in alarm.marks if mark.event),
            severity="problem" if alarm.problem else "warning",
        )


def nobody(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Signals withheld because nothing in them lets the platform recognise anybody."""
    for name in workspace.destinations:
        every = meant(pick(figures.day, destination=name))
        wrong = pick(every, reasons={"no_identifier"})
        part, whole = signals(wrong), signals(every)
        yield from finding(
            "nobody",
            name,
            part,
            whole,
            f"{percent(part, whole)} of the signals for {name} {LAST} ({part:,} of {whole:,}) carry nothing by which it could "
            "recognise anybody, and were withheld.",
            gates.REASONS["no_identifier"].advice,
            worth=worth_of(wrong, workspace),
            examples=examples(figures, "withheld", {"no_identifier"}, name),
        )
