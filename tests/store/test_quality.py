"""What is counted by the hour is read back as it was written, window by window, on both databases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from tests.store.shop import Shop, workspace

from signalpost import coverage
from signalpost.config import Workspace
from signalpost.coverage import KEYS, Mark
from signalpost.samples import traffic
from signalpost.store import quality, trends
from signalpost.store.database import Connection, Database

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = 1_700_006_400_000
EMAIL = 1 << KEYS["email"].bit


def written(database: Database, statement: str, rows: list[tuple[Any, ...]]) -> None:
    """Write rows with the statement the pipeline uses."""

    def work(connection: Connection) -> None:
        connection.run_many(statement, rows)

    database.submit(work).result(60)


def by_the_hour(stream: Iterable[traffic.Message]) -> Iterator[list[traffic.Message]]:
    """The messages that are due in the same hour."""
    for _, several in groupby(stream, key=lambda message: message.due_ms // HOUR):
        yield list(several)


@pytest.fixture
def shop(database: Database) -> Workspace:
    """A shop with a destination of each platform."""
    return workspace(database.address)


def test_coverage_and_marks_are_read_in_their_window(database: Database) -> None:
    """Each hour of a window comes once, oldest first, with how many have each key; marks newest first, each at its first time."""
    every = (1 << len(KEYS)) - 1
    rows = [
        (NOW - HOUR, "tiktok", "web", "Order Completed", EMAIL, 1),
        (NOW + HOUR, "tiktok", "web", "Order Completed", every, 2),
        (NOW + HOUR, "tiktok", "web", "Order Completed", EMAIL, 5),
        (NOW + HOUR, "tiktok", "web", "Order Completed", EMAIL, 1),
        (NOW, "tiktok", "web", "Order Completed", 0, 3),
        (NOW + 2 * HOUR, "tiktok", "web", "Order Completed", 0, 4),
    ]
    written(database, "coverage_add", rows)
    assert database.look(lambda connection: trends.keys_rows(connection, NOW + 5, NOW + 2 * HOUR)) == [
        (NOW, "tiktok", "web", "Order Completed", 3, (0,) * len(KEYS)),
        (NOW + HOUR, "tiktok", "web", "Order Completed", 8, (8, *(2,) * (len(KEYS) - 1))),
    ]
    written(
        database,
        "mark_add",
        [
            ("library", "web", "analytics.js", "3.0", NOW, 5),
            ("host", "web", "", "shop.example", NOW + 1, 6),
            ("library", "web", "analytics.js", "3.0", NOW + 2, 7),
            ("host", "web", "", "other.example", NOW + HOUR, 8),
        ],
    )
    assert database.look(lambda connection: quality.marks(connection, NOW, NOW + HOUR)) == [
        Mark(kind="host", source="web", name="", value="shop.example", at=NOW + 1, event=6),
        Mark(kind="library", source="web", name="analytics.js", value="3.0", at=NOW, event=5),
    ]


def test_a_drop_is_found_in_the_database_with_what_was_new(database: Database, shop: Workspace) -> None:
    """Five weeks of hours in which the e-mail goes missing on the last day: one alarm, beside it the client that came then."""
    since = NOW - DAY
    rows = [
        (hour, destination, "web", "Lead Generated", EMAIL if hour < since else 0, 12)
        for hour in range(NOW - 35 * DAY, NOW, HOUR)
        for destination in ("tiktok", "pinterest", "gone")
    ]
    written(database, "coverage_add", rows)
    written(database, "mark_add", [("library", "web", "analytics.js", "3.0", since - 60_000, 5)])
    found = database.look(lambda connection: quality.alarms(connection, shop, NOW))
    assert [(alarm.subject, alarm.destinations, alarm.drop.since) for alarm in found] == [
        ("email from web", ("pinterest", "tiktok"), since)
    ]
    assert [each.value for each in found[0].marks] == ["3.0"]
    assert database.look(lambda connection: quality.alarms(connection, shop, since)) == []


def test_an_empty_database_has_nothing_to_say(database: Database, shop: Workspace) -> None:
    """Before the first signal there is no score and no alarm."""
    assert database.look(lambda connection: quality.alarms(connection, shop, NOW)) == []
    assert coverage.score({}) is None


def test_the_clients_drop_of_the_sample_is_found_with_the_client_beside_it(tmp_path: Path) -> None:
    """Some weeks of the real shop, through journal and pipeline: the new client that forgets who visitors are raises alarms of
    the website only, dated to the day it came, with that client's version among what was new; before, there is none.
    """
    database = Database(str(tmp_path / "shop.db"))
    try:
        here = Shop(database)
        start = NOW - 60 * DAY
        for messages in by_the_hour(traffic.messages(start=start, invoice_limit=1_200, updated_after=900)):
            now = messages[-1].due_ms
            for source in ("web", "shop"):
                own = [
                    each.body
                    for each in messages
                    if (each.body["context"]["library"]["name"] == "analytics.js") == (source == "web")
                ]
                if own:
                    here.say(*own, at=now, source=source)
            here.process(now)
        marks = database.look(lambda connection: quality.marks(connection, start, now))
        came = max(mark.at for mark in marks if mark.kind == "library" and mark.source == "web")
        assert database.look(lambda connection: quality.alarms(connection, here.workspace, came)) == []
        found = database.look(lambda connection: quality.alarms(connection, here.workspace, now + HOUR))
    finally:
        database.close()
    assert {"email", "external_id"} & {alarm.key for alarm in found}
    for alarm in found:
        assert alarm.source == "web"
        assert abs(alarm.drop.since - came) < 2 * DAY
        assert came in {mark.at for mark in alarm.marks}
        assert alarm.drop.after < alarm.drop.before
