"""Audiences: whom each wants, how it stands at its platform, what waits, and whom it shares with others there."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import Response

from signalpost import masking
from signalpost.findings import span
from signalpost.options import Audience, Workspace, duration, spelt
from signalpost.segments.guards import Guard
from signalpost.store import audiences as store
from signalpost.store import segments as kept
from signalpost.store import sizes, synced
from signalpost.store.audiences import Figures, Standing
from signalpost.store.database import Connection
from signalpost.store.segments import Move
from signalpost.store.sizes import DAY, HOUR
from signalpost.store.synced import MAY_REBUILD, Clock
from signalpost.web import charts, known
from signalpost.web.charts import Chart, Series
from signalpost.web.known import Known
from signalpost.web.pages.segments import NEWEST, Row, address, audience_address
from signalpost.web.routing import act, page
from signalpost.web.visit import Visit
from signalpost.web.words import moment

WAITING = 10_000
"""Changes that wait, counted at most."""

NEXT = 15
"""Those of them that are shown."""

WEEK = 7 * DAY

WINDOWS = {"24h": DAY, "7d": WEEK, "30d": 30 * DAY}

USES = {"target": "shows ads", "suppress": "keeps ads away", "seed": "seed of a lookalike"}
STATES = {
    "ready": ("accepted", "kept in sync"),
    "new": ("waiting", "not made yet"),
    "stopped": ("refused", "stopped"),
    "gone": ("refused", "gone at the platform"),
    "foreign": ("refused", "not ours any more"),
    "removed": ("withheld", "left the workspace file"),
}
"""State -> the colour of its chip, and what it says."""


class Shared(Struct, frozen=True, kw_only=True):
    """People whom another audience at the same destination wants too."""

    audience: str
    use: str
    people: int
    costs: bool
    """One shows ads to those from whom the other keeps them."""


class Kept(Struct, frozen=True, kw_only=True):
    """One audience at one destination as it is listed; times in epoch ms."""

    audience: str
    destination: str
    segment: str
    use: str
    state: str
    sentence: str
    wants: str
    counted_at: int | None
    """When `wanted` and `acknowledged` were counted; None: not yet."""
    wanted: int | None
    acknowledged: int | None
    pending: int
    """At this moment; `WAITING` means so many or more."""
    urgent: int
    oldest: int | None
    size: int | None
    size_at: int | None
    needed: int
    needed_is: str
    status: str
    meaning: str
    usable: bool
    pace: str
    synced_at: int | None
    shared: list[Shared]


class Overview(Struct, frozen=True, kw_only=True):
    """The list of audiences."""

    destination: str
    use: str
    total: int
    clocks: dict[str, dict[str, Clock]]
    """Destination -> `suppressed` (purchase to suppression) or `audience` (any change) -> how long it took in 7 days."""
    audiences: list[Kept]


async def overview(visit: Visit) -> Response:
    """`/audiences`: every audience at each destination with its state, its sizes here and there, and what waits."""
    destination, use = visit.query("destination", most=100), visit.query("use", most=20)

    def look(connection: Connection) -> Overview:
        here = known.of(visit.console)
        rows = listed(connection, here)
        return Overview(
            destination=destination,
            use=use,
            total=len(rows),
            clocks=synced.took(connection, visit.now - WEEK),
            audiences=[
                each for each in rows if destination in {"", each.destination} and (not use or each.use == use)
            ],
        )  # fmt: skip

    facts = await visit.read(look)
    return visit.page("audiences.html", facts, overview=facts, **_words())


def _words() -> dict[str, Any]:
    return {"address": address, "audience_address": audience_address, "states": STATES, "use_words": USES, "waiting": WAITING}


def listed(connection: Connection, here: Known) -> list[Kept]:
    """Every audience of the file at each destination, then those that left the file."""
    counted = sizes.of_audiences(connection)
    slots = {(each.name, each.destination): each.slot for each in store.standings(connection)}
    names = {slot: name for (name, _), slot in slots.items()}
    rows = synced.listed(connection, here.workspace, {slot: each.figures for slot, each in counted.items()})
    rows = rows or synced.unmade(here.workspace)
    found = []
    for each in rows:
        slot = slots.get((each.audience, each.destination))
        own = counted.get(slot) if slot is not None else None
        chosen = declared(here.workspace, each.audience, each.destination)
        pending, oldest, urgent = connection.rows("audience_waiting", slot, WAITING)[0] if slot is not None else (0, None, 0)
        shared = [
            _shared(here.workspace, chosen, names[other], each.destination, people)
            for other, people in (own.overlaps if own is not None else {}).items()
            if other in names
        ]
        found.append(
            Kept(
                audience=each.audience,
                destination=each.destination,
                segment=each.segment,
                use=each.use,
                state=each.state,
                sentence=each.sentence,
                wants="" if chosen is None else wants(chosen, here.workspace),
                counted_at=None if own is None else own.at,
                wanted=None if own is None else own.figures.wanted,
                acknowledged=None if own is None else own.figures.acknowledged,
                pending=int(pending),
                urgent=int(urgent),
                oldest=oldest,
                size=each.size,
                size_at=each.size_at,
                needed=each.needed,
                needed_is=each.needed_is,
                status=each.status,
                meaning=each.meaning,
                usable=each.usable,
                pace=each.pace,
                synced_at=each.synced_at,
                shared=sorted(shared, key=lambda one: (not one.costs, -one.people)),
            )
        )
    return found


def declared(workspace: Workspace, name: str, destination: str) -> Audience | None:
    """The audience of the file that is called so at this destination."""
    return next((each for each in workspace.audiences if each.title == name and destination in each.to), None)


def _shared(workspace: Workspace, own: Audience | None, name: str, destination: str, people: int) -> Shared:
    other = declared(workspace, name, destination)
    uses = {"" if own is None else own.use, "" if other is None else other.use}
    return Shared(
        audience=name, use="" if other is None else other.use, people=people, costs=people > 0 and uses == {"target", "suppress"}
    )


def wants(audience: Audience, workspace: Workspace) -> str:
    """Whom an audience holds and what for, in a sentence."""
    does = {"target": "Shows ads to", "suppress": "Keeps ads from", "seed": "Lets the platform look for people like"}
    said = f"{does[audience.use]} people in `{audience.segment}`"
    if audience.unless:
        said += f", never those in {_or(audience.unless)}"
    for journey, rule in audience.while_in.items():
        said += (
            f", not while they are in the journey `{journey}`"
            if rule == "none"
            else f", of those in the journey `{journey}` only in its first {spelt(duration(rule))}"
        )
    if audience.holdout is not None:
        said += f", leaving out {audience.holdout} drawn by lot so that `lift` can compare"
    silence = "those who never said anything are in" if workspace.consent.unknown == "granted" else "silence counts as a no"
    return f"{said}. Whoever declined advertising is left out; {silence}."


def _or(names: tuple[str, ...]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


# ---- one audience ------------------------------------------------------------------------------------------------------------


class Next(Struct, frozen=True, kw_only=True):
    """Somebody of whom the platform has not taken all."""

    person: int
    wanted: bool
    urgent: bool
    event: int
    why: str
    since: int


class Shown(Struct, frozen=True, kw_only=True):
    """One audience at one destination with all that is known of it."""

    window: str
    listed: Kept
    platform_name: str
    way: str
    loaded_at: int | None
    refusals: list[store.Refusal]
    identifiers: dict[str, int]
    """State -> identifiers, as counted at `listed.counted_at`."""
    reachable: int | None
    walked: int
    """How many of its newest people were held against the other audiences."""
    suppression: Clock | None
    """Of this destination over seven days: from a purchase's intake until the platform took who is to see no ads."""
    changes: Clock | None
    curve: list[tuple[int, int]]
    """(hour, people wanted)."""
    segment_size: int | None
    next: list[Next]
    moves: list[Row]
    """Who entered and left its segment lately."""
    ad_groups: list[str]
    applied: list[str]
    """Ad groups that were told to use it."""
    ad_groups_wrong: str
    used_by: list[tuple[str, str]] | None
    guards: list[Guard]
    lift: bool
    may_rebuild: bool


