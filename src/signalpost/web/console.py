"""The console: its routes behind one door, its templates, and what its pages may ask for.

`pages/` holds one file for each page. Every route passes `Console.admitted`, which knows who asks and whether they may.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import structlog
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from signalpost import accounts, masking, vocabulary
from signalpost.accounts import User
from signalpost.config import Workspace
from signalpost.store import accounts as kept
from signalpost.store.database import Connection, Database
from signalpost.web import pages, words
from signalpost.web.door import Attempts, Sealed, address_of, come_again
from signalpost.web.live import Watchers
from signalpost.web.routing import ANYONE, Way
from signalpost.web.running import Running
from signalpost.web.visit import WINDOW_NAMES, Visit, link

log = structlog.get_logger("signalpost")

Answer = TypeVar("Answer")
HERE = Path(__file__).parent


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
        self.watchers = Watchers()
        self.zone = words.zone(workspace.timezone)
        self.kept: dict[object, Any] = {}
        """What a page keeps between visits, by a key of its own (a feed that many watch)."""
        # Its own readers: a slow page must never hold up the pipeline's reads.
        self._readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="console-reader")
        self.templates = self._environment()

    def application(self) -> ASGIApp:
        """The console behind its door."""
        routes: list[Route | Mount] = []
        for way in pages.WAYS:
            paths = [way.path, "/index.json" if way.path == "/" else f"{way.path}.json"] if way.twin else [way.path]
            routes += [Route(path, self._endpoint(way), methods=[way.method]) for path in reversed(paths)]
        routes.append(Mount("/static", _Static(directory=HERE / "static"), name="static"))
        return Sealed(Starlette(routes=routes, exception_handlers={HTTPException: self.problem, Exception: self.failure}))

    def stop(self) -> None:
        """Let go of everybody who watches, so that the server can end."""
        self.watchers.stop()

    def file_text(self) -> str | None:
        """The text of the workspace file in force, variables by their names; None when served without a file."""
        return self._text

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """Reading work on the console's own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.database.look, work)

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
            if way.method == "POST" and _foreign(request):
                raise HTTPException(403, "This form was sent from another site.")
            return visit
        if user is None:
            return _asked_in(request, way)
        if not user.may(way.role):
            raise HTTPException(403, f"This needs the role {way.role}; yours is {user.role}. An admin can change it in Settings.")
        if way.method == "POST" and by_cookie:
            given = request.headers.get("x-csrf") or await visit.field("csrf")
            if _foreign(request) or not accounts.same(visit.csrf, given):
                raise HTTPException(403, "This form is too old or was sent from another site. Load the page again and repeat it.")
        return visit

    async def _user(self, request: Request, cookie: str) -> tuple[User | Response | None, bool]:
        """(who asks, whether a cookie says so); an answer instead when wrong keys were brought too often."""
        now = time.time_ns() // 1_000_000
        bearer = request.headers.get("authorization", "")
        if bearer[:7].lower() == "bearer ":
            address = address_of(request)
            if seconds := self.attempts.wait(address, now / 1000):
                return come_again(seconds), False
            user = await self.read(lambda connection: kept.keyed(connection, bearer[7:].strip(), now))
            if user is None:
                self.attempts.failed(address, now / 1000)
            return user, False
        if not cookie:
            return None, False
        user = await self.read(lambda connection: kept.signed_in(connection, cookie, now))
        return user, user is not None

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
        visit = Visit(self, request, user if isinstance(user, User) else None, csrf=csrf)
        response = visit.page("problem.html", {}, status=status, sentence=sentence, status_code=status)
        response.headers.update(headers)
        return response

    async def failure(self, request: Request, error: Exception) -> Response:
        """The store or we ourselves failed; the log has the rest."""
        log.error("a page failed", path=masking.text(request.url.path), error=type(error).__name__, exc_info=error)
        return JSONResponse({"error": "This page failed. The server's log says why."}, 500)


def _foreign(request: Request) -> bool:
    """Whether another site sent this form."""
    origin = request.headers.get("origin")
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return True
    return origin is not None and origin.partition("://")[2] != request.headers.get("host", "")


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
