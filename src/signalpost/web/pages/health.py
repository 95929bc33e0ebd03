"""`/healthz`: whether the store answers and the pipeline moves, and nothing else."""

from __future__ import annotations

import asyncio

import structlog
from starlette.responses import JSONResponse, Response

from signalpost.web.routing import ANYONE, part
from signalpost.web.visit import Visit

log = structlog.get_logger("signalpost")

STUCK_MS = 60_000
"""A pipeline whose oldest request has not changed for so long does not move."""

TIMEOUT_S = 5.0


class Pulse:
    """Whether the pipeline moves: remembers the oldest waiting request and since when it has been the oldest."""

    def __init__(self) -> None:
        self._oldest: int | None = None
        self._since = 0

    def moves(self, oldest: int | None, now: int) -> bool:
        """Whether the queue is empty or its head changed lately; ask at least once a minute."""
        if oldest is None or oldest != self._oldest:
            self._oldest, self._since = oldest, now
        return oldest is None or now - self._since < STUCK_MS


async def health(visit: Visit) -> Response:
    """200 when all is well, else 503; says nothing else to strangers."""
    pulse = visit.console.kept.setdefault(Pulse, Pulse())
    failing = visit.console.worker.failing
    try:
        rows = await asyncio.wait_for(visit.read(lambda connection: connection.rows("backlog_oldest")), TIMEOUT_S)
    except Exception as error:  # noqa: BLE001  (whatever it is, the store does not answer)
        log.error("health check: the store does not answer", error=str(error))
        return JSONResponse({"status": "failing", "store": False, "pipeline": False}, 503)
    moves = pulse.moves(rows[0][0] if rows else None, visit.now)
    healthy = moves and failing is None
    return JSONResponse(
        {"status": "ok" if healthy else "failing", "store": failing is None, "pipeline": moves}, 200 if healthy else 503
    )


WAYS = (part("/healthz", health, ANYONE),)
