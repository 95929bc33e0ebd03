"""What a drop is told as: one key of one source, in which events, for whom, and what was new at the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from signalpost.coverage.drops import DAY, HOUR, Drop, drop
from signalpost.coverage.keys import KEYS, READS

BEFORE = 3 * DAY
"""Something new that was seen so long before a drop may stand behind it."""

AFTER = 6 * HOUR
"""The same so long after it: where there are few signals the hour of a drop is a guess."""

Row = tuple[int, str, str, str, int, tuple[int, ...]]
"""(hour, destination, source, canonical event, signals, how many of them have the key of each bit)."""


class Mark(Struct, frozen=True, kw_only=True):
    """A change marker: something seen for the first time."""

    kind: str
    """library, host, property, revision"""
    source: str
    """Empty for what concerns them all."""
    name: str
    """Of the library, or of the event that had the property; else empty."""
    value: str
    at: int
    event: int = 0
    detail: str = ""

    @property
    def sentence(self) -> str:
        """What was new, without its moment."""
        if self.kind == "library":
            return f"{self.source} began to send with {self.name} {self.value}".rstrip()
        if self.kind == "host":
            return f"{self.source} began to send from {self.value}"
        if self.kind == "property":
            return f"{self.source} began to send {self.value} with {self.name}"
        if self.kind == "revision":
            return f"the workspace file was changed{f' ({self.detail})' if self.detail else ''}"
        return f"{self.kind} {self.value} was new"


class Alarm(Struct, frozen=True, kw_only=True):
    """One key of one source that dropped: in which events, for which destinations, and what was new at the time."""

    source: str
    key: str
    events: tuple[str, ...]
    """Those in which it dropped, the strongest evidence first."""
    destinations: tuple[str, ...]
    """Those that get these events and read this key."""
    drop: Drop
    """Of the first of the events."""
    lacking: int
    """Signals without the key that would have had it before, over all these events."""
    marks: tuple[Mark, ...]

    @property
    def subject(self) -> str:
        """What it is about, the same as long as it goes on."""
        return f"{self.key} from {self.source}"

    @property
    def problem(self) -> bool:
        """Whether it is more than a warning: a key that weighs, and a quarter of it or more is gone."""
        return KEYS[self.key].weight >= 8 and self.drop.after <= 0.75 * self.drop.before

    @property
    def sentence(self) -> str:
        """What dropped, by how much, how certain that is, and what was new."""
        drop, title = self.drop, KEYS[self.key].title
        told = (
            f"Since {_moment(drop.since)} {_share(drop.after)} of {self.events[0]} from {self.source} come with the {title}; in "
            f"the four weeks before, it was {_share(drop.before)}. This is {drop.certainty} no coincidence. About "
            f"{self.lacking:,} signals to {_listed(self.destinations)} went without it."
        )
        if len(self.events) > 1:
            told += f" The same with {_listed(self.events[1:])}."
        if self.marks:
            new = "; ".join(f"{mark.sentence} ({_moment(mark.at)})" for mark in self.marks[:3])
            told += f" New at about that time: {new}."
        return told

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.key in {"ttclid", "epik"}:
            return (
                f"If fewer visits come from ads at the moment, nothing. Otherwise see whether landing pages and redirects of "
                f"{self.source} keep the address's {self.key}, and whether consent is asked before it is read."
            )
        where = "what was new" if self.marks else "what was changed in the shop, its pop-ups, its checkout and its tracking"
        return f"Look at {where} at that time: {self.source} no longer passes on the {KEYS[self.key].title} as it did."


def alarms(rows: Iterable[Row], marks: Sequence[Mark], platforms: Mapping[str, str]) -> list[Alarm]:
    """Every drop that is going on, the most signals first. `platforms`: destination -> its platform.

    `rows` reach back `HISTORY`. One signal that goes to two destinations is two rows; each key is looked at in the destination
    that gets the most of these events among those that read it.
    """
    hours: dict[tuple[str, str], dict[str, list[tuple[int, int, tuple[int, ...]]]]] = {}
    for hour, destination, source, name, signals, having in rows:
        if destination in platforms:
            hours.setdefault((source, name), {}).setdefault(destination, []).append((hour, signals, having))
    found: dict[tuple[str, str], list[tuple[str, tuple[str, ...], Drop]]] = {}
    for (source, name), told in hours.items():
        most = sorted(told, key=lambda each: (-sum(signals for _, signals, _ in told[each]), each))
        for key, about in KEYS.items():
            reading = [each for each in most if READS[platforms[each]] >> about.bit & 1]
            if not reading:
                continue
            fell = drop([(hour, n, having[about.bit]) for hour, n, having in told[reading[0]]], about.margin)
            if fell is not None:
                found.setdefault((source, key), []).append((name, tuple(reading), fell))
    made = []
    for (source, key), several in found.items():
        several.sort(key=lambda each: (-each[2].evidence, each[0]))
        strongest = several[0][2]
        made.append(
            Alarm(
                source=source,
                key=key,
                events=tuple(name for name, _, _ in several),
                destinations=tuple(sorted({each for _, reading, _ in several for each in reading})),
                drop=strongest,
                lacking=sum(fell.lacking for _, _, fell in several),
                marks=explain(strongest, source, marks),
            )
        )
    return sorted(made, key=lambda alarm: (-alarm.lacking, alarm.subject))


def explain(drop: Drop, source: str, marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """What was new when the drop began, nearest first: of that source or of all, from `BEFORE` until `AFTER` it.

    What is new is no proof: it is where to look first.
    """
    near = [mark for mark in marks if mark.source in {"", source} and drop.since - BEFORE <= mark.at < drop.since + HOUR + AFTER]
    return tuple(sorted(near, key=lambda mark: (abs(mark.at - drop.since - HOUR // 2), mark.kind, mark.name, mark.value)))


def _moment(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%d %b %H:%M} UTC"


def _share(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.1 or 0.99 < share < 1 else f"{100 * share:.0f} %"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
