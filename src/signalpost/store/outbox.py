"""The outbox: signals leased for sending, and what became of them written with their ledger rows."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from signalpost.clocks import bucket
from signalpost.delivery import Breaker, Fate, Leased
from signalpost.state import Decision, Row
from signalpost.store.batches import count, time
from signalpost.store.database import Connection

WITHDRAWN = -1
"""Stands for the person of a signal that was in hand when its person was suppressed."""


class Sent(Struct, frozen=True, kw_only=True):
    """One HTTP request that was made, for the record."""

    destination: str
    started_at: int
    ended_at: int
    signals: int
    status: int | None
    summary: str
    platform_request: str | None = None
    counted_at: int = 0
    """In which minute its verdicts are counted (epoch ms), when they could not be written at once; 0: when it ended."""


def lease(connection: Connection, destination: str, *, most: int, now: int, until: int) -> list[Leased]:
    """Take up to `most` due signals in hand until `until`; purchases first, oldest first.

    The attempt is noted before anything is sent: after a crash we know that it may have reached the platform.
    """
    rows = connection.rows("outbox_due", destination, now, now, most)
    for row in [row for row in rows if row[-1] == WITHDRAWN]:
        _withdraw(connection, destination, row, now)
    rows = [row for row in rows if row[-1] != WITHDRAWN]
    if rows:
        connection.run_many("outbox_lease", [(until, now, row[0]) for row in rows])
    return [
        Leased(
            id=row[0],
            event=row[1],
            priority=row[2],
            name=row[3],
            event_time=row[4],
            received_at=row[5],
            attempts=row[6],
            first_attempt_at=row[7],
            value_micros=row[8],
            currency=row[9],
            body=bytes(row[10]),
        )
        for row in rows
    ]


def _withdraw(connection: Connection, destination: str, row: Row, now: int) -> None:
    """A signal whose person was suppressed while it was in hand: withheld, or unknown when it may have arrived."""
    arrived = row[7] is not None
    sentence = "The person was suppressed while this was being sent, so it is not tried again."
    if arrived:
        sentence += " An earlier attempt may have reached the platform."
    verdict = "unknown" if arrived else "withheld"
    connection.run("ledger_settle", verdict, "suppressed_person", sentence, None, now, row[6], None, row[1], destination)
    connection.run("outbox_done", row[0])


def lease_new(made: Decision, destination: str, *, until: int) -> list[Leased]:
    """Lease a decision's signals for this destination before they are written, so that the commit hands them over."""
    taken = []
    for place, row in enumerate(made.outbox):
        if row[1] != destination or row[8] > made.now:  # of another one, or held
            continue
        made.outbox[place] = (*row[:9], until, 1, made.now, *row[12:])
        taken.append(
            Leased(
                id=row[0],
                event=row[3],
                priority=row[2],
                name=row[5],
                event_time=row[6],
                received_at=row[7],
                attempts=0,
                first_attempt_at=None,
                value_micros=row[12],
                currency=row[13],
                body=row[14],
            )
        )
    taken.sort(key=lambda signal: signal.priority)
    return taken


def settle(connection: Connection, sent: Sent, fates: Sequence[Fate], breaker: Breaker) -> None:
    """Write what became of the signals of one request, all in the caller's transaction.

    Only of those still in the outbox: when the answer to a commit was lost it may have been written already, and what was
    settled by somebody else after a lease ended is settled.
    """
    now, destination = sent.ended_at, sent.destination
    present = {row for (row,) in connection.rows("outbox_present", [fate.signal.id for fate in fates])}
    fates = [fate for fate in fates if fate.signal.id in present]
    if not fates:
        return
    request = connection.rows(
        "request_add",
        destination,
        sent.started_at,
        now,
        sent.signals,
        sent.status,
        sent.summary,
        sent.platform_request,
    )[0][0]
    settled = [fate for fate in fates if fate.verdict is not None]
    if settled:
        connection.run_many(
            "ledger_settle",
            [
                (
                    fate.verdict,
                    fate.reason,
                    fate.sentence,
                    sent.started_at,
                    now,
                    fate.signal.attempts + 1,
                    request,
                    fate.signal.event,
                    destination,
                )
                for fate in settled
            ],
        )
        connection.run_many("outbox_done", [(fate.signal.id,) for fate in settled])
    again = [fate for fate in fates if fate.verdict is None]
    if again:
        connection.run_many("outbox_release", [(fate.due_at, fate.first_attempt_at, fate.signal.id) for fate in again])
        connection.run_many(
            "trace_add",
            [(fate.signal.event, destination, now, "waiting", fate.reason, fate.sentence, request) for fate in again],
        )
    counts: dict[tuple[str, ...], list[int]] = {}
    for fate in settled:
        signal = fate.signal
        label = (destination, signal.name, str(fate.verdict), fate.reason or "", signal.currency or "")
        counter = counts.setdefault(label, [0, 0, 0])
        counter[0] += 1
        counter[1] += signal.value_micros or 0
        counter[2] += now - signal.received_at
    count(connection, sent.counted_at or now, counts)
    taken: dict[tuple[str, str, int], int] = {}
    for fate in settled:
        if fate.verdict in {"accepted", "warned"}:
            key = ("accepted", destination, bucket(now - fate.signal.received_at))
            taken[key] = taken.get(key, 0) + 1
    if taken:
        time(connection, now, taken)
    if breaker.failures:
        connection.run("breaker_set", destination, breaker.since, breaker.until, breaker.failures, breaker.sentence)
    else:
        wake(connection, destination, now)


def wake(connection: Connection, destination: str, now: int) -> None:
    """A destination does not rest any more; that it did is remembered."""
    connection.run("rest_add", now, destination)
    connection.run("breaker_clear", destination)
