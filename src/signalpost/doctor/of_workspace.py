"""The checks of the whole workspace."""

from __future__ import annotations

from signalpost import findings
from signalpost.doctor.checks import Answer, Look, of_finding, unknown
from signalpost.findings import listed, many, signals


def fired_once(look: Look) -> Answer:
    """Each event is defined once and fires once."""
    figures = look.evidence.figures
    kinds = ("rival_events", "rival_sources", "repeated_orders", "repeated_messages", "unmapped_purchases")
    wrong = [each for kind in kinds for each in look.open.get(kind, [])]
    came = signals(findings.widest(each for each in figures.week if each.destination))
    latest = max((at for (where, _, _), at in look.evidence.last.items() if where), default=None)
    if wrong:
        worst = min(wrong, key=findings.rank)
        return of_finding(worst, latest, {"events": came}, worst.examples)
    if not came:
        return unknown("Nothing has come in yet.", "Ask again after some traffic.")
    return Answer(
        state="pass",
        sentence=f"Of {many(came, 'event')} none comes from two sources, under two names, or more than once beyond the usual.",
        at=latest,
        counts={"events": came},
    )


def test_apart(look: Look) -> Answer:
    """Test data stays out of production."""
    if look.workspace.environment == "test":
        return Answer(state="pass", sentence="This workspace can only send test events.")
    told = look.open.get("test_events", [])
    shared = [name for name, chosen in look.workspace.destinations.items() if chosen.shared_because]
    if told:
        return of_finding(told[0], look.evidence.figures.now, {}, told[0].examples, "warn")
    if shared:
        return Answer(
            state="warn",
            sentence=f"{listed(shared)} {'shares its' if len(shared) == 1 else 'share their'} account with a test workspace.",
            advice="Give the test workspace an account of its own, and remove `shared_because`.",
        )
    if not look.evidence.last:
        return unknown("Nothing has come in yet.", "Ask again after some traffic.")
    latest = max(look.evidence.last.values())
    return Answer(state="pass", sentence="No event marked as a test came in within a day.", at=latest)


def measurement(look: Look) -> Answer:
    """The measurement plan is written down."""
    plan = look.workspace.measurement
    parts = {"primary": plan.primary, "success": plan.success, "checked": plan.checked}
    missing = [name for name, text in parts.items() if not text]
    if not missing:
        return Answer(state="pass", sentence=f"{plan.primary} is the source of truth; success is {plan.success}; {plan.checked}.")
    return Answer(
        state="fail" if len(missing) == len(parts) else "warn",
        sentence="No measurement plan is written down."
        if len(missing) == len(parts)
        else f"The measurement plan does not say {listed(f'`{name}`' for name in missing)}.",
        advice="Write under `measurement` what the source of truth is, what success is, and who checks it how often.",
    )


def alerts(look: Look) -> Answer:
    """Somebody is told when something is wrong."""
    told = sorted(look.workspace.alerts.to)
    if told:
        return Answer(state="pass", sentence=f"Findings are told to {listed(told)}.", counts={"addresses": len(told)})
    return Answer(
        state="warn",
        sentence="Nobody is told when something is wrong.",
        advice="Write an address under `alerts: {to: {...}}`: e-mail, Slack or a webhook.",
    )
