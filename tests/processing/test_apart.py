"""The pipeline in a process of its own: started, woken, started again, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from signalpost.config import Destination, Source, Workspace
from signalpost.processing import Apart, now_ms
from signalpost.sources import Received
from signalpost.store import batches
from signalpost.store.database import Database


def workspace(address: str) -> Workspace:
    return Workspace(
        workspace="apart",
        environment="production",
        currency="EUR",
        order_value="gross",
        country="DE",
        database=address,
        sources={"web": Source(type="pipelines", write_key="key")},
        destinations={"tiktok": Destination(type="tiktok", settings={"pixel": "C1", "access_token": "t"})},
    )


def order(number: int) -> Received:
    message = {
        "type": "track",
        "event": "Order Completed",
        "userId": f"u{number}",
        "messageId": f"m{number}",
        "properties": {"order_id": f"o{number}", "total": 10},
        "context": {"page": {"url": "https://shop.example/thanks"}},
    }
    body = msgspec.json.encode({"batch": [message]})
    return Received(source="web", wire="pipelines", method="POST", path="/v1/batch", body=body, received_at=now_ms())


async def until(true: Callable[[], bool | Awaitable[bool]]) -> None:
    for _ in range(600):
        answer = true()
        if answer if isinstance(answer, bool) else await answer:
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not happen within 30 seconds")


async def put(database: Database, number: int) -> None:
    await database.write(lambda connection: batches.append(connection, order(number), 1))


async def test_what_is_put_into_the_journal_comes_out_decided(address: str) -> None:
    """The child takes requests through the pipeline and says how many events and for whom."""
    database = Database(address)
    told: list[tuple[int, list[str]]] = []
    apart = Apart(workspace(address), after=lambda events, names: told.append((events, names)))
    running = asyncio.create_task(apart.run())
    for number in range(3):
        await put(database, number)
        apart.wake()

    await until(lambda: sum(events for events, _ in told) == 3)

    assert all(names == ["tiktok"] for _, names in told)
    assert 3 == database.look(lambda connection: connection.rows("outbox_counts"))[0][1]
    apart.stop()
    await asyncio.wait_for(running, 30)
    database.close()


async def test_a_child_that_is_killed_is_started_again_and_misses_nothing(tmp_path: Path) -> None:
    """Whatever happens to the child, what is in the journal gets its verdict once."""
    address = str(tmp_path / "signalpost.db")
    database = Database(address)
    told: list[int] = []
    apart = Apart(workspace(address), after=lambda events, _: told.append(events))
    running = asyncio.create_task(apart.run())
    await put(database, 1)
    await until(lambda: sum(told) == 1)
    assert apart._child is not None
    first = apart._child.pid

    os.kill(first, signal.SIGKILL)
    await put(database, 2)

    await until(lambda: sum(told) == 2)
    assert apart._child.pid != first
    assert 2 == database.look(lambda connection: connection.rows("events_count"))[0][0]
    apart.stop()
    await asyncio.wait_for(running, 30)
    database.close()


async def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    """When the parent's pipe closes, for whatever reason, no process is left behind."""
    apart = Apart(workspace(str(tmp_path / "signalpost.db")), after=lambda *_: None)
    running = asyncio.create_task(apart.run())
    await until(lambda: apart._child is not None)
    child = apart._child
    assert child is not None

    apart.stop()

    assert 0 == await asyncio.wait_for(child.wait(), 30)
    await asyncio.wait_for(running, 30)
