"""The story of a signal: told whole, told of the right event, told without anybody's data."""

from __future__ import annotations

import json

import msgspec
import pytest
from tests.store.shop import EMAIL, PHONE, RAW, Shop, order

from signalpost import pipeline
from signalpost.sources import Received
from signalpost.store import signals, story
from signalpost.store.database import Database

NOW = 1_795_305_600_000
MINUTE = 60_000


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def find(shop: Shop, key: str) -> list[int]:
    return shop.database.look(lambda connection: story.find(connection, key, tuple(shop.workspace.sources)))


def tell(shop: Shop, number: int) -> story.Story:
    told = shop.database.look(lambda connection: story.story(connection, number, shop.workspace))
    assert told is not None
    return told


def by_destination(told: story.Story) -> dict[str, story.Delivery]:
    return {each.destination: each for each in told.deliveries}


def test_an_event_is_found_by_message_id_order_id_and_number(shop: Shop) -> None:
    """Whatever an operator has in hand leads to the event: message id with or without its source, order id, number."""
    position = shop.say(order("m-1", "A-100", NOW), at=NOW)
    shop.process(NOW)
    number = position << pipeline.PLACES
    for key in ("m-1", " m-1 ", "web:m-1", "A-100", str(number)):
        assert find(shop, key) == [number]
    for key in ("", "m-2", "shop:m-1", "9" * 30, "a\x00b", "x" * 5000, "%", "' OR 1=1"):
        assert find(shop, key) == []


def test_an_event_number_is_cut_as_the_pipeline_cuts_it() -> None:
    """The story finds an event's request by the pipeline's own arithmetic."""
    assert story.PLACES == pipeline.PLACES


def test_a_story_goes_from_the_request_to_the_platforms_own_answer(shop: Shop) -> None:
    """An accepted order's story names its request, event, person, value, and each platform's verdict with the answer."""
    position = shop.say(order("m-1", "A-100", NOW - 5_000), {"type": "track", "event": 5}, at=NOW)
    shop.process(NOW)
    shop.deliver("tiktok", NOW + 100)
    told = tell(shop, position << pipeline.PLACES)
    assert (told.request.wire, told.request.method, told.request.path) == ("pipelines", "POST", "/v1/batch")
    assert [refused.place for refused in told.refusals] == [1]
    assert (told.event.name, told.event.order_id, told.event.message_id) == ("Order Completed", "A-100", "m-1")
    assert (told.event.value, told.event.currency, told.event.time) == ("49.9", "GBP", NOW - 5_000)
    assert told.person is not None
    assert "email" in told.person.match_keys
    tiktok, pinterest = by_destination(told)["tiktok"], by_destination(told)["pinterest"]
    assert (tiktok.verdict, tiktok.value, tiktok.attempts) == ("accepted", "49.9", 1)
    assert tiktok.answer is not None
    assert (tiktok.answer.status, tiktok.answer.platform_request) == (200, "request-77")
    assert (pinterest.verdict, pinterest.object_from, tiktok.object_from) == ("waiting", "waiting", "rewritten")


def test_what_waits_is_written_again_alike(shop: Shop) -> None:
    """The event object written again from the journal is the one that waited, field for field."""
    position = shop.say(order("m-1", "A-100", NOW - 5_000), at=NOW)
    shop.process(NOW)
    before = by_destination(tell(shop, position << pipeline.PLACES))
    for destination in ("tiktok", "pinterest"):
        shop.deliver(destination, NOW + 100)
    after = by_destination(tell(shop, position << pipeline.PLACES))
    for destination in ("tiktok", "pinterest"):
        assert before[destination].object is not None
        assert before[destination].object == after[destination].object


def test_a_story_shows_nobodys_data(shop: Shop) -> None:
    """No e-mail, phone, name, street, postcode, full IP address or secret is in any story, whatever wire it came by."""
    numbers = [shop.say(order("m-1", "A-100", NOW), at=NOW) << pipeline.PLACES]
    track = Received(
        source="cio",
        wire="track_v1",
        method="POST",
        path=f"/api/v1/customers/{EMAIL.replace('@', '%40')}/events",
        body=json.dumps({"name": "Order Completed", "data": {"order_id": "T-1", "total": 5, "recipient": EMAIL}}).encode(),
        client_ip="81.2.69.142",
        user_agent=f"agent of {EMAIL}",
        received_at=NOW,
    )
    numbers.append(shop.receive(track) << pipeline.PLACES)
    alias = {"type": "alias", "messageId": "al-1", "userId": EMAIL, "previousId": "u-1"}
    numbers.append(shop.say(alias, at=NOW) << pipeline.PLACES)
    shop.process(NOW)
    shop.deliver("tiktok", NOW, verdict="refused", reason="40002", sentence=f"TikTok does not like {EMAIL} or {PHONE}.")
    for number in numbers:
        text = msgspec.json.encode(tell(shop, number)).decode()
        assert len(text) > 200
        for raw in RAW:
            assert raw.lower() not in text.lower(), raw


def test_hashes_are_shown_shortened(shop: Shop) -> None:
    """No whole SHA-256 is on a page: it is a person's data too."""
    position = shop.say(order("m-1", "A-100", NOW), at=NOW)
    shop.process(NOW)
    text = msgspec.json.encode(tell(shop, position << pipeline.PLACES)).decode()
    assert "…" in text
    assert not [word for word in text.split('"') if len(word) == 64 and word.isalnum()]


