"""The story of a signal: everything that is known of an event, from its request to each platform's own answer.

`find` gives events for whatever an operator has in hand, `story` tells one whole, `recent` the newest. Nothing here is
raw: people are shown as `masking` shows them, so a story can be read aloud in a meeting.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from signalpost import gates, mapping, masking, orders, sources
from signalpost.config import Destination, Workspace
from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Destination as Platform
from signalpost.events import Event, Order, Person, Signal
from signalpost.state import PLACES as PLACES  # noqa: PLC0414 (named as its own, for who reads stories by number)
from signalpost.store import batches
from signalpost.store.database import Connection, Row

SENTENCES = {
    "accepted": "The platform took it.",
    "warned": "The platform took it and had something to say about it.",
    "refused": "The platform refused it.",
    "unknown": "Nobody knows whether the platform took it; it is not sent again by itself.",
    "waiting": "It waits to be sent.",
    "withheld": "It was not sent.",
}
"""What a verdict means when nothing more is known."""

ADVICE = {
    "refused": "Mend what the platform objects to at the source, then replay what is still young enough.",
    "unknown": "Look for the order in the platform's own reports before you replay it.",
}
"""What to do about a verdict when its reason has no advice of its own."""


class Request(Struct, frozen=True, kw_only=True):
    """The HTTP request that brought the event, masked; `kept` is False once retention has dropped it."""

    position: int
    kept: bool
    source: str
    wire: str = ""
    method: str = ""
    path: str = ""
    received_at: int = 0
    client_ip: str | None = None
    user_agent: str | None = None
    size: int = 0
    """Bytes of the body, unzipped."""


class Refused(Struct, frozen=True, kw_only=True):
    """A message of the same request that was not taken."""

    place: int | None
    path: str
    sentence: str


class Happening(Struct, frozen=True, kw_only=True):
    """The event itself; times in epoch ms, UTC."""

    id: int
    message_id: str
    source: str
    kind: str
    name: str
    """Canonical."""
    told_as: str
    """The source's own name; empty when the request is no longer kept."""
    order_id: str | None
    value: str | None
    currency: str | None
    value_from: str | None
    time: int
    received_at: int
    content: dict[str, Any] | None
    """Identifiers, properties, context and traits, masked; None when the request is no longer kept."""


class Joined(Struct, frozen=True, kw_only=True):
    """Two people became one, or were kept apart, and why."""

    event: int
    person: int
    other: int
    joined: bool
    why: str
    at: int
    undone: bool = False
    """They were one for a while, until somebody undid it."""


class Known(Struct, frozen=True, kw_only=True):
    """Who the event belongs to, as far as known today; masked."""

    id: int
    then: int
    """The person when the event came in; another id when they were merged since."""
    forgotten: bool
    """The record is gone: the person was erased."""
    since: int = 0
    identifiers: list[str] = []
    match_keys: list[str] = []
    """The keys a platform can recognise the person by, by name."""
    clicks: list[str] = []
    suppressed_at: int = 0
    consent: dict[str, bool] = {}
    merges: list[Joined] = []


class Related(Struct, frozen=True, kw_only=True):
    """Another event that matters here: a repeat, the first of repeats, or one of the same order."""

    event: int
    name: str
    source: str
    message_id: str
    time: int
    received_at: int


class Answer(Struct, frozen=True, kw_only=True):
    """One HTTP request made to the platform, and what came back."""

    request: int
    started_at: int
    ended_at: int
    signals: int
    status: int | None
    summary: str
    platform_request: str | None


class Step(Struct, frozen=True, kw_only=True):
    """An attempt that did not settle, or a verdict that was replaced."""

    at: int
    verdict: str
    reason: str | None
    sentence: str | None
    answer: Answer | None


class Check(Struct, frozen=True, kw_only=True):
    """One gate and what it said."""

    name: str
    """Its code, or `gate:` and the name of one of the workspace's own."""
    outcome: str
    """passed, withheld, observed (would have withheld), not asked"""
    sentence: str


