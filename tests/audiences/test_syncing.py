"""Audiences are kept on the emulators: what is wanted is there, what is not is not, and nothing is asked that need not be."""

from __future__ import annotations

import asyncio
import os
import socket
from functools import partial
from typing import Any

import msgspec
import pytest

from signalpost import clocks, normalize, syncing
from signalpost.destinations import CATALOG
from signalpost.destinations.audiences import Held
from signalpost.options import Audience, Consent, Workspace
from signalpost.platforms.testing import Client
from signalpost.processing import now_ms
from signalpost.store import audiences as store
from signalpost.store.database import Database

from .crowd import Crowd, kept, rows, until, workspace

BOTH = ("tiktok", "pinterest")


async def test_what_is_wanted_is_at_both_platforms(database: Database, platforms: Client) -> None:
    """Everybody who is wanted is held by every identifier the platform takes, and whoever leaves is held by none."""
    crowd = Crowd(database, workspace(platforms))
    for person in range(1, 31):
        crowd.teach(person, f"p{person}@example.com", f"+1202555{person:04}")
    crowd.want(range(1, 31))
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "the first load")
        for destination in BOTH:
            assert crowd.expected("buyers", destination) == crowd.held(platforms, destination)
        crowd.want(range(1, 11), yes=False)
        crowd.teach(20, "other@example.com")
        crowd.erase(21)
        await until(crowd.settled, "the change")
        for destination in BOTH:
            assert crowd.expected("buyers", destination) == crowd.held(platforms, destination)
            assert len(platforms.audiences(destination)) == 1
    assert crowd.figures("tiktok").wanted == 19


def crowded(database: Database, platforms: Client, *audiences: Audience, people: int = 20, **changes: Any) -> Crowd:
    """A crowd in which all have an e-mail address of their own."""
    crowd = Crowd(database, workspace(platforms, *audiences, **changes))
    for person in range(1, people + 1):
        crowd.teach(person, f"p{person}@example.com")
    return crowd


def changes(platforms: Client) -> int:
    """Requests that changed audiences, on both platforms."""
    tiktok, pinterest = platforms.audience_requests("tiktok"), platforms.audience_requests("pinterest")
    looks = ("/get/", "/list/", "/log/")
    return sum(many for path, many in tiktok.items() if not path.endswith(looks)) + sum(
        many for operation, many in pinterest.items() if not operation.endswith(("/get", "/list"))
    )


async def test_an_audience_at_rest_asks_for_nothing(database: Database, platforms: Client) -> None:
    """Looking at everybody again, and starting again, makes no request that changes anything."""
    crowd = crowded(database, platforms)
    crowd.want(range(1, 21))
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "the first load")
    before = changes(platforms)
    crowd.want(range(1, 21), priority=2)  # a rule changed, and all are inside as before
    crowd.want([99], yes=False)  # never wanted, nowhere held
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "everybody looked at again")
    assert before == changes(platforms)
    assert [] == rows(database, "SELECT person FROM audience_people WHERE person = 99")


