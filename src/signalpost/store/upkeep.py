"""Retention: what is older than the workspace keeps goes, in small steps, so that nobody waits for it."""

from __future__ import annotations

from signalpost.config import Retention
from signalpost.store import accounts, batches, sums
from signalpost.store.database import Connection

COUNTERS = (
    "prune_rollups",
    "prune_notices",
    "prune_clocks",
    "prune_clock_hours",
    "prune_coverage",
    "prune_coverage_hours",
    "prune_tallies",
)

STEP = 500
DAY = 86_400_000


def prune(connection: Connection, retention: Retention, now: int, step: int = STEP) -> int:
    """Drop up to `step` rows of each kind; gives how many went, so that the caller knows whether to come back soon.

    Requests not yet processed, signals still waiting and people with waiting signals stay whatever their age. Events carry
    the ids by which repeats are recognised, so they stay as long as either `ledger` or `seen` says, and an order as long as
    the event that was counted for it.
    """
    gone = connection.run("prune_journal", now - retention.journal * DAY, step)
    if gone:
        connection.run("prune_refusals")
    events = connection.rows("prune_events", now - max(retention.ledger, retention.seen) * DAY, step)
    connection.run_many("order_drop", [(event, event) for (event,) in events])
    for statement in ("ledger_drop", "trace_drop", "merge_drop", "event_drop"):
        connection.run_many(statement, events)
    people = connection.rows("prune_people", now - retention.people * DAY, step)
    for statement in ("identifiers_drop", "person_drop"):
        connection.run_many(statement, people)
    for (person,) in people:
        batches.forget_memberships(connection, person)
        connection.run("wanted_forget", now, person)
    gone += connection.run("prune_moves", now - retention.ledger * DAY)
    gone += connection.run("prune_requests", now - retention.ledger * DAY, step)
    gone += connection.run("prune_rests", now - retention.ledger * DAY)
    for counters in COUNTERS:
        gone += connection.run(counters, now - retention.ledger * DAY)
    for span in (sums.HOUR, sums.DAY):  # those that hold nothing any more of what is kept
        gone += connection.run("prune_sums", span, now - retention.ledger * DAY - span + 1)
    return gone + accounts.prune(connection, now) + len(events) + len(people)
