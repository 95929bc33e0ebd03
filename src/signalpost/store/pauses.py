"""Destinations whose signals wait because somebody said so.

A pause is obeyed twice: `outbox.lease` gives nothing of a paused destination from the moment the pause is committed, in every
process; and dispatchers, which may hold signals in hand, look at the pauses every second and give those back. What waits stays
in the outbox. Audiences go on: nobody who bought shall see ads again because sending rests.
"""

from __future__ import annotations

from msgspec import Struct

from signalpost.store.database import Connection


class Pause(Struct, frozen=True, kw_only=True):
    """Since when a destination's signals wait (epoch ms), who said so, and why."""

    destination: str
    since: int
    who: str
    note: str


def paused(connection: Connection) -> dict[str, Pause]:
    """Every paused destination."""
    return {
        destination: Pause(destination=destination, since=since, who=who, note=note)
        for destination, since, who, note in connection.rows("pauses_all")
    }


def pause(connection: Connection, destination: str, *, who: str, note: str, now: int) -> bool:
    """Let a destination's signals wait; False when they did already, then the earlier pause stands."""
    return connection.run("pause_add", destination, now, who, note) == 1


def resume(connection: Connection, destination: str) -> bool:
    """Send again; False when it was not paused."""
    return connection.run("pause_drop", destination) == 1
