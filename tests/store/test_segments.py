"""What is read of segments, on SQLite and PostgreSQL: who is inside, who moved, who is due, who somebody is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.laws.flow import DAY, HOUR, MINUTE, NOW, Flow, moment, request, workspace

from signalpost import state
from signalpost.events import Person
from signalpost.segments.forecast import forecast
from signalpost.store import batches, segments
from signalpost.store.database import Connection, Database

WORKSPACE = workspace(
    segments={
        "cart": {
            "all": [{"last": "Checkout Started", "age": "6h..24h"}, {"did_not": "Order Completed", "since": "Checkout Started"}]
        },
        "buyers": {"did": "Order Completed"},
    }
)
PEOPLE = 7


def told(name: str, person: int, ago: int) -> dict[str, Any]:
    who = {"userId": f"u{person}", "context": {"traits": {"email": f"p{person}@shop.example"}}}
    properties = {"order_id": f"{person}-{ago}", "total": 20}
    return {
        "type": "track",
        "event": name,
        "messageId": f"{name}{person}-{ago}",
        "timestamp": moment(NOW - ago),
        **who,
        "properties": properties,
    }


@pytest.fixture
def shop(database: Database) -> Flow:
    """Seven people who began to check out one hour after the other, the first 8 hours ago; the first two bought an hour ago."""
    flow = Flow(database, WORKSPACE)
    flow.fill(NOW - DAY)
    happened = [("Checkout Started", person, (9 - person) * HOUR) for person in range(1, PEOPLE + 1)]
    happened += [("Order Completed", person, HOUR - MINUTE) for person in (1, 2)]
    for name, person, ago in happened:
        flow.write(partial(batches.append, received=request("web", [told(name, person, ago)], NOW - ago), messages=1))
        flow.process(now=NOW - ago)
    flow.pass_time(NOW)
    return flow


Look = Callable[[Callable[[Connection], Any]], Any]


def test_sizes_members_and_moves_tell_the_same(shop: Flow) -> None:
    """Who entered and has not left is a member; sums by the hour, since a moment and move by move agree."""
    look: Look = shop.database.look
    slot = look(segments.slots)["cart"]
    moves = look(lambda one: segments.latest(one, slot, most=100))
    assert [move.at for move in moves] == sorted((move.at for move in moves), reverse=True)
    # 1 and 2 entered and left with their order; 3 entered by time.
    inside = {move.person for move in moves if move.entered} - {move.person for move in moves if not move.entered}
    members = look(lambda one: segments.members(one, slot))
    assert {person for person, _ in members} == inside
    assert look(segments.sizes)[slot] == len(inside) == 1
    assert look(lambda one: segments.since(one, slot, members[0][0])) == members[0][1] == NOW
    entered, left = look(lambda one: segments.moved(one, slot, NOW - DAY, NOW + 1))
    assert (entered, left) == (3, 2)
    steps = look(lambda one: segments.steps(one, slot, NOW - DAY, NOW + 1))
    assert all(start % HOUR == 0 for start in steps)
    assert tuple(map(sum, zip(*steps.values(), strict=True))) == (entered, left)


def test_a_move_tells_what_made_it(shop: Flow) -> None:
    """Time, or the event with its name and its moment; of one moment the event comes after time."""
    look: Look = shop.database.look
    slots = look(segments.slots)
    [buyer] = look(lambda one: segments.find(one, "u1", WORKSPACE))
    out, entered = look(lambda one: segments.moves_of(one, buyer.id, slots["cart"]))
    assert (out.entered, out.name, out.time) == (False, "Order Completed", NOW - HOUR + MINUTE)
    assert (entered.entered, entered.event, entered.at) == (True, state.BY_TIME, NOW - 2 * HOUR)
    every = look(lambda one: segments.moves_of(one, buyer.id))
    assert {move.segment for move in every} == {slots["cart"], slots["buyers"]}


@pytest.mark.parametrize("page", [1, 2, 500])
def test_people_are_due_once_whatever_the_page(shop: Flow, page: int) -> None:
    """However the pages are cut, everybody whose next moment comes before the end is read once, in the order of their moments."""
    until = NOW + 30 * HOUR

    def work(connection: Connection) -> tuple[list[Person], int]:
        return list(segments.due(connection, until, page)), segments.due_count(connection, until)

    people, many = shop.database.look(work)
    assert len(people) == len({person.id for person in people}) == many == PEOPLE - 2
    nearest = [min(person.due.values()) for person in people]
    assert nearest == sorted(nearest)
    assert shop.database.look(lambda one: list(segments.due(one, NOW + 1))) == []


def test_the_forecast_of_the_database_is_what_the_timers_do(shop: Flow) -> None:
    """Whom the store says is due, walked, is who moves when the clock goes on and every timer fires."""
    until = NOW + 30 * HOUR
    slot = shop.database.look(segments.slots)["cart"]
    tests = {"cart": shop.plan.segments.segments["cart"].test}
    found = shop.database.look(lambda one: forecast(segments.due(one, until), tests, NOW, until))
    shop.pass_time(until)
    steps = shop.database.look(lambda one: segments.steps(one, slot, NOW + 1, until))
    line = found.lines["cart"]
    expected = {start: pair for start, *pair in zip(found.starts, line.entered, line.left, strict=True) if any(pair)}
    assert {start: list(pair) for start, pair in steps.items()} == expected


@pytest.mark.parametrize("key", ["u3", "user_id:u3", "p3@shop.example", " P3@Shop.example", "email:p3@shop.example"])
def test_somebody_is_found_by_any_identifier(shop: Flow, key: str) -> None:
    """An identifier of any kind, in any spelling that means the same, and the person's number name one person."""
    [found] = shop.database.look(lambda one: segments.find(one, key, WORKSPACE))
    assert "u3" in found.external_ids
    [again] = shop.database.look(lambda one: segments.find(one, str(found.id), WORKSPACE))
    assert again == found
    assert ("email", "p3@shop.example") in shop.database.look(lambda one: segments.identifiers(one, found.id))


@pytest.mark.parametrize("key", ["", "nobody", "0", "99999999999999999999", "email:", "user_id:u3 or 1=1", "unknown"])
def test_nobody_is_found_by_what_names_nobody(shop: Flow, key: str) -> None:
    """Any text may be asked."""
    assert shop.database.look(lambda one: segments.find(one, key, WORKSPACE)) == []


def test_who_was_merged_is_found_as_who_they_are_now(shop: Flow) -> None:
    """The number of somebody who was found to be another leads to that other, with the moves of both."""
    both = shop.database.look(lambda one: [segments.find(one, key, WORKSPACE)[0].id for key in ("u4", "u5")])
    alias = {"type": "alias", "messageId": "alias", "userId": "u4", "previousId": "u5", "timestamp": moment(NOW)}
    shop.write(lambda one: batches.append(one, request("web", [alias], NOW), 1))
    shop.process(now=NOW)
    found = shop.database.look(lambda one: [segments.find(one, str(number), WORKSPACE)[0].id for number in both])
    assert found == [min(both)] * 2
