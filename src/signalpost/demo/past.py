"""The shop's past: twelve days of it go through pipeline and platforms at their own hours, before anything is shown.

Audiences are no part of it: whoever begins to keep audiences has people already, and the first load is there to see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

import httpx
import msgspec
from rich.console import Console

from signalpost import backfill, delivery, memberships, pipeline, valuing, watch
from signalpost.config import Workspace
from signalpost.demo.stream import BATCH
from signalpost.demo.workspace import KEYS
from signalpost.plan import Plan, Route
from signalpost.processing import DUE, plan_of
from signalpost.samples import traffic
from signalpost.serve import only_one
from signalpost.sources import Received
from signalpost.store import batches, outbox, rollouts
from signalpost.store import memberships as stored
from signalpost.store.database import Connection, Database
from signalpost.transport import Transport

PACKET = 15 * traffic.MINUTE
"""Of the past, what was sent within so long is received, decided and sent on at once."""

LOOKED_AT = 6 * traffic.HOUR
"""How often findings, rollouts and the bounds of value tiers are looked at in the past."""


async def lived(
    workspace: Workspace,
    platforms: str,
    stream: Iterator[traffic.Message],
    begun: int,
    stop: asyncio.Event,
    console: Console,
) -> traffic.Message | None:
    """Take what is due before `begun` through pipeline and platforms at its own time; gives the first message that is not.

    The clocks of the hub and of the emulators stand at the end of each packet while it is worked on.
    """
    message = next(stream, None)
    if message is None or message.due_ms >= begun:
        return message
    console.print(
        "First the shop's last twelve days go through pipeline and platforms; that takes half a minute.", soft_wrap=True
    )
    packet: list[traffic.Message] = []
    with only_one(workspace.database):
        database = Database(workspace.database)
        past = _Past(database, msgspec.structs.replace(workspace, audiences=()), platforms)
        try:
            await database.write(partial(watch.mark_revision, workspace=workspace, now=message.due_ms))
            await past.fill(message.due_ms)
            while message is not None and message.due_ms < begun and not stop.is_set():
                if packet and message.due_ms >= packet[0].due_ms + PACKET:
                    await past.live(packet, packet[0].due_ms + PACKET)
                    packet = []
                packet.append(message)
                message = next(stream, None)
            if packet:
                await past.live(packet, begun)
        finally:
            await past.close()
            await asyncio.to_thread(database.close)
    return message


class _Past:
    """The shop's past: packets of messages, each received, decided and sent at one moment that is over."""

    def __init__(self, database: Database, workspace: Workspace, platforms: str) -> None:
        self.database, self.workspace = database, workspace
        self.plan: Plan = plan_of(database, workspace)
        self.transport = Transport(connections=1, timeout=20.0)
        self.emulators = httpx.AsyncClient(base_url=platforms, timeout=20, trust_env=False)
        self._looked_at = 0

    async def live(self, packet: Sequence[traffic.Message], now: int) -> None:
        """Receive a packet at `now` (epoch ms), decide it, send what is due, and look after everything now and then."""
        await self.database.write(partial(_received, packet=packet, now=now))
        while (made := await self.database.read(partial(pipeline.step, plan=self.plan, now=now, most=500))) is not None:
            await self.database.write(partial(pipeline.commit, made=made))
        await self._pass_time(now)
        later = now + max(self.plan.holds.values(), default=0)
        (await self.emulators.post("/control/clock", json={"now_ms": later, "frozen": True})).raise_for_status()
        for route in self.plan.routes:
            await self._send_all(route, later)
        if now - self._looked_at >= LOOKED_AT:
            self._looked_at = now
            await self.database.write(partial(rollouts.advance_all, workspace=self.workspace, now=now))
            await valuing.once(self.database, self.workspace, now)
            bounds = partial(stored.recut, workspace=self.workspace, known=self.plan.bands, now=now)
            if await self.database.write(bounds):
                await self._plan_anew()
                await self.fill(now)
            await asyncio.to_thread(watch.once, self.database, self.workspace, now)

    async def fill(self, now: int) -> None:
        """Bring new rules and bounds up to date, to the end."""
        while waiting := await self.database.read(stored.backfills):
            piece = partial(backfill.piece, plan=self.plan, backfill=waiting[0], upto=now, now=now)
            made = await self.database.read(piece)
            await self.database.write(partial(backfill.commit, made=made, now=now))
            if made.turns or made.ends:
                await self._plan_anew()

    async def _plan_anew(self) -> None:
        self.plan = pipeline.plan(self.workspace, await self.database.read(partial(stored.known, workspace=self.workspace)))

    async def _pass_time(self, upto: int) -> None:
        """Move everybody whom time alone moves up to a moment."""
        while people := await self.database.read(partial(stored.people_due, upto=upto, most=DUE)):
            made = memberships.fired(people, upto, self.plan, upto)
            await self.database.write(partial(batches.fire, made=made))

    async def _send_all(self, route: Route, now: int) -> None:
        most = route.platform.limits.batch
        while True:
            lease = partial(outbox.lease, destination=route.name, most=most, now=now, until=now + traffic.MINUTE)
            signals = await self.database.write(lease)
            if not signals:
                return
            await self._send(route, signals, now)

    async def _send(self, route: Route, signals: Sequence[delivery.Leased], now: int) -> None:
        """One request, as the dispatchers of a running hub make it; refused as a whole it is asked again in halves."""
        base = self.workspace.destinations[route.name].endpoint or route.platform.default_base
        request = route.platform.request(route.settings, base, [each.body for each in signals], route.test)
        response = await self.transport.send(request)
        outcomes = route.platform.outcomes(response, len(signals))
        if len(signals) > 1 and all(outcome.kind == "split" for outcome in outcomes):
            for half in delivery.halves(delivery.marked(signals, outcomes, now)):
                await self._send(route, half, now)
            return
        fates = [
            delivery.fate(each, outcome, limits=route.platform.limits, now=now, luck=0.5)
            for each, outcome in zip(signals, outcomes, strict=True)
        ]
        sent = outbox.Sent(
            destination=route.name,
            started_at=now,
            ended_at=now,
            signals=len(signals),
            status=response.status,
            summary=f"{len(fates)} of {len(fates)} settled",
            platform_request=route.platform.request_id(response),
        )
        await self.database.write(partial(outbox.settle, sent=sent, fates=fates, breaker=delivery.CLOSED))

    async def close(self) -> None:
        """Let the emulators follow the machine's clock again, and let go of the connections."""
        with suppress(httpx.HTTPError):
            await self.emulators.delete("/control/clock")
        await self.emulators.aclose()
        await self.transport.close()


def _received(connection: Connection, packet: Sequence[traffic.Message], now: int) -> None:
    """A packet in the journal: requests of each source, of `BATCH` messages, as if it had come by HTTP at `now`."""
    for source in KEYS:
        own = [message.body for message in packet if message.source == source]
        for place in range(0, len(own), BATCH):
            bodies = own[place : place + BATCH]
            request = Received(
                source=source,
                wire="pipelines",
                method="POST",
                path="/v1/batch",
                body=msgspec.json.encode({"batch": bodies}),
                received_at=now,
            )
            batches.append(connection, request, len(bodies))
