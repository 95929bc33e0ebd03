"""A webhook of the shop's own: events as signed messages, under the Standard Webhooks convention (standardwebhooks.com).

A message has an id that stays the same when it is sent again, the time of sending, and a signature over both and the body:
base64 HMAC-SHA256, headers `webhook-id`, `webhook-timestamp`, `webhook-signature`. One message a request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from signalpost import normalize
from signalpost.destinations import readers, tools
from signalpost.destinations.answers import all_alike, by_status, quoted, split_or_refuse
from signalpost.destinations.contract import Custom, Destination, Field, Limits, Outcome, Places, Request, Response, Setting
from signalpost.errors import ConfigError
from signalpost.events import Person, Signal
from signalpost.vocabulary import CANONICAL_EVENTS


def dotted(name: str) -> str:
    """A canonical event's name as the convention writes types: `Order Completed` is `order.completed`."""
    first, _, rest = name.lower().replace("-", "_").partition(" ")
    return f"{first}.{rest.replace(' ', '_')}" if rest else first


EVENT_NAMES: Final = {name: dotted(name) for name in CANONICAL_EVENTS}
EVENTS: Final = {name: EVENT_NAMES[name] for name in tools.MEMBERSHIP}

# ---------------------------------------------------------------------------------------------- fields


def person(signal: Signal) -> dict[str, Any] | None:
    """Who it is: the shop's own ids and the addresses in clear, newest first, and what is computed of their orders."""
    known = signal.person
    told: dict[str, Any] = {
        name: [value for value, _ in sorted(found.items(), key=lambda each: (-each[1], each[0]))]
        for name, found in (
            ("ids", known.external_ids),
            ("anonymous_ids", known.anonymous_ids),
            ("emails", known.emails),
            ("phones", known.phones),
        )
        if found
    }
    facts = tools.computed(known)
    if facts:
        told["facts"] = {name: tools.moment(value) if name.endswith("_at") else value for name, value in facts.items()}
    return told or None


def properties(signal: Signal) -> dict[str, Any] | None:
    """The event's properties as they came, without what is empty; those of a membership have fields of their own."""
    if signal.name in tools.MEMBERSHIP:
        return None
    found: dict[str, Any] | None = tools.filled(signal.event.properties)
    return found


def _time_said(name: str) -> Any:
    return lambda signal: tools.moment(signal.event.properties.get(name))


FIELDS: Final = (
    Field(path="type", read=readers.platform_event, doc="The event's type, such as `segment.entered`."),
    Field(path="timestamp", read=tools.time, doc="When it happened, ISO 8601 in UTC."),
    Field(path="data.id", read=readers.event_id, doc="The event's id."),
    Field(path="data.event", read=lambda signal: signal.name or None, doc="The canonical name of the event."),
    Field(path="data.segment", read=readers.said("segment"), doc="The segment that was entered or left."),
    Field(path="data.since", read=_time_said("since"), doc="Since when they are in it, or were, ISO 8601."),
    Field(
        path="data.why",
        read=readers.said("why"),
        doc="What moved them: an event, by name; `time` where a window ended; `rule` where the rule is new or changed.",
    ),
    Field(path="data.changes_at", read=_time_said("changes_at"), doc="When time alone may move them next, ISO 8601."),
    Field(
        path="data.person",
        read=person,
        doc="Who it is, in clear, newest first; an address the shop gave as a digest stays one.",
        parts={
            "ids": "The shop's own ids.",
            "anonymous_ids": "Ids of browsers and apps.",
            "emails": "E-mail addresses.",
            "phones": "Phone numbers.",
            "facts": "What is computed of their orders: " + ", ".join(f"`{name}`" for name in tools.COMPUTED) + ".",
        },
    ),
    Field(path="data.order_id", read=readers.order_id, doc="The order's number, of events about one."),
    Field(path="data.value", read=readers.value(), doc="The order value under the workspace's one definition."),
    Field(path="data.currency", read=readers.currency(), doc="The order's currency."),
    Field(path="data.products", read=tools.products, doc="The order's products."),
    Field(path="data.properties", read=properties, doc="The event's properties as the source sent them, without what is empty."),
)


def identified(person: Person, signal: Signal) -> bool:  # noqa: ARG001
    """Any event may be told: what to do with it is the receiver's."""
    return True


# ---------------------------------------------------------------------------------------------- asking


def key_of(settings: Mapping[str, str]) -> Webhook:
    """The signing key. Raises `ConfigError` for a secret that is none."""
    try:
        return Webhook(settings["secret"])
    except (ValueError, EmptyWebhookSecretError) as error:
        raise ConfigError(
            ("webhook: secret must be whsec_ and base64; make one with: echo whsec_$(openssl rand -base64 32)",)
        ) from error


def request(settings: dict[str, str], base: str, events: Sequence[bytes], test: bool) -> Request:  # noqa: ARG001
    """One message; in test mode it says so itself (`"test": true`). Signed anew at each try, with the time of that try."""
    (event,) = events
    return _message(settings, b'{"test":true,' + event[1:] if test else event, _id_of(event))


