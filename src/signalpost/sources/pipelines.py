"""Customer.io Pipelines, Segment and RudderStack: the Segment spec's messages, alone or in a batch, as events."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

from signalpost.events import Event, Identifier, Kind
from signalpost.sources.wire import (
    BATCH_LIMIT,
    IDENTIFIER_LIMIT,
    MESSAGE_ID_LIMIT,
    MESSAGE_LIMIT,
    MOST_MESSAGES,
    Reading,
    Received,
    Refusal,
    Refused,
    check_size,
    derived_message_id,
    identifier,
    looks_like_email,
    mapping,
    message_id,
    milliseconds,
    refusal,
    repaired,
    salvage,
    text,
)

TYPES: dict[str, Kind] = {
    "identify": "identify",
    "track": "track",
    "page": "page",
    "screen": "screen",
    "group": "group",
    "alias": "merge",
}
"""The message's `type` -> our kind."""

PATHS: dict[str, str] = {
    "identify": "identify",
    "track": "track",
    "page": "page",
    "screen": "screen",
    "group": "group",
    "alias": "alias",
    "batch": "batch",
    "i": "identify",
    "t": "track",
    "p": "page",
    "s": "screen",
    "g": "group",
    "a": "alias",
    "b": "batch",
}
"""The last part of the path -> the type it implies; the browser library uses the short forms."""

_ADDRESSES = {f"/v1/{name}": implied for name, implied in PATHS.items()}

SEMANTIC: dict[str, Kind] = {
    "User Deleted": "delete",
    "User Suppressed": "suppress",
    "User Unsuppressed": "unsuppress",
    "Device Created or Updated": "device",
    "Device Deleted": "device",
    "Relationship Deleted": "group",
    "Object Deleted": "group",
    "Report Delivery Event": "engagement",
    "Report Content Event": "engagement",
}
"""Track events that Customer.io itself acts on (Pipelines API, semantic events)."""

SKEW_MS = 60_000
"""Below this the difference between `sentAt` and the time of receipt is the network, not the client's clock."""

SERVER_LIBRARIES = frozenset(
    {
        "analytics-python",
        "analytics-node",
        "@segment/analytics-node",
        "@customerio/cdp-analytics-node",
        "analytics-go",
        "analytics-ruby",
        "analytics-php",
        "analytics-java",
        "Analytics.NET",
        "analytics-rust",
        "rudder-analytics-python",
        "cdp-analytics-python",
        "cdp-analytics-node",
        "cdp-analytics-go",
        "cdp-analytics-ruby",
        "cdp-analytics-java",
        "@rudderstack/rudder-sdk-node",
        "rudder-sdk-go",
    }
)
"""`context.library.name` of libraries that run on the shop's server: their address and user agent are not the person's."""

_SERVER_AGENT = re.compile(
    r"(cdp-)?analytics-(python|node|go|ruby|php|java|net|rust)\b|customer\.io|async-customerio|rudder|python|aiohttp|httpx|node|undici|axios|got\b|"
    r"go-http|ruby|faraday|java/|apache-httpclient|curl|wget|php|guzzle|dotnet|\.net|libwww|postman|insomnia|deno|bun/|k6|vector|segment\.io",
    re.IGNORECASE,
)
_APP_AGENT = re.compile(r"(cdp-)?analytics-|okhttp|cfnetwork", re.IGNORECASE)


class Batch(Struct, rename="camel"):
    """The envelope; its messages stay bytes until each is read on its own."""

    batch: list[Raw]
    context: Any = None
    integrations: Any = None
    sent_at: Any = None


def _nested(levels: int) -> Any:
    """The type of a JSON value of at most so many levels: msgspec checks it while it decodes, so depth costs no pass."""
    scalar: Any = str | int | float | bool | None
    value: Any = scalar
    for _ in range(levels):
        value = scalar | list[value] | dict[str, value]
    return value


