"""The whole way of an event, in order: gather, decide, commit. This module alone knows the order.

    journal -> read -> stitch -> remember -> orders -> derive -> gates -> map -> outbox

`gather` reads what a batch can touch, `decide` is pure (the state, the plan and `now` are arguments), `commit` writes the
decision in one transaction together with the journal positions it covers. So a crash anywhere repeats a batch and changes
nothing, and how the stream is cut into batches does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from signalpost import (
    clocks,
    conditions,
    coverage,
    facts,
    gates,
    identity,
    memberships,
    orderbook,
    orders,
    purchases,
    sources,
    vocabulary,
)
from signalpost.deciding import (
    LAST_PLACE,
    Arrived,
    Deciding,
    Pending,
    ledger_row,
    micros,
    withhold,
)
from signalpost.events import Event, Order, Person, Signal
from signalpost.orderbook import PURCHASE
from signalpost.people import person_of
from signalpost.plan import Plan, Route, plan
from signalpost.segments import live
from signalpost.sources import Reading, Received, Refusal
from signalpost.sources import memberships as tell_moves
from signalpost.state import PLACES, SLOTS, Decision, KnownOrder, State, Waiting
from signalpost.store import batches, rollouts
from signalpost.store.database import Connection

__all__ = [
    "DERIVED_FROM", "PLACES", "SLOTS", "Batch", "Plan", "Previewed", "Route", "commit", "consent_of", "decide", "enrich",
    "gather", "micros", "number", "objection", "plan", "preview", "read", "resolve", "said_by", "step", "take",
]  # fmt: skip

Made = TypeVar("Made")

SIGNAL_KINDS = frozenset({"track", "page", "screen"})
PAGE_NAMES = {"page": "Page Viewed", "screen": "Screen Viewed"}
NOTES = {
    "device": "A device for push messages: accepted and ignored.",
    "group": "A group or object: accepted and ignored.",
}
"""What is said of events that are kept and change nothing."""

WITH_ORDER_ID = frozenset({PURCHASE, "Order Placed", "Order Refunded", "Order Cancelled"})
"""Events that happen once an order: their platform id comes from the order, so that every source gives the same."""

PRESENT = 600_000
"""Clock skew (ms) that is forgiven: an event up to ten minutes ahead happened when it was received."""

DERIVED_FROM = "derived from event "
"""What is noted of a derived event, before the number of the event that made it."""

MOST_RECENT = 50
"""Events and products for which a person's repeats are watched, the latest."""


class Batch(Struct, frozen=True):
    """Requests of the journal, read."""

    positions: tuple[int, ...]
    arrived: tuple[Arrived, ...]
    refusals: tuple[tuple[int, Refusal], ...]


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


def decide(batch: Batch, state: State, plan: Plan, now: int) -> Decision:
    """What this batch changes. Pure but for `state`, which is the batch's own copy and moves along."""
    made = Decision(now=now, positions=list(batch.positions), counting=state.counting)
    work = Deciding(plan, state, made)
    made.refusals = [(position, -1 if r.index is None else r.index, r.path, r.sentence) for position, r in batch.refusals]
    if made.refusals:
        made.count("", "", "refused", "unreadable", signals=len(made.refusals))
    for arrived in batch.arrived:
        if arrived.silent:
            overhear(arrived, work)
        else:
            decide_event(arrived, work)
    for pending in work.pending:
        render(pending, work)
    made.people = [state.people[person] for person in work.changed if person in state.people]
    made.taught = [person for person in work.taught if person in state.people]
    made.orders = list(work.orders.values())
    for known in made.orders:
        known.person = work.now_known_as(known.person)
    made.owners = {key: work.now_known_as(owner) for key, owner in made.owners.items()}
    if made.moved or made.dropped or made.parted:
        memberships.follow(work)
    return made


