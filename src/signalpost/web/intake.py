"""The HTTP intake: who is calling, is it small enough, what does it hold, is it durable, and then the answer the client expects.

A plain ASGI application, because this is the hot path. The order is always the same: route, body (bounded), credentials,
overload, unzip (bounded), read, append, answer. A 2xx is sent only after `append` has returned. Every error is one JSON body in
all the shapes that Customer.io's clients look for (`code`, `message`, `meta.error`, `meta.errors`, `errors[]`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Literal
from urllib.parse import quote, unquote

import msgspec
import structlog
from msgspec import Struct

from signalpost.config import Workspace
from signalpost.errors import Overloaded, RequestError, StoreError, TooLarge, Unauthorized, Unreadable
from signalpost.sources import Reading, Received, Refusal, read, shopify
from signalpost.sources.wire import BATCH_LIMIT, WEBHOOK_LIMIT, Wire, salvage
from signalpost.web import openapi

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Append = Callable[[Received, Reading], Awaitable[None]]

log = structlog.get_logger("signalpost.intake")

BODY_SECONDS = 20.0
"""A client that has not sent its body by then is let go (the clients' own time-outs are 10 to 15 seconds)."""

MOST_ERRORS = 100
"""Refused messages listed in an error's body; the journal keeps them all."""

PATH_LIMIT = 4_096

STORE_RETRY_SECONDS = 5

PIPELINES = frozenset(
    f"/v1/{name}"
    for name in ("identify", "track", "page", "screen", "group", "alias", "batch", "i", "t", "p", "s", "g", "a", "b")
)

Kind = Literal["wire", "settings", "region", "auth", "unsubscribe", "own_metrics", "openapi"]


class Endpoint(Struct, frozen=True):
    """One address: the methods it takes, what answers it, and the pattern of its path."""

    methods: tuple[str, ...]
    kind: Kind
    wire: Wire
    pattern: re.Pattern[str]


def _endpoint(methods: str, pattern: str, wire: Wire, kind: Kind = "wire") -> Endpoint:
    return Endpoint(tuple(methods.split()), kind, wire, re.compile(pattern))


ENDPOINTS = (
    _endpoint("POST", r"/v1/(?:identify|track|page|screen|group|alias|batch|[itpsgab])/?", "pipelines"),
    _endpoint("POST", r"/v1/m/?", "pipelines", "own_metrics"),
    _endpoint("GET", r"/v1/projects/([^/]+)/settings/?", "pipelines", "settings"),
    _endpoint("PUT DELETE", r"/api/v1/customers/[^/]+/?", "track_v1"),
    _endpoint("POST", r"/api/v1/customers/[^/]+/(?:suppress|unsuppress|events)/?", "track_v1"),
    _endpoint("PUT", r"/api/v1/customers/[^/]+/devices/?", "track_v1"),
    _endpoint("DELETE", r"/api/v1/customers/[^/]+/devices/[^/]+/?", "track_v1"),
    _endpoint("POST", r"/api/v1/(?:events|merge_customers|metrics|push/events)/?", "track_v1"),
    _endpoint("POST", r"/api/v1/segments/[^/]+/(?:add_customers|remove_customers)/?", "track_v1"),
    _endpoint("POST", r"/api/v1/forms/[^/]+/submit/?", "track_v1"),
    _endpoint("GET", r"/api/v1/accounts/region/?", "track_v1", "region"),
    _endpoint("GET", r"/auth/?", "track_v1", "auth"),
    _endpoint("POST", r"/unsubscribe/[^/]+/?", "track_v1", "unsubscribe"),
    _endpoint("POST", r"/api/v2/(?:entity|batch)/?", "track_v2"),
    _endpoint("POST", r"/webhooks/shopify/([^/]+)/?", "shopify"),
    _endpoint("POST", r"/webhooks/customerio/([^/]+)/?", "reporting"),
    _endpoint("GET", r"/openapi\.json", "pipelines", "openapi"),
)
"""Every address of the intake; the console mounts everything else."""

_HOT = ENDPOINTS[0]


class _GoneError(Exception):
    """The client went away before its request was whole."""


class NotFound(RequestError):
    """There is nothing at this address."""

    status = 404
    code = "not_found"


class NotAllowed(RequestError):
    """The address exists and takes other methods."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(sorted({*allowed, "OPTIONS"}))
        super().__init__(f"This address takes {self.allowed}.")


class TooSlow(RequestError):
    """The request's body did not arrive in time."""

    status = 408
    code = "timeout"


class NotReadableEncoding(RequestError):
    """The body is compressed in a way we do not know."""

    status = 415
    code = "unsupported_encoding"


Headers = list[tuple[bytes, bytes]]
_JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")
_CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"retry-after"),
]
_OK_HEADERS: Headers = [_JSON, (b"content-length", b"2")]
_OK_CORS_HEADERS: Headers = [*_OK_HEADERS, *_CORS]


