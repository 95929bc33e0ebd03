"""The emulators for these tests: one pair for the session, empty for each test, with the machine's clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from signalpost.platforms.testing import Client, running
from signalpost.store.database import Database


@pytest.fixture(scope="session")
def emulators() -> Iterator[Client]:
    """Both emulators, once for the session."""
    with running() as url, Client(url) as client:
        yield client


@pytest.fixture
def platforms(emulators: Client) -> Iterator[Client]:
    """Both emulators, empty and without faults."""
    emulators.reset()
    yield emulators
    emulators.clear_faults()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database: how a platform fails does not depend on the database."""
    opened = Database(str(tmp_path / "signalpost.db"))
    yield opened
    opened.close()
