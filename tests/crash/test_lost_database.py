"""PostgreSQL drops our connections in the middle of things: nothing acknowledged is lost, nothing is counted twice.

Figures are printed (pytest -s shows them).
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.crash.server import PATIENCE, SEED

from signalpost import sources
from signalpost.config import Destination, Source, Workspace
from signalpost.errors import StoreError
from signalpost.platforms.testing import Client, running
from signalpost.processing import now_ms
from signalpost.sources import Received
from signalpost.store.database import Database
from signalpost.worker import Worker

CUTS = 20
BATCH = 20


@pytest.fixture
def platforms() -> Iterator[Client]:
    """Both emulators."""
    with running() as url, Client(url) as client:
        yield client


def workspace(platforms: Client) -> Workspace:
    """Two destinations, both emulated."""
    settings = platforms.settings
    tiktok = {"pixel": settings.tiktok_pixels[0], "access_token": settings.tiktok_token, "website": "https://shop.example"}
    pinterest = {"ad_account": settings.pinterest_ad_account_id, "access_token": settings.pinterest_token}
    return Workspace(
        workspace="crash",
        environment="production",
        currency="USD",
        country="US",
        order_value="gross",
        sources={"web": Source(type="pipelines", write_key="web-key")},
        destinations={
            "tiktok": Destination(type="tiktok", settings=tiktok, endpoint=platforms.url, batch=30),
            "pinterest": Destination(type="pinterest", settings=pinterest, endpoint=platforms.url, batch=30),
        },
    )


def orders(number: int) -> Received:
    """One request with orders, as a shop's server sends them."""
    batch = [
        {
            "type": "track",
            "event": "Order Completed",
            "messageId": f"m-{number}-{place}",
            "userId": f"user-{number}-{place}",
            "properties": {"order_id": f"{number}-{place}", "total": 5, "email": f"u{number}x{place}@example.com"},
            "context": {"ip": "8.8.8.8", "userAgent": "Mozilla/5.0", "page": {"url": "https://shop.example/"}},
        }
        for place in range(BATCH)
    ]
    return Received(
        source="web",
        wire="pipelines",
        method="POST",
        path="/v1/batch",
        body=json.dumps({"batch": batch}).encode(),
        received_at=now_ms(),
    )


def cut(postgres: str, name: str) -> int:
    """End every connection to our database, whatever it is doing; gives how many there were."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        ).fetchall()
        return len(ended)


@pytest.mark.slow
async def test_connections_cut_in_mid_commit_lose_nothing(postgres: str, platforms: Client) -> None:
    """After twenty cuts every acknowledged order is accepted once on both platforms, and the ledger says so."""
    name = "cut_again_and_again"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    database = Database(psycopg.conninfo.make_conninfo(postgres, dbname=name))
    chance = random.Random(SEED)
    worker = Worker(database, workspace(platforms))
    await worker.start()
    acknowledged: list[int] = []
    refused = 0
    stopping = False

    async def load() -> None:
        nonlocal refused
        number = 0
        while not stopping:
            request = orders(number)
            try:
                await worker.append(request, sources.read(request))
            except StoreError:
                refused += 1
                await asyncio.sleep(0.02)
                continue  # not acknowledged: the client sends it again
            acknowledged.append(number)
            number += 1
            await asyncio.sleep(0.005)

    client = asyncio.create_task(load())
    ended = 0
    for _ in range(CUTS):
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        ended += await asyncio.to_thread(cut, postgres, name)
    stopping = True
    await client

    def rows(query: str) -> list[Any]:
        with psycopg.connect(postgres, dbname=name) as connection:
            return connection.execute(query.encode()).fetchall()

    deadline = time.monotonic() + PATIENCE
    waiting = "SELECT (SELECT count(*) FROM backlog) + (SELECT count(*) FROM outbox WHERE leased_until = 0)"
    while (left := (await asyncio.to_thread(rows, waiting))[0][0]) > 0:
        assert time.monotonic() < deadline, f"{left} still wait (seed {SEED})"
        await asyncio.sleep(0.1)
    await worker.stop()
    # A commit whose answer was lost may have leased signals to nobody; after the lease they are sent. Here it ends sooner.
    await asyncio.wrap_future(database.submit(lambda connection: connection.run("outbox_release_all")))
    again = Worker(database, workspace(platforms))
    await again.start()
    deadline = time.monotonic() + PATIENCE
    while (await asyncio.to_thread(rows, "SELECT count(*) FROM outbox"))[0][0] > 0:
        assert time.monotonic() < deadline, f"signals still wait (seed {SEED})"
        await asyncio.sleep(0.1)
    await again.stop()
    await asyncio.to_thread(database.close)

    expected = {f"{number}-{place}:order-completed" for number in acknowledged for place in range(BATCH)}
    merged = 0
    for destination in ("tiktok", "pinterest"):
        ours = Counter(
            each
            for (each,) in rows(f"SELECT platform_id FROM ledger WHERE destination = '{destination}' AND verdict = 'accepted'")
        )
        theirs = {each for _, each in platforms.ids(destination)}
        assert expected <= set(ours), f"seed {SEED}: {destination}"
        assert set(ours) == theirs, f"seed {SEED}: {destination}"
        assert all(count == 1 for count in ours.values()), f"seed {SEED}: {destination}"
        merged += platforms.received(destination)["deduplicated"]
    verdicts = dict(rows("SELECT verdict, count(*) FROM ledger GROUP BY verdict"))
    assert {"accepted", "withheld"} >= verdicts.keys(), f"seed {SEED}: {verdicts}"
    events, distinct = rows("SELECT count(*), count(DISTINCT event) FROM ledger")[0]
    assert events == 2 * distinct
    counted = rows("SELECT sum(signals) FROM rollups WHERE verdict = 'accepted'")[0][0]
    assert verdicts["accepted"] == counted, f"seed {SEED}: the counters say {counted}"
    assert ended >= CUTS
    print(
        f"\nconnections cut: {CUTS} times, {ended} connections (seed {SEED}); {len(acknowledged) * BATCH:,} orders acknowledged, "
        f"{refused} requests refused and sent again; {verdicts} signals, {merged:,} repeats merged by the platforms"
    )