async def _answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def error_body(code: str, message: str, refusals: Iterable[Refusal] = ()) -> dict[str, Any]:
    """The one error body: what each client reads of an error, at once.

    customerio-node shows `meta.error`, the Python CDP client needs `code` and `message` (without them it retries even a 400),
    and version 2 of the Track API documents `errors[]`.
    """
    errors = []
    for refusal in list(refusals)[:MOST_ERRORS]:
        entry: dict[str, Any] = {
            "reason": refusal.code,
            "field": _field(refusal.path),
            "message": refusal.sentence,
            "path": refusal.path,
        }
        if refusal.index is not None:
            entry["batch_index"] = refusal.index
        errors.append(entry)
    if not errors:
        errors.append({"reason": code, "field": "", "message": message, "path": "$"})
    sentences = [f"{entry['path']}: {entry['message']}" if entry["path"] != "$" else entry["message"] for entry in errors]
    return {"code": code, "message": message, "meta": {"error": message, "errors": sentences}, "errors": errors}


def _field(path: str) -> str:
    """The path's last name, as Customer.io's `field`."""
    return re.sub(r"\[\d+\]$", "", path).rpartition(".")[2].lstrip("$")


def _told(refusals: list[Refusal], *, stored: int = 0) -> dict[str, Any]:
    first = refusals[0]
    sentence = first.sentence if first.path == "$" else f"{first.path}: {first.sentence}"
    if len(refusals) > 1:
        sentence += f" ({len(refusals) - 1} more refused.)"
    if stored:
        sentence += f" The other {stored} of the batch {'is' if stored == 1 else 'are'} stored."
    return error_body("bad_request", sentence, refusals)


class Caller(Struct, frozen=True):
    """What the request's head says, read once."""

    method: str
    path: str
    """Percent-encoded, without the query."""
    query: str
    headers: dict[bytes, bytes]
    client: str | None
    secure: bool


class Keys:
    """Which source a credential belongs to; all comparisons take the same time whatever matches."""

    def __init__(self, workspace: Workspace) -> None:
        def of(kind: str) -> list[tuple[str, Any]]:
            return [(name, source) for name, source in workspace.sources.items() if source.type == kind]

        self.pipelines = [(source.write_key.encode(), name) for name, source in of("pipelines") if source.write_key]
        self.track = [
            (f"{source.site_id}:{source.api_key}".encode(), name)
            for name, source in of("track")
            if source.site_id and source.api_key
        ]
        self.signing: dict[Wire, dict[str, bytes]] = {
            "shopify": {name: source.secret.encode() for name, source in of("shopify") if source.secret},
            "reporting": {name: source.secret.encode() for name, source in of("reporting") if source.secret},
        }

    @staticmethod
    def source(known: list[tuple[bytes, str]], given: bytes) -> str | None:
        """The source whose key is `given`."""
        found = None
        for key, name in known:
            if hmac.compare_digest(key, given):
                found = name
        return found


def basic(value: bytes) -> bytes | None:
    """What a Basic header holds (`user:password`), in standard or URL-safe base64 (go-customerio), padded or not."""
    text = value.strip().replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


class _KeyOfBody(Struct, rename="camel"):
    write_key: Any = None
    batch: Any = None


_key_of_body = msgspec.json.Decoder(_KeyOfBody)


def write_key_of(body: bytes) -> str | None:
    """The write key inside a body: on the call, on the batch, or on its first message (browsers send no Authorization header)."""
    try:
        found = _key_of_body.decode(body)
    except (ValueError, RecursionError):
        better = salvage(body)
        try:
            found = _key_of_body.decode(better or b"{}")
        except (ValueError, RecursionError):
            return None
    if isinstance(found.write_key, str) and found.write_key:
        return found.write_key
    if isinstance(found.batch, list) and found.batch and isinstance(found.batch[0], dict):
        key = found.batch[0].get("writeKey")
        return key if isinstance(key, str) and key else None
    return None


