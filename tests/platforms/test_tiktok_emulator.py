"""TikTok's emulator: what it takes, what it refuses, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from signalpost.platforms.testing import HASH, Client, tiktok_event
from signalpost.platforms.tiktok import PIXEL_LIST, TRACK, USER_INFO

NOW = 1_795_305_600
AT = NOW - 60


def purchase(event_id: object = "o-1", **changes: object) -> dict[str, Any]:
    return tiktok_event(event_id, at=AT, **changes)


def user(**changes: object) -> dict[str, Any]:
    merged = purchase()["user"] | changes
    return {"user": {key: value for key, value in merged.items() if value is not ...}}


def properties(**changes: object) -> dict[str, Any]:
    merged = purchase()["properties"] | changes
    return {"properties": {key: value for key, value in merged.items() if value is not ...}}


def said(platforms: Client, *events: object, **options: Any) -> tuple[int, str]:
    answer = platforms.track(*events, **options)
    assert answer.status_code == 200
    content = answer.json()
    assert set(content) == {"code", "message", "request_id", "data"}
    return content["code"], content["message"]


def test_a_good_batch_is_accepted_whole(platforms: Client) -> None:
    """A batch of good events is answered with code 0, an empty `data`, and every event is counted once."""
    answer = platforms.track(purchase("a"), purchase("b")).json()
    assert answer["code"] == 0
    assert answer["message"] == "OK"
    assert answer["data"] == {}
    assert answer["request_id"]
    received = platforms.received("tiktok")
    assert received["accepted"] == 2
    assert received["value"] == {"GBP": "91.0"}
    assert platforms.ids("tiktok") == {("Purchase", "a"), ("Purchase", "b")}


TAKEN: dict[str, dict[str, Any]] = {
    "custom event name": {"event": "Second Purchase"},
    "without an id": {"event_id": ...},
    "without properties": {"properties": ...},
    "only an external id": {"user": {"external_id": [HASH, HASH]}},
    "only a click id": {"user": {"ttclid": "E.C.P.x"}},
    "only the cookie": {"user": {"ttp": "2example"}},
    "only address and agent": {"user": {"ip": "2001:db8::1", "user_agent": "x"}},
    "names and places": user(first_name=HASH, last_name=HASH, zip_code=HASH, city="london", state="ca"),
    "custom property": properties(loyalty_tier="gold", tags=["a", "b"], gift=True),
    "zero value": properties(value=0),
    "quantity past 32 bits": properties(contents=[{"content_id": "a", "quantity": 2**40}]),
    "limited data use": {"limited_data_use": True},
    "a little ahead": {"event_time": NOW + 200},
    "old": {"event_time": NOW - 60 * 86400},
    "ad": {"ad": {"callback": "E.C.P.x", "attribution_share": 0.5}},
}


@pytest.mark.parametrize("changes", TAKEN.values(), ids=TAKEN.keys())
def test_what_the_pages_allow_is_taken(platforms: Client, changes: dict[str, Any]) -> None:
    """What TikTok's pages allow, and what they only doubt, is not refused."""
    assert said(platforms, purchase(**changes)) == (0, "OK")