async def test_a_purchase_does_not_wait_for_company_or_for_a_first_load(
    database: Database, platforms: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a purchase moved is among the first that are sent, however many came before it."""
    monkeypatch.setattr(syncing, "PEOPLE", 5)
    audience = Audience(segment="buyers", to=("pinterest",), use="suppress")
    crowd = crowded(database, platforms, audience, people=60)
    crowd.want(range(1, 60), priority=2)
    crowd.want([60], priority=0, at=now_ms())
    declared = CATALOG["pinterest"].audience
    assert declared is not None
    part = msgspec.structs.replace(declared, batch=5)
    async with kept(database, crowd.workspace, part=part):
        await until(crowd.settled, "the load")
    first = platforms.audiences("pinterest", changes="true")[0]["changes"][0]
    assert crowd.expected("buyers", "pinterest") == crowd.held(platforms, "pinterest")
    assert 5 == len(first["identifiers"])
    assert normalize.hash_of("p60@example.com") in first["identifiers"]


async def test_the_clock_counts_who_is_kept_from_ads(database: Database, platforms: Client) -> None:
    """The suppression clock counts who entered a suppressing or left a targeting audience by a purchase; the other one all."""
    target = Audience(segment="browsers", to=("tiktok",), use="target")
    suppress = Audience(segment="buyers", to=("tiktok",), use="suppress")
    crowd = crowded(database, platforms, target, suppress)
    crowd.want([1, 2, 3], title="browsers")
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "the first load")
        crowd.want([1], yes=False, title="browsers", priority=0)
        crowd.want([1, 2], title="buyers", priority=0)
        crowd.want([5], title="browsers", priority=0)  # a refund that leads back
        await until(crowd.settled, "the purchases")
    times = database.look(lambda connection: store.times(connection, 0))
    assert 3 == sum(times["suppressed", "tiktok"].values())
    assert 7 == sum(times["audience", "tiktok"].values())
    assert 60_000 <= clocks.quantile(times["suppressed", "tiktok"], 0.5) * (1 + clocks.ERROR)


async def test_an_identifier_of_two_people_goes_with_the_last(database: Database, platforms: Client) -> None:
    """A household's common address stays while one of them is wanted."""
    crowd = crowded(database, platforms, people=3)
    crowd.teach(1, "home@example.com", "one@example.com")
    crowd.teach(2, "home@example.com")
    crowd.want([1, 2, 3])
    home = normalize.hash_of("home@example.com")
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "the first load")
        crowd.want([1], yes=False)
        await until(crowd.settled, "one leaves")
        assert home in crowd.held(platforms, "tiktok") == crowd.expected("buyers", "tiktok")
        crowd.erase(2)
        await until(crowd.settled, "the other is forgotten")
        assert home not in crowd.held(platforms, "tiktok")
    assert [] == rows(database, "SELECT key FROM audience_keys WHERE person IN (1, 2)")


async def test_what_a_platform_never_takes_is_told_and_holds_up_nobody(database: Database, platforms: Client) -> None:
    """A refused identifier is found among many, noted with the platform's sentence, and all others are taken."""
    crowd = crowded(database, platforms)
    bad = normalize.hash_of("p7@example.com")
    assert bad is not None
    platforms.fault("partial", scope="audiences", event_ids=[bad])
    crowd.want(range(1, 21))
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "all but one are taken")
        for destination in BOTH:
            assert crowd.expected("buyers", destination) - {bad} == crowd.held(platforms, destination)
            assert {"there": 19, "refused": 1} == crowd.keys(destination)
            told = crowd.refusals(destination)
            assert [(True, 1)] == [(each.adding, each.keys) for each in told]
            assert told[0].sentence
            assert bad not in told[0].sentence


async def test_an_expired_token_stops_an_audience_until_it_is_mended(database: Database, platforms: Client) -> None:
    """Nothing is lost while the credentials are wrong; the audience says what to do, and goes on once they are right."""
    crowd = crowded(database, platforms)
    platforms.fault("token_expired")
    crowd.want(range(1, 21))
    async with kept(database, crowd.workspace):
        await until(lambda: all(crowd.standing(each).state == "stopped" for each in BOTH), "both say that they are stopped")
        assert all("token" in crowd.standing(each).sentence for each in BOTH)
    platforms.clear_faults()
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "the first load")
    for destination in BOTH:
        assert ("ready", "") == (crowd.standing(destination).state, crowd.standing(destination).sentence)
        assert crowd.expected("buyers", destination) == crowd.held(platforms, destination)


