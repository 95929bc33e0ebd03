"""Today: where the shop leaks money, the day's figures, the flow as a picture, what is open, and the newest signals."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace
from starlette.responses import JSONResponse, Response, StreamingResponse

from signalpost.config import Workspace
from signalpost.findings.finding import rank
from signalpost.processing import now_ms
from signalpost.store import findings, report, story, sums, today, trends
from signalpost.store.database import Connection
from signalpost.store.today import Day, Ledger, Overview
from signalpost.web import flowing, words
from signalpost.web.live import MOST_WATCHERS, Feed, Picture
from signalpost.web.routing import page, part
from signalpost.web.visit import WINDOW_NAMES, WINDOWS, Visit, link

if TYPE_CHECKING:
    from signalpost.web.console import Console

LATEST = 12
WORST = 5
"""Findings on this page."""

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

HEAD_SECONDS, CHART_SECONDS = 5.0, 60.0
"""How often the day's figures, and the picture, are looked at anew while somebody watches."""


class Part(Struct, frozen=True, kw_only=True):
    """What became of some of the money: accepted, waiting, meant (kept back on purpose), lost."""

    what: str
    value: Decimal
    sentence: str
    """What it is mostly, and what to do; empty where there is nothing to say."""
    link: str


class Leak(Struct, frozen=True, kw_only=True):
    """Where the money of the purchases known in a span stays, at the destination where most is missing."""

    headline: str
    span: str
    """`today`, or `in the last 24 hours` while today knows of no purchase yet."""
    destination: str
    """Empty: nothing is missing anywhere, or nothing is known."""
    parts: list[Part]
    ledgers: list[Ledger]
    """Every destination and currency."""


class Tile(Struct, frozen=True, kw_only=True):
    """A figure beside what it was."""

    name: str
    value: str
    was: str
    """Compared with the same day last week, in words."""
    change: str
    """`12.1 % more`, `half as long`; empty where there is nothing to compare with."""
    better: bool | None
    """None: neither."""
    link: str


class Open(Struct, frozen=True, kw_only=True):
    """An open finding, and how many more of its kind there are."""

    kept: findings.Kept
    alike: int = 0


class Front(Struct, frozen=True, kw_only=True):
    """The front page."""

    workspace: str
    environment: str
    date: str
    """The day in the workspace's zone, in words."""
    now: int
    window: str
    leak: Leak
    today: Day
    before: Day
    """The same day last week up to the same time of day."""
    suppressed: dict[str, int]
    """Destination -> people kept from ads there now."""
    suppressed_before: dict[str, int]
    tiles: list[Tile]
    findings: list[Open]
    """The dearest of those that are open, one of each kind."""
    open: int
    """How many are open."""
    overview: Overview
    rollouts: dict[str, report.Standing]
    """By destination."""
    blocked: list[str]
    """Destinations that somebody must mend before anything is sent there."""
    latest: list[story.Latest]


# ---- reading ---------------------------------------------------------------------------------------------------------------


def midnight(now: int, zone: ZoneInfo, days: int = 0) -> tuple[int, int]:
    """(the day's beginning, this time of day) so many days ago in the workspace's zone, epoch ms."""
    local = datetime.fromtimestamp(now / 1000, zone) - timedelta(days=days)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return int(start.timestamp() * 1000), int(local.timestamp() * 1000)


class Head(Struct, frozen=True, kw_only=True):
    """What moves slowly: the money, the figures, what is open."""

    leak: Leak
    today: Day
    before: Day
    suppressed: dict[str, int]
    suppressed_before: dict[str, int]
    tiles: list[Tile]
    findings: list[Open]
    open: int


