"""Pruning takes what is old, a little at a time, and nothing that somebody still waits for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.flow import DAY, NOW, Flow, Said
from tests.laws.histories import histories

from signalpost.config import Retention
from signalpost.store import upkeep
from signalpost.store.database import Database

KEEP = Retention(journal=30, ledger=400, seen=60, people=730)
TIME_OF_TIMES = NOW + 10_000 * DAY


@pytest.fixture
def flow(database: Database) -> Flow:
    """A database of each kind, used again for each example."""
    return Flow(database)


def prune(flow: Flow, now: int, step: int) -> int:
    """Prune until nothing more goes; gives the number of steps."""
    steps = 0
    while flow.write(lambda connection: upkeep.prune(connection, KEEP, now, step)):
        steps += 1
        assert steps < 1_000
    return steps


def send_some(flow: Flow, every: int) -> None:
    """As if a dispatcher had settled every so-many-th waiting signal."""

    def work(connection: object) -> None:
        rows = flow.rows("SELECT id, event, destination FROM outbox ORDER BY event, destination")
        for row, event, destination in rows[::every]:
            connection.run(  # type: ignore[attr-defined]
                "ledger_settle", "accepted", None, None, NOW, NOW, 1, None, event, destination
            )
            connection.run("outbox_done", row)  # type: ignore[attr-defined]

    flow.write(work)


@given(history=histories(), unread=histories(most=4), every=st.integers(2, 4), step=st.integers(1, 5))
def test_what_is_still_needed_stays_whatever_its_age(
    flow: Flow, history: list[Said], unread: list[Said], every: int, step: int
) -> None:
    """Unprocessed requests, waiting signals, their events, verdicts and people outlive every retention."""
    flow.run(history)
    send_some(flow, every)
    flow.append([(source, {**message, "messageId": f"later-{message['messageId']}"}) for source, message in unread])
    before = flow.world()
    backlog = flow.table("backlog")

    prune(flow, TIME_OF_TIMES, step)
    after = flow.world()

    assert backlog == flow.table("backlog")
    assert {row[0] for row in backlog} == {row[0] for row in flow.table("journal")}
    waiting = {(row[0], row[1]): row[-1] for row in before["outbox"]}
    assert sorted(map(str, waiting.values())) == sorted(str(row[-1]) for row in after["outbox"])
    assert len({event for event, _ in waiting}) == len(after["events"])
    people = {row[3] for row in after["outbox"]} - {0}
    assert people == {person["id"] for person in after["people"]}
    assert {row[0] for row in after["ledger"]} == {row[0] for row in after["events"]}
    needed = {person["id"] for person in before["people"]} & {row[3] for row in before["outbox"]}
    assert len([row for row in before["identifiers"] if row[1] in needed]) == len(after["identifiers"])


@given(history=histories(), step=st.integers(1, 5))
def test_what_nobody_needs_goes_entirely(flow: Flow, history: list[Said], step: int) -> None:
    """After the longest retention nothing of settled events is left in any table: no verdict, merge, order or person."""
    flow.run(history)
    send_some(flow, 1)

    prune(flow, TIME_OF_TIMES, step)

    tables = ["journal", "refusals", "events", "ledger", "ledger_trace", "orders", "merges", "people", "identifiers", "rollups"]
    left = {table: len(flow.table(table, "1")) for table in tables}
    assert set(left.values()) == {0}, left


@given(history=histories(), step=st.integers(1, 5))
def test_repeats_are_recognised_as_long_as_promised(flow: Flow, history: list[Said], step: int) -> None:
    """Within the retention of `seen` a repeat is a repeat, however small the retention of verdicts and requests."""
    flow.run(history)
    send_some(flow, 1)
    short = Retention(journal=1, ledger=1, seen=60, people=730)
    while flow.write(lambda connection: upkeep.prune(connection, short, NOW + 59 * DAY, step)):
        pass
    before = flow.world()

    flow.append(history)
    flow.process(3, NOW + 59 * DAY)

    assert before["outbox"] == flow.world()["outbox"]
    assert before["orders"] == flow.world()["orders"]


@given(history=histories(), age=st.integers(0, 29))
def test_nothing_young_goes(flow: Flow, history: list[Said], age: int) -> None:
    """Before the shortest retention is over pruning finds nothing to do."""
    before = flow.run(history)

    assert flow.write(lambda connection: upkeep.prune(connection, KEEP, NOW + age * DAY)) == 0
    assert before == flow.world()
