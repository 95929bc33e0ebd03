"""The whole way of an event, in order: gather, decide, commit. This module alone knows the order.

    journal -> read -> stitch -> remember -> orders -> gates -> map -> outbox

`gather` reads what a batch can touch, `decide` is pure (the state, the plan and `now` are arguments), `commit` writes the
decision in one transaction together with the journal positions it covers. So a crash anywhere repeats a batch and changes
nothing, and how the stream is cut into batches does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from signalpost import config as workspace_file
from signalpost import gates, identity, mapping, orders, sources, vocabulary
from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Destination, request_settings
from signalpost.events import Event, Identifier, Order, Person, Signal
from signalpost.sources import Reading, Received, Refusal
from signalpost.state import Decision, KnownOrder, State, Waiting
from signalpost.store import batches
from signalpost.store.database import Connection

PLACES = 16
"""An event's id is its journal position shifted by this many bits, plus its place in the request."""

SLOTS = 64
"""Destinations a workspace may have; a signal's id is its event's id times this, plus the destination's slot."""

SIGNAL_KINDS = frozenset({"track", "page", "screen"})
PAGE_NAMES = {"page": "Page Viewed", "screen": "Screen Viewed"}
NOTES = {
    "device": "A device for push messages: accepted and ignored.",
    "group": "A group or object: accepted and ignored.",
}
"""What is said of events that are kept and change nothing."""

PURCHASE = "Order Completed"
WITH_ORDER_ID = frozenset({PURCHASE, "Order Placed", "Order Refunded", "Order Cancelled"})
"""Events that happen once an order: their platform id comes from the order, so that every source gives the same."""

PRESENT = 600_000
"""Clock skew (ms) that is forgiven: an event up to ten minutes ahead happened when it was received."""


class Route(Struct, frozen=True):
    """One configured destination, compiled."""

    name: str
    slot: int
    """The destination's small number, part of the ids of its signals."""
    platform: Destination
    events: dict[str, str]
    valued: frozenset[str]
    paused: bool
    oldest_ms: int
    shared_id: Callable[[Event], Any]
    test: bool
    settings: dict[str, str]
    render: mapping.Render


class Plan(Struct, frozen=True):
    """The workspace, compiled for deciding."""

    workspace: workspace_file.Workspace
    routes: tuple[Route, ...]
    aliases: dict[str, str]
    production: bool
    reused_after_ms: int
    blocked: tuple[str, ...]
    advertising: Callable[[Event], Any]
    limited: Callable[[Event], Any]
    counted_source: dict[str, str]


class Arrived(Struct, frozen=True, gc=False):
    """One event with its id and its keys."""

    id: int
    event: Event
    keys: tuple[Identifier, ...]
    previous: tuple[Identifier, ...]


class Batch(Struct, frozen=True):
    """Requests of the journal, read."""

    positions: tuple[int, ...]
    arrived: tuple[Arrived, ...]
    refusals: tuple[tuple[int, Refusal], ...]


# ---- the plan --------------------------------------------------------------------------------------------------------------


def plan(workspace: workspace_file.Workspace, slots: Mapping[str, int] | None = None) -> Plan:
    """Compile the workspace: one route a destination. `slots` are the numbers the database gave (`batches.slots`)."""
    production = workspace.environment == "production"
    routes = []
    for index, (name, chosen) in enumerate(workspace.destinations.items()):
        platform = CATALOG[chosen.type]
        events = dict(platform.events) if chosen.events == "standard" else {**chosen.events}
        limits = platform.limits
        oldest = limits.oldest_ms
        if chosen.oldest:
            oldest = min(workspace_file.duration(chosen.oldest), limits.oldest_possible_ms or limits.oldest_ms)
        routes.append(
            Route(
                name=name,
                slot=index if slots is None else slots[name],
                platform=platform,
                events=events,
                valued=frozenset(each for each in events if vocabulary.priority(each) < vocabulary.REST),
                paused=chosen.paused,
                oldest_ms=oldest,
                shared_id=gates.finder(chosen.event_id),
                test=not production,
                settings=request_settings(chosen),
                render=mapping.compile(platform, chosen),
            )
        )
    return Plan(
        workspace=workspace,
        routes=tuple(routes),
        aliases=dict(workspace.aliases),
        production=production,
        reused_after_ms=workspace_file.duration(workspace.orders.reused_after),
        blocked=tuple(value.lower() for value in workspace.identity.blocked),
        advertising=gates.finder(workspace.consent.advertising),
        limited=gates.finder(workspace.consent.limited_data_use),
        counted_source=workspace.counted_source,
    )


