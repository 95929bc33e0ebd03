"""Every kind of person that some rules can tell apart, one of each.

Rules see people through thresholds: ages of events, dates, amounts, texts, lots. Between two thresholds all people are the same
to them, so a few of each kind stand for everybody; where times are compared with one another (`since`), as many points lie
between two thresholds as there are times, so that every order of theirs occurs, ties included. An axis is one thing in which
people differ; the product of all axes is everybody (`Kinds.whole`), unless some question cannot be cut into kinds (parts of
texts, rates that depend on one another) or there are too many: then what is here is a sample.

Some things are taken as the flow makes them: a trait has one value, an order that is known was told by `Order Completed`, and a
derived event happens together with the one it is made of.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import chain, combinations, combinations_with_replacement, islice, pairwise, product
from math import comb, prod
from typing import Any

from msgspec import Struct

from signalpost import conditions, facts
from signalpost.conditions.expressions import Asks, asks_of
from signalpost.conditions.operands import Moment
from signalpost.conditions.operators import ORDERING
from signalpost.conditions.scalars import number_of
from signalpost.events import Bought, Claim, Event, Item, Order, Person
from signalpost.options import UNITS, spelt
from signalpost.segments import live
from signalpost.segments.rules import Age, Happened, Rule, Split, Trait

ORDERED = "Order Completed"

MOST = 200_000
"""Kinds of people that are all looked at; of more, some."""

MOST_VALUES = 20_000
"""Values of one axis."""

MOST_MOMENTS = 40
MOST_LOTS = 20_000
MOST_TEXTS = 5

DAY = UNITS["d"]
_ROUND = (UNITS["d"], UNITS["h"], UNITS["m"], UNITS["s"])
_SOURCE = "shop"


class Part(Struct, frozen=True, kw_only=True):
    """One value of an axis: what a person with it has, and the words for it."""

    words: tuple[str, ...] = ()
    """Each follows `a person`: `whose last Checkout Started was 2 hours ago`."""
    tell: Callable[[], tuple[str, ...]] | None = None
    """The words where they take time to make: of thousands of people at most one is spoken of."""
    memory: dict[str, tuple[int, ...]] = {}
    given: dict[str, tuple[Any, int]] = {}
    orders: dict[str, Bought] = {}
    emails: dict[str, int] = {}
    phones: dict[str, int] = {}
    external_ids: dict[str, int] = {}
    id: int = 0
    ordered: tuple[int, int] | None = None
    """When and how often the person did Order Completed: (last, times)."""
    bought: tuple[int, int] | None = None
    """The same of the orders that are known."""
    buyer: bool | None = None
    """Whether an order of theirs stands."""

    @property
    def said(self) -> tuple[str, ...]:
        """The words."""
        return self.words if self.tell is None else self.tell()


Axis = tuple[Part, ...]
"""One thing in which people differ, the simplest value first."""


class World(Struct, frozen=True):
    """Everybody at one moment."""

    now: int
    axes: tuple[Axis, ...]
    dated: bool = False
    """Whether the moment matters: a rule names a date."""

    @property
    def many(self) -> int:
        """How many there are."""
        return prod(len(axis) for axis in self.axes)


class Kinds(Struct, frozen=True):
    """Everybody that the rules can tell apart, at every moment that matters."""

    worlds: tuple[World, ...]
    whole: bool
    """Whether these stand for everybody there may be."""

    @property
    def many(self) -> int:
        """How many there are."""
        return sum(world.many for world in self.worlds)

    def people(self, most: int) -> Iterator[tuple[World, tuple[Part, ...]]]:
        """All of them, or, of more than `most`, so many of them, the same each time."""
        if self.many <= most:
            for world in self.worlds:
                for parts in product(*world.axes):
                    if possible(parts):
                        yield world, parts
            return
        drawn = _draws()
        for _ in range(most):
            world = self.worlds[next(drawn) % len(self.worlds)]
            parts = tuple(axis[next(drawn) % len(axis)] for axis in world.axes)
            if possible(parts):
                yield world, parts


def person(parts: Iterable[Part]) -> Person:
    """The person who has all of these."""
    memory: dict[str, tuple[int, ...]] = {}
    given: dict[str, tuple[Any, int]] = {}
    orders: dict[str, Bought] = {}
    emails: dict[str, int] = {}
    phones: dict[str, int] = {}
    external_ids: dict[str, int] = {}
    number = 1
    for part in parts:
        memory |= part.memory
        given |= part.given
        orders |= part.orders
        emails |= part.emails
        phones |= part.phones
        external_ids |= part.external_ids
        number = part.id or number
    return Person(id=number, memory=memory, given=given, orders=orders, emails=emails, phones=phones, external_ids=external_ids)


def possible(parts: Iterable[Part]) -> bool:
    """Whether the flow can make such a person: an order that is known was told by an Order Completed, and buyers have a band."""
    ordered = bought = buyer = None
    for part in parts:
        ordered = part.ordered or ordered
        bought = part.bought or bought
        if part.buyer is not None:
            if buyer is not None and part.buyer is not buyer:
                return False
            buyer = part.buyer
    if ordered is None:
        return True
    if bought is None:
        return not buyer or ordered[1] > 0
    return ordered[0] >= bought[0] and ordered[1] >= bought[1]


def band_trait(tiers: str) -> str:
    """The trait that stands for a band of value tiers: their bounds are computed over everybody, so any may be a person's."""
    return f"band of {tiers}".replace(".", " ")


