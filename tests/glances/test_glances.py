"""A rule asked of some people, on SQLite and PostgreSQL: what they say is what the rule's segment holds."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from tests.laws.flow import DAY, HOUR, MINUTE, NOW, SEGMENTS, Flow, guarded, request
from tests.store.test_segments import told

from signalpost import glances
from signalpost.glances import Glance
from signalpost.segments import catalog, reading
from signalpost.store import batches, segments
from signalpost.store.database import Connection, Database

WORKSPACE = guarded()
CATALOG = catalog.of(WORKSPACE)
NAMES = ("Product Viewed", "Product Added", "Checkout Started", "Order Completed")


@pytest.fixture
def shop(database: Database) -> Flow:
    """Forty people who looked, chose, began to check out and bought at many times over four days."""
    flow = Flow(database, WORKSPACE)
    flow.fill(NOW - 5 * DAY)
    happened = [
        (name, person, (person * 2 + place * 5) % 96 * HOUR + person * MINUTE)
        for person in range(1, 41)
        for place, name in enumerate(NAMES)
        if (person + place) % 3
    ]
    for name, person, ago in sorted(happened, key=lambda each: -each[2]):
        flow.write(partial(batches.append, received=request("shop", [told(name, person, ago)], NOW - ago), messages=1))
        flow.process(now=NOW - ago)
    flow.pass_time(NOW)
    return flow


def looked(flow: Flow, rules: dict[str, Any], people: int = 40, stop: Any = lambda: False) -> Glance:
    """Ask these rules of the flow's people."""

    def look(connection: Connection) -> Glance:
        return glances.glance(connection, flow.plan, rules, CATALOG.rules, {}, people=people, now=NOW, stop=stop)

    found: Glance = flow.database.look(look)
    return found


def inside(flow: Flow, name: str) -> int:
    """How many the flow put into a segment."""
    slot = flow.database.look(segments.slots)[name]
    return int(flow.database.look(segments.sizes).get(slot, 0))


def test_everybody_asked_is_who_the_flow_put_inside(shop: Flow) -> None:
    """Of every kind of rule the exact answer is the size of the segment, and a day's coming and going is between two sizes."""
    rules = {name: CATALOG.rules[name] for name in CATALOG.shown}
    found = looked(shop, rules)
    assert found.exact
    assert found.looked == found.people == 40
    assert {name: size.inside for name, size in found.sizes.items()} == {name: inside(shop, name) for name in rules}
    assert any(size.inside for size in found.sizes.values())
    for name, size in found.sizes.items():
        assert size.low == size.inside == size.high
        assert size.entered <= size.inside, name
    assert set(rules) >= set(SEGMENTS)


def test_since_yesterday_is_what_changed(shop: Flow) -> None:
    """Who came in since a day ago, less who left, is the difference to those who were inside then."""
    name = "buyers"
    slot = shop.database.look(segments.slots)[name]
    entered, left = shop.database.look(lambda one: segments.moved(one, slot, NOW - DAY + 1, NOW + 1))
    size = looked(shop, {name: CATALOG.rules[name]}).sizes[name]
    assert size.entered - size.left == entered - left


def test_of_many_some_are_asked_and_the_bounds_hold(shop: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn by lot, the answer says of how many, and its bounds enclose the true size."""
    monkeypatch.setattr(glances, "EVERYBODY", 10)
    monkeypatch.setattr(glances, "EACH", 1)
    monkeypatch.setattr(glances, "STRETCHES", 25)
    found = looked(shop, {"buyers": CATALOG.rules["buyers"], "early": CATALOG.rules["early"]})
    assert not found.exact
    assert 0 < found.looked < 40
    assert found.people == 40
    for name, size in found.sizes.items():
        assert size.low <= size.inside <= size.high
        assert size.low <= inside(shop, name) <= size.high
    assert looked(shop, {"buyers": CATALOG.rules["buyers"]}).sizes["buyers"] == found.sizes["buyers"]


def test_nobody_among_some_is_not_nobody(shop: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none of those drawn is inside, a few of all may be."""
    monkeypatch.setattr(glances, "EVERYBODY", 10)
    monkeypatch.setattr(glances, "EACH", 1)
    monkeypatch.setattr(glances, "STRETCHES", 20)
    size = looked(shop, {"nobody": reading.rule({"did": "Subscription Started"})}).sizes["nobody"]
    assert (size.inside, size.low) == (0, 0)
    assert size.high > 0


def test_a_rule_that_nothing_remembers_yet_is_answered(shop: Flow) -> None:
    """What no rule of the workspace asked for until now is read from events, and of a condition from their requests."""
    rules = {
        "viewed": reading.rule({"did": "Product Viewed", "within": "30d"}),
        "dear": reading.rule({"did": "Order Completed", "where": {"order.value": {"gte": "20"}}}),
        "dearer": reading.rule({"did": "Order Completed", "where": {"order.value": {"gte": "21"}}}),
    }
    found = looked(shop, rules)
    viewers = {person for person in range(1, 41) if person % 3}
    buyers = {person for person in range(1, 41) if (person + 3) % 3}
    assert found.sizes["viewed"].inside == len(viewers)
    assert (found.sizes["dear"].inside, found.sizes["dearer"].inside) == (len(buyers), 0)
    assert found.missing == 0
    assert len(found.sample["viewed"]) == glances.SAMPLE


def test_what_a_condition_asks_of_a_request_that_is_gone_is_told(shop: Flow) -> None:
    """Events past the journal's retention are counted: what a condition asks of them is not known."""
    shop.database.submit(lambda one: one.script("DELETE FROM journal")).result()
    found = looked(shop, {"dear": reading.rule({"did": "Order Completed", "where": {"order.value": {"gte": "20"}}})})
    assert found.sizes["dear"].inside == 0
    assert found.missing == sum(1 for person in range(1, 41) if person % 3)


def test_a_trait_that_nobody_noted_is_told(shop: Flow) -> None:
    """A trait that no rule asked for is not in anybody's record: the glance names it."""
    assert looked(shop, {"plan": reading.rule({"trait": {"traits.plan": "gold"}})}).unknown == ["plan"]
    assert looked(shop, {"ann": CATALOG.rules["ann"]}).unknown == []


def test_it_stops_when_it_is_told_to(shop: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of time, those asked by then answer, and it says that they are not all."""
    monkeypatch.setattr(glances, "AT_ONCE", 1)
    monkeypatch.setattr(glances, "EVERYBODY", 10)
    monkeypatch.setattr(glances, "EACH", 4)
    found = looked(shop, {"buyers": CATALOG.rules["buyers"]}, stop=lambda: True)
    assert not found.exact
    assert found.looked < 40
