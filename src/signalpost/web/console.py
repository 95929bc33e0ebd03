"""The console: its routes behind one door, its templates, and what its pages may ask for.

`pages/` holds one file for each page. Every route passes `Console.admitted`, which knows who asks and whether they may.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import structlog
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from signalpost import accounts, masking, vocabulary
from signalpost.accounts import User
from signalpost.config import Workspace
from signalpost.store import accounts as kept
from signalpost.store.database import Connection, Database
from signalpost.web import pages, sign_on, words
from signalpost.web.comparing import Comparing
from signalpost.web.door import Attempts, Sealed, come_again
from signalpost.web.intake import Proxies
from signalpost.web.live import Watchers
from signalpost.web.routing import ANYONE, Way
from signalpost.web.running import Running
from signalpost.web.visit import WINDOW_NAMES, Visit, link

log = structlog.get_logger("signalpost")

Answer = TypeVar("Answer")
HERE = Path(__file__).parent

SEEN_MS = 60_000
"""How exactly it is known when somebody was last seen: not every page writes it down."""


class Console:
    """The pages of one workspace on one database, with the running worker's facts."""

    def __init__(
        self,
        *,
        workspace: Workspace,
        database: Database,
        worker: Running,
        file: Path | None = None,
        text: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`file` is the workspace file and `text` what stood in it when it came into force; None when served without one.
        `environ` has the variables that it names.
        """
        self.workspace, self.database, self.worker = workspace, database, worker
        self.file, self._text, self.environ = file, text, environ or {}
        # Browsers send a host's cookies to each of its ports, so two consoles on one machine need two names.
        named = f"{workspace.workspace} {workspace.environment} {workspace.shown_database}"
        self.cookie = "signalpost-" + hashlib.sha256(named.encode()).hexdigest()[:8]
        self.attempts = Attempts()
        self.proxies = Proxies(workspace.server.trusted_proxies)
        self.sign_on = sign_on.provider(workspace.console.oidc)
        self._seen: dict[object, int] = {}
        self.watchers = Watchers()
        self.comparing = Comparing(database)
        self.zone = words.zone(workspace.timezone)
        self.kept: dict[object, Any] = {}
        """What a page keeps between visits, by a key of its own (a feed that many watch)."""
        # Its own readers: a slow page must never hold up the pipeline's reads.
        self._readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="console-reader")
        # Passwords are slow to check, and need memory, on purpose: a crowd of guesses waits in line.
        self._hashers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="console-hasher")
        self.templates = self._environment()

    def application(self) -> ASGIApp:
        """The console behind its door."""
        routes: list[Route | Mount] = []
        for way in pages.WAYS:
            paths = [way.path, "/index.json" if way.path == "/" else f"{way.path}.json"] if way.twin else [way.path]
            routes += [Route(path, self._endpoint(way), methods=[way.method]) for path in reversed(paths)]
        routes.append(Mount("/static", _Static(directory=HERE / "static"), name="static"))
        troubles = {HTTPException: self.problem, ClientDisconnect: _gone, Exception: self.failure}
        return Sealed(Starlette(routes=routes, exception_handlers=troubles))

    def stop(self) -> None:
        """Let go of everybody who watches, and of plans under way, so that the server can end."""
        self.watchers.stop()
        self.comparing.stop()

    def successor(self, *, workspace: Workspace, worker: Running, text: str | None) -> Console:
        """The console of the file that comes into force after this one's; it knows the same people and is as patient."""
        made = Console(
            workspace=workspace, database=self.database, worker=worker, file=self.file, text=text, environ=self.environ
        )
        made.attempts, made._seen = self.attempts, self._seen
        made._readers, made._hashers = self._readers, self._hashers
        return made

    def file_text(self) -> str | None:
        """The text of the workspace file in force, variables by their names; None when served without a file."""
        return self._text

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """Reading work on the console's own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.database.look, work)

    async def hash(self, work: Callable[..., Answer], *given: str) -> Answer:
        """Work with passwords, on threads of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._hashers, work, *given)

    def _environment(self) -> Environment:
        environment = words.environment(self.zone)
        environment.filters.update(
            exact_time=lambda at: words.time_tag(at, self.zone, exact=True),
            pretty=words.pretty,
            alike=words.alike,
        )
        environment.globals.update(
            workspace=self.workspace,
            verdict_names=words.VERDICTS,
            telling=words.TELLING,
            window_names=WINDOW_NAMES,
            asset=_assets(),
            link=link,
            event_names=tuple(vocabulary.CANONICAL_EVENTS),
            pages=pages.GROUPS,
            roles=accounts.ROLES,
        )
        return environment

    # ---- the door ----------------------------------------------------------------------------------------------------------

    def _endpoint(self, way: Way) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            found = await self.admitted(request, way)
            return found if isinstance(found, Response) else await way.answer(found)

        return answer

    async def admitted(self, request: Request, way: Way) -> Visit | Response:
        """The visit, when whoever asks may take this way; else where they are sent. Raises 403 for those known who may not."""
        cookie = request.cookies.get(self.cookie, "")
        user, by_cookie = await self._user(request, cookie)
        if isinstance(user, Response):
            return user
        visit = Visit(self, request, user, csrf=accounts.form_token(cookie) if by_cookie else "")
        if way.role == ANYONE:
            if way.method == "POST" and self._foreign(request):
                raise HTTPException(403, "This form was sent from another site.")
            return visit
        if user is None:
            return _asked_in(request, way)
        if not user.may(way.role):
            raise HTTPException(403, f"This needs the role {way.role}; yours is {user.role}. An admin can change it in Settings.")
        if way.method == "POST" and by_cookie:
            given = request.headers.get("x-csrf") or await visit.field("csrf")
            if self._foreign(request) or not accounts.same(visit.csrf, given):
                raise HTTPException(403, "This form is too old or was sent from another site. Load the page again and repeat it.")
        return visit

    async def _user(self, request: Request, cookie: str) -> tuple[User | Response | None, bool]:
        """(who asks, whether a cookie says so); an answer instead when wrong keys were brought too often."""
        now = time.time_ns() // 1_000_000
        bearer = request.headers.get("authorization", "")
        if bearer[:7].lower() == "bearer ":
            guessing, key = f"key {self.address_of(request)}", bearer[7:].strip()
            if seconds := self.attempts.wait(guessing, now / 1000):
                return come_again(seconds), False
            user = await self.read(lambda connection: kept.keyed(connection, key, now))
            if user is None:
                self.attempts.failed(guessing, now / 1000)
            else:
                self._note_seen("key_used", accounts.digest(key), now)
            return user, False
        if not cookie:
            return None, False
        user = await self.read(lambda connection: kept.signed_in(connection, cookie, now))
        if user is not None:
            self._note_seen("user_seen", user.id, now)
        return user, user is not None

    def _note_seen(self, statement: str, whom: object, now: int) -> None:
        """Write down that somebody was here, now and then, without keeping them waiting."""
        if now - self._seen.get(whom, 0) < SEEN_MS:
            return
        self._seen[whom] = now

        def told(done: Future[int]) -> None:
            if error := done.exception():
                log.warning("it is not noted who was here", error=str(error))

        self.database.submit(lambda connection: connection.run(statement, now, whom)).add_done_callback(told)

    def address_of(self, request: Request) -> str:
        """The other side's address, for counting attempts; behind proxies of ours it is what they say."""
        peer = request.client.host if request.client else ""
        return self.proxies.client(peer, request.headers.get("x-forwarded-for", "")) or peer

    def secure(self, request: Request) -> bool:
        """Whether browsers reach us by TLS: here, or at a proxy before us."""
        ours = request.client is not None and self.proxies.trusted(request.client.host)
        forwarded = request.headers.get("x-forwarded-proto", "").strip().lower() if ours else ""
        return "https" in {request.scope["scheme"], forwarded, urlsplit(self.workspace.server.public_url or "").scheme}

    def _foreign(self, request: Request) -> bool:
        """Whether another site sent this form."""
        origin = request.headers.get("origin")
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return True
        own = {request.headers.get("host", ""), urlsplit(self.workspace.server.public_url or "").netloc} - {""}
        return origin is not None and origin.partition("://")[2] not in own

    # ---- trouble -----------------------------------------------------------------------------------------------------------

    async def problem(self, request: Request, error: Exception) -> Response:
        """What went wrong, as a page or as JSON."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        sentence = error.detail if isinstance(error, HTTPException) else "Something went wrong."
        if sentence == HTTPStatus(status).phrase:
            sentence = "There is no such page." if status == 404 else f"{sentence}."
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        if request.url.path.endswith(".json"):
            return JSONResponse({"error": sentence}, status, headers)
        user, by_cookie = await self._user(request, request.cookies.get(self.cookie, ""))
        csrf = accounts.form_token(request.cookies.get(self.cookie, "")) if by_cookie else ""
        return self._trouble(request, user if isinstance(user, User) else None, csrf, sentence, status, headers)

    async def failure(self, request: Request, error: Exception) -> Response:
        """The store or we ourselves failed; the log has the rest. Nothing is asked of the store again: who asks stays unknown."""
        log.error("a page failed", path=masking.text(request.url.path), error=type(error).__name__, exc_info=error)
        sentence = "This page failed. The server's log says why."
        # The server ends the connection after such an answer: whoever asks next must not count on it.
        headers = {"connection": "close"}
        if request.url.path.endswith(".json"):
            return JSONResponse({"error": sentence}, 500, headers)
        return self._trouble(request, None, "", sentence, 500, headers)

    def _trouble(
        self, request: Request, user: User | None, csrf: str, sentence: str, status: int, headers: Mapping[str, str]
    ) -> Response:
        """The page that says what went wrong."""
        visit = Visit(self, request, user, csrf=csrf)
        response = visit.page("problem.html", {}, status=status, sentence=sentence, status_code=status)
        response.headers.update(headers)
        return response


async def _gone(_request: Request, _error: Exception) -> Response:
    """Whoever sent a form went away before it was whole: nobody reads this answer."""
    return Response(status_code=400)


def _asked_in(request: Request, way: Way) -> Response:
    """For whom nobody knows: the login for people, 401 for programs."""
    path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
    if path.endswith(".json") or way.method != "GET" or not way.twin:
        sentence = "Log in, or send an API key as `Authorization: Bearer`."
        return JSONResponse({"error": sentence}, 401, headers={"www-authenticate": "Bearer"})
    wanted = path + (f"?{query}" if query else "")
    return RedirectResponse("/login" if wanted == "/" else f"/login?{urlencode({'next': wanted})}", 303)


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
