"""How things end: stopping and going on, a crash with requests in the air, and signals that can be tried no more."""

from __future__ import annotations

import asyncio

import pytest
from tests.delivery.shop import Shop, event_id, order, working, workspace

from signalpost.platforms.testing import Client
from signalpost.processing import now_ms
from signalpost.sources import Received
from signalpost.store import batches
from signalpost.store.database import Connection, Database

HOUR = 3_600_000
DAY = 24 * HOUR


async def test_stopping_finishes_what_is_in_the_air(database: Database, platforms: Client) -> None:
    """A stop in the middle of slow requests waits for their answers; the next start sends the rest, and nothing twice."""
    platforms.fault("latency", ms=400)
    chosen = workspace(platforms, tiktok={"batch": 5}, pinterest={"batch": 5})
    async with working(database, platforms, chosen) as shop:
        await shop.take(*[order(number) for number in range(60)])
        await shop.until(lambda: len(shop.requests("tiktok")) >= 1, "a first answer")
    sent = shop.verdicts()
    assert sent["accepted"] > 0
    assert sum(row[2] for row in shop.requests("tiktok")) == shop.verdicts("tiktok")["accepted"]
    assert shop.verdicts("tiktok")["accepted"] == platforms.received("tiktok")["accepted"], "answers were thrown away"

    platforms.clear_faults()
    async with working(database, platforms, chosen) as shop:
        await shop.settled(60)
        assert {"accepted": 120} == shop.verdicts()
        shop.agrees()
        assert 0 == platforms.received("tiktok")["deduplicated"] + platforms.received("pinterest")["deduplicated"]


async def test_a_crash_with_requests_in_the_air_sends_them_again(embedded: Database, platforms: Client) -> None:
    """Leases of a process that died are taken up by the next start; the platform merges what it already had."""
    platforms.fault("hang", when="after", times=2)
    shop = Shop(embedded, platforms, workspace(platforms), timeout=60)
    await shop.worker.start()
    await shop.take(*[order(number) for number in range(10)])
    await shop.until(lambda: min(platforms.received(each)["accepted"] for each in ("tiktok", "pinterest")) == 10, "acceptance")
    for task in shop.worker._tasks:  # as a kill would: nobody waits for anything
        task.cancel()
    await asyncio.gather(*shop.worker._tasks, return_exceptions=True)
    for dispatcher in shop.worker.dispatchers:
        for flight in dispatcher._flights:
            flight.cancel()
        await asyncio.gather(*dispatcher._flights, return_exceptions=True)
        await dispatcher.transport.close()
    assert {"waiting": 20} == shop.verdicts()

    async with working(embedded, platforms) as shop:
        await shop.settled(10)
        assert {"accepted": 20} == shop.verdicts()
        shop.agrees()
        assert 20 == platforms.received("tiktok")["deduplicated"] + platforms.received("pinterest")["deduplicated"]
        assert 20 == platforms.received("tiktok")["distinct_ids"] + platforms.received("pinterest")["distinct_ids"]


@pytest.mark.parametrize(("destination", "hours"), [("tiktok", 44), ("pinterest", 22)])
async def test_after_an_outage_longer_than_the_dedupe_window_a_person_decides(
    embedded: Database, platforms: Client, destination: str, hours: int
) -> None:
    """What may have arrived is unknown once the platform would count a repeat; what surely did not is delivered."""
    platforms.fault("status", status=500)
    async with working(embedded, platforms) as shop:
        await shop.take(*[order(number) for number in range(4)])
        await shop.until(lambda: len(shop.requests("tiktok")) and len(shop.requests("pinterest")), "a first attempt")
    before = len(shop.requests(destination))

    def pass_time(connection: Connection) -> None:
        # As if the outage had begun so many hours ago, and one of the four had never been in the air.
        raw = connection.raw  # type: ignore[attr-defined]
        raw.execute(f"UPDATE outbox SET first_attempt_at = {now_ms() - hours * HOUR} WHERE destination = '{destination}'")
        raw.execute("UPDATE outbox SET first_attempt_at = NULL WHERE event IN (SELECT max(event) FROM ledger)")

    embedded.submit(pass_time).result(10)
    platforms.clear_faults()
    async with working(embedded, platforms) as shop:
        await shop.settled(4)

        assert {"unknown": 3, "accepted": 1} == shop.verdicts(destination)
        assert {event_id(3)} == {each for _, each in platforms.ids(destination)}
        unknown = [row for row in shop.ledger() if row[2] == "unknown"]
        assert all(row[3] and "may have" in row[4] for row in unknown)
        assert len(shop.requests(destination)) > before
        shop.agrees()


async def test_what_waited_too_long_and_never_arrived_is_withheld(embedded: Database, platforms: Client) -> None:
    """After a week of an outage in which nothing got through the reason is `too_old`, with a sentence."""
    platforms.fault("rate_limit")
    now = now_ms()
    async with working(embedded, platforms) as shop:
        await shop.take(order("old", at=now - 7 * DAY + 1_500), order("young", at=now - DAY))
        await shop.until(lambda: len(shop.ledger()) == 4, "both are known")
        await shop.until(lambda: now_ms() > now + 2_000, "the older one has become too old")
    platforms.clear_faults()
    async with working(embedded, platforms) as shop:
        await shop.settled(2)

        old = [row for row in shop.ledger() if row[5] == event_id("old")]
        assert [("withheld", "too_old")] * 2 == [(row[2], row[3]) for row in old]
        assert all(row[4] for row in old)
        assert 2 == shop.verdicts()["accepted"]
        shop.agrees()


