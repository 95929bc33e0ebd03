"""Whether a share really fell, since when and how sure that is: statistics of counted hours, of any key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import log, sqrt

from msgspec import Struct

HOUR, DAY = 3_600_000, 86_400_000

HISTORY = 56 * DAY
"""How far back the rows must go that `drop` is given."""

BASELINE = 28 * DAY
"""The share before a drop is learned from so long before it: whole weeks, because weekdays differ."""

WATCHED = 28 * DAY
"""A drop that began longer ago has become what is usual."""

LEARNED = 7
"""Days with signals that a baseline needs at least: fewer do not show how much days differ."""

LEAST = 30
"""Signals that a baseline, and what is compared with it, need at least: fewer may be one person's visit."""

ALARM = 9.0
"""The evidence (log of the likelihood ratio, less what signals that hang together add) from which a drop is called real:
a little over four standard deviations. docs/leaks/match-keys.md has what this costs in delay and in false alarms, as measured."""

RECOVERED = 4.5
"""The evidence of a rise after which a drop is over: three standard deviations."""

Counted = tuple[int, int, int]
"""(hour as epoch ms, signals, of them with the key)."""

CERTAINTY: tuple[tuple[float, str], ...] = (
    (50, "beyond doubt"),
    (20, "almost certainly"),
    (ALARM, "very likely"),
)
"""Evidence -> how sure it is that chance alone did not do it."""


class Drop(Struct, frozen=True, kw_only=True):
    """A key that really went missing: since when, from what share to what share."""

    since: int
    """The hour (epoch ms) from which the evidence is strongest; off by a few hours where there are few signals."""
    before: float
    """The share (0 to 1) of signals with the key in the four weeks before."""
    after: float
    """The share since."""
    signals: int
    """Signals since."""
    lacking: int
    """Signals since that would have had the key at the share before."""
    evidence: float
    spread: float
    """How many times as much the share scatters from hour to hour or day to day as single, independent signals would."""

    @property
    def certainty(self) -> str:
        """The evidence in words."""
        for least, words in CERTAINTY:
            if self.evidence >= least:
                return words
        return "possible"


def drop(hours: Iterable[Counted], margin: float = 0.05) -> Drop | None:
    """The drop of a key that is going on at the end of these hours (of one source, event and key); None when there is none.

    Every hour of the last four weeks is tried as its beginning: the share since then against the share of the four weeks
    before it. The evidence is divided by how much more that share scattered before, from hour to hour or from day to day
    (people come back, weekdays differ), than it would if signals were independent. So little traffic gives little evidence,
    restless traffic gives less, and a new source none until it has been watched for a week.
    """
    rows = sorted(row for row in hours if row[1] > 0)
    if not rows:
        return None
    by_day: dict[int, list[int]] = {}
    for hour, n, k in rows:
        day = by_day.setdefault(hour - hour % DAY, [0, 0])
        day[0] += n
        day[1] += k
    of_hours, of_days = _sums(rows), _sums([(day, n, k) for day, (n, k) in by_day.items()])
    found: Drop | None = None
    total_n, total_k = of_hours.n[-1], of_hours.k[-1]
    first = first_day = end_day = 0
    for at, (hour, _, _) in enumerate(rows):
        while rows[first][0] < hour - BASELINE:
            first += 1
        n0, k0 = of_hours.n[at] - of_hours.n[first], of_hours.k[at] - of_hours.k[first]
        n1, k1 = total_n - of_hours.n[at], total_k - of_hours.k[at]
        if n1 < LEAST:
            break
        if hour < rows[-1][0] - WATCHED or n0 < LEAST or k1 * n0 >= (1 - margin) * k0 * n1:
            continue
        raw = evidence(n0, k0, n1, k1, margin)
        if raw < ALARM or (found is not None and raw < found.evidence):
            continue  # dividing makes it no larger
        while of_days.starts[first_day] < hour - BASELINE:
            first_day += 1
        while end_day < len(of_days.starts) and of_days.starts[end_day] + DAY <= hour:
            end_day += 1
        if end_day - first_day < LEARNED:
            continue
        spread = max(_scatter(of_hours, first, at), _scatter(of_days, first_day, end_day))
        if raw / spread >= (ALARM if found is None else found.evidence):
            found = Drop(
                since=hour,
                before=k0 / n0,
                after=k1 / n1,
                signals=n1,
                lacking=round(n1 * k0 / n0) - k1,
                evidence=raw / spread,
                spread=spread,
            )
    return None if found is None or _over(found, rows) else found


