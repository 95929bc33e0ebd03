"""Both arms as they are counted from a real database."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lift.populations import DAY, audience

from signalpost.audiences import Wanted
from signalpost.events import Bought, Person
from signalpost.segments.live import lot
from signalpost.store import lift
from signalpost.store.database import Connection, Database
from signalpost.store.lift import Counted, Move, wanted_from

NOW = 1_795_305_600_000
WEEK = 7 * DAY
SINCE = NOW - 30 * DAY

CARTS, BUYERS, INSIDE = 3, 5, 9
SEGMENTS = {"carts": CARTS, "buyers": BUYERS, "journey:welcome": INSIDE}

WANTED = Wanted(name="carts", slots=(1,), segment="carts", unless=frozenset({"buyers", "journey:welcome"}), held_out=200_000)

HELD = [person for person in range(1, 2_000) if lot("holdout:carts", person) < 200_000]
SHOWN = [person for person in range(1, 2_000) if lot("holdout:carts", person) >= 200_000]


def order(at: int, value: str | None = "50", **changes: Any) -> Bought:
    """An order at a moment."""
    amount = None if value is None else Decimal(value)
    return msgspec.structs.replace(Bought(at, amount, Decimal(0), Decimal(0), amount or Decimal(0), False, False), **changes)


class Shop:
    """Rows as the pipeline writes them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        for name, slot in SEGMENTS.items():
            self.put("segments", slot=slot, name=name, digest="d", ready_at=0)
        self.put(
            "audiences",
            slot=1,
            name="carts",
            destination="tiktok",
            digest="d",
            state="ready",
            sentence="",
            status="",
            loaded_at=0,
        )

    def put(self, table: str, **row: Any) -> None:
        """Write a row."""

        def write(connection: Connection) -> None:
            place = "?" if type(connection).__name__ == "SqliteConnection" else "%s"
            sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join([place] * len(row))})"
            connection.raw.execute(sql, tuple(row.values()))  # type: ignore[attr-defined]

        self.database.submit(write).result()

    def person(self, number: int, *, orders: Iterable[Bought] = (), moves: Iterable[Move] = (), **changes: Any) -> None:
        """A person with what moved them."""
        record = Person(id=number, orders={f"o{place}": each for place, each in enumerate(orders)}, **changes)
        self.put("people", id=number, record=msgspec.json.encode(record), changed_at=NOW)
        for at, segment, entered in moves:
            self.put("moves", person=number, at=at, segment=segment, entered=int(entered), event=0)

    def counted(self, wanted: Wanted = WANTED, *, since: int = SINCE, window: int = WEEK) -> Counted:
        """Both arms now."""
        return self.database.look(partial(lift.gather, audience=wanted, since=since, window=window, now=NOW))


@pytest.fixture
def shop(database: Database) -> Shop:
    """An empty shop with an audience that tiktok has."""
    return Shop(database)


