"""The script tag at `/signalpost.js`: for every shop page on every host, without login, kept by browsers for an hour."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from starlette.types import Receive, Scope, Send

PATH = "/signalpost.js"

_PLAIN = (Path(__file__).parent / "static" / "signalpost.js").read_bytes()
_ZIPPED = gzip.compress(_PLAIN, mtime=0)
_ETAG = f'"{hashlib.sha256(_PLAIN).hexdigest()[:16]}"'.encode()
_HEADERS = [
    (b"content-type", b"text/javascript; charset=utf-8"),
    # An hour: soon enough for a correction, and no page waits for it twice.
    (b"cache-control", b"public, max-age=3600"),
    (b"etag", _ETAG),
    (b"vary", b"accept-encoding"),
    (b"x-content-type-options", b"nosniff"),
    # The console's pages are for its own host only; this one is loaded by the shop's.
    (b"access-control-allow-origin", b"*"),
    (b"cross-origin-resource-policy", b"cross-origin"),
]


async def application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    """Answer GET and HEAD; 304 to whoever has this version."""
    asked = dict(scope["headers"])
    if scope["method"] not in {"GET", "HEAD"}:
        status, body, headers = 405, b"", [(b"allow", b"GET, HEAD")]
    elif _ETAG in asked.get(b"if-none-match", b""):
        status, body, headers = 304, b"", _HEADERS
    elif b"gzip" in asked.get(b"accept-encoding", b""):
        status, body, headers = 200, _ZIPPED, [*_HEADERS, (b"content-encoding", b"gzip")]
    else:
        status, body, headers = 200, _PLAIN, _HEADERS
    if status != 304:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