class Filled(Struct, frozen=True, kw_only=True):
    """One field of the event in the platform's form."""

    path: str
    value: Any
    """Masked; None where there was nothing to send."""
    origin: str
    """What it is and where it comes from."""
    cleaning: str


class Delivery(Struct, frozen=True, kw_only=True):
    """What became of the event at one destination."""

    destination: str
    platform: str
    verdict: str
    reason: str | None
    sentence: str
    advice: str
    platform_event: str | None
    platform_id: str | None
    value: str | None
    currency: str | None
    decided_at: int
    sent_at: int | None
    settled_at: int | None
    attempts: int
    due_at: int | None
    """Not tried again before; only while it waits."""
    object: dict[str, Any] | None
    """The event in the platform's form, masked."""
    object_from: str
    """`waiting`: as it will be sent. `rewritten`: written again from the journal with what is known today. Empty: none."""
    steps: list[Step]
    answer: Answer | None
    checks: list[Check] = []
    """Its gates in the order in which they are asked, as the workspace has them today."""
    fields: list[Filled] = []
    """The platform's field table with what this event fills in."""


class Story(Struct, frozen=True, kw_only=True):
    """One event, whole."""

    request: Request
    refusals: list[Refused]
    event: Happening
    person: Known | None
    repeat_of: Related | None
    repeats: list[Related]
    same_order: list[Related]
    deliveries: list[Delivery]


# ---- find ------------------------------------------------------------------------------------------------------------------


def find(connection: Connection, key: str, known_sources: Collection[str] = ()) -> list[int]:
    """Event ids for a message id (bare, or as `source:message id`), an order id or an event's number; best guess first.

    A bare message id is looked for under each of `known_sources` (the names in the workspace file).
    """
    key = key.strip()
    if not key or len(key) > 1_000 or "\x00" in key:
        return []
    found = [row[0] for row in connection.rows("events_by_message", [key, *(f"{name}:{key}" for name in known_sources)])]
    found += [row[0] for row in connection.rows("events_by_order", key)]
    if key.isascii() and key.isdigit() and len(key) < 19:
        found += [row[0] for row in connection.rows("event_by_id", int(key))]
    return list(dict.fromkeys(found))


def happened(connection: Connection, numbers: Sequence[int]) -> list[Related]:
    """These events in a line each, in this order; those that are gone are left out."""
    return [_related(row) for number in numbers[:200] for row in connection.rows("event_by_id", number)]


# ---- story -----------------------------------------------------------------------------------------------------------------


def story(connection: Connection, number: int, workspace: Workspace) -> Story | None:
    """The whole way of one event by its number; None when there is none. `workspace` says how it is written for platforms."""
    found = connection.rows("event_by_id", number)
    if not found:
        return None
    row = found[0]
    _, message_key, kind, name, person_then, order_id, time, received_at, note = row
    source, message_id = _parted(message_key, number)
    request, event = _request(connection, number, source, message_id)
    person, record = _person(connection, person_then)
    value = _order(event, workspace) if event is not None else orders.NO_ORDER
    repeat = message_key.endswith(f"#{number}")
    signal = None
    if event is not None and record is not None and not repeat and kind in {"track", "page", "screen"}:
        signal = Signal(event=replace(event, time=time), person=record, order=value, name=name)
    return Story(
        request=request,
        refusals=[
            Refused(place=None if place < 0 else place, path=masking.text(path), sentence=masking.text(sentence))
            for place, path, sentence in connection.rows("refusals_of", number >> PLACES)
        ],
        event=Happening(
            id=number,
            message_id=masking.text(message_id),
            source=source,
            kind=kind,
            name=name,
            told_as=masking.text(event.name) if event else "",
            order_id=masking.text(order_id) if order_id else None,
            value=None if value.value is None else f"{value.value:f}",
            currency=value.currency if value.value is not None else None,
            value_from=None if note is None or note.startswith("repeat of") else note,
            time=time,
            received_at=received_at,
            content=_content(event) if event else None,
        ),
        person=person,
        repeat_of=_first_of(connection, message_key, number),
        repeats=[] if repeat else _repeats(connection, message_key),
        same_order=[_related(each) for each in connection.rows("events_by_order", order_id) if each[0] != number]
        if order_id
        else [],
        deliveries=_deliveries(connection, number, name, workspace, signal, record.id if record else 0),
    )


