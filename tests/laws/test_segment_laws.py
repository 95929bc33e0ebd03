"""The laws of segments, on random histories that take their time, on both databases."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.flow import DAY, HOUR, MINUTE, NOW, SEGMENTS, Flow, guarded, moment, request
from tests.laws.histories import message, sources

from signalpost import audiences
from signalpost.events import Person
from signalpost.segments.live import NEVER
from signalpost.store import batches
from signalpost.store.database import Database

GAPS = (0, 1, MINUTE - 1, MINUTE, 59 * MINUTE, 2 * HOUR, 3 * HOUR, 22 * HOUR, DAY, 25 * HOUR)

Timed = tuple[int, str, dict[str, Any]]
"""(received at, source, message)."""


@st.composite
def histories(draw: st.DrawFn, most: int = 12) -> list[Timed]:
    """Messages one after another, with the time between them; many are told late."""
    said: list[Timed] = []
    at = NOW
    for place, (source, made) in enumerate(draw(st.lists(st.tuples(sources, message()), min_size=2, max_size=most))):
        at += draw(st.sampled_from(GAPS))
        ago = draw(st.sampled_from((0, 0, 0, 1, MINUTE, HOUR, 2 * HOUR, DAY, 3 * DAY)))
        said.append((at, source, {**made, "messageId": f"m-{place}", "timestamp": moment(at - ago)}))
    return said


def with_split() -> Any:
    """Every rule there is, a random half of people among them."""
    return guarded(segments={**SEGMENTS, "half": {"split": {"share": "50%", "salt": "s"}}})


@pytest.fixture
def flow(database: Database) -> Flow:
    """A workspace with a segment of each kind."""
    return Flow(database, with_split())


def append(flow: Flow, history: list[Timed]) -> None:
    """Write each message to the journal as a request of its own, at its moment."""

    def work(connection: Any) -> None:
        for at, source, said in history:
            batches.append(connection, request(source, [said], at), 1)

    flow.write(work)


def begin(flow: Flow) -> None:
    """Empty tables, and numbers that begin at one: lots are drawn by people's numbers."""

    def work(connection: Any) -> None:
        if flow.database.address.startswith("postgres"):
            connection.raw.execute("ALTER SEQUENCE journal_position_seq RESTART")
        else:
            connection.raw.execute("DELETE FROM sqlite_sequence WHERE name = 'journal'")

    flow.clear()
    flow.write(work)


def people(flow: Flow) -> list[Person]:
    """Everybody there is."""
    return [msgspec.json.decode(record, type=Person) for (record,) in flow.rows("SELECT record FROM people ORDER BY id")]


def told(flow: Flow) -> dict[str, Any]:
    """All that is known of who is where, and was."""
    world = flow.world()
    return {name: world[name] for name in ("people", "due", "members", "moves", "wanted")}


@given(
    history=histories(), batch_of=st.integers(1, 9), fires=st.lists(st.integers(0, 11), max_size=6), later=st.sampled_from(GAPS)
)
def test_when_timers_fire_and_how_the_stream_is_cut_changes_nothing(
    flow: Flow, history: list[Timed], batch_of: int, fires: list[int], later: int
) -> None:
    """Who is inside since when, every move and its moment are the same however late a timer fires and wherever a batch ends."""
    end = history[-1][0] + later
    begin(flow)
    append(flow, history)
    flow.process(batch_of, now=end)
    flow.pass_time(end)
    late = told(flow)

    begin(flow)
    for place, each in enumerate(history):
        if place in fires:
            flow.pass_time(each[0])
        append(flow, [each])
        flow.process(1, now=each[0])
    flow.pass_time(end)

    assert told(flow) == late


@given(history=histories(), batch_of=st.integers(1, 9), later=st.sampled_from(GAPS))
def test_membership_is_what_the_rules_say_of_what_is_known(flow: Flow, history: list[Timed], batch_of: int, later: int) -> None:
    """At any moment everybody is inside exactly the segments whose rules hold, the tables say so, and moves lead there."""
    end = history[-1][0] + later
    begin(flow)
    append(flow, history)
    flow.process(batch_of, now=end)
    flow.pass_time(end)

    live = flow.plan.segments
    slots = {slot: name for name, slot in flow.plan.segment_slots.items()}
    for person in people(flow):
        answers = {name: each.test(person, end) for name, each in live.segments.items()}
        expected = set() if person.suppressed_at else {name for name, (inside, _) in answers.items() if inside}
        assert set(person.inside) == expected
        assert person.due == ({} if person.suppressed_at else {name: at for name, (_, at) in answers.items() if at != NEVER})
        assert all(since <= end for since in person.inside.values())
        rows = flow.rows(f"SELECT segment, since FROM members WHERE person = {person.id}")
        assert {slots[slot]: since for slot, since in rows} == person.inside
        wanted = {
            slot for (slot,) in flow.rows(f"SELECT audience FROM audience_people WHERE wanted = 1 AND person = {person.id}")
        }
        assert wanted == {slot for each in flow.plan.audiences if audiences.wants(each, person) for slot in each.slots}
    ids = {person.id for person in people(flow)}
    for table in ("members", "moves"):
        assert {row[0] for row in flow.rows(f"SELECT DISTINCT person FROM {table}")} <= ids


@given(
    history=histories(),
    half=st.integers(0, 11),
    batch_of=st.integers(1, 9),
    pieces=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    later=st.sampled_from(GAPS),
)
def test_a_backfilled_segment_is_what_a_replay_from_the_beginning_gives(
    flow: Flow, history: list[Timed], half: int, batch_of: int, pieces: list[int], later: int
) -> None:
    """Segments added while the stream flows end with the same members, timers and memory as if they had always been there."""
    end = history[-1][0] + later
    workspace = flow.plan.workspace

    def state() -> list[tuple[Any, ...]]:
        return [(each.id, each.memory, sorted(each.inside), each.due, each.given) for each in people(flow)]

    begin(flow)
    flow.write(forget)
    flow.follow(workspace, end)
    append(flow, history)
    flow.process(batch_of, now=end)
    flow.fill(end)
    flow.pass_time(end)
    replayed = state()

    begin(flow)
    flow.write(forget)
    flow.follow(guarded(segments={}, audiences=(), journeys={}), end)
    flow.fill(end)
    append(flow, history[:half])
    flow.process(batch_of, now=end)
    flow.follow(workspace, end)
    for place, each in enumerate(history[half:]):
        flow.fill(each[0], pieces[place])
        append(flow, [each])
        flow.process(1, now=each[0])
    flow.fill(end)
    flow.pass_time(end)

    assert state() == replayed


def forget(connection: Any) -> None:
    """As if no segment had ever been named."""
    for table in ("segments", "backfills", "remembered", "audiences"):
        connection.raw.execute(f"DELETE FROM {table}")
