"""Whatever arrives, reading it gives events and refusals, never an exception, and always the same."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signalpost.errors import RequestError
from signalpost.sources import Received, pipelines, read
from signalpost.sources.pipelines import PATHS, read_message
from signalpost.sources.shopify import TOPICS
from signalpost.sources.wire import Wire, salvage

NOW = 1_795_320_000_000

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def objects(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have some of the names a wire reads, with any values."""
    return st.dictionaries(st.sampled_from(names), json_values, max_size=8)


messages = objects(
    "type",
    "userId",
    "anonymousId",
    "previousId",
    "groupId",
    "messageId",
    "timestamp",
    "originalTimestamp",
    "sentAt",
    "event",
    "name",
    "category",
    "properties",
    "traits",
    "context",
    "integrations",
    "channel",
) | st.fixed_dictionaries(
    {"type": st.sampled_from(["identify", "track", "page", "screen", "group", "alias"]), "userId": json_values},
    optional={
        "event": json_values,
        "timestamp": json_values | st.datetimes().map(str),
        "sentAt": json_values,
        "context": json_values,
        "properties": json_values,
        "traits": json_values,
        "integrations": json_values,
        "messageId": json_values,
        "previousId": json_values,
        "groupId": json_values,
    },
)
entities = objects(
    "type",
    "action",
    "identifiers",
    "attributes",
    "name",
    "id",
    "timestamp",
    "device",
    "cio_relationships",
    "primary",
    "secondary",
) | st.fixed_dictionaries(
    {
        "type": st.sampled_from(["person", "object", "delivery"]),
        "action": st.sampled_from(["identify", "event", "page", "merge", "delete", "add_device", "add_relationships"]),
        "identifiers": json_values | st.just({"id": "c"}),
    },
    optional={
        "attributes": json_values,
        "name": json_values,
        "timestamp": json_values,
        "device": json_values,
        "primary": json_values,
    },
)
people = objects(
    "id",
    "email",
    "phone",
    "anonymous_id",
    "_update",
    "_timestamp",
    "name",
    "data",
    "timestamp",
    "type",
    "device",
    "ids",
    "metric",
    "delivery_id",
    "primary",
    "secondary",
    "unsubscribe",
)
orders = objects(
    "id",
    "token",
    "order_id",
    "line_items",
    "customer",
    "note_attributes",
    "landing_site",
    "client_details",
    "total_price",
    "total_price_set",
    "subtotal_price",
    "taxes_included",
    "shipping_lines",
    "discount_codes",
    "transactions",
    "refund_line_items",
    "processed_at",
    "billing_address",
    "order_status_url",
    "cart_token",
    "financial_status",
    "email",
)
reports = objects("event_id", "object_type", "metric", "timestamp", "data") | st.fixed_dictionaries(
    {"metric": st.text(min_size=1), "data": objects("identifiers", "customer_id", "recipient", "machine")}
)

TRACK_PATHS = (
    ("PUT", "/api/v1/customers/{}"),
    ("DELETE", "/api/v1/customers/{}"),
    ("POST", "/api/v1/customers/{}/suppress"),
    ("POST", "/api/v1/customers/{}/events"),
    ("PUT", "/api/v1/customers/{}/devices"),
    ("DELETE", "/api/v1/customers/{}/devices/{}"),
    ("POST", "/api/v1/events"),
    ("POST", "/api/v1/merge_customers"),
    ("POST", "/api/v1/segments/{}/add_customers?id_type={}"),
    ("POST", "/api/v1/metrics"),
    ("POST", "/api/v1/push/events"),
    ("POST", "/api/v1/forms/{}/submit"),
    ("POST", "/unsubscribe/{}"),
    ("POST", "/{}"),
)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def check(wire: Wire, method: str, path: str, body: bytes, **headers: str) -> None:
    received = Received(
        source="s",
        wire=wire,
        method=method,
        path=path,
        headers=headers,
        body=body,
        client_ip="1.2.3.4",
        user_agent="x",
        received_at=NOW,
    )
    reading = read(received)
    assert reading == read(received)
    for event in reading.events:
        assert event.message_id
        assert all(value and "\x00" not in value for _, value in (*event.identifiers, *event.previous))
        msgspec.json.encode(event)  # what later stages write
        json.dumps(event.properties, allow_nan=False)
    for refusal in reading.refusals:
        assert refusal.path.startswith("$")
        assert refusal.sentence
        msgspec.json.encode(refusal)


