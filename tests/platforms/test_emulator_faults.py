"""The faults: each one strikes as it says, as often as it says, over a real connection."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from signalpost.platforms.faults import NAMES
from signalpost.platforms.testing import Client, pinterest_event, tiktok_event
from signalpost.platforms.tiktok import PIXEL_LIST, USER_INFO

NOW = 1_795_305_600
AT = NOW - 60
BOTH = ["tiktok", "pinterest"]


def send(platforms: Client, platform: str, *ids: str) -> httpx.Response:
    """Send good events with these ids to a platform."""
    if platform == "tiktok":
        return platforms.track(*[tiktok_event(event_id, at=AT) for event_id in ids or ("a",)])
    return platforms.create(*[pinterest_event(event_id, at=AT) for event_id in ids or ("a",)])


def accepted(platforms: Client, platform: str) -> int:
    """Return how many events a platform has accepted."""
    return int(platforms.received(platform)["accepted"])


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("retry_after", [None, 7])
def test_rate_limit(platforms: Client, platform: str, retry_after: int | None) -> None:
    """A rate limit is HTTP 429 with the platform's own code, with Retry-After only where asked for."""
    platforms.fault("rate_limit", platform=platform, times=2, retry_after=retry_after)
    for _ in range(2):
        answer = send(platforms, platform)
        assert answer.status_code == 429
        assert answer.json()["code"] == (40100 if platform == "tiktok" else 8)
        assert answer.headers.get("retry-after") == (None if retry_after is None else str(retry_after))
    assert accepted(platforms, platform) == 0
    assert send(platforms, platform).status_code == 200
    assert accepted(platforms, platform) == 1


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_status(platforms: Client, platform: str, status: int) -> None:
    """Any HTTP status can be asked for; Pinterest's 503 says that the endpoint is ramped down."""
    platforms.fault("status", platform=platform, status=status, times=1, message="down")
    answer = send(platforms, platform)
    assert answer.status_code == status
    assert answer.json()["message"] == "down"
    if platform == "pinterest" and status == 503:
        assert answer.json()["code"] == 4197
    assert accepted(platforms, platform) == 0


