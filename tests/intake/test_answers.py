"""What the intake answers: the compatibility contract with Customer.io's and Segment's clients."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from signalpost.sources.wire import BATCH_LIMIT
from signalpost.web import intake

from .conftest import API_KEY, KEY, REGIONAL_KEY, SITE, Journal, application

TRACK = (SITE, API_KEY)
GOOD = {"type": "track", "userId": "u", "event": "E"}
BAD = {"type": "track", "userId": "u"}


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
async def client(journal: Journal) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(journal), client=("198.51.100.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://signals.example.test", auth=(KEY, "")) as opened:
        yield opened


def check_error(answer: httpx.Response, status: int) -> dict[str, Any]:
    """One JSON body in every shape a client looks for."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    assert body["code"]
    assert body["message"] == body["meta"]["error"]
    assert len(body["meta"]["errors"]) == len(body["errors"]) >= 1
    for error in body["errors"]:
        assert error["reason"]
        assert error["message"]
        assert error["path"].startswith("$")
    return body


@pytest.mark.parametrize("path", sorted(intake.PIPELINES))
async def test_success_is_exactly_200_and_an_empty_object(client: httpx.AsyncClient, journal: Journal, path: str) -> None:
    """Every Pipelines address answers `200 {}` when the request is stored."""
    message = {"userId": "u", "event": "E", "groupId": "g", "previousId": "p"}
    body = {"batch": [GOOD]} if path in {"/v1/b", "/v1/batch"} else message
    answer = await client.post(path, json=body)
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert len(journal.events) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/api/v1/customers/c", {"a": 1}, 200),
        ("DELETE", "/api/v1/customers/c", None, 200),
        ("DELETE", "/api/v1/customers/c", {}, 200),
        ("POST", "/api/v1/customers/c/suppress", None, 200),
        ("POST", "/api/v1/customers/c/unsuppress", {}, 200),
        ("POST", "/api/v1/customers/c/events", {"name": "E"}, 200),
        ("PUT", "/api/v1/customers/c/devices", {"device": {"id": "t", "platform": "ios"}}, 200),
        ("DELETE", "/api/v1/customers/c/devices/t", None, 200),
        ("POST", "/api/v1/events", {"name": "E", "anonymous_id": "a"}, 200),
        ("POST", "/api/v1/merge_customers", {"primary": {"id": "a"}, "secondary": {"id": "b"}}, 200),
        ("POST", "/api/v1/segments/1/add_customers", {"ids": ["a"]}, 200),
        ("POST", "/api/v1/metrics", {"delivery_id": "d", "metric": "opened"}, 200),
        ("POST", "/api/v1/push/events", {"delivery_id": "d", "event": "opened"}, 200),
        ("POST", "/api/v1/forms/f/submit", {"data": {"email": "a@x.test"}}, 204),
        ("POST", "/api/v2/entity", {"type": "person", "action": "delete", "identifiers": {"id": "c"}}, 200),
        ("POST", "/api/v2/batch", {"batch": []}, 200),
        ("POST", "/unsubscribe/d", {"unsubscribe": True}, 200),
    ],
)
async def test_track_addresses(client: httpx.AsyncClient, method: str, path: str, body: Any, status: int) -> None:
    """Every address of the Track API takes what its clients send; DELETE and POST also without a body."""
    answer = await client.request(method, path, json=body, auth=TRACK)
    assert answer.status_code == status
    assert answer.content == (b"{}" if status == 200 else b"")


async def test_all_bad_is_400_with_path_and_sentence(client: httpx.AsyncClient, journal: Journal) -> None:
    """A refused call says where and why, and is kept for the operator."""
    single = check_error(await client.post("/v1/track", json=BAD), 400)
    assert single["errors"][0]["path"] == "$.event"
    batch = check_error(await client.post("/v1/batch", json={"batch": [BAD, BAD]}), 400)
    assert [error["batch_index"] for error in batch["errors"]] == [0, 1]
    assert check_error(await client.post("/v1/batch", content=b"{nonsense"), 400)
    assert [len(reading.refusals) for _, reading in journal.taken] == [1, 2, 1]


