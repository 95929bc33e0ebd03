"""Pinterest's emulator: what it takes, what it refuses whole, what it fails event by event."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from signalpost.platforms.pinterest import EVENT_NAMES, description, json_schema
from signalpost.platforms.testing import HASH, Client, pinterest_event

NOW = 1_795_305_600
AT = NOW - 60
SCHEMAS = json_schema(description()["components"]["schemas"])


def checkout(event_id: object = "o-1", **changes: object) -> dict[str, Any]:
    return pinterest_event(event_id, at=AT, **changes)


def user(**data: object) -> dict[str, Any]:
    return {"user_data": data}


def custom(**changes: object) -> dict[str, Any]:
    return {"custom_data": checkout()["custom_data"] | changes}


def is_as_described(content: object, name: str) -> None:
    """Hold an answer against a schema of the official description, by another validator."""
    jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMAS}).validate(content)


def outcomes(platforms: Client, *events: object, query: str = "") -> list[dict[str, Any]]:
    answer = platforms.create(*events, query=query)
    assert answer.status_code == 200, answer.text
    is_as_described(answer.json(), "ConversionApiResponse")
    assert answer.headers["x-pinterest-rid"]
    told: list[dict[str, Any]] = answer.json()["events"]
    assert len(told) == len(events)
    return told


def refusal(platforms: Client, *events: object, **options: Any) -> tuple[int, int, str]:
    answer = platforms.create(*events, **options)
    is_as_described(answer.json(), "Error")
    assert answer.headers["x-pinterest-rid"]
    return answer.status_code, answer.json()["code"], answer.json()["message"]


def test_a_good_batch_is_processed_event_by_event(platforms: Client) -> None:
    """Good events are processed each, in the order of the request, and counted once."""
    answer = platforms.create(checkout("a"), checkout("b")).json()
    assert answer == {
        "num_events_received": 2,
        "num_events_processed": 2,
        "events": [{"status": "processed", "error_message": None, "warning_message": None}] * 2,
    }
    received = platforms.received("pinterest")
    assert received["accepted"] == 2
    assert received["value"] == {"EUR": "169.00"}
    assert platforms.ids("pinterest") == {("checkout", "a"), ("checkout", "b")}


def test_every_event_name_is_taken(platforms: Client) -> None:
    """The 22 names of the current description are taken, and no other."""
    assert len(EVENT_NAMES) == 22
    told = outcomes(platforms, *[checkout(name, event_name=name) for name in sorted(EVENT_NAMES)])
    assert {each["status"] for each in told} == {"processed"}


# name: (changes to the event, path of the field, part of the message)
BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown field": (
        {"device": "x"},
        "data.1",
        "Invalid request: Additional properties are not allowed ('device' was unexpected)",
    ),
    "unknown custom field": (
        custom(category_name="x"),
        "data.1.custom_data",
        "Invalid request: Additional properties are not allowed ('category_name' was unexpected)",
    ),
    "unknown content field": (custom(contents=[{"sku": "x"}]), "data.1.custom_data.contents.0", "('sku' was"),
    "field of a newer version": (
        custom(contents=[{"item_brand_id": "x"}]),
        "data.1.custom_data.contents.0",
        "('item_brand_id' was",
    ),
    "no id": ({"event_id": ...}, "data.1", '"event_id" is a required property'),
    "id is a number": ({"event_id": 7}, "data.1.event_id", 'is not of type "string"'),
    "id is null": ({"event_id": None}, "data.1.event_id", "is not of type"),
    "no user": ({"user_data": ...}, "data.1", '"user_data" is a required property'),
    "e-mail is no list": (user(em=HASH), "data.1.user_data.em", 'is not of type "array"'),
    "time is text": ({"event_time": "now"}, "data.1.event_time", 'is not of type "integer"'),
    "value is a number": (custom(value=84.5), "data.1.custom_data.value", "is not of type"),
    "price is a number": (
        custom(contents=[{"item_price": 1}]),
        "data.1.custom_data.contents.0.item_price",
        "1",
    ),
    "quantity is text": (custom(contents=[{"quantity": "1"}]), "data.1.custom_data.contents.0.quantity", "1"),
    "quantity past 64 bits": (
        custom(contents=[{"quantity": 2**63}]),
        "data.1.custom_data.contents.0.quantity",
        "maximum",
    ),
    "opt out is text": ({"opt_out": "true"}, "data.1.opt_out", "boolean"),
    "device info is closed": ({"device_info": {"x": 1}}, "data.1.device_info", "('x' was unexpected)"),
    "device info has bounds": (
        {"device_info": {"battery_level": 101}},
        "data.1.device_info.battery_level",
        "101",
    ),
}


@pytest.mark.parametrize(("changes", "where", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_what_breaks_the_description_refuses_the_whole_request(
    platforms: Client, changes: dict[str, Any], where: str, message: str
) -> None:
    """A request that the official description does not allow is a 400 for all its events."""
    bad = checkout(**({"event_id": "bad"} | changes))
    answer = platforms.create(checkout("good"), bad)
    is_as_described(answer.json(), "Error")
    assert answer.status_code == 400
    assert answer.json()["code"] == 4196
    assert message in answer.json()["message"]
    assert answer.headers["x-emulator-path"] == where
    received = platforms.received("pinterest")
    assert (received["accepted"], received["refused"]) == (0, 2)


# name: (changes to the event, part of the message)
FAILED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown name": ({"event_name": "purchase"}, "event_name"),
    "name of the tag": ({"event_name": "Checkout"}, "event_name"),
    "unknown source": ({"action_source": "website"}, "action_source"),
    "empty id": ({"event_id": ""}, "event_id"),
    "in the future": ({"event_time": NOW + 1}, "event_time"),
    "milliseconds": ({"event_time": AT * 1000}, "event_time"),
    "a float": ({"event_time": float(AT)}, "event_time"),
    "more than seven days old": ({"event_time": NOW - 7 * 86400 - 1}, "7 days"),
    "no identifier": (user(ph=[HASH], external_id=[HASH], click_id="x"), "user_data needs"),
    "an empty list is none": (user(em=[]), "user_data needs"),
    "address alone": (user(client_ip_address="203.0.113.9"), "user_data needs"),
    "raw e-mail": (user(em=["jane.roe@example.com"]), "user_data.em"),
    "hash in upper case": (user(em=[HASH.upper()]), "user_data.em"),
    "raw phone": (user(em=[HASH], ph=["14155550123"]), "user_data.ph"),
    "raw country": (user(em=[HASH], country=["us"]), "user_data.country"),
    "hashed click id": (user(em=[HASH], click_id=HASH), "user_data.click_id"),
    "no address": (user(em=[HASH], client_ip_address="localhost"), "client_ip_address"),
    "value is no number": (custom(value="84,50"), "custom_data.value"),
    "value past a double": (custom(value="1e999"), "custom_data.value"),
    "price is no number": (custom(contents=[{"item_price": "$3"}]), "item_price"),
    "unknown privacy flag": (custom(opt_out_type="CCPA"), "opt_out_type"),
}


@pytest.mark.parametrize(("changes", "message"), FAILED.values(), ids=FAILED.keys())
def test_what_breaks_the_prose_fails_its_event_only(platforms: Client, changes: dict[str, Any], message: str) -> None:
    """What only the prose forbids fails that event with a sentence; its neighbours are processed."""
    bad = checkout(**({"event_id": "bad"} | changes))
    answer = platforms.create(checkout("a"), bad, checkout("b"))
    is_as_described(answer.json(), "ConversionApiResponse")
    told = answer.json()
    assert (told["num_events_received"], told["num_events_processed"]) == (3, 2)
    assert [each["status"] for each in told["events"]] == ["processed", "failed", "processed"]
    assert message in told["events"][1]["error_message"]
    assert "jane.roe" not in told["events"][1]["error_message"]
    received = platforms.received("pinterest")
    assert (received["accepted"], received["refused"]) == (2, 1)
    assert platforms.ids("pinterest") == {("checkout", "a"), ("checkout", "b")}


# name: (changes to the event, part of the warning)
WARNED: dict[str, tuple[dict[str, Any], str]] = {
    "value without currency": ({"custom_data": {"value": "1.00"}}, "currency is missing"),
    "unlisted currency": (custom(currency="XAU"), "not a currency"),
    "partner name": ({"partner_name": "Shopify"}, "ss-partnername"),
    "language": ({"language": "english"}, "language"),
    "unknown user field": (user(em=[HASH], emails=["x"]), "user_data has unknown fields: emails"),
    "hash of nothing": (
        user(em=["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]),
        "empty string",
    ),
    "empty text": ({"event_source_url": ""}, "event_source_url is empty"),
    "allowed null": ({"language": None}, "language is empty"),
}


@pytest.mark.parametrize(("changes", "warning"), WARNED.values(), ids=WARNED.keys())
def test_oddities_are_processed_with_a_warning(platforms: Client, changes: dict[str, Any], warning: str) -> None:
    """What is odd and not fatal is processed, and the answer says what is odd."""
    (told,) = outcomes(platforms, checkout(**changes))
    assert told["status"] == "processed"
    assert warning in told["warning_message"]
    received = platforms.received("pinterest")
    assert (received["accepted"], received["warned"]) == (1, 1)


def test_a_value_without_currency_is_the_ad_accounts(platforms: Client) -> None:
    """Money without a currency counts in the currency of the ad account."""
    outcomes(platforms, checkout("a", custom_data={"value": "2.50"}))
    assert platforms.received("pinterest")["value"] == {"USD": "2.50"}


def test_identifiers_that_suffice(platforms: Client) -> None:
    """An e-mail, a device id, or address and agent together suffice, each alone."""
    told = outcomes(
        platforms,
        checkout("a", **user(em=[HASH])),
        checkout("b", **user(hashed_maids=[HASH])),
        checkout("c", **user(client_ip_address="2001:db8::1", client_user_agent="x")),
    )
    assert [each["status"] for each in told] == ["processed"] * 3


def test_a_thousand_events_are_taken_and_one_more_is_not(platforms: Client) -> None:
    """A request holds 1 to 1,000 events."""
    events = [checkout(f"o-{number}") for number in range(1001)]
    assert refusal(platforms, *events)[:2] == (400, 4196)
    assert refusal(platforms)[:2] == (400, 4196)
    outcomes(platforms, *events[:1000])
    assert platforms.received("pinterest")["accepted"] == 1000


def test_credentials_decide_first(platforms: Client) -> None:
    """A bad token is 401 code 2, another ad account 403 code 29, whatever the body."""
    assert refusal(platforms, "rubbish", token="wrong")[:2] == (401, 2)
    answer = platforms.http.post("/v5/ad_accounts/549755885175/events", json={"data": []})
    assert answer.status_code == 401
    headers = {"Authorization": f"Bearer {platforms.settings.pinterest_token}"}
    other = platforms.http.post("/v5/ad_accounts/1/events", json={"data": []}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (403, 29)
    none = platforms.http.post("/v5/ad_accounts/abc/events", json={"data": []}, headers=headers)
    assert (none.status_code, none.json()["code"]) == (400, 4196)
    conversion_token = platforms.settings.pinterest_conversion_token
    assert platforms.create(checkout(), token=conversion_token).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 5000, b'{"data":' + b"[" * 5000, b'{"data":"\\udc00"}'],
)
def test_a_body_that_is_no_request_is_a_400(platforms: Client, body: bytes) -> None:
    """Whatever the body, the answer is a 400 in Pinterest's form."""
    headers = {
        "Authorization": f"Bearer {platforms.settings.pinterest_token}",
        "Content-Type": "application/json",
    }
    path = f"/v5/ad_accounts/{platforms.settings.pinterest_ad_account_id}/events"
    answer = platforms.http.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, 4196)


