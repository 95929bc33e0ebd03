"""Customer.io's Track API, both versions, as events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from signalpost.sources import Reading, Received, read
from signalpost.sources.wire import MESSAGE_LIMIT

NOW = 1_795_320_000_000


def v1(path: str, body: Any = None, method: str = "POST") -> Reading:
    raw = b"" if body is None else json.dumps(body).encode()
    return read(Received(source="cio", wire="track_v1", method=method, path=path, body=raw, received_at=NOW))


def v2(body: Any, path: str = "/api/v2/entity") -> Reading:
    return read(
        Received(source="cio", wire="track_v2", method="POST", path=path, body=json.dumps(body).encode(), received_at=NOW)
    )


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("cust-1", ("user_id", "cust-1")),
        ("cio_d9c106000001", ("cio_id", "d9c106000001")),
        ("cio_", ("user_id", "cio_")),
        ("ada%2Bvip%40example.test", ("email", "ada+vip@example.test")),
        ("ada+vip@example.test", ("email", "ada+vip@example.test")),
        ("%2B15555550100", ("user_id", "+15555550100")),
        ("a%2Fb", ("user_id", "a/b")),
        ("50%25", ("user_id", "50%")),
    ],
)
def test_the_shape_of_a_path_identifier_is_its_kind(identifier: str, expected: tuple[str, str]) -> None:
    """`cio_`, an e-mail or else an id; percent-decoded once, a plus stays a plus."""
    assert v1(f"/api/v1/customers/{identifier}/suppress").events[0].identifiers == (expected,)


def test_identify_separates_facts_from_instructions() -> None:
    """Reserved keys do not become traits; ids in the body are identifiers too."""
    body = {
        "id": "other",
        "email": "ada@example.test",
        "anonymous_id": "a-1",
        "created_at": 1_767_225_600,
        "_timestamp": 1_767_225_700,
        "_update": True,
        "plan": "gold",
    }
    event = v1("/api/v1/customers/c-1", body, "PUT").events[0]
    assert event.kind == "identify"
    assert event.identifiers == (("user_id", "c-1"), ("user_id", "other"), ("email", "ada@example.test"), ("anonymous_id", "a-1"))
    assert event.traits == {"id": "other", "email": "ada@example.test", "created_at": 1_767_225_600, "plan": "gold"}
    assert event.properties == {"_update": True, "_timestamp": 1_767_225_700}
    assert event.time == 1_767_225_700_000


@pytest.mark.parametrize("stamp", [1_767_225_700, "1767225700", "1767225700.0", 1_767_225_700.9])
def test_seconds_come_as_numbers_and_as_text(stamp: Any) -> None:
    """A timestamp is unix seconds, also as a numeric string or a decimal."""
    event = v1("/api/v1/customers/c/events", {"name": " Order Completed ", "timestamp": stamp, "id": "01J"}).events[0]
    assert event.time // 1_000 == 1_767_225_700
    assert (event.name, event.message_id) == ("Order Completed", "01J")


def test_events_pages_and_screens() -> None:
    """`type` decides the kind; a page view's name is its address."""
    page = v1(
        "/api/v1/customers/c/events", {"name": "https://s.test/p?ttclid=1", "type": "page", "data": {"referrer": "r"}}
    ).events[0]
    assert page.kind == "page"
    assert page.context["page"] == {"url": "https://s.test/p?ttclid=1", "referrer": "r"}
    assert v1("/api/v1/customers/c/events", {"name": "Home", "type": "screen"}).events[0].kind == "screen"


def test_anonymous_events() -> None:
    """An event without a person belongs to its anonymous id, an invitation to its recipient."""
    assert v1("/api/v1/events", {"name": "E", "anonymous_id": 7}).events[0].identifiers == (("anonymous_id", "7"),)
    invited = v1("/api/v1/events", {"name": "E", "data": {"recipient": "new@example.test"}}).events[0]
    assert invited.identifiers == (("email", "new@example.test"),)
    assert v1("/api/v1/events", {"name": "E", "anonymous_id": ""}).events[0].identifiers == ()


def test_devices_deletion_and_blocking() -> None:
    """Each has its kind; devices are noted as not used."""
    device = v1("/api/v1/customers/c/devices", {"device": {"id": "tok", "platform": "iOS", "last_used": 1}}, "PUT")
    assert device.events[0].kind == "device"
    assert device.events[0].context == {"device": {"token": "tok", "type": "ios"}}
    assert device.notes
    assert v1("/api/v1/customers/c/devices/tok", None, "DELETE").events[0].name == "Device Deleted"
    assert v1("/api/v1/customers/c", None, "DELETE").events[0].kind == "delete"
    for kind in ("suppress", "unsuppress"):
        assert v1(f"/api/v1/customers/c/{kind}", {}).events[0].kind == kind


