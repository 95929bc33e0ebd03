"""Which match keys signals carry, how well that identifies people, and an alarm when it really drops.

A signal's keys are one number with a bit for each key (`mask`), so that an hour of signals is a few rows: mask -> how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, reduce
from itertools import accumulate
from math import log, sqrt
from operator import or_
from typing import Any

from msgspec import Struct

from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Field
from signalpost.events import Signal

# ---------------------------------------------------------------------------------------------- keys


class Key(Struct, frozen=True, kw_only=True):
    """One thing by which a platform can match a signal to a person."""

    bit: int
    """Its place in a mask. Rows of the table `coverage` hold masks, so a bit is never given to another key."""
    title: str
    """For people, as in `share of signals with an ...`."""
    weight: int
    """How much the score makes of it, against the others."""
    why: str
    """Why it weighs that: one sentence. The platforms publish no weights, so these are ours."""
    margin: float = 0.05
    """How far its share may fall, relative to what it was, without being called a drop however certain: what shops live with."""
    made_of: tuple[str, ...] = ()
    """The `normalize.MATCH_KEYS` it stands for; empty for what comes with the event: click ids, address, browser."""
    paths: Mapping[str, str] = {}
    """For what comes with the event: platform -> the path of the row in its field table."""


KEYS: dict[str, Key] = {
    "email": Key(
        bit=0,
        title="e-mail address",
        weight=30,
        why="One person's, lasting, and both platforms ask people for it when they sign up.",
        made_of=("email",),
    ),
    "phone": Key(
        bit=1,
        title="phone number",
        weight=18,
        why="One person's and lasting; fewer people have given it to the platforms than their e-mail.",
        made_of=("phone", "phone_digits"),
    ),
    "external_id": Key(
        bit=2,
        title="customer id",
        weight=10,
        why="It ties a person's events to one another, and to a person only once another key did.",
        made_of=("external_id",),
    ),
    "first_name": Key(
        bit=3,
        title="first name",
        weight=1,
        why="It only narrows what other keys found.",
        made_of=("first_name", "first_name_as_written"),
    ),
    "last_name": Key(
        bit=4,
        title="last name",
        weight=2,
        why="It only narrows what other keys found.",
        made_of=("last_name", "last_name_as_written"),
    ),
    "city": Key(
        bit=5,
        title="city",
        weight=1,
        why="Shared by very many; it only narrows what other keys found.",
        made_of=("city", "city_hashed"),
    ),
    "state": Key(
        bit=6,
        title="state",
        weight=1,
        why="Shared by very many; Pinterest needs it for limited data use.",
        made_of=("state", "state_hashed"),
    ),
    "zip": Key(
        bit=7,
        title="postcode",
        weight=2,
        why="Shared by a street or a town; with a name it is nearly one person's.",
        made_of=("zip",),
    ),
    "country": Key(
        bit=8,
        title="country",
        weight=1,
        why="Shared by nearly everybody; it says how the other keys are to be read.",
        made_of=("country", "country_hashed"),
    ),
    "birthday": Key(
        bit=9, title="date of birth", weight=1, why="Strong with a name, but few shops know it.", made_of=("birthday",)
    ),
    "gender": Key(bit=10, title="gender", weight=1, why="Shared by half of all people.", made_of=("gender",)),
    "maid": Key(
        bit=11,
        title="mobile advertising id",
        weight=2,
        why="One device's, but only apps have it, and only where the person allowed tracking.",
        made_of=("idfa", "gaid"),
    ),
    "ttclid": Key(
        bit=12,
        title="TikTok click id",
        weight=12,
        why="It names the very click on the ad; only visits that began with an ad have one, so full coverage is not to be had.",
        margin=0.5,  # its share follows what is spent on ads
        paths={"tiktok": "user.ttclid"},
    ),
    "ttp": Key(
        bit=13,
        title="TikTok browser id",
        weight=10,
        why="It names the browser to TikTok; browsers and consent banners clear it.",
        paths={"tiktok": "user.ttp"},
    ),
    "epik": Key(
        bit=14,
        title="Pinterest click id",
        weight=12,
        why="It names the very click on the ad; only visits that began with an ad have one, so full coverage is not to be had.",
        margin=0.5,  # its share follows what is spent on ads
        paths={"pinterest": "user_data.click_id"},
    ),
    "ip": Key(
        bit=15,
        title="IP address",
        weight=8,
        why="Shared by a household or a mobile network and soon another's; together with the browser it is a usable guess.",
        paths={"tiktok": "user.ip", "pinterest": "user_data.client_ip_address"},
    ),
    "user_agent": Key(
        bit=16,
        title="browser line",
        weight=4,
        why="Shared by very many; it counts only together with the IP address.",
        paths={"tiktok": "user.user_agent", "pinterest": "user_data.client_user_agent"},
    ),
    "partner_id": Key(
        bit=17,
        title="partner's visitor id",
        weight=1,
        why="Only where the shop has agreed one with Pinterest.",
        paths={"pinterest": "user_data.partner_id"},
    ),
}
"""Everything a platform can match a signal by. A page's address and a browser's language are no keys: they name nobody."""


def _row(platform: str, path: str) -> Field:
    return next(row for row in CATALOG[platform].fields if row.path == path)


def rows_of(platform: str) -> tuple[tuple[int, Field], ...]:
    """The platform's rows that carry a key: (the key's bit as a mask, the row)."""
    found = []
    for row in CATALOG[platform].fields:
        # A row that is made of several match keys (Pinterest's advertising ids) names none; it is of the person all the same.
        made_of = {row.key} if row.key else {"idfa", "gaid"} if row.person else set()
        found += [
            (1 << key.bit, row) for key in KEYS.values() if made_of & set(key.made_of) or key.paths.get(platform) == row.path
        ]
    return tuple(found)


READS: dict[str, int] = {name: reduce(or_, (bit for bit, _ in rows_of(name)), 0) for name in CATALOG}
"""Platform -> the mask of the keys it reads."""

_BIT_OF = {name: 1 << key.bit for key in KEYS.values() for name in key.made_of}

_OF_EVENT: tuple[tuple[int, Callable[[Signal], Any]], ...] = tuple(
    (1 << key.bit, _row(*next(iter(key.paths.items()))).read) for key in KEYS.values() if key.paths
)
"""What comes with the event is asked of the platforms' own rows: a click id of last year is none to them either."""

