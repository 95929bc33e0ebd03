"""What one line asks of its path: each question read, checked and made a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from signalpost.conditions.operands import Moment, Operand, operand, operands
from signalpost.conditions.operators import COMPARE, EVERY_OPERATOR, KINDS, LISTS, OPERATORS, ORDERING, Kind
from signalpost.conditions.paths import Path
from signalpost.conditions.scalars import moment_of, number_of, text_of
from signalpost.conditions.subject import NEVER, Changes, Subject, Test, never
from signalpost.conditions.words import PHRASES, either, phrases
from signalpost.marked import Notes, Value, listed, nearest
from signalpost.options import duration, spelt

Accept = Callable[[Any], bool]


class Predicate(Struct, frozen=True):
    """One question: what it accepts of a present value, how an absent one counts, and how it reads."""

    accept: Accept
    absent: bool
    phrase: str
    negative: bool = False
    """Of several values, none may be accepted by the question's opposite."""
    operator: str = ""
    operands: tuple[Any, ...] = ()
    """As `expressions.Asks` has them."""


class Aged(Predicate, frozen=True):
    """A question about how long ago a moment was; its operands are (`gte`, ms) and the like."""

    @property
    def turns(self) -> tuple[int, ...]:
        """The ages at which the answer turns: "more than a day" at a day and a millisecond, "a day or more" at a day."""
        return tuple(bound + (name in {"gt", "lte"}) for name, bound in self.operands)


class Presence(Predicate, frozen=True):
    """A question about whether there is anything at all."""


def predicates(key: str, known: Path, value: Value, notes: Notes) -> list[Predicate] | None:
    """The questions that one line asks; None with its mistakes noted."""
    if value.kind == "mapping":
        if not value.entries:
            notes.at(value, f"`{value.path}` says nothing of `{key}`; it takes {listed(OPERATORS[known.kind], 'or')}.")
            return None
        found = [_asked(key, known, name, entry, notes) for name, entry in value.entries.items()]
    else:
        found = [_asked(key, known, "in" if value.kind == "list" else "eq", value, notes)]
    several = [each for one in found if one is not None for each in one]
    return None if None in found else several


def _asked(key: str, known: Path, operator: str, value: Value, notes: Notes) -> list[Predicate] | None:
    allowed = OPERATORS[known.kind]
    if operator not in allowed:
        sentence = f"`{key}` is {KINDS[known.kind]}: it takes {listed(allowed, 'or')}, not `{operator}`."
        if operator not in EVERY_OPERATOR:
            near = nearest(operator, EVERY_OPERATOR)
            meant = f"Did you mean `{near}`?" if near in allowed else f"`{key}` takes {listed(allowed, 'or')}."
            sentence = f"There is no `{operator}` in a condition. {meant}"
        notes.place(value.key_line, value.column, value.path, sentence)
        return None
    if operator == "age":
        return _age(value, notes)
    if operator == "exists" or known.kind == "switch":
        wanted = _switch(value, notes)
        if wanted is None:
            return None
        return [_whether(known, wanted != (operator == "ne")) if known.kind == "switch" else _present(known, wanted)]
    if operator in LISTS:
        against = operands(key, known, operator, value, notes)
    else:
        one = operand(key, known, operator, value, notes)
        against = None if one is None else [one]
    return None if against is None else [_compared(known, operator, against)]


def _switch(value: Value, notes: Notes) -> bool | None:
    text = (value.text or "").lower() if value.kind == "scalar" else ""
    if text in {"true", "false"}:
        return text == "true"
    if value.kind != "scalar" or value.text is not None:
        notes.at(value, f"`{value.path}` must be `true` or `false`{_not_this(value)}.")
    return None


def _not_this(value: Value) -> str:
    return f", not `{value.raw}`" if value.kind == "scalar" else f", not a {value.kind}" if value.kind != "nothing" else ""


def _compared(known: Path, operator: str, against: list[Operand]) -> Predicate:
    negative = operator in {"ne", "not_in"}
    phrase = phrases(known.kind)[operator].replace("{x}", either(each.words for each in against))
    exact = tuple(each.exact for each in against)
    return Predicate(_accept(known.kind, operator, against), negative, phrase, negative, operator, exact)


def _accept(kind: Kind, operator: str, against: list[Operand]) -> Accept:
    """What a single present value must be; of `ne` and `not_in`, what it must not be."""
    first = against[0].exact
    if operator in ORDERING:
        compare = COMPARE[operator]
        if kind != "any":
            return lambda value: compare(value, first)
        reads, bound = (moment_of, first.at) if isinstance(first, Moment) else (number_of, first)
        return lambda value: (found := reads(value)) is not None and compare(found, bound)
    if kind in {"amount", "share", "count"}:
        numbers = frozenset(each.exact for each in against)
        return lambda value: value in numbers
    wanted = tuple(each.exact for each in against)
    if operator in {"contains", "contains_any"} and kind != "texts":
        return lambda value: (text := text_of(value)) is not None and any(part in text for part in wanted)
    if operator in {"starts_with", "ends_with"}:
        tried = str.startswith if operator == "starts_with" else str.endswith
        return lambda value: (text := text_of(value)) is not None and tried(text, wanted)
    texts = frozenset(wanted)
    if kind != "any":
        return lambda value: text_of(value) in texts
    exact = frozenset(found for text in texts if (found := number_of(text)) is not None)
    return lambda value: text_of(value) in texts or (bool(exact) and number_of(value) in exact)


