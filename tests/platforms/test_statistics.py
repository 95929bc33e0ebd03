"""What the emulators tell of what they received: the counts and coverages of what was really sent to them, strictly asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import jsonschema
import pytest

from signalpost.platforms.pinterest import COMPONENTS, description, json_schema
from signalpost.platforms.testing import Client, pinterest_event, tiktok_event

DAY = 86_400_000
NOON = 1_795_305_600_000 // DAY * DAY + DAY // 2
SCHEMAS = json_schema(description()["components"]["schemas"])
PIXEL = "7000000000000000101"


def day_of(now: int) -> str:
    return f"{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d}"


def stats(platforms: Client, *, token: str | None = None, **changes: str | None) -> dict[str, Any]:
    """TikTok's answer about its first pixel today, or with the query changed; None leaves a parameter out."""
    today = day_of(NOON)
    query = {
        "advertiser_id": platforms.settings.tiktok_advertiser_id,
        "pixel_ids": f'["{PIXEL}"]',
        "date_range": f'{{"start_date":"{today}","end_date":"{today}"}}',
    }
    given = {name: value for name, value in {**query, **changes}.items() if value is not None}
    headers = {"Access-Token": token or platforms.settings.tiktok_token}
    answer = platforms.http.get("/open_api/v1.3/pixel/event/stats/", params=given, headers=headers)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


