"""`signalpost segments`: what it lists, explains, foretells and proves; in processes of their own on a real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from signalpost import backfill, config, memberships, pipeline, valuing
from signalpost.destinations import CATALOG
from signalpost.processing import now_ms
from signalpost.sources import Received
from signalpost.store import batches
from signalpost.store import memberships as stored
from signalpost.store.database import Connection, Database

Run = Callable[..., CompletedProcess[str]]

HOUR, DAY = 3_600_000, 86_400_000
FILE = """
workspace: glow
environment: production
currency: USD
country: US
order_value: net
timezone: Europe/Berlin
sources:
  web: {type: pipelines, write_key: web-key}
segments:
  cart: {all: [{last: Checkout Started, age: 6h..24h}, {did_not: Order Completed, since: Checkout Started}]}
  open_cart: {all: [{last: Checkout Started, age: ..7d}, {did_not: Order Completed, since: Checkout Started}]}
  buyers: {did: Order Completed}
  steps: {ladder: Checkout Started, until: Order Completed, tiers: [0h-6h reminder, 6h-24h proof, 1d-3d offer]}
"""
ANN, BEA = "ann@shop.example", "bea@shop.example"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace file with segments, and nothing that happened."""
    file = tmp_path / "shop.yaml"
    file.write_text(FILE, "utf-8")
    return file


def happened(shop: Path, *events: tuple[int, str, str]) -> None:
    """(ms ago, e-mail, event), oldest first: through the real pipeline, each received when it happened; then time up to now."""
    workspace = config.load(shop, {}, CATALOG)
    database = Database(workspace.database)
    now = now_ms()

    def write(connection: Connection) -> None:
        plan = pipeline.plan(workspace, stored.numbers(connection, workspace, now))
        while waiting := stored.backfills(connection):
            backfill.commit(connection, backfill.piece(connection, plan, waiting[0], now, now), now)
        plan = pipeline.plan(workspace, stored.known(connection, workspace))
        for number, (ago, email, name) in enumerate(events):
            at = datetime.fromtimestamp((now - ago) / 1000, UTC).isoformat()
            traits = {"context": {"traits": {"email": email}}, "properties": {"order_id": str(number), "total": 50}}
            message = {"type": "track", "event": name, "messageId": f"m{number}", "timestamp": at, "userId": email[:3], **traits}
            body = json.dumps({"batch": [message]}).encode()
            received = Received(source="web", wire="pipelines", method="POST", path="/v1/batch", body=body, received_at=now - ago)
            batches.append(connection, received, 1)
            made = pipeline.step(connection, plan, now - ago, 10)
            assert made is not None
            pipeline.commit(connection, made)
        due = stored.people_due(connection, now, 1000)
        batches.fire(connection, memberships.fired(due, now, plan, now))

    database.submit(write).result(60)
    database.close()


def listed(run: Run, *more: str) -> dict[str, Any]:
    done = run("segments", "list", "--config", "shop.yaml", "--json", *more)
    assert (done.returncode, done.stderr) == (0, "")
    return {each["segment"]: each for each in json.loads(done.stdout)}


def test_before_anything_happened_the_rules_are_listed(run: Run, shop: Path) -> None:
    """Without a database every segment is there with its sentence, and nothing is made up about its size."""
    found = listed(run)
    assert list(found) == ["cart", "open_cart", "buyers", "steps_reminder", "steps_proof", "steps_offer", "steps"]
    assert found["cart"]["sentence"].startswith("Checkout Started happened last ")
    assert {each["size"] for each in found.values()} == {None}
    assert not shop.with_name("signalpost.db").exists()


