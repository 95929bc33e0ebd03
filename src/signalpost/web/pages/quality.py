"""Quality: how well platforms can recognise people, what orders are worth to whom, how long things take, what counts twice, and
what gates on trial would cost. One page for each, so that each reads little.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from msgspec import Struct
from starlette.responses import Response

from signalpost import coverage
from signalpost.store import report, trends
from signalpost.store.database import Connection
from signalpost.web import charts
from signalpost.web.routing import page
from signalpost.web.visit import WINDOWS, Visit

HOUR, DAY = 3_600_000, 86_400_000

STEPS = {HOUR: HOUR, DAY: HOUR, 7 * DAY: 6 * HOUR, 30 * DAY: DAY}
"""Window -> how long each point of a chart is."""

NEWEST = 500
"""Orders that are looked at for what counts twice."""

PAGE = 25
"""Orders of the value ledger on one page."""

LOOKED = 1_000
"""Orders that a filtered value ledger looks through for one page."""

MARKERS = 12

TABS = (
    ("/quality", "Match keys"),
    ("/quality/value", "Value ledger"),
    ("/quality/clocks", "Clocks"),
    ("/quality/duplicates", "Counted twice"),
    ("/quality/gates", "Gates on trial"),
)


def _chosen(visit: Visit) -> tuple[str, int, int]:
    """The window asked for: its name, the hour it begins in, and how long each point is."""
    window = visit.window()
    since = visit.now - WINDOWS[window]
    return window, since - since % HOUR, STEPS[WINDOWS[window]]


def _steps(since: int, until: int, step: int) -> range:
    return range(since - since % step, until, step)


def labels(at: range, zone: ZoneInfo) -> list[str]:
    """`14:00`, `Mon 16 Nov, 6:00` or `Mon 16 Nov`: what tells the points apart, in the workspace's zone."""
    long = len(at) > 1 and at[-1] - at[0] > DAY
    made = []
    for moment in at:
        local = datetime.fromtimestamp(moment / 1000, UTC).astimezone(zone)
        day = f"{local:%a} {local.day} {local:%b}"
        made.append(day if at.step >= DAY else f"{day}, {local.hour}:00" if long else f"{local:%H:%M}")
    return made


# ---- match keys ------------------------------------------------------------------------------------------------------------


class KeyPoint(Struct, frozen=True, kw_only=True):
    """A step of the window."""

    at: int
    scores: dict[str, float]
    """Destination -> score, 0 to 100."""
    shares: dict[str, float]
    """Of the chosen destination and event: key -> share of signals (0 to 1) that carried it."""


class Keys(Struct, frozen=True, kw_only=True):
    """How well platforms can recognise people."""

    window: str
    since: int
    until: int
    destination: str
    event: str
    """Whose keys are drawn over time."""
    matched: list[report.Matched]
    points: list[KeyPoint]
    markers: list[report.Marker]


def keys_of(connection: Connection, visit: Visit) -> Keys:
    """The page's facts for the window asked for."""
    window, since, step = _chosen(visit)
    workspace, now = visit.workspace, visit.now
    by = trends.keys_by(connection, step, since, now)
    matched = report.matched(report.together(by.values()), workspace)
    asked = (visit.query("destination"), visit.query("event"))
    drawn = next((each for each in matched if (each.destination, each.name) == asked), matched[0] if matched else None)
    chosen = (drawn.destination, drawn.name) if drawn else asked
    kind = report.kind(chosen[0], workspace)
    return Keys(
        window=window,
        since=since,
        until=now,
        destination=chosen[0],
        event=chosen[1],
        matched=matched,
        points=[
            KeyPoint(
                at=at,
                scores=report.scores(by.get(at, {}), workspace),
                shares=coverage.shares(by.get(at, {}).get(chosen, {}), kind),
            )
            for at in _steps(since, now, step)
        ],
        markers=report.markers(connection, since, now)[:MARKERS],
    )


