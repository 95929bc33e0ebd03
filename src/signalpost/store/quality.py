"""What is counted by the hour beside verdicts, read over time: clocks, match keys, change markers, and the drops they show."""

from __future__ import annotations

from signalpost import coverage
from signalpost.clocks import Lateness, late
from signalpost.config import Workspace
from signalpost.store.database import Connection

HOUR = 3_600_000

MOST_MARKS = 1_000
"""Change markers read at most, newest first: a client that invents property names must not fill a page."""


def clocks_by_hour(connection: Connection, clock: str, since: int, until: int) -> dict[str, dict[int, dict[int, int]]]:
    """Source or destination -> hour (epoch ms) -> histogram (`clocks`), of one clock (`source`, `accepted`, `held`)."""
    found: dict[str, dict[int, dict[int, int]]] = {}
    for hour, name, bucket, signals in connection.rows("quality_clocks", clock, since - since % HOUR, until):
        found.setdefault(name, {}).setdefault(int(hour), {})[int(bucket)] = int(signals)
    return found


def lateness_by_hour(connection: Connection, clock: str, since: int, until: int) -> dict[str, list[tuple[int, Lateness]]]:
    """The same as figures, for charts: source or destination -> (hour, p50, p95, p99 and what is late), oldest first."""
    return {
        name: [(hour, told) for hour, histogram in hours.items() if (told := late(histogram)) is not None]
        for name, hours in clocks_by_hour(connection, clock, since, until).items()
    }


def coverage_rows(connection: Connection, since: int, until: int) -> list[coverage.Row]:
    """(hour, destination, source, event, mask, signals) of a window, oldest first."""
    return [
        (int(hour), destination, source, name, int(keys), int(signals))
        for hour, destination, source, name, keys, signals in connection.rows("quality_coverage", since - since % HOUR, until)
    ]


def marks(connection: Connection, since: int, until: int) -> list[coverage.Mark]:
    """What was seen for the first time in a window, newest first."""
    return [
        coverage.Mark(kind=kind, source=source, name=name, value=value, at=at, event=event, detail=detail)
        for kind, source, name, value, at, event, detail in connection.rows("quality_marks", since, until, MOST_MARKS)
    ]


def alarms(connection: Connection, workspace: Workspace, now: int) -> list[coverage.Alarm]:
    """The match keys that have really dropped, with what was new at the time; takes about a second for a large shop.

    The hour that is not over yet counts too: a key that goes missing altogether is seen within it.
    """
    since = now - coverage.HISTORY
    platforms = {name: chosen.type for name, chosen in workspace.destinations.items()}
    return coverage.alarms(coverage_rows(connection, since, now), marks(connection, since, now), platforms)
