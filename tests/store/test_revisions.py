"""Revisions and proposals as the database keeps them, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pytest

from signalpost.store import revisions
from signalpost.store.database import Connection, Database
from signalpost.store.revisions import digest

Answer = TypeVar("Answer")


def write(database: Database, work: Callable[[Connection], Answer]) -> Answer:
    """In a transaction."""
    return database.submit(work).result()


def propose(database: Database, text: str = "new") -> int:
    """A proposal that changes the text `old`."""
    made = partial(revisions.propose, base=digest("old"), who="ada", note="why", origin="editor", since=None, now=1)
    return write(database, lambda connection: made(connection, text))


def state(database: Database, number: int) -> str:
    """The state it is in."""
    found = database.look(partial(revisions.proposal, number=number))
    assert found is not None
    return found.state


def test_a_text_is_kept_once_while_it_stays(database: Database) -> None:
    """The same text again is no revision; one that comes back after another is."""
    keep = partial(revisions.keep, who="ada", note="", origin="apply")
    numbers = [
        write(database, partial(keep, text=text, now=now)).id for now, text in enumerate(["old", "old", "new", "old"], start=1)
    ]
    assert numbers[0] == numbers[1] < numbers[2] < numbers[3] == database.look(revisions.newest)
    found = database.look(partial(revisions.listed, most=2, after=1 << 60))
    assert [(one.text, before) for one, before in found] == [("old", "new"), ("new", "old")]
    assert database.look(partial(revisions.listed, most=9, after=1 << 60, who="ben")) == []
    assert database.look(partial(revisions.text_of, of=digest("new"))) == "new"
    assert database.look(revisions.authors) == ["ada"]


def test_a_proposal_goes_its_way(database: Database) -> None:
    """Draft, compared, wanted, applied: a revision by whoever wanted it, which knows its proposal."""
    number = propose(database)
    assert write(database, partial(revisions.compare, number=number, base=digest("old"), since=5, now=10))
    assert write(database, partial(revisions.progress, number=number, done=1, total=2, now=11))
    assert write(database, partial(revisions.compared, number=number, result=b"{}", now=12))
    assert database.look(partial(revisions.result, number=number)) == b"{}"
    assert not write(database, partial(revisions.want, number=number, state="draft", who="ben", now=13))
    assert write(database, partial(revisions.want, number=number, state="compared", who="ben", now=13))
    asked = database.look(revisions.wanted)
    assert asked is not None
    assert asked.id == number
    assert not write(database, partial(revisions.edit, number=number, text="x", base="", note="", now=14))
    taken = write(database, partial(revisions.take, number=number, now=15))
    assert taken is not None
    assert write(database, partial(revisions.take, number=number, now=15)) is None
    made = write(database, partial(revisions.apply, taken=taken, now=16))
    assert (made.text, made.who, made.note, made.origin) == ("new", "ben", "why", "apply")
    assert state(database, number) == "applied"
    assert database.look(partial(revisions.proposal_of, number=made.id)) == number
    assert [one.id for one in database.look(partial(revisions.proposals, most=5, closed=True))] == [number]
    assert not write(database, partial(revisions.discard, number=number, who="ada", now=17))


@pytest.mark.parametrize("compared", [False, True])
def test_what_could_not_be_applied_waits_again(database: Database, compared: bool) -> None:
    """With a sentence, as a draft or as planned as it was; nobody has decided it."""
    number = propose(database)
    if compared:
        write(database, partial(revisions.compare, number=number, base=digest("old"), since=5, now=10))
        write(database, partial(revisions.compared, number=number, result=b"{}", now=12))
    before = state(database, number)
    write(database, partial(revisions.want, number=number, state=before, who="ben", now=13))
    write(database, partial(revisions.back, number=number, sentence="The disk is full.", now=14))
    found = database.look(partial(revisions.proposal, number=number))
    assert found is not None
    assert (found.state, found.sentence, found.decided_by) == (before, "The disk is full.", None)


def test_another_text_forgets_its_plan(database: Database) -> None:
    """What was planned of the text before says nothing about this one."""
    number = propose(database)
    write(database, partial(revisions.compare, number=number, base=digest("old"), since=5, now=10))
    write(database, partial(revisions.compared, number=number, result=b"{}", now=12))
    assert write(database, partial(revisions.edit, number=number, text="newer", base=digest("old"), note="", now=13))
    assert state(database, number) == "draft"
    assert database.look(partial(revisions.result, number=number)) is None


def test_a_discarded_comparison_takes_no_result(database: Database) -> None:
    """Who still compares learns that nobody wants it."""
    number = propose(database)
    write(database, partial(revisions.compare, number=number, base=digest("old"), since=5, now=10))
    assert write(database, partial(revisions.discard, number=number, who="ada", now=11))
    told: list[Any] = [
        write(database, partial(revisions.progress, number=number, done=1, total=2, now=12)),
        write(database, partial(revisions.compared, number=number, result=b"{}", now=12)),
    ]
    assert told == [False, False]
    assert state(database, number) == "discarded"
