"""The whole way of an event, in order: gather, decide, commit. This module alone knows the order.

    journal -> read -> stitch -> remember -> orders -> gates -> map -> outbox

`gather` reads what a batch can touch, `decide` is pure (the state, the plan and `now` are arguments), `commit` writes the
decision in one transaction together with the journal positions it covers. So a crash anywhere repeats a batch and changes
nothing, and how the stream is cut into batches does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from signalpost import gates, identity, mapping, orders, sources, vocabulary
from signalpost import config as workspace_file
from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Destination
from signalpost.events import Event, Identifier, Order, Person, Signal
from signalpost.sources import Received, Refusal
from signalpost.state import Decision, KnownOrder, State, Waiting
from signalpost.store import batches
from signalpost.store.database import Connection

PLACES = 16
"""An event's id is its journal position shifted by this many bits, plus its place in the request."""

SIGNAL_KINDS = frozenset({"track", "page", "screen"})
PAGE_NAMES = {"page": "Page Viewed", "screen": "Screen Viewed"}
PURCHASE = "Order Completed"
WITH_ORDER_ID = frozenset({PURCHASE, "Order Placed", "Order Refunded", "Order Cancelled"})
"""Events that happen once an order: their platform id comes from the order, so that every source gives the same."""

PRESENT = 300_000
"""Clock skew (ms) that is forgiven: an event up to five minutes ahead happened when it was received."""


class Route(Struct, frozen=True):
    """One configured destination, compiled."""

    name: str
    platform: Destination
    events: dict[str, str]
    valued: frozenset[str]
    paused: bool
    oldest_ms: int
    event_id: tuple[tuple[str, ...], ...]
    test: bool
    render: Callable[[Signal], bytes]
    enrich: Callable[[bytes, Signal], bytes]


class Plan(Struct, frozen=True):
    """The workspace, compiled for deciding."""

    workspace: workspace_file.Workspace
    routes: tuple[Route, ...]
    aliases: dict[str, str]
    production: bool
    reused_after_ms: int
    blocked: tuple[str, ...]


class Arrived(Struct, frozen=True):
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


def plan(workspace: workspace_file.Workspace) -> Plan:
    """Compile the workspace: one route a destination."""
    production = workspace.environment == "production"
    routes = []
    for name, chosen in workspace.destinations.items():
        platform = CATALOG[chosen.type]
        events = dict(platform.events) if chosen.events == "standard" else {**chosen.events}
        compiled = mapping.compile(platform, chosen)
        oldest = min(workspace_file.duration(chosen.oldest), platform.limits.oldest_ms) if chosen.oldest else platform.limits.oldest_ms
        routes.append(
            Route(
                name=name,
                platform=platform,
                events=events,
                valued=frozenset(each for each in events if vocabulary.priority(each) < vocabulary.REST),
                paused=chosen.paused,
                oldest_ms=oldest,
                event_id=tuple(tuple(path.split(".")) for path in chosen.event_id),
                test=not production or chosen.test_code is not None,
                render=compiled.render,
                enrich=compiled.enrich,
            )
        )
    return Plan(
        workspace=workspace,
        routes=tuple(routes),
        aliases=dict(workspace.aliases),
        production=production,
        reused_after_ms=workspace_file.duration(workspace.orders.reused_after),
        blocked=tuple(value.lower() for value in workspace.identity.blocked),
    )


# ---- read ------------------------------------------------------------------------------------------------------------------


def read(requests: Iterable[tuple[int, Received]], plan: Plan) -> Batch:
    """The requests' events, numbered and with the keys that name their people."""
    country, blocked = plan.workspace.country, plan.blocked
    positions, arrived, refusals = [], [], []
    for position, received in requests:
        positions.append(position)
        reading = sources.read(received)
        refusals.extend((position, refusal) for refusal in reading.refusals)
        number = position << PLACES
        for event in reading.events:
            arrived.append(
                Arrived(
                    number,
                    event,
                    identity.keys(identity.named(event), country=country, blocked=blocked),
                    identity.keys(event.previous, country=country, blocked=blocked) if event.previous else (),
                )
            )
            number += 1
    return Batch(tuple(positions), tuple(arrived), tuple(refusals))


# ---- decide ----------------------------------------------------------------------------------------------------------------


