"""A shop's pages on one origin, the real hub on another, a real browser between them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.store.shop import WRITE_KEY
from tests.web.conftest import Running, now_ms, running

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 15.0

STUBS = """<script>
window.said = {tiktok: [], pinterest: []};
function loadPixels() {
  window.ttq = {track: function () { said.tiktok.push([].slice.call(arguments)); }};
  window.pintrk = function () { said.pinterest.push([].slice.call(arguments)); };
}
</script>"""
"""Both platforms' pixels as their base codes make them: functions that take calls; `loadPixels()` makes them."""


class Site:
    """The shop: pages by path, at `url`."""

    def __init__(self) -> None:
        pages: dict[str, str] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = pages.get(self.path.partition("?")[0])
                body = ("" if text is None else f"<!doctype html><title>Shop</title>{text}").encode()
                self.send_response(404 if text is None else 200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                pass

        self.pages = pages
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Another name than the hub's, so that the two are two sites to the browser.
        self.url = f"http://localhost:{self.server.server_port}"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The shop's web server."""
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join(10)
    made.server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, once a file: while it is open no other test may run an event loop."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Visit:
    """A visitor's browser at the shop, and what the hub then knows."""

    def __init__(self, hub: Running, site: Site, context: BrowserContext) -> None:
        self.hub, self.site, self.context = hub, site, context
        self.complaints: list[str] = []
        self.known = [site.url, hub.url]
        """Who may be asked for anything."""
        self.asked: list[str] = []
        context.on("request", lambda request: self.asked.append(request.url))
        self.page = self.new_page()

    def new_page(self) -> Page:
        """A tab whose script errors are kept."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE * 1_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def tag(self, **data: str | None) -> str:
        """The script tag with its attributes."""
        attributes: dict[str, str | None] = {
            "data-write-key": WRITE_KEY,
            **{f"data-{name.replace('_', '-')}": text for name, text in data.items()},
        }
        written = "".join(f' {name}="{text}"' for name, text in attributes.items() if text is not None)
        return f'<script src="{self.hub.url}/signalpost.js"{written}></script>'

    def go(self, script: str = "", *, path: str = "/", query: str = "", before: str = "", **data: str | None) -> Page:
        """Open a page of the shop with stub pixels, the tag, and a script of its own after it."""
        self.site.pages[path] = f"{STUBS}<script>{before}</script>{self.tag(**data)}<script>{script}</script>"
        self.page.goto(f"{self.site.url}{path}{query}")
        return self.page

    def said(self, platform: str, calls: int) -> list[Any]:
        """What a stub pixel was called with, once it was called so often."""
        self.page.wait_for_function(f"said.{platform}.length >= {calls}")
        told: list[Any] = self.page.evaluate(f"said.{platform}")
        assert len(told) == calls
        return told

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the hub's database."""
        connection = sqlite3.connect(self.hub.shop.database.address)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def messages(self, least: int) -> list[dict[str, Any]]:
        """What the hub has taken from this browser, once there is so much of it."""
        until(lambda: len(self.query("SELECT position FROM journal")) >= least, f"{least} messages at the hub")
        return [
            {**json.loads(body), "path": path} for body, path in self.query("SELECT body, path FROM journal ORDER BY position")
        ]

    def ledger(self) -> set[tuple[str, str, str]]:
        """(canonical event, destination, platform id) of everything that would be sent."""
        self.hub.shop.process(now_ms())
        rows = self.query(
            "SELECT e.name, l.destination, l.platform_id FROM ledger l JOIN events e ON e.id = l.event "
            "WHERE l.verdict = 'waiting'"
        )
        return {(name, destination, platform_id) for name, destination, platform_id in rows}


def until(happened: Callable[[], Any], what: str) -> None:
    """Wait for it; fails the test when it does not come."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


@pytest.fixture
def visit(tmp_path: Path, site: Site, browser: Browser) -> Iterator[Visit]:
    """A new visitor at the shop; no error may reach the page, and nobody but shop and hub may be asked for anything."""
    with running(tmp_path) as hub:
        context = browser.new_context()
        visitor = Visit(hub, site, context)
        yield visitor
        context.close()
        assert visitor.complaints == []
        assert [url for url in visitor.asked if not url.startswith(tuple(visitor.known))] == []


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Running]:
    """A hub without visitors."""
    with running(tmp_path) as ready:
        yield ready
