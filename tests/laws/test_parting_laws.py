"""A merge undone by hand: the two are who they would be had they never been joined, and stay two."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.laws.flow import MINUTE, NOW, SEGMENTS, Flow, guarded, moment
from tests.laws.test_people_laws import people

from signalpost import identity
from signalpost.events import Person
from signalpost.sources import wishes
from signalpost.store import batches
from signalpost.store import people as kept_people
from signalpost.store.database import Connection, Database


def alone(person: Person, own: str) -> Person:
    """The person with identifiers that nobody else has."""
    return replace(
        person,
        suppressed_at=0,
        external_ids={f"{own}-{value}": at for value, at in person.external_ids.items()},
        anonymous_ids={f"{own}-{value}": at for value, at in person.anonymous_ids.items()},
    )


def plain(person: Person) -> Person:
    """The person without what says that they were parted, and ranked anew."""
    bare = replace(person, apart={}, looked_at=0)
    return replace(bare, keys=identity.match_keys(bare))


@given(left=people(1), right=people(2))
def test_parting_undoes_a_merge(left: Person, right: Person) -> None:
    """Undone at once, both are exactly who they were."""
    left, right = alone(left, "l"), alone(right, "r")
    joined = identity.combine(left, right)

    kept, gone = identity.part(joined, left, right, 77)

    assert (plain(kept), plain(gone)) == (plain(left), plain(right))
    assert identity.parted(kept, gone)
    assert identity.parted(gone, kept)


@given(left=people(1), right=people(2), third=people(3), fourth=people(4))
def test_the_parted_stay_apart_whoever_they_become(left: Person, right: Person, third: Person, fourth: Person) -> None:
    """Two who were parted are apart also after each has become one with somebody else."""
    left, right, third, fourth = alone(left, "l"), alone(right, "r"), alone(third, "t"), alone(fourth, "f")
    kept, gone = identity.part(identity.combine(left, right), left, right, 77)

    assert identity.parted(identity.combine(kept, third), identity.combine(gone, fourth))
    assert not identity.parted(third, kept)


@given(left=people(1), right=people(2), third=people(3))
def test_a_merge_in_between_stays(left: Person, right: Person, third: Person) -> None:
    """Whoever was joined after the merge that is undone stays joined."""
    left, right, third = alone(left, "l"), alone(right, "r"), alone(third, "t")
    joined = identity.combine(identity.combine(left, right), third)

    kept, gone = identity.part(joined, left, right, 77)

    assert kept.external_ids == identity.combine(left, third).external_ids
    assert plain(gone).external_ids == right.external_ids


# ---- through the store -------------------------------------------------------------------------------------------------------

NAMES = ("Product Viewed", "Product Added", "Checkout Started", "Order Completed")


@st.composite
def visits(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """What two people do, each under ids of their own."""
    stream = []
    for place in range(draw(st.integers(2, 12))):
        who, name = draw(st.sampled_from(("ann", "bea"))), draw(st.sampled_from(NAMES))
        properties: dict[str, Any] = {"product_id": f"p{draw(st.integers(1, 2))}", "price": 12, "currency": "USD"}
        if name == "Order Completed":
            properties |= {"order_id": f"{who}-{place}", "total": draw(st.integers(1, 30)), "products": []}
        message: dict[str, Any] = {
            "type": "track",
            "messageId": f"m{place}",
            "userId": who,
            "anonymousId": f"{who}-browser",
            "event": name,
            "timestamp": moment(NOW - (60 - place) * MINUTE),
            "properties": properties,
        }
        if draw(st.booleans()):
            message["context"] = {"traits": {"email": f"{who}@shop.example", "firstName": who.title()}}
        stream.append(("web", message))
    return stream


ALIAS = {
    "type": "alias",
    "messageId": "joined",
    "userId": "ann",
    "previousId": "bea-browser",
    "timestamp": moment(NOW - 90 * MINUTE),
}
"""It teaches nothing else: both ids were heard later."""


def undo(flow: Flow) -> None:
    """Undo the latest merge, as the console does it."""

    def work(connection: Connection) -> None:
        (number,) = (row[1] for row in connection.rows("identifiers_owned", ["user_id:ann"]))
        merge = next(each for each in kept_people.merges(connection, number) if each.undoable)
        kept_people.part(connection, merge.event, merge.other, NOW)

    flow.write(work)
    flow.process()


def standing(flow: Flow, who: str) -> dict[str, Any]:
    """What stands of a person: record, identifiers, orders, segments, audiences that want them."""
    rows = flow.rows(f"SELECT person FROM identifiers WHERE key = 'user_id:{who}'")
    if not rows:
        return {}
    number = rows[0][0]
    person = flow.database.look(lambda connection: batches.people(connection, [number]))[number]
    return {
        "person": replace(person, id=0, apart={}, looked_at=0, due={}, inside={}, derived=dict.fromkeys(person.derived, 0)),
        "identifiers": sorted(flow.rows(f"SELECT key FROM identifiers WHERE person = {number}")),
        "orders": sorted(flow.rows(f"SELECT key FROM orders WHERE person = {number}")),
        "inside": sorted(person.inside),
        "members": sorted(flow.rows(f"SELECT segment FROM members WHERE person = {number}")),
        "wanted": sorted(flow.rows(f"SELECT audience FROM audience_people WHERE person = {number} AND wanted = 1")),
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(stream=visits())
def test_people_whose_merge_is_undone_are_as_if_they_had_never_been_joined(database: Database, stream: list[Any]) -> None:
    """Record, identifiers, orders, segments and audiences of both are what they are where nobody ever joined them."""
    # What their orders together made true was told while they were one, and what was told stays told: so none of that here.
    flow = Flow(database, guarded(derived={}, segments={name: rule for name, rule in SEGMENTS.items() if name != "again"}))
    flow.run(stream)
    expected = {who: standing(flow, who) for who in ("ann", "bea")}
    if not all(expected.values()):
        return

    flow.run([*stream, ("web", ALIAS)])
    undo(flow)

    assert {who: standing(flow, who) for who in ("ann", "bea")} == expected


def joined_and_parted(database: Database) -> Flow:
    """Two people who were joined by a shared e-mail address, and parted again."""
    flow = Flow(database, guarded())
    for place, (who, email) in enumerate((("ann", "ann@shop.example"), ("bea", "bea@shop.example"))):
        said = {"type": "identify", "messageId": f"i{place}", "userId": who, "traits": {"email": email}}
        flow.append([("web", {**said, "timestamp": moment(NOW)})])
    shared = {"type": "identify", "messageId": "i3", "userId": "bea", "traits": {"email": "ann@shop.example"}}
    flow.append([("web", {**shared, "timestamp": moment(NOW)})])
    flow.process()
    assert len(flow.rows("SELECT id FROM people")) == 1
    undo(flow)
    return flow


def test_the_same_identifier_never_joins_them_again(database: Database) -> None:
    """The shared e-mail address, said again, and an alias keep them apart, and say why."""
    flow = joined_and_parted(database)
    assert len(flow.rows("SELECT id FROM people")) == 2

    again = {"type": "identify", "messageId": "i4", "userId": "bea", "traits": {"email": "ann@shop.example"}}
    flow.append([("web", {**again, "timestamp": moment(NOW)}), ("web", ALIAS)])
    flow.process()

    assert len(flow.rows("SELECT id FROM people")) == 2
    assert identity.PARTED in {row[0] for row in flow.rows("SELECT why FROM merges WHERE joined = 0")}


def test_a_replay_of_the_journal_parts_them_again(database: Database) -> None:
    """The wish stands in the journal: taken through an empty store again, the same two people come out."""
    flow = joined_and_parted(database)
    before = (
        flow.rows("SELECT key, person FROM identifiers ORDER BY key"),
        flow.rows("SELECT id, record FROM people ORDER BY id"),
    )

    def again(connection: Any) -> None:
        for table in ("events", "identifiers", "people", "merges", "orders", "ledger", "outbox", "members", "moves"):
            connection.raw.execute(f"DELETE FROM {table}")
        connection.raw.execute("INSERT INTO backlog (position, messages) SELECT position, messages FROM journal")

    flow.write(again)
    flow.process()

    assert flow.rows("SELECT key, person FROM identifiers ORDER BY key") == before[0]
    assert [row[0] for row in flow.rows("SELECT id, record FROM people ORDER BY id")] == [row[0] for row in before[1]]


def test_a_wish_to_part_is_done_once(database: Database) -> None:
    """Two clicks undo one merge."""
    flow = joined_and_parted(database)
    people_now = flow.rows("SELECT id, record FROM people ORDER BY id")
    body = flow.rows("SELECT body FROM journal WHERE wire = 'wishes'")[0][0]
    received = wishes.request(wishes._decode(bytes(body)), NOW)

    flow.write(lambda connection: batches.append(connection, received, 1))
    flow.process()

    assert flow.rows("SELECT id, record FROM people ORDER BY id") == people_now
