"""The seam: both databases keep the same promises."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from pathlib import Path

import pytest

from signalpost.errors import StoreError
from signalpost.sources import Received
from signalpost.store import batches
from signalpost.store.database import Connection, Database


def received(number: int) -> Received:
    return Received(
        source="web", wire="pipelines", method="POST", path="/v1/batch", body=b'{"n":%d}' % number, received_at=1_000 + number
    )


def write(number: int, messages: int, connection: Connection) -> int:
    return batches.append(connection, received(number), messages)


def test_a_request_is_read_back_as_it_was_written(database: Database) -> None:
    """What the journal gives back is what it was given, byte for byte."""
    asked = Received(
        source="web",
        wire="shopify",
        method="POST",
        path="/webhooks/shopify/shop",
        headers={"x-shopify-topic": "orders/paid"},
        body=bytes(range(256)),
        client_ip="203.0.113.9",
        user_agent="Browser/1 (naïve)",
        received_at=1_795_305_600_123,
    )

    position = database.submit(lambda connection: batches.append(connection, asked, 1)).result()

    assert [(position, asked)] == database.look(lambda connection: batches.requests(connection, [position]))
    assert [position] == database.look(lambda connection: batches.next_positions(connection, 10))


def test_one_failing_piece_of_a_group_does_not_cost_the_others(database: Database) -> None:
    """Pieces of work that share a commit fail alone."""

    def fail(_: Connection) -> int:
        raise ZeroDivisionError

    futures: list[Future[int]] = []
    for number in range(20):
        futures.append(database.submit(partial(write, number, 1)))
        futures.append(database.submit(fail))

    written = [future.result() for future in futures[::2]]

    assert all(isinstance(future.exception(), ZeroDivisionError) for future in futures[1::2])
    assert len(set(written)) == 20
    assert 20 == len(database.look(lambda connection: batches.next_positions(connection, 100)))


def test_a_batch_holds_about_as_many_events_as_asked_for_and_at_least_one_request(database: Database) -> None:
    """Requests are taken whole, oldest first, and a large one alone is not skipped."""
    for number, messages in enumerate([3, 3, 500, 1]):
        database.submit(partial(write, number, messages)).result()

    taken = database.look(lambda connection: batches.requests(connection, batches.next_positions(connection, 6)))

    assert [0, 1] == [int(request.body[5:-1]) for _, request in taken]


def test_the_schema_is_brought_to_its_version_once(address: str) -> None:
    """Opening a database again changes nothing."""
    first = Database(address)
    first.submit(lambda connection: batches.append(connection, received(1), 1)).result()
    first.close()

    again = Database(address)

    assert first.version == again.version
    assert 1 == len(again.look(lambda connection: batches.next_positions(connection, 10)))
    again.close()


def test_positions_are_never_used_twice(database: Database) -> None:
    """Ids of events come from positions, so a pruned journal must not give one out again."""
    first = database.submit(lambda connection: batches.append(connection, received(1), 1)).result()
    database.submit(lambda connection: connection.run("backlog_done", first)).result()
    database.submit(lambda connection: connection.run("prune_journal", 10_000, 100)).result()

    second = database.submit(lambda connection: batches.append(connection, received(2), 1)).result()

    assert second > first


def test_a_path_that_cannot_be_opened_is_told_in_a_sentence(tmp_path: Path) -> None:
    """An operator reads which database could not be opened and why."""
    blocked = tmp_path / "file"
    blocked.write_text("not a database, and long enough to be recognised as none of ours at all")

    with pytest.raises(StoreError, match=r"cannot be opened"):
        Database(str(blocked))
