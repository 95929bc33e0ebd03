"""What the platforms say they received, asked of real emulators and kept in a real database."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost import config, views
from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Counted, Heard, Quality, Request, Response, View
from signalpost.platforms.pinterest import description, json_schema
from signalpost.platforms.testing import Client, pinterest_event, tiktok_event
from signalpost.store import views as kept
from signalpost.store.database import Database
from signalpost.transport import Transport

DAY = 86_400_000
NOON = 1_795_305_600_000 // DAY * DAY + DAY // 2
TODAY, YESTERDAY = kept.day_of(NOON), kept.day_of(NOON - DAY)

WORKSPACE = """\
workspace: shop
environment: production
currency: EUR
country: DE
order_value: gross
sources:
  web: {type: pipelines, write_key: '${KEY}'}
destinations:
  shop_tiktok:
    type: tiktok
    endpoint: ${URL}
    pixel: ${PIXEL}
    access_token: ${TIKTOK_TOKEN}
    advertiser: "${ADVERTISER}"
  shop_pinterest:
    type: pinterest
    endpoint: ${URL}
    ad_account: "${ACCOUNT}"
    access_token: ${PINTEREST_TOKEN}
"""


def workspace_of(platforms: Client, text: str = WORKSPACE, **changes: str) -> config.Workspace:
    """The workspace as the file has it, with some variables changed."""
    settings = platforms.settings
    variables = {
        "KEY": "web-key",
        "URL": platforms.url,
        "PIXEL": settings.tiktok_pixels[0],
        "TIKTOK_TOKEN": settings.tiktok_token,
        "ADVERTISER": settings.tiktok_advertiser_id,
        "ACCOUNT": settings.pinterest_ad_account_id,
        "PINTEREST_TOKEN": settings.pinterest_token,
        **changes,
    }
    workspace, mistakes = config.check(text, variables, CATALOG)
    assert workspace is not None, mistakes
    return workspace


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    opened = Transport()
    yield opened
    await opened.close()


def sent_yesterday_and_today(platforms: Client) -> None:
    """Two purchases a day ago; today one, which the pixel told too, and one of a test."""
    for now, names in ((NOON - DAY, ("a", "b")), (NOON, ("c",))):
        platforms.set_clock(now_ms=now, frozen=True)
        at = now // 1000 - 60
        platforms.track(*(tiktok_event(name, at=at) for name in names))
        platforms.create(*(pinterest_event(name, at=at) for name in names))
    platforms.track(tiktok_event("t", at=NOON // 1000 - 60), test_event_code="TEST1")
    for platform, event in (("tiktok", "Purchase"), ("pinterest", "checkout")):
        platforms.http.post("/pixel", json={"platform": platform, "event": event, "event_id": "c"}).raise_for_status()


async def test_what_platforms_tell_is_kept_by_day(platforms: Client, database: Database, transport: Transport) -> None:
    """TikTok's counts by day, server and browser and Pinterest's score arrive in the database; asking again changes nothing."""
    sent_yesterday_and_today(platforms)
    workspace = workspace_of(platforms)

    for _ in range(2):
        asked = await views.refresh(workspace, database, transport, NOON)
        assert {(each.destination, each.what, each.state) for each in asked} == {
            ("shop_tiktok", "received", "told"),
            ("shop_pinterest", "event_quality_score", "told"),
        }
        assert all(each.at == each.told_at == NOON for each in asked)

        counts = database.look(lambda connection: kept.received(connection, YESTERDAY, TODAY))
        assert [(each.destination, each.event, each.day, each.server, each.browser, each.total) for each in counts] == [
            ("shop_tiktok", "Purchase", YESTERDAY, 2, 0, 2),
            ("shop_tiktok", "Purchase", TODAY, 1, 1, 2),
        ]
        (score,) = database.look(lambda connection: kept.scores(connection, TODAY, TODAY))
        assert (score.destination, score.event, score.at) == ("shop_pinterest", "checkout", NOON)
        found = {(quality.lookback, quality.ingestion): quality for quality in score.qualities}
        assert set(found) == {(look, way) for look in ("1d", "14d") for way in ("CONVERSIONS_API", "TAG")}
        assert found["1d", "CONVERSIONS_API"].coverage["hashed_email"] == 100
        assert found["1d", "CONVERSIONS_API"].overlap == 100
        assert found["14d", "CONVERSIONS_API"].overlap == pytest.approx(33.33)
        assert found["1d", "TAG"].status == "NEEDS_IMPROVEMENT"
        assert found["1d", "TAG"].issues

    assert database.look(lambda connection: kept.received(connection, YESTERDAY, YESTERDAY))[0].day == YESTERDAY


async def test_credentials_that_may_only_send_are_no_fault(platforms: Client, database: Database, transport: Transport) -> None:
    """Sending tokens may not read: the view says which permission it takes and that it is optional; a reading token helps."""
    settings = platforms.settings
    sending = {"TIKTOK_TOKEN": settings.tiktok_events_token, "PINTEREST_TOKEN": settings.pinterest_conversion_token}
    asked = {
        each.destination: each for each in await views.refresh(workspace_of(platforms, **sending), database, transport, NOON)
    }
    assert {each.state for each in asked.values()} == {"not_allowed"}
    assert "Pixel Level Reporting" in asked["shop_tiktok"].sentence
    assert "ads:read" in asked["shop_pinterest"].sentence
    assert all("optional" in each.sentence and each.told_at is None for each in asked.values())

    without = WORKSPACE.replace('    advertiser: "${ADVERTISER}"\n', "")
    asked = {each.destination: each for each in await views.refresh(workspace_of(platforms, without), database, transport, NOON)}
    assert asked["shop_tiktok"].state == "not_allowed"
    assert "`advertiser`" in asked["shop_tiktok"].sentence

    reading = WORKSPACE.replace("    access_token: ", "    reading_token: ${READING}\n    access_token: ")
    tiktok, _, pinterest = reading.rpartition("${READING}")
    text = tiktok.replace("${READING}", "${READ_TIKTOK}") + "${READ_PINTEREST}" + pinterest
    workspace = workspace_of(
        platforms, text, READ_TIKTOK=settings.tiktok_token, READ_PINTEREST=settings.pinterest_token, **sending
    )
    assert {each.state for each in await views.refresh(workspace, database, transport, NOON)} == {"told"}


async def test_what_was_told_stays_while_the_platform_is_silent(
    platforms: Client, database: Database, transport: Transport
) -> None:
    """A failure is kept as one, with its sentence and since when nothing new was told; earlier figures stay."""
    sent_yesterday_and_today(platforms)
    await views.refresh(workspace_of(platforms), database, transport, NOON)
    platforms.fault("status", platform="tiktok", status=503, scope="all")
    platforms.fault("malformed", platform="pinterest", scope="all")
    asked = await views.refresh(workspace_of(platforms), database, transport, NOON + 3_600_000)
    assert [(each.state, each.at, each.told_at) for each in asked] == [("failed", NOON + 3_600_000, NOON)] * 2
    assert all(each.sentence.endswith(".") for each in asked)
    assert len(database.look(lambda connection: kept.received(connection, YESTERDAY, TODAY))) == 2

    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    asked = await views.refresh(workspace_of(platforms, URL=nobody), database, transport, NOON)
    assert {each.state for each in asked} == {"failed"}
    assert all("could not be reached" in each.sentence for each in asked)

    asked = await views.refresh(workspace_of(platforms, PIXEL="COTHER"), database, transport, NOON)
    assert {each.state for each in asked} == {"failed"}


async def test_old_days_go(platforms: Client, database: Database, transport: Transport) -> None:
    """What a platform said of days longer ago than counters are kept is dropped when it is asked again."""
    sent_yesterday_and_today(platforms)
    await views.refresh(workspace_of(platforms), database, transport, NOON)
    later = NOON + kept.KEPT_DAYS * DAY
    await views.refresh(workspace_of(platforms), database, transport, later)
    days = [each.day for each in database.look(lambda connection: kept.received(connection, "2000-01-01", "2100-01-01"))]
    assert days == [TODAY]


# ---- what is asked, and any answer -----------------------------------------------------------------------------------------

SETTINGS = {"pixel": "C4TEST", "advertiser": "7000000000000000001", "ad_account": "549755885175", "access_token": "secret-token"}
VIEWS = [(name, view) for name, platform in CATALOG.items() for view in platform.views]

# As `yml_files/pixel_list.yml` and `pixel_event_stats.yml` of TikTok's official SDK describe the queries.
NUMBER = {"type": "string", "pattern": "^[0-9]+$"}
TIKTOK_QUERIES: dict[str, dict[str, Any]] = {
    "/open_api/v1.3/pixel/list/": {
        "required": ["advertiser_id"],
        "properties": {"advertiser_id": NUMBER, "code": {"type": "string", "minLength": 1}},
        "additionalProperties": False,
    },
    "/open_api/v1.3/pixel/event/stats/": {
        "required": ["advertiser_id", "pixel_ids", "date_range"],
        "properties": {
            "advertiser_id": NUMBER,
            "pixel_ids": {"type": "array", "items": NUMBER, "minItems": 1, "maxItems": 10},
            "date_range": {
                "type": "object",
                "required": ["start_date", "end_date"],
                "additionalProperties": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
                "minProperties": 2,
                "maxProperties": 2,
            },
        },
        "additionalProperties": False,
    },
}


def talk(view: View, answer: Callable[[Request], Response]) -> tuple[list[Request], Heard]:
    """Everything a view asks when it is answered so, and what it heard."""
    asking = view.ask(SETTINGS, "http://127.0.0.1:9/", NOON)
    asked: list[Request] = []
    try:
        request = next(asking)
        while True:
            asked.append(request)
            request = asking.send(answer(request))
    except StopIteration as ended:
        heard: Heard = ended.value
        return asked, heard


def as_tiktok(request: Request) -> Response:
    data: dict[str, Any] = {"pixels": [{"pixel_id": "71", "pixel_code": "C4TEST"}], "list": []}
    return Response(status=200, headers={}, body=msgspec.json.encode({"code": 0, "message": "OK", "data": data}))


def as_pinterest(request: Request) -> Response:
    return Response(status=200, headers={}, body=b"[]")


def test_tiktok_is_asked_as_its_description_says() -> None:
    """Each request is a GET with a query that TikTok's own description allows, the token in its header only."""
    ((_, view),) = [each for each in VIEWS if each[0] == "tiktok"]
    asked, heard = talk(view, as_tiktok)
    assert heard.state == "told"
    assert len(asked) == 4
    for request in asked:
        assert (request.method, request.body) == ("GET", b"")
        assert request.headers == {"access-token": "secret-token"}
        parts = urlsplit(request.url)
        query = {name: value for name, (value,) in parse_qs(parts.query, strict_parsing=True).items()}
        read = {name: json.loads(value) if value[:1] in "[{" else value for name, value in query.items()}
        jsonschema.Draft202012Validator(TIKTOK_QUERIES[parts.path]).validate(read)


