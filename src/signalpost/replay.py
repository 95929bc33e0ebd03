"""Taking up again what a platform refused or never clearly answered: what it would mean, and doing it.

A replay is shown before it is done: how many are too old for the platform, and how many it might count twice because its
dedupe window has passed. The event id stays the one decided at intake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from signalpost import gates, identity, orderbook, orders, pipeline, vocabulary
from signalpost.delivery import SAFETY
from signalpost.events import Event, Order, Person, Signal
from signalpost.orderbook import PURCHASE
from signalpost.pipeline import DERIVED_FROM
from signalpost.state import KnownOrder
from signalpost.store import batches
from signalpost.store.database import Connection

MOST = 10_000
"""Signals of one replay; run it again for more."""

ANY = (1 << 63) - 1

SLACK_MS = 3_600_000
"""Requests that are received together are numbered in the order of their commits; this is far more than lies between these."""

TOGETHER = 500
"""Signals taken up in one transaction: a running server writes in between."""


class Candidate(Struct, frozen=True, kw_only=True):
    """One signal that may be sent again."""

    event: int
    destination: str
    name: str
    platform_event: str
    event_id: str
    verdict: str
    reason: str | None
    """The platform's code, or a key of `gates.REASONS`."""
    why: str
    request: int | None
    """The last request it went with, for the trace."""
    first_attempt_at: int | None
    """Since when it may be at the platform (epoch ms), where a repeat must still be recognised; None where it need not be."""
    risk: Literal["none", "merges", "may count twice", "too old", "request gone"]
    value: Decimal | None = None
    currency: str | None = None


RISKS = {
    "none": "The platform refused it, so nothing can be counted twice.",
    "merges": "An earlier attempt may have arrived; the platform still recognises the repeat.",
    "may count twice": "An earlier attempt may have arrived and the platform no longer recognises a repeat.",
    "too old": "The platform no longer takes events of this age.",
    "request gone": "The journal no longer holds the request it came from (retention).",
}


def candidates(
    connection: Connection,
    route: pipeline.Route,
    *,
    verdicts: Sequence[str],
    reason: str | None,
    since: int,
    now: int,
    event: int | None = None,
) -> list[Candidate]:
    """What a replay of these verdicts (of one `event` alone where it is given) would take up, each with its risk: the newest
    `MOST`, oldest first.

    How long an unknown one may have been at the platform is counted from when it was decided: which of several attempts
    arrived first is not known, and one that a crash cut off left no mark.
    """
    found = []
    window = int(route.platform.limits.dedupe_ms * SAFETY)
    first, last = (_first(connection, route, since), ANY) if event is None else (event, event)
    rows = connection.rows("ledger_find", route.name, list(verdicts), since, reason or "", reason or "", first, last, MOST)
    held = {
        position
        for (position,) in connection.rows("journal_held", sorted({row[0] >> pipeline.PLACES for row in rows}))
    }  # fmt: skip
    for row in reversed(rows):
        event, verdict, code, sentence, platform_event, event_id, decided_at, request, time, name, value, currency = row
        risk: Literal["none", "merges", "may count twice", "too old", "request gone"] = "none"
        if event >> pipeline.PLACES not in held:
            risk = "request gone"
        elif time < now - route.oldest_ms:
            risk = "too old"
        elif verdict == "unknown":
            risk = "merges" if now < decided_at + window else "may count twice"
        found.append(
            Candidate(
                event=event,
                destination=route.name,
                name=name,
                platform_event=platform_event,
                event_id=event_id,
                verdict=verdict,
                reason=code,
                why=sentence or code or "",
                request=request,
                first_attempt_at=decided_at if risk == "merges" else None,
                risk=risk,
                value=None if value is None else Decimal(value),
                currency=currency,
            )
        )
    return found


def _first(connection: Connection, route: pipeline.Route, since: int) -> int:
    """An event before which none happened since a moment: none is received sooner than its own time and what clocks run ahead."""
    rows = connection.rows("events_first_since", since - route.platform.limits.future_ms - SLACK_MS)
    return int(rows[0][0]) if rows else ANY


def safe(found: Sequence[Candidate], *, risky: bool = False) -> list[Candidate]:
    """Those of them that a replay takes up: with `risky` also those that the platform might count twice."""
    return [each for each in found if risky or each.risk in {"none", "merges"}]


