"""The emulators inside a test: a real server on a loopback port, in a thread of the test's process.

with running() as url, Client(url) as platforms:
    platforms.fault("rate_limit", platform="tiktok", times=2)
    ...
    assert platforms.received("tiktok")["accepted"] == 1
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from signalpost.platforms.serve import listen, server
from signalpost.platforms.settings import Settings
from signalpost.platforms.tiktok import TRACK
from signalpost.platforms.tiktok_audiences import FILES, ROOT

# SHA-256 of jane.roe@example.com, who is nobody.
HASH = "22fff12b355cb9cb6303835fe8227cbb155ee22d300caccba72b326d1a6fb98a"


@contextmanager
def running(settings: Settings | None = None, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Run both emulators for the length of the block and give their base URL, without a trailing slash."""
    listener, url = listen(host, port)
    up = threading.Event()
    running_server = server(settings or Settings(), ready=up.set)

    def work() -> None:
        try:
            asyncio.run(running_server.serve(sockets=[listener]))
        finally:
            up.set()

    thread = threading.Thread(target=work, name="platform emulators", daemon=True)
    thread.start()
    try:
        if not up.wait(30) or not running_server.started:
            raise RuntimeError("the platform emulators did not start")
        yield url
    finally:
        running_server.stop()
        thread.join(10)
        listener.close()


