"""Cases that must come out just so: late identifiers, shared orders, shared browsers, readings kept from the intake."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.flow import DAY, HOUR, MINUTE, NOW, Flow, Message, Said, moment, requests
from tests.laws.histories import histories

from signalpost import normalize, pipeline, sources
from signalpost.sources import Reading
from signalpost.store import batches, outbox
from signalpost.store.database import Connection, Database

ANN = normalize.sha256("ann@shop.example")


@pytest.fixture
def flow(database: Database) -> Flow:
    """A database of each kind, used again for each example."""
    return Flow(database)


def bought(place: int, order: str, source: str = "web", at: int = NOW - MINUTE, **changes: Any) -> Said:
    message: Message = {
        "type": "track",
        "event": "Order Completed",
        "messageId": f"m-{place}",
        "timestamp": moment(at),
        "properties": {"order_id": order, "total": 10},
        "context": {"ip": "203.0.113.9", "userAgent": "Mozilla/5.0"},
    }
    return source, {**message, **changes}


def identified(place: int, **changes: Any) -> Said:
    return "web", {"type": "identify", "messageId": f"m-{place}", "timestamp": moment(NOW - MINUTE), **changes}


def purchases(flow: Flow, destination: str = "tiktok") -> list[tuple[str, str | None]]:
    """(verdict, reason) of each event, in order."""
    rows = flow.rows(f"SELECT verdict, reason FROM ledger WHERE destination = '{destination}' ORDER BY event")
    return [(verdict, reason) for verdict, reason in rows]


def bodies(flow: Flow) -> list[dict[str, Any]]:
    """What waits for TikTok, in order."""
    rows = flow.rows("SELECT body FROM outbox WHERE destination = 'tiktok' ORDER BY event")
    return [json.loads(bytes(body)) for (body,) in rows]


@pytest.mark.parametrize("batch_of", [1, 10])
def test_what_waits_learns_what_is_learned_later(flow: Flow, batch_of: int) -> None:
    """An anonymous order carries the e-mail that the same browser tells afterwards, and the user id it turns out to be."""
    later = identified(1, anonymousId="b1", userId="u1", traits={"email": "ann@shop.example"})
    flow.run([bought(0, "1", anonymousId="b1"), later], batch_of=batch_of)

    (body,) = bodies(flow)
    assert ANN in json.dumps(body["user"])
    assert normalize.sha256("u1") in json.dumps(body["user"])


@pytest.mark.parametrize("batch_of", [1, 10])
def test_what_waits_of_two_people_found_to_be_one_carries_both(flow: Flow, batch_of: int) -> None:
    """After a merge the waiting signals of both have the joined keys."""
    flow.run(
        [
            bought(0, "1", userId="u1", properties={"order_id": "1", "total": 10, "email": "ann@shop.example"}),
            bought(1, "2", userId="u2", properties={"order_id": "2", "total": 10, "phone": "+14155550100"}),
            ("web", {"type": "alias", "messageId": "m-2", "userId": "u1", "previousId": "u2"}),
        ],
        batch_of=batch_of,
    )

    first, second = bodies(flow)
    assert first["user"] == {**second["user"]}
    assert {"email", "phone"} <= first["user"].keys()


def test_what_is_being_sent_is_not_changed(flow: Flow) -> None:
    """A signal in somebody's hand keeps the body that is in the air."""
    flow.run([bought(0, "1", anonymousId="b1")])
    before = bodies(flow)

    def lease(connection: Connection) -> None:
        assert 1 == len(outbox.lease(connection, "tiktok", most=10, now=NOW, until=NOW + MINUTE))

    flow.write(lease)
    flow.append([identified(1, anonymousId="b1", userId="u1", traits={"email": "ann@shop.example"})])
    flow.process()

    assert before == bodies(flow)
    pinterest = flow.rows("SELECT body FROM outbox WHERE destination = 'pinterest'")
    assert ANN in bytes(pinterest[0][0]).decode()


@pytest.mark.parametrize("batch_of", [1, 10])
def test_an_order_told_by_two_sources_is_one_purchase(flow: Flow, batch_of: int) -> None:
    """The browser and the shop's server report the same order of people not yet known to be one: the first counts."""
    flow.run([bought(0, "1", anonymousId="b1"), bought(1, "1", "shop", userId="u1"), bought(2, "1", anonymousId="b1")],
             batch_of=batch_of)  # fmt: skip

    assert [("waiting", None), ("withheld", "duplicate_order"), ("withheld", "duplicate_order")] == purchases(flow)


@pytest.mark.parametrize("batch_of", [1, 10])
@pytest.mark.parametrize(("hours", "second"), [(23, ("withheld", "duplicate_order")), (25, ("waiting", None))])
def test_an_order_id_used_again_is_another_order(flow: Flow, batch_of: int, hours: int, second: tuple[str, str | None]) -> None:
    """The same id by another person a day later is a second purchase, with an event id of its own; an hour earlier it is not."""
    flow.run(
        [bought(0, "1", userId="u1", at=NOW - 2 * DAY), bought(1, "1", userId="u2", at=NOW - 2 * DAY + hours * HOUR)],
        batch_of=batch_of,
    )

    assert [("waiting", None), second] == purchases(flow)
    ids = {body["event_id"] for body in bodies(flow)}
    assert len(ids) == len(bodies(flow))