async def shown(visit: Visit) -> Response:
    """`/audiences/{name}/{destination}`: one audience: whom it wants, what the platform took, what waits, what it shares."""
    name, destination = (str(visit.request.path_params[key]) for key in ("name", "destination"))
    window = visit.query("window", "7d")
    window = window if window in WINDOWS else "7d"
    facts = await visit.read(lambda connection: _shown(connection, known.of(visit.console), name, destination, window, visit.now))
    if facts is None:
        raise HTTPException(404, "The workspace file has no such audience there. All of them stand under Audiences.")
    return visit.page(
        "audience.html",
        facts,
        shown=facts,
        audience=facts.listed,
        curve=curve(facts, visit),
        windows=tuple(WINDOWS),
        span=span,
        **_words(),
    )


def _shown(connection: Connection, here: Known, name: str, destination: str, window: str, now: int) -> Shown | None:
    own = next((each for each in listed(connection, here) if (each.audience, each.destination) == (name, destination)), None)
    if own is None:
        return None
    chosen = declared(here.workspace, name, destination)
    standing = _standing(connection, name, destination) or Standing(slot=-1, name=name, destination=destination, state="new")
    counted = sizes.of_audiences(connection).get(standing.slot)
    clocks = synced.took(connection, now - WEEK).get(destination, {})
    segment = kept.slots(connection).get(own.segment, -1)
    hours = sizes.past(connection, [segment], now - 3 * HOUR).get(segment, [])
    rows = connection.rows("audience_next", standing.slot, NEXT)
    return Shown(
        window=window,
        listed=own,
        platform_name=standing.platform_name,
        way=standing.way,
        loaded_at=standing.loaded_at,
        refusals=store.refusals(connection, standing.slot),
        identifiers={} if counted is None else counted.keys,
        reachable=None if counted is None else counted.reachable,
        walked=0 if counted is None else counted.walked,
        suppression=clocks.get("suppressed"),
        changes=clocks.get("audience"),
        curve=_curve(connection, standing.slot, own, now - WINDOWS[window]),
        segment_size=sizes.now_inside(connection, segment, hours[-1]).people if hours else None,
        next=[_next(*row) for row in rows],
        moves=[
            Row(person=each.person, at=each.at, entered=each.entered, event=each.event, why=kept.why(each))
            for each in kept.newest(connection, segment, until=now, among=NEWEST)
        ],
        ad_groups=[] if chosen is None else list(chosen.ad_groups),
        applied=list(standing.applied.groups),
        ad_groups_wrong=standing.applied.sentence,
        used_by=None if standing.used_by is None else list(standing.used_by),
        guards=[
            each
            for each in here.guards
            if chosen is not None and here.workspace.audiences[each.place] is chosen and destination in each.destinations
        ],
        lift=chosen is not None and chosen.holdout is not None,
        may_rebuild=standing.state in MAY_REBUILD,
    )


