"""Counters over long windows: minutes summed up by the hour and by the UTC day, so that a month costs no more than a day.

`fold` sums up hours that are certainly over, a few at a time, and days of which every hour is. The minutes stay: a window that
begins or ends within an hour is read as whole days, the hours at their edges, and the minutes at the edges of those. `read`
gives exactly what adding up all its minutes would give, however far the folding has come.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from signalpost.store.database import Connection

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

MARGIN = 600_000
"""How long after its end an hour is summed up (ms). Counters are written with the `now` of their batch, which is older than the
commit by the time it was decided in and waited for the writer: a minute at most, since a batch that the database does not take is
decided anew, and a verdict that it does not take is counted when it does (`worker.Dispatcher`). The rest is for machines whose
clocks differ."""

HOURS = 12
"""Hours summed up in one transaction: some thousand rows each, so the writer is ours for less than a tenth of a second."""

FOR_EVER = 1 << 62


class Cell(Struct, frozen=True, gc=False):
    """Signals counted alike over a window."""

    destination: str
    """Empty for what is counted once: `heard` events, `refused` messages."""
    name: str
    """Canonical event."""
    verdict: str
    reason: str
    """Of `heard` events their source; empty for those made here."""
    currency: str
    signals: int
    micros: int
    """Their value in millionths of the currency, exact."""
    latency_ms: int
    """Intake to verdict, together."""

    @property
    def value(self) -> Decimal:
        """Their value."""
        return Decimal(self.micros) / 1_000_000


# ---- folding ---------------------------------------------------------------------------------------------------------------


def fold(connection: Connection, now: int, hours: int = HOURS) -> bool:
    """Sum up the next `hours` hours that are over, and the days that this completes; whether there is more to do.

    In the caller's transaction. Whoever else does it at the same time writes the same.
    """
    over = now - MARGIN
    over -= over % HOUR
    begun = _upto(connection)
    upto = begun.get(HOUR, 0)
    first: int | None = connection.rows("sums_next", upto)[0][0]
    if first is None or first >= over:
        # Hours without a signal are summed up too, once there is anything: a reader need not look at their minutes.
        if begun and over > upto:
            _reach(connection, begun, over)
        return False
    start = max(upto, first - first % HOUR)
    end = min(start + hours * HOUR, over)
    connection.run("sums_of_minutes", start, end)
    _reach(connection, begun, end)
    return end < over


def _reach(connection: Connection, begun: dict[int, int], upto: int) -> None:
    """Hours are summed up to here; sum up the days of which this was the last hour."""
    connection.run("sums_reach", HOUR, upto)
    since, until = begun.get(DAY, 0), upto - upto % DAY
    if until > since:
        connection.run("sums_of_hours", since, until)
        connection.run("sums_reach", DAY, until)


def _upto(connection: Connection) -> dict[int, int]:
    return {int(span): int(upto) for span, upto in connection.rows("sums_upto")}


# ---- reading ---------------------------------------------------------------------------------------------------------------


class Parts(Struct, frozen=True):
    """A window [since, until) cut into spans that lie side by side, each [from, to) in epoch ms."""

    days: tuple[int, int]
    hours: tuple[tuple[int, int], tuple[int, int]]
    """Before the days and after them."""
    minutes: tuple[tuple[int, int], tuple[int, int]]
    """Before the hours and after them."""


def parts(since: int, until: int, hours_upto: int, days_upto: int) -> Parts:
    """How to read a window of whole minutes when hours and days are summed up to these moments."""
    first, last = _within(since, min(until, hours_upto), HOUR)
    if first >= last:
        nothing = (since, since)
        return Parts(nothing, (nothing, nothing), (nothing, (since, until)))
    morning, night = _within(first, min(last, days_upto), DAY)
    if morning >= night:
        morning = night = last
    return Parts((morning, night), ((first, morning), (night, last)), ((since, first), (last, until)))


def _within(since: int, until: int, span: int) -> tuple[int, int]:
    """The whole spans in [since, until)."""
    return since + -since % span, until - until % span


def read(connection: Connection, since: int, until: int = FOR_EVER) -> list[Cell]:
    """What was counted in the minutes that begin in [since, until), added up; both in epoch ms, taken to the minute before."""
    begun = _upto(connection)
    cut = parts(since - since % MINUTE, until - until % MINUTE, begun.get(HOUR, 0), begun.get(DAY, 0))
    bounds = [bound for part in (cut.days, *cut.hours, *cut.minutes) for bound in part]
    return [
        Cell(destination, name, verdict, reason, currency, int(signals), int(units) * 1_000_000 + int(millionths), int(latency))
        for destination, name, verdict, reason, currency, signals, units, millionths, latency in connection.rows(
            "sums_read", *bounds
        )
    ]


def steps(connection: Connection, step: int, since: int, until: int) -> Iterator[tuple[int, Cell]]:
    """The same for each step of a window (ms, whole hours), with the moment it begins, in order of time."""
    begun = _upto(connection)
    days = begun.get(DAY, 0) if step % DAY == 0 else 0
    cut = parts(since - since % MINUTE, until - until % MINUTE, begun.get(HOUR, 0), days)
    bounds = [bound for part in (cut.days, *cut.hours, *cut.minutes) for bound in part]
    for at, destination, name, verdict, reason, currency, signals, units, millionths, latency in connection.rows(
        "sums_read_by", step, *bounds
    ):
        micros = int(units) * 1_000_000 + int(millionths)
        yield int(at), Cell(destination, name, verdict, reason, currency, int(signals), micros, int(latency))
