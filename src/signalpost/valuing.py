"""Bounds of value tiers that are quantiles, computed over everybody when they are due.

One pass over the people serves all tiers that are due, in pages of a reader's, so that it holds up nobody. What is kept of a
person is one number of eight bytes for each tier: a million people are 8 MB, and 40 more while they are sorted.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from decimal import Decimal
from functools import partial

import structlog

from signalpost.config import Workspace
from signalpost.options import ValueTiers, duration
from signalpost.segments import bands
from signalpost.segments.bands import Cut
from signalpost.store import valuing
from signalpost.store.database import Database
from signalpost.store.valuing import Computed

log = structlog.get_logger("signalpost")

PAGE = 1_000
"""People read at once."""

UNIT = Decimal("0.000001")
"""What values are counted in: computed facts have no more decimals."""

_MOST = 2**63 - 1


def due(workspace: Workspace, known: Mapping[str, Computed], now: int) -> dict[str, ValueTiers]:
    """The value tiers whose quantiles are to be computed: never yet, for other shares, or longer ago than `every`."""
    found = {}
    for name, tiers in workspace.value_tiers.items():
        if not tiers.quantiles:
            continue
        before = known.get(name)
        if before is None or before.digest != bands.digest(tiers) or before.computed_at + duration(tiers.every) <= now:
            found[name] = tiers
    return found


async def once(database: Database, workspace: Workspace, now: int) -> dict[str, Cut]:
    """Compute what is due and write it; gives what was computed, by name. Nothing is read of people when nothing is due."""
    known = await database.read(valuing.computed)
    gone = [name for name in known if name not in workspace.value_tiers or not workspace.value_tiers[name].quantiles]
    if gone:
        await database.write(partial(valuing.forget, names=gone))
    tiers = due(workspace, known, now)
    if not tiers:
        return {}
    values = await _values(database, tiers)
    cuts = {}
    for name, each in tiers.items():
        cuts[name] = cut = bands.cut(each, sorted(values[name]), UNIT)
        moved = await database.write(partial(valuing.write, name=name, digest=bands.digest(each), cut=cut, now=now))
        told = {"tiers": name, "people": cut.people, "bounds": list(map(str, cut.bounds)), "moved": moved}
        if cut.sentence:
            log.warning("value tiers are not as asked for", **told, why=cut.sentence)
        else:
            log.info("value tiers computed", **told)
    return cuts


async def _values(database: Database, tiers: Mapping[str, ValueTiers]) -> dict[str, array[int]]:
    """What everybody with a standing order is worth, in millionths, for each of the tiers."""
    asked = {name: bands.declared(each) for name, each in tiers.items()}
    found: dict[str, array[int]] = {name: array("q") for name in tiers}
    after = -1
    while after:
        after, page = await database.read(partial(valuing.worth, after=after, most=PAGE))
        for person in page:
            for name, wanted in asked.items():
                worth = bands.value(wanted, person)
                if worth is not None:
                    found[name].append(max(-_MOST, min(int(worth / UNIT), _MOST)))
    return found
