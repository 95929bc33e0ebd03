"""Browser, pixel, hub and platform together: what the platform counts is what was foretold. Needs Chromium."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser
from tests.snippet.conftest import CHROMIUM, Site, until
from tests.web.conftest import now_ms

from signalpost.config import load
from signalpost.destinations import CATALOG
from signalpost.findings import predicted
from signalpost.platforms.testing import Client, running
from signalpost.store.database import Database
from signalpost.store.findings import gather

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt-get install chromium, or set CHROMIUM)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

WORKSPACE = """
workspace: glow
environment: production
currency: USD
country: US
order_value: gross
server: {{port: 0}}
sources:
  web: {{type: pipelines, write_key: shop-key}}
destinations:
  tiktok: {{type: tiktok, endpoint: {url}, pixel: {pixel}, access_token: ${{TIKTOK_TOKEN}}, linger: 5ms}}
  pinterest: {{type: pinterest, endpoint: {url}, ad_account: "{account}", access_token: ${{PINTEREST_TOKEN}}, linger: 5ms}}
"""

PIXELS = """<script>
function told(platform, event, event_id, properties) {
  fetch("EMULATORS/pixel", {method: "POST", mode: "no-cors", body: JSON.stringify({platform, event, event_id, properties})});
}
window.ttq = {track: (event, facts, more) => told("tiktok", event, more.event_id, facts)};
window.pintrk = (track, event, facts) => told("pinterest", event, facts.event_id, facts);
</script>"""


@contextmanager
def served(folder: Path, tokens: dict[str, str]) -> Iterator[str]:
    """`signalpost serve` on the folder's workspace; gives its address."""
    command = [sys.executable, "-m", "signalpost", "serve", "--json"]
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(folder), **tokens}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"].partition("?")[0].rstrip("/")
        finally:
            process.terminate()


def test_an_order_told_by_pixel_and_server_counts_once(tmp_path: Path, site: Site, browser: Browser) -> None:
    """Pixels and hub tell both platforms of one order: each counts one purchase of the right value, as predicted of it."""
    with running() as url, Client(url) as platforms:
        settings = platforms.settings
        text = WORKSPACE.format(
            url=url,
            pixel=settings.tiktok_pixels[0],
            account=settings.pinterest_ad_account_id,
        )
        (tmp_path / "signalpost.yaml").write_text(text, "utf-8")
        tokens = {"TIKTOK_TOKEN": settings.tiktok_token, "PINTEREST_TOKEN": settings.pinterest_token}
        with served(tmp_path, tokens) as hub:
            tag = f'<script src="{hub}/signalpost.js" data-write-key="shop-key" data-consent="granted"></script>'
            buy = (
                "<script>signalpost.identify('u-1', {email: 'jane.roe@example.com'});"
                "signalpost.track('Order Completed', {order_id: 'A-7', total: 49.9, currency: 'USD'});</script>"
            )
            site.pages["/whole"] = PIXELS.replace("EMULATORS", url) + tag + buy
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{site.url}/whole")

            def copies(platform: str) -> int:
                received = platforms.received(platform)
                return int(received["accepted"]) + int(received["deduplicated"])

            until(lambda: copies("tiktok") == copies("pinterest") == 2, "both copies at both platforms")
            context.close()
        for platform, name in (("tiktok", "Purchase"), ("pinterest", "checkout")):
            received = platforms.received(platform, detail="true")
            assert (received["accepted"], received["deduplicated"], received["value"]) == (1, 1, {"USD": "49.9"})
            assert platforms.ids(platform) == {(name, "A-7:order-completed")}
        merged = httpx.get(f"{url}/received", params={"platform": "tiktok", "detail": "true"}).json()["tiktok"]["latest"][0]
        assert merged["reason"] == "merged into the first copy"
    assert foretold(tmp_path, tokens) == {"tiktok": ("will_merge", "reported"), "pinterest": ("will_be_dropped", "reported")}


def foretold(folder: Path, tokens: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Destination -> what the findings foretell of the one order, from what the hub keeps of it."""
    workspace = load(folder / "signalpost.yaml", tokens, CATALOG)
    database = Database(workspace.database)
    try:
        figures = database.look(lambda connection: gather(connection, workspace, now_ms()))
    finally:
        database.close()
    (order,) = figures.orders
    told = {name: predicted(order, name, chosen) for name, chosen in workspace.destinations.items()}
    return {name: (each.verdict, each.evidence) for name, each in told.items() if each is not None}