def test_forms_metrics_and_segments() -> None:
    """A form is a person and an event, a metric an engagement."""
    form = v1(
        "/api/v1/forms/news/submit", {"data": {"email": "a@example.test", "first_name": "Ada", "form_url": "https://s.test/f"}}
    )
    assert [(event.kind, event.name) for event in form.events] == [("identify", ""), ("track", "Form Submitted")]
    assert form.events[1].context == {"page": {"url": "https://s.test/f"}}
    assert "form_url" not in form.events[0].traits
    metric = v1("/api/v1/metrics", {"delivery_id": "d", "metric": "opened", "timestamp": 1_767_225_700}).events[0]
    assert (metric.kind, metric.name, metric.time) == ("engagement", "Message Opened", 1_767_225_700_000)
    push = v1("/api/v1/push/events", {"delivery_id": "d", "event": "opened", "device_id": "x", "timestamp": 1}).events[0]
    assert push.name == "Push Opened"


def test_manual_segments() -> None:
    """Who comes into a manual segment or leaves it is identified by the kind of id the call names, with the segment's trait."""
    entered = v1("/api/v1/segments/7/add_customers?id_type=email", {"ids": ["a@example.test", "b@example.test"]})
    assert [(event.kind, event.identifiers, event.traits) for event in entered.events] == [
        ("identify", (("email", "a@example.test"),), {"customerio_segment_7": True}),
        ("identify", (("email", "b@example.test"),), {"customerio_segment_7": True}),
    ]
    assert len({event.message_id for event in entered.events}) == 2
    assert (entered.refusals, entered.notes) == ([], [])
    left = v1("/api/v1/segments/7/remove_customers", {"ids": ["c1", 5, "c1", " ", None, ["x"]]})
    assert [(event.identifiers, event.traits) for event in left.events] == [
        ((("user_id", "c1"),), {"customerio_segment_7": False}),
        ((("user_id", "5"),), {"customerio_segment_7": False}),
    ]
    assert len(left.notes) == 1
    known = v1("/api/v1/segments/7/add_customers?id_type=cio_id", {"ids": ["cio_03000001", "03000002"]})
    assert [event.identifiers for event in known.events] == [(("cio_id", "03000001"),), (("cio_id", "03000002"),)]
    for nobody in (["c1"], []):
        reading = v1("/api/v1/segments/7/add_customers?id_type=email", {"ids": nobody})
        assert (reading.events, len(reading.notes)) == ([], 1)


@pytest.mark.parametrize(
    ("path", "method", "body", "at"),
    [
        ("/api/v1/customers/c/events", "POST", {}, "$.name"),
        ("/api/v1/customers/c/events", "POST", {"name": " "}, "$.name"),
        ("/api/v1/customers/c/events", "POST", {"name": "n" * 501}, "$.name"),
        ("/api/v1/customers/c/events", "POST", {"name": "E", "data": "d"}, "$.data"),
        ("/api/v1/customers/c/events", "POST", [], "$"),
        ("/api/v1/customers/%20/events", "POST", {"name": "E"}, "$.identifier"),
        (f"/api/v1/customers/{'c' * 151}", "PUT", {}, "$.identifier"),
        ("/api/v1/customers/c", "PUT", {f"a{number}": 1 for number in range(301)}, "$"),
        ("/api/v1/customers/c", "PUT", {"a": "x" * 1_001}, "$.a"),
        ("/api/v1/customers/c/devices", "PUT", {}, "$.device"),
        ("/api/v1/customers/c/devices", "PUT", {"device": {"platform": "ios"}}, "$.device.id"),
        ("/api/v1/merge_customers", "POST", {"primary": {"id": "a"}}, "$.secondary"),
        ("/api/v1/merge_customers", "POST", {"primary": {"id": "a", "email": "e@x.test"}, "secondary": {"id": "b"}}, "$.primary"),
        ("/api/v1/merge_customers", "POST", {"primary": {"id": "a"}, "secondary": {"id": "a"}}, "$.secondary"),
        ("/api/v1/metrics", "POST", {"metric": "opened"}, "$.delivery_id"),
        ("/api/v1/metrics", "POST", {"delivery_id": "d"}, "$.metric"),
        ("/api/v1/segments/7/add_customers", "POST", {"ids": ["x"] * 1_001}, "$.ids"),
        ("/api/v1/forms/f/submit", "POST", {"data": {"id": "a", "email": "e@x.test"}}, "$.data"),
        ("/unsubscribe/d", "POST", {"unsubscribe": False}, "$.unsubscribe"),
    ],
)
def test_refusals_say_where(path: str, method: str, body: Any, at: str) -> None:
    """A refused call has no event, one path and one sentence."""
    reading = v1(path, body, method)
    assert reading.events == []
    (refusal,) = reading.refusals
    assert refusal.path == at
    assert refusal.sentence


