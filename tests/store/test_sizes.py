"""Sizes counted beside the flow, on SQLite and PostgreSQL: what is read of them is what there is."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from tests.laws.flow import DAY, HOUR, MINUTE, NOW, Flow, request, workspace
from tests.store.test_segments import told

from signalpost.options import Audience
from signalpost.segments.forecast import forecast
from signalpost.store import audiences, batches, segments, sizes
from signalpost.store.database import Connection, Database
from signalpost.store.sizes import Hour

WORKSPACE = workspace(
    segments={
        "cart": {"ladder": "Checkout Started", "until": "Order Completed", "tiers": ["0h-3h fresh", "3h-8h late"]},
        "buyers": {"did": "Order Completed", "within": "20h"},
    },
    audiences=(
        Audience(segment="cart", to=("tiktok",), use="target"),
        Audience(segment="buyers", to=("tiktok",), use="suppress"),
        Audience(segment="cart", to=("pinterest",), use="seed", name="Pinterest"),
    ),
)


@pytest.fixture
def shop(database: Database) -> Flow:
    """Nine people who began to check out one hour after the other; the first three bought an hour ago."""
    flow = Flow(database, WORKSPACE)
    flow.fill(NOW - 2 * DAY)
    happened = [("Checkout Started", person, (10 - person) * HOUR + 7 * MINUTE) for person in range(1, 10)]
    happened += [("Order Completed", person, HOUR - MINUTE) for person in (1, 2, 3)]
    for name, person, ago in happened:
        flow.write(partial(batches.append, received=request("web", [told(name, person, ago)], NOW - ago), messages=1))
        flow.process(now=NOW - ago)
    flow.pass_time(NOW)
    return flow


def counted(flow: Flow, now: int) -> sizes.Counted:
    """Count at a moment, and keep it."""
    found = flow.database.look(lambda one: sizes.count(one, WORKSPACE, now))
    flow.write(lambda one: sizes.keep(one, found))
    return found


def present(connection: Connection) -> dict[int, int]:
    """Number of a segment -> people inside, as a page reads it."""
    slots = segments.slots(connection).values()
    return {
        slot: sizes.now_inside(connection, slot, hours[-1]).people
        for slot, hours in sizes.past(connection, slots, NOW - 10 * DAY).items()
    }


def inside(connection: Connection) -> dict[int, int]:
    """The same counted in full."""
    there = segments.sizes(connection)
    return {slot: there.get(slot, 0) for slot in segments.slots(connection).values()}


def test_a_count_and_the_moves_since_are_exactly_who_is_inside(shop: Flow) -> None:
    """Whenever a page asks after a count, what it reads is the size: as time passes, and after new events."""
    counted(shop, NOW)
    for later in range(0, 12 * HOUR, 95 * MINUTE):
        shop.pass_time(NOW + later)
        assert shop.database.look(present) == shop.database.look(inside)
    shop.write(
        partial(batches.append, received=request("web", [told("Order Completed", 9, -13 * HOUR)], NOW + 13 * HOUR), messages=1)
    )
    shop.process(now=NOW + 13 * HOUR)
    assert shop.database.look(present) == shop.database.look(inside)


def test_counting_again_tells_the_same_past(shop: Flow) -> None:
    """Hours counted as they came are those that one count at the end works out of the moves."""
    for later in range(0, 6 * HOUR, HOUR):
        shop.pass_time(NOW + later)
        counted(shop, NOW + later)
    slots = list(shop.database.look(segments.slots).values())
    as_they_came = shop.database.look(lambda one: sizes.past(one, slots, 0))
    shop.write(lambda one: one.run("sizes_prune", NOW + 10 * DAY))
    counted(shop, NOW + 5 * HOUR)
    at_once = shop.database.look(lambda one: sizes.past(one, slots, 0))
    for slot in slots:
        known = {each.at: each for each in as_they_came[slot]}
        assert [known[each.at] for each in at_once[slot]] == at_once[slot]


def test_hours_walk_back_from_who_is_inside() -> None:
    """Each hour's beginning is what the moves after it leave."""
    found = sizes.hours(10, {HOUR: (3, 0), 2 * HOUR: (4, 1), 3 * HOUR: (5, 2)}, HOUR, 3 * HOUR)
    assert found == [
        Hour(at=HOUR, people=1, entered=3, left=0),
        Hour(at=2 * HOUR, people=4, entered=4, left=1),
        Hour(at=3 * HOUR, people=7, entered=5, left=2),
    ]


