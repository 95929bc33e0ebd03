from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost.config import duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("50ms", 50),
        ("90s", 90_000),
        ("15m", 900_000),
        ("24h", 86_400_000),
        ("7d", 604_800_000),
        ("2w", 1_209_600_000),
        ("1h30m", 5_400_000),
        ("1.5s", 1_500),
        ("0s", 0),
        (" 7d ", 604_800_000),
    ],
)
def test_durations_are_milliseconds(text: str, milliseconds: int) -> None:
    """A number and a unit, or several of them, add up to milliseconds."""
    assert milliseconds == duration(text)


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7 d", "7D", "1e3s", "99999d", "seven days", "7d!"])
def test_anything_else_is_refused(text: str) -> None:
    """What is no duration, or longer than a century, raises with a sentence."""
    with pytest.raises(ValueError, match="a duration is"):
        duration(text)


@given(st.text(max_size=20))
def test_no_text_does_anything_else(text: str) -> None:
    """Any text is a duration of nought or more, or a ValueError."""
    with contextlib.suppress(ValueError):
        assert duration(text) >= 0
