"""All segments of a workspace: declared, ladders, value tiers, journeys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from signalpost import conditions
from signalpost.conditions.plain import marked
from signalpost.marked import Notes
from signalpost.options import Tiers, ValueTiers, Workspace, duration, number, share
from signalpost.segments import ladders, reading
from signalpost.segments.operands import Known
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Not, Rule, Trait, leaves
from signalpost.segments.sentences import sentence

_encode = msgspec.json.Encoder(order="deterministic").encode


class Catalog(Struct, frozen=True, kw_only=True):
    """Every segment there is."""

    rules: dict[str, Rule] = {}
    """Name -> rule, in an order in which each `Inside` names an earlier one."""
    hidden: frozenset[str] = frozenset()
    """Those that no file names: where people are in journeys."""
    ladders: dict[str, tuple[str, ...]] = {}
    """Ladder -> its tiers' segments, youngest first."""
    tiers: dict[str, Tiers] = {}
    """Sets that must exclude one another: declared ones, and each ladder, which must leave no gap in its own segment."""
    bands: dict[str, ValueTiers] = {}
    """The value tiers of the workspace, by name; the segment of a band is `NAME_BAND`."""
    sentences: dict[str, str] = {}
    traits: frozenset[str] = frozenset()
    """Traits that must be kept in `Person.given` for any rule."""
    digests: dict[str, str] = {}

    def digest(self, name: str) -> str:
        """A fingerprint of a segment's rule with everything it names: another one means that everybody is looked at anew."""
        return self.digests[name]

    @property
    def shown(self) -> tuple[str, ...]:
        """The segments that people speak of, in the order of `rules`."""
        return tuple(name for name in self.rules if name not in self.hidden)


def of(workspace: Workspace) -> Catalog:
    """Every segment of a workspace that `config.check` found right."""
    known = knows(workspace)
    rules: dict[str, Rule] = {}
    steps: dict[str, tuple[str, ...]] = {}
    for name, raw in workspace.segments.items():
        made = _declared(name, raw, known)
        rules |= made
        if len(made) > 1:
            steps[name] = tuple(one for one in made if one != name)
    bands: dict[str, Rule] = {
        band_segment(name, band): Band(tiers=name, index=index)
        for name, tiers in workspace.value_tiers.items()
        for index, band in enumerate(tiers.names)
    }
    journeys = _journeys(workspace)
    ordered = in_order({**bands, **rules, **journeys})
    zone = ZoneInfo(workspace.timezone)
    said = {name: sentence(rule, zone) for name, rule in ordered.items()}
    for name, tiers in workspace.value_tiers.items():
        said |= {band_segment(name, band): _band_sentence(tiers, index) for index, band in enumerate(tiers.names)}
    disjoint = {name: Tiers(of=names, covering=name) for name, names in steps.items()} | workspace.tiers
    return Catalog(
        rules=ordered,
        hidden=frozenset(journeys),
        ladders=steps,
        tiers=disjoint,
        bands=dict(workspace.value_tiers),
        sentences=said,
        traits=frozenset().union(*(traits(rule) for rule in ordered.values())),
        digests=_digests(ordered, workspace.value_tiers),
    )


def knows(workspace: Workspace) -> Known:
    """What a rule of this workspace may name, for those who read one more (`reading.rule`)."""
    own = {name for name, target in workspace.aliases.items() if name == target}
    return Known(
        aliases=workspace.aliases,
        events=frozenset({*own, *workspace.derived}),
        segments=frozenset(segment_names(workspace)),
        zone=ZoneInfo(workspace.timezone),
    )


def segment_names(workspace: Workspace) -> Iterator[str]:
    """Every segment that a rule may name: declared ones, the tiers of ladders, the bands of value tiers."""
    for name, raw in workspace.segments.items():
        yield name
        value = marked(raw, name)
        if ladders.is_ladder(value):
            yield from (f"{name}_{tier}" for tier in ladders.tier_names(value))
    for name, tiers in workspace.value_tiers.items():
        yield from (band_segment(name, band) for band in tiers.names)


def band_segment(tiers: str, band: str) -> str:
    """The segment of a band."""
    return f"{tiers}_{band}"


def journey_segment(journey: str, longer: str | None = None) -> str:
    """The hidden segment of people inside a journey, or inside it for so long (a duration as `while_in` has it) or longer."""
    return f"journey:{journey}" + ("" if longer is None else f">{longer}")


