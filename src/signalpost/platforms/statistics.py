"""What a platform could tell of the events it received: how many a day and from where, and what they carried.

Counted before deduplication (no platform documents which it is), by the UTC day of arrival; events of test mode and of the
bench mode are not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

DAY = 86_400_000

Way = Literal["server", "browser"]


class Place(msgspec.Struct, frozen=True):
    """What is counted apart: one event name, from one source (a pixel, a kind of device), by one way, on one day."""

    source: str
    name: str
    way: Way
    day: int


class Statistics:
    """Counts and ids by place; never forgotten before a reset."""

    def __init__(self) -> None:
        self.events: Counter[Place] = Counter()
        self.carried: dict[Place, Counter[str]] = {}
        self.ids: dict[Place, set[str]] = {}

    def add(self, place: Place, event_id: str | None, carried: Iterable[str] = ()) -> None:
        """Count one event, what it carried, and its id."""
        self.events[place] += 1
        self.carried.setdefault(place, Counter()).update(carried)
        if event_id is not None:
            self.ids.setdefault(place, set()).add(event_id)

    def count(self, source: str, name: str, way: Way, days: range) -> int:
        """How many of these events came on these days."""
        return sum(self.events[place] for place in self._places(source, name, way, days))

    def carrying(self, source: str, name: str, way: Way, days: range) -> Counter[str]:
        """What these events carried -> in how many of them."""
        found: Counter[str] = Counter()
        for place in self._places(source, name, way, days):
            found.update(self.carried[place])
        return found

    def overlap(self, source: str, name: str, way: Way, days: range) -> tuple[int, int]:
        """(different ids of these events, those of them that came the other way too)."""
        other: Way = "browser" if way == "server" else "server"
        own, others = self._ids(source, name, way, days), self._ids(source, name, other, days)
        return len(own), len(own & others)

    def names(self, source: str, way: Way | None, days: range) -> list[str]:
        """The names of events that came from a source on these days, sorted."""
        ways = {"server", "browser"} if way is None else {way}
        return sorted({place.name for place in self.events if place.source == source and place.way in ways and place.day in days})

    def sources(self) -> list[str]:
        """All sources of which there is an event, sorted."""
        return sorted({place.source for place in self.events})

    def reset(self) -> None:
        """Forget everything."""
        self.events.clear()
        self.carried.clear()
        self.ids.clear()

    def _places(self, source: str, name: str, way: Way, days: range) -> list[Place]:
        return [place for day in days if (place := Place(source, name, way, day)) in self.events]

    def _ids(self, source: str, name: str, way: Way, days: range) -> set[str]:
        return set().union(*(self.ids.get(place, set()) for place in self._places(source, name, way, days)))
