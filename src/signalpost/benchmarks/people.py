"""`bench people`: what an event costs in a store with very many people, beside the same in a store with few."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from signalpost import identity, memberships, pipeline
from signalpost.benchmarks import mapping, orders, segments
from signalpost.config import Workspace
from signalpost.errors import SignalpostError
from signalpost.events import Identifier, Person
from signalpost.options import UNITS
from signalpost.plan import Plan
from signalpost.processing import BATCH, collect_rarely, now_ms, plan_of
from signalpost.segments import live
from signalpost.store import batches
from signalpost.store.database import Connection, Database

ROUNDS = 4
"""Turns of each store, so that a busy moment of the machine hits both."""


def run(*, few: int = 10_000, many: int = 1_000_000, events: int = 20_000) -> dict[str, Any]:
    """Microseconds an event from the journal to the outbox, with thirty segments, of people drawn at random from either store."""
    with tempfile.TemporaryDirectory(prefix="signalpost-bench-") as folder:
        stores = [_Store(Path(folder), people) for people in (few, many)]
        collect_rarely()
        spent = [0.0, 0.0]
        for store in stores:
            store.take(2_000)
        for _ in range(ROUNDS):
            for place, store in enumerate(stores):
                store.warm()
                spent[place] += store.take(events // ROUNDS)
        for store in stores:
            store.database.close()
    cost = [each / events * 1e6 for each in spent]
    return {
        "bench": "people",
        "events": events,
        "few": few,
        "many": many,
        "microseconds_with_few": round(cost[0], 1),
        "microseconds_with_many": round(cost[1], 1),
        "ratio": round(cost[1] / cost[0], 2),
    }


def cost(folder: Path, *, people: int = 10_000, events: int = 8_000) -> float:
    """CPU seconds that the thirty segments add to an event, measured in turns with a store that has none."""
    stores = [_Store(folder, people, segmented=False), _Store(folder, people)]
    spent = [0.0, 0.0]
    for store in stores:
        store.take(2_000)
    for _ in range(ROUNDS):
        for place, store in enumerate(stores):
            began = time.process_time()
            store.take(events // ROUNDS)
            spent[place] += time.process_time() - began
    for store in stores:
        store.database.close()
    return (spent[1] - spent[0]) / events


TOGETHER = 400
"""People made at once: their messages must fit into one request."""


class _Store:
    """A database with so many people, each with a past, and a stream of events of theirs."""

    def __init__(self, folder: Path, people: int, *, segmented: bool = True) -> None:
        workspace = _workspace(folder, people, segmented=segmented)
        # Made in a process of its own: the caches and the memory of making a million people are not those of an event.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            apart.submit(_make, workspace, people).result()
        os.sync()  # or the disk would still be busy with the making when the events are timed
        self.database = Database(workspace.database)
        self.plan = plan_of(self.database, workspace)
        self.people = people
        self.luck = random.Random(people)
        self.numbers = iter(range(1, 10**9))

    def warm(self) -> None:
        """Read the file through, as a machine with room for it holds it: some take a file's memory back within a minute."""
        with Path(self.database.address).open("rb") as file:
            while file.read(1 << 24):
                pass

    def take(self, events: int) -> float:
        """Seconds to take so many events through the pipeline, of which the journal's own writing is no part."""
        spent = 0.0
        for body in self._bodies(events):
            self.database.submit(partial(batches.append, received=mapping.request(body, now_ms()), messages=BATCH)).result()
            began = time.perf_counter()
            made = self.database.look(partial(pipeline.step, plan=self.plan, now=now_ms(), most=BATCH))
            if made is not None:
                self.database.submit(partial(pipeline.commit, made=made)).result()
            spent += time.perf_counter() - began
        return spent

    def _bodies(self, events: int) -> Iterator[bytes]:
        for _ in range(events // BATCH):
            yield orders.body(
                [
                    {**orders.message(next(self.numbers), now_ms()), **orders.of_person(self.luck.randrange(1, self.people + 1))}
                    for _ in range(BATCH)
                ]
            )


def _workspace(folder: Path, people: int, *, segmented: bool) -> Workspace:
    plain = mapping.workspace("tiktok", "pinterest")
    database = str(folder / f"{people}{'' if segmented else '-plain'}.db")
    return segments.workspace(plain, database=database) if segmented else replace(plain, database=database)


def _make(workspace: Workspace, people: int) -> None:
    """So many people in the workspace's database, each with a past."""
    database = Database(workspace.database)
    plan, luck, now = plan_of(database, workspace), random.Random(people), now_ms()
    for first in range(1, people + 1, TOGETHER):
        known = _known(plan, luck, first, min(first + TOGETHER, people + 1), now)
        database.submit(partial(_add, known=known)).result()
    database.close()


def _known(plan: Plan, luck: random.Random, first: int, end: int, now: int) -> list[tuple[Person, tuple[Identifier, ...]]]:
    """People as their events make them, with a past, and the identifiers by which they are found."""
    body = orders.body([{**orders.message(number, now), **orders.of_person(number)} for number in range(first, end)])
    found = []
    for number, arrived in enumerate(pipeline.read([(1, mapping.request(body, now))], plan).arrived, start=first):
        at = now - luck.randrange(200 * UNITS["d"])
        blank = Person(id=number, created_at=at)
        person = identity.learn(blank, arrived.event, arrived.keys, {}, plan.kept_traits)
        for slot in plan.segments.slots:
            if luck.random() < 0.3:
                person = live.remember(person, slot, at)
        person, _ = memberships.asked(person, plan.segments, plan.segments.segments, now)
        found.append((person, arrived.keys))
    if len(found) < end - first:
        raise SignalpostError("Not everybody was made: a request of the bench is too large.")
    return found


def _add(connection: Connection, known: list[tuple[Person, tuple[Identifier, ...]]]) -> None:
    connection.run_many("person_set", [batches.person_row(person, person.created_at) for person, _ in known])
    named = [(f"{kind}:{value}", person.id) for person, keys in known for kind, value in keys]
    connection.run_many("identifier_set", named)
