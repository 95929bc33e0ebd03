"""Audiences kept on the emulators, as findings and the checklist tell of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.audiences.crowd import Crowd, kept, until, workspace

from signalpost import doctor, watch
from signalpost.doctor import Checked
from signalpost.findings import Finding
from signalpost.platforms.settings import Settings
from signalpost.platforms.testing import Client, running
from signalpost.processing import now_ms
from signalpost.store.database import Database

PEOPLE = 1_200
"""More than TikTok asks for."""


@pytest.fixture(scope="module")
def platforms() -> Iterator[Client]:
    """Both emulators with the platforms' own minimums."""
    settings = Settings()
    with running(settings) as url, Client(url, settings) as client:
        yield client


def found(crowd: Crowd) -> dict[str, Finding]:
    """Key -> what is found now."""
    told = crowd.database.look(lambda connection: watch.look(connection, crowd.workspace, now_ms()))
    return {each.key: each for each in told if "audience" in each.kind or "suppression" in each.kind}


def line(crowd: Crowd, destination: str) -> Checked:
    """The checklist's line about suppression."""
    evidence = crowd.database.look(lambda connection: doctor.gather(connection, crowd.workspace, now_ms()))
    told = doctor.examine(crowd.workspace, evidence)
    return next(each for each in told if (each.check, each.destination) == ("suppression", destination))


async def test_from_a_purchase_to_the_checklist(database: Database, platforms: Client) -> None:
    """Buyers whom both platforms have taken pass the checklist with the clock; an audience that somebody deletes fails it."""
    platforms.reset()
    segments = {"buyers": {"did": "Order Completed", "within": "14d"}}
    crowd = Crowd(database, workspace(platforms, segments=segments))
    for person in range(1, PEOPLE + 1):
        crowd.teach(person, f"p{person}@example.com")
    crowd.want(range(1, PEOPLE + 1), priority=0, at=now_ms())
    assert line(crowd, "tiktok").state == "not yet known"
    async with kept(database, crowd.workspace):
        await until(lambda: all(crowd.standing(name).loaded_at for name in ("tiktok", "pinterest")), "the first load")
        assert found(crowd) == {}
        for name in ("tiktok", "pinterest"):
            told = line(crowd, name)
            assert (told.state, told.counts["members"], told.counts["pending"]) == ("pass", PEOPLE, 0)
            assert "for 14 days" in told.sentence
            assert f"of {PEOPLE:,} buyers in the last 24 hours half were within" in told.sentence
        held = crowd.standing("pinterest").held
        for lost in (held.id, held.list_id):
            platforms.lose_audience("pinterest", lost)
        crowd.want([1], yes=False, priority=0, at=now_ms())
        await until(lambda: crowd.standing("pinterest").state == "gone", "that it is gone")
    assert set(found(crowd)) == {"audience_stopped:buyers at pinterest"}
    assert (line(crowd, "pinterest").state, line(crowd, "tiktok").state) == ("fail", "pass")
