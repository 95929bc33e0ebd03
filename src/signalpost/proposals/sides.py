"""Two workspace files compiled to be replayed: side by side in one replay where they differ in parts, else one replay each.

Where both files read events, know people and value orders alike, one world serves both: the routes that differ stand in one plan
twice, the second time under a name of its own. Then the pipeline itself decides for both, and nothing is done twice that is the
same. Where they differ in what is known of people and orders, each has a world of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict, replace

from signalpost import conditions, gates, pipeline
from signalpost.conditions.expressions import asks_of
from signalpost.config import Destination, Workspace
from signalpost.destinations import CATALOG
from signalpost.events import Signal
from signalpost.gates import Rule
from signalpost.options import Gate
from signalpost.orderbook import NEWS, PURCHASE
from signalpost.plan import Plan, Route
from signalpost.segments import catalog, live
from signalpost.segments.sql import FACTS
from signalpost.store import valuing
from signalpost.store.database import Connection

BEFORE, AFTER = 0, 1

COPY = "\0after"
"""What stands behind the name of a route, or of a gate, of the new file where both files are in one plan."""

Way = Literal["parts", "whole", "apart"]
"""`parts`: only what the files decide differently, both in one world. `whole`: everything, both in one world. `apart`:
everything, each in a world of its own."""

OPTIONS_APART: dict[str, str] = {
    "currency": "the currency",
    "order_value": "the definition of order value",
    "country": "the country",
    "timezone": "the time zone",
    "environment": "the environment",
    "events": "names of events, or which source counts",
    "identity": "how people are recognised",
    "orders": "what makes two purchases one order",
    "derived": "derived events",
    "holds": "how long signals are held",
    "repeats": "what counts as a repeat",
    "rates": "exchange rates",
    "consent": "where consent stands",
}
"""Options that change what is known of people and orders -> how a note names them."""

AT_SENDING = frozenset(
    {"endpoint", "batch", "linger", "connections", "pixel", "shared_because", "settings", "events", "test_code"}
)
"""A destination's options that do not decide what becomes of an event; settings and events are looked at by themselves."""


class Keep:
    """Stands in a route's place of rendering and keeps the signal itself: it is only rendered where it is shown or differs."""

    def __call__(self, signal: Signal) -> Any:
        return signal


def apart(before: Workspace, after: Workspace) -> list[str]:
    """What the files know differently of people and orders, in words; empty: one world serves both."""
    found = [words for option, words in OPTIONS_APART.items() if getattr(before, option) != getattr(after, option)]
    rules = ("segments", "value_tiers", "journeys")
    if (reads_segments(before) or reads_segments(after)) and any(getattr(before, each) != getattr(after, each) for each in rules):
        found.append("segments that gates ask about")
    return found


def reads_segments(workspace: Workspace) -> bool:
    """Whether what becomes of an event depends on segments."""
    asked = [gates.condition_of(gate) for gate in workspace.gates]
    asked += [derived.where for derived in workspace.derived.values() if derived.where is not None]
    return any(asks.path == "segment" for each in asked for asks in asks_of(conditions.compile(each).expression))


def differing(before: Workspace, after: Workspace) -> dict[str, frozenset[str] | None]:
    """Destination -> the canonical events of which the files may decide differently; None: any, as only one of them has it.

    Destinations that are alike are not in it."""
    found: dict[str, frozenset[str] | None] = {}
    for name in {**before.destinations, **after.destinations}:
        old, new = before.destinations.get(name), after.destinations.get(name)
        names = None if old is None or new is None else _names(name, old, new, before, after)
        if names is None or names:
            found[name] = names
    return found


