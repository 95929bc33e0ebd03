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
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from signalpost import conditions
from signalpost.conditions.plain import marked
from signalpost.marked import Notes, Value, did_you_mean, listed, nearest, plain
from signalpost.options import UNITS, duration, share, spelt
from signalpost.segments.language import BOUNDS, LADDER, LINES, MOST_TIMES
from signalpost.segments.rules import Age, All, Happened, Inside, Not, Rule, Some, Split, Trait
from signalpost.vocabulary import CANONICAL_EVENTS, MESSAGE_EVENTS, canonical

LOTS = 1_000_000
"""The shares that a split can tell apart (`live.lot`)."""


class Known(Struct, frozen=True, kw_only=True):
    """What a rule may name."""

    aliases: Mapping[str, str] = {}
    """The shop's event names -> canonical names."""
    events: Collection[str] = ()
    """Events beside the canonical ones and those of messages: the shop's own and derived ones."""
    segments: Collection[str] | None = None
    """None: whatever is named is taken to be there."""
    zone: tzinfo = UTC
    """What dates without an offset are in."""


OF_OTHER_EVENTS = frozenset({"order.number", "order.refunded", "order.cancelled", "order.flagged"})
"""What a condition can ask of an order, but the event alone does not know."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
_TIER = re.compile(r"\s*([0-9][0-9a-z.]*?)\s*(?:-|\.\.)\s*([0-9][0-9a-z.]*)\s+(\S+)\s*")
_WORDS = (*LINES, *BOUNDS, *LADDER)


class Ladder(Struct, frozen=True):
    """Tiers of one event's age."""

    event: str
    until: tuple[str, ...]
    tiers: tuple[tuple[int, int, str], ...]
    """(from, to, name), in order and without a gap."""


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


def ladder(value: Value, notes: Notes, known: Known, name: str = "preview") -> Ladder | None:
    """The ladder that a value says; None with every mistake noted."""
    return _Reading(notes, known, name).ladder(value)


def is_ladder(value: Value) -> bool:
    """Whether a segment is a ladder and not a rule."""
    return value.kind == "mapping" and "ladder" in value.entries


def tier_names(value: Value) -> tuple[str, ...]:
    """The names of a ladder's tiers, as far as they can be read."""
    tiers = value.entries.get("tiers")
    found = [_TIER.fullmatch(one.text or "") for one in tiers.items] if tiers is not None else []
    return tuple(each[3] for each in found if each is not None)


def wrong_name(name: str) -> bool:
    """Whether a segment, a band or a journey cannot be called so: names stand in audiences, columns and URLs."""
    return _NAME.fullmatch(name) is None


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


