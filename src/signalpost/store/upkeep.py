"""Retention: what is older than the workspace keeps goes, in small steps, so that nobody waits for it."""

from __future__ import annotations

from signalpost.config import Retention
from signalpost.store.database import Connection

STEP = 500
DAY = 86_400_000


def prune(connection: Connection, retention: Retention, now: int) -> int:
    """Drop up to `STEP` rows of each kind; gives how many went, so that the caller knows whether to come back soon.

    Requests not yet processed, signals still waiting and people with waiting signals stay whatever their age.
    """
    gone = connection.run("prune_journal", now - retention.journal * DAY, STEP)
    if gone:
        connection.run("prune_refusals")
    events = connection.rows("prune_events", now - retention.ledger * DAY, STEP)
    for statement in ("ledger_drop", "trace_drop", "event_drop"):
        connection.run_many(statement, events)
    people = connection.rows("prune_people", now - retention.people * DAY, STEP)
    for statement in ("identifiers_drop", "person_drop"):
        connection.run_many(statement, people)
    gone += connection.run("prune_requests", now - retention.ledger * DAY, STEP)
    gone += connection.run("prune_rollups", now - retention.ledger * DAY)
    return gone + len(events) + len(people)
