"""A paused destination sends nothing, loses nothing and sends nothing twice: through restarts, crashes and several workers."""

from __future__ import annotations

import asyncio
import random
from functools import partial

import pytest
from tests.conftest import new_postgres_database
from tests.delivery.shop import Shop, order, working, workspace

from signalpost.platforms.testing import Client
from signalpost.processing import now_ms
from signalpost.store import outbox, pauses
from signalpost.store.database import Database


async def pause(database: Database, destination: str = "tiktok") -> None:
    """As the console does."""
    await database.write(partial(pauses.pause, destination=destination, who="ann@shop.example", note="New pixel.", now=now_ms()))


async def resume(database: Database, destination: str = "tiktok") -> None:
    """As the console does."""
    await database.write(partial(pauses.resume, destination=destination))


async def crash(shop: Shop) -> None:
    """End a worker as a kill would: nobody waits for anything, nothing is given back."""
    for task in shop.worker._tasks:
        task.cancel()
    await asyncio.gather(*shop.worker._tasks, return_exceptions=True)
    for dispatcher in shop.worker.dispatchers:
        for flight in dispatcher._flights:
            flight.cancel()
        await asyncio.gather(*dispatcher._flights, return_exceptions=True)
        await dispatcher.transport.close()


async def test_signals_wait_while_others_are_sent(database: Database, platforms: Client) -> None:
    """What is told to a paused destination waits durably, the other destination goes on, and after it all is sent once."""
    async with working(database, platforms) as shop:
        await shop.take(order("before"))
        await shop.settled(1)
        await pause(database)
        await shop.until(lambda: shop.worker.dispatchers[0].paused, "the pause")
        await shop.take(*[order(number) for number in range(30)])
        await shop.settled(31, "pinterest")
        assert {"accepted": 1, "waiting": 30} == shop.verdicts("tiktok")
        assert 1 == platforms.received("tiktok")["accepted"]
        await resume(database)
        await shop.settled(31)
        assert {"accepted": 31} == shop.verdicts("tiktok")
        shop.agrees()
        assert 0 == platforms.received("tiktok")["deduplicated"]
        assert {1} == {row[6] for row in shop.ledger()}, "waiting in a pause counted as an attempt"


async def test_a_pause_is_obeyed_by_the_lease_at_once(database: Database, platforms: Client) -> None:
    """From the commit of a pause on no process gets a signal of the destination from the outbox, whatever it knows."""
    shop = Shop(database, platforms, workspace(platforms))
    await pause(database)
    async with working(database, platforms) as running:
        await running.take(order(1))
        await running.settled(1, "pinterest")
    lease = partial(outbox.lease, most=10, now=now_ms(), until=now_ms() + 1)
    assert [] == await database.write(partial(lease, destination="tiktok"))
    await resume(database)
    assert 1 == len(await database.write(partial(lease, destination="tiktok")))
    for dispatcher in shop.worker.dispatchers:
        await dispatcher.stop(1)


async def test_a_pause_outlives_the_process(database: Database, platforms: Client) -> None:
    """A worker that starts while a destination is paused sends nothing there, not even for a moment."""
    await pause(database)
    async with working(database, platforms) as shop:
        await shop.take(*[order(number) for number in range(5)])
        await shop.settled(5, "pinterest")
    async with working(database, platforms) as shop:
        assert shop.worker.dispatchers[0].paused
        await shop.take(*[order(number) for number in range(5, 8)])
        await shop.settled(8, "pinterest")
        assert 0 == platforms.received("tiktok")["accepted"]
        assert {"waiting": 8} == shop.verdicts("tiktok")
        await resume(database)
        await shop.settled(8)
        assert {"accepted": 8} == shop.verdicts("tiktok")


