"""What a batch is decided on, and what was decided: values that the store reads and writes.

A `State` is gathered in one read per kind for the whole batch and is that batch's own copy: deciding moves it along, event by
event, so that the tenth event sees what the first one changed. A `Decision` says what to write, in rows; it can be printed,
compared and repeated.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from signalpost.events import Identifier, Person

Row = tuple[Any, ...]


class KnownOrder(Struct, gc=False):
    """A purchase already counted; `sent` names the destinations that count it."""

    key: str
    order_id: str
    person: int
    event: int
    time: int
    sent: set[str]


class State(Struct):
    """The part of the world that a batch can touch."""

    seen: dict[str, int] = field(default_factory=dict)
    """Message key -> the event that had it first."""
    owners: dict[Identifier, int] = field(default_factory=dict)
    people: dict[int, Person] = field(default_factory=dict)
    orders: dict[str, list[KnownOrder]] = field(default_factory=dict)
    """Order id -> purchases under it, oldest first."""


class Waiting(Struct, frozen=True, gc=False):
    """A rendered signal that nobody is sending yet."""

    id: int
    destination: str
    event: int
    person: int
    body: bytes


class Decision(Struct):
    """What one batch writes, all of it in one transaction."""

    positions: list[int] = field(default_factory=list)
    """Journal requests that are done with it."""
    events: list[Row] = field(default_factory=list)
    refusals: list[Row] = field(default_factory=list)
    ledger: list[Row] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)
    merges: list[Row] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    """Records that changed."""
    moved: list[tuple[int, int]] = field(default_factory=list)
    """(winner, loser), in order."""
    dropped: list[int] = field(default_factory=list)
    """People erased."""
    owners: dict[Identifier, int] = field(default_factory=dict)
    """Identifiers set, after the moves and drops."""
    orders: list[KnownOrder] = field(default_factory=list)
    withdrawn: list[tuple[int, str]] = field(default_factory=list)
    """(person, reason): their waiting signals are withheld."""
    enriched: list[tuple[int, bytes]] = field(default_factory=list)
    """(outbox row, better body)."""
    counts: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    """(destination, name, verdict, reason, currency) -> [signals, value in millionths, latency ms]."""
    now: int = 0
