"""What `serve` decides before anything listens: who may have the database, and how the first admin comes in."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from signalpost import serve
from signalpost.config import Server, Source, Workspace
from signalpost.errors import SignalpostError


def test_one_process_holds_an_embedded_database(tmp_path: Path) -> None:
    """While one holds it another is refused with a sentence; afterwards it is free."""
    address = str(tmp_path / "signalpost.db")
    with serve.only_one(address):
        with pytest.raises(serve.AlreadyRunning, match="already served"), serve.only_one(address):
            raise AssertionError("two hold it")
        with serve.only_one(str(tmp_path / "another.db")):
            pass
    with serve.only_one(address):
        pass


def test_the_folder_of_the_database_is_made(tmp_path: Path) -> None:
    """A database in a folder that does not exist yet can be held, as it can be opened."""
    with serve.only_one(str(tmp_path / "new" / "folder" / "signalpost.db")):
        pass


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    """Where no lock can be made there is a sentence, not a traceback."""
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SignalpostError, match="cannot be"), serve.only_one(str(tmp_path / "file" / "signalpost.db")):
        pass


@pytest.mark.parametrize("address", ["postgresql://db.example/shop", "postgres://db.example/shop", "host=db.example dbname=shop"])
def test_postgresql_may_be_served_by_several(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However its address is written: no lock, and no file of that name."""
    monkeypatch.chdir(tmp_path)
    with serve.only_one(address), serve.only_one(address):
        pass
    assert [] == list(tmp_path.iterdir())


async def test_what_could_not_start_leaves_nothing_running(tmp_path: Path) -> None:
    """A port in use: the database is let go of, no task and no thread goes on, and the next start works."""
    import socket

    def workspace(port: int) -> Workspace:
        return Workspace(
            workspace="shop",
            environment="production",
            currency="USD",
            order_value="gross",
            country="US",
            sources={"web": Source(type="pipelines", write_key="web-key")},
            database=str(tmp_path / "signalpost.db"),
            server=Server(port=port),
        )

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SignalpostError, match="Address already in use"):
        async with serve.serving(workspace(taken.getsockname()[1]), environ={}, state=tmp_path):
            raise AssertionError("it listens")
    assert {asyncio.current_task()} == asyncio.all_tasks()
    assert [] == [thread.name for thread in threading.enumerate() if thread.name.startswith("store-")]
    async with serve.serving(workspace(0), environ={}, state=tmp_path) as running:
        assert running.url.startswith("http://127.0.0.1:")