def decide_event(arrived: Arrived, work: Deciding) -> None:
    """One event: seen before? whose? worth what? and for each destination, why not? Then what it makes of its person."""
    event, number, made, plan = arrived.event, arrived.id, work.made, work.plan
    name = PAGE_NAMES.get(event.kind) or (vocabulary.canonical(event.name, plan.aliases) if event.name else event.kind)
    is_signal = event.kind in SIGNAL_KINDS
    key = f"{event.source}:{event.message_id}"
    if is_signal:
        made.count("", name, "heard", event.source)
    first = work.state.seen.setdefault(key, number)
    if first != number:
        note = f"repeat of event {first}"
        made.events.append((number, f"{key}#{number}", event.kind, name, 0, None, event.time, event.received_at, note, 0))
        for route in plan.routes if is_signal else ():
            if route.only is None or name in route.only:
                withhold(made, number, route, name, None, orders.NO_ORDER, "duplicate_message")
        return
    if is_signal and made.counting and event.source != tell_moves.SOURCE:
        note_arrival(event, name, number, work)
    if event.received_at < event.time <= event.received_at + PRESENT:
        event = replace(event, time=event.received_at)
    said = said_by(event, plan)
    merged = len(made.moved)
    work.before.clear()
    person = person_of(arrived, event, said, work)
    if is_signal:
        order = orders.read(event, definition=plan.workspace.order_value, default_currency=plan.workspace.currency)
        row = (number, key, event.kind, name, person.id, order.id, event.time, event.received_at, order.value_from or None)
        known = None
        test = plan.production and gates.marked_test(event)
        if name in orderbook.NEWS and not test:
            known = orderbook.about(event, name, order, person, number, work)
            person = work.state.people.get(person.id, person)
        repeated = name in plan.repeats and person.id != 0 and repeats(event, name, order, person, work)
        person = work.state.people.get(person.id, person)
        counts = not test and not orderbook.told_before(known, name, number)
        made.events.append((*row, int(counts)))
        told = Told(event, name, number, person, order, known, consent_of(said, person, plan), test)
        told = placed(told, work, remember=counts)
        for route in plan.routes:
            tell(told, route, "repeat" if repeated else None, work)
        for derived in plan.firsts.get(name, ()) if person.id and not person.suppressed_at and not repeated else ():
            if derived.name not in person.derived and (derived.test is None or derived.test(subject(told, work))):
                derive(derived.name, told, None, work)
    else:
        row = (number, key, event.kind, name, person.id, None, event.time, event.received_at, NOTES.get(event.kind))
        made.events.append((*row, 1))
        order = orders.NO_ORDER
        told = Told(event, name, number, person, order, None, consent_of(said, person, plan), test=False)
        told = placed(told, work, remember=True)
    if plan.reached and person.id and not person.suppressed_at:
        # A report of the order that does not count makes nothing true: the one that does will, with its own value.
        counts = name == PURCHASE and event.source == plan.counted_source.get(PURCHASE, event.source)
        if counts or len(made.moved) > merged:
            reach(told, work)


def overhear(arrived: Arrived, work: Deciding) -> None:
    """One silent event: seen before? whose? Then what it teaches, and what comes true where it joins two people."""
    event, number, made, plan = arrived.event, arrived.id, work.made, work.plan
    if work.state.seen.setdefault(f"{event.source}:{event.message_id}", number) != number:
        return
    if event.received_at < event.time <= event.received_at + PRESENT:
        event = replace(event, time=event.received_at)
    said = said_by(event, plan)
    merged = len(made.moved)
    work.before.clear()
    person = person_of(arrived, event, said, work)
    joined = plan.reached and len(made.moved) > merged and person.id and not person.suppressed_at
    if joined or plan.segments is not live.NONE:
        told = Told(event, "identify", number, person, orders.NO_ORDER, None, consent_of(said, person, plan), test=False)
        told = placed(told, work, remember=True)
        if joined:
            reach(told, work)


Built = tuple[Signal, bool, tuple[str, str | None] | None]
"""A signal, whether its order had been sent there before, and why it must not go, whatever the workspace's own gates say."""


