"""Customer.io's Track API (v2): membership of segments and computed facts, written back to the tool that sends the messages.

Facts from Customer.io's own description of the Track API. A request is a batch of single operations; each signal is two of
them: the person's attributes, and an event. Bad operations of a batch are named by their place in a 207, the others count.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from signalpost import normalize
from signalpost.destinations import readers, tools
from signalpost.destinations.answers import all_alike, body_of, by_status, counted, quoted, redacted, split_or_refuse
from signalpost.destinations.contract import Custom, Destination, Field, Limits, Outcome, Places, Request, Response, Setting
from signalpost.errors import ConfigError
from signalpost.events import Person, Signal

EVENTS: Final = {name: name for name in tools.MEMBERSHIP}

PREFIX: Final = "signalpost_"
"""Stands before every attribute that Signalpost writes, so that none of the shop's own is overwritten."""

# ---------------------------------------------------------------------------------------------- fields

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(signal: Signal) -> str:
    """The event's id as Customer.io wants ids: a ULID, made of the event's time and the digest of its id."""
    head = min(max(signal.event.time, 0), 2**48 - 1)
    tail = int.from_bytes(hashlib.sha256(signal.event_id.encode()).digest()[:10])
    number = head << 80 | tail
    return "".join(_CROCKFORD[number >> 5 * place & 31] for place in range(25, -1, -1))


def identifiers(signal: Signal) -> dict[str, str] | None:
    """The one identifier that Customer.io takes: the shop's own newest id, else the newest e-mail address."""
    return _known_by(signal.person)


def _known_by(person: Person) -> dict[str, str] | None:
    found = tools.newest(person.external_ids)
    if found is not None:
        return {"id": found}
    found = tools.newest(person.emails)
    return None if found is None else {"email": found}


def attributes(signal: Signal) -> dict[str, Any] | None:
    """What is known of the person from then on: whether they are in the segment, and the computed facts."""
    known: dict[str, Any] = {
        name: value // 1000 if name.endswith("_at") and isinstance(value, int) else value
        for name, value in tools.computed(signal.person).items()
    }
    segment = normalize.text(signal.event.properties.get("segment"))
    if signal.name in tools.MEMBERSHIP and segment is not None:
        known[f"in_{segment}"] = tools.MEMBERSHIP[signal.name]
    return known


def seconds(name: str) -> Any:
    """Reads a time of the event's properties as Unix seconds, which Customer.io compares times in."""

    def read(signal: Signal) -> int | None:
        found = tools.instant(signal.event.properties.get(name))
        return None if found is None else found // 1000

    return read


FIELDS: Final = (
    Field(path="name", read=readers.platform_event, doc="The event's name in Customer.io."),
    Field(path="id", read=ulid, doc="The event's id, by which Customer.io ignores a repeat: a ULID made of time and id."),
    Field(
        path="timestamp",
        read=readers.time_in_seconds,
        doc="When it happened, Unix seconds; it also orders the attributes, so that a late one overwrites nothing newer.",
    ),
    Field(
        path="identifiers",
        read=identifiers,
        doc="Who it is, in clear: the shop's own newest id, else the newest e-mail address.",
    ),
    Field(
        path="person",
        read=attributes,
        doc=f"The person's attributes, each with `{PREFIX}` (or the setting `prefix`) before its name.",
        parts={
            "in_SEGMENT": "Whether they are in the segment: true when it was entered, false when it was left.",
            **tools.COMPUTED,
        },
    ),
    Field(path="attributes.segment", read=readers.said("segment"), doc="The segment that was entered or left."),
    Field(path="attributes.since", read=seconds("since"), doc="Since when they are in it, or were, Unix seconds."),
    Field(
        path="attributes.why",
        read=readers.said("why"),
        doc="What moved them: an event, by name; `time` where a window ended; `rule` where the rule is new or changed.",
    ),
    Field(
        path="attributes.changes_at",
        read=seconds("changes_at"),
        doc="When time alone may move them next, Unix seconds, for messages that must come before it.",
    ),
    Field(path="attributes.order_id", read=readers.order_id, doc="The order's number, of events about one."),
    Field(path="attributes.value", read=readers.value(), doc="The order value under the workspace's one definition."),
    Field(path="attributes.currency", read=readers.currency(), doc="The order's currency."),
    Field(path="attributes.products", read=tools.products, doc="The order's products."),
)


