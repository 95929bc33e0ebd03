"""The list of signals: filtered, newest first, as far back as one likes.

The ledger has no index for every filter, so a look walks backwards in growing steps until its page is full or its time is up,
and says how far it came: the next look goes on there. What platforms found fault with is rare and has an index of its own.
"""

from __future__ import annotations

import time
from decimal import Decimal

from msgspec import Struct

from signalpost.config import Workspace
from signalpost.store import story
from signalpost.store.database import Connection, Row

PAGE = 50
STEPS = (1_000, 5_000, 20_000)
"""Verdicts of one step; the last is repeated."""

LONGEST_S = 0.04
"""After so long a look begins no further step."""

TROUBLED = frozenset({"warned", "refused", "unknown"})
DAY = 86_400_000
END = 1 << 62


class Asked(Struct, frozen=True, kw_only=True):
    """Which signals; empty is any. Times in epoch ms, of when the event was received."""

    destination: str = ""
    verdict: str = ""
    reason: str = ""
    event: str = ""
    """Canonical."""
    source: str = ""
    valued: bool = False
    """Only those with a value."""
    least: Decimal | None = None
    """Only those worth at least this, in whatever currency."""
    since: int = 0
    until: int = 0
    """Before this; 0: until now."""

    @property
    def filtered(self) -> bool:
        """Whether anything is left out."""
        return self != Asked(since=self.since, until=self.until)


class Found(Struct, frozen=True, kw_only=True):
    """A page of signals."""

    latest: list[story.Latest]
    after: int
    """Events below this come next; 0: there are none."""
    looked: int
    """Verdicts that were looked through."""
    back_to: int
    """When what was looked at last was received; 0: everything was looked at."""


def look(
    connection: Connection, asked: Asked, *, after: int = 0, most: int = PAGE, workspace: Workspace, longest_s: float = LONGEST_S
) -> Found:
    """The newest signals of this kind, of events below `after` where it is given."""
    low, high = 0, after or END
    if asked.since:
        first = connection.rows("signals_from", asked.since)[0][0]
        low = END if first is None else int(first)
    if asked.until:
        last = connection.rows("signals_upto", asked.until)[0][0]
        high = min(high, 0 if last is None else int(last) + 1)
    width = 1 if asked.destination else max(1, len(workspace.destinations))
    found: list[story.Latest] = []
    looked, begun, step = 0, time.monotonic(), 0
    while high > low:
        size = STEPS[min(step, len(STEPS) - 1)]
        floor = _floor(connection, asked, high, low, size)
        limit = (most - len(found) + 1) * width
        rows = _rows(connection, asked, high, low if floor is None else floor, limit)
        made = story.grouped(rows, workspace)
        looked, step = looked + size, step + 1
        if len(rows) == limit and len(made) > 1 and len(found) + len(made) <= most:
            made = made[:-1]  # the last may have more verdicts than were read: of destinations that are gone
            found += made
            high = made[-1].event
            continue
        if len(found) + len(made) > most:
            found += made[: most - len(found)]
            return Found(latest=found, after=found[-1].event, looked=looked, back_to=found[-1].time)
        found += made
        if floor is None:
            break
        high = floor
        if len(found) == most or time.monotonic() - begun > longest_s:
            return Found(latest=found, after=high, looked=looked, back_to=_received(connection, high))
    return Found(latest=found, after=0, looked=looked, back_to=0)


def _floor(connection: Connection, asked: Asked, high: int, low: int, size: int) -> int | None:
    if asked.verdict in TROUBLED:
        rows = connection.rows("signals_troubled_floor", asked.verdict, high, low, size)
    else:
        rows = connection.rows("signals_floor", high, low, size)
    return int(rows[0][0]) if rows else None


def _rows(connection: Connection, asked: Asked, high: int, low: int, most: int) -> list[Row]:
    least = "" if asked.least is None else f"{asked.least:f}"
    source = f"{asked.source}:" if asked.source else ""
    rest = (
        *(asked.reason, asked.reason, int(asked.valued), least, least or "0"),
        *(asked.event, asked.event, source, source, source, asked.since, asked.until or END, most),
    )
    if asked.verdict in TROUBLED:
        return connection.rows("signals_troubled", asked.verdict, high, low, asked.destination, asked.destination, *rest)
    own = (asked.destination, asked.destination, asked.verdict, asked.verdict)
    return connection.rows("signals_among", high, low, *own, *rest)


def _received(connection: Connection, event: int) -> int:
    rows = connection.rows("signals_received", event)
    return int(rows[0][0]) if rows else 0


def last_counted(connection: Connection, asked: Asked, before: int) -> int | None:
    """The newest day before a moment (its start in UTC, epoch ms) on which such a signal was counted; None: not known."""
    pairs = [part for each in (asked.destination, asked.verdict, asked.reason, asked.event) for part in (each, each)]
    found = connection.rows("signals_last_counted", *pairs, before)[0][0]
    return None if found is None else int(found)
