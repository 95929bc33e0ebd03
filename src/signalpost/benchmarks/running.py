"""The real thing, for benchmarks: emulators and `signalpost serve` as processes of their own, and what they cost."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from msgspec import Struct

from signalpost.benchmarks.segments import SEGMENTS
from signalpost.errors import SignalpostError
from signalpost.platforms.settings import Settings

WRITE_KEY = "bench-write-key"

WORKSPACE = """\
workspace: bench
environment: production
currency: USD
country: US
order_value: gross
database: bench.db
server: {{port: 0}}
sources:
  web: {{type: pipelines, write_key: ${{BENCH_WRITE_KEY}}}}
destinations:
  tiktok:
    type: tiktok
    endpoint: {platforms}
    pixel: {settings.tiktok_pixels[0]}
    access_token: ${{BENCH_TIKTOK_TOKEN}}
  pinterest:
    type: pinterest
    endpoint: {platforms}
    ad_account: "{settings.pinterest_ad_account_id}"
    access_token: ${{BENCH_PINTEREST_TOKEN}}
"""

RULES = """\
gates:
  - {preset: zero_value}
  - {preset: employee, email_domains: [shop.example]}
  - {preset: bot}
  - {preset: fraud_flag}
  - {preset: heavily_discounted, share: 40%, mode: observing}
  - {preset: chronic_discounter, share: 40%, orders: 3, mode: observing}
  - {reason: tiny order, when: {order.value: {lt: 5}, person.orders: {lte: 1}}}
derived:
  First Order: {nth_order: 1}
  Second Order: {nth_order: 2}
repeats: {Product Added: 1m}
"""
"""What an operator switches on who has read the guides; the derived events go to no platform: what arrives is counted."""


class Running(Struct, frozen=True, kw_only=True):
    """Where things are."""

    url: str
    platforms: str
    folder: Path
    server: int
    """Process id of `signalpost serve`."""
    emulators: int


def cpu_seconds(process: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def child_of(process: int) -> int:
    """The one child of a process: the pipeline of `signalpost serve`."""
    return int(Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()[0])


def resident_mb(process: int) -> float:
    """Resident memory of a process, in MiB."""
    for line in Path(f"/proc/{process}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@asynccontextmanager
async def _process(*arguments: str, environ: dict[str, str]) -> AsyncIterator[tuple[int, dict[str, str]]]:
    """A process of ours that prints one JSON line when it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdout=asyncio.subprocess.PIPE, env={**os.environ, **environ}
    )
    assert process.stdout is not None  # noqa: S101  (asked for above)
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        if not line:
            raise SignalpostError(f"{arguments[0]} did not start.")
        yield process.pid, json.loads(line)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def running(folder: Path, *, cheap: bool, rules: bool = False, segments: bool = False) -> AsyncIterator[Running]:
    """Start both, with a workspace of their own in `folder`, which may have gates, derived events and repeats, and segments."""
    settings = Settings(cheap=cheap)
    environ = {
        "BENCH_WRITE_KEY": WRITE_KEY,
        "BENCH_TIKTOK_TOKEN": settings.tiktok_token,
        "BENCH_PINTEREST_TOKEN": settings.pinterest_token,
    }
    arguments = ["signalpost.platforms", "--json", *(["--cheap"] if cheap else [])]
    async with _process(*arguments, environ={}) as (emulators, described):
        file = folder / "signalpost.yaml"
        text = WORKSPACE.format(platforms=described["url"], settings=settings)
        file.write_text(text + RULES * rules + SEGMENTS * segments, "utf-8")
        async with _process("signalpost", "serve", str(file), "--json", environ=environ) as (server, told):
            yield Running(url=told["url"], platforms=described["url"], folder=folder, server=server, emulators=emulators)


@asynccontextmanager
async def emulators() -> AsyncIterator[str]:
    """Both emulators alone, strict, in a process of their own; gives their address."""
    async with _process("signalpost.platforms", "--json", environ={}) as (_, described):
        yield described["url"]