class _Reading:
    """One segment being read. What returns None has noted why."""

    def __init__(self, notes: Notes, known: Known, name: str) -> None:
        self.notes = notes
        self.known = known
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
        owner = self._owner(value)
        parts: list[Rule | None] = []
        for key, entry in value.entries.items():
            if key in BOUNDS:
                continue
            if key not in LINES:
                self._unknown(key, entry)
                parts.append(None)
                continue
            bounds = {name: one for name, one in value.entries.items() if name in BOUNDS} if key == owner else {}
            parts.append(self.lines[key](entry, bounds))
        if owner is None or None in parts or not parts:
            return None
        rules = [part for part in parts if part is not None]
        return rules[0] if len(rules) == 1 else All(parts=tuple(rules))

    def _owner(self, value: Value) -> str | None:
        """The line that the bounds of a mapping belong to; "" without bounds, None when it is not clear (noted)."""
        bounds = [(key, entry) for key, entry in value.entries.items() if key in BOUNDS]
        if not bounds:
            return ""
        lines = [key for key in value.entries if key in {"did", "did_not", "last", "first"}]
        if len(lines) == 1:
            strange = [(key, entry) for key, entry in bounds if lines[0] not in BOUNDS[key][1]]
            for key, entry in strange:
                self._at_key(entry, f"`{key}` belongs to {listed(BOUNDS[key][1], 'or')}, not to `{lines[0]}`.{_instead(key)}")
            return None if strange else lines[0]
        for key, entry in bounds:
            if lines:
                of = listed(lines, "or")
                said = f"Nobody knows whether `{key}` belongs to {of}: write each as a rule of its own under `all:`."
            elif key == "where":
                said = "`where` asks something of an event, and no event stands beside it: write `did: EVENT` there."
            else:
                said = f"`{key}` bounds nothing here: write {listed(BOUNDS[key][1], 'or')} with an event beside it."
            self._at_key(entry, said)
        return None

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
            self._at_key(
                entry, f"`{key}` belongs to a ladder, and a ladder is a whole segment: `ladder: EVENT` with `until` and `tiers`."
            )
        elif key == "segment":
            self._at_key(entry, "A rule names another segment as `in_segment: NAME`.")
        elif conditions.path(key) is not None or conditions.path(f"person.{key}") is not None:
            about = "where" if key.startswith(("event.", "order.")) else "trait"
            self._at_key(entry, f"`{key}` is a line of a condition: write it under `{about}:`.")
        else:
            self._at_key(
                entry,
                f"There is no `{key}` in a rule.{did_you_mean(key, _WORDS) or ' Rules begin with ' + listed(LINES, 'or') + '.'}",
            )

    # ---- lines

    def _did(self, value: Value, bounds: Mapping[str, Value]) -> Rule | None:
        events = self._events(value)
        happened = None if events is None else self._happened(events, bounds)
        return None if happened is None else happened[0] if len(happened) == 1 else Some(parts=tuple(happened))

    def _did_not(self, value: Value, bounds: Mapping[str, Value]) -> Rule | None:
        events = self._events(value)
        happened = None if events is None else self._happened(events, bounds)
        if happened is None:
            return None
        none = tuple(Not(part=each) for each in happened)
        return none[0] if len(none) == 1 else All(parts=none)

    def _happened(self, events: tuple[str, ...], bounds: Mapping[str, Value]) -> list[Happened] | None:
        noted = len(self.notes.mistakes)
        given: dict[str, Any] = {}
        if "times" in bounds:
            least, most = self._times(bounds["times"]) or (1, None)
            given |= {"least": least, "most": most}
            if len(events) > 1:
                self._at_key(bounds["times"], "`times` counts one event: write each event as a rule of its own under `any:`.")
        if "within" in bounds:
            given["within"] = self._span(bounds["within"])
            if given["within"] == 0:
                self.notes.at(bounds["within"], f"`{bounds['within'].path}` is empty: nothing happens within no time.")
        if "since" in bounds:
            given["since"] = self._event(bounds["since"])
            if given["since"] in events:
                self.notes.at(bounds["since"], f"`since` names `{given['since']}` itself, which always happened since then.")
        if "between" in bounds:
            given["between"] = self._between(bounds["between"])
        if "where" in bounds:
            given["where"] = self._where(bounds["where"])
        if len(self.notes.mistakes) > noted or None in (given.get(name, 0) for name in ("within", "since", "between", "where")):
            return None
        return [Happened(event=event, **given) for event in events]

    def _age_of(self, value: Value, bounds: Mapping[str, Value], *, first: bool) -> Rule | None:
        word = "first" if first else "last"
        if value.kind == "list":
            self.notes.at(value, f"`{value.path}` must be one event: write each as a rule of its own under `any:`.")
            return None
        event = self._event(value)
        where = self._where(bounds["where"]) if "where" in bounds else None
        if "age" not in bounds:
            self.notes.within(
                value, f"`{word}` needs `age`, such as `age: 6h..24h`, beside it; to ask only whether it happened, write `did`."
            )
            return None
        window = self._window(bounds["age"])
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
            self._at_key(entry, "A rule names another segment as `in_segment: NAME`, beside `trait`.")
        elif key.startswith(("event.", "order.")):
            self._at_key(
                entry, f"`trait` asks of the person alone; `{key}` is of an event: write it under `where`, beside `did`."
            )
        elif conditions.path(_person_path(key)) is None:
            own = [name.removeprefix("person.") for name in conditions.PATHS if name.startswith("person.")]
            near = nearest(key.removeprefix("person."), own)
            hint = (
                f"Did you mean `{near}`?"
                if near
                else f"A trait that a source gives is written `traits.{key.rpartition('.')[2]}`."
            )
            self._at_key(entry, f"Nothing called `{key}` is known of a person. {hint}")

    def _inside(self, value: Value) -> Rule | None:
        if value.kind == "list" and value.items:
            several = [self._inside(item) for item in value.items]
            parts = tuple(part for part in several if part is not None)
            return None if len(parts) < len(several) else parts[0] if len(parts) == 1 else Some(parts=parts)
        name = self._text(value, "a segment's name")
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
        name = self._text(value, "the id or the name of a segment in Customer.io")
        return None if name is None else Trait(when={f"person.traits.{customerio_trait(name)}": "true"})

    def _split(self, value: Value) -> Rule | None:
        entries = value.entries if value.kind == "mapping" else {"share": value}
        for key, entry in entries.items():
            if key not in {"share", "from", "salt"}:
                self._at_key(entry, f"There is no `{key}` in a split.{did_you_mean(key, ('share', 'from', 'salt'))}")
        if "share" not in entries:
            self.notes.within(value, f"`{value.path}` needs `share`, such as `share: 10%`.")
            return None
        size = self._lots(entries["share"])
        low = self._lots(entries["from"]) if "from" in entries else 0
        salt = self._text(entries["salt"], "any text") if "salt" in entries else self.name
        if size is None or low is None or salt is None or not entries.keys() <= {"share", "from", "salt"}:
            return None
        if size == 0:
            self.notes.at(entries["share"], f"`{entries['share'].path}` is a share of nobody.")
            return None
        if low + size > LOTS:
            self.notes.at(value, f"`{value.path}` goes beyond 100%: `from` and `share` together are at most `100%`.")
            return None
        return Split(salt=salt, low=low, high=low + size)

    # ---- a ladder

    def ladder(self, value: Value) -> Ladder | None:
        noted = len(self.notes.mistakes)
        for key, entry in value.entries.items():
            if key not in LADDER:
                known = did_you_mean(key, LADDER)
                hint = (
                    " A ladder is a whole segment: write a segment that names its tiers with `in_segment`."
                    if key in LINES
                    else known
                )
                self._at_key(entry, f"There is no `{key}` in a ladder.{hint}")
        event = self._event(value.entries["ladder"])
        until = self._events(value.entries["until"]) if "until" in value.entries else ()
        if event is not None and until and event in until:
            self.notes.at(value.entries["until"], f"`until` names `{event}` itself: nobody would be in any tier.")
        tiers = self._tiers(value)
        if event is None or until is None or tiers is None or len(self.notes.mistakes) > noted:
            return None
        return Ladder(event, until, tiers)

    def _tiers(self, value: Value) -> tuple[tuple[int, int, str], ...] | None:
        held = value.entries.get("tiers")
        if held is None or held.kind != "list" or not held.items:
            self.notes.within(held or value, f"`{value.path}` needs `tiers`: a list such as `[0h-6h reminder, 6h-24h offer]`.")
            return None
        read = [self._tier(item) for item in held.items]
        tiers = [each for each in read if each is not None]
        if len(tiers) < len(read):
            return None
        noted = len(self.notes.mistakes)
        seen: dict[str, Value] = {}
        for (_, _, _, name), item in zip(tiers, held.items, strict=True):
            if name in seen:
                self.notes.at(item, f"Two tiers of `{value.path}` are called `{name}`.")
            seen[name] = item
        steps = []
        for place, (low, high, written, name) in enumerate(tiers):
            following = tiers[place + 1] if place + 1 < len(tiers) else None
            end = high if following is None else following[0]
            if following is not None and end not in {high, high + _unit(written)}:
                gap = "leave a gap between" if high < end else "overlap at"
                after = _short(end)
                self.notes.at(
                    held.items[place + 1],
                    f"The tiers `{name}` and `{following[3]}` {gap} {written} and {after}: a tier ends where the next begins, so"
                    f" write `{_short(low)}-{after} {name}`, or begin `{following[3]}` at {written}.",
                )
            elif end <= low:
                self.notes.at(held.items[place], f"The tier `{name}` is empty: it ends at {_short(end)}, before it begins.")
            steps.append((low, end, name))
        return tuple(steps) if len(self.notes.mistakes) == noted else None

    def _tier(self, value: Value) -> tuple[int, int, str, str] | None:
        """(from, to, to as it is written, name)."""
        text = self._text(value, "a tier such as `0h-6h reminder`")
        if text is None:
            return None
        found = _TIER.fullmatch(text)
        low = high = 0
        try:
            if found is not None:
                low, high = duration(found[1]), duration(found[2])
        except ValueError:
            found = None
        if found is None:
            self.notes.at(value, f"`{value.path}` must be a tier such as `0h-6h reminder`, not `{value.raw}`.")
            return None
        if wrong_name(found[3]):
            self.notes.at(
                value, f"The name of a tier is small letters, digits, `-` and `_`, such as `last_call`, not `{found[3]}`."
            )
            return None
        return low, high, found[2], found[3]

    # ---- what stands in a line

    def _events(self, value: Value) -> tuple[str, ...] | None:
        if value.kind != "list":
            one = self._event(value)
            return None if one is None else (one,)
        if not value.items:
            self.notes.at(value, f"`{value.path}` is empty.")
            return None
        several = [self._event(item) for item in value.items]
        return None if None in several else tuple(dict.fromkeys(each for each in several if each is not None))

    def _event(self, value: Value) -> str | None:
        written = self._text(value, "the name of an event")
        if written is None:
            return None
        event = canonical(written, self.known.aliases)
        if event in CANONICAL_EVENTS or event in self.known.events or event in MESSAGE_EVENTS:
            return event
        near = nearest(written, [*self.known.aliases, *self.known.events, *CANONICAL_EVENTS, *MESSAGE_EVENTS])
        hint = f" Did you mean `{near}`?" if near is not None else ""
        self.notes.at(
            value,
            f"There is no event `{value.raw}`.{hint} A shop's own event is declared under `events`, as"
            f" `{value.raw}: {value.raw}` if need be.",
        )
        return None

    def _where(self, value: Value) -> Any:
        """A condition on an event as plain data, or None."""
        noted = len(self.notes.mistakes)
        for key, entry in leaves(value):
            if key == "segment":
                self._at_key(entry, "`where` looks at the event; write `in_segment: NAME` as a rule of its own.")
            elif key.startswith("person."):
                said = f"`where` looks at the event; write `trait: {{{key.removeprefix('person.')}: ...}}` as a rule of its own."
                self._at_key(entry, said)
            elif key in OF_OTHER_EVENTS:
                self._at_key(
                    entry, f"`{key}` is not known when the event comes: other events make it so. Ask for them with `did`."
                )
            elif "age" in entry.entries:
                self._at_key(
                    entry.entries["age"],
                    "`where` is asked once, when the event comes; how long ago is said with `within` or `age` beside it.",
                )
        if len(self.notes.mistakes) > noted:
            return None
        return None if conditions.read(value, self.notes) is None else plain(value)

    def _times(self, value: Value) -> tuple[int, int | None] | None:
        """(at least, at most)."""
        if value.kind != "mapping":
            exactly = self._number(value)
            if exactly == 0:
                self.notes.at(value, f"`{value.path}` cannot be 0: write `did_not` in place of `did`.")
                return None
            return None if exactly is None else (exactly, exactly)
        least, most = 1, None
        for name, entry in value.entries.items():
            if name not in {"gte", "gt", "lt", "lte", "eq"}:
                takes = listed(("gte", "gt", "lt", "lte", "eq"), "or")
                self._at_key(entry, f"`times` takes a number, {takes}, not `{name}`.")
                return None
            number = self._number(entry)
            if number is None:
                return None
            if name in {"gte", "gt", "eq"}:
                least = max(least, number + (name == "gt"))
            if name in {"lte", "lt", "eq"}:
                highest = number - (name == "lt")
                most = highest if most is None else min(most, highest)
        if not value.entries or (most is not None and most < least):
            none = most is not None and most < 1
            hint = "write `did_not` in place of `did`" if none else "write a range such as `{gte: 2, lte: 5}`"
            self.notes.at(value, f"`{value.path}` holds for no number of times: {hint}.")
            return None
        return least, most

    def _number(self, value: Value) -> int | None:
        text = self._text(value, "a whole number")
        if text is None:
            return None
        if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None:
            self.notes.at(value, f"`{value.path}` must be a whole number, not `{value.raw}`.")
            return None
        if int(text) > MOST_TIMES:
            self.notes.at(value, f"`{value.path}` must be at most {MOST_TIMES}: so many times are remembered of each person.")
            return None
        return int(text)

    def _span(self, value: Value) -> int | None:
        text = self._text(value, "a duration such as `14d`")
        try:
            return None if text is None else duration(text)
        except ValueError as error:
            self.notes.at(value, f"`{value.path}` cannot be `{value.raw}`: {error}.")
            return None

    def _window(self, value: Value) -> tuple[int, int | None] | None:
        """(from, to) of an age."""
        if value.kind == "mapping" and value.entries:
            for name, entry in value.entries.items():
                if name not in {"gte", "lt"}:
                    self._at_key(
                        entry,
                        f"`age` takes `gte` and `lt`, not `{name}`: a window holds from its beginning on and not at its end.",
                    )
                    return None
            spans = {name: self._span(entry) for name, entry in value.entries.items()}
            if None in spans.values():
                return None
            low, high = spans.get("gte") or 0, spans.get("lt")
        else:
            text = self._text(value, "a window such as `6h..24h`")
            if text is None:
                return None
            begin, dots, end = (part.strip() for part in text.partition(".."))
            try:
                low, high = duration(begin) if begin else 0, duration(end) if end else None
            except ValueError:
                dots = ""
                low, high = 0, None
            if not dots or not (begin or end):
                self.notes.at(value, f"`{value.path}` must be a window such as `6h..24h`, `6h..` or `..24h`, not `{value.raw}`.")
                return None
        if high is not None and low >= high:
            self.notes.at(value, f"`{value.path}` is empty: no age is from {spelt(low)} on and below {spelt(high)}.")
            return None
        return low, high

    def _between(self, value: Value) -> tuple[int, int] | None:
        if value.kind != "list" or len(value.items) != 2:
            self.notes.at(value, f"`{value.path}` must be two dates, such as `[2026-11-01, 2026-12-01]`.")
            return None
        start, end = (self._moment(item) for item in value.items)
        if start is None or end is None:
            return None
        if start >= end:
            self.notes.at(value, f"`{value.path}` is empty: it ends before it begins.")
            return None
        return start, end

    def _moment(self, value: Value) -> int | None:
        text = self._text(value, "a date such as `2026-11-27` or a time such as `2026-11-27 18:00`")
        if text is None:
            return None
        try:
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]{5,15}(Z|[+-][0-9:]{4,6})?)?", text, re.ASCII) is None:
                raise ValueError(text)
            written = datetime.fromisoformat(text)
            moment = written if written.tzinfo is not None else written.replace(tzinfo=self.known.zone)
            return round(moment.timestamp() * 1000)
        except (ValueError, OverflowError):
            self.notes.at(
                value,
                f"`{value.path}` must be a date such as `2026-11-27` or a time such as `2026-11-27T18:00`, not `{value.raw}`.",
            )
            return None

    def _lots(self, value: Value) -> int | None:
        """A share in lots: 10% is 100,000."""
        text = self._text(value, "a share such as `10%`")
        if text is None:
            return None
        try:
            lots = share(text) * LOTS
        except ValueError as error:
            self.notes.at(value, f"`{value.path}` must be {error}, not `{value.raw}`.")
            return None
        if lots != lots.to_integral_value():
            self.notes.at(value, f"`{value.path}` has more than four digits after the point.")
            return None
        return int(lots)

    def _text(self, value: Value, what: str) -> str | None:
        if value.kind == "scalar" and value.text is None:
            return None
        if value.kind != "scalar" or not (value.text or "").strip():
            held = "is empty" if value.kind in {"nothing", "scalar"} else f"is a {value.kind}"
            self.notes.at(value, f"`{value.path}` {held}; it must be {what}.")
            return None
        return (value.text or "").strip()

    def _at_key(self, entry: Value, sentence: str) -> None:
        self.notes.place(entry.key_line, entry.column, entry.path, sentence)


