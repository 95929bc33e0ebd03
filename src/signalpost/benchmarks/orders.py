"""The events the benchmarks send: a 2 KB `Order Completed` with three products, as a browser client would write it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

NEW_PERSON_EVERY = 5
KNOWN_PEOPLE = 10_000

AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
PRODUCTS = [
    {
        "product_id": f"5072983{n}90",
        "sku": f"G-3{n}",
        "category": "Skin care",
        "name": f"Overnight recovery serum {n}",
        "brand": "Glow",
        "variant": f"{n}0 ml",
        "price": 19.5 + n,
        "quantity": n,
        "position": n,
        "url": f"https://shop.example/products/overnight-recovery-serum-{n}",
        "image_url": f"https://shop.example/images/overnight-recovery-serum-{n}.jpg",
    }
    for n in (1, 2, 3)
]


def person(number: int) -> dict[str, Any]:
    """Who buys: person `number`, always the same facts."""
    return {
        "email": f"Shopper.{number}@Example.test",
        "phone": f"+1 (415) {200 + number // 10_000 % 700:03d}-{number % 10_000:04d}",
        "firstName": "Ada",
        "lastName": f"Lovelace{number}",
        "address": {"city": "San Francisco", "state": "CA", "postal_code": f"{94_000 + number % 1000}", "country": "US"},
    }


def message(number: int, now: int, *, new_every: int = NEW_PERSON_EVERY) -> dict[str, Any]:
    """Event `number`: every fifth from a person never seen, the others from people known."""
    who = KNOWN_PEOPLE + number if number % new_every == 0 else number % KNOWN_PEOPLE
    moment = datetime.fromtimestamp(now / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": f"ajs-next-{number:032x}",
        "userId": f"cust-{who}",
        "anonymousId": f"6f9619ff-8b86-d011-b42d-{who:012x}",
        "timestamp": moment,
        "properties": {
            "checkout_id": f"fksdjfsdjfisjf9sdfjsd9f{number}",
            "order_id": f"ord-{number}",
            "affiliation": "Online store",
            "total": 161.62,
            "subtotal": 143.0,
            "revenue": 143.0,
            "shipping": 6.0,
            "tax": 12.62,
            "discount": 0,
            "currency": "USD",
            "products": PRODUCTS,
        },
        "context": {
            "ip": f"203.0.113.{number % 250 + 1}",
            "userAgent": AGENT,
            "locale": "en-US",
            "page": {
                "url": f"https://shop.example/checkout/thanks?order={number}",
                "path": "/checkout/thanks",
                "referrer": "https://shop.example/checkout",
                "title": "Thank you",
            },
            "library": {"name": "analytics.js", "version": "npm:next-0.5.11"},
            "traits": person(who),
        },
    }


def of_person(who: int) -> dict[str, Any]:
    """What in a message says whose it is: person `who`, by their customer id and what they say of themselves."""
    return {
        "userId": f"cust-{who}",
        "anonymousId": f"6f9619ff-8b86-d011-b42d-{who:012x}",
        "context": {"ip": f"203.0.113.{who % 250 + 1}", "userAgent": AGENT, "traits": person(who)},
    }


def body(messages: list[dict[str, Any]]) -> bytes:
    """Messages as a batch request."""
    return msgspec.json.encode({"batch": messages})


def bodies(first: int, count: int, now: int, *, size: int = 100) -> list[bytes]:
    """`count` events as encoded batch requests of `size`."""
    return [
        body([message(number, now) for number in range(start, min(start + size, first + count))])
        for start in range(first, first + count, size)
    ]
