"""A holdout through the real pipeline: who is held out is never wanted, and what is compared is what happened."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import Any

from tests.laws.flow import DAY, HOUR, NOW, Flow, moment, request, workspace

from signalpost import lift
from signalpost.cli_lift import compiled
from signalpost.options import Audience
from signalpost.segments.live import lot
from signalpost.sources import Received
from signalpost.store import batches
from signalpost.store import lift as figures
from signalpost.store.database import Connection, Database

PEOPLE = 240

CHOSEN = workspace(
    segments={
        "carts": {"all": [{"did": "Checkout Started", "within": "3d"}, {"did_not": "Order Completed", "within": "3d"}]},
        "buyers": {"did": "Order Completed", "within": "14d"},
    },
    audiences=(Audience(segment="carts", to=("tiktok", "pinterest"), use="target", unless=("buyers",), holdout="30%"),),
)


def say(flow: Flow, number: int, name: str, at: int, **properties: Any) -> None:
    """One event of one person, received when it happened, taken through the pipeline."""
    message = {
        "type": "track",
        "event": name,
        "messageId": f"{name}-{number}-{at}",
        "userId": f"u{number}",
        "timestamp": moment(at),
        "context": {"traits": {"email": f"p{number}@shop.example"}},
        "properties": properties,
    }
    received: Received = request("web", [message], at)

    def work(connection: Connection) -> None:
        batches.append(connection, received, 1)

    flow.write(work)


def test_a_holdout_is_kept_and_compared_as_it_was(database: Database) -> None:
    """Nobody held out is ever wanted anywhere; both arms are exactly the people, buyers and revenue that the stream had."""
    flow = Flow(database, CHOSEN)
    for number in range(PEOPLE):
        say(flow, number, "Checkout Started", NOW + number)
    flow.process(now=NOW + HOUR)
    people = {
        next(iter(record["external_ids"])): number
        for number, record in ((row[0], json.loads(bytes(row[1]))) for row in flow.rows("SELECT id, record FROM people"))
    }
    assert len(people) == PEOPLE
    held = {number for number in range(PEOPLE) if lot("holdout:carts", people[f"u{number}"]) < 300_000}
    wanted = {row[0] for row in flow.rows("SELECT person FROM audience_people WHERE wanted = 1")}
    assert wanted == {people[f"u{number}"] for number in range(PEOPLE) if number not in held}

    buyers = {number for number in range(PEOPLE) if number % (10 if number in held else 4) == 0}
    for number in sorted(buyers):
        say(flow, number, "Order Completed", NOW + DAY + number, order_id=f"o{number}", total=20 + number % 7, currency="USD")
    flow.process(now=NOW + DAY + HOUR)
    refunded = min(buyers - held)
    say(flow, refunded, "Order Refunded", NOW + 2 * DAY, order_id=f"o{refunded}", total=20 + refunded % 7, currency="USD")
    late = max(set(range(PEOPLE)) - held - buyers)
    say(flow, late, "Order Completed", NOW + 8 * DAY, order_id="late", total=99, currency="USD")
    flow.process(now=NOW + 9 * DAY)

    audience = compiled(CHOSEN, CHOSEN.audiences[0])
    look = partial(figures.gather, audience=audience, since=NOW - DAY, window=7 * DAY, now=NOW + 30 * DAY)
    counted = database.look(look)
    worth = {number: Decimal(0 if number == refunded else 20 + number % 7) for number in buyers}
    for arm, ours in ((counted.held, held), (counted.shown, set(range(PEOPLE)) - held)):
        assert arm.people == len(ours)
        assert arm.buyers == len(ours & buyers)
        assert arm.revenue == sum(worth[number] for number in ours & buyers)
        assert arm.squares == sum(worth[number] ** 2 for number in ours & buyers)
    assert (counted.left_out, counted.leaked) == (0, {})

    told = lift.of(counted, audience, "target", window=7 * DAY, currency="USD")
    assert told.difference is not None
    assert told.difference.seen == counted.shown.buyers / counted.shown.people - counted.held.buyers / counted.held.people


def test_before_anything_ran_there_is_nothing_to_compare(database: Database) -> None:
    """On an empty database the verdict is that nobody has come, with a note that no platform has the audience."""
    audience = compiled(CHOSEN, CHOSEN.audiences[0])
    counted = database.look(partial(figures.gather, audience=audience, since=NOW - DAY, window=DAY, now=NOW))
    told = lift.of(counted, audience, "target", window=DAY, currency="USD")
    assert told.verdict == "nobody"
    assert told.notes == ("No platform has all of this audience yet: so far both arms saw nearly the same ads.",)


def test_two_who_turn_out_to_be_one_are_one_person(database: Database) -> None:
    """People who merge count once, in the arm of whom stays, from the first entry of either."""
    flow = Flow(database, CHOSEN)

    def told(at: int, **message: Any) -> None:
        said = {"messageId": f"m-{at}", "timestamp": moment(at), **message}
        flow.write(lambda connection: batches.append(connection, request("web", [said], at), 1))
        flow.process(now=at)

    told(NOW, type="track", event="Checkout Started", anonymousId="browser")
    told(NOW + HOUR, type="track", event="Checkout Started", userId="ann")
    look = partial(
        figures.gather, audience=compiled(CHOSEN, CHOSEN.audiences[0]), since=NOW - DAY, window=7 * DAY, now=NOW + 30 * DAY
    )
    before = database.look(look)
    assert before.shown.people + before.held.people == 2
    told(NOW + 2 * HOUR, type="identify", userId="ann", anonymousId="browser")
    told(NOW + 3 * HOUR, type="track", event="Order Completed", userId="ann", properties={"order_id": "1", "total": 30})
    counted = database.look(look)
    ((person,),) = flow.rows("SELECT id FROM people")
    arm, other = (counted.held, counted.shown) if lot("holdout:carts", person) < 300_000 else (counted.shown, counted.held)
    assert (arm.people, arm.buyers, arm.revenue) == (1, 1, Decimal(30))
    assert (other.people, counted.left_out) == (0, 0)
