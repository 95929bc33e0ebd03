"""Outcomes under two files held against each other: counted, summed up, and a few shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from signalpost import gates, mapping, masking
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.events import Signal
from signalpost.mapping import Field, Render
from signalpost.proposals.comparison import Cell, Difference, Example
from signalpost.proposals.replaying import Key, Outcome
from signalpost.proposals.sides import AFTER, BEFORE

EXAMPLES, ALIKE = 30, 3
"""Examples in all, and of one kind."""

FIELDS = 60
"""Fields shown of one example."""

Counted = tuple[str, str, str, str, str]
"""(event, destination, reason, currency, exact value)."""


class Side(Struct, frozen=True):
    """What is needed of one file to write a signal as its platform gets it."""

    renders: dict[str, Render]
    rows: dict[str, dict[str, Field]]

    @staticmethod
    def of(workspace: Workspace) -> Side:
        """The field tables of a file's destinations."""
        renders = {name: mapping.compile(CATALOG[each.type], each) for name, each in workspace.destinations.items()}
        rows = {name: mapping.table(CATALOG[each.type], each) for name, each in workspace.destinations.items()}
        return Side(renders, rows)


def changed_rows(name: str, before: Workspace, after: Workspace) -> tuple[str, ...] | None:
    """Paths of a destination's payload that the files fill in differently; None: any (it is another platform)."""
    old, new = before.destinations.get(name), after.destinations.get(name)
    if old is None or new is None or old.type != new.type:
        return None
    platform = CATALOG[old.type]
    paths = [
        row.path
        for row in platform.fields
        if row.setting is not None
        and (getattr(old, row.setting, None) or old.settings.get(row.setting))
        != (getattr(new, row.setting, None) or new.settings.get(row.setting))
    ]
    paths += [
        f"{platform.custom.parent}.{each}"
        for each in {**old.properties, **new.properties}
        if old.properties.get(each) != new.properties.get(each)
    ]
    return tuple(dict.fromkeys(paths))


class Weighing:
    """Pairs of outcomes as they come; what waits is weighed when it has left."""

    def __init__(self, before: Workspace, after: Workspace) -> None:
        self._sides = (Side.of(before), Side.of(after))
        self._changed = {name: changed_rows(name, before, after) for name in {**before.destinations, **after.destinations}}
        self.counts: dict[Counted, list[int]] = {}
        self.differ = 0
        self._examples: dict[tuple[Any, ...], list[Example]] = {}
        self._open: dict[Key, list[Outcome | None]] = {}

    def add(self, outcomes: Iterable[tuple[Key, int, Outcome]]) -> None:
        """Outcomes of one batch under both files."""
        pairs: dict[Key, list[Outcome | None]] = {}
        for key, side, outcome in outcomes:
            pair = pairs.get(key)
            if pair is None:
                pair = pairs[key] = self._open.pop(key) if key in self._open else [None, None]
            pair[side] = outcome
        for key, pair in pairs.items():
            before, after = pair
            if (before is not None and before.due) or (after is not None and after.due):
                self._open[key] = pair
            else:
                self._weigh(key, before, after)

    def settle(self, now: int | None) -> None:
        """Weigh what has left by now; None: all."""
        for key, pair in list(self._open.items()):
            if now is None or all(each is None or each.due <= now for each in pair):
                del self._open[key]
                self._weigh(key, *pair)

    def count(self, counted: Counted, side: int, signals: int = 1) -> None:
        """Add to a cell."""
        cell = self.counts.get(counted)
        if cell is None:
            cell = self.counts[counted] = [0, 0]
        cell[side] += signals

    def _weigh(self, key: Key, before: Outcome | None, after: Outcome | None) -> None:
        destination = key[2]
        for side, each in ((BEFORE, before), (AFTER, after)):
            if each is not None:
                self.count((each.name, destination, each.reason, each.currency, each.value), side)
        if before is None or after is None:
            one = before or after
            if one is not None and not one.reason:
                self._differ(destination, before, after, ())
            return
        alike = (
            before.reason == after.reason
            and before.platform_event == after.platform_event
            and before.value == after.value
            and before.currency == after.currency
            and before.name == after.name
        )
        if before.reason or after.reason:
            if not alike:
                self._differ(destination, before, after, ())
            return
        paths = self._payload(destination, before, after)
        if paths or not alike:
            self._differ(destination, before, after, paths)

    def _payload(self, destination: str, before: Outcome, after: Outcome) -> tuple[str, ...]:
        """The paths of the payload that differ, or of whole objects where everything may differ."""
        ours, theirs = before.signal, after.signal
        assert ours is not None  # noqa: S101  (both go out)
        assert theirs is not None  # noqa: S101
        rows = self._changed[destination]
        if rows is not None and _reads_alike(ours, theirs):
            if not rows:
                return ()
            old, new = self._sides[BEFORE].rows[destination], self._sides[AFTER].rows[destination]
            return tuple(path for path in rows if _read(old.get(path), ours) != _read(new.get(path), theirs))
        renders = (self._sides[BEFORE].renders[destination](ours), self._sides[AFTER].renders[destination](theirs))
        return () if renders[0] == renders[1] else tuple(each.path for each in _differences(*renders, plain=True))

    def _differ(self, destination: str, before: Outcome | None, after: Outcome | None, paths: tuple[str, ...]) -> None:
        self.differ += 1
        kind = (destination, *(None if each is None else (each.name, each.reason) for each in (before, after)), paths)
        shown = self._examples.get(kind)
        if shown is None:
            if len(self._examples) >= EXAMPLES:
                return
            shown = self._examples[kind] = []
        if len(shown) < ALIKE:
            shown.append(self._example(destination, before, after))

    def _example(self, destination: str, before: Outcome | None, after: Outcome | None) -> Example:
        one = after or before
        assert one is not None  # noqa: S101  (one of them is there)
        written = [
            self._sides[side].renders[destination](each.signal) if each is not None and each.signal and not each.reason else b"{}"
            for side, each in ((BEFORE, before), (AFTER, after))
        ]
        fields = _differences(written[0], written[1], plain=False)
        return Example(
            number=one.number,
            event=one.name,
            destination=destination,
            before=_said(before),
            after=_said(after),
            fields=fields[:FIELDS],
        )

    def cells(self) -> list[Cell]:
        """Every outcome with its counts and sums, those that differ first."""
        found: dict[tuple[str, str, str], tuple[list[int], tuple[dict[str, Decimal], dict[str, Decimal]]]] = {}
        for (event, destination, reason, currency, value), signals in self.counts.items():
            many, sums = found.setdefault((event, destination, reason), ([0, 0], ({}, {})))
            for side in (BEFORE, AFTER):
                many[side] += signals[side]
                if value and signals[side]:
                    sums[side][currency] = sums[side].get(currency, Decimal(0)) + Decimal(value) * signals[side]
        made = [
            Cell(
                event=event,
                destination=destination,
                verdict="withheld" if reason else "sent",
                reason=reason,
                before=many[BEFORE],
                after=many[AFTER],
                value_before=dict(sorted(sums[BEFORE].items())),
                value_after=dict(sorted(sums[AFTER].items())),
            )
            for (event, destination, reason), (many, sums) in found.items()
            if any(many)
        ]
        return sorted(made, key=_rank)

    def examples(self) -> list[Example]:
        """Some of what differs: the first of each kind, then more of them, `EXAMPLES` in all."""
        of_kinds = list(self._examples.values())
        found = [shown[place] for place in range(ALIKE) for shown in of_kinds if place < len(shown)]
        return found[:EXAMPLES]


