"""Both emulators on one port: the platforms' own paths, `/received` to read, `/control` to disturb.

The platforms' paths are answered before Starlette's router, for the bench counts every microsecond; all else
are ordinary Starlette routes.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request as WebRequest
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from signalpost.platforms import faults as faults_
from signalpost.platforms import pinterest as pinterest_
from signalpost.platforms import tiktok as tiktok_
from signalpost.platforms.authorisation import PINTEREST_PAGE, PINTEREST_TOKEN, TIKTOK_PAGE, TIKTOK_TOKEN, Authorisations
from signalpost.platforms.clock import Clock
from signalpost.platforms.faults import Fault, FaultRequest, Faults, Kind, Platform
from signalpost.platforms.pinterest import Pinterest
from signalpost.platforms.pinterest_audiences import PinterestAudiences
from signalpost.platforms.received import Received
from signalpost.platforms.settings import Settings
from signalpost.platforms.tiktok import TikTok
from signalpost.platforms.tiktok_audiences import FILES, MAPPING, SEGMENT, TikTokAudiences
from signalpost.platforms.wire import Answer, Request

# The name under which `serve.py` hands an application the means to drop its connection.
DROP = "signalpost.drop"
# Neither platform documents a limit for events; this one only protects the emulator, and lets TikTok's largest file in.
MOST_BYTES = 256 * 1024 * 1024
MALFORMED = b'{"code":0,"message":"OK","events":[{"status":"proc\xff'


class MoveClock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /control/clock`, times in epoch milliseconds; an empty object changes nothing."""

    now_ms: int | None = None
    advance_ms: int = 0
    frozen: bool | None = None


