"""The request an emulator reads and the answer it gives: plain values, so that judging needs no I/O."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from email.message import Message
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
    # The query as it came: a name may stand in it more than once.
    pairs: tuple[tuple[str, str], ...] = ()


class Part(msgspec.Struct, frozen=True):
    """One part of a multipart form; `filename` is None for a plain field."""

    content: bytes
    filename: str | None = None


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


def parts(request: Request) -> dict[str, Part]:
    """Return the parts of a multipart/form-data body by name; ValueError when it is none."""
    kind = _disposed("content-type", request.headers.get(b"content-type", b""))
    boundary = kind.get_param("boundary")
    if kind.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise ValueError("Content-Type must be multipart/form-data with a boundary")
    mark = b"\r\n--" + boundary.encode()
    first, *pieces = (b"\r\n" + request.body).split(mark)
    if first or not pieces or pieces[-1].rstrip(b"\r\n") != b"--":
        raise ValueError("the body is not enclosed by its boundary")
    found: dict[str, Part] = {}
    for piece in pieces[:-1]:
        head, blank, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        disposition = next((line for line in head.split(b"\r\n") if line.lower().startswith(b"content-disposition:")), b"")
        told = _disposed("content-disposition", disposition.partition(b":")[2].strip())
        name = told.get_param("name", header="content-disposition")
        if not blank or not isinstance(name, str) or name in found:
            raise ValueError("each part needs a Content-Disposition with a name of its own")
        found[name] = Part(content, told.get_filename())
    return found


def _disposed(name: str, value: bytes) -> Message:
    """Return a header with parameters as what can read them."""
    message = Message()
    message[name] = value.decode("latin-1")
    return message


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