_OF_CLICKS = tuple(pair for pair in _OF_EVENT if pair[0] in {1 << KEYS[name].bit for name in ("ttclid", "ttp", "epik")})
_OF_REST = tuple(pair for pair in _OF_EVENT if pair not in _OF_CLICKS)


@lru_cache(maxsize=4_096)
def _of_person(names: tuple[str, ...]) -> int:
    """The bits of a person's match keys; remembered, because a shop sees few combinations."""
    found = 0
    for name in names:
        found |= _BIT_OF.get(name, 0)
    return found


def mask(signal: Signal) -> int:
    """Which keys this signal carries, whatever the platform; `& READS[platform]` for what that platform reads of them."""
    person = signal.person
    found = _of_person(tuple(person.keys))
    if person.clicks:
        for bit, read in _OF_CLICKS:
            if read(signal) is not None:
                found |= bit
    for bit, read in _OF_REST:
        if read(signal) is not None:
            found |= bit
    return found


def names(mask: int) -> tuple[str, ...]:
    """A mask's keys, by the names of `KEYS`."""
    return tuple(name for name, key in KEYS.items() if mask >> key.bit & 1)


# ---------------------------------------------------------------------------------------------- shares and score

Masks = Mapping[int, int]
"""Mask -> how many signals."""


def merge(several: Iterable[Masks]) -> dict[int, int]:
    """Several as one."""
    found: dict[int, int] = {}
    for masks in several:
        for each, many in masks.items():
            found[each] = found.get(each, 0) + many
    return found


def counts(masks: Masks) -> dict[str, int]:
    """Key -> how many signals carry it; every key of `KEYS` is there."""
    return {name: sum(many for each, many in masks.items() if each >> key.bit & 1) for name, key in KEYS.items()}


def shares(masks: Masks, platform: str | None = None) -> dict[str, float]:
    """Key -> the share (0 to 1) of signals that carry it; only keys the platform reads. Empty without signals."""
    total = sum(masks.values())
    reads = _all(platform)
    return {name: many / total for name, many in counts(masks).items() if reads >> KEYS[name].bit & 1} if total else {}


def score(masks: Masks, platform: str | None = None) -> float | None:
    """The weighted mean of the keys' shares, 0 to 100; None without signals.

    100 is every signal with every key the platform reads. TikTok says its Event Match Quality is a weighted mean of coverages
    too, but neither platform publishes weights or scale: this is a figure of ours, to be compared with itself only.
    """
    carried = shares(masks, platform)
    whole = sum(KEYS[name].weight for name in carried)
    return 100 * sum(KEYS[name].weight * share for name, share in carried.items()) / whole if carried else None


def _all(platform: str | None) -> int:
    return READS[platform] if platform is not None else (1 << len(KEYS)) - 1


# ---------------------------------------------------------------------------------------------- the alarm

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


CERTAINTY: tuple[tuple[float, str], ...] = (
    (50, "beyond doubt"),
    (20, "almost certainly"),
    (ALARM, "very likely"),
)
"""Evidence -> how sure it is that chance alone did not do it."""


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


# ---------------------------------------------------------------------------------------------- what it is told as


BEFORE = 3 * DAY
"""Something new that was seen so long before a drop may stand behind it."""
AFTER = 6 * HOUR
"""The same so long after it: where there are few signals the hour of a drop is a guess."""

Row = tuple[int, str, str, str, int, tuple[int, ...]]
"""(hour, destination, source, canonical event, signals, how many of them have the key of each bit)."""


