"""How many people segments and audiences hold: counted in a loop beside, read by pages at once.

A count walks through everybody, so no page makes one. `count` reads, `keep` writes; between two counts the moves say exactly who
came and went. A segment's size is kept for the start of each hour. The last hour or two are never counted as settled: the flow
may still write moves of that time, and what it writes late is in the next count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

import msgspec
from msgspec import Struct

from signalpost.config import Workspace
from signalpost.options import UNITS
from signalpost.segments import catalog, live
from signalpost.segments.flows import Flow, flows
from signalpost.segments.forecast import forecast
from signalpost.store import audiences, segments, valuing
from signalpost.store.audiences import Figures
from signalpost.store.batches import next_change
from signalpost.store.database import Connection

HOUR, DAY = UNITS["h"], UNITS["d"]

AGAIN = 3 * HOUR
"""The newest hours are counted again with each count."""

BACK = 35 * DAY
"""How far back a first count works sizes out of moves."""

KEPT = 400 * DAY

MEMBERS = 20_000
"""The newest people of an audience whom other audiences are held against."""

AHEAD = 7 * DAY
"""How far ahead a forecast looks."""

WINDOWS = {"24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
"""The windows in which people's ways through tiers are counted."""

MOVES = 20_000
"""The newest moves of each tier that are looked through for that."""

WALKED = 20_000
"""People whom a forecast walks; where more are due, it ends at the moment of the next of them."""


class Hour(Struct, frozen=True, kw_only=True):
    """An hour of a segment."""

    at: int
    """Its beginning (epoch ms)."""
    people: int
    """Inside at its beginning."""
    entered: int = 0
    left: int = 0


class Audience(Struct, frozen=True, kw_only=True):
    """What an audience holds at a destination, as counted at `at`."""

    at: int
    figures: Figures
    keys: dict[str, int]
    """State -> identifiers."""
    reachable: int
    """People whom the platform holds by at least one identifier."""
    walked: int
    """How many of its newest people were held against the other audiences of that destination."""
    overlaps: dict[int, int]
    """Number of another audience there -> how many of them it wants too."""


class Outlook(Struct, frozen=True, kw_only=True):
    """How many enter and leave a segment if nothing happens."""

    at: int
    until: int
    """So far it reaches (epoch ms)."""
    hours: list[tuple[int, int, int]]
    """(beginning, entered, left) of each hour in which time moves anybody."""


class Counted(Struct, frozen=True, kw_only=True):
    """One count of everything."""

    at: int
    people: int
    hours: dict[int, list[Hour]]
    """Number of a segment -> its hours, those that are new or counted again."""
    audiences: dict[int, Audience]
    outlooks: dict[int, Outlook]
    passing: dict[int, Passing]
    """Of each ladder and of value tiers, by the number of the lowest of their segments."""


class Way(Struct, frozen=True, kw_only=True):
    """People who went from one tier to another, or in or out, by the same."""

    source: int
    """Number of a segment; 0: from outside."""
    target: int
    event: str
    people: int


class Passing(Struct, frozen=True, kw_only=True):
    """How people went through tiers that stand side by side."""

    at: int
    since: dict[str, int]
    """Window -> since when its moves were looked at: later than its beginning where there are very many."""
    ways: dict[str, list[Way]]
    """Window -> the ways, those of most people first."""


class _People(Struct, frozen=True):
    people: int


_encode = msgspec.json.Encoder().encode


# ---- counting --------------------------------------------------------------------------------------------------------------


def count(connection: Connection, workspace: Workspace, now: int) -> Counted:
    """Count everything; takes as long as walking through all memberships."""
    return Counted(
        at=now,
        people=int(connection.rows("people_count")[0][0]),
        hours=_hours(connection, now),
        audiences=_audiences(connection, now),
        outlooks=_outlooks(connection, workspace, now),
        passing=_passing(connection, workspace, now),
    )


def keep(connection: Connection, counted: Counted) -> None:
    """Write a count."""
    rows = [(slot, each.at, each.people, each.entered, each.left) for slot, hours in counted.hours.items() for each in hours]
    connection.run_many("sizes_hour", rows)
    connection.run("sizes_prune", counted.at - KEPT)
    facts: list[tuple[str, int, Struct]] = [("people", 0, _People(counted.people))]
    facts += [("audience", slot, each) for slot, each in counted.audiences.items()]
    facts += [("forecast", slot, each) for slot, each in counted.outlooks.items()]
    facts += [("passing", slot, each) for slot, each in counted.passing.items()]
    connection.run_many("sizes_fact", [(what, slot, counted.at, _encode(each)) for what, slot, each in facts])


def _hours(connection: Connection, now: int) -> dict[int, list[Hour]]:
    until = now - now % HOUR - HOUR
    newest = {int(slot): int(at) for slot, at in connection.rows("sizes_newest")}
    inside = segments.sizes(connection)
    found = {}
    for each in segments.registered(connection).values():
        if each.removed_at is None:
            since = min(until, newest[each.slot] - AGAIN) if each.slot in newest else until - BACK
            moved = segments.steps(connection, each.slot, since, now + DAY, HOUR)
            if each.slot not in newest:
                since = min([until, *moved])
            found[each.slot] = hours(inside.get(each.slot, 0), moved, since, until)
    return found


