"""How long things take: histograms with logarithmic buckets, quantiles of them, and how many are late.

A histogram is a mapping of a bucket to how many. A bucket is named by its bound next to zero, in milliseconds, so a row of the
table `clocks` can be read as it stands, and finer bounds can be added later without a new meaning for old rows. The ages that
platforms and people ask about (an hour, a day, a week) are bounds: shares beyond those are exact, all else is within `ERROR`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import ceil

Histogram = Mapping[int, int]
"""Bucket -> how many."""

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

STEP = 1.2
"""No bucket reaches further than this many times its own bound."""

ERROR = (STEP - 1) / (STEP + 1)
"""The most that `value` and `quantile` are off, as a share of the exact time: 9.1 %."""

ROUND = (1, 10, 100, SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY, 365 * DAY, 36_500 * DAY)
"""Times that are always bounds, because somebody asks for the share beyond them."""


def _bounds() -> tuple[int, ...]:
    found = [0]
    for start, end in pairwise(ROUND):
        bound = start
        while bound < end:
            found.append(bound)
            # Floor keeps the step at most STEP; below 5 ms every millisecond is a bucket of its own.
            bound = max(bound + 1, int(bound * STEP))
    return (*found, ROUND[-1])


BOUNDS = _bounds()
"""The bounds of the buckets (ms), from 0 to a century, beyond which all is one bucket."""

_UPPER = dict(pairwise(BOUNDS))


def bucket(ms: int) -> int:
    """The bucket of a time: the bound next to zero. Negative times (a clock that runs ahead) have buckets of their own."""
    if ms >= 0:
        return BOUNDS[bisect_right(BOUNDS, ms) - 1]
    return -BOUNDS[bisect_right(BOUNDS, -ms) - 1]


def value(bucket: int) -> int:
    """The time (ms) that stands for a bucket: at most `ERROR` from every time in it, relative to that time."""
    if bucket < 0:
        return -value(-bucket)
    upper = _UPPER.get(bucket)
    if upper is None or upper <= bucket + 1:
        return bucket
    last = upper - 1
    return round(2 * bucket * last / (bucket + last))


def histogram(times: Iterable[int]) -> dict[int, int]:
    """Times (ms) as a histogram."""
    return Counter(map(bucket, times))


def merge(histograms: Iterable[Histogram]) -> dict[int, int]:
    """Several histograms as one."""
    return sum(map(Counter, histograms), Counter[int]())


def quantile(histogram: Histogram, share: float, *, exact: bool = False) -> int:
    """The time (ms) within which `share` of them lie (nearest rank: 0.5 is the lower median), off by `ERROR` at most.

    `exact`: the keys are times themselves, no buckets (our own holds, of which there are few).

    Raises `ValueError` for a histogram of nothing.
    """
    total = sum(histogram.values())
    if total <= 0:
        raise ValueError("a histogram of nothing has no quantile")
    rank = max(1, ceil(share * total - 1e-9))  # 0.07 * 100 is a little more than 7
    for at in sorted(histogram):
        rank -= histogram[at]
        if rank <= 0:
            return at if exact else value(at)
    return max(histogram) if exact else value(max(histogram))


def at_least(histogram: Histogram, ms: int) -> int:
    """How many took `ms` or longer: exact where `ms` is one of `ROUND`, else those whose bucket begins there or later."""
    return sum(many for at, many in histogram.items() if at >= ms)


def ahead(histogram: Histogram, ms: int = 1) -> int:
    """How many times are negative by `ms` or more: events from the future, told by a clock that runs ahead."""
    return sum(many for at, many in histogram.items() if at <= -ms)
