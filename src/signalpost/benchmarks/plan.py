"""`bench plan`: a shop's traffic replayed through a present and a proposed workspace file, by what the proposal changes.

Everything runs in one process, on one core, and is measured as processor time: events a second of the quickest way that is
exact, and beside it of the plain one, which takes every event through each file by itself.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from signalpost import config, pipeline
from signalpost.benchmarks.running import RULES, WORKSPACE
from signalpost.destinations import CATALOG
from signalpost.errors import SignalpostError
from signalpost.platforms.settings import Settings
from signalpost.processing import BATCH, collect_rarely, now_ms
from signalpost.proposals import held_against
from signalpost.proposals.sides import Way
from signalpost.samples import traffic
from signalpost.sources import Received
from signalpost.state import Decision
from signalpost.store import batches, memberships
from signalpost.store.database import Connection, Database

DAY = 86_400_000

REQUEST = 20
"""Messages of a request, at most."""

SHOP = """
segments:
  recent_buyers: {did: Order Completed, within: 7d}
  carts: {all: [{last: Product Added, age: 1h..3d}, {did_not: Order Completed, since: Product Added}]}
audiences:
  - {segment: recent_buyers, to: [tiktok, pinterest], use: suppress}
"""


def _replaced(before: str, after: str, text: str) -> str:
    if before not in text:
        raise SignalpostError(f"The bench's file has no `{before}`.")
    return text.replace(before, after, 1)


MAP = "    events: {Order Completed: Purchase, Checkout Started: InitiateCheckout, Product Added: AddToCart}\n"
PLACE = "    pixel: "

EDITS: dict[str, Callable[[str], str]] = {
    "nothing": lambda text: text,
    "an event taken out": lambda text: _replaced(", Product Added: AddToCart", "", text),
    "an event put in": lambda text: _replaced(
        "Product Added: AddToCart", "Product Added: AddToCart, Product Viewed: ViewContent", text
    ),
    "a gate for purchases": partial(
        _replaced, "gates:\n", "gates:\n  - {reason: small, when: {order.value: {lt: 15}}, events: [Order Completed]}\n"
    ),
    "a gate for everything": partial(_replaced, "gates:\n", "gates:\n  - {reason: small, when: {order.value: {lt: 15}}}\n"),
    "a field": partial(_replaced, PLACE, "    properties: {description: context.page.title}\n" + PLACE),
    "a setting": partial(_replaced, "website: https://shop.example", "website: https://other.example"),
    "a segment's rule": partial(_replaced, "within: 7d", "within: 3d"),
    "order value": partial(_replaced, "order_value: gross", "order_value: net"),
}
"""What is changed -> how the file's text is changed."""


def run(*, events: int = 30_000) -> list[dict[str, Any]]:
    """One result for each edit, over the same events of the sample shop."""
    text = WORKSPACE.format(platforms="http://127.0.0.1:1", settings=Settings()) + RULES + SHOP
    text = _replaced(PLACE, "    website: https://shop.example\n" + MAP + PLACE, text)
    collect_rarely()
    with tempfile.TemporaryDirectory(prefix="signalpost-bench-") as folder:
        database = Database(str(Path(folder) / "bench.db"))
        try:
            taken = _fill(database, _file(text), events)
            return [_measured(database, name, _file(text), _file(edit(text)), taken) for name, edit in EDITS.items()]
        finally:
            database.close()


def _file(text: str) -> config.Workspace:
    keys = dict.fromkeys(("BENCH_WRITE_KEY", "BENCH_TIKTOK_TOKEN", "BENCH_PINTEREST_TOKEN"), "bench")
    workspace, mistakes = config.check(text, keys, CATALOG)
    if workspace is None:
        raise SignalpostError(f"The bench's file is wrong: {mistakes[0].sentence}")
    return workspace


def _fill(database: Database, workspace: config.Workspace, events: int) -> int:
    """The shop's traffic of the last days through the pipeline; gives how long that took (processor seconds, in ms)."""
    start = now_ms() - 6 * DAY
    plan = pipeline.plan(workspace, database.submit(partial(memberships.numbers, workspace=workspace, now=start)).result())
    for received, messages in _requests(islice(traffic.messages(start=start, compression=4), events)):
        database.submit(partial(batches.append, received=received, messages=messages))
    began = time.process_time()
    while (made := database.look(partial(pipeline.step, plan=plan, now=now_ms(), most=BATCH))) is not None:
        database.submit(partial(_commit, made=made)).result()
    return round((time.process_time() - began) * 1000)


def _commit(connection: Connection, made: Decision) -> None:
    pipeline.commit(connection, made)


def _requests(stream: Iterator[traffic.Message]) -> Iterator[tuple[Received, int]]:
    waiting: list[traffic.Message] = []
    for message in stream:
        if waiting and (len(waiting) == REQUEST or message.source != waiting[0].source):
            yield _request(waiting), len(waiting)
            waiting = []
        waiting.append(message)
    if waiting:
        yield _request(waiting), len(waiting)


def _request(messages: list[traffic.Message]) -> Received:
    return Received(
        source="web",
        wire="pipelines",
        method="POST",
        path="/v1/batch",
        body=msgspec.json.encode({"batch": [each.body for each in messages]}),
        client_ip="203.0.113.7",
        received_at=messages[-1].due_ms,
    )


def _measured(database: Database, name: str, before: config.Workspace, after: config.Workspace, taken_ms: int) -> dict[str, Any]:
    def once(way: Way | None) -> tuple[float, Any]:
        began = time.process_time()
        found = database.look(
            lambda connection: held_against(
                connection, before, after, since=0, until=1 << 50, progress=lambda _done, _total: None, way=way
            )
        )
        return time.process_time() - began, found

    seconds, found = once(None)
    plainly, _ = once("apart")
    return {
        "bench": f"plan: {name}",
        "events_per_second": round(found.events / seconds),
        "events_per_second_each_file_by_itself": round(found.events / plainly),
        "times_quicker": round(plainly / seconds, 1),
        "flow_events_per_second": round(found.events / (taken_ms / 1000)),
        "events": found.events,
        "signals_that_differ": found.examples_of,
    }
