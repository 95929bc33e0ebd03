"""The request an emulator reads and the answer it gives: plain values, so that judging needs no I/O."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any

import msgspec

JSON = b"application/json"


class Request(msgspec.Struct, frozen=True):
    """One request as it came: header names in lower case, query values decoded, the last one wins."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[bytes, bytes]
    body: bytes = b""


class Answer(msgspec.Struct, frozen=True):
    """One answer: HTTP status, body, and headers beside content-type and content-length."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = JSON


def answer(status: int, content: Any, *headers: tuple[bytes, bytes]) -> Answer:
    """Return `content` as a JSON answer."""
    return Answer(status, msgspec.json.encode(content), headers)


def read(body: bytes) -> Any:
    """Return the JSON value of `body`; ValueError when it is none, or nested beyond reason."""
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def same(given: str, *expected: str) -> bool:
    """Return whether a token is one of those expected, comparing in constant time."""
    return any(hmac.compare_digest(given.encode(), token.encode()) for token in expected)


def is_json(request: Request) -> bool:
    """Return whether the request says that its body is JSON."""
    return request.headers.get(b"content-type", b"").split(b";")[0].strip().lower() == JSON


def empty_path(node: dict[str, Any] | list[Any]) -> list[str] | None:
    """Return the path of the first null, empty string, list or object below `node`, or None."""
    pairs: Iterable[tuple[Any, Any]] = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
        if value is None or value in ("", [], {}):
            return [str(key)]
        if isinstance(value, dict | list):
            below = empty_path(value)
            if below is not None:
                return [str(key), *below]
    return None