@pytest.mark.parametrize("platform", BOTH)
@pytest.mark.parametrize("fault", ["status", "reset", "empty", "malformed", "truncated"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_before_or_after_acceptance(platforms: Client, platform: str, fault: str, when: str) -> None:
    """Before: the platform saw nothing. After: the events are accepted, and the sender cannot know."""
    platforms.fault(fault, platform=platform, when=when, times=1)
    try:
        answer = send(platforms, platform)
    except httpx.TransportError:
        assert fault in {"reset", "truncated"}
    else:
        assert fault in {"status", "empty", "malformed"}
        if fault == "status":
            assert answer.status_code == 500
        else:
            with pytest.raises(ValueError):
                answer.json()
    assert accepted(platforms, platform) == (1 if when == "after" else 0)
    assert send(platforms, platform).status_code == 200
    received = platforms.received(platform)
    assert (received["accepted"], received["deduplicated"]) == (1, 1 if when == "after" else 0)
    assert received["requests"] == 2


@pytest.mark.parametrize("platform", BOTH)
def test_hang(platforms: Client, platform: str) -> None:
    """A hanging request is never answered, and does not keep the emulators from answering others."""
    platforms.fault("hang", platform=platform, times=1)
    with httpx.Client(base_url=platforms.url, timeout=0.2) as hasty:
        headers = {
            "Access-Token": platforms.settings.tiktok_token,
            "Authorization": f"Bearer {platforms.settings.pinterest_token}",
        }
        account = platforms.settings.pinterest_ad_account_id
        path = "/open_api/v1.3/event/track/" if platform == "tiktok" else f"/v5/ad_accounts/{account}/events"
        with pytest.raises(httpx.ReadTimeout):
            hasty.post(path, json={}, headers=headers)
    assert send(platforms, platform).status_code == 200


@pytest.mark.parametrize("platform", BOTH)
def test_latency(platforms: Client, platform: str) -> None:
    """A slow platform answers correctly, only later; latency adds to whatever else happens."""
    platforms.fault("latency", platform=platform, ms=50, jitter_ms=10, times=2)
    platforms.fault("rate_limit", platform=platform, times=1)
    assert send(platforms, platform).status_code == 429
    assert send(platforms, platform).status_code == 200
    listed = platforms.http.get("/control/faults").json()["faults"]
    assert [(fault["fault"], fault["hits"], fault["left"]) for fault in listed] == [
        ("latency", 2, 0),
        ("rate_limit", 1, 0),
    ]


@pytest.mark.parametrize("by", [-1, 2, -9])
def test_wrong_count(platforms: Client, by: int) -> None:
    """Pinterest answers for more or fewer events than there were, though it took them all."""
    platforms.fault("wrong_count", by=by, times=1)
    answer = send(platforms, "pinterest", "a", "b", "c")
    assert len(answer.json()["events"]) == max(0, 3 + by)
    assert accepted(platforms, "pinterest") == 3
    assert send(platforms, "tiktok").json()["code"] == 0


def test_partial_on_pinterest_fails_the_chosen_events(platforms: Client) -> None:
    """Chosen ids or names fail, each in its place; the others are processed."""
    platforms.fault("partial", platform="pinterest", event_ids=["b"], message="no")
    told = send(platforms, "pinterest", "a", "b", "c").json()
    assert [each["status"] for each in told["events"]] == ["processed", "failed", "processed"]
    assert told["events"][1]["error_message"] == "no"
    assert told["num_events_processed"] == 2
    assert platforms.ids("pinterest") == {("checkout", "a"), ("checkout", "c")}


def test_partial_on_pinterest_may_come_as_422(platforms: Client) -> None:
    """Whether a partial failure is a 200 or a 422 is not settled, so both can be had."""
    platforms.fault("partial", platform="pinterest", event_ids=["b"], status=422)
    answer = send(platforms, "pinterest", "a", "b")
    assert answer.status_code == 422
    assert set(answer.json()) == {"code", "message", "details"}
    assert send(platforms, "pinterest", "c").status_code == 200
    assert platforms.ids("pinterest") == {("checkout", "a"), ("checkout", "c")}


def test_partial_on_tiktok_poisons_the_batch(platforms: Client) -> None:
    """TikTok has no outcome per event: one that is refused refuses all, until it is left out."""
    platforms.fault("partial", platform="tiktok", event_ids=["b"])
    content = send(platforms, "tiktok", "a", "b", "c").json()
    assert content["code"] == 40002
    assert content["message"].startswith("data.1.event_id: ")
    assert platforms.ids("tiktok") == set()
    assert send(platforms, "tiktok", "a", "c").json()["code"] == 0
    assert send(platforms, "tiktok", "b").json()["code"] == 40002


def test_partial_success_on_tiktok(platforms: Client) -> None:
    """With code 20001 TikTok takes the others and says only that not all were taken."""
    platforms.fault("partial", platform="tiktok", events=["Purchase"], probability=0.5, code=20001)
    ids = [f"o-{number}" for number in range(40)]
    assert send(platforms, "tiktok", *ids).json() | {"request_id": ""} == {
        "code": 20001,
        "message": "Partial success.",
        "request_id": "",
        "data": {},
    }
    received = platforms.received("tiktok")
    assert received["accepted"] + received["refused"] == 40
    assert 0 < received["accepted"] < 40


@pytest.mark.parametrize("platform", BOTH)
def test_token_expired(platforms: Client, platform: str) -> None:
    """An expired token is refused everywhere, the credential checks too, until the fault is deleted."""
    platforms.fault("token_expired", platform=platform)
    settings = platforms.settings
    checks = {
        "tiktok": (USER_INFO, {"Access-Token": settings.tiktok_token}),
        "pinterest": (
            f"/v5/ad_accounts/{settings.pinterest_ad_account_id}",
            {"Authorization": f"Bearer {settings.pinterest_token}"},
        ),
    }
    path, headers = checks[platform]
    for answer in (send(platforms, platform), platforms.http.get(path, headers=headers)):
        assert answer.status_code == (200 if platform == "tiktok" else 401)
        assert answer.json()["code"] == (40105 if platform == "tiktok" else 2)
    platforms.clear_faults()
    assert send(platforms, platform).status_code == 200
    assert platforms.http.get(path, headers=headers).status_code == 200
    assert accepted(platforms, platform) == 1


@pytest.mark.parametrize("code", [20001, 40100, 50000, 51021])
def test_tiktok_code(platforms: Client, code: int) -> None:
    """Any of TikTok's codes can be had, on HTTP 200 as TikTok does; by default nothing was taken."""
    platforms.fault("code", code=code, times=1)
    answer = send(platforms, "tiktok")
    assert (answer.status_code, answer.json()["code"]) == (200, code)
    assert accepted(platforms, "tiktok") == 0
    assert send(platforms, "pinterest").status_code == 200


def test_a_fault_of_one_platform_leaves_the_other_alone(platforms: Client) -> None:
    """A fault concerns the platform it names, and the event endpoint unless it says otherwise."""
    platforms.fault("status", platform="tiktok", status=500)
    assert send(platforms, "pinterest").status_code == 200
    settings = platforms.settings
    headers = {"Access-Token": settings.tiktok_token}
    query = {"advertiser_id": settings.tiktok_advertiser_id}
    assert platforms.http.get(PIXEL_LIST, params=query, headers=headers).status_code == 200
    platforms.clear_faults()
    platforms.fault("status", platform="tiktok", status=500, scope="checks")
    assert platforms.http.get(PIXEL_LIST, params=query, headers=headers).status_code == 500
    assert send(platforms, "tiktok").status_code == 200


def test_probability_is_the_same_at_every_run(platforms: Client) -> None:
    """A fault with a probability strikes a part of the requests, the same ones after every reset."""

    def statuses() -> list[int]:
        platforms.fault("status", platform="tiktok", status=500, probability=0.4)
        return [send(platforms, "tiktok").status_code for _ in range(30)]

    first = statuses()
    assert 3 < first.count(500) < 27
    platforms.reset()
    platforms.set_clock(now_ms=NOW * 1000, frozen=True)
    assert statuses() == first


def test_faults_are_listed_and_removed_one_by_one(platforms: Client) -> None:
    """The control endpoint lists what is on, with hits, and removes one or all."""
    first = platforms.fault("reset", times=3)
    platforms.fault("latency", ms=1)
    content = platforms.http.get("/control/faults").json()
    assert [fault["fault"] for fault in content["faults"]] == ["reset", "latency"]
    assert content["known"] == list(NAMES)
    assert platforms.http.delete(f"/control/faults?id={first['id']}").json() == {"removed": 1}
    assert platforms.http.delete("/control/faults").json() == {"removed": 1}
    assert platforms.http.delete("/control/faults").json() == {"removed": 0}
    assert platforms.http.delete("/control/faults?id=x").status_code == 400


MISTAKES: list[Any] = [
    {},
    {"fault": "earthquake"},
    {"fault": "reset", "platform": "meta"},
    {"fault": "reset", "tims": 1},
    {"fault": "reset", "times": 0},
    {"fault": "reset", "probability": 1.5},
    {"fault": "status", "status": 99},
    {"fault": "latency", "ms": -1},
    {"fault": "code"},
    {"fault": "code", "code": 1, "platform": "pinterest"},
    {"fault": "wrong_count", "platform": "tiktok"},
    {"fault": "wrong_count", "by": 0},
    {"fault": "rate_limit", "when": "after"},
    [],
]


@pytest.mark.parametrize("asked", MISTAKES)
def test_a_fault_that_makes_no_sense_is_refused_in_words(platforms: Client, asked: Any) -> None:
    """A fault nobody can carry out is a 400 with a sentence, and nothing is switched on."""
    answer = platforms.http.post("/control/faults", json=asked)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert platforms.http.get("/control/faults").json()["faults"] == []