@pytest.mark.parametrize("batch_of", [1, 10])
def test_an_order_that_nobody_counted_is_not_yet_an_order(flow: Flow, batch_of: int) -> None:
    """A report without a value is withheld for that reason and does not stand in the way of the one that has it."""
    nothing = bought(0, "1", userId="u1", properties={"order_id": "1"})
    flow.run([nothing, bought(1, "1", "shop", userId="u1"), bought(2, "1", userId="u2")], batch_of=batch_of)

    assert [("withheld", "missing_value"), ("waiting", None), ("withheld", "duplicate_order")] == purchases(flow)


@pytest.mark.parametrize("batch_of", [1, 10])
def test_a_shared_browser_never_joins_two_people(flow: Flow, batch_of: int) -> None:
    """Two people who log in at one browser stay two, and the merge log says why."""
    flow.run(
        [
            identified(0, anonymousId="kiosk", userId="u1", traits={"email": "ann@shop.example"}),
            identified(1, anonymousId="kiosk", userId="u2", traits={"email": "bea@shop.example"}),
            bought(2, "1", anonymousId="kiosk", userId="u2"),
        ],
        batch_of=batch_of,
    )

    assert 2 == len(flow.table("people"))
    assert ANN not in json.dumps(bodies(flow))
    reasons = {row[0] for row in flow.rows("SELECT why FROM merges WHERE joined = 0")}
    assert reasons
    assert all("shared browser" in why for why in reasons)


@pytest.mark.parametrize("batch_of", [1, 10])
@pytest.mark.parametrize("event", ["User Suppressed", "User Deleted"])
def test_what_waits_of_a_suppressed_person_is_withdrawn(flow: Flow, batch_of: int, event: str) -> None:
    """Nothing about somebody who asked not to be processed leaves any more; what they do later is withheld or a stranger's."""
    asked = ("web", {"type": "track", "event": event, "messageId": "m-1", "userId": "u1"})
    flow.run([bought(0, "1", userId="u1"), asked, bought(2, "2", userId="u2")], batch_of=batch_of)

    assert [("withheld", "suppressed_person"), ("waiting", None)] == purchases(flow)
    flow.append([bought(3, "3", userId="u1")])
    flow.process()
    later = ("withheld", "suppressed_person") if event == "User Suppressed" else ("waiting", None)
    assert later == purchases(flow)[-1]
    if event == "User Deleted":
        assert [] == [row for row in flow.rows("SELECT record FROM people") if ANN in bytes(row[0]).decode()]


@pytest.mark.parametrize("batch_of", [1, 10])
def test_a_deleted_person_is_nowhere_but_in_the_journal(flow: Flow, batch_of: int) -> None:
    """After a deletion neither records, identifiers, waiting signals nor the merge log know who it was."""
    flow.run(
        [
            identified(0, anonymousId="b1", traits={"email": "ann@shop.example"}),
            identified(1, anonymousId="b2", traits={"phone": "+14155550100", "firstName": "Ann"}),
            identified(2, userId="u1", traits={"email": "ann@shop.example"}),
            ("web", {"type": "alias", "messageId": "m-3", "userId": "u1", "previousId": "b2"}),
            bought(4, "1", anonymousId="b1"),
            ("web", {"type": "track", "event": "User Deleted", "messageId": "m-5", "userId": "u1"}),
        ],
        batch_of=batch_of,
    )

    assert 1 <= flow.rows("SELECT count(*) FROM merges WHERE joined = 1")[0][0]
    for table in ("people", "identifiers", "outbox", "merges", "ledger", "events", "orders"):
        for row in flow.table(table, "1"):
            told = " ".join(each.decode() if isinstance(each, bytes) else str(each) for each in row)
            assert not any(fact in told for fact in ("ann@", ANN, "14155550100", "u1", "b2")), (table, row)


@given(history=histories(), request_of=st.integers(1, 5), kept=st.integers(0, 3), batch_of=st.integers(1, 9))
def test_readings_kept_from_the_intake_change_nothing(
    flow: Flow, history: list[Said], request_of: int, kept: int, batch_of: int
) -> None:
    """Deciding on what the intake has just read gives what reading the journal again gives."""
    again = flow.run(history, request_of=request_of, batch_of=batch_of)

    flow.clear()
    fresh: dict[int, Reading] = {}
    for place, (received, messages) in enumerate(requests(history, request_of)):
        position = flow.write(partial(batches.append, received=received, messages=messages))
        if place % 4 <= kept:
            fresh[position] = sources.read(received)
    while (made := flow.database.look(lambda connection: pipeline.step(connection, flow.plan, NOW, batch_of, fresh))) is not None:
        flow.commit(made)

    assert again == flow.world()