def identified(person: Person, signal: Signal) -> bool:  # noqa: ARG001
    """Whether Customer.io can be told whose it is."""
    return _known_by(person) is not None


def objection(signal: Signal, settings: Mapping[str, str]) -> tuple[str, str] | None:
    """Customer.io has no test events: only an account that is for tests is told of any."""
    if signal.test and settings.get("test_account") != "yes":
        return (
            "no_test_mode",
            "Customer.io has no test events; set test_account to yes where this is a Customer.io workspace for tests only.",
        )
    return None


# ---------------------------------------------------------------------------------------------- asking

_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def request(settings: dict[str, str], base: str, events: Sequence[bytes], test: bool) -> Request:
    """One batch with two operations an event: the person's attributes, then the event.

    Raises `ConfigError` in test mode without `test_account`: there is no such thing as a test event.
    """
    if test and settings.get("test_account") != "yes":
        raise ConfigError(("customerio: test events need test_account: yes, a Customer.io workspace that is for tests only",))
    prefix = settings.get("prefix") or PREFIX
    batch: list[dict[str, Any]] = []
    for event in events:
        told = _parts(event)
        who, known = told["identifiers"], _parts(told.get("person", msgspec.Raw(b"{}")))
        written: dict[str, Any] = {prefix + name: value for name, value in known.items()}
        # `_timestamp` orders writes: of two that overtake each other the later moment counts.
        written["_timestamp"] = told["timestamp"]
        batch += [
            {"type": "person", "action": "identify", "identifiers": who, "attributes": written},
            {
                "type": "person",
                "action": "event",
                "identifiers": who,
                **{name: told[name] for name in ("name", "id", "timestamp")},
                "attributes": told.get("attributes", msgspec.Raw(b"{}")),
            },
        ]
    return Request(
        method="POST",
        url=f"{base.rstrip('/')}/api/v2/batch",
        headers={**_authorization(settings), "content-type": "application/json"},
        body=msgspec.json.encode({"batch": batch}),
    )


