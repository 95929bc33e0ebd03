"""The console over real HTTP: nobody's data out, and every page with its data."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from pathlib import Path

import httpx
import pytest
from tests.store.shop import RAW, order, workspace
from tests.web.conftest import Running, now_ms, running

from signalpost.web import intake, pages
from signalpost.web.app import is_intake
from signalpost.web.door import HEADERS
from signalpost.web.pages.health import Pulse

PAGES = ("/", "/signals", "/signals?verdict=withheld&reason=duplicate_order", "/find?q=A-accepted", "/find?q=nothing")


INLINE = re.compile(r'<script(?![^>]*src="/static/| type="application/json">)|<style|\sstyle="|\son[a-z]+="')
"""What the content security policy forbids."""


def twin(page: str) -> str:
    path, _, query = page.partition("?")
    return ("/index" if path == "/" else path) + ".json" + (f"?{query}" if query else "")


def test_every_page_has_its_data(console: Running) -> None:
    """Each page names a `.json` twin that answers with the same facts."""
    numbers = console.fill()
    with console.client(signed_in=True) as client:
        for page in (*PAGES, *(f"/signals/{number}" for number in numbers.values())):
            shown = client.get(page, follow_redirects=True)
            assert (shown.status_code, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
            linked = re.search(r'rel="alternate" type="application/json" href="([^"]+)"', shown.text)
            assert linked, page
            data = client.get(linked.group(1).replace("&amp;", "&"))
            assert (data.status_code, data.headers["content-type"]) == (200, "application/json"), page
            assert data.json()
        front = client.get("/index.json").json()
        html = client.get("/").text
        for flow in front["overview"]["flows"]:
            assert flow["platform"] in html
            for verdict, number in flow["verdicts"].items():
                assert re.search(rf'v-{flow["destination"]}-{verdict}"[^<]*>{verdict}</a> <b>{number}</b>', html)


def test_no_page_shows_anybodys_data(console: Running) -> None:
    """No e-mail, phone, name, street, full IP address, access token or write key is in any page or its data."""
    numbers = console.fill()
    shown = [*PAGES, "/login", "/healthz", *(f"/signals/{number}" for number in numbers.values())]
    with console.client(signed_in=True) as client:
        for page in shown:
            for address in (page, twin(page)):
                answer = client.get(address, follow_redirects=True)
                text = answer.text.lower()
                for raw in RAW:
                    assert raw.lower() not in text, (address, raw)


def test_what_a_source_says_is_text_never_markup(console: Running) -> None:
    """Names and ids that look like HTML are shown as they are written."""
    evil = "<script>alert(1)</script>"
    console.shop.say(order(evil, f'"><img src=x>{evil}', now_ms(), event=evil), at=now_ms())
    console.shop.process(now_ms())
    with console.client(signed_in=True) as client:
        for page in ("/", "/signals", f"/find?q={evil}", "/signals/65536"):
            text = client.get(page, follow_redirects=True).text
            assert "<script>alert" not in text, page
            assert "<img src=x" not in text, page
        assert "&lt;script&gt;" in client.get("/signals/65536").text


def test_every_answer_is_sealed(console: Running) -> None:
    """Every answer of the console forbids inline scripts, framing and guessing of types; pages are kept nowhere."""
    numbers = console.fill()
    with console.client(signed_in=True) as client:
        for page in (*PAGES, f"/signals/{numbers['refused']}", "/nothing", "/login", "/healthz", "/static/console.css"):
            answer = client.get(page)
            for name, value in HEADERS.items():
                assert answer.headers[name] == value, (page, name)
            if not page.startswith("/static"):
                assert answer.headers["cache-control"] == "no-store"
            assert not INLINE.search(answer.text), page
        assert "'unsafe" not in HEADERS["content-security-policy"]
        assert "frame-ancestors 'none'" in HEADERS["content-security-policy"]


def test_what_a_page_loads_is_there(console: Running) -> None:
    """Every style, script and picture that a page names is served by the console itself, to be kept for good."""
    with console.client(signed_in=True) as client:
        for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get("/").text):
            answer = client.get(address)
            assert answer.status_code == 200, address
            assert "immutable" in answer.headers["cache-control"]
        assert client.get("/static/vendor/htmx-2.0.11.LICENSE.txt").status_code == 200
        assert client.get("/static/../app.py").status_code in {303, 404}


def test_an_empty_console_says_what_to_do(console: Running) -> None:
    """Before the first event the front page shows the request that sends one, to this very address, without the key."""
    with console.client(signed_in=True) as client:
        text = client.get("/").text
        assert "Nothing has arrived yet" in text
        assert f"curl {console.url}/v1/track" in text
        assert "No signal yet" in client.get("/signals").text
        assert "Nothing by that id" in client.get("/find?q=zzz").text


def test_the_request_of_the_empty_page_works(console: Running) -> None:
    """What the empty page tells to send is taken by intake and becomes a signal for each destination."""
    with console.client(signed_in=True) as client:
        text = client.get("/").text
        body = re.search(r"-d (?:'|&#39;)(\{.*?\n\})(?:'|&#39;)", text, re.DOTALL)
        assert body
        sent = json.loads(body.group(1).replace("&#34;", '"'))
        (key,) = (source.write_key for source in console.shop.workspace.sources.values() if source.type == "pipelines")
        answer = client.post("/v1/track", json=sent, auth=(str(key), ""))
        assert answer.status_code == 200
        console.shop.process(now_ms())
        (latest,) = client.get("/index.json").json()["latest"]
        assert {mark["verdict"] for mark in latest["marks"]} == {"waiting"}


def test_a_search_with_one_answer_goes_straight_to_the_story(console: Running) -> None:
    """An id that names one event leads to its page; one that names several to a list; none to advice."""
    numbers = console.fill()
    with console.client(signed_in=True) as client:
        assert client.get("/find", params={"q": "m-refused"}).headers["location"] == f"/signals/{numbers['refused']}"
        assert client.get("/find", params={"q": str(numbers["repeat"])}).headers["location"] == f"/signals/{numbers['repeat']}"
        several = client.get("/find", params={"q": "A-accepted"})
        assert several.status_code == 200
        assert f"/signals/{numbers['withheld']}" in several.text


@pytest.mark.parametrize("path", ["/signals/1", "/signals/99999999999999999999999", "/signals/abc", "/nothing"])
def test_what_is_not_there_is_a_sentence(console: Running, path: str) -> None:
    """An address that leads nowhere is answered with 404 and a sentence, as a page and as JSON."""
    with console.client(signed_in=True) as client:
        answer = client.get(path)
        assert (answer.status_code, "There is no such" in answer.text) == (404, True)
        data = client.get(f"{path}.json")
        assert data.status_code == 404
        assert data.json()["error"].startswith("There is no such")


def test_a_page_that_fails_is_a_page(console: Running) -> None:
    """When the store fails, a page says so as a page that asks it nothing more, and data as data."""
    with console.client(signed_in=True) as client:
        console.shop.database.submit(lambda connection: connection.script("DROP TABLE sessions")).result()
        for path in ("/", "/signals?verdict=refused"):
            failed = client.get(path)
            assert (failed.status_code, failed.headers["content-type"]) == (500, "text/html; charset=utf-8")
            assert "<h1>This page failed." in failed.text
            data = client.get(twin(path))
            assert (data.status_code, data.json()) == (500, {"error": "This page failed. The server's log says why."})


def test_intake_is_not_behind_the_console(console: Running) -> None:
    """Every address of the intake goes to it; the console's own never do."""
    for endpoint in intake.ENDPOINTS:
        sample = re.sub(r"\(\?:([a-z_]+)[^)]*\)", r"\1", endpoint.pattern.pattern).replace("[^/]+", "x").replace("/?", "")
        sample = sample.replace("(", "").replace(")", "").replace("\\", "")
        assert is_intake(sample), sample
    assert not any(is_intake(way.path) for way in pages.WAYS)
    with console.client() as client:
        assert client.post("/v1/track", json={}).status_code == 401
        assert client.get("/v1/nothing").status_code in {404, 405}


