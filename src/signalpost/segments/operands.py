"""What stands in a rule's lines: events, spans, windows, dates, shares, each read with its mistakes noted."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, tzinfo

from msgspec import Struct

from signalpost.marked import Notes, Value, listed, nearest
from signalpost.options import duration, share, spelt
from signalpost.segments.language import MOST_TIMES
from signalpost.vocabulary import CANONICAL_EVENTS, MESSAGE_EVENTS, canonical

LOTS = 1_000_000
"""The shares that a split can tell apart (`live.lot`)."""

COUNTING = ("gte", "gt", "lt", "lte", "eq")
"""What `times` may ask."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]{5,15}(Z|[+-][0-9:]{4,6})?)?", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")


class Known(Struct, frozen=True, kw_only=True):
    """What a rule may name."""

    aliases: Mapping[str, str] = {}
    """The shop's event names -> canonical names."""
    events: Collection[str] = ()
    """Events beside the canonical ones and those of messages: the shop's own and derived ones."""
    segments: Collection[str] | None = None
    """None: whatever is named is taken to be there."""
    zone: tzinfo = UTC
    """What dates without an offset are in."""


def wrong_name(name: str) -> bool:
    """Whether a segment, a band or a journey cannot be called so: names stand in audiences, columns and URLs."""
    return _NAME.fullmatch(name) is None


