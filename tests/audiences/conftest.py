"""The emulators for these tests: one pair for the session, empty for each test, with the machine's clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from signalpost.platforms.settings import Settings
from signalpost.platforms.testing import Client, running


@pytest.fixture(scope="session")
def emulators() -> Iterator[Client]:
    """Both emulators, once for the session; ten people are enough for TikTok and three for Pinterest."""
    settings = Settings(tiktok_minimum=10, pinterest_minimum=3)
    with running(settings) as url, Client(url, settings) as client:
        yield client


@pytest.fixture
def platforms(emulators: Client) -> Iterator[Client]:
    """Both emulators, empty and without faults."""
    emulators.reset()
    yield emulators
    emulators.clear_faults()