async def test_part_bad_is_200_and_kept(client: httpx.AsyncClient, journal: Journal) -> None:
    """One bad message of a batch costs the good ones nothing: they are stored, the client does not come again."""
    answer = await client.post("/v1/batch", json={"batch": [GOOD, BAD, GOOD]})
    assert (answer.status_code, answer.content) == (200, b"{}")
    ((_, reading),) = journal.taken
    assert (len(reading.events), [refusal.index for refusal in reading.refusals]) == (2, [1])


async def test_strict_mode_tells(client: httpx.AsyncClient, journal: Journal) -> None:
    """X-Strict-Mode asks for the 400; the good ones are stored all the same."""
    answer = await client.post("/v1/batch", json={"batch": [GOOD, BAD]}, headers={"X-Strict-Mode": "1"})
    assert "the other 1" in check_error(answer, 400)["message"].lower()
    assert len(journal.events) == 1


async def test_v2_batches_tell_per_item(client: httpx.AsyncClient, journal: Journal) -> None:
    """207 with the place of each refused item; 400 when none is left."""
    good = {"type": "person", "action": "delete", "identifiers": {"id": "c"}}
    bad = {"type": "person", "action": "event", "identifiers": {"id": "c"}}
    some = await client.post("/api/v2/batch", json={"batch": [good, bad]}, auth=TRACK)
    assert some.status_code == 207
    assert some.json() == {"errors": [{"batch_index": 1, "reason": "required", "field": "name", "message": "name is required"}]}
    check_error(await client.post("/api/v2/batch", json={"batch": [bad]}, auth=TRACK), 400)
    assert len(journal.events) == 1


@pytest.mark.parametrize(
    "header",
    [
        "Basic " + base64.b64encode(f"{KEY}:".encode()).decode(),
        "Basic " + base64.b64encode(f"{KEY}:".encode()).decode().rstrip("="),
        "basic " + base64.urlsafe_b64encode(f"{KEY}:".encode()).decode(),
        "Basic " + base64.b64encode(KEY.encode()).decode(),
        f"Bearer {KEY}",
    ],
)
async def test_every_way_to_send_a_write_key(client: httpx.AsyncClient, journal: Journal, header: str) -> None:
    """Basic in both alphabets, padded or not, and Bearer."""
    answer = await client.post("/v1/track", json=GOOD, headers={"Authorization": header}, auth=None)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert journal.taken[0][0].source == "web"


async def test_url_safe_base64_of_unusual_keys() -> None:
    """The two alphabets differ in two characters; both are read."""
    secret = b"\xff\xfe\xfd~~~???:>>>"
    assert intake.basic(base64.urlsafe_b64encode(secret)) == intake.basic(base64.b64encode(secret)) == secret
    assert intake.basic(b"!!!") is None


async def test_browsers_send_the_key_in_the_body(journal: Journal) -> None:
    """text/plain without an Authorization header: the key is in the message, on the batch, or on its first item."""
    transport = httpx.ASGITransport(application(journal))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://s.test", headers={"content-type": "text/plain"}
    ) as browser:
        for path, body in (
            ("/v1/t", {**GOOD, "writeKey": KEY}),
            ("/v1/b", {"batch": [GOOD], "writeKey": REGIONAL_KEY}),
            ("/v1/b", {"batch": [{**GOOD, "writeKey": KEY}, GOOD]}),
        ):
            assert (await browser.post(path, content=json.dumps(body))).status_code == 200
        half_an_emoji = json.dumps({**GOOD, "writeKey": KEY, "properties": {"name": "\ud83d"}})
        assert (await browser.post("/v1/t", content=half_an_emoji)).status_code == 200
        wrong: list[Any] = [{}, {"writeKey": "wrong"}, {"writeKey": 1}, [], {"batch": [{"writeKey": "é"}]}]
        for bad in wrong:
            check_error(await browser.post("/v1/t", content=json.dumps(bad)), 401)
    assert [received.source for received, _ in journal.taken] == ["web", "backend", "web", "web"]