class _Pending(Struct):
    """A signal that passed its gates; rendered at the end of the batch with what is then known of the person."""

    route: Route
    signal: Signal
    person: int
    event: int
    row: int
    purchase: KnownOrder | None


def decide(batch: Batch, state: State, plan: Plan, now: int) -> Decision:
    """What this batch changes. Pure but for `state`, which is the batch's own copy and moves along."""
    made = Decision(now=now, positions=list(batch.positions))
    made.refusals = [(position, -1 if r.index is None else r.index, r.path, r.sentence) for position, r in batch.refusals]
    if made.refusals:
        _count(made, "", "", "refused", "unreadable", "", len(made.refusals))
    changed: dict[int, None] = {}
    became: dict[int, int] = {}
    touched_orders: dict[str, KnownOrder] = {}
    pending: list[_Pending] = []
    for each in batch.arrived:
        event = each.event
        name = PAGE_NAMES.get(event.kind) or (vocabulary.canonical(event.name, plan.aliases) if event.name else event.kind)
        is_signal = event.kind in SIGNAL_KINDS
        key = f"{event.source}:{event.message_id}"
        first = state.seen.setdefault(key, each.id)
        if first != each.id:
            made.events.append(
                (each.id, f"{key}#{each.id}", event.kind, name, 0, None, event.time, event.received_at, f"repeat of event {first}")
            )
            if is_signal:
                for route in plan.routes:
                    _withhold(made, each.id, route, None, Order(), name, "duplicate_message", now)
            continue
        if event.time > event.received_at and event.time <= event.received_at + PRESENT:
            event = replace(event, time=event.received_at)
        person = _person(each, event, state, plan, made, changed, became)
        if not is_signal:
            made.events.append((each.id, key, event.kind, name, person.id, None, event.time, event.received_at, None))
            continue
        order = orders.read(event, definition=plan.workspace.order_value, default_currency=plan.workspace.currency)
        purchase = name == PURCHASE
        counted = _order_known(order, person.id, event, each.id, state, plan) if purchase and order.id else None
        made.events.append(
            (each.id, key, event.kind, name, person.id, order.id, event.time, event.received_at, order.value_from or None)
        )
        allowed = gates.consent(event, plan.workspace.consent.advertising)
        if allowed is None:
            remembered = person.consent.get("advertising")
            allowed = remembered[0] if remembered else plan.workspace.consent.unknown == "granted"
        limited = _limited(event, person, plan)
        for route in plan.routes:
            platform_event = route.events.get(name)
            reason = gates.withheld(
                event=event,
                person=person,
                order=order,
                platform_event=platform_event,
                paused=route.paused,
                production=plan.production,
                allowed=allowed,
                purchase=purchase,
                duplicate_order=counted is not None and route.name in counted.sent,
                valued=name in route.valued,
                currencies=route.platform.currencies,
                oldest_ms=route.oldest_ms,
                future_ms=event.received_at - now + PRESENT,
                now=now,
            )
            if reason is None and platform_event is not None:
                signal = Signal(
                    event=event,
                    name=name,
                    platform_event=platform_event,
                    event_id=_event_id(route, event, name, order, counted),
                    person=person,
                    order=order,
                    limited=limited,
                    test=route.test,
                )
                if route.platform.identified(person, signal):
                    if counted is not None:
                        counted.sent.add(route.name)
                        touched_orders[counted.key] = counted
                    pending.append(_Pending(route, signal, person.id, each.id, len(made.ledger), counted))
                    made.ledger.append(())
                    continue
                reason = "no_identifier"
            _withhold(made, each.id, route, platform_event, order, name, reason or "not_mapped", now)
    _render(pending, state, made, became, now)
    made.people = [state.people[person] for person in changed if person in state.people]
    made.orders = list(touched_orders.values())
    for known in made.orders:
        known.person = _resolved(known.person, became)
    made.owners = {key: _resolved(owner, became) for key, owner in made.owners.items()}
    return made


def _resolved(person: int, became: Mapping[int, int]) -> int:
    while person in became:
        person = became[person]
    return person