class Client:
    """What a test says to a running pair of emulators and asks of them; `http` for all else."""

    def __init__(self, url: str, settings: Settings | None = None) -> None:
        self.url = url
        self.settings = settings or Settings()
        self.http = httpx.Client(base_url=url, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.http.close()

    def track(self, *events: object, token: str | None = None, **envelope: object) -> httpx.Response:
        """Send events to TikTok's emulator as its first pixel's; `envelope` changes top-level fields."""
        body = {
            "event_source": "web",
            "event_source_id": self.settings.tiktok_pixels[0],
            "data": list(events),
        }
        headers = {"Access-Token": self.settings.tiktok_token if token is None else token}
        return self.http.post(TRACK, json=body | envelope, headers=headers)

    def create(self, *events: object, query: str = "", token: str | None = None) -> httpx.Response:
        """Send events to Pinterest's emulator; `query` is `?test=true` or nothing."""
        headers = {"Authorization": f"Bearer {self.settings.pinterest_token if token is None else token}"}
        path = f"/v5/ad_accounts/{self.settings.pinterest_ad_account_id}/events{query}"
        return self.http.post(path, json={"data": list(events)}, headers=headers)

    def tiktok(self, path: str, body: object = None, *, token: str | None = None, **query: Any) -> httpx.Response:
        """Ask TikTok's audience endpoints: `path` after the version; POST with a body, else GET with a query."""
        headers = {"Access-Token": self.settings.tiktok_token if token is None else token}
        url = f"{ROOT}{path}"
        if body is not None:
            return self.http.post(url, json=body, headers=headers)
        told = {name: value if isinstance(value, (str, int)) else json.dumps(value) for name, value in query.items()}
        return self.http.get(url, params=told, headers=headers)

    def upload(self, content: bytes, kind: str, *, name: str = "people.csv", **fields: str) -> httpx.Response:
        """Upload a file for TikTok's customer files; `fields` changes the form's."""
        form = {
            "advertiser_id": self.settings.tiktok_advertiser_id,
            "file_signature": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "calculate_type": kind,
        }
        headers = {"Access-Token": self.settings.tiktok_token}
        return self.http.post(f"{FILES}/file/upload/", data=form | fields, files={"file": (name, content)}, headers=headers)

    def pinterest(self, method: str, path: str, body: object = None, *, token: str | None = None, **query: Any) -> httpx.Response:
        """Ask Pinterest's endpoints below the ad account: `pinterest("GET", "/audiences")`."""
        headers = {"Authorization": f"Bearer {self.settings.pinterest_token if token is None else token}"}
        url = f"/v5/ad_accounts/{self.settings.pinterest_ad_account_id}{path}"
        return self.http.request(method, url, json=body, headers=headers, params=query)

    def audiences(self, platform: str, **query: str) -> list[dict[str, Any]]:
        """Return what a platform knows of every audience (`id=` one): see docs/reference/emulators.md.

        With `changes="true"` every change is named, with `gone="true"` deleted ones are shown too.
        """
        told = self._object(self.http.get("/audiences", params={"platform": platform, **query}))
        found: list[dict[str, Any]] = told[platform]["audiences"]
        return found

    def members(self, audience_id: str) -> set[str]:
        """Return the exact identifiers in an audience, in hexadecimal; of Pinterest also by its list's id."""
        return {key for keys in self.members_by_kind(audience_id).values() for key in keys}

    def members_by_kind(self, audience_id: str) -> dict[str, list[str]]:
        """Return the exact identifiers in an audience by the platform's word for their kind, sorted."""
        return self._object(self.http.get("/audiences/members", params={"id": audience_id}))

    def audience_requests(self, platform: str) -> dict[str, int]:
        """Return how many requests came to each audience endpoint: by path (TikTok), by operation (Pinterest)."""
        requests: dict[str, int] = self._object(self.http.get("/audiences", params={"platform": platform}))[platform]["requests"]
        return requests

    def ad_group_targeting(self) -> dict[str, dict[str, Any]]:
        """Return the targeting of each of Pinterest's ad groups."""
        groups: dict[str, dict[str, Any]] = self._object(self.http.get("/audiences"))["pinterest"]["ad_groups"]
        return groups

    def lose_audience(self, platform: str, audience_id: str) -> None:
        """Delete an audience behind its owner's back."""
        self._object(self.http.post("/control/audiences", json={"platform": platform, "id": audience_id, "delete": True}))

    def give_audience(self, platform: str, audience_id: str, owner: str = "7999999999999999999", *, shared: bool = False) -> None:
        """Give an audience to another account; `shared` leaves it visible to the one that made it."""
        asked = {"platform": platform, "id": audience_id, "owner": owner, "shared": shared}
        self._object(self.http.post("/control/audiences", json=asked))

    def audience_delay(self, platform: str, ms: int) -> None:
        """Let a platform take so long (milliseconds of the emulators' clock) to tell the size of an audience."""
        self._object(self.http.post("/control/audiences", json={"platform": platform, "delay_ms": ms}))

    def fault(self, fault: str, **options: object) -> dict[str, Any]:
        """Switch a fault on and return it as the emulators understood it."""
        return self._object(self.http.post("/control/faults", json={"fault": fault, **options}))

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self.http.delete("/control/faults").raise_for_status()

    def reset(self) -> None:
        """Forget all events, audiences and faults, and follow the machine's clock."""
        self.http.post("/control/reset").raise_for_status()

    def set_clock(self, **move: object) -> int:
        """Move the emulators' clock (`now_ms`, `advance_ms`, `frozen`); return it in epoch milliseconds."""
        return int(self._object(self.http.post("/control/clock", json=move))["now_ms"])

    def received(self, platform: str, **query: str) -> dict[str, Any]:
        """Return what a platform says it received: see docs/reference/emulators.md."""
        summary = self._object(self.http.get("/received", params={"platform": platform, **query}))[platform]
        assert isinstance(summary, dict)  # noqa: S101 - for the reader and the type checker
        return summary

    def ids(self, platform: str) -> set[tuple[str, str]]:
        """Return the (event name, event id) pairs that a platform accepted."""
        pairs = self._object(self.http.get("/received/ids", params={"platform": platform}))[platform]
        return {(name, event_id) for name, event_id in pairs}

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        if response.is_error:
            raise ValueError(response.text)
        content: dict[str, Any] = response.json()
        return content


def tiktok_event(event_id: object = "o-1", *, at: int | None = None, **changes: object) -> dict[str, Any]:
    """Return an event TikTok takes, of the epoch second `at` (now), with top-level fields changed.

    A field changed to `...` is left out.
    """
    event: dict[str, Any] = {
        "event": "Purchase",
        "event_time": int(time.time()) if at is None else at,
        "event_id": event_id,
        "user": {
            "email": [HASH],
            "phone": HASH,
            "ttclid": "E.C.P.example",
            "ip": "203.0.113.9",
            "user_agent": "Mozilla/5.0",
            "locale": "en-GB",
            "country": "gb",
        },
        "page": {"url": "https://shop.example/thanks?o=1", "referrer": "https://shop.example/cart"},
        "properties": {
            "currency": "GBP",
            "value": 45.5,
            "order_id": "1",
            "content_type": "product",
            "num_items": 3,
            "contents": [{"content_id": "sku-1", "price": 12.75, "quantity": 2}],
        },
    }
    return {key: value for key, value in (event | changes).items() if value is not ...}


def pinterest_event(event_id: object = "o-1", *, at: int | None = None, **changes: object) -> dict[str, Any]:
    """Return an event Pinterest takes, of the epoch second `at` (now), with top-level fields changed.

    A field changed to `...` is left out.
    """
    event: dict[str, Any] = {
        "event_name": "checkout",
        "action_source": "web",
        "event_time": int(time.time()) if at is None else at,
        "event_id": event_id,
        "event_source_url": "https://shop.example/thank-you",
        "user_data": {"em": [HASH], "external_id": [HASH], "click_id": "EXAMPLE_EPIK"},
        "custom_data": {
            "currency": "EUR",
            "value": "84.50",
            "order_id": "1",
            "contents": [{"id": "sku-1", "item_price": "30.00", "quantity": 2}],
            "num_items": 2,
        },
    }
    return {key: value for key, value in (event | changes).items() if value is not ...}
