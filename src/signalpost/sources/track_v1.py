"""Customer.io's Track API, version 1: the endpoints of one person each, as Segment-spec events."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote

from signalpost.events import Event, Identifier, Kind
from signalpost.segments.reading import customerio_trait
from signalpost.sources.wire import (
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
    person_identifier,
    refusal,
    text,
)

NAME_LIMIT = 500
"""Characters of an event name: the looser of Customer.io's two documented limits (100 bytes, 500 characters)."""

ATTRIBUTE_NAME_LIMIT = 150
"""Bytes of an attribute's name, and of an identifier."""

ATTRIBUTE_VALUE_LIMIT = 1_000
"""Bytes of an attribute's value when it is a string."""

MOST_ATTRIBUTES = 300

DATA_LIMIT = 100_000
"""Bytes of an event's `data`; measured on the whole body, whose other parts may have 4 KB."""

RESERVED = frozenset({"anonymous_id", "_timestamp", "_update", "cio_relationships", "cio_id"})
"""Keys of an identify call that are instructions, not facts about the person."""

SEGMENT_IDS = {"id": "user_id", "email": "email", "cio_id": "cio_id"}
"""How a call about a manual segment names people -> the kind of identifier."""

KINDS: dict[str, Kind] = {"event": "track", "page": "page", "screen": "screen"}


def read(received: Received) -> Reading:
    """The events of one call; a call that is refused gives one refusal and no event."""
    reading = Reading()
    path, _, query = received.path.partition("?")
    parts = [unquote(part).replace("\x00", "") for part in path.strip("/").split("/")]
    try:
        _read(received, reading, parts, query)
    except (Refused, ValueError, RecursionError) as error:
        reading.events.clear()
        reading.refusals.append(refusal(error, None))
    return reading


def _read(received: Received, reading: Reading, parts: list[str], query: str) -> None:
    match parts:
        case ["unsubscribe", delivery]:
            _unsubscribe(received, reading, delivery)
        case ["api", "v1", "customers", person]:
            if received.method == "DELETE":
                reading.events.append(_about(received, "delete", person))
            else:
                _identify(received, reading, person)
        case ["api", "v1", "customers", person, ("suppress" | "unsuppress") as kind]:
            reading.events.append(_about(received, "suppress" if kind == "suppress" else "unsuppress", person))
        case ["api", "v1", "customers", person, "devices"]:
            _device(received, reading, person)
        case ["api", "v1", "customers", person, "devices", device]:
            properties = {"device": {"id": device}}
            event = _event(
                received,
                "device",
                {},
                name="Device Deleted",
                identifiers=(_person(person),),
                properties=properties,
                context={"device": {"token": device}},
            )
            reading.events.append(event)
            reading.notes.append("Devices are kept with the event only: no platform we send to takes push tokens.")
        case ["api", "v1", "customers", person, "events"]:
            _track(received, reading, (_person(person),))
        case ["api", "v1", "events"]:
            _track(received, reading, ())
        case ["api", "v1", "merge_customers"]:
            merge(received, reading, _object(received.body), 0)
        case ["api", "v1", "segments", segment, ("add_customers" | "remove_customers") as action]:
            _segment(received, reading, query, segment, inside=action == "add_customers")
        case ["api", "v1", "metrics"]:
            body = _object(received.body)
            reading.events.append(metric(received, body, "metric", "$.metric"))
        case ["api", "v1", "push", "events"]:
            body = _object(received.body)
            reading.events.append(metric(received, body, "event", "$.event", channel="Push"))
        case ["api", "v1", "forms", form, "submit"]:
            _form(received, reading, form)
        case _:
            raise Refused("There is no such endpoint in the Track API.", code="invalid")


def _object(body: bytes) -> dict[str, Any]:
    check_size(body, DATA_LIMIT + 4_096)
    return decode_object(body)


def _person(value: str) -> Identifier:
    if not value or value.isspace():
        raise Refused("The person's identifier in the path is empty.", path="$.identifier", code="required")
    if len(value.encode("utf-8", "replace")) > ATTRIBUTE_NAME_LIMIT:
        raise Refused(
            f"The person's identifier is longer than {ATTRIBUTE_NAME_LIMIT} bytes.", path="$.identifier", code="too_large"
        )
    return person_identifier(value)


