"""Segment-spec messages as events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost.errors import RequestError
from signalpost.sources import Reading, Received, read
from signalpost.sources.pipelines import read_message
from signalpost.sources.wire import BATCH_LIMIT, MESSAGE_LIMIT, derived_id, milliseconds

NOW = 1_795_320_000_000  # 2026-11-22T04:00:00Z


def taken(body: Any, path: str = "/v1/batch", **head: Any) -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(Received(source="web", wire="pipelines", method="POST", path=path, body=raw, **{"received_at": NOW, **head}))


def one(message: dict[str, Any], path: str = "/v1/track", **head: Any) -> Any:
    reading = taken({"userId": "u", "event": "E", **message}, path, **head)
    assert reading.refusals == []
    return reading.events[0]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/i", "identify"), ("/v1/t", "track"), ("/v1/p", "page"), ("/v1/s", "screen"), ("/v1/g", "group"), ("/v1/a", "merge")],
)
def test_the_path_says_the_type(path: str, kind: str) -> None:
    """A call's type is its path's, in the long and the short form, whatever the body claims."""
    message = {"userId": "u", "event": "E", "groupId": "g", "previousId": "p", "type": "nonsense"}
    assert taken(message, path).events[0].kind == kind


def test_null_and_blank_identifiers_are_absent_and_numbers_are_text() -> None:
    """An identifier is a text or not there."""
    assert one({"userId": 42, "anonymousId": None}).identifiers == (("user_id", "42"),)
    assert one({"userId": "", "anonymousId": 4.0}).identifiers == (("anonymous_id", "4"),)
    assert one({"userId": " ", "anonymousId": "a"}).identifiers == (("anonymous_id", "a"),)
    assert one({"userId": "ada@example.test"}).identifiers == (("user_id", "ada@example.test"), ("email", "ada@example.test"))


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ({"type": "track", "event": "E"}, "$.batch[1].userId"),
        ({"type": "track", "userId": "u"}, "$.batch[1].event"),
        ({"type": "track", "userId": "u", "event": " "}, "$.batch[1].event"),
        ({"type": "dance", "userId": "u"}, "$.batch[1].type"),
        ({"userId": "u"}, "$.batch[1].type"),
        ({"type": "track", "userId": {"a": 1}, "event": "E"}, "$.batch[1].userId"),
        ({"type": "track", "userId": "x" * 501, "event": "E"}, "$.batch[1].userId"),
        ({"type": "track", "userId": "u", "event": "E", "properties": "p"}, "$.batch[1].properties"),
        ({"type": "track", "userId": "u", "event": "E", "properties": ["p"]}, "$.batch[1].properties"),
        ({"type": "alias", "userId": "u"}, "$.batch[1].previousId"),
        ({"type": "group", "userId": "u"}, "$.batch[1].groupId"),
        ({"type": "track", "userId": "u", "event": "E", "properties": {"x": "x" * MESSAGE_LIMIT}}, "$.batch[1]"),
        ([], "$.batch[1]"),
        (None, "$.batch[1]"),
    ],
)
def test_a_bad_message_costs_nobody_else(message: Any, path: str) -> None:
    """The good messages of a batch are read; the bad one is refused with its path and a sentence."""
    good = {"type": "track", "userId": "u", "event": "E"}
    reading = taken({"batch": [good, message, good]})
    assert len(reading.events) == 2
    (refusal,) = reading.refusals
    assert (refusal.index, refusal.path) == (1, path)
    assert refusal.sentence.endswith(".")


def test_who_is_enough() -> None:
    """A message without ids is taken when it carries an e-mail or a phone number."""
    for place in (
        {"traits": {"email": "a@b.test"}},
        {"context": {"traits": {"phone": "1"}}},
        {"properties": {"email": "a@b.test"}},
    ):
        assert taken({"event": "E", **place}, "/v1/track").events


def test_batch_context_applies_to_every_item() -> None:
    """Context and integrations of the envelope hold for items that say nothing else."""
    items = [
        {"type": "track", "userId": "u", "event": "E"},
        {"type": "track", "userId": "u", "event": "E", "context": {"ip": "9.9.9.9"}},
    ]
    events = taken({"batch": items, "context": {"ip": "1.1.1.1", "app": 1}, "integrations": {"All": False}}).events
    assert [event.context["ip"] for event in events] == ["1.1.1.1", "9.9.9.9"]
    assert [event.context["app"] for event in events] == [1, 1]
    assert [event.context["integrations"] for event in events] == [{"All": False}] * 2


def test_the_clients_wrong_clock_is_corrected() -> None:
    """timestamp = receivedAt - (sentAt - originalTimestamp), once the clocks differ by more than the network explains."""
    slow = {"timestamp": "2026-11-22T02:00:00Z", "sentAt": "2026-11-22T02:00:10Z"}
    assert one(slow).time == NOW - 10_000
    network = {"timestamp": "2026-11-22T03:59:40Z", "sentAt": "2026-11-22T03:59:58Z"}
    assert one(network).time == NOW - 20_000
    backfill = {"timestamp": "2026-11-01T12:00:00.000Z", "sentAt": "2026-11-22T03:59:58Z"}
    assert one(backfill).time == milliseconds("2026-11-01T12:00:00Z")
    corrected_before = {**slow, "originalTimestamp": "2026-11-22T01:00:00Z"}
    assert one(corrected_before).time == milliseconds("2026-11-22T02:00:00Z")


def test_no_time_or_nonsense_is_the_time_of_receipt() -> None:
    """A purchase is not lost to a bad timestamp."""
    assert one({}).time == NOW
    reading = taken({"userId": "u", "event": "E", "timestamp": "yesterday"}, "/v1/track")
    assert reading.events[0].time == NOW
    assert "timestamp" in reading.notes[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T01:00:01+01:00", 1_000),
        ("1970-01-01T00:00:01", 1_000),
        ("1970-01-01T00:00:01.123456789Z", 1_123),
        ("1970-01-01 00:00:01 UTC", 1_000),
        ("1970-01-02", 86_400_000),
        (1_767_225_600, 1_767_225_600_000),
        (1_767_225_600.5, 1_767_225_600_500),
        (1_767_225_600_123, 1_767_225_600_123),
        ("1767225600", 1_767_225_600_000),
        ("1767225600.25", 1_767_225_600_250),
        ("1767225600123", 1_767_225_600_123),
        ("soon", None),
        ("", None),
        (True, None),
        (-5, None),
        (10**30, None),
        ({"a": 1}, None),
    ],
)
def test_points_in_time(value: Any, expected: int | None) -> None:
    """ISO 8601, seconds and milliseconds, as numbers or text, are one point in time; anything else is none."""
    assert milliseconds(value) == expected


def test_a_retry_has_the_same_id() -> None:
    """Without a message id the bytes are the id: a retry repeats it, another message does not."""
    batch = {"batch": [{"type": "track", "userId": "u", "event": "E"}] * 2}
    first, retry = taken(batch), taken(batch, received_at=NOW + 5_000)
    assert [event.message_id for event in first.events] == [event.message_id for event in retry.events]
    assert len({event.message_id for event in first.events}) == 2
    later = taken(batch, received_at=NOW + 3_600_000)
    assert not {event.message_id for event in first.events} & {event.message_id for event in later.events}
    timed = {"batch": [{"type": "track", "userId": "u", "event": "E", "timestamp": "2026-11-22T00:00:00Z"}]}
    assert taken(timed).events[0].message_id == taken(timed, received_at=NOW + 3_600_000).events[0].message_id


def test_message_ids_are_kept_or_shortened() -> None:
    """A client's id is kept; one too long becomes its digest, so it still deduplicates."""
    assert one({"messageId": "m-1"}).message_id == "m-1"
    assert one({"messageId": 7}).message_id == "7"
    assert one({"messageId": "x" * 300}).message_id == derived_id(b"x" * 300)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("User Deleted", "delete"),
        ("User Suppressed", "suppress"),
        ("User Unsuppressed", "unsuppress"),
        ("Device Created or Updated", "device"),
        ("Report Delivery Event", "engagement"),
        ("Order Completed", "track"),
    ],
)
def test_semantic_events_have_their_kind(name: str, kind: str) -> None:
    """What Customer.io acts on itself is told apart from what the shop's people did."""
    assert one({"event": name}).kind == kind


