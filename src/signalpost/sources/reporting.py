"""Customer.io's reporting webhooks: what became of each message it sent, as engagement events."""

from __future__ import annotations

from typing import Any

from signalpost.events import Event, Identifier
from signalpost.sources.wire import (
    WEBHOOK_LIMIT,
    Reading,
    Received,
    Refused,
    check_size,
    decode_object,
    derived_message_id,
    identifier,
    looks_like_email,
    mapping,
    message_id,
    milliseconds,
    refusal,
    text,
)

CHANNELS = {"sms": "SMS", "in_app": "In-App", "whatsapp": "WhatsApp"}
"""Spellings that are not the word with a capital letter."""

MACHINE = ("prefetched", "proxied", "synthetic", "machine")
"""Flags on opens and clicks that no human made (mail privacy proxies, security scanners)."""


def read(received: Received) -> Reading:
    """One webhook, one event, whatever its metric or object: a refusal would block Customer.io's queue."""
    reading = Reading()
    try:
        reading.events.append(_event(received))
    except (Refused, ValueError, RecursionError) as error:
        reading.refusals.append(refusal(error, None))
    return reading


def _event(received: Received) -> Event:
    check_size(received.body, WEBHOOK_LIMIT)
    body = decode_object(received.body)
    data = mapping(body.get("data"))
    channel = text(body.get("object_type") or body.get("object_type_type")) or "message"
    metric = text(body.get("metric"))
    if not metric:
        raise Refused("A reporting event needs a metric.", path="$.metric", code="required")
    stated = milliseconds(body.get("timestamp"))
    properties: dict[str, Any] = {**data, "metric": metric, "channel": channel}
    properties.pop("identifiers", None)
    flags = [flag for flag in MACHINE if data.get(flag) is True]
    if flags:
        properties["machine"] = True
        properties["machine_because"] = flags
    words = metric.removeprefix("cio_").replace("_", " ").title()
    return Event(
        kind="engagement",
        source=received.source,
        message_id=message_id(body.get("event_id")) or derived_message_id(received, 0, received.body, timed=stated is not None),
        time=received.received_at if stated is None else stated,
        received_at=received.received_at,
        name=f"{CHANNELS.get(channel, channel.replace('_', ' ').title())} {words}",
        identifiers=_identifiers(data),
        properties=properties,
    )


def _identifiers(data: dict[str, Any]) -> tuple[Identifier, ...]:
    given = mapping(data.get("identifiers"))
    found: dict[Identifier, None] = {}
    for key, kind in (("id", "user_id"), ("cio_id", "cio_id"), ("email", "email")):
        value = _or_absent(given.get(key))
        if value is not None:
            found[kind, value.removeprefix("cio_") if kind == "cio_id" else value] = None
    if not found:
        former = _or_absent(data.get("customer_id"))  # deprecated, blank when the person is deleted
        if former is not None:
            found["user_id", former] = None
        recipient = text(data.get("recipient") or data.get("email_address"))
        if looks_like_email(recipient):
            found["email", recipient] = None
    return tuple(found)


def _or_absent(value: Any) -> str | None:
    try:
        return identifier(value)
    except Refused:
        return None  # the event counts without it
