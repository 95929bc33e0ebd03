"""What the console's page about quality says: what leaks, for how much, since when, and what to do.

Every read is bounded: counters of the window, the newest orders, the open findings.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from markupsafe import Markup
from msgspec import Struct

from signalpost import charts
from signalpost.config import Workspace
from signalpost.findings import Synced
from signalpost.store import findings, report, trends
from signalpost.store.database import Connection
from signalpost.web import words

HOUR, DAY = 3_600_000, 86_400_000

STEPS = {DAY: HOUR, 7 * DAY: 6 * HOUR, 30 * DAY: DAY}
"""Window -> how long each point of a chart is; a window that is not here has no charts."""

NEWEST = 200
"""Orders that are looked at for disagreements and for what counts twice."""

SHOWN, DIFFERING = 12, 6
COLOURS = ("a", "b", "c", "d")
"""The style sheet's colours for destinations, in the workspace file's order; a fifth begins again."""


class Open(Struct, frozen=True, kw_only=True):
    """The open findings in a line, for the front page."""

    findings: int
    problems: int
    at_stake: dict[str, Decimal]
    worst: str
    """The title of the first of them; empty when none is open."""


class Point(Struct, frozen=True, kw_only=True):
    """A point of the charts."""

    at: int
    p95: dict[str, int]
    """Destination -> intake to accepted, ms."""
    scores: dict[str, float]
    """Destination -> match key score."""


class Quality(Struct, frozen=True, kw_only=True):
    """All that the page says, of a window that ends now."""

    window: str
    since: int
    until: int
    findings: list[findings.Kept]
    """Open now, the worst first, whatever the window."""
    at_stake: dict[str, Decimal]
    trials: list[report.Noticed]
    """What observing gates would have withheld."""
    stopped: list[report.Stopped]
    """What waiting saved."""
    after: list[report.Noticed]
    """What went back after it was sent."""
    clocks: list[report.Clock]
    matched: list[report.Matched]
    markers: list[report.Marker]
    points: list[Point]
    radar: list[report.Radar]
    """Of the newest orders."""
    among: int
    """How many those are."""
    disagreeing: list[report.Ordered]
    latest: list[report.Ordered]
    rollouts: list[report.Standing]
    audiences: list[Synced]
    """As they stand now, without what is costly to count."""


def opened(connection: Connection) -> Open:
    """What is open now, in a line."""
    kept = findings.open_now(connection)
    return Open(
        findings=len(kept),
        problems=sum(each.finding.severity == "problem" for each in kept),
        at_stake=report.at_stake(kept),
        worst=kept[0].finding.title if kept else "",
    )


def quality(connection: Connection, workspace: Workspace, window: str, milliseconds: int, now: int) -> Quality:
    """The page's facts for a window (`window` is its name) that ends now."""
    since = now - milliseconds
    hour = since - since % HOUR
    step = STEPS.get(milliseconds, HOUR)
    times = trends.times_by(connection, step, hour, now)
    keys = trends.keys_by(connection, step, hour, now)
    kept = findings.open_now(connection)
    orders = report.orders_latest(connection, NEWEST, workspace)
    notices = report.noticed(connection, hour, now, report.passed_lately(connection, hour, now), workspace)
    return Quality(
        window=window,
        since=since,
        until=now,
        findings=kept,
        at_stake=report.at_stake(kept),
        trials=[each for each in notices if each.what == "observed"],
        stopped=report.stopped(connection, hour, now, workspace),
        after=[each for each in notices if each.what in report.AFTER],
        clocks=report.told(report.together(times.values())),
        matched=report.matched(report.together(keys.values()), workspace),
        markers=report.markers(connection, since, now)[:SHOWN],
        points=[
            Point(
                at=at,
                p95={each.name: each.p95 for each in report.told(times.get(at, {})) if each.clock == "accepted"},
                scores=report.scores(keys.get(at, {}), workspace),
            )
            for at in range(hour - hour % step, now, step)
        ],
        radar=report.radar(orders),
        among=len(orders),
        disagreeing=[each for each in orders if each.disagreement][:DIFFERING],
        latest=[each for each in orders if each.claims][:SHOWN],
        rollouts=report.standings(connection, workspace),
        audiences=list(findings.synced(connection, workspace, {})),
    )


def drawn(facts: Quality, workspace: Workspace, zone: ZoneInfo) -> dict[str, Markup]:
    """The charts by name; none of what has fewer than two points."""
    names = {name: report.title(name, workspace) for name in workspace.destinations}
    colours = colours_of(workspace)
    labels = [_label(point.at, zone, facts.until - facts.since) for point in facts.points]
    found: dict[str, Markup] = {}
    if sum(bool(point.p95) for point in facts.points) > 1:
        found["speed"] = charts.lines(
            labels,
            [
                (title, colours[name], [point.p95[name] / 1000 if name in point.p95 else None for point in facts.points])
                for name, title in names.items()
            ],
            alt="From intake to accepted: the time within which 95 of 100 signals were",
            say=lambda value: words.took(round(value * 1000)),
        )
    if sum(bool(point.scores) for point in facts.points) > 1:
        found["score"] = charts.lines(
            labels,
            [(title, colours[name], [point.scores.get(name) for point in facts.points]) for name, title in names.items()],
            alt="Match key score, 0 to 100",
            say=lambda value: f"{value:.0f}",
            span=(0, 100),
        )
    return found


def colours_of(workspace: Workspace) -> dict[str, str]:
    """Destination -> the name of its colour."""
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(workspace.destinations)}


def _label(at: int, zone: ZoneInfo, window: int) -> str:
    """`14:00`, `Mon 16, 6:00` or `Mon 16`: what tells a window's points apart."""
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)
    if window <= DAY:
        return f"{local:%H:%M}"
    return f"{local:%a} {local.day}, {local.hour}:00" if window < 30 * DAY else f"{local:%a} {local.day}"
