"""Why somebody is in a segment or out of it, and what changes next.

Every part of a rule is asked by itself (`live.closure`), at a moment and onwards until its answer really changes if nothing
happens; what it looked at of the person stands beside it. Values are raw: who shows them masks them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from msgspec import Struct

from signalpost import conditions, facts
from signalpost.conditions.expressions import asks_of
from signalpost.conditions.words import quoted
from signalpost.events import Person
from signalpost.options import UNITS, spelt
from signalpost.segments import bands as value_bands
from signalpost.segments import live
from signalpost.segments.bands import Bands
from signalpost.segments.live import NEVER, Test
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Not, Rule, Some, Split, Trait
from signalpost.segments.sentences import sentence


class Seen(Struct, frozen=True, kw_only=True):
    """One thing of the person that a part looked at."""

    name: str
    """An event, a path of a condition, `lot` or a value tier."""
    times: tuple[int, ...] = ()
    """Of an event: when it happened, as far as it is remembered, oldest first (epoch ms)."""
    value: Any = None
    """Of anything else: what it is; None: not known."""
    event: bool = False


class Part(Struct, frozen=True, kw_only=True):
    """One part of a rule, asked by itself."""

    word: str
    """`all`, `any`, `not`, `in` of another segment, or '' of a line."""
    sentence: str
    holds: bool
    changes_at: int | None
    """When its answer changes if nothing happens (epoch ms); None: never."""
    seen: tuple[Seen, ...] = ()
    parts: tuple[Part, ...] = ()


class Explanation(Struct, frozen=True, kw_only=True):
    """Why a person is in a segment or not."""

    segment: str
    at: int
    inside: bool
    changes_at: int | None
    """When they leave or enter if nothing happens (epoch ms); None: never."""
    because: str
    """What makes that change, after `because`; empty when nothing does."""
    events: tuple[str, ...]
    """Events that may change the answer at any time."""
    part: Part


def explain(
    name: str, rules: Mapping[str, Rule], bands: Mapping[str, Bands], person: Person, now: int, zone: tzinfo = UTC
) -> Explanation:
    """Why this person is in the segment or not, at `now`; `rules` are all segments. Dates are said in `zone`."""
    looking = _Looking(rules, bands, person, now, zone)
    part = looking.part(rules[name])
    return Explanation(
        segment=name,
        at=now,
        inside=part.holds,
        changes_at=part.changes_at,
        because="" if part.changes_at is None else _joined(looking.causes(rules[name], part.changes_at)),
        events=tuple(dict.fromkeys(slot.event for slot in live.slots(rules[name], rules))),
        part=part,
    )


def turns(test: Test, person: Person, now: int) -> tuple[bool, int | None]:
    """Whether the person is inside at `now`, and when that really changes if nothing happens; None: never."""
    inside, at = test(person, now)
    while at < NEVER:
        holds, following = test(person, at)
        if holds != inside:
            return inside, at
        at = following
    return inside, None


class _Looking(Struct, frozen=True):
    rules: Mapping[str, Rule]
    bands: Mapping[str, Bands]
    person: Person
    now: int
    zone: tzinfo

    def part(self, rule: Rule) -> Part:
        """A rule and all its parts, each asked by itself."""
        holds, changes_at = turns(self.test(rule), self.person, self.now)
        return Part(
            word=_word(rule),
            sentence=sentence(rule, self.zone),
            holds=holds,
            changes_at=changes_at,
            seen=tuple(self.seen(rule)),
            parts=tuple(map(self.part, self.inner(rule))),
        )

    def inner(self, rule: Rule) -> tuple[Rule, ...]:
        """What is asked below a rule: of a segment, also under `not`, that segment's own rule."""
        if isinstance(rule, (All, Some)):
            return rule.parts
        if isinstance(rule, Inside):
            return (self.rules[rule.segment],)
        if isinstance(rule, Not) and not isinstance(rule.part, Happened):
            return self.inner(rule.part) if isinstance(rule.part, Inside) else (rule.part,)
        return ()

    def test(self, rule: Rule) -> Test:
        return live.closure(rule, self.rules, self.bands)

    def seen(self, rule: Rule) -> Iterator[Seen]:
        """What one line looks at."""
        if isinstance(rule, Not) and isinstance(rule.part, Happened):
            rule = rule.part
        if isinstance(rule, (Happened, Age)):
            for slot in live.slots(rule, self.rules):
                yield Seen(name=slot.event, times=self.person.memory.get(slot.key, ()), event=True)
        elif isinstance(rule, Trait):
            subject = live.as_subject(self.person, self.now)
            for path in dict.fromkeys(asks.path for asks in asks_of(conditions.compile(rule.when).expression)):
                known = conditions.path(path)
                value = None if known is None else known.read(subject)
                if known is not None and known.kind == "presence":
                    value = None if value is None else True
                yield Seen(name=path, value=value)
        elif isinstance(rule, Split):
            yield Seen(name=f"lot in {quoted(rule.salt)}", value=live.lot(rule.salt, self.person.id) / live.LOTS)
        elif isinstance(rule, Band):
            own = self.bands[rule.tiers]
            yield Seen(name=f"person.{own.of}", value=value_bands.value(own, facts.of(self.person)))

    # ---- what makes the answer change

    def causes(self, rule: Rule, at: int) -> Iterator[str]:
        """What makes a rule's answer another one at this moment than 1 ms before, part by part."""
        if self.answer(rule, at - 1) == self.answer(rule, at):
            return
        if isinstance(rule, (All, Some)):
            for part in rule.parts:
                yield from self.causes(part, at)
        elif isinstance(rule, Not):
            yield from self.causes(rule.part, at)
        elif isinstance(rule, Inside):
            yield from self.causes(self.rules[rule.segment], at)
        elif isinstance(rule, (Happened, Age)):
            yield self.passing(rule, at)
        else:
            yield f"it is {'then' if self.answer(rule, at) else 'no longer'} so that {sentence(rule, self.zone)}"

    def answer(self, rule: Rule, at: int) -> bool:
        return self.test(rule)(self.person, at)[0]

    def passing(self, rule: Happened | Age, at: int) -> str:
        """`24 hours have passed since Checkout Started (2026-11-22 14:03 CET)`: the time that the moment is counted from."""
        times = self.person.memory.get(live.slots(rule, self.rules)[0].key, ())
        spans = (rule.low, rule.high) if isinstance(rule, Age) else (rule.within,)
        for span in spans:
            for time in times:
                if span is not None and time + span == at:
                    return f"{spelt(span)} have passed since {rule.event} ({moment(time, self.zone)})"
        return f"{rule.event} is looked at again"


