"""`signalpost send-test`, the real command against the emulators: is this destination right, in one sentence."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signalpost.platforms.testing import Client
from signalpost.store import owner
from signalpost.store.database import Database

Send = Callable[..., subprocess.CompletedProcess[str]]

BOTH = ("tiktok", "pinterest")
WORKSPACE = """\
workspace: shop
environment: production
currency: EUR
country: DE
order_value: {definition}
{gates}
sources:
  web: {{type: pipelines, write_key: web-key}}
destinations:
  tiktok:
    type: tiktok
    endpoint: {url}
    pixel: {pixel}
    access_token: ${{TIKTOK_TOKEN}}
    {test_code}
  pinterest:
    type: pinterest
    {pinterest}endpoint: {url}
    ad_account: "{account}"
    access_token: ${{PINTEREST_TOKEN}}
"""


@pytest.fixture
def send(tmp_path: Path, platforms: Client) -> Send:
    """Run `signalpost send-test` in a folder whose workspace file is right, but for what is changed."""
    settings = platforms.settings

    def run(*arguments: str, tokens: dict[str, str] | None = None, **changes: str) -> subprocess.CompletedProcess[str]:
        right = {
            "url": platforms.url,
            "pixel": settings.tiktok_pixels[0],
            "account": settings.pinterest_ad_account_id,
            "test_code": "test_code: TEST12345",
            "definition": "gross",
            "gates": "",
            "pinterest": "",
        }
        (tmp_path / "signalpost.yaml").write_text(WORKSPACE.format(**{**right, **changes}), "utf-8")
        given = {"TIKTOK_TOKEN": settings.tiktok_token, "PINTEREST_TOKEN": settings.pinterest_token, **(tokens or {})}
        return subprocess.run(
            [sys.executable, "-m", "signalpost", "send-test", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **given},
            timeout=60,
            check=False,
        )

    return run


def told(done: subprocess.CompletedProcess[str], code: int) -> dict[str, Any]:
    """What the command printed as JSON; nothing else was printed, and it ended with this code."""
    assert (code, "") == (done.returncode, done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    assert {"destination", "credentials", "credentials_sentence", "passed", "checks", "sent"} == set(answer)
    assert answer["passed"] is (code == 0)
    return answer


def uncounted(platforms: Client, destination: str, **query: str) -> dict[str, Any]:
    """What the platform received, of which nothing may count."""
    received = platforms.received(destination, **query)
    assert (0, 0) == (received["accepted"], received["distinct_ids"])
    return received


@pytest.mark.parametrize("destination", BOTH)
def test_a_good_destination_takes_the_test_and_does_not_count_it(send: Send, platforms: Client, destination: str) -> None:
    """With good credentials a cart and a purchase are accepted in the platform's test mode; nothing is received as real."""
    answer = told(send(destination, "--json"), 0)
    assert answer["credentials"] is True
    assert [(sent["event"], sent["verdict"]) for sent in answer["sent"]] == [
        ("Product Added", "accepted"),
        ("Order Completed", "accepted"),
    ]
    latest = {seen["event_id"]: seen for seen in uncounted(platforms, destination, detail="true")["latest"]}
    for sent in answer["sent"]:
        received = latest[sent["request"]["event_id"]]
        assert ("tested", sent["request"]) == (received["outcome"], received["event"])
    assert {seen["outcome"] for seen in latest.values()} <= {"tested", "refused"}, "nor is the check of the credentials real"

    done = send(destination)
    assert (0, "") == (done.returncode, done.stderr)
    assert "Order Completed, sent in test mode:" in done.stdout
    assert "as the workspace file promises" in done.stdout.splitlines()[-1]
    assert uncounted(platforms, destination)["tested"] >= 4


def found(answer: dict[str, Any], event: str) -> dict[str, tuple[bool | None, str]]:
    """What was checked of an event: check -> (passed, sentence)."""
    return {check["what"]: (check["passed"], check["sentence"]) for check in answer["checks"] if check["event"] == event}


