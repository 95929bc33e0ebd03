"""What Signalpost itself tells: people who entered and left segments, as events on their way like any other.

The pipeline writes them into the journal in the transaction in which somebody moved, and takes them up again with the next
batch: so they are gated, mapped, sent, proved and repeated as everything else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from signalpost import config
from signalpost.events import Event, Identifier, Person
from signalpost.sources.wire import Reading, Received

SOURCE = config.MEMBERSHIPS
"""The source of these events; no source of a workspace file may be called so."""

NAMES = {True: "Segment Entered", False: "Segment Left"}


class Told(Struct, frozen=True, omit_defaults=True):
    """One person entered or left one segment."""

    person: tuple[Identifier, ...]
    segment: str
    entered: bool
    at: int
    since: int
    """Since when they are inside, or were (epoch ms)."""
    why: str
    """The event that moved them; `time` where a window ended, `rule` where the rule is new or was changed."""
    changes_at: int | None = None
    """When time alone may move them next."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[Told, ...]).decode


def named(person: Person) -> tuple[Identifier, ...]:
    """An identifier by which the pipeline finds this person again; empty for one who has none that was kept."""
    for kind, known in (
        ("user_id", person.external_ids),
        ("email", person.emails),
        ("phone", person.phones),
        ("anonymous_id", person.anonymous_ids),
    ):
        if known:
            return ((kind, min(known, key=lambda value: (-known[value], value))),)
    return ()


def request(told: Sequence[Told], at: int) -> Received:
    """The request that stands for them in the journal, as if it had come in at this moment."""
    return Received(source=SOURCE, wire="memberships", method="", path="", body=_encode(told), received_at=at)


def read(received: Received) -> Reading:
    """The events of such a request."""
    return Reading(events=[_event(each, place, received) for place, each in enumerate(_decode(received.body))])


def _event(told: Told, place: int, received: Received) -> Event:
    properties: dict[str, Any] = {"segment": told.segment, "since": told.since, "why": told.why}
    if told.changes_at is not None:
        properties["changes_at"] = told.changes_at
    # The id is shown and sent, so it must not say who it is.
    who = sha256(":".join(told.person[0]).encode()).hexdigest()[:16]
    return Event(
        kind="track",
        source=SOURCE,
        message_id=f"{told.segment}:{told.at}:{'in' if told.entered else 'out'}:{who}:{place}",
        time=told.at,
        received_at=max(told.at, received.received_at),
        name=NAMES[told.entered],
        identifiers=told.person,
        properties=properties,
    )