class Mark(Struct, frozen=True, kw_only=True):
    """A change marker: something seen for the first time."""

    kind: str
    """library, host, property, revision"""
    source: str
    """Empty for what concerns them all."""
    name: str
    """Of the library, or of the event that had the property; else empty."""
    value: str
    at: int
    event: int = 0
    detail: str = ""

    @property
    def sentence(self) -> str:
        """What was new, without its moment."""
        if self.kind == "library":
            return f"{self.source} began to send with {self.name} {self.value}".rstrip()
        if self.kind == "host":
            return f"{self.source} began to send from {self.value}"
        if self.kind == "property":
            return f"{self.source} began to send {self.value} with {self.name}"
        if self.kind == "revision":
            return f"the workspace file was changed{f' ({self.detail})' if self.detail else ''}"
        return f"{self.kind} {self.value} was new"


def explain(drop: Drop, source: str, marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """What was new when the drop began, nearest first: of that source or of all, from `BEFORE` until `AFTER` it.

    What is new is no proof: it is where to look first.
    """
    near = [mark for mark in marks if mark.source in {"", source} and drop.since - BEFORE <= mark.at < drop.since + HOUR + AFTER]
    return tuple(sorted(near, key=lambda mark: (abs(mark.at - drop.since - HOUR // 2), mark.kind, mark.name, mark.value)))


class Alarm(Struct, frozen=True, kw_only=True):
    """One key of one source that dropped: in which events, for which destinations, and what was new at the time."""

    source: str
    key: str
    events: tuple[str, ...]
    """Those in which it dropped, the strongest evidence first."""
    destinations: tuple[str, ...]
    """Those that get these events and read this key."""
    drop: Drop
    """Of the first of the events."""
    lacking: int
    """Signals without the key that would have had it before, over all these events."""
    marks: tuple[Mark, ...]

    @property
    def subject(self) -> str:
        """What it is about, the same as long as it goes on."""
        return f"{self.key} from {self.source}"

    @property
    def problem(self) -> bool:
        """Whether it is more than a warning: a key that weighs, and a quarter of it or more is gone."""
        return KEYS[self.key].weight >= 8 and self.drop.after <= 0.75 * self.drop.before

    @property
    def sentence(self) -> str:
        """What dropped, by how much, how certain that is, and what was new."""
        drop, title = self.drop, KEYS[self.key].title
        told = (
            f"Since {_moment(drop.since)} {_share(drop.after)} of {self.events[0]} from {self.source} come with the {title}; in "
            f"the four weeks before, it was {_share(drop.before)}. This is {drop.certainty} no coincidence. About "
            f"{self.lacking:,} signals to {_listed(self.destinations)} went without it."
        )
        if len(self.events) > 1:
            told += f" The same with {_listed(self.events[1:])}."
        if self.marks:
            new = "; ".join(f"{mark.sentence} ({_moment(mark.at)})" for mark in self.marks[:3])
            told += f" New at about that time: {new}."
        return told

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.key in {"ttclid", "epik"}:
            return (
                f"If fewer visits come from ads at the moment, nothing. Otherwise see whether landing pages and redirects of "
                f"{self.source} keep the address's {self.key}, and whether consent is asked before it is read."
            )
        where = "what was new" if self.marks else "what was changed in the shop, its pop-ups, its checkout and its tracking"
        return f"Look at {where} at that time: {self.source} no longer passes on the {KEYS[self.key].title} as it did."


def _moment(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%d %b %H:%M} UTC"


def _share(share: float) -> str:
    return f"{100 * share:.1f} %" if 0 < share < 0.1 or 0.99 < share < 1 else f"{100 * share:.0f} %"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def alarms(rows: Iterable[Row], marks: Sequence[Mark], platforms: Mapping[str, str]) -> list[Alarm]:
    """Every drop that is going on, the most signals first. `platforms`: destination -> its platform.

    `rows` reach back `HISTORY`. One signal that goes to two destinations is two rows; each key is looked at in the destination
    that gets the most of these events among those that read it.
    """
    hours: dict[tuple[str, str], dict[str, list[tuple[int, int, tuple[int, ...]]]]] = {}
    for hour, destination, source, name, signals, having in rows:
        if destination in platforms:
            hours.setdefault((source, name), {}).setdefault(destination, []).append((hour, signals, having))
    found: dict[tuple[str, str], list[tuple[str, tuple[str, ...], Drop]]] = {}
    for (source, name), told in hours.items():
        most = sorted(told, key=lambda each: (-sum(signals for _, signals, _ in told[each]), each))
        for key, about in KEYS.items():
            reading = [each for each in most if READS[platforms[each]] >> about.bit & 1]
            if not reading:
                continue
            fell = drop([(hour, n, having[about.bit]) for hour, n, having in told[reading[0]]], about.margin)
            if fell is not None:
                found.setdefault((source, key), []).append((name, tuple(reading), fell))
    made = []
    for (source, key), several in found.items():
        several.sort(key=lambda each: (-each[2].evidence, each[0]))
        strongest = several[0][2]
        made.append(
            Alarm(
                source=source,
                key=key,
                events=tuple(name for name, _, _ in several),
                destinations=tuple(sorted({each for _, reading, _ in several for each in reading})),
                drop=strongest,
                lacking=sum(fell.lacking for _, _, fell in several),
                marks=explain(strongest, source, marks),
            )
        )
    return sorted(made, key=lambda alarm: (-alarm.lacking, alarm.subject))