def test_the_list_counts_who_is_inside_and_who_moved(run: Run, shop: Path) -> None:
    """Sizes are those of the members, and the last day's changes are counted."""
    happened(shop, (7 * HOUR, ANN, "Checkout Started"), (2 * HOUR, BEA, "Checkout Started"), (HOUR, BEA, "Order Completed"))
    found = listed(run)
    assert {name: (each["size"], each["entered"], each["left"]) for name, each in found.items()} == {
        "cart": (1, 1, 0),
        "open_cart": (1, 2, 1),
        "buyers": (1, 1, 0),
        "steps": (1, 2, 1),
        "steps_reminder": (0, 2, 2),
        "steps_proof": (1, 1, 0),
        "steps_offer": (0, 0, 0),
    }
    assert all(each["ready"] for each in found.values())
    done = run("segments", "list", "--config", "shop.yaml")
    assert "cart  +1 −0 in 24 hours" in done.stdout
    shop.rename(shop.with_name("signalpost.yaml"))
    assert run("segments").stdout == done.stdout
    assert run("segments", "--json").stdout == run("segments", "list", "--json").stdout
    misplaced = run("segments", "--json", "list")
    assert (misplaced.returncode, "signalpost segments list --config FILE --json" in misplaced.stderr) == (2, True)


def test_bands_say_that_they_have_too_few_people(run: Run, shop: Path) -> None:
    """A band whose shares need more buyers than there are says so beneath its rule, with how many are needed."""
    tiers = "value_tiers:\n  worth: {names: [rest, top], quantiles: [90%]}\n"
    shop.write_text(shop.read_text("utf-8") + tiers, "utf-8")
    happened(shop, (HOUR, BEA, "Order Completed"))
    database = Database(str(shop.with_name("signalpost.db")))
    workspace = config.load(shop, {}, CATALOG)
    asyncio.run(valuing.once(database, workspace, now_ms()))
    database.close()
    found = listed(run)
    assert found["worth_top"]["problem"].startswith("1 person has a standing order, and these shares need 500")
    assert found["buyers"]["problem"] == ""
    assert "these shares need 500" in run("segments", "list", "--config", "shop.yaml").stdout


def test_a_changed_rule_is_not_ready(run: Run, shop: Path) -> None:
    """A rule that was changed in the file since is shown as being built, not with the old rule's size as if it were exact."""
    happened(shop, (7 * HOUR, ANN, "Checkout Started"))
    shop.write_text(shop.read_text("utf-8").replace("age: ..7d", "age: ..8d"), "utf-8")
    found = listed(run)
    assert (found["open_cart"]["ready"], found["cart"]["ready"]) == (False, True)
    done = run("segments", "forecast", "open_cart", "--config", "shop.yaml")
    assert done.returncode == 2
    assert "is being built" in done.stderr


