"""`signalpost audiences`: what it shows, what it begins anew, what it refuses; in processes of their own on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from signalpost import config
from signalpost.destinations import CATALOG
from signalpost.destinations.audiences import Held, Seen
from signalpost.processing import now_ms
from signalpost.store import audiences as store
from signalpost.store.database import Connection, Database

Run = Callable[..., CompletedProcess[str]]

FILE = """
workspace: glow
environment: production
currency: USD
country: US
order_value: net
timezone: Europe/Berlin
segments:
  buyers: {did: Order Completed, within: 14d}
audiences:
  - {segment: buyers, to: [tiktok, pinterest], use: suppress, ad_groups: ['268']}
destinations:
  tiktok: {type: tiktok, pixel: CPIXEL, access_token: "${TOKEN}", advertiser: '700'}
  pinterest: {type: pinterest, ad_account: '549755885175', access_token: "${TOKEN}", audience_token: "${TOKEN}"}
"""
ENVIRON = {"TOKEN": "demo"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace file with one audience at two destinations."""
    file = tmp_path / "shop.yaml"
    file.write_text(FILE, "utf-8")
    return file


@pytest.fixture
def kept(shop: Path) -> Path:
    """The same after a while: three people at TikTok, of whom one waits, and a lost audience at Pinterest."""
    now = now_ms()

    def write(connection: Connection) -> None:
        workspace = config.load(shop, ENVIRON, CATALOG)
        slots = {each.destination: each.slot for each in store.register(connection, workspace)}
        for person in (1, 2, 3):
            for slot in slots.values():
                connection.run("wanted_set", slot, person, 1, 0, 1, now - 90_000)
        tiktok, held = slots["tiktok"], Held(id="7100")
        for slot in slots.values():
            assert store.hold(connection, slot, "me", now=now, until=now + 60_000)
        connection.run("audience_named", "buyers | glow 123456", "stream", tiktok)
        store.made(connection, tiktok, "me", Held(), held, None, now)
        people = store.asked(connection, tiktok, 2)
        for each in people:
            connection.run("audience_key_set", tiktok, f"email:{each.person}", each.person, "adding", now)
        keys = [f"email:{each.person}" for each in people]
        base: dict[str, Any] = {"slot": tiktok, "keeper": "me", "held": held, "destination": "tiktok", "use": "suppress"}
        assert store.settle(connection, store.Settling(**base, taken=keys, done=people), now)
        assert store.settle(connection, store.Settling(**base, refused=["email:9"], sentence="Not hashed."), now)
        seen = Seen(name="buyers", status="not valid", size=2, usable=False, sentence="It has too few people.")
        store.seen(connection, tiktok, seen, [("268", "exclude")], now)
        store.made(connection, slots["pinterest"], "me", Held(), Held(id="254", list_id="12"), None, now)
        store.says(connection, slots["pinterest"], "me", Held(id="254", list_id="12"), "gone", "Somebody deleted it.")

    database = Database(str(shop.with_name("signalpost.db")))
    database.submit(write).result()
    database.close()
    return shop


@pytest.fixture
def told(run: Run) -> Callable[..., Any]:
    """Run a command and give the JSON it prints."""

    def asked(*arguments: str | Path) -> Any:
        found = run(*arguments, "--json", environ=ENVIRON)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)

    return asked


def test_before_anything_ran_the_file_is_told(told: Callable[..., Any], run: Run, shop: Path) -> None:
    """Without a database the list says what the file says, and `show` that nothing was kept yet."""
    found = told("audiences", "list", "--config", shop)
    assert [("buyers", "tiktok", "new", 0), ("buyers", "pinterest", "new", 0)] == [
        (each["audience"], each["destination"], each["state"], each["wanted"]) for each in found["audiences"]
    ]
    said = run("audiences", "show", "buyers", "--config", shop, environ=ENVIRON)
    assert "not kept yet" in said.stdout


def test_the_list_tells_ours_and_the_platforms(told: Callable[..., Any], run: Run, kept: Path) -> None:
    """Wanted, taken and waiting people are ours, size and pace the platform's; the clock runs from intake to taken."""
    found = told("audiences", "list", "--config", kept)
    tiktok, pinterest = found["audiences"]
    assert (3, 2, 1, 1) == (tiktok["wanted"], tiktok["acknowledged"], tiktok["pending"], tiktok["urgent"])
    assert (2, 1_000, "matched people") == (tiktok["size"], tiktok["needed"], tiktok["needed_is"])
    assert "gone" == pinterest["state"]
    assert 2 == found["clocks"]["tiktok"]["suppressed"]["count"]
    assert 80_000 < found["clocks"]["tiktok"]["suppressed"]["p50"] < 100_000
    said = run("audiences", "list", "--config", kept, environ=ENVIRON).stdout
    assert "2 of 1,000 needed (matched people)" in said
    assert "24 to 48 h" in said
    assert "waiting 1 (1 of them" in said
    assert "purchase to suppression p50" in said
    assert "signalpost audiences rebuild 'buyers' --at pinterest" in said


def test_show_tells_what_was_refused_and_who_uses_it(told: Callable[..., Any], run: Run, kept: Path) -> None:
    """Identifiers by state, refusals with their sentence, ad groups of the file and of the platform."""
    [found] = told("audiences", "show", "buyers", "--at", "tiktok", "--config", kept)
    assert {"there": 2} == found["identifiers"]
    assert [(True, "Not hashed.", 1)] == [(each[0], each[1], each[2]) for each in map(_values, found["listed"]["refusals"])]
    assert [["268", "exclude"]] == found["used_by"]
    said = run("audiences", "show", "buyers", "--config", kept, environ=ENVIRON).stdout
    assert "buyers | glow 123456" in said
    assert "would not add 1 identifiers" in said
    assert "268 (exclude)" in said


def _values(refusal: dict[str, Any]) -> list[Any]:
    return list(refusal.values())


def test_only_what_is_lost_is_rebuilt(told: Callable[..., Any], run: Run, kept: Path) -> None:
    """A lost audience begins anew with everybody who is wanted; one that is kept does not, since it would stand there twice."""
    database = Database(str(kept.with_name("signalpost.db")))
    refused = run("audiences", "rebuild", "buyers", "--at", "tiktok", "--config", kept, environ=ENVIRON)
    assert (2, True) == (refused.returncode, "not lost" in refused.stderr)
    done = told("audiences", "rebuild", "buyers", "--at", "pinterest", "--config", kept)
    assert {"audience": "buyers", "destination": "pinterest", "was": "gone", "wanted": 3} == done
    here = next(each for each in database.look(store.standings) if each.destination == "pinterest")
    assert ("new", Held()) == (here.state, here.held)
    assert 3 == database.look(store.figures)[here.slot].pending
    database.close()


def test_names_that_are_not_there_are_told(run: Run, kept: Path) -> None:
    """A misspelt audience or destination gets a sentence with the right one, and exit code 2."""
    wrong = partial(run, environ=ENVIRON)
    found = wrong("audiences", "show", "buyer", "--config", kept)
    assert (2, True) == (found.returncode, "`buyers`" in found.stderr)
    found = wrong("audiences", "rebuild", "buyers", "--at", "pintrest", "--config", kept)
    assert (2, True) == (found.returncode, "pinterest" in found.stderr)
