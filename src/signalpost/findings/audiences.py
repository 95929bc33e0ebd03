"""What keeps audiences from being what they should be: stopped, behind, too small, jumped, unknown to the platform, unused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.destinations.audiences import AudiencePart
from signalpost.findings.figures import Figures, Synced, declared
from signalpost.findings.finding import Finding, finding
from signalpost.findings.suppression import SOON
from signalpost.findings.words import DAY, HOUR, listed, many, percent, span

BEHIND = 900_000
"""Changes that wait longer (ms) than any platform's pause between requests need somebody to look."""

PROCESSED = 2 * DAY
"""Both platforms say that they need up to 48 hours to process an audience; before, its size says nothing and ads wait for it."""

USUAL_DAYS = 3
"""So many days of sizes, beside the last one, say what is usual."""

USUAL_TIMES = 2
"""A change in a day that is so many times what 19 of 20 days bring is sudden."""

STEADY_SEED = 1_000
"""People from which a lookalike is steady. Judgement, no platform's rule: only a part of them is matched, and likeness to a few
is chance."""

Use = Literal["target", "suppress", "seed"]

CANNOT: dict[Use, str] = {
    "target": "ads cannot use it",
    "suppress": "it keeps nobody from ads",
    "seed": "the platform makes no lookalike of it",
}

STOPPED = {
    "stopped": "is not kept any more",
    "gone": "was deleted at the platform",
    "foreign": "is not this account's any more",
}


def _where(each: Synced) -> str:
    return f"{each.name} at {each.destination}"


def _part(each: Synced, workspace: Workspace) -> AudiencePart | None:
    chosen = workspace.destinations.get(each.destination)
    return None if chosen is None else CATALOG[chosen.type].audience


def _use(each: Synced, workspace: Workspace) -> Use:
    audience = declared(workspace, each.name, each.destination)
    return "target" if audience is None else audience.use


def _suppresses(each: Synced, workspace: Workspace) -> bool:
    return _use(each, workspace) == "suppress"


def stopped(figures: Figures, _: Workspace) -> Iterator[Finding]:
    """Audiences that are no longer kept, so that ads go on with whoever was in them, or that never were."""
    for each in figures.audiences:
        if each.state in STOPPED:
            now = (
                "cannot be kept: it was never filled, and ads do without it"
                if each.state == "stopped" and each.loaded_at is None
                else f"{STOPPED[each.state]}: ads go on with what the platform had"
            )
            yield from finding(
                "audience_stopped",
                _where(each),
                1,
                1,
                f"The audience {_where(each)} {now}.{f' {each.sentence}' if each.sentence else ''}",
                "Mend what it says; an audience that was deleted or taken away is made anew by `signalpost audiences rebuild`.",
                severity="problem",
            )


