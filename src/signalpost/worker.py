"""The loops that keep Signalpost going: journal -> pipeline, a dispatcher for each destination, and pruning.

This is where the clock and the luck come from. Start with `Worker.run`, stop with `Worker.stop`: what is being sent is
finished and written, everything else waits in the database for the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

import structlog
from aiolimiter import AsyncLimiter

from signalpost import delivery, pipeline
from signalpost.config import Workspace, duration
from signalpost.delivery import Breaker, Fate, Leased
from signalpost.destinations.contract import Outcome
from signalpost.errors import StoreError, TransportError
from signalpost.sources import Reading, Received
from signalpost.state import Decision
from signalpost.store import batches, outbox, upkeep
from signalpost.store.database import Connection, Database
from signalpost.transport import Transport

log = structlog.get_logger("signalpost")

LEASE_MS = 120_000
"""How long a signal in hand stays ours; longer than any request may take."""

BATCH = 500
"""Events the pipeline takes at once."""

BACKLOG_LIMIT = 200_000
"""Events that may wait for the pipeline before clients are asked to come again."""


def now_ms() -> int:
    """The clock: epoch ms, UTC."""
    return time.time_ns() // 1_000_000


def _close_breaker(destination: str, connection: Connection) -> None:
    connection.run("breaker_clear", destination)


def _commit(made: Decision, connection: Connection) -> None:
    pipeline.commit(connection, made)


class Dispatcher:
    """One destination's way out: leases signals, keeps some requests in flight, settles what the platform answers."""

    def __init__(self, database: Database, workspace: Workspace, route: pipeline.Route) -> None:
        chosen = workspace.destinations[route.name]
        self.database, self.route, self.platform = database, route, route.platform
        self.base = (chosen.endpoint or self.platform.default_base).rstrip("/")
        self.wished = chosen.batch
        self.linger = duration(chosen.linger) / 1000
        self.connections = chosen.connections
        self.transport = Transport(connections=chosen.connections)
        self.pace = AsyncLimiter(max(1.0, self.platform.limits.requests_per_second), 1.0)
        self.breaker: Breaker = delivery.CLOSED
        self.wake = asyncio.Event()
        self.latencies: deque[int] = deque(maxlen=5_000)
        """Intake to accepted, ms, of the latest accepted signals."""
        self._flights: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Dispatch until cancelled."""
        try:
            while True:
                try:
                    await self._turn()
                except StoreError as error:
                    log.error("store failed", destination=self.route.name, error=str(error))
                    await asyncio.sleep(1)
        finally:
            for flight in self._flights:
                flight.cancel()

    async def drain(self, seconds: float) -> None:
        """Wait for what is in flight, then let go of the connections."""
        if self._flights:
            await asyncio.wait(self._flights, timeout=seconds)
        await self.transport.close()

    async def _turn(self) -> None:
        resting = self.breaker.failures > 0
        if self.breaker.until > (now := now_ms()):
            await asyncio.sleep((self.breaker.until - now) / 1000)
            return
        if len(self._flights) >= (1 if resting else self.connections):
            await asyncio.wait(self._flights, return_when=asyncio.FIRST_COMPLETED)
            return
        self.wake.clear()
        most = delivery.batch_limit(self.platform.limits, self.wished, self.breaker)
        signals = await self.database.write(
            lambda connection: outbox.lease(connection, self.route.name, most=most, now=now_ms(), until=now_ms() + LEASE_MS)
        )
        if not signals:
            await self._rest()
            return
        flight = asyncio.create_task(self._deliver(signals))
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)
        if len(signals) < most:
            await self._wait(self.linger)

    async def _rest(self) -> None:
        due = await self.database.read(lambda connection: connection.rows("outbox_next_due", self.route.name)[0][0])
        now = now_ms()
        if due is None:
            await self._wait(5.0)
        else:
            await self._wait(max(0.02, min((due - now) / 1000, 5.0)))
        if self.wake.is_set():
            await asyncio.sleep(self.linger)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), seconds)

    async def _deliver(self, signals: Sequence[Leased]) -> None:
        try:
            now, limits = now_ms(), self.platform.limits
            overdue = [fate for signal in signals if (fate := delivery.overdue(signal, limits=limits, now=now))]
            if overdue:
                gone = {fate.signal.id for fate in overdue}
                signals = [signal for signal in signals if signal.id not in gone]
                sent = outbox.Sent(destination=self.route.name, started_at=now, ended_at=now, signals=len(overdue), status=None,
                                   summary="not sent: too late")  # fmt: skip
                await self._settle(sent, overdue)
            if signals:
                await self._send(signals)
        except StoreError as error:
            log.error("store failed", destination=self.route.name, error=str(error))

    async def _send(self, signals: Sequence[Leased]) -> None:
        """One request; a batch refused for one of its events is asked again in halves until that event stands alone."""
        async with self.pace:
            started = now_ms()
            outcomes, status, request_id = await self._ask(signals)
        if len(signals) > 1 and all(outcome.kind == "split" for outcome in outcomes):
            for half in delivery.halves(signals):
                await self._send(half)
            return
        ended = now_ms()
        limits = self.platform.limits
        before, self.breaker = self.breaker, delivery.after(self.breaker, outcomes, now=ended, luck=random.random())
        self._tell(before)
        fates = [
            delivery.fate(signal, outcome, limits=limits, breaker=self.breaker, now=ended, luck=random.random())
            for signal, outcome in zip(signals, outcomes, strict=True)
        ]
        settled = sum(fate.verdict is not None for fate in fates)
        worst = next((fate.sentence for fate in fates if fate.verdict not in {"accepted", "warned"}), None)
        summary = f"{settled} of {len(fates)} settled" + (f"; {worst}" if worst else "")
        sent = outbox.Sent(
            destination=self.route.name,
            started_at=started,
            ended_at=ended,
            signals=len(signals),
            status=status,
            summary=summary,
            platform_request=request_id,
        )
        await self._settle(sent, fates)
        for fate in fates:
            if fate.verdict in {"accepted", "warned"}:
                self.latencies.append(ended - fate.signal.received_at)

    async def _ask(self, signals: Sequence[Leased]) -> tuple[list[Outcome], int | None, str | None]:
        request = self.platform.request(self.route.settings, self.base, [signal.body for signal in signals], self.route.test)
        try:
            response = await self.transport.send(request)
        except TransportError as error:
            lost = Outcome(kind="retry", code="no_answer", sentence=str(error), reached=error.reached)
            return [lost] * len(signals), None, None
        request_id = self.platform.request_id(response)
        return self.platform.outcomes(response, len(signals)), response.status, request_id

    async def _settle(self, sent: outbox.Sent, fates: Sequence[Fate]) -> None:
        breaker = self.breaker
        while True:
            try:
                await self.database.write(lambda connection: outbox.settle(connection, sent, fates, breaker))
            except StoreError as error:
                # The platform's answer must not be forgotten because the disk is full: keep it in hand and try again.
                log.error("verdicts not yet written", destination=self.route.name, error=str(error))
                await asyncio.sleep(1)
            else:
                return

    def _tell(self, before: Breaker) -> None:
        now = self.breaker
        if now.failures and (not before.failures or before.sentence != now.sentence):
            log.warning("destination rests", destination=self.route.name, why=now.sentence, blocked=now.blocked, until=now.until)
        elif before.failures and not now.failures:
            log.info("destination sends again", destination=self.route.name)


class Worker:
    """Everything that runs beside the web server, on one database."""

    def __init__(self, database: Database, workspace: Workspace) -> None:
        self.database, self.workspace = database, workspace
        self.plan = pipeline.plan(workspace)
        self.dispatchers = [Dispatcher(database, workspace, route) for route in self.plan.routes]
        self.backlog = 0
        self.failing: str | None = None
        """Why the store does not take requests at the moment."""
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # ---- intake's side -----------------------------------------------------------------------------------------------------

    async def append(self, received: Received, reading: Reading) -> None:
        """Write a request to the journal; returns when it is durable, raises `StoreError` when it is not."""
        messages = len(reading.events)
        await self.database.write(lambda connection: batches.append(connection, received, messages))
        self.backlog += messages
        self._arrived.set()

    def overload(self) -> int | None:
        """Seconds a client shall wait when the pipeline is far behind, else None."""
        return 5 if self.backlog > BACKLOG_LIMIT else None

    # ---- life --------------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what an earlier process left and start the loops."""
        if self.database.embedded:
            await self.database.write(lambda connection: connection.run("outbox_release_all"))
        for dispatcher in self.dispatchers:
            await self.database.write(partial(_close_breaker, dispatcher.route.name))
        self.backlog = await self.database.read(lambda connection: int(connection.rows("backlog_count")[0][1]))
        self._tasks = [asyncio.create_task(dispatcher.run()) for dispatcher in self.dispatchers]
        self._tasks.append(asyncio.create_task(self._process()))
        self._tasks.append(asyncio.create_task(self._prune()))

    async def stop(self, seconds: float = 10.0) -> None:
        """Finish the batch and the requests in hand, then stop; everything else is durable and waits."""
        self._stopping.set()
        self._arrived.set()
        processing = self._tasks[-2:-1]
        if processing:
            await asyncio.wait(processing, timeout=seconds)
        flights = [flight for dispatcher in self.dispatchers for flight in dispatcher._flights]
        if flights:
            await asyncio.wait(flights, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for dispatcher in self.dispatchers:
            await dispatcher.drain(1)

    async def _process(self) -> None:
        while not self._stopping.is_set():
            self._arrived.clear()
            try:
                made = await self.database.read(lambda connection: pipeline.step(connection, self.plan, now_ms(), BATCH))
                if made is None:
                    self.backlog = 0
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._arrived.wait(), 1.0)
                    continue
                await self.database.write(partial(_commit, made))
            except StoreError as error:
                log.error("a batch is tried again", error=str(error))
                await asyncio.sleep(1)
                continue
            self.backlog = max(0, self.backlog - len(made.events))
            if made.outbox:
                names = {row[0] for row in made.outbox}
                for dispatcher in self.dispatchers:
                    if dispatcher.route.name in names:
                        dispatcher.wake.set()

    async def _prune(self) -> None:
        """Drop what is older than the workspace keeps, a little at a time."""
        while True:
            try:
                dropped = await self.database.write(
                    lambda connection: upkeep.prune(connection, self.workspace.retention, now_ms())
                )
            except StoreError as error:
                log.error("pruning is tried again", error=str(error))
                dropped = 0
            await asyncio.sleep(0.2 if dropped else 60)
