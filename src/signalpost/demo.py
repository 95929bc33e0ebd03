"""`signalpost demo`: a real shop's year of orders through everything, against the platform emulators, with a live picture.

The orders, cancellations, times and amounts are real; visitors, e-mails, click ids and carts around them are derived
(`samples/README.md` says how). The traffic enters through the public HTTP intake like any client's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec import Struct, field
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from signalpost import config
from signalpost.destinations import CATALOG
from signalpost.errors import SignalpostError
from signalpost.gates import REASONS
from signalpost.platforms.settings import Settings
from signalpost.processing import now_ms
from signalpost.samples import traffic
from signalpost.serve import Serving, serving

ONCE_INVOICES = 1_000
"""Invoices of the bounded replay: about 8,000 messages."""

COMPRESSION = 40_000
LONGEST_PAUSE = 2 * traffic.HOUR
"""The live replay shows the year in about five minutes, nights and holidays cut to two hours."""

WRITE_KEY = "demo-write-key"
BATCH = 50

WORKSPACE = """\
workspace: demo
environment: production
currency: GBP
country: GB
order_value: gross
timezone: Europe/London
database: demo.db
server: {{port: {port}}}
sources:
  shop: {{type: pipelines, write_key: ${{DEMO_WRITE_KEY}}}}
destinations:
  tiktok:
    type: tiktok
    endpoint: {platforms}
    pixel: {settings.tiktok_pixels[0]}
    access_token: ${{DEMO_TIKTOK_TOKEN}}
    website: https://shop.example
  pinterest:
    type: pinterest
    endpoint: {platforms}
    ad_account: "{settings.pinterest_ad_account_id}"
    access_token: ${{DEMO_PINTEREST_TOKEN}}
"""


class Picture(Struct):
    """What is shown: counted from the ledger's own counters."""

    events: int = 0
    verdicts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Platform -> verdict -> signals."""
    reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    """Platform -> reason of withholding -> signals."""
    value: dict[str, int] = field(default_factory=dict)
    """Platform -> accepted purchase value in millionths of a pound."""
    latency: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Platform -> (p50, p95) of the latest accepted signals, ms from intake."""


@asynccontextmanager
async def emulators() -> Any:
    """The two platform emulators in a process of their own; gives their address and stops them at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "signalpost.platforms",
        "--json",
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is ours to handle: they must answer until the last signal is settled
    )
    assert process.stdout is not None  # noqa: S101  (asked for above)
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        if not line:
            raise SignalpostError("The platform emulators did not start.")
        yield json.loads(line)["url"]
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def run(*, once: bool, as_json: bool, port: int, invoices: int | None = None) -> bool:
    """Run the demo; True when it ended with ledger and emulators in agreement (`once`) or was stopped by the user."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    settings = Settings()
    console = Console(stderr=as_json)
    with tempfile.TemporaryDirectory(prefix="signalpost-demo-") as folder:
        async with emulators() as platforms:
            file = Path(folder) / "signalpost.yaml"
            file.write_text(WORKSPACE.format(port=port, platforms=platforms, settings=settings), "utf-8")
            environ = {
                **os.environ,
                "DEMO_WRITE_KEY": WRITE_KEY,
                "DEMO_TIKTOK_TOKEN": settings.tiktok_token,
                "DEMO_PINTEREST_TOKEN": settings.pinterest_token,
            }
            workspace = config.load(file, environ, CATALOG)
            async with serving(workspace, environ=environ, state=Path(folder)) as now_serving:
                replay = asyncio.create_task(_replay(now_serving, once=once, invoices=invoices, stop=stop))
                shown = asyncio.create_task(_show(console, now_serving, platforms, folder, once=once))
                try:
                    await _first(replay, stop)
                    if once and not stop.is_set():
                        await _settled(now_serving, stop)
                    elif not stop.is_set():
                        await stop.wait()
                finally:
                    replay.cancel()
                    shown.cancel()
                    await asyncio.gather(replay, shown, return_exceptions=True)
                if not once:
                    return True
                summary = await summarise(now_serving, platforms)
    if as_json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        console.print(_table(summary))
    return bool(summary["agree"])


async def _first(task: asyncio.Task[Any], stop: asyncio.Event) -> None:
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task in done:
        task.result()


