"""The pipeline's batches: the next requests, the state they touch, and a decision written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from signalpost.errors import StoreError
from signalpost.events import Identifier, Person
from signalpost.purchases import NOTHING, Record
from signalpost.sources import Received
from signalpost.sources import memberships as tell
from signalpost.state import SLOTS, Back, Decision, Gone, KnownOrder, State, Waiting, Withdrawn
from signalpost.store.database import Connection, Row

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
LONGEST_LABEL = 100
"""Characters of a name in the counters: clients may call an event anything, and a counter's key must fit an index."""
LARGEST_COUNT = 2**61

_person = msgspec.json.Decoder(Person)
_record = msgspec.json.Decoder(Record)
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
    buyers: set[int] = set()
    if order_ids:
        for row in connection.rows("orders_known", order_ids):
            known = known_order(row)
            state.orders.setdefault(known.order_id, []).append(known)
            buyers.add(known.person)
    if identifiers:
        by_text = {_text(identifier): identifier for identifier in identifiers}
        for key, person in connection.rows("identifiers_owned", list(by_text)):
            state.owners[by_text[key]] = person
    state.people = people(connection, list((buyers | set(state.owners.values())) - {0}))
    for under in state.orders.values():
        for known in under:
            if known.person not in state.people:
                known.person = 0  # pruned since, or merged before people remembered their orders
    return state


def known_order(row: Row) -> KnownOrder:
    """An order of `orders_known`; rows from before records were kept have none, and name destinations without their event."""
    key, order_id, person, event, time, sent, encoded, purchased = row
    record = NOTHING if encoded is None else _record.decode(encoded)
    parted = (each.partition(":") for each in sent.split())
    return KnownOrder(
        key=key,
        order_id=order_id,
        person=person,
        event=event,
        time=time,
        sent={destination: int(number or event) for destination, _, number in parted},
        purchased=purchased or min((said.event for said in record.claims.values()), default=0),
        record=record,
    )


def tallies(connection: Connection, destinations: Sequence[str], now: int) -> dict[tuple[str, str], int]:
    """(destination, event) -> signals made yesterday and today (UTC)."""
    since = now - now % DAY - DAY
    return {(destination, name): int(made) for destination, name, made in connection.rows("tallies", list(destinations), since)}


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
    if made.positions and connection.run("backlog_claim", made.positions) != len(made.positions):
        raise StoreError("Another process has taken these requests through the pipeline already.")
    if made.stops or made.back:  # what they stop or find sent is counted here, on a copy: a commit may be tried again
        counts = {key: [*counter] for key, counter in made.counts.items()}
        notices = {key: [*counter] for key, counter in made.notices.items()}
        made = replace(made, counts=counts, notices=notices)
    if made.events:
        connection.run_many("event_add", made.events)
    if made.refusals:
        connection.run_many("refusal_add", made.refusals)
    for stop in made.stops:
        _stop(connection, made, stop)
    for winner, loser in made.moved:
        for statement in ("identifiers_move", "outbox_move", "moves_join", "wanted_join", "keys_join"):
            connection.run(statement, winner, loser)
        forget_memberships(connection, loser)
        for statement in ("person_drop", "wanted_drop", "keys_drop"):
            connection.run(statement, loser)
    for person, keys in made.handed:
        connection.run("orders_hand", person, keys)
    for kept, gone in made.parted:
        connection.run("merge_undone", gone)
        connection.run("outbox_part", gone, kept, gone)
    for person in made.dropped:
        connection.run("identifiers_drop", person)
        connection.run("person_drop", person)
        forget_memberships(connection, person)
        connection.run("wanted_forget", made.now, person)
    if made.merges:
        connection.run_many(
            "merge_add",
            [
                (*row[:5], None if row[5] is None else _encode(row[5]), row[6], None if row[7] is None else _encode(row[7]))
                for row in made.merges
            ],
        )
    merged = [*made.dropped, *made.silenced]
    while merged:  # the log says that they were merged, no longer what was known of them
        merged = [other for (other,) in connection.rows("merge_forget", merged)]
    if made.owners:
        connection.run_many("identifier_set", [(_text(key), person) for key, person in made.owners.items()])
    if made.people:
        connection.run_many("person_set", [person_row(each, made.now) for each in made.people])
    move(connection, made)
    if made.orders:
        connection.run_many(
            "order_set",
            [
                (each.key, each.order_id, each.person, each.event, each.time, _sent(each), _encode(each.record), each.purchased)
                for each in made.orders
            ],
        )
    if made.ledger:
        connection.run_many("ledger_add", made.ledger)
    if made.enriched:
        connection.run_many("outbox_body", [(body, row) for row, body in made.enriched])
    if made.outbox:
        connection.run_many("outbox_add", made.outbox)
    if made.traces:
        connection.run_many("trace_add", made.traces)
    for back in made.back:
        take_back(connection, made, back)
    count(connection, made.now, made.counts)
    note(connection, made)


def person_row(person: Person, now: int) -> Row:
    """A person as `person_set` writes them."""
    return (person.id, _encode(person), now, next_change(person))


def next_change(person: Person) -> int | None:
    """When time alone may move the person next; None: never."""
    return min(person.due.values()) if person.due else None