class Operands:
    """One segment's values being read. What returns None has noted why, unless a variable is missing (noted when it was read)."""

    def __init__(self, notes: Notes, known: Known) -> None:
        self.notes = notes
        self.known = known

    def events(self, value: Value) -> tuple[str, ...] | None:
        if value.kind != "list":
            one = self.event(value)
            return None if one is None else (one,)
        if not value.items:
            self.notes.at(value, f"`{value.path}` is empty.")
            return None
        several = [self.event(item) for item in value.items]
        return None if None in several else tuple(dict.fromkeys(each for each in several if each is not None))

    def event(self, value: Value) -> str | None:
        written = self.text(value, "the name of an event")
        if written is None:
            return None
        event = canonical(written, self.known.aliases)
        if event in CANONICAL_EVENTS or event in self.known.events or event in MESSAGE_EVENTS:
            return event
        near = nearest(written, [*self.known.aliases, *self.known.events, *CANONICAL_EVENTS, *MESSAGE_EVENTS])
        hint = f" Did you mean `{near}`?" if near is not None else ""
        self.notes.at(
            value,
            f"There is no event `{value.raw}`.{hint} A shop's own event is declared under `events`, as"
            f" `{value.raw}: {value.raw}` if need be.",
        )
        return None

    def times(self, value: Value) -> tuple[int, int | None] | None:
        """(at least, at most)."""
        if value.kind != "mapping":
            exactly = self.number(value)
            if exactly == 0:
                self.notes.at(value, f"`{value.path}` cannot be 0: write `did_not` in place of `did`.")
                return None
            return None if exactly is None else (exactly, exactly)
        least, most = 1, None
        for name, entry in value.entries.items():
            if name not in COUNTING:
                self.at_key(entry, f"`times` takes a number, {listed(COUNTING, 'or')}, not `{name}`.")
                return None
            number = self.number(entry)
            if number is None:
                return None
            if name in {"gte", "gt", "eq"}:
                least = max(least, number + (name == "gt"))
            if name in {"lte", "lt", "eq"}:
                highest = number - (name == "lt")
                most = highest if most is None else min(most, highest)
        if not value.entries or (most is not None and most < least):
            none = most is not None and most < 1
            hint = "write `did_not` in place of `did`" if none else "write a range such as `{gte: 2, lte: 5}`"
            self.notes.at(value, f"`{value.path}` holds for no number of times: {hint}.")
            return None
        return least, most

    def number(self, value: Value) -> int | None:
        text = self.text(value, "a whole number")
        if text is None:
            return None
        if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None:
            self.notes.at(value, f"`{value.path}` must be a whole number, not `{value.raw}`.")
            return None
        if int(text) > MOST_TIMES:
            self.notes.at(value, f"`{value.path}` must be at most {MOST_TIMES}: so many times are remembered of each person.")
            return None
        return int(text)

    def span(self, value: Value) -> int | None:
        text = self.text(value, "a duration such as `14d`")
        try:
            return None if text is None else duration(text)
        except ValueError as error:
            self.notes.at(value, f"`{value.path}` cannot be `{value.raw}`: {error}.")
            return None

    def window(self, value: Value) -> tuple[int, int | None] | None:
        """(from, to) of an age."""
        if value.kind == "mapping" and value.entries:
            for name, entry in value.entries.items():
                if name not in {"gte", "lt"}:
                    self.at_key(
                        entry,
                        f"`age` takes `gte` and `lt`, not `{name}`: a window holds from its beginning on and not at its end.",
                    )
                    return None
            spans = {name: self.span(entry) for name, entry in value.entries.items()}
            if None in spans.values():
                return None
            low, high = spans.get("gte") or 0, spans.get("lt")
        else:
            text = self.text(value, "a window such as `6h..24h`")
            if text is None:
                return None
            begin, dots, end = (part.strip() for part in text.partition(".."))
            try:
                low, high = duration(begin) if begin else 0, duration(end) if end else None
            except ValueError:
                dots = ""
                low, high = 0, None
            if not dots or not (begin or end):
                self.notes.at(value, f"`{value.path}` must be a window such as `6h..24h`, `6h..` or `..24h`, not `{value.raw}`.")
                return None
        if high is not None and low >= high:
            self.notes.at(value, f"`{value.path}` is empty: no age is from {spelt(low)} on and below {spelt(high)}.")
            return None
        return low, high

    def between(self, value: Value) -> tuple[int, int] | None:
        if value.kind != "list" or len(value.items) != 2:
            self.notes.at(value, f"`{value.path}` must be two dates, such as `[2026-11-01, 2026-12-01]`.")
            return None
        start, end = (self.moment(item) for item in value.items)
        if start is None or end is None:
            return None
        if start >= end:
            self.notes.at(value, f"`{value.path}` is empty: it ends before it begins.")
            return None
        return start, end

    def moment(self, value: Value) -> int | None:
        text = self.text(value, "a date such as `2026-11-27` or a time such as `2026-11-27 18:00`")
        if text is None:
            return None
        try:
            if _DATE.fullmatch(text) is None:
                raise ValueError(text)
            written = datetime.fromisoformat(text)
            moment = written if written.tzinfo is not None else written.replace(tzinfo=self.known.zone)
            return round(moment.timestamp() * 1000)
        except (ValueError, OverflowError):
            self.notes.at(
                value,
                f"`{value.path}` must be a date such as `2026-11-27` or a time such as `2026-11-27T18:00`, not `{value.raw}`.",
            )
            return None

    def lots(self, value: Value) -> int | None:
        """A share in lots: 10% is 100,000."""
        text = self.text(value, "a share such as `10%`")
        if text is None:
            return None
        try:
            lots = share(text) * LOTS
        except ValueError as error:
            self.notes.at(value, f"`{value.path}` must be {error}, not `{value.raw}`.")
            return None
        if lots != lots.to_integral_value():
            self.notes.at(value, f"`{value.path}` has more than four digits after the point.")
            return None
        return int(lots)

    def text(self, value: Value, what: str) -> str | None:
        if value.kind == "scalar" and value.text is None:
            return None
        if value.kind != "scalar" or not (value.text or "").strip():
            held = "is empty" if value.kind in {"nothing", "scalar"} else f"is a {value.kind}"
            self.notes.at(value, f"`{value.path}` {held}; it must be {what}.")
            return None
        return (value.text or "").strip()

    def at_key(self, entry: Value, sentence: str) -> None:
        self.notes.place(entry.key_line, entry.column, entry.path, sentence)