def _id_of(event: bytes) -> str:
    """The same for the same event, and nothing in it that a header could not hold."""
    told = msgspec.json.decode(event)
    data = told.get("data") if isinstance(told, dict) else None
    said = data.get("id") if isinstance(data, dict) else None
    return "msg_" + hashlib.sha256(str(said).encode() if said else event).hexdigest()[:32]


def _message(settings: Mapping[str, str], body: bytes, message: str) -> Request:
    key = key_of(settings)

    def stamp(now: int) -> dict[str, str]:
        # What the package signs and what the header says must be the same second.
        signature = key.sign(message, datetime.fromtimestamp(now // 1000, UTC), body.decode())
        return {"webhook-timestamp": str(now // 1000), "webhook-signature": signature}

    return Request(
        method="POST",
        url=settings["url"],
        headers={"content-type": "application/json", "user-agent": "Signalpost", "webhook-id": message},
        body=body,
        stamp=stamp,
        public_only=settings.get("allow_private") != "yes",
    )


def check(settings: dict[str, str], base: str, now: int) -> Request:  # noqa: ARG001
    """A message of type `signalpost.check`, which a receiver takes and forgets."""
    body = msgspec.json.encode({"type": "signalpost.check", "timestamp": tools.moment(now), "data": {}, "test": True})
    return _message(settings, body, f"msg_check_{now}")


# ---------------------------------------------------------------------------------------------- answers

BLOCKS: Final = {
    401: "The webhook's receiver does not accept the signature: check that both sides have the same secret.",
    403: "The webhook's receiver does not accept the message: check that both sides have the same secret.",
    404: "There is no such address at the webhook's receiver: check the option `url`.",
    405: "The webhook's receiver takes no messages at this address: check the option `url`.",
    410: "The webhook's receiver wants no more messages: take the destination out, or pause it.",
}
"""HTTP statuses. Nothing can be sent until a person acts; the signals are kept."""

REFUSALS: Final = {
    400: "The webhook's receiver refused the message.",
    413: "The message is larger than the webhook's receiver takes.",
    415: "The webhook's receiver takes no JSON.",
    422: "The webhook's receiver refused the message.",
}


def outcomes(response: Response, count: int) -> list[Outcome]:
    """A 2xx is taken, whatever its body; the rest is read by status, as the convention wants it."""
    status, code = response.status, f"HTTP {response.status}"
    if 200 <= status < 300:
        return all_alike(Outcome(kind="accepted", code=code, sentence="The webhook's receiver took the message."), count)
    if 300 <= status < 400:
        sentence = "The webhook's address redirects, which is not followed: set `url` to where it leads."
        return all_alike(Outcome(kind="blocked", code=code, sentence=sentence, reached=False), count)
    said = normalize.text(response.body[:300].decode("utf-8", "replace"))
    if status in BLOCKS:
        return all_alike(Outcome(kind="blocked", code=code, sentence=quoted(BLOCKS[status], said), reached=False), count)
    if status in REFUSALS:
        return split_or_refuse(count, code=code, sentence=quoted(REFUSALS[status], said))
    return by_status("The webhook's receiver", response, count, said)


def explain_check(response: Response) -> tuple[bool, str]:
    """Whether the receiver took the message of the check."""
    found = outcomes(response, 1)[0]
    if found.kind == "accepted":
        return True, "The webhook's receiver took a signed message of type signalpost.check."
    return False, f"{found.sentence} ({found.code})"


HOUR = 3_600_000
DAY = 24 * HOUR

destination: Final = Destination(
    name="webhook",
    title="Webhook",
    settings=(
        Setting(
            name="url",
            doc="Where messages are posted to, https; addresses of a private network are refused.",
            pattern=r"https?://[^\s/?#@]+(?:[/?#]\S*)?",
        ),
        Setting(
            name="secret",
            doc="What messages are signed with, known to both sides: `whsec_` and 24 to 64 bytes in base64.",
            secret=True,
            pattern="whsec_[A-Za-z0-9+/]{32,86}={0,2}",
        ),
        Setting(
            name="allow_private",
            doc="`yes` where the receiver is in your own network, or takes no https: then any address may be reached.",
            required=False,
            pattern="yes|no",
        ),
    ),
    default_base="",
    events=EVENTS,
    event_names=frozenset(EVENT_NAMES.values()),
    custom_events=True,
    fields=FIELDS,
    custom=Custom(parent="data", fields={}, other=readers.scalar),
    amounts="number",
    currencies=None,
    limits=Limits(
        batch=1,
        requests_per_second=100,
        oldest_ms=30 * DAY,
        future_ms=HOUR // 6,
        dedupe_ms=5 * DAY,  # receivers are to remember ids; the convention has a message tried for some days
    ),
    purchase="",
    advertising=False,
    identified=identified,
    identifier_hint="A webhook is told of everybody, also of people without any identifier.",
    request=request,
    outcomes=outcomes,
    check=check,
    explain_check=explain_check,
    places=Places(
        name="type",
        event_id="data.id",
        time="timestamp",
        order_id="data.order_id",
        value="data.value",
        currency="data.currency",
        items="data.products",
    ),
    answer_says="A receiver says with its status that it took the message, and nothing more.",
)
