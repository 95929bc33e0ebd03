"""Rollouts in the database: begun at first sight, measured, advanced, held, moved by hand, all with an audit."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from tests.laws.flow import workspace

from signalpost import coverage
from signalpost.clocks import bucket
from signalpost.config import Destination, Workspace
from signalpost.options import Stage
from signalpost.rollout import Standing
from signalpost.store import batches, rollouts
from signalpost.store.database import Connection, Database
from signalpost.store.rollouts import Change

NOW = 1_795_305_600_000
MINUTE, HOUR = 60_000, 3_600_000

STAGES = (
    Stage(send=("Order Completed",), lasts="72h", until={"accepted": ">= 99%", "events": ">= 500", "duplicates": "<= 2%"}),
    Stage(send=("Checkout Started", "Product Added"), lasts="48h", until={"latency": "<= 60s", "coverage": ">= 60%"}),
    Stage(send=("Product Viewed",), at_most={"Product Viewed": 5}),
)


def shop(*stages: Stage, **more: Destination) -> Workspace:
    """A workspace whose TikTok has these stages."""
    tiktok = Destination(type="tiktok", settings={"pixel": "CDEMOPIXEL0000000001", "access_token": "demo"}, rollout=stages)
    return workspace(destinations={"tiktok": tiktok, **more})


def look(database: Database, file: Workspace, now: int) -> list[Change]:
    return database.submit(partial(rollouts.advance_all, workspace=file, now=now)).result()


def happened(
    database: Database, now: int, name: str, verdict: str, reason: str = "", currency: str = "USD", many: int = 1
) -> None:
    counts: dict[tuple[str, ...], list[int]] = {("tiktok", name, verdict, reason, currency): [many, 0, 0]}
    database.submit(lambda connection: batches.count(connection, now, counts)).result()


def insert(database: Database, statement: str) -> None:
    """Rows as the pipeline writes them, which is not part of this test."""
    database.submit(lambda connection: connection.script(statement)).result()


def standing(database: Database) -> Standing | None:
    return database.look(rollouts.standings).get("tiktok")


def told(database: Database) -> list[tuple[str, str]]:
    return [(line.who, line.what) for line in database.look(lambda connection: rollouts.audit(connection, "tiktok"))]


def test_a_rollout_begins_at_first_sight_and_advances_when_all_holds(database: Database) -> None:
    """First stage at first sight; held with its reason; the next stage once the figures are right; once, not twice."""
    file = shop(*STAGES)
    assert [change.what for change in look(database, file, NOW)] == ["began"]
    assert standing(database) == Standing(destination="tiktok", since=NOW)
    assert look(database, file, NOW) == []

    happened(database, NOW + HOUR, "Order Completed", "accepted", many=400)
    happened(database, NOW + HOUR, "Order Completed", "refused", "40002", many=12)
    happened(database, NOW + HOUR, "Product Added", "withheld", "not_yet_rolled_out", many=900)
    happened(database, NOW, "Order Completed", "refused", "40002", many=99)  # the minute in which it began does not count
    assert look(database, file, NOW + 71 * HOUR) == []

    held = look(database, file, NOW + 72 * HOUR)
    assert [(change.what, change.stage) for change in held] == [("held", 0)]
    assert held[0].note == "97% accepted, 99% wanted; 412 of 500 events"
    assert look(database, file, NOW + 72 * HOUR) == []

    happened(database, NOW + 73 * HOUR, "Order Completed", "warned", many=700)
    assert look(database, file, NOW + 74 * HOUR) == []
    there = standing(database)
    assert there is not None
    assert there.held == "98.9% accepted, 99% wanted"

    happened(database, NOW + 74 * HOUR, "Order Completed", "accepted", many=200)
    advanced = look(database, file, NOW + 75 * HOUR)
    assert [(change.what, change.stage) for change in advanced] == [("advanced", 1)]
    assert standing(database) == Standing(destination="tiktok", stage=1, since=NOW + 75 * HOUR)
    assert look(database, file, NOW + 75 * HOUR) == []
    assert told(database) == [("Signalpost", "rollout advanced"), ("Signalpost", "rollout held"), ("Signalpost", "rollout began")]


def test_a_move_by_hand_between_measuring_and_looking_is_kept(database: Database) -> None:
    """Figures of a stage that a person has left in the meantime advance nothing."""
    file = shop(replace(STAGES[0], lasts=None), replace(STAGES[1], lasts=None), STAGES[2])
    look(database, file, NOW)
    happened(database, NOW + HOUR, "Order Completed", "accepted", many=500)
    now = NOW + 2 * HOUR
    measured = database.look(lambda connection: rollouts.measure(connection, file, now))
    assert [here.stage for here in measured] == [0]

    def by_hand(connection: Connection) -> Change:
        return rollouts.move(connection, file, "tiktok", 1, who="ada", note="now", now=now)

    database.submit(by_hand).result()
    late = partial(rollouts.advance_all, workspace=file, now=now, measured=measured)
    assert database.submit(late).result() == []
    assert standing(database) == Standing(destination="tiktok", stage=1, since=now)


def test_a_person_moves_a_rollout_and_its_time_begins_anew(database: Database) -> None:
    """Held by a bound, then moved by hand: the reason goes with the stage, the audit keeps who and why."""
    file = shop(*STAGES)
    look(database, file, NOW)
    look(database, file, NOW + 80 * HOUR)
    there = standing(database)
    assert there is not None
    assert there.held == "accepted: not yet known, 99% wanted; 0 of 500 events; duplicates: not yet known, 2% wanted"

    def by_hand(steps: int, now: int, connection: Connection) -> Change:
        return rollouts.move(connection, file, "tiktok", steps, who="ada", note="the pixel is new", now=now)

    change = database.submit(partial(by_hand, 1, NOW + 81 * HOUR)).result()
    assert (change.what, change.stage) == ("advanced", 1)
    assert standing(database) == Standing(destination="tiktok", stage=1, since=NOW + 81 * HOUR)
    database.submit(partial(by_hand, -1, NOW + 82 * HOUR)).result()
    assert standing(database) == Standing(destination="tiktok", stage=0, since=NOW + 82 * HOUR)
    with pytest.raises(ValueError, match="first stage"):
        database.submit(partial(by_hand, -1, NOW + 82 * HOUR)).result()
    lines = database.look(lambda connection: rollouts.audit(connection, "tiktok"))
    assert [(line.who, line.what, line.note) for line in lines][:2] == [
        ("ada", "rollout moved back", "the pixel is new"),
        ("ada", "rollout advanced", "the pixel is new"),
    ]


def test_latency_and_match_keys_are_read_from_what_was_counted(database: Database) -> None:
    """The clock is the platform's, at 95 of 100; match keys are those of the events sent, weighed for the platform."""
    file = shop(*STAGES)
    database.submit(
        lambda connection: rollouts.place(
            connection, Standing(destination="tiktok", stage=1, since=NOW), who="t", what="began", note="", now=NOW
        )
    ).result()
    insert(
        database,
        "INSERT INTO clocks (hour, clock, name, bucket, signals) VALUES "
        f"({NOW}, 'accepted', 'tiktok', {bucket(2_000)}, 95), ({NOW + HOUR}, 'accepted', 'tiktok', {bucket(90_000)}, 5), "
        f"({NOW}, 'accepted', 'pinterest', {bucket(9_000_000)}, 500), ({NOW}, 'source', 'tiktok', {bucket(9_000_000)}, 500), "
        f"({NOW - HOUR}, 'accepted', 'tiktok', {bucket(9_000_000)}, 500)",
    )
    best, none = coverage.READS["tiktok"], 0
    insert(
        database,
        "INSERT INTO coverage (hour, destination, source, name, keys, signals) VALUES "
        f"({NOW}, 'tiktok', 'web', 'Order Completed', {best}, 70), ({NOW}, 'tiktok', 'shop', 'Product Added', {none}, 30), "
        f"({NOW}, 'tiktok', 'web', 'Product Viewed', {none}, 900), ({NOW - HOUR}, 'tiktok', 'web', 'Product Added', {none}, 900)",
    )
    here = Standing(destination="tiktok", stage=1, since=NOW)
    figures = database.look(lambda connection: rollouts.figures(connection, file.destinations["tiktok"], here))
    assert figures.latency is not None
    assert 2_000 * 0.9 <= figures.latency <= 2_000 * 1.1
    assert figures.coverage is not None
    assert abs(figures.coverage - 0.7) < 1e-9

    happened(database, NOW + HOUR, "Order Completed", "accepted", many=50)
    assert [(change.what, change.stage) for change in look(database, file, NOW + 48 * HOUR)] == [("advanced", 2)]
    assert look(database, file, NOW + 9_000 * HOUR) == []