def of(
    rules: Sequence[Rule],
    named: Mapping[str, Rule],
    now: int,
    *,
    bands: Mapping[str, Mapping[str, str]] | None = None,
    derived: Mapping[str, str] | None = None,
    fine: bool = True,
) -> Kinds:
    """Everybody that these rules can tell apart; `named` are the segments they may name. With `fine`, also beside each bound.

    `Band` must not occur in them, but `band_trait` in its place; `bands` are those traits with their values and the words for
    them. `derived` events only happen together with the one they are made of.
    """
    leaves = [leaf for rule in rules for leaf in live.leaves(rule, named)]
    asked = [asks for leaf in leaves if isinstance(leaf, Trait) for asks in asks_of(conditions.compile(leaf.when).expression)]
    spans, dates = _spans(leaves, asked), _dates(leaves, asked)
    moments, all_moments = _moments(spans, dates, now)
    pairs = _compared(leaves, derived or {})
    groups = _groups(leaves, pairs)
    whole, worlds = all_moments, []
    for moment in moments:
        cuts: list[Cut] = []
        ordered: list[int] = []
        for events in groups:
            linked = ORDERED in events and any(asks.path in live.ORDER_PATHS or _banded(asks.path, bands) for asks in asked)
            slots = {event: _slots_of(event, leaves) for event in events}
            bounds = set().union(*(_leaf_bounds(leaf, moment) for leaf in leaves if _event_of(leaf) in slots))
            bounds |= _fact_bounds(asked, moment) if linked else set()
            many = {event: sum(slot.newest + slot.oldest for slot in own) for event, own in slots.items()}
            marks = {start for _, start in pairs if start in slots}
            mark = next(iter(marks)) if len(marks) == 1 and not linked else None
            if mark is not None and many[mark] == 1:
                # All are compared with one time: before it, at it, after it.
                grid = points(bounds, 3, fine=fine)
                ages = dict.fromkeys(slots, grid) | {mark: _middles(grid, bounds)}
            else:
                # Times that are compared with nothing but bounds may all be the same.
                grid = points(bounds, (sum(many.values()) if marks else 1) + 2 * linked, fine=fine)
                ages = dict.fromkeys(slots, grid)
            ordered = grid if linked else ordered
            cuts.append(_past(slots, many, ages, derived or {}, moment, linked=linked))
        traits = [asks for asks in asked if not _banded(asks.path, bands)]
        cuts += [*_givens(traits, moment), *_bands(asked, bands), *_orders(asked, moment, ordered), *_keys(asked), *_lots(leaves)]
        whole = whole and all(complete for _, complete in cuts)
        worlds.append(World(moment, tuple(axis for axis, _ in cuts), bool(dates)))
    return Kinds(tuple(worlds), whole)


Cut = tuple[Axis, bool]
"""An axis, and whether it holds everybody."""


# ---- bounds and points -------------------------------------------------------------------------------------------------------


