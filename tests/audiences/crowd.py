"""People whom audiences want and no longer want, written as the pipeline writes them, and what the platforms must then hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiolimiter import AsyncLimiter
from tests.delivery import shop

from signalpost import normalize
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.destinations.audiences import AudiencePart
from signalpost.events import Person
from signalpost.options import Audience
from signalpost.platforms.testing import Client
from signalpost.processing import now_ms
from signalpost.state import Decision
from signalpost.store import audiences as store
from signalpost.store import batches
from signalpost.store.database import Connection, Database
from signalpost.syncing import Syncing

BUYERS = Audience(segment="buyers", to=("tiktok", "pinterest"), use="suppress")
LONG_AGO = 60_000
"""How long ago (ms) people are said to have moved, so that nobody waits for company."""


def workspace(platforms: Client, *audiences: Audience, **changes: Any) -> Workspace:
    """The shop's workspace with audiences and what they need; `tiktok` and `pinterest` change a destination's options."""
    settings = platforms.settings
    tiktok = {
        "pixel": settings.tiktok_pixels[0],
        "access_token": settings.tiktok_events_token,
        "audience_token": settings.tiktok_token,
        "advertiser": settings.tiktok_advertiser_id,
    }
    pinterest = {
        "ad_account": settings.pinterest_ad_account_id,
        "access_token": settings.pinterest_conversion_token,
        "audience_token": settings.pinterest_token,
    }
    for name, own in (("tiktok", tiktok), ("pinterest", pinterest)):
        changes[name] = {"settings": own, **changes.get(name, {})}
    return shop.workspace(platforms, **{"audiences": audiences or (BUYERS,), **changes})


class Crowd:
    """The people of one database: what they are to be found by, and which audience wants them."""

    def __init__(self, database: Database, workspace: Workspace) -> None:
        self.database, self.workspace = database, workspace
        self.slots = {(each.audience.title, each.destination): each.slot for each in self._write(self._register)}
        self.addresses: dict[int, tuple[str, ...]] = {}
        self.wanted: dict[str, set[int]] = {each.title: set() for each in workspace.audiences}

    def _register(self, connection: Connection) -> list[store.Slot]:
        return store.register(connection, self.workspace)

    def _write(self, work: Callable[[Connection], Any]) -> Any:
        return self.database.submit(work).result()

    def _record(self, person: int) -> Person:
        emails = [each for each in self.addresses[person] if "@" in each]
        phones = [each for each in self.addresses[person] if "@" not in each]
        keys = normalize.match_keys(emails=emails, phones=phones, external_ids=[], traits={}, devices={})
        return Person(id=person, keys=keys)

    # ---- what the pipeline does --------------------------------------------------------------------------------------------

    def teach(self, person: int, *addresses: str) -> None:
        """Somebody is to be found by these e-mail addresses and phone numbers from now on, and by no others."""
        self.addresses[person] = addresses
        made = Decision(now=now_ms(), people=[self._record(person)])
        for title, people in self.wanted.items():
            if person in people:
                made.wanted |= self._rows(title, person, priority=1, at=now_ms() - LONG_AGO)
        self._write(lambda connection: batches.commit(connection, made))

    def _rows(self, title: str, person: int, *, priority: int, at: int) -> dict[tuple[int, int], tuple[int, int, int, int]]:
        wanted = int(person in self.wanted[title])
        return {
            (slot, person): (wanted, priority, 1 if priority == 0 else 0, at)
            for (name, _), slot in self.slots.items()
            if name == title
        }

    def want(
        self, people: Iterable[int], *, yes: bool = True, title: str = "buyers", priority: int = 1, at: int | None = None
    ) -> None:
        """An audience wants these people, or no longer does."""
        made = Decision(now=now_ms())
        for person in people:
            (self.wanted[title].add if yes else self.wanted[title].discard)(person)
            made.wanted |= self._rows(title, person, priority=priority, at=now_ms() - LONG_AGO if at is None else at)
        self._write(lambda connection: batches.commit(connection, made))

    def erase(self, person: int) -> None:
        """Somebody wishes to be forgotten."""
        self.addresses.pop(person, None)
        for people in self.wanted.values():
            people.discard(person)
        made = Decision(now=now_ms(), dropped=[person])
        self._write(lambda connection: batches.commit(connection, made))

    def merge(self, winner: int, loser: int) -> None:
        """Two people turn out to be one; whoever wanted one of them wants both."""
        self.addresses[winner] = (*self.addresses[winner], *self.addresses.pop(loser))
        made = Decision(now=now_ms(), moved=[(winner, loser)], people=[self._record(winner)])
        for title, people in self.wanted.items():
            if loser in people:
                people.discard(loser)
                people.add(winner)
            made.wanted |= self._rows(title, winner, priority=1, at=now_ms() - LONG_AGO)
        self._write(lambda connection: batches.commit(connection, made))

    # ---- what must come of it ----------------------------------------------------------------------------------------------

    def expected(self, title: str, destination: str) -> set[str]:
        """The identifiers that the platform must hold, without their kinds."""
        part = CATALOG[self.workspace.destinations[destination].type].audience
        assert part is not None
        people = (person for person in self.wanted[title] if person in self.addresses)
        return {key.partition(":")[2] for person in people for key in part.keys(self._record(person).keys)}

    def standing(self, destination: str, title: str = "buyers") -> store.Standing:
        """How an audience stands."""
        slot = self.slots[title, destination]
        found: store.Standing | None = self.database.look(lambda connection: store.standing(connection, slot))
        assert found is not None
        return found

    def figures(self, destination: str, title: str = "buyers") -> store.Figures:
        """Its people."""
        slot = self.slots[title, destination]
        return self.database.look(store.figures).get(slot, store.Figures())

    def keys(self, destination: str, title: str = "buyers") -> dict[str, int]:
        """Identifiers by state."""
        slot = self.slots[title, destination]
        return self.database.look(lambda connection: store.key_figures(connection, slot))

    def refusals(self, destination: str, title: str = "buyers") -> list[store.Refusal]:
        """What the platform would not take or give back."""
        slot = self.slots[title, destination]
        return self.database.look(lambda connection: store.refusals(connection, slot))

    def ask_again(self) -> None:
        """Whatever was refused is asked once more, as it is after a day."""
        for slot in self.slots.values():
            self._write(partial(self._ask_again, slot))

    def _ask_again(self, slot: int, connection: Connection) -> None:
        store.ask_again(connection, slot, store.unlucky(connection, slot, now_ms() + 1), 0)

    def held(self, platforms: Client, destination: str, title: str = "buyers") -> set[str]:
        """What the platform holds; nothing while it has no such audience."""
        here = self.standing(destination, title).held
        name = here.id or here.list_id
        return platforms.members(name) if name else set()

    def settled(self) -> bool:
        """Whether nothing is open any more, or nothing can be done."""
        return all(self.figures(destination, title).pending == 0 for title, destination in self.slots)


def quick(syncing: Syncing) -> Syncing:
    """The same without waiting for the platforms' pace: the emulators keep none."""
    for line in syncing.lines.values():
        line.pace = AsyncLimiter(100_000, 1.0)
    return syncing


@asynccontextmanager
async def kept(
    database: Database, workspace: Workspace, *, part: AudiencePart | None = None, patience: float = 20.0
) -> AsyncIterator[Syncing]:
    """Audiences are kept while the block runs; `part` replaces what the platforms declare."""
    syncing = quick(Syncing(database, workspace, timeout=patience))
    for line in syncing.lines.values():
        line.part = part or line.part
    running = asyncio.create_task(syncing.run())
    try:
        yield syncing
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await syncing.stop()


async def killed(syncing: Syncing, running: asyncio.Task[None]) -> None:
    """End without a word, as a kill does: whatever is in flight stays unanswered, and whoever comes next finds it so."""
    tasks = [running, *syncing._tasks]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for line in syncing.lines.values():
        await line.transport.close()


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; it must within `shop.PATIENCE`."""
    for _ in range(int(shop.PATIENCE / 0.02)):
        if await asyncio.to_thread(holds):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {shop.PATIENCE:.0f} s: {what}")


def rows(database: Database, query: str) -> list[Any]:
    """What the database says, of a query with no parameters."""

    def work(connection: Any) -> list[Any]:
        return list(connection.raw.execute(query).fetchall())

    return database.look(work)
