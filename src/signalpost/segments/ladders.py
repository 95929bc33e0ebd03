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
    found = [_TIER.fullmatch(one.raw) for one in tiers.items] if tiers is not None else []
    return tuple(each[3] for each in found if each is not None)


def rules(name: str, steps: Ladder) -> dict[str, Rule]:
    """Every segment that a ladder makes: a tier each, and under the ladder's own name all of them together."""
    none_since = tuple(Not(part=Happened(event=event, since=steps.event)) for event in steps.until)

    def between(low: int, high: int) -> Rule:
        aged = Age(event=steps.event, low=low, high=high)
        return All(parts=(aged, *none_since)) if none_since else aged

    tiers = {f"{name}_{tier}": between(low, high) for low, high, tier in steps.tiers}
    return {**tiers, name: between(steps.tiers[0][0], steps.tiers[-1][1])}


class _Written(Struct, frozen=True):
    """A tier as it stands in the file."""

    low: int
    high: int
    begin: str
    end: str
    name: str


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
        names = [tier.name for tier in tiers]
        for place, item in enumerate(held.items):
            if names[place] in names[:place]:
                self.notes.at(item, f"Two tiers of `{value.path}` are called `{names[place]}`.")
        steps = [
            self._step(tier, following, item)
            for tier, following, item in zip(tiers, [*tiers[1:], None], [*held.items[1:], held.items[-1]], strict=True)
        ]
        return tuple(steps) if len(self.notes.mistakes) == noted else None

    def _step(self, tier: _Written, following: _Written | None, value: Value) -> tuple[int, int, str]:
        """(from, to, name) of a tier: to where the next one begins. `value` is where a mistake would be mended."""
        end = tier.high if following is None else following.low
        if following is not None and end not in {tier.high, tier.high + _unit(tier.end)}:
            between = "leave a gap between" if tier.high < end else "overlap at"
            earlier = f"write `{tier.begin}-{following.begin} {tier.name}`, or " if tier.low < end else ""
            self.notes.at(
                value,
                f"The tiers `{tier.name}` and `{following.name}` {between} {tier.end} and {following.begin}: a tier ends where"
                f" the next begins, so {earlier}begin `{following.name}` at {tier.end}.",
            )
        elif end <= tier.low:
            self.notes.at(value, f"The tier `{tier.name}` is empty: it must end after {tier.begin}.")
        return tier.low, end, tier.name

    def _tier(self, value: Value) -> _Written | None:
        if self.text(value, "a tier such as `0h-6h reminder`") is None:
            return None
        found = _TIER.fullmatch(value.raw)  # as it is written: names of segments do not come from the environment
        try:
            read = None if found is None else _Written(duration(found[1]), duration(found[2]), *found.groups())
        except ValueError:
            read = None
        if read is None:
            self.notes.at(value, f"`{value.path}` must be a tier such as `0h-6h reminder`, not `{value.raw}`.")
        elif wrong_name(read.name):
            said = f"The name of a tier is small letters, digits, `-` and `_`, such as `last_call`, not `{read.name}`."
            self.notes.at(value, said)
            return None
        return read


def _unit(written: str) -> int:
    """One of the unit in which a duration is written, when it is written in one: `3d` -> a day; else 0."""
    found = re.fullmatch(r"[0-9]+(ms|s|m|h|d|w)", written)
    return UNITS[found[1]] if found is not None else 0
