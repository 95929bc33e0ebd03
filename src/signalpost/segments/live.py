"""Who is inside a segment at a moment, and when that changes next.

A rule becomes a function `(person, now) -> (inside?, next)`: until `next` the answer cannot change by time alone, so one timer
for each person is enough and nobody is ever looked at in vain. What the rules need of a person's past is a few times for each
kind of event (`Slot`), kept in `Person.memory`; slots are added up by union, so people merge and history can be filled in later
in any order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from signalpost import conditions, facts
from signalpost.conditions.expressions import asks_of
from signalpost.conditions.subject import never
from signalpost.events import Claim, Event, Order, Person
from signalpost.segments import bands as value_tiers
from signalpost.segments.bands import Bands
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Not, Rule, Split, Trait
from signalpost.segments.rules import leaves as own_leaves

NEVER = conditions.NEVER
"""The moment that does not come."""

LOTS = 1_000_000
"""The shares that a split can tell apart."""

Answer = tuple[bool, int]
Test = Callable[[Person, int], Answer]
"""Whether the person is inside at a moment, and the first later moment at which that may change by time alone."""

IN: Answer = (True, NEVER)
OUT: Answer = (False, NEVER)

_NO_EVENT = Event(kind="identify", source="", message_id="", time=0, received_at=0)
_NO_ORDER = Order()
_NO_CLAIM = Claim(source="", event=0, time=0, message_id="")
_encode = msgspec.json.Encoder(order="deterministic").encode


class Slot(Struct, frozen=True):
    """What must be remembered of one kind of event: its newest times, and the oldest where a rule asks for the first."""

    key: str
    event: str
    where: Any = None
    newest: int = 1
    oldest: int = 0
    between: tuple[int, int] | None = None


class Segment(Struct, frozen=True):
    """One segment, compiled, with what can move people in it."""

    name: str
    test: Test
    slots: frozenset[str]
    needs: tuple[str, ...]
    """Slots without which nobody is inside, whatever else is known."""
    orders: bool
    """Whether it reads what is computed of the person's orders."""
    traits: bool
    """Whether it reads anything else of the person: traits, identifiers."""
    blank: bool
    """Whether it may hold for a person of whom nothing is known."""