def _parted(message_key: str, number: int) -> tuple[str, str]:
    """(source, message id); a repeat's key ends with its own number, which no client sent."""
    source, _, message_id = message_key.removesuffix(f"#{number}").partition(":")
    return source, message_id


def _request(connection: Connection, number: int, source: str, message_id: str) -> tuple[Request, Event | None]:
    position, place = number >> PLACES, number & ((1 << PLACES) - 1)
    kept = batches.requests(connection, [position])
    if not kept:
        return Request(position=position, kept=False, source=source), None
    received = kept[0][1]
    request = Request(
        position=position,
        kept=True,
        source=received.source,
        wire=received.wire,
        method=received.method,
        path=masking.text(received.path),
        received_at=received.received_at,
        client_ip=masking.ip(received.client_ip) if received.client_ip else None,
        user_agent=masking.text(received.user_agent) if received.user_agent else None,
        size=len(received.body),
    )
    events = sources.read(received).events
    # A later version may read a request differently; an event that is not the one meant is worse than none.
    event = events[place] if place < len(events) and events[place].message_id == message_id else None
    return request, event


def _order(event: Event, workspace: Workspace) -> Order:
    return orders.read(event, definition=workspace.order_value, default_currency=workspace.currency)


def _content(event: Event) -> dict[str, Any]:
    if event.kind == "unmerge":  # it carries two whole records
        return {}
    content: dict[str, Any] = {
        "identifiers": [{"kind": pair[0], "value": masking.identifier(pair)} for pair in event.identifiers],
        "previous": [{"kind": pair[0], "value": masking.identifier(pair)} for pair in event.previous],
        "properties": masking.document(event.properties, name="properties"),
        "traits": masking.document(event.traits, name="traits"),
        "context": masking.document(event.context, name="context"),
    }
    return {name: part for name, part in content.items() if part}


def _person(connection: Connection, then: int) -> tuple[Known | None, Person | None]:
    """Who that person is today, following merges; (None, a stranger) for an event without identifiers."""
    if then == 0:
        return None, Person(id=0)
    now, merges = then, connection.rows("merges_of", then, then)
    for _ in range(100):
        became = next((row for row in merges if row[2] == now and row[3] == 1), None)
        if became is None:
            break
        now = became[1]
        merges = [*merges, *(row for row in connection.rows("merges_of", now, now) if row not in merges)]
    joins = [
        Joined(event=event, person=person, other=other, joined=joined == 1, undone=joined == 2, why=masking.text(why), at=at)
        for event, person, other, joined, why, at in sorted(merges, key=lambda row: row[0])
    ]
    record = batches.people(connection, [now]).get(now)
    if record is None:
        return Known(id=now, then=then, forgotten=True, merges=joins), None
    shown: dict[str, int] = {}
    for kind, _, value in (key.partition(":") for (key,) in connection.rows("identifiers_of", now)):
        told = f"{kind.replace('_', ' ')} {masking.identifier((kind, value))}"
        shown[told] = shown.get(told, 0) + 1
    known = Known(
        id=now,
        then=then,
        forgotten=False,
        since=record.created_at,
        identifiers=[told if times == 1 else f"{told} ({times} alike)" for told, times in shown.items()],
        match_keys=sorted(record.keys),
        clicks=sorted(record.clicks),
        suppressed_at=record.suppressed_at,
        consent={name: said for name, (said, _) in record.consent.items()},
        merges=joins,
    )
    return known, record


def _related(row: Row) -> Related:
    source, message_id = _parted(row[1], row[0])
    return Related(event=row[0], name=row[3], source=source, message_id=masking.text(message_id), time=row[6], received_at=row[7])


def _first_of(connection: Connection, message_key: str, number: int) -> Related | None:
    suffix = f"#{number}"
    if not message_key.endswith(suffix):
        return None
    rows = connection.rows("events_by_message", [message_key.removesuffix(suffix)])
    return _related(rows[0]) if rows else None


