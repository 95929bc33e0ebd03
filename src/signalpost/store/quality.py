"""Change markers, and the drops of match keys that they explain."""

from __future__ import annotations

from signalpost import coverage
from signalpost.config import Workspace
from signalpost.store import trends
from signalpost.store.database import Connection

MOST_MARKS = 1_000
"""Change markers read at most, newest first: a client that invents property names must not fill a page."""


def marks(connection: Connection, since: int, until: int) -> list[coverage.Mark]:
    """What was seen for the first time in a window, newest first."""
    return [
        coverage.Mark(kind=kind, source=source, name=name, value=value, at=at, event=event, detail=detail)
        for kind, source, name, value, at, event, detail in connection.rows("quality_marks", since, until, MOST_MARKS)
    ]


def alarms(connection: Connection, workspace: Workspace, now: int) -> list[coverage.Alarm]:
    """The match keys that have really dropped, with what was new at the time; takes up to some seconds for a large shop.

    The hour that is not over yet counts too: a key that goes missing altogether is seen within it.
    """
    since = now - coverage.HISTORY
    platforms = {name: chosen.type for name, chosen in workspace.destinations.items()}
    return coverage.alarms(trends.keys_rows(connection, since, now), marks(connection, since, now), platforms)
