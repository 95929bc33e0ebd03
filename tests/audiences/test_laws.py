"""The law of audiences: after any faults and kills the platforms hold exactly what is wanted."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from signalpost.options import Audience
from signalpost.platforms.testing import Client
from signalpost.store.database import Database
from signalpost.syncing import Syncing

from .crowd import Crowd, killed, quick, until, workspace

PEOPLE = 6
ADDRESSES = ("a@example.com", "b@example.com", "c@example.com", "+12025550101", "+12025550102")
FAULTS: list[dict[str, Any]] = [
    {"fault": "reset", "when": "before"},
    {"fault": "reset", "when": "after"},
    {"fault": "status", "status": 500, "when": "before"},
    {"fault": "status", "status": 503, "when": "after"},
    {"fault": "malformed"},
    {"fault": "truncated"},
    {"fault": "empty"},
    {"fault": "rate_limit"},
    {"fault": "token_expired"},
    {"fault": "partial", "probability": 0.5},
]
person = st.integers(1, PEOPLE)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("want"), st.sets(person, min_size=1), st.booleans(), st.sampled_from([0, 1, 2])),
        st.tuples(st.just("teach"), person, st.sets(st.sampled_from(ADDRESSES), max_size=3)),
        st.tuples(st.just("merge"), person, person),
        st.tuples(st.just("erase"), person),
        st.tuples(st.just("fault"), st.sampled_from(FAULTS), st.sampled_from(["tiktok", "pinterest"]), st.integers(1, 3)),
        st.tuples(st.just("pause"), st.sampled_from([0.0, 0.01, 0.05])),
        st.tuples(st.just("kill")),
    ),
    min_size=4,
    max_size=30,
)
_turns = count(1)


class Trial:
    """One crowd, kept on both platforms while things happen to it."""

    def __init__(self, database: Database, platforms: Client) -> None:
        turn = next(_turns)  # each has an audience and people of its own in the one database
        self.title, self.first = f"buyers {turn}", turn * 1_000
        audience = Audience(segment="buyers", name=self.title, to=("tiktok", "pinterest"), use="suppress")
        self.database, self.platforms = database, platforms
        self.crowd = Crowd(database, workspace(platforms, audience))
        self.alive = set(range(1, PEOPLE + 1))
        for each in self.alive:
            self.crowd.teach(self.first + each, f"{each}@example.com")
        self.begin()

    def begin(self) -> None:
        """As a process does."""
        self.syncing = quick(Syncing(self.database, self.crowd.workspace, timeout=5.0))
        self.running = asyncio.create_task(self.syncing.run())

    async def kill(self) -> None:
        """As `kill -9` does."""
        await killed(self.syncing, self.running)

    async def step(self, what: str, *how: Any) -> None:
        """One thing happens."""
        crowd, first = self.crowd, self.first
        match what, how:
            case "want", (people, yes, priority):
                crowd.want([first + each for each in people & self.alive], yes=yes, title=self.title, priority=priority)
            case "teach", (one, addresses) if one in self.alive:
                crowd.teach(first + one, *sorted(addresses))
            case "merge", (one, other) if one != other and {one, other} <= self.alive:
                self.alive.discard(other)
                crowd.merge(first + one, first + other)
            case "erase", (one,) if one in self.alive:
                self.alive.discard(one)
                crowd.erase(first + one)
            case "fault", (fault, platform, times):
                self.platforms.fault(**fault, platform=platform, times=times, scope="audiences")
            case "pause", (seconds,):
                self.syncing.look()
                await asyncio.sleep(seconds)
            case "kill", ():
                await self.kill()
                self.begin()
            case _:
                pass

    async def end(self) -> None:
        """All is well again: what was refused is asked once more, and everything comes to rest."""
        await self.kill()
        self.platforms.clear_faults()
        self.crowd.ask_again()
        self.begin()
        await until(self.crowd.settled, "everything is answered")
        await self.kill()


@given(steps)
@settings(max_examples=15)
async def test_after_any_faults_and_kills_the_platforms_hold_exactly_what_is_wanted(
    database: Database, platforms: Client, steps: list[Any]
) -> None:
    """Whatever moves, fails or dies, once all is well each platform's set equals the wanted set, in one audience."""
    platforms.reset()
    trial = Trial(database, platforms)
    try:
        for step in steps:
            await trial.step(*step)
    finally:
        await trial.end()
    for destination in ("tiktok", "pinterest"):
        assert trial.crowd.expected(trial.title, destination) == trial.crowd.held(platforms, destination, trial.title)
        assert len(platforms.audiences(destination)) <= 1
        states = trial.crowd.keys(destination, trial.title)
        assert set(states) <= {"there"}, "nothing is unsure once all is answered"