def head(connection: Connection, workspace: Workspace, zone: ZoneInfo, now: int) -> Head:
    """The day so far beside the same day last week."""
    days = []
    waiting = today.waiting_purchases(connection, midnight(now, zone)[0], workspace)
    said = today.sentences(connection, workspace)
    cells: list[sums.Cell] = []
    for ago in (0, 7):
        start, end = midnight(now, zone, ago)
        until = sums.FOR_EVER if ago == 0 else end
        counted = sums.read(connection, start, until)
        times = trends.times(connection, start - start % HOUR, until, ("accepted", "suppressed"))
        days.append(today.day(counted, () if ago else waiting, times, workspace, start, end))
        cells = cells or counted
    span, ledgers = "today", today.ledgers(cells, waiting, said, workspace)
    if not any(each.known for each in ledgers):
        span, lately = "in the last 24 hours", today.waiting_purchases(connection, now - DAY, workspace)
        ledgers = today.ledgers(sums.read(connection, now - DAY), lately, said, workspace)
    here, before = days
    kept = findings.open_now(connection)
    suppressed = today.suppressed(connection, workspace, now)
    suppressed_before = today.suppressed(connection, workspace, before.until)
    return Head(
        leak=leak(ledgers, span),
        today=here,
        before=before,
        suppressed=suppressed,
        suppressed_before=suppressed_before,
        tiles=tiles(here, before, suppressed, suppressed_before, workspace, zone),
        findings=dearest(kept)[:WORST],
        open=len(kept),
    )


def dearest(kept: list[findings.Kept]) -> list[Open]:
    """Findings by money at stake, those without after those with, problems before warnings; alike ones in one."""
    found: dict[str, Open] = {}
    for each in sorted(kept, key=lambda each: (-(each.finding.money or Decimal(0)), *rank(each.finding))):
        first = found.get(each.finding.kind)
        found[each.finding.kind] = Open(kept=each) if first is None else Open(kept=first.kept, alike=first.alike + 1)
    return list(found.values())


class Body(Struct, frozen=True, kw_only=True):
    """What moves by the second: how the destinations stand, and the newest signals."""

    overview: Overview
    rollouts: dict[str, report.Standing]
    latest: list[story.Latest]


def body(connection: Connection, workspace: Workspace, window: str, now: int) -> Body:
    """The flow of a window that ends now."""
    return Body(
        overview=today.overview(connection, now - WINDOWS[window], workspace),
        rollouts={each.destination: each for each in report.standings(connection, workspace)},
        latest=story.recent(connection, LATEST, workspace),
    )


def blocked(console: Console) -> list[str]:
    """Destinations that somebody must mend before anything is sent there."""
    return [each.route.name for each in console.worker.dispatchers if each.breaker.blocked]


# ---- where the money stays -------------------------------------------------------------------------------------------------


def leak(ledgers: list[Ledger], span: str) -> Leak:
    """The destination at which most is lost (or missing, where nothing is lost), in words."""
    worst = max(ledgers, key=lambda each: (each.lost, each.known - each.accepted), default=None)
    if worst is None or not worst.known:
        return Leak(headline="", span=span, destination="", parts=[], ledgers=ledgers)
    known = words.total(worst.known, worst.currency)
    missing = worst.known - worst.accepted
    if missing <= 0:
        platforms = " and ".join(dict.fromkeys(each.platform for each in ledgers if each.known))
        headline = f"All {known} known {span} reached {platforms} as accepted purchases."
        return Leak(headline=headline, span=span, destination="", parts=[], ledgers=ledgers)
    return Leak(
        headline=f"{words.total(missing, worst.currency)} of {known} known {span} did not reach {worst.platform} "
        "as an accepted purchase.",
        span=span,
        destination=worst.destination,
        parts=_parts(worst),
        ledgers=ledgers,
    )


def _parts(worst: Ledger) -> list[Part]:
    made = []
    to = {"destination": worst.destination, "event": today.PURCHASE}
    for what, value, says in (
        ("lost", worst.lost, "{} should have arrived and did not"),
        ("meant", worst.meant, "{} {} kept back on purpose"),
        ("waiting", worst.waiting, "{} {} to be sent"),
    ):
        if value <= 0:
            continue
        verb = {"meant": "was", "waiting": "waits"}.get(what, "")
        sentence = says.format(words.total(value, worst.currency), verb)
        first = next((each for each in worst.reasons if each.sense == what and each.value > 0), None)
        address = {**to, "verdict": "waiting"}
        if first is not None:
            whole = first.value == value
            sentence += f"{':' if whole else ', mostly because:'} {first.sentence}"
            if what == "lost" and first.advice:
                sentence += f" {first.advice}"
            address = {**to, "verdict": first.verdict, "reason": first.reason}
        else:
            sentence += "."
        made.append(Part(what=what, value=value, sentence=sentence, link=link("/signals", **address)))
    return made


