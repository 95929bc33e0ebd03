"""Taking up again what a platform refused or never clearly answered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from tests.delivery.shop import Shop, event_id, order, working

from signalpost import pipeline, replay
from signalpost.platforms.testing import Client
from signalpost.processing import now_ms
from signalpost.replay import Candidate
from signalpost.store.database import Connection, Database

HOUR = 3_600_000
DAY = 24 * HOUR
BOTH = ("tiktok", "pinterest")
BROWSER = {"ip": "8.8.8.8", "userAgent": "Mozilla/5.0", "page": {"url": "https://shop.example/thanks"}}


def route(shop: Shop, destination: str) -> pipeline.Route:
    return next(each for each in shop.worker.plan.routes if each.name == destination)


def found(shop: Shop, destination: str, *, now: int | None = None, reason: str | None = None, since: int = 0) -> list[Candidate]:
    """What a replay of everything would find."""
    return shop.database.look(
        lambda connection: replay.candidates(
            connection,
            route(shop, destination),
            verdicts=["refused", "unknown"],
            reason=reason,
            since=since,
            now=now_ms() if now is None else now,
        )
    )


def take_up(shop: Shop, destination: str, chosen: Sequence[Candidate], *, now: int | None = None) -> int:
    """Take up what was chosen, as the command does; gives how many."""
    at = now_ms() if now is None else now
    taken = shop.database.submit(
        lambda connection: replay.take_up(connection, shop.worker.plan, route(shop, destination), chosen, now=at)
    ).result(20)
    for dispatcher in shop.worker.dispatchers:
        dispatcher.look()  # spares the two seconds until it would look by itself
    return taken


def waiting(shop: Shop, destination: str) -> dict[str, Any]:
    """Event id -> the object that waits to be sent."""
    bodies = [bytes(row[0]) for row in shop.rows(f"SELECT body FROM outbox WHERE destination = '{destination}'")]
    return {body["event_id"]: body for body in map(msgspec.json.decode, bodies)}


def change(shop: Shop, *statements: str) -> None:
    """Change the database as time or another process would."""

    def work(connection: Connection) -> None:
        for statement in statements:
            connection.script(statement)

    shop.database.submit(work).result(20)


def bare(number: int | str, **changes: Any) -> dict[str, Any]:
    """An order that says of its buyer only a user id (and the browser)."""
    made = {**order(number), **changes}
    return {**made, "properties": {key: value for key, value in made["properties"].items() if key != "email"}}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def refused(shop: Shop, *messages: dict[str, Any]) -> None:
    """Let both platforms refuse each of these orders, then mend the platforms."""
    ids = [event_id(each["properties"]["order_id"]) for each in messages]
    for platform in BOTH:
        shop.platforms.fault("partial", platform=platform, event_ids=ids)
    before, already = len({row[0] for row in shop.ledger()}), shop.verdicts()["refused"]
    await shop.take(*messages)
    await shop.settled(before + len(messages))
    assert already + len(messages) * 2 == shop.verdicts()["refused"]
    shop.platforms.clear_faults()


async def unknown(database: Database, platforms: Client, *messages: dict[str, Any]) -> None:
    """Let the attempts of these orders end with no clear answer, until a repeat would not be safe any more."""
    platforms.fault("status", status=500)
    async with working(database, platforms) as shop:
        await shop.take(*messages)
        await shop.until(lambda: len(shop.requests("tiktok")) and len(shop.requests("pinterest")), "a first attempt")
    change(shop, f"UPDATE outbox SET first_attempt_at = {now_ms() - 50 * HOUR}")
    platforms.clear_faults()
    async with working(database, platforms) as shop:
        await shop.settled(len(messages))
        assert {"unknown": 2 * len(messages)} == shop.verdicts()


@pytest.mark.parametrize("destination", BOTH)
async def test_what_was_refused_is_found_without_risk(database: Database, platforms: Client, destination: str) -> None:
    """A refused signal was not counted, so nothing can be counted twice; an accepted one is not even found."""
    async with working(database, platforms) as shop:
        await shop.take(order(1))
        await shop.settled(1)
        await refused(shop, order(2), order(3))

        seen = found(shop, destination)
        assert [event_id(2), event_id(3)] == [each.event_id for each in seen]
        assert {"none"} == {each.risk for each in seen}
        assert all(each.why and each.reason and each.request for each in seen)
        assert [] == found(shop, destination, reason="another")
        assert seen == found(shop, destination, reason=seen[0].reason)
        assert [] == found(shop, destination, since=now_ms() + 1)


@pytest.mark.parametrize(("destination", "hours"), [("tiktok", 48), ("pinterest", 24)])
async def test_an_unknown_one_merges_only_while_the_platform_remembers(
    database: Database, platforms: Client, destination: str, hours: int
) -> None:
    """Inside the dedupe window a repeat merges; at its end, and a tenth before it, it may count twice."""
    await unknown(database, platforms, order(1))
    async with working(database, platforms) as shop:
        now = now_ms()
        assert ["merges"] == [each.risk for each in found(shop, destination, now=now)]
        assert ["merges"] == [each.risk for each in found(shop, destination, now=now + (hours - 6) * HOUR)]
        assert ["may count twice"] == [each.risk for each in found(shop, destination, now=now + hours * HOUR)]
        assert ["too old"] == [each.risk for each in found(shop, destination, now=now + 8 * DAY)]


async def test_the_window_begins_with_the_first_attempt_not_the_last(database: Database, platforms: Client) -> None:
    """Two days of attempts that may each have arrived: the platform counts from the first, however late the last was."""
    await unknown(database, platforms, order(1))
    async with working(database, platforms) as shop:
        change(shop, f"UPDATE ledger SET decided_at = {now_ms() - 50 * HOUR}")
        for destination in BOTH:
            assert ["may count twice"] == [each.risk for each in found(shop, destination)]


async def test_a_repeat_that_would_merge_is_sent_only_while_it_would(database: Database, platforms: Client) -> None:
    """Taken up inside the window, but the platform stays away until after it: unknown again, never counted twice."""
    await unknown(database, platforms, order(1))
    platforms.fault("rate_limit")
    async with working(database, platforms) as shop:
        for destination in BOTH:
            assert 1 == take_up(shop, destination, found(shop, destination))
        tries = "SELECT DISTINCT destination FROM requests WHERE status = 429"
        await shop.until(lambda: len(shop.rows(tries)) == 2, "attempts that surely did not arrive")
    assert [] == shop.rows("SELECT 1 FROM outbox WHERE first_attempt_at IS NULL")
    change(shop, f"UPDATE outbox SET first_attempt_at = first_attempt_at - {50 * HOUR}")
    platforms.clear_faults()
    async with working(database, platforms) as shop:
        await shop.settled(1)

        assert {"unknown": 2} == shop.verdicts()
        assert set() == platforms.ids("tiktok") | platforms.ids("pinterest")


async def test_too_old_and_request_gone_are_never_taken_up(database: Database, platforms: Client) -> None:
    """They are shown with their reason; asking for them all the same changes nothing."""
    async with working(database, platforms) as shop:
        await refused(shop, order(1))
        await refused(shop, order(2))
        before = shop.ledger()
        for destination in BOTH:
            later = now_ms() + 8 * DAY
            assert ["too old", "too old"] == [each.risk for each in found(shop, destination, now=later)]
            assert 0 == take_up(shop, destination, found(shop, destination, now=later), now=later)
            # Even when they were chosen while they were young enough.
            assert 0 == take_up(shop, destination, found(shop, destination), now=later)
        change(shop, "DELETE FROM journal WHERE position = (SELECT min(position) FROM journal)")
        for destination in BOTH:
            stale = [msgspec.structs.replace(each, risk="none") for each in found(shop, destination)]
            assert ["request gone", "none"] == [each.risk for each in found(shop, destination)]
            assert 0 == take_up(shop, destination, found(shop, destination)[:1])
            assert 0 == take_up(shop, destination, stale[:1])
        assert before == shop.ledger()


@pytest.mark.parametrize("destination", BOTH)
async def test_it_is_written_anew_with_what_is_now_known(database: Database, platforms: Client, destination: str) -> None:
    """The merged person is followed and a new e-mail is in it; event id and order stay; then it is accepted once."""
    phone = "+14155550123"
    async with working(database, platforms) as shop:
        await shop.take({"type": "identify", "userId": "older", "messageId": "i-0", "traits": {"phone": phone}})
        await refused(shop, bare(1))
        await shop.take(
            {"type": "identify", "userId": "user-1", "messageId": "i-1", "traits": {"email": "new@example.com"}},
            {"type": "alias", "previousId": "user-1", "userId": "older", "messageId": "a-1"},
        )
        await shop.until(lambda: shop.rows("SELECT 1 FROM merges WHERE joined = 1"), "the merge")
        platforms.fault("rate_limit", platform=destination)
        (chosen,) = found(shop, destination)
        assert 1 == take_up(shop, destination, [chosen])

        (body,) = waiting(shop, destination).values()
        assert event_id(1) == body["event_id"]
        assert sha256("new@example.com") in json.dumps(body)
        assert {sha256(phone), sha256(phone[1:])} & set(json.dumps(body).split('"'))
        assert 45.5 == float(body["properties" if destination == "tiktok" else "custom_data"]["value"])
        number = chosen.event
        rows = shop.rows(
            f"SELECT verdict, reason, settled_at FROM ledger WHERE event = {number} AND destination = '{destination}'"
        )
        assert [("waiting", None, None)] == rows
        traces = shop.rows(
            f"SELECT verdict, reason, sentence, request FROM ledger_trace WHERE event = {number} AND verdict <> 'waiting'"
        )
        assert [("refused", chosen.reason, chosen.request)] == [(row[0], row[1], row[3]) for row in traces]
        assert chosen.why in traces[0][2]
        assert "replay" in traces[0][2]
        owner = shop.rows(f"SELECT person FROM outbox WHERE destination = '{destination}'")
        assert owner == shop.rows("SELECT person FROM identifiers WHERE key = 'user_id:older'")

        platforms.clear_faults()
    async with working(database, platforms) as shop:
        await shop.until(lambda: shop.verdicts(destination)["accepted"], "acceptance")

        assert {event_id(1)} == {each for _, each in platforms.ids(destination)}
        assert (1, 0) == (platforms.received(destination)["accepted"], platforms.received(destination)["deduplicated"])
        shop.agrees()


def has_said(answer: bool) -> dict[str, Any]:
    """What a consent tool adds to the context."""
    return {"consent": {"advertising": answer}}


FORBIDDEN: dict[str, list[dict[str, Any]]] = {
    "suppressed": [{"type": "track", "event": "User Suppressed", "userId": "user-1", "messageId": "s-1"}],
    "erased": [{"type": "track", "event": "User Deleted", "userId": "user-1", "messageId": "s-1"}],
    "erased after a merge": [
        {"type": "identify", "userId": "other", "messageId": "i-1"},
        {"type": "alias", "previousId": "user-1", "userId": "other", "messageId": "a-1"},
        {"type": "track", "event": "User Deleted", "userId": "other", "messageId": "s-1"},
    ],
    "consent withdrawn": [{"type": "identify", "userId": "user-1", "messageId": "s-1", "context": has_said(False)}],
}


@pytest.mark.parametrize("since", FORBIDDEN.values(), ids=FORBIDDEN)
async def test_who_said_no_since_then_stays_out(database: Database, platforms: Client, since: list[dict[str, Any]]) -> None:
    """Suppressed, erased or withdrawn since, also where the event itself said yes: nothing of them leaves; others do."""
    async with working(database, platforms) as shop:
        yes = {**BROWSER, **has_said(True)}
        await refused(shop, order(1, context=yes), order(2, context=yes))
        for message in since:
            await shop.take(message)
        last = since[-1]["messageId"]
        await shop.until(lambda: shop.rows(f"SELECT 1 FROM events WHERE message_key = 'web:{last}'"), "the news")
        for destination in BOTH:
            assert 1 == take_up(shop, destination, found(shop, destination))
        await shop.until(lambda: shop.verdicts()["accepted"] == 2, "acceptance of the other")

        assert {"accepted": 2, "refused": 2} == {name: count for name, count in shop.verdicts().items() if count}
        assert {event_id(2)} == {each for _, each in platforms.ids("tiktok") | platforms.ids("pinterest")}


@pytest.mark.parametrize("when", ["with the event", "since"])
async def test_limited_data_use_is_kept(database: Database, platforms: Client, when: str) -> None:
    """Who asked for limited data use, with the event or since, is sent with it."""
    limited = {"consent": {"limited_data_use": True}}
    async with working(database, platforms) as shop:
        if when == "with the event":
            await refused(shop, order(1, context={**BROWSER, **limited}))
            # Said again otherwise later: the event itself was about a limited moment.
            await shop.take(
                {"type": "identify", "userId": "user-1", "messageId": "l-1", "context": {"consent": {"limited_data_use": False}}}
            )
        else:
            await refused(shop, order(1))
            await shop.take({"type": "identify", "userId": "user-1", "messageId": "l-1", "context": limited})
        await shop.until(lambda: shop.rows("SELECT 1 FROM events WHERE message_key = 'web:l-1'"), "the news")
        platforms.fault("rate_limit")
        for destination in BOTH:
            assert 1 == take_up(shop, destination, found(shop, destination))

        assert waiting(shop, "tiktok")[event_id(1)]["limited_data_use"] is True
        assert "LDP" in json.dumps(waiting(shop, "pinterest")[event_id(1)])


async def test_what_was_accepted_is_never_touched(database: Database, platforms: Client) -> None:
    """Not by choosing it by hand, and not when it was accepted between looking and doing."""
    async with working(database, platforms) as shop:
        await refused(shop, order(1))
        chosen = {destination: found(shop, destination) for destination in BOTH}
        for destination in BOTH:
            assert 1 == take_up(shop, destination, chosen[destination])
        await shop.settled(1)
        assert {"accepted": 2} == shop.verdicts()
        before = shop.ledger()
        for destination in BOTH:
            assert [] == found(shop, destination)
            assert 0 == take_up(shop, destination, chosen[destination])
        assert before == shop.ledger()
        assert [] == shop.rows("SELECT * FROM outbox")
        shop.agrees()


async def test_taking_up_twice_is_taking_up_once(database: Database, platforms: Client) -> None:
    """A second replay of the same signals, or one that names a signal twice, finds them waiting and does nothing."""
    async with working(database, platforms) as shop:
        await refused(shop, order(1), order(2))
        platforms.fault("rate_limit")
        for destination in BOTH:
            chosen = found(shop, destination)
            assert 2 == take_up(shop, destination, [*chosen, *chosen])
            assert [] == found(shop, destination)
            assert 0 == take_up(shop, destination, chosen)
            assert {event_id(1), event_id(2)} == set(waiting(shop, destination))
        platforms.clear_faults()
    async with working(database, platforms) as shop:
        await shop.settled(2)

        assert {"accepted": 4} == shop.verdicts()
        assert 0 == platforms.received("tiktok")["deduplicated"] + platforms.received("pinterest")["deduplicated"]
        shop.agrees()


async def test_an_unknown_one_that_had_arrived_is_merged(database: Database, platforms: Client) -> None:
    """The platform had taken the lost attempt: the replay is merged with it by the same event id, and counted once."""
    platforms.fault("status", status=502, when="after")
    async with working(database, platforms) as shop:
        await shop.take(order(1))
        await shop.until(lambda: len(shop.requests("tiktok")) and len(shop.requests("pinterest")), "a first attempt")
    change(shop, f"UPDATE outbox SET first_attempt_at = {now_ms() - 50 * HOUR}")
    platforms.clear_faults()
    async with working(database, platforms) as shop:
        await shop.settled(1)
        assert {"unknown": 2} == shop.verdicts()
        for destination in BOTH:
            assert 1 == take_up(shop, destination, found(shop, destination))
        await shop.settled(1)

        assert 2 == shop.verdicts()["accepted"] + shop.verdicts()["warned"]
        for destination in BOTH:
            assert 1 == platforms.received(destination)["distinct_ids"]
        shop.agrees()


async def test_a_stranger_is_sent_as_before(database: Database, platforms: Client) -> None:
    """An event that names nobody still has its own click id and browser when it is taken up."""
    context = {**BROWSER, "campaign": {}, "page": {"url": "https://shop.example/thanks?ttclid=click-of-then&epik=dj0yJnU9then"}}
    async with working(database, platforms) as shop:
        await refused(shop, bare(1, userId="null", context=context))
        assert [(0,)] == shop.rows("SELECT person FROM events")
        platforms.fault("rate_limit")
        for destination in BOTH:
            assert 1 == take_up(shop, destination, found(shop, destination))

        assert "click-of-then" == waiting(shop, "tiktok")[event_id(1)]["user"]["ttclid"]
        assert "dj0yJnU9then" == waiting(shop, "pinterest")[event_id(1)]["user_data"]["click_id"]


async def test_a_later_click_did_not_lead_to_it(database: Database, platforms: Client) -> None:
    """Click ids are those known when the event happened, not those of a campaign the person clicked on since."""
    click = {**BROWSER, "page": {"url": "https://shop.example/?ttclid=click-of-later"}}
    async with working(database, platforms) as shop:
        await refused(shop, order(1))
        await shop.take({**order("v1"), "event": "Product Viewed", "userId": "user-1", "context": click})
        await shop.until(lambda: len({row[0] for row in shop.ledger()}) == 2, "the later click")
        platforms.fault("rate_limit", platform="tiktok")
        assert 1 == take_up(shop, "tiktok", found(shop, "tiktok"))

        assert "ttclid" not in waiting(shop, "tiktok")[event_id(1)]["user"]


async def test_a_clock_a_little_ahead_stays_set_right(database: Database, platforms: Client) -> None:
    """The time sent is the one kept at intake, not the client's of the future."""
    async with working(database, platforms) as shop:
        await refused(shop, order(1, at=now_ms() + 9 * 60_000))
        platforms.fault("rate_limit", platform="tiktok")
        assert 1 == take_up(shop, "tiktok", found(shop, "tiktok"))

        assert waiting(shop, "tiktok")[event_id(1)]["event_time"] <= now_ms() // 1000


async def test_the_newest_come_first_when_there_are_too_many(
    database: Database, platforms: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One replay takes a bounded number, and the next one goes on; what is too old does not stand before it."""
    monkeypatch.setattr(replay, "MOST", 2)
    async with working(database, platforms) as shop:
        await refused(shop, *[order(number) for number in range(3)])
        change(shop, "UPDATE events SET time = 1 WHERE id = (SELECT min(id) FROM events)")
        platforms.fault("rate_limit")
        seen = found(shop, "tiktok")
        assert [event_id(1), event_id(2)] == [each.event_id for each in seen]
        assert 2 == take_up(shop, "tiktok", seen)
        assert ["too old"] == [each.risk for each in found(shop, "tiktok")]