def test_a_page_brings_its_address() -> None:
    """A page call of a server library has its address in the properties only; it becomes the context's page."""
    event = one({"name": "Mug", "category": "Shop", "properties": {"url": "https://s.test/p", "x": 1}}, "/v1/page")
    assert event.context["page"] == {"url": "https://s.test/p"}
    assert event.properties == {"url": "https://s.test/p", "x": 1, "name": "Mug", "category": "Shop"}


def test_a_persons_device_lends_its_address() -> None:
    """Address and user agent of a browser fill what the message lacks, and only that."""
    browser = {"client_ip": "198.51.100.9", "user_agent": "Mozilla/5.0"}
    assert one({}, **browser).context == {"ip": "198.51.100.9", "userAgent": "Mozilla/5.0"}
    assert one({"context": {"ip": "9.9.9.9"}}, **browser).context == {"ip": "9.9.9.9", "userAgent": "Mozilla/5.0"}
    assert one({"context": {"library": {"name": "analytics-python"}}}, **browser).context == {
        "library": {"name": "analytics-python"}
    }
    assert one({}, client_ip="198.51.100.9", user_agent="python-requests/2").context == {}
    app = one({}, client_ip="198.51.100.9", user_agent="analytics-kotlin/1.24.1")
    assert app.context == {"ip": "198.51.100.9"}


