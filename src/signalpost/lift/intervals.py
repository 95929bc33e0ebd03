"""The intervals: how far two arms may really be apart, given what was counted of them.

Rates: Newcombe's hybrid of two Wilson intervals for the difference (Statistics in Medicine 17, 1998, method 10), and the same
pair made into a ratio (Donner and Zou, Statistics in Medicine 31, 2012). With a small holdout they err to the careful side.

Revenue per person: nearly everybody spends nothing and few spend much. The usual interval takes the spread of a small arm from
its own few buyers, and whoever by chance has no large order looks too sure: of ten 95 % intervals one claims revenue that is not
there. Here the mean and spread of what a *buyer* spends are those of both arms' buyers together, and only how many bought (again
Wilson's interval) is each arm's own; docs/decisions/0040 has the figures.
"""

from __future__ import annotations

from math import inf, sqrt
from statistics import NormalDist

from msgspec import Struct

_NORMAL = NormalDist()

CERTAIN = 0.95
"""How often an interval is to hold the truth."""

POWER = 0.8
"""How often a lift of the size that is looked for is to be seen."""

Z = _NORMAL.inv_cdf((1 + CERTAIN) / 2)

Z_LOOKING = _NORMAL.inv_cdf(1 - (1 - CERTAIN) / 4)
"""How far a walk that is looked at all the time goes at its farthest, in 19 of 20: twice the tail of its end (reflection)."""


class Interval(Struct, frozen=True, kw_only=True):
    """What was seen, and between what the truth lies."""

    seen: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 when all of it is above zero, -1 when all is below, else 0."""
        return (self.low > 0) - (self.high < 0)


def rate(buyers: float, people: float, z: float = Z) -> Interval:
    """A share of people (Wilson); `people` at least 1. Parts of people are for what is expected."""
    seen = buyers / people
    shrunk = 1 + z * z / people
    middle = (seen + z * z / (2 * people)) / shrunk
    half = z * sqrt(seen * (1 - seen) / people + z * z / (4 * people * people)) / shrunk
    return Interval(seen=seen, low=max(0.0, middle - half) if buyers else 0.0, high=min(1.0, middle + half))


def difference(one: Interval, other: Interval) -> Interval:
    """How much more the first rate is than the second."""
    seen = one.seen - other.seen
    return Interval(
        seen=seen,
        low=seen - sqrt((one.seen - one.low) ** 2 + (other.high - other.seen) ** 2),
        high=seen + sqrt((one.high - one.seen) ** 2 + (other.seen - other.low) ** 2),
    )


def lift(one: Interval, other: Interval) -> Interval:
    """How much more the first rate is than the second, as a share of the second: 0.2 is a fifth more.

    Without end where the second may be nothing.
    """
    both = one.seen * other.seen

    def root(part: float, rest: float) -> float:
        return sqrt(max(0.0, both * both - part * rest))

    least, most = one.low * (2 * one.seen - one.low), other.high * (2 * other.seen - other.high)
    below = both + root(least, most)
    low = least / below if below else 0.0
    least, most = other.low * (2 * other.seen - other.low), one.high * (2 * one.seen - one.high)
    high = (both + root(least, most)) / least if other.low > 0 else inf
    return Interval(seen=one.seen / other.seen - 1 if other.seen else inf, low=low - 1, high=high - 1)


class Spent(Struct, frozen=True, kw_only=True):
    """What one arm spent."""

    people: int
    buyers: int
    total: float
    squares: float
    """The sum of what each spent, squared."""


def spent_more(one: Spent, other: Spent, z: float = Z) -> Interval:
    """How much more a person of the first arm spent than one of the second; each has people, and somebody bought."""
    seen = one.total / one.people - other.total / other.people
    buyers = one.buyers + other.buyers
    mean = (one.total + other.total) / buyers
    variance = max(0.0, (one.squares + other.squares) / buyers - mean * mean)

    def ends(arm: Spent) -> tuple[float, float]:
        """How far below and above its mean the truth of one arm may be, squared: by how many buy, and by what they spend."""
        share = rate(arm.buyers, arm.people, z)
        bought = (arm.buyers + 0.5) / (arm.people + 1)  # an arm in which nobody bought is not without doubt
        spread = z * z * bought * variance / arm.people
        return (mean * (share.seen - share.low)) ** 2 + spread, (mean * (share.high - share.seen)) ** 2 + spread

    (down, up), (other_down, other_up) = ends(one), ends(other)
    return Interval(seen=seen, low=seen - sqrt(down + other_up), high=seen + sqrt(up + other_down))


# ---- how many people it takes ------------------------------------------------------------------------------------------------


def shows(base: float, lifted: float, held_out: float, people: float) -> bool:
    """Whether so many people, both arms together, show in `POWER` of all cases that a rate of `base` is lifted by that share.

    Reckoned with the interval that is used: a plain formula promises too much of a small holdout.
    """
    more = min(base * (1 + lifted), 1.0)
    shown, held = people * (1 - held_out), people * held_out
    least = difference(rate(more * shown, shown), rate(base * held, held)).low
    return least >= _NORMAL.inv_cdf(POWER) * sqrt(more * (1 - more) / shown + base * (1 - base) / held)


def needed(base: float, lifted: float, held_out: float) -> int:
    """How many people, both arms together, show it."""
    low, high = 1, 2
    while not shows(base, lifted, held_out, high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(base, lifted, held_out, middle) else (middle, high)
    return high


def detectable(base: float, people: int, held_out: float) -> float:
    """The smallest lift that so many people show; without end when not even everybody's buying would."""
    low, high = 0.0, (1 - base) / base
    if not shows(base, high, held_out, people):
        return inf
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if shows(base, middle, held_out, people) else (middle, high)
    return high


def early(share: float) -> float:
    """How many standard errors count as a difference when only this share (0 to 1) of the people needed have come.

    Whoever looks every day sees chance go far at some time; this bar holds for all looks together (O'Brien and Fleming's shape).
    """
    return Z_LOOKING / sqrt(share) if share < 1 else Z