class Told(Struct, frozen=True, gc=False):
    """One event on its way to the destinations, with all that is known of it."""

    event: Event
    name: str
    number: int
    person: Person
    order: Order
    known: KnownOrder | None
    """The order it brings news of."""
    consent: tuple[bool, bool]
    """(advertising is allowed, data use is limited)."""
    test: bool
    """Marked as a test, in production."""
    origin: str = ""
    """For a derived event: the name of the event that made it, whose gates are its own too."""
    answers: dict[str, bool] = {}
    """Gate -> whether its condition holds: each is asked once, for all destinations."""
    built: dict[str, Built] = {}
    """Twin -> the signal as the first of them made it."""


def placed(told: Told, work: Deciding, *, remember: bool) -> Told:
    """The event with its person as the segments now have them; `remember`: it counts as having happened."""
    if work.plan.segments is live.NONE:
        return told
    if remember:
        memberships.remember(told.event, told.name, told.person, lambda: subject(told, work), work)
    memberships.settle(told.number, told.name, told.event.received_at, work)
    person = work.state.people.get(told.person.id)
    return told if person is None or person is told.person else replace(told, person=person)


def tell(told: Told, route: Route, stopped: str | None, work: Deciding) -> None:
    """One event and one destination: a verdict at once, or a signal."""
    event, name, number, plan, made = told.event, told.name, told.number, work.plan, work.made
    if route.only is not None and name not in route.only:
        return
    platform_event = route.events.get(name)
    if name in vocabulary.MADE_HERE:
        if platform_event is None or not hears(route, event):
            return  # nobody asked to be told: that is no signal withheld
        if not told.person.id:
            stopped = "no_identifier"  # they were forgotten meanwhile
    if platform_event is None:
        withhold(made, number, route, name, None, told.order, "not_mapped")
        return
    if stopped is not None:
        withhold(made, number, route, name, platform_event, told.order, stopped)
        return
    purchase = told.known if name == PURCHASE else None
    sent_before = purchase is not None and route.name in purchase.sent
    built = told.built.get(route.twin) if route.twin else None
    if built is None or built[0].platform_event != platform_event or built[1] != sent_before:
        built = build(told, route, platform_event, purchase, sent_before, work)
        if route.twin:
            told.built[route.twin] = built
    signal, _, reason = built
    order = signal.order
    if reason is None:
        reason = not_yet(route, name, work) or own_gates(told, signal, route, work)
    if reason is not None:
        withhold(made, number, route, name, platform_event, order, reason[0], reason[1])
        return
    if purchase is not None:
        purchase.sent[route.name] = number
        work.orders[purchase.key] = purchase
    if route.name in plan.capped:
        tally = (route.name, name)
        work.state.tallies[tally] = work.state.tallies.get(tally, 0) + 1
        made.tallies[tally] = made.tallies.get(tally, 0) + 1
    if made.counting:
        # The keys there are when the event fires, not those that a later event adds while this one waits.
        if work.covered[0] != number:
            work.covered = number, coverage.mask(signal)  # the same for every destination
        keys = (route.name, event.source, name, work.covered[1])
        made.coverage[keys] = made.coverage.get(keys, 0) + 1
    hold = plan.holds.get(name) or plan.holds.get(told.origin, 0)
    if hold:
        clock = ("held", route.name, hold)
        made.clocks[clock] = made.clocks.get(clock, 0) + 1
    work.pending.append(Pending(route, signal, told.person.id, number, len(made.ledger), hold=hold, derived=bool(told.origin)))
    made.ledger.append(())


def build(told: Told, route: Route, platform_event: str, purchase: KnownOrder | None, sent_before: bool, work: Deciding) -> Built:
    """The signal of this event for this destination, and the built-in objection to it."""
    plan = work.plan
    signal = Signal(
        event=told.event,
        name=told.name,
        platform_event=platform_event,
        event_id=platform_id(route, told, purchase),
        person=told.person,
        order=orderbook.moved_money(told.order, route.platform.currencies, plan),
        limited=told.consent[1],
        test=route.test,
        customer_type=(
            orderbook.with_standing(purchase, told.person)
            if purchase is not None and plan.workspace.orders.customer_type
            else None
        ),
    )
    reason = objection(
        signal,
        route,
        plan,
        allowed=told.consent[0] or not route.platform.advertising,
        test=told.test,
        duplicate_order=sent_before,
        now=work.made.now,
    )
    if reason is None and purchase is not None:
        called_off = orderbook.called_off(purchase, plan)
        reason = None if called_off is None else (called_off, None)
    return signal, sent_before, reason