async def _replay(now_serving: Serving, *, once: bool, invoices: int | None, stop: asyncio.Event) -> None:
    """Post the shop's messages in batches: as fast as they are taken (`once`), else when they are due."""
    if once:
        stream = traffic.messages(start=now_ms() - 3_600_000, compression=COMPRESSION, invoice_limit=invoices or ONCE_INVOICES)
    else:
        stream = traffic.messages(start=now_ms(), compression=COMPRESSION, longest_pause=LONGEST_PAUSE, invoice_limit=invoices)
    async with httpx.AsyncClient(base_url=now_serving.url, auth=(WRITE_KEY, ""), timeout=30, trust_env=False) as client:
        for batch in _batches(stream):
            if stop.is_set():
                return
            if not once and (early := batch[0].due_ms - now_ms()) > 0:
                await asyncio.sleep(early / 1000)
            body = msgspec.json.encode({"batch": [message.body for message in batch]})
            while True:
                answer = await client.post("/v1/batch", content=body, headers={"Content-Type": "application/json"})
                if answer.status_code not in {429, 503}:
                    break
                await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
            if answer.status_code != 200:
                raise SignalpostError(f"The intake refused a batch: {answer.text}")


def _batches(stream: Iterator[traffic.Message]) -> Iterator[list[traffic.Message]]:
    """Up to `BATCH` messages that are due within the same quarter of a second, as a busy client would group them."""
    batch: list[traffic.Message] = []
    for message in stream:
        if batch and (len(batch) >= BATCH or message.due_ms - batch[0].due_ms > 250):
            yield batch
            batch = []
        batch.append(message)
    if batch:
        yield batch


async def _settled(now_serving: Serving, stop: asyncio.Event) -> None:
    """Wait until every event has been through the pipeline and nothing waits to be sent."""
    while not stop.is_set():
        backlog, waiting = await now_serving.database.read(
            lambda connection: (connection.rows("backlog_count")[0][0], connection.rows("outbox_counts"))
        )
        if not backlog and not waiting:
            return
        await asyncio.sleep(0.1)


# ---- the live picture ------------------------------------------------------------------------------------------------------


async def _show(console: Console, now_serving: Serving, platforms: str, folder: str, *, once: bool) -> None:
    head = Text.assemble(
        ("Real: ", "bold"),
        "a UK shop's year of orders and cancellations (UCI Online Retail, CC BY 4.0).  ",
        ("Derived: ", "bold"),
        "visitors, e-mails, click ids, carts.\n",
        ("Console    ", "bold cyan"),
        now_serving.console,
        "\n",
        ("Emulators  ", "bold cyan"),
        f"{platforms}/received\n",
        ("Workspace  ", "bold cyan"),
        f"{folder}/signalpost.yaml\n",
        ("" if once else "Ctrl-C stops everything.", "dim"),
    )
    if not console.is_terminal:
        console.print(head, soft_wrap=True)
        while not once:
            await asyncio.sleep(5)
            picture = await _look(now_serving)
            console.print(_line(picture), soft_wrap=True)
        return
    with Live(head, console=console, refresh_per_second=4, transient=once) as live:
        while True:
            live.update(_drawn(head, await _look(now_serving)))
            await asyncio.sleep(0.5)


