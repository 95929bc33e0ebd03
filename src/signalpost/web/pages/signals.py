"""Signals: the newest as they come, filtered by the address and as far back as one likes, and the whole story of one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from signalpost import pipeline, replay
from signalpost.store import memberships, report, signals, story
from signalpost.store.database import Connection
from signalpost.store.signals import Asked
from signalpost.web.live import MOST_WATCHERS, Feed, Picture
from signalpost.web.routing import act, page, part
from signalpost.web.visit import WINDOW_NAMES, WINDOWS, Visit, link

if TYPE_CHECKING:
    from signalpost.web.console import Console

NEWEST = 30
"""Signals that are pushed to who watches."""

FEEDS = 40
"""Filters that may be watched at once by feeds of their own; the longest unused goes first."""

WATCHED_S = 0.02
"""How long a look for the watchers goes back in the ledger."""

DAY = 86_400_000


# ---- the list --------------------------------------------------------------------------------------------------------------


class Listed(Struct, frozen=True, kw_only=True):
    """The list of signals, filtered."""

    destination: str
    verdict: str
    reason: str
    event: str
    """Canonical."""
    source: str
    valued: bool
    least: str
    since: int
    until: int
    sentence: str
    """What the reason means."""
    found: signals.Found
    counted: int | None
    """Where nothing was found: the newest day on which such a signal was counted."""


def _asked(visit: Visit) -> Asked:
    names = ("destination", "verdict", "reason", "event", "source")
    least: Decimal | None = None
    try:
        least = Decimal(visit.query("least", most=20) or "x")
    except InvalidOperation:
        least = None
    if least is not None and not (least.is_finite() and abs(least) < 10**12):
        least = None
    window = visit.query("window")
    since = visit.now - WINDOWS[window] if window in WINDOWS else _moment(visit, "since")
    return Asked(
        **{name: visit.query(name, most=100) for name in names},
        valued=visit.query("valued") in {"1", "on", "yes"} or least is not None,
        least=least,
        since=since,
        until=0 if window in WINDOWS else _moment(visit, "until"),
    )


def _moment(visit: Visit, name: str) -> int:
    """Epoch ms, given so or as a date field writes it in the workspace's zone; 0: none."""
    given = visit.query(name, most=40)
    if given.isascii() and given.isdigit() and len(given) < 15:
        return int(given)
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        return 0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=visit.console.zone)
    return max(0, int(moment.timestamp() * 1000))


async def listed(visit: Visit) -> Response:
    """`/signals`: signals by destination, verdict, reason, event, source, value and time; `after=` goes into the past."""
    asked = _asked(visit)
    given = visit.query("after", most=20)
    after = int(given) if given.isascii() and given.isdigit() else 0
    after = after if after < 1 << 62 else 0

    def look(connection: Connection) -> tuple[signals.Found, int | None]:
        found = signals.look(connection, asked, after=after, workspace=visit.workspace)
        if found.latest or not asked.filtered:
            return found, None
        return found, signals.last_counted(connection, asked, asked.until or found.back_to or visit.now + DAY)

    found, counted = await visit.read(look)
    facts = Listed(
        destination=asked.destination,
        verdict=asked.verdict,
        reason=asked.reason,
        event=asked.event,
        source=asked.source,
        valued=asked.valued,
        least="" if asked.least is None else f"{asked.least:f}",
        since=asked.since,
        until=asked.until,
        sentence=found.latest[0].marks[0].sentence if found.latest and asked.reason else "",
        found=found,
        counted=counted,
    )
    newest = not after and not asked.until
    return visit.page(
        "signals.html",
        facts,
        live=link("/signals/live", **_plain(asked)) if newest else "",
        paused=visit.query("live") == "off",
        kept=_plain(asked),
        local=partial(_local, visit),
        window_titles=WINDOW_NAMES,
        window=visit.query("window") if visit.query("window") in WINDOWS else "",
        DAY=DAY,
    )


