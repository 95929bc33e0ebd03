"""Audiences survive being killed: the server dies again and again while people buy, and the platforms end as they should.

Figures are printed (pytest -s shows them): kills, people, members of each audience, requests of each platform.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.crash.server import SEED, Server, serving

from signalpost.normalize import hash_of
from signalpost.platforms.testing import Client, running

KILLS = 12
SHOPPERS = 4
SECONDS_UP = (0.2, 1.6)
"""How long a server lives before it is killed: between these."""
PATIENCE = 90.0
"""Seconds after which the platforms must have what is wanted."""

WORKSPACE = """
segments:
  viewers: {{did: Product Viewed, within: 30d}}
  buyers: {{did: Order Completed, within: 14d}}
audiences:
  - {{segment: viewers, to: [tiktok, pinterest], use: target, unless: [buyers]}}
  - {{segment: buyers, to: [tiktok, pinterest], use: suppress}}
destinations:
  tiktok:
    type: tiktok
    pixel: {pixel}
    access_token: ${{TIKTOK_TOKEN}}
    advertiser: "{advertiser}"
    endpoint: {platforms}
  pinterest:
    type: pinterest
    ad_account: "{account}"
    access_token: ${{PINTEREST_TOKEN}}
    audience_token: ${{PINTEREST_TOKEN}}
    endpoint: {platforms}
"""


@pytest.fixture
def platforms() -> Iterator[Client]:
    """Both emulators, a little slow, so that a kill finds requests in the air."""
    with running() as url, Client(url) as client:
        client.fault("latency", ms=5, jitter_ms=60, scope="all")
        yield client


@pytest.fixture
async def server(tmp_path: Path, platforms: Client) -> AsyncIterator[Server]:
    """A server on an empty folder; whatever happens, its process ends with the test."""
    async with serving(tmp_path, platforms, WORKSPACE) as made:
        yield made


class Shoppers:
    """People who look, some of whom buy; each message is sent until it is acknowledged."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.viewers: set[str] = set()
        self.buyers: set[str] = set()
        self.stopping = False

    async def run(self, client: int) -> None:
        """Send batches until told to stop."""
        number = 0
        async with httpx.AsyncClient(timeout=5, auth=("web-key", ""), trust_env=False) as http:
            while not self.stopping:
                batch = [self.message(client, number, place) for place in range(10)]
                while not await self.server.takes(http, batch):
                    pass
                for message in batch:
                    found = self.buyers if message["event"] == "Order Completed" else self.viewers
                    found.add(message["properties"]["email"])
                number += 1
                await asyncio.sleep(0.02)

    def message(self, client: int, number: int, place: int) -> dict[str, Any]:
        """Seven of ten look; the others are three who looked a batch before, and buy."""
        buys = place >= 7
        shopper = f"{client}-{max(0, number - 1)}-{place - 7}" if buys else f"{client}-{number}-{place}"
        properties = {"order_id": f"o-{shopper}", "total": 20, "currency": "USD"} if buys else {"product_id": "sku-1"}
        return {
            "type": "track",
            "event": "Order Completed" if buys else "Product Viewed",
            "messageId": f"m-{client}-{number}-{place}",
            "userId": shopper,
            "timestamp": str(time.time_ns() // 1_000_000),
            "properties": {**properties, "email": f"shopper{shopper}@example.com"},
        }


@pytest.mark.slow
async def test_audiences_end_as_wanted_however_often_the_server_is_killed(server: Server, platforms: Client) -> None:
    """After kills at any moment each platform has each audience once, with exactly its people in it."""
    chance = random.Random(SEED)
    shoppers = Shoppers(server)
    await server.start()
    clients = [asyncio.create_task(shoppers.run(client)) for client in range(SHOPPERS)]
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(*SECONDS_UP))
        await server.kill()
        await server.start()
    shoppers.stopping = True
    await asyncio.wait_for(asyncio.gather(*clients), PATIENCE)

    waiting = "SELECT (SELECT count(*) FROM backlog) + (SELECT count(*) FROM audience_people WHERE stale > 0)"
    await server.finishes(waiting, PATIENCE)
    await server.stop()

    wanted = {"viewers": shoppers.viewers - shoppers.buyers, "buyers": shoppers.buyers}
    requests = {}
    for destination in ("tiktok", "pinterest"):
        names = [each["name"] for each in platforms.audiences(destination)]
        assert 2 == len(names), f"seed {SEED}: {names}"
        for name, emails in wanted.items():
            query = f"SELECT platform_id, platform_name FROM audiences WHERE name = '{name}' AND destination = '{destination}'"
            [(found, shown)] = server.rows(query)
            assert shown in names
            assert {hash_of(email) for email in emails} == platforms.members(found), f"seed {SEED}: {name} at {destination}"
        requests[destination] = sum(platforms.audience_requests(destination).values())
    assert {"there"} == {state for (state,) in server.rows("SELECT DISTINCT state FROM audience_keys")}
    print(
        f"\nkill -9: {KILLS} kills (seed {SEED}); {len(shoppers.viewers):,} people looked, {len(shoppers.buyers):,} bought; "
        f"requests about audiences: {requests}"
    )
