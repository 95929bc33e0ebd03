"""`signalpost plan` on a real database, as a command and as values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import msgspec
import pytest
from tests.laws.flow import HOUR, Flow, Said, guarded, request

from signalpost import config
from signalpost.destinations import CATALOG
from signalpost.processing import now_ms
from signalpost.proposals import Comparison, compare
from signalpost.store import batches
from signalpost.store.database import Database

FILE = """\
workspace: laws
environment: production
currency: USD
order_value: gross
country: US
database: signalpost.db
sources:
  web: {type: pipelines, write_key: web-key}
destinations:
  tiktok: {type: tiktok, pixel: CDEMOPIXEL0000000001, access_token: "${TOKEN}", website: "https://shop.example"}
"""

ENVIRON = {"TOKEN": "demo"}

MAPPED = FILE.replace("website:", "events: {Checkout Started: InitiateCheckout}, website:")
OTHER = FILE.replace('"https://shop.example"', '"https://shop.example", properties: {description: properties.note}')


def bought(place: int, **properties: object) -> Said:
    return "web", {
        "type": "track",
        "event": "Order Completed",
        "messageId": f"m-{place}",
        "userId": f"u{place}",
        "context": {"traits": {"email": f"ann{place}@shop.example"}, "ip": "203.0.113.9", "userAgent": "Mozilla/5.0"},
        "properties": {"order_id": f"o{place}", "total": 10 + place, **properties},
    }


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a workspace file and the database of three purchases of this hour."""
    (tmp_path / "signalpost.yaml").write_text(FILE)
    workspace = config.load(tmp_path / "signalpost.yaml", ENVIRON, CATALOG)
    database = Database(workspace.database)
    flow = Flow(database, workspace)
    at = now_ms() - HOUR
    for place in (1, 2, 3):
        source, message = bought(place, note="call ann@shop.example")
        received = request(source, [message], at + place)
        flow.write(partial(batches.append, received=received, messages=1))
    flow.process(now=at)
    database.close()
    return tmp_path


def plan(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from signalpost.cli import main; main()", "plan", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env={"PATH": os.environ["PATH"], **ENVIRON}, timeout=60, check=False
    )


def test_the_present_file_changes_nothing(shop: Path) -> None:
    """Planning the present file says that nothing would change."""
    done = plan(shop, "signalpost.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing would change: 3 events of the last 7 days" in done.stdout


def test_an_event_taken_out_is_told_with_its_value(shop: Path) -> None:
    """Purchases that no longer go out are counted, with their value, as a table and as JSON."""
    (shop / "new.yaml").write_text(MAPPED)
    done = plan(shop, "new.yaml", "--since", "36h")
    assert done.returncode == 0
    assert "3 signals would become something else, of 3 events" in done.stdout
    assert "36.00 USD" in done.stdout
    found = json.loads(plan(shop, "new.yaml", "--json").stdout)
    assert not found["same"]
    cells = {(each["event"], each["reason"]): (each["before"], each["after"]) for each in found["cells"]}
    assert cells == {("Order Completed", ""): (3, 0), ("Order Completed", "not_mapped"): (0, 3)}


def test_a_changed_field_is_shown_masked(shop: Path) -> None:
    """Examples have the fields that differ, and nothing of a person in them as it was said."""
    (shop / "new.yaml").write_text(OTHER)
    done = plan(shop, "new.yaml", "--json")
    found = msgspec.json.decode(done.stdout, type=Comparison)
    assert found.examples_of == 3
    assert [field.path for field in found.examples[0].fields] == ["properties.description"]
    assert found.examples[0].fields[0].before is None
    assert "ann" not in done.stdout


@pytest.mark.parametrize("arguments", [("nowhere.yaml",), ("signalpost.yaml", "--since", "soon")])
def test_what_cannot_be_followed_is_said(shop: Path, arguments: tuple[str, ...]) -> None:
    """A file that is not there, or no span of time, is a misuse."""
    done = plan(shop, *arguments)
    assert done.returncode == 2
    assert done.stderr


def test_progress_is_told_and_the_database_only_read(address: str) -> None:
    """Progress ends with everything, and a comparison leaves the store as it was."""
    database = Database(address)
    flow = Flow(database, guarded())
    flow.run([bought(place) for place in range(1, 6)])
    before = flow.world()
    told: list[tuple[int, int]] = []
    found = compare(
        address, guarded(), guarded(gates=()), since=0, until=1 << 50, progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (5, 5)
    assert found.events == 5
    assert flow.world() == before
    database.close()
