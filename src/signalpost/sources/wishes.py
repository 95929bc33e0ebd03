"""What is decided of a person in the console: to be forgotten, or not to be one with another.

It goes into the journal and through the pipeline as any other request does, so that what is known of people stays a function
of the journal: it takes its turn among what clients say, and a replay decides it again.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from signalpost import config
from signalpost.events import Event, Identifier, Person
from signalpost.sources.wire import Reading, Received

SOURCE = config.MEMBERSHIPS


class Wish(Struct, frozen=True, omit_defaults=True):
    """One wish about one person, named by identifiers that are theirs."""

    kind: Literal["suppress", "unsuppress", "unmerge"]
    id: str
    """The same for the same wish, so that it is done once."""
    person: tuple[Identifier, ...]
    parted: tuple[Identifier, ...] = ()
    """To undo a merge: identifiers of who gets their number back."""
    record: Person | None = None
    """Their record right before the merge."""
    kept: Person | None = None
    """The record, then, of who keeps the number; None: from before it was kept."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Wish).decode


def request(wish: Wish, at: int) -> Received:
    """The request that stands for a wish in the journal."""
    return Received(source=SOURCE, wire="wishes", method="", path="", body=_encode(wish), received_at=at)


def read(received: Received) -> Reading:
    """The one event of such a request."""
    wish = _decode(received.body)
    return Reading(
        events=[
            Event(
                kind=wish.kind,
                source=SOURCE,
                message_id=wish.id,
                time=received.received_at,
                received_at=received.received_at,
                identifiers=wish.person,
                previous=wish.parted,
                properties={"parted": wish.record, "kept": wish.kept} if wish.record is not None else {},
            )
        ]
    )