@pytest.mark.parametrize("destination", BOTH)
@pytest.mark.parametrize("how", ["lost", "given away"])
async def test_a_lost_audience_is_told_and_rebuilt_on_command(
    database: Database, platforms: Client, destination: str, how: str
) -> None:
    """A deleted or foreign audience gets nothing more; rebuilt, a new one holds exactly what is wanted."""
    audience = Audience(segment="buyers", to=(destination,), use="suppress")
    crowd = crowded(database, platforms, audience)
    crowd.want(range(1, 16))
    async with kept(database, crowd.workspace):
        await until(lambda: crowd.settled() and crowd.standing(destination).held.id != "", "the first load")
        old = crowd.standing(destination).held
        if how == "lost":
            platforms.lose_audience(destination, old.id)
            if old.list_id:
                platforms.lose_audience(destination, old.list_id)
        else:
            platforms.give_audience(destination, old.id, shared=True)
            if old.list_id:
                platforms.give_audience(destination, old.list_id)
        crowd.want([16, 17])
        crowd.want([1], yes=False)
        state = "gone" if how == "lost" else "foreign"
        await until(lambda: crowd.standing(destination).state in {"gone", "foreign"}, "it is found out")
        assert state == crowd.standing(destination).state or destination == "pinterest"
        assert crowd.standing(destination).sentence
    asked = changes(platforms)  # what was in flight beside the answer that told it has ended
    crowd.want([18])
    async with kept(database, crowd.workspace):
        await asyncio.sleep(0.2)
        assert asked == changes(platforms), "nothing is sent to it any more"
        slot = crowd.slots["buyers", destination]
        await database.write(lambda connection: store.rebuild(connection, slot, now_ms()))
        await until(lambda: crowd.settled() and crowd.standing(destination).state == "ready", "it is rebuilt")
        assert crowd.standing(destination).held != old
        assert crowd.expected("buyers", destination) == crowd.held(platforms, destination)


@pytest.mark.parametrize("fault", ["reset", "malformed", "truncated", "empty"])
async def test_a_lost_answer_makes_no_second_audience(database: Database, platforms: Client, fault: str) -> None:
    """When the answer to making it is lost, the platform is asked whether it has it."""
    crowd = crowded(database, platforms)
    options = {"when": "after"} if fault == "reset" else {}
    platforms.fault(fault, scope="audiences", times=1, platform="tiktok", path="/segment/audience/", **options)
    platforms.fault(fault, scope="audiences", times=1, platform="pinterest", path="/customer_lists", **options)
    platforms.fault(fault, scope="audiences", times=1, platform="pinterest", path="/audiences", **options)
    crowd.want(range(1, 21))
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "the first load")
    for destination in BOTH:
        assert [crowd.standing(destination).platform_name] == [each["name"] for each in platforms.audiences(destination)]
        assert crowd.expected("buyers", destination) == crowd.held(platforms, destination)


async def test_the_size_is_the_platforms_and_the_load_is_told(database: Database, platforms: Client) -> None:
    """After the first load the platform's size and status are asked for at once."""
    crowd = crowded(database, platforms, people=5)
    crowd.want(range(1, 6))
    async with kept(database, crowd.workspace):
        await until(lambda: all(crowd.standing(each).size == 5 for each in BOTH), "the sizes are known")
        tiktok, pinterest = (crowd.standing(each) for each in BOTH)
    assert not tiktok.usable, "of ten people needed"
    assert pinterest.usable, "of three people needed"
    assert tiktok.meaning
    assert tiktok.loaded_at is not None


