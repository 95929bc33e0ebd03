"""A running console: the real application on a loopback port, on a real database, with a shop that fills it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from tests.store.shop import Shop, order, workspace

from signalpost.accounts import hashed
from signalpost.config import Workspace
from signalpost.delivery import Breaker
from signalpost.store import accounts
from signalpost.store.database import Connection, Database
from signalpost.web import app, intake
from signalpost.worker import Worker

PASSWORD = "four plain words here"


def now_ms() -> int:
    """The clock."""
    return time.time_ns() // 1_000_000


def entering(database: Database, role: str) -> str:
    """The secret of a link that signs in as somebody of this role, who is made when there is none yet."""

    def link(connection: Connection) -> str:
        email = f"{role}@shop.example"
        rows = connection.rows("user_by_email", email)
        if rows:
            return accounts.link(connection, "enter", rows[0][0], now_ms())
        user = accounts.add(connection, email=email, name=role.title(), role=role, password=hashed(PASSWORD), now=now_ms())
        return accounts.link(connection, "enter", user.id, now_ms())

    return database.submit(link).result()


class Running:
    """The console at `url`; `shop` fills its database."""

    def __init__(self, shop: Shop, worker: Worker, application: app.Application, url: str) -> None:
        self.shop, self.worker, self.application, self.url = shop, worker, application, url

    def enter(self, role: str = "admin") -> str:
        """An address that signs a browser in as somebody of this role."""
        return f"{self.url}/enter/{entering(self.shop.database, role)}"

    @contextmanager
    def client(self, *, signed_in: bool = False, role: str = "admin") -> Iterator[httpx.Client]:
        """An HTTP client that follows no redirects, with the cookie of somebody of this role when it shall be signed in."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=10) as client:
            if signed_in:
                assert client.get(self.enter(role)).status_code == 303
            yield client

    def fill(self) -> dict[str, int]:
        """Orders with every verdict there is, just now; gives an event's number for each."""
        now = now_ms()
        shop = self.shop
        numbers = {}
        for name in ("accepted", "warned", "refused", "unknown", "waiting"):
            numbers[name] = shop.say(order(f"m-{name}", f"A-{name}", now - 3_000), at=now - 2_000) << 16
            shop.process(now)
            if name != "waiting":
                for destination in shop.workspace.destinations:
                    shop.deliver(destination, now, verdict=name, reason=f"code_{name}", sentence=f"It was {name}.")
        breaker = Breaker(failures=3, since=now, until=now + 60_000, sentence="Pinterest is busy.")
        shop.deliver("pinterest", now, breaker, verdict=None, reason="busy", sentence="Busy.", due_at=now + 60_000)
        numbers["withheld"] = shop.say(order("m-again", "A-accepted", now), at=now) << 16
        numbers["repeat"] = shop.say(order("m-accepted", "A-accepted", now), {"type": "track", "event": 5}, at=now) << 16
        shop.process(now)
        return numbers


@contextmanager
def served(application: app.Application) -> Iterator[str]:
    """Serve on a free loopback port; gives the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(application, lifespan="off", log_config=None, proxy_headers=False, timeout_graceful_shutdown=5)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        application.stop()
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server did not end"


@contextmanager
def running(
    path: Path, chosen: Workspace | None = None, *, text: str | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Everything but the worker's loops: what happens is for the test to say. `text` is the workspace file."""
    database = Database(str(path / "signalpost.db"))
    shop = Shop(database, chosen or workspace(database.address))
    worker = Worker(database, shop.workspace)
    front = intake.create(shop.workspace, worker.append, worker.overload)
    file = path / "signalpost.yaml" if text is not None else None
    if file is not None and text is not None:
        file.write_text(text, "utf-8")
    application = app.create(
        workspace=shop.workspace, database=database, worker=worker, intake=front, file=file, text=text, environ=environ
    )
    with served(application) as url:
        yield Running(shop, worker, application, url)
    database.close()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Running]:
    """An empty console."""
    with running(tmp_path) as ready:
        yield ready
