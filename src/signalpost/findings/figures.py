"""What the rules look at, as `store/findings.py` gathers it."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property

from msgspec import Struct

from signalpost import coverage, purchases
from signalpost.options import Audience, Workspace
from signalpost.rollout import Standing

PURCHASE = "Order Completed"

DAYS = 7
"""How far back orders, notices and what is usual are looked at."""

LAST = "in the last 24 hours"
LATELY = f"in the last {DAYS} days"


class Count(Struct, frozen=True):
    """Signals of one destination, event, verdict and reason; destination "" for what is counted once."""

    destination: str
    name: str
    verdict: str
    reason: str
    currency: str
    signals: int
    micros: int
    """Their value in millionths."""


class Notice(Struct, frozen=True):
    """What was counted beside the verdicts, over `DAYS`."""

    destination: str
    what: str
    detail: str
    name: str
    currency: str
    signals: int
    micros: int
    event: int
    """The latest example."""


class Told(Struct, frozen=True):
    """What a destination was told of an order."""

    verdict: str
    platform_event: str
    platform_id: str
    value: Decimal | None
    currency: str | None
    settled_at: int | None


class Purchase(Struct, frozen=True, kw_only=True):
    """One order with what every source claimed and every destination was told."""

    order_id: str
    event: int
    """The first that named it."""
    time: int
    record: purchases.Record
    told: dict[str, Told] = {}
    """Destination that counts it -> what it was told."""


class Rest(Struct, frozen=True):
    """A destination that does not send at the moment."""

    destination: str
    since: int
    until: int
    failures: int
    sentence: str
    waiting: int = 0
    """Purchases that wait for it (at most `store.findings.WAITING`)."""
    worth: dict[str, Decimal] = {}


class Sample(Struct, frozen=True):
    """Some newest events of a verdict, and what the platform said."""

    events: tuple[int, ...]
    sentence: str = ""


class Synced(Struct, frozen=True, kw_only=True):
    """One audience of the workspace file at one destination, as it stands; times in epoch ms."""

    name: str
    destination: str
    state: str = "ready"
    sentence: str = ""
    """What is wrong with it, for people."""
    size: int | None = None
    """People the platform says it matched."""
    size_at: int | None = None
    usable: bool = True
    """Whether ads can use it, as the platform said at `size_at`."""
    loaded_at: int | None = None
    synced_at: int | None = None
    misapplied: str = ""
    """Why ad groups do not use it as the file says; empty: they do, or it names none."""
    used_by: int | None = None
    """Ad groups that use it, as the platform says; None: it does not."""
    pending: int = 0
    """Changes that the platform has not taken yet, without those of a first load (at most `store.findings.CHANGES`)."""
    oldest: int | None = None
    """Since when the first of them waits."""
    urgent: int | None = None
    """Since when the first of those waits that a purchase, a refund or a wish moved."""
    members: int = 0
    """People it wants."""
    walked: int = 0
    """Of its newest people at most so many were looked at for the next three."""
    among: int = 0
    """Those of them that the platform has taken."""
    nameless: int = 0
    """Of those, people without any identifier the platform takes."""
    overlaps: dict[str, int] = {}
    """Audience suppressed at the same destination -> of the newest people, members that it wants too."""
    sizes: dict[int, int] = {}
    """Hour -> members it had then."""


def declared(workspace: Workspace, name: str, destination: str) -> Audience | None:
    """The audience of the workspace file that is called so at this destination; at another one the name may be another's."""
    return next((each for each in workspace.audiences if each.title == name and destination in each.to), None)


class Building(Struct, frozen=True):
    """A backfill of new rules that runs."""

    segments: tuple[str, ...]
    missing: int
    """Events whose request the journal no longer holds."""
    looked: int
    """Events and people looked at so far."""


class Figures(Struct, frozen=True, kw_only=True, dict=True):
    """All that the rules look at. `day` is the last 24 hours; `week`, orders and notices are the last `DAYS` days.

    Signals that still wait are among both, with the verdict `waiting`.
    """

    now: int
    day: tuple[Count, ...] = ()
    week: tuple[Count, ...] = ()
    since: int = 0
    """When the first signal was counted within `DAYS` days; 0: none was."""
    orders: tuple[Purchase, ...] = ()
    """Newest first."""
    notices: tuple[Notice, ...] = ()
    clocks: dict[tuple[str, str], dict[int, int]] = {}
    """(clock, name) -> histogram of the last 24 hours."""
    resting: tuple[Rest, ...] = ()
    rollouts: dict[str, Standing] = {}
    alarms: tuple[coverage.Alarm, ...] = ()
    samples: dict[tuple[str, str, str], Sample] = {}
    """(destination, verdict, reason) -> newest events."""
    set_aside: tuple[int, ...] = ()
    """Journal positions of requests that could not be processed."""
    audiences: tuple[Synced, ...] = ()
    """Those of the workspace file, as far as they are known to the database."""
    building: tuple[Building, ...] = ()

    @cached_property
    def recent(self) -> tuple[Purchase, ...]:
        """Orders whose purchase at least one source reported."""
        return tuple(order for order in self.orders if order.record.claims)
