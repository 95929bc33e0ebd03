"""Whether segments exclude one another and leave no gap: proved where every kind of person can be looked at, sampled otherwise.

The segments' own functions (`live.closure`) answer for every person that they can tell apart (`kinds`); what fails is shown as a
person, in words, reduced to what matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from signalpost.events import Person
from signalpost.marked import listed
from signalpost.options import Workspace
from signalpost.segments import kinds, live
from signalpost.segments.catalog import Catalog
from signalpost.segments.rules import All, Band, Not, Rule, Some, Trait
from signalpost.vocabulary import canonical

SAMPLED = 20_000
"""People looked at where not everybody can be."""

FEW = 2_000
"""Kinds of people of whom those just beside a bound are looked at too: that proves no more, but it shows what happens there."""

CHECKED = 50_000
"""Kinds of people that a check of the workspace file goes through at most: it must not take long."""

TRIED = 60
"""Other values of an axis that are tried to see whether it matters."""

ANY_MOMENT = 1_767_225_600_000
"""2026-01-01: a proof without dates holds at every moment, and one with dates goes through all that matter."""


class Proof(Struct, frozen=True, kw_only=True):
    """What is known of a set of segments."""

    of: tuple[str, ...]
    covering: str | None
    holds: bool
    """Whether nobody that was looked at is in two of them, or in none of them though in `covering`."""
    way: Literal["proved", "sampled"]
    """`proved`: everybody that the rules can tell apart was looked at. A counter-example is always proof."""
    people: int
    """How many people were looked at."""
    sentence: str
    advice: str = ""
    both: tuple[str, ...] = ()
    """The segments that the counter-example is in; empty for a gap."""
    person: Person | None = None
    """The counter-example."""
    at: int = 0
    """The moment (epoch ms) at which it is one."""


def prove(
    rules: Mapping[str, Rule],
    of: Sequence[str],
    covering: str | None = None,
    now: int = ANY_MOMENT,
    *,
    derived: Mapping[str, str] | None = None,
    most: int = kinds.MOST,
) -> Proof:
    """Whether these segments exclude one another and, with `covering`, whether everybody of that segment is in one of them.

    `rules` are all segments by name, each naming only others in it; `derived` are events with the one each is made of
    (`made_of`). `KeyError` for a name that is not there.
    """
    plain = {name: _without_bands(rule) for name, rule in rules.items()}
    names = tuple(dict.fromkeys(of))
    wanted = [plain[name] for name in (*names, *([covering] if covering is not None else ()))]
    bands: dict[str, dict[str, str]] = {}
    for name, rule in rules.items():
        if isinstance(rule, Band):
            bands.setdefault(kinds.band_trait(rule.tiers), {})[str(rule.index)] = name
    people = kinds.of(wanted, plain, now, bands=bands, derived=derived, fine=False)
    if people.many <= FEW:
        people = kinds.of(wanted, plain, now, bands=bands, derived=derived)
    judge = _Judge(plain, names, covering)
    looked = 0
    for world, parts in people.people(most if people.many <= most else min(most, SAMPLED)):
        looked += 1
        wrong = judge.wrong(kinds.person(parts), world.now)
        if wrong is not None:
            return _counter_example(judge, world, parts, wrong, looked)
    proved = people.whole and people.many <= most
    said = f"Nobody is in two of {listed(names)}" if len(names) > 1 else f"{listed(names)} stands alone"
    said += "" if covering is None else f", and everybody in `{covering}` is in one of them"
    said += f": proved over all {looked:,} kinds of people that they can tell apart." if proved else (
        f", as far as {looked:,} kinds of people show: there are more than can be looked at."
    )  # fmt: skip
    return Proof(of=names, covering=covering, holds=True, way="proved" if proved else "sampled", people=looked, sentence=said)


def made_of(workspace: Workspace) -> dict[str, str]:
    """The workspace's derived events -> the event that each is made of."""
    return {
        name: kinds.ORDERED if each.first is None else canonical(each.first, workspace.aliases)
        for name, each in workspace.derived.items()
    }