# ---- read ------------------------------------------------------------------------------------------------------------------


def read(requests: Iterable[tuple[int, Received]], plan: Plan) -> Batch:
    """Journalled requests as a batch."""
    return number([(position, sources.read(received)) for position, received in requests], plan)


def number(readings: Iterable[tuple[int, Reading]], plan: Plan) -> Batch:
    """The requests' events, numbered and with the keys that name their people."""
    country, blocked = plan.workspace.country, plan.blocked
    positions: list[int] = []
    arrived: list[Arrived] = []
    refusals: list[tuple[int, Refusal]] = []
    for position, reading in readings:
        positions.append(position)
        refusals.extend((position, refusal) for refusal in reading.refusals)
        event_id = position << PLACES
        for event in reading.events:
            arrived.append(
                Arrived(
                    event_id,
                    event,
                    identity.keys(identity.named(event), country=country, blocked=blocked),
                    identity.keys(event.previous, country=country, blocked=blocked) if event.previous else (),
                )
            )
            event_id += 1
    return Batch(tuple(positions), tuple(arrived), tuple(refusals))


# ---- decide ----------------------------------------------------------------------------------------------------------------


class Pending(Struct, gc=False):
    """A signal that passed its gates; rendered at the end of the batch with what is then known of the person."""

    route: Route
    signal: Signal
    person: int
    event: int
    row: int
    """Its place in the ledger rows, kept free for it."""
    withdrawn: bool = False


class Deciding(Struct):
    """A batch half decided: the state moving along and what is to be written so far."""

    plan: Plan
    state: State
    made: Decision
    changed: dict[int, None] = field(default_factory=dict)
    became: dict[int, int] = field(default_factory=dict)
    """Merged person -> who they are now."""
    pending: list[Pending] = field(default_factory=list)
    counted: dict[str, KnownOrder] = field(default_factory=dict)
    """Order key -> a purchase that this batch counts somewhere."""

    def now_known_as(self, person: int) -> int:
        """The person this one was merged into, however often."""
        while person in self.became:
            person = self.became[person]
        return person


def decide(batch: Batch, state: State, plan: Plan, now: int) -> Decision:
    """What this batch changes. Pure but for `state`, which is the batch's own copy and moves along."""
    made = Decision(now=now, positions=list(batch.positions))
    work = Deciding(plan, state, made)
    made.refusals = [(position, -1 if r.index is None else r.index, r.path, r.sentence) for position, r in batch.refusals]
    if made.refusals:
        count(made, "", "", "refused", "unreadable", signals=len(made.refusals))
    for arrived in batch.arrived:
        decide_event(arrived, work)
    for pending in work.pending:
        render(pending, work)
    made.people = [state.people[person] for person in work.changed if person in state.people]
    made.orders = list(work.counted.values())
    for known in made.orders:
        known.person = work.now_known_as(known.person)
    made.owners = {key: work.now_known_as(owner) for key, owner in made.owners.items()}
    return made