# name: (changes to the event, code, path of the field)
REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "id is a number": ({"event_id": 17}, 40002, "event_id"),
    "id is empty": ({"event_id": ""}, 40002, "event_id"),
    "no event": ({"event": ...}, 40002, "event"),
    "event is empty": ({"event": ""}, 40002, "event"),
    "no time": ({"event_time": ...}, 40002, "event_time"),
    "time in milliseconds": ({"event_time": AT * 1000}, 40002, "event_time"),
    "time as ISO text": ({"event_time": "2026-11-22T00:00:00Z"}, 40002, "event_time"),
    "time as a fraction": ({"event_time": AT + 0.5}, 40002, "event_time"),
    "time as a float": ({"event_time": float(AT)}, 40002, "event_time"),
    "time in the future": ({"event_time": NOW + 301}, 40002, "event_time"),
    "unknown field": ({"device": {"os": "x"}}, 40002, "device"),
    "event is not an object": ({}, 40002, ""),
    "user is missing": ({"user": ...}, 40002, "user"),
    "user is empty": ({"user": {}}, 40002, "user"),
    "only an address": ({"user": {"ip": "203.0.113.9"}}, 40002, "user"),
    "unknown user field": (user(gender="f"), 40002, "user.gender"),
    "raw e-mail": (user(email="jane.roe@example.com"), 40062, "user.email"),
    "raw e-mail in a list": (user(email=[HASH, "jane.roe@example.com"]), 40062, "user.email.1"),
    "raw phone": (user(phone="+442071838750"), 40062, "user.phone"),
    "raw external id": (user(external_id="cust-1"), 40062, "user.external_id"),
    "raw name": (user(first_name="jane"), 40062, "user.first_name"),
    "hash in upper case": (user(email=HASH.upper()), 40062, "user.email"),
    "e-mail is empty": (user(email=""), 40062, "user.email"),
    "e-mail list is empty": (user(email=[]), 40002, "user.email"),
    "e-mail is null": (user(email=None), 40002, "user.email"),
    "click id is hashed": (user(ttclid=HASH), 40002, "user.ttclid"),
    "city is hashed": (user(city=HASH), 40002, "user.city"),
    "country in upper case": (user(country="GB"), 40002, "user.country"),
    "address is none": (user(ip="999.1.2.3"), 40002, "user.ip"),
    "agent is empty": (user(user_agent=""), 40002, "user.user_agent"),
    "locale is none": (user(locale="English please"), 40002, "user.locale"),
    "device id on web": (user(idfa="AAAAAAAA-2222-1111-8787-809E92233BA0"), 40002, "user.idfa"),
    "page is missing": ({"page": ...}, 40002, "page"),
    "page without url": ({"page": {"referrer": "https://a.example/"}}, 40002, "page.url"),
    "page url is a path": ({"page": {"url": "/thanks"}}, 40002, "page.url"),
    "value is text": (properties(value="45.50"), 40002, "properties.value"),
    "value is true": (properties(value=True), 40002, "properties.value"),
    "value is null": (properties(value=None), 40002, "properties.value"),
    "currency is not listed": (properties(currency="XAU"), 40002, "properties.currency"),
    "currency in lower case": (properties(currency="gbp"), 40002, "properties.currency"),
    "content type is none": (properties(content_type="products"), 40002, "properties.content_type"),
    "custom property is empty": (properties(tier=""), 40002, "properties.tier"),
    "custom property is null": (properties(tier=None), 40002, "properties.tier"),
    "custom list holds null": (properties(tags=["a", None]), 40002, "properties.tags.1"),
    "contents are empty": (properties(contents=[]), 40002, "properties.contents"),
    "content id is a number": (
        properties(contents=[{"content_id": 5}]),
        40002,
        "properties.contents.0.content_id",
    ),
    "price is text": (properties(contents=[{"price": "1"}]), 40002, "properties.contents.0.price"),
    "quantity is a fraction": (
        properties(contents=[{"quantity": 1.5}]),
        40002,
        "properties.contents.0.quantity",
    ),
    "unknown content field": (properties(contents=[{"sku": "a"}]), 40002, "properties.contents.0.sku"),
    "limited data use is text": ({"limited_data_use": "true"}, 40002, "limited_data_use"),
}


@pytest.mark.parametrize(("changes", "code", "path"), REFUSED.values(), ids=REFUSED.keys())
def test_one_bad_event_refuses_the_whole_batch_by_its_name(
    platforms: Client, changes: dict[str, Any], code: int, path: str
) -> None:
    """One bad event refuses its whole batch; the message names the first bad one's position and field."""
    bad: object = purchase(**({"event_id": "bad"} | changes)) if path else "not an event"
    got, message = said(platforms, purchase("good"), bad, purchase(5))
    assert got == code
    field, _, sentence = message.partition(": ")
    assert field == ".".join(["data", "1", *filter(None, [path])])
    assert sentence
    assert "jane.roe" not in message
    received = platforms.received("tiktok")
    assert received["accepted"] == 0
    assert received["refused"] == 3
    assert platforms.ids("tiktok") == set()


# name: (changes to the envelope, code, beginning of the message)
ENVELOPES: dict[str, tuple[dict[str, Any], int, str]] = {
    "unknown pixel": ({"event_source_id": "CUNKNOWN"}, 40001, "No permission to operate pixel code CUNKNOWN"),
    "another source's id": ({"event_source": "crm"}, 40001, "No permission"),
    "unknown source": ({"event_source": "shop"}, 40002, "event_source: "),
    "source is null": ({"event_source_id": None}, 40002, "event_source_id: "),
    "no events": ({"data": []}, 40061, "data: "),
    "data is an object": ({"data": {}}, 40002, "data: "),
    "empty test code": ({"test_event_code": ""}, 40002, "test_event_code: "),
    "unknown field": ({"pixel_code": "C"}, 40002, "pixel_code: "),
}