def mistakes(catalog: Catalog, derived: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """(name, sentence) of each set that does not hold. Sets that name what is not there are somebody else's to tell."""
    found = []
    for name, declared in catalog.tiers.items():
        if all(each in catalog.rules for each in (*declared.of, *([] if declared.covering is None else [declared.covering]))):
            proof = prove(catalog.rules, declared.of, declared.covering, derived=derived, most=CHECKED)
            if not proof.holds:
                found.append((name, f"{proof.sentence} {proof.advice}"))
    return found


def _without_bands(rule: Rule) -> Rule:
    """The rule with a trait for each band (`kinds.band_trait`)."""
    if isinstance(rule, Band):
        return Trait(when={f"person.traits.{kinds.band_trait(rule.tiers)}": str(rule.index)})
    if isinstance(rule, Not):
        return Not(part=_without_bands(rule.part))
    if isinstance(rule, (All, Some)):
        return replace(rule, parts=tuple(_without_bands(part) for part in rule.parts))
    return rule


class _Judge:
    """The segments compiled: who is in which."""

    def __init__(self, rules: Mapping[str, Rule], names: Sequence[str], covering: str | None) -> None:
        self.names, self.covering = names, covering
        self.tests = [live.closure(rules[name], rules) for name in names]
        self.whole = None if covering is None else live.closure(rules[covering], rules)

    def wrong(self, person: Person, now: int) -> tuple[str, ...] | None:
        """The segments that a person is in though nobody may be in all of them; () for a gap, None where all is well."""
        inside = tuple(name for name, test in zip(self.names, self.tests, strict=True) if test(person, now)[0])
        if len(inside) > 1:
            return inside
        return () if not inside and self.whole is not None and self.whole(person, now)[0] else None


def _counter_example(
    judge: _Judge, world: kinds.World, parts: tuple[kinds.Part, ...], wrong: tuple[str, ...], looked: int
) -> Proof:
    """The proof that it does not hold: one person, with no more said of them than matters."""

    def still(changed: Sequence[kinds.Part]) -> bool:
        return kinds.possible(changed) and judge.wrong(kinds.person(changed), world.now) == wrong

    simple = list(parts)
    for place, axis in enumerate(world.axes):
        for other in axis[:TRIED]:
            if other == simple[place]:
                break
            if still([*simple[:place], other, *simple[place + 1 :]]):
                simple[place] = other
                break
    words: list[str] = []
    for place, axis in enumerate(world.axes):
        matters = any(not still([*simple[:place], other, *simple[place + 1 :]]) for other in _some_of(axis))
        words += simple[place].said if matters else ()
    who = f"A person {_joined(words)}" if words else "Everybody"
    moment = f", seen at {datetime.fromtimestamp(world.now / 1000, UTC):%Y-%m-%d %H:%M UTC}" if world.dated else ""
    if wrong:
        said = f"{who} is in {'both' if len(wrong) == 2 else 'all of'} {listed(wrong)}{moment}."
        advice = (
            "Let each begin where the one before ends (`6h..24h` holds from 6 hours on and no longer at 24), or take the people "
            f"of one out of the other: `not: {{in_segment: {wrong[0]}}}`."
        )
    else:
        said = f"{who} is in `{judge.covering}` but in none of {listed(judge.names)}{moment}."
        advice = "Close the gap, add a segment for them, or let `covering` name who is really meant."
    return Proof(
        of=tuple(judge.names),
        covering=judge.covering,
        holds=False,
        way="proved",
        people=looked,
        sentence=said,
        advice=advice,
        both=wrong,
        person=kinds.person(simple),
        at=world.now,
    )


def _some_of(axis: kinds.Axis) -> Iterable[kinds.Part]:
    return axis[:: -(-len(axis) // TRIED)]


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
