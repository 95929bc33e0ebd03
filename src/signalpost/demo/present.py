"""The shop's present: the rest of the year, posted to the HTTP intake like any client's; and when all of it is through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator

import httpx
import msgspec

from signalpost.demo.stream import BATCH
from signalpost.demo.workspace import KEYS
from signalpost.errors import SignalpostError
from signalpost.processing import now_ms
from signalpost.samples import traffic
from signalpost.serve import Serving
from signalpost.store import audiences, memberships

LOOK = 0.1
"""Seconds between looks whether something has come to its end."""

PATIENCE = 60.0
"""Seconds after which it is not waited for any more."""


async def replay(
    now_serving: Serving,
    first: traffic.Message | None,
    stream: Iterator[traffic.Message],
    *,
    once: bool,
    stop: asyncio.Event,
) -> None:
    """Post the shop's messages in batches: as fast as they are taken (`once`), else when they are due."""
    messages = _after(first, stream)
    async with httpx.AsyncClient(base_url=now_serving.url, timeout=30, trust_env=False) as client:
        for source, batch in _batches(messages):
            if stop.is_set():
                return
            if not once and (early := batch[0].due_ms - now_ms()) > 0:
                await asyncio.sleep(early / 1000)
            body = msgspec.json.encode({"batch": [message.body for message in batch]})
            while True:
                answer = await client.post(
                    "/v1/batch", content=body, headers={"Content-Type": "application/json"}, auth=(KEYS[source], "")
                )
                if answer.status_code not in {429, 503}:
                    break
                await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
            if answer.status_code != 200:
                raise SignalpostError(f"The intake refused a batch: {answer.text}")


def _after(first: traffic.Message | None, stream: Iterable[traffic.Message]) -> Iterator[traffic.Message]:
    if first is not None:
        yield first
    yield from stream


def _batches(stream: Iterable[traffic.Message]) -> Iterator[tuple[str, list[traffic.Message]]]:
    """A source and up to `BATCH` of its messages due within the same quarter of a second, as a busy client would group them."""
    waiting: dict[str, list[traffic.Message]] = {source: [] for source in KEYS}
    for message in stream:
        for source, batch in waiting.items():
            if batch and (len(batch) >= BATCH or message.due_ms - batch[0].due_ms > 250):
                yield source, batch
                waiting[source] = []
        waiting[message.source].append(message)
    for source, batch in waiting.items():
        if batch:
            yield source, batch


async def loaded(now_serving: Serving, stop: asyncio.Event) -> None:
    """Wait until the platforms hold everybody whom the audiences wanted at the start, so that clocks tell of what came then."""
    expected = sum(len(audience.to) for audience in now_serving.worker.workspace.audiences)
    for _ in range(int(PATIENCE / LOOK)):
        if stop.is_set():
            return
        if len(await now_serving.database.read(audiences.standings)) == expected and await _taken(now_serving):
            return
        await asyncio.sleep(LOOK)


async def settled(now_serving: Serving, stop: asyncio.Event) -> None:
    """Wait until every event has been through the pipeline, nothing waits to be sent, and the platforms have taken every change
    of an audience. Whatever is in trouble may be waited for without end: so for events and signals `PATIENCE` at most while
    nothing moves, and for audiences, which time alone goes on moving, `PATIENCE` in all."""
    before, moved = None, time.monotonic()
    while not stop.is_set() and time.monotonic() - moved < PATIENCE:
        backlog, waiting = left = await now_serving.database.read(
            lambda connection: (connection.rows("backlog_count")[0][0], connection.rows("outbox_counts"))
        )
        if not backlog and not waiting:
            break
        if left != before:
            before, moved = left, time.monotonic()
        await asyncio.sleep(LOOK)
    for _ in range(int(PATIENCE / LOOK)):
        if stop.is_set() or await _taken(now_serving):
            return
        await asyncio.sleep(LOOK)


async def _taken(now_serving: Serving) -> bool:
    """Whether every rule and audience is up to date, and the platforms have taken every change.

    In this order: a backfill ends in the transaction that writes the last people it moved, so none of them is missed.
    """
    filling, figures = await now_serving.database.read(lambda one: (memberships.backfills(one), audiences.figures(one)))
    return not filling and not any(each.pending for each in figures.values())