async def test_ad_groups_use_it_as_the_file_says(database: Database, platforms: Client) -> None:
    """Ad groups include a target and exclude a suppression; those that the file no longer names are let go."""
    groups = platforms.settings.pinterest_ad_groups
    audience = Audience(segment="buyers", to=("pinterest",), use="suppress", ad_groups=groups[:2])
    crowd = crowded(database, platforms, audience)
    crowd.want(range(1, 21))

    def excluding() -> set[str]:
        here = crowd.standing("pinterest").held.id
        found = platforms.ad_group_targeting()
        return {group for group, spec in found.items() if here in spec.get("AUDIENCE_EXCLUDE", [])}

    async with kept(database, crowd.workspace):
        await until(lambda: excluding() == set(groups[:2]), "both exclude it")
        await until(lambda: crowd.standing("pinterest").used_by is not None, "the platform says who uses it")
    moved = msgspec.structs.replace(audience, ad_groups=groups[1:])
    async with kept(database, workspace(platforms, moved)):
        await until(lambda: excluding() == set(groups[1:]), "one was let go, one was added")
    wrong = msgspec.structs.replace(audience, ad_groups=("123",))
    async with kept(database, workspace(platforms, wrong)):
        await until(lambda: "123" in crowd.standing("pinterest").applied.sentence, "the ad group that is not there is named")


async def test_files_bring_many_at_once(database: Database, platforms: Client) -> None:
    """With `way: file` an audience is made and changed by files, and holds exactly what is wanted."""
    audience = Audience(segment="buyers", to=("tiktok",), use="suppress", way="file")
    crowd = crowded(database, platforms, audience, people=40)
    crowd.want(range(1, 31), priority=0)
    async with kept(database, crowd.workspace) as keeping:
        await until(crowd.settled, "the first load")
        assert crowd.expected("buyers", "tiktok") == crowd.held(platforms, "tiktok")
        crowd.want([31, 32], priority=0)
        crowd.want([1, 2], yes=False, priority=0)
        await until(crowd.settled, "the change")
        assert crowd.expected("buyers", "tiktok") == crowd.held(platforms, "tiktok")
        crowd.want([33], at=now_ms())
        keeping.look()
        await asyncio.sleep(0.3)
        assert 1 == crowd.figures("tiktok").pending, "what is not urgent waits for company"
    requests = platforms.audience_requests("tiktok")
    assert not [path for path in requests if "/segment/" in path]


async def test_what_left_the_file_is_left_alone(database: Database, platforms: Client) -> None:
    """An audience that is no longer in the workspace file is not touched; back in it, everybody is to be looked at."""
    crowd = crowded(database, platforms)
    crowd.want(range(1, 21))
    async with kept(database, crowd.workspace):
        await until(crowd.settled, "the first load")
    before = changes(platforms)
    other = workspace(platforms, Audience(segment="vip", to=("tiktok",), use="target"))
    found = database.submit(lambda connection: store.register(connection, other)).result()
    assert [("vip", True)] == [(each.audience.title, each.changed) for each in found]
    crowd.want([1], yes=False)
    assert "removed" == crowd.standing("tiktok").state

    def made() -> bool:
        new = database.look(partial(store.standing, slot=found[0].slot))
        return new is not None and new.held.id != ""

    async with kept(database, other) as keeping:
        await until(made, "the new one is made")
        keeping.look()
        await asyncio.sleep(0.2)
    assert before == changes(platforms) - 1, "only the new one was made"
    assert "workspace file" in crowd.standing("tiktok").sentence
    again = database.submit(lambda connection: store.register(connection, crowd.workspace)).result()
    assert [True, True] == [each.changed for each in again]
    again = database.submit(lambda connection: store.register(connection, crowd.workspace)).result()
    assert [False, False] == [each.changed for each in again]
    assert "ready" == crowd.standing("tiktok").state


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"tiktok": {"paused": True}}, "paused"),
        ({"environment": "test", "tiktok": {"endpoint": None}}, "test workspace"),
        ({"tiktok": {"settings": {"pixel": "C1", "access_token": "t"}}}, "`advertiser`"),
    ],
)
async def test_what_cannot_be_kept_says_why(database: Database, platforms: Client, options: dict[str, Any], word: str) -> None:
    """An audience that may not or cannot be kept is stopped with a sentence, and no request is made for it."""
    audience = Audience(segment="buyers", to=("tiktok",), use="suppress")
    crowd = crowded(database, platforms, audience, **options)
    crowd.want(range(1, 21))
    async with kept(database, crowd.workspace):
        await until(lambda: crowd.standing("tiktok").state == "stopped", "it says that it is stopped")
    assert word in crowd.standing("tiktok").sentence
    assert {} == platforms.audience_requests("tiktok")


