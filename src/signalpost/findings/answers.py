"""What the platforms answer: refusals, no clear answer, nothing at all for minutes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from signalpost.config import Workspace
from signalpost.findings.counts import TAKEN, examples, pick, signals, worth, worth_of
from signalpost.findings.figures import LAST, Figures
from signalpost.findings.finding import Finding, finding
from signalpost.findings.words import many, percent, span

USUAL_TIMES = 3
"""A share this many times the usual one is above normal; from `ALWAYS` on it is told even where it is usual."""
ALWAYS = Decimal("0.1")

REST_MS = 300_000
"""A destination that rests for longer than this needs somebody to look."""


def answers(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """A share of refused, or never answered, signals above what is usual."""
    words = {
        "refused": (
            "refused",
            "refused",
            "Mend what it objects to at the source, then `signalpost replay` what is young enough.",
        ),
        "unanswered": (
            "unknown",
            "never clearly answered",
            "Look for the orders in the platform's own reports, then `signalpost replay` those that it does not have.",
        ),
    }
    settled = TAKEN | {"refused", "unknown"}
    for name in workspace.destinations:
        day, week = pick(figures.day, destination=name, verdicts=settled), pick(figures.week, destination=name, verdicts=settled)
        for kind, (verdict, spoken, advice) in words.items():
            wrong = pick(day, verdicts={verdict})
            part, whole = signals(wrong), signals(day)
            before = max(0, signals(week) - whole)
            usual = Decimal(max(0, signals(pick(week, verdicts={verdict})) - part)) / before if before else Decimal(0)
            share = Decimal(part) / whole if whole else Decimal(0)
            if share < ALWAYS and share < usual * USUAL_TIMES:
                continue
            reasons = Counter({each.reason: 0 for each in wrong})
            for each in wrong:
                reasons[each.reason] += each.signals
            top = reasons.most_common(1)[0][0] if reasons else ""
            sample = figures.samples.get((name, verdict, top))
            said = f" Most often: {sample.sentence}" if sample and sample.sentence else f" Most often: {top}." if top else ""
            yield from finding(
                kind,
                name,
                part,
                whole,
                f"{name} {spoken} {part:,} of {many(whole, 'signal')} {LAST} ({percent(part, whole)}"
                f"{f', usually {100 * usual:.1f} %' if before else ''}).{said}",
                advice,
                worth=worth_of(wrong, workspace),
                examples=examples(figures, verdict, set(reasons), name),
            )


def resting(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """A destination that has not sent for some minutes."""
    for rest in figures.resting:
        for_ms = figures.now - rest.since
        if rest.destination not in workspace.destinations or for_ms < 60_000:
            continue
        waiting = f" {many(rest.waiting, 'purchase')} {'waits' if rest.waiting == 1 else 'wait'}." if rest.waiting else ""
        yield from finding(
            "resting",
            rest.destination,
            1,
            1,
            f"{rest.destination} has sent nothing for {span(for_ms)} ({many(rest.failures, 'failed request')}). "
            f"{rest.sentence}{waiting}",
            "What waits is kept and is sent when the platform answers again. If it names credentials or permissions, mend them "
            "and restart; `signalpost send-test` shows whether they work.",
            worth=worth(rest.worth.items(), workspace),
            severity="problem" if for_ms >= REST_MS else "warning",
        )