def test_pinterest_is_asked_as_its_description_says() -> None:
    """Each request is an operation of Pinterest's official description with parameters that its schemas allow."""
    ((_, view),) = [each for each in VIEWS if each[0] == "pinterest"]
    asked, heard = talk(view, as_pinterest)
    assert heard.state == "told"
    components = description()["components"]
    schemas = json_schema(components["schemas"])
    operation = description()["paths"]["/ad_accounts/{ad_account_id}/conversion_eqs"]["get"]
    parameters = [components["parameters"][each["$ref"].rpartition("/")[2]] for each in operation["parameters"]]
    for request in asked:
        assert (request.method, request.body) == ("GET", b"")
        parts = urlsplit(request.url)
        matched = re.fullmatch(r"/v5/ad_accounts/([^/]+)/conversion_eqs", parts.path)
        assert matched is not None
        given = {name: value for name, (value,) in parse_qs(parts.query, strict_parsing=True).items()}
        given["ad_account_id"] = matched[1]
        assert given.keys() <= {each["name"] for each in parameters}
        for each in parameters:
            assert not each.get("required") or each["name"] in given
            if each["name"] in given:
                schema = {**json_schema(each["schema"]), "$defs": schemas}
                jsonschema.Draft202012Validator(schema).validate(given[each["name"]])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
