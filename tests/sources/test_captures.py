"""The recorded requests of six clients, read."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from signalpost.events import Event
from signalpost.sources import Received, read
from signalpost.sources.wire import Wire

CAPTURES = Path(__file__).parent / "captures"
NOW = 1_795_320_500_000


def _lines() -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for file in sorted(CAPTURES.glob("*.jsonl"))
        for line in file.read_text().splitlines()
        if json.loads(line)["method"] != "GET"
    ]


def _received(line: dict[str, Any]) -> Received:
    body = json.dumps(line["body"]).encode() if line["body"] is not None else b""
    if "raw_body_base64" in line:
        body = gzip.decompress(base64.b64decode(line["raw_body_base64"]))
    path = line["path"]
    wire: Wire = "pipelines" if path.startswith("/v1/") else "track_v2" if path.startswith("/api/v2/") else "track_v1"
    agent = line["headers"].get("user-agent")
    return Received(
        source="web",
        wire=wire,
        method=line["method"],
        path=path,
        body=body,
        user_agent=agent,
        client_ip="198.51.100.9",
        received_at=NOW,
    )


LINES = _lines()
NAMES = [f"{line['client']}-{line['scenario']}-{line['seq']}" for line in LINES]


@pytest.mark.parametrize("line", LINES, ids=NAMES)
def test_every_recorded_request_is_read(line: dict[str, Any]) -> None:
    """What an official client sends is never refused, except the item that a recording makes wrong on purpose."""
    reading = read(_received(line))
    wrong_on_purpose = line["client"] == "async-customerio" and line["path"] == "/api/v2/batch"
    assert len(reading.refusals) == (1 if wrong_on_purpose else 0)
    assert reading.events


@pytest.mark.parametrize("line", LINES, ids=NAMES)
def test_reading_twice_gives_the_same(line: dict[str, Any]) -> None:
    """The pipeline reads what the intake read: same bytes, same events, same ids."""
    received = _received(line)
    assert read(received) == read(received)


def _of(scenario: str) -> list[Event]:
    return [event for line in LINES if line["scenario"] == scenario for event in read(_received(line)).events]


def test_an_order_is_the_same_event_from_every_client() -> None:
    """Whatever client reports it, an order completed has the same name, person and properties."""
    orders = _of("track-order-completed")
    assert len(orders) == 6
    for order in orders:
        assert order.kind == "track"
        assert order.name == "Order Completed"
        assert ("user_id", "cust-1001") in order.identifiers
        assert order.properties["order_id"] == "ord-5001"
        assert order.properties["total"] == 103.5
        assert [product["product_id"] for product in order.properties["products"]] == ["p-1", "p-2"]


def test_a_server_library_lends_nobody_its_address() -> None:
    """The address and agent of a shop's server never stand for the buyer's; a browser's do."""
    for line in LINES:
        for event in read(_received(line)).events:
            if line["client"] == "cdp-analytics-browser":
                assert event.context["ip"] == "198.51.100.9"
            else:
                assert event.context.get("ip") in {None, "203.0.113.7"}  # the latter the caller said
                assert event.context.get("userAgent") in {None, "Mozilla/5.0 (test)"}


def test_person_identifiers_keep_their_kind() -> None:
    """A path identifier is a Customer.io id, an e-mail (percent-decoded, plus kept) or an id, by its shape."""
    assert {event.identifiers[0] for event in _of("identify-by-email-path")} == {("email", "ada+vip@example.test")}
    assert _of("identify-by-cio_id")[0].identifiers == (("cio_id", "d9c106000001"), ("email", "ada@example.test"))
    assert _of("numeric-user-id")[0].identifiers == (("user_id", "42"),)


def test_an_identify_attaches_the_anonymous_id() -> None:
    """`anonymous_id` in a Track identify is an identifier, not a trait."""
    events = _of("track-anonymous-then-identify")
    assert {event.kind for event in events} == {"track", "identify"}
    for event in events:
        assert ("anonymous_id", "anon-7f3a") in event.identifiers
        assert "anonymous_id" not in event.traits


def test_merges_name_both_sides() -> None:
    """Alias and merge say who stays and who is joined to them."""
    for event in _of("merge"):
        assert event.kind == "merge"
        assert event.identifiers == (("user_id", "cust-1001"),)
        assert event.previous == (("email", "old@example.test"),)
    previous = [event.previous for event in _of("alias")]
    assert (("anonymous_id", "anon-7f3a"),) in previous
    assert (("user_id", "cust-1001"), ("anonymous_id", "cust-1001")) in previous


def test_a_deletion_is_a_deletion_on_every_wire() -> None:
    """DELETE, v2 delete and the semantic event all become kind `delete`."""
    assert {event.kind for event in _of("delete")} == {"delete"}
    assert {event.kind for event in _of("delete-user-semantic-event")} == {"delete"}
