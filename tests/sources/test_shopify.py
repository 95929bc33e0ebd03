"""Shopify's webhooks as Segment ecommerce events."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from signalpost.events import Event
from signalpost.sources import Reading, Received, read
from signalpost.sources.wire import milliseconds

NOW = 1_795_320_000_000


def _both(amount: str) -> dict[str, Any]:
    return {
        "shop_money": {"amount": amount, "currency_code": "USD"},
        "presentment_money": {"amount": str(Decimal(amount) * 2), "currency_code": "CAD"},
    }


ORDER: dict[str, Any] = {
    "id": 820982911946154508,
    "name": "#GLOW-1001",
    "order_number": 1001,
    "checkout_id": 901414060,
    "cart_token": "Z2NwLWV1?key=abc",
    "email": "ada@example.test",
    "phone": None,
    "currency": "USD",
    "presentment_currency": "CAD",
    "total_price": "207.00",
    "total_price_set": _both("103.50"),
    "subtotal_price": "180.00",
    "subtotal_price_set": _both("90.00"),
    "total_tax_set": _both("8.50"),
    "total_discounts_set": _both("10.00"),
    "total_shipping_price_set": _both("5.00"),
    "discount_codes": [{"code": "SPRING10", "amount": "10.00", "type": "percentage"}],
    "financial_status": "paid",
    "processed_at": "2026-11-01T08:00:00-04:00",
    "created_at": "2026-11-01T08:00:05-04:00",
    "updated_at": "2026-11-01T09:00:00-04:00",
    "test": False,
    "source_name": "web",
    "landing_site": "/products/mug?ttclid=tt-1&_epik=dj0x&utm_source=tiktok",
    "referring_site": "https://www.tiktok.example.test/",
    "order_status_url": "https://shop.example.test/690933842/orders/abc/authenticate?key=secret",
    "note_attributes": [{"name": "_ttp", "value": "ttp-1"}, {"name": "ajs_anonymous_id", "value": "anon-1"}],
    "client_details": {"browser_ip": "203.0.113.7", "user_agent": "Mozilla/5.0", "accept_language": "en-US,en"},
    "customer": {
        "id": 115310627314723954,
        "email": "ada@example.test",
        "first_name": "Ada",
        "last_name": "L",
        "phone": "+15555550100",
        "tags": "vip, wholesale",
    },
    "billing_address": {"first_name": "Ada", "city": "Boston", "province_code": "MA", "zip": "02110", "country_code": "US"},
    "line_items": [
        {
            "id": 1,
            "product_id": 7001,
            "variant_id": 8001,
            "sku": "MUG-BLUE",
            "title": "Trail Mug",
            "variant_title": "Blue",
            "vendor": "Acme",
            "quantity": 2,
            "price": "40.00",
            "price_set": _both("20.00"),
        },
        {
            "id": 2,
            "product_id": None,
            "variant_id": None,
            "sku": "",
            "title": "Engraving",
            "quantity": 1,
            "price": "60.00",
            "price_set": _both("60.00"),
        },
    ],
}


def taken(topic: str, body: Any, **headers: str) -> Reading:
    named = {"x-shopify-topic": topic, "x-shopify-shop-domain": "glow.myshopify.test", **headers}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(
        Received(
            source="shop", wire="shopify", method="POST", path="/webhooks/shopify/shop", headers=named, body=raw, received_at=NOW
        )
    )


def one(topic: str, body: Any, **headers: str) -> Event:
    reading = taken(topic, body, **headers)
    assert reading.refusals == []
    return reading.events[0]


def test_an_order_paid_is_an_order_completed() -> None:
    """Amounts are the shop's money, ids are text, the buyer is known by every means the order has."""
    event = one("orders/paid", ORDER, **{"x-shopify-webhook-id": "w-1"})
    assert (event.kind, event.name, event.message_id) == ("track", "Order Completed", "shopify-w-1")
    assert event.time == milliseconds("2026-11-01T12:00:00Z")
    wanted = {
        "order_id": "820982911946154508",
        "total": "103.50",
        "subtotal": "90.00",
        "revenue": "90.00",
        "tax": "8.50",
        "shipping": "5.00",
        "discount": "10.00",
        "currency": "USD",
        "coupon": "SPRING10",
        "order_name": "#GLOW-1001",
        "order_number": 1001,
        "checkout_id": "901414060",
        "ttclid": "tt-1",
        "epik": "dj0x",
        "ttp": "ttp-1",
    }
    assert wanted.items() <= event.properties.items()
    assert event.properties["products"] == [
        {
            "product_id": "7001",
            "sku": "MUG-BLUE",
            "variant_id": "8001",
            "variant": "Blue",
            "name": "Trail Mug",
            "brand": "Acme",
            "price": "20.00",
            "quantity": 2,
        },
        {"product_id": "2", "name": "Engraving", "price": "60.00", "quantity": 1},
    ]
    assert event.identifiers == (
        ("user_id", "115310627314723954"),
        ("email", "ada@example.test"),
        ("phone", "+15555550100"),
        ("anonymous_id", "anon-1"),
        ("anonymous_id", "shopify-cart-Z2NwLWV1"),
    )
    assert event.traits["first_name"] == "Ada"
    assert event.traits["address"] == {"city": "Boston", "state": "MA", "zip": "02110", "country": "US", "postal_code": "02110"}
    assert event.traits["tags"] == ["vip", "wholesale"]
    assert event.context["ip"] == "203.0.113.7"
    assert event.context["userAgent"] == "Mozilla/5.0"
    assert event.context["page"]["url"] == "https://shop.example.test/products/mug?ttclid=tt-1&_epik=dj0x&utm_source=tiktok"
    assert event.context["page"]["referrer"] == "https://www.tiktok.example.test/"


