"""The pipeline at work: requests of the journal through the pipeline, batch by batch, for ever.

`Processing` is the loop. `Apart` runs it in a process of its own: deciding is the one step that needs a whole processor, and
beside it intake and sending would wait for each other's turn. Parent and child share nothing but the database, a line in
each direction ("something has come", "so many events are through") and, at the start, the workspace.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import structlog

from signalpost import backfill, pipeline
from signalpost.config import Workspace
from signalpost.errors import StoreError
from signalpost.memberships import fired as decide_time
from signalpost.segments import live
from signalpost.sources import Reading
from signalpost.state import Decision
from signalpost.store import batches, memberships
from signalpost.store.database import Connection, Database

log = structlog.get_logger("signalpost")

BATCH = 100
"""Events the pipeline takes at once: so many stay in a processor's cache."""

DUE = 500
"""People whose due moments one transaction takes."""

SETTLED_MS = 50
"""A moment is due when it is so long ago: by then the journal has every request that came before it."""

TURN_MS, FILL_MS = 100, 200
"""How often, beside a stream of requests, time moves people and a backfill goes on."""

AUDIENCES = "*"
"""Told in the place of a destination: an audience wants other people than before."""

LOOK_MS = 5_000
"""How often bounds of value tiers are looked at."""

IDLE_SECONDS = 1.0

MARKS_LIMIT = 50_000
"""Marks kept in memory; clients may name their properties anything."""


def now_ms() -> int:
    """The clock: epoch ms, UTC."""
    return time.time_ns() // 1_000_000


def collect_rarely() -> None:
    """Let the garbage collector rest: a batch makes many small objects and no cycles, so it would only look and find nothing."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def quiet_logs(least: int = logging.INFO) -> None:
    """Log lines as JSON on standard error, one a line, of this level or above."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(least),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def plan_of(database: Database, workspace: Workspace) -> pipeline.Plan:
    """The workspace compiled, with the numbers this database gave; what is new in it begins a backfill."""
    now = now_ms()
    return pipeline.plan(workspace, database.submit(lambda connection: memberships.numbers(connection, workspace, now)).result())


def passed(connection: Connection, now: int) -> int:
    """The moment up to which time may move people: never past a request that still waits, since the person may have bought."""
    waiting = connection.rows("backlog_oldest")
    return min(now - SETTLED_MS, waiting[0][1]) if waiting else now - SETTLED_MS


def _set_aside_first(connection: Connection) -> None:
    batches.set_aside(connection, batches.next_positions(connection, 1)[0])


def _commit(made: Decision, connection: Connection) -> None:
    pipeline.commit(connection, made)