def test_the_kept_forecast_is_the_forecast(shop: Flow) -> None:
    """What is kept of a segment's future are the hours of the forecast in which anybody moves."""
    counted(shop, NOW)
    slots = shop.database.look(segments.slots)
    tests = {"cart_late": shop.plan.segments.segments["cart_late"].test}
    until = NOW + sizes.AHEAD
    whole = shop.database.look(lambda one: forecast(segments.due(one, until), tests, NOW, until))
    line = whole.lines["cart_late"]
    outlook = shop.database.look(lambda one: sizes.outlook(one, slots["cart_late"]))
    assert outlook is not None
    assert outlook.until == until
    assert outlook.hours == [step for step in zip(whole.starts, line.entered, line.left, strict=True) if any(step[1:])]
    assert outlook.hours


def test_a_forecast_of_many_ends_where_it_is_no_longer_exact(shop: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more people are due than are walked, the forecast reaches to the moment of the first who is not."""
    monkeypatch.setattr(sizes, "WALKED", 3)
    due = shop.database.look(lambda one: [min(each.due.values()) for each in segments.due(one, NOW + sizes.AHEAD)])
    assert len(due) > 3
    [until] = {each.until for each in counted(shop, NOW).outlooks.values()}
    assert until == due[3]


def test_audiences_are_counted_with_whom_they_share(shop: Flow) -> None:
    """Wanted and taken are those of the audience's people; whom another at the same destination wants too is counted."""
    buyers = [("Checkout Started", person, -MINUTE) for person in (1, 2)]
    for name, person, ago in buyers:
        shop.write(partial(batches.append, received=request("web", [told(name, person, ago)], NOW - ago), messages=1))
    shop.process(now=NOW + MINUTE)
    counted(shop, NOW + MINUTE)

    def look(connection: Connection) -> Any:
        slots = {(each.name, each.destination): each.slot for each in audiences.standings(connection)}
        return slots, sizes.of_audiences(connection), audiences.figures(connection)

    slots, found, figures = shop.database.look(look)
    assert {slot: each.figures for slot, each in found.items()} == {slot: figures[slot] for slot in slots.values()}
    assert found[slots["cart", "tiktok"]].overlaps == {slots["buyers", "tiktok"]: 2}
    assert found[slots["Pinterest", "pinterest"]].overlaps == {}


def test_ways_through_tiers_are_counted_for_each_window(shop: Flow) -> None:
    """Of the ladder, who came in, who went on and who bought; a shorter window has less of them."""
    counted(shop, NOW)
    slots = shop.database.look(segments.slots)
    found = shop.database.look(lambda one: sizes.passing(one, slots["cart_fresh"]))
    assert found is not None
    ways = {(each.source, each.target, each.event): each.people for each in found.ways["24h"]}
    fresh, late = slots["cart_fresh"], slots["cart_late"]
    assert ways[0, fresh, "Checkout Started"] == 9
    assert ways[fresh, late, ""] == 7
    assert ways[late, 0, "Order Completed"] == 2
    assert ways[late, 0, ""] == 1
    assert sum(ways.values()) == 19


def test_counted_people(shop: Flow) -> None:
    """How many people there are is kept with the count; before the first nothing is known."""
    assert shop.database.look(sizes.people) is None
    counted(shop, NOW)
    assert shop.database.look(sizes.people) == 9
