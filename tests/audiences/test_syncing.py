"""Audiences are kept on the emulators: what is wanted is there, what is not is not, and nothing is asked that need not be."""

from __future__ import annotations

from signalpost.platforms.testing import Client
from signalpost.store.database import Database

from .crowd import BUYERS, Crowd, kept, until, workspace

BOTH = ("tiktok", "pinterest")


async def test_what_is_wanted_is_at_both_platforms(database: Database, platforms: Client) -> None:
    """Everybody who is wanted is held by every identifier the platform takes, and whoever leaves is held by none."""
    crowd = Crowd(database, workspace(platforms))
    for person in range(1, 31):
        crowd.teach(person, f"p{person}@example.com", f"+1202555{person:04}")
    crowd.want(range(1, 31))
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "the first load")
        for destination in BOTH:
            assert crowd.expected("buyers", destination) == crowd.held(platforms, destination)
        crowd.want(range(1, 11), yes=False)
        crowd.teach(20, "other@example.com")
        crowd.erase(21)
        await until(crowd.settled, "the change")
        for destination in BOTH:
            assert crowd.expected("buyers", destination) == crowd.held(platforms, destination)
            assert len(platforms.audiences(destination)) == 1
    assert crowd.figures("tiktok").wanted == 19