class Live(Struct, frozen=True):
    """All segments of a workspace, compiled."""

    segments: dict[str, Segment] = {}
    slots: tuple[Slot, ...] = ()
    by_event: dict[str, tuple[tuple[Slot, Callable[[conditions.Subject], bool] | None], ...]] = {}
    """Event name -> the slots that remember it, with the condition it must meet."""
    by_slot: dict[str, tuple[str, ...]] = {}
    """Slot -> the segments that read it."""
    by_orders: tuple[str, ...] = ()
    by_traits: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Slot -> (oldest, newest) times it keeps."""
    unready: frozenset[str] = frozenset()
    """Segments whose past is still being filled in: remembered for, but nobody is asked."""


NONE = Live()


# ---- what is remembered ----------------------------------------------------------------------------------------------------


def slot(event: str, where: Any = None, *, newest: int = 1, oldest: int = 0, between: tuple[int, int] | None = None) -> Slot:
    """The slot of this need. Its key says all of the need, so that a slot never changes what it means."""
    key = event
    if where is not None:
        key += f"?{sha256(_encode(where)).hexdigest()[:10]}"
    if between is not None:
        key += f"@{between[0]}-{between[1]}"
    if (newest, oldest) != (1, 0):
        key += f"#{newest}" + ("<" if oldest else "")
    return Slot(key=key, event=event, where=where, newest=newest, oldest=oldest, between=between)


def slots(rule: Rule, rules: Mapping[str, Rule]) -> tuple[Slot, ...]:
    """What a rule, with all that it names, must have remembered; each once."""
    found: dict[str, Slot] = {}
    for leaf in leaves(rule, rules):
        for each in _needs(leaf):
            found[each.key] = each
    return tuple(found.values())


def _needs(leaf: Rule) -> tuple[Slot, ...]:
    if isinstance(leaf, Happened):
        most = 0 if leaf.most is None else leaf.most + 1
        own = slot(leaf.event, leaf.where, newest=max(leaf.least, most, 1), between=leaf.between)
        return (own,) if leaf.since is None else (own, slot(leaf.since))
    if isinstance(leaf, Age):
        return (slot(leaf.event, leaf.where, newest=0, oldest=1) if leaf.first else slot(leaf.event, leaf.where),)
    return ()


def leaves(rule: Rule, rules: Mapping[str, Rule]) -> Iterable[Rule]:
    """Every leaf of a rule and of the segments it names."""
    for leaf in own_leaves(rule):
        if isinstance(leaf, Inside):
            yield from leaves(rules[leaf.segment], rules)
        else:
            yield leaf


def kept(times: tuple[int, ...], oldest: int, newest: int) -> tuple[int, ...]:
    """What a slot keeps of these times, which are in order."""
    if len(times) <= oldest + newest:
        return times
    return times[:oldest] + (times[-newest:] if newest else ())


def remember(person: Person, slot: Slot, time: int) -> Person:
    """The person with this event remembered; the same object when it adds nothing."""
    after = added(person.memory.get(slot.key), slot, time)
    return person if after is None else replace(person, memory={**person.memory, slot.key: after})


def added(before: tuple[int, ...] | None, slot: Slot, time: int) -> tuple[int, ...] | None:
    """The slot's times with one more; None when it adds nothing."""
    if slot.between is not None and not slot.between[0] <= time < slot.between[1]:
        return None
    if before is None:
        return (time,)
    if time >= before[-1]:
        if slot.newest == 1 and not slot.oldest:
            return (time,) if time != before[-1] else None
        after = kept((*before, time), slot.oldest, slot.newest)
    else:
        place = bisect_left(before, time)
        after = kept((*before[:place], time, *before[place:]), slot.oldest, slot.newest)
    return None if after == before else after


def trimmed(person: Person, live: Live) -> Person:
    """The person with no more than is needed in memory: two memories were joined, or rules have gone."""
    memory = {}
    for key, times in person.memory.items():
        size = live.sizes.get(key)
        if size is not None:
            memory[key] = kept(times, *size)
    return person if memory == person.memory else replace(person, memory=memory)


# ---- the function of a rule ------------------------------------------------------------------------------------------------


def closure(rule: Rule, rules: Mapping[str, Rule] | None = None, bands: Mapping[str, Bands] | None = None) -> Test:
    """The rule as a function. `rules` are the segments it may name, `bands` the value tiers."""
    return _closure(rule, rules or {}, bands or {})


def _closure(rule: Rule, rules: Mapping[str, Rule], bands: Mapping[str, Bands]) -> Test:
    if isinstance(rule, Happened):
        return _happened(rule)
    if isinstance(rule, Age):
        return _age(rule)
    if isinstance(rule, Trait):
        return _trait(rule)
    if isinstance(rule, Inside):
        return _closure(rules[rule.segment], rules, bands)
    if isinstance(rule, Split):
        salt, low, high = rule.salt, rule.low, rule.high
        return lambda person, _now: IN if low <= lot(salt, person.id) < high else OUT
    if isinstance(rule, Band):
        return _band(rule, bands)
    if isinstance(rule, Not):
        part = _closure(rule.part, rules, bands)

        def negated(person: Person, now: int) -> Answer:
            inside, until = part(person, now)
            return not inside, until

        return negated
    parts = tuple(_closure(part, rules, bands) for part in rule.parts)
    if len(parts) == 1:
        return parts[0]
    return _every(parts) if isinstance(rule, All) else _some(parts)