STATISTICS = st.fixed_dictionaries(
    {},
    optional={
        "pixel_event_type": st.sampled_from(["SHOPPING", "PAGE_VIEW", ""]) | JSON,
        "custom_event_type": st.text(max_size=5) | JSON,
        "server_event_total_count": st.integers(-5, 10**6) | st.integers(0, 99).map(str) | JSON,
        "total_count": JSON,
    },
)
ROWS = st.fixed_dictionaries(
    {
        "pixels": st.just([{"pixel_id": "71", "pixel_code": "C4TEST"}]) | JSON,
        "list": st.lists(st.fixed_dictionaries({"pixel_id": st.just("71"), "statistics": st.lists(STATISTICS) | JSON}) | JSON)
        | JSON,
    }
)
DETAILS = st.fixed_dictionaries(
    {}, optional={"coverage": st.floats() | st.integers(-5, 200) | JSON, "overlap": JSON, "issues": JSON | st.lists(JSON)}
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "source_platform": JSON,
        "overall_status": JSON,
        "quality_components": st.dictionaries(st.text(max_size=5), st.dictionaries(st.text(max_size=5), DETAILS | JSON) | JSON)
        | JSON,
    },
)
BODY = st.one_of(
    st.binary(max_size=20),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"code": st.sampled_from([0, 40001, 40105, 50000, True]), "data": ROWS | JSON}).map(
        lambda value: json.dumps(value).encode()
    ),
    st.lists(ENTRY | JSON, max_size=3).map(lambda value: json.dumps(value).encode()),
)


KEPT_AS: dict[str, Any] = {"received": Counted, "event_quality_score": tuple[Quality, ...]}


@pytest.mark.parametrize(("platform", "view"), VIEWS, ids=[name for name, _ in VIEWS])
@given(status=st.sampled_from([200, 204, 302, 400, 401, 403, 404, 429, 500]), bodies=st.lists(BODY, min_size=4, max_size=4))
def test_any_answer_is_heard(platform: str, view: View, status: int, bodies: list[bytes]) -> None:
    """Whatever comes back, a view ends with a sentence and with figures that can be kept, and never with told on a refusal."""
    waiting = iter(bodies)
    _, heard = talk(view, lambda request: Response(status=status, headers={}, body=next(waiting)))

    assert heard.sentence
    assert heard.state != "told" or status == 200
    for told in heard.told:
        assert told.value == msgspec.json.decode(msgspec.json.encode(told.value), type=KEPT_AS[view.what])