Value: Any = _nested(8)
"""What messages hold in practice; a deeper one is decoded again, with its depth counted."""


class Message(Struct, rename="camel", gc=False):
    """One message; loose where clients are loose. Arrays stand for empty objects because PHP writes `[]` for both."""

    type: str | None = None
    user_id: str | int | float | None = None
    anonymous_id: str | int | float | None = None
    previous_id: str | int | float | None = None
    group_id: str | int | float | None = None
    message_id: Value = None
    timestamp: Value = None
    original_timestamp: Value = None
    sent_at: Value = None
    received_at: Value = None
    event: str | int | float | None = None
    name: str | int | float | None = None
    category: Value = None
    channel: Value = None
    properties: dict[str, Value] | list[Value] | None = None
    traits: dict[str, Value] | list[Value] | None = None
    context: dict[str, Value] | list[Value] | None = None
    integrations: Value = None


class SmallBatch(Struct, rename="camel", gc=False):
    """A batch no larger than one message may be: decoded in one go, because none of its messages can be too large."""

    batch: list[Message]
    context: Value = None
    integrations: Value = None
    sent_at: Value = None


_batch = msgspec.json.Decoder(Batch)
_small_batch = msgspec.json.Decoder(SmallBatch)
_message = msgspec.json.Decoder(Message)


class _BytesNeeded(Exception):
    """A message has no id, and its id is made of its bytes; not an error but a way back to reading message by message."""


class DeepMessage(Message, rename="camel", gc=False):
    """The same for the rare message of more levels."""

    properties: dict[str, Any] | list[Any] | None = None
    traits: dict[str, Any] | list[Any] | None = None
    context: dict[str, Any] | list[Any] | None = None
    integrations: Any = None


_deep_message = msgspec.json.Decoder(DeepMessage)


def _decoded(raw: bytes) -> Message:
    try:
        return _message.decode(raw)
    except msgspec.ValidationError as error:
        if "got `object`" in str(error) or "got `array`" in str(error):
            check_size(raw)
            return _deep_message.decode(raw)
        raise


def read(received: Received) -> Reading:
    """The messages of a call; a bad one never costs the good ones."""
    implied = _ADDRESSES.get(received.path) or PATHS.get(received.path.rstrip("/").rpartition("/")[2])
    if len(received.body) > BATCH_LIMIT:
        return Reading(refusals=[_too_large(received.body)])
    from_server = _from_server(received.user_agent) and received.headers.get("content-type") != "text/plain"
    if implied != "batch":
        reading = Reading()
        try:
            reading.events.append(_event(received.body, received, None, implied, from_server, reading.notes))
        except (ValueError, RecursionError) as error:
            _again(received, error, reading, None, implied, from_server)
        except Refused as error:
            reading.refusals.append(refusal(error, None))
        return reading
    return _small(received, from_server) or _message_by_message(received, from_server)


def _small(received: Received, from_server: bool) -> Reading | None:
    """A small batch without anything remarkable, or None: then each message is read on its own, and nothing is lost but time."""
    body = received.body
    if len(body) > MESSAGE_LIMIT or (b"\\" in body and b"\\u0000" in body):
        return None
    reading = Reading()
    try:
        envelope = _small_batch.decode(body)
        if len(envelope.batch) > MOST_MESSAGES:
            return None
        shared = _shared(envelope)
        for index, message in enumerate(envelope.batch):
            reading.events.append(_made(message, None, received, index, None, from_server, reading.notes, shared))
    except (ValueError, RecursionError, Refused, _BytesNeeded):
        return None
    return reading


def _shared(envelope: Batch | SmallBatch) -> Batch | SmallBatch | None:
    """The envelope when it says something that holds for its messages."""
    if envelope.context is None and envelope.integrations is None and envelope.sent_at is None:
        return None
    envelope.context, envelope.integrations = mapping(envelope.context), mapping(envelope.integrations)
    envelope.sent_at = milliseconds(envelope.sent_at)
    return envelope