def in_order(rules: Mapping[str, Rule]) -> dict[str, Rule]:
    """The same rules, each after those it names; raise `ValueError` where they go round in a circle."""
    ordered, left = _sorted(rules)
    if left:
        raise ValueError(f"segments name one another in a circle: {', '.join(circle(rules))}")
    return ordered


def circle(rules: Mapping[str, Rule]) -> tuple[str, ...]:
    """Segments that name one another in a circle, from the first of them in the file back to itself; () without one."""
    _, left = _sorted(rules)
    way: list[str] = list(left)[:1]
    while way:
        following = next(each for each in named(left[way[-1]]) if each in left)
        if following in way:
            around = way[way.index(following) :]
            first = next(place for name in rules for place, each in enumerate(around) if each == name)
            return (*around[first:], *around[:first], around[first])
        way.append(following)
    return ()


def _sorted(rules: Mapping[str, Rule]) -> tuple[dict[str, Rule], dict[str, Rule]]:
    """The rules in order, and those that cannot be put in order: each of them names another of them."""
    ordered: dict[str, Rule] = {}
    left = dict(rules)
    ready = [""]
    while ready:
        ready = [name for name, rule in left.items() if not any(each in left for each in named(rule))]
        ordered |= {name: left.pop(name) for name in ready}
    return ordered, left


def named(rule: Rule) -> tuple[str, ...]:
    """The segments that a rule names."""
    return tuple(dict.fromkeys(leaf.segment for leaf in leaves(rule) if isinstance(leaf, Inside)))


def traits(rule: Rule) -> frozenset[str]:
    """Traits that must be kept for a rule."""
    asked: Iterable[Any] = (leaf.when for leaf in leaves(rule) if isinstance(leaf, Trait))
    return frozenset().union(*(conditions.compile(when).traits for when in asked))


def _declared(name: str, raw: Any, known: Known) -> dict[str, Rule]:
    notes = Notes("")
    value = marked(raw, f"segments.{name}")
    if ladders.is_ladder(value):
        ladder = ladders.read(value, notes, known)
        made = None if ladder is None else ladders.rules(name, ladder)
    else:
        rule = reading.read(value, notes, known, name)
        made = None if rule is None else {name: rule}
    if made is None:
        raise ValueError(f"`segments.{name}` is no rule: {notes.found[0].sentence if notes.found else 'it says nothing.'}")
    return made


def _journeys(workspace: Workspace) -> dict[str, Rule]:
    """Who is inside each journey, and for how long, as the workspace's audiences ask."""
    made: dict[str, Rule] = {}
    for name, journey in workspace.journeys.items():
        left = tuple(Not(part=Happened(event=event, since=journey.starts)) for event in journey.ends)

        def inside(low: int, high: int = duration(journey.after), start: str = journey.starts, left: Any = left) -> Rule:
            # As long as the journey lasts, or longer: nobody has been in it for so long.
            return All(parts=(Age(event=start, low=min(low, high), high=high), *left))

        made[journey_segment(name)] = inside(0)
        for audience in workspace.audiences:
            longer = audience.while_in.get(name, "none")
            if longer != "none":
                made[journey_segment(name, longer)] = inside(duration(longer))
    return made


def _band_sentence(tiers: ValueTiers, index: int) -> str:
    what = f"their {tiers.of.replace('_', ' ')}"
    if tiers.quantiles:
        shares = [f"{(share(each) * 100).normalize():f}%" for each in tiers.quantiles]
        above, below = shares[:index][-1:], shares[index:][:1]
        if not above:
            return f"{what} is among the lowest {below[0]} of people who bought"
        rest = f", and not of {below[0]}" if below else ""
        return f"{what} is above that of {above[0]}{rest} of people who bought"
    bounds = [f"{number(each):f}" for each in tiers.bounds]
    least, most = bounds[:index][-1:], bounds[index:][:1]
    said = [f"{least[0]} or more"] if least else []
    said += [f"below {most[0]}"] if most else []
    return f"they bought, and {what} is {' and '.join(said)}"


def _digests(rules: Mapping[str, Rule], bands: Mapping[str, ValueTiers]) -> dict[str, str]:
    """Name -> SHA-256 of the rule, everything it names and the options of its value tiers. `rules` are in order."""
    made: dict[str, str] = {}
    for name, rule in rules.items():
        tiers = {leaf.tiers: bands[leaf.tiers] for leaf in leaves(rule) if isinstance(leaf, Band)}
        inlined = {each: made[each] for each in named(rule)}
        made[name] = sha256(_encode([rule, inlined, tiers])).hexdigest()
    return made
