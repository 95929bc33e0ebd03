"""How lines stand together: `all`, `any`, `not` and the lines of a mapping, as one test and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from signalpost.conditions.expressions import Asks, Either, Every, Expression, Neither
from signalpost.conditions.paths import OPEN, PATHS, Path, path
from signalpost.conditions.predicates import Predicate, changing, predicates, tested
from signalpost.conditions.subject import NEVER, Changes, Subject, Test, never
from signalpost.conditions.words import counting
from signalpost.marked import Notes, Value, listed, nearest


class Node(Struct, frozen=True):
    """A condition or a part of one."""

    test: Test
    say: Callable[[bool], str]
    """The sentence; True: the person was named just before, so that they are `they` now."""
    traits: frozenset[str]
    changes: Changes
    """When time alone may change the answer."""
    expression: Expression
    person: bool = False
    """Whether it is about the person."""
    several: bool = False
    """Whether it needs brackets inside another."""


def node(value: Value, notes: Notes) -> Node | None:
    """The condition that a value says; None with its mistakes noted."""
    if value.kind == "scalar" and value.text is None:
        return None  # a variable that is not set; noted already
    if value.kind == "list":
        notes.at(value, f"`{value.path}` is a list; write `all:` or `any:` before it to say how many of it must hold.")
        return None
    if value.kind != "mapping" or not value.entries:
        notes.at(value, f"`{value.path}` must be a condition, such as `order.value: {{lte: 0}}`.")
        return None
    parts = [_entry(key, entry, notes) for key, entry in value.entries.items()]
    return _every([part for part in parts if part is not None]) if None not in parts else None


def _entry(key: str, value: Value, notes: Notes) -> Node | None:
    if key in GROUPS:
        return _group(key, value, notes)
    known = path(key)
    if known is None:
        notes.place(value.key_line, value.column, value.path, _unknown(key))
        return None
    found = predicates(key, known, value, notes)
    return None if found is None else _leaf(key, known, found)


def _unknown(key: str) -> str:
    if key.startswith("segment."):
        return f"A condition names a segment as `segment: {key.removeprefix('segment.') or 'NAME'}`."
    if key in OPEN:
        return f"`{key}` needs the name of what it looks at, such as `{key}.gift_note`."
    root, *names = key.split(".")
    own = {name.removeprefix(f"{root}."): name for name in PATHS if name.startswith(f"{root}.")}
    if own:
        # The root is right, so only what follows it is compared: `order.` alone makes any two paths alike.
        near = own.get(nearest(key.removeprefix(f"{root}."), own) or "")
        opened = nearest(f"{root}.{names[0]}", OPEN) if len(names) > 1 and all(names) else None
        near = near or (".".join([opened, *names[1:]]) if opened is not None else None)
        there = listed([*own.values(), *(f"{one}.…" for one in OPEN if one.startswith(f"{root}."))])
        known = f"Did you mean `{near}`?" if near is not None else f"Of the {root} it knows {there}."
    else:
        ends = {name.rpartition(".")[2]: name for name in reversed(PATHS)}
        near = ends.get(nearest(key.rpartition(".")[2], ends) or "") or nearest(key, [*PATHS, *GROUPS])
        known = f"Did you mean `{near}`?" if near is not None else "Paths begin with `event.`, `order.` or `person.`."
    return f"A condition cannot look at `{key}`. {known}"


def _group(word: str, value: Value, notes: Notes) -> Node | None:
    if value.kind == "mapping" and word == "not":
        within = node(value, notes)
        return None if within is None else _none([within])
    if value.kind != "list" or not value.items:
        more = " or one condition" if word == "not" else ""
        notes.at(value, f"`{value.path}` must be a list of conditions{more}, such as `- order.value: {{lte: 0}}`.")
        return None
    read = [node(item, notes) for item in value.items]
    parts = [part for part in read if part is not None]
    if len(parts) < len(read):
        return None
    return GROUPS[word](parts)


def _every(parts: list[Node]) -> Node:
    if len(parts) == 1:
        return parts[0]
    tests = tuple(part.test for part in parts)

    def test(subject: Subject) -> bool:
        for one in tests:  # noqa: SIM110 - a loop is twice as fast as all() of a generator
            if not one(subject):
                return False
        return True

    def say(again: bool) -> str:
        said = []
        for part in parts:
            said.append(_bracketed(part, again))
            again = part.person
        return " and ".join(said)

    return Node(
        test,
        say,
        _traits(parts),
        _until(parts, settled=False),
        Every(tuple(part.expression for part in parts)),
        person=parts[0].person,
        several=True,
    )


def _some(parts: list[Node]) -> Node:
    if len(parts) == 1:
        return parts[0]
    tests = tuple(part.test for part in parts)

    def test(subject: Subject) -> bool:
        for one in tests:  # noqa: SIM110 - as above
            if one(subject):
                return True
        return False

    def say(_again: bool) -> str:
        return "either " + ", or ".join(_bracketed(part, False) for part in parts)

    return Node(
        test,
        say,
        _traits(parts),
        _until(parts, settled=True),
        Either(tuple(part.expression for part in parts)),
        several=True,
    )


def _none(parts: list[Node]) -> Node:
    some = _some(parts)

    def say(_again: bool) -> str:
        if len(parts) == 1:
            return f"it is not so that {_bracketed(parts[0], False)}"
        return "it is not so that " + ", nor that ".join(_bracketed(part, False) for part in parts)

    return Node(
        lambda subject: not some.test(subject),
        say,
        some.traits,
        some.changes,
        Neither(tuple(part.expression for part in parts)),
        several=True,
    )


GROUPS: dict[str, Callable[[list[Node]], Node]] = {"all": _every, "any": _some, "not": _none}
"""The words before a list of conditions."""


def _bracketed(part: Node, again: bool) -> str:
    return f"({part.say(False)})" if part.several else part.say(again)


def _traits(parts: Iterable[Node]) -> frozenset[str]:
    return frozenset().union(*(part.traits for part in parts))


def _until(parts: Sequence[Node], *, settled: bool) -> Changes:
    """When time alone may change whether any (`settled`) or all (not) of these hold.

    One part that answers `settled` settles the whole for as long as it stays so; with none, whichever part changes first may.
    """
    if all(part.changes is never for part in parts):
        return never
    asked = tuple((part.test, part.changes) for part in parts)

    def changes(subject: Subject) -> int:
        first, settles = NEVER, 0
        for test, until in asked:
            then = until(subject)
            if test(subject) is settled:
                settles = max(settles, then)
            elif then < first:
                first = then
        return settles or first

    return changes


def _leaf(key: str, known: Path, asked: list[Predicate]) -> Node:
    """One line: every question that it asks of its path."""
    nodes = [(tested(known, one), changing(known, one), Asks(key, known.kind, one.operator, one.operands)) for one in asked]
    person = known.words.startswith("person")

    def say(again: bool) -> str:
        owner, counted, thing = known.words.partition(": ")
        subject = owner
        if person and again:
            subject = "they" if counted else "their" + owner.removeprefix("person's")
        has = "have" if subject == "they" else "has"
        said = []
        for one in asked:
            phrase = one.phrase.replace("{has}", has).replace("{things}", f"{thing}s")
            said.append(counting(phrase, thing) if known.kind == "count" else phrase)
        return f"{subject} {' and '.join(said)}"

    if len(nodes) == 1:
        [(test, changes, expression)] = nodes
        return Node(test, say, known.traits, changes, expression, person=person)
    joined = _every([Node(test, say, known.traits, changes, expression) for test, changes, expression in nodes])
    return Node(joined.test, say, known.traits, joined.changes, joined.expression, person=person, several=True)