def _about(received: Received, kind: Kind, person: str) -> Event:
    return _event(received, kind, {}, identifiers=(_person(person),))


def _event(
    received: Received,
    kind: Kind,
    body: dict[str, Any],
    *,
    name: str = "",
    identifiers: tuple[Identifier, ...] = (),
    previous: tuple[Identifier, ...] = (),
    traits: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    part: int = 0,
) -> Event:
    stated = milliseconds(body.get("timestamp"))
    given = message_id(body.get("id")) if kind in {"track", "page", "screen"} else None
    return Event(
        kind=kind,
        source=received.source,
        message_id=given or derived_message_id(received, part, received.body, timed=stated is not None),
        time=received.received_at if stated is None else stated,
        received_at=received.received_at,
        name=name,
        identifiers=identifiers,
        previous=previous,
        traits=traits or {},
        properties=properties or {},
        context=context or {},
    )


def check_attributes(attributes: dict[str, Any], at: str) -> None:
    """Raises when attributes break Customer.io's limits (number, name length, value length)."""
    if len(attributes) > MOST_ATTRIBUTES:
        raise Refused(f"A call may carry {MOST_ATTRIBUTES} attributes; this one has {len(attributes)}.", path=at, code="too_many")
    for name, value in attributes.items():
        if len(name) > ATTRIBUTE_NAME_LIMIT or len(name.encode()) > ATTRIBUTE_NAME_LIMIT:
            raise Refused(
                f"An attribute's name is longer than {ATTRIBUTE_NAME_LIMIT} bytes.", path=f"{at}.{name[:20]}…", code="too_large"
            )
        if isinstance(value, str) and len(value) > ATTRIBUTE_VALUE_LIMIT // 4 and len(value.encode()) > ATTRIBUTE_VALUE_LIMIT:
            raise Refused(
                f"An attribute's value is longer than {ATTRIBUTE_VALUE_LIMIT:,} bytes.", path=f"{at}.{name}", code="too_large"
            )


def identity_of(attributes: dict[str, Any], own: tuple[Identifier, ...], at: str) -> tuple[Identifier, ...]:
    """The identifiers of an identify call: its own, then `id`, `email`, `phone` and `anonymous_id` of the attributes."""
    found = dict.fromkeys(own)
    for key, kind in (
        ("id", "user_id"),
        ("cio_id", "cio_id"),
        ("email", "email"),
        ("phone", "phone"),
        ("anonymous_id", "anonymous_id"),
    ):
        value = attributes.get(key)
        if value is None or isinstance(value, (dict, list, bool)):
            continue
        try:
            text_ = identifier(value)
        except Refused as error:
            raise Refused(str(error), path=f"{at}.{key}", code=error.code) from None
        if text_ is not None:
            found[kind, text_] = None
    return tuple(found)


