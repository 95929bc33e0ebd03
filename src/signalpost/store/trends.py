"""Match keys and clocks by the hour: the one place that reads them, whether an hour is still being written or long over.

The pipeline counts masks and buckets, thousands of rows in a busy hour. An hour that is over is condensed: masks to how many
signals had each key, buckets to one histogram. Rows move, in one transaction, so every signal is in exactly one place and a
late one (a batch that began before the hour ended) is added at the next pass.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from signalpost import coverage
from signalpost.clocks import HOUR
from signalpost.store.database import Connection

MARGIN = 600_000
"""How long after its end (ms) an hour is condensed: by then nearly nothing is added to it any more."""

FOR_EVER = 1 << 62

Times = dict[tuple[str, str], dict[int, int]]
"""(clock, name) -> histogram."""

Masks = dict[tuple[str, str], dict[int, int]]
"""(destination, canonical event) -> mask -> signals, all sources together."""

_histogram = msgspec.json.Decoder(dict[int, int])


def keys_by(connection: Connection, step: int, since: int, until: int = FOR_EVER) -> dict[int, Masks]:
    """The match keys of each step (ms, whole hours) of a window, by the moment it begins.

    The masks are some that have the same number of signals, and of signals with each key, as there were.
    """
    found: dict[int, dict[tuple[str, str], tuple[int, list[int]]]] = {}
    for at, destination, _, name, signals, having in _keys(connection, step, since, until):
        cells = found.setdefault(at, {})
        before = cells.get((destination, name))
        cells[destination, name] = (
            (signals, having)
            if before is None
            else (before[0] + signals, [one + more for one, more in zip(before[1], having, strict=True)])
        )
    return {
        at: {cell: coverage.stairs(signals, having) for cell, (signals, having) in cells.items()} for at, cells in found.items()
    }


def keys(connection: Connection, since: int, until: int = FOR_EVER) -> Masks:
    """The match keys of a window."""
    return keys_by(connection, FOR_EVER, since, until).get(0, {})


def keys_rows(connection: Connection, since: int, until: int) -> list[coverage.Row]:
    """(hour, destination, source, event, signals, of them those with each key) of a window, oldest first."""
    return [
        (at, destination, source, name, signals, tuple(having))
        for at, destination, source, name, signals, having in _keys(connection, HOUR, since - since % HOUR, until)
    ]


def _keys(connection: Connection, step: int, since: int, until: int) -> list[tuple[int, str, str, str, int, list[int]]]:
    return [
        (int(at), destination, source, name, int(signals), list(map(int, having)))
        for at, destination, source, name, signals, *having in connection.rows("trend_keys", step, since, until, since, until)
    ]


def times_by(
    connection: Connection, step: int, since: int, until: int = FOR_EVER, only: Collection[str] = ()
) -> dict[int, Times]:
    """The clocks (`only` these, where any are named) of each step (ms, whole hours) of a window, by the moment it begins."""
    found: dict[int, Times] = {}
    for hour, clock, name, histogram in _condensed(connection, since, until):
        if not only or clock in only:
            _add(found.setdefault(hour - hour % step, {}).setdefault((clock, name), {}), histogram)
    for hour, clock, name, bucket, signals in connection.rows("trend_times", since, until):
        if not only or clock in only:
            _add(found.setdefault(hour - hour % step, {}).setdefault((clock, name), {}), {bucket: int(signals)})
    return found


def times(connection: Connection, since: int, until: int = FOR_EVER, only: Collection[str] = ()) -> Times:
    """The clocks of a window."""
    return times_by(connection, FOR_EVER, since, until, only).get(0, {})


def _condensed(connection: Connection, since: int, until: int) -> list[tuple[int, str, str, dict[int, int]]]:
    return [
        (hour, clock, name, _histogram.decode(histogram))
        for hour, clock, name, histogram in connection.rows("trend_times_condensed", since, until)
    ]


def _add(to: dict[int, int], more: dict[int, int]) -> None:
    for bucket, signals in more.items():
        to[bucket] = to.get(bucket, 0) + signals


def condense(connection: Connection, now: int, most: int = 24) -> int:
    """Condense up to `most` hours that are over; gives how many there were."""
    before = now - MARGIN - HOUR
    hours = [row[0] for row in connection.rows("trend_hours_ended", before, before, most)]
    for hour in hours:
        connection.run("trend_keys_condense", hour)
        connection.run("trend_keys_drop", hour)
        together: Times = times(connection, hour, hour + 1)
        connection.run_many(
            "trend_times_set",
            [(hour, *cell, msgspec.json.encode(histogram).decode()) for cell, histogram in together.items()],
        )
        connection.run("trend_times_drop", hour)
    return len(hours)
