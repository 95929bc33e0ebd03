"""The emulators as a server: what they tell about themselves, the bench mode, starting and stopping."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalpost.platforms.app import create
from signalpost.platforms.faults import NAMES, FaultRequest
from signalpost.platforms.received import Seen
from signalpost.platforms.serve import serve
from signalpost.platforms.settings import Settings
from signalpost.platforms.testing import Client, pinterest_event, running, tiktok_event

NOW = 1_795_305_600
AT = NOW - 60


def test_the_first_page_tells_everything_needed(platforms: Client) -> None:
    """`GET /` names every address, token and id, as JSON and for a browser as a page."""
    content = platforms.http.get("/").json()
    assert content["tiktok"]["access_token"] == "demo-tiktok-token"
    assert content["tiktok"]["pixels"] == ["CDEMOPIXEL0000000001"]
    assert content["pinterest"]["ad_account_id"] == "549755885175"
    assert content["tiktok"]["events"].startswith(platforms.url)
    page = platforms.http.get("/", headers={"Accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert "demo-tiktok-token" in page.text


def test_received_can_be_asked_in_detail(platforms: Client) -> None:
    """`/received` filters by platform, event and id, and shows the last events as they came."""
    platforms.track(tiktok_event("a", at=AT), tiktok_event("b", at=AT, event="Search"))
    platforms.create(pinterest_event("a", at=AT), pinterest_event("b", at=AT, event_name="nope"))
    both = platforms.http.get("/received").json()
    assert both["tiktok"]["accepted"] == 2
    assert both["pinterest"]["refused"] == 1
    assert "pinterest" not in platforms.http.get("/received?platform=tiktok").json()
    one = platforms.received("tiktok", event="Search", detail="true")
    assert list(one["events"]) == ["Search"]
    assert [seen["event"]["event_id"] for seen in one["latest"]] == ["b"]
    found = platforms.received("tiktok", event_id="a", detail="true")
    assert found["accepted_ids"] == [{"event_name": "Purchase", "event_id": "a", "at": NOW * 1000}]
    assert found["latest"][0]["event"] == tiktok_event("a", at=AT)
    assert platforms.received("tiktok", event_id="none")["accepted_ids"] == []
    last = platforms.received("pinterest", detail="true", limit="1")["latest"]
    assert [(seen["event_id"], seen["outcome"]) for seen in last] == [("b", "refused")]
    for mistake in ("platform=meta", "limit=x"):
        assert platforms.http.get(f"/received?{mistake}").status_code == 400
    assert platforms.http.get("/received/ids?platform=meta").status_code == 400
    timed = platforms.http.get("/received/ids?times=true").json()
    assert timed["pinterest"] == [["checkout", "a", NOW * 1000]]


def test_the_clock_moves_freezes_and_follows(platforms: Client) -> None:
    """The emulators' clock can be set, advanced, frozen and given back to the machine."""
    assert platforms.set_clock(now_ms=1000, frozen=True) == 1000
    assert platforms.set_clock(advance_ms=500) == 1500
    assert platforms.set_clock() == 1500
    assert platforms.set_clock(frozen=False) >= 1500
    assert platforms.http.delete("/control/clock").json()["now_ms"] > NOW
    assert platforms.http.post("/control/clock", json={"now": 1}).status_code == 400


@pytest.fixture(scope="module")
def cheap() -> Any:
    with running(Settings(cheap=True)) as url, Client(url, Settings(cheap=True)) as client:
        yield client


def test_the_bench_mode_counts_like_the_strict_one(cheap: Client) -> None:
    """Bench mode looks at names and ids only, and counts, deduplicates and lists ids the same."""
    cheap.reset()
    strange: dict[str, Any] = {"anything": ["goes"]}
    for _ in range(2):
        assert cheap.track(*[tiktok_event(str(n)) | strange for n in range(50)]).json()["code"] == 0
        answer = cheap.create(*[pinterest_event(str(n)) | strange for n in range(50)]).json()
        assert answer["num_events_processed"] == len(answer["events"]) == 50
    cheap.create(pinterest_event("off", action_source="offline"), pinterest_event("off", action_source="offline"))
    cheap.track(tiktok_event("t"), test_event_code="TEST1")
    cheap.create(pinterest_event("t"), query="?test=true")
    tiktok, pinterest = cheap.received("tiktok"), cheap.received("pinterest")
    assert (tiktok["accepted"], tiktok["deduplicated"], tiktok["tested"]) == (50, 50, 1)
    assert (pinterest["accepted"], pinterest["deduplicated"], pinterest["tested"]) == (52, 50, 1)
    assert cheap.ids("tiktok") == {("Purchase", str(n)) for n in range(50)}
    assert cheap.ids("pinterest") == {("checkout", str(n)) for n in range(50)} | {("checkout", "off")}


