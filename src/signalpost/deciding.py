"""A batch half decided: the state that moves along, the signals that passed, and the rows written of them."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct, field

from signalpost.events import Event, Identifier, Order, Person, Signal
from signalpost.plan import Plan, Route
from signalpost.state import PLACES, Decision, KnownOrder, Row, State

LAST_PLACE = (1 << PLACES) - 1
"""Derived events take their places from here downwards; no request has so many messages."""


class Arrived(Struct, frozen=True, gc=False):
    """One event with its id and its keys."""

    id: int
    event: Event
    keys: tuple[Identifier, ...]
    previous: tuple[Identifier, ...]
    silent: bool = False
    """Nobody asks what becomes of it: only what it teaches of its person counts. No event of the intake is; a plan has some."""


class Pending(Struct, gc=False):
    """A signal that passed its gates; rendered at the end of the batch with what is then known of the person."""

    route: Route
    signal: Signal
    person: int
    event: int
    row: int
    """Its place in the ledger rows, kept free for it."""
    hold: int = 0
    """How long (ms) after its intake it waits for the order to be called off."""
    derived: bool = False
    withdrawn: str = ""
    """The reason for which it is withheld after all."""


class Deciding(Struct):
    """A batch half decided: the state moving along and what is to be written so far."""

    plan: Plan
    state: State
    made: Decision
    changed: dict[int, None] = field(default_factory=dict)
    """People whose records changed."""
    taught: dict[int, None] = field(default_factory=dict)
    """Those of them who can be recognised by more than before."""
    became: dict[int, int] = field(default_factory=dict)
    """Merged person -> who they are now."""
    pending: list[Pending] = field(default_factory=list)
    orders: dict[str, KnownOrder] = field(default_factory=dict)
    """Order key -> an order that this batch heard news of."""
    before: dict[int, Person] = field(default_factory=dict)
    """People whom the event in hand may change -> who they were before it."""
    joined: set[int] = field(default_factory=set)
    """Those of them who were merged with another."""
    covered: tuple[int, int] = (0, 0)
    """(event, the match keys it carries): of the event in hand."""
    derived: dict[int, int] = field(default_factory=dict)
    """Journal position -> how many events were derived in it."""

    def now_known_as(self, person: int) -> int:
        """The person this one was merged into, however often."""
        while person in self.became:
            person = self.became[person]
        return person


def micros(value: Decimal | None) -> int | None:
    """Millionths of the currency, for counters."""
    return None if value is None else int(value * 1_000_000)


def ledger_row(
    made: Decision,
    event: int,
    route: Route,
    platform_event: str | None,
    order: Order,
    verdict: str,
    reason: str | None,
    event_id: str | None = None,
    sentence: str | None = None,
) -> Row:
    """One row of the ledger, as it is first written."""
    worth = None if order.value is None else f"{order.value:f}"
    return (
        event,
        route.name,
        verdict,
        reason,
        sentence,
        platform_event,
        event_id,
        worth,
        order.currency if worth else None,
        made.now,
    )


def withhold(
    made: Decision,
    event: int,
    route: Route,
    name: str,
    platform_event: str | None,
    order: Order,
    reason: str,
    sentence: str | None = None,
) -> None:
    """A verdict at once: this signal does not go to this destination, and why."""
    made.ledger.append(ledger_row(made, event, route, platform_event, order, "withheld", reason, sentence=sentence))
    if not made.counting:
        return
    made.count(route.name, name, "withheld", reason, currency=order.currency or "", value=micros(order.value) or 0)