def decide_event(arrived: Arrived, work: Deciding) -> None:
    """One event: seen before? whose? worth what? and for each destination, why not?"""
    event, number, made, plan = arrived.event, arrived.id, work.made, work.plan
    name = PAGE_NAMES.get(event.kind) or (vocabulary.canonical(event.name, plan.aliases) if event.name else event.kind)
    is_signal = event.kind in SIGNAL_KINDS
    key = f"{event.source}:{event.message_id}"
    first = work.state.seen.setdefault(key, number)
    if first != number:
        note = f"repeat of event {first}"
        made.events.append((number, f"{key}#{number}", event.kind, name, 0, None, event.time, event.received_at, note))
        for route in plan.routes if is_signal else ():
            withhold(made, number, route, name, None, orders.NO_ORDER, "duplicate_message")
        return
    if event.received_at < event.time <= event.received_at + PRESENT:
        event = replace(event, time=event.received_at)
    said = said_by(event, plan)
    person = person_of(arrived, event, said, work)
    if not is_signal:
        row = (number, key, event.kind, name, person.id, None, event.time, event.received_at, NOTES.get(event.kind))
        made.events.append(row)
        return
    order = orders.read(event, definition=plan.workspace.order_value, default_currency=plan.workspace.currency)
    made.events.append(
        (number, key, event.kind, name, person.id, order.id, event.time, event.received_at, order.value_from or None)
    )
    counted = known_order(order.id, person.id, event.time, number, work) if name == PURCHASE and order.id else None
    allowed, limited = consent_of(said, person, plan)
    for route in plan.routes:
        platform_event = route.events.get(name)
        if platform_event is None:
            withhold(made, number, route, name, None, order, "not_mapped")
            continue
        signal = Signal(
            event=event,
            name=name,
            platform_event=platform_event,
            event_id=platform_id(route, event, name, order, counted),
            person=person,
            order=order,
            limited=limited,
            test=route.test,
        )
        duplicate = counted is not None and route.name in counted.sent
        reason = objection(signal, route, plan, allowed=allowed, duplicate_order=duplicate, now=made.now)
        if reason is not None:
            withhold(made, number, route, name, platform_event, order, reason[0], reason[1])
            continue
        if counted is not None:
            counted.sent.add(route.name)
            if counted.key not in work.counted:
                work.counted[counted.key] = counted
                remember_order(counted, work)
        work.pending.append(Pending(route, signal, person.id, number, len(made.ledger)))
        made.ledger.append(())


def objection(
    signal: Signal, route: Route, plan: Plan, *, allowed: bool, duplicate_order: bool, now: int
) -> tuple[str, str | None] | None:
    """Why this signal must not go to this destination: (reason, a sentence if the reason's own does not say it); None: it may."""
    event, name = signal.event, signal.name
    source = plan.counted_source.get(name)
    reason = gates.withheld(
        event=event,
        person=signal.person,
        order=signal.order,
        counts=source is None or source == event.source,
        paused=route.paused,
        production=plan.production,
        allowed=allowed,
        purchase=name == PURCHASE,
        duplicate_order=duplicate_order,
        valued=name in route.valued,
        currencies=route.platform.currencies,
        oldest_ms=route.oldest_ms,
        future_ms=route.platform.limits.future_ms,
        now=now,
    )
    if reason is not None:
        return reason, None
    own = route.platform.objection(signal, route.settings)
    if own is not None:
        return own
    return None if route.platform.identified(signal.person, signal) else ("no_identifier", route.platform.identifier_hint)


def said_by(event: Event, plan: Plan) -> dict[str, bool]:
    """What the event says of consent: advertising, limited_data_use; nothing for what it does not say."""
    said = {}
    for fact, find in (("advertising", plan.advertising), ("limited_data_use", plan.limited)):
        answer = gates.truth(find(event))
        if answer is not None:
            said[fact] = answer
    return said


def consent_of(said: Mapping[str, bool], person: Person, plan: Plan) -> tuple[bool, bool]:
    """(advertising is allowed, data use is limited): what this event says, else what the person said last, else the default."""
    allowed, limited = said.get("advertising"), said.get("limited_data_use")
    if allowed is None:
        remembered = person.consent.get("advertising")
        allowed = remembered[0] if remembered else plan.workspace.consent.unknown == "granted"
    if limited is None:
        remembered = person.consent.get("limited_data_use")
        limited = remembered[0] if remembered else False
    return allowed, limited


# ---- whose -----------------------------------------------------------------------------------------------------------------


def person_of(arrived: Arrived, event: Event, said: dict[str, bool], work: Deciding) -> Person:
    """The person of this event after it: found or made, merged, taught; a passing stranger (id 0) without keys."""
    state, made, rules = work.state, work.made, work.plan.workspace.identity
    if not arrived.keys:
        return identity.learn(Person(id=0), event, (), said)
    own = arrived.keys
    if arrived.previous:
        # An unknown id that somebody is said to have had is no id to remember, unless it is a browser's, which may speak again.
        own += tuple(key for key in arrived.previous if key in state.owners or key[0] == "anonymous_id")
    found = identity.stitch(
        own, state.owners, state.people, explicit=event.kind == "merge", merge_on=rules.merge_on, most=rules.max_identifiers
    )
    if found.person is None:
        person = Person(id=arrived.id, created_at=min(event.time, event.received_at))
        state.people[person.id] = person
        work.changed[person.id] = None
    else:
        person = state.people[found.person]
    for key in found.attach:
        state.owners[key] = made.owners[key] = person.id
    for other, why in found.refused:
        made.merges.append((arrived.id, person.id, other, 0, why, None, made.now))
    for other, why in found.merged:
        person = merge(person, state.people[other], why, arrived.id, work)
    if event.kind in {"delete", "suppress", "unsuppress"}:
        return exercise_right(person, event, work)
    if person.suppressed_at:
        return person
    learned = identity.learn(person, event, own, said)
    if learned is not person:
        state.people[learned.id] = learned
        work.changed[learned.id] = None
    return learned


