"""One pair of emulators for all these tests; every test finds it empty, with its clock at NOW."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from signalpost.platforms.testing import Client, running

# Keep in step with the tests' own NOW: an import between test files is not possible here.
NOW = 1_795_305_600


@pytest.fixture(scope="session")
def server() -> Iterator[Client]:
    """Both emulators, once for the session."""
    with running() as url, Client(url) as client:
        yield client


@pytest.fixture
def platforms(server: Client) -> Client:
    """Both emulators, empty, without faults, their clock standing at NOW."""
    server.reset()
    server.set_clock(now_ms=NOW * 1000, frozen=True)
    return server
