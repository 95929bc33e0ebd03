"""`signalpost send-test`, the real command against the emulators: is this destination right, in one sentence."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from signalpost.platforms.testing import Client

Send = Callable[..., subprocess.CompletedProcess[str]]

BOTH = ("tiktok", "pinterest")
WORKSPACE = """\
workspace: shop
environment: production
currency: EUR
country: DE
order_value: gross
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
    endpoint: {url}
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
    assert {"destination", "credentials", "credentials_sentence", "sent", "verdict", "sentence"} == set(answer)
    return answer


def uncounted(platforms: Client, destination: str, **query: str) -> dict[str, Any]:
    """What the platform received, of which nothing may count."""
    received = platforms.received(destination, **query)
    assert (0, 0) == (received["accepted"], received["distinct_ids"])
    return received


@pytest.mark.parametrize("destination", BOTH)
def test_a_good_destination_takes_the_test_and_does_not_count_it(send: Send, platforms: Client, destination: str) -> None:
    """With good credentials a purchase is accepted in the platform's test mode; nothing is received as real."""
    answer = told(send(destination, "--json"), 0)
    assert answer["credentials"] is True
    assert answer["verdict"] == "accepted"
    assert answer["sent"]["event_id"].startswith("signalpost-test-")
    outcomes = {seen["event_id"]: seen["outcome"] for seen in uncounted(platforms, destination, detail="true")["latest"]}
    assert "tested" == outcomes[answer["sent"]["event_id"]]
    assert set(outcomes.values()) <= {"tested", "refused"}, "the check of the credentials is no real event either"

    done = send(destination)
    assert (0, "") == (done.returncode, done.stderr)
    assert "Sent in test mode:" in done.stdout
    assert "Accepted: " in done.stdout.splitlines()[-1]
    assert uncounted(platforms, destination)["tested"] >= 2


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
    assert (False, None, None) == (answer["credentials"], answer["sent"], answer["verdict"])
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
    assert (True, "unknown") == (answer["credentials"], answer["verdict"])
    assert "broke" in answer["sentence"]


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