def points(bounds: Iterable[int], each: int, *, fine: bool) -> list[int]:
    """Ages (ms, 0 or more): `each` of them between any two neighbouring bounds, `low <= age < high`, round ones where there are
    some; `fine`: also the first and the last between them."""
    edges = sorted({0, *(bound for bound in bounds if bound > 0)})
    ends = [*edges[1:], edges[-1] + max(edges[-1], 10 * DAY) * 2]
    found: dict[int, None] = {}
    for low, high in zip(edges, ends, strict=True):
        if high - low <= each:
            found |= dict.fromkeys(range(low, high))
            continue
        inner: dict[int, None] = {}
        for place in sorted(range(1, each + 1), key=lambda place: abs(2 * place - each - 1)):
            exact = low + (high - low) * place // (each + 1)
            rounded = (exact // unit * unit for unit in _ROUND if unit * 2 * (each + 1) <= high - low)
            inner[next((age for age in rounded if low <= age < high and age not in inner), exact)] = None
        inner |= dict.fromkeys((low, high - 1) if fine else ())
        inner |= dict.fromkeys(islice((age for age in range(low, high) if age not in inner), max(0, each - len(inner))))
        found |= inner
    return list(found)


def _middles(ages: Sequence[int], bounds: Iterable[int]) -> list[int]:
    """Of these ages one in the middle between any two bounds; all, where there are too few to have one on either side."""
    edges = sorted(bounds)
    between: dict[int, list[int]] = {}
    for age in sorted(ages):
        between.setdefault(bisect_right(edges, age), []).append(age)
    return [age for each in between.values() for age in (each if len(each) < 3 else each[len(each) // 2 :][:1])]


def _bounds(low: int, high: int | None) -> set[int]:
    return {low} if high is None else {low, high}


def _event_of(leaf: Rule) -> str | None:
    return leaf.event if isinstance(leaf, (Happened, Age)) else None


def _leaf_bounds(leaf: Rule, now: int) -> set[int]:
    """The ages at which a leaf's answer may change."""
    if isinstance(leaf, Age):
        return _bounds(leaf.low, leaf.high)
    if isinstance(leaf, Happened):
        found = set() if leaf.within is None else {leaf.within}
        return found | {now - at + 1 for at in leaf.between or ()}
    return set()


def _spans(leaves: Iterable[Rule], asked: Iterable[Asks]) -> set[int]:
    """Every length of time that is asked for."""
    found: set[int] = set()
    for leaf in leaves:
        if isinstance(leaf, Age):
            found |= _bounds(leaf.low, leaf.high)
        elif isinstance(leaf, Happened) and leaf.within is not None:
            found.add(leaf.within)
    return found | {ms for asks in asked if asks.operator == "age" for _, ms in asks.operands}


def _dates(leaves: Iterable[Rule], asked: Iterable[Asks]) -> set[int]:
    """Every date that is asked for (epoch ms)."""
    found = {at for leaf in leaves if isinstance(leaf, Happened) for at in leaf.between or ()}
    for asks in asked:
        if asks.operator in ORDERING:
            found |= {each.at for each in asks.operands if isinstance(each, Moment)}
            found |= set(asks.operands) if asks.kind == "moment" else set()
    return found


def _moments(spans: set[int], dates: set[int], now: int) -> tuple[tuple[int, ...], bool]:
    """The moments at which people must be looked at: where no date is named, one moment is like any other."""
    if not dates:
        return (now,), True
    turns = sorted({date + span + beside for date in dates for span in (0, *spans) for beside in (0, 1)})
    found = [turns[0] - 20 * DAY]
    for turn, following in zip(turns, [*turns[1:], turns[-1] + 20 * DAY], strict=True):
        found.append(turn)
        if following - turn > 1:
            found.append((turn + following) // 2)
    if len(found) <= MOST_MOMENTS:
        return tuple(found), True
    return tuple(found[:: -(-len(found) // MOST_MOMENTS)]), False


# ---- what happened to a person -----------------------------------------------------------------------------------------------


def _compared(leaves: Sequence[Rule], derived: Mapping[str, str]) -> set[tuple[str, str]]:
    """Pairs of events whose times are compared with one another: each with the one that it is compared with."""
    events = {leaf.event for leaf in leaves if isinstance(leaf, (Happened, Age))}
    pairs = {(leaf.event, leaf.since) for leaf in leaves if isinstance(leaf, Happened) and leaf.since is not None}
    events |= {start for _, start in pairs}
    return pairs | {(event, start) for event, start in derived.items() if event in events and start in events}


def _groups(leaves: Sequence[Rule], pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The events, those together whose times are compared with one another."""
    events = {leaf.event: None for leaf in leaves if isinstance(leaf, (Happened, Age))}
    events |= {leaf.since: None for leaf in leaves if isinstance(leaf, Happened) and leaf.since is not None}
    heads = {event: event for event in events}
    for pair in pairs:
        one, other = (heads[event] for event in pair)
        heads = {event: one if head == other else head for event, head in heads.items()}
    return [[event for event in events if heads[event] == head] for head in dict.fromkeys(heads.values())]


def _past(
    slots: Mapping[str, Sequence[live.Slot]],
    many: Mapping[str, int],
    ages: Mapping[str, Sequence[int]],
    derived: Mapping[str, str],
    now: int,
    *,
    linked: bool,
) -> Cut:
    """Every history of a group of events, at these ages: up to so `many` of each, which is all that its slots can hold."""
    events = list(slots)
    profiles = {event: _profiles([slot.where for slot in slots[event] if slot.where is not None]) for event in events}
    whole = all(complete for _, complete in profiles.values())
    single = [[(age, profile) for age in ages[event] for profile in profiles[event][0]] for event in events]
    sizes = [
        sum(comb(len(choices) + times - 1, times) for times in range(many[event] + 1))
        for event, choices in zip(events, single, strict=True)
    ]
    if prod(sizes) <= MOST_VALUES:
        ways = [
            list(chain.from_iterable(combinations_with_replacement(choices, times) for times in range(many[event] + 1)))
            for event, choices in zip(events, single, strict=True)
        ]
        pasts: Iterable[tuple[Any, ...]] = product(*ways)
    else:
        whole, drawn = False, _draws()
        pasts = (
            tuple(
                tuple(choices[next(drawn) % len(choices)] for _ in range(next(drawn) % (many[event] + 1)))
                for event, choices in zip(events, single, strict=True)
            )
            for _ in range(MOST_VALUES)
        )
    parts = (_past_part(dict(zip(events, past, strict=True)), slots, now, linked=linked) for past in pasts)
    together = [(slots[event], slots[start]) for event, start in derived.items() if event in slots and start in slots]
    return tuple(part for part in parts if all(_made_of(part.memory, *pair) for pair in together)), whole


def _made_of(memory: Mapping[str, tuple[int, ...]], derived: Sequence[live.Slot], made_of: Sequence[live.Slot]) -> bool:
    """Whether a derived event may be remembered so: each time it happened, what it is made of happened too."""
    times = [time for slot in derived for time in memory.get(slot.key, ())]
    if not times:
        return True
    for slot in made_of:
        if slot.where is None and slot.between is None:
            own = memory.get(slot.key, ())
            if not own or (slot.newest and own[-1] < max(times)) or (slot.oldest and own[0] > min(times)):
                return False
    return True


def _slots_of(event: str, leaves: Iterable[Rule]) -> list[live.Slot]:
    found = {each.key: each for leaf in leaves for each in live.slots(leaf, {})}
    return [each for each in found.values() if each.event == event]


Profile = frozenset[str]
"""The conditions (as the memory's keys write them) that one event meets."""


def _condition_key(where: Any) -> str:
    return live.slot("", where).key


def _past_part(
    past: Mapping[str, Sequence[tuple[int, Profile]]], slots: Mapping[str, Sequence[live.Slot]], now: int, *, linked: bool
) -> Part:
    memory: dict[str, tuple[int, ...]] = {}
    for event, happened in past.items():
        for slot in slots[event]:
            times = sorted(
                now - age
                for age, profile in happened
                if (slot.where is None or _condition_key(slot.where) in profile)
                and (slot.between is None or slot.between[0] <= now - age < slot.between[1])
            )
            if times:
                memory[slot.key] = live.kept(tuple(times), slot.oldest, slot.newest)
    ordered = None
    if linked:
        told = [now - age for age, _ in past[ORDERED]]
        full = sum(slot.newest + slot.oldest for slot in slots[ORDERED])
        ordered = (max(told), len(told) if len(told) < full else 10**9) if told else (-live.NEVER, 0)
    return Part(
        tell=lambda: tuple(_past_words(event, slots[event], happened) for event, happened in past.items()),
        memory=memory,
        ordered=ordered,
    )


def _past_words(event: str, slots: Sequence[live.Slot], happened: Sequence[tuple[int, Profile]]) -> str:
    if not happened:
        return f"who has no {event}"
    met = {_condition_key(slot.where): conditions.compile(slot.where).sentence for slot in slots if slot.where is not None}
    said = []
    for age, profile in sorted(happened, key=lambda each: each[0]):
        which = " and ".join(sentence for key, sentence in met.items() if key in profile)
        said.append(f"{ago(age)}{f' ({which})' if which else ' (which meets no condition)' if met else ''}")
    if len(said) == 1:
        return f"whose {'only' if any(slot.oldest for slot in slots) else 'last'} {event} was {said[0]}"
    return f"whose last {len(said)} {event} were {', '.join(said[:-1])} and {said[-1]}"


def ago(age: int) -> str:
    """`2 hours ago`, `just now`."""
    return f"{spelt(age)} ago" if age else "just now"


# ---- events that meet conditions ---------------------------------------------------------------------------------------------


def _profiles(wheres: Sequence[Any]) -> tuple[list[Profile], bool]:
    """Which of these conditions one event may meet together; False where that is not known of every event."""
    if not wheres:
        return [frozenset()], True
    compiled = {_condition_key(where): conditions.compile(where) for where in wheres}
    asked = [asks for one in compiled.values() for asks in asks_of(one.expression)]
    paths = dict.fromkeys(asks.path for asks in asked)
    menus = [_menu([asks for asks in asked if asks.path == path], 0) for path in paths]
    known = all(_placed(path) for path in paths) and not {*paths} >= _TANGLED
    whole = known and all(complete for _, complete in menus) and prod(len(menu) for menu, _ in menus) <= MOST_VALUES
    found: dict[Profile, None] = {frozenset(): None}
    for values in islice(product(*(menu for menu, _ in menus)), MOST_VALUES):
        subject = _happening(dict(zip(paths, values, strict=True)))
        found[frozenset(key for key, one in compiled.items() if one.test(subject))] = None
    if not known:  # conditions that cannot be made true here may still be met, one at a time
        found |= dict.fromkeys(frozenset((key,)) for key in compiled)
    return list(found), whole


_TANGLED = frozenset({"order.discount_share", "order.discount", "order.subtotal"})
"""These depend on one another."""

_CLAIMED = frozenset({"total", "subtotal", "tax", "shipping", "discount", "coupons"})
_OF_ITEMS = {"products": "id", "product_names": "name", "categories": "category", "brands": "brand"}
_PROPERTY = {"order.source_name": "source_name", "order.tags": "tags", "order.test": "test"}


def _placed(path: str) -> bool:
    """Whether an event can be made that has a given value there."""
    root, _, name = path.partition(".")
    if root == "order":
        return name in _CLAIMED | _OF_ITEMS.keys() | {"id", "value", "currency", "coupon", "discount_share"} or path in _PROPERTY
    return path.startswith(("event.properties.", "event.context.", "event.traits."))


def _happening(values: Mapping[str, Any]) -> conditions.Subject:
    """An event of which exactly these paths are known."""
    inside: dict[str, dict[str, Any]] = {"properties": {}, "context": {}, "traits": {}}
    order: dict[str, Any] = {}
    claim: dict[str, Any] = {}
    items: dict[str, tuple[str, ...]] = {}
    for path, value in values.items():
        root, _, name = path.partition(".")
        if value is None or not _placed(path):
            continue
        if root == "event":
            where, _, rest = name.partition(".")
            _set(inside[where], rest.split("."), value)
        elif path in _PROPERTY:
            inside["properties"][_PROPERTY[path]] = list(value) if isinstance(value, tuple) else value
        elif name in _OF_ITEMS:
            items[_OF_ITEMS[name]] = value
        elif name == "discount_share":
            claim |= {"subtotal": 1 - value, "discount": value}
        elif name in _CLAIMED:
            claim[name] = value
        else:
            order[name] = ", ".join(value) if name == "coupon" else value
    rows = [Item(**{name: texts[row]}) for name, texts in items.items() for row in range(len(texts))]  # type: ignore[arg-type]
    told = Claim(source=_SOURCE, event=1, time=0, message_id="m", **claim)
    return conditions.Subject(
        name="",
        event=Event(
            kind="track",
            source=_SOURCE,
            message_id="m",
            time=0,
            received_at=0,
            properties=inside["properties"],
            context=inside["context"],
            traits=inside["traits"],
        ),
        order=Order(items=tuple(rows), **order),
        person=Person(id=1),
        now=0,
        claim=lambda: told,
        facts=lambda: facts.NO_FACTS,
        number=lambda: None,
    )


def _set(place: dict[str, Any], names: Sequence[str], value: Any) -> None:
    for name in names[:-1]:
        place = place.setdefault(name, {})
    place[names[-1]] = value


# ---- what is known of a person -----------------------------------------------------------------------------------------------


_WITHIN = frozenset({"contains", "contains_any"})
"""Of a text, a part of it; of several texts, one of them."""


def _menu(asked: Sequence[Asks], now: int) -> tuple[list[Any], bool]:
    """Values of one path that the questions can tell apart, None (not known) first; whether that is all of them."""
    kind = asked[0].kind
    numbers: set[Decimal] = set()
    dates: set[int] = set()
    texts: dict[str, None] = {}
    parts: dict[str, None] = {}
    for asks in asked:
        if asks.operator == "age":
            dates |= {now - ms for _, ms in asks.operands}
        elif asks.operator in ORDERING:
            for each in asks.operands:
                if isinstance(each, Moment):
                    dates.add(each.at)
                elif kind == "moment":
                    dates.add(each)
                else:
                    numbers.add(each)
        elif kind in {"amount", "share", "count"} and asks.operator != "exists":
            numbers |= set(asks.operands)
        elif asks.operator in {"starts_with", "ends_with"} or (asks.operator in _WITHIN and kind != "texts"):
            parts |= dict.fromkeys(asks.operands)
        elif asks.operator != "exists" and kind != "switch":
            texts |= dict.fromkeys(asks.operands)
    if kind == "switch":
        return [None, True], True
    if kind in {"amount", "share", "count"}:
        return [None, *_numbers(numbers, kind)], True
    if kind == "moment":
        return [None, *_times(dates, now)], True
    if kind == "texts":
        return _several(texts, parts)
    numeric = {exact for text in texts if (exact := number_of(text)) is not None} if numbers else set()
    values: list[Any] = [None, *texts, next(word for word in _others() if word not in texts)]
    values += [form for part in parts for form in (part, f"{part} and more", f"more and {part}", f"more {part} more")]
    values += [f"{one} {other}" for one in parts for other in parts if one != other]
    values += [float(each) for each in _numbers(numbers | numeric, "amount")] if numbers else []
    values += [datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at) for at in _times(dates, now)] if dates else []
    values = [each.isoformat() if isinstance(each, datetime) else each for each in values]
    kinds = bool(numbers) + bool(dates) + bool(parts)
    return list(dict.fromkeys(values)), kinds <= 1 and len(parts) <= 1 and not (dates and texts)


def _others() -> Iterator[str]:
    yield "something else"
    number = 2
    while True:
        yield f"something else {number}"
        number += 1


def _numbers(bounds: set[Decimal], kind: str) -> list[Decimal]:
    """Each bound, and one number between any two neighbours and beyond both ends; counts are whole, shares from 0 to 1."""
    if kind == "count":
        whole = {Decimal(0), *(Decimal(int(bound) + by) for bound in bounds for by in (-1, 0, 1))}
        return sorted(each for each in whole if each >= 0)
    edges = sorted(bounds) or [Decimal("0.5")]
    low, high = (Decimal(0), Decimal(1)) if kind == "share" else (edges[0] - 10, edges[-1] + 10)
    between = [(left + right) / 2 for left, right in pairwise(edges)]
    return sorted({each for each in (low, high, *edges, *between) if low <= each <= high})


def _times(dates: set[int], now: int) -> list[int]:
    """Each date, 1 ms beside it, and one between any two neighbours and beyond both ends."""
    edges = sorted(dates) or [now - DAY]
    beside = {edge + by for edge in edges for by in (-1, 0, 1)}
    between = {(left + right) // 2 for left, right in pairwise(edges)}
    return sorted({edges[0] - 10 * DAY, edges[-1] + 10 * DAY, *beside, *between})


def _several(texts: Mapping[str, None], parts: Mapping[str, None]) -> tuple[list[Any], bool]:
    """Sets of texts: any choice of those that are asked for, and one that nobody asks for."""
    words = [*texts, *(f"{part}{part}" for part in parts), next(word for word in _others() if word not in texts)]
    known = words[: MOST_TEXTS + 1]
    choices = chain.from_iterable(combinations(known, size) for size in range(len(known) + 1))
    return [choice or None for choice in choices], len(known) == len(words) and not parts


def _givens(asked: Sequence[Asks], now: int) -> Iterator[Cut]:
    """An axis for each trait; a path into a trait's own parts belongs to the trait."""
    traits = [asks for asks in asked if asks.path.startswith("person.traits.") or asks.path == "person.tags"]
    own = {asks.path: asks.path.removeprefix("person.").removeprefix("traits.").split(".") for asks in traits}
    for root in dict.fromkeys(names[0] for names in own.values()):
        paths = [path for path, names in own.items() if names[0] == root]
        menus = [_menu([asks for asks in traits if asks.path == path], now) for path in paths]
        parts = []
        for values in islice(product(*(menu for menu, _ in menus)), MOST_VALUES):
            given: dict[str, Any] = {}
            words = []
            for path, value in zip(paths, values, strict=True):
                if value is not None:
                    _set(given, own[path], list(value) if isinstance(value, tuple) else value)
                words.append(_trait_words(".".join(own[path]), value))
            parts.append(Part(words=tuple(words), given={name: (value, 1) for name, value in given.items()}))
        conflict = any(len(own[path]) == 1 for path in paths) and len(paths) > 1
        yield tuple(parts), not conflict and all(complete for _, complete in menus) and len(parts) < MOST_VALUES


def _banded(path: str, bands: Mapping[str, Any] | None) -> bool:
    return path.removeprefix("person.traits.") in (bands or {})


def _bands(asked: Sequence[Asks], bands: Mapping[str, Mapping[str, str]] | None) -> Iterator[Cut]:
    """An axis for each value tiers: who bought is in one band, and nobody else in any."""
    for trait, names in (bands or {}).items():
        if any(asks.path == f"person.traits.{trait}" for asks in asked):
            nobody = Part(words=("who has no order that stands",), buyer=False)
            inside = (Part(words=(f"who is in {name}",), given={trait: (value, 1)}, buyer=True) for value, name in names.items())
            yield (nobody, *inside), True


def _trait_words(name: str, value: Any) -> str:
    if value is None:
        return f"whose {name} is not known"
    shown = (
        ", ".join(value) if isinstance(value, tuple) else repr(value).removesuffix(".0") if isinstance(value, float) else value
    )
    return f"whose {name} is {shown}"


def _keys(asked: Sequence[Asks]) -> Iterator[Cut]:
    """Identifiers: known or not, and the domains of e-mail addresses."""
    paths = {asks.path for asks in asked}
    domains = [asks for asks in asked if asks.path == "person.email_domain"]
    if domains:
        choices, whole = _menu(domains, 0)
        parts = [
            Part(words=("without an e-mail address",)),
            Part(words=("with an e-mail address that came hashed",), emails={"0" * 64: 1}),
        ]
        parts += [
            Part(words=(f"with an e-mail address at {' and '.join(each)}",), emails={f"someone@{one}": 1 for one in each})
            for each in choices
            if each is not None
        ]
        yield tuple(parts), whole
    elif "person.email" in paths:
        known = Part(words=("with an e-mail address",), emails={"someone@example.test": 1})
        yield (Part(words=("without an e-mail address",)), known), True
    if "person.phone" in paths:
        yield (Part(words=("without a phone number",)), Part(words=("with a phone number",), phones={"+14155550100": 1})), True
    if "person.user_id" in paths:
        yield (Part(words=("without a customer id",)), Part(words=("with a customer id",), external_ids={"c1": 1})), True


def _lots(leaves: Sequence[Rule]) -> Iterator[Cut]:
    """People whose lots fall into every combination of shares."""
    bounds: dict[str, set[int]] = {}
    for leaf in leaves:
        if isinstance(leaf, Split):
            bounds.setdefault(leaf.salt, set()).update((leaf.low, leaf.high))
    if not bounds:
        return
    wanted = prod(len({0, *edges} - {live.LOTS}) for edges in bounds.values())
    found: dict[tuple[int, ...], Part] = {}
    for number in range(1, MOST_LOTS + 1):
        lots = {salt: live.lot(salt, number) for salt in bounds}
        share = tuple(sum(edge <= lots[salt] for edge in edges) for salt, edges in bounds.items())
        if share not in found:
            words = tuple(f"whose lot in {salt} is {lots[salt] / live.LOTS:.1%}" for salt in bounds)
            found[share] = Part(words=words, id=number)
            if len(found) == wanted:
                break
    yield tuple(found.values()), len(found) == wanted


# ---- what a person bought ----------------------------------------------------------------------------------------------------


_SURE = frozenset({"orders", "lifetime_value", "average_order_value", "first_order_at", "last_order_at", "discount_rate"})
"""Facts of which every combination that can be is made."""


def _fact_bounds(asked: Sequence[Asks], now: int) -> set[int]:
    """The ages at which a question about the time of an order may change its answer."""
    found: set[int] = set()
    for asks in asked:
        if asks.path in {"person.first_order_at", "person.last_order_at"}:
            if asks.operator == "age":
                found |= {bound for _, ms in asks.operands for bound in (ms, ms + 1)}
            elif asks.operator in ORDERING:
                found |= {now - at + by for at in asks.operands for by in (0, 1)}
    return found


def _orders(asked: Sequence[Asks], now: int, grid: Sequence[int]) -> Iterator[Cut]:
    """What people bought; `grid` are the ages of Order Completed, where rules look at both."""
    own: dict[str, list[Asks]] = {}
    for asks in asked:
        if asks.path in live.ORDER_PATHS:
            own.setdefault(asks.path.partition(".")[2], []).append(asks)
    if not own:
        return

    def menu(fact: str, unused: list[Any]) -> list[Any]:
        """Of a fact nobody asks about one value is as good as another."""
        return [each for each in _menu(own[fact], now)[0] if each is not None and each >= 0] if fact in own else unused

    timed = {"first_order_at", "last_order_at", "days_between_orders"} & own.keys()
    ages = list(grid) or points(_fact_bounds(asked, now), 3, fine=False)
    if not timed:
        ages = [max(ages)]  # the one that fits most histories
    if "days_between_orders" in own:
        ages += [age + int(days * DAY) + by for age in ages[:3] for days in menu("days_between_orders", []) for by in (-1, 0, 1)]
    apart = len(timed) > 1 or "days_between_orders" in timed
    discounts = [None, *menu("discount_rate", [])]
    parts = [Part(words=("who has no order that stands",), bought=(-live.NEVER, 0), buyer=False)]
    cancelled = {"refund_rate", "discount_rate"} & own.keys()
    parts += [
        _bought(0, [age], None, None, rate, cancelled=1, refunded=0, now=now) for age in ages for rate in discounts if cancelled
    ]
    backs = [(0, 0), (1, 0), (0, 1), (1, 1), (3, 0), (9, 0)] if "refund_rate" in own else [(0, 0)]
    averages = menu("average_order_value", [None])
    for many in menu("orders", [Decimal(1), Decimal(2)]):
        spans = [(one, two) for one in ages for two in ages if one == two or (apart and many > 1 and one < two)]
        for worth, average, span, rate, (off, back) in product(
            menu("lifetime_value", [None]), averages, spans if many else (), discounts, backs
        ):
            if worth is None or average is None or average * many >= worth:
                parts.append(_bought(int(many), span, worth, average, rate, cancelled=off, refunded=back, now=now))
            if len(parts) >= MOST_VALUES:
                break
    yield tuple(parts), own.keys() <= _SURE and len(parts) < MOST_VALUES


def _bought(
    many: int,
    ages: Sequence[int],
    worth: Decimal | None,
    average: Decimal | None,
    rate: Decimal | None,
    *,
    cancelled: int,
    refunded: int,
    now: int,
) -> Part:
    """`many` standing orders, the last `ages[0]` ago and the first `ages[-1]`, worth so much in all, and some cancelled."""
    value = average * many if average is not None else worth if worth is not None else Decimal(10 * many)
    back = Decimal(0) if worth is None else value - worth
    listed, zero = (Decimal(0) if rate is None else Decimal(100)), Decimal(0)
    orders = {}
    for number in range(many + cancelled):
        first = number == 0
        orders[f"o{number}"] = Bought(
            now - ages[0] if 0 < number < many or many == 1 else now - ages[-1],
            value if first and many else zero,
            back if first and many else zero,
            (rate or zero) * 100 if first else zero,
            listed if first else zero,
            number >= many,
            (first and back > 0) or number < refunded,
        )
    said = [f"with {many or 'no'} order{'' if many == 1 else 's'} that stand{'s' if many == 1 else ''}"]
    if many:
        said.append(f"whose last order was {ago(ages[0])}" + (f" and the first {ago(ages[-1])}" if many > 1 else ""))
        said.append(f"whose orders are worth {value - back:f}" + (f" after {back:f} paid back" if back else ""))
    said += [f"{cancelled} cancelled"] if cancelled else []
    said += [f"{rate:%} discount over all orders"] if rate is not None else []
    times = [order.time for order in orders.values()]
    return Part(words=tuple(said), orders=orders, bought=(max(times), len(orders)), buyer=many > 0)


def _draws() -> Iterator[int]:
    """Numbers as good as random, the same each time: nothing here may depend on luck."""
    number = 0
    while True:
        digest = sha256(f"kinds of people {number}".encode()).digest()
        for place in range(0, 32, 4):
            yield int.from_bytes(digest[place : place + 4], "big")
        number += 1
