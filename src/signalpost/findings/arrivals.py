"""What never arrives: events that nobody sends, purchases mapped to nothing, messages that cannot be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from signalpost import vocabulary
from signalpost.config import Workspace
from signalpost.findings.counts import examples, mapped, pick, signals, widest
from signalpost.findings.figures import LAST, LATELY, PURCHASE, Figures
from signalpost.findings.finding import Finding, finding
from signalpost.findings.words import DAY, listed, many

SOUNDS_BOUGHT = re.compile(r"\b(?:orders?|purchases?|purchased|bought|paid|payment|transactions?|conversions?)\b", re.IGNORECASE)
SOUNDS_ELSE = re.compile(
    r"\b(?:refund\w*|cancel\w*|fail\w*|view\w*|started?|updat\w*|edit\w*|ship\w*|deliver\w*|fulfil\w*|declin\w*|track\w*|"
    r"pending|flag\w*|history|info|method|status|return\w*)\b",
    re.IGNORECASE,
)


def never_seen(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Events that the workspace file maps and nobody has sent for a week; only where the file names them itself."""
    if not figures.since or figures.now - figures.since < DAY:
        return
    seen = {each.name for each in figures.week} | {each.name for each in figures.day}
    whole = signals(widest(figures.week))
    for name, chosen in workspace.destinations.items():
        told = {PURCHASE} & mapped(chosen).keys() if chosen.events == "standard" else chosen.events
        wished = [event for event in told if event not in vocabulary.MADE_HERE]
        missing = [event for event in wished if event not in seen and event not in workspace.derived]
        if not missing:
            continue
        yield from finding(
            "never_seen",
            name,
            whole,
            whole,
            f"{name} should be told of {listed(missing)}, and no source has sent that {LATELY}.",
            "Compare the names that the sources use with those under `events` (`signalpost map` shows what a message becomes).",
            severity="problem" if PURCHASE in missing else "warning",
        )


def unmapped_purchases(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """Events that sound like a purchase and are mapped to nothing, anywhere."""
    known_somewhere = {event for chosen in workspace.destinations.values() for event in mapped(chosen)}
    every = pick(figures.day, verdicts={"withheld"}, reasons={"not_mapped"})
    rows = widest(each for each in every if each.name not in known_somewhere)
    by: Counter[str] = Counter()
    for each in rows:
        words = re.sub(r"[_\-./]+|(?<=[a-z])(?=[A-Z])", " ", each.name)
        unknown = each.name not in vocabulary.CANONICAL_EVENTS and SOUNDS_BOUGHT.search(words) and not SOUNDS_ELSE.search(words)
        if unknown or each.name == PURCHASE:
            by[each.name] += each.signals
    for event, count in by.items():
        known = event == PURCHASE
        yield from finding(
            "unmapped_purchases",
            event,
            count,
            count,
            f"{event} came {count:,} times {LAST} and is sent nowhere"
            + (": the purchase itself is not mapped." if known else "; it sounds like a purchase."),
            f"Add {PURCHASE} under the destination's `events`."
            if known
            else f"If it is the purchase, write `events: {{{event}: {PURCHASE}}}`; if it repeats known orders, let it be.",
            examples=examples(figures, "withheld", {"not_mapped"}) if known else (),
            severity="problem" if known else "warning",
        )


def unreadable(figures: Figures, _: Workspace) -> Iterator[Finding]:
    """Messages that could not be read, and requests that could not be processed."""
    wrong = signals(pick(figures.day, destination="", reasons={"unreadable"}))
    came = signals(widest(each for each in figures.day if each.destination))
    yield from finding(
        "unreadable",
        "",
        wrong,
        wrong + came,
        f"{many(wrong, 'message')} of {wrong + came:,} could not be read {LAST}, and nothing was sent of them.",
        "The answer to the client names the field of each, and so does the page of any event of the same request; mend it in "
        "the client.",
    )
    aside = len(figures.set_aside)
    yield from finding(
        "set_aside",
        "",
        aside,
        aside,
        f"{many(aside, 'request')} could not be processed {LATELY} and lie aside: a defect of Signalpost.",
        "Please report it with the log of that moment; the request stays in the journal.",
        severity="problem",
    )