def _names(name: str, old: Destination, new: Destination, before: Workspace, after: Workspace) -> frozenset[str]:
    ours, theirs = asdict(old), asdict(new)
    events, others = _events(old), _events(new)
    mapped = frozenset({**events, **others})  # of any other both say that it is not mapped
    if any(ours[option] != theirs[option] for option in ours.keys() - AT_SENDING) or _settings(old) != _settings(new):
        return mapped
    names = {each for each in mapped if events.get(each) != others.get(each)}
    first, second = _gates(name, before), _gates(name, after)
    if first != second:
        changed = [each for each in first if each not in second] + [each for each in second if each not in first]
        if not changed or any(looked_at is None for _, looked_at in changed):
            return mapped  # the same in another order: of two that hold the first is told
        names |= frozenset().union(*(looked_at or () for _, looked_at in changed)) | frozenset(before.derived)
    capped = frozenset(each for stage in old.rollout for each in stage.at_most)
    if capped and names & {PURCHASE, *capped}:
        names |= {PURCHASE, *capped}  # what is sent of one event caps another
    return mapped & names


def _settings(options: Destination) -> dict[str, str]:
    """The settings that are no secrets: a new token changes nothing that becomes of an event."""
    secret = {each.name for each in CATALOG[options.type].settings if each.secret}
    return {name: value for name, value in options.settings.items() if name not in secret}


def _events(options: Destination) -> dict[str, str]:
    return dict(CATALOG[options.type].events) if options.events == "standard" else dict(options.events)


def _gates(destination: str, workspace: Workspace) -> list[tuple[Gate, frozenset[str] | None]]:
    """The gates before a destination, each with the events it looks at; None: all."""
    found = zip(workspace.gates, gates.rules(workspace), strict=True)
    return [(gate, rule.events) for gate, rule in found if rule.destinations is None or destination in rule.destinations]


class Lane(Struct, frozen=True):
    """One replay: a plan, and for each of its routes the destination and the files it speaks for."""

    plan: Plan
    routes: dict[str, tuple[str, tuple[int, ...]]]
    names: dict[str, frozenset[str] | None]
    """Destination -> the events that are looked at; None: all."""
    copies: dict[str, str]
    """Routes of the new file that stand beside one of the present file -> that one."""
    looked_at: frozenset[str] | None
    """The events by which anything but what is known of people is decided or moved; None: all."""


def compiled(connection: Connection, workspace: Workspace) -> Plan:
    """A file compiled, with the bounds of value tiers that were computed for it."""
    plan = pipeline.plan(workspace)
    if not workspace.value_tiers:
        return plan
    bands = valuing.present(connection, workspace)
    return replace(plan, segments=live.compile(catalog.of(workspace).rules, bands), bands=bands)


def lanes(before: Plan, after: Plan, way: Way) -> list[Lane]:
    """What to replay, for these two files: nothing, one plan or two."""
    if way == "apart":
        return [_alone(before, BEFORE), _alone(after, AFTER)]
    names = differing(before.workspace, after.workspace)
    if way == "whole":
        names = dict.fromkeys({**before.workspace.destinations, **after.workspace.destinations})
    return [_together(before, after, names)] if names else []


def _alone(plan: Plan, side: int) -> Lane:
    routes = tuple(replace(route, render=Keep(), rules={}) for route in plan.routes)
    plan = replace(plan, routes=routes, rules=_enforcing(plan), audiences=(), told=frozenset())
    return Lane(plan, {route.name: (route.name, (side,)) for route in routes}, {route.name: None for route in routes}, {}, None)


