"""Whatever is sent to whatever address, the answer is one the contract knows."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from .conftest import API_KEY, KEY, SITE, Journal, application

WRITE_KEY = b"Basic Q0RQX1dSSVRFX0tFWTo="
TRACK_KEY = b"Basic U0lURV9JRDpUUkFDS19BUElfS0VZ"

paths = st.sampled_from(
    [
        *(f"/v1/{name}" for name in ("t", "batch", "identify", "m", "projects/x/settings", "projects/CDP_WRITE_KEY/settings")),
        "/api/v1/customers/%FF%00",
        "/api/v1/customers/a%2Fb/events",
        "/api/v1/customers/c/devices",
        "/api/v1/customers/c/devices/%E2%82",
        "/api/v1/events",
        "/api/v1/merge_customers",
        "/api/v1/segments/1/add_customers",
        "/api/v1/forms/f/submit",
        "/api/v1/metrics",
        "/api/v1/accounts/region",
        "/api/v2/entity",
        "/api/v2/batch",
        "/auth",
        "/unsubscribe/%00",
        "/webhooks/shopify/shop",
        "/webhooks/customerio/messages",
        "/webhooks/customerio/%F0",
        "/openapi.json",
        "/",
        "",
        "//v1//t",
    ]
)
headers = st.dictionaries(
    st.sampled_from(
        [
            b"content-type",
            b"content-encoding",
            b"content-length",
            b"x-forwarded-for",
            b"x-forwarded-proto",
            b"x-strict-mode",
            b"user-agent",
            b"host",
            b"origin",
            b"x-shopify-hmac-sha256",
            b"x-shopify-topic",
            b"x-cio-signature",
            b"x-cio-timestamp",
            b"access-control-request-headers",
        ]
    ),
    st.sampled_from([b"", b"gzip", b"1", b"text/plain", b"\xff", b"1.2.3.4, ,::1", b"v0=", b"-1", b"99999999999999999999"])
    | st.binary(max_size=9),
)
authorizations = (
    st.sampled_from([WRITE_KEY, TRACK_KEY, b"Bearer CDP_WRITE_KEY", b"", b"Basic", b"Basic \xff", b"Digest x"]) | st.none()
)
bodies = (
    st.binary(max_size=60)
    | st.binary(max_size=60).map(gzip.compress)
    | st.sampled_from(
        [
            json.dumps({"writeKey": KEY, "userId": "u", "event": "E"}).encode(),
            json.dumps({"batch": [{"type": "track", "userId": "u", "event": "E"}, 1], "writeKey": KEY}).encode(),
            json.dumps({"name": "E", "data": {"a": 1}}).encode(),
            b"[" * 3_000,
            b"{" * 3_000,
            b'{"writeKey":' + b"[" * 3_000,
            gzip.compress(b"{}" * 10_000_000),
        ]
    )
)
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "QUERY"])


async def send(
    journal: Journal, method: str, path: str, head: list[tuple[bytes, bytes]], pieces: list[bytes]
) -> tuple[int, dict[bytes, bytes], bytes]:
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"id_type=%FF",
        "headers": head,
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    answered: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def told(message: Any) -> None:
        answered.append(message)

    await application(journal, trusted_proxies=("127.0.0.0/8",))(scope, receive, told)
    assert [message["type"] for message in answered] == ["http.response.start", "http.response.body"]
    return answered[0]["status"], dict(answered[0]["headers"]), answered[1]["body"]


@given(methods, paths | st.text(max_size=20).map(lambda text: f"/{text}"), headers, authorizations, bodies, st.integers(0, 40))
def test_any_request(
    method: str, path: str, head: dict[bytes, bytes], authorization: bytes | None, body: bytes, cut: int
) -> None:
    """No request is answered with a server's error; an error is always the one JSON body; only good requests are stored."""
    journal = Journal()
    given_headers = [*head.items(), *([(b"authorization", authorization)] if authorization is not None else [])]
    status, answer_headers, answer = asyncio.run(send(journal, method, path, given_headers, [body[:cut], body[cut:]]))
    assert status in {200, 204, 207, 400, 401, 404, 405, 408, 413, 415}
    if status == 204:
        assert answer == b""
    else:
        decoded = json.loads(answer)
        assert answer_headers[b"content-type"] == b"application/json"
        assert int(answer_headers[b"content-length"]) == len(answer)
        if status >= 400:
            assert decoded["code"]
            assert decoded["message"] == decoded["meta"]["error"]
    if status in {401, 404, 405, 408, 413, 415}:
        assert journal.taken == []


async def test_a_client_that_leaves_gets_no_answer_and_leaves_nothing() -> None:
    """Half a request is no request."""
    journal = Journal()
    answered: list[Any] = []
    waiting = [{"type": "http.request", "body": b'{"a":', "more_body": True}, {"type": "http.disconnect"}]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/t",
        "raw_path": b"/v1/t",
        "query_string": b"",
        "headers": [],
        "client": None,
    }

    async def receive() -> Any:
        return waiting.pop(0)

    async def told(message: Any) -> None:
        answered.append(message)

    await application(journal)(scope, receive, told)
    assert (answered, journal.taken) == ([], [])


def test_the_keys_of_these_tests_are_the_workspaces() -> None:
    """The fuzz reaches past the credentials."""
    import base64

    assert base64.b64decode(WRITE_KEY[6:]) == f"{KEY}:".encode()
    assert base64.b64decode(TRACK_KEY[6:]) == f"{SITE}:{API_KEY}".encode()
