"""Histograms with logarithmic buckets keep what people ask of them: quantiles, shares that are late, clocks that run ahead."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost import clocks

CENTURY = clocks.BOUNDS[-1]
times = st.one_of(
    st.integers(-CENTURY, CENTURY),
    st.integers(-clocks.DAY, clocks.DAY),
    st.sampled_from([sign * (bound + off) for sign in (-1, 1) for bound in clocks.BOUNDS[:-1] for off in (-1, 0, 1)]),
)
shares = st.sampled_from([0.0, 0.07, 0.5, 0.9, 0.95, 0.99, 1.0])


@given(times)
def test_a_bucket_stands_for_its_times_within_the_stated_error(ms: int) -> None:
    """The representative of a time's bucket is at most `ERROR` from it, and on the same side of zero."""
    stood_for = clocks.value(clocks.bucket(ms))
    assert abs(stood_for - ms) <= clocks.ERROR * abs(ms) + 0.5
    assert (stood_for < 0) == (ms < 0)


@given(times, times)
def test_buckets_keep_the_order(one: int, other: int) -> None:
    """A later time is never in an earlier bucket, also below zero."""
    early, late = sorted((one, other))
    assert clocks.bucket(early) <= clocks.bucket(late)


def test_the_bounds_hold_what_is_asked_for() -> None:
    """Every round time is a bound, bounds rise, and none but the first milliseconds steps further than `STEP`."""
    assert set(clocks.ROUND) <= set(clocks.BOUNDS)
    assert all(one < other for one, other in pairwise(clocks.BOUNDS))
    assert all((other - 1) / one <= clocks.STEP for one, other in pairwise(clocks.BOUNDS[1:]))


@given(st.lists(times, min_size=1, max_size=200), shares)
def test_quantiles_are_those_of_the_times(several: list[int], share: float) -> None:
    """A quantile of the histogram is the exact nearest-rank quantile of the times, within the stated error."""
    exact = sorted(several)[max(1, ceil(share * len(several) - 1e-9)) - 1]
    found = clocks.quantile(clocks.histogram(several), share)
    assert abs(found - exact) <= clocks.ERROR * abs(exact) + 0.5


@given(st.lists(st.lists(times, max_size=30), max_size=5))
def test_merging_loses_nothing(parts: list[list[int]]) -> None:
    """Merged histograms are the histogram of all times together."""
    together = [ms for part in parts for ms in part]
    assert clocks.merge(clocks.histogram(part) for part in parts) == clocks.histogram(together)


@given(st.lists(times, max_size=100), st.sampled_from(clocks.ROUND))
def test_shares_beyond_round_times_are_exact(several: list[int], ms: int) -> None:
    """How many took an hour (a day, a week) or longer is counted exactly, and so is how many are so far ahead."""
    counted = clocks.histogram(several)
    assert clocks.at_least(counted, ms) == sum(each >= ms for each in several)
    assert clocks.ahead(counted, ms) == sum(each <= -ms for each in several)


def test_nothing_timed_says_nothing() -> None:
    """Of a clock that timed nothing none was late, and asking for a quantile is an error."""
    assert clocks.at_least({}, 1) == 0
    with pytest.raises(ValueError, match="nothing"):
        clocks.quantile({}, 0.5)
