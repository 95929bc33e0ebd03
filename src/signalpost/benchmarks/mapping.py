"""`bench map`: from a request's bytes to the bytes a platform would be sent, on one core, without store or network."""

from __future__ import annotations

import time
from typing import Any

from signalpost import pipeline
from signalpost.benchmarks import orders
from signalpost.config import Destination, Source, Workspace
from signalpost.processing import collect_rarely
from signalpost.sources import Received
from signalpost.state import State

SETTINGS = {
    "tiktok": {"pixel": "CBENCHPIXEL000000001", "access_token": "bench"},
    "pinterest": {"ad_account": "549755885175", "access_token": "bench"},
}


def workspace(*platforms: str, endpoint: str | None = None, settings: dict[str, dict[str, str]] | None = None) -> Workspace:
    """The workspace the benchmarks run with."""
    chosen = settings or SETTINGS
    return Workspace(
        workspace="bench",
        environment="production",
        currency="USD",
        order_value="gross",
        country="US",
        sources={"web": Source(type="pipelines", write_key="bench-key")},
        destinations={name: Destination(type=name, settings=chosen[name], endpoint=endpoint) for name in platforms},
    )


def run(platform: str, *, signals: int = 60_000, warm: int = 10_000) -> dict[str, Any]:
    """Signals a second of one platform: decode, stitch, learn, order, gates, map, encode; every fifth person is new."""
    now = time.time_ns() // 1_000_000
    plan = pipeline.plan(workspace(platform))
    state = State()
    known = [request(body, now) for body in orders.bodies(1, orders.KNOWN_PEOPLE + warm, now)]
    for position, received in enumerate(known, start=1):
        pipeline.decide(pipeline.read([(position, received)], plan), state, plan, now)
    collect_rarely()  # as `serve` does
    requests = [request(body, now) for body in orders.bodies(1_000_000, signals, now)]
    size = sum(len(request.body) for request in requests) / signals
    states = [_gathered(request, state, plan) for request in requests]
    sent = written = 0
    began = time.perf_counter()
    for position, (received, known_here) in enumerate(zip(requests, states, strict=True), start=len(known) + 1):
        made = pipeline.decide(pipeline.read([(position, received)], plan), known_here, plan, now)
        sent += len(made.outbox)
        written += sum(len(row[-1]) for row in made.outbox)
    seconds = time.perf_counter() - began
    if sent != signals:
        raise RuntimeError(f"{signals - sent} of {signals} signals were not ready")
    return {
        "bench": "map",
        "platform": platform,
        "signals_per_second": round(signals / seconds),
        "microseconds_per_signal": round(seconds / signals * 1e6, 2),
        "signals": signals,
        "bytes_in": round(size),
        "bytes_out": round(written / signals),
    }


def _gathered(received: Received, everyone: State, plan: pipeline.Plan) -> State:
    """What the store would have given for this request's batch: the people it knows; not part of what is measured."""
    state = State()
    for arrived in pipeline.read([(1, received)], plan).arrived:
        for key in arrived.keys:
            owner = everyone.owners.get(key)
            if owner is not None:
                state.owners[key] = owner
                state.people[owner] = everyone.people[owner]
    return state


def request(body: bytes, now: int) -> Received:
    """A batch request as the intake takes it."""
    return Received(source="web", wire="pipelines", method="POST", path="/v1/batch", body=body, received_at=now)