def pending(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Changes that wait although the audience is kept."""
    for each in figures.audiences:
        waits = 0 if each.oldest is None else figures.now - each.oldest
        buyers = 0 if each.urgent is None else figures.now - each.urgent
        if each.state in STOPPED or (waits < BEHIND and buyers < SOON):
            continue
        urgent = _suppresses(each, workspace) or buyers >= SOON or waits >= 4 * BEHIND
        yield from finding(
            "audience_pending",
            _where(each),
            each.pending,
            each.pending,
            f"{many(each.pending, 'change')} of {_where(each)} {'waits' if each.pending == 1 else 'wait'} for the platform, "
            f"the first for {span(waits)}{', buyers among them' if buyers >= SOON else ''}: ads reach people who should not be "
            "in it any more, and miss those who should."
            f"{f' {each.sentence}' if each.sentence else ''}",
            "See what the platform answers (`signalpost audiences list`); what waits is kept and goes when it answers again.",
            severity="problem" if urgent else "warning",
        )


def too_small(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Audiences below what the platform needs: it neither shows nor keeps back any ad by them; and seeds of only a few people."""
    for each in figures.audiences:
        part = _part(each, workspace)
        if part is None or each.state in STOPPED or each.loaded_at is None:
            continue
        use = _use(each, workspace)
        processed = each.size_at is not None and each.size_at - each.loaded_at >= PROCESSED
        matched = each.size if processed else None
        size = each.members if matched is None else min(matched, each.members)
        if size >= part.minimum:
            if use == "seed" and size < STEADY_SEED:
                yield from finding(
                    "seed_small",
                    _where(each),
                    1,
                    1,
                    f"The lookalike seed {_where(each)} has {size:,} people: enough for the platform, but few to be "
                    f"alike to; with {STEADY_SEED:,} it is steadier.",
                    "Widen the segment, for example to the top 20 % instead of the top 10 %.",
                    severity="warning",
                )
            continue
        has = (
            f"the platform matched {matched:,} of its {many(each.members, 'member')}"
            if matched is not None and matched < each.members
            else f"it has {many(each.members, 'member')}"
        )
        yield from finding(
            "audience_small",
            _where(each),
            1,
            1,
            f"The audience {_where(each)} is too small: {has}, and the platform needs {part.minimum:,} {part.minimum_is}. Until "
            f"then {CANNOT[use]}.",
            "Widen its window or its rule, or make one audience of several; more identifiers of each person let the platform "
            "match more of them.",
            severity="problem" if use == "suppress" else "warning",
        )


def jumped(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Audiences that grew or shrank in a day far more than they do."""
    for each in figures.audiences:
        if each.loaded_at is None:
            continue
        sizes = {hour: people for hour, people in each.sizes.items() if hour >= each.loaded_at}
        now = figures.now - figures.now % HOUR
        before = sizes.get(now - DAY)
        usual = sorted(abs(people - sizes[hour - DAY]) for hour, people in sizes.items() if hour < now and hour - DAY in sizes)
        if before is None or len(usual) < USUAL_DAYS * 24:
            continue
        change = each.members - before
        most = usual[(len(usual) * 19) // 20]
        if abs(change) <= USUAL_TIMES * most:
            continue
        fell = change < 0
        yield from finding(
            "audience_jumped",
            _where(each),
            abs(change),
            max(before, each.members),
            f"The audience {_where(each)} {'lost' if fell else 'gained'} {abs(change):,} people in a day and has "
            f"{each.members:,} now; on 19 of 20 days it changes by {most:,} at most.",
            "Look whether its rule, a source or what silence about consent means changed at the time.",
            severity="problem" if fell and _suppresses(each, workspace) and -change * 2 >= before else "warning",
        )


def nameless(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Members of whom nothing is known that the platform takes."""
    for each in figures.audiences:
        part = _part(each, workspace)
        if part is None or each.state != "ready":
            continue
        yield from finding(
            "audience_nameless",
            _where(each),
            each.nameless,
            each.among,
            f"{percent(each.nameless, each.among)} of the people in {_where(each)} have nothing that the platform knows people "
            f"by ({listed(part.kinds, most=8)}): they never become part of it.",
            "Pass e-mail or phone with the events that bring people in; whoever is learned of later is added at once.",
        )


def unused(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Audiences that no ad group uses, as the platform says, or that could not be given to those the file names."""
    for each in figures.audiences:
        audience = declared(workspace, each.name, each.destination)
        if audience is None or each.state in STOPPED or audience.use == "seed":
            continue
        if each.misapplied:
            sentence = f"The ad groups that should use {_where(each)} do not all do so. {each.misapplied}"
            advice = "Mend what it says, or set the audience in the ad groups by hand."
        elif each.used_by == 0 and each.loaded_at is not None and figures.now - each.loaded_at >= PROCESSED:
            sentence = f"No ad group uses {_where(each)}, as the platform says: it is kept in sync for nothing."
            advice = "Name the ad groups under `ad_groups`, set it in them by hand, or take it out of the workspace file."
        else:
            continue
        yield from finding("audience_unused", _where(each), 1, 1, sentence, advice)


def unremembered(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """New rules that ask for what past events said, where the journal no longer has it."""
    for each in figures.building:
        names = [name for name in each.segments if not name.startswith("journey:")]
        yield from finding(
            "unremembered",
            listed(names),
            each.missing,
            max(each.looked, each.missing),
            f"{listed(names) or 'A journey'} {'asks' if len(names) < 2 else 'ask'} for what past events said, and of "
            f"{many(each.missing, 'event')} the journal no longer holds the request: "
            f"{'it does' if each.missing == 1 else 'they do'} not count.",
            f"What happens from now on counts. Requests are kept for {many(workspace.retention.journal, 'day')} "
            "(`retention: {journal: ...}`); a rule with `where` or a trait that looks back further is complete when its window "
            "has passed once.",
        )
