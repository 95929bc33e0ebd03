"""Every text of the workspace file that was in force, and the changes of it that are proposed."""

from __future__ import annotations

import hashlib

from msgspec import Struct

from signalpost.store.database import Connection, Row


class Revision(Struct, frozen=True, kw_only=True):
    """A text of the file that was in force from `at` on."""

    id: int
    digest: str
    text: str
    at: int
    who: str
    note: str
    origin: str
    """start, apply, rollback."""


def digest(text: str) -> str:
    """What tells texts apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _revision(row: Row) -> Revision:
    return Revision(id=row[0], digest=row[1], text=row[2], at=row[3], who=row[4], note=row[5], origin=row[6])


def latest(connection: Connection) -> Revision | None:
    """The revision in force."""
    rows = connection.rows("revision_latest")
    return _revision(rows[0]) if rows else None


def keep(connection: Connection, text: str, *, who: str, note: str, origin: str, now: int) -> Revision:
    """The text is in force: a new revision, unless it is the latest one's already."""
    last = latest(connection)
    if last is not None and last.text == text:
        return last
    number = connection.rows("revision_add", digest(text), text, now, who, note, origin)[0][0]
    return Revision(id=number, digest=digest(text), text=text, at=now, who=who, note=note, origin=origin)


def propose(
    connection: Connection, text: str, *, base: str, who: str, note: str, origin: str, since: int | None, now: int
) -> int:
    """A new proposal, not compared yet; gives its number. `base` is the digest of the text that it changes."""
    return int(connection.rows("proposal_add", base, text, now, who, note, origin, since, now)[0][0])
