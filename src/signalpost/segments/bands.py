"""Value tiers: in which band of a computed fact a person is, and where the bands of quantiles begin.

A band is closed below and open above: `bounds` says where each band but the first begins. With hysteresis, where a person is
depends on where they were: who is in band k rises only at bound * (1 + h) and falls only below bound * (1 - h). So an answer
is given for a person *and their present band*, and asking twice changes nothing. People who merge are asked with the band that
their one record has after the merge: within the margin either band is a right answer, outside it there is only one.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Literal

import msgspec
from msgspec import Struct

from signalpost.events import Facts
from signalpost.options import ValueTiers, number, share

LEAST_IN_BAND = 50
"""People that the narrowest band must have for quantiles to mean something: a top decile needs 500 buyers."""

_ONE = Decimal(1)


class Bands(Struct, frozen=True, kw_only=True):
    """The bands of one `value_tiers` entry with their bounds as they are now."""

    names: tuple[str, ...]
    """Lowest first."""
    of: Literal["lifetime_value", "average_order_value", "orders"] = "lifetime_value"
    bounds: tuple[Decimal, ...] = ()
    """Where each band but the first begins, never falling; empty while quantiles are not computed: nobody is in any band."""
    hysteresis: Decimal = Decimal(0)
    """A share of the bound: 0.1 for `10%`."""


class Cut(Struct, frozen=True, kw_only=True):
    """Quantiles as computed over everybody."""

    bounds: tuple[Decimal, ...]
    """Empty when there are too few people."""
    people: int
    """How many people they were computed over: those with a standing order."""
    sizes: tuple[int, ...] = ()
    """People in each band by their value alone, lowest first."""
    sentence: str = ""
    """What is wrong and what to do; empty when nothing is."""


def declared(tiers: ValueTiers, computed: Sequence[Decimal] = ()) -> Bands:
    """The bands as the workspace file declares them; `computed` are the bounds where it gives quantiles."""
    bounds = tuple(number(each) for each in tiers.bounds) if tiers.bounds else tuple(computed)
    if len(bounds) != len(tiers.names) - 1:
        bounds = ()  # computed for another number of bands
    return Bands(
        names=tiers.names, of=tiers.of, bounds=bounds, hysteresis=share(tiers.hysteresis) if tiers.hysteresis else Decimal(0)
    )


def value(bands: Bands, facts: Facts) -> Decimal | None:
    """What a person is worth to these bands; None without a standing order: then they are in no band."""
    if not facts.orders:
        return None
    worth = getattr(facts, bands.of)
    return None if worth is None else Decimal(worth)


def band(bands: Bands, worth: Decimal | None, current: int | None) -> int | None:
    """The band of a person who is in band `current` now (None: in none), counted from the lowest; None: in no band."""
    if worth is None or (not bands.bounds and len(bands.names) > 1):
        return None
    if current is None or not bands.hysteresis:
        return bisect_right(bands.bounds, worth)
    above = bisect_right([bound + abs(bound) * bands.hysteresis for bound in bands.bounds], worth)
    below = bisect_right([bound - abs(bound) * bands.hysteresis for bound in bands.bounds], worth)
    return min(max(current, above), below)


# ---- quantiles over everybody ----------------------------------------------------------------------------------------------


def digest(tiers: ValueTiers) -> str:
    """What the bounds are computed of: with another one they are computed anew at once."""
    said = (tiers.of, [str(share(each)) for each in tiers.quantiles])
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:12]


def cut(tiers: ValueTiers, ordered: Sequence[int], unit: Decimal) -> Cut:
    """Where the bands begin, given everybody's value in whole `unit`s, lowest first.

    A bound is a value that somebody has: the one with the share of people below it nearest to the share that was asked for. (Of
    people with one order and few with more no half can be cut; then the band is what comes nearest, and says so.)
    """
    shares, people = tuple(share(each) for each in tiers.quantiles), len(ordered)
    edges = (Decimal(0), *shares, _ONE)
    narrowest = min(high - low for low, high in pairwise(edges))
    needed = int((LEAST_IN_BAND / narrowest).to_integral_value("ROUND_CEILING")) if narrowest > 0 else 0
    if people < needed or not people:
        sentence = (
            f"{people:,} {'person has' if people == 1 else 'people have'} a standing order, and these shares need {needed:,}, so "
            f"that the narrowest band has {LEAST_IN_BAND}. Nobody is in a band until then; wider shares, or "
            "`bounds` of your own, need fewer people."
        )
        return Cut(bounds=(), people=people, sentence=sentence)
    places = [_nearest(ordered, each) for each in shares]
    bounds = tuple(_plain(ordered[place] * unit) for place in places)
    sizes = tuple(after - before for before, after in pairwise((0, *places, people)))
    empty = [name for name, size in zip(tiers.names, sizes, strict=True) if not size]
    sentence = ""
    if empty:
        sentence = (
            f"Too many people have the very same value: the band{'s' if len(empty) > 1 else ''} "
            f"{', '.join(empty)} of {people:,} people would be empty. Ask for fewer bands, or give `bounds` of your own."
        )
    return Cut(bounds=bounds, people=people, sizes=sizes, sentence=sentence)


def _plain(bound: Decimal) -> Decimal:
    """A bound without zeros at its end: 86.72, 300."""
    short = bound.normalize()
    return short.quantize(_ONE) if int(short.as_tuple().exponent) > 0 else short


def _nearest(ordered: Sequence[int], below: Decimal) -> int:
    """The place of the first of those with the value that has the share `below` of all people below it, as nearly as can be."""
    asked = below * len(ordered)
    at = ordered[min(int(asked), len(ordered) - 1)]
    first, after = bisect_left(ordered, at), bisect_right(ordered, at)
    if after < len(ordered) and after - asked < asked - first:
        return after
    return first