class Processing:
    """The loop. `before` is called with each decision before it is written (and may lease its signals), `after` with the
    decision and what `before` gave, once it is durable.
    """

    def __init__(
        self,
        database: Database,
        plan: pipeline.Plan,
        *,
        before: Callable[[Decision], Any],
        after: Callable[[Decision, Any], None],
    ) -> None:
        self.database, self.plan, self.before, self.after = database, plan, before, after
        self.fresh: dict[int, Reading] = {}
        """What the intake has just read, by journal position, so that it need not be read twice."""
        self.marks: set[tuple[str, ...]] = set()
        """What was marked as seen, so that it is not written for every event."""
        self.follows: Callable[[Decision], None] = lambda _: None
        """Called with what time alone changed, once it is durable."""
        self._arrived = asyncio.Event()
        self._stopping = False
        self._filling = True
        """Whether a backfill may be under way."""
        self._timed_at = self._filled_at = self._looked_at = 0

    def wake(self) -> None:
        """A request has come."""
        self._arrived.set()

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopping = True
        self._arrived.set()

    async def run(self) -> None:
        """Process until stopped."""
        most = BATCH
        batch: pipeline.Batch | None = None
        while not self._stopping:
            self._arrived.clear()
            try:
                if batch is None:
                    batch = await self.database.read(partial(self._take, most, ()))
                rest = await self._pass(busy=batch is not None)
                if batch is None:
                    self.fresh.clear()
                    most = BATCH
                    if rest > 0:
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(rest):
                                await self._arrived.wait()
                    continue
                made = await self.database.read(partial(self._resolve, batch))
                handed = self.before(made)
                # While the disk takes this batch, the next one is read.
                committed, following = await asyncio.gather(
                    self.database.write(partial(_commit, made)),
                    self.database.read(partial(self._take, most, made.positions)),
                    return_exceptions=True,
                )
                batch = following if isinstance(following, pipeline.Batch) else None  # what failed is read again, alone
                if isinstance(committed, BaseException):
                    raise committed
            except StoreError as error:
                batch = None
                log.error("a batch is tried again", error=str(error))
                await asyncio.sleep(1)
                continue
            except Exception as error:
                # A defect of ours must not stop the flow: batches get smaller until the request at fault stands alone
                # and is set aside.
                batch = None
                log.exception("a batch could not be processed", error=str(error))
                if most == 1:
                    with contextlib.suppress(StoreError):  # then it is set aside next time
                        await self.database.write(_set_aside_first)
                most = max(1, most // 4)
                continue
            most = min(BATCH, most * 4)
            self.after(made, handed)

    # ---- what time and new rules do ----------------------------------------------------------------------------------------

    async def _pass(self, *, busy: bool) -> float:
        """Let time move people and bring new rules up to date; gives how long (s) there is nothing more of it to do.

        Beside a stream of requests it takes turns: time every `TURN_MS`, a piece of a backfill every `FILL_MS`.
        """
        now, rest = now_ms(), IDLE_SECONDS
        if self.plan.segments is not live.NONE and now >= self._timed_at + (TURN_MS if busy else 0):
            self._timed_at = now
            made, until = await self.database.read(partial(self._due, now))
            if made.people:
                await self.database.write(partial(batches.fire, made=made))
                self.follows(made)
            if made.told:
                self.wake()
            rest = min(rest, max(0, until - now_ms()) / 1000)
        if self._filling and now >= self._filled_at + (FILL_MS if busy else 0):
            self._filled_at = now
            if await self._fill(now):
                rest = 0.0
        if self.plan.workspace.value_tiers and now >= self._looked_at + LOOK_MS:
            self._looked_at = now
            if await self.database.write(
                partial(memberships.recut, workspace=self.plan.workspace, known=self.plan.bands, now=now)
            ):
                await self._plan_anew()
                self._filling = True
        return rest

    def _due(self, now: int, connection: Connection) -> tuple[Decision, int]:
        """What time alone changes by now, and when it next changes anything."""
        upto = passed(connection, now)
        people = memberships.people_due(connection, upto, DUE)
        made = decide_time(people, upto, self.plan, now)
        if len(people) == DUE:
            return made, now
        after = memberships.next_due(connection, upto)
        return made, now + LOOK_MS if after is None else after + SETTLED_MS

    async def _fill(self, now: int) -> bool:
        """One piece of the oldest backfill; whether there was one."""
        found = await self.database.read(partial(self._piece, now))
        self._filling = found is not None
        if found is None:
            return False
        await self.database.write(partial(backfill.commit, made=found, now=now))
        self.follows(found.moved)
        if found.moved.told:
            self.wake()
        if found.turns or found.ends:
            await self._plan_anew()
        return True

    def _piece(self, now: int, connection: Connection) -> backfill.Piece | None:
        waiting = memberships.backfills(connection)
        if not waiting:
            return None
        return backfill.piece(connection, self.plan, waiting[0], passed(connection, now), now)

    async def _plan_anew(self) -> None:
        workspace = self.plan.workspace
        self.plan = pipeline.plan(workspace, await self.database.write(partial(memberships.known, workspace=workspace)))

    def _take(self, most: int, taken: Sequence[int], connection: Connection) -> pipeline.Batch | None:
        return pipeline.take(connection, self.plan, most, self.fresh, taken)

    def _resolve(self, batch: pipeline.Batch, connection: Connection) -> Decision:
        if len(self.marks) > MARKS_LIMIT:
            self.marks.clear()
        return pipeline.resolve(connection, self.plan, batch, now_ms(), self.marks)


class Apart:
    """`Processing` in a process of its own, started again should it end by itself."""

    def __init__(self, workspace: Workspace, *, after: Callable[[int, list[str]], None]) -> None:
        """`after` is called with each batch's number of events and the destinations that have new signals, or `AUDIENCES`."""
        self.workspace, self.after = workspace, after
        self._child: asyncio.subprocess.Process | None = None
        self._stopping = False

    def wake(self) -> None:
        """A request has come."""
        if self._child is not None and self._child.stdin is not None and not self._stopping:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it is being started again and will look by itself
                self._child.stdin.write(b"\n")

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopping = True
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()

    async def run(self) -> None:
        """Keep the child going until stopped."""
        while not self._stopping:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "signalpost.processing",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )
            assert self._child.stdin is not None  # noqa: S101  (asked for above)
            assert self._child.stdout is not None  # noqa: S101
            try:
                self._child.stdin.write(msgspec.json.encode(self.workspace) + b"\n")
                if self._stopping:  # asked to while the child was being started
                    self._child.stdin.close()
                async for line in self._child.stdout:
                    count, *names = line.decode().split("\t")
                    self.after(int(count), [name.rstrip("\n") for name in names])
                code = await self._child.wait()
            except asyncio.CancelledError:
                self._child.kill()
                await self._child.wait()
                raise
            if not self._stopping:
                log.error("the pipeline ended by itself and is started again", code=code)
                await asyncio.sleep(1)


async def _apart() -> None:
    """The child: reads the workspace, then a line for each request that comes; ends with its parent."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    workspace = msgspec.json.decode(await lines.readline(), type=Workspace)
    database = Database(workspace.database, readers=2)
    plan = plan_of(database, workspace)

    def after(made: Decision, _: None = None) -> None:
        names = {row[1]: None for row in made.outbox}
        if made.wanted:
            names[AUDIENCES] = None
        if made.events or names:
            sys.stdout.write("\t".join([str(len(made.events)), *names]) + "\n")
            sys.stdout.flush()

    processing = Processing(database, plan, before=lambda _: None, after=after)
    processing.follows = after
    collect_rarely()
    running = asyncio.create_task(processing.run())
    while await lines.read(65_536):
        processing.wake()
    processing.stop()
    await running
    database.close()


if __name__ == "__main__":
    quiet_logs()
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        asyncio.run(_apart())