async def _look(now_serving: Serving) -> Picture:
    picture = Picture()
    rows, waiting, events = await now_serving.database.read(
        lambda connection: (
            connection.rows("rollups_since", 0),
            connection.rows("outbox_counts"),
            connection.rows("events_count")[0][0],
        )
    )
    picture.events = events
    for dispatcher in now_serving.worker.dispatchers:
        name = dispatcher.route.name
        picture.verdicts[name], picture.reasons[name], picture.value[name] = {}, {}, 0
        recent = sorted(dispatcher.latencies)
        picture.latency[name] = (recent[len(recent) // 2], recent[int(len(recent) * 0.95)]) if recent else (0, 0)
    for destination, name, verdict, reason, _, signals, micros, _ in rows:
        if destination in picture.verdicts:
            verdicts = picture.verdicts[destination]
            verdicts[verdict] = verdicts.get(verdict, 0) + int(signals)
            if verdict == "withheld":
                picture.reasons[destination][reason] = picture.reasons[destination].get(reason, 0) + int(signals)
            if verdict in {"accepted", "warned"} and name == "Order Completed":
                picture.value[destination] += int(micros)
    for destination, count, _ in waiting:
        picture.verdicts.setdefault(destination, {})["waiting"] = count
    return picture


def _line(picture: Picture) -> str:
    parts = [f"{picture.events:,} events"]
    for name, verdicts in picture.verdicts.items():
        told = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(verdicts.items()))
        parts.append(f"{name}: {told}; £{picture.value[name] / 1e6:,.2f} in purchases; p50 {picture.latency[name][0]} ms")
    return "  |  ".join(parts)


VERDICT_STYLE = {
    "accepted": "green",
    "warned": "yellow",
    "withheld": "cyan",
    "waiting": "blue",
    "refused": "red",
    "unknown": "magenta",
}


def _drawn(head: Text, picture: Picture) -> Group:
    table = Table(title=f"{picture.events:,} events in", expand=False)
    table.add_column("platform", style="bold")
    for verdict, style in VERDICT_STYLE.items():
        table.add_column(verdict, justify="right", style=style)
    table.add_column("purchases accepted", justify="right")
    table.add_column("intake to accepted", justify="right")
    for name, verdicts in picture.verdicts.items():
        middle, late = picture.latency.get(name, (0, 0))
        table.add_row(
            name,
            *(f"{verdicts.get(verdict, 0):,}" for verdict in VERDICT_STYLE),
            f"£{picture.value.get(name, 0) / 1e6:,.2f}",
            f"p50 {middle} ms, p95 {late} ms",
        )
    why = Table(title="withheld, and why", expand=False)
    why.add_column("reason")
    for name in picture.reasons:
        why.add_column(name, justify="right")
    reasons = sorted(
        {reason for each in picture.reasons.values() for reason in each},
        key=lambda reason: -sum(each.get(reason, 0) for each in picture.reasons.values()),
    )
    for reason in reasons:
        sentence = REASONS[reason].sentence if reason in REASONS else reason
        why.add_row(sentence, *(f"{each.get(reason, 0):,}" for each in picture.reasons.values()))
    return Group(Panel(head, title="Signalpost demo", expand=False), table, why)


# ---- the end of a bounded run ----------------------------------------------------------------------------------------------


async def summarise(now_serving: Serving, platforms: str) -> dict[str, Any]:
    """The ledger's totals beside what each emulator says it accepted; `agree` only when they are the same, id by id."""
    totals, events, identified = await now_serving.database.read(
        lambda connection: (
            connection.rows("ledger_totals"),
            connection.rows("events_count")[0][0],
            {name: connection.rows("ledger_platform_ids", name) for name in now_serving.worker.workspace.destinations},
        )
    )
    summary: dict[str, Any] = {
        "events": events,
        "signals": sum(row[3] for row in totals),
        **{verdict: sum(row[3] for row in totals if row[1] == verdict) for verdict in ("accepted", "warned")},
        "withheld": {},
        **{verdict: sum(row[3] for row in totals if row[1] == verdict) for verdict in ("refused", "unknown", "waiting")},
        "received": {},
        "platforms": {},
        "agree": True,
    }
    async with httpx.AsyncClient(base_url=platforms, timeout=60, trust_env=False) as client:
        for name, rows in identified.items():
            mine = {(row[0], row[1]) for row in rows}
            theirs = {tuple(pair) for pair in (await client.get("/received/ids", params={"platform": name})).json()[name]}
            received = (await client.get("/received", params={"platform": name})).json()[name]
            of_platform = {row[1]: 0 for row in totals if row[0] == name}
            for destination, verdict, reason, count in totals:
                if destination == name:
                    of_platform[verdict] += count
                    if verdict == "withheld":
                        summary["withheld"][reason] = summary["withheld"].get(reason, 0) + count
            summary["received"][name] = received["accepted"]
            summary["platforms"][name] = {
                **of_platform,
                "received": received["accepted"],
                "value": received["value"],
                "only_in_ledger": len(mine - theirs),
                "only_at_platform": len(theirs - mine),
            }
            same = mine == theirs and len(rows) == received["accepted"] + received["deduplicated"]
            summary["agree"] = summary["agree"] and same
    summary["agree"] = summary["agree"] and summary["waiting"] == 0
    return summary


def _table(summary: dict[str, Any]) -> Group:
    table = Table(title=f"{summary['events']:,} events, {summary['signals']:,} signals")
    table.add_column("")
    for name in summary["platforms"]:
        table.add_column(name, justify="right")
    for verdict, style in VERDICT_STYLE.items():
        table.add_row(verdict, *(f"{each.get(verdict, 0):,}" for each in summary["platforms"].values()), style=style)
    table.add_row("received, says the platform", *(f"{count:,}" for count in summary["received"].values()), style="bold")
    why = Table(title="withheld, and why")
    why.add_column("reason")
    why.add_column("signals", justify="right")
    for reason, count in sorted(summary["withheld"].items(), key=lambda item: -item[1]):
        why.add_row(REASONS[reason].sentence if reason in REASONS else reason, f"{count:,}")
    word = ("Ledger and emulators agree, id by id.", "bold green") if summary["agree"] else ("They do NOT agree.", "bold red")
    return Group(table, why, Text(*word))
