"""A proposed workspace file held against the present one: what the last days would have become under both, side by side.

comparison   what is said of it
beginning    what was known when the days began, and how it moves along
sides        what the two files decide differently, and what they share
replaying    requests of the journal through a plan, in memory
weighing     outcomes held against each other
sizes        segments and audiences under both
"""

from __future__ import annotations

import time
from collections import Counter

from signalpost.config import Workspace
from signalpost.plan import Plan
from signalpost.processing import collect_rarely
from signalpost.proposals import sides
from signalpost.proposals.beginning import World
from signalpost.proposals.comparison import Cell, Comparison, Difference, Example, Progress, Size
from signalpost.proposals.replaying import Replay, groups, lightened, numbered, repeats, requests
from signalpost.proposals.sides import Lane, Way
from signalpost.proposals.sizes import sizes
from signalpost.proposals.weighing import Weighing
from signalpost.state import PLACES
from signalpost.store import rollouts
from signalpost.store.database import Connection, Database

__all__ = ["Cell", "Comparison", "Difference", "Example", "Progress", "Size", "compare", "held_against"]

REQUESTS = 2_000
"""Requests whose outcomes are read at once."""

LISTED = 6
"""Names that a sentence has."""

TICK = 1_000
"""Events or people after which progress is told."""


def compare(address: str, before: Workspace, after: Workspace, *, since: int, until: int, progress: Progress) -> Comparison:
    """Replay the events received from `since` to `until` (epoch ms) through both files; blocking, reads only.

    The database at `address` is only read, as it is at this moment. Times and random choices are the events' own, so that
    planning the present file against itself shows no difference. It takes a processor: call it in a process of its own.
    """
    collect_rarely()
    database = Database(address, readers=1)
    try:
        return database.look(
            lambda connection: _at_this_moment(connection, database.embedded, before, after, since, until, progress)
        )
    finally:
        database.close()


def _at_this_moment(
    connection: Connection, embedded: bool, before: Workspace, after: Workspace, since: int, until: int, progress: Progress
) -> Comparison:
    connection.script("BEGIN" if embedded else "BEGIN ISOLATION LEVEL REPEATABLE READ")
    try:
        return held_against(connection, before, after, since=since, until=until, progress=progress)
    finally:
        connection.script("ROLLBACK")


def held_against(
    connection: Connection,
    before: Workspace,
    after: Workspace,
    *,
    since: int,
    until: int,
    progress: Progress,
    way: Way | None = None,
) -> Comparison:
    """The comparison, on a connection that sees one moment; `way`: None chooses the quickest that is exact."""
    began = time.perf_counter()
    plans = sides.compiled(connection, before), sides.compiled(connection, after)
    unlike = sides.apart(before, after)
    way = way or ("apart" if unlike else "parts")
    lanes = sides.lanes(*plans, way)
    told = Told(connection, since, until, progress)
    weighed = Weighing(before, after)
    worlds: list[World] = []
    if told.first is not None and lanes:
        worlds = _replay(connection, lanes, plans[0], told, weighed)
    if told.first is not None:
        _as_it_was(connection, lanes, plans, told, weighed)
    weighed.settle(None)
    segments, audiences = sizes(connection, *plans, worlds if len(worlds) > 1 else [], until, lambda: None)
    progress(told.total, told.total)
    return Comparison(
        since=since,
        until=until,
        events=told.total,
        missing=told.missing,
        cells=weighed.cells(),
        segments=segments,
        audiences=audiences,
        examples=weighed.examples(),
        examples_of=weighed.differ,
        notes=_notes(before, after, unlike, lanes, told),
        way=_way(lanes, unlike),
        took_ms=round((time.perf_counter() - began) * 1000),
    )


class Told:
    """The time replayed: where it begins in the journal, how many events it has, and how far it is."""

    def __init__(self, connection: Connection, since: int, until: int, progress: Progress) -> None:
        self.since, self.until, self._progress = since, until, progress
        first = connection.rows("replayed_first", since, until)[0][0]
        self.first: int | None = None if first is None else int(first)
        oldest = connection.rows("journal_oldest")[0][0]
        held = until if oldest is None else min(max(int(oldest), since), until)
        self.missing = int(connection.rows("replayed_events", since, held)[0][0]) if held > since else 0
        self.total = int(connection.rows("replayed_events", held, until)[0][0])
        self.done = 0
        self._next = TICK
        progress(0, self.total)

    def advance(self, events: int) -> None:
        """So many more are done."""
        self.done += events
        if self.done >= self._next:
            self._next = self.done + TICK
            self._progress(min(self.done, self.total), self.total)


