"""Receivers that the tests run for real, on a port of their own: any webhook, and a Track API as strict as it is described."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]
Handler = Callable[[str, str, dict[str, str], bytes], Answer]
"""(method, path, headers in lower case, body) -> status and JSON."""


@contextmanager
def served(handler: Handler) -> Iterator[str]:
    """The base address of a server that answers as `handler` says."""

    class Requests(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, said = handler(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            written = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def do_POST(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class CustomerIO:
    """The Track API v2 as far as write-back uses it, with the limits of its description; keeps people and events."""

    def __init__(self, site_id: str, api_key: str) -> None:
        self.credentials = f"{site_id}:{api_key}"
        self.people: dict[str, dict[str, tuple[Any, int]]] = {}
        """Identifier -> attribute -> (value, when it was so)."""
        self.events: dict[str, tuple[str, dict[str, Any]]] = {}
        """Event id -> (identifier, the operation)."""
        self.requests = 0

    def __call__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """One request."""
        self.requests += 1
        scheme, _, pair = headers.get("authorization", "").partition(" ")
        if scheme != "Basic" or b64decode(pair).decode() != self.credentials:
            return 401, {"meta": {"error": "unauthorized"}}
        if (method, path) == ("GET", "/api/v1/accounts/region"):
            return 200, {"url": "track.customer.io", "region": "us", "environment_id": 7}
        if (method, path) != ("POST", "/api/v2/batch") or headers.get("content-type") != "application/json":
            return 404, {"meta": {"error": "not found"}}
        if len(body) > 500_000:
            return 413, {"meta": {"error": "payload too large"}}
        read = json.loads(body)
        if set(read) != {"batch"} or not read["batch"]:
            return 400, {"errors": [{"reason": "required", "field": "batch", "message": "batch is required"}]}
        errors = []
        for number, item in enumerate(read["batch"]):
            wrong = self._wrong(item)
            if wrong:
                errors.append({"batch_index": number, "reason": "invalid", "field": wrong, "message": f"{wrong} is invalid"})
            else:
                self._take(item)
        if not errors:
            return 200, {}
        return (400 if len(errors) == len(read["batch"]) else 207), {"errors": errors}

    def _wrong(self, item: dict[str, Any]) -> str | None:
        """The field that is not as described."""
        if len(json.dumps(item)) > 32_000:
            return "size"
        known = {
            "identify": {"type", "action", "identifiers", "attributes"},
            "event": {"type", "action", "identifiers", "attributes", "name", "id", "timestamp"},
        }
        if item.get("type") != "person" or item.get("action") not in known:
            return "action"
        if set(item) - known[item["action"]]:
            return min(set(item) - known[item["action"]])
        who = item.get("identifiers")
        if not isinstance(who, dict) or len(who) != 1 or not set(who) <= {"id", "email", "phone", "cio_id"}:
            return "identifiers"
        if not all(isinstance(value, str) and 0 < len(value.encode()) <= 150 for value in who.values()):
            return "identifiers"
        attributes = item.get("attributes", {})
        if not isinstance(attributes, dict) or len(attributes) > 300:
            return "attributes"
        if any(len(name.encode()) > 150 for name in attributes):
            return "attributes"
        if item["action"] == "identify":
            if any(len(json.dumps(value)) > 1_000 for value in attributes.values()):
                return "attributes"
            return None if isinstance(attributes.get("_timestamp"), int) else "_timestamp"
        if not isinstance(item.get("name"), str) or not 0 < len(item["name"].encode()) <= 100:
            return "name"
        if not re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", str(item.get("id"))):
            return "id"
        return None if isinstance(item.get("timestamp"), int) and item["timestamp"] < 10**11 else "timestamp"

    def _take(self, item: dict[str, Any]) -> None:
        ((_, who),) = item["identifiers"].items()
        if item["action"] == "event":
            self.events.setdefault(item["id"], (who, item))
            return
        attributes = dict(item["attributes"])
        at = attributes.pop("_timestamp")
        person = self.people.setdefault(who, {})
        for name, value in attributes.items():
            if name not in person or person[name][1] <= at:
                person[name] = (value, at)