async def keys(visit: Visit) -> Response:
    """`/quality`: which match keys signals carry, over time, beside what was new."""
    facts = await visit.read(lambda connection: keys_of(connection, visit))
    at = _steps(facts.since, facts.until, STEPS[WINDOWS[facts.window]])
    told = labels(at, visit.console.zone)
    marks = [charts.Marker(at=each.at, label=str(place)) for place, each in enumerate(facts.markers, 1)]
    drawn: dict[str, charts.Chart] = {}
    if len(at) > 1 and facts.matched:
        drawn["score"] = charts.over_time(
            at,
            told,
            [
                charts.Series(name=report.title(name, visit.workspace), values=[point.scores.get(name) for point in facts.points])
                for name in visit.workspace.destinations
                if any(name in point.scores for point in facts.points)
            ],
            alt="Match key score of each platform over time, 0 to 100",
            unit="score",
            most=100,
            markers=marks,
        )
        heavy = [
            key
            for key in coverage.KEYS
            if coverage.KEYS[key].weight >= report.HEAVY and any(key in point.shares for point in facts.points)
        ]
        drawn["keys"] = charts.over_time(
            at,
            told,
            [
                charts.Series(name=coverage.KEYS[key].title, values=[point.shares.get(key) for point in facts.points])
                for key in heavy
            ],
            alt=f"Share of {facts.event} signals to {report.title(facts.destination, visit.workspace)} with each match key",
            unit="percent",
            most=1,
            markers=marks,
            height=320,
        )
    columns = {
        key: coverage.KEYS[key].title
        for key in coverage.KEYS
        if coverage.KEYS[key].weight >= report.HEAVY and any(key in {one.key for one in each.keys} for each in facts.matched)
    }
    return visit.page("quality_keys.html", facts, tabs=TABS, charts=drawn, columns=columns, platform=_titles(visit))


def _titles(visit: Visit) -> Callable[[str], str]:
    return lambda name: report.title(name, visit.workspace)


# ---- the value ledger ------------------------------------------------------------------------------------------------------


class Values(Struct, frozen=True, kw_only=True):
    """Orders, what each source claimed, and what each platform was told."""

    show: str
    """all, disagreeing, returned, unsent."""
    after: int
    orders: list[report.Ordered]
    looked: int
    """How many orders were looked through for these."""
    more: int
    """`after` of the next page; 0: there is none."""


SHOWN: dict[str, tuple[str, Callable[[report.Ordered], bool]]] = {
    "all": ("All", lambda _: True),
    "disagreeing": ("Sources disagree", lambda order: bool(order.disagreement)),
    "returned": ("Money went back", lambda order: bool(order.returned or order.cancelled_at)),
    "unsent": (
        "Not with every platform",
        lambda order: not order.sent or any(each.verdict not in report.TAKEN for each in order.sent),
    ),
}
"""Filters of the value ledger."""


def values_of(connection: Connection, visit: Visit) -> Values:
    """A page of the value ledger, the newest first."""
    show = visit.query("show", "all")
    show = show if show in SHOWN else "all"
    asked = visit.query("after")
    after = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else 0
    found: list[report.Ordered] = []
    looked, at = 0, after
    while len(found) < PAGE and looked < LOOKED:
        orders = report.orders_before(connection, at, PAGE, visit.workspace)
        for order in orders:
            looked, at = looked + 1, order.event
            if SHOWN[show][1](order):
                found.append(order)
            if len(found) == PAGE:
                break
        if len(orders) < PAGE:
            at = at if len(found) == PAGE else 0
            break
    return Values(show=show, after=after, orders=found, looked=looked, more=at)


async def value(visit: Visit) -> Response:
    """`/quality/value`: orders with what each source claimed and what each platform was told."""
    facts = await visit.read(lambda connection: values_of(connection, visit))
    return visit.page(
        "quality_value.html", facts, tabs=TABS, shown={name: title for name, (title, _) in SHOWN.items()}, platform=_titles(visit)
    )


# ---- clocks ----------------------------------------------------------------------------------------------------------------


class ClockPoint(Struct, frozen=True, kw_only=True):
    """A step of the window: (clock, name) written `clock name` -> the time within which 95 of 100 were, ms."""

    at: int
    p95: dict[str, int]


class Clocks(Struct, frozen=True, kw_only=True):
    """How long things take."""

    window: str
    since: int
    until: int
    clocks: list[report.Clock]
    points: list[ClockPoint]


def clocks_of(connection: Connection, visit: Visit) -> Clocks:
    """The page's facts for the window asked for."""
    window, since, step = _chosen(visit)
    by = trends.times_by(connection, step, since, visit.now)
    return Clocks(
        window=window,
        since=since,
        until=visit.now,
        clocks=report.told(report.together(by.values())),
        points=[
            ClockPoint(at=at, p95={f"{each.clock} {each.name}": each.p95 for each in report.told(by.get(at, {}))})
            for at in _steps(since, visit.now, step)
        ],
    )


DRAWN = {
    "accepted": "Intake to accepted, 95 of 100 within",
    "suppressed": "Order to kept from ads, 95 of 100 within",
    "source": "Event to intake, 95 of 100 within",
}
"""The clocks that are drawn over time."""


async def clocks(visit: Visit) -> Response:
    """`/quality/clocks`: how long events, signals and suppression take."""
    facts = await visit.read(lambda connection: clocks_of(connection, visit))
    at = _steps(facts.since, facts.until, STEPS[WINDOWS[facts.window]])
    told = labels(at, visit.console.zone)
    drawn = []
    for clock, alt in DRAWN.items():
        names = [each.name for each in facts.clocks if each.clock == clock]
        if not names or len(at) < 2:
            continue
        series = [
            charts.Series(
                name=name if clock == "source" else report.title(name, visit.workspace),
                values=[point.p95.get(f"{clock} {name}") for point in facts.points],
            )
            for name in names
        ]
        drawn.append((alt, charts.over_time(at, told, series, alt=alt, unit="ms", height=220)))
    return visit.page("quality_clocks.html", facts, tabs=TABS, charts=drawn, platform=_titles(visit))