def unzipped(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as sent before compression, never more than `limit` bytes of it in memory.

    Raises `TooLarge` beyond the limit, `Unreadable` when it is not what `encoding` says, `NotReadableEncoding` for others.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise NotReadableEncoding("The body's Content-Encoding is none we read; use gzip or none.")
    bits = zlib.MAX_WBITS | 32  # gzip or zlib, by the header
    parts: list[bytes] = []
    size = 0
    rest = body
    try:
        while rest:
            unzip = zlib.decompressobj(bits)
            part = unzip.decompress(rest, limit - size + 1)
            size += len(part)
            if size > limit:
                raise TooLarge(f"The unzipped body has more than the {limit:,} bytes allowed.")
            if not unzip.eof:
                raise Unreadable("The compressed body ends too early.")
            parts.append(part)
            rest = unzip.unused_data
    except zlib.error:
        raise Unreadable("The body is not compressed the way its Content-Encoding says.") from None
    return b"".join(parts)


class Proxies:
    """Whose X-Forwarded-For is believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        self.networks: list[IPv4Network | IPv6Network] = [ip_network(network, strict=False) for network in networks]

    def trusted(self, address: str) -> bool:
        """Whether an address is one of our proxies."""
        try:
            known = ip_address(address)
        except ValueError:
            return False
        return any(known in network for network in self.networks)

    def client(self, peer: str | None, forwarded: str) -> str | None:
        """The client's address: the connection's, or, behind our own proxies, the last one that is not a proxy of ours."""
        address = _plain(peer or "")
        if self.networks and address is not None and self.trusted(address):
            for hop in reversed(forwarded.split(",")):
                named = _plain(hop)
                if named is None:
                    break  # what stands before something unreadable is a claim of the client
                address = named
                if not self.trusted(named):
                    break
        return address


def _plain(text: str) -> str | None:
    """An address without port, brackets and IPv4-in-IPv6 clothing, or None when it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)


def verify_shopify(secret: bytes, body: bytes, signature: str) -> bool:
    """Whether `signature` is the base64 HMAC-SHA256 of the raw body (X-Shopify-Hmac-Sha256)."""
    expected = base64.b64encode(hmac.digest(secret, body, hashlib.sha256))
    return hmac.compare_digest(expected, signature.strip().encode())


def verify_reporting(secret: bytes, body: bytes, timestamp: str, signature: str) -> bool:
    """Whether `signature` is the hex HMAC-SHA256 of `v0:timestamp:body`; a `v0=` before it is tolerated.

    The timestamp's age is not judged: Customer.io retries for days and does not say whether it renews the header.
    """
    signed = b"v0:" + timestamp.encode("latin-1", "replace") + b":" + body
    expected = hmac.new(secret, signed, hashlib.sha256).hexdigest().encode()
    return hmac.compare_digest(expected, signature.strip().removeprefix("v0=").lower().encode())


def create(workspace: Workspace, append: Append, overload: Callable[[], int | None]) -> Application:
    """The intake as an ASGI application.

    `append` returns when the request is durable and raises `StoreError` when it cannot be; `overload` gives the seconds a client
    shall wait, or None.
    """
    intake = _Intake(workspace, append, overload)
    return intake.application