@pytest.mark.parametrize("destination", BOTH)
@pytest.mark.parametrize(("definition", "worth"), [("gross", "125"), ("net", "100")])
def test_what_was_sent_is_held_against_the_workspace_file(send: Send, destination: str, definition: str, worth: str) -> None:
    """Name, value, currency, order id, event id, time, items, keys, deduplication and the answer are each a check that passes."""
    answer = told(send(destination, "--json", definition=definition), 0)
    purchase, cart = found(answer, "Order Completed"), found(answer, "Product Added")
    title = {"tiktok": "TikTok", "pinterest": "Pinterest"}[destination]
    common = {"event name", "event id", "time", "value", "currency", "items", "match keys", f"{title}'s answer"}
    assert set(cart) == common
    assert set(purchase) == common | {"order id", "told twice"}
    assert {passed for passed, _ in (*cart.values(), *purchase.values())} == {True}
    assert purchase["value"][1] == f"{worth}, as promised."
    (note,) = [check for check in answer["checks"] if check["passed"] is None]
    assert "repeats nothing" in note["sentence"]


def test_a_rule_that_holds_the_purchase_back_fails_the_test(send: Send, platforms: Client) -> None:
    """What a gate withholds is said with the gate's own sentence, the exit code is 1; a cart that is not mapped is a note."""
    mapped = "events: {Order Completed: checkout}\n    "
    answer = told(
        send("pinterest", "--json", pinterest=mapped, gates="gates:\n- {reason: big orders, when: {order.value: {gt: 50}}}"), 1
    )
    (passed, sentence) = found(answer, "Order Completed")["sent at all"]
    assert passed is False
    assert sentence == "It is withheld (gate:big_orders): Your gate big_orders: order value is above 50."
    assert found(answer, "Product Added")["sent at all"][0] is None
    assert answer["sent"] == []
    assert 0 == uncounted(platforms, "pinterest", event="checkout")["tested"]


def test_a_property_of_ones_own_is_a_note(send: Send) -> None:
    """Where the workspace fills the value by itself, the definition promises nothing of it."""
    answer = told(send("pinterest", "--json", pinterest="properties: {value: properties.tax}\n    "), 0)
    assert found(answer, "Order Completed")["value"] == (
        None,
        "`properties` of this destination fills it from properties.tax: 15.",
    )


@pytest.mark.parametrize("destination", BOTH)
def test_what_the_purchase_makes_is_sent_too(send: Send, destination: str) -> None:
    """Events derived of the test person's order go out under their own mapped names and are answered each."""
    derived = "derived: {First Purchase: {nth_order: 1}, Subscription Started: {first: Order Completed}}"
    answer = told(send(destination, "--json", gates=derived), 0)
    assert {sent["event"] for sent in answer["sent"]} == {
        "Product Added",
        "Order Completed",
        "First Purchase",
        "Subscription Started",
    }
    assert found(answer, "First Purchase")["event name"][0] is True


def test_the_test_is_noted_for_the_checklist(send: Send, tmp_path: Path) -> None:
    """How each test ended, and what was wrong first, is a line of the audit in the workspace's database."""
    send("pinterest")
    send("tiktok", gates="gates:\n- {reason: big orders, when: {order.value: {gt: 50}}}")
    with contextlib.closing(sqlite3.connect(tmp_path / "signalpost.db")) as connection:
        rows = connection.execute("SELECT subject, note FROM audit WHERE what = 'send-test' ORDER BY id").fetchall()
    (pinterest, good), (tiktok, bad) = rows
    assert (pinterest, tiktok) == ("pinterest", "tiktok")
    assert good.startswith("accepted: ")
    assert bad.startswith("failed: Product Added, sent at all: It is withheld (gate:big_orders)")


def test_another_workspaces_database_is_not_written(send: Send, tmp_path: Path) -> None:
    """A test still runs where the database belongs to another workspace; that it is not noted is said."""
    with contextlib.closing(Database(str(tmp_path / "signalpost.db"))) as database:
        database.submit(lambda connection: owner.claim(connection, "shop", "test", 1)).result()
    done = send("pinterest", "--json")
    assert done.returncode == 0
    assert "belongs to the workspace shop (test)" in done.stderr


