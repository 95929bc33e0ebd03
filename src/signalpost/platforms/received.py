"""What a platform was given and what became of it: counts, ids, the deduplication window, the last events."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal

import msgspec

from signalpost.platforms.statistics import Statistics

Outcome = Literal["accepted", "deduplicated", "refused", "tested"]

# Reasons are sentences with field names, not values; the bound only guards against names a client makes up.
REASONS_KEPT = 500


class Tally(msgspec.Struct):
    """The counts of one event name; `value` is the money of the accepted events, exact, per currency."""

    accepted: int = 0
    deduplicated: int = 0
    refused: int = 0
    tested: int = 0
    warned: int = 0
    value: dict[str, Decimal] = msgspec.field(default_factory=dict)


class Seen(msgspec.Struct, frozen=True):
    """One event as received, and what became of it."""

    at: int
    event_name: str
    event_id: str | None
    outcome: Outcome
    request_id: str
    reason: str | None
    event: Any


class Received:
    """Everything one platform remembers.

    `window` is its deduplication window in milliseconds; `repeatable` names the sources whose repeats it counts.
    """

    def __init__(self, *, window: int, keep: int, repeatable: frozenset[str] = frozenset()) -> None:
        self.window = window
        self.repeatable = repeatable
        self.requests = 0
        self.tallies: dict[str, Tally] = {}
        # (source, event name) -> event id -> when the running window began. It never forgets on its own:
        # `/received/ids` must be able to name every accepted event.
        self.ids: dict[tuple[str, str], dict[str, int]] = {}
        # (source, event name, event id) -> when the browser's pixel, not the API, began the running window.
        self.begun_by_pixel: dict[tuple[str, str, str], int] = {}
        self.statistics = Statistics()
        self.reasons: Counter[str] = Counter()
        self.remarks: Counter[str] = Counter()
        self.latest: deque[Seen] = deque(maxlen=keep)

    def tally(self, event_name: str) -> Tally:
        """Return the counts of `event_name`, beginning at nought."""
        tally = self.tallies.get(event_name)
        if tally is None:
            tally = self.tallies[event_name] = Tally()
        return tally

    def is_new(self, source: str, event_name: str, event_id: str, now: int) -> bool:
        """Remember the id and return whether the platform counts the event, or drops it as a repeat."""
        seen = self.ids.get((source, event_name))
        if seen is None:
            seen = self.ids[source, event_name] = {}
        first = seen.get(event_id)
        if first is not None and now - first < self.window and source not in self.repeatable:
            return False
        seen[event_id] = now
        return True

    def apart(self, source: str, event_name: str, event_id: str, now: int, *, pixel: bool) -> int | None:
        """Return how long ago (ms) the other side, pixel or API, began this id's running window; None if this side did."""
        began = self.ids[source, event_name][event_id]
        by_pixel = self.begun_by_pixel.get((source, event_name, event_id)) == began
        return None if by_pixel is pixel else now - began

    def from_pixel(self, source: str, event_name: str, event_id: str | None, sent: dict[str, Any], now: int) -> bool:
        """Count what the browser's pixel reports, with or without an id; return whether it is counted or dropped as a repeat.

        `sent` are the properties the pixel was called with; it takes anything, so only a number is money.
        """
        new = event_id is None or self.is_new(source, event_name, event_id, now)
        if new and event_id is not None:
            self.begun_by_pixel[source, event_name, event_id] = now
        tally = self.tally(event_name)
        tally.accepted += new
        tally.deduplicated += not new
        value, currency = sent.get("value"), str(sent.get("currency", ""))
        if new and isinstance(value, (int, float)):
            tally.value[currency] = tally.value.get(currency, Decimal(0)) + Decimal(str(value))
        return new

    def take(self, source: str, events: Iterable[tuple[str, str | None]], now: int, *, tested: bool = False) -> None:
        """Count (event name, event id) pairs and remember their ids, nothing else: the bench mode's way."""
        name = tally = None
        seen: dict[str, int] = {}
        oldest = now if source in self.repeatable else now - self.window
        for event_name, event_id in events:
            if event_name != name or tally is None:
                name, tally = event_name, self.tally(event_name)
                seen = self.ids.setdefault((source, event_name), {})
            if tested:
                tally.tested += 1
            elif event_id is None:
                tally.accepted += 1
            elif seen.get(event_id, oldest) <= oldest:
                seen[event_id] = now
                tally.accepted += 1
            else:
                tally.deduplicated += 1

    def note(self, reasons: Counter[str], sentence: str) -> None:
        """Count a sentence under `reasons`, unless there are too many different ones already."""
        if sentence in reasons or len(reasons) < REASONS_KEPT:
            reasons[sentence] += 1

    def pairs(self) -> list[tuple[str, str, int]]:
        """Return (event name, event id, acceptance in epoch milliseconds) of each accepted id."""
        return [(event_name, event_id, at) for (_, event_name), seen in self.ids.items() for event_id, at in seen.items()]

    def summary(self, *, event: str | None = None, event_id: str | None = None) -> dict[str, Any]:
        """Return the counts as JSON-ready values, of one event name or one event id when asked for."""
        names = [event] if event is not None else sorted(self.tallies)
        by_event = {name: self._counts(name) for name in names if name in self.tallies}
        totals = {
            count: sum(counts[count] for counts in by_event.values())
            for count in ("accepted", "distinct_ids", "deduplicated", "refused", "tested", "warned")
        }
        value: dict[str, Decimal] = {}
        for name in by_event:
            for currency, amount in self.tallies[name].value.items():
                value[currency] = value.get(currency, Decimal(0)) + amount
        summary: dict[str, Any] = {
            "requests": self.requests,
            **totals,
            "value": {currency: str(amount) for currency, amount in sorted(value.items())},
            "events": by_event,
            "reasons": dict(self.reasons.most_common()),
            "remarks": dict(self.remarks.most_common()),
        }
        if event_id is not None:
            summary["accepted_ids"] = [
                {"event_name": name, "event_id": event_id, "at": seen[event_id]}
                for (_, name), seen in self.ids.items()
                if event_id in seen and event in {None, name}
            ]
        return summary

    def last(self, limit: int, *, event: str | None = None, event_id: str | None = None) -> list[Seen]:
        """Return up to `limit` of the last events, newest first, of one name or one id when asked for."""
        found: list[Seen] = []
        for seen in reversed(self.latest):
            if len(found) >= limit:
                break
            if event in {None, seen.event_name} and event_id in {None, seen.event_id}:
                found.append(seen)
        return found

    def _counts(self, event_name: str) -> dict[str, Any]:
        tally = self.tallies[event_name]
        return {
            "accepted": tally.accepted,
            "distinct_ids": sum(len(seen) for (_, name), seen in self.ids.items() if name == event_name),
            "deduplicated": tally.deduplicated,
            "refused": tally.refused,
            "tested": tally.tested,
            "warned": tally.warned,
            "value": {currency: str(amount) for currency, amount in sorted(tally.value.items())},
        }

    def reset(self) -> None:
        """Forget everything."""
        self.requests = 0
        self.tallies.clear()
        self.ids.clear()
        self.begun_by_pixel.clear()
        self.statistics.reset()
        self.reasons.clear()
        self.remarks.clear()
        self.latest.clear()
