"""The alarm finds drops of a match key within the stated delay, and calls none where there is none.

The traffic is seeded: visitors come by the hour of the day and the day of the week, each has the key or not and makes several
signals, and the share of visitors with the key differs from day to day. `scripts/measure_alarm.py` measures the same on the
year of real orders; docs/leaks/match-keys.md has the figures.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost import coverage
from signalpost.coverage import ALARM, DAY, HISTORY, HOUR, LEAST, Counted, Mark

START = 1_700_006_400_000 - 1_700_006_400_000 % DAY
BUSY = (0.2, 0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.7, 1, 1.3, 1.5, 1.6, 1.7, 1.6, 1.5, 1.4, 1.4, 1.5, 1.6, 1.7, 1.6, 1.3, 0.9, 0.5)
"""By the hour of the day."""


def traffic(seed: int, days: int, a_day: float, share: float, *, lost: float = 0.0, since: int = 0) -> list[Counted]:
    """So many days of about `a_day` signals; from the hour `since` on, `lost` of the visitors' keys are missing."""
    rng = random.Random(seed)
    made = []
    for day in range(days):
        weekday = 0.7 if day % 7 in {5, 6} else 1.1
        usual = min(1.0, max(0.0, share + rng.gauss(0, 0.02)))
        for hour, busy in enumerate(BUSY):
            number = day * 24 + hour
            n = k = 0
            for _ in range(poisson(rng, a_day / 24 * busy * weekday / 2.5)):
                visit = 1 + min(10, int(rng.expovariate(1 / 1.5)))
                gone = number >= since and lost > 0 and rng.random() < lost
                n += visit
                k += visit if rng.random() < usual and not gone else 0
            if n:
                made.append((START + number * HOUR, n, k))
    return made


def poisson(rng: random.Random, mean: float) -> int:
    """A Poisson number (Knuth)."""
    least, product, number = exp(-mean), rng.random(), 0
    while product > least:
        product *= rng.random()
        number += 1
    return number


def asked(rows: list[Counted], first: int, every: int = 1) -> Iterator[tuple[int, coverage.Drop | None]]:
    """What the alarm says at the end of each hour from the hour `first` on."""
    last = (rows[-1][0] - START) // HOUR
    for number in range(first, last + 2, every):
        now = START + number * HOUR
        yield number, coverage.drop(rows[bisect_left(rows, (now - HISTORY,)) : bisect_left(rows, (now,))])


@pytest.mark.parametrize(
    ("a_day", "share", "lost", "signals"),
    [(200, 0.9, 1.0, 75), (200, 0.9, 0.6, 200), (200, 0.6, 1.0, 130), (200, 0.6, 0.6, 500), (1_000, 0.6, 0.3, 3_000)],
)
def test_drops_are_found_in_time(a_day: int, share: float, lost: float, signals: int) -> None:
    """Nine of ten drops are found within so many signals and dated to within three days; before, there is no alarm."""
    since = 35 * 24 + 9
    found = 0
    for seed in range(10):
        rows = traffic(seed, 35 + 14, a_day, share, lost=lost, since=since)
        before = sum(row[0] < START + since * HOUR for row in rows)
        assert coverage.drop(rows[:before]) is None
        for number, drop in asked(rows, since + 1):
            if drop is not None:
                found += sum(n for hour, n, _ in rows[before:] if hour < START + number * HOUR) <= signals
                assert abs(drop.since - START - since * HOUR) <= 3 * DAY
                assert drop.after < drop.before
                break
    assert found >= 9


def test_ordinary_traffic_raises_no_alarm() -> None:
    """Six years of streams of all sizes, asked twice a day: no alarm."""
    for seed, (a_day, share) in enumerate([(20, 0.5), (20, 0.95), (100, 0.3), (100, 0.7), (400, 0.1), (400, 0.6)]):
        rows = traffic(1_000 + seed, 365, a_day, share)
        assert [drop for _, drop in asked(rows, 7 * 24, every=12) if drop is not None] == []