def _happened(rule: Happened) -> Test:
    own = _needs(rule)[0]
    key, least, most, within = own.key, rule.least, rule.most, rule.within
    start = None if rule.since is None else slot(rule.since).key
    if (least, most, start) == (1, None, None):
        if within is None:
            return lambda person, _now: IN if key in person.memory else OUT
        span = within

        def lately(person: Person, now: int) -> Answer:
            times = person.memory.get(key)
            if times is None:
                return OUT
            end = times[-1] + span
            return (True, end) if now < end else OUT

        return lately
    if (least, most, within) == (1, None, None) and start is not None:
        begin = start

        def afterwards(person: Person, _now: int) -> Answer:
            times, marks = person.memory.get(key), person.memory.get(begin)
            return IN if times is not None and marks is not None and times[-1] >= marks[-1] else OUT

        return afterwards

    def counted(person: Person, now: int) -> Answer:
        times = person.memory.get(key, ())
        floor = -NEVER
        if start is not None:
            marks = person.memory.get(start)
            if marks is None:
                times = ()
            else:
                floor = marks[-1]
        if within is not None:
            floor = max(floor, now - within + 1)
        counts = times[bisect_left(times, floor) :]
        many = len(counts)
        inside = least <= many and (most is None or many <= most)
        if within is None:
            return (inside, NEVER)
        for place, time in enumerate(counts):  # as they leave the window, oldest first
            left = many - place - 1
            if (least <= left and (most is None or left <= most)) != inside:
                return (inside, time + within)
        return (inside, NEVER)

    return counted


def _age(rule: Age) -> Test:
    key, low, high, place = _needs(rule)[0].key, rule.low, rule.high, 0 if rule.first else -1

    def aged(person: Person, now: int) -> Answer:
        times = person.memory.get(key)
        if times is None:
            return OUT
        time = times[place]
        if now < time + low:
            return (False, time + low)
        if high is None:
            return IN
        return (True, time + high) if now < time + high else OUT

    return aged


def _trait(rule: Trait) -> Test:
    condition = conditions.compile(rule.when)
    test, changes = condition.test, condition.changes

    if changes is never:
        return lambda person, now: IN if test(as_subject(person, now)) else OUT

    def met(person: Person, now: int) -> Answer:
        subject = as_subject(person, now)
        return (test(subject), changes(subject))

    return met


class _Last:
    """Whom the last rule looked at, and what was computed of their orders: the next rule looks at the same person."""

    __slots__ = ("facts", "orders", "subject")

    def __init__(self) -> None:
        self.orders: Any = None
        self.facts = facts.NO_FACTS
        self.subject: conditions.Subject | None = None


_last = _Last()


def as_subject(person: Person, now: int) -> conditions.Subject:
    """The person as conditions look at them: no event, no order."""
    before = _last.subject
    if before is not None and before.person is person and before.now == now:
        return before

    def computed() -> Any:
        if _last.orders is not person.orders:
            _last.orders, _last.facts = person.orders, facts.of(person)
        return _last.facts

    _last.subject = subject = conditions.Subject(
        name="",
        event=_NO_EVENT,
        order=_NO_ORDER,
        person=person,
        now=now,
        claim=lambda: _NO_CLAIM,
        facts=computed,
        number=lambda: None,
    )
    return subject


def _band(rule: Band, bands: Mapping[str, Bands]) -> Test:
    own, index = bands[rule.tiers], rule.index
    names = [f"{rule.tiers}_{name}" for name in own.names]

    def banded(person: Person, _now: int) -> Answer:
        worth = value_tiers.value(own, facts.of(person)) if person.orders else None
        if worth is None:
            return OUT
        current = next((place for place, name in enumerate(names) if name in person.inside), None)
        return IN if value_tiers.band(own, worth, current) == index else OUT

    return banded


def _every(parts: tuple[Test, ...]) -> Test:
    def every(person: Person, now: int) -> Answer:
        until, out_until = NEVER, -1
        for part in parts:
            inside, change = part(person, now)
            if inside:
                until = min(until, change)
            elif change == NEVER:
                return OUT
            elif change > out_until:  # while one part says no, the others need not be asked
                out_until = change
        return (True, until) if out_until < 0 else (False, out_until)

    return every