def counts(told: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Type -> (server, browser, total)."""
    (one,) = told["data"]["list"]
    assert one["pixel_id"] == PIXEL
    return {
        row.get("pixel_event_type") or row["custom_event_type"]: (
            row["server_event_total_count"],
            row["browser_event_total_count"],
            row["total_count"],
        )
        for row in one["statistics"]
    }


def at(platforms: Client, now: int) -> int:
    platforms.set_clock(now_ms=now, frozen=True)
    return now // 1000 - 60


def test_tiktok_counts_by_day_type_and_way(platforms: Client) -> None:
    """Server and browser events count apart, each on the day it came, repeats too, test events and refused ones never."""
    seconds = at(platforms, NOON - DAY)
    platforms.track(tiktok_event("y", at=seconds))
    seconds = at(platforms, NOON)
    platforms.track(tiktok_event("a", at=seconds), tiktok_event("b", at=seconds, event="CompletePayment"))
    platforms.track(tiktok_event("a", at=seconds))
    platforms.track(tiktok_event("c", at=seconds, event="SecondPurchase"))
    platforms.track(tiktok_event("t", at=seconds), test_event_code="TEST1")
    platforms.track(tiktok_event("bad", at=seconds, event_time="soon"))
    platforms.http.post("/pixel", json={"platform": "tiktok", "event": "Purchase", "event_id": "a"}).raise_for_status()

    assert counts(stats(platforms)) == {"SHOPPING": (3, 1, 4), "SecondPurchase": (1, 0, 1)}
    both = f'{{"start_date":"{day_of(NOON - DAY)}","end_date":"{day_of(NOON)}"}}'
    assert counts(stats(platforms, date_range=both))["SHOPPING"] == (4, 1, 5)
    platforms.reset()
    at(platforms, NOON)
    assert counts(stats(platforms)) == {}


WRONG: list[tuple[dict[str, str | None], int]] = [
    ({"advertiser_id": None}, 40002),
    ({"advertiser_id": "1"}, 40001),
    ({"pixel_ids": None}, 40002),
    ({"pixel_ids": "CDEMOPIXEL0000000001"}, 40002),
    ({"pixel_ids": '["CDEMOPIXEL0000000001"]'}, 40002),
    ({"pixel_ids": "[]"}, 40002),
    ({"pixel_ids": '["1"]'}, 40001),
    ({"pixel_ids": str([PIXEL] * 11).replace("'", '"')}, 40002),
    ({"date_range": None}, 40002),
    ({"date_range": "today"}, 40002),
    ({"date_range": "{}"}, 40002),
    ({"date_range": '{"start_date":"2026-11-22","end_date":"2026-11-21"}'}, 40002),
    ({"date_range": '{"start_date":"2026-10-01","end_date":"2026-11-21"}'}, 40002),
    ({"date_range": '{"start_date":"2026-02-30","end_date":"2026-03-01"}'}, 40002),
]


@pytest.mark.parametrize(("changes", "code"), WRONG, ids=[str(each[0]) for each in WRONG])
def test_tiktok_refuses_what_is_asked_wrongly(platforms: Client, changes: dict[str, str | None], code: int) -> None:
    """A missing or malformed parameter is 40002, somebody else's pixel or advertiser 40001."""
    assert stats(platforms, **changes)["code"] == code


def test_a_token_from_events_manager_may_not_read(platforms: Client) -> None:
    """The token that sends events may not ask for statistics; a wrong one may do nothing."""
    assert stats(platforms, token=platforms.settings.tiktok_events_token)["code"] == 40001
    assert stats(platforms, token="wrong")["code"] == 40105


def quality(platforms: Client, query: str = "lookback_period=1d", token: str | None = None) -> httpx.Response:
    settings = platforms.settings
    headers = {"Authorization": f"Bearer {token or settings.pinterest_token}"}
    return platforms.http.get(f"/v5/ad_accounts/{settings.pinterest_ad_account_id}/conversion_eqs?{query}", headers=headers)


def scores(answer: httpx.Response) -> dict[tuple[str, str], dict[str, Any]]:
    """(platform, way in) -> the entry; each is as the official description says."""
    assert answer.status_code == 200, answer.text
    for entry in answer.json():
        jsonschema.Draft202012Validator({"$ref": "#/$defs/EventQualityScore", "$defs": SCHEMAS}).validate(entry)
    return {(entry["source_platform"], entry["ingestion_source"]): entry for entry in answer.json()}


def test_pinterest_scores_what_was_received(platforms: Client) -> None:
    """Coverage is the share of the events that carried a component, in percent; overlap the share of ids both ways told."""
    seconds = at(platforms, NOON)
    platforms.create(pinterest_event("a", at=seconds), pinterest_event("b", at=seconds, custom_data=...))
    platforms.create(pinterest_event("test", at=seconds), query="?test=true")
    platforms.http.post("/pixel", json={"platform": "pinterest", "event": "checkout", "event_id": "b"}).raise_for_status()

    found = scores(quality(platforms))
    assert set(found) == {("WEB", "CONVERSIONS_API"), ("WEB", "TAG")}
    server = found["WEB", "CONVERSIONS_API"]["quality_components"]
    assert set(server) == set(COMPONENTS)
    assert {name: details["checkout"]["coverage"] for name, details in server.items()} == {
        **dict.fromkeys(COMPONENTS, 0),
        **dict.fromkeys(("hashed_email", "advertiser_external_id", "click_id_epik", "external_event_id", "source_url"), 100),
        **dict.fromkeys(("order_id", "order_value"), 50),
    }
    assert server["external_event_id"]["checkout"]["overlap"] == 50
    assert found["WEB", "TAG"]["quality_components"]["external_event_id"]["checkout"]["overlap"] == 100
    assert found["WEB", "CONVERSIONS_API"]["overall_status"] == "FAIR"
    assert found["WEB", "TAG"]["overall_status"] == "NEEDS_IMPROVEMENT"
    assert server["ip_address"]["checkout"]["issues"][0]["id"] == "low_coverage"


def test_pinterest_looks_back_as_far_as_asked(platforms: Client) -> None:
    """One day is today; fourteen days are today and the thirteen before; the filters leave out the rest."""
    seconds = at(platforms, NOON - 13 * DAY)
    platforms.create(pinterest_event("old", at=seconds, event_name="lead"))
    seconds = at(platforms, NOON)
    platforms.create(pinterest_event("new", at=seconds), pinterest_event("app", at=seconds, action_source="app_ios"))

    def names(query: str) -> dict[tuple[str, str], set[str]]:
        return {key: set(entry["quality_components"]["order_id"]) for key, entry in scores(quality(platforms, query)).items()}

    web, ios = ("WEB", "CONVERSIONS_API"), ("MOBILE_IOS", "CONVERSIONS_API")
    assert names("lookback_period=1d") == {web: {"checkout"}, ios: {"checkout"}}
    assert names("lookback_period=14d") == {web: {"checkout", "lead"}, ios: {"checkout"}}
    assert names("lookback_period=14d&source_platform=MOBILE_IOS") == {ios: {"checkout"}}
    assert names("lookback_period=14d&ingestion_source=TAG") == {}


@pytest.mark.parametrize(
    "query", ["", "lookback_period=7d", "lookback_period=1d&source_platform=web", "lookback_period=1d&ingestion_source=API"]
)
def test_pinterest_refuses_what_the_description_does_not_have(platforms: Client, query: str) -> None:
    """A missing or unknown parameter is a 400 with code 4196."""
    answer = quality(platforms, query)
    assert (answer.status_code, answer.json()["code"]) == (400, 4196)


def test_a_conversion_token_may_not_read(platforms: Client) -> None:
    """The token that is good for sending only lacks the scope; another's account is forbidden; a wrong token is nobody."""
    assert quality(platforms, token=platforms.settings.pinterest_conversion_token).status_code == 401
    assert quality(platforms, token=platforms.settings.pinterest_conversion_token).json()["code"] == 3
    assert quality(platforms, token="wrong").json()["code"] == 2
    headers = {"Authorization": f"Bearer {platforms.settings.pinterest_token}"}
    other = platforms.http.get("/v5/ad_accounts/1/conversion_eqs?lookback_period=1d", headers=headers)
    assert (other.status_code, other.json()["code"]) == (403, 29)