def _word(rule: Rule) -> str:
    if isinstance(rule, All):
        return "all"
    if isinstance(rule, Some):
        return "any"
    if isinstance(rule, Not) and not isinstance(rule.part, Happened):
        return "not"
    return "in" if isinstance(rule, Inside) else ""


def _joined(words: Iterator[str]) -> str:
    return " and ".join(dict.fromkeys(words))


def moment(at: int, zone: tzinfo) -> str:
    """A moment for people: `2026-11-22 14:03:00 CET`."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


# ---- in words ----------------------------------------------------------------------------------------------------------------


def next_words(one: Explanation, zone: tzinfo, now: int) -> str:
    """When the person leaves or enters if nothing happens and why, and what may change it before, in sentences."""
    events = _either(one.events)
    other = f" {events} may change that at any time." if events else ""
    if not events and any(not seen.name.startswith("lot in") for part in _every(one.part) for seen in part.seen):
        other = " What is learned of the person may change that at any time."
    if one.changes_at is None:
        return f"Time alone changes nothing.{other}"
    verb = "Leaves" if one.inside else "Enters"
    at = f"{moment(one.changes_at, zone)}, in {_span(one.changes_at - now)}"
    return f"{verb} at {at}, because {one.because}.{other}"


def _every(part: Part) -> Iterator[Part]:
    yield part
    for inner in part.parts:
        yield from _every(inner)


def _span(ms: int) -> str:
    """A span as it is read: to the minute beyond an hour, to the second beyond a minute."""
    unit = UNITS["m"] if ms >= UNITS["h"] else UNITS["s"] if ms >= UNITS["m"] else 1
    return spelt(ms // unit * unit)


def _either(names: Iterable[str]) -> str:
    each = list(names)
    return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} or {each[-1]}" if each else ""


def seen_words(seen: Seen, value: Any, zone: tzinfo, now: int) -> str:
    """What a part looked at, in words; `value` is `seen.value` as it may be shown."""
    if not seen.event:
        if value is None:
            return f"{seen.name}: not known"
        if seen.name.endswith("_at") and isinstance(value, int):
            return f"{seen.name}: {moment(value, zone)} ({_span(now - value)} ago)"
        if seen.name.startswith("lot in"):
            return f"{seen.name}: {value:.4%}"
        return f"{seen.name}: {'known' if value is True else value}"
    if not seen.times:
        return f"{seen.name}: not remembered"
    last = f"{moment(seen.times[-1], zone)} ({_span(now - seen.times[-1])} ago)"
    return f"{seen.name}: {last}" + (f", and {len(seen.times) - 1} before" if len(seen.times) > 1 else "")
