"""`bench rescan`: the thirty segments by scanning everybody again each minute, as tools without timers do it, in DuckDB on this
machine; beside it what they cost when they are decided live, at the same rate of events.

The statements are the rules' own (`segments.sql`), over tables as they are exported (`segments.tables`); one refresh asks all of
them and finds who entered and left since the refresh before. Nothing is read from disk: it is the least such a refresh can cost.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from signalpost import previews
from signalpost.benchmarks import mapping, segments
from signalpost.benchmarks import people as segmented
from signalpost.options import UNITS
from signalpost.processing import now_ms
from signalpost.segments import catalog, sql, tables

NAMES = (
    ("Product Viewed", 44), ("Page Viewed", 20), ("Product Added", 9), ("Products Searched", 7), ("Email Sent", 7),
    ("Checkout Started", 4), ("Email Opened", 4), ("Order Completed", 3), ("SMS Clicked", 1), ("Order Refunded", 1),
)  # fmt: skip
"""Of a hundred events so many are of this name, as shops have them."""

STATES = ("CA", "NY", "TX", "FL", "WA")

PAST = 365 * UNITS["d"]
"""How far the history goes back (ms)."""


def run(*, people: int = 100_000, events: int = 2_000_000, refreshes: int = 5) -> dict[str, Any]:
    """Seconds, and seconds of the processor, of one refresh of all segments over a year of so many events of so many people."""
    now = now_ms()
    rules = catalog.of(segments.workspace(mapping.workspace("tiktok", "pinterest"))).rules
    statements = {name: sql.select(rule, rules) for name, rule in rules.items()}
    into = previews.opened()
    try:
        _fill(into, people, events, now)
        took, worked, moved, inside = [], [], [], 0
        for turn in range(refreshes + 1):
            wall, busy = time.perf_counter(), time.process_time()
            inside, moves = _refresh(into, statements, now + turn * UNITS["m"])
            if turn:  # the first only fills what the others compare with
                took.append(time.perf_counter() - wall)
                worked.append(time.process_time() - busy)
                moved.append(moves)
    finally:
        into.close()
    with tempfile.TemporaryDirectory(prefix="signalpost-bench-") as folder:
        each = segmented.cost(Path(folder), people=min(people, 10_000))
    # An event costs this; a move by time is counted as another event, though it costs less.
    live = (events / (PAST / UNITS["m"]) + statistics.median(moved)) * each
    return {
        "bench": "rescan",
        "people": people,
        "events": events,
        "segments": len(rules),
        "memberships": inside,
        "moves_in_a_minute": round(statistics.median(moved)),
        "seconds_per_refresh": round(statistics.median(took), 3),
        "cpu_seconds_per_refresh": round(statistics.median(worked), 3),
        "live_cpu_microseconds_per_event": round(each * 1e6, 1),
        "live_cpu_seconds_per_minute": round(live, 6),
        "times_less_work": round(statistics.median(worked) / live),
        "cores": os.cpu_count() or 1,
    }


def _refresh(into: Any, statements: dict[str, str], now: int) -> tuple[int, int]:
    """Everybody's memberships anew; gives how many there are and how many changed."""
    into.execute("CREATE TABLE IF NOT EXISTS members (segment TEXT, person BIGINT)")
    into.execute("CREATE OR REPLACE TABLE before AS SELECT * FROM members")
    into.execute("TRUNCATE members")
    for name, statement in statements.items():
        asked = f"INSERT INTO members SELECT '{name}', person FROM ({statement})"  # noqa: S608  (our own names and statements)
        into.execute(asked, {"now": now} if "$now" in statement else {})
    inside = into.execute("SELECT COUNT(*) FROM members").fetchone()[0]
    moves = into.execute(
        "SELECT COUNT(*) FROM (FROM members EXCEPT FROM before UNION ALL (FROM before EXCEPT FROM members))"
    ).fetchone()[0]
    return int(inside), int(moves)


def _fill(into: Any, people: int, events: int, now: int) -> None:
    """A year of a shop, drawn by hashes: the same for the same numbers. Most of it is recent, as when a shop grows."""
    for table in tables.TABLES:
        into.execute(tables.creation(table))
    cases, share = "", 0
    for name, each in NAMES:
        share += each
        cases += f" WHEN lot < {share} THEN '{name}'"
    states = ", ".join(f"'{each.lower()}'" for each in STATES)
    into.execute(
        f"""
        INSERT INTO people SELECT i, {now - PAST}, {now - PAST}, TRUE, hash(i) % 2 = 0, TRUE FROM range(1, {people + 1}) AS r(i);
        INSERT INTO person_values
            SELECT i, 'person.traits.state', 0, list_value({states})[(1 + hash(i + 1) % {len(STATES)})::BIGINT], NULL, NULL, 0,
                {previews.NEVER}
            FROM range(1, {people + 1}) AS r(i);
        INSERT INTO events
            SELECT i, 1 + hash(i * 3) % {people}, CASE{cases} END, 'track', moment, moment, moment,
                CASE WHEN lot BETWEEN 95 AND 97 THEN 'o' || i END,
                CASE WHEN lot BETWEEN 95 AND 97 THEN 20 + hash(i * 5) % 20000 / 100 END,
                NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, FALSE, FALSE
            FROM (
                SELECT i, hash(i * 7) % 100 AS lot,
                    {now} - ((hash(i * 11) % 1000000 / 1000000) ** 2 * {PAST})::BIGINT AS moment
                FROM range(1, {events + 1}) AS r(i)
            );
        INSERT INTO orders
            SELECT 'o' || id, person, happened_at, order_value, 0, 5, order_value + 5, FALSE, FALSE, happened_at, {previews.NEVER}
            FROM events WHERE name = 'Order Completed';
        """  # noqa: S608  (our own numbers and names)
    )
