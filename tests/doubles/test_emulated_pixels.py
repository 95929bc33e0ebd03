"""`POST /pixel` of the emulators: what a browser's pixel reports goes through the platform's deduplication."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from signalpost.platforms.testing import Client, running, tiktok_event

MINUTE = 60_000


@pytest.fixture(scope="module")
def platforms() -> Iterator[Client]:
    """Both emulators."""
    with running() as url, Client(url) as client:
        yield client


def sent(platforms: Client, **report: Any) -> dict[str, Any]:
    """What became of one call of the pixel."""
    answer = platforms.http.post("/pixel", json={"platform": "tiktok", "event": "Purchase", **report})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_repeat_of_the_pixel_is_dropped_and_never_merged(platforms: Client) -> None:
    """Two copies from one side are a repeat; merging is between the sides."""
    platforms.reset()
    assert (sent(platforms, event_id="a")["outcome"], sent(platforms, event_id="a")["outcome"]) == ("accepted", "deduplicated")
    assert sent(platforms, event_id="a")["reason"] is None


def test_without_an_id_every_call_counts(platforms: Client) -> None:
    """What carries no id cannot be compared with anything."""
    platforms.reset()
    assert [sent(platforms)["outcome"] for _ in range(2)] == ["accepted", "accepted"]
    assert platforms.received("tiktok")["accepted"] == 2


def test_the_pixel_s_copy_merges_into_the_server_s_too(platforms: Client) -> None:
    """Whichever side was first: within five minutes the second is merged, and what the first one said it was worth stands."""
    platforms.reset()
    platforms.set_clock(now_ms=1_795_305_600_000, frozen=True)
    assert platforms.track(tiktok_event("b", at=1_795_305_600, properties={"value": 10, "currency": "USD"})).json()["code"] == 0
    told = sent(platforms, event_id="b", properties={"value": 99, "currency": "USD"})
    assert (told["outcome"], told["reason"]) == ("deduplicated", "merged into the first copy")
    platforms.set_clock(advance_ms=5 * MINUTE)
    assert sent(platforms, event_id="b")["reason"] is None
    assert platforms.received("tiktok")["value"] == {"USD": "10"}


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"platform": "meta", "event": "Purchase"}', b'{"platform": "tiktok", "event": 1}']
)
def test_what_is_no_report_is_a_sentence(platforms: Client, body: bytes) -> None:
    """A mistake in a test's own stub is told, not counted."""
    answer = platforms.http.post("/pixel", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