def _standing(connection: Connection, name: str, destination: str) -> Standing | None:
    return next((each for each in store.standings(connection) if (each.name, each.destination) == (name, destination)), None)


def _next(person: int, wanted: int, priority: int, event: int, at: int, name: str | None) -> Next:
    moved = Move(person=person, at=at, segment=0, entered=bool(wanted), event=event, name=name)
    return Next(person=person, wanted=bool(wanted), urgent=priority == 0, event=event, why=kept.why(moved), since=at)


def _curve(connection: Connection, slot: int, own: Kept, since: int) -> list[tuple[int, int]]:
    found = [(int(hour), int(people)) for hour, people in connection.rows("audience_sizes_since", slot, since)]
    if own.counted_at is not None and own.wanted is not None:
        found.append((own.counted_at, own.wanted))
    return found


def curve(facts: Shown, visit: Visit) -> Chart | None:
    """How many people the audience wanted."""
    if len(facts.curve) < 2:
        return None
    return charts.over_time(
        [at for at, _ in facts.curve],
        [moment(at, visit.console.zone)[:-3] for at, _ in facts.curve],
        [Series(name="Wanted", values=[people for _, people in facts.curve])],
        alt=f"People whom {facts.listed.audience} wanted over the last {facts.window}, {facts.curve[-1][1]:,} at last.",
        height=220,
    )


async def rebuilt(visit: Visit) -> Response:
    """The form that begins a lost audience anew."""
    name, destination = (str(visit.request.path_params[key]) for key in ("name", "destination"))

    def work(connection: Connection) -> tuple[Standing, Figures] | None:
        found = synced.rebuild(connection, name, destination, visit.now)
        if found is not None and found[0].state in MAY_REBUILD:
            visit.note(connection, "audience_rebuilt", f"{name} at {destination}"[:200], f"it was {found[0].state}")
        return found

    found = await visit.write(work)
    if found is None:
        raise HTTPException(404, "This audience was not kept there yet.")
    here, figures = found
    if here.state not in MAY_REBUILD:
        raise HTTPException(409, masking.text(synced.not_lost(here)))
    return visit.go(
        audience_address(name, destination),
        f"A new audience is made at {destination} with {figures.wanted:,} people. Give it to the ad groups of the old one.",
    )


WAYS = (
    page("/audiences", overview),
    page("/audiences/{name:path}/{destination}", shown),
    act("/audiences/{name:path}/{destination}/rebuild", rebuilt),
)
