"""`signalpost serve` in a process of its own, to be killed: what the tests with kill -9 have in common."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from signalpost.platforms.testing import Client

PATIENCE = 60.0
"""Seconds after which something that must happen has not."""
SEED = int(os.environ.get("SIGNALPOST_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)

WORKSPACE = """
workspace: crash
environment: production
currency: USD
country: US
order_value: gross
database: {folder}/signalpost.db
sources:
  web: {{type: pipelines, write_key: web-key}}
server: {{host: 127.0.0.1, port: 0}}
"""


class Server:
    """`signalpost serve` in a process of its own, killed and started again on the same files."""

    def __init__(self, folder: Path, platforms: Client, rest: str) -> None:
        settings = platforms.settings
        self.folder = folder
        self.file = folder / "signalpost.yaml"
        self.file.write_text(
            (WORKSPACE + rest).format(
                folder=folder,
                platforms=platforms.url,
                pixel=settings.tiktok_pixels[0],
                advertiser=settings.tiktok_advertiser_id,
                account=settings.pinterest_ad_account_id,
            )
        )
        self.environment = {**os.environ, "TIKTOK_TOKEN": settings.tiktok_token, "PINTEREST_TOKEN": settings.pinterest_token}
        self.url = ""
        self.up = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it says where it listens."""
        with (self.folder / "server.log").open("ab") as told:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "from signalpost.cli import main; main()", "serve", str(self.file), "--json",
                stdout=asyncio.subprocess.PIPE, stderr=told, env=self.environment, cwd=self.folder,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)
        assert line, (self.folder / "server.log").read_text()[-3_000:]
        self.url = json.loads(line)["url"]
        self.up.set()

    async def kill(self) -> None:
        """kill -9, at once."""
        assert -signal.SIGKILL == await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to stop, and wait for the end."""
        assert 0 == await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> int:
        """Send a signal, wait for the end and return how it ended."""
        assert self.process is not None
        self.up.clear()
        self.process.send_signal(how)
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    async def takes(self, http: httpx.AsyncClient, messages: list[dict[str, Any]]) -> bool:
        """Send a batch when the server is up; whether it was acknowledged. Whoever was not waits a moment."""
        await self.up.wait()
        try:
            answer = await http.post(f"{self.url}/v1/batch", json={"batch": messages})
        except httpx.HTTPError:
            await asyncio.sleep(0.05)
            return False
        if answer.status_code == 200:
            return True
        assert answer.status_code in {429, 503}, answer.text
        await asyncio.sleep(0.05)
        return False

    async def finishes(self, waiting: str, patience: float = PATIENCE) -> None:
        """Wait until nothing waits any more, by a query that counts it."""
        deadline = time.monotonic() + patience
        while (left := self.rows(waiting)[0][0]) > 0:
            assert time.monotonic() < deadline, f"{left} still wait (seed {SEED})"
            await asyncio.sleep(0.1)

    def rows(self, query: str) -> list[Any]:
        """What the database file says."""
        file = f"file:{self.folder / 'signalpost.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(file, uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()


@contextlib.asynccontextmanager
async def serving(folder: Path, platforms: Client, rest: str) -> AsyncIterator[Server]:
    """A server on an empty folder, with the rest of its workspace file; whatever happens, its process ends with the block."""
    made = Server(folder, platforms, rest)
    try:
        yield made
    finally:
        if made.process is not None and made.process.returncode is None:
            made.process.kill()
            await made.process.wait()
