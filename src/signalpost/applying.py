"""A change of the workspace file comes into force while the server goes on.

Intake and pages stay up: what comes in is written to the journal, which needs no worker, and waits there for the moment that the
worker of the old file takes to finish and the one of the new file to begin. Then the new file is written, whole or not at all,
the revision is kept, and intake and pages of the new file answer. At a start the file is the truth, so a crash at any moment
leaves the one or the other in force; what was in hand is settled then (`store.revisions.found`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from signalpost import revising
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.errors import StoreError
from signalpost.processing import now_ms
from signalpost.revising import Refused
from signalpost.store import revisions
from signalpost.store.database import Connection, Database
from signalpost.store.revisions import Proposal
from signalpost.syncing import Syncing
from signalpost.watch import Watch
from signalpost.web import app, intake
from signalpost.web.app import Application
from signalpost.worker import Worker

log = structlog.get_logger("signalpost")

Answer = TypeVar("Answer")

LOOK_S = 0.5
"""How often a server looks whether a change shall be applied."""

LONELY_MS = 10_000
"""After so long a change of a file that nobody has is told to be out of date."""


class Flow:
    """What runs beside the web server for one workspace: worker, watch and syncing, begun and ended together."""

    def __init__(self, worker: Worker, ending: contextlib.AsyncExitStack) -> None:
        self.worker, self._ending = worker, ending

    @classmethod
    async def begin(cls, database: Database, workspace: Workspace) -> Flow:
        """All of it; whatever fails, what was begun before it ends."""
        async with contextlib.AsyncExitStack() as ending:
            worker = await asyncio.to_thread(Worker, database, workspace, apart=True)
            ending.push_async_callback(worker.stop)
            await worker.start()
            ending.push_async_callback(ended, asyncio.create_task(Watch(database, workspace).run()))
            syncing = Syncing(database, workspace)
            worker.audiences_moved = syncing.look
            ending.push_async_callback(syncing.stop)
            ending.push_async_callback(ended, asyncio.create_task(syncing.run()))
            return cls(worker, ending.pop_all())

    async def end(self) -> None:
        """The batch and the requests in hand are finished, the rest waits in the database."""
        await self._ending.aclose()


class Standing:
    """The set-up in force: its flow, its intake and pages, and how another one takes its place."""

    def __init__(
        self, database: Database, workspace: Workspace, *, environ: Mapping[str, str], file: Path | None, text: str | None
    ) -> None:
        """`file` and `text` are the workspace file and what it holds; None where the set-up came from elsewhere and stays."""
        self.database, self.workspace, self.environ, self.file, self.text = database, workspace, environ, file, text
        self.flow: Flow
        self.application: Application
        self._revision = 0
        self._stopping = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    @property
    def worker(self) -> Worker:
        """The worker in force."""
        return self.flow.worker

    # ---- life --------------------------------------------------------------------------------------------------------------

    async def begin(self) -> Application:
        """Begin the flow; gives what answers requests."""
        if self.text is not None:
            self._revision = (await self.database.write(partial(revisions.found, text=self.text, now=now_ms()))).id
        self.flow = await Flow.begin(self.database, self.workspace)
        self.application = app.create(
            workspace=self.workspace,
            database=self.database,
            worker=self.worker,
            intake=self._front(),
            file=self.file,
            text=self.text,
            environ=self.environ,
        )
        self._looking = asyncio.create_task(self._look())
        return self.application

    async def end(self) -> None:
        """Finish a change that is coming into force, then end the flow."""
        self._stopping.set()
        if self._looking is not None:
            await asyncio.gather(self._looking, return_exceptions=True)
        await self.flow.end()

    def _front(self) -> intake.Application:
        return intake.create(self.workspace, self.worker.append, self.worker.overload)

    async def _look(self) -> None:
        """Take up what shall be applied, until stopped."""
        while not self._stopping.is_set():
            try:
                asked = await self.database.read(revisions.wanted)
                if asked is not None and self._ours(asked):
                    await self._apply(asked.id)
                elif not self.database.embedded and self.text is not None:
                    await self._follow()
            except StoreError as error:
                log.error("changes are looked for again", error=str(error))
            except Exception as error:
                log.exception("a change could not be taken up", error=str(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._stopping.wait()

    # ---- a change ----------------------------------------------------------------------------------------------------------

    def _ours(self, asked: Proposal) -> bool:
        """Whether to take it in hand: on a server's database another Signalpost may have the file that it changes."""
        same = self.text is not None and asked.base == revisions.digest(self.text)
        return same or self.database.embedded or now_ms() - asked.changed_at > LONELY_MS

    async def _apply(self, number: int) -> None:
        taken = await self.database.write(partial(revisions.take, number=number, now=now_ms()))
        if taken is None:
            return  # another server on this database was faster
        try:
            await self._change(taken.text, await asyncio.to_thread(self._objections, taken))
        except Refused as error:
            sentence = str(error)
            await self._surely(lambda connection: revisions.back(connection, number, sentence, now_ms()))
            log.warning("a change was not applied", proposal=number, why=sentence)
            return
        made = await self._surely(partial(revisions.apply, taken=taken, now=now_ms()))
        self._revision = made.id
        log.info("a change is in force", proposal=number, revision=made.id)

    def _objections(self, taken: Proposal) -> Workspace:
        """The workspace of a proposal that may be applied; raises `Refused` when it may not."""
        if self.file is None or self.text is None:
            raise Refused("Signalpost was started without a workspace file; nothing can be applied here.")
        if taken.base != revisions.digest(self.text):
            raise Refused("The file was changed since this was planned. Plan it again, look at what it would change, and apply.")
        holds = revising.in_file(self.file)
        if holds not in {self.text, taken.text}:
            raise Refused(
                f"{self.file.name} was changed by hand on the server and holds something else than what is in force. Propose "
                "what it holds, or put it back; then apply again."
            )
        return self._checked(taken.text)

    def _checked(self, text: str) -> Workspace:
        workspace, found = revising.read(text, self.workspace, self.environ, CATALOG, self.file)
        if workspace is None:
            raise Refused(next(each.sentence for each in found if each.severity == "mistake"))
        return workspace

    async def _change(self, text: str, after: Workspace) -> None:
        """Put another set-up in force; raises `Refused` when that fails: then the one before is in force again."""
        before = self.workspace
        await self._flow_of(after, back=before)
        try:
            assert self.file is not None  # noqa: S101  (asked before)
            await asyncio.to_thread(revising.write, self.file, text)
        except Refused:
            await self._flow_of(before, back=before)
            raise
        self.workspace, self.text = after, text
        console = self.application.console.successor(workspace=after, worker=self.worker, text=text)
        self.application.turn(self._front(), console)

    async def _flow_of(self, workspace: Workspace, *, back: Workspace) -> None:
        """End the flow and begin that of `workspace`; when it does not begin, that of `back`, and raise `Refused`."""
        await self.flow.end()
        try:
            self.flow = await Flow.begin(self.database, workspace)
        except Exception as error:
            log.exception("a set-up could not begin", error=str(error))
            while True:
                try:
                    self.flow = await Flow.begin(self.database, back)
                    break
                except Exception as again:
                    log.exception("the set-up in force could not begin again and is tried again", error=str(again))
                    await asyncio.sleep(1)
            self.application.turn(
                self._front(), self.application.console.successor(workspace=back, worker=self.worker, text=self.text)
            )
            raise Refused(f"It could not begin, so the earlier file is in force: {error}") from error

    async def _follow(self) -> None:
        """Take up what another server on this database put in force, when both had the same file before."""
        newest = await self.database.read(revisions.newest)
        if newest == self._revision:
            return
        self._revision = newest
        found = await self.database.read(partial(revisions.revision, number=newest))
        if found is None or found[0].origin == "start" or found[0].text == self.text:
            return
        one, before = found
        if before is None or before.text != self.text:
            log.warning("another server changed a file that differs from the one here; it is not taken up", revision=one.id)
            return
        try:
            await self._change(one.text, await asyncio.to_thread(self._checked, one.text))
        except Refused as error:
            log.error("what another server put in force could not be taken up", revision=one.id, why=str(error))
        else:
            log.info("a change is in force", revision=one.id)

    async def _surely(self, work: Callable[[Connection], Answer]) -> Answer:
        """What must be written: again until the store takes it."""
        while True:
            try:
                return await self.database.write(work)
            except StoreError as error:
                log.error("a change is not yet noted", error=str(error))
                await asyncio.sleep(1)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a loop and wait until it is gone."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