def _repeats(connection: Connection, message_key: str) -> list[Related]:
    rows = connection.rows("events_repeating", f"{message_key}#", f"{message_key}$")
    return [_related(row) for row in rows if row[1].startswith(f"{message_key}#")]


# ---- deliveries ------------------------------------------------------------------------------------------------------------


def _deliveries(
    connection: Connection, number: int, name: str, workspace: Workspace, signal: Signal | None, person: int
) -> list[Delivery]:
    waiting = {row[0]: row[1:] for row in connection.rows("outbox_of_event_and_person", person, number)}
    steps: dict[str, list[Step]] = {}
    for destination, at, verdict, reason, sentence, request in connection.rows("trace_of", number):
        steps.setdefault(destination, []).append(
            Step(
                at=at,
                verdict=verdict,
                reason=reason,
                sentence=masking.text(sentence) if sentence else None,
                answer=_answer(connection, request),
            )
        )
    made = []
    for (
        destination,
        verdict,
        reason,
        sentence,
        platform_event,
        platform_id,
        value,
        currency,
        decided_at,
        sent_at,
        settled_at,
        attempts,
        request,
    ) in connection.rows("ledger_of", number):
        configured = workspace.destinations.get(destination)
        platform = CATALOG.get(configured.type) if configured else None
        due_at, tried, body = waiting.get(destination, (None, attempts, None))
        shown, shown_from = None, ""
        if body is not None:
            shown, shown_from = msgspec.json.decode(bytes(body)), "waiting"
        elif verdict != "withheld" and platform_event is not None and signal is not None and platform and configured:
            told = replace(
                signal,
                platform_event=platform_event,
                event_id=platform_id or "",
                limited=_limited(signal, workspace),
                test=workspace.environment != "production",
            )
            shown = msgspec.json.decode(mapping.compile(platform, configured)(told))
            shown_from = "rewritten"
        masked = masking.document(shown) if shown is not None else None
        own_steps = steps.get(destination, [])
        made.append(
            Delivery(
                destination=destination,
                platform=platform.title if platform else destination,
                verdict=verdict,
                reason=reason,
                sentence=told_sentence(verdict, reason, sentence),
                advice=advice(verdict, reason),
                platform_event=platform_event,
                platform_id=masking.text(platform_id) if platform_id else None,
                value=value,
                currency=currency,
                decided_at=decided_at,
                sent_at=sent_at,
                settled_at=settled_at,
                attempts=tried,
                due_at=due_at,
                object=masked,
                object_from=shown_from,
                steps=[step for step in own_steps if step.verdict != "observed"],
                answer=_answer(connection, request),
                checks=_checks(verdict, reason, name, destination, own_steps, workspace),
                fields=_filled(masked, platform, configured) if masked and platform and configured else [],
            )
        )
    return made


def _checks(
    verdict: str, reason: str | None, name: str, destination: str, steps: Sequence[Step], workspace: Workspace
) -> list[Check]:
    """Every gate in order: those before the one that withheld it said yes, those after it were not asked."""
    observed = {step.reason: step.sentence for step in steps if step.verdict == "observed"}
    configured = workspace.destinations.get(destination)
    staged = configured is not None and bool(configured.rollout)
    asked = [
        (code, sentence)
        for code, sentence in gates.PASSED.items()
        if (name == "Order Completed" or code not in gates.OF_PURCHASES) and (staged or code not in gates.OF_ROLLOUTS)
    ]
    asked += [
        (rule.reason, f"Your gate {rule.name} let it pass: this did not hold: {rule.sentence}.")
        for rule in gates.rules(workspace)
        if (rule.events is None or name in rule.events) and (rule.destinations is None or destination in rule.destinations)
    ]
    made, over = [], False
    for code, sentence in asked:
        if verdict == "withheld" and code == reason:
            made.append(Check(name=code, outcome="withheld", sentence=told_sentence(verdict, code)))
            over = True
        elif code in observed:
            made.append(Check(name=code, outcome="observed", sentence=observed[code] or sentence))
        else:
            made.append(Check(name=code, outcome="not asked" if over else "passed", sentence=sentence))
    # What stopped it is none of these (an order called off while it waited, a platform's own demand): it had passed them all.
    return made


