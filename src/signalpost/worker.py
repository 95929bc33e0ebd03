"""The loops that keep Signalpost going: journal -> pipeline, a dispatcher for each destination, and pruning.

This is where the clock and the luck come from. Start with `Worker.run`, stop with `Worker.stop`: what is being sent is
finished and written, everything else waits in the database for the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import structlog
from aiolimiter import AsyncLimiter
from msgspec.structs import replace

from signalpost import delivery, pipeline
from signalpost.config import Workspace, duration
from signalpost.delivery import Breaker, Fate, Leased
from signalpost.destinations.contract import Outcome
from signalpost.errors import StoreError, TransportError
from signalpost.processing import AUDIENCES, BATCH, Apart, Processing, now_ms, plan_of
from signalpost.sources import Reading, Received
from signalpost.state import Decision
from signalpost.store import batches, outbox, pauses, sums, trends, upkeep
from signalpost.store.database import Connection, Database
from signalpost.transport import Transport

log = structlog.get_logger("signalpost")

LEASE_MS = 120_000
"""How long a signal in hand stays ours; longer than any request may take."""

HAND_LIMIT = 4_000
"""Signals a destination holds in memory at most, beside those in flight."""

LOOK_MS = 2_000
"""How often the outbox is looked at for what others put there (replay, expired leases)."""

FRESH_LIMIT = 10 * BATCH
"""Events behind which the pipeline may be for a request's reading to be kept; the rest it reads again from the journal."""

PAUSES_SECONDS = 1
"""How often it is looked which destinations are paused."""

RECOUNT_SECONDS = 5
"""How often the count of waiting events is taken from the database."""

BACKLOG_LIMIT = 200_000
"""Events that may wait for the pipeline before clients are asked to come again."""


def _condense(connection: Connection) -> bool:
    """Sum up what hours that are over counted; gives whether there is more."""
    now = now_ms()
    return sums.fold(connection, now) or trends.condense(connection, now, most=4) > 0


def _backlog(connection: Connection) -> int:
    return int(connection.rows("backlog_count")[0][1])


def _close_breaker(destination: str, connection: Connection) -> None:
    outbox.wake(connection, destination, now_ms())


