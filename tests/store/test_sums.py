"""Counters over long windows: whole days, the hours at their edges and minutes give what adding up every minute gives."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost.config import Retention
from signalpost.store import batches, sums, upkeep
from signalpost.store.database import Connection, Database
from signalpost.store.sums import DAY, HOUR, MARGIN, MINUTE, Cell

NOW = 1_795_305_600_000
"""2026-11-22 00:00 UTC."""

WEEK = 7 * 24 * 60
"""Minutes."""

Told = tuple[int, str, str, str, int, int, int]
"""(minute before `NOW`, destination, event, reason, signals, millionths, latency)."""

written = st.lists(
    st.tuples(
        st.integers(1, WEEK),
        st.sampled_from(("", "tiktok", "pinterest")),
        st.sampled_from(("Order Completed", "Product Viewed")),
        st.sampled_from(("", "duplicate_order")),
        st.integers(1, 50),
        st.one_of(st.integers(-(2**61), 2**61), st.integers(-5_000_000, 5_000_000)),
        st.integers(0, 10_000),
    ),
    max_size=40,
)


def write(connection: Connection, told: Iterable[Told]) -> None:
    """Count as a batch does."""
    for minute, destination, name, reason, signals, micros, latency in told:
        batches.count(
            connection,
            NOW - minute * MINUTE,
            {(destination, name, "withheld" if reason else "accepted", reason, "GBP"): [signals, micros, latency]},
        )


def minutes(database: Database) -> list[tuple[int, Cell]]:
    """Every minute that was counted."""
    rows = database.submit(partial(_minutes)).result()
    return [(minute, Cell(*labels)) for minute, *labels in rows]


def _minutes(connection: Connection) -> list[tuple[Any, ...]]:
    raw = connection.raw.execute(  # type: ignore[attr-defined]
        "SELECT minute, destination, name, verdict, reason, currency, signals, value_micros, latency_ms FROM rollups"
    )
    return list(raw.fetchall())


def added(known: Iterable[tuple[int, Cell]], since: int, until: int) -> dict[tuple[str, ...], list[int]]:
    """The minutes of a window, added up one by one."""
    found: dict[tuple[str, ...], list[int]] = {}
    for minute, cell in known:
        if since - since % MINUTE <= minute < until - until % MINUTE:
            add(found, cell)
    return found


def add(found: dict[tuple[str, ...], list[int]], cell: Cell) -> None:
    """One more of its kind."""
    counter = found.setdefault((cell.destination, cell.name, cell.verdict, cell.reason, cell.currency), [0, 0, 0])
    counter[0] += cell.signals
    counter[1] += cell.micros
    counter[2] += cell.latency_ms


def read(database: Database, since: int, until: int) -> dict[tuple[str, ...], list[int]]:
    """The same, as pages read it."""
    found: dict[tuple[str, ...], list[int]] = {}
    for cell in database.look(lambda connection: sums.read(connection, since, until)):
        add(found, cell)
    return found


def clear(database: Database) -> None:
    """Nothing was counted."""

    def work(connection: Connection) -> None:
        for table in ("rollups", "sums", "summed"):
            connection.script(f"DELETE FROM {table}")

    database.submit(work).result()


def fold(database: Database, now: int, hours: int = sums.HOURS) -> bool:
    """One piece of the folding."""
    return database.submit(lambda connection: sums.fold(connection, now, hours)).result()


moments = st.integers(-WEEK * MINUTE - DAY, 2 * HOUR).map(lambda before: NOW + before)


@given(told=written, windows=st.lists(st.tuples(moments, moments), min_size=1, max_size=6), now=moments, hours=st.integers(1, 60))
def test_a_window_is_the_sum_of_its_minutes(
    database: Database, told: list[Told], windows: list[tuple[int, int]], now: int, hours: int
) -> None:
    """However far the folding has come and wherever a window begins and ends, all its minutes are counted, each once."""
    clear(database)
    database.submit(lambda connection: write(connection, told)).result()
    known = minutes(database)
    more = True
    while more:
        for since, until in windows:
            assert read(database, since, until) == added(known, since, until)
        more = fold(database, now, hours)
    for since, until in [*windows, (0, sums.FOR_EVER)]:
        assert read(database, since, until) == added(known, since, until)


@given(told=written, since=moments, until=moments, now=moments, hours=st.sampled_from([1, 2, 5, 6, 24, 48]))
def test_steps_are_the_sums_of_their_minutes(
    database: Database, told: list[Told], since: int, until: int, now: int, hours: int
) -> None:
    """A window by steps of some hours has in each step what its minutes say."""
    clear(database)
    database.submit(lambda connection: write(connection, told)).result()
    known = minutes(database)
    while fold(database, now):
        pass
    step = hours * HOUR
    found: dict[int, dict[tuple[str, ...], list[int]]] = {}
    for at, cell in database.look(lambda connection: list(sums.steps(connection, step, since, until))):
        add(found.setdefault(at, {}), cell)
    expected: dict[int, dict[tuple[str, ...], list[int]]] = {}
    for minute, cell in known:
        if since - since % MINUTE <= minute < until - until % MINUTE:
            add(expected.setdefault(minute - minute % step, {}), cell)
    assert found == expected


@given(
    pieces=st.lists(st.tuples(st.integers(0, 3 * 60), st.integers(1, 9), st.integers(0, MARGIN - MINUTE)), max_size=30),
    hours=st.integers(1, 5),
)
def test_folding_goes_beside_writing(database: Database, pieces: list[tuple[int, int, int]], hours: int) -> None:
    """While time goes on and batches are written, late ones by less than the margin among them, nothing is missed or doubled."""
    clear(database)
    now = NOW
    for pause, signals, late in pieces:
        now += pause * MINUTE
        label = ("tiktok", "Order Completed", "accepted", "", "GBP")
        database.submit(partial(batches.count, now=now - late, counts={label: [signals, signals, 1]})).result()
        fold(database, now, hours)
        known = minutes(database)
        for since, until in ((0, sums.FOR_EVER), (now - DAY, now), (NOW, now - 90 * MINUTE)):
            assert read(database, since, until) == added(known, since, until)


def test_two_processes_fold_and_write_at_once(address: str) -> None:
    """Two that fold and one that writes, each on a connection of its own, leave sums that are those of the minutes."""
    first, second, third = Database(address), Database(address), Database(address)
    told: list[Told] = [(minute, "tiktok", "Order Completed", "", 1, minute, 1) for minute in range(1, 4_000, 7)]
    first.submit(lambda connection: write(connection, told)).result()
    threads = [threading.Thread(target=lambda one=one: [fold(one, NOW + DAY, 3) for _ in range(40)]) for one in (first, second)]
    for thread in threads:
        thread.start()
    for minute in range(60):
        label = ("tiktok", "Order Completed", "accepted", "", "GBP")
        third.submit(partial(batches.count, now=NOW + DAY - minute * 1_000, counts={label: [1, 1, 1]})).result()
    for thread in threads:
        thread.join(60)
    while fold(first, NOW + DAY):
        pass
    known = minutes(first)
    assert len(known) > 500
    for since, until in ((0, sums.FOR_EVER), (NOW - 2 * DAY + 5 * MINUTE, NOW - 3 * HOUR), (NOW - 3 * DAY, NOW)):
        assert read(first, since, until) == added(known, since, until)
    for one in (first, second, third):
        one.close()


def test_the_past_is_summed_up_piece_by_piece(database: Database) -> None:
    """What a database has from before is folded in bounded pieces, over hours in which nothing happened too."""
    old: list[Told] = [(60 * 24 * 40, "tiktok", "Order Completed", "", 1, 1, 1), (90, "tiktok", "Order Completed", "", 1, 1, 1)]
    database.submit(lambda connection: write(connection, old)).result()
    assert [fold(database, NOW, 5) for _ in range(3)] == [True, False, False]
    assert (HOUR, NOW - HOUR) in database.look(lambda connection: connection.rows("sums_upto"))


def test_sums_go_with_their_minutes(database: Database) -> None:
    """Pruning leaves of sums only those that hold something of what is kept, and nothing once all is too old."""
    told: list[Told] = [(day * 24 * 60 + 61, "tiktok", "Order Completed", "", 1, 1, 1) for day in range(20)]
    database.submit(lambda connection: write(connection, told)).result()
    while fold(database, NOW):
        pass
    short = Retention(journal=5, ledger=5, seen=5, people=5)
    database.submit(lambda connection: upkeep.prune(connection, short, NOW + HOUR)).result()
    known = minutes(database)
    assert 0 < len(known) < 20
    oldest = NOW + HOUR - 5 * DAY
    assert read(database, oldest, NOW) == added(known, oldest, NOW)
    database.submit(lambda connection: upkeep.prune(connection, short, NOW + 30 * DAY)).result()
    assert read(database, 0, sums.FOR_EVER) == {}


@pytest.mark.parametrize("hours_upto", [0, NOW - 5 * HOUR, NOW])
def test_a_window_is_cut_into_parts_that_lie_side_by_side(hours_upto: int) -> None:
    """Days, hours and minutes cover a month without a gap, and few of it are minutes."""
    since, until = NOW - 30 * DAY + 17 * MINUTE, NOW + 33 * MINUTE
    cut = sums.parts(since, until, hours_upto, hours_upto - hours_upto % DAY)
    (early, first), (last, late) = cut.hours
    assert (cut.minutes[0][0], cut.minutes[1][1]) == (since, until)
    if hours_upto:
        assert [cut.minutes[0][1], first, last, late] == [early, cut.days[0], cut.days[1], cut.minutes[1][0]]
        assert first - since < DAY
        assert late - last < DAY
