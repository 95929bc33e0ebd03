"""The workspace compiled for deciding: a route for each destination, and every rule as a function.

What is a duration, a path or a condition in the file is a number or a closure here, made once at start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from signalpost import audiences, conditions, gates, mapping, purchases, rollout, vocabulary
from signalpost import config as workspace_file
from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Destination, request_settings
from signalpost.events import Event
from signalpost.segments import bands, catalog, live
from signalpost.state import Numbers


class Route(Struct, frozen=True):
    """One configured destination, compiled."""

    name: str
    slot: int
    """The destination's small number, part of the ids of its signals."""
    platform: Destination
    events: dict[str, str]
    segments: frozenset[str] | None
    """Segments of whose coming and going it is told; None: all of them."""
    valued: frozenset[str]
    paused: bool
    oldest_ms: int
    shared_id: Callable[[Event], Any]
    test: bool
    settings: dict[str, str]
    render: mapping.Render
    stages: tuple[frozenset[str], ...] = ()
    """The events that are on in each stage of its rollout; empty: all of them, always."""
    caps: tuple[dict[str, int], ...] = ()
    """Event -> signals for each purchase at most, in each stage."""
    rules: dict[str, tuple[gates.Rule, ...]] = field(default_factory=dict)
    """Canonical event -> the workspace's own gates that look at it here."""
    only: frozenset[str] | None = None
    """The events that it is asked about; None: all. Only a plan asks about less."""
    twin: str = ""
    """Routes of one twin differ at most in events, properties, rollout and the workspace's own gates; only a plan has such."""


class First(Struct, frozen=True, kw_only=True):
    """A derived event: the person's first event of a name."""

    name: str
    test: Callable[[conditions.Subject], bool] | None


class Plan(Struct, frozen=True):
    """The workspace, compiled for deciding."""

    workspace: workspace_file.Workspace
    routes: tuple[Route, ...]
    aliases: dict[str, str]
    production: bool
    reused_after_ms: int
    blocked: tuple[str, ...]
    advertising: Callable[[Event], Any]
    limited: Callable[[Event], Any]
    counted_source: dict[str, str]
    rules: tuple[gates.Rule, ...] = ()
    kept_traits: frozenset[str] = frozenset()
    reached: tuple[tuple[purchases.Rule, Callable[[conditions.Subject], bool] | None], ...] = ()
    """Derived events about a person's orders, and what the event that brings them must meet."""
    firsts: dict[str, tuple[First, ...]] = {}
    """Canonical event -> the derived events that are a person's first of it."""
    holds: dict[str, int] = {}
    """Canonical event -> ms its signals wait."""
    repeats: dict[str, int] = {}
    """Canonical event -> ms within which the same is told once."""
    rates: dict[str, Decimal] = {}
    staged: bool = False
    capped: tuple[str, ...] = ()
    """Destinations that cap events by purchases."""
    segments: live.Live = live.NONE
    segment_slots: dict[str, int] = {}
    """Segment -> its small number, of every segment there ever was."""
    audiences: tuple[audiences.Wanted, ...] = ()
    told: frozenset[str] = frozenset()
    """Segments of whose coming and going any destination is told."""
    bands: dict[str, bands.Bands] = {}
    """Value tiers with the bounds it was made with."""

    def rules_at(self, route: Route, name: str) -> tuple[gates.Rule, ...]:
        """The workspace's own gates that look at this event on its way to this destination."""
        found = route.rules.get(name)
        if found is None:
            found = route.rules[name] = tuple(
                rule
                for rule in self.rules
                if (rule.events is None or name in rule.events) and (rule.destinations is None or route.name in rule.destinations)
            )
        return found


