"""What counts as marked a test, and that production refuses it on every way out."""

from __future__ import annotations

from typing import Any

import pytest

from signalpost.events import Event
from signalpost.gates import marked_test


def event(**parts: Any) -> Event:
    return Event(kind="track", source="web", message_id="m", time=0, received_at=0, name="Order Completed", **parts)


MARKED: list[dict[str, Any]] = [
    {"properties": {"test": True}},
    {"properties": {"test": "true"}},
    {"properties": {"test": "TRUE "}},
    {"properties": {"test": 1}},
    {"properties": {"test": "1"}},
    {"context": {"test": True}},
    {"properties": {"test_event_code": "TEST12345"}},
    {"context": {"test_event_code": "TEST12345"}},
    {"properties": {"environment": "staging"}},
    {"context": {"environment": "Staging"}},
    {"context": {"environment": "qa-eu"}},
    {"context": {"environment": "development"}},
    {"context": {"environment": "shop_test_2"}},
]
REAL: list[dict[str, Any]] = [
    {},
    {"properties": {"test": False}},
    {"properties": {"test": "false"}},
    {"properties": {"test": 0}},
    {"properties": {"test": None}},
    {"properties": {"test": {"name": "button colour"}}},
    {"properties": {"test": "B"}},
    {"properties": {"test_event_code": ""}},
    {"context": {"environment": "production"}},
    {"context": {"environment": "latest"}},
    {"context": {"environment": "contest"}},
    {"context": {"environment": {"name": "test"}}},
    {"traits": {"test": True}},
]


@pytest.mark.parametrize("parts", MARKED, ids=str)
def test_an_event_is_marked_as_a_test(parts: dict[str, Any]) -> None:
    """`test` said with yes, TikTok's code, or an environment that is not the real one, in properties or context."""
    assert marked_test(event(**parts))


@pytest.mark.parametrize("parts", REAL, ids=str)
def test_an_event_is_not_marked_as_a_test(parts: dict[str, Any]) -> None:
    """Anything else is real: an A/B test's name, an unknown environment, a person's trait."""
    assert not marked_test(event(**parts))
