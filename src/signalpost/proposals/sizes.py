"""How many people segments hold and audiences want under two files: everybody is asked, at one moment.

A rule that is new needs times that were never remembered: they are read from the events again, as the backfill would after the
file was applied, so that what is said here is what comes then.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from msgspec.structs import replace

from signalpost import audiences, backfill, conditions, facts, gates, identity, memberships, orders, purchases, valuing
from signalpost.events import Event, Person
from signalpost.plan import Plan
from signalpost.proposals.beginning import World
from signalpost.proposals.comparison import Size
from signalpost.proposals.sides import AFTER, BEFORE
from signalpost.segments import bands, catalog, live
from signalpost.segments.live import Slot
from signalpost.store import history
from signalpost.store import memberships as stored
from signalpost.store.database import Connection
from signalpost.store.memberships import TRAIT

PAGE = 1_000

OPTIONS = ("segments", "value_tiers", "journeys", "audiences", "consent", "timezone", "events", "derived", "order_value")
"""Options by which who is in a segment or audience may differ."""

Sized = tuple[list[Size], list[Size]]


def sizes(connection: Connection, before: Plan, after: Plan, worlds: list[World], until: int, tick: Callable[[], None]) -> Sized:
    """(segments, audiences) at the moment `until`. `worlds`: people as the replays left them, one for each file; none where the
    files know people alike."""
    if not worlds and all(getattr(before.workspace, each) == getattr(after.workspace, each) for each in OPTIONS):
        return _stored(connection, before)
    plans = [_with_bounds(connection, plan) for plan in (before, after)]
    upto = worlds[0].first if worlds else None  # a replay remembers for itself
    past = [_past(connection, plan, upto) for plan in plans]
    inside: list[dict[str, int]] = [{}, {}]
    wanted: list[dict[str, int]] = [{}, {}]
    for today, own in _everybody(connection, worlds):
        tick()
        for side in (BEFORE, AFTER):
            person = own[side] if worlds else today
            if person is None or person.suppressed_at:
                continue
            plan = plans[side]
            person = _remembering(person, past[side].get(person.id), plan, joined=bool(worlds))
            asked, _ = memberships.asked(replace(person, due={}), plan.segments, plan.segments.segments, until)
            for name in asked.inside:
                inside[side][name] = inside[side].get(name, 0) + 1
            for audience in plan.audiences:
                if audiences.wants(audience, asked):
                    wanted[side][audience.name] = wanted[side].get(audience.name, 0) + 1
    shown = [catalog.of(plan.workspace).shown for plan in plans]
    segments = [
        Size(
            name=name,
            destination="",
            before=_of(inside[BEFORE], name, shown[BEFORE]),
            after=_of(inside[AFTER], name, shown[AFTER]),
        )
        for name in dict.fromkeys((*shown[BEFORE], *shown[AFTER]))
    ]
    kept = [[(each.title, destination) for each in plan.workspace.audiences for destination in each.to] for plan in plans]
    listed = [
        Size(
            name=title,
            destination=destination,
            before=wanted[BEFORE].get(title, 0) if (title, destination) in kept[BEFORE] else None,
            after=wanted[AFTER].get(title, 0) if (title, destination) in kept[AFTER] else None,
        )
        for title, destination in dict.fromkeys((*kept[BEFORE], *kept[AFTER]))
    ]
    return segments, listed


def _of(counts: Mapping[str, int], name: str, shown: Iterable[str]) -> int | None:
    return counts.get(name, 0) if name in shown else None


def _stored(connection: Connection, plan: Plan) -> Sized:
    """Both files have the same segments and audiences: they are as the store has them."""
    members = {name: int(many) for name, many in connection.rows("members_by_segment")}
    wanted = {(name, destination): int(many) for name, destination, many in connection.rows("wanted_by_audience")}
    segments = [
        Size(name=name, destination="", before=members.get(name, 0), after=members.get(name, 0))
        for name in catalog.of(plan.workspace).shown
    ]
    pairs = [(each.title, destination) for each in plan.workspace.audiences for destination in each.to]
    listed = [
        Size(name=title, destination=destination, before=many, after=many)
        for title, destination in pairs
        for many in (wanted.get((title, destination), 0),)
    ]
    return segments, listed


def _everybody(connection: Connection, worlds: list[World]) -> Iterator[tuple[Person, list[Person | None]]]:
    """(as they are today, as each replay left them): everybody of today, then those whom only a replay knows."""
    told: set[int] = set()
    for today in _people(connection):
        own = [_after(today, world) for world in worlds]
        told.add(today.id)
        yield today, own
    for number in dict.fromkeys(number for world in worlds for number in world.people):
        if number not in told:
            found = [world.people.get(number) for world in worlds]
            yield next(each for each in found if each is not None), found


def _after(today: Person, world: World) -> Person | None:
    person = world.people.get(today.id)
    if person is not None:
        return person
    return None if today.id >= world.first or today.id in world.became else today


def _people(connection: Connection) -> Iterator[Person]:
    last = 0
    while page := stored.people_page(connection, last, PAGE):
        last = page[-1].id
        yield from page


# ---- what was never remembered -----------------------------------------------------------------------------------------------


def _past(connection: Connection, plan: Plan, upto: int | None) -> dict[int, Person]:
    """Person -> a record with what the rules need and the flow has not remembered so far."""
    if plan.segments is live.NONE:
        return {}
    there = {what for what, dropped in connection.rows("remembered") if not dropped}
    slots = [each for each in plan.segments.slots if each.key not in there]
    needed = catalog.of(plan.workspace).traits | gates.kept_traits(plan.workspace)
    traits = frozenset(each for each in needed if TRAIT + each not in there)
    return _read_again(connection, plan, slots, traits, upto) if slots or traits else {}


def _read_again(
    connection: Connection, plan: Plan, slots: list[Slot], traits: frozenset[str], upto: int | None
) -> dict[int, Person]:
    by_event: dict[str, list[tuple[Slot, Callable[[conditions.Subject], bool] | None]]] = {}
    for slot in slots:
        by_event.setdefault(slot.event, []).append((slot, None if slot.where is None else conditions.compile(slot.where).test))
    joined = history.joined(connection)
    found: dict[int, Person] = {}
    for page in history.events(connection, None if traits else sorted(by_event)):
        mine = [
            (each, whose)
            for each in page
            if each.counts
            and (upto is None or each.id < upto)
            and each.kind not in backfill.RIGHTS
            and (whose := joined.whose(each)) is not None
        ]
        reads = [
            backfill.origin(each.id, each.note)
            for each, _ in mine
            if traits or any(test is not None for _, test in by_event.get(each.name, ()))
        ]
        said = backfill.told(connection, reads) if reads else {}
        for each, whose in mine:
            event = said.get(backfill.origin(each.id, each.note))
            person = known = found.get(whose) or Person(id=whose)
            for slot, test in by_event.get(each.name, ()):
                if test is None or (event is not None and test(_subject(each, event, plan))):
                    known = live.remember(known, slot, min(each.time, each.received_at))
            if traits and event is not None:
                known = identity.given(known, event, traits)
            if known is not person:
                found[whose] = known
    return found


def _subject(past: history.Happening, event: Event, plan: Plan) -> conditions.Subject:
    order = orders.read(event, definition=plan.workspace.order_value, default_currency=plan.workspace.currency)
    person = Person(id=past.person)
    return conditions.Subject(
        name=past.name,
        event=event,
        order=order,
        person=person,
        now=event.received_at,
        claim=lambda: purchases.claim(event, past.id, order),
        facts=cache(lambda: facts.of(person)),
        number=lambda: None,
    )


def _remembering(person: Person, past: Person | None, plan: Plan, *, joined: bool) -> Person:
    """The person with what was read again in memory, `joined` with what they remember or in its place."""
    if past is None:
        return person
    memory = dict(person.memory)
    for key, times in past.memory.items():
        size = plan.segments.sizes.get(key)
        if size is not None:
            memory[key] = live.kept(tuple(sorted((*memory.get(key, ()), *times))), *size) if joined else times
    given = {**past.given, **person.given} if past.given else person.given
    return replace(person, memory=memory, given=given)


# ---- bounds that were never computed -----------------------------------------------------------------------------------------


def _with_bounds(connection: Connection, plan: Plan) -> Plan:
    """The plan with the bounds of quantiles that the store has not computed, which are those of another file."""
    wanting = {
        name: tiers for name, tiers in plan.workspace.value_tiers.items() if tiers.quantiles and not plan.bands[name].bounds
    }
    if not wanting:
        return plan
    unit = valuing.UNIT
    values = {name: array("q") for name in wanting}
    for person in _people(connection):
        if person.orders:
            known = facts.of(person)
            for name, tiers in wanting.items():
                worth = bands.value(bands.declared(tiers), known)
                if worth is not None:
                    values[name].append(int(worth / unit))
    cut = {name: bands.declared(tiers, bands.cut(tiers, sorted(values[name]), unit).bounds) for name, tiers in wanting.items()}
    bounds = {**plan.bands, **cut}
    return replace(plan, bands=bounds, segments=live.compile(catalog.of(plan.workspace).rules, bounds))
