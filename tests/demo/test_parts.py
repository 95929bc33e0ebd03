"""The demo's parts: its workspace file, what it compares, and how it draws."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text
from tests.audiences.crowd import Crowd, kept, until, workspace

from signalpost import config
from signalpost.demo import found, people, picture
from signalpost.demo.workspace import written
from signalpost.destinations import CATALOG
from signalpost.findings import KINDS, Finding
from signalpost.platforms.testing import Client, running
from signalpost.store.database import Database


@pytest.fixture(scope="module")
def emulators() -> Iterator[str]:
    """Both emulators."""
    with running() as url:
        yield url


@pytest.fixture
def platforms(emulators: str) -> Iterator[Client]:
    """A client of empty emulators."""
    with Client(emulators) as client:
        client.reset()
        yield client


def test_the_workspace_warns_of_what_it_is_there_to_show(tmp_path: Path) -> None:
    """The file has no mistake; it warns of the early offer, of ladder audiences without ad groups and of custom events."""
    file, environ = written(tmp_path, 0, "http://127.0.0.1:8900")
    made, notes = config.check(file.read_text("utf-8"), environ, CATALOG)
    assert made is not None
    told = [note.sentence for note in notes]
    assert [True] == ["Ads with a discount reach `cart_offer`" in said for said in told if "discount" in said]
    assert 4 == sum(said.startswith("No ad group is named that shows ads to `cart_") for said in told)
    assert 3 == sum("will be sent as a custom one" in said for said in told)
    assert 8 == len(told)


async def test_one_identifier_too_many_or_too_few_is_no_agreement(database: Database, platforms: Client) -> None:
    """Hub and platform agree once everybody is settled, and not while somebody else is wanted or no longer wanted."""
    crowd = Crowd(database, workspace(platforms))
    for person in (1, 2, 3):
        crowd.teach(person, f"p{person}@example.com", f"+1202555000{person}")
    crowd.want([1, 2])
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "the first load")

    async def differ() -> dict[str, int]:
        async with httpx.AsyncClient(base_url=platforms.url, trust_env=False) as client:
            return await people.different(client, database.look(lambda one: people.held(one, crowd.workspace)))

    assert {} == await differ()
    crowd.want([3])
    assert {"buyers at tiktok": 2, "buyers at pinterest": 1} == await differ()
    crowd.want([3], yes=False)
    crowd.want([1], yes=False)
    assert {"buyers at tiktok": 2, "buyers at pinterest": 1} == await differ()


@given(now=st.integers(0, 10_000), ahead=st.lists(st.integers(0, 10_000), min_size=people.AHEAD, max_size=people.AHEAD + 1))
def test_a_line_of_blocks_is_as_high_as_it_says(now: int, ahead: list[int]) -> None:
    """A block for every third hour; nobody is a dot, more people are never a lower block."""
    drawn = people.spark(now, ahead)
    assert people.DRAWN == len(drawn)
    sizes = ahead[2::3][: people.DRAWN]
    heights = [("·" + people.BLOCKS).index(each) for each in drawn]
    assert [size == 0 for size in sizes] == [height == 0 for height in heights]
    in_order = sorted(zip(sizes, heights, strict=True))
    assert sorted(heights) == [height for _, height in in_order]


def finding(number: int, kind: str = "audience_small") -> Finding:
    """A finding about something."""
    return Finding(
        kind=kind,
        subject=f"s{number}",
        severity="warning",
        sentence=f"Sentence {number}.",
        advice="",
        link="",
        money=Decimal(number),
    )


def text(part: object) -> str:
    """What a part looks like on a wide terminal."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(part)
    return captured.get()


def test_findings_of_a_kind_are_gathered() -> None:
    """The first two of a kind are told whole and the others named in one line; three of a kind are all told."""
    told = text(found.table([*(finding(number) for number in range(5)), *(finding(number, "observed") for number in (7, 8, 9))]))
    assert all(f"Sentence {number}." in told for number in (0, 1, 7, 8, 9))
    assert all(f"Sentence {number}." not in told for number in (2, 3, 4))
    assert f"{KINDS['audience_small'].title}, 3 more: s2, s3, s4." in told
    assert "8 findings" in told


@given(heights=st.lists(st.integers(1, 30), min_size=1, max_size=8), height=st.integers(5, 40))
def test_every_part_of_the_picture_has_its_page(heights: list[int], height: int) -> None:
    """Page by page all parts are shown, each once, in order, and no page is higher than the terminal unless one part is."""
    console = Console(width=80, height=height, quiet=True)
    parts = [Text("\n".join([f"part {place}"] * lines)) for place, lines in enumerate(heights)]
    shown: list[Text] = []
    page = 0
    while len(shown) < len(parts):
        group = [part for part in picture.fitting(console, parts, page).renderables if isinstance(part, Text)]
        lines = sum(len(part.plain.splitlines()) for part in group)
        assert group
        assert len(group) == 1 or lines < height
        shown += group
        page += 1
    assert parts == shown
    assert parts[0] is picture.fitting(console, parts, page).renderables[0]
