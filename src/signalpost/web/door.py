"""What stands before every page: headers that seal an answer, and patience with whoever brings wrong secrets."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ATTEMPTS = 10
"""Wrong secrets one address may bring within `WINDOW_S`."""

WINDOW_S = 60
TOO_OFTEN = "Too many wrong attempts. Wait a minute and try again."
MOST_ADDRESSES = 10_000

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}

HEADERS = {
    "content-security-policy": "; ".join(f"{what} {where}" for what, where in POLICY.items()),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Sealed:
    """Puts the headers on every answer; a page that needs another policy has set it already."""

    def __init__(self, inner: ASGIApp) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self.inner(scope, receive, sealed)


class Attempts:
    """Who brought wrong secrets lately, by any name: an address, an e-mail address."""

    def __init__(self) -> None:
        self._failed: dict[str, list[float]] = {}

    def wait(self, name: str, now: float) -> int:
        """Seconds until this one may try again; 0 when it may now."""
        failed = [at for at in self._failed.get(name, ()) if at > now - WINDOW_S]
        return int(failed[0] + WINDOW_S - now) + 1 if len(failed) >= ATTEMPTS else 0

    def right(self, name: str) -> None:
        """Forget the latest one: it was right."""
        if name in self._failed:
            self._failed[name].pop()

    def failed(self, name: str, now: float) -> None:
        """Remember a wrong one; one that is still being looked at counts as wrong until `right` is called."""
        failed = [at for at in self._failed.pop(name, ()) if at > now - WINDOW_S]
        self._failed[name] = [*failed, now][-ATTEMPTS:]
        while len(self._failed) > MOST_ADDRESSES:
            del self._failed[next(iter(self._failed))]


def local_path(wanted: str) -> str:
    """Where to go after the login: a path of ours, never another host."""
    parts = urlsplit(wanted)
    inside = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return wanted if inside and "\\" not in wanted and wanted.isprintable() else "/"


def come_again(seconds: int) -> Response:
    """Too many wrong keys: the answer to a program."""
    return JSONResponse({"error": TOO_OFTEN}, 429, headers={"retry-after": str(seconds)})
