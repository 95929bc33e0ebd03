"""What should not leave: tests, orders worth nothing, what an observing gate names, orders that went back."""

from __future__ import annotations

from collections.abc import Iterator

from signalpost.config import Workspace
from signalpost.findings.counts import ASIDE, TAKEN, examples, pick, signals, widest, worst, worth_of
from signalpost.findings.figures import LAST, LATELY, PURCHASE, Figures, Notice
from signalpost.findings.finding import Finding, finding
from signalpost.findings.words import listed, many, money

AFTER = {
    "cancelled_after": (
        "were cancelled after they had been sent",
        "A hold on Order Completed stops those that are cancelled soon.",
    ),
    "refunded_after": (
        "were paid back (in whole or in part) after they had been sent",
        "Neither platform takes a purchase back: look at what comes back, and put those buyers into suppression.",
    ),
    "flagged_after": (
        "turned out to be fraudulent after they had been sent",
        "Hold Order Completed until the shop's fraud check has spoken, and gate flagged orders.",
    ),
}


def test_events(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Events marked as tests that come into production."""
    if workspace.environment != "production":
        return
    reasons = {each.reason for each in figures.day if each.reason.removeprefix("gate:").startswith("test_")}
    wrong = widest(pick(figures.day, verdicts={"withheld"}, reasons=reasons)) if reasons else []
    if not wrong:
        return
    every = [each for each in pick(figures.day, destination=wrong[0].destination) if each.reason not in ASIDE]
    yield from finding(
        "test_events",
        "",
        signals(wrong),
        signals(every),
        f"{many(signals(wrong), 'event')} marked as a test came into production {LAST}; none was sent.",
        "Point the test shop at a workspace of its own with `environment: test`, and give it keys of its own.",
        worth=worth_of(wrong, workspace),
        examples=examples(figures, "withheld", reasons),
    )


def junk_orders(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Purchases worth nothing that were sent all the same."""
    told = []
    for name in workspace.destinations:
        gone = [
            order
            for order in figures.recent
            if (sent := order.told.get(name)) is not None and sent.verdict in TAKEN | {"waiting", "unknown"}
        ]
        junk = [order for order in gone if (value := order.told[name].value) is not None and value <= 0]
        told.append((name, len(junk), len(gone), junk))
    if (found := worst(told)) is None:
        return
    names, part, whole, junk = found
    observing = any(gate.preset == "zero_value" for gate in workspace.gates)
    yield from finding(
        "junk_orders",
        "",
        part,
        whole,
        f"{part:,} of {many(whole, 'purchase')} sent to {names} {LATELY} were worth nothing (replacements, gifts, samples): the "
        "platform learns to find more of these.",
        "The gate zero_value is there: see that it is no longer `mode: observing`, and for which events and destinations it is."
        if observing
        else "Switch on the gate: `gates: [{preset: zero_value}]`; with `mode: observing` it first shows what it would do.",
        examples=(order.event for order in junk),
    )


def observed(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """What each observing gate would have withheld."""
    by: dict[str, list[Notice]] = {}
    for notice in figures.notices:
        if notice.what == "observed" and notice.destination in workspace.destinations:
            by.setdefault(notice.detail, []).append(notice)
    for gate, told in by.items():
        where = max({each.destination for each in told}, key=lambda name: sum(e.signals for e in told if e.destination == name))
        own = [each for each in told if each.destination == where]
        names = sorted({each.name for each in own})
        part = sum(each.signals for each in own)
        whole = max(part, signals(each for each in pick(figures.week, destination=where, verdicts=TAKEN) if each.name in names))
        value = worth_of(own, workspace)
        yield from finding(
            "observed",
            gate,
            part,
            whole,
            f"The observing gate {gate} would have withheld {part:,} of {whole:,} {listed(names)} for {where} {LATELY}"
            f"{f', worth {money(*value)}' if value else ''}.",
            "Look at the examples. If they should not leave, set `mode: enforcing`; if they should, remove the gate.",
            worth=value,
            examples=sorted((each.event for each in own), reverse=True),
        )


def gone_back(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Orders cancelled, refunded or flagged after a platform had taken them."""
    for what, (words, advice) in AFTER.items():
        told = []
        for name in workspace.destinations:
            own = [each for each in figures.notices if each.what == what and each.destination == name]
            part = sum(each.signals for each in own)
            told.append(
                (name, part, max(part, signals(pick(figures.week, destination=name, name=PURCHASE, verdicts=TAKEN))), own)
            )
        if (found := worst(told)) is None:
            continue
        names, part, whole, own = found
        yield from finding(
            what,
            "",
            part,
            whole,
            f"{part:,} of {many(whole, 'purchase')} that {names} took {LATELY} {words}.",
            advice,
            worth=worth_of(own, workspace),
            examples=sorted((each.event for each in own), reverse=True),
        )
