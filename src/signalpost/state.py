"""What a batch is decided on, and what was decided: values that the store reads and writes.

A `State` is gathered in one read per kind for the whole batch and is that batch's own copy: deciding moves it along, event by
event, so that the tenth event sees what the first one changed. A `Decision` says what to write, in rows; it can be printed,
compared and repeated.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from signalpost.events import Identifier, Person
from signalpost.purchases import NOTHING, Record
from signalpost.segments.bands import Bands
from signalpost.sources.memberships import Told

Row = tuple[Any, ...]

PLACES = 16
"""An event's id is its journal position shifted by this many bits, plus its place in the request."""

SLOTS = 64
"""Destinations a workspace may have; a signal's id is its event's id times this, plus the destination's slot."""


BY_TIME, BY_RULE = 0, -1
"""What stands in the place of an event where none moved a person: a window that ended; a rule that is new or was changed."""


class Numbers(Struct, frozen=True):
    """What the database knows of a workspace and the file does not: small numbers, and bounds that were computed."""

    destinations: dict[str, int]
    segments: dict[str, int] = {}
    """Of every segment there ever was."""
    audiences: dict[tuple[str, str], int] = {}
    """(audience, destination) -> slot."""
    bands: dict[str, Bands] = {}
    """Value tiers with their bounds as they are now."""
    unready: frozenset[str] = frozenset()
    """Segments whose past is not remembered yet: nobody is asked about them."""


class KnownOrder(Struct, gc=False):
    """An order the hub has heard of; `sent` names the destinations that count its purchase, each with the event that was sent."""

    key: str
    order_id: str
    person: int
    """Who bought it, and remembers it; 0 until a purchase says so, or when they wish to be forgotten."""
    event: int
    """The first event that named it."""
    time: int
    sent: dict[str, int]
    purchased: int = 0
    """The first event that reported its purchase, as far as it is known: the one that counts where events are counted."""
    record: Record = NOTHING


class State(Struct):
    """The part of the world that a batch can touch."""

    seen: dict[str, int] = field(default_factory=dict)
    """Message key -> the event that had it first."""
    owners: dict[Identifier, int] = field(default_factory=dict)
    people: dict[int, Person] = field(default_factory=dict)
    orders: dict[str, list[KnownOrder]] = field(default_factory=dict)
    """Order id -> orders under it, oldest first."""
    stages: dict[str, int] = field(default_factory=dict)
    """Destination -> the stage of its rollout; the first where it is not named."""
    tallies: dict[tuple[str, str], int] = field(default_factory=dict)
    """(destination, event) -> signals made yesterday and today (UTC), of destinations that cap events."""
    marks: set[tuple[str, ...]] = field(default_factory=set)
    """What need not be marked again; the loop keeps it from batch to batch, to save writing."""
    counting: bool = True
    """False: only what becomes of signals is asked, and nothing is counted or marked beside them."""


class Waiting(Struct, frozen=True, gc=False):
    """A rendered signal that nobody is sending yet."""

    id: int
    destination: str
    event: int
    person: int
    body: bytes


class Withdrawn(Struct, frozen=True, gc=False):
    """A person of whom nothing may leave: their waiting signals are withheld."""

    person: int
    """As they were known before the batch's merges."""
    reason: str


class Gone(Struct, frozen=True, gc=False):
    """An order of which nothing is left: what was derived of it and waits is withheld."""

    order_id: str
    reason: str


class Back(Struct, frozen=True, kw_only=True, gc=False):
    """An order that was sent, or waits to be, is called off, paid back or found to be fraudulent.

    With a `reason` its waiting signal is stopped; what is on its way or arrived is counted under `what`.
    """

    event: int
    destination: str
    slot: int
    name: str
    reason: str | None
    what: str
    """cancelled_after, refunded_after or flagged_after."""
    currency: str
    micros: int
    """How much of its value this takes back."""
    first: bool
    """Whether nothing of it had gone back before."""