def _message_by_message(received: Received, from_server: bool) -> Reading:
    reading = Reading()
    try:
        envelope = _batch.decode(received.body)
    except (ValueError, RecursionError) as error:
        better = None if isinstance(error, msgspec.ValidationError) else salvage(received.body)
        try:
            if better is None:
                raise
            envelope = _batch.decode(better)
            reading.notes.append("The body was not quite JSON (NaN, half a character or a byte order mark) and was repaired.")
        except (ValueError, RecursionError) as final:
            reading.refusals.append(refusal(final, None))
            return reading
    messages = envelope.batch
    if len(messages) > MOST_MESSAGES:
        sentence = f"The batch has {len(messages):,} messages; {MOST_MESSAGES:,} is the limit."
        reading.refusals.append(Refusal(index=None, path="$.batch", sentence=sentence, code="too_many"))
        return reading
    shared = _shared(envelope)
    append = reading.events.append
    for index, message in enumerate(messages):
        try:
            append(_event(bytes(message), received, index, None, from_server, reading.notes, shared))
        except Refused as error:
            reading.refusals.append(refusal(error, index, f"$.batch[{index}]"))
        except (ValueError, RecursionError) as error:
            _again(received, error, reading, index, None, from_server, bytes(message), shared)
    return reading


def _too_large(body: bytes) -> Refusal:
    return Refusal(
        index=None, path="$", sentence=f"The body has {len(body):,} bytes; {BATCH_LIMIT:,} is the limit.", code="too_large"
    )


def _again(
    received: Received,
    error: Exception,
    reading: Reading,
    index: int | None,
    implied: str | None,
    from_server: bool,
    raw: bytes | None = None,
    shared: Batch | SmallBatch | None = None,
    correct_clock: bool = True,
) -> None:
    """One more try on repaired bytes, else the refusal."""
    prefix = "$" if index is None else f"$.batch[{index}]"
    raw = received.body if raw is None else raw
    better = None if isinstance(error, msgspec.ValidationError) and "out of range" not in str(error) else salvage(raw)
    if better is None:
        reading.refusals.append(refusal(error, index, prefix))
        return
    try:
        reading.events.append(_event(better, received, index, implied, from_server, reading.notes, shared, correct_clock))
        reading.notes.append(f"{prefix} was not quite JSON (NaN, half a character or a byte order mark) and was repaired.")
    except (ValueError, RecursionError, Refused) as final:
        reading.refusals.append(refusal(final, index, prefix))


def read_message(raw: bytes, *, source: str, received_at: int) -> Event:
    """One message that did not come by HTTP (a line of a file): its times are taken as they stand.

    Raises `RequestError` (with path and sentence) when it is none.
    """
    received = Received(source=source, wire="pipelines", method="POST", path="/v1/batch", body=raw, received_at=received_at)
    reading = Reading()
    try:
        return _event(raw, received, 0, None, True, reading.notes, correct_clock=False)
    except (ValueError, RecursionError) as error:
        _again(received, error, reading, None, None, True, correct_clock=False)
    if reading.events:
        return reading.events[0]
    told = reading.refusals[0]
    raise Refused(told.sentence, path=told.path, code=told.code)


def _event(
    raw: bytes,
    received: Received,
    index: int | None,
    implied: str | None,
    from_server: bool,
    notes: list[str],
    shared: Batch | SmallBatch | None = None,
    correct_clock: bool = True,
) -> Event:
    """One message's bytes as an event."""
    if len(raw) > MESSAGE_LIMIT:
        check_size(raw)
    if b"\\" in raw and b"\\u0000" in raw:
        raw = repaired(raw)
    return _made(_decoded(raw), raw, received, index, implied, from_server, notes, shared, correct_clock)


