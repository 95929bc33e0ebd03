"""A shop on the real worker: orders go in by the journal, the emulators answer over loopback, the ledger is read back."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from signalpost import sources
from signalpost.config import Destination, Source, Workspace
from signalpost.platforms.testing import Client
from signalpost.processing import now_ms
from signalpost.sources import Received
from signalpost.store.database import Database
from signalpost.worker import Worker

Row = tuple[Any, ...]
PATIENCE = 20.0
"""Seconds after which something that must happen has not."""


def workspace(platforms: Client, **changes: Any) -> Workspace:
    """A workspace whose two destinations are the emulators; `tiktok` and `pinterest` change a destination's options."""
    settings = platforms.settings
    tiktok: dict[str, Any] = {
        "type": "tiktok",
        "settings": {
            "pixel": settings.tiktok_pixels[0],
            "access_token": settings.tiktok_token,
            "website": "https://shop.example",
        },
        "endpoint": platforms.url,
        "linger": "5ms",
    }
    pinterest: dict[str, Any] = {
        "type": "pinterest",
        "settings": {"ad_account": settings.pinterest_ad_account_id, "access_token": settings.pinterest_token},
        "endpoint": platforms.url,
        "linger": "5ms",
    }
    destinations = {
        "tiktok": Destination(**{**tiktok, **changes.pop("tiktok", {})}),
        "pinterest": Destination(**{**pinterest, **changes.pop("pinterest", {})}),
    }
    only = changes.pop("only", None)
    options: dict[str, Any] = {
        "workspace": "shop",
        "environment": "production",
        "currency": "USD",
        "order_value": "gross",
        "country": "US",
        "sources": {"web": Source(type="pipelines", write_key="web-key")},
        "destinations": {name: each for name, each in destinations.items() if only in {None, name}},
    }
    return Workspace(**{**options, **changes})


def order(number: int | str, *, at: int | None = None, **changes: Any) -> dict[str, Any]:
    """An `Order Completed` with everything both platforms want."""
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": f"m-{number}",
        "userId": f"user-{number}",
        "timestamp": str(now_ms() - 1_000 if at is None else at),
        "properties": {"order_id": str(number), "total": 45.5, "currency": "USD", "email": f"user{number}@example.com"},
        "context": {"ip": "8.8.8.8", "userAgent": "Mozilla/5.0", "page": {"url": "https://shop.example/thanks"}},
        **changes,
    }


def event_id(number: int | str) -> str:
    """What both platforms deduplicate such an order on."""
    return f"{number}:order-completed"


def received(messages: Iterable[dict[str, Any]], *, at: int | None = None) -> Received:
    """One batch request."""
    return Received(
        source="web",
        wire="pipelines",
        method="POST",
        path="/v1/batch",
        body=json.dumps({"batch": list(messages)}).encode(),
        received_at=now_ms() if at is None else at,
    )


class Shop:
    """A worker on a database, and what a test asks of them."""

    def __init__(self, database: Database, platforms: Client, chosen: Workspace, *, timeout: float = 5.0) -> None:
        self.database, self.platforms = database, platforms
        self.worker = Worker(database, chosen, timeout=timeout)

    async def take(self, *messages: dict[str, Any], at: int | None = None) -> None:
        """Journal one request with these messages."""
        request = received(messages, at=at)
        await self.worker.append(request, sources.read(request))

    async def until(self, happened: Callable[[], Any], what: str = "what was expected") -> None:
        """Wait until it has happened; a test that waits for too long fails."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not await asyncio.to_thread(happened):
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{what} did not happen; the ledger says {self.verdicts()}")
            await asyncio.sleep(0.02)

    async def settled(self, number: int, destination: str | None = None) -> None:
        """Wait until so many events have come in and nothing (of the destination) waits."""

        def done() -> bool:
            rows = [row for row in self.ledger() if destination in {None, row[1]}]
            return len({row[0] for row in rows}) == number and all(row[2] != "waiting" for row in rows)

        await self.until(done, f"a verdict for all {number} events")

    def rows(self, query: str) -> list[Row]:
        """The rows of a query of the test's own."""

        def work(connection: Any) -> list[Row]:
            found: list[Row] = connection.raw.execute(query).fetchall()
            return found

        return self.database.look(work)

    def ledger(self) -> list[Row]:
        """(event, destination, verdict, reason, sentence, platform id, attempts) of every signal."""
        return self.rows(
            "SELECT event, destination, verdict, reason, sentence, platform_id, attempts FROM ledger ORDER BY event, destination"
        )

    def verdicts(self, destination: str | None = None) -> Counter[str]:
        """Verdict -> signals."""
        return Counter(row[2] for row in self.ledger() if destination in {None, row[1]})

    def requests(self, destination: str) -> list[Row]:
        """(started, ended, signals, status, summary) of every request made."""
        return self.rows(
            f"SELECT started_at, ended_at, signals, status, summary FROM requests WHERE destination = '{destination}' ORDER BY id"
        )

    def agrees(self) -> None:
        """Nothing is accepted in the ledger that the platform did not accept, and nothing accepted there is forgotten here."""
        for destination in ("tiktok", "pinterest"):
            rows = self.rows(
                "SELECT platform_event, platform_id, verdict FROM ledger "
                f"WHERE destination = '{destination}' AND platform_id IS NOT NULL"
            )
            ours = {(row[0], row[1]) for row in rows if row[2] in {"accepted", "warned"}}
            open_still = {(row[0], row[1]) for row in rows if row[2] in {"unknown", "waiting"}}
            theirs = self.platforms.ids(destination)
            assert ours <= theirs, f"{destination} never accepted {ours - theirs}"
            assert theirs <= ours | open_still, f"{destination} accepted {theirs - ours - open_still} unknown to the ledger"


@asynccontextmanager
async def working(
    database: Database,
    platforms: Client,
    chosen: Workspace | None = None,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109  (of the worker's requests, not of this)
) -> AsyncIterator[Shop]:
    """A shop whose worker runs while the block runs, and stops in order after it."""
    shop = Shop(database, platforms, chosen or workspace(platforms), timeout=timeout)
    await shop.worker.start()
    try:
        yield shop
    finally:
        await shop.worker.stop(5.0)