def test_health_is_for_anyone_and_tells_nothing_else(console: Running) -> None:
    """The health check needs no account and holds no figure; it fails when the store does."""
    console.fill()
    with console.client() as client:
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "store": True, "pipeline": True})
        console.worker.failing = "The disk is full."
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()["status"]) == (503, "failing")


def test_a_pipeline_that_stands_still_is_unhealthy() -> None:
    """The pipeline moves while its queue is empty or its oldest request changes; a minute with the same one is a stall."""
    pulse = Pulse()
    assert pulse.moves(7, 0)
    assert pulse.moves(7, 59_000)
    assert not pulse.moves(7, 60_000)
    assert pulse.moves(8, 61_000)
    assert pulse.moves(None, 500_000)
    assert pulse.moves(9, 500_000)


def test_the_live_page_is_pushed_what_changed(console: Running) -> None:
    """A watcher hears the picture at once, and again when something happened; nothing personal is in it."""
    heard: list[str] = []
    seen = threading.Event()

    def watch() -> None:
        with console.client(signed_in=True) as client, client.stream("GET", "/live") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for line in stream.iter_lines():
                heard.append(line)
                if "A-accepted" in line:
                    seen.set()

    def watched() -> None:
        with contextlib.suppress(httpx.HTTPError):
            watch()

    thread = threading.Thread(target=watched, daemon=True)
    thread.start()
    console.fill()
    assert seen.wait(20)
    text = "\n".join(heard)
    assert "event: flows" in text
    assert "event: latest" in text
    assert not [raw for raw in RAW if raw.lower() in text.lower()]
    console.application.stop()
    thread.join(10)
    assert not thread.is_alive(), "stopping lets the watchers go"


def test_a_workspace_without_destinations_or_sources_has_a_page(tmp_path: Path) -> None:
    """The console of a workspace with nothing in it says what to add."""
    bare = workspace(str(tmp_path / "signalpost.db"), sources={}, destinations={})
    with running(tmp_path, bare) as console, console.client(signed_in=True) as client:
        text = client.get("/").text
        assert "No destination yet" in text
        assert "There is no source yet" in text