@pytest.mark.parametrize("credentials", [None, ("wrong", ""), ("", ""), (SITE, API_KEY)])
async def test_a_wrong_write_key_is_401(client: httpx.AsyncClient, journal: Journal, credentials: Any) -> None:
    """A key that is none of ours, also another source's."""
    check_error(await client.post("/v1/track", json=GOOD, auth=credentials), 401)
    assert journal.taken == []


@pytest.mark.parametrize("credentials", [None, (SITE, "wrong"), ("wrong", API_KEY), (KEY, "")])
async def test_wrong_track_credentials_are_401(client: httpx.AsyncClient, credentials: Any) -> None:
    """Site id and API key belong together."""
    check_error(await client.put("/api/v1/customers/c", json={}, auth=credentials), 401)
    check_error(await client.get("/auth", auth=credentials), 401)
    check_error(await client.get("/api/v1/accounts/region", auth=credentials), 401)


async def test_nothing_there_and_not_that_way(client: httpx.AsyncClient) -> None:
    """404 and 405 speak JSON too, for customerio-node reads nothing else."""
    for path in (
        "/v1/nothing",
        "/api/v1/customers",
        "/api/v3/entity",
        "/webhooks/shopify/unknown",
        "/v1/track/x",
        "/v1/" + "x" * 5_000,
    ):
        check_error(await client.post(path, json={}), 404)
    answer = await client.get("/v1/track")
    check_error(answer, 405)
    assert answer.headers["allow"] == "OPTIONS, POST"


async def test_probes(client: httpx.AsyncClient) -> None:
    """Connectors test credentials at /auth, clients find their region."""
    assert (await client.get("/auth", auth=TRACK)).json() == {}
    region = (await client.get("/api/v1/accounts/region", auth=TRACK)).json()
    assert region["url"] == "signals.example.test"
    assert region["region"] == "us"
    assert isinstance(region["environment_id"], int)


async def test_the_browser_library_learns_our_host_and_sends_no_figures_about_itself(client: httpx.AsyncClient) -> None:
    """Without `apiHost` it would post to Customer.io; without the sample rate its metrics would go there."""
    answer = await client.get(f"/v1/projects/{KEY}/settings", auth=None)
    settings = answer.json()
    assert settings["metrics"] == {"sampleRate": 0}
    ours = {"apiKey": KEY, "apiHost": "signals.example.test/v1", "protocol": "http"}
    assert settings["integrations"]["Customer.io Data Pipelines"] == ours
    assert answer.headers["access-control-allow-origin"] == "*"
    check_error(await client.get("/v1/projects/wrong/settings"), 404)


async def test_the_public_address_counts_in_the_settings(journal: Journal) -> None:
    """Behind a proxy that ends TLS, browsers are sent to the public address."""
    app = application(journal, public_url="https://track.shop.test")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.1") as browser:
        settings = (await browser.get(f"/v1/projects/{KEY}/settings")).json()
    host = settings["integrations"]["Customer.io Data Pipelines"]
    assert (host["apiHost"], host["protocol"]) == ("track.shop.test/v1", "https")


async def test_preflight(client: httpx.AsyncClient) -> None:
    """Browsers may send to the Pipelines addresses from any page, with the headers they ask for, and nowhere else."""
    ask = {
        "Origin": "https://shop.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-y",
    }
    answer = await client.request("OPTIONS", "/v1/batch", headers=ask)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization,x-y"
    assert "POST" in answer.headers["access-control-allow-methods"]
    secret = await client.request("OPTIONS", "/api/v2/batch", headers=ask)
    assert "access-control-allow-origin" not in secret.headers


async def test_compressed_bodies(client: httpx.AsyncClient, journal: Journal) -> None:
    """gzip, also of several members, and deflate are read; the journal holds them unzipped."""
    raw = json.dumps({"batch": [GOOD]}).encode()
    for packed, encoding in (
        (gzip.compress(raw), "gzip"),
        (gzip.compress(raw[:20]) + gzip.compress(raw[20:]), "GZIP"),
        (zlib.compress(raw), "deflate"),
    ):
        answer = await client.post("/v1/batch", content=packed, headers={"Content-Encoding": encoding})
        assert answer.status_code == 200
        assert journal.taken[-1][0].body == raw
    wrong = {"Content-Encoding": "gzip"}
    check_error(await client.post("/v1/batch", content=raw, headers=wrong), 400)
    check_error(await client.post("/v1/batch", content=gzip.compress(raw)[:-9], headers=wrong), 400)
    check_error(await client.post("/v1/batch", content=raw, headers={"Content-Encoding": "br"}), 415)