def merge(one: Person, other: Person, why: str, event: int, work: Deciding) -> Person:
    """Two people are one from here on; the older id stays and everything of the other moves to it."""
    joined = identity.combine(one, other)
    loser = other if joined.id == one.id else one
    work.made.merges.append((event, joined.id, loser.id, 1, why, loser, work.made.now))
    work.made.moved.append((joined.id, loser.id))
    work.became[loser.id] = joined.id
    for key, owner in work.state.owners.items():
        if owner == loser.id:
            work.state.owners[key] = joined.id
    for under in work.state.orders.values():
        for known in under:
            if known.person == loser.id:
                known.person = joined.id
    work.state.people[joined.id] = joined
    del work.state.people[loser.id]
    work.changed[joined.id] = None
    if joined.suppressed_at:
        withdraw(joined.id, work)
    return joined


def withdraw(person: int, work: Deciding) -> None:
    """Nothing of this person may leave: neither what this batch made nor what waits, also of those merged into them so far."""
    work.made.withdrawn += [
        (each, "suppressed_person") for each in (person, *(one for one in work.became if work.now_known_as(one) == person))
    ]
    for pending in work.pending:
        if work.now_known_as(pending.person) == person:
            pending.withdrawn = True


def exercise_right(person: Person, event: Event, work: Deciding) -> Person:
    """Erased, suppressed or allowed again, as the person asked. What still waits of theirs is withdrawn."""
    state = work.state
    if event.kind == "unsuppress":
        freed = replace(person, suppressed_at=0)
        state.people[person.id] = freed
        work.changed[person.id] = None
        return freed
    withdraw(person.id, work)
    emptied = Person(id=person.id, created_at=person.created_at, suppressed_at=max(event.time, 1))
    if event.kind == "suppress":
        state.people[person.id] = emptied
        work.changed[person.id] = None
        return emptied
    work.made.dropped.append(person.id)
    work.changed.pop(person.id, None)
    del state.people[person.id]
    for key in [key for key, owner in state.owners.items() if owner == person.id]:
        del state.owners[key]
        work.made.owners.pop(key, None)
    return emptied


# ---- which order, which id -------------------------------------------------------------------------------------------------


def known_order(order_id: str, person: int, time: int, number: int, work: Deciding) -> KnownOrder:
    """The purchase this order id stands for: the one known, or a new one where the shop used the id again.

    The same person's is always the same order; another person's is a repeat by a second source unless it is
    `orders.reused_after` apart: then one id was given to two orders.
    """
    under = work.state.orders.setdefault(order_id, [])
    for known in under:
        if 0 in {person, known.person} or known.person == person or abs(time - known.time) < work.plan.reused_after_ms:
            return known
    key = f"{order_id}~{number}" if under else order_id
    return KnownOrder(key=key, order_id=order_id, person=person, event=number, time=time, sent=set())


def remember_order(known: KnownOrder, work: Deciding) -> None:
    """From the first destination that counts it, a purchase is known: to this batch as to the next (`made.orders`)."""
    under = work.state.orders[known.order_id]
    if all(each is not known for each in under):
        under.append(known)


def platform_id(route: Route, event: Event, name: str, order: Order, counted: KnownOrder | None) -> str:
    """What the platform deduplicates on: the id shared with the pixel, else the order, else the message."""
    shared = orders.text(route.shared_id(event))
    if shared is not None:
        return shared
    if counted is not None:
        return f"{counted.key}:{name.lower().replace(' ', '-')}"
    if order.id is not None and name in WITH_ORDER_ID:
        return f"{order.id}:{name.lower().replace(' ', '-')}"
    return event.message_id


