"""Faults on audiences: what a sync must survive, over a real connection; and what a large audience costs."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost.platforms.audiences import Accounts, Members
from signalpost.platforms.settings import Settings
from signalpost.platforms.testing import Client, pinterest_event, running, tiktok_event

NOW = 1_795_305_600
BOTH = ["tiktok", "pinterest"]
SETTINGS = Settings()


def sha(text: object) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()


def make(platforms: Client, platform: str) -> str:
    """Make an audience with one person, `first`, in it."""
    if platform == "pinterest":
        made = platforms.pinterest("POST", "/customer_lists", {"name": "x", "records": sha("first")})
        return str(made.json()["id"])
    body = {"advertiser_id": SETTINGS.tiktok_advertiser_id, "custom_audience_name": "x"}
    audience_id = str(platforms.tiktok("/segment/audience/", body).json()["data"]["audience_id"])
    change(platforms, platform, audience_id, "add", "first")
    return audience_id


def change(platforms: Client, platform: str, audience_id: str, way: str, *names: object) -> httpx.Response:
    if platform == "pinterest":
        body: dict[str, Any] = {"operation_type": way.upper(), "records": ",".join(map(sha, names))}
        return platforms.pinterest("PATCH", f"/customer_lists/{audience_id}", body)
    body = {
        "advertiser_ids": [SETTINGS.tiktok_advertiser_id],
        "action": "add" if way == "add" else "delete",
        "id_schema": ["EMAIL_SHA256"],
        "batch_data": [[{"id": sha(name), "audience_ids": [audience_id]}] for name in names],
    }
    return platforms.tiktok("/segment/mapping/", body)


def names(*given_: object) -> set[str]:
    return set(map(sha, given_))


def look(platforms: Client, platform: str, audience_id: str) -> httpx.Response:
    if platform == "pinterest":
        return platforms.pinterest("GET", f"/customer_lists/{audience_id}")
    url = "/dmp/custom_audience/get/"
    return platforms.tiktok(url, advertiser_id=SETTINGS.tiktok_advertiser_id, custom_audience_ids=[audience_id])


@pytest.mark.parametrize("platform", BOTH)
def test_faults_keep_to_their_scope(platforms: Client, platform: str) -> None:
    """A fault without a scope is for events; one for audiences leaves events alone."""
    audience = make(platforms, platform)
    platforms.fault("status", platform=platform)
    assert change(platforms, platform, audience, "add", "a").status_code == 200
    platforms.clear_faults()
    platforms.fault("status", scope="audiences")
    assert change(platforms, platform, audience, "add", "b").status_code == 500
    assert look(platforms, platform, audience).status_code == 500
    assert platforms.track(tiktok_event(at=NOW - 60)).json()["code"] == 0
    assert platforms.members(audience) == names("first", "a")


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("way", ["add", "remove"])
@pytest.mark.parametrize("fault", ["status", "reset", "empty", "malformed", "truncated", "hang"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_lost_after_means_a_change_taken(platforms: Client, platform: str, way: str, fault: str, when: str) -> None:
    """`after` changes the audience and spoils the answer, `before` spoils it and changes nothing; repeating ends the same."""
    audience = make(platforms, platform)
    platforms.fault(fault, platform=platform, scope="audiences", when=when, times=1)
    with httpx.Client(base_url=platforms.url, timeout=0.5) as impatient:
        patient, platforms.http = platforms.http, impatient
        try:
            said = change(platforms, platform, audience, way, "first" if way == "remove" else "a")
        except httpx.HTTPError:
            said = None
        finally:
            platforms.http = patient
    assert said is None or said.status_code != 200 or fault in {"empty", "malformed", "status"}
    taken = names("first", "a") if way == "add" else set()
    assert platforms.members(audience) == (taken if when == "after" else names("first"))
    change(platforms, platform, audience, way, "first" if way == "remove" else "a").raise_for_status()
    assert platforms.members(audience) == taken


@pytest.mark.parametrize("platform", BOTH)
def test_rate_limits_and_revoked_tokens(platforms: Client, platform: str) -> None:
    """A rate limit and a revoked token refuse audiences with the platform's own codes, and change nothing."""
    audience = make(platforms, platform)
    platforms.fault("rate_limit", platform=platform, scope="audiences", times=1, retry_after=3)
    said = change(platforms, platform, audience, "add", "a")
    assert (said.status_code, said.json()["code"], said.headers["retry-after"]) == (
        429,
        40100 if platform == "tiktok" else 8,
        "3",
    )
    platforms.fault("token_expired", platform=platform)
    said = look(platforms, platform, audience)
    assert (said.status_code, said.json()["code"]) == ((200, 40105) if platform == "tiktok" else (401, 2))
    platforms.clear_faults()
    assert platforms.members(audience) == names("first")


