"""The checklists, on a real database of each kind and as a command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.findings.watched import DAY, HOUR, MINUTE, NOW, Watched, order, tracked, with_destination, workspace

from signalpost import doctor
from signalpost.config import Workspace
from signalpost.doctor import CHECKS, Checked
from signalpost.options import Alerts, Measurement, Pixel
from signalpost.platforms.testing import Client, running
from signalpost.processing import now_ms
from signalpost.store import rollouts
from signalpost.store.database import Connection, Database

ITEMS = [{"product_id": "p1", "price": 100, "quantity": 1}]
SHOP = {
    "measurement": Measurement(primary="Shopify orders", success="20 % cheaper purchases", checked="weekly, by Ana"),
    "alerts": Alerts(to={"team": "json://127.0.0.1:9"}),
}


def examined(watched: Watched, now: int = NOW + 2_000) -> dict[tuple[str, str], Checked]:
    """(destination, check) -> its line."""
    evidence = watched.database.look(lambda connection: doctor.gather(connection, watched.workspace, now))
    return {(each.destination, each.check): each for each in doctor.examine(watched.workspace, evidence)}


def healthy(database: Database) -> Watched:
    """A shop that does everything right and has traffic."""
    destinations = {name: with_destination(name, pixel=Pixel())[name] for name in ("tiktok", "pinterest")}
    watched = Watched(database, workspace(destinations=destinations, **SHOP))
    watched.say("shop", [order(number, products=ITEMS, phone=f"+1415555{number:04}") for number in range(20)])
    for name in ("Checkout Started", "Product Added"):
        watched.say("web", [tracked(name, number, products=ITEMS, value=100, currency="USD") for number in range(20)])
    watched.answer()

    def try_out(connection: Connection) -> None:
        for name in destinations:
            connection.run("audit_add", NOW, "ana", "send-test", name, "accepted: The platform took the test event.")

    watched.write(try_out)
    return watched


def test_a_healthy_shop_passes_all_that_can_be_known(database: Database) -> None:
    """Nothing warns or fails; what needs audiences and journeys is not yet known; evidence has its age."""
    told = examined(healthy(database))
    states = {key: each.state for key, each in told.items()}
    assert {key for key, state in states.items() if state == "not yet known"} == {
        (name, check) for name in ("tiktok", "pinterest") for check in ("suppression", "windows")
    }
    assert {key: told[key].sentence for key, state in states.items() if state in {"warn", "fail"}} == {}
    arriving = told["tiktok", "arriving"]
    assert arriving.counts["purchases accepted"] == 20
    assert arriving.age_ms is not None
    assert 0 <= arriving.age_ms < HOUR


def test_evidence_grows_old(database: Database) -> None:
    """What was seen more than a week ago proves nothing: what passed on evidence is not yet known again."""
    watched = healthy(database)
    told = examined(watched, NOW + 9 * DAY)
    for check in ("arriving", "tested", "account"):
        line = told["tiktok", check]
        assert line.state == "not yet known"
        assert "9 days ago" in line.sentence
    assert told["tiktok", "events_mapped"].state == "pass", "the file is no older than today"
    assert {
        line.state for line in told.values() if line.check not in {"events_mapped", "dedupe_plan", "measurement", "alerts"}
    } == {"not yet known"}


def test_without_a_database_only_the_file_is_known() -> None:
    """Everything that needs evidence is not yet known, and nothing breaks."""
    chosen = workspace()
    told = doctor.examine(chosen, doctor.nothing(NOW))
    by = {(each.destination, each.check): each.state for each in told}
    assert by["tiktok", "events_mapped"] == "pass"
    assert by["", "measurement"] == "fail"
    assert by["", "alerts"] == "warn"
    rest = {check for (_, check), state in by.items() if state != "not yet known"}
    assert rest == {"events_mapped", "dedupe_plan", "measurement", "alerts"}
    assert len(told) == sum(len(chosen.destinations) if check.each else 1 for check in CHECKS)


def test_a_purchase_that_is_not_mapped_fails(database: Database) -> None:
    """Without the purchase the map fails; without the steps before it it warns."""
    for events, state in (({"Product Viewed": "ViewContent"}, "fail"), ({"Order Completed": "Purchase"}, "warn")):
        watched = Watched(database, workspace(destinations=with_destination("tiktok", events=events)))
        assert examined(watched)["tiktok", "events_mapped"].state == state


def test_incomplete_purchases_fail(database: Database) -> None:
    """Purchases without order id, value or items fail, with what is missing and examples."""
    watched = Watched(database)
    watched.say("web", [order(number, products=ITEMS) for number in range(10)])
    watched.say("web", [order(f"v{number}", total=None, revenue=None) for number in range(5)])
    told = examined(watched)["tiktok", "purchase_complete"]
    assert told.state == "fail"
    assert "67 % have a value" in told.sentence
    assert "items" in told.advice
    assert told.events


def test_signals_that_name_nobody_fail(database: Database) -> None:
    """Purchases known by an address and a browser alone fail; a score that low warns."""
    watched = Watched(database)
    nameless = [order(number) for number in range(10)]
    for message in nameless:
        del message["properties"]["email"], message["userId"]
        message["anonymousId"] = message["messageId"]
    watched.say("web", nameless)
    watched.answer()
    told = examined(watched)
    assert told["tiktok", "identifiers"].state == "fail"
    assert "0.0 % of Order Completed" in told["tiktok", "identifiers"].sentence
    assert told["tiktok", "match_coverage"].state == "warn"


def test_refusals_and_late_signals(database: Database) -> None:
    """A platform that refuses fails the arrival; events told a day late fail the hour."""
    watched = Watched(database)
    watched.say("web", [order(number, at=NOW - DAY) for number in range(30)])
    watched.answer(lambda name, signal: ("refused", "40002") if name == "tiktok" else ("accepted", ""))
    told = examined(watched)
    assert told["tiktok", "arriving"].state == "fail"
    assert "40002" in told["tiktok", "arriving"].sentence
    assert told["pinterest", "in_time"].state == "fail"


def test_a_pixel_beside_the_server(database: Database) -> None:
    """Unsaid warns, none passes, own ids fail, shared ids pass once orders show it."""
    states = []
    for pixel in (None, Pixel(), Pixel(events=("Order Completed",)), Pixel(events=("Order Completed",), shares_id=True)):
        watched = Watched(database, workspace(destinations=with_destination("tiktok", pixel=pixel)))
        watched.clear()
        watched.say("web", [order(number) for number in range(10)])
        watched.answer()
        states.append(examined(watched)["tiktok", "dedupe_plan"].state)
    assert states == ["warn", "pass", "fail", "pass"]


def test_events_fired_twice(database: Database) -> None:
    """A second source that reports the same purchases warns that events are not defined once."""
    watched = Watched(database)
    for source in ("shop", "web"):
        watched.say(source, [order(number) for number in range(10)])
    told = examined(watched)["", "fired_once"]
    assert told.state == "warn"
    assert told.events


def test_a_test_event_that_was_refused(database: Database) -> None:
    """The last send-test on record counts, not an earlier one."""
    watched = Watched(database)

    def work(connection: Connection) -> None:
        for note in ("accepted: Taken.", "refused: TikTok does not know the pixel."):
            connection.run("audit_add", NOW, rollouts.ITSELF, "send-test", "tiktok", note)

    watched.write(work)
    told = examined(watched)["tiktok", "tested"]
    assert (told.state, told.age_ms) == ("fail", 2_000)
    assert "does not know the pixel" in told.sentence


# ---- the command and the platforms -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def platforms() -> Iterator[Client]:
    """Both emulators."""
    with running() as url, Client(url) as client:
        yield client


def reached(platforms: Client, token: str) -> Workspace:
    """A workspace whose destinations are the emulators."""
    settings = platforms.settings
    tiktok = {"pixel": settings.tiktok_pixels[0], "access_token": token, "website": "https://shop.example"}
    pinterest = {"ad_account": settings.pinterest_ad_account_id, "access_token": settings.pinterest_token}
    return workspace(
        destinations={
            "tiktok": with_destination("tiktok", settings=tiktok, endpoint=platforms.url)["tiktok"],
            "pinterest": with_destination("pinterest", settings=pinterest, endpoint=platforms.url)["pinterest"],
        }
    )


def test_asking_changes_nothing_and_tells_the_account(platforms: Client) -> None:
    """`--ask` passes with the right credentials, fails with wrong ones, and no event reaches a platform."""
    platforms.reset()
    for token, state in ((platforms.settings.tiktok_token, "pass"), ("wrong", "fail")):
        chosen = reached(platforms, token)
        answers = asyncio.run(doctor.ask(chosen, NOW))
        evidence = doctor.Evidence(figures=doctor.nothing(NOW).figures, answers=answers)
        told = {each.destination: each for each in doctor.examine(chosen, evidence) if each.check == "account"}
        assert told["tiktok"].state == state
        assert platforms.settings.tiktok_pixels[0] in told["tiktok"].sentence
        assert told["pinterest"].state == "pass"
    assert platforms.received("tiktok")["accepted"] == platforms.received("pinterest")["accepted"] == 0


FILE = """
workspace: doctor
environment: production
currency: USD
country: US
order_value: gross
sources: {{web: {{type: pipelines, write_key: k}}}}
{more}
destinations:
  tiktok: {{type: tiktok, pixel: CDEMOPIXEL0000000001, access_token: "${{TOKEN}}", website: "https://shop.example"}}
