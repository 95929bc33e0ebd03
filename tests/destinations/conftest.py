"""What the platforms themselves say a request is: their descriptions, as validators that share no code with the mapping."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

Complaints = Callable[[str, dict[str, Any]], list[str]]

_FOLDER = files("signalpost.platforms")


def _pinterest() -> Draft202012Validator:
    description = json.loads((_FOLDER / "pinterest-v5-events.json").read_text())
    return Draft202012Validator({**description, "$ref": "#/components/schemas/ConversionEvents"})


def _tiktok() -> Draft202012Validator:
    description = json.loads((_FOLDER / "tiktok-events.json").read_text())
    return Draft202012Validator({"$defs": description["$defs"], "$ref": "#/$defs/web"}, format_checker=FormatChecker())


_PINTEREST = _pinterest()
_TIKTOK = _tiktok()


def _complaints(platform: str, event: dict[str, Any]) -> list[str]:
    """What a platform's description has against one event object; empty when nothing."""
    if platform == "pinterest":
        found = [str(error.message) for error in _PINTEREST.iter_errors({"data": [event]})]
        required = {"event_name", "action_source", "event_time", "event_id", "user_data"}
        return found + [f"{name} is missing" for name in required - event.keys()]
    if platform == "tiktok":
        return [str(error.message) for error in _TIKTOK.iter_errors(event)]
    return []  # the shop's own tools: what Customer.io takes of a person's event is any object


@pytest.fixture(scope="session")
def complaints() -> Complaints:
    """(platform, event object) -> what the platform's description has against it."""
    return _complaints
