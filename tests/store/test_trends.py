"""Match keys and clocks read the same whenever their hours are condensed."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.store.test_quality import written

from signalpost import coverage
from signalpost.store import trends
from signalpost.store.database import Connection, Database

HOUR = 3_600_000
NOW = 1_700_006_400_000

KEY_ROWS = st.tuples(
    st.integers(0, 60).map(lambda ago: NOW - ago * HOUR),
    st.sampled_from(["tiktok", "pinterest"]),
    st.sampled_from(["web", "shop"]),
    st.sampled_from(["Order Completed", "Product Viewed"]),
    st.integers(0, (1 << len(coverage.KEYS)) - 1),
    st.integers(1, 1_000),
)
TIME_ROWS = st.tuples(
    st.integers(0, 60).map(lambda ago: NOW - ago * HOUR),
    st.sampled_from(["accepted", "source"]),
    st.sampled_from(["web", "tiktok"]),
    st.integers(-500, 100_000),
    st.integers(1, 1_000),
)
STEP = st.one_of(
    st.tuples(st.just("coverage_add"), st.lists(KEY_ROWS, max_size=6)),
    st.tuples(st.just("clock_add"), st.lists(TIME_ROWS, max_size=6)),
    st.tuples(st.just("condense"), st.integers(0, 70)),
)


@given(steps=st.lists(STEP, max_size=12), step=st.sampled_from([HOUR, 6 * HOUR, 24 * HOUR]))
def test_condensing_changes_no_reading(database: Database, steps: list[tuple[str, Any]], step: int) -> None:
    """However writing and condensing take turns, each step of each window has the signals, keys and times that were written."""
    for table in TABLES:
        database.submit(partial(_emptied, table)).result()
    keys: Counter[tuple[int, str, str, int | None]] = Counter()
    times: Counter[tuple[int, str, str, int]] = Counter()
    for what, given_ in steps:
        if what == "condense":
            database.submit(partial(trends.condense, now=NOW - given_ * HOUR, most=9)).result()
            continue
        written(database, what, given_)
        for row in given_:
            at = row[0] - row[0] % step
            if what == "clock_add":
                times[at, row[1], row[2], row[3]] += row[4]
            else:
                keys[at, row[1], row[3], None] += row[5]
                for bit in range(len(coverage.KEYS)):
                    if row[4] >> bit & 1:
                        keys[at, row[1], row[3], bit] += row[5]
    since = NOW - 72 * HOUR
    found = database.look(lambda one: trends.keys_by(one, step, since - since % step))
    read: Counter[tuple[int, str, str, int | None]] = Counter()
    for at, cells in found.items():
        for (destination, name), masks in cells.items():
            read[at, destination, name, None] += sum(masks.values())
            for bit, many in enumerate(coverage.counts(masks).values()):
                read[at, destination, name, bit] += many
    assert +read == keys
    clocks = database.look(lambda one: trends.times_by(one, step, since - since % step))
    assert {
        (at, *cell, bucket): many for at, cells in clocks.items() for cell, of in cells.items() for bucket, many in of.items()
    } == times


def _emptied(table: str, connection: Connection) -> None:
    connection.script(f"DELETE FROM {table}")


TABLES = ("coverage", "coverage_hours", "clocks", "clock_hours")