# ---- the day's figures -----------------------------------------------------------------------------------------------------


def tiles(
    here: Day,
    before: Day,
    suppressed: dict[str, int],
    suppressed_before: dict[str, int],
    workspace: Workspace,
    zone: ZoneInfo,
) -> list[Tile]:
    """The day so far in tiles, each beside the same day last week up to the same time of day."""
    day = f"last {datetime.fromtimestamp(before.since / 1000, zone):%A}"
    currency = _currency(here, before, workspace)
    known, was = here.known.get(currency, Decimal(0)), before.known.get(currency, Decimal(0))
    made = [
        _counted("Orders known", here.orders, before.orders, day, link("/signals", event=today.PURCHASE)),
        _worth("Value known", known, was, currency, day, "/quality/value", _beside(here.known, currency)),
    ]
    for name in workspace.destinations:
        value, then = here.accepted.get(name, {}), before.accepted.get(name, {})
        if value or then:
            title = f"{today.title(name, workspace)} accepted"
            amount, earlier = value.get(currency, Decimal(0)), then.get(currency, Decimal(0))
            made.append(_worth(title, amount, earlier, currency, day, f"/destinations/{name}", _beside(value, currency)))
    made.append(_share(here, before, day))
    made.append(_time("Time to accepted", here.speed, before.speed, day, "/quality/clocks"))
    if here.suppressing or before.suppressing or suppressed:
        made.append(_time("Purchase to out of the ads", here.suppressing, before.suppressing, day, "/quality/clocks"))
    made.append(_counted("Repeats not sent", here.repeats, before.repeats, day, "/quality/duplicates", plain=True))
    if suppressed:
        people, earlier_people = max(suppressed.values()), max(suppressed_before.values(), default=0)
        tile = _counted("Buyers kept from ads now", people, earlier_people, day, "/segments", plain=True)
        made.append(tile if suppressed_before else replace(tile, was=f"not yet counted {day}"))
    return made


def _currency(here: Day, before: Day, workspace: Workspace) -> str:
    """The workspace's own where amounts have it, else the one with most."""
    amounts = here.known or before.known
    return workspace.currency if workspace.currency in amounts or not amounts else max(amounts, key=lambda each: amounts[each])


def _beside(amounts: dict[str, Decimal], currency: str) -> str:
    return words.amounts({name: amount for name, amount in amounts.items() if name != currency})


def _more(value: Decimal, before: Decimal) -> str:
    """`12.1 % more`, `3 % less`, `as much`; empty where there is nothing to compare with."""
    if not before:
        return ""
    if value >= 3 * before > 0:
        return f"{value / before:,.0f} times as much"
    share = (value - before) / abs(before) * 100
    if abs(share) < Decimal("0.05"):
        return "as much"
    return f"{abs(share):,.1f} % {'more' if share > 0 else 'less'}"


def _better(value: Decimal, before: Decimal) -> bool | None:
    return None if not before or value == before else value > before


def _counted(name: str, value: int, before: int, day: str, address: str, *, plain: bool = False) -> Tile:
    return Tile(
        name=name,
        value=f"{value:,}",
        was=f"{before:,} {day}",
        change=_more(Decimal(value), Decimal(before)),
        better=None if plain else _better(Decimal(value), Decimal(before)),
        link=address,
    )


def _worth(name: str, value: Decimal, before: Decimal, currency: str, day: str, address: str, more: str) -> Tile:
    return Tile(
        name=name + (f" (and {more})" if more else ""),
        value=words.total(value, currency),
        was=f"{words.total(before, currency)} {day}",
        change=_more(value, before),
        better=_better(value, before),
        link=address,
    )


def _share(here: Day, before: Day, day: str) -> Tile:
    change, better = "", None
    if here.sent and before.sent:
        points = (Decimal(here.taken) / here.sent - Decimal(before.taken) / before.sent) * 100
        if abs(points) < Decimal("0.05"):
            change = "the same"
        else:
            change, better = f"{abs(points):.1f} points {'higher' if points > 0 else 'lower'}", points > 0
    return Tile(
        name="Accepted of what was sent",
        value=words.share(here.taken, here.sent),
        was=f"{words.share(before.taken, before.sent)} {day}",
        change=change,
        better=better,
        link=link("/signals", verdict="refused"),
    )


