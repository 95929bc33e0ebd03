"""People's coming and going told to the shop's own tools, through the real pipeline."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.laws.flow import HOUR, NOW, Flow, moment, request, workspace

from signalpost import memberships
from signalpost.config import Destination
from signalpost.store import batches
from signalpost.store import memberships as stored
from signalpost.store.database import Database

SEGMENTS = {"cart": {"last": "Checkout Started", "age": "1h..6h"}, "buyers": {"did": "Order Completed", "within": "7d"}}


@pytest.fixture
def flow(database: Database) -> Flow:
    """A workspace that tells a webhook of one of its two segments."""
    beside = workspace().destinations
    webhook = Destination(
        type="webhook",
        settings={"url": "https://tools.example/hook", "secret": "whsec_" + "c2lnbmFscG9zdC10ZXN0LXNlY3JldC0wMDE="},
        events={"Segment Entered": "Segment Entered", "Segment Left": "Segment Left"},
        segments=("cart",),
    )
    return Flow(database, workspace(segments=SEGMENTS, destinations={**beside, "tools": webhook}))


def said(flow: Flow, at: int, event: str, user: str = "u1") -> None:
    """One event of a person, received and decided at a moment."""
    message: dict[str, Any] = {
        "type": "track",
        "event": event,
        "userId": user,
        "messageId": f"m-{event}-{at}",
        "timestamp": moment(at),
        "properties": {"order_id": f"o-{at}", "total": 10},
    }
    flow.write(lambda connection: batches.append(connection, request("web", [message], at), 1))
    flow.process(now=at)


def fire(flow: Flow, upto: int) -> None:
    """Let time pass, and what it tells go through the pipeline."""
    people = flow.database.look(lambda connection: stored.people_due(connection, upto, 100))
    made = memberships.fired(people, upto, flow.plan, upto)
    flow.write(lambda connection: batches.fire(connection, made))
    flow.process(now=upto)


def told(flow: Flow) -> list[tuple[str, str, Any]]:
    """What waits for the webhook: event, segment, why."""
    rows = flow.rows("SELECT body FROM outbox WHERE destination = 'tools' ORDER BY id")
    found = []
    for (body,) in rows:
        data = json.loads(bytes(body))["data"]
        found.append((data["event"], data["segment"], data["why"]))
    return found


def test_a_destination_is_told_when_people_enter_and_leave_its_segments(flow: Flow) -> None:
    """By time or by an event, each move is one signal with its why; segments not asked for, and other platforms, hear nothing."""
    said(flow, NOW, "Checkout Started")
    assert told(flow) == []

    fire(flow, NOW + HOUR)
    fire(flow, NOW + 2 * HOUR)
    assert told(flow) == [("Segment Entered", "cart", "time")]

    said(flow, NOW + 3 * HOUR, "Checkout Started")
    flow.process(now=NOW + 3 * HOUR)
    assert told(flow) == [("Segment Entered", "cart", "time"), ("Segment Left", "cart", "Checkout Started")]

    rows = flow.rows("SELECT l.destination FROM ledger l JOIN events e ON e.id = l.event WHERE e.name LIKE 'Segment%'")
    assert {destination for (destination,) in rows} == {"tools"}


def test_somebody_forgotten_meanwhile_is_not_made_known_again(flow: Flow) -> None:
    """A move that waits in the journal while its person is deleted ends as a signal without anybody to name."""
    said(flow, NOW, "Checkout Started")
    people = flow.database.look(lambda connection: stored.people_due(connection, NOW + HOUR, 100))
    made = memberships.fired(people, NOW + HOUR, flow.plan, NOW + HOUR)
    delete = {"type": "track", "event": "User Deleted", "userId": "u1", "messageId": "d", "timestamp": moment(NOW + HOUR)}
    flow.write(lambda connection: batches.append(connection, request("web", [delete], NOW + HOUR), 1))
    flow.write(lambda connection: batches.fire(connection, made))
    flow.process(now=NOW + HOUR)

    assert flow.rows("SELECT id FROM people") == []
    assert flow.rows("SELECT key FROM identifiers") == []
    assert told(flow) == []