def _rank(cell: Cell) -> tuple[Any, ...]:
    differs = (cell.before, cell.value_before) != (cell.after, cell.value_after)
    return (not differs, -max(cell.before, cell.after), cell.destination, cell.event, cell.reason)


def _read(row: Field | None, signal: Signal) -> Any:
    return None if row is None else row.read(signal)


def _reads_alike(one: Signal, other: Signal) -> bool:
    """Whether every row of a field table that is the same reads the same of both."""
    ours, theirs = one.person, other.person
    return (
        one.platform_event == other.platform_event
        and one.event_id == other.event_id
        and one.name == other.name
        and one.limited == other.limited
        and one.test == other.test
        and one.customer_type == other.customer_type
        and (one.event is other.event or one.event == other.event)
        and (one.order is other.order or one.order == other.order)
        and (
            ours is theirs
            or (
                ours.keys == theirs.keys
                and ours.clicks == theirs.clicks
                and ours.external_ids == theirs.external_ids
                and ours.emails == theirs.emails
            )
        )
    )


def _said(outcome: Outcome | None) -> str:
    if outcome is None:
        return "There is no such signal."
    if not outcome.reason:
        return f"Sent as {outcome.platform_event}."
    known = gates.REASONS.get(outcome.reason)
    return outcome.sentence or (outcome.reason if known is None else known.sentence)


def _differences(before: bytes, after: bytes, *, plain: bool) -> list[Difference]:
    """Field by field; values masked unless `plain`, where only the paths are wanted."""
    ours, theirs = msgspec.json.decode(before), msgspec.json.decode(after)
    left, right = _flat(ours), _flat(theirs)
    differ = [path for path in {**left, **right} if left.get(path, ...) != right.get(path, ...)]
    if plain:
        return [Difference(path=path, before=None, after=None) for path in differ]
    hidden = (_flat(masking.document(ours)), _flat(masking.document(theirs)))
    return [Difference(path=path, before=_shown(hidden[0], path), after=_shown(hidden[1], path)) for path in differ]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for name, each in value.items():
            found |= _flat(each, f"{path}.{name}" if path else str(name))
        return found
    return {path: value}


def _shown(flat: Mapping[str, Any], path: str) -> str | None:
    if path not in flat:
        return None
    value = flat[path]
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
