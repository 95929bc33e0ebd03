"""The laws of the flow, on random histories and both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.flow import Flow, Said, World, guarded, workspace
from tests.laws.histories import histories

from signalpost import gates
from signalpost.errors import StoreError
from signalpost.store.database import Database

VERDICTS = {"withheld", "waiting"}
PLATFORM_REASONS = {"no_page_url", "limited_without_ip"}


@pytest.fixture(params=[workspace, guarded], ids=["plain", "guarded"])
def flow(database: Database, request: pytest.FixtureRequest) -> Flow:
    """A database of each kind, used again for each example, with a workspace without rules and with every rule there is."""
    return Flow(database, request.param())


@given(history=histories(), request_of=st.integers(1, 7), batch_of=st.integers(1, 9), other_batch_of=st.integers(1, 30))
def test_how_a_stream_is_cut_changes_nothing(
    flow: Flow, history: list[Said], request_of: int, batch_of: int, other_batch_of: int
) -> None:
    """Ledger, outbox bodies, people, identifiers and orders do not depend on requests or batches."""
    one_by_one = flow.run(history, request_of=1, batch_of=1)

    assert one_by_one == flow.run(history, request_of=1, batch_of=batch_of)
    assert one_by_one == flow.run(history, request_of=request_of, batch_of=other_batch_of)


@given(history=histories(), batch_of=st.integers(1, 9), crash_every=st.integers(1, 3))
def test_a_crash_between_deciding_and_writing_changes_nothing(
    flow: Flow, history: list[Said], batch_of: int, crash_every: int
) -> None:
    """A batch decided and lost is decided again to the same rows."""
    untouched = flow.run(history, batch_of=batch_of)

    flow.clear()
    flow.append(history)
    turn = 0
    while (made := flow.step(batch_of)) is not None:
        turn += 1
        if turn % (crash_every + 1) == 0:
            flow.commit(made)

    assert untouched == flow.world()


@given(history=histories(), batch_of=st.integers(1, 9))
def test_the_same_messages_again_add_only_withheld_duplicates(flow: Flow, history: list[Said], batch_of: int) -> None:
    """A repeat changes nothing but its own `duplicate_message` rows."""
    before = flow.run(history, batch_of=batch_of)

    flow.append(history, 3)
    flow.process(batch_of)
    after = flow.world()

    for kept in ("outbox", "people", "identifiers", "orders", "merges"):
        assert before[kept] == after[kept], kept
    assert before["ledger"] == after["ledger"][: len(before["ledger"])]
    assert before["events"] == after["events"][: len(before["events"])]
    assert {("withheld", "duplicate_message")} >= {(row[2], row[3]) for row in after["ledger"][len(before["ledger"]) :]}


@given(history=histories(), batch_of=st.integers(1, 9))
def test_each_signal_has_one_verdict_and_each_withheld_one_a_reason_in_words(
    flow: Flow, history: list[Said], batch_of: int
) -> None:
    """One ledger row for each event that can be a signal and each destination; a reason comes with sentence and advice."""
    world = flow.run(history, batch_of=batch_of)

    signals = [row[0] for row in world["events"] if row[2] in {"track", "page", "screen"}]
    expected = {(event, destination) for event in signals for destination in ("tiktok", "pinterest")}
    assert len(world["ledger"]) == len(expected)
    assert expected == {(row[0], row[1]) for row in world["ledger"]}
    for _, _, verdict, reason, sentence, *_ in world["ledger"]:
        assert verdict in VERDICTS
        if verdict == "withheld":
            known = gates.REASONS.get(reason)
            own = reason in PLATFORM_REASONS or reason.startswith("gate:")
            assert (known is not None and known.sentence and known.advice) or (own and sentence)
    waiting = Counter((row[0], row[1]) for row in world["ledger"] if row[2] == "waiting")
    assert waiting == Counter((row[0], row[1]) for row in world["outbox"])


@given(history=histories(), batch_of=st.integers(1, 9))
def test_an_order_is_one_waiting_purchase_a_destination(flow: Flow, history: list[Said], batch_of: int) -> None:
    """However often and by whomever an order is told, a destination counts it once."""
    world = flow.run(history, batch_of=batch_of)

    purchases = Counter((row[1], row[6]) for row in world["ledger"] if row[5] in {"Purchase", "checkout"} and row[2] == "waiting")
    assert all(count == 1 for count in purchases.values()), purchases
    known = {row[0] for row in world["orders"]}
    assert all(platform_id.removesuffix(":order-completed") in known for _, platform_id in purchases)
    assert {"(not set)", "", "None"}.isdisjoint(row[1] for row in world["orders"])


@given(history=histories(), batch_of=st.integers(1, 9))
def test_what_waits_carries_all_that_is_known_of_its_person_now(flow: Flow, history: list[Said], batch_of: int) -> None:
    """A waiting signal has the match keys of its person as they are, merged people's the joined ones; nobody suppressed waits."""
    world = flow.run(history, batch_of=batch_of)

    people = {person["id"]: person for person in world["people"]}
    for _, destination, _, person, *_, body in world["outbox"]:
        if person == 0:
            continue
        keys = people[person].get("keys", {})
        assert not people[person].get("suppressed_at")
        if destination == "tiktok":
            assert body.get("user", {}).get("email") == keys.get("email"), (body, keys)
            assert body.get("user", {}).get("phone") == keys.get("phone"), (body, keys)
        else:
            assert body.get("user_data", {}).get("em") == keys.get("email"), (body, keys)


@given(history=histories(), batch_of=st.integers(1, 9))
def test_identifiers_and_orders_name_people_that_exist(flow: Flow, history: list[Said], batch_of: int) -> None:
    """After merges and deletions no identifier and no waiting signal points at somebody who is gone."""
    world = flow.run(history, batch_of=batch_of)

    people = {person["id"] for person in world["people"]}
    assert {person for _, person in world["identifiers"]} <= people
    assert {row[3] for row in world["outbox"]} <= people | {0}


@pytest.fixture
def both(tmp_path: Path, postgres: str) -> Iterator[tuple[Flow, Flow]]:
    """A flow on SQLite and one on PostgreSQL."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS laws_of_both")
        connection.execute("CREATE DATABASE laws_of_both")
    first = Database(str(tmp_path / "signalpost.db"))
    second = Database(psycopg.conninfo.make_conninfo(postgres, dbname="laws_of_both"))
    yield Flow(first), Flow(second)
    first.close()
    second.close()


@given(history=histories(), batch_of=st.integers(1, 9))
def test_both_databases_answer_alike(both: tuple[Flow, Flow], history: list[Said], batch_of: int) -> None:
    """The same stream leaves the same rows on SQLite and on PostgreSQL."""
    worlds: list[World] = [flow.run(history, batch_of=batch_of) for flow in both]

    assert worlds[0] == worlds[1]


def test_a_batch_is_written_once_even_when_two_processes_decided_it(flow: Flow) -> None:
    """The slower of two processes is refused and finds nothing left to do."""
    flow.clear()
    flow.append([("web", {"type": "identify", "userId": "u1", "messageId": "m-1", "traits": {"city": "Oslo"}})])
    mine, theirs = flow.step(), flow.step()
    assert mine is not None
    assert theirs is not None

    flow.commit(mine)
    before = flow.world()

    with pytest.raises(StoreError):
        flow.commit(theirs)
    assert before == flow.world()
    assert flow.step() is None
