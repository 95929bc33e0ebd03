"""A server for the emulators: one port, a tidy end, and the means to drop a connection, which ASGI lacks.

signalpost platforms --port 8900
python -m signalpost.platforms --port 8900
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import struct
import threading
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from signalpost.platforms.app import DROP, create
from signalpost.platforms.settings import Settings

Ready = Callable[[str], None]


class DroppingProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which also lets the application drop the connection under a request."""

    def on_message_begin(self) -> None:
        """Begin a request, with the means to drop its connection in the scope."""
        super().on_message_begin()
        # uvicorn's type wants a dict as value; ASGI leaves it to whoever names the extension.
        self.scope["extensions"] = {DROP: self.drop}  # type: ignore[dict-item]

    def drop(self, hard: bool) -> None:
        """Close the connection: `hard` sends a reset, else what was written still goes out."""
        if not hard:
            self.transport.close()
            return
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            # Lingering for no time at all turns close into a reset (socket(7), SO_LINGER).
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Server(uvicorn.Server):
    """A uvicorn server that says when it is ready, and does not wait for requests that hang on purpose."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then say so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()

    def stop(self) -> None:
        """Ask the server to end at once; may be called from another thread."""
        self.should_exit = True
        self.force_exit = True


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """Bind `port` (0: any free one) and return the socket with the base URL it is reached by."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's algorithm off only for sockets that say they are
    # TCP; without it each answer waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    name = f"[{host}]" if ":" in host else host
    return listener, f"http://{name}:{listener.getsockname()[1]}"


def server(settings: Settings, *, ready: Callable[[], None]) -> Server:
    """Return a server for `settings` that is not yet running."""
    config = uvicorn.Config(
        create(settings),
        http=DroppingProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    return Server(config, ready=ready)


async def serve(settings: Settings, host: str = "127.0.0.1", port: int = 0, ready: Ready | None = None) -> None:
    """Serve until cancelled or signalled; `ready` is called once with the base URL."""
    listener, url = listen(host, port)
    running = server(settings, ready=lambda: ready(url) if ready is not None else None)
    task = asyncio.create_task(running.serve(sockets=[listener]))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        running.stop()
        await task
        raise
    finally:
        listener.close()


def run(settings: Settings, host: str = "127.0.0.1", port: int = 0, ready: Ready | None = None) -> None:
    """Serve until Ctrl-C or SIGTERM, then return."""
    before = None
    if threading.current_thread() is threading.main_thread():
        # uvicorn ends in good order on SIGTERM and then raises it again for the handler it found: this one.
        before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(settings, host, port, ready))
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