def test_the_bench_mode_still_guards_its_doors(cheap: Client) -> None:
    """Bench mode checks tokens, ids, sizes and what it decodes, and carries out faults."""
    cheap.reset()
    assert cheap.track(tiktok_event(), token="wrong").json()["code"] == 40105
    assert cheap.track(tiktok_event(), event_source_id="C").json()["code"] == 40001
    assert cheap.track(*[tiktok_event()] * 1001).json()["code"] == 40061
    assert cheap.track(tiktok_event(5)).json()["code"] == 40002
    assert cheap.create(pinterest_event(), token="wrong").status_code == 401
    assert cheap.create(*[pinterest_event()] * 1001).status_code == 400
    assert cheap.create(pinterest_event(5)).status_code == 400
    cheap.fault("partial", event_ids=["b"])
    assert cheap.track(tiktok_event("a"), tiktok_event("b")).json()["code"] == 40002
    told = cheap.create(pinterest_event("a"), pinterest_event("b")).json()
    assert [each["status"] for each in told["events"]] == ["processed", "failed"]
    assert cheap.ids("tiktok") == set()
    assert cheap.ids("pinterest") == {("checkout", "a")}


def test_the_package_runs_as_a_command() -> None:
    """`python -m signalpost.platforms` picks a port, prints one line, and ends cleanly on SIGTERM and Ctrl-C."""
    for stop in (signal.SIGTERM, signal.SIGINT):
        command = [sys.executable, "-m", "signalpost.platforms", "--json", "--tiktok-token", "mine"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            described = json.loads(process.stdout.readline())
            assert described["tiktok"]["access_token"] == "mine"
            with Client(described["url"]) as client:
                assert client.track(tiktok_event(), token="mine").json()["code"] == 0
                client.fault("reset", times=1)
                with pytest.raises(httpx.TransportError):
                    client.create(pinterest_event())
            process.send_signal(stop)
            _, errors = process.communicate(timeout=30)
            assert errors == ""
            assert process.returncode == 0


async def test_serving_can_be_cancelled() -> None:
    """`serve` says when it is ready, stops when cancelled, and frees its port."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(Settings(), ready=ready.set_result))
    url = await asyncio.wait_for(ready, 30)
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/received")).status_code == 200
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(httpx.ConnectError):
        await asyncio.to_thread(httpx.get, url)


async def test_another_server_says_that_it_cannot_drop_connections() -> None:
    """Where the server cannot reach the connection, a reset is an honest 501 rather than an answer."""
    app = create()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://emulators") as client:
        await client.post("/control/faults", json={"fault": "reset"})
        answer = await client.post("/open_api/v1.3/event/track/", json={})
    assert answer.status_code == 501


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
PATHS = st.sampled_from(["user", "user_data", "properties", "custom_data", "event_time", "event_id", "page", "data", "contents"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=PATHS, value=ANY_JSON, whole=st.booleans())
def test_no_body_breaks_the_emulators(platforms: Client, field: str, value: Any, whole: bool) -> None:
    """Whatever JSON comes, the platforms answer in their own forms, never with an error of ours."""
    tiktok = value if whole else tiktok_event(at=AT) | {field: value}
    pinterest = value if whole else pinterest_event(at=AT) | {field: value}
    taken = platforms.track(tiktok)
    assert taken.status_code == 200
    assert set(taken.json()) == {"code", "message", "request_id", "data"}
    created = platforms.create(pinterest)
    assert created.status_code in {200, 400}
    assert platforms.http.get("/received?detail=true").status_code == 200


def test_settings_are_printable_and_stable() -> None:
    """The defaults are the same at every start, so that a workspace file can name them."""
    assert msgspec.to_builtins(Settings()) == msgspec.to_builtins(Settings())
    assert Settings().tiktok_token == "demo-tiktok-token"
    assert Settings().pinterest_token.startswith("pina_demo")


def test_every_fault_and_field_is_documented(platforms: Client) -> None:
    """Every fault, option and field of `/received` stands in the documentation."""
    docs = Path(__file__).parents[2] / "docs"
    how_to = (docs / "how-to/use-the-emulators.md").read_text(encoding="utf-8")
    reference = (docs / "reference/emulators.md").read_text(encoding="utf-8")
    for name in (*NAMES, *FaultRequest.__struct_fields__):
        assert f"`{name}`" in how_to, name
    fields = platforms.received("tiktok", event_id="a", detail="true")
    for name in (*fields, *Seen.__struct_fields__):
        assert f"`{name}`" in reference, name


def test_the_documented_first_request_is_answered_as_documented(platforms: Client) -> None:
    """The how-to's curl request gets the answer printed beneath it."""
    event = {
        "event": "Purchase",
        "event_time": AT,
        "event_id": "order-1",
        "page": {"url": "https://shop.example/thanks"},
        "user": {"email": "jane@example.com"},
    }
    answer = platforms.track(event).json()
    how_to = (Path(__file__).parents[2] / "docs/how-to/use-the-emulators.md").read_text(encoding="utf-8")
    assert f'{{"code":{answer["code"]},"message":"{answer["message"]}",' in how_to


def test_the_emulators_know_nothing_of_our_mapping() -> None:
    """The emulators import nothing of Signalpost but its error tree: a mistake of ours cannot hide in them."""
    package = Path(__file__).parents[2] / "src/signalpost/platforms"
    imported = {
        module
        for source in package.glob("*.py")
        for module in re.findall(r"^\s*(?:from|import) (signalpost[.\w]*)", source.read_text("utf-8"), re.MULTILINE)
    }
    assert {name for name in imported if not name.startswith("signalpost.platforms")} == {"signalpost.errors"}
