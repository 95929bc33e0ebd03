"""Each way a platform can fail, on the real worker: nothing is lost, nothing is counted that was not accepted."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.delivery.shop import event_id, order, working, workspace

from signalpost.platforms.testing import Client
from signalpost.store.database import Database

BOTH = ("tiktok", "pinterest")
OTHER = {"tiktok": "pinterest", "pinterest": "tiktok"}


async def test_orders_are_accepted_on_both_platforms(database: Database, platforms: Client) -> None:
    """Without faults every order is accepted once on each platform, on either database."""
    async with working(database, platforms) as shop:
        for start in range(0, 60, 20):
            await shop.take(*[order(number) for number in range(start, start + 20)])
        await shop.settled(60)

        assert {"accepted": 120} == shop.verdicts()
        shop.agrees()
        assert {(name, event_id(number)) for name in ("Purchase",) for number in range(60)} == platforms.ids("tiktok")
        assert 0 == platforms.received("tiktok")["deduplicated"] + platforms.received("pinterest")["deduplicated"]


RECOVERED: list[tuple[str, dict[str, Any]]] = [
    ("latency", {"ms": 300, "jitter_ms": 200, "times": 3}),
    ("rate_limit", {"times": 1}),
    ("rate_limit", {"times": 1, "retry_after": 1}),
    ("status", {"status": 500, "times": 1}),
    ("status", {"status": 503, "times": 2, "retry_after": 1}),
    ("status", {"status": 502, "times": 1, "when": "after"}),
    ("reset", {"times": 1}),
    ("reset", {"times": 1, "when": "after"}),
    ("hang", {"times": 1}),
    ("hang", {"times": 1, "when": "after"}),
    ("malformed", {"times": 1}),
    ("truncated", {"times": 1}),
    ("empty", {"times": 1}),
]
NAMES = [f"{name}-{'-'.join(map(str, how.values()))}" for name, how in RECOVERED]


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize(("fault", "how"), RECOVERED, ids=NAMES)
async def test_a_passing_fault_costs_nothing(
    embedded: Database, platforms: Client, platform: str, fault: str, how: dict[str, Any]
) -> None:
    """After the fault every order is accepted exactly once, and the other platform never noticed."""
    platforms.fault(fault, platform=platform, **how)
    async with working(embedded, platforms, timeout=0.5) as shop:
        await shop.take(*[order(number) for number in range(5)])
        await shop.settled(5)

        assert {"accepted": 5} == shop.verdicts(platform)
        assert {"accepted": 5} == shop.verdicts(OTHER[platform])
        shop.agrees()
        assert {event_id(number) for number in range(5)} == {each for _, each in platforms.ids(platform)}
        assert 1 == len(shop.requests(OTHER[platform]))
        assert 5 == platforms.received(platform)["distinct_ids"]


@pytest.mark.parametrize("code", [50000, 50002, 40100, 40016, 40700])
async def test_tiktok_codes_that_pass(embedded: Database, platforms: Client, code: int) -> None:
    """A code that means later is tried later, though its HTTP status is 200."""
    platforms.fault("code", platform="tiktok", code=code, times=1)
    async with working(embedded, platforms) as shop:
        await shop.take(*[order(number) for number in range(3)])
        await shop.settled(3)

        assert {"accepted": 6} == shop.verdicts()
        assert 2 == len(shop.requests("tiktok"))
        shop.agrees()


async def test_a_rest_is_as_long_as_the_platform_asked(embedded: Database, platforms: Client) -> None:
    """After 429 with Retry-After the next request starts no sooner than asked."""
    platforms.fault("rate_limit", platform="pinterest", times=1, retry_after=2)
    async with working(embedded, platforms) as shop:
        await shop.take(order(1))
        await shop.settled(1)

        first, second = shop.requests("pinterest")
        assert (429, 200) == (first[3], second[3])
        assert second[0] >= first[1] + 2_000


async def test_answers_that_do_not_count_right_are_no_answers(embedded: Database, platforms: Client) -> None:
    """A list with one answer too few or too many is not guessed at: the batch is asked again and merged by the platform."""
    for by in (-1, 1):
        platforms.fault("wrong_count", platform="pinterest", by=by, times=1)
    async with working(embedded, platforms) as shop:
        await shop.take(*[order(number) for number in range(4)])
        await shop.settled(4)

        assert {"accepted": 4} == shop.verdicts("pinterest")
        assert 3 == len(shop.requests("pinterest"))
        assert 4 == platforms.received("pinterest")["distinct_ids"]
        shop.agrees()


@pytest.mark.parametrize("status", [None, 422])
async def test_pinterest_refuses_some_and_says_which(embedded: Database, platforms: Client, status: int | None) -> None:
    """What is refused is refused alone, in the same request, and never tried again."""
    platforms.fault("partial", platform="pinterest", event_ids=[event_id(2), event_id(5)], status=status)
    async with working(embedded, platforms) as shop:
        await shop.take(*[order(number) for number in range(8)])
        await shop.settled(8)

        refused = {row[5] for row in shop.ledger() if row[1] == "pinterest" and row[2] == "refused"}
        assert {event_id(2), event_id(5)} == refused
        assert {"accepted": 6, "refused": 2} == shop.verdicts("pinterest")
        assert {"accepted": 8} == shop.verdicts("tiktok")
        assert 1 == len(shop.requests("pinterest"))
        assert all(row[4] for row in shop.ledger() if row[2] == "refused")
        shop.agrees()


@pytest.mark.parametrize("code", [None, 40002, 40062, 20001])
async def test_one_poisoned_event_is_found_by_halving(embedded: Database, platforms: Client, code: int | None) -> None:
    """TikTok refuses a batch for one event: the good ones are accepted, the bad one alone is refused."""
    platforms.fault("partial", platform="tiktok", event_ids=[event_id(11)], code=code)
    async with working(embedded, platforms) as shop:
        await shop.take(*[order(number) for number in range(32)])
        await shop.settled(32)

        refused = [row[5] for row in shop.ledger() if row[1] == "tiktok" and row[2] == "refused"]
        assert [event_id(11)] == refused
        assert {"accepted": 31, "refused": 1} == shop.verdicts("tiktok")
        assert platforms.received("tiktok")["requests"] <= 2 * 6 + 1
        shop.agrees()


@pytest.mark.parametrize("platform", BOTH)
async def test_a_hanging_destination_never_delays_the_other(embedded: Database, platforms: Client, platform: str) -> None:
    """While one platform does not answer at all, everything goes to the other."""
    platforms.fault("hang", platform=platform)
    async with working(embedded, platforms, timeout=0.3) as shop:
        for number in range(30):
            await shop.take(order(number))
        await shop.settled(30, OTHER[platform])

        assert {"accepted": 30} == shop.verdicts(OTHER[platform])
        assert {"waiting": 30} == shop.verdicts(platform)

        platforms.clear_faults()
        await shop.settled(30)
        assert {"accepted": 60} == shop.verdicts()
        shop.agrees()


@pytest.mark.parametrize("platform", BOTH)
async def test_an_expired_token_stops_the_destination_with_one_clear_line(
    embedded: Database, platforms: Client, platform: str
) -> None:
    """No retry storm, one line that says what to do, the signals kept; mended and started again, all are delivered once."""
    platforms.fault("token_expired", platform=platform)
    with capture_logs() as lines:
        async with working(embedded, platforms) as shop:
            for number in range(40):
                await shop.take(order(number))
            await shop.settled(40, OTHER[platform])
            await shop.until(lambda: shop.requests(platform), "a first request")
            await asyncio.sleep(0.5)  # time in which a storm would rage

            assert {"waiting": 40} == shop.verdicts(platform)
            assert 1 <= platforms.received(platform)["requests"] <= 4
            assert [(platform,)] == shop.rows("SELECT destination FROM breakers")

    told = [line for line in lines if line["log_level"] in {"warning", "error"}]
    assert 1 == len(told), told
    assert "token" in told[0]["why"]
    assert platform == told[0]["destination"]
    secrets = (platforms.settings.tiktok_token, platforms.settings.pinterest_token)
    assert not any(secret in json.dumps(lines, default=str) for secret in secrets)

    platforms.clear_faults()
    async with working(embedded, platforms) as shop:
        await shop.settled(40)
        assert {"accepted": 80} == shop.verdicts()
        shop.agrees()
        assert 0 == platforms.received(platform)["deduplicated"]


@pytest.mark.parametrize("platform", BOTH)
async def test_wrong_credentials_keep_the_signals(embedded: Database, platforms: Client, platform: str) -> None:
    """With a wrong token nothing is accepted, refused or lost; with the right one all is delivered."""
    settings = dict(workspace(platforms).destinations[platform].settings)
    wrong = workspace(platforms, **{platform: {"settings": {**settings, "access_token": "wrong-token"}}})
    async with working(embedded, platforms, wrong) as shop:
        await shop.take(*[order(number) for number in range(10)])
        await shop.settled(10, OTHER[platform])
        await shop.until(lambda: shop.rows("SELECT 1 FROM breakers"), "the destination rests")

        assert {"waiting": 10} == shop.verdicts(platform)
        assert set() == platforms.ids(platform)
        assert 1 == platforms.received(platform)["requests"]

    async with working(embedded, platforms) as shop:
        await shop.settled(10)
        assert {"accepted": 20} == shop.verdicts()
        shop.agrees()


async def test_a_stormy_day(embedded: Database, platforms: Client) -> None:
    """Under every fault at once, now and then, each order is accepted exactly once and the ledger agrees."""
    for fault, how in (
        ("latency", {"ms": 20, "jitter_ms": 60, "probability": 0.5}),
        ("status", {"status": 503, "probability": 0.1}),
        ("reset", {"probability": 0.1}),
        ("reset", {"probability": 0.1, "when": "after"}),
        ("malformed", {"probability": 0.1}),
        ("rate_limit", {"probability": 0.1}),
    ):
        platforms.fault(fault, **how)
    chosen = workspace(platforms, tiktok={"batch": 20}, pinterest={"batch": 20})
    async with working(embedded, platforms, chosen, timeout=1.0) as shop:
        for start in range(0, 190, 10):
            await shop.take(*[order(number) for number in range(start, start + 10)])
        await shop.until(lambda: shop.verdicts()["accepted"] > 100, "half of it accepted")
        platforms.clear_faults()
        platforms.fault("partial", event_ids=[event_id(195)])
        await shop.take(*[order(number) for number in range(190, 200)])
        await shop.settled(200)

        assert {"accepted": 398, "refused": 2} == shop.verdicts()
        assert {event_id(195)} == {row[5] for row in shop.ledger() if row[2] == "refused"}
        shop.agrees()
