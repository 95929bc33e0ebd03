"""Every text of the workspace file that was in force, and the changes of it that are proposed.

A proposal goes draft -> comparing -> compared (or failed) -> wanted -> applying -> applied; discarded from wherever it rests.
Whoever serves the database takes up what is wanted; what could not be applied goes back, with a sentence.
"""

from __future__ import annotations

import hashlib

from msgspec import Struct

from signalpost.store.database import Connection, Row

RESTING = ("draft", "compared", "failed")
"""States in which a proposal waits for somebody."""

STALLED_MS = 30_000
"""A comparison that has not told anything for so long has no process any more: it tells every few seconds."""


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


class Proposal(Struct, frozen=True, kw_only=True):
    """A proposed text of the file; what it would change is kept beside it (`result`)."""

    id: int
    base: str
    """Digest of the text that it changes."""
    text: str
    at: int
    who: str
    note: str
    origin: str
    """editor, segment, setup, rollback, command, file."""
    state: str
    since: int | None
    """From when events are replayed."""
    done: int
    total: int
    sentence: str
    """Why it failed, or was not applied."""
    changed_at: int
    decided_by: str | None
    """Who applied or discarded it."""
    decided_at: int | None
    revision: int | None
    """That came of it."""

    @property
    def open(self) -> bool:
        """Whether it may still be applied."""
        return self.state not in {"applied", "discarded"}


def digest(text: str) -> str:
    """What tells texts apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _revision(row: Row) -> Revision:
    return Revision(id=row[0], digest=row[1], text=row[2], at=row[3], who=row[4], note=row[5], origin=row[6])


def _proposal(row: Row) -> Proposal:
    return Proposal(
        id=row[0],
        base=row[1],
        text=row[2],
        at=row[3],
        who=row[4],
        note=row[5],
        origin=row[6],
        state=row[7],
        since=row[8],
        done=row[9],
        total=row[10],
        sentence=row[11],
        changed_at=row[12],
        decided_by=row[13],
        decided_at=row[14],
        revision=row[15],
    )


# ---- revisions -------------------------------------------------------------------------------------------------------------


def latest(connection: Connection) -> Revision | None:
    """The revision in force."""
    rows = connection.rows("revision_latest")
    return _revision(rows[0]) if rows else None


def newest(connection: Connection) -> int:
    """The number of the revision in force; 0 while there is none."""
    return int(connection.rows("revision_newest")[0][0] or 0)


def keep(connection: Connection, text: str, *, who: str, note: str, origin: str, now: int) -> Revision:
    """The text is in force: a new revision, unless it is the latest one's already."""
    last = latest(connection)
    if last is not None and last.text == text:
        return last
    number = connection.rows("revision_add", digest(text), text, now, who, note, origin)[0][0]
    return Revision(id=number, digest=digest(text), text=text, at=now, who=who, note=note, origin=origin)


def listed(connection: Connection, most: int, *, after: int, origin: str = "", who: str = "") -> list[tuple[Revision, str]]:
    """Revisions with a number below `after`, the newest first, each with the text before it ('' for the first)."""
    rows = connection.rows("revisions_listed", after, origin, origin, who, who, most)
    return [(_revision(row), row[7] or "") for row in rows]


def authors(connection: Connection) -> list[str]:
    """Everybody who made a revision."""
    return [row[0] for row in connection.rows("revisions_who")]


def revision(connection: Connection, number: int) -> tuple[Revision, Revision | None] | None:
    """A revision and the one before it."""
    rows = connection.rows("revision_of", number)
    if not rows:
        return None
    before = connection.rows("revision_before", number)
    return _revision(rows[0]), _revision(before[0]) if before else None


def text_of(connection: Connection, of: str) -> str | None:
    """The text with this digest, if it was ever in force."""
    rows = connection.rows("revision_text", of)
    return rows[0][0] if rows else None


def proposal_of(connection: Connection, number: int) -> int | None:
    """The proposal that a revision came of."""
    rows = connection.rows("revision_proposal", number)
    return rows[0][0] if rows else None


# ---- proposals -------------------------------------------------------------------------------------------------------------


def propose(
    connection: Connection, text: str, *, base: str, who: str, note: str, origin: str, since: int | None, now: int
) -> int:
    """A new proposal, not compared yet; gives its number. `base` is the digest of the text that it changes."""
    return int(connection.rows("proposal_add", base, text, now, who, note, origin, since, now)[0][0])


