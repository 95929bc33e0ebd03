"""What a comparison of two workspace files says, as values that can be written as JSON."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from msgspec import Struct

Progress = Callable[[int, int], None]
"""Told how many of how many events are replayed."""


class Cell(Struct, frozen=True, kw_only=True):
    """Signals of one canonical event to one destination with one outcome, under both files."""

    event: str
    destination: str
    verdict: str
    """`withheld`, or `sent`: it would go out."""
    reason: str
    """Of what is withheld, a key of `gates.REASONS`; else empty."""
    before: int
    after: int
    value_before: dict[str, Decimal]
    """Currency -> sum."""
    value_after: dict[str, Decimal]


class Size(Struct, frozen=True, kw_only=True):
    """People in a segment, or wanted by an audience, at the end of the time replayed; None: there is no such one in that file."""

    name: str
    destination: str
    """Of an audience; empty for a segment."""
    before: int | None
    after: int | None


class Difference(Struct, frozen=True, kw_only=True):
    """A field of a payload that differs; None: it is absent."""

    path: str
    before: str | None
    after: str | None


class Example(Struct, frozen=True, kw_only=True):
    """A signal that would become something else, masked."""

    number: int
    """The event's, for a link to its story."""
    event: str
    destination: str
    before: str
    """What becomes of it, in words: `sent as Purchase`, or the reason's sentence."""
    after: str
    fields: list[Difference]


class Comparison(Struct, frozen=True, kw_only=True):
    """What a proposed file would change."""

    since: int
    until: int
    events: int
    """Replayed."""
    missing: int
    """Events of that time whose request the journal no longer holds: they are not in it."""
    cells: list[Cell]
    """Every outcome that at least one file gives, those that differ first."""
    segments: list[Size]
    audiences: list[Size]
    examples: list[Example]
    examples_of: int
    """How many signals differ in all."""
    notes: list[str]
    """What the comparison cannot know, in sentences."""
    way: str = ""
    """How it was done, in a sentence: what was replayed, once or twice, and why."""
    took_ms: int = 0

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return (
            not self.examples_of
            and all(each.before == each.after and each.value_before == each.value_after for each in self.cells)
            and all(each.before == each.after for each in (*self.segments, *self.audiences))
        )
