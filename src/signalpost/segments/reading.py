"""A segment's rule read from the workspace file, every mistake with its line.

    all:                                                          a mapping: every line of it must hold
      - {last: Checkout Started, age: 6h..24h}                    one line with what bounds it
      - {did_not: Order Completed, since: Checkout Started}
      - any: [{trait: {lifetime_value: {gt: 300}}}, {in_segment: vip}]

`language.LINES` is all that a rule may hold, `BOUNDS` what may stand beside a line. Events end as canonical names, spans as ms,
conditions stay plain: what comes out is a value of `rules`, the same whatever way it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from signalpost import conditions
from signalpost.conditions.plain import marked
from signalpost.marked import Notes, Value, did_you_mean, listed, nearest, plain
from signalpost.segments.language import BOUNDS, LADDER, LINES
from signalpost.segments.operands import LOTS, Known, Operands
from signalpost.segments.rules import Age, All, Happened, Inside, Not, Rule, Some, Split, Trait

OF_EVENTS = ("did", "did_not", "last", "first")
"""Lines that bounds belong to."""

OF_OTHER_EVENTS = frozenset({"order.number", "order.refunded", "order.cancelled", "order.flagged"})
"""What a condition can ask of an order, but the event alone does not know."""

_WORDS = (*LINES, *BOUNDS, *LADDER)


def rule(raw: Any, known: Known | None = None, name: str = "preview") -> Rule:
    """The rule that plain data (mappings, lists, texts) says; raise `ValueError` with what is wrong with it."""
    notes = Notes("")
    found = read(marked(raw, "rule"), notes, Known() if known is None else known, name)
    if found is None:
        raise ValueError(notes.found[0].sentence if notes.found else "The rule says nothing.")
    return found


def read(value: Value, notes: Notes, known: Known, name: str = "preview") -> Rule | None:
    """The rule that a value of the workspace file says; None with every mistake noted. No value makes this raise.

    `name` is the segment's, which salts its split.
    """
    return _Reading(notes, known, name).rule(value)


def leaves(value: Value) -> Iterator[tuple[str, Value]]:
    """Every line of a condition with its path, through `all`, `any` and `not`."""
    if value.kind == "list":
        for item in value.items:
            yield from leaves(item)
    for key, entry in value.entries.items():
        if key in {"all", "any", "not"}:
            yield from leaves(entry)
        else:
            yield key, entry


class _Reading(Operands):
    """One segment being read. What returns None has noted why."""

    def __init__(self, notes: Notes, known: Known, name: str) -> None:
        super().__init__(notes, known)
        self.name = name
        self.lines: dict[str, Callable[[Value, Mapping[str, Value]], Rule | None]] = {
            "did": self._did,
            "did_not": self._did_not,
            "last": lambda value, bounds: self._age_of(value, bounds, first=False),
            "first": lambda value, bounds: self._age_of(value, bounds, first=True),
            "trait": lambda value, _: self._trait(value),
            "in_segment": lambda value, _: self._inside(value),
            "customerio_segment": lambda value, _: self._customerio(value),
            "split": lambda value, _: self._split(value),
            "all": lambda value, _: self._group("all", value),
            "any": lambda value, _: self._group("any", value),
            "not": lambda value, _: self._group("not", value),
        }

    # ---- how lines stand together

    def rule(self, value: Value) -> Rule | None:
        if value.kind == "scalar" and value.text is None:
            return None  # a variable that is not set; noted already
        if value.kind == "list":
            self.notes.at(value, f"`{value.path}` is a list; write `all:` or `any:` before it to say how many of it must hold.")
            return None
        if value.kind != "mapping" or not value.entries:
            self.notes.at(value, f"`{value.path}` must be a rule, such as `did: Order Completed`.")
            return None
        owned = self._owned(value)
        parts: list[Rule | None] = []
        for key, entry in value.entries.items():
            if key in BOUNDS or (owned is None and key in OF_EVENTS):
                continue  # without its bounds a line would only be told to have them
            if key not in LINES:
                self._unknown(key, entry)
                parts.append(None)
                continue
            parts.append(self.lines[key](entry, (owned or {}).get(key, {})))
        if owned is None or None in parts or not parts:
            return None
        rules = [part for part in parts if part is not None]
        return rules[0] if len(rules) == 1 else All(parts=tuple(rules))

    def _owned(self, value: Value) -> dict[str, dict[str, Value]] | None:
        """Line -> the bounds that belong to it: each to the only line that takes it. None where that is not clear (noted)."""
        lines = [key for key in value.entries if key in OF_EVENTS]
        owned: dict[str, dict[str, Value]] = {line: {} for line in lines}
        noted = len(self.notes.mistakes)
        for key, entry in value.entries.items():
            if key not in BOUNDS:
                continue
            takes = BOUNDS[key][1]
            owners = [line for line in lines if line in takes]
            if len(owners) == 1:
                owned[owners[0]][key] = entry
            elif owners:
                of = listed(owners, "or")
                self.at_key(entry, f"Nobody knows whether `{key}` belongs to {of}: write each as a rule of its own under `all:`.")
            elif lines:
                self.at_key(entry, f"`{key}` belongs to {listed(takes, 'or')}, not to {listed(lines, 'or')}.{_instead(key)}")
            elif key == "where":
                said = "`where` asks something of an event, and no event stands beside it: write `did: EVENT` there."
                self.at_key(entry, said)
            else:
                self.at_key(entry, f"`{key}` bounds nothing here: write {listed(takes, 'or')} with an event beside it.")
        return owned if len(self.notes.mistakes) == noted else None

    def _group(self, word: str, value: Value) -> Rule | None:
        if value.kind == "mapping" and word == "not":
            within = self.rule(value)
            return None if within is None else Not(part=within)
        if value.kind != "list" or not value.items:
            more = " or one rule" if word == "not" else ""
            self.notes.at(value, f"`{value.path}` must be a list of rules{more}, such as `- did: Order Completed`.")
            return None
        read = [self.rule(item) for item in value.items]
        parts = tuple(part for part in read if part is not None)
        if len(parts) < len(read):
            return None
        if word == "all":
            return parts[0] if len(parts) == 1 else All(parts=parts)
        some = parts[0] if len(parts) == 1 else Some(parts=parts)
        return some if word == "any" else Not(part=some)

    def _unknown(self, key: str, entry: Value) -> None:
        if key in LADDER:
            self.at_key(
                entry, f"`{key}` belongs to a ladder, and a ladder is a whole segment: `ladder: EVENT` with `until` and `tiers`."
            )
        elif key == "segment":
            self.at_key(entry, "A rule names another segment as `in_segment: NAME`.")
        elif conditions.path(key) is not None or conditions.path(f"person.{key}") is not None:
            about = "where" if key.startswith(("event.", "order.")) else "trait"
            self.at_key(entry, f"`{key}` is a line of a condition: write it under `{about}:`.")
        else:
            self.at_key(
                entry,
                f"There is no `{key}` in a rule.{did_you_mean(key, _WORDS) or ' Rules begin with ' + listed(LINES, 'or') + '.'}",
            )

    # ---- lines

    def _did(self, value: Value, bounds: Mapping[str, Value]) -> Rule | None:
        happened = self._happened(self.events(value), bounds)
        return None if happened is None else happened[0] if len(happened) == 1 else Some(parts=tuple(happened))

    def _did_not(self, value: Value, bounds: Mapping[str, Value]) -> Rule | None:
        happened = self._happened(self.events(value), bounds)
        if happened is None:
            return None
        none = tuple(Not(part=each) for each in happened)
        return none[0] if len(none) == 1 else All(parts=none)

    def _happened(self, named: tuple[str, ...] | None, bounds: Mapping[str, Value]) -> list[Happened] | None:
        events = named or ()
        noted = len(self.notes.mistakes)
        given: dict[str, Any] = {}
        if "times" in bounds:
            least, most = self.times(bounds["times"]) or (1, None)
            given |= {"least": least, "most": most}
            if len(events) > 1:
                self.at_key(bounds["times"], "`times` counts one event: write each event as a rule of its own under `any:`.")
        if "within" in bounds:
            given["within"] = self.span(bounds["within"])
            if given["within"] == 0:
                self.notes.at(bounds["within"], f"`{bounds['within'].path}` is empty: nothing happens within no time.")
        if "since" in bounds:
            given["since"] = self.event(bounds["since"])
            if given["since"] in events:
                self.notes.at(bounds["since"], f"`since` names `{given['since']}` itself, which always happened since then.")
        if "between" in bounds:
            given["between"] = self.between(bounds["between"])
        if "where" in bounds:
            given["where"] = self._where(bounds["where"])
        if len(self.notes.mistakes) > noted or None in (given.get(name, 0) for name in ("within", "since", "between", "where")):
            return None
        return [Happened(event=event, **given) for event in events] or None

    def _age_of(self, value: Value, bounds: Mapping[str, Value], *, first: bool) -> Rule | None:
        word = "first" if first else "last"
        if value.kind == "list":
            self.notes.at(value, f"`{value.path}` must be one event: write each as a rule of its own under `any:`.")
            return None
        event = self.event(value)
        where = self._where(bounds["where"]) if "where" in bounds else None
        if "age" not in bounds:
            self.notes.within(
                value, f"`{word}` needs `age`, such as `age: 6h..24h`, beside it; to ask only whether it happened, write `did`."
            )
            return None
        window = self.window(bounds["age"])
        if event is None or window is None or ("where" in bounds and where is None):
            return None
        return Age(event=event, where=where, first=first, low=window[0], high=window[1])

    def _trait(self, value: Value) -> Rule | None:
        noted = len(self.notes.mistakes)
        for key, entry in leaves(value):
            self._of_person(key, entry)
        if len(self.notes.mistakes) > noted:
            return None
        named = _with_person(value)
        return None if conditions.read(named, self.notes) is None else Trait(when=plain(named))

    def _of_person(self, key: str, entry: Value) -> None:
        if key in {"segment", "person.segment"}:
            self.at_key(entry, "A rule names another segment as `in_segment: NAME`, beside `trait`.")
        elif key.startswith(("event.", "order.")):
            self.at_key(entry, f"`trait` asks of the person alone; `{key}` is of an event: write it under `where`, beside `did`.")
        elif conditions.path(_person_path(key)) is None:
            own = [name.removeprefix("person.") for name in conditions.PATHS if name.startswith("person.")]
            near = nearest(key.removeprefix("person."), own)
            hint = (
                f"Did you mean `{near}`?"
                if near
                else f"A trait that a source gives is written `traits.{key.rpartition('.')[2]}`."
            )
            self.at_key(entry, f"Nothing called `{key}` is known of a person. {hint}")

    def _inside(self, value: Value) -> Rule | None:
        if value.kind == "list" and value.items:
            several = [self._inside(item) for item in value.items]
            parts = tuple(part for part in several if part is not None)
            return None if len(parts) < len(several) else parts[0] if len(parts) == 1 else Some(parts=parts)
        name = self.text(value, "a segment's name")
        if name is None:
            return None
        if self.known.segments is not None and name not in self.known.segments:
            self.notes.at(value, f"There is no segment `{value.raw}`.{did_you_mean(name, self.known.segments)}")
            return None
        if name == self.name:
            self.notes.at(value, f"The segment `{name}` names itself.")
            return None
        return Inside(segment=name)

    def _customerio(self, value: Value) -> Rule | None:
        name = self.text(value, "the id or the name of a segment in Customer.io")
        return None if name is None else Trait(when={f"person.traits.{customerio_trait(name)}": "true"})

    def _split(self, value: Value) -> Rule | None:
        entries = value.entries if value.kind == "mapping" else {"share": value}
        for key, entry in entries.items():
            if key not in {"share", "from", "salt"}:
                self.at_key(entry, f"There is no `{key}` in a split.{did_you_mean(key, ('share', 'from', 'salt'))}")
        if "share" not in entries:
            self.notes.within(value, f"`{value.path}` needs `share`, such as `share: 10%`.")
            return None
        size = self.lots(entries["share"])
        low = self.lots(entries["from"]) if "from" in entries else 0
        salt = self.text(entries["salt"], "any text") if "salt" in entries else self.name
        if size is None or low is None or salt is None or not entries.keys() <= {"share", "from", "salt"}:
            return None
        if size == 0:
            self.notes.at(entries["share"], f"`{entries['share'].path}` is a share of nobody.")
            return None
        if low + size > LOTS:
            self.notes.at(value, f"`{value.path}` goes beyond 100%: `from` and `share` together are at most `100%`.")
            return None
        return Split(salt=salt, low=low, high=low + size)

    def _where(self, value: Value) -> Any:
        """A condition on an event as plain data, or None."""
        noted = len(self.notes.mistakes)
        for key, entry in leaves(value):
            if key == "segment":
                self.at_key(entry, "`where` looks at the event; write `in_segment: NAME` as a rule of its own.")
            elif key.startswith("person."):
                said = f"`where` looks at the event; write `trait: {{{key.removeprefix('person.')}: ...}}` as a rule of its own."
                self.at_key(entry, said)
            elif key in OF_OTHER_EVENTS:
                self.at_key(
                    entry, f"`{key}` is not known when the event comes: other events make it so. Ask for them with `did`."
                )
            elif "age" in entry.entries:
                self.at_key(
                    entry.entries["age"],
                    "`where` is asked once, when the event comes; how long ago is said with `within` or `age` beside it.",
                )
        if len(self.notes.mistakes) > noted:
            return None
        return None if conditions.read(value, self.notes) is None else plain(value)


def customerio_trait(segment: str) -> str:
    """The trait that says whether a person is in a segment of Customer.io, by its id or name."""
    return "customerio_segment_" + re.sub(r"[^a-z0-9]+", "_", segment.strip().lower()).strip("_")


def _instead(key: str) -> str:
    return (
        " How long ago is said with `within`." if key == "age" else " How long ago is said with `age`." if key == "within" else ""
    )


def _person_path(key: str) -> str:
    return key if key.startswith("person.") else f"person.{key}"


def _with_person(value: Value) -> Value:
    """A condition on a person with `person.` before each path."""
    if value.kind == "list":
        return replace(value, items=[_with_person(item) for item in value.items])
    named = {
        key if key in {"all", "any", "not"} else _person_path(key): _with_person(entry) if key in {"all", "any", "not"} else entry
        for key, entry in value.entries.items()
    }
    return replace(value, entries=named)
