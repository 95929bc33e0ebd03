"""Answers that take too long for a page: computed on a thread beside it, kept, and told with their moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar, cast

import structlog
from msgspec import Struct

from signalpost.errors import SignalpostError

log = structlog.get_logger("signalpost")

Answer = TypeVar("Answer")

MOST = 24
"""Answers kept; the one longest not asked for goes first."""

PATIENCE_S = 0.05
"""So long a page waits: on a small database nearly everything is answered within it."""


class Made(Struct, Generic[Answer], frozen=True, kw_only=True):
    """What is known of an answer now."""

    value: Answer | None
    """None while there is none yet, or when it failed."""
    at: int
    """When it was computed (epoch ms); 0 for none."""
    running: bool
    """Whether it is being computed, for the first time or anew."""
    failed: str
    """Why there is none, for people."""


class _Kept:
    """One answer between visits."""

    def __init__(self) -> None:
        self.value: Any = None
        self.at = 0
        self.failed = ""
        self.asked = 0.0
        self.running: Future[Any] | None = None


class Beside:
    """One thread for all that is costly: two heavy reads at once would only slow each other, and the flow."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="console-beside")
        self._kept: dict[Hashable, _Kept] = {}

    async def ask(self, key: Hashable, work: Callable[[], Answer], *, now: int, fresh_ms: int) -> Made[Answer]:
        """The answer under this key: the kept one while it is younger than `fresh_ms`, else it is computed, and the older one
        told meanwhile. An answer that changes with time has its time in the key."""
        kept = self._kept.setdefault(key, _Kept())
        kept.asked = time.monotonic()
        self._forget()
        if kept.running is None and (not kept.at or now - kept.at >= fresh_ms):
            kept.running = self._thread.submit(work)
            kept.running.add_done_callback(lambda done: self._settle(kept, done))
        if kept.running is not None and kept.value is None:
            await asyncio.wait([asyncio.wrap_future(kept.running)], timeout=PATIENCE_S)
        return Made(value=cast("Answer | None", kept.value), at=kept.at, running=kept.running is not None, failed=kept.failed)

    @staticmethod
    def _settle(kept: _Kept, done: Future[Any]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is None and not done.cancelled():
            kept.value, kept.failed = done.result(), ""
        elif isinstance(error, SignalpostError):
            kept.failed = str(error)
        elif error is not None:
            log.error("what a page asked for beside itself failed", error=type(error).__name__, exc_info=error)
            kept.failed = "This could not be computed. The server's log says why."
        kept.at = time.time_ns() // 1_000_000
        kept.running = None

    def _forget(self) -> None:
        idle = sorted((key for key, each in self._kept.items() if each.running is None), key=lambda key: self._kept[key].asked)
        for key in idle[: max(0, len(self._kept) - MOST)]:
            del self._kept[key]