@given(st.sampled_from(sorted(PATHS)), st.binary() | json_values.map(encoded) | messages.map(encoded))
@example("track", b'{"userId":"u","event":"E","timestamp":"0001-01-01T00:00:00+14:00"}')
@example("track", b'{"userId":1e400,"event":"E"}')
@example("track", b'{"userId":"\\ud800","event":"\\ud800"}')
def test_any_call(name: str, body: bytes) -> None:
    """One Pipelines call."""
    check("pipelines", "POST", f"/v1/{name}", body)


@given(st.lists(messages | json_values, max_size=5), objects("context", "integrations", "sentAt"))
def test_any_batch(items: list[Any], envelope: dict[str, Any]) -> None:
    """A Pipelines batch: every item is an event or a refusal."""
    check("pipelines", "POST", "/v1/batch", encoded({**envelope, "batch": items}))


@given(st.lists(messages | st.just({"type": "track", "userId": "u", "event": "E", "messageId": "m"}), max_size=5), json_values)
def test_reading_at_once_is_reading_one_by_one(items: list[Any], context: Any) -> None:
    """The quick way through a small batch finds what the way message by message finds."""
    body = encoded({"batch": items, "context": context})
    received = Received(source="s", wire="pipelines", method="POST", path="/v1/batch", body=body, received_at=NOW)
    at_once = pipelines._small(received, False)
    if at_once is not None:
        assert at_once == pipelines._message_by_message(received, False)


@given(messages)
def test_any_line_of_a_file(message: dict[str, Any]) -> None:
    """A line is a message or a RequestError with a sentence."""
    with contextlib.suppress(RequestError):
        assert read_message(encoded(message), source="file", received_at=NOW).message_id


@given(st.sampled_from(TRACK_PATHS), st.text(max_size=12), st.binary() | people.map(encoded) | json_values.map(encoded))
def test_any_track_call(address: tuple[str, str], identifier: str, body: bytes) -> None:
    """One call of the Track API, version 1."""
    quoted = quote(identifier, safe="", errors="replace")
    check("track_v1", address[0], address[1].replace("{}", quoted), body)


@given(st.lists(entities | json_values, max_size=4), st.binary())
def test_any_entities(items: list[Any], rest: bytes) -> None:
    """The Track API, version 2, alone and in batches."""
    check("track_v2", "POST", "/api/v2/batch", encoded({"batch": items}))
    check("track_v2", "POST", "/api/v2/batch", rest)
    check("track_v2", "POST", "/api/v2/entity", encoded(items[0]) if items else rest)


@pytest.mark.parametrize("topic", sorted(TOPICS))
@given(st.binary() | orders.map(encoded) | json_values.map(encoded))
def test_any_webhook_of_shopify(topic: str, body: bytes) -> None:
    """Any document under any topic."""
    check("shopify", "POST", "/webhooks/shopify/s", body, **{"x-shopify-topic": topic})


@given(st.binary() | reports.map(encoded) | json_values.map(encoded))
def test_any_report(body: bytes) -> None:
    """Any document from Customer.io's reporting."""
    check("reporting", "POST", "/webhooks/customerio/s", body)


@given(st.binary())
def test_salvaged_bytes_are_json(body: bytes) -> None:
    """What is repaired can be read, what cannot is None."""
    better = salvage(body)
    if better is not None:
        msgspec.json.decode(better)
