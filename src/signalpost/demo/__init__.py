"""`signalpost demo`: a real shop's year of orders through everything, against the platform emulators, with a live picture.

The orders, cancellations, times and amounts are real; visitors, e-mails, click ids and carts around them are derived
(`samples/README.md` says how), and so is the dirt that the demo's gates, holds and findings are there for.

It begins with a past: twelve days of the shop go through pipeline and platforms first, at the hours at which they happened,
because a rollout, what is usual, a drop from it and who is in which window need days. Then audiences are begun, and the traffic
enters through the public HTTP intake like any client's.

    workspace   the demo's workspace file
    emulators   both platform emulators, in a process of their own
    stream      the shop's messages: how much of the year is past, how fast the rest comes
    past        what happened before anything is shown
    present     the rest by HTTP, and when all of it is through
    people      segments, forecast, audiences, and how soon a buyer leaves them
    found       findings as a table
    picture     the live picture
    summary     the end of a bounded run: do ledger, audiences and emulators agree?
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from rich.console import Console

from signalpost import config
from signalpost.accounts import ADMIN
from signalpost.demo import picture, present, summary
from signalpost.demo.emulators import emulators
from signalpost.demo.past import lived
from signalpost.demo.stream import stream
from signalpost.demo.workspace import written
from signalpost.destinations import CATALOG
from signalpost.processing import now_ms
from signalpost.samples import traffic
from signalpost.serve import Serving, serving
from signalpost.store import accounts
from signalpost.store.database import Connection


async def run(*, once: bool, as_json: bool, port: int, invoices: int | None = None) -> bool:
    """Run the demo; True when it ended with ledger and emulators in agreement (`once`) or was stopped by the user."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    console = Console(stderr=as_json)
    with tempfile.TemporaryDirectory(prefix="signalpost-demo-") as folder:
        async with emulators() as platforms:
            file, environ = written(Path(folder), port, platforms)
            workspace = config.load(file, environ, CATALOG)
            begun = now_ms()
            messages = stream(begun, once=once, invoices=invoices)
            first = await lived(workspace, platforms, messages, begun, stop, console)
            if stop.is_set():
                return not once
            async with serving(workspace, environ=environ, state=Path(folder), file=file) as starting:
                now_serving = await _entered(starting)
                shown = asyncio.create_task(picture.show(console, now_serving, platforms, file, once=once))
                sent = asyncio.create_task(_sent(now_serving, first, messages, once=once, stop=stop))
                try:
                    await _first(sent, stop)
                    if once and not stop.is_set():
                        await present.settled(now_serving, stop)
                    elif not stop.is_set():
                        await stop.wait()
                finally:
                    sent.cancel()
                    shown.cancel()
                    await asyncio.gather(sent, shown, return_exceptions=True)
                if not once:
                    return True
                told = await summary.told(now_serving, platforms)
    if as_json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        console.print(summary.drawn(told, workspace))
    return bool(told["agree"])


async def _entered(starting: Serving) -> Serving:
    """The same, with an address of the console that signs whoever opens it in as the demo's own admin."""

    def link(connection: Connection) -> str:
        user = accounts.add(connection, email="demo@example.com", name="Demo", role=ADMIN, password="", now=now_ms())
        return accounts.link(connection, "enter", user.id, now_ms())

    return replace(starting, console=f"{starting.url}/enter/{await starting.database.write(link)}")


async def _sent(
    now_serving: Serving, first: traffic.Message | None, messages: Iterator[traffic.Message], *, once: bool, stop: asyncio.Event
) -> None:
    """The rest of the shop's messages; of a bounded run only once the platforms hold whom the audiences began with."""
    if once:
        await present.loaded(now_serving, stop)
    await present.replay(now_serving, first, messages, once=once, stop=stop)


async def _first(task: asyncio.Task[Any], stop: asyncio.Event) -> None:
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task in done:
        task.result()
