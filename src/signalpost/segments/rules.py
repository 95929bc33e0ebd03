"""A segment's rule as a value: what every reader of it (live, SQL, sentence, explanation) works from.

Times are epoch ms, spans ms; windows are half open: `age: 6h..24h` holds from 6 hours on and no longer at 24.
An event counts by its time; one that claims to come from the future happened when it was received.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct


class Happened(Struct, frozen=True, kw_only=True, tag=True):
    """`did`: an event happened at least `least` and at most `most` times, within all the bounds that are given."""

    event: str
    """Canonical, or the shop's own name, or a message's (`Email Opened`)."""
    where: Any = None
    """A condition on the event, plain as the workspace file has it; None: any."""
    least: int = 1
    most: int | None = None
    within: int | None = None
    """Only in the last so many ms: now - time < within."""
    since: str | None = None
    """Only at or after the last event of this name; nothing counts while there is none."""
    between: tuple[int, int] | None = None
    """Only in [start, end)."""


class Age(Struct, frozen=True, kw_only=True, tag=True):
    """`last:`/`first:` with `age: low..high`: low <= now - time < high, of the last or the first event of this name."""

    event: str
    where: Any = None
    first: bool = False
    low: int = 0
    high: int | None = None


class Trait(Struct, frozen=True, kw_only=True, tag=True):
    """A condition on the person alone, plain (`{person.lifetime_value: {gt: 300}}`)."""

    when: Any


class Inside(Struct, frozen=True, kw_only=True, tag=True):
    """`in_segment`: a member of another segment."""

    segment: str


class Split(Struct, frozen=True, kw_only=True, tag=True):
    """A stable random share of people: those whose salted hash lies in [low, high) of 0..1,000,000 (`live.lot`)."""

    salt: str
    low: int
    high: int


class Band(Struct, frozen=True, kw_only=True, tag=True):
    """A band of value tiers: `index` counts from the lowest; bounds that are quantiles are computed (`cutoffs`)."""

    tiers: str
    index: int


class All(Struct, frozen=True, kw_only=True, tag=True):
    """Every one of these; with none it holds for everybody."""

    parts: tuple[Rule, ...]


class Some(Struct, frozen=True, kw_only=True, tag=True):
    """`any`: at least one of these."""

    parts: tuple[Rule, ...]


class Not(Struct, frozen=True, kw_only=True, tag=True):
    """Not this. `did_not` is `Not(Happened)`."""

    part: Rule


Rule = Happened | Age | Trait | Inside | Split | Band | All | Some | Not


def leaves(rule: Rule) -> Iterator[Rule]:
    """Every leaf of a rule; what it names by `in_segment` is a leaf."""
    if isinstance(rule, (All, Some)):
        for part in rule.parts:
            yield from leaves(part)
    elif isinstance(rule, Not):
        yield from leaves(rule.part)
    else:
        yield rule
