"""`bench latency`: at a steady rate, how long an intake answer takes and how long until the platforms have accepted."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec

from signalpost.benchmarks import flow, orders
from signalpost.benchmarks.running import WRITE_KEY, running


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
            limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
            async with httpx.AsyncClient(
                base_url=parts.url, auth=(WRITE_KEY, ""), timeout=30, trust_env=False, limits=limits
            ) as http:

                async def post(body: bytes) -> None:
                    began = time.perf_counter()
                    answer = await http.post("/v1/track", content=body, headers={"Content-Type": "application/json"})
                    answers.append(time.perf_counter() - began)
                    answer.raise_for_status()

                tasks = []
                began = time.perf_counter()
                for number, body in enumerate(bodies):
                    early = began + number / rate - time.perf_counter()
                    if early > 0:
                        await asyncio.sleep(early)
                    tasks.append(asyncio.create_task(post(body)))
                await asyncio.gather(*tasks)
                posted = time.perf_counter() - began
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