def _filled(masked: Mapping[str, Any], platform: Platform, configured: Destination) -> list[Filled]:
    """The field table with the values of this event, those that have one first."""
    made = []
    for row in mapping.table(platform, configured).values():
        parent, _, leaf = row.path.partition(".")
        held: Any = masked.get(parent)
        value = held if not leaf else held.get(leaf) if isinstance(held, Mapping) else None
        cleaning = "normalised, then hashed (SHA-256)" if row.hashed else "normalised" if row.key else "as the platform writes it"
        made.append(Filled(path=row.path, value=value, origin=row.doc, cleaning=cleaning))
    return sorted(made, key=lambda each: each.value is None)


def told_sentence(verdict: str, reason: str | None, sentence: str | None = None) -> str:
    """The sentence for a verdict: what was written with it, else what its reason or the verdict itself means."""
    if sentence:
        return masking.text(sentence)
    known = gates.REASONS.get(reason or "")
    return known.sentence if known else SENTENCES[verdict]


def advice(verdict: str, reason: str | None) -> str:
    """What to do about it; empty when there is nothing to say."""
    known = gates.REASONS.get(reason or "")
    return known.advice if known else ADVICE.get(verdict, "")


def _limited(signal: Signal, workspace: Workspace) -> bool:
    for path in workspace.consent.limited_data_use:
        said = gates.truth(gates.lookup(signal.event, path))
        if said is not None:
            return said
    return signal.person.consent.get("limited_data_use", (False, 0))[0]


def _answer(connection: Connection, request: int | None) -> Answer | None:
    rows = connection.rows("request_by_id", request) if request is not None else []
    if not rows:
        return None
    number, _, started_at, ended_at, signals, status, summary, platform_request = rows[0]
    return Answer(
        request=number,
        started_at=started_at,
        ended_at=ended_at,
        signals=signals,
        status=status,
        summary=masking.text(summary),
        platform_request=platform_request,
    )


# ---- recent ----------------------------------------------------------------------------------------------------------------


class Mark(Struct, frozen=True, kw_only=True):
    """One destination's verdict on one event."""

    destination: str
    platform: str
    verdict: str
    reason: str | None
    sentence: str
    platform_event: str | None
    value: str | None
    currency: str | None
    settled_at: int | None


class Latest(Struct, frozen=True, kw_only=True):
    """One of the newest events, with its verdicts."""

    event: int
    name: str
    source: str
    message_id: str
    order_id: str | None
    time: int
    decided_at: int
    value: str | None
    currency: str | None
    marks: list[Mark]


def recent(connection: Connection, limit: int, workspace: Workspace | None = None) -> list[Latest]:
    """The newest events that could become signals, newest first, each with its verdicts."""
    width = max(1, len(workspace.destinations)) if workspace else 4
    return grouped(connection.rows("ledger_recent", limit * width), workspace)[:limit]


def grouped(rows: Sequence[Row], workspace: Workspace | None) -> list[Latest]:
    """Rows of the ledger with their events as one entry for each event, in their order."""
    made: dict[int, Latest] = {}
    for row in rows:
        (event, destination, verdict, reason, sentence, platform_event, value, currency, decided_at, settled_at) = row[:10]
        name, message_key, order_id, time = row[10:]
        if event not in made:
            source, message_id = _parted(message_key, event)
            made[event] = Latest(
                event=event,
                name=name,
                source=source,
                message_id=masking.text(message_id),
                order_id=masking.text(order_id) if order_id else None,
                time=time,
                decided_at=decided_at,
                value=value,
                currency=currency,
                marks=[],
            )
        configured = workspace.destinations.get(destination) if workspace else None
        platform = CATALOG.get(configured.type) if configured else None
        made[event].marks.append(
            Mark(
                destination=destination,
                platform=platform.title if platform else destination,
                verdict=verdict,
                reason=reason,
                sentence=told_sentence(verdict, reason, sentence),
                platform_event=platform_event,
                value=value,
                currency=currency,
                settled_at=settled_at,
            )
        )
    return list(made.values())
