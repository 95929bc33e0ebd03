"""`bench latency`: at a steady rate, how long an intake answer takes and how long until the platforms have accepted."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from signalpost.benchmarks import flow, orders
from signalpost.benchmarks.client import Client
from signalpost.benchmarks.running import WRITE_KEY, running

CLIENTS = 32


async def run(*, rate: int = 500, seconds: int = 20) -> dict[str, Any]:
    """Post single events at `rate` a second; percentiles of the answer, and of intake to accepted from the ledger."""
    with tempfile.TemporaryDirectory(prefix="signalpost-bench-") as folder:
        async with running(Path(folder), cheap=True) as parts:
            now = time.time_ns() // 1_000_000
            await flow.post(parts, orders.bodies(1, 5_000, now))
            await flow.accepted(parts, 5_000)
            count = rate * seconds
            encode = msgspec.json.Encoder().encode
            bodies = [encode({**orders.message(1_000_000 + n, now)}) for n in range(count)]
            answers: list[float] = []
            clients = [await Client.open(parts.url, "/v1/track", WRITE_KEY) for _ in range(CLIENTS)]
            began = time.perf_counter()

            async def work(first: int) -> None:
                """Every `CLIENTS`-th event, each at its moment; a late answer makes the next one late, and is counted so."""
                for number in range(first, count, CLIENTS):
                    due = began + number / rate
                    if (early := due - time.perf_counter()) > 0:
                        await asyncio.sleep(early)
                    await clients[first].post(bodies[number])
                    answers.append(time.perf_counter() - max(due, began))

            await asyncio.gather(*(work(first) for first in range(CLIENTS)))
            posted = time.perf_counter() - began
            for client in clients:
                await client.close()
            await flow.accepted(parts, 5_000 + count)
        connection = sqlite3.connect(Path(folder) / "bench.db")
        latencies = sorted(
            row[0]
            for row in connection.execute(
                "SELECT l.settled_at - e.received_at FROM ledger l JOIN events e ON e.id = l.event "
                "WHERE l.verdict = 'accepted' ORDER BY l.event DESC LIMIT ?",
                (2 * count,),
            )
        )
        connection.close()
    answers.sort()
    return {
        "bench": "latency",
        "p50_ms": _percentile(latencies, 0.50),
        "p95_ms": _percentile(latencies, 0.95),
        "p99_ms": _percentile(latencies, 0.99),
        "intake_p50_ms": round(_percentile(answers, 0.50) * 1000, 2),
        "intake_p99_ms": round(_percentile(answers, 0.99) * 1000, 2),
        "events_per_second": round(count / posted),
        "signals": len(latencies),
    }


def _percentile(ordered: list[Any], share: float) -> Any:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
