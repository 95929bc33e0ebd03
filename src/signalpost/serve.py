"""`signalpost serve`: intake, senders and console in this process, the pipeline in a child, on one database."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import uvicorn
from msgspec import Struct

from signalpost import revising
from signalpost.applying import Standing
from signalpost.config import Server, Workspace, in_a_file
from signalpost.errors import SignalpostError
from signalpost.processing import collect_rarely, now_ms
from signalpost.store import accounts, owner
from signalpost.store.database import Connection, Database
from signalpost.web import tls
from signalpost.worker import Worker


class Serving(Struct, frozen=True, kw_only=True):
    """What is listening, for whoever started it."""

    url: str
    tls_url: str | None
    console: str
    """The console's address; while there is no user, the link that makes the first admin."""
    standing: Standing
    database: Database

    @property
    def worker(self) -> Worker:
        """The worker of the set-up in force."""
        return self.standing.worker


class AlreadyRunning(SignalpostError):
    """Another process serves this database."""


@contextlib.contextmanager
def only_one(address: str) -> Any:
    """Hold the embedded database for this process; raises `AlreadyRunning` when another one does."""
    if not in_a_file(address):
        yield
        return
    place = Path(address + ".lock")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock: IO[str] = place.open("w")
    except OSError as error:
        raise SignalpostError(f"The database {address} cannot be held: {error.strerror}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise AlreadyRunning(f"{address} is already served by another Signalpost; stop that one first.") from error
    try:
        yield
    finally:
        lock.close()


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling: one place stops everything, in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SignalpostError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def _uvicorn(application: Any, **extra: Any) -> _Server:
    return _Server(
        uvicorn.Config(
            application,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
            **extra,
        )
    )


@contextlib.asynccontextmanager
async def serving(
    workspace: Workspace, *, environ: Mapping[str, str], state: Path, file: Path | None = None
) -> AsyncIterator[Serving]:
    """Run everything while the block runs; `state` is the folder for what Signalpost makes itself (a certificate).

    `file` is the workspace file that `workspace` was read from with `environ`; without it the set-up cannot be changed here.
    On the way out: intake stops taking, the batch and requests in hand are finished, the rest waits in the database.
    """
    server = workspace.server
    async with contextlib.AsyncExitStack() as ending:  # whatever fails, all that was begun before it ends, the latest first
        ending.enter_context(only_one(workspace.database))
        database = Database(workspace.database)
        ending.push_async_callback(asyncio.to_thread, database.close)
        await database.write(lambda one: owner.claim(one, workspace.workspace, workspace.environment, now_ms()))
        text = None if file is None else await asyncio.to_thread(revising.in_file, file)
        listener = ending.enter_context(contextlib.closing(_listener(server.host, server.port)))
        secure = None
        if server.tls_port is not None:
            secure = ending.enter_context(contextlib.closing(_listener(server.host, server.tls_port)))
        standing = Standing(database, workspace, environ=environ, file=file, text=text)
        application = await standing.begin()
        ending.push_async_callback(standing.end)
        host = f"[{server.host}]" if ":" in server.host else server.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        servers = [(_uvicorn(application), listener)]
        tls_url = None
        if secure is not None:
            certificate, key = server.tls_certificate, server.tls_key
            if certificate is None or key is None:
                certificate, key = (str(each) for each in tls.certificate(state))
            tls_url = f"https://{host}:{secure.getsockname()[1]}"
            servers.append(
                (_uvicorn(application, ssl_certfile=certificate, ssl_keyfile=key, ssl_version=ssl.PROTOCOL_TLS_SERVER), secure)
            )
        running = [asyncio.create_task(each.serve(sockets=[socket_])) for each, socket_ in servers]
        try:
            while not all(each.started for each, _ in servers):
                await asyncio.sleep(0.01)
                for task in running:
                    if task.done():
                        task.result()
            yield Serving(
                url=url,
                tls_url=tls_url,
                console=await _way_in(database, (server.public_url or url).rstrip("/")),
                standing=standing,
                database=database,
            )
        finally:
            application.stop()  # live pages end, or they would hold the shutdown
            for each, _ in servers:
                each.should_exit = True
            await asyncio.gather(*running, return_exceptions=True)


def in_the_open(server: Server) -> bool:
    """Whether passwords of the console travel without encryption: others can reach it, and no proxy before it does TLS."""
    try:
        alone = server.host == "localhost" or ip_address(server.host).is_loopback
    except ValueError:
        alone = False
    return not alone and urlsplit(server.public_url or "").scheme != "https"


async def _way_in(database: Database, url: str) -> str:
    def first(connection: Connection) -> str:
        return "" if accounts.administered(connection) else accounts.link(connection, "first", 0, now_ms())

    secret = await database.write(first)
    return f"{url}/enter/{secret}" if secret else f"{url}/"


async def run(
    workspace: Workspace, *, environ: Mapping[str, str], state: Path, file: Path, announce: Callable[[Serving], None]
) -> None:
    """Serve the workspace of `file` until the process is asked to stop (SIGINT, SIGTERM)."""
    collect_rarely()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    async with serving(workspace, environ=environ, state=state, file=file) as now_serving:
        announce(now_serving)
        await stop.wait()
