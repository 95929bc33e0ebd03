"""Both arms of an audience with a holdout, counted from what the database remembers of people and their moves.

Whoever entered the audience's segment belongs to an arm by their lot alone, whatever they did later and whether a platform
found them: comparing all of both arms is what keeps the comparison fair. Read in pages; what is kept is a few sums.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

import msgspec
from msgspec import Struct, field

from signalpost.audiences import Wanted
from signalpost.events import Bought
from signalpost.segments.live import lot
from signalpost.store import segments
from signalpost.store.database import Connection

PAGE = 1_000
"""Entries read at once."""

Move = tuple[int, int, bool]
"""(when, segment, entered or left)."""

_ZERO = Decimal(0)


class Arm(Struct, kw_only=True):
    """What one arm did; revenue in the workspace's currency, refunds off."""

    people: int = 0
    """Whose window is over."""
    buyers: int = 0
    """Of them those with an order in their window that stands."""
    orders: int = 0
    revenue: Decimal = _ZERO
    squares: Decimal = _ZERO
    """The sum over people of their revenue squared, for its spread."""
    unvalued: int = 0
    """Orders that count with no revenue: their amount is not known, or not in the workspace's currency."""
    pending: int = 0
    """People whose window is not over: they count for nothing yet."""


class Counted(Struct, kw_only=True):
    """Both arms, and what else one must know of them."""

    begin: int
    """Entries from here on count (epoch ms)."""
    end: int
    """Entries before this are over."""
    shown: Arm = field(default_factory=Arm)
    """People the audience wanted."""
    held: Arm = field(default_factory=Arm)
    """People held out."""
    left_out: int = 0
    """People in neither: in an `unless` segment or journey all the while, without consent when they entered, or erased since."""
    destinations: dict[str, int | None] = {}
    """Where the audience goes -> since when the platform has it whole; None: not yet."""
    leaked: dict[str, int] = {}
    """Destination -> people held out whom the platform has all the same."""
    changed_at: int | None = None
    """When the workspace file's audiences or segments last changed within the time that counts."""


class _Remembered(Struct):
    """What of a person's record is needed here."""

    id: int
    orders: dict[str, Bought] = {}
    consent: dict[str, tuple[bool, int]] = {}
    suppressed_at: int = 0


_remembered = msgspec.json.Decoder(_Remembered)


def gather(connection: Connection, audience: Wanted, *, since: int, window: int, now: int) -> Counted:
    """Both arms of those who entered the audience's segment from `since` on (epoch ms), each over `window` ms of their own.

    Where the platforms had the audience only later, it begins then: before, nobody could be shown anything.
    """
    destinations: dict[str, int | None] = dict(connection.rows("lift_destinations", audience.name))
    loaded = [at for at in destinations.values() if at is not None]
    begin = max(since, min(loaded, default=since))
    counted = Counted(begin=begin, end=now - window, destinations=destinations)
    counted.changed_at = max(
        (at for at, said in connection.rows("lift_changes", begin) if {"audiences", "segments"} & set(said.split(", "))),
        default=None,
    )
    slots = segments.slots(connection)
    target = slots.get(audience.segment)
    if target is None:
        return counted
    unless = frozenset(slots[name] for name in audience.unless if name in slots)
    at, person = begin, -1
    while rows := connection.rows("lift_entries", target, now, at, at, person, PAGE):
        _page(connection, audience, counted, rows, target, unless, window, now)
        at, person = rows[-1]
    return counted


def _page(
    connection: Connection,
    audience: Wanted,
    counted: Counted,
    entries: Sequence[tuple[int, int]],
    target: int,
    unless: frozenset[int],
    window: int,
    now: int,
) -> None:
    """Add the people of one page of entries to their arms; a person counts with their first entry only."""
    ids = sorted({person for _, person in entries})
    numbers = [target, *sorted(unless)]
    moves: dict[int, list[Move]] = {
        person: [(at, segment, bool(entered)) for _, at, segment, entered in group]
        for person, group in groupby(connection.rows("lift_moves", ids, numbers), itemgetter(0))
    }
    members: dict[int, dict[int, int]] = {}
    for person, segment, member_since in connection.rows("lift_members", ids, numbers):
        members.setdefault(person, {})[segment] = member_since
    people = {known.id: known for known in (_remembered.decode(record) for (record,) in connection.rows("people_read", ids))}
    held: list[int] = []
    for at, person in entries:
        own = moves.get(person, [])
        first = min(moved for moved, segment, entered in own if segment == target and entered and moved >= counted.begin)
        if first != at:
            continue  # counted with the page of their first entry
        moment = wanted_from(own, members.get(person, {}), target, unless, at)
        known = people.get(person)
        if moment is None or known is None or not _allowed(known, moment):
            counted.left_out += 1
            continue
        out = lot(f"holdout:{audience.name}", person) < audience.held_out
        if out:
            held.append(person)
        _add(counted.held if out else counted.shown, known.orders.values(), moment, window, now)
    for destination, _ in connection.rows("lift_there", audience.name, held) if held else ():
        counted.leaked[destination] = counted.leaked.get(destination, 0) + 1


def wanted_from(
    moves: Iterable[Move], members: Mapping[int, int], target: int, unless: Collection[int], begin: int
) -> int | None:
    """The first moment from `begin` on at which a person is in `target` and in none of `unless`; None: never.

    `moves` in order of time; `members`: segment -> since when they are in it now, for what moved them before moves were kept.
    Entering and leaving one segment at the same moment is nothing.
    """
    told = list(moves)
    first: dict[int, list[Move]] = {}
    for move in told:
        known = first.setdefault(move[1], [])
        if not known or known[0][0] == move[0]:
            known.append(move)
    # They left what they must have been in; who has no earlier move and came and went at once was outside.
    inside = {segment for segment, known in first.items() if not any(entered for _, _, entered in known)}
    told += [(since, segment, True) for segment, since in members.items() if segment not in first]
    told.sort(key=itemgetter(0))

    def wanted() -> bool:
        return target in inside and inside.isdisjoint(unless)

    before = [move for move in told if move[0] <= begin]
    after = [move for move in told if move[0] > begin]
    for _, group in groupby(before, itemgetter(0)):
        _apply(inside, group)
    if wanted():
        return begin
    for at, group in groupby(after, itemgetter(0)):
        _apply(inside, group)
        if wanted():
            return int(at)
    return None


def _apply(inside: set[int], group: Iterable[Move]) -> None:
    moved = list(group)
    for _, segment, entered in moved:
        if (moved[0][0], segment, not entered) in moved:
            continue
        (inside.add if entered else inside.discard)(segment)


def _allowed(person: _Remembered, moment: int) -> bool:
    """Whether nothing speaks against them that was known at that moment.

    What they said later must not count: whoever buys is asked at the checkout, and buyers would be let in where others are not.
    """
    said = person.consent.get("advertising")
    refused = said is not None and not said[0] and said[1] <= moment
    return not refused and not 0 < person.suppressed_at <= moment


def _add(arm: Arm, orders: Iterable[Bought], entered: int, window: int, now: int) -> None:
    """Add a person to their arm: what they ordered after they entered and before their window was over."""
    if entered + window > now:
        arm.pending += 1
        return
    arm.people += 1
    own = [order for order in orders if not order.cancelled and entered < order.time < entered + window]
    if not own:
        return
    worth = sum((order.value - order.refunded for order in own if order.value is not None), _ZERO)
    arm.buyers += 1
    arm.orders += len(own)
    arm.unvalued += sum(order.value is None for order in own)
    arm.revenue += worth
    arm.squares += worth * worth
