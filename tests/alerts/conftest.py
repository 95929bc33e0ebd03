from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler


class Webhook:
    """A real HTTP server on loopback that keeps what it is sent and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if outer.status == 200:
                    outer.received.append(json.loads(body))
                self.send_response(outer.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.port = self._server.server_address[1]
        self.address = f"json://hook:geheim-hook@127.0.0.1:{self.port}/in/T0KEN"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Letters(MessageHandler):
    """What a mail server took."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.received.append(message)


class MailServer:
    """A real SMTP server on loopback."""

    def __init__(self) -> None:
        self._letters = Letters()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._controller = Controller(self._letters, hostname="127.0.0.1", port=port)
        self._controller.start()
        self.address = f"mailto://127.0.0.1:{port}?from=signalpost@glow.example&to=team@glow.example&mode=insecure"

    @property
    def received(self) -> list[Message]:
        return self._letters.received

    def close(self) -> None:
        self._controller.stop()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A receiver of webhooks."""
    server = Webhook()
    yield server
    server.close()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A receiver of mail."""
    server = MailServer()
    yield server
    server.close()
