"""The console's pages: what is flowing, what is leaking, why, and the story of each signal. Each page has a `.json` twin.

Pages are rendered here from what `store.story` tells; nothing on them is raw personal data or a secret.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

import msgspec
import structlog
from jinja2 import Environment
from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from signalpost import masking, vocabulary
from signalpost.config import Workspace
from signalpost.delivery import Breaker
from signalpost.store import report, story
from signalpost.store.database import Connection, Database
from signalpost.web import quality, words
from signalpost.web.live import MOST_WATCHERS, Feed, Picture, Watchers
from signalpost.web.sessions import Guard, Sessions, address_of, come_again, form, local_path

log = structlog.get_logger("signalpost")

Answer = TypeVar("Answer")

WINDOWS = {"1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000}
WINDOW_NAMES = {"1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days"}
LATEST_ON_FRONT = 12
LATEST_IN_LIST = 100
STUCK_MS = 60_000
"""A pipeline whose oldest request has not changed for so long does not move."""

HEALTH_TIMEOUT = 5.0
HERE = Path(__file__).parent


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class Sending(Protocol):
    """What the console asks of a dispatcher."""

    @property
    def route(self) -> _Named: ...
    @property
    def breaker(self) -> Breaker: ...
    @property
    def latencies(self) -> Sequence[int]: ...


class Running(Protocol):
    """What the console asks of the worker beside it."""

    @property
    def failing(self) -> str | None: ...
    @property
    def dispatchers(self) -> Sequence[Sending]: ...


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


class Listed(Struct, frozen=True, kw_only=True):
    """The list of signals, filtered."""

    destination: str
    verdict: str
    reason: str
    event: str
    """Canonical."""
    sentence: str
    among: int
    latest: list[story.Latest]


class Told(Struct, frozen=True, kw_only=True):
    """The story of one event, and the orders it is about."""

    story: story.Story
    orders: list[report.Ordered]


class Found(Struct, frozen=True, kw_only=True):
    """What a search gave."""

    query: str
    events: list[story.Related]


class Pulse:
    """Whether the pipeline moves: remembers the oldest waiting request and since when it has been the oldest."""

    def __init__(self) -> None:
        self._oldest: int | None = None
        self._since = 0

    def moves(self, oldest: int | None, now: int) -> bool:
        """Whether the queue is empty or its head changed lately; ask at least once a minute."""
        if oldest is None or oldest != self._oldest:
            self._oldest, self._since = oldest, now
        return oldest is None or now - self._since < STUCK_MS


class Console:
    """The pages of one workspace on one database, with the running worker's facts."""

    def __init__(self, *, workspace: Workspace, database: Database, worker: Running, token: str) -> None:
        self.workspace, self.database, self.worker = workspace, database, worker
        self.sessions = Sessions(token)
        self.watchers = Watchers()
        self.pulse = Pulse()
        self.zone = words.zone(workspace.timezone)
        self._feeds: dict[str, Feed] = {}
        # Its own readers: a slow page must never hold up the pipeline's reads.
        self._readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="console-reader")
        self.templates = self._environment()
        self.routes = [
            Route("/", self.front, name="front"),
            Route("/index.json", self.front_json),
            Route("/quality", self.quality, name="quality"),
            Route("/quality.json", self.quality_json),
            Route("/signals", self.listed, name="signals"),
            Route("/signals.json", self.listed_json),
            Route("/signals/{event:int}", self.told, name="signal"),
            Route("/signals/{event:int}.json", self.told_json),
            Route("/find", self.find, name="find"),
            Route("/find.json", self.find_json),
            Route("/live", self.live, name="live"),
            Route("/login", self.login, methods=["GET", "POST"], name="login"),
            Route("/logout", self.logout, methods=["POST"], name="logout"),
            Route("/healthz", self.healthz, name="healthz"),
            Mount("/static", _Static(directory=HERE / "static"), name="static"),
        ]

    def application(self) -> ASGIApp:
        """The console behind its guard."""
        inner = Starlette(routes=self.routes, exception_handlers={HTTPException: self.problem, Exception: self.failure})
        return Guard(inner, self.sessions)

    def stop(self) -> None:
        """Let go of everybody who watches, so that the server can end."""
        self.watchers.stop()

    # ---- reading and writing -----------------------------------------------------------------------------------------------

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """Reading work on the console's own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.database.look, work)

    def _environment(self) -> Environment:
        environment = words.environment(self.zone)
        environment.filters.update(
            exact_time=lambda at: words.time_tag(at, self.zone, exact=True),
            pretty=words.pretty,
            alike=words.alike,
            told_alike=quality.told_alike,
        )
        environment.globals.update(
            workspace=self.workspace,
            verdict_names=words.VERDICTS,
            telling=words.TELLING,
            window_names=WINDOW_NAMES,
            asset=_assets(),
            link=_link,
            event_names=tuple(vocabulary.CANONICAL_EVENTS),
        )
        return environment

    def page(self, template: str, status: int = 200, **facts: Any) -> Response:
        """A whole page."""
        return HTMLResponse(self.templates.get_template(template).render(**{"twin": None, "query": "", **facts}), status)

    # ---- the front page ----------------------------------------------------------------------------------------------------

    async def front_of(self, window: str) -> Front:
        """All that the front page says, for a window of `WINDOWS`."""
        since = _now() - WINDOWS[window]

        def look(connection: Connection) -> tuple[story.Overview, list[story.Latest], quality.Open]:
            return (
                story.overview(connection, since, self.workspace),
                story.recent(connection, LATEST_ON_FRONT, self.workspace),
                quality.opened(connection),
            )

        overview, latest, findings = await self.read(look)
        return Front(
            workspace=self.workspace.workspace,
            environment=self.workspace.environment,
            window=window,
            overview=overview,
            speeds={each.destination: each for each in map(_speed, self.worker.dispatchers)},
            latest=latest,
            findings=findings,
        )

    def _front_facts(self, front: Front) -> dict[str, Any]:
        return {"front": front, "overview": front.overview, "latest": front.latest, "blocked": self._blocked()}

    def _blocked(self) -> set[str]:
        return {each.route.name for each in self.worker.dispatchers if each.breaker.blocked}

    async def front(self, request: Request) -> Response:
        """`/`: what is flowing, what is leaking, and the newest signals."""
        window = _window(request)
        return self.page(
            "front.html",
            twin=_link("/index.json", window=window),
            live=request.query_params.get("live") != "off",
            base=self._base(request),
            **self._front_facts(await self.front_of(window)),
        )

    async def front_json(self, request: Request) -> Response:
        """The front page's data."""
        return _json(await self.front_of(_window(request)))

    async def live(self, request: Request) -> Response:
        """Server-sent events: the front page's parts, again whenever they change."""
        window = _window(request)
        if self.watchers.watching >= MOST_WATCHERS:
            return JSONResponse({"error": "Too many people are watching."}, 503, headers={"retry-after": "30"})
        feed = self._feeds.get(window)
        if feed is None:
            feed = self._feeds[window] = Feed(lambda: self._paint(window, self._base(request)))
        return StreamingResponse(self.watchers.follow(feed), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _paint(self, window: str, base: str) -> Picture:
        facts = {**self._front_facts(await self.front_of(window)), "base": base}
        render = self.templates.get_template
        return Picture({"flows": render("_flows.html").render(**facts), "latest": render("_latest.html").render(**facts)})

    def _base(self, request: Request) -> str:
        """The address clients send events to."""
        return (self.workspace.server.public_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/")

    # ---- quality -----------------------------------------------------------------------------------------------------------

    async def quality_of(self, request: Request) -> quality.Quality:
        """All that the page about quality says, for the window asked for."""
        window = _window(request)
        return await self.read(lambda connection: quality.quality(connection, self.workspace, window, WINDOWS[window], _now()))

    async def quality(self, request: Request) -> Response:
        """`/quality`: what leaks, for how much, since when, and what to do."""
        facts = await self.quality_of(request)
        return self.page(
            "quality.html",
            twin=_link("/quality.json", window=facts.window),
            quality=facts,
            charts=quality.drawn(facts, self.workspace, self.zone),
            colours=quality.colours_of(self.workspace),
            platform=lambda name: report.title(name, self.workspace),
            stopped=report.STOPPED,
            after=report.AFTER,
            heavy=report.HEAVY,
        )

    async def quality_json(self, request: Request) -> Response:
        """The page's data."""
        return _json(await self.quality_of(request))

    # ---- signals -----------------------------------------------------------------------------------------------------------

    async def listed_of(self, request: Request) -> Listed:
        """The newest signals, filtered by destination, verdict and reason."""
        asked = request.query_params
        destination, verdict, reason, event = (
            asked.get(name, "")[:100] for name in ("destination", "verdict", "reason", "event")
        )

        def look(connection: Connection) -> list[story.Latest]:
            return story.latest(
                connection,
                LATEST_IN_LIST,
                destination=destination,
                verdict=verdict,
                reason=reason,
                name=event,
                workspace=self.workspace,
            )

        latest = await self.read(look)
        sentence = latest[0].marks[0].sentence if latest and reason else ""
        return Listed(
            destination=destination,
            verdict=verdict,
            reason=reason,
            event=event,
            sentence=sentence,
            among=story.LATEST,
            latest=latest,
        )

    async def listed(self, request: Request) -> Response:
        """`/signals`: the newest signals, filtered by the address."""
        listed = await self.listed_of(request)
        return self.page("signals.html", twin=_link("/signals.json", **dict(request.query_params)), listed=listed)

    async def listed_json(self, request: Request) -> Response:
        """The list's data."""
        return _json(await self.listed_of(request))

    async def story_of(self, request: Request) -> Told:
        """The story of the event in the address; raises 404 when there is none."""
        number = request.path_params["event"]
        told, orders = None, list[report.Ordered]()
        if number < 1 << 63:
            told, orders = await self.read(
                lambda connection: (
                    story.story(connection, number, self.workspace),
                    report.orders_of(connection, number, self.workspace),
                )
            )
        if told is None:
            raise HTTPException(404, "There is no such event; the ledger may have let go of it.")
        return Told(story=told, orders=orders)

    async def told(self, request: Request) -> Response:
        """`/signals/{event}`: why this was, or was not, sent."""
        told = await self.story_of(request)
        return self.page("signal.html", twin=f"/signals/{told.story.event.id}.json", story=told.story, orders=told.orders)

    async def told_json(self, request: Request) -> Response:
        """The story's data."""
        told = await self.story_of(request)
        return _json({**msgspec.structs.asdict(told.story), "orders": told.orders})

    # ---- find --------------------------------------------------------------------------------------------------------------

    async def found_of(self, request: Request) -> Found:
        """Events whose message id, order id or number was asked for."""
        query = request.query_params.get("q", "").strip()
        names = tuple(self.workspace.sources)
        events = await self.read(lambda connection: story.happened(connection, story.find(connection, query, names)))
        return Found(query=masking.text(query), events=events)

    async def find(self, request: Request) -> Response:
        """`/find?q=`: straight to the story when there is only one."""
        found = await self.found_of(request)
        if len(found.events) == 1:
            return RedirectResponse(f"/signals/{found.events[0].event}", 303)
        return self.page("find.html", twin=_link("/find.json", q=found.query), found=found, query=found.query)

    async def find_json(self, request: Request) -> Response:
        """The search's data."""
        return _json(await self.found_of(request))

    # ---- in and out --------------------------------------------------------------------------------------------------------

    async def login(self, request: Request) -> Response:
        """`/login`: asks for the token."""
        onward = local_path(request.query_params.get("next", "/"))
        if request.method == "GET":
            if self.sessions.valid(request.cookies.get(self.sessions.cookie, ""), time.time()):
                return RedirectResponse(onward, 303)
            return self.page("login.html", onward=onward, wrong="wrong" in request.query_params)
        origin, now, address = request.headers.get("origin"), time.time(), address_of(request)
        if origin is not None and origin.partition("://")[2] != request.headers.get("host", ""):
            raise HTTPException(403, "This form was sent from another site.")
        if seconds := self.sessions.wait(address, now):
            return come_again(seconds)
        if not self.sessions.opens((await form(request)).get("token", "").strip()):
            self.sessions.failed(address, now)
            return self.page("login.html", 401, onward=onward, wrong=True)
        response = RedirectResponse(onward, 303)
        self.sessions.sign_in(request, response, now)
        return response

    async def logout(self, request: Request) -> Response:  # noqa: ARG002
        """`/logout`: takes the cookie back."""
        response = RedirectResponse("/login", 303)
        self.sessions.sign_out(response)
        return response

    # ---- health and trouble ------------------------------------------------------------------------------------------------

    async def healthz(self, request: Request) -> Response:  # noqa: ARG002
        """`/healthz`: 200 when the store answers and the pipeline moves, else 503; says nothing else to strangers."""
        try:
            rows = await asyncio.wait_for(self.read(lambda connection: connection.rows("backlog_oldest")), HEALTH_TIMEOUT)
        except Exception as error:  # noqa: BLE001  (whatever it is, the store does not answer)
            log.error("health check: the store does not answer", error=str(error))
            return JSONResponse({"status": "failing", "store": False, "pipeline": False}, 503)
        moves = self.pulse.moves(rows[0][0] if rows else None, _now())
        healthy = moves and self.worker.failing is None
        return JSONResponse(
            {"status": "ok" if healthy else "failing", "store": self.worker.failing is None, "pipeline": moves},
            200 if healthy else 503,
        )

    async def problem(self, request: Request, error: Exception) -> Response:
        """What went wrong, as a page or as JSON."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        sentence = error.detail if isinstance(error, HTTPException) else "Something went wrong."
        if sentence == HTTPStatus(status).phrase:
            sentence = "There is no such page." if status == 404 else f"{sentence}."
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        if request.url.path.endswith(".json"):
            return JSONResponse({"error": sentence}, status, headers)
        response = self.page("problem.html", status, sentence=sentence, status_code=status)
        response.headers.update(headers)
        return response

    async def failure(self, request: Request, error: Exception) -> Response:
        """The store or we ourselves failed; the log has the rest."""
        log.error("a page failed", path=masking.text(request.url.path), error=type(error).__name__)
        return await self.problem(request, HTTPException(500, "This page failed. The server's log says why."))


class _Static(StaticFiles):
    """Files of the package, kept by browsers as long as their address (which carries their digest) stays."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        response = super().file_response(*arguments, **named)
        scope: Scope = arguments[2] if len(arguments) > 2 else named["scope"]
        known = scope.get("query_string", b"").startswith(b"v=")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if known else "no-cache"
        return response


def _assets() -> Callable[[str], str]:
    digests = {
        path.relative_to(HERE / "static").as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in (HERE / "static").rglob("*")
        if path.is_file()
    }
    return lambda name: f"/static/{name}?v={digests[name]}"


def _link(path: str, **parameters: str) -> str:
    """A path with those parameters that are not empty."""
    query = urlencode({name: value for name, value in parameters.items() if value})
    return f"{path}?{query}" if query else path


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _window(request: Request) -> str:
    asked = request.query_params.get("window", "24h")
    return asked if asked in WINDOWS else "24h"


def _now() -> int:
    return time.time_ns() // 1_000_000


def _speed(sending: Sending) -> Speed:
    values = list(sending.latencies)
    return Speed(
        destination=sending.route.name,
        signals=len(values),
        p50_ms=words.percentile(values, 0.5),
        p95_ms=words.percentile(values, 0.95),
    )