"""
PLAN = "measurement: {primary: Shopify orders, success: cheaper purchases, checked: weekly}"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, in the folder."""
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(folder), "TOKEN": "t"}
    command = [sys.executable, "-m", "signalpost", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environ, timeout=60, check=False)


def test_the_command_tells_and_fails(tmp_path: Path) -> None:
    """Exit code 1 with a failing check, 0 without; JSON has every check; no database is made by looking."""
    file = tmp_path / "signalpost.yaml"
    for more, code in (("", 1), (PLAN, 0)):
        file.write_text(FILE.format(more=more), "utf-8")
        told = run(tmp_path, "doctor", file.name, "--json")
        assert told.returncode == code
        answer = json.loads(told.stdout)
        assert sum(answer["counts"].values()) == len(answer["checks"]) == len(CHECKS)
        shown = run(tmp_path, "doctor", file.name)
        assert shown.returncode == code
        assert "What to do" in shown.stdout
        assert "Nothing has happened" in run(tmp_path, "findings", file.name).stdout
    assert [path.name for path in tmp_path.iterdir()] == ["signalpost.yaml"]


def test_findings_as_a_command(tmp_path: Path) -> None:
    """`findings` opens what is so, tells it with its worth and page, and `--json` gives the same."""
    file = tmp_path / "signalpost.yaml"
    file.write_text(FILE.format(more=PLAN), "utf-8")
    database = Database(str(tmp_path / "signalpost.db"))
    now = now_ms()
    watched = Watched(database, workspace(destinations={"tiktok": with_destination("tiktok")["tiktok"]}))
    watched.say("web", [order(number, at=now - MINUTE, total=0 if number % 2 else 118) for number in range(20)], now=now)
    watched.answer(now=now)
    database.close()
    told = run(tmp_path, "findings", file.name, "--json")
    assert told.returncode == 0
    found = {each["kind"]: each for each in json.loads(told.stdout)}
    assert found["junk_orders"]["share"] == "0.5000"
    assert found["junk_orders"]["open"]
    shown = run(tmp_path, "findings", file.name, "--all").stdout
    assert "Orders worth nothing are sent" in shown
    assert "docs/leaks/junk-orders.md" in shown
