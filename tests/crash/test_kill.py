"""Acknowledged is durable: the server is killed again and again under load, and nothing that it answered for is lost.

Figures are printed (pytest -s shows them): kills, acknowledged messages, accepted signals, repeats the platforms merged.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.crash.server import PATIENCE, SEED, Server, serving

from signalpost.platforms.testing import Client, running

KILLS = 22
CLIENTS = 4
BATCH = 25
SECONDS_UP = (0.15, 1.2)
"""How long a server lives under load before it is killed: between these."""

WORKSPACE = """
gates:
  - {{reason: any order, when: {{order.value: {{gt: 1}}}}, events: [Order Completed], mode: observing}}
derived:
  Second Purchase: {{nth_order: 2}}
holds: {{Order Completed: 200ms}}
destinations:
  tiktok:
    type: tiktok
    events: {{Order Completed: Purchase, Product Viewed: ViewContent, Second Purchase: Subscribe}}
    pixel: {pixel}
    access_token: ${{TIKTOK_TOKEN}}
    website: https://shop.example
    endpoint: {platforms}
    batch: 40
  pinterest:
    type: pinterest
    ad_account: "{account}"
    access_token: ${{PINTEREST_TOKEN}}
    endpoint: {platforms}
    batch: 40
"""


@pytest.fixture
def platforms() -> Iterator[Client]:
    """Both emulators, a little slow, so that a kill finds requests in the air."""
    with running() as url, Client(url) as client:
        client.fault("latency", ms=5, jitter_ms=60)
        yield client


@pytest.fixture
async def server(tmp_path: Path, platforms: Client) -> AsyncIterator[Server]:
    """A server on an empty folder; whatever happens, its process ends with the test."""
    async with serving(tmp_path, platforms, WORKSPACE) as made:
        yield made


class Load:
    """Clients that send batches, remember which messages were acknowledged, and send again what was not."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.acknowledged: list[str] = []
        self.orders: set[str] = set()
        self.sent_again = 0
        self.stopping = False

    def batch(self, client: int, number: int) -> list[dict[str, Any]]:
        """Views, and every fifth message an order; every tenth order is told twice, under another message id."""
        made = []
        for place in range(BATCH):
            key = f"{client}-{number}-{place}"
            is_order = place % 5 == 0
            order = f"{client}-{number}-{0 if place == 20 and number % 2 else place}"
            properties = (
                {"order_id": order, "total": 19.99, "currency": "USD"} if is_order else {"product_id": "sku-1", "price": 5}
            )
            made.append(
                {
                    "type": "track",
                    "event": "Order Completed" if is_order else "Product Viewed",
                    "messageId": f"m-{key}",
                    "userId": f"user-{client}-{number}",
                    "timestamp": str(time.time_ns() // 1_000_000),
                    "properties": {**properties, "email": f"user{client}x{number}@example.com"},
                    "context": {"ip": "8.8.8.8", "userAgent": "Mozilla/5.0", "page": {"url": "https://shop.example/"}},
                }
            )
        return made

    async def run(self, client: int) -> None:
        """Send batches until told to stop, each until it is acknowledged."""
        number = 0
        async with httpx.AsyncClient(timeout=5, auth=("web-key", ""), trust_env=False) as http:
            while not self.stopping:
                messages = self.batch(client, number)
                while not await self.server.takes(http, messages):
                    self.sent_again += 1
                self.acknowledged += [each["messageId"] for each in messages]
                self.orders |= {each["properties"]["order_id"] for each in messages if each["event"] == "Order Completed"}
                number += 1


@pytest.mark.slow
async def test_a_server_killed_under_load_loses_nothing_it_acknowledged(server: Server, platforms: Client) -> None:
    """Every acknowledged event has its verdicts, each order is accepted once, and ledger and platforms agree."""
    chance = random.Random(SEED)
    load = Load(server)
    began = time.monotonic()
    await server.start()
    clients = [asyncio.create_task(load.run(client)) for client in range(CLIENTS)]
    under_load = 0
    for _ in range(KILLS):
        before = len(load.acknowledged)
        await asyncio.sleep(chance.uniform(*SECONDS_UP))
        await server.kill()
        under_load += len(load.acknowledged) > before
        await server.start()
    load.stopping = True
    await asyncio.wait_for(asyncio.gather(*clients), PATIENCE)

    await server.finishes("SELECT (SELECT count(*) FROM backlog) + (SELECT count(*) FROM outbox)")
    await server.stop()

    known = {key.removeprefix("web:") for (key,) in server.rows("SELECT message_key FROM events")}
    assert set(load.acknowledged) <= known, f"seed {SEED}"
    ledger = server.rows("SELECT e.message_key, l.destination, l.verdict, l.platform_event, l.platform_id FROM ledger l "
                         "JOIN events e ON e.id = l.event")  # fmt: skip
    verdicts = Counter((destination, verdict) for _, destination, verdict, *_ in ledger)
    assert {"accepted", "withheld"} >= {verdict for _, verdict in verdicts}, f"seed {SEED}: {verdicts}"
    rows = Counter(key for key, *_ in ledger)
    second = Counter(server.rows("SELECT person FROM events WHERE name = 'Second Purchase'"))
    assert second, "people who buy twice make second purchases"
    assert all(times == 1 for times in second.values()), f"seed {SEED}: a derived event twice"
    people = {person for (person,) in server.rows("SELECT person FROM orders GROUP BY person HAVING count(*) > 1")}
    assert {person for (person,) in second} == people, f"seed {SEED}: somebody's second purchase is missing"
    noticed = dict(server.rows("SELECT destination, sum(signals) FROM notices WHERE what = 'observed' GROUP BY destination"))
    assert noticed == dict.fromkeys(("tiktok", "pinterest"), len(load.orders)), f"seed {SEED}: what an observing gate counted"
    covered = dict(server.rows("SELECT destination, sum(signals) FROM coverage GROUP BY destination"))
    assert covered == {each: verdicts[each, "accepted"] for each in ("tiktok", "pinterest")}, f"seed {SEED}: the keys counted"
    assert all(rows[f"web:{message}"] == 2 for message in load.acknowledged), f"seed {SEED}"

    merged = 0
    for destination, purchase in (("tiktok", "Purchase"), ("pinterest", "checkout")):
        ours = Counter((event, each) for _, to, verdict, event, each in ledger if to == destination and verdict == "accepted")
        theirs = platforms.ids(destination)
        received = platforms.received(destination)
        assert set(ours) == theirs, f"seed {SEED}: {destination}"
        assert all(count == 1 for count in ours.values()), f"seed {SEED}: {destination}"
        assert received["accepted"] == received["distinct_ids"] == len(theirs), f"seed {SEED}: {destination}"
        orders = {each.removesuffix(":order-completed") for event, each in theirs if event == purchase}
        assert load.orders == orders, f"seed {SEED}: {destination}"
        merged += received["deduplicated"]

    counted = dict(server.rows("SELECT destination, sum(signals) FROM rollups WHERE verdict = 'accepted' GROUP BY destination"))
    assert counted == {each: verdicts[each, "accepted"] for each in ("tiktok", "pinterest")}, f"seed {SEED}: the counters"
    assert under_load >= KILLS - 2, "most kills must find the server at work"
    accepted = verdicts["tiktok", "accepted"] + verdicts["pinterest", "accepted"]
    signals, merged_words = sum(verdicts.values()), f"{merged:,} repeats merged by the platforms"
    print(
        f"\nkill -9: {KILLS} kills in {time.monotonic() - began:.0f} s (seed {SEED}); "
        f"{len(load.acknowledged):,} messages acknowledged, {load.sent_again} batches sent again, {len(load.orders):,} orders; "
        f"{signals:,} signals, {accepted:,} accepted, {merged_words}"
    )
