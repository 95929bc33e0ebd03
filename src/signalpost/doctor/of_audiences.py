"""The checks of a destination's audiences: buyers kept from ads, paid windows beside journeys."""

from __future__ import annotations

from signalpost import clocks, findings
from signalpost.doctor.checks import Answer, Look, of_finding, unknown
from signalpost.findings import listed, many, span
from signalpost.findings.guards import PROBLEMS
from signalpost.findings.suppression import CLOCK
from signalpost.segments import guards

ABOUT_BUYERS = frozenset({"no_suppression", "nothing_suppressed", "refunded_back", "short_cooldown", "cooldown_cycle"})
"""Guards about buyers who should see no ads."""

KEEPS_BUYERS = frozenset({"suppression_slow", "audience_stopped", "audience_pending", "audience_small"})
"""Findings by which buyers see ads although an audience should keep them from these."""


def suppression(look: Look) -> Answer:
    """Recent buyers are kept from ads, soon enough and for long enough, as the platform took it."""
    here = [each for each in look.paid if look.name in each.audience.to]
    mine = [each for each in here if guards.suppresses_buyers(each)]
    if not mine and not any(each.audience.use == "target" for each in here):
        return unknown(
            f"No audience keeps recent buyers from ads at {look.name}, and the file targets none there either.",
            "Add an audience of recent buyers with `use: suppress`, or exclude them in the platform's own ad groups.",
        )
    told = [guard for guard in look.guards if guard.kind in ABOUT_BUYERS]
    worst = next((guard for guard in told if guard.kind in PROBLEMS), None)
    if worst is not None:
        return Answer(state="fail", sentence=worst.sentence, advice=worst.advice, counts={"suppressing": len(mine)})
    known = {each.name: each for each in look.evidence.figures.audiences if each.destination == look.name}
    kept = [known[each.audience.title] for each in mine if each.audience.title in known]
    ready = [each for each in kept if each.state == "ready" and each.loaded_at is not None]
    latest = max((each.synced_at for each in ready if each.synced_at is not None), default=None)
    times = look.evidence.figures.clocks.get((CLOCK, look.name), {})
    counts = {
        "suppressing": len(mine),
        "members": sum(each.members for each in kept),
        "pending": sum(each.pending for each in kept),
    }
    subjects = {look.name, *(f"{each.name} at {look.name}" for each in kept)}
    open_ones = [finding for finding in look.evidence.found if finding.kind in KEEPS_BUYERS and finding.subject in subjects]
    if open_ones:
        return of_finding(min(open_ones, key=findings.rank), latest, counts)
    if not ready:
        return unknown(
            f"{listed(each.audience.title for each in mine)} {'is' if len(mine) == 1 else 'are'} not complete at {look.name}.",
            "`signalpost serve` builds it; `signalpost audiences list` shows how far it is.",
        )
    if told:
        return Answer(state="warn", sentence=told[0].sentence, advice=told[0].advice, at=latest, counts=counts)
    lasts = [lasting for each in mine if (lasting := guards.cooling(each)) is not None]
    for_how_long = f"for {span(max(lasts))}" if lasts else "for good"
    speed = (
        f"of {many(sum(times.values()), 'buyer')} in the last 24 hours half were within {span(clocks.quantile(times, 0.5))} of "
        f"their order and 99 of 100 within {span(clocks.quantile(times, 0.99))}"
        if times
        else "nobody bought in the last 24 hours, so the clock says nothing yet"
    )
    return Answer(
        state="pass",
        sentence=f"{listed(each.name for each in ready)} {'keeps' if len(ready) == 1 else 'keep'} buyers from ads "
        f"{for_how_long}; {speed}.",
        at=latest,
        counts=counts,
    )


def windows(look: Look) -> Answer:
    """Paid windows fit the owned journeys."""
    journeys = look.workspace.journeys
    targets = [each for each in look.paid if each.audience.use == "target" and look.name in each.audience.to]
    if not journeys:
        return unknown(
            "The file describes no journey, so paid windows are compared with nothing.",
            "Describe what e-mail and SMS do under `journeys`; until then compare windows with them by hand.",
        )
    if not targets:
        return unknown(f"No audience is targeted at {look.name} yet.", "Ask again when there is one.")
    wrong = [guard for guard in look.guards if guard.kind in guards.JOURNEYS]
    counts = {"audiences": len(targets), "journeys": len(journeys), "against a journey": len(wrong)}
    if wrong:
        more = f" `signalpost check` tells of {len(wrong) - 1} more." if wrong[1:] else ""
        return Answer(state="warn", sentence=wrong[0].sentence + more, advice=wrong[0].advice, counts=counts)
    return Answer(
        state="pass",
        sentence=f"{many(len(targets), 'audience')} {'fits' if len(targets) == 1 else 'fit'} beside {listed(journeys)}: no "
        "window goes on beyond one, none runs beside its messages unless the file says so, and no ad gives a discount before a "
        "message.",
        counts=counts,
    )
