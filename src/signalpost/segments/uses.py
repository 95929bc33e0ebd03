"""What in a workspace goes by each segment: audiences, gates, other segments, tools that are told of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from signalpost.options import Audience, Gate, Workspace
from signalpost.segments.catalog import Catalog, named

Kind = Literal["audience", "leaves out", "gate", "segment", "tool"]


class Use(Struct, frozen=True, kw_only=True):
    """One thing that goes by a segment."""

    kind: Kind
    name: str
    destination: str = ""
    """Of an audience."""
    does: str
    """What it does, in a few words: `shows ads to`, `keeps from ads`."""


DOES = {"target": "shows ads to them", "suppress": "keeps ads from them", "seed": "looks for people like them"}
"""What an audience does with whom it holds, by its `use`."""


def uses(workspace: Workspace, segments: Catalog) -> dict[str, tuple[Use, ...]]:
    """Segment -> what goes by it; those that nothing goes by are not there."""
    found: dict[str, list[Use]] = {}
    for segment, use in (*_audiences(workspace.audiences), *_gates(workspace.gates), *_tools(workspace)):
        found.setdefault(segment, []).append(use)
    for name, rule in segments.rules.items():
        for segment in named(rule) if name not in segments.hidden else ():
            found.setdefault(segment, []).append(Use(kind="segment", name=name, does="its rule asks for them"))
    return {segment: tuple(each) for segment, each in found.items()}


def _audiences(audiences: tuple[Audience, ...]) -> Iterator[tuple[str, Use]]:
    for each in audiences:
        for destination in each.to:
            yield each.segment, Use(kind="audience", name=each.title, destination=destination, does=DOES[each.use])
            for segment in each.unless:
                yield segment, Use(kind="leaves out", name=each.title, destination=destination, does="leaves them out")


def _gates(gates: tuple[Gate, ...]) -> Iterator[tuple[str, Use]]:
    for each in gates:
        withholds = "withholds their signals" if each.mode == "enforcing" else "counts their signals"
        for segment in dict.fromkeys(_asked(each.when)):
            yield segment, Use(kind="gate", name=each.preset or each.reason or "a rule", does=withholds)


def _asked(when: Any) -> Iterator[str]:
    """The segments that a condition names."""
    if isinstance(when, dict):
        for key, value in when.items():
            if key in {"segment", "person.segment"}:
                yield from _texts(value)
            else:
                yield from _asked(value)
    elif isinstance(when, (list, tuple)):
        for each in when:
            yield from _asked(each)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        yield from _texts(each)


def _tools(workspace: Workspace) -> Iterator[tuple[str, Use]]:
    for name, destination in workspace.destinations.items():
        for segment in destination.segments or ():
            yield segment, Use(kind="tool", name=name, does="is told who comes and goes")