def portions(chosen: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    """What is taken up in one transaction each."""
    return (chosen[start : start + TOGETHER] for start in range(0, len(chosen), TOGETHER))


def take_up(connection: Connection, plan: pipeline.Plan, route: pipeline.Route, chosen: Sequence[Candidate], *, now: int) -> int:
    """Put the chosen signals back into the outbox, written anew with what is now known of their people; gives how many.

    The gates are asked again: who was suppressed or erased, or withdrew consent, since then stays out.
    """
    taken = 0
    chosen = [candidate for candidate in chosen if candidate.risk not in {"too old", "request gone"}]
    events = _events(connection, [candidate.event for candidate in chosen], plan)
    for candidate in chosen:
        known = connection.rows("event_by_id", candidate.event)
        if candidate.event not in events or not known:
            continue  # retention was quicker
        # As it was kept: a clock a little ahead was set right at intake.
        event = replace(events[candidate.event], time=int(known[0][6]))
        said = pipeline.said_by(event, plan)
        person_id, person = _person(connection, int(known[0][4]), event, said)
        if person is None:
            continue  # erased: nothing about them may leave
        order = _order(connection, candidate, event, known[0][5], route, plan)
        if candidate.name == PURCHASE and orderbook.called_off(_known_order(connection, order, candidate), plan) is not None:
            continue  # cancelled, paid back or flagged since then
        allowed, limited = _consent(said, person, plan)
        signal = Signal(
            event=event,
            name=candidate.name,
            platform_event=candidate.platform_event,
            event_id=candidate.event_id,
            person=person,
            order=order,
            limited=limited,
            test=route.test,
        )
        test = plan.production and gates.marked_test(event)
        if pipeline.objection(signal, route, plan, allowed=allowed, test=test, duplicate_order=False, now=now) is not None:
            continue
        if not connection.run("ledger_reopen", candidate.event, route.name):
            continue
        sentence = f"{candidate.why} Taken up again by a replay.".strip()
        connection.run(
            "trace_add", candidate.event, route.name, now, candidate.verdict, candidate.reason, sentence, candidate.request
        )
        connection.run_many(
            "outbox_add",
            [
                (
                    candidate.event * pipeline.SLOTS + route.slot,
                    route.name,
                    vocabulary.priority(candidate.name),
                    candidate.event,
                    person_id,
                    candidate.name,
                    event.time,
                    event.received_at,
                    now,
                    0,
                    0,
                    candidate.first_attempt_at,
                    pipeline.micros(order.value),
                    order.currency if order.value is not None else None,
                    route.render(signal),
                )
            ],
        )
        taken += 1
    return taken


def _person(connection: Connection, number: int, event: Event, said: Mapping[str, bool]) -> tuple[int, Person | None]:
    """Who the person of an event is today, following merges; None when they were erased since.

    Their click ids are those known when it happened: a later click did not lead to it.
    """
    stranger = identity.learn(Person(id=0), event, (), said)
    if number == 0:
        return 0, stranger
    while became := connection.rows("merged_into", number):
        number = became[0][0]
    person = batches.people(connection, [number]).get(number)
    if person is None:
        return number, None
    clicks = {name: click for name, click in person.clicks.items() if click[1] <= event.time}
    return number, replace(person, clicks=clicks | stranger.clicks)


def _consent(said: Mapping[str, bool], person: Person, plan: pipeline.Plan) -> tuple[bool, bool]:
    """(advertising is allowed, data use is limited): neither what was said then nor what was said since may forbid it."""
    then = pipeline.consent_of(said, person, plan)
    since = pipeline.consent_of({}, person, plan) if person.consent else then
    allowed = then[0] and ("advertising" not in person.consent or since[0])
    return allowed, then[1] or since[1]


def _order(
    connection: Connection, candidate: Candidate, event: Event, order_id: str | None, route: pipeline.Route, plan: pipeline.Plan
) -> Order:
    """The commerce of an event; of one derived of an order that is not the event's own, what the ledger has of it."""
    order = orders.read(event, definition=plan.workspace.order_value, default_currency=plan.workspace.currency)
    if order_id != order.id:
        row = next(row for row in connection.rows("ledger_of", candidate.event) if row[0] == candidate.destination)
        value = None if row[6] is None else Decimal(row[6])
        order = Order(id=order_id, value=value, currency=row[7] or plan.workspace.currency)
    return orderbook.moved_money(order, route.platform.currencies, plan)


def _known_order(connection: Connection, order: Order, candidate: Candidate) -> KnownOrder | None:
    """The order that this purchase was counted for."""
    if order.id is None:
        return None
    under = [batches.known_order(row) for row in connection.rows("orders_known", [order.id])]
    return next((known for known in under if known.sent.get(candidate.destination) == candidate.event), None)


def _events(connection: Connection, numbers: Sequence[int], plan: pipeline.Plan) -> dict[int, Event]:
    """Events by their number, read again from the requests they came in; derived ones from the event that made them."""
    requests = batches.requests(connection, sorted({number >> pipeline.PLACES for number in numbers}))
    found = {arrived.id: arrived.event for arrived in pipeline.read(requests, plan).arrived}
    for number in numbers:
        row = None if number in found else next(iter(connection.rows("event_by_id", number)), None)
        if row is None or not str(row[8] or "").startswith(DERIVED_FROM):
            continue
        origin = found.get(int(row[8].removeprefix(DERIVED_FROM)))
        if origin is not None:
            own = orders.order_id(origin.properties) == row[5]
            event = replace(origin, kind="track", name=row[3], time=int(row[6]))
            found[number] = event if own else replace(event, properties={"order_id": row[5]}, context={})
    return {number: found[number] for number in numbers if number in found}