def hears(route: Route, event: Event) -> bool:
    """Whether a destination is told of this person's move."""
    return route.segments is None or event.properties.get("segment") in route.segments


def objection(
    signal: Signal, route: Route, plan: Plan, *, allowed: bool, test: bool, duplicate_order: bool, now: int
) -> tuple[str, str | None] | None:
    """Why this signal must not go to this destination: (reason, a sentence if the reason's own does not say it); None: it may.

    `test`: it is marked as a test and the workspace is production.
    """
    event, name = signal.event, signal.name
    source = plan.counted_source.get(name)
    reason = gates.withheld(
        event=event,
        person=signal.person,
        order=signal.order,
        counts=source is None or source == event.source,
        paused=route.paused,
        test=test,
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


def not_yet(route: Route, name: str, work: Deciding) -> tuple[str, None] | None:
    """Whether the destination's rollout has not come to this event, or caps it for now."""
    if not route.stages:
        return None
    stage = min(work.state.stages.get(route.name, 0), len(route.stages) - 1)
    if name not in route.stages[stage]:
        return "not_yet_rolled_out", None
    most = route.caps[stage].get(name)
    if most is None:
        return None
    purchases_made = work.state.tallies.get((route.name, PURCHASE), 0)
    return ("over_cap", None) if work.state.tallies.get((route.name, name), 0) >= most * max(1, purchases_made) else None


def own_gates(told: Told, signal: Signal, route: Route, work: Deciding) -> tuple[str, str] | None:
    """The first of the workspace's enforcing gates that withholds this; observing ones before it only note that they would."""
    rules = work.plan.rules_at(route, told.name)
    if told.origin:  # what withholds the event withholds what is made of it; what only observes has counted it already
        rules += tuple(rule for rule in work.plan.rules_at(route, told.origin) if rule not in rules and not rule.observing)
    if not rules:
        return None
    looked_at = None
    for rule in rules:
        holds = told.answers.get(rule.name)
        if holds is None:
            if looked_at is None:
                looked_at = subject(told, work)
            holds = told.answers[rule.name] = rule.test(looked_at)
        if not holds:
            continue
        reason, sentence = rule.reason, rule.told
        if not rule.observing:
            return reason, sentence
        work.made.notice(
            route.name,
            "observed",
            told.name,
            told.number,
            detail=rule.name,
            currency=signal.order.currency or "",
            value=micros(signal.order.value) or 0,
        )
        work.made.traces.append((told.number, route.name, work.made.now, "observed", reason, sentence, None))
    return None


def subject(told: Told, work: Deciding) -> conditions.Subject:
    """What conditions may ask of."""
    known, person, order, event = told.known, told.person, told.order, told.event
    said = None if known is None else known.record.claims.get(event.source)
    own = said if said is not None and said.event == told.number else None
    return conditions.Subject(
        name=told.name,
        event=event,
        order=order,
        person=person,
        now=work.made.now,
        claim=lambda: own or purchases.claim(event, told.number, order),
        facts=once(lambda: facts.of(person)),
        number=lambda: None if known is None else purchases.number(person, known.key),
        record=None if known is None else known.record,
    )


def once(make: Callable[[], Made]) -> Callable[[], Made]:
    """`make`, called when it is first asked for; `functools.cache` costs more than what is made here."""
    made: list[Made] = []

    def get() -> Made:
        if not made:
            made.append(make())
        return made[0]

    return get


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


# ---- what it makes of its person ----------------------------------------------------------------------------------------------


def repeats(event: Event, name: str, order: Order, person: Person, work: Deciding) -> bool:
    """Whether the same happened to the same product a moment ago; else it is noted, so that the next one is a repeat."""
    products = ",".join(sorted({item.id for item in order.items if item.id}))[:200]
    if not products:
        return False
    window, longest = work.plan.repeats[name], max(work.plan.repeats.values())
    key = f"{name}: {products}"
    if any(abs(event.time - at) < window for at in person.recent.get(key, ())):
        return True
    recent = {
        other: kept
        for other, times in person.recent.items()
        if (kept := tuple([at for at in times if abs(event.time - at) < longest]))
    }
    recent[key] = (*recent.get(key, ()), event.time)
    if len(recent) > MOST_RECENT:
        recent = dict(sorted(recent.items(), key=lambda each: each[1][-1])[-MOST_RECENT:])
    work.state.people[person.id] = replace(person, recent=recent)
    work.changed[person.id] = None
    return False


def reach(told: Told, work: Deciding) -> None:
    """The derived events about a person's orders that are true by now and were never told."""
    for rule, test in work.plan.reached:
        person = work.state.people.get(told.person.id, told.person)
        if rule.name in person.derived:
            continue
        key = purchases.reached(rule, person)
        if key is not None and (test is None or test(subject(told, work))):
            derive(rule.name, told, key, work)


def derive(name: str, told: Told, key: str | None, work: Deciding) -> None:
    """Make a derived event, once for its person; `key` is the order by which it came true, None: the event in hand.

    Where that order is another than the one in hand (an older one came in late, or two people were merged) the event is made
    of what is remembered of it.
    """
    made, origin = work.made, told.event
    position = told.number >> PLACES
    number = (position << PLACES) + LAST_PLACE - work.derived.get(position, 0)
    work.derived[position] = work.derived.get(position, 0) + 1
    person = work.state.people.get(told.person.id, told.person)
    work.state.people[person.id] = person = replace(person, derived={**person.derived, name: told.number})
    work.changed[person.id] = None
    order, known = told.order, told.known
    if key is None or (known is not None and known.key == key and told.name == PURCHASE):
        event = replace(origin, kind="track", name=name)
    else:
        other = person.orders[key]
        order = Order(id=key, value=other.value, currency=work.plan.workspace.currency, value_from="remembered")
        known = None
        event = replace(
            origin, kind="track", name=name, time=other.time, properties={"order_id": key}, context={}, message_id=f"order {key}"
        )
    note = f"{DERIVED_FROM}{told.number}"
    row = (number, f"{origin.source}:{origin.message_id}>{purchases.slug(name)}", "track", name, person.id, order.id, event.time)
    made.events.append((*row, event.received_at, note, int(not told.test)))
    made.count("", name, "heard", "")
    derived = Told(
        event, name, number, person, order, known, told.consent, told.test, origin=PURCHASE if key is not None else told.name
    )
    derived = placed(derived, work, remember=not told.test)
    for route in work.plan.routes:
        tell(derived, route, None, work)


# ---- what is counted of it ---------------------------------------------------------------------------------------------------


def note_arrival(event: Event, name: str, number: int, work: Deciding) -> None:
    """The clock of its source, and what it shows for what may be the first time: client version, host, properties."""
    made, known, source = work.made, work.state.marks, event.source
    clock = ("source", source, clocks.bucket(event.received_at - event.time))
    made.clocks[clock] = made.clocks.get(clock, 0) + 1
    library, page = event.context.get("library"), event.context.get("page")
    version = f"{library.get('name')} {library.get('version')}" if library.__class__ is dict else ""
    host = landing_host(page.get("url")) if page.__class__ is dict else ""
    # One look for all of it: nearly every event looks like one before it.
    looks = (source, name, host, version, *event.properties)
    if looks in known:
        return
    known.add(looks)
    found = [("property", source, name, each) for each in event.properties]
    if library.__class__ is dict:
        found.append(("library", source, str(library.get("name") or ""), str(library.get("version") or "")))
    if host:
        found.append(("host", source, "", host))
    for mark in found:
        if mark not in known:
            known.add(mark)
            made.marks.append((*(each[:100] for each in mark), event.received_at, number))


def landing_host(url: Any) -> str:
    """The host of a page's address, in lower case; empty when there is none."""
    if not isinstance(url, str):
        return ""
    return url[:300].partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2].lower()