class _Intake:
    def __init__(self, workspace: Workspace, append: Append, overload: Callable[[], int | None]) -> None:
        self.workspace, self.append, self.overload = workspace, append, overload
        self.keys = Keys(workspace)
        self.proxies = Proxies(workspace.server.trusted_proxies)
        self.openapi = msgspec.json.encode(openapi.description())

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        caller = self._caller(scope)
        endpoint: Endpoint | None = None
        try:
            endpoint = _route(caller)
            if caller.method == "OPTIONS":
                await _preflight(caller, endpoint, send)
                return
            await self._take(endpoint, caller, receive, send)
        except _GoneError:
            return
        except RequestError as error:
            await _refuse(error, endpoint, caller, send)
        except StoreError as error:
            log.error("a request could not be stored", why=str(error))
            sentence = "The request could not be stored; send it again."
            unavailable = Overloaded(sentence, retry_after=STORE_RETRY_SECONDS, status=503)
            unavailable.code = "unavailable"
            await _refuse(unavailable, endpoint, caller, send)
        except Exception as error:  # the last line before the server's own plain-text 500, which no client can read
            log.exception("a request failed", method=caller.method, endpoint=endpoint.wire if endpoint else None)
            broken = Overloaded(
                "Signalpost failed to take the request; send it again.", retry_after=STORE_RETRY_SECONDS, status=503
            )
            broken.code = "unavailable"
            del error
            await _refuse(broken, endpoint, caller, send)

    def _caller(self, scope: Scope) -> Caller:
        raw = scope.get("raw_path")
        path = raw.decode("latin-1") if raw else quote(scope["path"], safe="/:@+~!$&'()*,;=-._")
        headers: dict[bytes, bytes] = dict(scope["headers"])
        peer = scope.get("client")
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        secure = scope.get("scheme") == "https"
        if self.proxies.networks and peer and self.proxies.trusted(_plain(peer[0]) or ""):
            secure = secure or headers.get(b"x-forwarded-proto", b"").strip().lower() == b"https"
        return Caller(
            method=scope["method"],
            path=path.partition("?")[0],
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            client=self.proxies.client(peer[0] if peer else None, forwarded),
            secure=secure,
        )

    async def _take(self, endpoint: Endpoint, caller: Caller, receive: Receive, send: Send) -> None:
        match endpoint.kind:
            case "wire" | "unsubscribe":
                await self._wire(endpoint, caller, receive, send)
            case "settings":
                await self._settings(endpoint, caller, send)
            case "openapi":
                await _answer(send, 200, self.openapi, [_JSON, (b"content-length", str(len(self.openapi)).encode()), *_CORS])
            case "own_metrics":  # the browser library's figures about itself: asked not to be sent, and of no use
                await _body(caller, receive, BATCH_LIMIT)
                await _answer(send, 200, b"{}", _OK_CORS_HEADERS)
            case "auth":
                self._track_source(caller)
                await _answer(send, 200, b"{}", _OK_HEADERS)
            case "region":
                self._track_source(caller)
                environment = zlib.crc32(f"{self.workspace.workspace}/{self.workspace.environment}".encode())
                body = msgspec.json.encode({"url": self._host(caller), "region": "us", "environment_id": environment})
                await _answer(send, 200, body, [_JSON, (b"content-length", str(len(body)).encode())])

    # ---- the wires -----------------------------------------------------------------------------------------------------------

    async def _wire(self, endpoint: Endpoint, caller: Caller, receive: Receive, send: Send) -> None:
        wire = endpoint.wire
        limit = WEBHOOK_LIMIT if wire in {"shopify", "reporting"} else BATCH_LIMIT
        raw = await _body(caller, receive, limit)
        source, body = self._authorised(endpoint, caller, raw, limit)
        browser = wire == "pipelines" and b"authorization" not in caller.headers
        wait = None if browser else self.overload()  # a browser library takes every status for success, so it is never sent away
        if wait is not None:
            raise Overloaded("Signalpost is behind; send this again later.", retry_after=max(1, wait))
        received = self._received(endpoint, caller, source, body)
        reading = read(received)
        if reading.events or reading.refusals or reading.notes:
            await self.append(received, reading)
        await _respond(received, reading, send)

    def _received(self, endpoint: Endpoint, caller: Caller, source: str, body: bytes) -> Received:
        headers: dict[str, str] = {}
        if endpoint.wire == "shopify":
            for name in shopify.HEADERS:
                value = caller.headers.get(name.encode())
                if value is not None:
                    headers[name] = value.decode("latin-1")[:500]
        elif endpoint.wire == "pipelines":
            if caller.headers.get(b"x-strict-mode", b"").strip() in {b"1", b"true"}:
                headers["x-strict-mode"] = "1"
            if caller.headers.get(b"content-type", b"").startswith(b"text/plain"):
                headers["content-type"] = "text/plain"  # a browser library, whatever its user agent
        agent = caller.headers.get(b"user-agent")
        path = f"{caller.path}?{caller.query}" if caller.query and "/segments/" in caller.path else caller.path
        return Received(
            source=source,
            wire=endpoint.wire,
            method=caller.method,
            path=path,
            headers=headers,
            body=body,
            client_ip=caller.client,
            user_agent=agent.decode("utf-8", "replace")[:1_000] if agent else None,
            received_at=time.time_ns() // 1_000_000,
        )

    def _authorised(self, endpoint: Endpoint, caller: Caller, raw: bytes, limit: int) -> tuple[str, bytes]:
        """The source and the unzipped body; raises `Unauthorized` and what `unzipped` raises."""
        encoding = caller.headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        if endpoint.kind == "unsubscribe":  # a link in an e-mail: no credentials by design (Track API, custom unsubscribe)
            if not self.keys.track:
                raise NotFound("There is no Track source in this workspace.")
            return self.keys.track[0][1], unzipped(raw, encoding, limit)
        if endpoint.wire in {"shopify", "reporting"}:
            return self._signed(endpoint, caller, raw), unzipped(raw, encoding, limit)
        if endpoint.wire != "pipelines":
            return self._track_source(caller), unzipped(raw, encoding, limit)
        header = caller.headers.get(b"authorization")
        if header is not None:
            source = Keys.source(self.keys.pipelines, _write_key(header))
            if source is None:
                raise Unauthorized("The write key is none of this workspace's.")
            return source, unzipped(raw, encoding, limit)
        body = unzipped(raw, encoding, limit)
        key = write_key_of(body)
        if key is None:
            raise Unauthorized(
                "Send the write key: as the user of Basic authorisation, as a Bearer token or as `writeKey` in the body."
            )
        source = Keys.source(self.keys.pipelines, key.encode("utf-8", "replace"))
        if source is None:
            raise Unauthorized("The write key in the body is none of this workspace's.", path="$.writeKey")
        return source, body

    def _track_source(self, caller: Caller) -> str:
        header = caller.headers.get(b"authorization", b"")
        scheme, _, value = header.strip().partition(b" ")
        given = basic(value) if scheme.lower() == b"basic" else None
        source = None if given is None else Keys.source(self.keys.track, given)
        if source is None:
            raise Unauthorized("The site id and API key (Basic authorisation) are none of this workspace's.")
        return source

    def _signed(self, endpoint: Endpoint, caller: Caller, raw: bytes) -> str:
        found = endpoint.pattern.fullmatch(caller.path)
        name = unquote(found[1]) if found else ""
        secret = self.keys.signing[endpoint.wire].get(name)
        if secret is None:
            raise NotFound(f"This workspace has no {endpoint.wire} source of that name.")
        if endpoint.wire == "shopify":
            signature = caller.headers.get(b"x-shopify-hmac-sha256", b"").decode("latin-1")
            genuine = verify_shopify(secret, raw, signature)
        else:
            signature = caller.headers.get(b"x-cio-signature", b"").decode("latin-1")
            timestamp = caller.headers.get(b"x-cio-timestamp", b"").decode("latin-1").strip()
            genuine = verify_reporting(secret, raw, timestamp, signature)
        if not genuine:
            raise Unauthorized("The signature does not fit the body and the source's secret.")
        return name

    # ---- the rest ------------------------------------------------------------------------------------------------------------

    def _host(self, caller: Caller) -> str:
        """How this server is reached, without the scheme: the configured public address, else what the client called."""
        public = self.workspace.server.public_url
        if public:
            return public.partition("://")[2].rstrip("/") or public
        return caller.headers.get(b"host", b"").decode("latin-1") or f"{self.workspace.server.host}:{self.workspace.server.port}"

    async def _settings(self, endpoint: Endpoint, caller: Caller, send: Send) -> None:
        """What the browser library loads before anything else; without our own host it would post to Customer.io."""
        found = endpoint.pattern.fullmatch(caller.path)
        key = unquote(found[1]) if found else ""
        if Keys.source(self.keys.pipelines, key.encode("utf-8", "replace")) is None:
            raise NotFound("No source of this workspace has this write key.")
        public = self.workspace.server.public_url or ""
        secure = public.startswith("https://") if "://" in public else caller.secure
        host = {"apiKey": key, "apiHost": f"{self._host(caller)}/v1", "protocol": "https" if secure else "http"}
        # Segment's own library looks for `Segment.io`; the sample rate keeps the libraries' figures about themselves at home
        settings = {"integrations": {"Customer.io Data Pipelines": host, "Segment.io": host}, "metrics": {"sampleRate": 0}}
        body = msgspec.json.encode(settings)
        cache = (b"cache-control", b"public, max-age=60")
        await _answer(send, 200, body, [_JSON, (b"content-length", str(len(body)).encode()), cache, *_CORS])