def test_a_browser_library_is_one_whatever_its_agent() -> None:
    """text/plain is how browser libraries write; no server library does."""
    browser: dict[str, Any] = {
        "client_ip": "198.51.100.9",
        "user_agent": "python-httpx/1",
        "headers": {"content-type": "text/plain"},
    }
    assert one({}, **browser).context["ip"] == "198.51.100.9"


def test_an_odd_envelope_costs_no_message() -> None:
    """Context and integrations of the envelope may be an array, as PHP writes empty objects."""
    item = {"type": "track", "userId": "u", "event": "E", "messageId": "m"}
    assert taken({"batch": [item], "context": [], "integrations": "x"}).events[0].context == {}


def test_almost_json_is_repaired() -> None:
    """NaN, half an emoji, a byte order mark and U+0000 cost no order."""
    for raw in (
        b'{"userId":"u","event":"E","properties":{"total":NaN}}',
        b'{"userId":"u","event":"E","properties":{"name":"\\ud83d"}}',
        b'\xef\xbb\xbf{"userId":"u","event":"E"}',
        b'{"userId":"u","event":"E","properties":{"name":"\xff"}}',
        b'{"userId":"u","event":"E","properties":{"total":1e999}}',
        b'{"userId":"u\\u0000","event":"E"}',
    ):
        for body, path in (
            (raw, "/v1/track"),
            (b'{"batch":[' + raw.replace(b"{", b'{"type":"track",', 1).lstrip(b"\xef\xbb\xbf") + b"]}", "/v1/batch"),
        ):
            reading = taken(body, path)
            assert reading.refusals == [], body
            assert reading.events[0].identifiers == (("user_id", "u"),)
            json.dumps(reading.events[0].properties, allow_nan=False).encode()


def test_php_writes_empty_objects_as_arrays() -> None:
    """`[]` stands for `{}`."""
    assert one({"properties": [], "context": []}).properties == {}


def test_nesting_has_a_limit() -> None:
    """A message deeper than anything later could write again is refused; a merely deep one is taken."""

    def deep(levels: int) -> bytes:
        return b'{"userId":"u","event":"E","properties":{"a":' + b"[" * levels + b"]" * levels + b"}}"

    assert taken(deep(40), "/v1/track").events
    for levels in (100, 900, 5_000):
        assert taken(deep(levels), "/v1/track").refusals[0].code == "too_large"


def test_requests_have_limits() -> None:
    """A body over 1 MB and a batch over 2,500 messages are refused as a whole."""
    assert taken(b"[" + b" " * BATCH_LIMIT + b"]").refusals[0].code == "too_large"
    assert taken({"batch": [{}] * 2_501}).refusals[0].code == "too_many"
    assert len(taken({"batch": [{"type": "track", "userId": "u", "event": "E"}] * 2_500}).events) == 2_500


def test_a_file_is_read_without_touching_its_clock() -> None:
    """A message from a file keeps its time, however long ago it was sent."""
    line = b'{"type":"track","userId":"u","event":"E","timestamp":"2020-01-01T00:00:00Z","sentAt":"2020-01-01T00:00:05Z"}'
    assert read_message(line, source="file", received_at=NOW).time == milliseconds("2020-01-01T00:00:00Z")
    for bad in (b"", b"{", b"[]", b'{"type":"track"}', b'{"type":1}', b"[" * 3_000):
        with pytest.raises(RequestError):
            read_message(bad, source="file", received_at=NOW)


@given(st.lists(st.integers(1, 30), max_size=6))
def test_how_messages_are_batched_does_not_matter(cuts: list[int]) -> None:
    """Timed messages with ids read the same however they are cut into batches."""
    messages = [{"type": "track", "userId": f"u{number}", "event": "E", "messageId": f"m{number}"} for number in range(30)]
    whole = taken({"batch": messages}).events
    cut: list[Any] = []
    last = 0
    for here in [*sorted(cuts), 30]:
        cut += taken({"batch": messages[last:here]}).events
        last = here
    assert cut == whole
