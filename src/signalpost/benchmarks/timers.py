"""`bench timers`: how soon after its moment a membership change by time alone is durable, when very many are due at once."""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from signalpost import memberships
from signalpost.benchmarks import mapping, segments
from signalpost.events import Person
from signalpost.options import UNITS
from signalpost.pipeline import Plan
from signalpost.processing import Processing, collect_rarely, now_ms, plan_of
from signalpost.segments import live
from signalpost.state import Decision
from signalpost.store import batches
from signalpost.store.database import Connection, Database

AHEAD_SECONDS = 3
"""Between the last record written and the first moment due."""


async def run(*, people: int = 100_000, seconds: int = 60) -> dict[str, Any]:
    """So many people leave the first tier of a cart ladder within so many seconds; each is written by its own moment.

    How late is what an operator sees: from the moment itself to the end of the commit that holds the change.
    """
    with tempfile.TemporaryDirectory(prefix="signalpost-bench-") as folder:
        workspace = segments.workspace(mapping.workspace("tiktok"), database=str(Path(folder) / "timers.db"))
        database = Database(workspace.database)
        plan = plan_of(database, workspace)
        start = now_ms() + AHEAD_SECONDS * 1_000 + people // 20
        starts = [start + place * seconds * 1_000 // people for place in range(people)]
        for first in range(0, people, 2_000):
            batch = [_started(1 + place, starts[place], plan) for place in range(first, min(first + 2_000, people))]
            await database.write(partial(_add, people=batch))
        late: list[int] = []

        done = asyncio.Event()

        def durable(made: Decision) -> None:
            ended = now_ms()
            late.extend(ended - at for _, at, _, entered, _ in made.moves if entered)
            if len(late) >= people:
                done.set()

        processing = Processing(database, plan, before=lambda _: None, after=lambda _made, _handed: None)
        processing.follows = durable
        collect_rarely()
        running = asyncio.create_task(processing.run())
        spent = time.process_time()
        await asyncio.wait_for(done.wait(), (starts[-1] - now_ms()) / 1_000 + 120)
        spent = time.process_time() - spent
        processing.stop()
        await running
        database.close()
    late.sort()
    return {
        "bench": "timers",
        "people": people,
        "moved": len(late),
        "within_seconds": seconds,
        "late_p50_ms": late[len(late) // 2],
        "late_p99_ms": late[len(late) * 99 // 100],
        "late_most_ms": late[-1],
        "early": sum(each < 0 for each in late),
        "cpu_microseconds_per_move": round(spent / len(late) * 1e6, 1),
    }


def _started(number: int, leaves: int, plan: Plan) -> Person:
    """Somebody who started a checkout six hours before the moment at which they leave the first tier."""
    at = leaves - 6 * UNITS["h"]
    person = Person(id=number, created_at=at, external_ids={f"cust-{number}": at})
    for slot in plan.segments.slots:
        if slot.event == "Checkout Started":
            person = live.remember(person, slot, at)
    return memberships.asked(person, plan.segments, plan.segments.segments, at)[0]


def _add(connection: Connection, people: list[Person]) -> None:
    connection.run_many("person_set", [batches.person_row(each, each.created_at) for each in people])