@pytest.mark.parametrize("platform", BOTH)
def test_every_nth_request_to_a_path(platforms: Client, platform: str) -> None:
    """`every` strikes each so many-th request that the fault is for, `path` chooses which those are."""
    audience = make(platforms, platform)
    path = "/segment/mapping/" if platform == "tiktok" else f"/customer_lists/{audience}"
    platforms.fault("status", platform=platform, scope="audiences", every=3, path=path)
    struck = []
    for number in range(9):
        if platform == "tiktok":
            assert look(platforms, platform, audience).json()["code"] == 0
        struck.append(change(platforms, platform, audience, "add", number).status_code == 500)
    assert struck == [False, False, True] * 3
    assert platforms.members(audience) == names("first", 0, 1, 3, 4, 6, 7)
    counted = platforms.audience_requests(platform)
    assert counted["/open_api/v1.3/segment/mapping/" if platform == "tiktok" else "customer_lists/update"] >= 9


def test_tiktok_takes_a_part(platforms: Client) -> None:
    """`partial` leaves rows out and says 20001 without naming them; with a code of its own it refuses them all."""
    audience = make(platforms, "tiktok")
    platforms.fault("partial", platform="tiktok", scope="audiences", event_ids=[sha("b")], times=1)
    assert change(platforms, "tiktok", audience, "add", "a", "b", "c").json()["code"] == 20001
    assert platforms.members(audience) == names("first", "a", "c")
    platforms.fault("partial", platform="tiktok", scope="audiences", events=["remove"], code=40002, times=1)
    assert change(platforms, "tiktok", audience, "remove", "a").json()["code"] == 40002
    assert platforms.members(audience) == names("first", "a", "c")
    assert change(platforms, "tiktok", audience, "remove", "a").json()["code"] == 0
    platforms.fault("code", platform="tiktok", scope="audiences", code=50002, when="after", times=1)
    assert change(platforms, "tiktok", audience, "remove", "c").json()["code"] == 50002
    assert platforms.members(audience) == names("first")


def test_pinterest_takes_a_part(platforms: Client) -> None:
    """`partial` leaves records out and says so in `exceptions`; with a status of its own it refuses them all."""
    audience = make(platforms, "pinterest")
    platforms.fault("partial", platform="pinterest", scope="audiences", event_ids=[sha("b")], times=1)
    said = change(platforms, "pinterest", audience, "add", "a", "b").json()
    assert said["exceptions"] == {"code": 4196, "message": "1 records were not processed."}
    assert platforms.members(audience) == names("first", "a")
    assert change(platforms, "pinterest", audience, "add", "b").json()["exceptions"] == {}
    platforms.fault("partial", platform="pinterest", scope="audiences", status=422, times=1)
    assert change(platforms, "pinterest", audience, "remove", "a").status_code == 422
    assert platforms.members(audience) == names("first", "a", "b")
    platforms.fault("partial", platform="pinterest", scope="audiences", status=422, times=1)
    body = {"name": "x", "records": sha("a")}
    assert platforms.pinterest("POST", "/customer_lists", body).status_code == 422
    assert [each["id"] for each in platforms.audiences("pinterest")] == [audience], "what is refused makes no list"


@pytest.mark.parametrize("platform", BOTH)
def test_a_part_is_left_out_on_its_path_only(platforms: Client, platform: str) -> None:
    """`path` chooses the requests that `partial` strikes, of audiences and of events alike."""
    audience = make(platforms, platform)
    change_path = "/segment/mapping/" if platform == "tiktok" else f"/customer_lists/{audience}"
    events_path = "/event/track/" if platform == "tiktok" else "/events"
    for name, path in (("a", change_path), ("b", events_path), ("c", "/elsewhere"), ("d", "")):
        platforms.fault("partial", platform=platform, scope="all", path=path, code=20001)
        change(platforms, platform, audience, "add", name)
        if platform == "tiktok":
            platforms.track(tiktok_event(name, at=NOW - 60))
        else:
            platforms.create(pinterest_event(name, at=NOW - 60))
        platforms.clear_faults()
    assert platforms.members(audience) == names("first", "b", "c")
    assert {event_id for _, event_id in platforms.ids(platform)} == {"a", "c"}


