"""Audiences, decisions only: whom one wants, what to add and remove where, in which requests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from signalpost.config import Workspace
from signalpost.events import Person
from signalpost.options import share
from signalpost.segments.catalog import journey_segment
from signalpost.segments.live import LOTS, lot

# ---- whom an audience wants ----------------------------------------------------------------------------------------------------


class Wanted(Struct, frozen=True):
    """Whom an audience wants, compiled."""

    name: str
    slots: tuple[int, ...]
    """Its numbers, one for each destination."""
    segment: str
    unless: frozenset[str]
    """Segments whose members it does not want, those of `while_in` among them."""
    held_out: int = 0
    """Lots below this are left out, of `live.LOTS`."""
    silence_allows: bool = True
    """Whether somebody who never said anything of advertising consents."""


def of(workspace: Workspace, slots: Mapping[tuple[str, str], int], unready: frozenset[str] = frozenset()) -> tuple[Wanted, ...]:
    """Every audience whose segments are ready; `slots`: (audience, destination) -> its number."""
    found = (
        Wanted(
            name=each.title,
            slots=tuple(slot for destination in each.to if (slot := slots.get((each.title, destination))) is not None),
            segment=each.segment,
            unless=frozenset(
                (*each.unless, *(journey_segment(name, None if rule == "none" else rule) for name, rule in each.while_in.items()))
            ),
            held_out=0 if each.holdout is None else int(share(each.holdout) * LOTS),
            silence_allows=workspace.consent.unknown == "granted",
        )
        for each in workspace.audiences
    )
    return tuple(each for each in found if each.segment not in unready and unready.isdisjoint(each.unless))


def wants(audience: Wanted, person: Person) -> bool:
    """Whether the audience wants this person now."""
    inside = person.inside
    if audience.segment not in inside or person.suppressed_at or not audience.unless.isdisjoint(inside):
        return False
    said = person.consent.get("advertising")
    if not (audience.silence_allows if said is None else said[0]):
        return False
    return not audience.held_out or lot(f"holdout:{audience.name}", person.id) >= audience.held_out


# ---- what to add and remove --------------------------------------------------------------------------------------------------

URGENT = 0
"""The priority of what a purchase, a refund or a wish moved: it goes before everything else, at once."""

State = Literal["adding", "there", "removing", "refused", "stuck"]
"""Where an identifier is at the platform. `adding` and `removing`: asked, and no answer known. `there`: taken. `refused`: the
platform would not add it. `stuck`: the platform would not remove it. All people who have an identifier have it in one state,
but where the state is not known for sure it may have several names."""


class Asked(Struct, frozen=True, gc=False):
    """A person of whom the platform has not yet taken all; as in `audience_people`."""

    person: int
    wanted: bool
    stale: int
    priority: int
    asked_at: int


class Holder(Struct, frozen=True, gc=False):
    """A person for whom the platform holds an identifier, or may hold it; as in `audience_keys`."""

    key: str
    person: int
    state: State
    wanted: bool
    """Whether the audience wants this person at this moment."""


class Change(Struct, frozen=True, kw_only=True):
    """What some people ask of the platform, and what is remembered of it before anything is sent."""

    add: dict[int, tuple[str, ...]]
    """Person -> identifiers to add; one that several people have stands under one of them."""
    remove: dict[int, tuple[str, ...]]
    begin: list[tuple[str, int]]
    """(identifier, person): from now on `adding`."""
    keep: list[tuple[str, int]]
    """(identifier, person): `there` for somebody else already; nothing is sent."""
    refused: list[tuple[str, int]]
    """(identifier, person): `refused` for somebody else already; nothing is sent."""
    forget: list[tuple[str, int]]
    """(identifier, person): theirs no longer, but of somebody else who is wanted; forgotten, not sent."""
    needs: dict[int, frozenset[str]]
    """Person -> the identifiers whose answers settle them; who stands here not is settled without an answer."""

    @property
    def silent(self) -> bool:
        """Whether there is nothing to tell the platform."""
        return not self.add and not self.remove


def change(asked: Sequence[Asked], own: Mapping[int, Collection[str]], holders: Sequence[Holder]) -> Change:
    """What to add and remove so that the platform has what these people are to be found by, and not what nobody is.

    `own`: person -> identifiers of those who are wanted and known. `holders`: everybody, asked or not, who has an identifier
    that one of the asked has or had. An identifier is added or removed, never both; where the last answer is not known, it
    is asked again. One that was refused is asked to be removed too: the platform may have taken it before, and the answer was
    lost.
    """
    here = {each.person for each in asked}
    rows: dict[str, list[Holder]] = {}
    had: dict[int, list[str]] = {}
    for holder in holders:
        rows.setdefault(holder.key, []).append(holder)
        if holder.person in here:
            had.setdefault(holder.person, []).append(holder.key)
    kept = {key for person in here for key in own.get(person, ())}
    made = Change(add={}, remove={}, begin=[], keep=[], refused=[], forget=[], needs={})
    told: set[str] = set()
    for each in asked:
        person, wanted = each.person, own.get(each.person, ())
        needs, add, remove = [], [], []
        for key in wanted:
            held = rows.get(key, ())
            state = held[0].state if held else None
            if state in {"there", "refused"}:
                if all(row.person != person for row in held):
                    (made.keep if state == "there" else made.refused).append((key, person))
                continue
            needs.append(key)
            made.begin.append((key, person))
            if key not in told:
                told.add(key)
                add.append(key)
        for key in had.get(person, ()):
            if key in wanted:
                continue
            others = any(row.wanted for row in rows[key] if row.person not in here)
            if key in kept or others:
                made.forget.append((key, person))
                continue
            needs.append(key)
            if key not in told:
                told.add(key)
                remove.append(key)
        if add:
            made.add[person] = tuple(add)
        if remove:
            made.remove[person] = tuple(remove)
        if needs:
            made.needs[person] = frozenset(needs)
    return made


def settled(asked: Sequence[Asked], made: Change, answered: Collection[str]) -> list[Asked]:
    """The people of whom nothing is open once these identifiers are answered."""
    return [each for each in asked if all(key in answered for key in made.needs.get(each.person, ()))]


def due_at(asked: Sequence[Asked], *, most: int, linger: int, now: int) -> int:
    """When these people, the next in turn, are to be sent (epoch ms): at once if one is urgent or there are `most` of them,
    else when the first has waited `linger` ms for company."""
    if len(asked) >= most or any(each.priority == URGENT for each in asked):
        return now
    return min((each.asked_at for each in asked), default=now) + linger