def _person(
    each: Arrived, event: Event, state: State, plan: Plan, made: Decision, changed: dict[int, None], became: dict[int, int]
) -> Person:
    """The person of this event after it: found or made, merged, taught; a passing stranger (id 0) without keys."""
    said = {}
    for fact, paths in (("advertising", plan.workspace.consent.advertising), ("limited_data_use", plan.workspace.consent.limited_data_use)):
        answer = gates.consent(event, paths)
        if answer is not None:
            said[fact] = answer
    if not each.keys:
        return identity.learn(Person(id=0), event, (), said)
    own = each.keys + each.previous if each.previous else each.keys
    found = identity.stitch(
        own,
        state.owners,
        state.people,
        explicit=event.kind == "merge",
        merge_on=plan.workspace.identity.merge_on,
        most=plan.workspace.identity.max_identifiers,
    )
    for key in found.attach:
        state.owners[key] = made.owners[key] = found.person or each.id
    for other, why in found.refused:
        made.merges.append((each.id, found.person or each.id, other, 0, why, None, made.now))
    if found.person is None:
        person = Person(id=each.id, created_at=min(event.time, event.received_at))
        state.people[person.id] = person
        changed[person.id] = None
    else:
        person = state.people[found.person]
    for other, why in found.merged:
        person = _merge(person, state.people[other], why, each.id, state, made, changed, became)
    if event.kind in {"delete", "suppress", "unsuppress"}:
        return _right(person, event, state, made, changed)
    if person.suppressed_at:
        return person
    learned = identity.learn(person, event, each.keys, said)
    if learned is not person:
        state.people[learned.id] = learned
        changed[learned.id] = None
    return learned


def _merge(
    one: Person, other: Person, why: str, event: int, state: State, made: Decision, changed: dict[int, None], became: dict[int, int]
) -> Person:
    joined = identity.combine(one, other)
    loser = other if joined.id == one.id else one
    made.merges.append((event, joined.id, loser.id, 1, why, loser, made.now))
    made.moved.append((joined.id, loser.id))
    became[loser.id] = joined.id
    for key, owner in state.owners.items():
        if owner == loser.id:
            state.owners[key] = joined.id
    for known in (each for under in state.orders.values() for each in under if each.person == loser.id):
        known.person = joined.id
    state.people[joined.id] = joined
    del state.people[loser.id]
    changed[joined.id] = None
    return joined


def _right(person: Person, event: Event, state: State, made: Decision, changed: dict[int, None]) -> Person:
    """A person's right: erased, suppressed or allowed again. What still waits of theirs is withdrawn."""
    if event.kind == "unsuppress":
        freed = replace(person, suppressed_at=0)
        state.people[person.id] = freed
        changed[person.id] = None
        return freed
    made.withdrawn.append((person.id, "suppressed_person"))
    emptied = Person(id=person.id, created_at=person.created_at, suppressed_at=max(event.time, 1))
    if event.kind == "suppress":
        state.people[person.id] = emptied
        changed[person.id] = None
        return emptied
    made.dropped.append(person.id)
    changed.pop(person.id, None)
    del state.people[person.id]
    for key in [key for key, owner in state.owners.items() if owner == person.id]:
        del state.owners[key]
        made.owners.pop(key, None)
    return emptied


def _limited(event: Event, person: Person, plan: Plan) -> bool:
    said = gates.consent(event, plan.workspace.consent.limited_data_use)
    if said is None:
        remembered = person.consent.get("limited_data_use")
        return remembered[0] if remembered else False
    return said


def _order_known(order: Order, person: int, event: Event, number: int, state: State, plan: Plan) -> KnownOrder:
    """The purchase this order id stands for: the one known, or a new one where the shop used the id again.

    The same person's is always the same order; another person's is a repeat by a second source unless it is
    `orders.reused_after` apart: then the shop (or the tracker) gave one id to two orders.
    """
    assert order.id is not None
    under = state.orders.setdefault(order.id, [])
    for known in under:
        if known.person == person or person == 0 or known.person == 0 or abs(event.time - known.time) < plan.reused_after_ms:
            return known
    key = f"{order.id}~{number}" if under else order.id
    known = KnownOrder(key=key, order_id=order.id, person=person, event=number, time=event.time, sent=set())
    under.append(known)
    return known