class Dispatcher:
    """One destination's way out: leases signals, keeps some requests in flight, settles what the platform answers.

    While sending keeps up, the pipeline hands its signals over directly (`take`), already leased in the database by the very
    commit that made them; what is behind, or waits for another try, is leased from the outbox.
    """

    def __init__(self, database: Database, workspace: Workspace, route: pipeline.Route, *, timeout: float) -> None:
        chosen = workspace.destinations[route.name]
        self.database, self.route, self.platform = database, route, route.platform
        self.limits = replace(route.platform.limits, oldest_ms=route.oldest_ms)
        """The platform's, with the workspace's own `oldest`."""
        self.base = (chosen.endpoint or self.platform.default_base).rstrip("/")
        self.wished = chosen.batch
        self.linger = duration(chosen.linger) / 1000
        self.connections = chosen.connections
        self.transport = Transport(connections=chosen.connections, timeout=timeout)
        self.pace = AsyncLimiter(max(1.0, self.platform.limits.requests_per_second), 1.0)
        self.breaker: Breaker = delivery.CLOSED
        self.paused = False
        """Whether somebody said that its signals shall wait (`store.pauses`)."""
        self.latencies: deque[int] = deque(maxlen=5_000)
        """Intake to accepted, ms, of the latest accepted signals."""
        self._ready: deque[Leased] = deque()
        self._behind = True
        self._look_at = 0
        self._wake = asyncio.Event()
        self._flights: set[asyncio.Task[None]] = set()

    # ---- what the pipeline hands over --------------------------------------------------------------------------------------

    def keeps_up(self) -> bool:
        """Whether signals may be handed over directly: nothing waits in the outbox before them and sending works."""
        return not self._behind and not self.paused and not self.breaker.failures and len(self._ready) < HAND_LIMIT

    def take(self, signals: Iterable[Leased]) -> None:
        """Signals that a commit has just leased to us."""
        self._ready.extend(signals)
        self._wake.set()

    def look(self) -> None:
        """Something new waits in the outbox."""
        self._behind = True
        self._look_at = 0
        self._wake.set()

    def pause(self, paused: bool) -> None:
        """Whether signals shall wait from now on: what is in flight is finished, what is in hand goes back to the outbox."""
        if paused != self.paused:
            self.paused = paused
            self.look()
            log.info("destination paused" if paused else "destination resumed", destination=self.route.name)

    # ---- life --------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Dispatch until cancelled."""
        while True:
            try:
                await self._turn()
            except StoreError as error:
                log.error("store failed", destination=self.route.name, error=str(error))
                await asyncio.sleep(1)

    async def stop(self, seconds: float) -> None:
        """Finish what is in flight, give back what is in hand, let go of the connections. `run` must have been cancelled."""
        if self._flights:
            await asyncio.wait(self._flights, timeout=seconds)
        for flight in self._flights:
            flight.cancel()
        with contextlib.suppress(StoreError):  # the lease ends by itself
            await self._give_back()
        await self.transport.close()

    async def _turn(self) -> None:
        resting = self.breaker.failures > 0
        if self._ready and (resting or self.paused):
            await self._give_back()
        if self.paused:
            self._wake.clear()
            if not self._ready:  # none was handed over meanwhile
                await self._wake.wait()
            return
        if self.breaker.until > (now := now_ms()):
            await asyncio.sleep((self.breaker.until - now) / 1000)
            return
        if len(self._flights) >= (1 if resting else self.connections):
            await asyncio.wait(self._flights, return_when=asyncio.FIRST_COMPLETED)
            return
        self._wake.clear()
        most = delivery.batch_limit(self.platform.limits, self.wished, self.breaker)
        signals: list[Leased] = []
        if self._ready:
            signals = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
        elif now >= self._look_at:
            signals = await self._lease(most)
        if signals:
            flight = asyncio.create_task(self._deliver(signals))
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
        if len(self._ready) < most and not self._behind:
            # `asyncio.wait_for` of Python 3.11 may lose a cancellation that comes together with the call.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, (self._look_at - now_ms()) / 1000)):
                    await self._wake.wait()
            if len(self._ready) < most:
                await asyncio.sleep(self.linger)  # a fuller request costs the platform and us less

    async def _lease(self, most: int) -> list[Leased]:
        """Signals that waited in the outbox; notes whether more are behind them, or when the next is due."""
        now, name = now_ms(), self.route.name
        leasing = asyncio.ensure_future(
            self.database.write(lambda connection: outbox.lease(connection, name, most=most, now=now, until=now + LEASE_MS))
        )
        try:
            signals = await asyncio.shield(leasing)
        except asyncio.CancelledError:
            self._ready.extend(await leasing)  # `stop` gives them back
            raise
        self._behind = len(signals) >= most
        if not signals:
            due = await self.database.read(lambda connection: connection.rows("outbox_next_due", name)[0][0])
            self._look_at = now_ms() + LOOK_MS if due is None else max(now_ms() + 20, min(due, now_ms() + LOOK_MS))
        return signals

    async def _give_back(self) -> None:
        """Release what is in hand and not in flight; it was not sent, so it counts as no attempt."""
        held = list(self._ready)
        self._ready.clear()
        self._behind = True
        self._look_at = 0
        if held:
            rows = [(0, signal.first_attempt_at, signal.id) for signal in held]  # due again at once
            await self.database.write(lambda connection: connection.run_many("outbox_release", rows))

    async def _deliver(self, signals: Sequence[Leased]) -> None:
        try:
            now, limits = now_ms(), self.limits
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
        except Exception as error:
            # A defect of ours: the signals stay leased and are tried again when the lease ends, others go on.
            log.exception("signals could not be sent", destination=self.route.name, error=str(error))

    async def _send(self, signals: Sequence[Leased]) -> None:
        """One request; a batch refused for one of its events is asked again in halves until that event stands alone."""
        async with self.pace:
            started = now_ms()
            outcomes, status, request_id = await self._ask(signals)
        if len(signals) > 1 and all(outcome.kind == "split" for outcome in outcomes):
            for half in delivery.halves(delivery.marked(signals, outcomes, started)):
                await self._send(half)
            return
        ended = now_ms()
        limits = self.limits
        luck = random.random()  # one for all: what failed together is tried together
        before, self.breaker = self.breaker, delivery.after(self.breaker, outcomes, now=ended, luck=luck)
        self._tell(before)
        fates = [
            delivery.fate(signal, outcome, limits=limits, now=ended, luck=luck)
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
        again = [fate.due_at for fate in fates if fate.verdict is None]
        if again:
            self._look_at = min(self._look_at, max(again))
            self._wake.set()
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
                await self.database.write(partial(outbox.settle, sent=sent, fates=fates, breaker=breaker))
            except StoreError as error:
                # The platform's answer must not be forgotten because the disk is full: keep it in hand and try again.
                log.error("verdicts not yet written", destination=self.route.name, error=str(error))
                await asyncio.sleep(1)
                sent = replace(sent, counted_at=now_ms())  # the minute it was answered in may be summed up by now
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

    def __init__(self, database: Database, workspace: Workspace, *, timeout: float = 20.0, apart: bool = False) -> None:
        """`timeout`: seconds a platform may be silent before a request counts as unanswered. `apart`: the pipeline runs in a
        process of its own, as `serve` has it.
        """
        self.database, self.workspace = database, workspace
        self.plan = plan_of(database, workspace)
        self.dispatchers = [Dispatcher(database, workspace, route, timeout=timeout) for route in self.plan.routes]
        self.backlog = 0
        self.failing: str | None = None
        """Why the store does not take requests at the moment."""
        self._processing: Processing | Apart
        if apart:
            self._processing = Apart(workspace, after=self._told)
        else:
            self._processing = Processing(database, self.plan, before=self._hand_over, after=self._committed)
            self._processing.follows = self._moved
        self.audiences_moved: Callable[[], None] = lambda: None
        """Called when an audience wants other people than before."""
        self._pipeline: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # ---- intake's side -----------------------------------------------------------------------------------------------------

    async def append(self, received: Received, reading: Reading) -> None:
        """Write a request to the journal; returns when it is durable, raises `StoreError` when it is not."""
        messages = len(reading.events)
        try:
            position = await self.database.write(lambda connection: batches.append(connection, received, messages))
        except StoreError as error:
            self.failing = str(error)
            raise
        self.failing = None
        if self.backlog < FRESH_LIMIT and isinstance(self._processing, Processing):
            self._processing.fresh[position] = reading
        self.backlog += messages
        self._processing.wake()

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
        await self._look_at_pauses()
        self.backlog = await self.database.read(_backlog)
        self._pipeline = asyncio.create_task(self._processing.run())
        own = (self._prune(), self._recount(), self._obey(), self._sum_up())
        loops = (*(dispatcher.run() for dispatcher in self.dispatchers), *own)
        self._tasks = [self._pipeline, *(asyncio.create_task(loop) for loop in loops)]

    async def stop(self, seconds: float = 10.0) -> None:
        """Finish the batch and the requests in hand, then stop; everything else is durable and waits."""
        self._processing.stop()
        if self._pipeline is not None:
            await asyncio.wait([self._pipeline], timeout=seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for dispatcher in self.dispatchers:
            await dispatcher.stop(seconds)

    def _committed(self, made: Decision, handed: list[tuple[Dispatcher, list[Leased]]]) -> None:
        """A batch of our own process is durable."""
        for dispatcher, signals in handed:
            dispatcher.take(signals)
        self._told(len(made.events), [row[1] for row in made.outbox if not row[9]])
        self._moved(made)

    def _moved(self, made: Decision) -> None:
        """What time alone changed is durable."""
        if made.wanted:
            self.audiences_moved()

    def _told(self, events: int, names: Iterable[str]) -> None:
        """A batch is durable: so many events are through, and these destinations have new signals in the outbox."""
        self.backlog = max(0, self.backlog - events)
        behind = set(names)
        if AUDIENCES in behind:
            self.audiences_moved()
        for dispatcher in self.dispatchers:
            if dispatcher.route.name in behind:
                dispatcher.look()

    def _hand_over(self, made: Decision) -> list[tuple[Dispatcher, list[Leased]]]:
        """Mark the signals of destinations that keep up as leased from the start; gives who gets what after the commit."""
        handed = []
        for dispatcher in self.dispatchers:
            if dispatcher.keeps_up():
                signals = outbox.lease_new(made, dispatcher.route.name, until=made.now + LEASE_MS)
                if signals:
                    handed.append((dispatcher, signals))
        return handed

    async def _look_at_pauses(self) -> None:
        paused = await self.database.read(pauses.paused)
        for dispatcher in self.dispatchers:
            dispatcher.pause(dispatcher.route.name in paused)

    async def _obey(self) -> None:
        """Follow who pauses and resumes destinations, in whatever process."""
        while True:
            await asyncio.sleep(PAUSES_SECONDS)
            with contextlib.suppress(StoreError):  # what was known last goes on; the lease asks by itself
                await self._look_at_pauses()

    async def _recount(self) -> None:
        """Set the running count of what waits for the pipeline right: a request set aside or a child that died is never told."""
        while True:
            await asyncio.sleep(RECOUNT_SECONDS)
            with contextlib.suppress(StoreError):  # told by those who write; the next count comes soon
                self.backlog = await self.database.read(_backlog)

    async def _sum_up(self) -> None:
        """Sum the counters up by the hour and the day, a few hours at a time."""
        while True:
            try:
                more = await self.database.write(_condense)
            except StoreError as error:
                log.error("summing up is tried again", error=str(error))
                more = False
            await asyncio.sleep(0.1 if more else 60)

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
