"""Audiences as people look at them: how each stands at its destination, what the platform took, how long that took.

The command line and the console read from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from signalpost import clocks
from signalpost.destinations import CATALOG
from signalpost.destinations.audiences import AudiencePart
from signalpost.options import Workspace
from signalpost.store import audiences as store
from signalpost.store.audiences import Figures, Standing
from signalpost.store.database import Connection

MAY_REBUILD = frozenset({"gone", "foreign"})
"""States in which an audience may be begun anew."""

WORDS = {
    "ready": "kept in sync",
    "new": "not made yet",
    "stopped": "STOPPED",
    "gone": "GONE at the platform",
    "foreign": "NOT OURS any more",
    "removed": "no longer in the workspace file",
}


class Clock(Struct, frozen=True, kw_only=True):
    """How long something took; times in ms."""

    count: int
    p50: int
    p99: int


class Listed(Struct, frozen=True, kw_only=True):
    """One audience at one destination; times in epoch ms."""

    audience: str
    destination: str
    segment: str
    use: str
    state: str
    sentence: str
    """What is wrong, and what to do; '' when nothing is."""
    wanted: int
    """People it is to hold."""
    acknowledged: int
    """Of those, people of whom the platform has taken all."""
    pending: int
    """People, in or out, of whom it has not."""
    urgent: int
    """Of those, people whom a purchase, refund or wish moved."""
    oldest: int | None
    """Since when the first of them waits."""
    size: int | None
    """People that the platform says it matched."""
    size_at: int | None
    needed: int
    """Below this size ads cannot use it."""
    needed_is: str
    status: str
    """The platform's word."""
    meaning: str
    usable: bool
    pace: str
    """How long the platform's own processing takes, which is not in any figure of ours."""
    platform_name: str
    """Its name at the platform."""
    synced_at: int | None
    loaded_at: int | None
    refusals: list[store.Refusal]
    """What the platform would not take or give back, the latest first; it is asked again after a day."""


class Shown(Struct, frozen=True, kw_only=True):
    """One audience at one destination with all that is known of it."""

    listed: Listed
    identifiers: dict[str, int]
    """State -> identifiers."""
    people: int
    """People who are to be found at the platform by at least one identifier."""
    ad_groups: list[str]
    """As the workspace file names them."""
    ad_groups_wrong: str
    used_by: list[tuple[str, str]] | None
    """(ad group, include or exclude), as the platform says; None where it does not say."""


def listed(connection: Connection, workspace: Workspace, figures: Mapping[int, Figures]) -> list[Listed]:
    """Those of the file in its order, then those that left it; `figures` are counted by the caller, or were some time ago."""
    kept = {(each.name, each.destination): each for each in store.standings(connection)}
    found = []
    for audience, destination in store.pairs(workspace):
        here = kept.pop((audience.title, destination), None)
        if here is not None:
            numbers = figures.get(here.slot, Figures())
            refusals = store.refusals(connection, here.slot)
            found.append(_row(here, audience.segment, audience.use, numbers, _part(workspace, destination), refusals))
    gone = (_row(here, "", "", figures.get(here.slot, Figures()), _part(workspace, here.destination)) for here in kept.values())
    return [*found, *gone]


def unmade(workspace: Workspace) -> list[Listed]:
    """Before anything has run: what the file says."""
    return [
        _row(store.unmade(audience, destination), audience.segment, audience.use, Figures(), _part(workspace, destination))
        for audience, destination in store.pairs(workspace)
    ]


def _row(
    here: Standing, segment: str, use: str, figures: Figures, part: AudiencePart | None, refusals: Sequence[store.Refusal] = ()
) -> Listed:
    return Listed(
        audience=here.name,
        destination=here.destination,
        segment=segment,
        use=use,
        state=here.state,
        sentence=here.sentence,
        wanted=figures.wanted,
        acknowledged=figures.acknowledged,
        pending=figures.pending,
        urgent=figures.urgent,
        oldest=figures.oldest,
        size=here.size,
        size_at=here.size_at,
        needed=0 if part is None else part.minimum,
        needed_is="" if part is None else part.minimum_is,
        status=here.status,
        meaning=here.meaning,
        usable=here.usable,
        pace="" if part is None else part.pace,
        platform_name=here.platform_name,
        synced_at=here.synced_at,
        loaded_at=here.loaded_at,
        refusals=list(refusals),
    )


def shown(connection: Connection, workspace: Workspace, each: Listed) -> Shown:
    """One of them with its identifiers and ad groups; counts all it holds."""
    here = next(one for one in store.standings(connection) if (one.name, one.destination) == (each.audience, each.destination))
    return Shown(
        listed=each,
        identifiers=store.key_figures(connection, here.slot),
        people=store.reachable(connection, here.slot),
        ad_groups=[group for audience in workspace.audiences if audience.title == each.audience for group in audience.ad_groups],
        ad_groups_wrong=here.applied.sentence,
        used_by=None if here.used_by is None else list(here.used_by),
    )


def took(connection: Connection, since: int) -> dict[str, dict[str, Clock]]:
    """Destination -> `suppressed` or `audience` -> how long it took since a moment."""
    found: dict[str, dict[str, Clock]] = {}
    for (clock, destination), times in store.times(connection, since).items():
        found.setdefault(destination, {})[clock] = Clock(
            count=sum(times.values()), p50=clocks.quantile(times, 0.5), p99=clocks.quantile(times, 0.99)
        )
    return found


def _part(workspace: Workspace, destination: str) -> AudiencePart | None:
    chosen = workspace.destinations.get(destination)
    return None if chosen is None else CATALOG[chosen.type].audience


def rebuild(connection: Connection, audience: str, destination: str, now: int) -> tuple[Standing, Figures] | None:
    """Begin an audience anew if it is lost (`MAY_REBUILD`); gives how it stood, None where it was never kept."""
    here = next((each for each in store.standings(connection) if (each.name, each.destination) == (audience, destination)), None)
    if here is None:
        return None
    if here.state in MAY_REBUILD:
        store.rebuild(connection, here.slot, now)
    return here, store.figures(connection).get(here.slot, Figures())


def not_lost(here: Standing) -> str:
    """Why an audience that is not lost is not begun anew."""
    return (
        f"`{here.name}` at {here.destination} is not lost ({WORDS[here.state]}), so there is nothing to rebuild: a second one "
        "would stand beside it with people in it whom nobody removes. Delete it at the platform first, if you want a new one."
    )
