"""Signed webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from .conftest import SHOP_SECRET, SIGNING_KEY, Journal, application

SHOP_BODY = b'{"id":1001,"name":"#1001","total_price":"103.50","currency":"USD"}'
SHOP_SIGNATURE = "UtBNe90KPdHONTSyKAtQQqox9n8D2AhEeqNIfwoytRI="
REPORT_BODY = (
    b'{"event_id":"01EXAMPLEEVENTID0000000001","object_type":"email","metric":"clicked","timestamp":1795319990,'
    b'"data":{"delivery_id":"dlv-1","recipient":"ada@example.test","href":"https://shop.example.test/p/1","link_id":1}}'
)
REPORT_SIGNATURE = "4d55883a3276315b32da090504fa9180ca20de316024b212715eb1e4a751dc08"


async def post(journal: Journal, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    app: Any = application(journal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://s.test") as sender:
        return await sender.post(path, content=body, headers=headers)


async def test_shopify_signs_with_base64() -> None:
    """The published example is taken, with its topic and ids in the journal."""
    journal = Journal()
    headers = {
        "X-Shopify-Hmac-Sha256": SHOP_SIGNATURE,
        "X-Shopify-Topic": "orders/paid",
        "X-Shopify-Webhook-Id": "w-1",
        "X-Other": "x",
    }
    answer = await post(journal, "/webhooks/shopify/shop", SHOP_BODY, headers)
    assert (answer.status_code, answer.content) == (200, b"{}")
    received, reading = journal.taken[0]
    assert received.headers == {"x-shopify-topic": "orders/paid", "x-shopify-webhook-id": "w-1"}
    assert (reading.events[0].name, reading.events[0].message_id) == ("Order Completed", "shopify-w-1")


@pytest.mark.parametrize("prefix", ["", "v0="])
async def test_customerio_signs_with_hex(prefix: str) -> None:
    """The published example is taken, also with the version before the signature."""
    journal = Journal()
    headers = {"X-CIO-Timestamp": "1795320000", "X-CIO-Signature": prefix + REPORT_SIGNATURE}
    answer = await post(journal, "/webhooks/customerio/messages", REPORT_BODY, headers)
    assert answer.status_code == 200
    assert journal.events[0].name == "Email Clicked"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/webhooks/shopify/shop", {}),
        ("/webhooks/shopify/shop", {"X-Shopify-Hmac-Sha256": SHOP_SIGNATURE.lower()}),
        ("/webhooks/shopify/shop", {"X-Shopify-Hmac-Sha256": "é"}),
        ("/webhooks/customerio/messages", {"X-CIO-Timestamp": "1795320000"}),
        ("/webhooks/customerio/messages", {"X-CIO-Timestamp": "1795320001", "X-CIO-Signature": REPORT_SIGNATURE}),
        ("/webhooks/customerio/messages", {"X-CIO-Signature": "v0="}),
    ],
)
async def test_a_wrong_signature_is_401(path: str, headers: dict[str, str]) -> None:
    """Nothing unsigned or signed for another moment is stored."""
    journal = Journal()
    body = SHOP_BODY if "shopify" in path else REPORT_BODY
    encoded: Any = {name: value.encode("latin-1") for name, value in headers.items()}
    assert (await post(journal, path, body, encoded)).status_code == 401
    assert journal.taken == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"x":1}', b"\xff"])
async def test_a_signed_webhook_is_never_sent_back(body: bytes) -> None:
    """What is signed is accepted whatever it says: a refusal would hold back everything behind it. The journal tells."""
    journal = Journal()
    shop = base64.b64encode(hmac.digest(SHOP_SECRET.encode(), body, hashlib.sha256)).decode()
    headers = {"X-Shopify-Hmac-Sha256": shop, "X-Shopify-Topic": "orders/paid"}
    assert (await post(journal, "/webhooks/shopify/shop", body, headers)).status_code == 200
    report = hmac.new(SIGNING_KEY.encode(), b"v0:1:" + body, hashlib.sha256).hexdigest()
    headers = {"X-CIO-Timestamp": "1", "X-CIO-Signature": report}
    assert (await post(journal, "/webhooks/customerio/messages", body, headers)).status_code == 200
    assert [len(reading.refusals) for _, reading in journal.taken] == [1, 1]


async def test_a_large_order_fits() -> None:
    """A webhook is one document and may have 4 MB; more is refused."""
    journal = Journal()
    for lines, status in ((10_000, 200), (60_000, 413)):
        line = {"id": 1, "product_id": 2, "title": "A mug", "price": "1.00", "quantity": 1, "sku": "MUG"}
        body = json.dumps({"id": 1, "currency": "USD", "line_items": [line] * lines}).encode()
        signature = base64.b64encode(hmac.digest(SHOP_SECRET.encode(), body, hashlib.sha256)).decode()
        headers = {"X-Shopify-Hmac-Sha256": signature, "X-Shopify-Topic": "orders/paid"}
        assert (await post(journal, "/webhooks/shopify/shop", body, headers)).status_code == status
    assert len(journal.events[0].properties["products"]) == 10_000