def test_an_events_data_has_its_own_limit() -> None:
    """A v1 event's data may have 100,000 bytes, more than a message elsewhere."""
    assert v1("/api/v1/customers/c/events", {"name": "E", "data": {"x": "x" * 90_000}}).events
    assert v1("/api/v1/customers/c/events", {"name": "E", "data": {"x": "x" * 110_000}}).refusals[0].code == "too_large"


PERSON = {"type": "person", "identifiers": {"id": "c"}}


@pytest.mark.parametrize(
    ("entity", "kind", "identifiers"),
    [
        (
            {**PERSON, "action": "identify", "attributes": {"email": "e@x.test"}},
            "identify",
            (("user_id", "c"), ("email", "e@x.test")),
        ),
        ({**PERSON, "action": "delete"}, "delete", (("user_id", "c"),)),
        ({**PERSON, "action": "suppress"}, "suppress", (("user_id", "c"),)),
        ({**PERSON, "action": "unsuppress"}, "unsuppress", (("user_id", "c"),)),
        ({**PERSON, "action": "event", "name": "E"}, "track", (("user_id", "c"),)),
        ({**PERSON, "action": "page", "name": "E"}, "page", (("user_id", "c"),)),
        ({**PERSON, "action": "screen", "name": "E"}, "screen", (("user_id", "c"),)),
        ({**PERSON, "action": "add_relationships", "cio_relationships": []}, "group", (("user_id", "c"),)),
        ({**PERSON, "action": "add_device", "device": {"token": "t", "platform": "android"}}, "device", (("user_id", "c"),)),
        ({**PERSON, "action": "delete_device", "device": {"token": "t"}}, "device", (("user_id", "c"),)),
        (
            {"type": "person", "action": "merge", "primary": {"id": "c"}, "secondary": {"phone": "+1"}},
            "merge",
            (("user_id", "c"),),
        ),
        (
            {"type": "person", "action": "event", "name": "E", "identifiers": {"anonymous_id": "a"}},
            "track",
            (("anonymous_id", "a"),),
        ),
        (
            {"type": "person", "action": "event", "name": "E", "identifiers": {"cio_id": "cio_1", "id": None}},
            "track",
            (("cio_id", "1"),),
        ),
        ({"type": "object", "action": "identify", "identifiers": {"object_type_id": "1", "object_id": "a"}}, "group", ()),
        (
            {
                "type": "delivery",
                "action": "event",
                "identifiers": {"id": "d"},
                "name": "opened",
                "attributes": {"device_token": "t"},
            },
            "engagement",
            (),
        ),
    ],
)
def test_every_v2_entity(entity: dict[str, Any], kind: str, identifiers: tuple[tuple[str, str], ...]) -> None:
    """Each type and action of version 2 is taken and has its kind."""
    (event,) = v2(entity).events
    assert (event.kind, event.identifiers) == (kind, identifiers)


@pytest.mark.parametrize(
    ("entity", "at"),
    [
        ({}, "type"),
        ({"type": "planet"}, "type"),
        ({"type": "person", "identifiers": {"id": "c"}}, "action"),
        ({**PERSON, "action": "dance"}, "action"),
        ({**PERSON, "action": "event"}, "name"),
        ({"type": "person", "action": "event", "name": "E"}, "identifiers"),
        ({"type": "person", "action": "event", "name": "E", "identifiers": {"id": "a", "email": "e@x.test"}}, "identifiers"),
        ({**PERSON, "action": "event", "name": "E", "attributes": {"x": "x" * MESSAGE_LIMIT}}, ""),
        ({"type": "object", "action": "identify", "identifiers": {}}, "identifiers"),
        ({"type": "delivery", "action": "event", "identifiers": {}, "name": "opened"}, "delivery_id"),
        ("text", ""),
    ],
)
def test_a_bad_item_of_a_v2_batch(entity: Any, at: str) -> None:
    """The item is refused at its place, its neighbours are taken."""
    good = {**PERSON, "action": "event", "name": "E"}
    reading = v2({"batch": [good, entity, good]}, "/api/v2/batch")
    assert len(reading.events) == 2
    (refusal,) = reading.refusals
    assert refusal.index == 1
    assert refusal.path == f"$.batch[1].{at}".rstrip(".")


def test_two_items_of_a_batch_have_two_ids() -> None:
    """Items without ids are told apart by their place and content."""
    items = [
        {**PERSON, "action": "delete"},
        {**PERSON, "action": "delete"},
        {**PERSON, "action": "add_device", "device": {"token": "t"}},
    ]
    ids = [event.message_id for event in v2({"batch": items}, "/api/v2/batch").events]
    assert len(set(ids)) == 3
    assert ids == [event.message_id for event in v2({"batch": items}, "/api/v2/batch").events]
