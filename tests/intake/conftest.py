"""A real server on loopback, HTTP and TLS, with the intake in it and a journal that remembers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from msgspec import Struct

from signalpost.config import Server, Source, Workspace
from signalpost.errors import StoreError
from signalpost.events import Event
from signalpost.sources import Reading, Received
from signalpost.web import intake, tls

KEY, SITE, API_KEY = "CDP_WRITE_KEY", "SITE_ID", "TRACK_API_KEY"
REGIONAL_KEY = "sk_us_EXAMPLEKEY"
SHOP_SECRET, SIGNING_KEY = "example-client-secret", "cio-signing-key-example"


def workspace(**server: Any) -> Workspace:
    """A workspace with a source of every kind the intake serves."""
    return Workspace(
        workspace="glow",
        environment="test",
        currency="USD",
        order_value="net",
        country="US",
        sources={
            "web": Source(type="pipelines", write_key=KEY),
            "backend": Source(type="pipelines", write_key=REGIONAL_KEY),
            "cio": Source(type="track", site_id=SITE, api_key=API_KEY),
            "shop": Source(type="shopify", secret=SHOP_SECRET),
            "messages": Source(type="reporting", secret=SIGNING_KEY),
        },
        server=Server(**server),
    )


class Journal:
    """What was stored, and switches for a store that fails or a pipeline that is behind."""

    def __init__(self) -> None:
        self.taken: list[tuple[Received, Reading]] = []
        self.answers: list[tuple[str, str, int]] = []
        """(method, path, status) of every request, stored or not."""
        self.failing = 0
        """How many more times storing fails."""
        self.behind = 0
        """How many more times the pipeline is behind."""
        self.broken = False

    async def append(self, received: Received, reading: Reading) -> None:
        if self.broken:
            raise RuntimeError("something nobody thought of")
        if self.failing:
            self.failing -= 1
            raise StoreError("the disk is full")
        self.taken.append((received, reading))

    def overload(self) -> int | None:
        if self.behind:
            self.behind -= 1
            return 1
        return None

    @property
    def events(self) -> list[Event]:
        return [event for _, reading in self.taken for event in reading.events]


def application(journal: Journal, **server: Any) -> intake.Application:
    """The intake over a journal, as an ASGI application that also notes every answer."""
    inner = intake.create(workspace(**server), journal.append, journal.overload)

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                journal.answers.append((scope["method"], scope["path"], message["status"]))
            await send(message)

        await inner(scope, receive, told)

    return noted


class Running(Struct):
    """Where the server listens."""

    url: str
    port: int
    tls_port: int
    authority: Path
    """The file that makes a client trust the TLS port."""
    journal: Journal


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = tls.certificate(directory)
    journal = Journal()
    app: Any = application(journal)
    plain, secure = _listener(), _listener()
    common: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "proxy_headers": False}
    servers = [
        uvicorn.Server(uvicorn.Config(app, **common)),
        uvicorn.Server(
            uvicorn.Config(
                app, ssl_certfile=str(certificate), ssl_keyfile=str(key), ssl_version=ssl.PROTOCOL_TLS_SERVER, **common
            )
        ),
    ]

    async def serve() -> None:
        await asyncio.gather(servers[0].serve(sockets=[plain]), servers[1].serve(sockets=[secure]))

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not all(server.started for server in servers):
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    port, tls_port = plain.getsockname()[1], secure.getsockname()[1]
    yield Running(
        url=f"http://127.0.0.1:{port}", port=port, tls_port=tls_port, authority=directory / tls.AUTHORITY, journal=journal
    )
    for server in servers:
        server.should_exit = True
    thread.join(timeout=20)
    plain.close()
    secure.close()


@pytest.fixture
def server(_server: Running) -> Running:
    """The running server, its journal empty."""
    journal = _server.journal
    journal.taken.clear()
    journal.answers.clear()
    journal.failing = journal.behind = 0
    journal.broken = False
    return _server