def _local(visit: Visit, at: int) -> str:
    """A moment as a date field takes it, in the workspace's zone; empty for none."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(visit.console.zone).strftime("%Y-%m-%dT%H:%M") if at else ""


def _plain(asked: Asked) -> dict[str, str]:
    """The filter as parameters of an address, without its times."""
    return {
        "destination": asked.destination,
        "verdict": asked.verdict,
        "reason": asked.reason,
        "event": asked.event,
        "source": asked.source,
        "valued": "1" if asked.valued else "",
        "least": "" if asked.least is None else f"{asked.least:f}",
    }


async def live(visit: Visit) -> Response:
    """`/signals/live`: server-sent events, the newest signals of a filter again whenever they change."""
    console = visit.console
    if console.watchers.watching >= MOST_WATCHERS:
        return JSONResponse({"error": "Too many people are watching."}, 503, headers={"retry-after": "30"})
    asked = msgspec.structs.replace(_asked(visit), since=0, until=0)
    feeds: dict[Asked, Feed] = console.kept.setdefault((Feed, "signals"), {})
    feed = feeds.pop(asked, None) or Feed(partial(_paint, console, asked))
    feeds[asked] = feed  # the latest asked for stands last
    while len(feeds) > FEEDS:
        del feeds[next(iter(feeds))]
    return StreamingResponse(console.watchers.follow(feed), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _paint(console: Console, asked: Asked) -> Picture:
    found = await console.read(
        lambda connection: signals.look(connection, asked, most=NEWEST, workspace=console.workspace, longest_s=WATCHED_S)
    )
    return Picture({"signals": console.templates.get_template("_signal_rows.html").render(latest=found.latest)})


# ---- one signal ------------------------------------------------------------------------------------------------------------


class Replayable(Struct, frozen=True, kw_only=True):
    """A signal that may be sent again, and what that risks."""

    destination: str
    risk: str
    sentence: str


async def told(visit: Visit) -> Response:
    """`/signals/{event}`: one event's story, from the request to each platform's answer: why it was, or was not, sent."""
    number = visit.number("event")

    def look(connection: Connection) -> tuple[story.Story | None, list[Any], list[Replayable]]:
        found = story.story(connection, number, visit.workspace)
        again = [] if found is None else _replayable(connection, visit, found)
        return found, report.orders_of(connection, number, visit.workspace), again

    found, orders, again = await visit.read(look)
    if found is None:
        raise HTTPException(404, "There is no such event; the ledger may have let go of it.")
    facts = {**msgspec.structs.asdict(found), "orders": orders, "replay": again}
    return visit.page("signal.html", facts, story=found, orders=orders, again={each.destination: each for each in again})


def _replayable(connection: Connection, visit: Visit, found: story.Story) -> list[Replayable]:
    made = []
    for each in found.deliveries:
        configured = visit.workspace.destinations.get(each.destination)
        if each.verdict not in {"refused", "unknown"} or configured is None:
            continue
        route = pipeline.plan(msgspec.structs.replace(visit.workspace, destinations={each.destination: configured})).routes[0]
        made += [
            Replayable(destination=each.destination, risk=one.risk, sentence=replay.RISKS[one.risk])
            for one in _candidates(connection, route, found.event.id, visit.now)
        ]
    return made


def _candidates(connection: Connection, route: pipeline.Route, number: int, now: int) -> list[replay.Candidate]:
    return replay.candidates(connection, route, verdicts=("refused", "unknown"), reason=None, since=0, now=now, event=number)


async def again(visit: Visit) -> Response:
    """Send one signal again to one destination, where it was refused or nobody knows what became of it."""
    number, name = visit.number("event"), visit.request.path_params["destination"]
    if name not in visit.workspace.destinations:
        raise HTTPException(404, "There is no such destination.")
    risky = await visit.field("risky") == "yes"

    def work(connection: Connection) -> int:
        plan = pipeline.plan(visit.workspace, memberships.known(connection, visit.workspace))
        route = next(route for route in plan.routes if route.name == name)
        chosen = replay.safe(_candidates(connection, route, number, visit.now), risky=risky)
        taken = replay.take_up(connection, plan, route, chosen, now=visit.now)
        visit.note(connection, "replay", name, f"event {number}: {'waits to be sent again' if taken else 'stays out'}")
        return taken

    taken = await visit.write(work)
    said = (
        "It waits to be sent again."
        if taken
        else "It stays out: a rule of today forbids it, such as consent, its age or a cancelled order."
    )
    return visit.go(f"/signals/{number}#to-{name}", said=said)


WAYS = (
    page("/signals", listed),
    part("/signals/live", live),
    page("/signals/{event:int}", told),
    act("/signals/{event:int}/again/{destination:str}", again),
)