def test_restless_traffic_needs_more_evidence() -> None:
    """The same fall of the share is an alarm where days are alike, and none where they have always differed as much."""
    calm = [(START + hour * HOUR, 20, 12) for hour in range(30 * 24)]
    restless = [(hour, n, 8 if (hour // DAY) % 3 == 0 else 14) for hour, n, _ in calm]
    fallen = [(START + (30 * 24 + hour) * HOUR, 20, 8) for hour in range(20)]
    found = coverage.drop(calm + fallen)
    assert found is not None
    assert found.since == fallen[0][0]
    assert (found.before, found.after, found.spread) == (0.6, 0.4, 1.0)
    assert coverage.drop(restless + fallen) is None


hours = st.lists(st.tuples(st.integers(0, 60 * 24), st.integers(0, 50), st.floats(0, 1)), max_size=200).map(
    lambda rows: [(START + hour * HOUR, n, round(n * share)) for hour, n, share in {row[0]: row for row in rows}.values()]
)


@given(hours, st.sampled_from([0.0, 0.05, 0.5]))
def test_a_drop_is_what_it_says(rows: list[Counted], margin: float) -> None:
    """A drop's figures are those of the rows in any order; it fell by more than the margin, and there are enough signals."""
    drop = coverage.drop(rows, margin)
    assert drop == coverage.drop(sorted(rows, reverse=True), margin)
    if drop is None:
        return
    since = [(n, k) for hour, n, k in rows if hour >= drop.since]
    before = [(n, k) for hour, n, k in rows if drop.since - coverage.BASELINE <= hour < drop.since]
    for part, share in ((since, drop.after), (before, drop.before)):
        assert sum(n for n, _ in part) >= LEAST
        assert share == pytest.approx(sum(k for _, k in part) / sum(n for n, _ in part))
    assert drop.after < (1 - margin) * drop.before
    assert drop.evidence >= ALARM
    assert drop.certainty != "possible"


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.0, 0.05, 0.5]))
def test_evidence_is_never_negative_and_grows_with_what_is_missing(
    n0: int, n1: int, one: float, other: float, margin: float
) -> None:
    """No evidence where the share did not fall by the margin; otherwise more for each signal more without the key."""
    k0, k1 = round(n0 * one), round(n1 * other)
    found = coverage.evidence(n0, k0, n1, k1, margin)
    assert found >= -1e-9
    if k1 / n1 >= (1 - margin) * k0 / n0:
        assert found == 0
    if k1 > 0:
        assert coverage.evidence(n0, k0, n1, k1 - 1, margin) >= found - 1e-9


@given(st.integers(20, 400), st.integers(20, 400), st.floats(0.05, 0.95), st.floats(0, 0.9), st.sampled_from([0.0, 0.05, 0.5]))
def test_evidence_is_the_likelihood_ratio(n0: int, n1: int, one: float, fall: float, margin: float) -> None:
    """No share without a drop explains both samples better than the one the closed form finds."""
    k0 = round(n0 * one)
    k1 = round(n1 * one * fall)
    found = coverage.evidence(n0, k0, n1, k1, margin)
    if found == 0:
        return

    def likelihood(k: int, n: int, share: float) -> float:
        return (k * log(share) if k else 0.0) + ((n - k) * log(1 - share) if n > k else 0.0)

    free = likelihood(k0, n0, k0 / n0) + likelihood(k1, n1, k1 / n1)
    best = max(likelihood(k0, n0, p) + likelihood(k1, n1, (1 - margin) * p) for p in (each / 2_000 for each in range(1, 2_000)))
    assert found <= free - best + 1e-9
    assert found == pytest.approx(free - best, abs=0.05)


