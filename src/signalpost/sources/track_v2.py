"""Customer.io's Track API, version 2: one envelope for people, objects and deliveries, alone or in a batch."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from signalpost.events import Event, Identifier, Kind
from signalpost.sources import track_v1
from signalpost.sources.wire import (
    BATCH_LIMIT,
    MOST_MESSAGES,
    Reading,
    Received,
    Refused,
    check_size,
    decode_object,
    derived_message_id,
    identifier,
    message_id,
    milliseconds,
    refusal,
    salvage,
    text,
)

PERSON_ACTIONS = (
    "identify",
    "delete",
    "suppress",
    "unsuppress",
    "event",
    "page",
    "screen",
    "add_relationships",
    "delete_relationships",
    "add_device",
    "delete_device",
    "merge",
)
OBJECT_ACTIONS = ("identify", "identify_anonymous", "delete", "add_relationships", "delete_relationships")


class Batch(Struct):
    """The envelope; each item stays bytes until it is read on its own."""

    batch: list[Raw]


_batch = msgspec.json.Decoder(Batch)


def read(received: Received) -> Reading:
    """The events of `/api/v2/entity` or `/api/v2/batch`; a bad item never costs the good ones."""
    reading = Reading()
    body = received.body
    if not received.path.partition("?")[0].rstrip("/").endswith("/batch"):
        _item(received, reading, body, 0, None, "$")
        return reading
    try:
        if len(body) > BATCH_LIMIT:
            raise Refused(f"The body has {len(body):,} bytes; {BATCH_LIMIT:,} is the limit.", code="too_large")
        try:
            items = _batch.decode(body).batch
        except (ValueError, RecursionError) as error:
            better = None if isinstance(error, msgspec.ValidationError) else salvage(body)
            if better is None:
                raise
            items = _batch.decode(better).batch
        if len(items) > MOST_MESSAGES:
            raise Refused(f"The batch has {len(items):,} items; {MOST_MESSAGES:,} is the limit.", path="$.batch", code="too_many")
    except (Refused, ValueError, RecursionError) as error:
        reading.refusals.append(refusal(error, None))
        return reading
    for index, item in enumerate(items):
        _item(received, reading, bytes(item), index, index, f"$.batch[{index}]")
    return reading


def _item(received: Received, reading: Reading, raw: bytes, part: int, index: int | None, at: str) -> None:
    try:
        check_size(raw)
        entity = decode_object(raw)
        _entity(received, reading, entity, raw, part)
    except (Refused, ValueError, RecursionError) as error:
        reading.refusals.append(refusal(error, index, at))


def _entity(received: Received, reading: Reading, entity: dict[str, Any], raw: bytes, part: int) -> None:
    match entity.get("type"):
        case "person":
            _person(received, reading, entity, raw, part)
        case "object":
            _object(received, reading, entity, raw, part)
        case "delivery":
            if entity.get("action") != "event":
                raise Refused("A delivery takes the action event.", path="$.action")
            given = _mapping(entity, "identifiers")
            report = {
                **_mapping(entity, "attributes", optional=True),
                "name": entity.get("name"),
                "timestamp": entity.get("timestamp"),
            }
            report = {name: value for name, value in report.items() if value is not None}
            channel = "Push" if report.get("device_token") else "Message"
            reported = track_v1.metric(received, report, "name", "$.name", channel, part, text(given.get("id")))
            reading.events.append(msgspec.structs.replace(reported, message_id=_id(received, raw, part, reported.time)))
        case None:
            raise Refused("type is required: person, object or delivery.", path="$.type", code="required")
        case _:
            raise Refused("type is one of person, object or delivery.", path="$.type")


def _mapping(entity: dict[str, Any], name: str, *, optional: bool = False) -> dict[str, Any]:
    value = entity.get(name)
    if value is None and optional:
        return {}
    if not isinstance(value, dict):
        code = "required" if value is None else "invalid"
        raise Refused(f"{name} must be an object.", path=f"$.{name}", code=code)
    return value


def _id(received: Received, raw: bytes, part: int, time: int) -> str:
    return derived_message_id(received, part, raw, timed=time != received.received_at)


def _made(
    received: Received,
    kind: Kind,
    entity: dict[str, Any],
    raw: bytes,
    part: int,
    *,
    name: str = "",
    identifiers: tuple[Identifier, ...] = (),
    previous: tuple[Identifier, ...] = (),
    traits: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    given: Any = None,
    said: Any = None,
) -> Event:
    stated = milliseconds(entity.get("timestamp") if said is None else said)
    return Event(
        kind=kind,
        source=received.source,
        message_id=message_id(given) or derived_message_id(received, part, raw, timed=stated is not None),
        time=received.received_at if stated is None else stated,
        received_at=received.received_at,
        name=name,
        identifiers=identifiers,
        previous=previous,
        traits=traits or {},
        properties=properties or {},
        context=context or {},
    )


def _person(received: Received, reading: Reading, entity: dict[str, Any], raw: bytes, part: int) -> None:
    action = entity.get("action")
    if action is None:
        raise Refused("action is required.", path="$.action", code="required")
    if action not in PERSON_ACTIONS:
        raise Refused(f"A person takes the actions {', '.join(PERSON_ACTIONS)}.", path="$.action")
    if action == "merge":
        merged = Reading()
        track_v1.merge(received, merged, entity, part)
        event = merged.events[0]
        timed = milliseconds(entity.get("timestamp")) is not None
        reading.events.append(msgspec.structs.replace(event, message_id=derived_message_id(received, part, raw, timed=timed)))
        return
    own = track_v1.one_identifier(_mapping(entity, "identifiers"), "$.identifiers")
    attributes = _mapping(entity, "attributes", optional=True)
    if action == "identify":
        track_v1.check_attributes(attributes, "$.attributes")
        traits, properties = track_v1.traits_of(attributes)
        if entity.get("cio_relationships"):
            properties["cio_relationships"] = entity["cio_relationships"]
        identifiers = track_v1.identity_of(attributes, (own,), "$.attributes")
        said = entity.get("timestamp") if entity.get("timestamp") is not None else attributes.get("_timestamp")
        reading.events.append(
            _made(
                received, "identify", entity, raw, part, identifiers=identifiers, traits=traits, properties=properties, said=said
            )
        )
    elif action in {"event", "page", "screen"}:
        if entity.get("name") is None:
            raise Refused("name is required", path="$.name", code="required")
        event = track_v1.happened(received, track_v1.KINDS[action], entity, (own,), attributes, "$", part)
        if message_id(entity.get("id")) is None:
            timed = milliseconds(entity.get("timestamp")) is not None
            event = msgspec.structs.replace(event, message_id=derived_message_id(received, part, raw, timed=timed))
        reading.events.append(event)
    elif action in {"add_device", "delete_device"}:
        device = _mapping(entity, "device")
        token = text(device.get("token")) or text(device.get("id"))
        if not token.strip():
            raise Refused("A device needs a token.", path="$.device.token", code="required")
        name = "Device Created or Updated" if action == "add_device" else "Device Deleted"
        event = track_v1.device_event(received, entity, device, (own,), token, name=name, part=part)
        reading.events.append(msgspec.structs.replace(event, message_id=_id(received, raw, part, event.time)))
    elif action in {"add_relationships", "delete_relationships"}:
        relationships = entity.get("cio_relationships")
        if not isinstance(relationships, list):
            raise Refused("cio_relationships must be an array.", path="$.cio_relationships", code="required")
        properties = {"action": action, "cio_relationships": relationships}
        reading.events.append(
            _made(received, "group", entity, raw, part, name="Relationships", identifiers=(own,), properties=properties)
        )
        reading.notes.append("Relationships are accepted and not used.")
    else:
        reading.events.append(_made(received, action, entity, raw, part, identifiers=(own,)))


def _object(received: Received, reading: Reading, entity: dict[str, Any], raw: bytes, part: int) -> None:
    action = entity.get("action")
    if action not in OBJECT_ACTIONS:
        code = "required" if action is None else "invalid"
        raise Refused(f"An object takes the actions {', '.join(OBJECT_ACTIONS)}.", path="$.action", code=code)
    given = _mapping(entity, "identifiers")
    named = {key: identifier(given.get(key)) for key in ("object_type_id", "object_id", "cio_object_id")}
    if not named["cio_object_id"] and not (named["object_type_id"] and named["object_id"]):
        raise Refused(
            "Name the object by object_type_id and object_id, or by cio_object_id.", path="$.identifiers", code="required"
        )
    properties: dict[str, Any] = {key: value for key, value in named.items() if value}
    properties |= {"action": action, "traits": _mapping(entity, "attributes", optional=True)}
    if entity.get("cio_relationships"):
        properties["cio_relationships"] = entity["cio_relationships"]
    reading.events.append(_made(received, "group", entity, raw, part, name="Object", properties=properties))
    reading.notes.append("Objects are accepted and not used.")