def test_impossible_faults_are_refused(platforms: Client) -> None:
    """A fault that cannot happen to audiences is refused with a sentence."""
    for options, message in (({"scope": "audiences"}, "no number of answers"), ({"every": 0}, "`every` must be")):
        with pytest.raises(ValueError, match=message):
            platforms.fault("wrong_count", platform="pinterest", **options)


def test_control_of_what_is_not_there(platforms: Client) -> None:
    """Disturbing or looking into an audience that is not there is refused with a sentence."""
    for platform in BOTH:
        with pytest.raises(ValueError, match=r"no .*has the id 7"):
            platforms.lose_audience(platform, "7")
        with pytest.raises(ValueError, match=r"no .*has the id 7"):
            platforms.give_audience(platform, "7")
    with pytest.raises(ValueError, match="no audience has the id 7"):
        platforms.members("7")
    for url in ("/audiences?platform=x", "/control/audiences"):
        answer = platforms.http.get(url) if "?" in url else platforms.http.post(url, json={"platform": "x"})
        assert answer.status_code == 400


def test_reset_forgets_audiences(platforms: Client) -> None:
    """After a reset there are no audiences, targeting is as at the start, and sizes come as the settings say."""
    for platform in BOTH:
        make(platforms, platform)
        platforms.audience_delay(platform, 5000)
    group = SETTINGS.pinterest_ad_groups[0]
    platforms.pinterest("PATCH", "/ad_groups", [{"id": group, "targeting_spec": {"LOCATION": ["CA"]}}])
    platforms.reset()
    assert platforms.audiences("tiktok") == platforms.audiences("pinterest") == []
    assert platforms.ad_group_targeting()[group] == {"LOCATION": ["US"]}
    make(platforms, "tiktok")
    assert platforms.audiences("tiktok")[0]["size"] == 1


def test_not_everybody_has_an_account() -> None:
    """With a match rate of a half about half are matched, the same ones each time, and the exact set is kept all the same."""
    with running(Settings(match_rate=0.5)) as url, Client(url) as platforms:
        audience = make(platforms, "pinterest")
        change(platforms, "pinterest", audience, "add", *range(1000))
        [told] = platforms.audiences("pinterest")
        assert 400 < told["matched"] < 600
        assert len(platforms.members(audience)) == 1001
        other = make(platforms, "pinterest")
        change(platforms, "pinterest", other, "add", *range(1000))
        assert {each["matched"] for each in platforms.audiences("pinterest")} == {told["matched"]}


def test_a_person_costs_little_memory() -> None:
    """An identifier in an audience takes less than 200 bytes, with its share of the set and of what changed it."""
    members, accounts, number = Members(1000, NOW), Accounts(1.0, 0), 50_000
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for begin in range(0, number, 1000):
        keys = [hashlib.sha256(b"%d" % each).digest() for each in range(begin, begin + 1000)]
        members.change("add", {"EMAIL_SHA256": keys}, NOW, "r", accounts)
    cost = (tracemalloc.get_traced_memory()[0] - before) / number
    tracemalloc.stop()
    assert members.total == members.matched(accounts) == number
    assert cost < 200


@given(
    st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 20), min_size=1, max_size=6), st.integers(0, 10)), max_size=12),
    st.integers(0, 20),
)
def test_a_size_is_never_from_the_future(changes: list[tuple[bool, set[int], int]], delay: int) -> None:
    """The size told was the true size at some moment not later than now, and is the true one once nothing changes for a while."""
    members, accounts, now = Members(10, delay), Accounts(1.0, delay), 0
    true_sizes: set[int | None] = {None, 0}
    for adding, numbers, pause in changes:
        keys = [hashlib.sha256(b"%d" % each).digest() for each in numbers]
        members.change("add" if adding else "remove", {"SHA256": keys}, now, "r", accounts)
        true_sizes.add(members.total)
        now += pause
        assert members.settle(now, accounts) in true_sizes
    if changes:
        assert members.settle(now + delay, accounts) == members.total
