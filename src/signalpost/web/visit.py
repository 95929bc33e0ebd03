"""A visit: one request for a page, by whom, and how it is answered. Pages are functions of a visit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, quote, unquote, urlencode

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from signalpost.accounts import User
from signalpost.config import Workspace
from signalpost.store import accounts
from signalpost.store.database import Connection

if TYPE_CHECKING:
    from signalpost.web.console import Console

Answer = TypeVar("Answer")

FORM_LIMIT = 1_000_000
"""Bytes of a form: a workspace file fits in easily."""

SAID = "signalpost-said"
"""A cookie with one sentence for the next page: what a form did."""

WINDOWS = {"1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000}
WINDOW_NAMES = {"1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days"}


class Visit:
    """One request; `user` is None only on pages that are open to anyone."""

    def __init__(self, console: Console, request: Request, user: User | None, *, csrf: str = "") -> None:
        self.console, self.request, self.user, self.csrf = console, request, user, csrf
        self.workspace: Workspace = console.workspace
        self.now = time.time_ns() // 1_000_000
        """Epoch ms; every page tells one moment."""
        self.path: str = request.scope["path"]
        self.json = self.path.endswith(".json")
        """Whether the page's data is asked for."""
        self.page_path = "/" if self.path in {"/", "/index.json"} else self.path.removesuffix(".json")
        self._form: dict[str, list[str]] | None = None

    # ---- what is asked -----------------------------------------------------------------------------------------------------

    def query(self, name: str, default: str = "", most: int = 300) -> str:
        """A parameter of the address, without blanks around it."""
        return self.request.query_params.get(name, default).strip()[:most]

    def window(self) -> str:
        """The window asked for, a key of `WINDOWS`."""
        asked = self.query("window", "24h")
        return asked if asked in WINDOWS else "24h"

    def number(self, name: str) -> int:
        """A number of the path; raises 404 when no row can have it."""
        value = int(self.request.path_params[name])
        if value >= 1 << 63:
            raise HTTPException(404, "There is no such thing.")
        return value

    async def form(self) -> Mapping[str, list[str]]:
        """The urlencoded form, whole; raises 413 when it is too large."""
        if self._form is None:
            body = b""
            async for part in self.request.stream():
                body += part
                if len(body) > FORM_LIMIT:
                    raise HTTPException(413, "This form is too large.")
            self._form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        return self._form

    async def field(self, name: str, default: str = "") -> str:
        """One field of the form."""
        return (await self.form()).get(name, [default])[0]

    def may(self, role: str) -> bool:
        """Whether whoever asks may what `role` may."""
        return self.user is not None and self.user.may(role)

    # ---- reading and writing -----------------------------------------------------------------------------------------------

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """Reading work on the console's own threads."""
        return await self.console.read(work)

    async def write(self, work: Callable[[Connection], Answer]) -> Answer:
        """Work in a transaction; give it `note` as its last step, so that nothing is changed without a line in the audit."""
        return await self.console.database.write(work)

    def note(self, connection: Connection, what: str, subject: str, note: str = "") -> None:
        """A line in the audit about whoever asks."""
        accounts.note(connection, self.user, what, subject, note, self.now)

    # ---- answering ---------------------------------------------------------------------------------------------------------

    def page(self, template: str, facts: Struct | Mapping[str, Any], *, status: int = 200, **more: Any) -> Response:
        """The page: its `facts` as JSON where the address ends with `.json`, else the template with `facts` and `more`."""
        if self.json:
            return Response(msgspec.json.encode(facts), status, media_type="application/json")
        response = HTMLResponse(self.render(template, facts=facts, **more), status)
        if SAID in self.request.cookies:
            response.delete_cookie(SAID, path="/")
        return response

    def part(self, template: str, **facts: Any) -> Response:
        """A part of a page, for htmx."""
        return HTMLResponse(self.render(template, **facts))

    def render(self, template: str, **facts: Any) -> str:
        """A template with all that every page may use."""
        said = unquote(self.request.cookies.get(SAID, ""))[:500]
        return self.console.templates.get_template(template).render(visit=self, said=said, **facts)

    def go(self, path: str, said: str = "") -> Response:
        """On to a page after a form, with a sentence about what was done."""
        response = RedirectResponse(path, 303)
        if said:
            response.set_cookie(SAID, quote(said), max_age=60, path="/", httponly=True, samesite="strict")
        return response

    @property
    def twin(self) -> str:
        """The address of this page's data."""
        path = "/index.json" if self.page_path == "/" else self.page_path + ".json"
        query = urlencode(self.request.query_params.multi_items())
        return f"{path}?{query}" if query else path

    @property
    def base(self) -> str:
        """The address that clients send events to."""
        url = self.request.url
        return (self.workspace.server.public_url or f"{url.scheme}://{url.netloc}").rstrip("/")

    def here(self, **changed: str) -> str:
        """This page's address with these parameters changed, or gone where empty: for filters and windows."""
        query = {**dict(self.request.query_params), **changed}
        return link(self.page_path, **query)


def link(path: str, **parameters: str) -> str:
    """A path with those parameters that are not empty."""
    query = urlencode({name: value for name, value in parameters.items() if value})
    return f"{path}?{query}" if query else path
