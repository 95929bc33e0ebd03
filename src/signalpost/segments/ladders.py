"""A ladder: one line that makes tiers of an event's age, one after the other without a gap."""

from __future__ import annotations

import re

from msgspec import Struct

from signalpost.marked import Notes, Value, did_you_mean
from signalpost.options import UNITS, duration
from signalpost.segments.language import LADDER, LINES
from signalpost.segments.operands import Known, Operands, wrong_name
from signalpost.segments.rules import Age, All, Happened, Not, Rule

_TIER = re.compile(r"\s*([0-9][0-9a-z.]*?)\s*(?:-|\.\.)\s*([0-9][0-9a-z.]*)\s+(\S+)\s*")


class Ladder(Struct, frozen=True):
    """Tiers of one event's age."""

    event: str
    until: tuple[str, ...]
    tiers: tuple[tuple[int, int, str], ...]
    """(from, to, name), in order and without a gap."""


def read(value: Value, notes: Notes, known: Known) -> Ladder | None:
    """The ladder that a value says; None with every mistake noted. No value makes this raise."""
    return _Reading(notes, known).ladder(value)


def is_ladder(value: Value) -> bool:
    """Whether a segment is a ladder and not a rule."""
    return value.kind == "mapping" and "ladder" in value.entries


def tier_names(value: Value) -> tuple[str, ...]:
    """The names of a ladder's tiers, as far as they can be read."""
    tiers = value.entries.get("tiers")
    found = [_TIER.fullmatch(one.text or "") for one in tiers.items] if tiers is not None else []
    return tuple(each[3] for each in found if each is not None)


def rules(name: str, steps: Ladder) -> dict[str, Rule]:
    """Every segment that a ladder makes: a tier each, and under the ladder's own name all of them together."""
    none_since = tuple(Not(part=Happened(event=event, since=steps.event)) for event in steps.until)

    def between(low: int, high: int) -> Rule:
        aged = Age(event=steps.event, low=low, high=high)
        return All(parts=(aged, *none_since)) if none_since else aged

    tiers = {f"{name}_{tier}": between(low, high) for low, high, tier in steps.tiers}
    return {**tiers, name: between(steps.tiers[0][0], steps.tiers[-1][1])}


class _Reading(Operands):
    def ladder(self, value: Value) -> Ladder | None:
        noted = len(self.notes.mistakes)
        for key, entry in value.entries.items():
            if key not in LADDER:
                known = did_you_mean(key, LADDER)
                hint = (
                    " A ladder is a whole segment: write a segment that names its tiers with `in_segment`."
                    if key in LINES
                    else known
                )
                self.at_key(entry, f"There is no `{key}` in a ladder.{hint}")
        event = self.event(value.entries["ladder"])
        until = self.events(value.entries["until"]) if "until" in value.entries else ()
        if event is not None and until and event in until:
            self.notes.at(value.entries["until"], f"`until` names `{event}` itself: nobody would be in any tier.")
        tiers = self._tiers(value)
        if event is None or until is None or tiers is None or len(self.notes.mistakes) > noted:
            return None
        return Ladder(event, until, tiers)

    def _tiers(self, value: Value) -> tuple[tuple[int, int, str], ...] | None:
        held = value.entries.get("tiers")
        if held is None or held.kind != "list" or not held.items:
            self.notes.within(held or value, f"`{value.path}` needs `tiers`: a list such as `[0h-6h reminder, 6h-24h offer]`.")
            return None
        read = [self._tier(item) for item in held.items]
        tiers = [each for each in read if each is not None]
        if len(tiers) < len(read):
            return None
        noted = len(self.notes.mistakes)
        seen: dict[str, Value] = {}
        for (_, _, _, name), item in zip(tiers, held.items, strict=True):
            if name in seen:
                self.notes.at(item, f"Two tiers of `{value.path}` are called `{name}`.")
            seen[name] = item
        steps = []
        for place, (low, high, written, name) in enumerate(tiers):
            following = tiers[place + 1] if place + 1 < len(tiers) else None
            end = high if following is None else following[0]
            if following is not None and end not in {high, high + _unit(written)}:
                gap = "leave a gap between" if high < end else "overlap at"
                after = _short(end)
                self.notes.at(
                    held.items[place + 1],
                    f"The tiers `{name}` and `{following[3]}` {gap} {written} and {after}: a tier ends where the next begins, so"
                    f" write `{_short(low)}-{after} {name}`, or begin `{following[3]}` at {written}.",
                )
            elif end <= low:
                self.notes.at(held.items[place], f"The tier `{name}` is empty: it ends at {_short(end)}, before it begins.")
            steps.append((low, end, name))
        return tuple(steps) if len(self.notes.mistakes) == noted else None

    def _tier(self, value: Value) -> tuple[int, int, str, str] | None:
        """(from, to, to as it is written, name)."""
        text = self.text(value, "a tier such as `0h-6h reminder`")
        if text is None:
            return None
        found = _TIER.fullmatch(text)
        low = high = 0
        try:
            if found is not None:
                low, high = duration(found[1]), duration(found[2])
        except ValueError:
            found = None
        if found is None:
            self.notes.at(value, f"`{value.path}` must be a tier such as `0h-6h reminder`, not `{value.raw}`.")
            return None
        if wrong_name(found[3]):
            self.notes.at(
                value, f"The name of a tier is small letters, digits, `-` and `_`, such as `last_call`, not `{found[3]}`."
            )
            return None
        return low, high, found[2], found[3]


def _unit(written: str) -> int:
    """One of the smallest unit in which a duration is written, when it is a whole number of one unit: `3d` -> a day; else 0."""
    found = re.fullmatch(r"[0-9]+(ms|s|m|h|d|w)", written)
    return UNITS[found[1]] if found is not None else 0


def _short(milliseconds: int) -> str:
    """A duration as a ladder would write it."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds % UNITS[unit] == 0:
            return f"{milliseconds // UNITS[unit]}{unit}"
    return f"{milliseconds}ms"