def _made(
    message: Message,
    raw: bytes | None,
    received: Received,
    index: int | None,
    implied: str | None,
    from_server: bool,
    notes: list[str],
    shared: Batch | SmallBatch | None = None,
    correct_clock: bool = True,
) -> Event:
    """One decoded message as an event; the hot path: every line here is run for every event."""
    type_ = implied or message.type
    kind = TYPES.get(type_)  # type: ignore[arg-type]
    if kind is None:
        if type_ is None:
            raise Refused(
                "Say which `type` the message has: identify, track, page, screen, group or alias.", path="$.type", code="required"
            )
        raise Refused(f"`{type_[:40]}` is no type of message: identify, track, page, screen, group or alias.", path="$.type")

    properties: dict[str, Any] = message.properties or {}  # type: ignore[assignment]
    traits: dict[str, Any] = message.traits or {}  # type: ignore[assignment]
    context: dict[str, Any] = message.context or {}  # type: ignore[assignment]
    if type(properties) is not dict or type(traits) is not dict or type(context) is not dict:
        name = next(
            each
            for each in ("properties", "traits", "context")
            if isinstance(getattr(message, each), list) and getattr(message, each)
        )
        raise Refused(f"`{name}` must be an object, not an array.", path=f"$.{name}")

    identifiers: tuple[Identifier, ...] = ()
    user = message.user_id
    if user is not None and user != "":
        if type(user) is not str or len(user) > IDENTIFIER_LIMIT or user.isspace():
            user = _identifier(user, "$.userId")
        if user is not None:
            identifiers = (("user_id", user),)
            if "@" in user and looks_like_email(user):
                identifiers = (("user_id", user), ("email", user))
    anonymous = message.anonymous_id
    if anonymous is not None and anonymous != "":
        if type(anonymous) is not str or len(anonymous) > IDENTIFIER_LIMIT or anonymous.isspace():
            anonymous = _identifier(anonymous, "$.anonymousId")
        if anonymous is not None:
            identifiers = (*identifiers, ("anonymous_id", anonymous))

    if shared is not None:
        if shared.context:
            context = {**shared.context, **context}
        if shared.integrations and not message.integrations:
            message.integrations = shared.integrations
        if message.sent_at is None:
            message.sent_at = shared.sent_at
    if message.integrations and isinstance(message.integrations, dict):
        context = {**context, "integrations": message.integrations}

    received_at = received.received_at
    said = message.timestamp if message.timestamp is not None else message.original_timestamp
    time = received_at
    if said is not None:
        stated = milliseconds(said)
        if stated is None:
            notes.append(f"Message {index or 0}: its timestamp is no time; the time of receipt counts.")
        else:
            time = stated
            # timestamp = receivedAt - (sentAt - originalTimestamp), unless somebody before us has corrected it already
            if (
                correct_clock
                and message.sent_at is not None
                and message.received_at is None
                and (message.timestamp is None or message.original_timestamp is None)
            ):
                sent = milliseconds(message.sent_at)
                if sent is not None and not -SKEW_MS < received_at - sent < SKEW_MS:
                    corrected = stated + received_at - sent
                    if 0 < corrected <= received_at + SKEW_MS:  # else it is `sentAt` that is wrong
                        time = corrected

    if not from_server and ("ip" not in context or "userAgent" not in context):
        context = _filled(context, received, message.channel)

    previous: tuple[Identifier, ...] = ()
    name = ""
    if kind == "track":
        event = message.event
        name = event if type(event) is str else text(event)
        if not name or name.isspace():
            raise Refused("A track message needs an `event` name.", path="$.event", code="required")
        if name in SEMANTIC:
            kind = SEMANTIC[name]
        if message.group_id is not None:
            context = {**context, "groupId": text(message.group_id)}
    elif kind in {"page", "screen"}:
        name = text(message.name)
        properties, context = _page(kind, name, message, properties, context)
    elif kind == "merge":
        former = _identifier(message.previous_id, "$.previousId")
        if former is None:
            raise Refused("An alias message needs a `previousId`.", path="$.previousId", code="required")
        if not identifiers:
            raise Refused("An alias message needs a `userId`.", path="$.userId", code="required")
        previous = _former(former, anonymous)
    elif kind == "group":
        group = _identifier(message.group_id, "$.groupId")
        if group is None:
            raise Refused("A group message needs a `groupId`.", path="$.groupId", code="required")
        # the traits are the group's, not the person's
        properties, traits = {**properties, "group_id": group, "traits": traits}, {}
    if not identifiers and not _email_known(kind, traits, context, properties):
        raise Refused("Say who it was: `userId` or `anonymousId` (or an e-mail in the traits).", path="$.userId", code="required")

    given = message.message_id
    if type(given) is not str or not given or len(given) > MESSAGE_ID_LIMIT or given[0] <= " " or given[-1] <= " ":
        given = message_id(given)
        if given is None:
            if raw is None:
                raise _BytesNeeded
            given = derived_message_id(received, index or 0, raw, timed=said is not None)
    return Event(
        kind=kind,
        source=received.source,
        message_id=given,
        time=time,
        received_at=received_at,
        name=name,
        identifiers=identifiers,
        previous=previous,
        traits=traits,
        properties=properties,
        context=context,
    )