def _event_id(route: Route, event: Event, name: str, order: Order, counted: KnownOrder | None) -> str:
    """What the platform deduplicates on: the id shared with the pixel, else the order, else the message."""
    for head, *rest in route.event_id:
        value: Any = event.properties if head == "properties" else event.context if head == "context" else None
        for step in rest:
            value = value.get(step) if isinstance(value, dict) else None
        shared = orders.text(value) if value is not None else None
        if shared is not None:
            return shared
    if counted is not None:
        return f"{counted.key}:{name.lower().replace(' ', '-')}"
    if order.id is not None and name in WITH_ORDER_ID:
        return f"{order.id}:{name.lower().replace(' ', '-')}"
    return event.message_id


def _render(pending: list[_Pending], state: State, made: Decision, became: Mapping[int, int], now: int) -> None:
    erased = set(made.dropped)
    for each in pending:
        person_id = _resolved(each.person, became)
        signal = each.signal
        if person_id:
            if person_id in erased:
                made.ledger[each.row] = _ledger_row(each.event, each.route, signal.platform_event, signal.order, "withheld",
                                                    "suppressed_person", None, now)
                continue
            known = state.people[person_id]
            if known.suppressed_at:
                made.ledger[each.row] = _ledger_row(each.event, each.route, signal.platform_event, signal.order, "withheld",
                                                    "suppressed_person", None, now)
                continue
            if known is not signal.person:
                signal = replace(signal, person=known)
        body = each.route.render(signal)
        order, event = signal.order, signal.event
        made.ledger[each.row] = _ledger_row(each.event, each.route, signal.platform_event, order, "waiting", None, signal.event_id, now)
        made.outbox.append(
            (
                each.route.name,
                vocabulary.priority(signal.name),
                each.event,
                person_id,
                signal.name,
                event.time,
                event.received_at,
                now,
                _micros(order.value) if order.currency else None,
                order.currency if order.value is not None else None,
                body,
            )
        )


def _micros(value: Decimal | None) -> int | None:
    return None if value is None else int(value * 1_000_000)


def _ledger_row(
    event: int, route: Route, platform_event: str | None, order: Order, verdict: str, reason: str | None, event_id: str | None, now: int
) -> tuple[Any, ...]:
    value = order.value
    return (event, route.name, verdict, reason, None, platform_event, event_id, None if value is None else str(value),
            order.currency if value is not None else None, now)


def _withhold(
    made: Decision, event: int, route: Route, platform_event: str | None, order: Order, name: str, reason: str, now: int
) -> None:
    made.ledger.append(_ledger_row(event, route, platform_event, order, "withheld", reason, None, now))
    _count(made, route.name, name, "withheld", reason, order.currency or "", 1, _micros(order.value) or 0)


def _count(
    made: Decision, destination: str, name: str, verdict: str, reason: str, currency: str, signals: int, micros: int = 0
) -> None:
    counter = made.counts.setdefault((destination, name, verdict, reason, currency), [0, 0, 0])
    counter[0] += signals
    counter[1] += micros


# ---- enrich ----------------------------------------------------------------------------------------------------------------


def enrich(waiting: Sequence[Waiting], people: Mapping[int, Person], plan: Plan) -> list[tuple[int, bytes]]:
    """Signals still waiting, told again with what has been learned of their people; only those that change."""
    routes = {route.name: route for route in plan.routes}
    better = []
    for each in waiting:
        route, person = routes.get(each.destination), people.get(each.person)
        if route is None or person is None:
            continue
        body = route.enrich(each.body, person)
        if body != each.body:
            better.append((each.id, body))
    return better


# ---- gather and commit -----------------------------------------------------------------------------------------------------


def step(connection: Connection, plan: Plan, now: int, most: int) -> Decision | None:
    """Gather the next batch of about `most` events and decide it; None when nothing is waiting."""
    requests = batches.next_requests(connection, most)
    if not requests:
        return None
    batch = read(requests, plan)
    state = gather(connection, batch)
    made = decide(batch, state, plan, now)
    known_before = [person.id for person in made.people if not _is_new(person.id, batch)]
    moved = [loser for _, loser in made.moved]
    if known_before or moved:
        waiting = batches.waiting_of(connection, known_before + moved)
        if waiting:
            became = {loser: winner for winner, loser in made.moved}
            resolved = [replace(each, person=_resolved(each.person, became)) for each in waiting]
            made.enriched = enrich(resolved, state.people, plan)
    return made


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