async def test_a_bomb_is_not_unpacked(client: httpx.AsyncClient, journal: Journal) -> None:
    """A small body that unzips to a large one is refused at the limit."""
    bomb = gzip.compress(b" " * (100 * BATCH_LIMIT))
    assert len(bomb) < BATCH_LIMIT
    check_error(await client.post("/v1/batch", content=bomb, headers={"Content-Encoding": "gzip"}), 413)
    assert journal.taken == []


async def test_bodies_have_a_limit(client: httpx.AsyncClient) -> None:
    """1 MB, told or found; the connection is closed because the rest is not read."""
    answer = await client.post("/v1/batch", content=b"x" * (BATCH_LIMIT + 1))
    check_error(answer, 413)
    assert answer.headers["connection"] == "close"

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    check_error(await client.post("/v1/batch", content=pieces()), 413)


async def test_a_store_that_fails_is_503(client: httpx.AsyncClient, journal: Journal) -> None:
    """What is not durable is not acknowledged; the client is told when to come again."""
    journal.failing = 1
    answer = await client.post("/v1/track", json=GOOD)
    assert check_error(answer, 503)["code"] == "unavailable"
    assert int(answer.headers["retry-after"]) > 0
    journal.broken = True
    check_error(await client.post("/v1/track", json=GOOD), 503)
    assert journal.taken == []


async def test_overload_is_429_except_for_browsers(client: httpx.AsyncClient, journal: Journal) -> None:
    """Server libraries come again after Retry-After; a browser library takes any status for success, so it is let in."""
    journal.behind = 1
    answer = await client.post("/v1/track", json=GOOD)
    check_error(answer, 429)
    assert answer.headers["retry-after"] == "1"
    journal.behind = 1
    no_header: Any = None
    assert (await client.post("/v1/t", json={**GOOD, "writeKey": KEY}, auth=no_header)).status_code == 200


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.9", "1.1.1.1", "198.51.100.9"),
        ("10.0.0.5", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.5", "1.1.1.1, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.5", "203.0.113.7, 10.0.0.8", "203.0.113.7"),
        ("10.0.0.5", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.5", "1.1.1.1, nonsense", "10.0.0.5"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("::ffff:10.0.0.5", "[2001:db8::1]:80", "2001:db8::1"),
    ],
)
def test_whose_address_is_believed(peer: str, forwarded: str, expected: str) -> None:
    """X-Forwarded-For counts only from our own proxies, and only as far as they wrote it."""
    assert intake.Proxies(["10.0.0.0/8"]).client(peer, forwarded) == expected
    assert intake.Proxies([]).client(peer, forwarded) == peer.removeprefix("::ffff:")


async def test_the_browsers_address_is_kept(client: httpx.AsyncClient, journal: Journal) -> None:
    """Address and user agent of a browser's request stand in the journal and in the event."""
    await client.post("/v1/track", json=GOOD, headers={"User-Agent": "Mozilla/5.0 (X)", "X-Forwarded-For": "1.1.1.1"})
    received, reading = journal.taken[0]
    assert (received.client_ip, received.user_agent) == ("198.51.100.9", "Mozilla/5.0 (X)")
    assert reading.events[0].context == {"ip": "198.51.100.9", "userAgent": "Mozilla/5.0 (X)"}


async def test_the_journalled_request_reads_the_same_again(client: httpx.AsyncClient, journal: Journal) -> None:
    """Nothing the intake knew is missing from what it stores."""
    from signalpost.sources import read

    await client.post("/v1/batch", json={"batch": [GOOD, BAD]})
    await client.put("/api/v1/customers/a%2Fb%40c", json={"x": 1}, auth=TRACK)
    await client.post("/api/v1/segments/1/add_customers?id_type=email", json={"ids": []}, auth=TRACK)
    assert len(journal.taken) == 3
    for received, reading in journal.taken:
        assert read(received) == reading
