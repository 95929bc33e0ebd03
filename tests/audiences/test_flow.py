"""From an event to the platform: the real worker and the real loops, through a shop's day and changes of its file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace
from tests.delivery.shop import received

from signalpost import sources
from signalpost.normalize import hash_of
from signalpost.options import Audience, Workspace
from signalpost.platforms.testing import Client
from signalpost.processing import now_ms
from signalpost.store import audiences as store
from signalpost.store.database import Database
from signalpost.syncing import Syncing
from signalpost.worker import Worker

from .crowd import quick, until, workspace

SEGMENTS: dict[str, Any] = {
    "lookers": {"did": "Product Viewed", "within": "30d"},
    "buyers": {"did": "Order Completed", "within": "14d"},
}
LOOKERS = Audience(segment="lookers", to=("tiktok",), use="target")
BUYERS = Audience(segment="buyers", to=("tiktok",), use="suppress")


def email(person: int) -> str:
    """The only address of somebody."""
    return f"p{person}@example.com"


def message(person: int, event: str, **more: Any) -> dict[str, Any]:
    """Somebody does something now."""
    return {
        "type": "track",
        "event": event,
        "messageId": f"{event}-{person}-{now_ms()}",
        "userId": f"user-{person}",
        "timestamp": str(now_ms()),
        "properties": {"email": email(person), "order_id": f"o-{person}", "total": 10, "currency": "USD", "product_id": "1"},
        **more,
    }


class Shop:
    """A worker and keepers on one database."""

    def __init__(self, database: Database, chosen: Workspace) -> None:
        self.database, self.workspace = database, chosen
        self.worker, self.syncing = Worker(database, chosen), quick(Syncing(database, chosen))
        self.worker.audiences_moved = self.syncing.look

    async def tell(self, *messages: dict[str, Any]) -> None:
        """A request comes in."""
        request = received(messages)
        await self.worker.append(request, sources.read(request))

    def held(self, platforms: Client, title: str) -> set[str]:
        """What TikTok holds of an audience."""
        found = next((each for each in self.database.look(store.standings) if each.name == title), None)
        return set() if found is None or not found.held.id else platforms.members(found.held.id)


@asynccontextmanager
async def open_shop(database: Database, chosen: Workspace) -> AsyncIterator[Shop]:
    """Everything runs while the block runs."""
    shop = Shop(database, chosen)
    await shop.worker.start()
    keeping = asyncio.create_task(shop.syncing.run())
    try:
        yield shop
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await shop.syncing.stop()
        await shop.worker.stop(5.0)


def digests(*people: int) -> set[str]:
    """The addresses of these people as platforms hold them."""
    return {str(hash_of(email(person))) for person in people}


def holds(shop: Shop, platforms: Client, title: str, *people: int) -> Callable[[], bool]:
    """Whether TikTok holds exactly these people."""
    return lambda: shop.held(platforms, title) == digests(*people)


async def test_a_purchase_takes_a_looker_from_the_ads_and_a_wish_takes_them_from_everything(
    database: Database, platforms: Client
) -> None:
    """Whoever looks is shown ads until they buy; whoever wishes to be forgotten is in no audience any more."""
    chosen = workspace(platforms, replace(LOOKERS, unless=("buyers",)), BUYERS, segments=SEGMENTS)
    async with open_shop(database, chosen) as shop:
        await shop.tell(*(message(person, "Product Viewed") for person in range(1, 7)))
        await until(holds(shop, platforms, "lookers", *range(1, 7)), "the lookers are there")
        await shop.tell(message(1, "Order Completed"), message(2, "Order Completed"))
        await until(holds(shop, platforms, "lookers", 3, 4, 5, 6), "the buyers are gone from the target")
        await until(holds(shop, platforms, "buyers", 1, 2), "the buyers are kept from ads")
        denied = message(3, "Product Viewed")
        denied["context"] = {"consent": {"advertising": False}}
        await shop.tell(denied, {"type": "delete", "messageId": "gone", "userId": "user-1"})
        await until(holds(shop, platforms, "lookers", 4, 5, 6), "who withheld consent is gone")
    times = database.look(lambda connection: store.times(connection, 0))
    assert 4 <= sum(times["suppressed", "tiktok"].values())


async def test_a_changed_file_ends_in_what_it_says(database: Database, platforms: Client) -> None:
    """An audience that is new, changed, taken out and put back holds in the end whom the file wants then."""
    plain = workspace(platforms, BUYERS, segments=SEGMENTS)
    async with open_shop(database, plain) as shop:
        await shop.tell(*(message(person, "Product Viewed") for person in range(1, 9)))
        await shop.tell(message(1, "Order Completed"), message(2, "Order Completed"))
        await until(holds(shop, platforms, "buyers", 1, 2), "the buyers are there")
    async with open_shop(database, workspace(platforms, BUYERS, LOOKERS, segments=SEGMENTS)) as shop:
        await until(holds(shop, platforms, "lookers", *range(1, 9)), "the new audience is loaded with those of before")
    narrower = replace(LOOKERS, unless=("buyers",))
    async with open_shop(database, workspace(platforms, BUYERS, narrower, segments=SEGMENTS)) as shop:
        await until(holds(shop, platforms, "lookers", *range(3, 9)), "the buyers are left out")
    async with open_shop(database, plain) as shop:
        await shop.tell(message(3, "Order Completed"))
        await until(holds(shop, platforms, "buyers", 1, 2, 3), "another buyer")
        assert digests(*range(3, 9)) == shop.held(platforms, "lookers"), "what is not in the file is left alone"
    async with open_shop(database, workspace(platforms, BUYERS, narrower, segments=SEGMENTS)) as shop:
        await until(holds(shop, platforms, "lookers", *range(4, 9)), "put back, it knows who bought meanwhile")
    assert 2 == len(platforms.audiences("tiktok"))