def traits_of(attributes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts about the person, and the call's instructions (`_update`, relationships) as properties."""
    traits = {name: value for name, value in attributes.items() if name not in RESERVED}
    properties: dict[str, Any] = {
        name: attributes[name] for name in ("_update", "_timestamp", "cio_relationships") if name in attributes
    }
    return traits, properties


def _identify(received: Received, reading: Reading, person: str) -> None:
    body = _object(received.body)
    own = _person(person)
    check_attributes(body, "$")
    traits, properties = traits_of(body)
    timing = {"timestamp": body.get("_timestamp")}
    identifiers = identity_of(body, (own,), "$")
    reading.events.append(_event(received, "identify", timing, identifiers=identifiers, traits=traits, properties=properties))


def _track(received: Received, reading: Reading, own: tuple[Identifier, ...]) -> None:
    body = _object(received.body)
    data = body.get("data")
    if data is not None and not isinstance(data, dict):
        raise Refused("`data` must be an object.", path="$.data")
    if not own:
        own = anonymous(body, "$")
        recipient = text(mapping(data).get("recipient"))
        if not own and looks_like_email(recipient):
            own = (("email", recipient),)  # an invitation: the event names nobody but its recipient
    kind = KINDS.get(text(body.get("type")) or "event", "track")
    reading.events.append(happened(received, kind, body, own, data or {}, "$"))
    if not own:
        reading.notes.append("The event names nobody; it is kept, and most platforms will not take it.")


def anonymous(body: dict[str, Any], at: str) -> tuple[Identifier, ...]:
    """The anonymous id of an event without a person, when there is one."""
    try:
        value = identifier(body.get("anonymous_id"))
    except Refused as error:
        raise Refused(str(error), path=f"{at}.anonymous_id", code=error.code) from None
    return (("anonymous_id", value),) if value is not None else ()


def happened(
    received: Received,
    kind: Kind,
    body: dict[str, Any],
    own: tuple[Identifier, ...],
    data: dict[str, Any],
    at: str,
    part: int = 0,
) -> Event:
    """An event, page or screen view: `name` (trimmed) and its data, as Segment would say it."""
    name = text(body.get("name")).strip()
    if not name:
        raise Refused("name cannot be blank", path=f"{at}.name", code="required")
    if len(name) > NAME_LIMIT:
        raise Refused(f"The event's name is longer than {NAME_LIMIT} characters.", path=f"{at}.name", code="too_large")
    context: dict[str, Any] = {}
    if kind == "page":  # a page view's name is its address (Track API, page views)
        page = {key: data[key] for key in ("url", "referrer", "title", "path", "search") if data.get(key)}
        if "url" not in page and "://" in name:
            page["url"] = name
        if page:
            context["page"] = page
    return _event(received, kind, body, name=name, identifiers=own, properties=data, context=context, part=part)


def merge(received: Received, reading: Reading, body: dict[str, Any], part: int, at: str = "$") -> None:
    """`primary` absorbs `secondary`; each names one person by exactly one of id, email, cio_id (v2 also phone)."""
    sides = []
    for side in ("primary", "secondary"):
        given = body.get(side)
        if not isinstance(given, dict):
            raise Refused(f"`{side}` must be an object with one of id, email or cio_id.", path=f"{at}.{side}", code="required")
        sides.append(one_identifier(given, f"{at}.{side}"))
    if sides[0] == sides[1]:
        raise Refused("Both sides of the merge are the same person.", path=f"{at}.secondary")
    reading.events.append(_event(received, "merge", body, identifiers=(sides[0],), previous=(sides[1],), part=part))


PERSON_KEYS = {"id": "user_id", "email": "email", "phone": "phone", "cio_id": "cio_id", "anonymous_id": "anonymous_id"}


def one_identifier(given: dict[str, Any], at: str) -> Identifier:
    """Exactly one of id, email, phone, cio_id (and, as Segment sends it, anonymous_id)."""
    found: list[Identifier] = []
    for key, kind in PERSON_KEYS.items():
        try:
            value = identifier(given.get(key))
        except Refused as error:
            raise Refused(str(error), path=f"{at}.{key}", code=error.code) from None
        if value is not None:
            found.append((kind, value.removeprefix("cio_") if kind == "cio_id" else value))
    if len(found) != 1:
        sentence = "Name the person by exactly one of id, email, phone or cio_id"
        raise Refused(f"{sentence}; {len(found)} were given.", path=at, code="required" if not found else "invalid")
    return found[0]


def device_event(
    received: Received,
    body: dict[str, Any],
    device: dict[str, Any],
    own: tuple[Identifier, ...],
    token: str,
    *,
    name: str,
    part: int = 0,
) -> Event:
    """A device added or removed: kind `device`, its token in `context.device`."""
    known = {"token": token, "type": text(device.get("platform")).lower()}
    context = {"device": {key: value for key, value in known.items() if value}}
    timing = {"timestamp": body.get("timestamp")}
    return _event(
        received, "device", timing, name=name, identifiers=own, properties={"device": device}, context=context, part=part
    )


def _device(received: Received, reading: Reading, person: str) -> None:
    body = _object(received.body)
    device = body.get("device")
    if not isinstance(device, dict):
        raise Refused("`device` must be an object with id and platform.", path="$.device", code="required")
    token = text(device.get("id"))
    if not token.strip():
        raise Refused("A device needs an id.", path="$.device.id", code="required")
    reading.events.append(device_event(received, body, device, (_person(person),), token, name="Device Created or Updated"))
    reading.notes.append("Devices are kept with the event only: no platform we send to takes push tokens.")


def _segment(received: Received, reading: Reading, query: str, segment: str, *, inside: bool) -> None:
    """People come into a manual segment or leave it: an identify for each, with the trait that `customerio_segment` asks for."""
    body = _object(received.body)
    ids = body.get("ids")
    if not isinstance(ids, list):
        raise Refused("`ids` must be an array of identifiers.", path="$.ids", code="required")
    if len(ids) > 1_000:
        raise Refused(f"A call may name 1,000 people; this one names {len(ids):,}.", path="$.ids", code="too_many")
    given = parse_qs(query).get("id_type", ["id"])[-1]
    kind = SEGMENT_IDS.get(given)
    if kind is None:
        raise Refused("id_type is one of id, email or cio_id.", path="$.id_type")
    traits = {customerio_trait(segment): inside}
    people = dict.fromkeys(person for one in ids if (person := _named(one)) is not None)
    for part, person in enumerate(people):
        if kind == "email" and not looks_like_email(person):
            continue
        own = person.removeprefix("cio_") if kind == "cio_id" else person
        reading.events.append(_event(received, "identify", {}, identifiers=((kind, own),), traits=traits, part=part))
    if not ids:
        reading.notes.append("The call names nobody.")
    elif len(reading.events) < len(ids):
        reading.notes.append("Identifiers of another type, empty ones and repeats are ignored, as Customer.io does.")


def _named(value: Any) -> str | None:
    try:
        return identifier(value)
    except Refused:
        return None


def metric(
    received: Received, body: dict[str, Any], key: str, at: str, channel: str = "Message", part: int = 0, delivery: Any = None
) -> Event:
    """What became of one message we did not send: an engagement, named as the reporting webhooks name it."""
    delivery = text(body.get("delivery_id") if delivery is None else delivery)
    if not delivery.strip():
        raise Refused("A delivery_id is needed.", path=at.rpartition(".")[0] + ".delivery_id", code="required")
    what = text(body.get(key)).strip()
    if not what:
        raise Refused(f"A {key} is needed.", path=at, code="required")
    recipient = text(body.get("recipient"))
    own: tuple[Identifier, ...] = (("email", recipient),) if looks_like_email(recipient) else ()
    properties = {**body, "delivery_id": delivery, "metric": what.lower(), "channel": channel.lower()}
    return _event(
        received, "engagement", body, name=f"{channel} {what.capitalize()}", identifiers=own, properties=properties, part=part
    )


def _unsubscribe(received: Received, reading: Reading, delivery: str) -> None:
    body = _object(received.body)
    if not delivery.strip():
        raise Refused("The delivery id in the path is empty.", path="$.delivery_id", code="required")
    if body.get("unsubscribe") is not True:
        raise Refused('The body must be {"unsubscribe": true}.', path="$.unsubscribe")
    properties = {"delivery_id": delivery, "metric": "unsubscribed", "channel": "message"}
    reading.events.append(_event(received, "engagement", {}, name="Message Unsubscribed", properties=properties))


def _form(received: Received, reading: Reading, form: str) -> None:
    body = _object(received.body)
    data = body.get("data")
    if not isinstance(data, dict):
        raise Refused("`data` must be an object with id or email.", path="$.data", code="required")
    own = one_identifier({key: data.get(key) for key in ("id", "email")}, "$.data")
    ignored = {"form_id", "form_name", "form_type", "form_url", "form_url_param"}
    answers = {name: value for name, value in data.items() if name not in ignored}
    check_attributes(answers, "$.data")
    identifiers = identity_of(answers, (own,), "$.data")
    traits, _ = traits_of(answers)
    page = {"page": {"url": data["form_url"]}} if isinstance(data.get("form_url"), str) and data["form_url"] else {}
    properties = {**answers, "form_id": form}
    reading.events.append(_event(received, "identify", {}, identifiers=identifiers, traits=traits))
    submitted = _event(
        received, "track", {}, name="Form Submitted", identifiers=identifiers, properties=properties, context=page, part=1
    )
    reading.events.append(submitted)