def _present(known: Path, wanted: bool) -> Predicate:
    phrase = phrases(known.kind)["exists" if wanted else "missing"]
    return Presence(lambda _value: wanted, not wanted, phrase, operator="exists", operands=(wanted,))


def _whether(known: Path, wanted: bool) -> Predicate:
    what = known.words.partition(": ")[2]
    phrase = f"is {'' if wanted else 'not '}{what}"
    return Predicate(lambda value: value is wanted, not wanted, phrase, operator="eq", operands=(wanted,))


def _age(value: Value, notes: Notes) -> list[Predicate] | None:
    """`age: 6h..24h`, or `age: {gt: 30d}`: how long ago, counted to the subject's `now`."""
    if value.kind == "mapping" and value.entries:
        found: list[Predicate] = []
        for name, entry in value.entries.items():
            if name not in ORDERING:
                notes.place(entry.key_line, entry.column, entry.path, f"`age` takes {listed(ORDERING, 'or')}, not `{name}`.")
                continue
            least = _duration(entry, notes)
            if least is not None:
                found.append(_aged(PHRASES["age"][name].replace("{x}", spelt(least)), (name, least)))
        return found if len(found) == len(value.entries) else None
    text = value.text if value.kind == "scalar" else ""
    if text is None:
        return None
    begin, dots, end = text.partition("..")
    try:
        least, most = duration(begin), duration(end)
    except ValueError:
        least = most = 0
    if not dots or least >= most:
        notes.at(value, f"`{value.path}` must be a range such as `6h..24h` or a bound such as `{{gt: 30d}}`{_not_this(value)}.")
        return None
    phrase = PHRASES["age"]["range"].replace("{x}", f"{spelt(least)} to {spelt(most)}")
    return [_aged(phrase, ("gte", least), ("lt", most))]


def _aged(phrase: str, *bounds: tuple[str, int]) -> Aged:
    """A question about an age that must keep all these bounds."""
    if len(bounds) == 1:
        [(name, bound)] = bounds
        compare = COMPARE[name]
        return Aged(lambda age: compare(age, bound), False, phrase, operator="age", operands=bounds)
    (_, least), (_, most) = bounds
    return Aged(lambda age: least <= age < most, False, phrase, operator="age", operands=bounds)


def _duration(value: Value, notes: Notes) -> int | None:
    if value.kind == "scalar" and value.text is None:
        return None
    try:
        return duration(value.text or "" if value.kind == "scalar" else "")
    except ValueError as error:
        notes.at(value, f"`{value.path}` must be a duration{_not_this(value)}: {error}.")
        return None


def changing(known: Path, predicate: Predicate) -> Changes:
    """When time alone may change the answer to a question about a path."""
    if not isinstance(predicate, Aged):
        return never
    reads, turns = known.read, predicate.turns
    moment: Callable[[Any], int | None] = moment_of if known.kind == "any" else lambda value: value

    def changes(subject: Subject) -> int:
        at = moment(reads(subject))
        return NEVER if at is None else min([at + turn for turn in turns if at + turn > subject.now], default=NEVER)

    return changes


def tested(known: Path, predicate: Predicate) -> Test:
    """A question about a path as a test of a subject."""
    reads, accept, absent = known.read, predicate.accept, predicate.absent
    if isinstance(predicate, Aged):
        moment: Callable[[Any], int | None] = moment_of if known.kind == "any" else lambda value: value

        def aged(subject: Subject) -> bool:
            at = moment(reads(subject))
            return at is not None and accept(subject.now - at)

        return aged
    if isinstance(predicate, Presence):
        if known.kind == "texts":
            return lambda subject: accept(None) if reads(subject) else absent
        return lambda subject: accept(None) if reads(subject) not in (None, "", [], {}) else absent
    if known.kind == "texts":
        if predicate.negative:
            return lambda subject: not any(map(accept, reads(subject)))
        return lambda subject: any(map(accept, reads(subject)))
    if known.kind == "any":
        return _of_anything(reads, accept, negative=predicate.negative)
    if predicate.negative:
        return lambda subject: not ((value := reads(subject)) is not None and accept(value))
    return lambda subject: (value := reads(subject)) is not None and accept(value)


def _of_anything(reads: Callable[[Subject], Any], accept: Accept, *, negative: bool) -> Test:
    def test(subject: Subject) -> bool:
        value = reads(subject)
        found = any(map(accept, value)) if isinstance(value, (list, tuple)) else value is not None and accept(value)
        return found != negative

    return test
