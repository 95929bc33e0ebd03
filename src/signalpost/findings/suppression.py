"""How surely and how soon buyers are kept from ads: the purchase-to-suppression clock, and people who are in both."""

from __future__ import annotations

from collections.abc import Iterator

from signalpost import clocks
from signalpost.config import Workspace
from signalpost.findings.figures import LAST, Figures, declared
from signalpost.findings.finding import Finding, finding
from signalpost.findings.words import many, percent, span

CLOCK = "suppressed"
"""The clock of `store.audiences.settle`, by destination."""

SOON = 300_000
"""A purchase is to have become a suppression within so long (ms), at the platform's door: 99 of 100 of them."""


def slow(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """The clock from a purchase's intake to the platform having taken the change: more than 1 of 100 took too long."""
    for name in workspace.destinations:
        histogram = figures.clocks.get((CLOCK, name), {})
        whole = sum(histogram.values())
        if not whole or clocks.quantile(histogram, 0.99) <= SOON:
            continue
        late = clocks.at_least(histogram, SOON)
        yield from finding(
            "suppression_slow",
            name,
            late,
            whole,
            f"{percent(late, whole)} of {many(whole, 'buyer')} {LAST} were shown ads at {name} for more than {span(SOON)} after "
            f"their order came in (half of all for {span(clocks.quantile(histogram, 0.5))}, 99 of 100 for "
            f"{span(clocks.quantile(histogram, 0.99))}); what the platform itself takes comes on top.",
            "See which requests failed there (`signalpost audiences list`). Purchases go before everything else, so it is a "
            "platform that does not answer, or a process that was down.",
        )


def overlap(figures: Figures, workspace: Workspace) -> Iterator[Finding]:
    """People who are wanted in an audience that is shown ads and in one that is kept from them."""
    for each in figures.audiences:
        for suppressed, both in each.overlaps.items():
            audience = declared(workspace, suppressed, each.destination)
            looked = max(min(each.members, each.walked), both)
            of = "people" if looked >= each.members else "newest people"
            yield from finding(
                "suppression_overlap",
                f"{each.name} and {suppressed} at {each.destination}",
                both,
                looked,
                f"{both:,} of the {looked:,} {of} in {each.name} at {each.destination} are in {suppressed} too, which keeps them "
                "from ads: only an exclusion in the ad group stops paying for them.",
                f"Add `unless: [{suppressed if audience is None else audience.segment}]` to {each.name}.",
            )