@pytest.mark.parametrize(("envelope", "code", "begins"), ENVELOPES.values(), ids=ENVELOPES.keys())
def test_the_envelope_is_closed(platforms: Client, envelope: dict[str, Any], code: int, begins: str) -> None:
    """A request whose top level is wrong is refused, before any event is looked at."""
    got, message = said(platforms, "not even an event", **envelope)
    assert got == code
    assert message.startswith(begins)


def test_a_thousand_events_are_taken_and_one_more_is_not(platforms: Client) -> None:
    """A batch holds 1 to 1,000 events; more are refused whole with 40061."""
    events = [purchase(f"o-{number}") for number in range(1001)]
    assert said(platforms, *events)[0] == 40061
    assert said(platforms, *events[:1000])[0] == 0
    assert platforms.received("tiktok")["accepted"] == 1000


def test_credentials_decide_first(platforms: Client) -> None:
    """The token goes bare into its own header: none is 40104, a wrong one or one with `Bearer` is 40105."""
    mine = platforms.settings.tiktok_token
    assert said(platforms, purchase(), token="")[0] == 40104
    assert said(platforms, purchase(), token="wrong")[0] == 40105
    assert said(platforms, purchase(), token=f"Bearer {mine}")[0] == 40105
    assert said(platforms, "rubbish", token="wrong")[0] == 40105
    assert said(platforms, purchase(), token=platforms.settings.tiktok_events_token)[0] == 0


