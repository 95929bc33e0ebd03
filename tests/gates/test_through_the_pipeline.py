"""Gates on the whole way of an event: read, stitched, remembered, withheld."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.gates.test_presets import workspace

from signalpost import pipeline, plan
from signalpost.sources import Received

NOW = 1_780_000_000_000
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1"

GATES = [
    "preset: zero_value",
    "preset: employee, email_domains: [glow.example], tags: [staff]",
    "preset: heavily_discounted, share: 40%",
    "preset: chronic_discounter, share: 10%, orders: 2",
    "preset: bot",
    "reason: Gold, when: {person.traits.plan.name: gold}",
    "reason: From far, when: {event.context.timezone: Pacific/Auckland}, destinations: [pinterest]",
]


def message(number: int, user: str, name: str, traits: dict[str, Any], context: dict[str, Any], **properties: Any) -> Received:
    """One message of a browser, a second after the one before."""
    at = NOW - 3_600_000 + number * 1000
    body = {
        "type": "track",
        "event": name,
        "messageId": f"m{number}",
        "userId": user,
        "timestamp": datetime.fromtimestamp(at / 1000, UTC).isoformat(),
        "context": {
            "ip": "203.0.113.7",
            "userAgent": SAFARI,
            "page": {"url": "https://glow.example/"},
            "traits": {"email": f"{user}@mail.example", **traits},
            **context,
        },
        "properties": {"order_id": f"o{number}", "currency": "USD", **properties},
    }
    return Received(
        source="web", wire="pipelines", method="POST", path="/v1/track", body=json.dumps(body).encode(), received_at=at + 1000
    )


def previewed(gates: list[str], messages: list[Received]) -> list[pipeline.Previewed]:
    """What becomes of the messages with these gates."""
    web = "sources: {web: {type: pipelines, write_key: k}}\n"
    found = workspace("gates:\n" + "".join(f"  - {{{gate}}}\n" for gate in gates) if gates else "", sources=web)
    return list(pipeline.preview(plan.plan(found), messages, lambda: NOW))


DISCOUNTED = {"total": 90, "revenue": 90, "subtotal": 90, "discount": 15}
MESSAGES = [
    message(1, "a", "Order Completed", {}, {}, revenue=0),
    message(2, "a", "Order Completed", {}, {}, revenue=50),
    message(3, "b", "Order Completed", {"email": "b@glow.example"}, {}, revenue=50),
    message(4, "c", "Order Completed", {}, {}, revenue=50, subtotal=50, discount=50),
    message(5, "d", "Order Completed", {}, {}, **DISCOUNTED),
    message(6, "d", "Order Completed", {}, {}, **DISCOUNTED),
    message(7, "e", "Product Added", {}, {"userAgent": "Googlebot/2.1"}, product_id="p1", price=5),
    message(8, "f", "Order Completed", {"tags": ["staff"]}, {}, revenue=5),
    message(9, "g", "Product Viewed", {"plan": {"name": "Gold"}}, {}, product_id="p1", price=5),
    message(10, "g", "Order Completed", {}, {}, revenue=5),
    message(11, "h", "Order Completed", {}, {"timezone": "Pacific/Auckland"}, revenue=5),
]

WITHHELD = {
    "m1": "gate:zero_value",
    "m3": "gate:employee",
    "m4": "gate:heavily_discounted",
    "m6": "gate:chronic_discounter",
    "m7": "gate:bot",
    "m8": "gate:employee",
    "m9": "gate:gold",
    "m10": "gate:gold",
    "m11": "gate:from_far",
}


def test_the_ledger_says_the_sentence_of_the_rule() -> None:
    """Each gate withholds its events where it applies, with its name as the reason and its condition as the sentence."""
    told = {(each.destination, each.message_id): each for each in previewed(GATES, MESSAGES)}
    for (destination, message_id), each in told.items():
        expected = WITHHELD.get(message_id or "")
        if expected == "gate:from_far" and destination == "tiktok":
            expected = None
        assert (each.reason, each.verdict) == (expected, "withheld" if expected else "ready"), (destination, message_id)
    assert told["tiktok", "m1"].sentence == "Your gate zero_value: order value is 0 or less."
    assert (told["tiktok", "m10"].sentence or "").endswith("person's trait plan.name is gold.")


@given(st.lists(st.sampled_from(MESSAGES), max_size=12), st.lists(st.sampled_from(GATES), max_size=4, unique=True))
def test_observing_changes_nothing(messages: list[Received], gates: list[str]) -> None:
    """Whatever the gates and the messages, with every gate observing the very same requests are made as without gates."""
    assert previewed([f"{gate}, mode: observing" for gate in gates], messages) == previewed([], messages)


@given(st.lists(st.sampled_from(GATES), min_size=1, unique=True))
def test_enforcing_only_takes_away(gates: list[str]) -> None:
    """A gate withholds or does nothing: what is still sent is sent as it would be without gates."""
    free = {(each.destination, each.message_id): each.request for each in previewed([], MESSAGES)}
    for each in previewed(gates, MESSAGES):
        assert each.reason is None or each.reason.startswith("gate:")
        assert each.request in {None, free[each.destination, each.message_id]}
