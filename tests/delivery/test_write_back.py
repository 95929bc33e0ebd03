"""From an event, or from time alone, to the shop's own tools: the whole way, over HTTP."""

from __future__ import annotations

import json
from typing import Any

from standardwebhooks.webhooks import Webhook
from tests.delivery.shop import Shop, order
from tests.destinations.receiver import Answer, CustomerIO, served
from tests.laws.flow import workspace

from signalpost.config import Destination, Source, Workspace
from signalpost.platforms.testing import Client
from signalpost.processing import now_ms
from signalpost.store.database import Database

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

BOTH = {"Segment Entered": "Segment Entered", "Segment Left": "Segment Left"}


def chosen(webhook: str, customerio: str) -> Workspace:
    """Two segments: buyers, who come by an event, and those who leave a window after two seconds, by time."""
    return workspace(
        sources={"web": Source(type="pipelines", write_key="web-key")},
        segments={"buyers": {"did": "Order Completed"}, "just_now": {"last": "Order Completed", "age": "0s..2s"}},
        destinations={
            "hook": Destination(
                type="webhook",
                settings={"url": webhook, "secret": SECRET, "allow_private": "yes"},
                events=BOTH,
                segments=("just_now",),
            ),
            "cio": Destination(
                type="customerio",
                settings={"site_id": "s1", "api_key": "k1"},
                endpoint=customerio,
                events=BOTH,
                segments=("buyers",),
            ),
        },
    )


async def test_coming_and_going_reaches_the_shops_own_tools(database: Database, platforms: Client) -> None:
    """An order moves its buyer and Customer.io knows; two seconds later time alone moves them, and the webhook is told."""
    got: list[dict[str, Any]] = []

    def receive(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        Webhook(SECRET).verify(body, headers)
        got.append(json.loads(body))
        return 200, {}

    cio = CustomerIO("s1", "k1")
    with served(receive) as hook, served(cio) as server:
        shop = Shop(database, platforms, chosen(f"{hook}/hook", server))
        await shop.worker.start()
        try:
            await shop.take(order(1, timestamp=str(now_ms())))
            await shop.until(lambda: len(got) == 2 and cio.events, "three messages")
        finally:
            await shop.worker.stop()

    assert [(each["type"], each["data"]["segment"], each["data"]["why"]) for each in got] == [
        ("Segment Entered", "just_now", "Order Completed"),
        ("Segment Left", "just_now", "time"),
    ]
    assert cio.people["user-1"]["signalpost_in_buyers"][0] is True
    assert {row[2] for row in shop.ledger() if row[1] in {"hook", "cio"} and row[3] != "not_mapped"} == {"accepted"}