def test_deeply_nested_user_data_does_not_break_the_emulator(platforms: Client) -> None:
    """User data is open in the description; nested beyond reason it is answered all the same."""
    nested: Any = "x"
    for _ in range(900):
        nested = [nested]
    assert platforms.create(checkout(**user(em=[HASH], deep=nested))).status_code in {200, 400}
    assert platforms.http.get("/received?detail=true").status_code == 200


def test_a_repeat_within_the_window_is_processed_and_not_counted_again(platforms: Client) -> None:
    """A repeat of event name and id is answered processed and counts once per 24 hours."""
    told = outcomes(platforms, checkout("a"), checkout("a"), checkout("a", event_name="lead"))
    assert [each["status"] for each in told] == ["processed"] * 3
    received = platforms.received("pinterest")
    assert (received["accepted"], received["deduplicated"]) == (2, 1)
    platforms.set_clock(advance_ms=24 * 3_600_000)
    outcomes(platforms, checkout("a"))
    received = platforms.received("pinterest", event="checkout")
    assert (received["accepted"], received["deduplicated"], received["distinct_ids"]) == (2, 1, 1)


def test_offline_events_are_not_deduplicated(platforms: Client) -> None:
    """As the description says, events that took place offline cannot be deduplicated."""
    outcomes(platforms, checkout("a", action_source="offline"), checkout("a", action_source="offline"))
    assert platforms.received("pinterest")["accepted"] == 2
    assert platforms.ids("pinterest") == {("checkout", "a")}


