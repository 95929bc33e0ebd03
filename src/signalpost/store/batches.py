"""The pipeline's batches: the next requests, the state they touch, and a decision written."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from signalpost.errors import StoreError
from signalpost.events import Identifier, Person
from signalpost.sources import Received
from signalpost.state import Decision, KnownOrder, State, Waiting
from signalpost.store.database import Connection

MINUTE = 60_000
LONGEST_LABEL = 100
"""Characters of a name in the counters: clients may call an event anything, and a counter's key must fit an index."""
LARGEST_COUNT = 2**61

_person = msgspec.json.Decoder(Person)
_headers = msgspec.json.Decoder(dict[str, str])
_encode = msgspec.json.Encoder().encode


def append(connection: Connection, received: Received, messages: int) -> int:
    """Write one request to the journal and queue it; gives its position."""
    position = connection.rows(
        "journal_append",
        received.source,
        received.wire,
        received.method,
        received.path,
        _encode(received.headers).decode(),
        received.body,
        received.client_ip,
        received.user_agent,
        received.received_at,
        messages,
    )[0][0]
    connection.run("backlog_add", position, messages)
    return int(position)


def slots(connection: Connection, destinations: Sequence[str]) -> dict[str, int]:
    """The number of each destination, given on first sight and kept for ever."""
    known = {name for name, _ in connection.rows("destination_slots")}
    for name in destinations:
        if name not in known:
            connection.run("destination_slot_add", name)
    return {name: int(slot) for name, slot in connection.rows("destination_slots")}


def next_positions(connection: Connection, most: int, taken: Sequence[int] = ()) -> list[int]:
    """The oldest requests not yet processed nor `taken`, together about `most` events (at least one request)."""
    positions: list[int] = []
    events = 0
    for position, messages in connection.rows("backlog_next", most + len(taken)):
        if position in taken:
            continue
        if positions and events + messages > most:
            break
        positions.append(position)
        events += messages
    return positions


def set_aside(connection: Connection, position: int) -> None:
    """Take a request out of the way that could not be processed; it stays in the journal, with a sentence."""
    sentence = "Signalpost could not process this request: a defect. It is kept in the journal; please report it."
    connection.run("refusal_add", position, -1, "$", sentence)
    connection.run("backlog_done", position)


def requests(connection: Connection, positions: list[int]) -> list[tuple[int, Received]]:
    """Journalled requests by position."""
    return [
        (
            position,
            Received(
                source=source,
                wire=wire,
                method=method,
                path=path,
                headers=_headers.decode(headers),
                body=bytes(body),
                client_ip=client_ip,
                user_agent=user_agent,
                received_at=received_at,
            ),
        )
        for position, source, wire, method, path, headers, body, client_ip, user_agent, received_at in connection.rows(
            "journal_read", positions
        )
    ]


def _text(identifier: Identifier) -> str:
    return f"{identifier[0]}:{identifier[1]}"


def gather(connection: Connection, message_keys: list[str], identifiers: list[Identifier], order_ids: list[str]) -> State:
    """What is known of these messages, identifiers and orders, and of the people they belong to."""
    state = State()
    if message_keys:
        state.seen = dict(connection.rows("events_known", message_keys))
    if order_ids:
        for key, order_id, person, event, time, sent in connection.rows("orders_known", order_ids):
            known = KnownOrder(key=key, order_id=order_id, person=person, event=event, time=time, sent=set(sent.split()))
            state.orders.setdefault(order_id, []).append(known)
    if identifiers:
        by_text = {_text(identifier): identifier for identifier in identifiers}
        for key, person in connection.rows("identifiers_owned", list(by_text)):
            state.owners[by_text[key]] = person
        state.people = people(connection, list(set(state.owners.values())))
    return state


def people(connection: Connection, ids: list[int]) -> dict[int, Person]:
    """Records of people by id."""
    if not ids:
        return {}
    found = (_person.decode(record) for (record,) in connection.rows("people_read", ids))
    return {person.id: person for person in found}


def waiting_of(connection: Connection, ids: list[int]) -> list[Waiting]:
    """Signals of these people that wait in nobody's hands."""
    return [Waiting(row[0], row[1], row[2], row[3], bytes(row[4])) for row in connection.rows("outbox_of_people", ids)]


def commit(connection: Connection, made: Decision) -> None:
    """Write a decision. Order matters: withdrawals name people as they were before they move,
    and people move before identifiers are set."""
    if connection.run("backlog_claim", made.positions) != len(made.positions):
        raise StoreError("Another process has taken these requests through the pipeline already.")
    if made.events:
        connection.run_many("event_add", made.events)
    if made.refusals:
        connection.run_many("refusal_add", made.refusals)
    for person, reason in made.withdrawn:
        for event, destination in connection.rows("outbox_withdraw", person):
            connection.run("ledger_settle", "withheld", reason, None, None, made.now, 0, None, event, destination)
            connection.run("trace_add", event, destination, made.now, "waiting", None, "withdrawn before it was sent", None)
        connection.run("outbox_withdraw_later", person)
    for winner, loser in made.moved:
        for statement in ("identifiers_move", "orders_move", "outbox_move"):
            connection.run(statement, winner, loser)
        connection.run("person_drop", loser)
    for person in made.dropped:
        connection.run("identifiers_drop", person)
        connection.run("person_drop", person)
    if made.merges:
        connection.run_many(
            "merge_add",
            [(*row[:5], None if row[5] is None else _encode(row[5]), row[6]) for row in made.merges],
        )
    merged = made.dropped
    while merged:  # the log says that they were merged, no longer what was known of them
        merged = [other for (other,) in connection.rows("merge_forget", merged)]
    if made.owners:
        connection.run_many("identifier_set", [(_text(key), person) for key, person in made.owners.items()])
    if made.people:
        connection.run_many("person_set", [(person.id, _encode(person), made.now) for person in made.people])
    if made.orders:
        connection.run_many(
            "order_set",
            [(each.key, each.order_id, each.person, each.event, each.time, " ".join(sorted(each.sent))) for each in made.orders],
        )
    if made.ledger:
        connection.run_many("ledger_add", made.ledger)
    if made.enriched:
        connection.run_many("outbox_body", [(body, row) for row, body in made.enriched])
    if made.outbox:
        connection.run_many("outbox_add", made.outbox)
    count(connection, made.now, made.counts)


def count(connection: Connection, now: int, counts: dict[tuple[str, ...], list[int]]) -> None:
    """Add to the minute's counters."""
    if counts:
        minute = now - now % MINUTE
        connection.run_many(
            "rollup_add",
            [
                (
                    minute,
                    *(label[:LONGEST_LABEL] for label in key),
                    *(max(-LARGEST_COUNT, min(number, LARGEST_COUNT)) for number in numbers),
                )
                for key, numbers in counts.items()
            ],
        )