# ---- rows ------------------------------------------------------------------------------------------------------------------


def render(pending: Pending, work: Deciding) -> None:
    """Write the signal in the platform's form, with what is known of the person at the end of the batch."""
    made, signal, route = work.made, pending.signal, pending.route
    if pending.withdrawn:
        made.ledger[pending.row] = ledger_row(
            made, pending.event, route, signal.platform_event, signal.order, "withheld", "suppressed_person", signal.event_id
        )
        return
    person = work.now_known_as(pending.person)
    known = work.state.people.get(person, signal.person) if person else signal.person
    if known is not signal.person:
        # The click ids are those known at the time, which led to the event: a later one would depend on where a batch ends.
        signal = replace(signal, person=replace(known, clicks=signal.person.clicks))
    order, event = signal.order, signal.event
    made.ledger[pending.row] = ledger_row(
        made, pending.event, route, signal.platform_event, order, "waiting", None, signal.event_id
    )
    made.outbox.append(
        (
            pending.event * SLOTS + route.slot,
            route.name,
            vocabulary.priority(signal.name),
            pending.event,
            person,
            signal.name,
            event.time,
            event.received_at,
            made.now,
            0,
            0,
            None,
            micros(order.value),
            order.currency if order.value is not None else None,
            route.render(signal),
        )
    )


def micros(value: Decimal | None) -> int | None:
    """Millionths of the currency, for counters."""
    return None if value is None else int(value * 1_000_000)


def ledger_row(
    made: Decision,
    event: int,
    route: Route,
    platform_event: str | None,
    order: Order,
    verdict: str,
    reason: str | None,
    event_id: str | None = None,
    sentence: str | None = None,
) -> tuple[Any, ...]:
    """One row of the ledger, as it is first written."""
    worth = None if order.value is None else f"{order.value:f}"
    return (
        event,
        route.name,
        verdict,
        reason,
        sentence,
        platform_event,
        event_id,
        worth,
        order.currency if worth else None,
        made.now,
    )


def withhold(
    made: Decision,
    event: int,
    route: Route,
    name: str,
    platform_event: str | None,
    order: Order,
    reason: str,
    sentence: str | None = None,
) -> None:
    """A verdict at once: this signal does not go to this destination, and why."""
    made.ledger.append(ledger_row(made, event, route, platform_event, order, "withheld", reason, sentence=sentence))
    count(made, route.name, name, "withheld", reason, currency=order.currency or "", value=micros(order.value) or 0)


def count(
    made: Decision,
    destination: str,
    name: str,
    verdict: str,
    reason: str,
    *,
    currency: str = "",
    signals: int = 1,
    value: int = 0,
) -> None:
    """Add to the minute's counters."""
    counter = made.counts.setdefault((destination, name, verdict, reason, currency), [0, 0, 0])
    counter[0] += signals
    counter[1] += value


# ---- enrich ----------------------------------------------------------------------------------------------------------------


NO_EVENT = Event(kind="track", source="", message_id="", time=0, received_at=0)


def enrich(waiting: Sequence[Waiting], people: Mapping[int, Person], plan: Plan) -> list[tuple[int, bytes]]:
    """Signals still waiting, told again with what has been learned of their people; only those that change."""
    routes = {route.name: route for route in plan.routes}
    better = []
    for each in waiting:
        route, person = routes.get(each.destination), people.get(each.person)
        if route is None or person is None:
            continue
        body = route.render.enrich(each.body, Signal(event=NO_EVENT, person=person, order=orders.NO_ORDER))
        if body != each.body:
            better.append((each.id, body))
    return better


# ---- gather and commit -----------------------------------------------------------------------------------------------------


def take(
    connection: Connection,
    plan: Plan,
    most: int,
    fresh: MutableMapping[int, Reading] | None = None,
    taken: Sequence[int] = (),
) -> Batch | None:
    """The next batch of about `most` events; None when nothing is waiting but what is `taken` already.

    `fresh` holds what the intake has just read, by position; the rest is read again from the journal, to the same events.
    """
    positions = batches.next_positions(connection, most, taken)
    if not positions:
        return None
    known = {position: fresh.pop(position) for position in positions if position in fresh} if fresh else {}
    missing = [position for position in positions if position not in known]
    for position, received in batches.requests(connection, missing) if missing else ():
        known[position] = sources.read(received)
    return number([(position, known[position]) for position in positions], plan)