def proposal(connection: Connection, number: int) -> Proposal | None:
    """A proposal."""
    rows = connection.rows("proposal_of", number)
    return _proposal(rows[0]) if rows else None


def proposals(connection: Connection, most: int, *, closed: bool = False) -> list[Proposal]:
    """Proposals that may still be applied, or those that were applied or discarded, the newest first."""
    return [_proposal(row) for row in connection.rows("proposals_closed" if closed else "proposals_open", most)]


def result(connection: Connection, number: int) -> bytes | None:
    """What a proposal would change, `proposals.Comparison` as JSON; None while that is not known."""
    rows = connection.rows("proposal_result", number)
    return bytes(rows[0][0]) if rows and rows[0][0] is not None else None


def edit(connection: Connection, number: int, text: str, *, base: str, note: str, now: int) -> bool:
    """Another text for a proposal; False when it is under way or closed."""
    return connection.run("proposal_edit", text, base, note, now, number) == 1


def compare(connection: Connection, number: int, *, base: str, since: int, now: int) -> bool:
    """A comparison with the text `base` begins; False when one is under way, or the proposal is closed."""
    return connection.run("proposal_compare", base, since, now, number, now - STALLED_MS) == 1


def progress(connection: Connection, number: int, done: int, total: int, now: int) -> bool:
    """How far the comparison is; False when nobody wants it any more."""
    return connection.run("proposal_progress", done, total, now, number) == 1


def compared(connection: Connection, number: int, result: bytes, now: int) -> bool:
    """The comparison has ended with a result."""
    return connection.run("proposal_compared", result, now, number) == 1


def failed(connection: Connection, number: int, sentence: str, now: int) -> bool:
    """The comparison has ended without one."""
    return _move(connection, number, "comparing", "failed", sentence, now)


def want(connection: Connection, number: int, state: str, who: str, now: int) -> bool:
    """A proposal in this state shall be applied; False when it is in another one by now."""
    if state not in RESTING or not _move(connection, number, state, "wanted", "", now):
        return False
    connection.run("decided_set", number, who, now, None)
    return True


def wanted(connection: Connection) -> Proposal | None:
    """The proposal that shall be applied next."""
    rows = connection.rows("proposals_in", "wanted")
    return proposal(connection, rows[0][0]) if rows else None


def take(connection: Connection, number: int, now: int) -> Proposal | None:
    """Take a wanted proposal in hand; None when somebody was faster."""
    return proposal(connection, number) if _move(connection, number, "wanted", "applying", "", now) else None


def apply(connection: Connection, taken: Proposal, now: int) -> Revision:
    """The proposal's text is in force: a revision by whoever wanted it, a line in the audit."""
    who = taken.decided_by or taken.who
    origin = "rollback" if taken.origin == "rollback" else "apply"
    made = keep(connection, taken.text, who=who, note=taken.note, origin=origin, now=now)
    _move(connection, taken.id, "applying", "applied", "", now)
    connection.run("decided_set", taken.id, who, now, made.id)
    connection.run(
        "audit_add", now, who, "change_applied", f"revision {made.id}", f"proposal {taken.id}: {taken.note}".rstrip(": ")
    )
    return made


def back(connection: Connection, number: int, sentence: str, now: int) -> None:
    """The proposal could not be applied, and why."""
    if connection.run("proposal_back", sentence, now, number):
        connection.run("decided_forget", number)
        connection.run("audit_add", now, "Signalpost", "change_not_applied", f"proposal {number}", sentence)


def discard(connection: Connection, number: int, who: str, now: int) -> bool:
    """Nobody wants the proposal any more; False when it is being applied, or closed."""
    if not any(_move(connection, number, state, "discarded", "", now) for state in (*RESTING, "comparing")):
        return False
    connection.run("decided_set", number, who, now, None)
    return True


def found(connection: Connection, text: str, now: int) -> Revision:
    """A server starts with this text: a new revision when it differs from the latest one.

    What a server that ended had in hand is settled: its text is in force exactly when the file has it.
    """
    for row in connection.rows("proposals_in", "applying"):
        taken = proposal(connection, row[0])
        if taken is not None and taken.text == text:
            apply(connection, taken, now)
        else:
            back(
                connection,
                row[0],
                "The server ended while this was being applied; the earlier file is in force. Apply it again.",
                now,
            )
    return keep(connection, text, who="file", note="found at start", origin="start", now=now)


def _move(connection: Connection, number: int, before: str, after: str, sentence: str, now: int) -> bool:
    return connection.run("proposal_move", after, sentence, now, number, before) == 1
