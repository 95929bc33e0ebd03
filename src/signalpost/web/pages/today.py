"""Today: what is flowing, what is leaking, and the newest signals."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from starlette.responses import JSONResponse, Response, StreamingResponse

from signalpost.processing import now_ms
from signalpost.store import story
from signalpost.store.database import Connection
from signalpost.web import quality, words
from signalpost.web.live import MOST_WATCHERS, Feed, Picture
from signalpost.web.routing import page, part
from signalpost.web.running import Sending
from signalpost.web.visit import WINDOWS, Visit

if TYPE_CHECKING:
    from signalpost.web.console import Console

LATEST = 12


class Speed(Struct, frozen=True, kw_only=True):
    """Intake to accepted, ms, of one destination's latest accepted signals."""

    destination: str
    signals: int
    p50_ms: int | None
    p95_ms: int | None


class Front(Struct, frozen=True, kw_only=True):
    """The front page."""

    workspace: str
    environment: str
    window: str
    overview: story.Overview
    speeds: dict[str, Speed]
    latest: list[story.Latest]
    findings: quality.Open


async def front_of(console: Console, window: str, now: int) -> Front:
    """All that the page says, for a window of `WINDOWS` that ends now."""

    def look(connection: Connection) -> tuple[story.Overview, list[story.Latest], quality.Open]:
        return (
            story.overview(connection, now - WINDOWS[window], console.workspace),
            story.recent(connection, LATEST, console.workspace),
            quality.opened(connection),
        )

    overview, latest, findings = await console.read(look)
    return Front(
        workspace=console.workspace.workspace,
        environment=console.workspace.environment,
        window=window,
        overview=overview,
        speeds={each.destination: each for each in map(_speed, console.worker.dispatchers)},
        latest=latest,
        findings=findings,
    )


def _speed(sending: Sending) -> Speed:
    values = list(sending.latencies)
    return Speed(
        destination=sending.route.name,
        signals=len(values),
        p50_ms=words.percentile(values, 0.5),
        p95_ms=words.percentile(values, 0.95),
    )


def _facts(console: Console, front: Front, base: str) -> dict[str, Any]:
    blocked = {each.route.name for each in console.worker.dispatchers if each.breaker.blocked}
    return {"front": front, "overview": front.overview, "latest": front.latest, "blocked": blocked, "base": base}


async def show(visit: Visit) -> Response:
    """`/`."""
    front = await front_of(visit.console, visit.window(), visit.now)
    return visit.page("front.html", front, live=visit.query("live") != "off", **_facts(visit.console, front, visit.base))


async def live(visit: Visit) -> Response:
    """`/live`: server-sent events, the page's parts again whenever they change."""
    console, window = visit.console, visit.window()
    if console.watchers.watching >= MOST_WATCHERS:
        return JSONResponse({"error": "Too many people are watching."}, 503, headers={"retry-after": "30"})
    feed = console.kept.setdefault((Feed, window), Feed(partial(_paint, console, window, visit.base)))
    return StreamingResponse(console.watchers.follow(feed), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _paint(console: Console, window: str, base: str) -> Picture:
    facts = _facts(console, await front_of(console, window, now_ms()), base)
    render = console.templates.get_template
    return Picture({"flows": render("_flows.html").render(**facts), "latest": render("_latest.html").render(**facts)})


WAYS = (page("/", show), part("/live", live))
