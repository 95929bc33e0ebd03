"""What a condition looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from signalpost.events import Claim, Event, Facts, Order, Person


class Subject(Struct, frozen=True, kw_only=True, gc=False):
    """What a condition looks at: one event, its order and its person, as they are when the signal is decided."""

    name: str
    """The canonical event."""
    event: Event
    order: Order
    person: Person
    now: int
    """The moment (epoch ms) to which ages are counted."""
    claim: Callable[[], Claim]
    """What this event's source says of the order; asked only by a condition that needs it, as the next three."""
    facts: Callable[[], Facts]
    number: Callable[[], int | None]
    """The order's number among the person's, by event time; None when the event is of no order."""
    record: Any = None
    """`purchases.Record` of the order: `refunds`, `cancelled_at` and `flagged_at`; None when there is none."""


Test = Callable[[Subject], bool]

Changes = Callable[[Subject], int]
"""The first moment after the subject's `now` at which the answer may change by time alone: it is the same in [now, then)."""

NEVER = 2**62
"""A moment that does not come."""


def never(_subject: Subject) -> int:
    """The answer does not change by time alone."""
    return NEVER