def _replay(connection: Connection, lanes: list[Lane], cut_by: Plan, told: Told, weighed: Weighing) -> list[World]:
    assert told.first is not None  # noqa: S101  (there is something to replay)
    first = told.first << PLACES
    standings = {name: standing.stage for name, standing in rollouts.standings(connection).items()}
    worlds, replays = [], []
    for lane in lanes:
        stages = {route: standings[name] for route, (name, _) in lane.routes.items() if name in standings}
        world = World(connection, lane.plan, cut_by, first=first, since=told.since, copies=lane.copies, stages=stages)
        worlds.append(world)
        replays.append(Replay(lane, world))
    numbering = [lane.plan for lane in lanes]
    alike = len(lanes) == 1 or _keys_alike(*numbering)
    now = 0
    for page in requests(connection, told.first, told.since, told.until):
        own = [numbered(page, numbering[0])]
        own += [own[0] if alike else numbered(page, plan) for plan in numbering[1:]]
        again = repeats(connection, own[0], first)
        own = [lightened(arrived, lane) for arrived, lane in zip(own, lanes, strict=True)]
        for world, arrived in zip(worlds, own, strict=True):
            world.seen.update(again)
            world.load(arrived)
        for batches in zip(*(groups(arrived) for arrived in own), strict=True):
            now = max(each.event.received_at for each in batches[0])
            outcomes = [one for replay, batch in zip(replays, batches, strict=True) for one in replay.step(batch, now)]
            weighed.add(outcomes)
            told.advance(len(batches[0]))
        weighed.settle(now)
    return worlds


def _keys_alike(one: Plan, other: Plan) -> bool:
    return (one.workspace.country, one.blocked) == (other.workspace.country, other.blocked)


def _as_it_was(connection: Connection, lanes: list[Lane], plans: tuple[Plan, Plan], told: Told, weighed: Weighing) -> None:
    """What both files decide alike is not decided again: it is counted as it became."""
    assert told.first is not None  # noqa: S101
    replayed = lanes[0].names if lanes else {}
    kept = [route.name for route in plans[0].routes if replayed.get(route.name, frozenset()) is not None]
    if len(lanes) > 1 or not kept:
        return
    last = int(connection.rows("replayed_last", told.since, told.until)[0][0])
    for position in range(told.first, last + 1, REQUESTS):
        begins, ends = position << PLACES, (position + REQUESTS) << PLACES
        rows = connection.rows("outcomes", begins, ends, told.since, told.until, kept)
        for (destination, event, reason, currency, value), many in Counter(rows).items():
            if event not in (replayed.get(destination) or ()):
                for side in (sides.BEFORE, sides.AFTER):
                    weighed.count((event, destination, reason, currency, value), side, many)


def _way(lanes: list[Lane], unlike: list[str]) -> str:
    if unlike:
        return f"Every event was replayed under each file by itself, since the files differ in {_listed(unlike)}."
    if not lanes:
        return "Nothing had to be decided again: the files decide everything alike."
    names = lanes[0].names
    if any(each is None for each in names.values()):
        return f"Every event was replayed for {_listed(sorted(names))}, under both files at once."
    events = sorted(frozenset().union(*(each or () for each in names.values())))
    what = _listed(events) if len(events) <= LISTED else f"{len(events)} kinds of events"
    return f"Replayed for {_listed(sorted(names))}, under both files at once: {what}. All else both decide alike."


def _notes(before: Workspace, after: Workspace, unlike: list[str], lanes: list[Lane], told: Told) -> list[str]:
    notes = []
    if told.missing:
        notes.append(
            f"{told.missing:,} events of that time are not in it: the journal no longer holds their requests. "
            "`retention.journal` says how long it does."
        )
    if lanes:
        notes.append(
            "The replay begins with people as they are known today, without what the replayed days taught of orders and moments. "
            "So a few outcomes of the first days may differ from what really happened; both files begin with the same."
        )
        notes.append("What a platform would answer to a signal that it never got is not known: sent means that it would go out.")
    if any(name not in before.destinations for name in after.destinations):
        notes.append("A new destination begins empty here: what it may know already of these events is not known.")
    if any(each.rollout for each in (*before.destinations.values(), *after.destinations.values())):
        notes.append("Rollouts stand where they stand today, for the whole time.")
    if any(stage.at_most for each in after.destinations.values() for stage in each.rollout):
        notes.append("Counts for `at_most` begin at nothing.")
    if before.segments != after.segments and after.audiences:
        notes.append(
            "Sizes are those after everybody was looked at under the new rules, which begins when the file is applied; "
            "platforms follow within their own times."
        )
    if unlike and after.segments:
        notes.append("Sizes are counted on people as each replay left them.")
    return notes


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
