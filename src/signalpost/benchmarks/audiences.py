"""`bench audiences`: the first load of a large audience to each platform's emulator, and the same audience looked at again.

People are written as the pipeline leaves them, and the loops that keep audiences run as in `serve`, at the pace that the platform
allows. Beside the time stands what that pace alone would take; by file TikTok takes many people with one request.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import httpx
from msgspec import Struct
from msgspec.structs import replace

from signalpost.benchmarks import mapping
from signalpost.benchmarks.running import cpu_seconds, emulators, resident_mb
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.errors import SignalpostError
from signalpost.events import Person
from signalpost.normalize import match_keys
from signalpost.options import Audience
from signalpost.platforms.settings import Settings
from signalpost.processing import now_ms
from signalpost.store import audiences as store
from signalpost.store import batches
from signalpost.store.database import Connection, Database
from signalpost.syncing import Syncing

TOGETHER = 10_000
"""People written in one transaction."""

LONGEST = 3_600
"""Seconds after which a load that is not complete has failed."""

Way = Literal["stream", "file"]


class Trial(Struct, frozen=True):
    """One audience at one destination."""

    platform: Literal["tiktok", "pinterest"]
    way: Way

    @property
    def audience(self) -> Audience:
        """As the workspace file would have it."""
        return Audience(segment="buyers", name=f"{self.platform} {self.way}", to=(self.platform,), use="suppress", way=self.way)


TRIALS = (Trial("tiktok", "stream"), Trial("tiktok", "file"), Trial("pinterest", "stream"))


async def run(*, people: int = 1_000_000) -> list[dict[str, Any]]:
    """For each platform and way: seconds, requests and memory of the first load, and of looking at everybody again."""
    with tempfile.TemporaryDirectory(prefix="signalpost-bench-") as folder:
        database = Database(str(Path(folder) / "bench.db"))
        try:
            for start in range(1, people + 1, TOGETHER):
                await database.write(partial(_write, range(start, min(start + TOGETHER, people + 1))))
            async with emulators() as url:
                return [await _load(database, url, trial, people) for trial in TRIALS]
        finally:
            database.close()


def _write(numbers: range, connection: Connection) -> None:
    """People with an e-mail address and a phone number each."""
    connection.run_many("person_set", [batches.person_row(_person(number), 0) for number in numbers])


def _person(number: int) -> Person:
    emails, phones = [f"shopper{number}@example.com"], [f"+1202{number:07}"]
    keys = match_keys(emails=emails, phones=phones, external_ids=[str(number)], traits={}, devices={})
    return Person(id=number, emails={emails[0]: 1}, phones={phones[0]: 1}, external_ids={str(number): 1}, keys=keys)


def _workspace(url: str, trial: Trial) -> Workspace:
    settings = Settings()
    tiktok = {
        "pixel": settings.tiktok_pixels[0],
        "access_token": settings.tiktok_token,
        "advertiser": settings.tiktok_advertiser_id,
    }
    pinterest = {
        "ad_account": settings.pinterest_ad_account_id,
        "access_token": settings.pinterest_token,
        "audience_token": settings.pinterest_token,
    }
    chosen = tiktok if trial.platform == "tiktok" else pinterest
    plain = mapping.workspace(trial.platform, endpoint=url, settings={trial.platform: chosen})
    return replace(plain, audiences=(trial.audience,))


def _want(slot: int, numbers: range, connection: Connection) -> None:
    """As the backfill of a new rule writes it, long enough ago that nobody waits for company."""
    asked_at = now_ms() - 3_600_000
    connection.run_many("wanted_set", [(slot, number, 1, 2, -1, asked_at) for number in numbers])


async def _load(database: Database, url: str, trial: Trial, people: int) -> dict[str, Any]:
    workspace = _workspace(url, trial)
    [slot] = await database.write(partial(store.register, workspace=workspace))
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        first = await _settled(database, workspace, slot.slot, people, http, trial)
        again = await _settled(database, workspace, slot.slot, people, http, trial)
    part = CATALOG[trial.platform].audience
    if part is None:
        raise SignalpostError(f"{trial.platform} has no audiences.")
    return {
        "bench": "audiences",
        "platform": f"{trial.platform} {trial.way}",
        "people": people,
        "identifiers": first["identifiers"],
        "first_load_seconds": first["seconds"],
        "people_per_second": round(people / first["seconds"]),
        "requests": first["changes"],
        "seconds_at_the_platforms_pace": round(first["changes"] / part.requests_per_second, 1),
        "cpu_seconds": first["cpu"],
        "memory_mb_before": first["before"],
        "memory_mb_most": first["most"],
        "looked_at_again_seconds": again["seconds"],
        "looked_at_again_requests": again["changes"] - first["changes"],
    }


async def _settled(
    database: Database, workspace: Workspace, slot: int, people: int, http: httpx.AsyncClient, trial: Trial
) -> dict[str, Any]:
    """Everybody is wanted (anew), and kept until nobody is open."""
    for start in range(1, people + 1, TOGETHER):
        await database.write(partial(_want, slot, range(start, min(start + TOGETHER, people + 1))))
    process = os.getpid()
    before, cpu = resident_mb(process), cpu_seconds(process)
    most, began = before, time.perf_counter()
    syncing = Syncing(database, workspace)
    running = asyncio.create_task(syncing.run())
    while await database.read(store.heads):
        most = max(most, resident_mb(process))
        if time.perf_counter() - began > LONGEST:
            raise SignalpostError(f"The load was not complete within {LONGEST} seconds.")
        await asyncio.sleep(0.2)
    seconds = time.perf_counter() - began
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await syncing.stop()
    told = (await http.get("/audiences", params={"platform": trial.platform})).json()[trial.platform]
    here = next(each for each in told["audiences"] if each["name"].startswith(trial.audience.title))
    return {
        "seconds": round(seconds, 1),
        "changes": sum(_changes(told["requests"], trial)),
        "identifiers": sum(here["identifiers"].values()),
        "cpu": round(cpu_seconds(process) - cpu, 1),
        "before": round(before),
        "most": round(most),
    }


def _changes(requests: dict[str, int], trial: Trial) -> Iterator[int]:
    """The requests that bring people, of one way: looks at sizes are no part of a load."""
    for name, many in requests.items():
        if trial.platform == "pinterest":
            if not name.endswith(("/get", "/list")):
                yield many
        elif (trial.way == "file") == ("/segment/" not in name) and not name.endswith(("/get/", "/list/", "/log/")):
            yield many