async def test_the_workspace_may_send_older_events_than_usual(embedded: Database, platforms: Client) -> None:
    """`oldest` holds for the whole way: an event of ten days ago reaches TikTok where the workspace says 28 days."""
    async with working(embedded, platforms, workspace(platforms, tiktok={"oldest": "28d"})) as shop:
        await shop.take(order(1, at=now_ms() - 10 * DAY))
        await shop.settled(1)

        assert {"accepted": 1} == shop.verdicts("tiktok")
        assert {"withheld": 1} == shop.verdicts("pinterest")
        shop.agrees()


@pytest.mark.parametrize(("fault", "verdict"), [("rate_limit", "withheld"), ("hang", "unknown")])
async def test_nothing_of_a_suppressed_person_is_tried_again(
    database: Database, platforms: Client, fault: str, verdict: str
) -> None:
    """A suppression while the signal is in the air: the attempt ends as it ends, and there is no second one."""
    platforms.fault("latency", ms=700)
    platforms.fault(fault)
    async with working(database, platforms, timeout=1.5) as shop:
        await shop.take(order(1), order(2))
        leased = "SELECT 1 FROM outbox WHERE leased_until > 0"
        await shop.until(lambda: len(shop.rows(leased)) == 4, "both are in the air")
        await shop.take({"type": "track", "event": "User Suppressed", "userId": "user-1", "messageId": "s-1"})
        await shop.until(lambda: shop.rows("SELECT 1 FROM outbox WHERE person = -1"), "the suppression is known")
        await shop.until(lambda: len(shop.requests("tiktok")) and len(shop.requests("pinterest")), "the attempts end")
        platforms.clear_faults()
        await shop.until(lambda: all(row[2] != "waiting" for row in shop.ledger()), "verdicts")

        of_the_first = [row for row in shop.ledger() if row[5] == event_id(1)]
        assert [(verdict, "suppressed_person")] * 2 == [(row[2], row[3]) for row in of_the_first]
        assert {"accepted": 2, verdict: 2} == {name: count for name, count in shop.verdicts().items() if count}
        assert {event_id(2)} == {each for _, each in platforms.ids("tiktok") | platforms.ids("pinterest")}
        shop.agrees()


async def test_a_request_that_cannot_be_processed_is_set_aside(database: Database, platforms: Client) -> None:
    """A defect costs the request it is in and nothing else; the request stays in the journal with a sentence."""

    def nonsense(connection: Connection) -> None:
        # No intake writes such a wire: it stands for any request that our own code cannot digest.
        asked = Received(source="web", wire="unheard_of", method="POST", path="/", body=b"{}", received_at=now_ms())  # type: ignore[arg-type]
        batches.append(connection, asked, 1)

    async with working(database, platforms) as shop:
        await shop.take(*[order(number) for number in range(5)])
        await asyncio.wrap_future(database.submit(nonsense))
        for number in range(5, 40):
            await shop.take(order(number))
        await shop.settled(40)

        assert {"accepted": 80} == shop.verdicts()
        assert [] == shop.rows("SELECT * FROM backlog")
        told = shop.rows("SELECT j.wire, r.sentence FROM refusals r JOIN journal j ON j.position = r.position")
        assert ["unheard_of"] == [wire for wire, _ in told]
        assert told[0][1]
        shop.agrees()


async def test_purchases_leave_before_everything_else(embedded: Database, platforms: Client) -> None:
    """When there is a queue, the order that came last is in the first request."""
    platforms.fault("rate_limit", platform="tiktok", times=1, retry_after=1)
    views = [{**order(f"v{number}"), "event": "Product Viewed"} for number in range(100)]
    async with working(embedded, platforms, workspace(platforms, only="tiktok", tiktok={"batch": 10})) as shop:
        await shop.take(views[0])
        await shop.until(lambda: shop.requests("tiktok"), "the destination rests")
        await shop.take(*views[1:])
        await shop.take(order(1), {**order("c1"), "event": "Checkout Started"})
        await shop.settled(102)

        latest = platforms.received("tiktok", detail="true", limit="200")["latest"]
        names = [seen["event_name"] for seen in reversed(latest)]
        assert 102 == len(names)
        assert ["Purchase", "InitiateCheckout", "ViewContent"] == names[:3]


async def test_two_processes_may_serve_one_postgresql(database: Database, platforms: Client) -> None:
    """Two workers on one database share the work: every order is accepted once on each platform and sent by one of them."""
    if database.embedded:
        pytest.skip("an SQLite file belongs to one process: `signalpost serve` takes a lock")
    second = Database(database.address)
    async with working(database, platforms) as one, working(second, platforms) as two:
        for number in range(0, 100, 2):
            await asyncio.gather(one.take(order(number)), two.take(order(number + 1)))
        await one.settled(100)

        assert {"accepted": 200} == one.verdicts()
        one.agrees()
        assert 0 == platforms.received("tiktok")["deduplicated"] + platforms.received("pinterest")["deduplicated"]
    second.close()
