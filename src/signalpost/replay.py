"""Taking up again what a platform refused or never clearly answered: what it would mean, and doing it.

A replay is shown before it is done: how many the platform is too old for, and how many it might count twice because its
dedupe window has passed. The event id stays the one decided at intake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from signalpost import orders, pipeline, vocabulary
from signalpost.events import Event, Person, Signal
from signalpost.store import batches
from signalpost.store.database import Connection

MOST = 10_000
"""Signals of one replay; run it again for more."""


class Candidate(Struct, frozen=True, kw_only=True):
    """One signal that may be sent again."""

    event: int
    destination: str
    name: str
    platform_event: str
    event_id: str
    verdict: str
    why: str
    risk: Literal["none", "merges", "may count twice", "too old", "request gone"]


RISKS = {
    "none": "The platform refused it, so nothing can be counted twice.",
    "merges": "An earlier attempt may have arrived; the platform still recognises the repeat.",
    "may count twice": "An earlier attempt may have arrived and the platform no longer recognises a repeat.",
    "too old": "The platform no longer takes events of this age.",
    "request gone": "The journal no longer holds the request it came from (retention).",
}


def candidates(
    connection: Connection, route: pipeline.Route, *, verdicts: Sequence[str], reason: str | None, since: int, now: int
) -> list[Candidate]:
    """What a replay of these verdicts would take up, each with its risk; oldest first."""
    found = []
    limits = route.platform.limits
    rows = connection.rows("ledger_find", route.name, list(verdicts), MOST)
    held = {
        position
        for (position,) in connection.rows("journal_held", sorted({row[0] >> pipeline.PLACES for row in rows}))
    }  # fmt: skip
    for event, destination, verdict, why, sentence, platform_event, event_id, sent_at, time, name in rows:
        if time < since or (reason is not None and why != reason):
            continue
        risk: Literal["none", "merges", "may count twice", "too old", "request gone"] = "none"
        if event >> pipeline.PLACES not in held:
            risk = "request gone"
        elif time < now - route.oldest_ms:
            risk = "too old"
        elif verdict == "unknown":
            risk = "merges" if sent_at is not None and now < sent_at + limits.dedupe_ms else "may count twice"
        found.append(
            Candidate(
                event=event,
                destination=destination,
                name=name,
                platform_event=platform_event,
                event_id=event_id,
                verdict=verdict,
                why=sentence or why or "",
                risk=risk,
            )
        )
    return found


def take_up(connection: Connection, plan: pipeline.Plan, route: pipeline.Route, chosen: Sequence[Candidate], *, now: int) -> int:
    """Put the chosen signals back into the outbox, written anew with what is now known of their people; gives how many.

    The gates are asked again: who was suppressed or erased, or withdrew consent, since then stays out.
    """
    taken = 0
    workspace = plan.workspace
    for candidate in chosen:
        if candidate.risk in {"too old", "request gone"}:
            continue
        event = _event(connection, candidate.event, plan)
        if event is None:
            continue
        person_id, person = _person(connection, int(connection.rows("event_by_id", candidate.event)[0][4]))
        if person is None:
            continue  # erased: nothing about them may leave
        order = orders.read(event, definition=workspace.order_value, default_currency=workspace.currency)
        allowed, limited = pipeline.consent_of(pipeline.said_by(event, plan), person, plan)
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
        if pipeline.objection(signal, route, plan, allowed=allowed, duplicate_order=False, now=now) is not None:
            continue
        if not connection.run("ledger_reopen", candidate.event, route.name):
            continue
        connection.run("trace_add", candidate.event, route.name, now, candidate.verdict, "replay", candidate.why, None)
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
                    None,
                    pipeline.micros(order.value),
                    order.currency if order.value is not None else None,
                    route.render(signal),
                )
            ],
        )
        taken += 1
    return taken


def _person(connection: Connection, number: int) -> tuple[int, Person | None]:
    """Who the person of an event is today, following merges; None when they were erased since."""
    if number == 0:
        return 0, Person(id=0)
    for _ in range(100):
        became = next((row[1] for row in connection.rows("merges_of", number, number) if row[2] == number and row[3]), None)
        if became is None:
            break
        number = became
    return number, batches.people(connection, [number]).get(number)


def _event(connection: Connection, number: int, plan: pipeline.Plan) -> Event | None:
    requests = batches.requests(connection, [number >> pipeline.PLACES])
    for arrived in pipeline.read(requests, plan).arrived:
        if arrived.id == number:
            return arrived.event
    return None
