"""What drowns the purchases a platform should learn from, and the rollouts that keep it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from signalpost import vocabulary
from signalpost.config import Workspace
from signalpost.findings.counts import TAKEN, pick, signals
from signalpost.findings.figures import LAST, PURCHASE, Figures
from signalpost.findings.finding import Finding, finding
from signalpost.findings.words import listed, percent, span

LOW_INTENT_FOR_A_PURCHASE = 100
"""More signals of one low-intent event than this for each purchase drown what the platform should learn from."""


def low_intent(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Far more low-intent events than purchases, without a cap."""
    for name, chosen in workspace.destinations.items():
        taken = pick(figures.day, destination=name, verdicts=TAKEN)
        bought = signals(pick(taken, name=PURCHASE))
        capped = {event for stage in chosen.rollout for event in stage.at_most}
        by: Counter[str] = Counter()
        for each in taken:
            if vocabulary.priority(each.name) == vocabulary.REST and each.name not in capped:
                by[each.name] += each.signals
        loud = [(event, count) for event, count in by.most_common() if count > LOW_INTENT_FOR_A_PURCHASE * max(bought, 1)]
        if not loud:
            continue
        part, whole = sum(count for _, count in loud), signals(taken)
        event, count = loud[0]
        each_purchase = f"{count // bought:,} for each purchase" if bought else "and no purchase"
        yield from finding(
            "low_intent",
            name,
            part,
            whole,
            f"{name} was sent {count:,} {event} {LAST}, {each_purchase}"
            f"{f' (and many {listed(other for other, _ in loud[1:])})' if loud[1:] else ''}: {percent(part, whole)} of all it "
            "learns from says little of buying.",
            f"Leave {listed(other for other, _ in loud)} out, or cap it in the rollout: `at_most: {{{event}: 5}}`.",
        )


def rollout_held(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """A stage whose time has passed and whose bounds do not hold."""
    for name, standing in figures.rollouts.items():
        chosen = workspace.destinations.get(name)
        if chosen is None or not standing.held or standing.stage >= len(chosen.rollout):
            continue
        yield from finding(
            "rollout_held",
            name,
            1,
            1,
            f"The rollout of {name} stays in stage {standing.stage + 1} of {len(chosen.rollout)} "
            f"(for {span(max(0, figures.now - standing.since))}): {standing.held}.",
            "Mend what the reason names; it goes on by itself. `signalpost rollout advance` goes on by hand, with a note.",
        )