def test_test_mode_judges_and_records_nothing(platforms: Client) -> None:
    """With `?test=true` the answers are the same and nothing is received."""
    told = outcomes(platforms, checkout("a"), checkout("b", event_name="x"), query="?test=true")
    assert [each["status"] for each in told] == ["processed", "failed"]
    received = platforms.received("pinterest")
    assert (received["accepted"], received["tested"]) == (0, 1)
    assert platforms.ids("pinterest") == set()
    assert refusal(platforms, checkout(), query="?test=maybe")[:2] == (400, 4196)
    outcomes(platforms, checkout("a"), query="?test=false")
    assert platforms.received("pinterest")["accepted"] == 1


def test_credential_checks(platforms: Client) -> None:
    """The ad account and its tags are answered as described, to the token that may read them."""
    settings = platforms.settings
    account = f"/v5/ad_accounts/{settings.pinterest_ad_account_id}"

    def ask(path: str, token: str = settings.pinterest_token) -> tuple[int, Any]:
        answer = platforms.http.get(path, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, answer.json()

    status, content = ask(account)
    assert status == 200
    assert content["id"] == settings.pinterest_ad_account_id
    is_as_described(content, "AdAccount")
    status, content = ask(f"{account}/conversion_tags")
    assert status == 200
    is_as_described(content["items"][0], "ConversionTag")
    assert ask(account, "wrong")[0] == 401
    assert ask(f"{account}/conversion_tags", "wrong")[1]["code"] == 2
    assert ask("/v5/ad_accounts/1")[1]["code"] == 29
    assert ask(account, settings.pinterest_conversion_token)[0] == 401
    assert ask("/v5/boards")[0] == 404
    assert platforms.http.put(account).status_code == 404


def test_the_description_is_pinterests_own() -> None:
    """The package carries the official description unchanged: closed events, 1 to 1,000, five fields required."""
    events = description()["components"]["schemas"]["ConversionEvents"]
    data = events["properties"]["data"]
    assert (data["minItems"], data["maxItems"], data["items"]["additionalProperties"]) == (1, 1000, False)
    required = {"event_name", "action_source", "event_time", "event_id", "user_data"}
    assert set(data["items"]["required"]) == required
    assert description()["info"]["version"] == "5.23.0"