@pytest.mark.parametrize("key", [ANN, "email: ANN@shop.example ", "ann", "user_id:ann"])
def test_a_person_is_found_by_whatever_is_known_of_them(run: Run, shop: Path, key: str) -> None:
    """By e-mail in any spelling, by customer id, by kind and value; and shown masked."""
    happened(shop, (7 * HOUR, ANN, "Checkout Started"))
    done = run("segments", "explain", "cart", key, "--config", "shop.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cart: inside since " in done.stdout
    assert "because time passed" in done.stdout
    assert "Leaves at " in done.stdout
    assert "because 24 hours have passed since Checkout Started (" in done.stdout
    assert ANN not in done.stdout
    assert "a…@s….example" in done.stdout


def test_an_explanation_names_the_event_that_took_somebody_out(run: Run, shop: Path) -> None:
    """Who bought is out by the order, and time alone changes nothing; also found by their number."""
    happened(shop, (3 * HOUR, BEA, "Checkout Started"), (HOUR, BEA, "Order Completed"))
    done = run("segments", "explain", "open_cart", BEA, "--config", "shop.yaml", "--json")
    [told] = json.loads(done.stdout)
    assert (told["explanation"]["inside"], told["since"], told["ready"]) == (False, None, True)
    assert (told["moved"]["entered"], told["moved"]["name"]) == (False, "Order Completed")
    assert told["explanation"]["changes_at"] is None
    again = run("segments", "explain", "open_cart", str(told["person"]), "--config", "shop.yaml")
    assert "open_cart: not inside; left at " in again.stdout
    assert f"by Order Completed (event {told['moved']['event']})" in again.stdout
    assert "Time alone changes nothing. Checkout Started or Order Completed may change that at any time." in again.stdout


def test_a_forecast_draws_who_enters_and_leaves(run: Run, shop: Path) -> None:
    """Nobody but those whom time moves is counted, each in their hour, and the size goes on from who is inside now."""
    happened(
        shop,
        (23 * HOUR + 30 * 60_000, ANN, "Checkout Started"),
        (5 * HOUR, BEA, "Checkout Started"),
        (60_000, "cid@shop.example", "Order Completed"),
    )
    done = run("segments", "forecast", "cart", "--hours", "30", "--config", "shop.yaml", "--json")
    found = json.loads(done.stdout)
    assert (found["size"], found["people"]) == (1, 2)
    assert sum(each["entered"] for each in found["steps"]) == 1
    assert sum(each["left"] for each in found["steps"]) == 2
    assert found["steps"][-1]["size"] == 0
    left = [each["start"] for each in found["steps"] if each["left"]]
    assert all(start % HOUR == 0 for start in left)
    assert left[1] - left[0] in (18 * HOUR, 19 * HOUR)
    drawn = run("segments", "forecast", "cart", "--hours", "30", "--config", "shop.yaml")
    assert "1 inside now. In the next 30 hours, if nothing happens, 1 enter and 2 leave; then 0 are inside." in drawn.stdout
    assert "█" in drawn.stdout


def test_history_tells_who_moved_and_why(run: Run, shop: Path) -> None:
    """Newest first, with the event or the passing of time."""
    happened(shop, (7 * HOUR, ANN, "Checkout Started"), (HOUR, ANN, "Order Completed"))
    done = run("segments", "history", "cart", "--config", "shop.yaml", "--json")
    found = json.loads(done.stdout)
    assert [(each["entered"], each["why"].partition(" (")[0]) for each in found] == [
        (False, "by Order Completed"),
        (True, "because time passed"),
    ]
    assert "left     person" in run("segments", "history", "cart", "--config", "shop.yaml").stdout


def test_tiers_are_proved(run: Run, shop: Path) -> None:
    """Every ladder is a set that is proved; with JSON for programs."""
    done = run("segments", "tiers", "--config", "shop.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ steps (proved): Nobody is in two of `steps_reminder`, `steps_proof` and `steps_offer`" in done.stdout
    [proof] = json.loads(run("segments", "tiers", "--config", "shop.yaml", "--json").stdout)
    assert (proof["tiers"], proof["holds"], proof["way"]) == ("steps", True, "proved")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("explain", "kart", ANN), "The workspace has no segment `kart`. Did you mean `cart`?"),
        (("forecast", "kart"), "The workspace has no segment `kart`. Did you mean `cart`?"),
        (("history", "kart"), "The workspace has no segment `kart`. Did you mean `cart`?"),
        (("forecast", "cart"), "Nothing has happened in this workspace yet: there is no signalpost.db."),
        (("forecast", "cart", "--hours", "0"), "Input should be greater than or equal to 1"),
        (("explain", "cart", "nobody@shop.example"), "Nobody is known by n…@s….example"),
        (("list", "--config", "nowhere.yaml"), "There is no workspace file nowhere.yaml."),
    ],
)
def test_what_cannot_be_followed_is_told(run: Run, shop: Path, arguments: tuple[str, ...], said: str) -> None:
    """Wrong names, wrong figures and missing files: exit code 2, the sentence on standard error, nothing on standard output."""
    file = () if "--config" in arguments else ("--config", "shop.yaml")
    done = run("segments", *arguments, *file)
    assert done.returncode == 2
    assert said in done.stderr.replace("/".join(shop.parts[:-1])[1:] + "/", "")
    assert done.stdout == ""