def test_a_paused_destination_can_be_tested(send: Send) -> None:
    """The pause says when to send, not what: the test goes out all the same. So it does where advertising needs consent."""
    answer = told(send("pinterest", "--json", pinterest="paused: true\n    ", gates="consent: {unknown: denied}"), 0)
    assert len(answer["sent"]) == 2


def test_a_refusal_of_the_platform_fails_the_test(send: Send, platforms: Client) -> None:
    """An event that the platform fails is a failed check with its sentence."""
    platforms.fault("partial", platform="pinterest", events=["checkout"])
    answer = told(send("pinterest", "--json"), 1)
    assert found(answer, "Order Completed")["Pinterest's answer"][0] is False


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("tiktok", {"tokens": {"TIKTOK_TOKEN": "wrong-token-of-tiktok"}}, "token"),
    ("tiktok", {"pixel": "CWRONG00000000000000"}, "pixel"),
    ("pinterest", {"tokens": {"PINTEREST_TOKEN": "wrong-token-of-pinterest"}}, "token"),
    ("pinterest", {"account": "549700000000"}, "account"),
]


@pytest.mark.parametrize(("destination", "wrong", "about"), WRONG, ids=[f"{each[0]} {each[2]}" for each in WRONG])
def test_what_is_wrong_is_said_in_one_sentence(
    send: Send, platforms: Client, destination: str, wrong: dict[str, Any], about: str
) -> None:
    """A wrong token, pixel or ad account: one line that says which, exit code 1, no secret in it, and nothing was sent."""
    done = send(destination, **wrong)
    assert (1, "") == (done.returncode, done.stderr)
    (line,) = done.stdout.splitlines()
    assert line.startswith("Credentials: ")
    assert about in line.lower()
    assert "wrong-token" not in line

    answer = told(send(destination, "--json", **wrong), 1)
    assert (False, [], []) == (answer["credentials"], answer["sent"], answer["checks"])
    assert 0 == uncounted(platforms, destination)["tested"]


@pytest.mark.parametrize("destination", BOTH)
def test_a_platform_that_is_not_there_is_one_sentence(send: Send, destination: str) -> None:
    """Nobody listens: one line, exit code 1, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    done = send(destination, url=nobody)
    assert (1, "") == (done.returncode, done.stderr)
    (line,) = done.stdout.splitlines()
    assert "could not be reached" in line


@pytest.mark.parametrize("destination", BOTH)
def test_a_platform_in_trouble_is_not_said_to_have_taken_it(send: Send, platforms: Client, destination: str) -> None:
    """A server error says nothing about credentials, so nothing is sent and the code is 1."""
    platforms.fault("status", platform=destination, status=500)
    done = send(destination)
    assert (1, "") == (done.returncode, done.stderr)
    (line,) = done.stdout.splitlines()
    assert "trouble of its own" in line
    assert 0 == uncounted(platforms, destination)["tested"]


def test_a_test_without_an_answer_does_not_blame_the_credentials(send: Send, platforms: Client) -> None:
    """The check went well and the connection broke on the test event: unknown, not wrong credentials."""
    platforms.fault("reset", platform="tiktok", scope="events")
    advertiser = platforms.settings.tiktok_advertiser_id
    answer = told(send("tiktok", "--json", test_code=f'test_code: TEST12345\n    advertiser: "{advertiser}"'), 1)
    assert answer["credentials"] is True
    assert {"unknown"} == {sent["verdict"] for sent in answer["sent"]}
    assert "broke" in answer["sent"][0]["sentence"]
    assert found(answer, "Order Completed")["TikTok's answer"][0] is False


def test_tiktok_needs_a_test_code(send: Send, platforms: Client) -> None:
    """Without `test_code` TikTok would count the test: a sentence says where to find one, and nothing is sent."""
    done = send("tiktok", test_code="")
    assert (1, "") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert "test_code" in line
    assert "Events Manager" in line
    received = uncounted(platforms, "tiktok")
    assert (0, 0) == (received["tested"], received["requests"])


def test_an_unknown_destination_is_told_the_nearest(send: Send) -> None:
    """A name that is not in the workspace: exit code 2 and the nearest that is."""
    done = send("tictok")
    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.strip() == "The workspace has no destination `tictok`. Did you mean `tiktok`?"
