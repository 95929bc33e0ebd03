"""Bounds of value tiers in the database, and what everybody is worth, in pages."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec
from msgspec import Struct

from signalpost import facts
from signalpost.config import Workspace
from signalpost.events import Bought, Facts, Person
from signalpost.segments import bands
from signalpost.segments.bands import Bands, Cut
from signalpost.store.database import Connection


class _Orders(Struct):
    """What of a person's record the computed facts need: all else is skipped, which is most of the cost of reading it."""

    orders: dict[str, Bought] = {}


_orders = msgspec.json.Decoder(_Orders)
_bounds = msgspec.json.Decoder(tuple[Decimal, ...])


class Computed(Struct, frozen=True, kw_only=True):
    """The bounds of one `value_tiers` entry as last computed."""

    digest: str
    """Of what they were computed of (`bands.digest`)."""
    at: int
    """When they last moved."""
    computed_at: int
    bounds: tuple[Decimal, ...]
    people: int
    sentence: str


def computed(connection: Connection) -> dict[str, Computed]:
    """What was last computed, by the name of the value tiers."""
    return {
        name: Computed(
            digest=digest, at=at, computed_at=computed_at, bounds=_bounds.decode(bounds), people=people, sentence=sentence
        )
        for name, digest, at, computed_at, bounds, people, sentence in connection.rows("cutoffs_all")
    }


def present(connection: Connection, workspace: Workspace) -> dict[str, Bands]:
    """The bands of every value tier as they are now; without bounds where quantiles have not been computed yet."""
    if not workspace.value_tiers:
        return {}
    known = computed(connection)
    return {
        name: bands.declared(tiers, known[name].bounds if name in known and known[name].digest == bands.digest(tiers) else ())
        for name, tiers in workspace.value_tiers.items()
    }


def worth(connection: Connection, after: int, most: int) -> tuple[int, list[Facts]]:
    """The facts of those who ordered among the next `most` people after an id; with the last id looked at, 0 at the end."""
    rows = connection.rows("valuing_people", after, most)
    found = []
    for number, record in rows:
        orders = _orders.decode(record).orders
        if orders:
            found.append(facts.of(Person(id=number, orders=orders)))
    return (rows[-1][0] if len(rows) == most else 0), found


def write(connection: Connection, name: str, digest: str, cut: Cut, now: int) -> bool:
    """Write what was computed; True when the bounds moved. Too few people for new bounds leave those of the same shares."""
    before = computed(connection).get(name)
    same = before is not None and before.digest == digest
    bounds = cut.bounds or (before.bounds if before is not None and same else ())
    moved = before is None or not same or bounds != before.bounds
    at = now if before is None or moved else before.at
    told = msgspec.json.encode([str(bound) for bound in bounds]).decode()
    connection.run("cutoffs_write", name, digest, at, now, told, cut.people, cut.sentence)
    return moved


def forget(connection: Connection, names: Iterable[str]) -> None:
    """Drop the bounds of value tiers that the workspace file no longer has."""
    connection.run("cutoffs_forget", sorted(names))
