"""The console that moves: looks at the database that are shared by everybody who watches, sent where they changed.

A page may follow several feeds: what moves by the second, and what need not, such as a chart that would be drawn anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from msgspec import Struct

log = structlog.get_logger("signalpost")

EVERY = 1.0
"""Seconds between two looks; more when a look itself is slow."""

TICK = 0.25
"""Seconds between two glances of a watcher at the picture; most find the one they have."""

HEARTBEAT = 15.0
LONGEST = 60.0
"""Seconds after which a stream ends; the browser opens a new one and is asked for its cookie: who was removed sees no more."""

MOST_WATCHERS = 100


class Picture(Struct, frozen=True):
    """What is pushed: name of the server-sent event -> HTML."""

    parts: dict[str, str]


def message(name: str, html: str) -> str:
    """One server-sent event."""
    lines = "\n".join(f"data: {line}" for line in html.splitlines())
    return f"event: {name}\n{lines}\n\n"


class Feed:
    """The latest picture of something, looked at only while somebody watches, at most every so many seconds."""

    def __init__(self, paint: Callable[[], Awaitable[Picture]], *, every: float = EVERY, drawn: bool = False) -> None:
        """`drawn`: the page shows it as it opens, and to show it again would cost: it is sent when it changes from then on."""
        self._paint, self._every, self.drawn = paint, every, drawn
        self._picture = Picture({})
        self._fresh_until = 0.0
        self._lock = asyncio.Lock()

    async def picture(self) -> Picture:
        """The picture, at most about `every` seconds old."""
        async with self._lock:
            began = time.monotonic()
            if began >= self._fresh_until:
                self._picture = await self._paint()
                cost = time.monotonic() - began
                self._fresh_until = began + max(self._every * 0.9, 10 * cost)
            return self._picture


class Watchers:
    """Everybody who watches; `stop` lets them go, so that a server can end."""

    def __init__(self) -> None:
        self.stopping = False
        self.watching = 0

    def stop(self) -> None:
        """End every stream within a moment; may be called from any thread."""
        self.stopping = True

    async def follow(self, *feeds: Feed) -> AsyncIterator[str]:
        """Server-sent events: each part of the feeds' pictures when it changes, and a heartbeat."""
        self.watching += 1
        began = spoke = time.monotonic()
        sent: dict[str, str] = {}
        known = {feed for feed in feeds if not feed.drawn}
        try:
            yield "retry: 2000\n\n"
            while not self.stopping and time.monotonic() - began < LONGEST:
                try:
                    pictures = [(feed, await feed.picture()) for feed in feeds]
                except Exception as error:  # noqa: BLE001  (a store that is down for a while must not end the page)
                    log.warning("the live page could not look", error=type(error).__name__)
                    await asyncio.sleep(EVERY)
                    continue
                for feed, picture in pictures:
                    for name, html in picture.parts.items():
                        if sent.get(name) != html:
                            sent[name] = html
                            if feed in known:
                                spoke = time.monotonic()
                                yield message(name, html)
                    known.add(feed)
                if time.monotonic() - spoke > HEARTBEAT:
                    spoke = time.monotonic()
                    yield ": still here\n\n"
                await asyncio.sleep(TICK)
        finally:
            self.watching -= 1