def test_a_drop_that_is_mended_is_over() -> None:
    """While the key is missing there is an alarm; when it is back for some dozens of signals there is none."""
    usual = [(START + hour * HOUR, 20, 16) for hour in range(30 * 24)]
    broken = [(START + (30 * 24 + hour) * HOUR, 20, 2) for hour in range(48)]
    mended = [(START + (32 * 24 + hour) * HOUR, 20, 16) for hour in range(72)]
    assert coverage.drop(usual + broken) is not None
    for hours_after in (4, 12, 24, 72):
        assert coverage.drop(usual + broken + mended[:hours_after]) is None


def test_a_new_source_is_watched_before_it_is_judged() -> None:
    """With less than a week of signals nothing is said, however large the fall."""
    early = [(START + hour * HOUR, 20, 18) for hour in range(6 * 24)]
    late = [(START + (6 * 24 + hour) * HOUR, 20, 0) for hour in range(12)]
    assert coverage.drop(early + late) is None


def mark(kind: str, at: int, source: str = "web", **more: str) -> Mark:
    """Something new."""
    return Mark(kind=kind, source=source, name=more.get("name", ""), value=more.get("value", "new"), at=at)


def having(key: str, signals: int) -> tuple[int, ...]:
    """How many signals have each key, where only this one is had."""
    return tuple(signals if name == key else 0 for name in coverage.KEYS)


def rows_of_a_shop(since: int) -> list[coverage.Row]:
    """35 days of two events at two destinations; from `since` on the pop-up's e-mail is missing."""
    return [
        (hour, destination, "web", name, n, having("email", 0 if name == "Lead Generated" and hour >= since else k))
        for hour in range(START, START + 35 * DAY, HOUR)
        for destination in ("ttk", "pin")
        for name, n, k in (("Lead Generated", 20, 20), ("Product Viewed", 40, 24))
    ]


def test_an_alarm_says_what_dropped_and_what_was_new() -> None:
    """One alarm for a key of a source: since when, from what to what, at which destinations, with what was new, nearest first."""
    since = START + 34 * DAY
    marks = [
        mark("library", since - 20 * 60_000, name="analytics.js", value="3.0.0"),
        mark("property", since - 2 * DAY, name="Lead Generated", value="popup_version"),
        mark("host", since - 10 * DAY, value="old.shop.example"),
        mark("library", since - HOUR, source="server", name="analytics-python", value="9"),
        mark("revision", since + 2 * HOUR, source=""),
    ]
    found = coverage.alarms(rows_of_a_shop(since), marks, {"ttk": "tiktok", "pin": "pinterest"})
    assert len(found) == 1
    alarm = found[0]
    assert (alarm.subject, alarm.events, alarm.destinations) == ("email from web", ("Lead Generated",), ("pin", "ttk"))
    assert (alarm.drop.since, alarm.drop.before, alarm.drop.after) == (since, 1.0, 0.0)
    assert alarm.lacking == 24 * 20
    assert alarm.problem
    assert [each.kind for each in alarm.marks] == ["library", "revision", "property"]
    for part in (
        "0 % of Lead Generated from web",
        "e-mail address",
        "100 %",
        "480 signals",
        "beyond doubt",
        "analytics.js 3.0.0",
    ):
        assert part in alarm.sentence
    assert "server" not in alarm.sentence
    assert alarm.advice


def test_a_key_is_looked_at_where_it_is_read() -> None:
    """A click id of one platform going missing is told of that platform's destinations only."""
    rows: list[coverage.Row] = [
        (START + number * HOUR, destination, "web", "Product Viewed", 20, having("epik", 20 if number < 34 * 24 else 0))
        for number in range(35 * 24)
        for destination in ("ttk", "pin")
    ]
    found = coverage.alarms(rows, [], {"ttk": "tiktok", "pin": "pinterest"})
    assert [(alarm.key, alarm.destinations) for alarm in found] == [("epik", ("pin",))]
    assert "ads" in found[0].advice