def _write_key(header: bytes) -> bytes:
    """The write key of an Authorization header: Basic with the key as user, or Bearer."""
    scheme, _, value = header.strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip()
    if scheme.lower() != b"basic":
        return b""
    return (basic(value) or b"").partition(b":")[0]


def _route(caller: Caller) -> Endpoint:
    if len(caller.path) + len(caller.query) > PATH_LIMIT:
        raise NotFound("The address is too long.")
    path = caller.path
    matching = [_HOT] if path in PIPELINES else [each for each in ENDPOINTS if each.pattern.fullmatch(path)]
    if not matching:
        raise NotFound("There is nothing at this address.")
    for endpoint in matching:
        if caller.method in endpoint.methods or caller.method == "OPTIONS":
            return endpoint
    raise NotAllowed(method for endpoint in matching for method in endpoint.methods)


async def _preflight(caller: Caller, endpoint: Endpoint, send: Send) -> None:
    """Leave for browsers: any origin may send to the Pipelines addresses, nobody to the others, whose keys are secret."""
    headers: Headers = [(b"content-length", b"0"), (b"allow", ", ".join([*endpoint.methods, "OPTIONS"]).encode())]
    if endpoint.wire == "pipelines":
        asked = caller.headers.get(b"access-control-request-headers", b"")
        named = asked if re.fullmatch(rb"[A-Za-z0-9,\- ]{1,500}", asked) else b"authorization, content-type"
        headers += [
            *_CORS,
            (b"access-control-allow-methods", ", ".join([*endpoint.methods, "OPTIONS"]).encode()),
            (b"access-control-allow-headers", named),
            (b"access-control-max-age", b"86400"),
            (b"vary", b"access-control-request-headers"),
        ]
    await _answer(send, 204, b"", headers)