def customerio_trait(segment: str) -> str:
    """The trait that says whether a person is in a segment of Customer.io, by its id or name."""
    return "customerio_segment_" + re.sub(r"[^a-z0-9]+", "_", segment.strip().lower()).strip("_")


def ladder_rules(name: str, steps: Ladder) -> dict[str, Rule]:
    """Every segment that a ladder makes: a tier each, and under the ladder's own name all of them together."""
    none_since = tuple(Not(part=Happened(event=event, since=steps.event)) for event in steps.until)

    def between(low: int, high: int) -> Rule:
        aged = Age(event=steps.event, low=low, high=high)
        return All(parts=(aged, *none_since)) if none_since else aged

    tiers = {f"{name}_{tier}": between(low, high) for low, high, tier in steps.tiers}
    return {**tiers, name: between(steps.tiers[0][0], steps.tiers[-1][1])}


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


def _unit(written: str) -> int:
    """One of the smallest unit in which a duration is written, when it is a whole number of one unit: `3d` -> a day; else 0."""
    found = re.fullmatch(r"[0-9]+(ms|s|m|h|d|w)", written)
    return UNITS[found[1]] if found is not None else 0


def _short(milliseconds: int) -> str:
    """A duration as a ladder would write it."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds % UNITS[unit] == 0:
            return f"{milliseconds // UNITS[unit]}{unit}"
    return f"{milliseconds}ms"