def _together(before: Plan, after: Plan, names: Mapping[str, frozenset[str] | None]) -> Lane:
    routes: list[Route] = []
    told: dict[str, tuple[str, tuple[int, ...]]] = {}
    copies: dict[str, str] = {}
    theirs = {route.name: route for route in after.routes}
    shared = {name for name in names if _decided_alike(name, before.workspace, after.workspace)}
    twins = {name for name in names if _built_alike(name, before.workspace, after.workspace)} - shared
    for route in before.routes:
        if route.name in names:
            routes.append(_narrowed(route, route.name, names[route.name], route.name if route.name in twins else ""))
            told[route.name] = (route.name, (BEFORE, AFTER) if route.name in shared else (BEFORE,))
    for route in theirs.values():
        if route.name in names and route.name not in shared:
            copy = route.name + COPY
            routes.append(_narrowed(route, copy, names[route.name], route.name if route.name in twins else ""))
            told[copy] = (route.name, (AFTER,))
            if route.name in told:
                copies[copy] = route.name
    known = list(zip(before.workspace.gates, before.rules, strict=True))
    ours = frozenset(name for name, (_, sides) in told.items() if BEFORE in sides)
    rules = [replace(rule, destinations=ours & (rule.destinations or ours)) for rule in _enforcing(before)]
    for gate, rule in zip(after.workspace.gates, after.rules, strict=True):
        if rule.observing:
            continue
        same = any(gate == other and rule.events == one.events for other, one in known)
        where = frozenset(name + COPY for name in rule.destinations or names)
        rules.append(replace(rule, name=rule.name if same else rule.name + COPY, destinations=where))
    plan = replace(
        before,
        routes=tuple(routes),
        rules=tuple(rules),
        kept_traits=before.kept_traits | after.kept_traits,
        staged=any(route.stages for route in routes),
        capped=tuple(route.name for route in routes if any(route.caps)),
        segments=before.segments if reads_segments(before.workspace) or reads_segments(after.workspace) else live.NONE,
        audiences=(),
        told=frozenset(),
    )
    return Lane(plan, told, dict(names), copies, _looked_at(plan, names, (before.workspace, after.workspace)))


def _enforcing(plan: Plan) -> tuple[Rule, ...]:
    """The gates that withhold; what observing ones would is not looked at here."""
    return tuple(rule for rule in plan.rules if not rule.observing)


def _decided_alike(name: str, before: Workspace, after: Workspace) -> bool:
    """Whether the files send the very same signals of a destination and only fill in other properties."""
    old, new = before.destinations.get(name), after.destinations.get(name)
    if old is None or new is None or _gates(name, before) != _gates(name, after):
        return False
    return replace(old, properties={}) == replace(new, properties={})


def _built_alike(name: str, before: Workspace, after: Workspace) -> bool:
    """Whether a signal of an event that both files send is the same up to the workspace's own gates and the rollout."""
    old, new = before.destinations.get(name), after.destinations.get(name)
    if old is None or new is None:
        return False
    aside: dict[str, Any] = {"properties": {}, "rollout": (), "events": "standard"}
    return replace(old, **aside) == replace(new, **aside)


def _looked_at(
    plan: Plan, names: Mapping[str, frozenset[str] | None], files: tuple[Workspace, Workspace]
) -> frozenset[str] | None:
    """Of any other event only what it teaches of its person matters: no signal of it is looked at, and it moves no order."""
    looked_at: frozenset[str] = frozenset()
    for each in names.values():
        if each is None:
            return None
        looked_at |= each
    if any(test is not None for _, test in plan.reached):
        return None  # a merge may make a derived event of whatever is in hand, by what it says
    made = {rule.name for rule, _ in plan.reached}
    found = looked_at | {name for name, firsts in plan.firsts.items() if not looked_at.isdisjoint(each.name for each in firsts)}
    if not found.isdisjoint(plan.repeats):
        found = found.union(plan.repeats)  # they share what a person remembers of them
    if plan.segments is not live.NONE:
        found = found.union(plan.segments.by_event, NEWS)
    if found & NEWS or looked_at & made or any(_asks_of_orders(file) for file in files):
        found |= NEWS
    return found


def _asks_of_orders(workspace: Workspace) -> bool:
    """Whether a gate that withholds, or a derived event, asks for anything computed of a person's orders."""
    asked = [gates.condition_of(gate) for gate in workspace.gates if gate.mode == "enforcing"]
    asked += [derived.where for derived in workspace.derived.values() if derived.where is not None]
    return any(asks.path in FACTS for each in asked for asks in asks_of(conditions.compile(each).expression))


def _narrowed(route: Route, name: str, names: frozenset[str] | None, twin: str) -> Route:
    events = route.events if names is None else {each: target for each, target in route.events.items() if each in names}
    return replace(route, name=name, events=events, render=Keep(), rules={}, only=names, twin=twin)


def plainly(text: str | None) -> str:
    """A reason or a sentence without the mark of a copy."""
    return "" if text is None else text.replace(COPY, "")