def _over(found: Drop, rows: Sequence[Counted]) -> bool:
    """Whether the share has since risen again, at least half of the way back."""
    since = [row for row in rows if row[0] >= found.since]
    sums = _sums(since)
    n, k = sums.n[-1], sums.k[-1]
    for at in range(1, len(since)):
        n0, k0 = sums.n[at], sums.k[at]
        n1, k1 = n - n0, k - k0
        back = k1 / n1 >= (k0 / n0 + found.before) / 2
        # A rise of the share is a drop of the share without: margin 0, because coming back need not be large.
        if back and n1 >= LEAST and evidence(n0, n0 - k0, n1, n1 - k1, 0) / found.spread >= RECOVERED:
            return True
    return False


class _Sums(Struct, frozen=True):
    """Sums over the first so many blocks (hours or days): between any two of them what a share and its scatter need."""

    starts: tuple[int, ...]
    n: tuple[int, ...]
    k: tuple[int, ...]
    squares: tuple[float, ...]
    """Of k * k / n."""


def _sums(blocks: Sequence[Counted]) -> _Sums:
    return _Sums(
        tuple(start for start, _, _ in blocks),
        tuple(accumulate((n for _, n, _ in blocks), initial=0)),
        tuple(accumulate((k for _, _, k in blocks), initial=0)),
        tuple(accumulate((k * k / n for _, n, k in blocks), initial=0.0)),
    )


def _scatter(sums: _Sums, first: int, end: int) -> float:
    """How many times as much these blocks' shares scatter as independent signals would: the upper 95 % limit, at least 1.

    Pearson's statistic over its degrees of freedom; its 5 % quantile as Wilson and Hilferty approximate it.
    """
    freedom = end - first - 1
    n, k = sums.n[end] - sums.n[first], sums.k[end] - sums.k[first]
    if freedom < 1 or not 0 < k < n:
        return 1.0
    share = k / n
    pearson = (sums.squares[end] - sums.squares[first] - 2 * share * k + share * share * n) / (share * (1 - share))
    low = freedom * (1 - 2 / (9 * freedom) - 1.645 * sqrt(2 / (9 * freedom))) ** 3
    return max(1.0, pearson / max(low, 0.1))


def evidence(n0: int, k0: int, n1: int, k1: int, margin: float) -> float:
    """How much likelier it is that the share fell by more than `margin` (relative) than that it did not; a logarithm.

    The likelihood ratio of two binomial samples against the best explanation in which the second share is at least
    (1 - margin) of the first; 0 where it is. That explanation solves a quadratic equation (Farrington and Manning 1990).
    """
    rest = 1 - margin
    if k1 * n0 >= rest * k0 * n1:
        return 0.0
    a, b = rest * (n0 + n1), rest * (n1 - k1) + (n0 - k0) + (1 + rest) * (k0 + k1)
    p0 = (b - sqrt(max(0.0, b * b - 4 * a * (k0 + k1)))) / (2 * a)
    return _likelihood(k0, n0, k0 / n0) + _likelihood(k1, n1, k1 / n1) - _likelihood(k0, n0, p0) - _likelihood(k1, n1, rest * p0)


def _likelihood(k: int, n: int, share: float) -> float:
    with_it = k * log(share) if k else 0.0
    return with_it + (n - k) * log(1 - share) if n > k else with_it