def test_what_the_file_changes(database: Database) -> None:
    """Fewer stages: the last one. No rollout: the standing ends, and a new one begins in its first stage."""
    file = shop(*STAGES)

    def put(connection: Connection) -> Any:
        there = Standing(destination="tiktok", stage=2, since=NOW, held="")
        return rollouts.place(connection, there, who="t", what="began", note="", now=NOW)

    database.submit(put).result()
    shorter = look(database, shop(*STAGES[:2]), NOW + HOUR)
    assert [(change.what, change.stage) for change in shorter] == [("moved back", 1)]
    assert standing(database) == Standing(destination="tiktok", stage=1, since=NOW)
    assert look(database, shop(*STAGES[:2]), NOW + HOUR) == []

    assert [change.what for change in look(database, shop(), NOW + 2 * HOUR)] == ["ended"]
    assert standing(database) is None
    assert look(database, shop(), NOW + 2 * HOUR) == []
    assert [(change.what, change.stage) for change in look(database, file, NOW + 3 * HOUR)] == [("began", 0)]


def test_a_hold_ends_when_its_stage_is_given_more_time(database: Database) -> None:
    """Whoever gives a held stage a longer `for` has let it run on: nothing holds it until then."""
    look(database, shop(*STAGES), NOW)
    look(database, shop(*STAGES), NOW + 80 * HOUR)
    longer = shop(replace(STAGES[0], lasts="7d"), *STAGES[1:])
    assert [change.what for change in look(database, longer, NOW + 81 * HOUR)] == ["free again"]
    assert standing(database) == Standing(destination="tiktok", since=NOW)


def test_every_destination_has_its_own_rollout(database: Database) -> None:
    """One advances while another is held."""
    pinterest = Destination(
        type="pinterest", settings={"ad_account": "549755885175", "access_token": "pina_demo"}, rollout=(STAGES[0], STAGES[2])
    )
    quick = Stage(send=("Order Completed",), lasts="1h")
    file = shop(quick, STAGES[2], pinterest=pinterest)
    look(database, file, NOW)
    changes = look(database, file, NOW + 73 * HOUR)
    assert {change.destination: change.what for change in changes} == {"tiktok": "advanced", "pinterest": "held"}
