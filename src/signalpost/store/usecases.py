"""What has arrived, for the use cases: events by source, match keys, and what the newest orders carry. Every read is bounded."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from signalpost import coverage, purchases
from signalpost.config import Workspace
from signalpost.store import exports, sums, trends
from signalpost.store.database import Connection
from signalpost.usecases import PURCHASE, Evidence, Heard, Keys
from signalpost.vocabulary import CANONICAL_EVENTS, MADE_HERE

DAY = 86_400_000

DAYS = 7
"""Over so many days events are counted."""

ORDERS = 300
"""The newest orders that are looked at."""

REQUESTS = 2_000
"""The newest requests among which each source is looked for."""

_record = msgspec.json.Decoder(purchases.Record)


class Spoke(Struct, frozen=True, kw_only=True):
    """A source among the newest requests."""

    requests: int
    """Of the newest `REQUESTS`."""
    last: int


def spoke(connection: Connection) -> dict[str, Spoke]:
    """Which sources the newest requests came from, and when the last of each came (epoch ms)."""
    return {
        source: Spoke(requests=int(many), last=int(last)) for source, many, last in connection.rows("usecases_heard", REQUESTS)
    }


def gather(connection: Connection, workspace: Workspace, now: int) -> Evidence:
    """What arrived in the last days."""
    heard: dict[str, dict[str, int]] = {}
    told: dict[str, dict[str, int]] = {}
    for cell in sums.read(connection, now - DAYS * DAY):
        if cell.verdict == "heard":
            by = heard.setdefault(cell.name, {})
            if cell.reason:
                by[cell.reason] = by.get(cell.reason, 0) + cell.signals
        elif cell.destination:
            there = told.setdefault(cell.name, {})
            there[cell.destination] = there.get(cell.destination, 0) + cell.signals
    events = {name: Heard(signals=max(by.values())) for name, by in told.items()}  # counted before sources were
    events |= {name: Heard(signals=sum(by.values()), sources=by) for name, by in heard.items() if by}
    records = connection.rows("usecases_orders", ORDERS)
    values = currencies = people = orders = 0
    for person, record in records:
        known = _record.decode(bytes(record)) if record is not None else purchases.NOTHING
        counts = purchases.chosen(known, workspace.counted_source.get(PURCHASE))
        if counts is None:
            continue  # so far only a refund or a flag came
        orders += 1
        people += person != 0
        values += counts.value is not None
        currencies += bool(counts.currency)
    return Evidence(
        days=DAYS,
        first=exports.begins(connection),
        events=events,
        keys=_keys(connection, now),
        orders=orders,
        with_value=values,
        with_currency=currencies,
        with_person=people,
    )


def _keys(connection: Connection, now: int) -> dict[str, Keys]:
    """Event -> match keys of the last day, at the destination that was told of most of them."""
    found: dict[str, Keys] = {}
    for (_, name), masks in trends.keys(connection, now - DAY).items():
        told = Keys(signals=sum(masks.values()), having=coverage.counts(masks))
        if name not in found or told.signals > found[name].signals:
            found[name] = told
    return found


def unknown(evidence: Evidence, workspace: Workspace) -> list[str]:
    """Events that came under names of the shop's own, which may be what is missing; the most frequent first."""
    known = CANONICAL_EVENTS.keys() | MADE_HERE | workspace.aliases.keys() | workspace.derived.keys()
    own = [name for name in evidence.events if name not in known]
    return sorted(own, key=lambda name: -evidence.events[name].signals)[:50]
