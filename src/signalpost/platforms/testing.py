"""The emulators inside a test: a real server on a loopback port, in a thread of the test's process.

with running(Settings()) as url:
    httpx.post(f"{url}/control/faults", json={"platform": "tiktok", "fault": "rate_limit", "times": 2})
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from signalpost.platforms.serve import listen, server
from signalpost.platforms.settings import Settings


@contextmanager
def running(settings: Settings | None = None, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Run both emulators for the length of the block and give their base URL, without a trailing slash."""
    listener, url = listen(host, port)
    up = threading.Event()
    running_server = server(settings or Settings(), ready=up.set)

    def work() -> None:
        try:
            asyncio.run(running_server.serve(sockets=[listener]))
        finally:
            up.set()

    thread = threading.Thread(target=work, name="platform emulators", daemon=True)
    thread.start()
    try:
        if not up.wait(30) or not running_server.started:
            raise RuntimeError("the platform emulators did not start")
        yield url
    finally:
        running_server.stop()
        thread.join(10)
        listener.close()