def hours(inside: int, moved: Mapping[int, tuple[int, int]], since: int, until: int) -> list[Hour]:
    """The hours from `since` to `until`, oldest first, of a segment with so many inside now.

    `moved`: beginning of an hour -> (entered, left), of every hour from `since` on in which anybody moved. Of people who were
    merged more entered than left, so walking far back may come out a little low, even below nobody: that is kept as it is, so
    that forwards from there the sum is right.
    """
    people = inside - sum(entered - left for at, (entered, left) in moved.items() if at >= until)
    found = []
    for at in range(until, since - 1, -HOUR):
        entered, left = moved.get(at, (0, 0))
        if at < until:
            people -= entered - left
        found.append(Hour(at=at, people=people, entered=entered, left=left))
    return found[::-1]


def _audiences(connection: Connection, now: int) -> dict[int, Audience]:
    standings = [each for each in audiences.standings(connection) if each.state != "removed"]
    figures = audiences.figures(connection) if standings else {}
    found = {}
    for each in standings:
        others = [one.slot for one in standings if one.destination == each.destination and one.slot != each.slot]
        both = connection.rows("findings_overlap", each.slot, MEMBERS, others) if others else []
        own = figures.get(each.slot, Figures())
        found[each.slot] = Audience(
            at=now,
            figures=own,
            keys=audiences.key_figures(connection, each.slot),
            reachable=audiences.reachable(connection, each.slot),
            walked=min(MEMBERS, own.wanted),
            overlaps={int(slot): int(people) for slot, people in both},
        )
    return found


def _outlooks(connection: Connection, workspace: Workspace, now: int) -> dict[int, Outlook]:
    segments_of = catalog.of(workspace)
    slots, bands = segments.slots(connection), valuing.present(connection, workspace)
    tests = {name: live.closure(rule, segments_of.rules, bands) for name, rule in segments_of.rules.items() if name in slots}
    people = list(islice(segments.due(connection, now + AHEAD), WALKED + 1))
    until = now + AHEAD
    if len(people) > WALKED:
        until = max(now + 1, min(until, next_change(people.pop()) or until))
    found = forecast(people, tests, now, until, HOUR)
    return {
        slots[name]: Outlook(
            at=now,
            until=until,
            hours=[
                step for step in zip(found.starts, line.entered, line.left, strict=True) if step[1] or step[2]
            ],
        )
        for name, line in found.lines.items()
    }  # fmt: skip


def _passing(connection: Connection, workspace: Workspace, now: int) -> dict[int, Passing]:
    segments_of, numbers = catalog.of(workspace), segments.slots(connection)
    families = [*segments_of.ladders.values()]
    families += [tuple(catalog.band_segment(name, band) for band in each.names) for name, each in segments_of.bands.items()]
    found = {}
    for names in families:
        slots = [numbers[name] for name in names if name in numbers]
        if slots:
            steps, events, first = segments.through(connection, slots, now - max(WINDOWS.values()), MOVES)
            since = {name: max(first, now - span) for name, span in WINDOWS.items()}
            found[slots[0]] = Passing(
                at=now,
                since=since,
                ways={
                    name: _ways(flows((step for step in steps if step.at >= begin), events, slots))
                    for name, begin in since.items()
                },
            )
    return found


def _ways(counted: Mapping[Flow, int]) -> list[Way]:
    ordered = sorted(counted.items(), key=lambda each: (-each[1], each[0].source, each[0].target, each[0].event))
    return [Way(source=flow.source, target=flow.target, event=flow.event, people=people) for flow, people in ordered]


# ---- reading ---------------------------------------------------------------------------------------------------------------


def past(connection: Connection, slots: Iterable[int], since: int) -> dict[int, list[Hour]]:
    """Number of a segment -> its hours from `since` on, oldest first."""
    found: dict[int, list[Hour]] = {}
    for slot, at, people, entered, left in connection.rows("sizes_hours", list(slots), since):
        found.setdefault(slot, []).append(Hour(at=at, people=people, entered=entered, left=left))
    return found


def now_inside(connection: Connection, slot: int, last: Hour) -> Hour:
    """The segment from its last counted hour on until now: `people` are those inside now."""
    entered, left = segments.moved(connection, slot, last.at, 2**62)
    return Hour(at=last.at, people=max(0, last.people + entered - left), entered=entered, left=left)


def people(connection: Connection) -> int | None:
    """How many people there are, as counted last; None: nobody counted yet."""
    found = connection.rows("sizes_facts", "people")
    return msgspec.json.decode(bytes(found[0][1]), type=_People).people if found else None


def of_audiences(connection: Connection) -> dict[int, Audience]:
    """What each audience holds, by its number, as counted last."""
    return {int(slot): _audience.decode(bytes(facts)) for slot, facts in connection.rows("sizes_facts", "audience")}


def outlook(connection: Connection, slot: int) -> Outlook | None:
    """A segment's forecast, as reckoned last."""
    found = connection.rows("sizes_fact_of", "forecast", slot)
    return _outlook.decode(bytes(found[0][0])) if found else None


def passing(connection: Connection, slot: int) -> Passing | None:
    """How people went through the tiers of which this segment is the lowest, as counted last."""
    found = connection.rows("sizes_fact_of", "passing", slot)
    return _through.decode(bytes(found[0][0])) if found else None


_through = msgspec.json.Decoder(Passing)
_audience = msgspec.json.Decoder(Audience)
_outlook = msgspec.json.Decoder(Outlook)
