"""`bench flow`: HTTP intake in batches of 100, through everything, until both platforms accepted; beside it the bare limit."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from signalpost.benchmarks import mapping, orders
from signalpost.benchmarks.client import Client
from signalpost.benchmarks.running import WRITE_KEY, Running, child_of, cpu_seconds, resident_mb, running
from signalpost.errors import SignalpostError

CLIENTS = 4
SIZE = 100


async def run(*, events: int = 100_000, warm: int = 10_000, rules: bool = False, segments: bool = False) -> dict[str, Any]:
    """Events a second from intake to accepted on both platforms, with CPU and memory of each process.

    `rules`: in a workspace that has gates, derived events and repeats; `segments`: in one that has thirty segments.
    """
    now = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory(prefix="signalpost-bench-") as folder:
        async with running(Path(folder), cheap=True, rules=rules, segments=segments) as parts:
            await post(parts, orders.bodies(1, warm, now))
            await accepted(parts, warm)
            bodies = orders.bodies(1_000_000, events, now)
            before = {name: cpu_seconds(process) for name, process in _processes(parts).items()}
            memory = [_memory(parts)]
            began = time.perf_counter()
            for quarter in range(4):
                part = bodies[len(bodies) * quarter // 4 : len(bodies) * (quarter + 1) // 4]
                await post(parts, part)
                memory.append(_memory(parts))
            posted = time.perf_counter() - began
            await accepted(parts, warm + events)
            seconds = time.perf_counter() - began
            cpu = {name: cpu_seconds(process) - before[name] for name, process in _processes(parts).items()}
        limit = await asyncio.to_thread(bare_limit, Path(folder), min(events, 50_000))
    per_second = events / seconds
    return {
        "bench": "flow" + " with rules" * rules + " with segments" * segments,
        "events_per_second": round(per_second),
        "signals_per_second": round(2 * per_second),
        "limit_events_per_second": round(limit),
        "share_of_limit": round(per_second / limit, 3),
        "events": events,
        "seconds": round(seconds, 2),
        "seconds_until_last_answer": round(posted, 2),
        "cpu_microseconds_per_event": {name: round(spent / events * 1e6, 1) for name, spent in cpu.items()},
        "memory_mb": [round(each) for each in memory],
    }


def _memory(parts: Running) -> float:
    return resident_mb(parts.server) + resident_mb(child_of(parts.server))


def _processes(parts: Running) -> dict[str, int]:
    return {
        "intake and sending": parts.server,
        "pipeline": child_of(parts.server),
        "emulators": parts.emulators,
        "load": os.getpid(),
    }


async def post(parts: Running, bodies: list[bytes]) -> None:
    """Post bodies from a few clients at once, waiting where the intake asks to."""
    waiting = iter(bodies)

    async def work() -> None:
        client = await Client.open(parts.url, "/v1/batch", WRITE_KEY)
        for body in waiting:
            await client.post(body)
        await client.close()

    await asyncio.gather(*(work() for _ in range(CLIENTS)))


async def accepted(parts: Running, events: int) -> None:
    """Wait until both platforms say that they accepted so many."""
    deadline = time.monotonic() + 600
    async with httpx.AsyncClient(base_url=parts.platforms, timeout=60, trust_env=False) as http:
        while time.monotonic() < deadline:
            received = (await http.get("/received")).json()
            if all(received[name]["accepted"] >= events for name in ("tiktok", "pinterest")):
                return
            await asyncio.sleep(0.1)
    raise SignalpostError("Not every event was accepted within ten minutes.")


def bare_limit(folder: Path, events: int) -> float:
    """Events a second that one SQLite can at most do with these bytes: journal insert, two outbox inserts, two settles.

    Nothing else: no parsing, no ledger, no people; 1,000 events a commit, the same durability (WAL, synchronous FULL).
    """
    now = time.time_ns() // 1_000_000
    requests = orders.bodies(1, events, now, size=SIZE)
    sizes = [mapping.run(platform, signals=2_000, warm=0)["bytes_out"] for platform in mapping.SETTINGS]
    signals = [os.urandom(size) for size in sizes]
    connection = sqlite3.connect(folder / "limit.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE journal (position INTEGER PRIMARY KEY, body BLOB)")
    connection.execute("CREATE TABLE outbox (id INTEGER PRIMARY KEY, event INTEGER, state INTEGER, body BLOB)")
    began = time.perf_counter()
    for start in range(0, len(requests), 10):
        part = requests[start : start + 10]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO journal (body) VALUES (?)", [(body,) for body in part])
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        rows = [(number, 0, body) for number in range(len(part) * SIZE) for body in signals]
        connection.executemany("INSERT INTO outbox (event, state, body) VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM outbox")
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    return events / seconds