def plan(workspace: workspace_file.Workspace, numbers: Numbers | None = None) -> Plan:
    """Compile the workspace: one route a destination. `numbers` are what the database gave (`store.memberships`)."""
    duration = workspace_file.duration
    all_segments = catalog.of(workspace)
    if numbers is None:
        titles = [(each.title, destination) for each in workspace.audiences for destination in each.to]
        numbers = Numbers(
            destinations={name: slot for slot, name in enumerate(workspace.destinations)},
            segments={name: slot for slot, name in enumerate(all_segments.rules)},
            audiences={pair: slot for slot, pair in enumerate(titles)},
        )
    routes = tuple(_route(workspace, name, numbers.destinations[name]) for name in workspace.destinations)
    tiers = numbers.bands or {name: bands.declared(each) for name, each in workspace.value_tiers.items()}
    firsts: dict[str, tuple[First, ...]] = {}
    reached = []
    for name, derived in workspace.derived.items():
        test = None if derived.where is None else conditions.compile(derived.where).test
        if derived.first is not None:
            origin = vocabulary.canonical(derived.first, workspace.aliases)
            firsts[origin] = (*firsts.get(origin, ()), First(name=name, test=test))
        else:
            rule = purchases.Rule(
                name=name,
                nth_order=derived.nth_order,
                returned_after_ms=None if derived.returned_after is None else duration(derived.returned_after),
                lifetime_value=None if derived.lifetime_value is None else Decimal(derived.lifetime_value),
            )
            reached.append((rule, test))
    return Plan(
        workspace=workspace,
        routes=routes,
        aliases=dict(workspace.aliases),
        production=workspace.environment == "production",
        reused_after_ms=duration(workspace.orders.reused_after),
        blocked=tuple(value.lower() for value in workspace.identity.blocked),
        advertising=gates.finder(workspace.consent.advertising),
        limited=gates.finder(workspace.consent.limited_data_use),
        counted_source=workspace.counted_source,
        rules=gates.rules(workspace),
        kept_traits=gates.kept_traits(workspace) | all_segments.traits,
        reached=tuple(reached),
        firsts=firsts,
        holds={name: duration(hold) for name, hold in workspace.holds.items()},
        repeats={name: duration(window) for name, window in workspace.repeats.items()},
        rates={currency: Decimal(rate) for currency, rate in workspace.rates.items()},
        staged=any(route.stages for route in routes),
        capped=tuple(route.name for route in routes if any(route.caps)),
        segments=live.compile(all_segments.rules, tiers, numbers.unready) if all_segments.rules else live.NONE,
        segment_slots=numbers.segments,
        bands=tiers,
        told=_told(routes, all_segments),
        audiences=audiences.of(workspace, numbers.audiences, numbers.unready),
    )


def _told(routes: Iterable[Route], segments: catalog.Catalog) -> frozenset[str]:
    """The segments that some destination wants to hear of."""
    hears = [route for route in routes if not vocabulary.MADE_HERE.isdisjoint(route.events)]
    return frozenset(name for name in segments.shown if any(route.segments is None or name in route.segments for route in hears))


def _route(workspace: workspace_file.Workspace, name: str, slot: int) -> Route:
    chosen = workspace.destinations[name]
    platform = CATALOG[chosen.type]
    events = dict(platform.events) if chosen.events == "standard" else {**chosen.events}
    limits = platform.limits
    oldest = limits.oldest_ms
    if chosen.oldest:
        oldest = min(workspace_file.duration(chosen.oldest), limits.oldest_possible_ms or limits.oldest_ms)
    stages = range(len(chosen.rollout))
    return Route(
        name=name,
        slot=slot,
        platform=platform,
        events=events,
        segments=None if chosen.segments is None else frozenset(chosen.segments),
        valued=frozenset(each for each in events if vocabulary.priority(each) < vocabulary.REST),
        paused=chosen.paused,
        oldest_ms=oldest,
        shared_id=gates.finder(chosen.event_id),
        test=workspace.environment != "production",
        settings=request_settings(chosen),
        render=mapping.compile(platform, chosen),
        stages=tuple(rollout.allowed(chosen.rollout, stage) or frozenset() for stage in stages),
        caps=tuple(rollout.caps(chosen.rollout, stage) for stage in stages),
    )