def _identifier(value: Any, path: str) -> str | None:
    try:
        return identifier(value)
    except Refused as error:
        raise Refused(str(error), path=path, code=error.code) from None


_BROWSER_MADE = re.compile(r"anon|[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$|ajs-", re.IGNORECASE)


def _former(value: str, anonymous: str | int | float | None) -> tuple[Identifier, ...]:
    """Whom an alias names: the spec does not say whether the previous id is an anonymous id or a user id.

    What a library made (a UUID, the message's own anonymous id) is an anonymous id; anything else is looked up as both.
    """
    if value == anonymous or _BROWSER_MADE.match(value):
        return (("anonymous_id", value),)
    known: tuple[Identifier, ...] = (("user_id", value), ("anonymous_id", value))
    return (*known, ("email", value)) if looks_like_email(value) else known


def _email_known(kind: Kind, traits: dict[str, Any], context: dict[str, Any], properties: dict[str, Any]) -> bool:
    if kind == "engagement":
        return True  # a delivery report names a delivery, not always a person
    given = mapping(context.get("traits"))
    return any(places.get(name) for places in (traits, given, properties) for name in ("email", "phone"))


def _page(
    kind: Kind, name: str, message: Message, properties: dict[str, Any], context: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Name and category as properties, and, for a page, its address as the context's page where the library did not send one."""
    if name and "name" not in properties:
        properties = {**properties, "name": name}
    if message.category and "category" not in properties:
        properties = {**properties, "category": message.category}
    if kind == "page" and "page" not in context:
        page = {each: properties[each] for each in ("url", "referrer", "title", "path", "search") if properties.get(each)}
        if page:
            context = {**context, "page": page}
    return properties, context


def _from_server(user_agent: str | None) -> bool:
    """Whether the request comes from a shop's server, so that its address and user agent say nothing about the person."""
    return user_agent is not None and _SERVER_AGENT.match(user_agent) is not None


def _filled(context: dict[str, Any], received: Received, channel: Any) -> dict[str, Any]:
    """The context with the connection's address and user agent, where the message lacks them and a person's device sent it."""
    library = context.get("library")
    if type(library) is dict and text(library.get("name")) in SERVER_LIBRARIES:
        return context
    if channel == "server" or context.get("channel") == "server":
        return context
    address = received.client_ip if not context.get("ip") else None
    agent = received.user_agent if not context.get("userAgent") else None
    if agent and _APP_AGENT.match(agent):
        agent = None
    if address is None and agent is None:
        return context
    filled = context.copy()
    if address:
        filled["ip"] = address
    if agent:
        filled["userAgent"] = agent
    return filled
