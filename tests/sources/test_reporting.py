"""Customer.io's reporting webhooks as engagement events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from signalpost.sources import Reading, Received, read

NOW = 1_795_320_000_000


def taken(body: Any) -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(
        Received(source="cio", wire="reporting", method="POST", path="/webhooks/customerio/cio", body=raw, received_at=NOW)
    )


def report(object_type: str, metric: str, **data: Any) -> dict[str, Any]:
    return {"event_id": "01E", "object_type": object_type, "metric": metric, "timestamp": 1_795_319_990, "data": data}


@pytest.mark.parametrize(
    ("object_type", "metric", "name"),
    [
        ("email", "sent", "Email Sent"),
        ("email", "opened", "Email Opened"),
        ("sms", "delivered", "SMS Delivered"),
        ("in_app", "clicked", "In-App Clicked"),
        ("whatsapp", "replied", "WhatsApp Replied"),
        ("push", "attempted", "Push Attempted"),
        ("customer", "unsubscribed", "Customer Unsubscribed"),
        ("customer", "cio_subscription_preferences_changed", "Customer Subscription Preferences Changed"),
        ("pigeon", "landed", "Pigeon Landed"),
    ],
)
def test_a_report_is_named_by_channel_and_metric(object_type: str, metric: str, name: str) -> None:
    """Every channel and metric has its name, also those nobody has heard of."""
    (event,) = taken(report(object_type, metric, delivery_id="d")).events
    assert (event.kind, event.name, event.message_id) == ("engagement", name, "01E")
    assert event.time == 1_795_319_990_000
    assert {"delivery_id": "d", "metric": metric, "channel": object_type}.items() <= event.properties.items()


@pytest.mark.parametrize("flag", ["prefetched", "proxied", "synthetic", "machine"])
def test_opens_and_clicks_of_machines_are_marked(flag: str) -> None:
    """What a privacy proxy or a scanner did is no engagement of a human."""
    (event,) = taken(report("email", "opened", **{flag: True})).events
    assert event.properties["machine"] is True
    assert event.properties["machine_because"] == [flag]
    (human,) = taken(report("email", "opened", **{flag: False})).events
    assert human.properties.get("machine") in {None, False}


def test_who_it_was() -> None:
    """The identifiers block counts; without it the old customer id and the recipient."""
    (event,) = taken(report("email", "sent", identifiers={"id": "c", "email": None, "cio_id": "d9"}, recipient="a@x.test")).events
    assert event.identifiers == (("user_id", "c"), ("cio_id", "d9"))
    (former,) = taken(report("email", "sent", customer_id="", recipient="a@x.test")).events
    assert former.identifiers == (("email", "a@x.test"),)


def test_only_a_report_without_a_metric_is_refused() -> None:
    """A refusal holds back everything behind it, so there is hardly any."""
    assert taken({"object_type": "email"}).refusals
    assert taken(b"{").refusals
    assert taken({"metric": "sent"}).events
