"""The checklist in the console: evidence kept with its moment, signed off, and shared with people without an account."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from tests.store.shop import RAW
from tests.web.conftest import Running, now_ms

from signalpost.doctor import keeping
from signalpost.doctor.keeping import Checkup
from signalpost.store import shares
from signalpost.web import pages
from signalpost.web.door import ATTEMPTS
from signalpost.web.routing import ANYONE

DAY = 86_400_000


def gone_through(console: Running, **changes: str) -> Checkup:
    """The checklists gone through without asking anybody; `changes` are states of checks at TikTok that a test wants."""
    found = asyncio.run(keeping.once(console.shop.database, console.shop.workspace, now_ms(), ask=False))
    if changes:
        checks = tuple(
            replace(each, state=changes[each.check]) if each.destination == "tiktok" and each.check in changes else each
            for each in found.checks
        )
        found = replace(found, checks=checks)
        console.shop.write(lambda connection: keeping.keep(connection, found))
    return found


def send(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Fill in a form of the page."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/checklist").text)
    assert found, "no form"
    return client.post(path, data={"csrf": found[1], **fields})


def shared(client: httpx.Client, **fields: str) -> str:
    """Make a link; gives its path."""
    answer = send(client, "/checklist/share", **{"subject": "", "days": "30", **fields})
    assert answer.status_code == 200, answer.text
    found = re.search(r"http://[^\"]*(/shared/[\w-]+)", answer.text)
    assert found
    return found[1]


def test_before_the_first_look_the_page_says_what_will_stand_there(console: Running) -> None:
    """Without any look the page and the data say so, and nobody waits for a platform."""
    with console.client(signed_in=True, role="viewer") as client:
        told = client.get("/checklist.json").json()
        assert (None, []) == (told["at"], told["sheets"])
        assert "Not gone through yet" in client.get("/checklist").text


def test_each_line_has_a_state_evidence_and_its_moment(console: Running) -> None:
    """The page has a sheet for each destination and one for the workspace, as many lines met as the data says."""
    console.fill()
    found = gone_through(console)
    with console.client(signed_in=True, role="viewer") as client:
        told = client.get("/checklist.json").json()
        page = client.get("/checklist").text
    assert found.at == told["at"]
    assert ["tiktok", "pinterest", ""] == [sheet["destination"] for sheet in told["sheets"]]
    for sheet in told["sheets"]:
        mine = [each for each in found.checks if each.destination == sheet["destination"]]
        assert (sum(each.state == "pass" for each in mine), len(mine)) == (sheet["met"], sheet["of"])
        assert f"{sheet['met']} of {sheet['of']} met" in page
        assert all(item["sentence"] and item["word"] for item in sheet["items"])
    for raw in RAW:
        assert raw not in page + json.dumps(told)


def test_the_measurement_plan_stands_beside_what_happened(console: Running) -> None:
    """Orders and accepted orders of a week are counted for each platform, repeats left out."""
    console.fill()
    gone_through(console)
    with console.client(signed_in=True) as client:
        told = client.get("/checklist.json").json()["plan"]["measured"]
    tiktok = next(each for each in told if each["destination"] == "tiktok")
    assert ("GBP", 5, "249.5", 2, "99.8") == tuple(
        tiktok[each] for each in ("currency", "orders", "value", "accepted", "accepted_value")
    )


def test_checking_now_keeps_what_the_platforms_answered(console: Running) -> None:
    """`Check now` goes through everything; what cannot be reached is told as such, and the audit knows who asked."""
    with console.client(signed_in=True, role="operator") as client:
        assert 303 == send(client, "/checklist/check").status_code
        told = client.get("/checklist.json").json()
    assert told["at"]
    account = next(item for item in told["sheets"][0]["items"] if item["check"] == "account")
    assert account["at"], "the platform was not asked"


def test_a_sign_off_keeps_the_lines_and_tells_what_changed(console: Running) -> None:
    """The latest sign-off stands with who, when and why, and later only lines that say something else are named."""
    console.fill()
    gone_through(console, tested="fail", account="pass")
    with console.client(signed_in=True, role="operator") as client:
        assert 422 == send(client, "/checklist/sign", destination="tiktok", note=" ").status_code
        assert 422 == send(client, "/checklist/sign", destination="snapchat", note="x").status_code
        assert 303 == send(client, "/checklist/sign", destination="tiktok", note="Compared a day").status_code
        before = client.get("/checklist.json").json()["sheets"][0]["signed"]
        gone_through(console, tested="pass", account="fail")
        after = client.get("/checklist.json").json()["sheets"][0]["signed"]
    assert ("Operator", "Compared a day", []) == (before["signoff"]["who"], before["signoff"]["note"], before["changed"])
    assert {("A test event arrives", "not met", "met", True), ("The right account is connected", "met", "not met", False)} == {
        (each["title"], each["was"], each["now"], each["better"]) for each in after["changed"]
    }
    assert ["operator@shop.example"] == [who for who, *_ in _audit(console, "signoff")]


def _audit(console: Running, what: str) -> list[tuple[Any, ...]]:
    def work(connection: Any) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = connection.raw.execute(
            "SELECT who, subject, note FROM audit WHERE what = ? ORDER BY id", (what,)
        ).fetchall()
        return rows

    return console.shop.database.look(work)


# ---- links -----------------------------------------------------------------------------------------------------------------


def test_a_link_opens_the_checklist_and_nothing_else(console: Running) -> None:
    """Whoever has the secret reads the sheets without an account: no menu, no form, no other page, no examples."""
    console.fill()
    gone_through(console)
    with console.client(signed_in=True, role="operator") as client:
        path = shared(client)
    with console.client() as stranger:
        answer = stranger.get(path)
        assert 200 == answer.status_code
        for absent in ("<nav", "<form", 'href="/signals', 'href="/destinations', "operator@shop.example", *RAW):
            assert absent not in answer.text, absent
        assert "noindex" in answer.headers["x-robots-tag"]
        assert "no-store" == answer.headers["cache-control"]
        told = stranger.get(f"{path}.json").json()
        assert [] == told["links"]
        assert all(not item["events"] for sheet in told["sheets"] for item in sheet["items"])
        for way in pages.WAYS:
            if way.role != ANYONE and "{" not in way.path and way.method == "GET":
                assert stranger.get(way.path).status_code in {303, 401}, way.path
    with console.client(signed_in=True, role="operator") as client:
        [link] = client.get("/checklist.json").json()["links"]
    assert link["seen_at"]
    assert path.rpartition("/")[2] not in json.dumps(link)


def test_a_link_of_one_destination_shows_that_one(console: Running) -> None:
    """A link of one platform tells nothing of the other."""
    console.fill()
    gone_through(console)
    with console.client(signed_in=True, role="operator") as client:
        path = shared(client, subject="pinterest")
    with console.client() as stranger:
        told = stranger.get(f"{path}.json").json()
    assert ["pinterest", ""] == [sheet["destination"] for sheet in told["sheets"]]
    assert {"pinterest"} == {each["destination"] for each in told["plan"]["measured"]}


def test_a_link_ends_by_time_and_by_hand(console: Running) -> None:
    """A withdrawn link opens nothing, nor does one that is too old."""
    gone_through(console)
    with console.client(signed_in=True, role="operator") as client, console.client() as stranger:
        path = shared(client)
        [link] = client.get("/checklist.json").json()["links"]
        assert 200 == stranger.get(path).status_code
        assert 303 == send(client, f"/checklist/share/{link['id']}/remove").status_code
        assert 404 == stranger.get(path).status_code
        assert [] == client.get("/checklist.json").json()["links"]
        now = now_ms()
        secret, _ = console.shop.write(
            lambda connection: shares.make(connection, what="checklist", subject="", who="x", now=now - DAY, lasts=DAY - 1)
        )
        assert 404 == stranger.get(f"/shared/{secret}").status_code


def test_guessing_links_is_slowed_down(console: Running) -> None:
    """After some wrong secrets an address must wait, even with a right one; who is signed in is not held up elsewhere."""
    gone_through(console)
    with console.client(signed_in=True, role="operator") as client, console.client() as stranger:
        path = shared(client)
        assert {404} == {stranger.get(f"/shared/wrong-{number}").status_code for number in range(ATTEMPTS)}
        assert 429 == stranger.get(path).status_code
        assert 200 == client.get("/checklist").status_code


@pytest.mark.parametrize("act", ["check", "sign", "share", "share/1/remove"])
def test_viewers_only_read(console: Running, act: str) -> None:
    """A viewer sees no links and may neither check, sign nor share."""
    gone_through(console)
    with console.client(signed_in=True, role="viewer") as client:
        page = client.get("/checklist").text
        assert 'action="/checklist' not in page
        assert [] == client.get("/checklist.json").json()["links"]
        assert 403 == client.post(f"/checklist/{act}", data={"note": "x", "destination": "tiktok"}).status_code
