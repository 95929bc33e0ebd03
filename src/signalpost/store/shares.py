"""Links to read-only pages for people without an account, and who signed a destination's checklist off.

Of a link's secret only a digest is kept; it is found by that digest, so that no comparison tells how near a guess came.
"""

from __future__ import annotations

from msgspec import Struct

from signalpost import accounts
from signalpost.store.database import Connection

CHECKLIST = "checklist"

SEEN_MS = 60_000
"""How often it is noted, at most, that a link was used."""


class Share(Struct, frozen=True, kw_only=True):
    """A link that works; times in epoch ms."""

    id: int
    what: str
    """`checklist`."""
    subject: str
    """A destination; empty: all of them."""
    made_by: str
    made_at: int
    until: int
    seen_at: int | None
    """When somebody last used it."""


def _share(number: int, what: str, subject: str, made_by: str, made_at: int, until: int, seen_at: int | None) -> Share:
    return Share(id=number, what=what, subject=subject, made_by=made_by, made_at=made_at, until=until, seen_at=seen_at)


def make(connection: Connection, *, what: str, subject: str, who: str, now: int, lasts: int) -> tuple[str, int]:
    """A new link that works for so long (ms): its secret, which is not kept, and its number."""
    secret = accounts.secret()
    number = connection.rows("share_add", accounts.digest(secret), what, subject, who, now, now + lasts)[0][0]
    return secret, int(number)


def find(connection: Connection, secret: str, now: int) -> Share | None:
    """The link of this secret, while it works."""
    rows = connection.rows("share_of", accounts.digest(secret), now)
    return _share(*rows[0]) if rows else None


def see(connection: Connection, share: Share, now: int) -> None:
    """Note that somebody used it."""
    connection.run("share_seen", now, share.id)


def live(connection: Connection, what: str, now: int) -> list[Share]:
    """The links that work, the newest first."""
    return [_share(*row) for row in connection.rows("shares_live", what, now)]


def remove(connection: Connection, number: int, what: str, now: int) -> bool:
    """Make a link useless; False when it was already."""
    return connection.run("share_remove", now, number, what) == 1


# ---- signing off -----------------------------------------------------------------------------------------------------------


class Signoff(Struct, frozen=True, kw_only=True):
    """Somebody found a destination's checklist good enough."""

    destination: str
    who: str
    note: str
    at: int


def sign(connection: Connection, signoff: Signoff, checks: bytes) -> None:
    """Keep it, with the checks as they were (JSON)."""
    connection.run("signoff_add", signoff.destination, signoff.who, signoff.note, signoff.at, checks)


def signed(connection: Connection) -> dict[str, tuple[Signoff, bytes]]:
    """Destination -> its latest sign-off, and the checks as they were then (JSON)."""
    return {
        destination: (Signoff(destination=destination, who=who, note=note, at=at), bytes(checks))
        for destination, who, note, at, checks in connection.rows("signoffs_latest")
    }


def history(connection: Connection, destination: str, most: int = 10) -> list[Signoff]:
    """The latest sign-offs of a destination, the newest first."""
    return [
        Signoff(destination=name, who=who, note=note, at=at)
        for name, who, note, at in connection.rows("signoffs_of", destination, most)
    ]