def test_the_order_pages_key_goes_nowhere() -> None:
    """The address that opens the buyer's order page is in no part of the event."""
    assert "secret" not in repr(one("orders/paid", ORDER))


@pytest.mark.parametrize(
    ("topic", "status", "name"),
    [
        ("orders/create", "paid", "Order Completed"),
        ("orders/create", "pending", "Order Placed"),
        ("orders/create", "authorized", "Order Placed"),
        ("orders/create", None, "Order Placed"),
        ("orders/paid", None, "Order Completed"),
        ("orders/updated", "paid", "Order Updated"),
        ("orders/cancelled", "refunded", "Order Cancelled"),
    ],
)
def test_what_an_order_becomes(topic: str, status: str | None, name: str) -> None:
    """A purchase is an order whose money has come in; the order id is the same in every topic."""
    event = one(topic, {**ORDER, "financial_status": status, "cancelled_at": "2026-11-02T00:00:00Z"})
    assert event.name == name
    assert event.properties["order_id"] == "820982911946154508"


def test_a_delivery_repeated_has_the_same_id() -> None:
    """Shopify's webhook id is the message id; without one, topic and bytes are."""
    again = {"x-shopify-webhook-id": "w-1"}
    assert one("orders/paid", ORDER, **again).message_id == one("orders/paid", ORDER, **again).message_id
    assert one("orders/paid", ORDER).message_id == one("orders/paid", ORDER).message_id


def test_prices_with_tax_inside() -> None:
    """Where Shopify's prices hold tax, subtotal and shipping here do not: total = subtotal + tax + shipping."""
    order = {
        "id": 1,
        "currency": "EUR",
        "taxes_included": True,
        "total_price": "124.00",
        "subtotal_price": "119.00",
        "total_tax": "19.80",
        "total_shipping_price_set": {"shop_money": {"amount": "5.00", "currency_code": "EUR"}},
        "line_items": [{"id": 1, "price": "119.00", "quantity": 1, "tax_lines": [{"price": "19.00"}]}],
        "shipping_lines": [{"price": "5.00", "tax_lines": [{"price": "0.80"}]}],
    }
    properties = one("orders/paid", order).properties
    assert properties["subtotal"] == "100.00"
    assert properties["shipping"] == "4.20"
    parts = sum(Decimal(properties[name]) for name in ("subtotal", "tax", "shipping"))
    assert parts == Decimal(properties["total"])


def test_a_test_order_says_so() -> None:
    """Orders of Shopify's test gateway carry `test`."""
    assert one("orders/paid", {**ORDER, "test": True}).properties["test"] is True
    assert "test" not in one("orders/paid", ORDER).properties


def test_a_refund_names_its_order_and_what_went_back() -> None:
    """A refund's total is the money that went back; failed transactions do not count."""
    refund = {
        "id": 55,
        "order_id": 820982911946154508,
        "created_at": "2026-11-05T10:00:00Z",
        "transactions": [
            {"kind": "refund", "status": "success", "amount": "20.00", "currency": "USD"},
            {"kind": "refund", "status": "failure", "amount": "99.00", "currency": "USD"},
        ],
        "refund_line_items": [{"quantity": 1, "subtotal": "20.00", "total_tax": "0.00", "line_item": ORDER["line_items"][0]}],
    }
    event = one("refunds/create", refund)
    assert event.name == "Order Refunded"
    assert event.properties["order_id"] == "820982911946154508"
    assert (event.properties["total"], event.properties["currency"], event.properties["refund_id"]) == ("20.00", "USD", "55")
    assert event.properties["products"][0]["quantity"] == 1
    assert event.identifiers == ()


def test_checkouts_and_carts() -> None:
    """A new checkout has begun, a new cart has its first product; updates are snapshots under names of their own."""
    checkout = {**ORDER, "token": "chk-1", "landing_site": None}
    started = one("checkouts/create", checkout)
    assert (started.name, started.properties["checkout_id"], started.properties["value"]) == (
        "Checkout Started",
        "chk-1",
        "103.50",
    )
    assert one("checkouts/update", checkout).name == "Checkout Updated"
    cart = {"id": "c-1", "token": "c-1", "line_items": ORDER["line_items"][:1], "created_at": "2026-11-01T00:00:00Z"}
    added = one("carts/create", cart)
    assert (added.name, added.properties["product_id"], added.properties["value"]) == ("Product Added", "7001", "40.00")
    assert added.properties["currency"] == "USD"
    assert added.identifiers == (("anonymous_id", "shopify-cart-c-1"),)
    assert one("carts/update", cart).name == "Cart Updated"
    assert one("carts/create", {"token": "c-1", "line_items": []}).name == "Cart Updated"


def test_other_topics_are_accepted_and_noted() -> None:
    """A topic we have no use for is no error: Shopify would drop the subscription."""
    for topic in ("products/update", ""):
        reading = taken(topic, {"id": 1})
        assert (reading.events, reading.refusals, len(reading.notes)) == ([], [], 1)


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("orders/paid", {}),
        ("orders/paid", b"{"),
        ("refunds/create", {"id": 1}),
        ("carts/create", {}),
        ("checkouts/create", {}),
        ("orders/paid", []),
    ],
)
def test_a_document_without_its_id_is_refused(topic: str, body: Any) -> None:
    """What cannot be told apart cannot be an event."""
    reading = taken(topic, body)
    assert reading.events == []
    assert reading.refusals[0].sentence