# ---- which id ------------------------------------------------------------------------------------------------------------


def platform_id(route: Route, told: Told, purchase: KnownOrder | None) -> str:
    """What the platform deduplicates on: the id shared with the pixel, else the order, else the message."""
    event, name, order = told.event, told.name, told.order
    if told.origin:  # the shared id is that of the event it was made of
        return f"{order.id or event.message_id}:{purchases.slug(name)}"
    shared = orders.text(route.shared_id(event))
    if shared is not None:
        return shared
    if purchase is not None:
        return f"{purchase.key}:{purchases.slug(name)}"
    if order.id is not None and name in WITH_ORDER_ID:
        return f"{order.id}:{purchases.slug(name)}"
    return event.message_id


# ---- rows ------------------------------------------------------------------------------------------------------------------


def render(pending: Pending, work: Deciding) -> None:
    """Write the signal in the platform's form, with what is known of the person at the end of the batch."""
    made, signal, route = work.made, pending.signal, pending.route
    order, event = signal.order, signal.event
    if pending.withdrawn:
        made.ledger[pending.row] = ledger_row(
            made, pending.event, route, signal.platform_event, order, "withheld", pending.withdrawn, signal.event_id
        )
        worth = micros(order.value) or 0
        made.count(route.name, signal.name, "withheld", pending.withdrawn, currency=order.currency or "", value=worth)
        return
    person = work.now_known_as(pending.person)
    known = work.state.people.get(person, signal.person) if person else signal.person
    if known is not signal.person:
        # The click ids are those known at the time, which led to the event: a later one would depend on where a batch ends.
        signal = replace(signal, person=replace(known, clicks=signal.person.clicks))
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
            max(made.now, event.received_at + pending.hold),
            0,
            0,
            None,
            micros(order.value),
            order.currency if order.value is not None else None,
            route.render(signal),
        )
    )


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
    for place, position in enumerate(positions):
        if any(event.kind == "unmerge" for event in known[position].events[:1]):
            # Two people out of one: by itself, so that all that was decided of them before stands in the store.
            later = positions[place or 1 :]
            if fresh is not None:
                fresh.update((each, known[each]) for each in later)
            positions = positions[: place or 1]
            break
    return number([(position, known[position]) for position in positions], plan)


