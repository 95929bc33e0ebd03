"""A test workspace sends test events on every way out; production sends nothing that is marked as a test."""

from __future__ import annotations

from typing import Any

import pytest
from tests.delivery.shop import Shop, event_id, order, working, workspace
from tests.replay.test_replay import found, refused, take_up

from signalpost.config import Workspace
from signalpost.errors import ConfigError
from signalpost.platforms.testing import Client
from signalpost.store.database import Database

BOTH = ("tiktok", "pinterest")


def in_test(platforms: Client) -> Workspace:
    """The shop's test workspace."""
    return workspace(platforms, environment="test", tiktok={"test_code": "TEST12345"})


def marked(number: int, **changes: Any) -> dict[str, Any]:
    """An order that the shop marks as a test."""
    made = order(number, **changes)
    return {**made, "properties": {**made["properties"], "test": True}}


def only_tested(shop: Shop, number: int) -> None:
    """So many signals were judged by each platform and none of them counts."""
    for platform in BOTH:
        received = shop.platforms.received(platform)
        assert (0, 0, number) == (received["accepted"], received["distinct_ids"], received["tested"])


async def test_a_test_workspace_sends_only_tests(database: Database, platforms: Client) -> None:
    """Orders, marked or not, go to both platforms in test mode; so does what waited in the outbox when the process stopped."""
    platforms.fault("status", status=503)
    async with working(database, platforms, in_test(platforms)) as shop:
        await shop.take(order(1), marked(2))
        await shop.until(lambda: all(shop.requests(platform) for platform in BOTH), "a first attempt")
    platforms.clear_faults()
    async with working(database, platforms, in_test(platforms)) as shop:
        await shop.take(order(3))
        await shop.settled(3)
        assert {"accepted": 6} == shop.verdicts()
        only_tested(shop, 3)


async def test_a_replay_of_a_test_workspace_is_a_test(database: Database, platforms: Client) -> None:
    """What was refused and is taken up again goes out in test mode like the first time."""
    async with working(database, platforms, in_test(platforms)) as shop:
        await refused(shop, order(1))
        for platform in BOTH:
            assert 1 == take_up(shop, platform, found(shop, platform))
        await shop.settled(1)
        assert {"accepted": 2} == shop.verdicts()
        only_tested(shop, 1)


async def test_production_keeps_marked_events_back(database: Database, platforms: Client) -> None:
    """In production a marked order is withheld as a test and is no order of its person; the same order unmarked is sent."""
    async with working(database, platforms) as shop:
        await shop.take(marked(1), {**order(2), "context": {**order(2)["context"], "environment": "staging"}})
        await shop.take(order(1, messageId="m-1-again"))
        await shop.settled(3)
        for platform in BOTH:
            first, second, third = [(row[2], row[3]) for row in shop.ledger() if row[1] == platform]
            assert first == second == ("withheld", "test_order")
            assert third[0] == "accepted"
        assert {("Purchase", event_id(1))} == platforms.ids("tiktok")
        assert {("checkout", event_id(1))} == platforms.ids("pinterest")


async def test_a_test_workspace_without_a_code_sends_nothing(database: Database, platforms: Client) -> None:
    """Even a workspace that was never checked cannot send a TikTok test as a real event: there is no such request."""
    chosen = workspace(platforms, environment="test", only="tiktok")
    async with working(database, platforms, chosen) as shop:
        dispatcher = shop.worker.dispatchers[0]
        with pytest.raises(ConfigError):
            dispatcher.platform.request(dispatcher.route.settings, dispatcher.base, [b"{}"], dispatcher.route.test)
        await shop.take(order(1))
        await shop.until(shop.ledger, "a verdict")
        assert 0 == platforms.received("tiktok")["requests"]