def resolve(connection: Connection, plan: Plan, batch: Batch, now: int) -> Decision:
    """Gather what the batch can touch and decide it; batches must be committed in the order in which they are resolved."""
    state = gather(connection, batch)
    made = decide(batch, state, plan, now)
    known_before = [person.id for person in made.people if not _is_new(person.id, batch)]
    moved = [loser for _, loser in made.moved]
    if known_before or moved:
        waiting = batches.waiting_of(connection, known_before + moved)
        if waiting:
            resolved = [replace(each, person=last_known_as(each.person, made.moved)) for each in waiting]
            made.enriched = enrich(resolved, state.people, plan)
    return made


def step(
    connection: Connection, plan: Plan, now: int, most: int, fresh: MutableMapping[int, Reading] | None = None
) -> Decision | None:
    """Take and resolve the next batch; None when nothing is waiting."""
    batch = take(connection, plan, most, fresh)
    return None if batch is None else resolve(connection, plan, batch, now)


def last_known_as(person: int, moved: Sequence[tuple[int, int]]) -> int:
    """Who this person is after the merges, which are in order."""
    for winner, loser in moved:
        if loser == person:
            person = winner
    return person


def _is_new(person: int, batch: Batch) -> bool:
    return bool(batch.arrived) and person >= batch.arrived[0].id


def gather(connection: Connection, batch: Batch) -> State:
    """One read for each kind of state this batch can touch."""
    message_keys = [f"{each.event.source}:{each.event.message_id}" for each in batch.arrived]
    identifiers = {key: None for each in batch.arrived for key in (*each.keys, *each.previous)}
    order_ids = {
        found: None
        for each in batch.arrived
        if each.event.kind == "track" and (found := orders.order_id(each.event.properties)) is not None
    }
    return batches.gather(connection, message_keys, list(identifiers), list(order_ids))


def commit(connection: Connection, made: Decision) -> None:
    """Write the decision; the caller's transaction makes it one."""
    batches.commit(connection, made)


# ---- preview ---------------------------------------------------------------------------------------------------------------


class Previewed(Struct, frozen=True, kw_only=True):
    """What would become of one message on one destination."""

    destination: str
    message_id: str | None
    event: str | None
    verdict: Literal["ready", "withheld"]
    reason: str | None
    sentence: str | None
    request: bytes | None
    """The exact event object that would be sent, as JSON."""


def preview(plan: Plan, received: Iterable[Received], now: Callable[[], int]) -> Iterator[Previewed]:
    """Take requests through reading and deciding without store or network; what earlier ones taught is known to later ones."""
    state = State()
    for position, request in enumerate(received, start=1):
        batch = read([(position, request)], plan)
        for _, refusal in batch.refusals:
            for route in plan.routes:
                yield Previewed(
                    destination=route.name,
                    message_id=None,
                    event=None,
                    verdict="withheld",
                    reason="unreadable",
                    sentence=f"{refusal.sentence} ({refusal.path})",
                    request=None,
                )
        made = decide(batch, state, plan, now())
        bodies = {(row[3], row[1]): row[-1] for row in made.outbox}
        ids = {arrived.id: arrived.event.message_id for arrived in batch.arrived}
        signals = {row[0] for row in made.ledger}
        names = {row[0]: row[3] for row in made.events}
        for row in made.ledger:
            number, destination, verdict, reason, sentence = row[:5]
            yield Previewed(
                destination=destination,
                message_id=ids[number],
                event=names[number],
                verdict="ready" if verdict == "waiting" else "withheld",
                reason=reason,
                sentence=sentence or (gates.REASONS[reason].sentence if reason in gates.REASONS else None),
                request=bodies.get((number, destination)),
            )
        for arrived in batch.arrived:
            if arrived.id not in signals:
                for route in plan.routes:
                    yield Previewed(
                        destination=route.name,
                        message_id=arrived.event.message_id,
                        event=names[arrived.id],
                        verdict="withheld",
                        reason="not_a_signal",
                        sentence="It teaches who the person is; nothing of it is sent by itself.",
                        request=None,
                    )
