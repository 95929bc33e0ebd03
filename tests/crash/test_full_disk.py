"""A full disk: nothing is acknowledged that is not written, nothing in hand is forgotten, and with room again all goes on."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalpost import sources
from signalpost.config import Destination, Source, Workspace
from signalpost.errors import StoreError
from signalpost.platforms.testing import Client, running
from signalpost.processing import now_ms
from signalpost.sources import Received
from signalpost.store.database import Connection, Database
from signalpost.worker import Worker

PATIENCE = 30.0


@pytest.fixture
def platforms() -> Iterator[Client]:
    """Both emulators."""
    with running() as url, Client(url) as client:
        yield client


def order(number: int) -> Received:
    """One request with one order and a kilobyte of nothing."""
    message = {
        "type": "track",
        "event": "Order Completed",
        "messageId": f"m-{number}",
        "userId": f"user-{number}",
        "properties": {"order_id": str(number), "total": 5, "email": f"u{number}@example.com", "note": "x" * 1_000},
        "context": {"ip": "8.8.8.8", "userAgent": "Mozilla/5.0"},
    }
    return Received(
        source="web",
        wire="pipelines",
        method="POST",
        path="/v1/batch",
        body=json.dumps({"batch": [message]}).encode(),
        received_at=now_ms(),
    )


async def test_a_full_disk_refuses_and_recovers(tmp_path: Path, platforms: Client) -> None:
    """SQLite's own limit of pages stands for the disk: requests are refused with StoreError until there is room again."""
    settings = platforms.settings
    tiktok = {"pixel": settings.tiktok_pixels[0], "access_token": settings.tiktok_token, "website": "https://shop.example"}
    workspace = Workspace(
        workspace="crash",
        environment="production",
        currency="USD",
        country="US",
        order_value="gross",
        sources={"web": Source(type="pipelines", write_key="web-key")},
        destinations={"tiktok": Destination(type="tiktok", settings=tiktok, endpoint=platforms.url, linger="5ms")},
    )
    database = Database(str(tmp_path / "signalpost.db"))

    def pages(most: int) -> None:
        def work(connection: Connection) -> None:
            connection.raw.execute(f"PRAGMA max_page_count = {most}")  # type: ignore[attr-defined]

        database.submit(work).result(10)

    def rows(query: str) -> list[Any]:
        def work(connection: Any) -> list[Any]:
            found: list[Any] = connection.raw.execute(query).fetchall()
            return found

        return database.look(work)

    worker = Worker(database, workspace)
    await worker.start()
    used = rows("PRAGMA page_count")[0][0]
    pages(used + 40)
    acknowledged, number = [], 0
    refused = 0
    while refused < 20:
        number += 1
        request = order(number)
        try:
            await worker.append(request, sources.read(request))
            acknowledged.append(number)
        except StoreError:
            refused += 1
            await asyncio.sleep(0.05)
        assert number < 5_000, "the disk never filled"

    pages(1_000_000)
    after = order(9_999)
    await worker.append(after, sources.read(after))
    acknowledged.append(9_999)
    deadline = time.monotonic() + PATIENCE
    while rows("SELECT (SELECT count(*) FROM backlog) + (SELECT count(*) FROM outbox)")[0][0]:
        assert time.monotonic() < deadline, "something still waits"
        await asyncio.sleep(0.05)
    await worker.stop()

    accepted = Counter(each for (each,) in rows("SELECT platform_id FROM ledger WHERE verdict = 'accepted'"))
    assert {f"{each}:order-completed" for each in acknowledged} == set(accepted)
    assert {each for _, each in platforms.ids("tiktok")} == set(accepted)
    assert all(count == 1 for count in accepted.values())
    database.close()