def _authorization(settings: Mapping[str, str]) -> dict[str, str]:
    pair = f"{settings['site_id']}:{settings['api_key']}"
    return {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def check(settings: dict[str, str], base: str, now: int) -> Request:  # noqa: ARG001
    """Ask in which region the account is, which takes nothing but good credentials."""
    return Request(method="GET", url=f"{base.rstrip('/')}/api/v1/accounts/region", headers=_authorization(settings))


# ---------------------------------------------------------------------------------------------- answers

BLOCKS: Final = {
    401: "Customer.io does not accept the site id and the API key: copy both from Settings, API Credentials, Tracking API Keys.",
    403: "Customer.io does not let these credentials write: copy site id and API key from Settings, API Credentials.",
}
"""HTTP statuses. Nothing can be sent until a person acts; the signals are kept."""


def outcomes(response: Response, count: int) -> list[Outcome]:
    """One outcome an event. A 207 names the operations that failed by their place, two to an event; the others count."""
    status, body = response.status, body_of(response)
    code = f"HTTP {status}"
    taken = Outcome(kind="accepted", code=code, sentence="Customer.io took the event.")
    if status in BLOCKS:
        return all_alike(Outcome(kind="blocked", code=code, sentence=BLOCKS[status], reached=False), count)
    errors = body.get("errors")
    if status in {200, 207, 400} and isinstance(errors, list) and errors:
        return _with_errors(errors, status, taken, count)
    if status == 200 and (body or response.body.strip() in {b"{}", b""}):
        return all_alike(taken, count)
    meta = body.get("meta")
    return by_status("Customer.io", response, count, meta.get("error") if isinstance(meta, dict) else None)


def _with_errors(errors: list[Any], status: int, taken: Outcome, count: int) -> list[Outcome]:
    code = taken.code
    wrong: dict[int, str] = {}
    for error in errors:
        said = error if isinstance(error, dict) else {}
        place = counted(said.get("batch_index"))
        place = 0 if place is None and count == 1 else place
        if place is None or place >= 2 * count:
            sentence = quoted("Customer.io refused a part of the batch and does not say which.", said.get("message"))
            return split_or_refuse(count, code=code, sentence=sentence)
        words = [redacted(said.get(name)) for name in ("reason", "field", "message")]
        wrong.setdefault(place // 2, ": ".join(filter(None, words)))
    if status == 400 and len(wrong) < count:
        return split_or_refuse(count, code=code, sentence="Customer.io refused the batch.")
    return [
        Outcome(kind="refused", code=code, sentence=quoted("Customer.io refused the event.", wrong[number]))
        if number in wrong
        else taken
        for number in range(count)
    ]


def explain_check(response: Response) -> tuple[bool, str]:
    """Whether the credentials work, and in which region."""
    region = body_of(response).get("region")
    if response.status == 200 and region == "eu":
        return True, "Site id and key work. This account is in the EU: its `endpoint` is https://track-eu.customer.io."
    if response.status == 200 and isinstance(region, str):
        return True, "Site id and key work."
    found = outcomes(response, 1)[0]
    if found.kind == "accepted":
        return False, f"Customer.io answered with something unreadable (HTTP {response.status}): check the endpoint."
    return False, f"{found.sentence} ({found.code})"


HOUR = 3_600_000
DAY = 24 * HOUR

destination: Final = Destination(
    name="customerio",
    title="Customer.io",
    settings=(
        Setting(name="site_id", doc="Settings, API Credentials, Tracking API Keys: the site id."),
        Setting(name="api_key", doc="Settings, API Credentials, Tracking API Keys: the API key beside the site id.", secret=True),
        Setting(
            name="prefix",
            doc=f"What stands before every attribute that Signalpost writes; without it `{PREFIX}`.",
            required=False,
        ),
        Setting(
            name="test_account",
            doc="`yes` where this is a Customer.io workspace for tests only: Customer.io has no test events, so a test workspace "
            "tells it nothing otherwise.",
            required=False,
            pattern="yes|no",
        ),
    ),
    default_base="https://track.customer.io",
    events=EVENTS,
    event_names=frozenset(EVENTS.values()),
    custom_events=True,
    fields=FIELDS,
    custom=Custom(parent="attributes", fields={}, other=readers.scalar),
    amounts="number",
    currencies=None,
    limits=Limits(
        batch=200,  # 500 kB a request, 32 kB an operation
        requests_per_second=100,  # 1,000 in its description, 100 in older pages
        oldest_ms=30 * DAY,  # it takes any age; events older than 72 hours start no campaign
        future_ms=HOUR // 6,
        # For how long it ignores a repeated event id is not published.
        dedupe_ms=24 * HOUR,
    ),
    purchase="",
    advertising=False,
    identified=identified,
    identifier_hint="Customer.io needs the shop's own id of the person, or an e-mail address in clear; a hash is not enough.",
    objection=objection,
    request=request,
    outcomes=outcomes,
    check=check,
    explain_check=explain_check,
    places=Places(
        name="name",
        event_id="id",
        time="timestamp",
        order_id="attributes.order_id",
        value="attributes.value",
        currency="attributes.currency",
        items="attributes.products",
    ),
    answer_says="Customer.io names what it refused of a request and repeats nothing of it, so what is compared is the request it "
    "answered. The event also shows in the person's activity log.",
)
