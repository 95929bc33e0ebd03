"""Segments: who is inside, how many there were and will be, who came and went and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import Response

from signalpost import amend, masking
from signalpost.events import Person
from signalpost.marked import did_you_mean
from signalpost.segments import explain, sql
from signalpost.segments.explain import Part
from signalpost.segments.flows import OUTSIDE
from signalpost.segments.uses import Use
from signalpost.store import batches, memberships, sizes, valuing
from signalpost.store import segments as kept
from signalpost.store.database import Connection
from signalpost.store.segments import Move
from signalpost.store.sizes import DAY, HOUR, Hour, Outlook
from signalpost.web import charts, known
from signalpost.web.charts import Chart, Edge, Marker, Node, Series
from signalpost.web.known import Known
from signalpost.web.routing import page
from signalpost.web.visit import Visit
from signalpost.web.words import moment

WINDOWS = {"24h": (DAY, HOUR), "7d": (7 * DAY, 3 * HOUR), "30d": (30 * DAY, 12 * HOUR)}
"""Window -> how long it is, and how far apart the points of its curve are."""

TREND = (7 * DAY, 6 * HOUR)
"""The same of the small curve in the list."""

AHEAD = {"24h": DAY, "7d": 7 * DAY, "30d": 7 * DAY}
"""Window -> how far ahead its forecast is drawn."""

AMONG = 500
"""The newest moves that are looked through."""

NEWEST = 12
SAMPLE = 10

Kind = Literal["rule", "ladder", "tier", "band"]


def address(segment: str) -> str:
    """The page of a segment."""
    return f"/segments/{quote(segment, safe='')}"


def audience_address(audience: str, destination: str) -> str:
    """The page of an audience at a destination."""
    return f"/audiences/{quote(audience, safe='')}/{quote(destination, safe='')}"


def use_address(use: Use) -> str:
    """The page of what goes by a segment."""
    if use.kind in {"audience", "leaves out"}:
        return audience_address(use.name, use.destination)
    return {"segment": address(use.name), "gate": "/quality", "tool": f"/destinations/{quote(use.name, safe='')}"}[use.kind]


def begun(sentence: str) -> str:
    """A half sentence as the beginning of one."""
    return sentence[:1].upper() + sentence[1:]


class Used(Struct, frozen=True, kw_only=True):
    """What goes by a segment, with its page."""

    use: Use
    path: str


class Listed(Struct, frozen=True, kw_only=True):
    """One segment as it is listed; times in epoch ms."""

    name: str
    kind: Kind
    family: str
    """Of a tier its ladder, of a band its value tiers."""
    sentence: str
    size: int | None
    """People inside now; None: not counted yet."""
    entered: int
    """In the last 24 hours, as `left`."""
    left: int
    trend: list[tuple[int, int]]
    """(moment, people inside) over seven days."""
    ready: bool
    built: float | None
    """Of one that is being built, the share that is done (0 to 1)."""
    problem: str
    used: list[Used]


class Family(Struct, frozen=True, kw_only=True):
    """A ladder or value tiers: segments side by side."""

    name: str
    kind: Literal["ladder", "bands"]
    sentence: str
    """What is proved of its tiers, or what its bounds are."""
    holds: bool
    tiers: list[str]


class Overview(Struct, frozen=True, kw_only=True):
    """The list of segments."""

    kind: str
    """The filter: one of `Kind`, or empty."""
    query: str
    people: int | None
    """How many people there are in all, as counted last."""
    families: list[Family]
    segments: list[Listed]
    total: int


# ---- the list --------------------------------------------------------------------------------------------------------------


async def overview(visit: Visit) -> Response:
    """`/segments`: every segment with its sentence, its size, who came and went, and what goes by it."""
    kind, query = visit.query("kind", most=20), visit.query("q", most=80).lower()

    def look(connection: Connection) -> Overview:
        here = known.of(visit.console)
        names = [name for name in here.segments.shown if not kind or kind_of(here, name)[0] == kind]
        names = [name for name in names if query in name or query in here.segments.sentences[name].lower()]
        return Overview(
            kind=kind,
            query=query,
            people=sizes.people(connection),
            families=[] if kind or query else families(connection, here),
            segments=listed(connection, here, names, visit.now),
            total=len(here.segments.shown),
        )

    facts = await visit.read(look)
    sized = {each.name: each for each in facts.segments}
    return visit.page("segments.html", facts, overview=facts, sized=sized, address=address, spark=spark, begun=begun)


def kind_of(here: Known, name: str) -> tuple[Kind, str]:
    """(kind, family) of a segment."""
    for ladder, tiers in here.segments.ladders.items():
        if name == ladder:
            return "ladder", ladder
        if name in tiers:
            return "tier", ladder
    for tiers_name, bands in here.segments.bands.items():
        if name in {f"{tiers_name}_{band}" for band in bands.names}:
            return "band", tiers_name
    return "rule", ""


def families(connection: Connection, here: Known) -> list[Family]:
    """The ladders and value tiers."""
    found = []
    for name, tiers in here.segments.ladders.items():
        proof = here.proofs[name]
        found.append(Family(name=name, kind="ladder", sentence=proof.sentence, holds=proof.holds, tiers=list(tiers)))
    computed = valuing.computed(connection)
    for name, value_tiers in here.segments.bands.items():
        cut = computed.get(name)
        bounds = [f"{bound:,.2f}" for bound in cut.bounds] if cut is not None else [*value_tiers.bounds]
        of = value_tiers.of.replace("_", " ")
        said = f"Bands of {of}, divided at {' and '.join(bounds)} {here.workspace.currency}." if bounds else f"Bands of {of}."
        if cut is not None:
            said = f"{said} {cut.sentence}" if cut.sentence else f"{said} Computed of {cut.people:,} people who bought."
        names = [f"{name}_{band}" for band in value_tiers.names]
        found.append(Family(name=name, kind="bands", sentence=said, holds=cut is None or not cut.sentence, tiers=names))
    return found


def listed(connection: Connection, here: Known, names: Iterable[str], now: int) -> list[Listed]:
    """Segments of the file as they stand, in this order."""
    registered = kept.registered(connection)
    progress = {
        name: each.done / each.total if each.total else 0.0
        for each in memberships.backfills(connection)
        for name in each.segments
    }
    troubles = _troubles(connection, here)
    slots = {name: registered[name].slot for name in names if name in registered}
    hours = sizes.past(connection, slots.values(), now - TREND[0] - 2 * HOUR)
    found = []
    for name in names:
        own = registered.get(name)
        ready = own is not None and own.removed_at is None and own.ready_at is not None
        ready = ready and own is not None and own.digest == here.segments.digest(name)
        past = hours.get(own.slot, []) if own is not None else []
        present = sizes.now_inside(connection, own.slot, past[-1]) if own is not None and past else None
        day = [each for each in past[:-1] if each.at >= now - DAY]
        kind, family = kind_of(here, name)
        found.append(
            Listed(
                name=name,
                kind=kind,
                family=family,
                sentence=here.segments.sentences[name],
                size=None if present is None else present.people,
                entered=sum(each.entered for each in day) + (present.entered if present else 0),
                left=sum(each.left for each in day) + (present.left if present else 0),
                trend=[] if present is None else [*trend(past, now - TREND[0], TREND[1]), (now, present.people)],
                ready=ready,
                built=None if ready else progress.get(name, 0.0),
                problem=troubles.get(name, ""),
                used=[Used(use=use, path=use_address(use)) for use in here.uses.get(name, ())],
            )
        )
    return found


def trend(hours: Iterable[Hour], since: int, step: int) -> list[tuple[int, int]]:
    """(moment, people) at each whole step of the clock from `since` on, and at the first hour known of them."""
    found = [(each.at, max(0, each.people)) for each in hours if each.at >= since]
    return [each for place, each in enumerate(found) if place in {0, len(found) - 1} or each[0] % step == 0]


def _troubles(connection: Connection, here: Known) -> dict[str, str]:
    """Segment of a band -> why its bounds are not as asked for."""
    return {
        f"{name}_{band}": cut.sentence
        for name, cut in valuing.computed(connection).items()
        if cut.sentence and name in here.segments.bands
        for band in here.segments.bands[name].names
    }


def spark(points: list[tuple[int, int]]) -> str:
    """A small curve within 96 by 24: the points of an SVG polyline."""
    if len(points) < 2:
        return ""
    (first, _), (last, _), most = points[0], points[-1], max(people for _, people in points) or 1
    wide = max(1, last - first)
    return " ".join(f"{96 * (at - first) / wide:.1f},{22 - 20 * people / most:.1f}" for at, people in points)


# ---- one segment -----------------------------------------------------------------------------------------------------------


class Row(Struct, frozen=True, kw_only=True):
    """Somebody who entered or left."""

    person: int
    at: int
    entered: bool
    event: int
    """What moved them; 0 and less: no event."""
    why: str


class Inside(Struct, frozen=True, kw_only=True):
    """Somebody who is inside."""

    person: int
    since: int
    identifiers: list[str]
    """Masked."""
    leaves_at: int | None
    """When time alone takes them out; None: it does not."""


class Ahead(Struct, frozen=True, kw_only=True):
    """What happens next if nothing happens."""

    at: int
    until: int
    entered_day: int
    left_day: int
    entered: int
    """Until `until`."""
    left: int


class Passing(Struct, frozen=True, kw_only=True):
    """People who went from one tier to another; empty: from or to outside."""

    source: str
    target: str
    event: str
    people: int


class Shown(Struct, frozen=True, kw_only=True):
    """One segment with all that is known of it."""

    window: str
    move: str
    """The filter of who came and went: `entered`, `left` or empty."""
    listed: Listed
    tiers: list[Listed]
    """Of a ladder, of a tier or a band: all of them side by side."""
    family: Family | None
    passing: list[Passing]
    passing_since: int | None
    rule: str
    """As the file has it, as YAML; of a tier its ladder."""
    counted_at: int | None
    people: int | None
    curve: list[tuple[int, int]]
    """(moment, people inside), the last of them now."""
    coming: list[tuple[int, int]]
    """The same if nothing happens, beginning now."""
    ahead: Ahead | None
    rows: list[Row]
    sample: list[Inside]
    ready_at: int | None
    missing: int
    dialect: str
    sql: str
    sql_problem: str


async def shown(visit: Visit) -> Response:
    """`/segments/{name}`: one segment: its size before and after now, who came and went and why, some who are inside, SQL."""
    name = str(visit.request.path_params["name"])
    window = visit.query("window", "7d")
    window = window if window in WINDOWS else "7d"
    dialect = visit.query("dialect", "duckdb")
    dialect = dialect if dialect in sql.DIALECTS else "duckdb"
    move = visit.query("move")
    move = move if move in {"entered", "left"} else ""

    def look(connection: Connection) -> Shown:
        return _shown(connection, found(visit, name), name, window, dialect, move, visit.now)

    facts = await visit.read(look)
    here = known.of(visit.console)
    return visit.page(
        "segment.html",
        facts,
        shown=facts,
        segment=facts.listed,
        address=address,
        begun=begun,
        windows=tuple(WINDOWS),
        dialects=sql.DIALECTS,
        curve=curve(facts, visit),
        picture=picture(facts, here) if facts.passing else None,
    )


def found(visit: Visit, name: str) -> Known:
    """What is known of the file; raises 404 for a segment that it does not have."""
    here = known.of(visit.console)
    if name not in here.segments.rules or name in here.segments.hidden:
        near = did_you_mean(name[:80], here.segments.shown)
        raise HTTPException(404, f"The workspace file has no such segment.{near} All of them stand under Segments.")
    return here


def _shown(connection: Connection, here: Known, name: str, window: str, dialect: str, move: str, now: int) -> Shown:
    [own] = listed(connection, here, [name], now)
    registered = kept.registered(connection).get(name)
    slot = -1 if registered is None else registered.slot
    hours = sizes.past(connection, [slot], now - WINDOWS[window][0] - HOUR).get(slot, [])
    points = (
        []
        if own.size is None
        else [*trend(_until_now(connection, slot, hours, now), now - WINDOWS[window][0], WINDOWS[window][1])]
    )
    outlook = sizes.outlook(connection, slot)
    ahead = None if outlook is None or not own.ready else _ahead(outlook, now)
    family = next((each for each in families(connection, here) if each.name == own.family), None)
    tiers = listed(connection, here, family.tiers, now) if family is not None else []
    passing, since = _passing(connection, family, window) if family is not None else ([], None)
    text, problem = _sql(connection, here, name, dialect)
    entered = None if not move else move == "entered"
    return Shown(
        window=window,
        move=move,
        listed=own,
        tiers=tiers,
        family=family,
        passing=passing,
        passing_since=since,
        rule=_rule(here, name, own),
        counted_at=hours[-1].at if hours else None,
        people=sizes.people(connection),
        curve=[*points, (now, own.size)] if own.size is not None else [],
        coming=_coming(outlook, own.size, now, AHEAD[window])
        if outlook is not None and own.size is not None and own.ready
        else [],
        ahead=ahead,
        rows=[
            _row(each)
            for each in kept.newest(connection, slot, until=now, among=AMONG if move else NEWEST, entered=entered)[:NEWEST]
        ],
        sample=inside(connection, name, slot),
        ready_at=None if registered is None else registered.ready_at,
        missing=next((missing for each, missing, _ in connection.rows("segments_built") if each == slot), 0),
        dialect=dialect,
        sql=text,
        sql_problem=problem,
    )


def _until_now(connection: Connection, slot: int, hours: list[Hour], now: int) -> list[Hour]:
    """The counted hours, and those since the last of them by what moved people."""
    if not hours:
        return []
    moved = kept.steps(connection, slot, hours[-1].at, now + 1, HOUR)
    found, people = [*hours], hours[-1].people
    for at in range(hours[-1].at + HOUR, now, HOUR):
        entered, left = moved.get(at - HOUR, (0, 0))
        people += entered - left
        found.append(Hour(at=at, people=people))
    return found


def _row(move: Move) -> Row:
    return Row(person=move.person, at=move.at, entered=move.entered, event=move.event, why=kept.why(move))


def inside(connection: Connection, name: str, slot: int) -> list[Inside]:
    """Some who are inside: those who came last."""
    arrived = kept.arrived(connection, slot, among=AMONG, most=SAMPLE)
    people = batches.people(connection, [person for person, _ in arrived])
    return [
        Inside(
            person=person,
            since=at,
            identifiers=identifiers(connection, person),
            leaves_at=people[person].due.get(name) if person in people else None,
        )
        for person, at in arrived
    ]


def identifiers(connection: Connection, person: int, most: int = 2) -> list[str]:
    """What a person is known by, masked, a few of it: e-mail addresses, phones and customer ids first, then browser ids."""
    order = ("email", "phone", "external_id")
    own = sorted(kept.identifiers(connection, person), key=lambda each: order.index(each[0]) if each[0] in order else len(order))
    return list(dict.fromkeys(masking.digest(masking.identifier(each)) for each in own))[:most]


def _rule(here: Known, name: str, own: Listed) -> str:
    raw: Any = here.workspace.segments.get(own.family or name)
    if own.kind == "band":
        raw = here.workspace.value_tiers[own.family]
    return amend.written(msgspec.to_builtins(raw)) if raw is not None else ""


def _sql(connection: Connection, here: Known, name: str, dialect: str) -> tuple[str, str]:
    """(the rule as SQL, or why there is none); written once for each rule, dialect and bounds of value tiers."""
    bands = valuing.present(connection, here.workspace)
    key = (name, dialect, msgspec.json.encode(bands))
    if key not in here.statements:
        try:
            here.statements[key] = (sql.select(here.segments.rules[name], here.segments.rules, dialect=dialect, bands=bands), "")
        except sql.Unsayable as error:
            here.statements[key] = ("", str(error))
    return here.statements[key]


def _ahead(outlook: Outlook, now: int) -> Ahead:
    coming = [each for each in outlook.hours if each[0] + HOUR > now]
    day = [each for each in coming if each[0] < now + DAY]
    return Ahead(
        at=outlook.at,
        until=outlook.until,
        entered_day=sum(entered for _, entered, _ in day),
        left_day=sum(left for _, _, left in day),
        entered=sum(entered for _, entered, _ in coming),
        left=sum(left for _, _, left in coming),
    )


def _coming(outlook: Outlook, size: int, now: int, ahead: int) -> list[tuple[int, int]]:
    """(moment, people inside if nothing happens), beginning now, so far as the forecast reaches."""
    until, moved = min(now + ahead, outlook.until), {at: entered - left for at, entered, left in outlook.hours}
    points, people = [(now, size)], size
    for at in range(now - now % HOUR, until, HOUR):
        people += moved.get(at, 0)
        points.append((at + HOUR, max(0, people)))
    return points


def curve(facts: Shown, visit: Visit) -> Chart | None:
    """The size before now, and after it if nothing happens, drawn dashed."""
    if not facts.curve:
        return None
    step = WINDOWS[facts.window][1]
    coming = facts.coming[1:]
    coming = [each for place, each in enumerate(coming) if place == len(coming) - 1 or each[0] % step == 0]
    points = [*facts.curve, *coming]
    labels: list[str] = []
    for at, _ in points:
        label = moment(at, visit.console.zone)[:-3]
        labels.append(label if label not in labels else moment(at, visit.console.zone))
    before: list[float | None] = [*(people for _, people in facts.curve), *(None for _ in coming)]
    after: list[float | None] = [*(None for _ in facts.curve[:-1]), facts.curve[-1][1], *(people for _, people in coming)]
    series = [Series(name="Inside", values=before, colour="a")]
    if coming:
        series.append(Series(name="If nothing happens", values=after, colour="b", dashed=True))
    return charts.over_time(
        [at for at, _ in points],
        labels,
        series,
        alt=f"People inside {facts.listed.name} over the last {facts.window}, {facts.listed.size:,} now.",
        markers=[Marker(at=facts.curve[-1][0], label="now")] if coming else (),
    )


# ---- tiers side by side ----------------------------------------------------------------------------------------------------


def _passing(connection: Connection, family: Family, window: str) -> tuple[list[Passing], int | None]:
    numbers = kept.slots(connection)
    slots = {numbers[name]: name for name in family.tiers if name in numbers}
    counted = sizes.passing(connection, next(iter(slots))) if slots else None
    if counted is None:
        return [], None
    ways = [each for each in counted.ways[window] if {each.source, each.target} <= {OUTSIDE, *slots}]
    return [
        Passing(source=slots.get(each.source, ""), target=slots.get(each.target, ""), event=each.event, people=each.people)
        for each in ways
    ], counted.since[window]


def picture(facts: Shown, here: Known) -> Chart:
    """People on their way through the tiers: in on the left, out on the right, back to an earlier tier as a way out."""
    tiers = {each.name: place for place, each in enumerate(facts.tiers)}
    title = {name: name.removeprefix(f"{facts.listed.family}_") for name in tiers}
    last = len(tiers) + 1
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], float] = {}

    def node(key: str, label: str, depth: int, colour: str, link: str = "", text: str = "") -> str:
        nodes.setdefault(key, Node(id=key, label=label, depth=depth, colour=colour, link=link, title=text))
        return key

    def tier(name: str) -> str:
        size = next(each.size for each in facts.tiers if each.name == name)
        there = "" if size is None else f"{size:,} inside now"
        return node(name, title[name], tiers[name] + 1, "abcdef"[tiers[name] % 6], address(name), there)

    for each in facts.passing:
        if each.source and each.target and tiers[each.target] > tiers[each.source]:
            way = (tier(each.source), tier(each.target))
        elif each.source and each.target:
            way = (tier(each.source), node("out:again", f"Back to an earlier tier: {each.event or 'rule'}", last, "f"))
        elif each.target:
            came = each.event or ("Time" if here.segments.ladders else "Bounds")
            way = (node(f"in:{came}", came, 0, "f"), tier(each.target))
        else:
            said = each.event or "Window ended"
            way = (tier(each.source), node(f"out:{said}", said, last, "accepted" if each.event == "Order Completed" else "f"))
        edges[way] = edges.get(way, 0) + each.people
    return charts.flow(
        list(nodes.values()),
        [Edge(source=source, target=target, value=people, label=_people(people)) for (source, target), people in edges.items()],
        alt=f"How people went through the tiers of {facts.listed.family} in this window.",
        heads=("From", "To", "People"),
        height=max(220, 60 + 60 * max(len(tiers), 3)),
    )


def _people(many: float) -> str:
    return f"{many:,.0f} {'person' if many == 1 else 'people'}"


# ---- one person ------------------------------------------------------------------------------------------------------------


class Told(Struct, frozen=True, kw_only=True):
    """One part of a rule, asked by itself."""

    word: str
    sentence: str
    holds: bool
    changes_at: int | None
    seen: list[str]
    parts: list[Told]


class Reason(Struct, frozen=True, kw_only=True):
    """Why one person is inside or not."""

    segment: str
    sentence: str
    person: int
    identifiers: list[str]
    inside: bool
    since: int | None
    """Since when, as it is written; None: they are not."""
    suppressed: bool
    ready: bool
    next: str
    part: Told
    moves: list[Row]


async def reason(visit: Visit) -> Response:
    """`/segments/{name}/people/{person}`: why this person is inside or not, and what changes next."""
    name, number = str(visit.request.path_params["name"]), visit.number("person")

    def look(connection: Connection) -> Reason | None:
        here = found(visit, name)
        number_now = memberships.last_known_as(connection, [number]).get(number, number)
        person = batches.people(connection, [number_now]).get(number_now)
        return None if person is None else _reason(connection, here, name, person, visit)

    facts = await visit.read(look)
    if facts is None:
        raise HTTPException(404, "There is no such person; they may have been erased.")
    return visit.page("segment_person.html", facts, reason=facts, address=address)


def _reason(connection: Connection, here: Known, name: str, person: Person, visit: Visit) -> Reason:
    zone, now = visit.console.zone, visit.now
    bands = valuing.present(connection, here.workspace)
    one = explain.explain(name, here.segments.rules, bands, person, now, zone)
    own = kept.registered(connection).get(name)

    def told(part: Part) -> Told:
        return Told(
            word=part.word,
            sentence=part.sentence,
            holds=part.holds,
            changes_at=part.changes_at,
            seen=[explain.seen_words(seen, masking.fact(seen.name, seen.value), zone, now) for seen in part.seen],
            parts=[told(each) for each in part.parts],
        )

    return Reason(
        segment=name,
        sentence=here.segments.sentences[name],
        person=person.id,
        identifiers=identifiers(connection, person.id),
        inside=one.inside,
        since=None if own is None else kept.since(connection, own.slot, person.id),
        suppressed=person.suppressed_at > 0,
        ready=own is not None and own.ready_at is not None and own.digest == here.segments.digest(name),
        next=explain.next_words(one, zone, now),
        part=told(one.part),
        moves=[] if own is None else [_row(each) for each in kept.moves_of(connection, person.id, own.slot)],
    )


WAYS = (
    page("/segments", overview),
    page("/segments/{name}", shown),
    page("/segments/{name}/people/{person:int}", reason),
)