class Decision(Struct):
    """What one batch writes, all of it in one transaction."""

    positions: list[int] = field(default_factory=list)
    """Journal requests that are done with it."""
    events: list[Row] = field(default_factory=list)
    refusals: list[Row] = field(default_factory=list)
    ledger: list[Row] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)
    traces: list[Row] = field(default_factory=list)
    """What is noted of a signal beside its verdict: the observing gates that would have withheld it."""
    merges: list[Row] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    """Records that changed."""
    taught: list[int] = field(default_factory=list)
    """Those of them with other match keys than before: their waiting signals are written anew."""
    moved: list[tuple[int, int]] = field(default_factory=list)
    """(winner, loser), in order."""
    handed: list[tuple[int, list[str]]] = field(default_factory=list)
    """(person, or 0; the orders that are theirs now), in order."""
    dropped: list[int] = field(default_factory=list)
    """People erased."""
    silenced: list[int] = field(default_factory=list)
    """People who wished to be left alone: nothing is known of who they were before."""
    parted: list[tuple[int, int]] = field(default_factory=list)
    """(who keeps the number, who gets theirs back) of merges that were undone."""
    owners: dict[Identifier, int] = field(default_factory=dict)
    """Identifiers set, after the moves and drops."""
    orders: list[KnownOrder] = field(default_factory=list)
    stops: list[Withdrawn | Gone | Back] = field(default_factory=list)
    """What is withheld of that which waited before this batch, in the order in which it was said: the first reason counts."""
    back: list[Back] = field(default_factory=list)
    """What went back of orders in part, which stops nothing."""
    enriched: list[tuple[int, bytes]] = field(default_factory=list)
    """(outbox row, better body)."""
    counts: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    """(destination, name, verdict, reason, currency) -> [signals, value in millionths, latency ms]."""
    notices: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    """(destination, what, detail, name, currency) -> [signals, value in millionths, latest event]."""
    clocks: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """(clock, name, bucket) -> signals."""
    coverage: dict[tuple[str, str, str, int], int] = field(default_factory=dict)
    """(destination, source, name, keys) -> signals."""
    tallies: dict[tuple[str, str], int] = field(default_factory=dict)
    """(destination, event) -> signals made, of destinations that cap events."""
    moves: list[Row] = field(default_factory=list)
    """(person, at, segment's slot, 1 entered or 0 left, event; 0: by time, -1: the rule changed), in order."""
    members: dict[tuple[int, int], int | None] = field(default_factory=dict)
    """(segment's slot, person) -> inside since, or None: outside."""
    joined: dict[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """Person who was merged with another -> every (segment's slot, since) they are in."""
    wanted: dict[tuple[int, int], tuple[int, int, int, int]] = field(default_factory=dict)
    """(audience's slot, person) -> (1 wanted or 0 not, priority, event, asked at)."""
    told: list[Told] = field(default_factory=list)
    """Moves that a destination is told of: they go into the journal."""
    marks: list[Row] = field(default_factory=list)
    """(kind, source, name, value, at, event): seen for what may be the first time."""
    now: int = 0
    counting: bool = True
    """As its `State` has it."""

    def count(
        self, destination: str, name: str, verdict: str, reason: str, *, currency: str = "", signals: int = 1, value: int = 0
    ) -> None:
        """Add to the minute's counters; `value` in millionths."""
        counter = self.counts.setdefault((destination, name, verdict, reason, currency), [0, 0, 0])
        counter[0] += signals
        counter[1] += value

    def notice(
        self,
        destination: str,
        what: str,
        name: str,
        event: int,
        *,
        detail: str = "",
        currency: str = "",
        signals: int = 1,
        value: int = 0,
    ) -> None:
        """Count what is told beside the verdicts; `value` in millionths."""
        counter = self.notices.setdefault((destination, what, detail, name, currency), [0, 0, 0])
        counter[0] += signals
        counter[1] += value
        counter[2] = event