async def _body(caller: Caller, receive: Receive, limit: int) -> bytes:
    """The request's body as it came over the wire; raises `TooLarge`, `TooSlow`, or `_GoneError` when the client left."""
    told = caller.headers.get(b"content-length", b"")
    if told.isdigit() and int(told) > limit:
        raise TooLarge(f"The body has {int(told):,} bytes; {limit:,} is the limit.")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _GoneError
                part = message.get("body", b"")
                size += len(part)
                if size > limit:
                    raise TooLarge(f"The body has more than the {limit:,} bytes allowed.")
                parts.append(part)
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise TooSlow("The request's body did not arrive in time.") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _refuse(error: RequestError, endpoint: Endpoint | None, caller: Caller, send: Send) -> None:
    path = error.path
    refusal = Refusal(index=None, path=path, sentence=str(error), code=error.code)
    body = msgspec.json.encode(error_body(error.code, str(error), [refusal]))
    headers: Headers = [_JSON, (b"content-length", str(len(body)).encode())]
    if isinstance(error, Overloaded):
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if isinstance(error, NotAllowed):
        headers.append((b"allow", error.allowed.encode()))
    if isinstance(error, Unauthorized) and b"origin" not in caller.headers:
        headers.append((b"www-authenticate", b'Basic realm="signalpost"'))
    if isinstance(error, (TooLarge, TooSlow)):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    if endpoint is not None and endpoint.wire == "pipelines":
        headers += _CORS
    await _answer(send, error.status, body, headers)


async def _respond(received: Received, reading: Reading, send: Send) -> None:
    """The answer each wire's clients expect, once the request is stored.

    Part of a Pipelines batch refused is 200: its clients know no third state and would send the good ones again for ever
    (Python) or drop them (Node); the refused ones are in the journal with their reasons. Strict mode asks for the 400.
    """
    refusals = reading.refusals
    cors = received.wire == "pipelines"
    if received.wire in {"shopify", "reporting"} or not refusals:
        # a signed webhook is never refused: both senders would repeat it for hours and hold back everything behind it
        if received.wire == "track_v1" and "/forms/" in received.path and not refusals:
            await _answer(send, 204, b"", [])
            return
        await _answer(send, 200, b"{}", _OK_CORS_HEADERS if cors else _OK_HEADERS)
        return
    if reading.events and received.wire == "track_v2":
        errors = [
            {"batch_index": each.index, "reason": each.code, "field": _below_item(each.path), "message": each.sentence}
            for each in refusals
        ]
        await _json(send, 207, {"errors": errors}, [])
        return
    if reading.events and received.wire == "pipelines" and "x-strict-mode" not in received.headers:
        await _answer(send, 200, b"{}", _OK_CORS_HEADERS)
        return
    await _json(send, 400, _told(refusals, stored=len(reading.events)), _CORS if cors else [])


def _below_item(path: str) -> str:
    """`$.batch[3].identifiers.id` -> `identifiers.id`."""
    return re.sub(r"^\$(\.batch\[\d+\])?\.?", "", path)


async def _json(send: Send, status: int, value: Any, extra: Headers) -> None:
    body = msgspec.json.encode(value)
    await _answer(send, status, body, [_JSON, (b"content-length", str(len(body)).encode()), *extra])