async def test_what_is_in_hand_goes_back(embedded: Database, platforms: Client) -> None:
    """Signals that a dispatcher holds when the pause comes are given back to the outbox, and only those in the air are sent."""
    platforms.fault("latency", ms=300)
    chosen = workspace(platforms, tiktok={"batch": 2, "connections": 1})
    async with working(embedded, platforms, chosen) as shop:
        await shop.take(*[order(number) for number in range(40)])
        await shop.until(lambda: len(shop.requests("tiktok")) >= 1, "a first answer")
        await pause(embedded)
        await shop.until(lambda: shop.worker.dispatchers[0].paused, "the pause")
        await shop.until(lambda: not shop.worker.dispatchers[0]._flights, "the end of what was in the air")
        sent = platforms.received("tiktok")["accepted"]
        assert 0 < sent < 40
        assert [(0,)] == shop.rows("SELECT count(*) FROM outbox WHERE destination = 'tiktok' AND leased_until > 0")
        platforms.clear_faults()
        await resume(embedded)
        await shop.settled(40)
        assert {"accepted": 40} == shop.verdicts("tiktok")
        assert 0 == platforms.received("tiktok")["deduplicated"]


async def test_what_grew_too_old_in_a_pause_is_withheld(embedded: Database, platforms: Client) -> None:
    """After a pause signals that the destination no longer takes are withheld as too old, by the rule there is for them."""
    chosen = workspace(platforms, tiktok={"oldest": "3s"}, only="tiktok")
    await pause(embedded)
    async with working(embedded, platforms, chosen) as shop:
        await shop.take(order("old"))
        await shop.until(lambda: shop.verdicts("tiktok")["waiting"] == 1, "that it waits")
        await asyncio.sleep(3)
        await resume(embedded)
        await shop.settled(1)
        assert [("withheld", "too_old")] == [row[2:4] for row in shop.ledger()]
        assert 0 == platforms.received("tiktok")["accepted"]


@pytest.mark.parametrize("seed", range(3))
async def test_no_order_of_pauses_and_crashes_loses_or_doubles(seed: int, address: str, platforms: Client) -> None:
    """However pauses, resumptions, crashes and orders follow one another: each order is accepted once by each platform."""
    luck = random.Random(seed)
    platforms.fault("latency", ms=10, jitter_ms=40)
    database = Database(address)
    told = 0
    shop = Shop(database, platforms, workspace(platforms, tiktok={"batch": 4}, pinterest={"batch": 4}))
    await shop.worker.start()
    for _ in range(14):
        move = luck.choice(("tell", "tell", "pause", "resume", "crash"))
        if move == "tell":
            await shop.take(*[order(f"{seed}-{number}") for number in range(told, told + 6)])
            told += 6
        elif move == "crash":
            await crash(shop)
            await database.write(lambda connection: connection.run("outbox_release_all"))  # as a lease that ends
            shop = Shop(database, platforms, shop.worker.workspace)
            await shop.worker.start()
        else:
            await (pause if move == "pause" else resume)(database, luck.choice(("tiktok", "pinterest")))
        await asyncio.sleep(luck.uniform(0, 0.4))
    for destination in ("tiktok", "pinterest"):
        await resume(database, destination)
    try:
        await shop.settled(told)
        assert {"accepted": told} == shop.verdicts("tiktok") == shop.verdicts("pinterest")
        shop.agrees()
    finally:
        await shop.worker.stop()
        database.close()


async def test_several_workers_obey(postgres: str, platforms: Client) -> None:
    """Two workers on one PostgreSQL both stop sending, and both go on; no signal is sent by both."""
    address = new_postgres_database(postgres)
    one, other = Database(address), Database(address)
    try:
        async with working(one, platforms) as first, working(other, platforms) as second:
            await pause(one)
            for shop in (first, second):
                await shop.until(lambda shop=shop: shop.worker.dispatchers[0].paused, "the pause")  # type: ignore[misc]
            await first.take(*[order(number) for number in range(10)])
            await second.take(*[order(number) for number in range(10, 20)])
            await first.settled(20, "pinterest")
            assert 0 == platforms.received("tiktok")["accepted"]
            await resume(other)
            await first.settled(20)
            assert {"accepted": 20} == first.verdicts("tiktok")
            assert 0 == platforms.received("tiktok")["deduplicated"]
    finally:
        one.close()
        other.close()
