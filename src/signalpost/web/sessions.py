"""Who may see the console: one token, brought once, then a signed cookie. No page is served before it.

A browser brings the token in the address that `serve` prints or in the login form, and gets a cookie that says until when it may
look; programs send `Authorization: Bearer` for the `.json` pages. The token itself never stands in a page or a cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SESSION_S = 7 * 86_400
ATTEMPTS = 10
"""Wrong tokens one address may bring within `WINDOW_S`."""

WINDOW_S = 60
MOST_ADDRESSES = 10_000
FORM_LIMIT = 4_096

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def is_open(path: str) -> bool:
    """Whether a path is served to anyone: the health check, the login form, style and scripts."""
    return path in {"/healthz", "/login"} or path.startswith("/static/")


class Sessions:
    """The token, the cookies signed with it, and who brought wrong ones lately."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"signalpost console cookie", "sha256")
        # Browsers send a host's cookies to each of its ports, so two consoles on one machine need two names.
        self.cookie = "signalpost-" + hashlib.sha256(self._key).hexdigest()[:8]
        self._failed: dict[str, list[float]] = {}

    def opens(self, token: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(self._token, token.encode("utf-8", "replace"))

    def issued(self, now: float) -> str:
        """A cookie's value, good from now (seconds) for `SESSION_S`."""
        until = str(int(now) + SESSION_S)
        return f"{until}.{self._signature(until)}"

    def valid(self, value: str, now: float) -> bool:
        """Whether a cookie's value is ours and still good."""
        until, _, signature = value.partition(".")
        ours = hmac.compare_digest(self._signature(until).encode(), signature.encode("utf-8", "replace"))
        return ours and until.isdigit() and now < int(until)

    def _signature(self, until: str) -> str:
        return hmac.new(self._key, until.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def wait(self, address: str, now: float) -> int:
        """Seconds until this address may try again; 0 when it may now."""
        failed = [at for at in self._failed.get(address, ()) if at > now - WINDOW_S]
        return int(failed[0] + WINDOW_S - now) + 1 if len(failed) >= ATTEMPTS else 0

    def failed(self, address: str, now: float) -> None:
        """Remember a wrong token."""
        failed = [at for at in self._failed.pop(address, ()) if at > now - WINDOW_S]
        self._failed[address] = [*failed, now][-ATTEMPTS:]
        while len(self._failed) > MOST_ADDRESSES:
            del self._failed[next(iter(self._failed))]

    def sign_in(self, request: Request, response: Response, now: float) -> None:
        """Give the browser its cookie."""
        response.set_cookie(
            self.cookie,
            self.issued(now),
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.scope["scheme"] == "https",
        )

    def sign_out(self, response: Response) -> None:
        """Take the cookie back."""
        response.delete_cookie(self.cookie, path="/", httponly=True, samesite="strict")


def address_of(request: Request) -> str:
    """The other side's address, for counting attempts."""
    return request.client.host if request.client else ""


def local_path(wanted: str) -> str:
    """Where to go after the login: a path of ours, never another host."""
    parts = urlsplit(wanted)
    inside = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return wanted if inside and "\\" not in wanted and wanted.isprintable() else "/"


def come_again(seconds: int) -> Response:
    """Too many wrong tokens."""
    return JSONResponse(
        {"error": "Too many wrong tokens. Wait a minute and try again."}, 429, headers={"retry-after": str(seconds)}
    )


async def form(request: Request) -> dict[str, str]:
    """A small urlencoded form, read whole; empty when it is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_LIMIT:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


class Guard:
    """Stands before the console: lets in who brought the token, sends the others to the login, and seals every answer."""

    def __init__(self, inner: ASGIApp, sessions: Sessions) -> None:
        self.inner, self.sessions = inner, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        request = Request(scope)
        answer = None if is_open(scope["path"]) else self._turned_away(request, time.time())
        await (answer or self.inner)(scope, receive, sealed)

    def _turned_away(self, request: Request, now: float) -> Response | None:
        """The answer for whom the page is not; None for whom it is."""
        sessions, address = self.sessions, address_of(request)
        brought = request.query_params.get("token")
        bearer = request.headers.get("authorization", "")
        if brought is not None:
            return self._entered(request, brought, now)
        if sessions.valid(request.cookies.get(sessions.cookie, ""), now):
            return None
        path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
        if bearer[:7].lower() == "bearer " and path.endswith(".json"):
            if seconds := sessions.wait(address, now):
                return come_again(seconds)
            if sessions.opens(bearer[7:].strip()):
                return None
            sessions.failed(address, now)
        if path.endswith(".json") or path == "/live":
            return JSONResponse(
                {"error": "Send the console's token as `Authorization: Bearer`."}, 401, headers={"www-authenticate": "Bearer"}
            )
        wanted = path + (f"?{query}" if query else "")
        return RedirectResponse("/login" if wanted == "/" else f"/login?{urlencode({'next': wanted})}", 303)

    def _entered(self, request: Request, token: str, now: float) -> Response:
        """A first visit with the token in the address: a cookie, and the address without it."""
        sessions, address = self.sessions, address_of(request)
        if seconds := sessions.wait(address, now):
            return come_again(seconds)
        if not sessions.opens(token):
            sessions.failed(address, now)
            return RedirectResponse("/login?wrong=1", 303)
        rest = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "token"])
        response = RedirectResponse(local_path(quote(request.scope["path"])) + (f"?{rest}" if rest else ""), 303)
        sessions.sign_in(request, response, now)
        return response
