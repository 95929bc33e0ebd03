"""Bounds of value tiers over everybody in a real database: exact, on time, and still when nothing moved."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest
from tests.laws.flow import DAY, NOW, workspace

from signalpost import valuing, watch
from signalpost.events import Bought, Person
from signalpost.options import ValueTiers
from signalpost.store import valuing as kept
from signalpost.store.database import Connection, Database
from signalpost.watch import Watch

TIERS = {
    "worth": ValueTiers(names=("low", "mid", "top"), quantiles=("50%", "90%"), hysteresis="5%"),
    "often": ValueTiers(names=("once", "more"), of="orders", quantiles=("60%",), every="7d"),
    "fixed": ValueTiers(names=("small", "large"), of="average_order_value", bounds=("75.50",)),
}


def order(value: str, **changes: Any) -> Bought:
    """An order of so much."""
    plain = Bought(NOW, Decimal(value), Decimal(0), Decimal(0), Decimal(value), False, False)
    return msgspec.structs.replace(plain, **changes)


def put(connection: Connection, people: list[Person]) -> None:
    """Write people's records."""
    connection.script("DELETE FROM people")
    place = "?" if type(connection).__name__ == "SqliteConnection" else "%s"
    sql = f"INSERT INTO people (id, record, changed_at) VALUES ({place}, {place}, {place})"
    for person in people:
        connection.raw.execute(sql, (person.id, msgspec.json.encode(person), NOW))  # type: ignore[attr-defined]


def shop(buyers: int, *, factor: int = 1) -> list[Person]:
    """So many buyers, the n-th worth n; beside them as many who never bought and some whose order was cancelled."""
    people = [Person(id=number, orders={"a": order(str(number * factor))}) for number in range(1, buyers + 1)]
    people += [Person(id=10_000 + number, emails={"a@b.example": 1}) for number in range(buyers)]
    people += [Person(id=20_000 + number, orders={"a": order("1000000", cancelled=True)}) for number in range(20)]
    return people


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages so small that there are many."""
    monkeypatch.setattr(valuing, "PAGE", 97)


@pytest.mark.usefixtures("pages")
async def test_bounds_are_those_of_everybody_who_bought(database: Database) -> None:
    """The bounds are exact quantiles over people with a standing order, refunds off, whatever the pages."""
    people = shop(998)
    people += [Person(id=30_001, orders={"a": order("5000", refunded=Decimal(5000), refunds=True), "b": order("0.5")})]
    people += [Person(id=30_002, orders={"a": order("6000"), "b": order("1000")})]
    await database.write(partial(put, people=people))
    chosen = workspace(value_tiers=TIERS)
    cuts = await valuing.once(database, chosen, NOW)
    assert set(cuts) == {"worth", "often"}
    assert cuts["worth"].people == 1000
    assert cuts["worth"].bounds == (Decimal(500), Decimal(900))
    assert cuts["worth"].sizes == (500, 400, 100)
    present = await database.read(partial(kept.present, workspace=chosen))
    assert present["worth"].bounds == (Decimal(500), Decimal(900))
    assert present["worth"].hysteresis == Decimal("0.05")
    assert present["fixed"].bounds == (Decimal("75.50"),)
    assert present["often"].bounds == (Decimal(2),)


async def test_what_is_not_due_is_not_computed(database: Database) -> None:
    """Each has its own schedule; other shares are computed at once, and bounds of the old ones do not count meanwhile."""
    await database.write(partial(put, people=shop(600)))
    chosen = workspace(value_tiers=TIERS)
    assert set(await valuing.once(database, chosen, NOW)) == {"worth", "often"}
    assert not await valuing.once(database, chosen, NOW + DAY - 1)
    assert set(await valuing.once(database, chosen, NOW + DAY)) == {"worth"}
    changed = workspace(value_tiers={"worth": ValueTiers(names=("low", "mid", "top"), quantiles=("40%", "80%"))})
    assert (await database.read(partial(kept.present, workspace=changed)))["worth"].bounds == ()
    assert set(await valuing.once(database, changed, NOW + DAY + 1)) == {"worth"}
    assert set(await database.read(kept.computed)) == {"worth"}  # what left the file is forgotten


async def test_bounds_that_did_not_move_keep_their_moment(database: Database) -> None:
    """`at` says when bounds moved, so that nobody is looked at again for nothing."""
    await database.write(partial(put, people=shop(600)))
    chosen = workspace(value_tiers={"worth": TIERS["worth"]})
    await valuing.once(database, chosen, NOW)
    await valuing.once(database, chosen, NOW + DAY)
    still = (await database.read(kept.computed))["worth"]
    assert (still.at, still.computed_at) == (NOW, NOW + DAY)
    await database.write(partial(put, people=shop(600, factor=2)))
    await valuing.once(database, chosen, NOW + 2 * DAY)
    moved = (await database.read(kept.computed))["worth"]
    assert moved.at == NOW + 2 * DAY
    assert moved.bounds == tuple(2 * bound for bound in still.bounds)


async def test_too_few_people_say_so_and_leave_what_was(database: Database) -> None:
    """Without enough people nobody is in a band, with the sentence why; bounds that once were stay when people become few."""
    chosen = workspace(value_tiers={"worth": TIERS["worth"]})
    await database.write(partial(put, people=shop(100)))
    await valuing.once(database, chosen, NOW)
    few = (await database.read(kept.computed))["worth"]
    assert few.bounds == ()
    assert "100 people have a standing order, and these shares need 500" in few.sentence
    await database.write(partial(put, people=shop(600)))
    await valuing.once(database, chosen, NOW + DAY)
    many = (await database.read(kept.computed))["worth"]
    assert (len(many.bounds), many.sentence) == (2, "")
    await database.write(partial(put, people=shop(100)))
    await valuing.once(database, chosen, NOW + 2 * DAY)
    again = (await database.read(kept.computed))["worth"]
    assert again.bounds == many.bounds
    assert again.sentence == few.sentence


async def test_an_empty_database_has_no_bounds(database: Database) -> None:
    """Before anybody bought there is a sentence and no band."""
    cuts = await valuing.once(database, workspace(value_tiers={"worth": TIERS["worth"]}), NOW)
    assert cuts["worth"].bounds == ()
    assert cuts["worth"].people == 0


async def test_the_watch_computes_what_is_due(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """While `serve` runs, bounds appear by themselves, and again when their time has come."""
    monkeypatch.setattr(watch, "EVERY_MS", 20)
    monkeypatch.setattr(watch, "VIEWS_MS", 2**62)
    await database.write(partial(put, people=shop(600)))
    moment = [NOW]
    loop = asyncio.create_task(Watch(database, workspace(value_tiers={"worth": TIERS["worth"]}), now=lambda: moment[0]).run())
    try:
        await computed_at(database, NOW)
        moment[0] = NOW + DAY
        await computed_at(database, NOW + DAY)
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def computed_at(database: Database, at: int) -> None:
    """Wait until bounds were computed at this moment."""
    deadline = asyncio.get_running_loop().time() + 30
    while (known := (await database.read(kept.computed)).get("worth")) is None or known.computed_at != at:
        assert asyncio.get_running_loop().time() < deadline, "no bounds were computed"
        await asyncio.sleep(0.02)