# ---- what counts twice -----------------------------------------------------------------------------------------------------


class Duplicates(Struct, frozen=True, kw_only=True):
    """What platforms make of orders told twice, and what was told twice to us."""

    window: str
    since: int
    until: int
    among: int
    """Newest orders that the radar looked at."""
    radar: list[report.Radar]
    doubled: list[report.Ordered]
    """Of them, those that some platform counts twice."""
    caught: dict[str, list[int]]
    """Reason -> signals withheld by it in each step of the window."""
    steps: list[int]


TWICE = {
    "duplicate_message": "The same message came in again",
    "duplicate_order": "The order was told already",
    "repeat": "The same act a moment before",
    "other_source": "Another source counts for it",
}
"""What each of `report.DUPLICATES` means on the picture."""


def duplicates_of(connection: Connection, visit: Visit) -> Duplicates:
    """The page's facts for the window asked for."""
    window, since, step = _chosen(visit)
    orders = report.orders_latest(connection, NEWEST, visit.workspace)
    steps = list(_steps(since, visit.now, step))
    caught = report.caught_by(connection, step, since, visit.now)
    return Duplicates(
        window=window,
        since=since,
        until=visit.now,
        among=len(orders),
        radar=report.radar(orders),
        doubled=[order for order in orders if any(each.pixel.verdict == "will_double_count" for each in order.sent)][:12],
        caught={reason: [caught.get((at, reason), 0) for at in steps] for reason in report.DUPLICATES},
        steps=steps,
    )


async def duplicates(visit: Visit) -> Response:
    """`/quality/duplicates`: pixel beside server, and what was told twice and sent once."""
    facts = await visit.read(lambda connection: duplicates_of(connection, visit))
    step = STEPS[WINDOWS[facts.window]]
    at = _steps(facts.since, facts.until, step)
    drawn = None
    if any(any(many) for many in facts.caught.values()):
        drawn = charts.over_time(
            at,
            labels(at, visit.console.zone),
            [charts.Series(name=TWICE[reason], values=many) for reason, many in facts.caught.items() if any(many)],
            alt="Signals that were withheld because they were told already",
            bars=True,
            stacked=True,
        )
    total = {reason: sum(many) for reason, many in facts.caught.items()}
    return visit.page(
        "quality_duplicates.html", facts, tabs=TABS, chart_=drawn, twice=TWICE, caught=total, platform=_titles(visit)
    )


# ---- gates on trial --------------------------------------------------------------------------------------------------------


class Trials(Struct, frozen=True, kw_only=True):
    """What observing gates would have withheld, what waiting saved, and what went back after it was sent."""

    window: str
    since: int
    until: int
    trials: list[report.Noticed]
    stopped: list[report.Stopped]
    after: list[report.Noticed]
    would: dict[str, Decimal]
    """Observing gate -> the share (0 to 1) of value that it would withhold, all platforms and events of one currency together."""


def trials_of(connection: Connection, visit: Visit) -> Trials:
    """The page's facts for the window asked for."""
    window, since, _ = _chosen(visit)
    passed = report.passed_lately(connection, since, visit.now)
    notices = report.noticed(connection, since, visit.now, passed, visit.workspace)
    trials = [each for each in notices if each.what == "observed"]
    return Trials(
        window=window,
        since=since,
        until=visit.now,
        trials=trials,
        stopped=report.stopped(connection, since, visit.now, visit.workspace),
        after=[each for each in notices if each.what in report.AFTER],
        would=_would(trials),
    )


def _would(trials: list[report.Noticed]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for gate in dict.fromkeys(each.gate for each in trials):
        mine = [each for each in trials if each.gate == gate and each.of_value > 0]
        if len({each.currency for each in mine}) == 1:
            found[gate] = sum((each.value for each in mine), Decimal(0)) / sum((each.of_value for each in mine), Decimal(0))
    return found


async def trials(visit: Visit) -> Response:
    """`/quality/gates`: what gates on trial would withhold, and what went back too late."""
    facts = await visit.read(lambda connection: trials_of(connection, visit))
    return visit.page("quality_gates.html", facts, tabs=TABS, stopped=report.STOPPED, after=report.AFTER, platform=_titles(visit))


WAYS = (
    page("/quality", keys),
    page("/quality/value", value),
    page("/quality/clocks", clocks),
    page("/quality/duplicates", duplicates),
    page("/quality/gates", trials),
)