async def test_two_processes_never_keep_one_audience_at_once(database: Database, platforms: Client) -> None:
    """While one has it in hand, another process waits; let go, the other goes on."""
    crowd = crowded(database, platforms)
    slot = crowd.slots["buyers", "tiktok"]
    now = now_ms()
    assert database.submit(lambda connection: store.hold(connection, slot, "one", now=now, until=now + 1_000)).result()
    assert not database.submit(lambda connection: store.hold(connection, slot, "two", now=now + 500, until=now + 9_000)).result()
    assert database.submit(lambda connection: store.hold(connection, slot, "one", now=now + 500, until=now + 2_000)).result()
    assert not database.look(lambda connection: store.ours(connection, slot, "two", Held()))
    database.submit(lambda connection: store.release(connection, "one")).result()
    assert database.submit(lambda connection: store.hold(connection, slot, "two", now=now + 500, until=now + 9_000)).result()


async def test_a_process_that_died_here_holds_nothing_up(database: Database, platforms: Client) -> None:
    """What a killed process of this machine had in hand is taken up at the next start; what another machine has is not."""
    crowd = crowded(database, platforms, Audience(segment="buyers", to=("tiktok",), use="suppress"))
    slot = crowd.slots["buyers", "tiktok"]
    now = now_ms()
    crowd.want(range(1, 6))
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    for keeper in (f"{socket.gethostname()}:{gone.pid}:abc", f"{socket.gethostname()}:{os.getpid()}:abc"):
        await database.write(partial(store.hold, slot=slot, keeper=keeper, now=now, until=now + 60_000))
        async with kept(database, crowd.workspace):
            await until(crowd.settled, "it goes on")
        crowd.want(range(6, 11))
    if not database.embedded:
        await database.write(lambda connection: store.hold(connection, slot, "far:1:abc", now=now, until=now + 60_000))
        async with kept(database, crowd.workspace):
            await asyncio.sleep(0.3)
        assert not crowd.settled()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_platform_that_never_answers_holds_up_only_what_was_asked(
    database: Database, platforms: Client, when: str
) -> None:
    """A request without an answer is asked again after a while, whether the platform took it or not."""
    crowd = crowded(database, platforms)
    for path in ("/segment/mapping/", "/customer_lists"):
        platforms.fault("hang", scope="audiences", times=1, path=path, when=when)
    crowd.want(range(1, 21))
    async with kept(database, crowd.workspace, patience=0.5):
        await until(crowd.settled, "everything is taken in the end")
    for destination in BOTH:
        assert crowd.expected("buyers", destination) == crowd.held(platforms, destination)
        assert 1 == len(platforms.audiences(destination))


def test_only_what_changes_whom_it_wants_looks_at_everybody() -> None:
    """Another rule, exclusion, holdout or journey, or another meaning of silence, is a change; how it is used there is none."""
    plain = Audience(segment="buyers", to=("tiktok",), use="suppress")
    shop = Workspace(
        workspace="shop", environment="production", currency="USD", order_value="net", country="US", audiences=(plain,)
    )
    before = store.digest(shop, plain)
    for changes in ({"segment": "vip"}, {"unless": ("vip",)}, {"holdout": "10%"}, {"while_in": {"cart": "6h"}}):
        assert before != store.digest(shop, msgspec.structs.replace(plain, **changes))
    assert before != store.digest(msgspec.structs.replace(shop, consent=Consent(unknown="denied")), plain)
    for same in ({"use": "target"}, {"ad_groups": ("1",)}, {"way": "file"}, {"offer": True}, {"name": "Buyers"}):
        assert before == store.digest(shop, msgspec.structs.replace(plain, **same))
