"""Requests and answers: one outcome an event for any body, nothing personal in any sentence, envelopes that join bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost import config
from signalpost.destinations import CATALOG, PLATFORMS
from signalpost.destinations.answers import redacted
from signalpost.destinations.contract import Response, request_settings
from signalpost.errors import ConfigError

Complaints = Callable[[str, dict[str, Any]], list[str]]

SETTINGS = {"pixel": "C4TEST", "ad_account": "549755885175", "access_token": "secret-token", "test_code": "TEST1"}
DIGEST = "86e0b9e56c17cc4d12387e1949b85053fbe73bc3ce5a1188713a9d300cc6133d"
PERSONAL = [DIGEST, DIGEST.upper(), "jane.doe@example.com", "+14155550123", "(415) 555-0123", "203.0.113.9", "2001:db8::1:2"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(PERSONAL),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["processed", "failed", "odd", None]) | JSON,
        "error_message": st.none() | st.text() | JSON,
        "warning_message": st.none() | st.text() | JSON,
    },
)
BODY = st.one_of(
    st.binary(),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {},
        optional={
            "code": st.sampled_from([0, 20001, 40002, 40100, 40105, 50000, 2, 8, 29, 4196, 4197]) | JSON,
            "message": st.text() | JSON,
            "data": JSON,
            "events": st.lists(ENTRY | JSON, max_size=5) | JSON,
            "details": JSON,
        },
    ).map(lambda value: json.dumps(value).encode()),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "retry-after": st.text(max_size=12) | st.integers(0, 10**12).map(str) | st.just("Fri, 20 Nov 2026 10:00:00 GMT"),
        "date": st.text(max_size=12) | st.just("Fri, 20 Nov 2026 09:59:00 GMT") | st.just("Fri, 20 Nov 2026 09:59:00"),
    },
)
STATUS = st.sampled_from([200, 201, 204, 207, 302, 400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503]) | st.integers(100, 599)


@pytest.mark.parametrize("platform", CATALOG)
@given(status=STATUS, headers=HEADERS, body=BODY, count=st.integers(1, 5))
def test_every_answer_gives_one_outcome_an_event(
    platform: str, status: int, headers: dict[str, str], body: bytes, count: int
) -> None:
    """Any status, headers and bytes give exactly as many outcomes as there were events, each with its sentence.

    Accepted never without a 2xx (Pinterest's 422 lists each event); split never for one event; a wait never negative.
    """
    found = CATALOG[platform].outcomes(Response(status=status, headers=headers, body=body), count)

    assert len(found) == count
    for outcome in found:
        assert outcome.sentence
        assert outcome.kind != "split" or count > 1
        assert (
            outcome.kind not in {"accepted", "warned"}
            or 200 <= status < 300
            or (platform, status) == ("pinterest", 422)
            or (platform == "tiktok" and outcome.kind == "warned")
        )
        assert outcome.after is None or 0 <= outcome.after <= 86_400
        assert outcome.kind != "retry" or outcome.reached or status in {200, 201, 429} or outcome.code.isdigit()
        assert not any(secret in outcome.sentence for secret in PERSONAL)
    sentence = CATALOG[platform].explain_check(Response(status=status, headers=headers, body=body))[1]
    assert sentence
    assert not any(secret in sentence for secret in PERSONAL)


@given(before=st.text(), personal=st.sampled_from(PERSONAL), after=st.text())
def test_nothing_personal_is_repeated(before: str, personal: str, after: str) -> None:
    """A platform's own words never carry a digest, an e-mail, a phone or an address on, whatever stands around it."""
    shown = redacted(f"{before} '{personal}' {after}")

    assert personal not in shown
    assert len(shown) <= 300
    assert not re.search(r"[0-9a-fA-F]{64}|\S@\S+\.\S", shown)


@pytest.mark.parametrize("platform", PLATFORMS)
@given(events=st.lists(st.dictionaries(st.text(min_size=1), st.text()), min_size=1, max_size=4), test=st.booleans())
def test_a_request_joins_bytes(platform: str, events: list[dict[str, str]], test: bool) -> None:
    """The envelope holds the encoded events as they are, in order, and is JSON; test mode shows where the platform wants it."""
    encoded = [msgspec.json.encode(event) for event in events]
    request = CATALOG[platform].request(SETTINGS, "http://127.0.0.1:9/", encoded, test)
    body = msgspec.json.decode(request.body)

    assert events == body["data"]
    assert b",".join(encoded) in request.body
    assert (request.url.endswith("?test=true") if platform == "pinterest" else body.get("test_event_code") == "TEST1") == test
    assert "secret-token" not in request.url


def test_the_addresses_are_the_platforms_own() -> None:
    """Requests go where the fact sheets say, with the credentials in the header they say."""
    tiktok, pinterest = CATALOG["tiktok"], CATALOG["pinterest"]
    to_tiktok = tiktok.request(SETTINGS, tiktok.default_base, [b"{}"], False)
    to_pinterest = pinterest.request(SETTINGS, pinterest.default_base, [b"{}"], False)

    assert to_tiktok.url == "https://business-api.tiktok.com/open_api/v1.3/event/track/"
    assert to_tiktok.headers["access-token"] == "secret-token"
    assert to_tiktok.body == b'{"event_source":"web","event_source_id":"C4TEST","data":[{}]}'
    assert to_pinterest.url == "https://api.pinterest.com/v5/ad_accounts/549755885175/events"
    assert to_pinterest.headers["authorization"] == "Bearer secret-token"


def test_a_test_event_without_a_code_is_never_sent_as_a_real_one() -> None:
    """TikTok knows a test event only by its code: without one there is no request."""
    with pytest.raises(ConfigError):
        CATALOG["tiktok"].request({**SETTINGS, "test_code": ""}, "http://127.0.0.1:9", [b"{}"], True)


def test_request_settings_hold_what_stands_beside_them() -> None:
    """The test code and the partner name of a destination reach the request with the platform's own settings."""
    options = config.Destination(type="tiktok", settings={"pixel": "C4"}, test_code="TEST1", partner_name="Glow")
    request = CATALOG["tiktok"].request({**request_settings(options), "access_token": "t"}, "http://127.0.0.1:9", [b"{}"], True)

    assert request.body == (
        b'{"event_source":"web","event_source_id":"C4","test_event_code":"TEST1","partner_name":"Glow","data":[{}]}'
    )


@pytest.mark.parametrize(
    ("platform", "settings", "status", "body", "works"),
    [
        ("tiktok", {"advertiser": "7"}, 200, {"code": 0, "data": {"pixels": [{"pixel_code": "C4TEST"}]}}, True),
        ("tiktok", {"advertiser": "7"}, 200, {"code": 0, "data": {"pixels": []}}, False),
        ("tiktok", {}, 200, {"code": 40002, "message": "event_time is missing"}, True),
        ("tiktok", {"advertiser": "7", "reading_token": "r"}, 200, {"code": 40002, "message": "event_time is missing"}, True),
        ("tiktok", {}, 200, {"code": 40001, "message": "No permission"}, False),
        ("tiktok", {}, 200, {"code": 40105, "message": "Access token is incorrect"}, False),
        ("tiktok", {}, 500, {}, False),
        ("pinterest", {}, 200, {"events": [{"status": "processed"}]}, True),
        ("pinterest", {}, 401, {"code": 2, "message": "Authentication failed."}, False),
        ("pinterest", {}, 403, {"code": 29, "message": "Not permitted"}, False),
    ],
)
def test_a_check_says_whether_the_credentials_work(
    platform: str, settings: dict[str, str], status: int, body: dict[str, Any], works: bool
) -> None:
    """The check's answer is read as good or bad, with a sentence."""
    declared = CATALOG[platform]
    request = declared.check({**SETTINGS, **settings}, declared.default_base, 1_795_305_600_000)
    answer = Response(status=status, headers={}, body=msgspec.json.encode(body))

    assert request.url.startswith(declared.default_base)
    assert "secret-token" in str(request.headers), "the token that sends is checked, not the one that reads"
    assert declared.explain_check(answer)[0] is works


def test_a_pinterest_check_is_a_valid_event_in_test_mode(complaints: Complaints) -> None:
    """The made-up event is one Pinterest's description allows, and nothing is recorded for it."""
    request = CATALOG["pinterest"].check(SETTINGS, "http://127.0.0.1:9", 1_795_305_600_000)
    (event,) = msgspec.json.decode(request.body)["data"]

    assert request.url.endswith("?test=true")
    assert not complaints("pinterest", event)


@pytest.mark.parametrize("platform", CATALOG)
def test_declarations_hold_together(platform: str) -> None:
    """Mapped names are the platform's (or its own are allowed), the purchase is mapped, and every option has a sentence."""
    declared = CATALOG[platform]

    assert declared.custom_events or set(declared.events.values()) <= declared.event_names
    assert declared.events.get("Order Completed", "") == declared.purchase
    assert all(setting.doc.endswith(".") for setting in declared.settings)
    secrets = {setting.name for setting in declared.settings if setting.secret}
    assert secrets == {"access_token", "audience_token", "reading_token"} if declared.advertising else len(secrets) == 1
    paths = {field.path for field in declared.fields}
    assert set(msgspec.structs.asdict(declared.places).values()) <= paths
    assert declared.answer_says.endswith(".")
    assert all(view.doc.endswith(".") for view in declared.views)
    assert declared.limits.oldest_ms <= (declared.limits.oldest_possible_ms or declared.limits.oldest_ms)
