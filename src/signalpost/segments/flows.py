"""People on their way through tiers: what left one and entered another at the same moment is one step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

OUTSIDE = 0
"""Instead of a segment's number: in none of these tiers."""


class Step(Struct, frozen=True, gc=False):
    """Somebody entered or left a tier; as a row of `moves`."""

    person: int
    at: int
    segment: int
    entered: bool
    event: int


class Flow(Struct, frozen=True):
    """People who went from one tier to another, or in or out, by the same."""

    source: int
    target: int
    event: str
    """What moved them: an event's name, or empty for time and changed rules."""


def flows(steps: Iterable[Step], names: Mapping[int, str], tiers: Collection[int]) -> dict[Flow, int]:
    """How many people went which way. `names`: number of an event -> its name."""
    moments: dict[tuple[int, int], list[Step]] = {}
    for step in steps:
        if step.segment in tiers:
            moments.setdefault((step.person, step.at), []).append(step)
    found: dict[Flow, int] = {}
    for together in moments.values():
        left = [step for step in together if not step.entered]
        entered = [step for step in together if step.entered]
        # One moment may hold several changes of one person: in and out again cancel each other.
        both = {step.segment for step in left} & {step.segment for step in entered}
        left = [step for step in left if step.segment not in both]
        entered = [step for step in entered if step.segment not in both]
        for place in range(max(len(left), len(entered))):
            out = left[place] if place < len(left) else None
            into = entered[place] if place < len(entered) else None
            moved = into or out
            assert moved is not None  # noqa: S101  (one of the two lists is that long)
            flow = Flow(
                OUTSIDE if out is None else out.segment,
                OUTSIDE if into is None else into.segment,
                names.get(moved.event, ""),
            )
            found[flow] = found.get(flow, 0) + 1
    return found
