"""The condition language: a YAML mapping of a path to a predicate, checked, printed as a sentence, compiled to a closure.

    order.value: {lte: 0}                     a mapping: every line of it must hold
    person.tags: employee                     a plain value: equals it, or has it among several
    order.source_name: [pos, draft]           a list: one of these
    any:                                      `all`, `any`: every one, at least one; `not`: none of these
      - {order.discount_share: {gt: 40%}}
      - {person.last_order_at: {age: 30d..90d}, person.orders: {gte: 3}}

`PATHS` is all that can be read, `OPERATORS` all that can be asked of it. What is not known meets no predicate but the negative
ones (`ne`, `not_in`, `exists: false`). Text is compared without regard to case and outer spaces, numbers exactly.
Nothing of the text is left at run time: `compile` makes one closure, which reads a `Subject` and answers.

    operators   the kinds of what is read, and what may be asked of each
    words       how each question reads
    scalars     JSON values as what they are compared as
    subject     what a condition looks at
    expressions a condition as a value, for other languages
    paths       what can be read
    operands    what a value is compared with
    predicates  what one line asks of its path
    tree        how lines stand together
    plain       conditions without a file
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from signalpost.conditions.expressions import Expression
from signalpost.conditions.operators import KINDS, OPERATORS
from signalpost.conditions.paths import OPEN, PATHS, Path, path
from signalpost.conditions.plain import marked, written
from signalpost.conditions.subject import NEVER, Changes, Subject, Test
from signalpost.conditions.tree import node
from signalpost.conditions.words import PHRASES
from signalpost.marked import Mistake, Notes, Value

__all__ = [
    "KINDS",
    "NEVER",
    "OPEN",
    "OPERATORS",
    "PATHS",
    "PHRASES",
    "Changes",
    "Condition",
    "Expression",
    "Path",
    "Subject",
    "Test",
    "check",
    "compile",
    "path",
    "read",
    "written",
]


class Condition(Struct, frozen=True):
    """A condition ready to be asked, with the sentence that says it."""

    test: Test
    sentence: str
    traits: frozenset[str]
    """Traits that must be kept in `Person.given` for it."""
    changes: Changes
    """When time alone may change the answer; only `age` makes it."""
    expression: Expression


def compile(raw: Any) -> Condition:  # noqa: A001 - conditions.compile reads as what it is
    """The condition that plain data (mappings, lists, texts) says; raise `ValueError` with what is wrong with it."""
    notes = Notes("")
    condition = read(marked(raw, "when"), notes)
    if condition is None:
        raise ValueError(notes.mistakes[0].sentence if notes.mistakes else "The condition says nothing.")
    return condition


def read(value: Value, notes: Notes) -> Condition | None:
    """The condition that a value of the workspace file says; None with every mistake noted. No value makes this raise."""
    found = node(value, notes)
    return None if found is None else Condition(found.test, found.say(False), found.traits, found.changes, found.expression)


def check(raw: Any) -> tuple[Mistake, ...]:
    """Everything wrong with plain data as a condition, for those who have no file."""
    notes = Notes("")
    read(marked(raw, "when"), notes)
    return notes.found