def _time(name: str, here: today.Time | None, before: today.Time | None, day: str, address: str) -> Tile:
    change, better = "", None
    if here is not None and before is not None and before.p95:
        times = Decimal(here.p95) / before.p95
        if Decimal("0.91") < times < Decimal("1.1"):  # a bucket of the clocks is as wide
            change = "the same"
        else:
            change, better = f"{abs(times - 1) * 100:,.0f} % {'slower' if times > 1 else 'faster'}", times < 1
    return Tile(
        name=name,
        value="–" if here is None else words.took(here.p50),
        was=("95 % within " + words.took(here.p95) if here is not None else "nothing yet today")
        + (f"; {words.took(before.p50)} and {words.took(before.p95)} {day}" if before is not None else ""),
        change=change,
        better=better,
        link=address,
    )


# ---- the page --------------------------------------------------------------------------------------------------------------


async def show(visit: Visit) -> Response:
    """`/`: where money leaks, the day's figures beside a week ago, the flow as a picture, what is open, the newest signals."""
    console, window = visit.console, visit.window()
    top, rest = await visit.read(
        lambda connection: (
            head(connection, visit.workspace, console.zone, visit.now),
            body(connection, visit.workspace, window, visit.now),
        )
    )
    front = Front(
        workspace=visit.workspace.workspace,
        environment=visit.workspace.environment,
        date=f"{datetime.fromtimestamp(visit.now / 1000, console.zone):%A %-d %B}",
        now=visit.now,
        window=window,
        leak=top.leak,
        today=top.today,
        before=top.before,
        suppressed=top.suppressed,
        suppressed_before=top.suppressed_before,
        tiles=top.tiles,
        findings=top.findings,
        open=top.open,
        overview=rest.overview,
        rollouts=rest.rollouts,
        blocked=blocked(console),
        latest=rest.latest,
    )
    return visit.page(
        "front.html",
        front,
        live=visit.query("live") != "off",
        window=window,
        head=top,
        body=rest,
        latest=rest.latest,
        blocked=front.blocked,
        picture=flowing.picture(rest.overview, visit.workspace, WINDOW_NAMES[window]),
        base=visit.base,
    )


async def live(visit: Visit) -> Response:
    """`/live`: server-sent events, the parts of Today again whenever they change."""
    console, window = visit.console, visit.window()
    if console.watchers.watching >= MOST_WATCHERS:
        return JSONResponse({"error": "Too many people are watching."}, 503, headers={"retry-after": "30"})
    feeds = (
        console.kept.setdefault((Feed, "head"), Feed(partial(_paint_head, console), every=HEAD_SECONDS)),
        console.kept.setdefault((Feed, window), Feed(partial(_paint_body, console, window, visit.base))),
        console.kept.setdefault(
            (Feed, "chart", window), Feed(partial(_paint_chart, console, window), every=CHART_SECONDS, drawn=True)
        ),
    )
    return StreamingResponse(console.watchers.follow(*feeds), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _rendered(console: Console, template: str, **facts: Any) -> str:
    return console.templates.get_template(template).render(**facts)


async def _paint_head(console: Console) -> Picture:
    now = now_ms()
    top = await console.read(lambda connection: head(connection, console.workspace, console.zone, now))
    return Picture(
        {
            "money": _rendered(console, "_money.html", head=top),
            "tiles": _rendered(console, "_tiles.html", head=top),
            "findings": _rendered(console, "_worst.html", head=top),
        }
    )


async def _paint_body(console: Console, window: str, base: str) -> Picture:
    now = now_ms()
    rest = await console.read(lambda connection: body(connection, console.workspace, window, now))
    return Picture(
        {
            "flows": _rendered(console, "_flows.html", body=rest, blocked=blocked(console)),
            "latest": _rendered(console, "_latest.html", latest=rest.latest, base=base),
        }
    )


async def _paint_chart(console: Console, window: str) -> Picture:
    now = now_ms()
    overview = await console.read(lambda connection: today.overview(connection, now - WINDOWS[window], console.workspace))
    drawn = flowing.picture(overview, console.workspace, WINDOW_NAMES[window])
    return Picture({"picture": _rendered(console, "_picture.html", picture=drawn, overview=overview)})


WAYS = (page("/", show), part("/live", live))