class FromPixel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /pixel`: what a stub of the browser's pixel was called with."""

    platform: Platform
    event: str
    event_id: str | None = None
    properties: dict[str, Any] = {}


class Disturb(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /control/audiences`; only what it names changes.

    `delete` loses the audience `id` behind its owner's back; `owner` gives it to that account, and with `shared` it
    stays visible to the one that made it. `delay_ms` is how long sizes take from now on.
    """

    platform: Platform
    id: str | None = None
    delete: bool = False
    owner: str | None = None
    shared: bool = False
    delay_ms: int | None = None


class Emulators(Starlette):
    """The ASGI application; `tiktok` and `pinterest` may be asked directly in a test of the same process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.faults = Faults(settings.seed)
        self.tiktok = TikTok(settings, self.clock, self.faults)
        self.pinterest = Pinterest(settings, self.clock, self.faults)
        self.tiktok_audiences = TikTokAudiences(settings, self.clock, self.faults, self.tiktok)
        self.pinterest_audiences = PinterestAudiences(settings, self.clock, self.faults, self.pinterest)
        self.authorisations = Authorisations(settings, self.clock)
        super().__init__(
            routes=[
                Route("/", self._home),
                Route(TIKTOK_PAGE, self._page_of("tiktok")),
                Route(PINTEREST_PAGE, self._page_of("pinterest")),
                Route("/received", self._received),
                Route("/received/ids", self._ids),
                Route("/audiences", self._audiences),
                Route("/audiences/members", self._members),
                Route("/pixel", self._pixel, methods=["POST"]),
                Route("/control/faults", self._faults, methods=["GET", "POST", "DELETE"]),
                Route("/control/clock", self._clock, methods=["GET", "POST", "DELETE"]),
                Route("/control/audiences", self._disturb, methods=["POST"]),
                Route("/control/reset", self._reset, methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the platforms' paths here, everything else by Starlette's routes."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith("/open_api/"):
                await self._platform("tiktok", scope, receive, send)
                return
            if path.startswith("/v5/"):
                await self._platform("pinterest", scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    async def _platform(self, platform: Platform, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            return
        if len(body) > MOST_BYTES:
            await _send(Answer(413, b""), send)
            return
        pairs = tuple(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        request = Request(scope["method"], scope["path"], dict(pairs), dict(scope["headers"]), body, pairs)
        answer_it, kind = self._endpoint(platform, request)
        if not self.faults.active:
            await _send(answer_it(request), send)
            return
        seconds = self.faults.latency(platform, kind, request.path)
        if seconds:
            await asyncio.sleep(seconds)
        fault = self.faults.strike(platform, kind, request.path)
        if fault is None:
            await _send(answer_it(request), send)
            return
        if fault.after:
            said = answer_it(request)
        else:
            self._of(platform).requests += kind == "events"
            said = self._platform_of(platform).struck(fault)
        await self._carry_out(fault, said, scope, receive, send)

    async def _carry_out(self, fault: Fault, said: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        """Spoil an answer on its way; `said` is what the platform would have answered."""
        match fault.asked.fault:
            case "reset":
                await _drop(scope, receive, send, hard=True)
            case "hang":
                await _until_gone(receive)
            case "empty":
                await _send(Answer(said.status, b""), send)
            case "malformed":
                await _send(Answer(said.status, MALFORMED), send)
            case "truncated":
                cut = said.body[: len(said.body) // 2]
                await _send(Answer(said.status, cut, said.headers), send, length=len(said.body), more=True)
                await _drop(scope, receive, send, hard=False)
            case "wrong_count":
                await _send(self.pinterest.miscounted(said, fault.asked.by), send)
            case _ if fault.after:
                # The events are taken, and the answer says they are not: a gateway that gave up too early.
                platform: Platform = "tiktok" if scope["path"].startswith("/open_api/") else "pinterest"
                await _send(self._platform_of(platform).struck(fault), send)
            case _:
                await _send(said, send)

    def _endpoint(self, platform: Platform, request: Request) -> tuple[Callable[[Request], Answer], Kind]:
        """Return what answers a request, and what the request is about; one about audiences is counted."""
        if platform == "tiktok":
            if request.method == "POST" and request.path == tiktok_.TRACK:
                return self.tiktok.events, "events"
            if request.method == "POST" and request.path == TIKTOK_TOKEN:
                return self.authorisations.tiktok, "checks"
            if self.tiktok_audiences.has(request):
                self.tiktok_audiences.requests[request.path] += 1
                return self.tiktok_audiences.answer, "audiences"
            if request.method == "GET":
                return lambda asked: self.tiktok.check(asked) or _BARE_NOT_FOUND, "checks"
            return lambda _: _BARE_NOT_FOUND, "checks"
        if request.method == "POST" and pinterest_.EVENTS.fullmatch(request.path):
            return self.pinterest.events, "events"
        if request.method == "POST" and request.path == PINTEREST_TOKEN:
            return self.authorisations.pinterest, "checks"
        operation = self.pinterest_audiences.operation(request)
        if operation is not None:
            self.pinterest_audiences.requests[operation] += 1
            return self.pinterest_audiences.answer, "audiences"
        if request.method == "GET":
            return lambda asked: self.pinterest.check(asked) or self.pinterest.nothing_here(), "checks"
        return lambda _: self.pinterest.nothing_here(), "checks"

    def _platform_of(self, platform: Platform) -> TikTok | Pinterest:
        return self.tiktok if platform == "tiktok" else self.pinterest

    def _of(self, platform: Platform) -> Received:
        return self._platform_of(platform).received

    def _page_of(self, platform: Platform) -> Callable[[WebRequest], Awaitable[Response]]:
        async def asks(request: WebRequest) -> Response:
            status, page = self.authorisations.page(platform, request.query_params)
            return HTMLResponse(page, status)

        return asks

    async def _home(self, request: WebRequest) -> Response:
        content = describe(self.settings, str(request.base_url).rstrip("/"))
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(_page(content))
        return _json(content)

    async def _received(self, request: WebRequest) -> Response:
        query = request.query_params
        try:
            platforms = _chosen(query.get("platform"))
            limit = int(query.get("limit", "20"))
        except ValueError:
            return _mistake("`platform` is tiktok or pinterest, `limit` a whole number")
        event, event_id = query.get("event"), query.get("event_id")
        content: dict[str, Any] = {"now_ms": self.clock.now(), "cheap": self.settings.cheap}
        for platform in platforms:
            received = self._of(platform)
            content[platform] = received.summary(event=event, event_id=event_id)
            if query.get("detail") == "true":
                content[platform]["latest"] = received.last(limit, event=event, event_id=event_id)
        return _json(content)

    async def _ids(self, request: WebRequest) -> Response:
        try:
            platforms = _chosen(request.query_params.get("platform"))
        except ValueError:
            return _mistake("`platform` is tiktok or pinterest")
        times = request.query_params.get("times") == "true"
        content: dict[str, Any] = {}
        for platform in platforms:
            pairs = self._of(platform).pairs()
            content[platform] = pairs if times else [pair[:2] for pair in pairs]
        return _json(content)

    async def _audiences(self, request: WebRequest) -> Response:
        query = request.query_params
        try:
            platforms = _chosen(query.get("platform"))
        except ValueError:
            return _mistake("`platform` is tiktok or pinterest")
        changes, gone = query.get("changes") == "true", query.get("gone") == "true"
        content: dict[str, Any] = {"now_ms": self.clock.now()}
        if "tiktok" in platforms:
            tiktok = self.tiktok_audiences
            content["tiktok"] = {
                "requests": dict(tiktok.requests),
                "ad_groups": self.settings.tiktok_ad_groups,
                "audiences": [
                    tiktok.summary(each, changes=changes)
                    for each in tiktok.audiences.values()
                    if (gone or each.gone_at is None) and query.get("id") in {None, each.id}
                ],
            }
        if "pinterest" in platforms:
            pinterest = self.pinterest_audiences
            wanted = None if query.get("id") is None else pinterest.list_of(query["id"])
            content["pinterest"] = {
                "requests": dict(pinterest.requests),
                "ad_groups": {each.id: each.targeting for each in pinterest.ad_groups.values()},
                "audiences": [
                    pinterest.summary(each, changes=changes)
                    for each in pinterest.lists.values()
                    if (gone or each.gone_at is None) and (query.get("id") is None or each is wanted)
                ],
            }
        return _json(content)

    async def _members(self, request: WebRequest) -> Response:
        identity = request.query_params.get("id", "")
        found = self.tiktok_audiences.audiences.get(identity) or self.pinterest_audiences.list_of(identity)
        return (
            _json({"error": f"no audience has the id {identity}"}, status=404) if found is None else _json(found.members.listed())
        )

    async def _disturb(self, request: WebRequest) -> Response:
        try:
            asked = msgspec.json.decode(await request.body(), type=Disturb)
        except msgspec.DecodeError as error:
            return _mistake(str(error))
        tiktok, pinterest = self.tiktok_audiences, self.pinterest_audiences
        accounts = (tiktok if asked.platform == "tiktok" else pinterest).accounts
        if asked.delay_ms is not None:
            accounts.delay_ms = asked.delay_ms
        if asked.id is None:
            return _json({"delay_ms": accounts.delay_ms})
        if asked.platform == "tiktok":
            audience = tiktok.audiences.get(asked.id)
            if audience is None:
                return _mistake(f"no audience has the id {asked.id}")
            if asked.owner is not None:
                audience.owner, audience.shared = asked.owner, asked.shared
            if asked.delete:
                tiktok.lose(audience)
        else:
            if asked.owner is not None and not pinterest.give(asked.id, asked.owner, shared=asked.shared):
                return _mistake(f"no list or audience has the id {asked.id}")
            if asked.delete and not pinterest.lose(asked.id):
                return _mistake(f"no list or audience has the id {asked.id}")
        return _json({"id": asked.id})

    async def _pixel(self, request: WebRequest) -> Response:
        try:
            sent = msgspec.json.decode(await request.body(), type=FromPixel)
        except msgspec.DecodeError as error:
            return _mistake(str(error))
        return _json(self._platform_of(sent.platform).pixel(sent.event, sent.event_id, sent.properties))

    async def _faults(self, request: WebRequest) -> Response:
        if request.method == "POST":
            try:
                asked = msgspec.json.decode(await request.body(), type=FaultRequest)
            except msgspec.DecodeError as error:
                return _mistake(f"{error}; the faults are {', '.join(faults_.NAMES)}")
            mistake = asked.mistake()
            if mistake is not None:
                return _mistake(mistake)
            return _json(_told(self.faults.add(asked)), status=201)
        if request.method == "DELETE":
            wanted = request.query_params.get("id")
            if wanted is not None and not wanted.isdecimal():
                return _mistake("`id` is the number that POST answered")
            return _json({"removed": self.faults.remove(None if wanted is None else int(wanted))})
        return _json({"faults": [_told(fault) for fault in self.faults.active], "known": faults_.NAMES})

    async def _clock(self, request: WebRequest) -> Response:
        if request.method == "POST":
            try:
                move = msgspec.json.decode(await request.body(), type=MoveClock)
            except msgspec.DecodeError as error:
                return _mistake(str(error))
            self.clock.move(now_ms=move.now_ms, advance_ms=move.advance_ms, frozen=move.frozen)
        elif request.method == "DELETE":
            self.clock.reset()
        return _json({"now_ms": self.clock.now(), "frozen": self.clock.frozen})

    async def _reset(self, _: WebRequest) -> Response:
        self.tiktok.received.reset()
        self.pinterest.received.reset()
        self.tiktok_audiences.reset()
        self.pinterest_audiences.reset()
        self.authorisations.reset()
        self.faults.reset()
        self.clock.reset()
        return _json({"reset": True})


def create(settings: Settings | None = None) -> Emulators:
    """Return the ASGI application with both platforms under their own paths."""
    return Emulators(settings or Settings())


def describe(settings: Settings, url: str) -> dict[str, Any]:
    """Return what a person needs to use the emulators at `url`: addresses, tokens, ids."""
    return {
        "what": "Emulators of TikTok's and Pinterest's APIs for events and audiences. Nothing here is real.",
        "url": url,
        "cheap": settings.cheap,
        "tiktok": {
            "events": f"{url}{tiktok_.TRACK}",
            "checks": [f"{url}{tiktok_.PIXEL_LIST}", f"{url}{tiktok_.USER_INFO}"],
            "statistics": f"{url}{tiktok_.EVENT_STATS}",
            "access_token": settings.tiktok_token,
            "events_manager_token": settings.tiktok_events_token,
            "advertiser_id": settings.tiktok_advertiser_id,
            "pixels": settings.tiktok_pixels,
            "offline_event_sets": settings.tiktok_offline_event_sets,
            "crm_event_sets": settings.tiktok_crm_event_sets,
            "apps": settings.tiktok_apps,
            "audiences": [f"{url}{SEGMENT}", f"{url}{MAPPING}", f"{url}{FILES}/"],
            "ad_groups": settings.tiktok_ad_groups,
            "authorisation": [f"{url}{TIKTOK_PAGE}", f"{url}{TIKTOK_TOKEN}"],
            "app": {"id": settings.tiktok_app_id, "secret": settings.tiktok_app_secret},
        },
        "pinterest": {
            "events": f"{url}/v5/ad_accounts/{settings.pinterest_ad_account_id}/events",
            "checks": [
                f"{url}/v5/ad_accounts/{settings.pinterest_ad_account_id}",
                f"{url}/v5/ad_accounts/{settings.pinterest_ad_account_id}/conversion_tags",
            ],
            "quality": f"{url}/v5/ad_accounts/{settings.pinterest_ad_account_id}/conversion_eqs",
            "access_token": settings.pinterest_token,
            "conversion_token": settings.pinterest_conversion_token,
            "ad_account_id": settings.pinterest_ad_account_id,
            "audiences": [
                f"{url}/v5/ad_accounts/{settings.pinterest_ad_account_id}/{part}"
                for part in ("customer_lists", "audiences", "ad_groups")
            ],
            "ad_groups": settings.pinterest_ad_groups,
            "authorisation": [f"{url}{PINTEREST_PAGE}", f"{url}{PINTEREST_TOKEN}"],
            "app": {"id": settings.pinterest_app_id, "secret": settings.pinterest_app_secret},
        },
        "received": [
            f"{url}/received?platform=&event=&event_id=&detail=true&limit=20",
            f"{url}/received/ids?platform=&times=true",
            f"{url}/audiences?platform=&id=&changes=true&gone=true",
            f"{url}/audiences/members?id=",
        ],
        "control": {
            "faults": f"{url}/control/faults",
            "clock": f"{url}/control/clock",
            "audiences": f"{url}/control/audiences",
            "reset": f"{url}/control/reset",
            "known_faults": faults_.NAMES,
        },
    }


def announcement(settings: Settings, url: str) -> str:
    """Return the lines a person reads at start: address, tokens, ids."""
    return "\n".join(
        [
            f"Platform emulators at {url}" + (" (bench mode)" if settings.cheap else ""),
            f"  TikTok     access token  {settings.tiktok_token}",
            f"             pixel code    {', '.join(settings.tiktok_pixels)}",
            f"             advertiser id {settings.tiktok_advertiser_id}",
            f"  Pinterest  access token  {settings.pinterest_token}",
            f"             ad account id {settings.pinterest_ad_account_id}",
            f"  received   {url}/received      audiences {url}/audiences      faults   {url}/control/faults",
        ]
    )


# TikTok answers a path it does not have, the event path without its trailing slash too, with a bare 404.
_BARE_NOT_FOUND = Answer(404, b"404 page not found", content_type=b"text/plain")


def _told(fault: Fault) -> dict[str, Any]:
    asked = msgspec.to_builtins(fault.asked)
    return {"id": fault.id, "left": fault.left, "hits": fault.hits, "after": fault.after, **asked}


def _chosen(platform: str | None) -> tuple[Platform, ...]:
    if not platform:
        return ("tiktok", "pinterest")
    if platform == "tiktok":
        return ("tiktok",)
    if platform == "pinterest":
        return ("pinterest",)
    raise ValueError(platform)


def _json(content: Any, *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _mistake(sentence: str) -> Response:
    return _json({"error": sentence}, status=400)


def _page(content: dict[str, Any]) -> str:
    shown = html.escape(msgspec.json.format(msgspec.json.encode(content)).decode())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Signalpost: platform emulators</title>'
        "<style>body{font:16px/1.5 system-ui;max-width:60rem;margin:3rem auto;padding:0 1rem}"
        "pre{background:#f4f4f5;padding:1rem;overflow:auto;border-radius:.5rem}</style>"
        "<h1>Platform emulators</h1>"
        "<p>TikTok and Pinterest on one port. Tokens and ids open nothing real.</p>"
        "<p><a href=/received>What was received</a> · <a href=/audiences>Audiences</a> · <a href=/control/faults>Faults</a></p>"
        f"<pre>{shown}</pre>"
    )


async def _body(receive: Receive) -> bytes | None:
    """Return the whole body, or None when the client left in the middle of it."""
    message = await receive()
    if message["type"] == "http.disconnect":
        return None
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts = [body]
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _send(said: Answer, send: Send, *, length: int | None = None, more: bool = False) -> None:
    """Send an answer; with `more` leave it open, having promised `length` bytes."""
    headers = [
        (b"content-type", said.content_type),
        (b"content-length", b"%d" % (len(said.body) if length is None else length)),
        *said.headers,
    ]
    await send({"type": "http.response.start", "status": said.status, "headers": headers})
    await send({"type": "http.response.body", "body": said.body, "more_body": more})


async def _until_gone(receive: Receive) -> None:
    """Wait until the client has given up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drop(scope: Scope, receive: Receive, send: Send, *, hard: bool) -> None:
    """Close the connection without finishing the answer; `hard`: by a reset, losing what is unsent."""
    drop: Callable[[bool], None] | None = scope.get("extensions", {}).get(DROP)
    if drop is None:
        # Only `serve.py` can reach the connection; under another server say so rather than answer falsely.
        if hard:
            await _send(Answer(501, b'{"error":"this server cannot drop a connection"}'), send)
        return
    drop(hard)
    await _until_gone(receive)