def test_a_repeat_and_its_first_name_one_another(shop: Shop) -> None:
    """A message that came twice: the first lists the repeat, the repeat names the first and was withheld."""
    first = shop.say(order("m-1", "A-100", NOW), at=NOW) << pipeline.PLACES
    second = shop.say(order("m-1", "A-100", NOW), at=NOW + 1_000) << pipeline.PLACES
    shop.process(NOW + 2_000)
    assert [each.event for each in tell(shop, first).repeats] == [second]
    again = tell(shop, second)
    assert again.repeat_of is not None
    assert (again.repeat_of.event, again.event.message_id) == (first, "m-1")
    assert {each.reason for each in again.deliveries} == {"duplicate_message"}
    assert all(each.advice for each in again.deliveries)


def test_events_of_one_order_name_one_another(shop: Shop) -> None:
    """Two messages with one order id: each story lists the other, and the second says why it was withheld."""
    first = shop.say(order("m-1", "A-100", NOW), at=NOW) << pipeline.PLACES
    second = shop.say(order("m-2", "A-100", NOW), at=NOW) << pipeline.PLACES
    shop.process(NOW)
    assert [each.event for each in tell(shop, first).same_order] == [second]
    assert [each.event for each in tell(shop, second).same_order] == [first]
    assert {each.reason for each in tell(shop, second).deliveries} == {"duplicate_order"}


def test_a_merge_is_told_with_its_why(shop: Shop) -> None:
    """An event of somebody who turned out to be somebody else is told under who they are now, with the reason."""
    bare = {"context": {}, "properties": {"order_id": "A-1", "total": 5}}
    shop.say(order("m-1", "A-1", NOW, userId="u-1", **bare), at=NOW)
    later = shop.say(order("m-2", "A-2", NOW, userId=None, anonymousId="visitor-2", **bare), at=NOW)
    shop.process(NOW)
    shop.say({"type": "identify", "messageId": "m-3", "userId": "u-1", "anonymousId": "visitor-2"}, at=NOW + 1)
    shop.process(NOW + 1)
    person = tell(shop, later << pipeline.PLACES).person
    assert person is not None
    assert person.id != person.then
    assert [(each.joined, each.why) for each in person.merges] == [(True, "same anonymous_id")]


def test_a_delayed_signal_tells_each_attempt(shop: Shop) -> None:
    """Every attempt that did not settle is a step with the platform's answer, and says when it is tried again."""
    position = shop.say(order("m-1", "A-100", NOW), at=NOW)
    shop.process(NOW)
    shop.deliver("pinterest", NOW, verdict=None, reason="503", sentence="Pinterest is busy.", due_at=NOW + MINUTE)
    waiting = by_destination(tell(shop, position << pipeline.PLACES))["pinterest"]
    assert (waiting.verdict, waiting.due_at, waiting.attempts) == ("waiting", NOW + MINUTE, 1)
    assert [(step.reason, step.sentence) for step in waiting.steps] == [("503", "Pinterest is busy.")]
    assert waiting.steps[0].answer is not None
    shop.deliver("pinterest", NOW + MINUTE)
    settled = by_destination(tell(shop, position << pipeline.PLACES))["pinterest"]
    assert (settled.verdict, settled.attempts, len(settled.steps)) == ("accepted", 2, 1)


def test_a_story_outlives_its_request(shop: Shop) -> None:
    """When the journal has let go of the request, the verdicts are told all the same."""
    position = shop.say(order("m-1", "A-100", NOW), at=NOW)
    shop.process(NOW)
    shop.write(lambda connection: connection.run("prune_journal", NOW + 1, 10))
    told = tell(shop, position << pipeline.PLACES)
    assert (told.request.kept, told.event.content, len(told.deliveries)) == (False, None, 2)
    assert by_destination(told)["tiktok"].object_from == "waiting"


def test_an_erased_person_is_not_told_of(shop: Shop) -> None:
    """After a deletion only the verdicts remain: no match keys, and no event object is written again."""
    position = shop.say(order("m-1", "A-100", NOW), at=NOW)
    shop.process(NOW)
    shop.deliver("tiktok", NOW)
    erase = Received(
        source="cio", wire="track_v1", method="DELETE", path=f"/api/v1/customers/{EMAIL.replace('@', '%40')}", received_at=NOW + 1
    )
    shop.receive(erase)
    shop.process(NOW + 1)
    told = tell(shop, position << pipeline.PLACES)
    assert told.person is not None
    assert (told.person.forgotten, told.person.match_keys) == (True, [])
    assert by_destination(told)["tiktok"].object is None


def test_the_newest_come_first_and_filters_keep_only_what_fits(shop: Shop) -> None:
    """`recent` gives whole events newest first; a list only verdicts of the destination, verdict and reason asked for."""
    numbers = [shop.say(order(f"m-{each}", f"A-{each % 3}", NOW), at=NOW) << pipeline.PLACES for each in range(6)]
    shop.process(NOW)
    shop.deliver("tiktok", NOW)
    recent = shop.database.look(lambda connection: story.recent(connection, 4, shop.workspace))
    assert [each.event for each in recent] == numbers[:1:-1]
    assert all({mark.destination for mark in each.marks} == {"tiktok", "pinterest"} for each in recent)

    def asked(destination: str = "", verdict: str = "", reason: str = "", name: str = "") -> list[int]:
        found = shop.database.look(
            lambda connection: signals.look(
                connection,
                signals.Asked(destination=destination, verdict=verdict, reason=reason, event=name),
                workspace=shop.workspace,
            )
        )
        return [each.event for each in found.latest]

    assert asked(destination="tiktok", verdict="accepted") == numbers[2::-1]
    assert asked(reason="duplicate_order") == numbers[:2:-1]
    assert asked(destination="nobody") == []
    assert asked(name="Order Completed") == numbers[::-1]
    assert asked(name="Product Viewed") == []
