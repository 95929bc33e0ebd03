"""Proposals held against the file in force, one after the other, each in a process of its own so that no page waits for it.

The child is asked by one line (a `Job`), tells its progress by lines `done total` and ends with a line `=` and the comparison,
or `!` and a sentence. It ends when its standard input does, so it never outlives the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from asyncio.subprocess import PIPE, Process

import msgspec
import structlog
from msgspec import Struct

from signalpost import proposals
from signalpost.config import Workspace
from signalpost.errors import SignalpostError, StoreError
from signalpost.processing import now_ms, quiet_logs
from signalpost.store import revisions
from signalpost.store.database import Connection, Database

log = structlog.get_logger("signalpost")

TOLD_S = 1.0
"""How often a comparison's progress is written; this also tells that its process lives."""

FAILED = "The comparison ended by itself; the server's log says why. Plan again."


class Job(Struct, frozen=True, kw_only=True):
    """What a child compares: events received from `since` to `until` (epoch ms) under both files."""

    address: str
    before: Workspace
    after: Workspace
    since: int
    until: int


class Comparing:
    """The comparisons under way in this server."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._children: set[Process] = set()

    def start(self, number: int, job: Job) -> None:
        """Compare in the background; the proposal is in the state `comparing` already."""
        task = asyncio.create_task(self._run(number, job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """End the children, which ends what waits for them; may be called from any thread."""
        for child in tuple(self._children):
            with contextlib.suppress(ProcessLookupError):
                child.kill()

    async def _run(self, number: int, job: Job) -> None:
        told = [0, 0]
        telling = asyncio.create_task(self._tell(number, told))
        comparing = asyncio.create_task(self._compare(job, told))
        try:
            await asyncio.wait({telling, comparing}, return_when=asyncio.FIRST_COMPLETED)
            if comparing.done():
                await self._keep(number, comparing.result())
        except StoreError as error:
            log.error("a comparison is not kept", proposal=number, error=str(error))
        except Exception as error:
            log.exception("a comparison failed", proposal=number, error=str(error))
            await self._keep(number, FAILED)
        finally:
            for task in (telling, comparing):
                task.cancel()
            await asyncio.gather(telling, comparing, return_exceptions=True)

    async def _keep(self, number: int, outcome: bytes | str) -> None:
        def keep(connection: Connection) -> None:
            if isinstance(outcome, bytes):
                revisions.compared(connection, number, outcome, now_ms())
            else:
                revisions.failed(connection, number, outcome, now_ms())

        await self.database.write(keep)

    async def _tell(self, number: int, told: list[int]) -> None:
        """Write the progress until nobody wants it any more."""

        def tell(connection: Connection) -> bool:
            return revisions.progress(connection, number, told[0], told[1], now_ms())

        while await self.database.write(tell):  # noqa: ASYNC110  (it asks the database, which has no event)
            await asyncio.sleep(TOLD_S)

    async def _compare(self, job: Job, told: list[int]) -> bytes | str:
        """The comparison as JSON, or why there is none, as a sentence."""
        async with self._turn:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "signalpost.web.comparing", stdin=PIPE, stdout=PIPE, start_new_session=True, limit=1 << 27
            )
            self._children.add(child)
            try:
                assert child.stdin is not None  # noqa: S101  (asked for above)
                assert child.stdout is not None  # noqa: S101
                child.stdin.write(msgspec.json.encode(job) + b"\n")
                async for line in child.stdout:
                    if line[:1] == b"=":
                        return line[1:].strip()
                    if line[:1] == b"!":
                        return line[1:].decode().strip()
                    told[:] = [int(word) for word in line.split()]
                return FAILED
            finally:
                self._children.discard(child)
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()


def _child() -> None:
    os.nice(5)  # the flow goes first
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def progress(done: int, total: int) -> None:
        _say(f"{done} {total}")

    try:
        found = proposals.compare(job.address, job.before, job.after, since=job.since, until=job.until, progress=progress)
    except SignalpostError as error:
        _say("!" + " ".join(str(error).split()))
    else:
        _say("=" + msgspec.json.encode(found).decode())


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    quiet_logs()
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        _child()