def test_arms_count_people_buyers_and_revenue(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """People go to the arm of their lot with their own window's orders that stand, refunds off, whatever the pages."""
    monkeypatch.setattr(lift, "PAGE", 3)
    at = SINCE + DAY
    for place, person in enumerate(SHOWN[:10]):
        shop.person(
            person, orders=[order(at + place + 1, "40"), order(at + DAY, "10.50")] if place < 4 else [], moves=[(at, CARTS, True)]
        )
    shop.person(HELD[0], orders=[order(at + DAY, "100", refunded=Decimal(30), refunds=True)], moves=[(at, CARTS, True)])
    shop.person(HELD[1], orders=[order(at + DAY, cancelled=True)], moves=[(at, CARTS, True)])
    shop.person(HELD[2], orders=[order(at + DAY, None)], moves=[(at, CARTS, True)])
    found = shop.counted()
    assert (found.shown.people, found.shown.buyers, found.shown.orders, found.shown.revenue) == (10, 4, 8, Decimal("202.00"))
    assert found.shown.squares == 4 * Decimal("50.50") ** 2
    assert (found.held.people, found.held.buyers, found.held.revenue) == (3, 2, Decimal(70))
    assert (found.held.unvalued, found.held.squares) == (1, Decimal(4900))
    assert (found.begin, found.end, found.left_out, found.leaked) == (SINCE, NOW - WEEK, 0, {})


@pytest.mark.parametrize(
    ("after", "counts"), [(-1, False), (0, False), (1, True), (WEEK - 1, True), (WEEK, False), (WEEK + DAY, False)]
)
def test_only_orders_after_entering_and_within_the_window_count(shop: Shop, after: int, counts: bool) -> None:
    """The order by which somebody entered is no effect of the audience; one at the end of the window is late."""
    at = SINCE + DAY
    shop.person(SHOWN[0], orders=[order(at + after)], moves=[(at, CARTS, True)])
    assert shop.counted().shown.buyers == int(counts)


def test_whose_window_is_not_over_counts_for_nothing(shop: Shop) -> None:
    """Nobody counts, with or without an order, before their own window is over."""
    shop.person(SHOWN[0], orders=[order(NOW - 1)], moves=[(NOW - WEEK + 1, CARTS, True)])
    shop.person(HELD[0], moves=[(NOW - 1, CARTS, True)])
    shop.person(SHOWN[1], moves=[(NOW - WEEK, CARTS, True)])
    found = shop.counted()
    assert (found.shown.people, found.shown.buyers, found.shown.pending, found.held.people, found.held.pending) == (1, 0, 1, 0, 1)


def test_the_first_entry_in_the_time_counts_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes and goes is one person, from their first entry in the time asked for; entries before it do not count."""
    monkeypatch.setattr(lift, "PAGE", 1)
    first = SINCE + DAY
    moves = [(SINCE - DAY, CARTS, True), (SINCE - 1, CARTS, False), (first, CARTS, True), (first + 5, CARTS, False)]
    moves += [(first + 2 * WEEK, CARTS, True)]
    shop.person(SHOWN[0], orders=[order(first + DAY)], moves=moves)
    shop.person(SHOWN[1], moves=[(SINCE - 1, CARTS, True)])
    found = shop.counted()
    assert (found.shown.people, found.shown.buyers) == (1, 1)
    assert shop.counted(since=first + 1).shown.buyers == 0


def test_whom_the_audience_never_wanted_is_in_no_arm(shop: Shop) -> None:
    """In an `unless` segment all the while, without consent at entry, suppressed, or erased: in neither arm."""
    at = SINCE + DAY
    shop.person(SHOWN[0], moves=[(SINCE, BUYERS, True), (at, CARTS, True)])
    shop.person(SHOWN[1], moves=[(at, CARTS, True), (at, INSIDE, True)])
    shop.person(SHOWN[2], moves=[(at, CARTS, True)], consent={"advertising": (False, at)})
    shop.person(SHOWN[3], moves=[(at, CARTS, True)], suppressed_at=at - 5)
    shop.put("moves", person=SHOWN[4], at=at, segment=CARTS, entered=1, event=0)  # erased: moves without a person
    shop.person(SHOWN[5], moves=[(at, CARTS, True)])
    shop.put("members", segment=BUYERS, person=SHOWN[5], since=at - DAY)  # inside since before moves were kept
    found = shop.counted()
    assert (found.shown.people, found.held.people, found.left_out) == (0, 0, 6)


def test_what_was_said_after_entering_moves_nobody(shop: Shop) -> None:
    """Consent that is taken back, or a wish to be left alone, after entry is an outcome, not a reason to be left out."""
    at = SINCE + DAY
    shop.person(SHOWN[0], moves=[(at, CARTS, True)], consent={"advertising": (False, at + 1)})
    shop.person(SHOWN[1], moves=[(at, CARTS, True)], suppressed_at=at + 1)
    shop.person(SHOWN[2], moves=[(at, CARTS, True), (at + 1, BUYERS, True)], orders=[order(at + 1)])
    found = shop.counted()
    assert (found.shown.people, found.shown.buyers, found.left_out) == (3, 1, 0)


def test_who_is_wanted_later_counts_from_then(shop: Shop) -> None:
    """Somebody who leaves a journey while still in the segment is wanted from that moment, and their window begins there."""
    at = SINCE + DAY
    later = at + DAY
    moves = [(at, INSIDE, True), (at, CARTS, True), (later, INSIDE, False)]
    shop.person(SHOWN[0], orders=[order(at + 5)], moves=moves)
    shop.person(SHOWN[1], orders=[order(later + WEEK - 1)], moves=moves)
    found = shop.counted()
    assert (found.shown.people, found.shown.buyers) == (2, 1)


def test_it_begins_when_a_platform_has_the_audience(shop: Shop) -> None:
    """Before the first platform has all of it nobody could be shown anything: such entries do not count."""
    loaded = SINCE + 5 * DAY
    shop.database.submit(lambda connection: connection.script(f"UPDATE audiences SET loaded_at = {loaded}")).result()
    shop.put("audiences", slot=2, name="carts", destination="pinterest", digest="d", state="new", sentence="", status="")
    shop.person(SHOWN[0], moves=[(loaded - 1, CARTS, True)])
    shop.person(SHOWN[1], moves=[(loaded, CARTS, True)])
    found = shop.counted()
    assert (found.begin, found.shown.people) == (loaded, 1)
    assert found.destinations == {"tiktok": loaded, "pinterest": None}


def test_held_out_people_whom_a_platform_has_are_told(shop: Shop) -> None:
    """Identifiers of the held out at a platform are counted, once for each person."""
    at = SINCE + DAY
    for person in (*HELD[:3], SHOWN[0]):
        shop.person(person, moves=[(at, CARTS, True)])
    for person, key in ((HELD[0], "email:a"), (HELD[0], "phone:b"), (HELD[1], "email:c"), (SHOWN[0], "email:d")):
        shop.put("audience_keys", audience=1, key=key, person=person, state="there", at=at)
    shop.put("audience_keys", audience=1, key="email:e", person=HELD[2], state="removing", at=at)
    assert shop.counted().leaked == {"tiktok": 2}


def test_a_changed_workspace_file_is_told(shop: Shop) -> None:
    """The last change of audiences or segments within the time is known; others and older ones do not matter."""
    assert shop.counted().changed_at is None
    for place, (at, said) in enumerate(
        [(SINCE - DAY, "audiences"), (SINCE + DAY, "gates, segments"), (SINCE + 2 * DAY, "gates")]
    ):
        shop.put("marks", kind="revision", source="", name="", value=str(place), at=at, event=0, detail=said)
    assert shop.counted().changed_at == SINCE + DAY


def test_an_audience_nobody_knows_has_empty_arms(shop: Shop) -> None:
    """Before `serve` ever ran with the audience there is nobody in it."""
    found = shop.counted(audience(0.1).__class__(name="new", slots=(), segment="new", unless=frozenset(), held_out=100_000))
    assert (found.shown.people, found.held.people, found.destinations) == (0, 0, {})


# ---- when somebody is wanted -------------------------------------------------------------------------------------------------

moves_of_three = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([CARTS, BUYERS, INSIDE])), unique=True, max_size=14).map(
    sorted
)


@given(timeline=moves_of_three, begun=st.sets(st.sampled_from([CARTS, BUYERS, INSIDE])), begin=st.integers(0, 12))
def test_wanted_is_what_walking_the_moments_finds(timeline: list[tuple[int, int]], begun: set[int], begin: int) -> None:
    """The first wanted moment is the one found by looking at every moment from the beginning on."""
    inside, moves, states = set(begun), list[Move](), dict[int, set[int]]()
    for at in range(14):
        for segment in [segment for when, segment in timeline if when == at]:
            entered = segment not in inside
            moves.append((at, segment, entered))
            (inside.add if entered else inside.discard)(segment)
        states[at] = set(inside)
    members = {segment: -1 for segment in begun if all(moved != segment for _, moved, _ in moves)}
    found = [at for at in range(begin, 14) if CARTS in states[at] and not states[at] & {BUYERS, INSIDE}]
    assert wanted_from(moves, members, CARTS, {BUYERS, INSIDE}, begin) == (found[0] if found else None)


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([(5, CARTS, True), (5, CARTS, False)], None),  # a cart and its order in one request
        ([(1, CARTS, True), (5, CARTS, False), (5, CARTS, True)], 5),
        ([(1, CARTS, True), (5, BUYERS, False), (5, BUYERS, True)], 5),
        ([(1, CARTS, True), (2, BUYERS, True), (5, BUYERS, False), (5, BUYERS, True), (9, BUYERS, False)], 9),
    ],
)
def test_in_and_out_at_one_moment_is_nothing(moves: list[Move], expected: int | None) -> None:
    """Entering and leaving a segment within the same millisecond, in whatever order they are read, changes nobody's state."""
    for order_read in (moves, sorted(moves)):
        assert wanted_from(order_read, {}, CARTS, {BUYERS}, 5) == expected