def test_the_trailing_slash_matters(platforms: Client) -> None:
    """The path without its trailing slash, like any unknown one, is a bare 404."""
    for path in (TRACK.rstrip("/"), "/open_api/v1.2/event/track/", "/open_api/"):
        answer = platforms.http.post(path, json={}, headers={"Access-Token": platforms.settings.tiktok_token})
        assert answer.status_code == 404
        assert b"code" not in answer.content
    assert platforms.http.get(TRACK).status_code == 404


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 5000, b'{"data":' + b"[" * 5000, b'{"data":"\\udc00"}'],
)
def test_a_body_that_is_no_request_is_refused_in_words(platforms: Client, body: bytes) -> None:
    """Whatever the body, the answer is HTTP 200 with a code that says no."""
    headers = {"Access-Token": platforms.settings.tiktok_token, "Content-Type": "application/json"}
    answer = platforms.http.post(TRACK, content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["code"] == 40002


def test_deeply_nested_properties_are_refused(platforms: Client) -> None:
    """Custom properties nested beyond reason are refused, and the emulator goes on."""
    nested: Any = "x"
    for _ in range(900):
        nested = [nested]
    assert said(platforms, purchase(**properties(deep=nested)))[0] in {0, 40002}
    assert platforms.http.get("/received?detail=true").status_code == 200


def test_a_body_must_say_that_it_is_json(platforms: Client) -> None:
    """A request without Content-Type application/json is refused."""
    headers = {"Access-Token": platforms.settings.tiktok_token, "Content-Type": "text/plain"}
    assert platforms.http.post(TRACK, content=b"{}", headers=headers).json()["code"] == 40002


def test_a_repeat_within_48_hours_is_not_counted_again(platforms: Client) -> None:
    """A repeat of source, event and id is answered OK and counts once per 48 hours from the first."""
    assert said(platforms, purchase("a"), purchase("a"))[0] == 0
    platforms.set_clock(advance_ms=48 * 3_600_000 - 1)
    assert said(platforms, purchase("a"))[0] == 0
    received = platforms.received("tiktok")
    assert (received["accepted"], received["deduplicated"], received["distinct_ids"]) == (1, 2, 1)
    assert received["value"] == {"GBP": "45.5"}
    assert said(platforms, purchase("a", event="Subscribe"))[0] == 0  # another event is another key
    platforms.set_clock(advance_ms=1)
    assert said(platforms, purchase("a"))[0] == 0
    received = platforms.received("tiktok", event="Purchase")
    assert (received["accepted"], received["deduplicated"], received["distinct_ids"]) == (2, 2, 1)


def test_a_refused_batch_leaves_no_trace_in_deduplication(platforms: Client) -> None:
    """An event refused with its batch is new when it comes again alone."""
    assert said(platforms, purchase("a"), purchase(1))[0] == 40002
    assert said(platforms, purchase("a"))[0] == 0
    assert platforms.received("tiktok")["accepted"] == 1


def test_test_events_are_judged_but_not_received(platforms: Client) -> None:
    """An event with a test code is validated like any other and recorded as tested only."""
    assert said(platforms, purchase("a"), test_event_code="TEST1")[0] == 0
    assert said(platforms, purchase(1), test_event_code="TEST1")[0] == 40002
    received = platforms.received("tiktok")
    assert (received["accepted"], received["tested"], received["refused"]) == (0, 1, 1)
    assert platforms.ids("tiktok") == set()
    assert said(platforms, purchase("a"))[0] == 0
    assert platforms.received("tiktok")["accepted"] == 1


def test_other_sources_have_their_own_schema(platforms: Client) -> None:
    """Offline, CRM and app events are judged by their own tables: fields, names and match keys."""
    settings = platforms.settings
    offline = {"event_source": "offline", "event_source_id": settings.tiktok_offline_event_sets[0]}
    crm = {"event_source": "crm", "event_source_id": settings.tiktok_crm_event_sets[0]}
    app = {"event_source": "app", "event_source_id": settings.tiktok_apps[0]}
    bare: dict[str, Any] = {"event": "Purchase", "event_time": AT, "event_id": "x"}
    assert said(platforms, bare | {"user": {"email": HASH}}, **offline)[0] == 0
    assert said(platforms, bare | {"user": {"ttclid": "x"}}, **offline)[1].startswith("data.0.user.ttclid: ")
    assert said(platforms, bare | {"user": {"email": HASH}, "event": "Own"}, **offline)[0] == 40002
    assert said(platforms, purchase(), **offline)[0] == 40002
    assert said(platforms, bare | {"lead": {"lead_id": "7"}}, **crm)[0] == 0
    assert said(platforms, bare | {"user": {"email": HASH}}, **crm)[1].startswith("data.0.lead: ")
    device = {"idfa": "AAAAAAAA-2222-1111-8787-809E92233BA0", "att_status": "AUTHORIZED"}
    assert said(platforms, bare | {"user": device, "app": {"app_id": "1"}}, **app)[0] == 0
    assert said(platforms, bare | {"user": device}, **app)[1].startswith("data.0.app: ")


def test_silent_doubts_become_remarks(platforms: Client) -> None:
    """What TikTok takes without a word although it was hardly meant is counted under `remarks`."""
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    said(platforms, purchase("a", event="add_to_cart"), purchase("b", event="CompletePayment"))
    said(platforms, purchase("c", **user(email=nothing)), purchase("d", **properties(currency=...)))
    remarks = platforms.received("tiktok")["remarks"]
    assert sorted(remarks.values()) == [1, 1, 1, 1]
    assert "user.email is the hash of an empty string" in remarks


def test_credential_checks(platforms: Client) -> None:
    """The pixel list and the user's information tell good, bad and insufficient tokens apart."""
    settings = platforms.settings

    def ask(path: str, token: str = settings.tiktok_token, **query: str) -> Any:
        answer = platforms.http.get(path, params=query, headers={"Access-Token": token})
        assert answer.status_code == 200
        return answer.json()

    mine = {"advertiser_id": settings.tiktok_advertiser_id}
    listed = ask(PIXEL_LIST, **mine, code=settings.tiktok_pixels[0])
    assert listed["code"] == 0
    assert [pixel["pixel_code"] for pixel in listed["data"]["pixels"]] == [settings.tiktok_pixels[0]]
    assert listed["data"]["page_info"]["total_number"] == 1
    assert ask(PIXEL_LIST, **mine, code="CNONE")["data"]["pixels"] == []
    assert ask(PIXEL_LIST, **mine, page_size="21")["code"] == 40002
    assert ask(PIXEL_LIST, **mine, page="x")["code"] == 40002
    assert ask(PIXEL_LIST)["code"] == 40002
    assert ask(PIXEL_LIST, advertiser_id="1")["code"] == 40001
    assert ask(PIXEL_LIST, "wrong", **mine)["code"] == 40105
    assert ask(PIXEL_LIST, "", **mine)["code"] == 40104
    assert ask(PIXEL_LIST, settings.tiktok_events_token, **mine)["code"] == 40001
    assert ask(USER_INFO)["code"] == 0
    assert ask(USER_INFO.rstrip("/"))["code"] == 0
    assert ask(USER_INFO, "wrong")["code"] == 40105
    assert ask(USER_INFO, settings.tiktok_events_token)["code"] == 40001