def resolve(connection: Connection, plan: Plan, batch: Batch, now: int, marks: set[tuple[str, ...]] | None = None) -> Decision:
    """Gather what the batch can touch and decide it; batches must be committed in the order in which they are resolved.

    `marks` is what need not be marked again, kept by the caller from batch to batch; it only saves writing.
    """
    state = gather(connection, batch, plan, now)
    if marks is not None:
        state.marks = marks
    made = decide(batch, state, plan, now)
    known_before = [person for person in made.taught if not _is_new(person, batch)]
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


def gather(connection: Connection, batch: Batch, plan: Plan, now: int) -> State:
    """One read for each kind of state this batch can touch."""
    message_keys = [f"{each.event.source}:{each.event.message_id}" for each in batch.arrived]
    identifiers = {key: None for each in batch.arrived for key in (*each.keys, *each.previous)}
    order_ids = {
        found: None
        for each in batch.arrived
        if each.event.kind == "track" and (found := orders.order_id(each.event.properties)) is not None
    }
    state = batches.gather(connection, message_keys, list(identifiers), list(order_ids))
    if plan.staged:
        state.stages = {name: standing.stage for name, standing in rollouts.standings(connection).items()}
    if plan.capped:
        state.tallies = batches.tallies(connection, plan.capped, now)
    return state


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
    ids: dict[int, str] = {}
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
        ids |= {arrived.id: arrived.event.message_id for arrived in batch.arrived}
        for row in made.events:
            if row[0] not in ids:  # a derived event has no message of its own
                ids[row[0]] = ids[int(row[8].removeprefix(DERIVED_FROM))]
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