def _some(parts: tuple[Test, ...]) -> Test:
    def some(person: Person, now: int) -> Answer:
        until, in_until = NEVER, -1
        for part in parts:
            inside, change = part(person, now)
            if not inside:
                until = min(until, change)
            elif change == NEVER:
                return IN
            elif change > in_until:
                in_until = change
        return (False, until) if in_until < 0 else (True, in_until)

    return some


@lru_cache(maxsize=65_536)
def lot(salt: str, person: int) -> int:
    """The person's lot under a salt: 0 to 999,999, the same for ever; of people who merge the older one's stays."""
    return int.from_bytes(sha256(f"{salt}:{person}".encode()).digest()[:8], "big") % LOTS


def _needed(rule: Rule, rules: Mapping[str, Rule]) -> Iterable[str]:
    """Slots that must hold something for the rule to hold."""
    if isinstance(rule, All):
        for part in rule.parts:
            yield from _needed(part, rules)
    elif isinstance(rule, Inside):
        yield from _needed(rules[rule.segment], rules)
    elif isinstance(rule, Age) or (isinstance(rule, Happened) and rule.least > 0):
        yield from (each.key for each in _needs(rule))


# ---- a workspace's segments --------------------------------------------------------------------------------------------------


def compile(  # noqa: A001 - as in `conditions`
    rules: Mapping[str, Rule], bands: Mapping[str, Bands] | None = None, unready: frozenset[str] = frozenset()
) -> Live:
    """All segments, compiled. `rules` are in an order in which each names only earlier ones."""
    found: dict[str, Segment] = {}
    needed: dict[str, Slot] = {}
    by_slot: dict[str, list[str]] = {}
    for name, rule in rules.items():
        own = slots(rule, rules)
        needed.update((each.key, each) for each in own)
        if name in unready:
            continue
        for each in own:
            by_slot.setdefault(each.key, []).append(name)
        reads = list(leaves(rule, rules))
        asked = (conditions.compile(leaf.when).expression for leaf in reads if isinstance(leaf, Trait))
        paths = {asks.path for expression in asked for asks in asks_of(expression)}
        test = closure(rule, rules, bands)
        found[name] = Segment(
            name=name,
            test=test,
            slots=frozenset(each.key for each in own),
            needs=tuple(dict.fromkeys(_needed(rule, rules))),
            orders=any(isinstance(leaf, Band) for leaf in reads) or any(path in ORDER_PATHS for path in paths),
            traits=any(path not in ORDER_PATHS for path in paths),
            blank=any(isinstance(leaf, Split) for leaf in reads) or test(Person(id=0), 0)[0],
        )
    by_event: dict[str, list[tuple[Slot, Callable[[conditions.Subject], bool] | None]]] = {}
    for need in needed.values():
        condition = None if need.where is None else conditions.compile(need.where).test
        by_event.setdefault(need.event, []).append((need, condition))
    return Live(
        segments=found,
        slots=tuple(needed.values()),
        by_event={name: tuple(each) for name, each in by_event.items()},
        by_slot={key: tuple(names) for key, names in by_slot.items()},
        by_orders=tuple(name for name, each in found.items() if each.orders),
        by_traits=tuple(name for name, each in found.items() if each.traits),
        blank=tuple(name for name, each in found.items() if each.blank),
        sizes={key: (each.oldest, each.newest) for key, each in needed.items()},
        unready=unready & rules.keys(),
    )


ORDER_PATHS = frozenset(
    {
        "person.orders",
        "person.lifetime_value",
        "person.average_order_value",
        "person.refund_rate",
        "person.discount_rate",
        "person.first_order_at",
        "person.last_order_at",
        "person.days_between_orders",
    }
)
"""What conditions read that changes with the person's orders and with nothing else."""
