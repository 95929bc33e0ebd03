"""The loop on a real database: it opens and closes, goes on when something fails, and marks what the file changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.findings.watched import DAY, HOUR, MINUTE, NOW, Watched, order, with_destination, workspace

from signalpost import watch
from signalpost.options import Alerts, Audience, Gate, Source, Stage
from signalpost.store import findings
from signalpost.store.database import Database
from signalpost.watch import Watch

PATIENCE = 20.0


@asynccontextmanager
async def watching(watched: Watched, now: Callable[[], int]) -> AsyncIterator[Watch]:
    """The loop, while the block runs."""
    loop = Watch(watched.database, watched.workspace, now=now)
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(happened: Callable[[], Any], what: str) -> None:
    """Wait until it has happened."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not await asyncio.to_thread(happened):
        assert asyncio.get_running_loop().time() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow one another at once; the platforms are nowhere and asked never."""
    monkeypatch.setattr(watch, "EVERY_MS", 20)
    monkeypatch.setattr(watch, "VIEWS_MS", 2**62)


def opened(watched: Watched) -> dict[str, int]:
    """Key -> when it was last seen, of what is open."""
    kept = watched.database.look(findings.open_now)
    return {each.finding.key: each.seen_at for each in kept}


async def test_the_loop_opens_advances_and_closes(database: Database) -> None:
    """Findings open by the next look, a rollout goes on by itself, and what is over closes."""
    stages = (Stage(send=("Order Completed",), lasts="1h"), Stage(send=("Product Added",)))
    watched = Watched(database, workspace(destinations=with_destination("tiktok", rollout=stages)))
    watched.say("web", [order(number, at=NOW - 3 * HOUR) for number in range(30)])
    moment = [NOW]
    async with watching(watched, lambda: moment[0]):
        await until(lambda: "late_source:web" in opened(watched), "the finding")
        moment[0] = NOW + 2 * HOUR
        await until(lambda: watched.rows("SELECT stage FROM rollouts") == [(1,)], "the next stage")
        moment[0] = NOW + 2 * DAY
        await until(lambda: not opened(watched), "closing")
    assert [closed for (closed,) in watched.rows("SELECT closed_at FROM findings WHERE kind = 'late_source'")] == [NOW + 2 * DAY]


async def test_a_look_that_fails_is_tried_again(database: Database) -> None:
    """While a table is missing each look fails and the loop goes on; afterwards it finds."""
    watched = Watched(database)
    watched.say("web", [order(number, at=NOW - 3 * HOUR) for number in range(30)])

    def rename(old: str, new: str) -> None:
        watched.write(lambda connection: connection.script(f"ALTER TABLE {old} RENAME TO {new}"))

    await asyncio.to_thread(rename, "clocks", "gone")
    looked: list[int] = []

    def now() -> int:
        looked.append(NOW)
        return NOW

    async with watching(watched, now):
        await until(lambda: len(looked) > 12, "several looks")
        assert opened(watched) == {}
        await asyncio.to_thread(rename, "gone", "clocks")
        await until(lambda: "late_source:web" in opened(watched), "the finding after all")


async def test_old_findings_go(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What closed longer ago than verdicts are kept is dropped by the hourly round."""
    monkeypatch.setattr(watch, "VIEWS_MS", 0)
    watched = Watched(database, workspace(destinations={}))
    watched.say("web", [order(number, at=NOW - 3 * HOUR) for number in range(30)])
    assert "late_source:web" in watched.found(NOW)
    assert watched.found(NOW + 2 * DAY) == {}
    async with watching(watched, lambda: NOW + 500 * DAY):
        await until(lambda: watched.rows("SELECT count(*) FROM findings") == [(0,)], "dropping")


async def test_sizes_of_audiences_are_kept(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hourly round keeps how many people each audience wants, under its hour."""
    monkeypatch.setattr(watch, "VIEWS_MS", 0)
    buyers = Audience(segment="buyers", to=("tiktok",), use="suppress")
    segments = {"buyers": {"did": "Order Completed", "within": "14d"}}
    watched = Watched(database, workspace(destinations=with_destination("tiktok"), segments=segments, audiences=(buyers,)))
    watched.workspace = replace(watched.workspace, destinations={})  # there is nobody to ask for views
    watched.say("web", [order(number, at=NOW - HOUR) for number in range(3)])
    async with watching(watched, lambda: NOW + 90 * MINUTE):
        await until(lambda: watched.rows("SELECT hour, people FROM audience_sizes") == [(NOW + HOUR, 3)], "the sizes")


def test_looking_is_repeatable(database: Database) -> None:
    """Two looks at the same moment leave the same rows, and no look writes anything but findings."""
    watched = Watched(database)
    watched.say("web", [order(number, at=NOW - 3 * HOUR) for number in range(30)])
    before = watched.world()
    first = watch.once(database, watched.workspace, NOW + MINUTE)
    rows = watched.table("findings")
    assert watch.once(database, watched.workspace, NOW + MINUTE) == first
    assert watched.table("findings") == rows
    assert watched.world() == before


# ---- revisions -------------------------------------------------------------------------------------------------------------


def mark(watched: Watched, chosen: Any, now: int) -> bool:
    """A start with this workspace file."""
    answer: bool = watched.write(lambda connection: watch.mark_revision(connection, chosen, now))
    return answer


def revisions(watched: Watched) -> list[tuple[int, str]]:
    """When, and what changed."""
    return [(at, detail) for at, detail in watched.rows("SELECT at, detail FROM marks WHERE kind = 'revision' ORDER BY at")]


def test_a_revision_is_marked_once_with_what_changed(database: Database) -> None:
    """A new start with the same file marks nothing; a change names its sections; the old file again is marked again."""
    watched = Watched(database)
    gated = workspace(gates=(Gate(preset="zero_value"),), retention=workspace().retention)
    assert mark(watched, workspace(), NOW)
    assert not mark(watched, workspace(), NOW + 1)
    assert mark(watched, gated, NOW + 2)
    assert revisions(watched) == [(NOW, "first seen"), (NOW + 2, "gates")]
    assert mark(watched, workspace(), NOW + 3)
    assert revisions(watched) == [(NOW + 2, "gates"), (NOW + 3, "gates")]
    assert watched.rows("SELECT count(*) FROM marks WHERE kind = 'section' AND at > 0") == [(0,)]


secrets = st.text("abcdef0123456789", min_size=8, max_size=20)


@given(token=secrets, key=secrets, address=secrets, password=secrets)
def test_secrets_are_no_part_of_a_revision(token: str, key: str, address: str, password: str) -> None:
    """Tokens, keys, alert addresses and the database's password change no digest."""

    def made(token: str, key: str, address: str, password: str) -> dict[str, str]:
        settings = {**workspace().destinations["tiktok"].settings, "access_token": token}
        return watch.sections(
            workspace(
                destinations=with_destination("tiktok", settings=settings),
                sources={"web": Source(type="track", site_id="1", api_key=key), "shop": Source(type="shopify", secret=key)},
                alerts=Alerts(to={"team": f"slack://{address}"}),
                database=f"postgresql://shop:{password}@db.example/signalpost",
            )
        )

    assert made(token, key, address, password) == made("t", "k", "a", "p")
