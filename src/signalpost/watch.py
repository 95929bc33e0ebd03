"""The loop that keeps an eye on everything: rollouts, findings and alerts twice a minute, the platforms' own views every hour.

`Watch` runs beside the worker; `once` is the same look without a loop, for whoever wants findings that are up to date.
Bounds of value tiers are computed when they are due. A look that fails is logged and tried again at the next one:
watching never stops what it watches.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import structlog

from signalpost import doctor, findings, valuing, views
from signalpost.alerts import Messenger
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.doctor import keeping
from signalpost.findings import Finding
from signalpost.processing import now_ms
from signalpost.store import findings as kept
from signalpost.store import rollouts, sizes
from signalpost.store.database import Connection, Database
from signalpost.store.findings import Kept, Usual
from signalpost.transport import Transport

log = structlog.get_logger("signalpost")

EVERY_MS = 30_000
"""How often rollouts, findings and alerts are looked at."""

USUAL_MS = 600_000
"""How long what is usual is taken to be so: a week's counters and eight weeks of match keys cost more than all the rest."""

COUNTING = 50
"""Counting people takes at most this part of the time (a fiftieth): a small shop's figures are fresh, a large one's not dear."""

VIEWS_MS = 3_600_000
"""How often the platforms are asked what they received."""

CHECKLIST_MS = 300_000
"""How often the checklists are gone through."""

UNREACHABLE_MS = 20_000
"""How long a platform may take to answer that."""


def look(connection: Connection, workspace: Workspace, now: int, known: Usual | None = None) -> list[Finding]:
    """What is wrong or doubtful at this moment; writes nothing."""
    return findings.find(kept.gather(connection, workspace, now, known), workspace)


def once(database: Database, workspace: Workspace, now: int, known: Usual | None = None) -> list[Kept]:
    """Bring findings up to date; gives those that are open, the worst first. `known` as in `store.findings.gather`."""
    found = database.look(lambda connection: look(connection, workspace, now, known))
    return database.submit(lambda connection: kept.reconcile(connection, found, now)).result()


class Watch:
    """The loop, for one workspace on one database."""

    def __init__(self, database: Database, workspace: Workspace, *, now: Callable[[], int] = now_ms) -> None:
        """`now` gives the time in epoch ms."""
        self.database, self.workspace, self.now = database, workspace, now
        self.messenger = Messenger(workspace)
        self._usual: Usual | None = None
        self._usual_at = 0
        self._views_at = 0
        self._checked_at = 0
        self._count_at = 0

    async def run(self) -> None:
        """Watch until cancelled."""
        await self._try("revision", self._mark_revision)
        while True:
            await self._try("rollouts", self._advance)
            await self._try("value tiers", lambda: valuing.once(self.database, self.workspace, self.now()))
            await self._try("sizes", self._count)
            await self._try("findings", self._look)
            await self._try("alerts", lambda: self.messenger.tell(self.database, self.now()))
            if self.now() - self._checked_at >= CHECKLIST_MS:
                self._checked_at = self.now()
                await self._try("checklists", self._check)
            if self.now() - self._views_at >= VIEWS_MS:
                self._views_at = self.now()
                await self._try("views", self._hourly)
            await asyncio.sleep(EVERY_MS / 1000)

    async def _try(self, what: str, work: Callable[[], Any]) -> None:
        try:
            await work()
        except Exception as error:
            log.exception("watching is tried again", what=what, error=str(error))

    async def _mark_revision(self) -> None:
        now = self.now()
        await self.database.write(lambda connection: mark_revision(connection, self.workspace, now))

    async def _advance(self) -> None:
        now = self.now()
        # Counting takes a while for a long stage: it is done beside the writer.
        measured = await self.database.read(partial(rollouts.measure, workspace=self.workspace, now=now))
        await self.database.write(lambda connection: rollouts.advance_all(connection, self.workspace, now, measured))

    async def _look(self) -> None:
        now, workspace = self.now(), self.workspace
        if self._usual is None or now - self._usual_at >= USUAL_MS:
            self._usual = await self.database.read(partial(kept.usual, workspace=workspace, now=now))
            self._usual_at = now
        found = await self.database.read(partial(look, workspace=workspace, now=now, known=self._usual))
        await self.database.write(lambda connection: kept.reconcile(connection, found, now))

    async def _count(self) -> None:
        began = self.now()
        if began < self._count_at:
            return
        counted = await self.database.read(partial(sizes.count, workspace=self.workspace, now=began))
        await self.database.write(lambda connection: sizes.keep(connection, counted))
        self._count_at = began + max(EVERY_MS, COUNTING * (self.now() - began))

    async def _check(self) -> None:
        now, workspace = self.now(), self.workspace
        asked = await self.database.read(doctor.answers)
        ask = any(name not in asked or now - asked[name].at >= VIEWS_MS for name in workspace.destinations)
        await keeping.once(self.database, workspace, now, ask=ask, known=self._usual)

    async def _hourly(self) -> None:
        now, workspace = self.now(), self.workspace
        await self.database.write(lambda connection: kept.prune(connection, workspace, now))
        sizes = await self.database.read(partial(kept.sizes, workspace=workspace))
        await self.database.write(lambda connection: kept.remember_sizes(connection, sizes, now))
        transport = Transport(connections=1, timeout=UNREACHABLE_MS / 1000)
        try:
            await views.refresh(workspace, self.database, transport, now)
        finally:
            await transport.close()


# ---- the workspace's revision ------------------------------------------------------------------------------------------------


def sections(workspace: Workspace) -> dict[str, str]:
    """Section of the workspace file -> the digest of what it says, secrets left out; for telling what changed."""
    said: dict[str, Any] = msgspec.to_builtins(workspace)
    said["database"] = workspace.shown_database
    for source in said["sources"].values():
        for secret in ("write_key", "api_key", "secret"):
            source.pop(secret, None)
    for destination in said["destinations"].values():
        secrets = {setting.name for setting in CATALOG[destination["type"]].settings if setting.secret}
        destination["settings"] = {name: text for name, text in destination["settings"].items() if name not in secrets}
    said["alerts"]["to"] = sorted(said["alerts"]["to"])
    return {name: _digest(part) for name, part in said.items()}


def _digest(part: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(part, order="deterministic")).hexdigest()[:12]


def mark_revision(connection: Connection, workspace: Workspace, now: int) -> bool:
    """Mark that the workspace file says something new since the last start, and which of its sections; False: it does not.

    The sections' digests are kept as marks at time 0, which lie in no span of time and so mark nothing themselves.
    """
    here = sections(workspace)
    before: dict[str, str] = dict(connection.rows("revision_sections"))
    changed = sorted(name for name in here.keys() | before.keys() if here.get(name) != before.get(name))
    if not changed:
        return False
    connection.run("revision_forget")
    connection.run_many("revision_section", list(here.items()))
    connection.run("revision_mark", _digest(here), now, ", ".join(changed) if before else "first seen")
    return True