def fire(connection: Connection, made: Decision) -> None:
    """Write what the passing of time changed."""
    connection.run_many("person_moved", [(_encode(each), next_change(each), each.id) for each in made.people])
    move(connection, made)


def forget_memberships(connection: Connection, person: int) -> None:
    """Nobody is in a segment under this number any more."""
    for (slot,) in connection.rows("members_of_person", person):
        connection.run("member_drop", slot, person)
    connection.run("moves_forget", person)


def move(connection: Connection, made: Decision) -> None:
    """Write who entered and left which segment, and whom audiences want since."""
    if made.moves:
        connection.run_many("move_add", made.moves)
    for person, inside in made.joined.items():
        for (slot,) in connection.rows("members_of_person", person):
            connection.run("member_drop", slot, person)
        connection.run_many("member_set", [(slot, person, since) for slot, since in inside])
    if made.members:
        entered, left = [], []
        for (slot, person), since in made.members.items():
            if person in made.joined:
                continue  # all they are in was just written
            if since is None:
                left.append((slot, person))
            else:
                entered.append((slot, person, since))
        if left:
            connection.run_many("member_drop", left)
        if entered:
            connection.run_many("member_set", entered)
    if made.told:
        append(connection, tell.request(made.told, max(each.at for each in made.told)), len(made.told))
    if made.wanted:
        connection.run_many("wanted_set", [(*key, *row) for key, row in made.wanted.items()])


def _sent(order: KnownOrder) -> str:
    return " ".join(f"{destination}:{event}" for destination, event in sorted(order.sent.items()))


def _stop(connection: Connection, made: Decision, stop: Withdrawn | Gone | Back) -> None:
    """Withhold what waits of a person, of an order, or of what was derived of one."""
    if isinstance(stop, Back):
        take_back(connection, made, stop)
        return
    if isinstance(stop, Gone):
        rows = connection.rows("outbox_stop_derived", stop.order_id)
    else:
        rows = connection.rows("outbox_withdraw", stop.person)
        connection.run("outbox_withdraw_later", stop.person)
    for row in rows:
        _withheld_after_all(connection, made, row, stop.reason)


def _withheld_after_all(connection: Connection, made: Decision, row: Row, reason: str) -> None:
    """A signal that waited and was taken out of the outbox: (event, destination, name, currency, value in millionths)."""
    event, destination, name, currency, micros = row
    connection.run("ledger_settle", "withheld", reason, None, None, made.now, 0, None, event, destination)
    connection.run("trace_add", event, destination, made.now, "waiting", None, "withdrawn before it was sent", None)
    made.count(destination, name, "withheld", reason, currency=currency or "", value=micros or 0)


def take_back(connection: Connection, made: Decision, back: Back) -> None:
    """Stop a waiting signal of an order that was called off; count the order where its signal went out, or is going out."""
    if back.reason is not None:
        stopped = connection.rows("outbox_stop", back.event * SLOTS + back.slot)
        if stopped:
            _withheld_after_all(connection, made, stopped[0], back.reason)
            return
    verdicts = [row[1] for row in connection.rows("ledger_of", back.event) if row[0] == back.destination]
    if verdicts and verdicts[0] in {"accepted", "warned", "waiting", "unknown"}:
        made.notice(
            back.destination, back.what, back.name, back.event, currency=back.currency, signals=back.first, value=back.micros
        )


def note(connection: Connection, made: Decision) -> None:
    """Write what is counted beside the verdicts."""
    hour, day = made.now - made.now % HOUR, made.now - made.now % DAY
    if made.notices:
        connection.run_many(
            "notice_add",
            [(hour, *_labels(key), signals, _bounded(micros), event) for key, (signals, micros, event) in made.notices.items()],
        )
    if made.clocks:
        time(connection, made.now, made.clocks)
    if made.coverage:
        rows = [(hour, *_labels(key[:3]), key[3], signals) for key, signals in made.coverage.items()]
        connection.run_many("coverage_add", rows)
    if made.tallies:
        rows = [(destination, day, *_labels((name,)), signals) for (destination, name), signals in made.tallies.items()]
        connection.run_many("tally_add", rows)
    if made.marks:
        connection.run_many("mark_add", made.marks)


def time(connection: Connection, now: int, clocks: Mapping[tuple[str, str, int], int]) -> None:
    """Add to the hour's histograms."""
    hour = now - now % HOUR
    connection.run_many("clock_add", [(hour, clock, name, bucket, signals) for (clock, name, bucket), signals in clocks.items()])


def count(connection: Connection, now: int, counts: dict[tuple[str, ...], list[int]]) -> None:
    """Add to the minute's counters."""
    if counts:
        minute = now - now % MINUTE
        connection.run_many(
            "rollup_add",
            [(minute, *_labels(key), *(_bounded(number) for number in numbers)) for key, numbers in counts.items()],
        )


def _labels(key: tuple[str, ...]) -> list[str]:
    return [label[:LONGEST_LABEL] for label in key]


def _bounded(number: int) -> int:
    return max(-LARGEST_COUNT, min(number, LARGEST_COUNT))
