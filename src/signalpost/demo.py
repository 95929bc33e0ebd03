"""`signalpost demo`: a real shop's year of orders through everything, against the platform emulators, with a live picture.

The orders, cancellations, times and amounts are real; visitors, e-mails, click ids and carts around them are derived
(`samples/README.md` says how), and so is the dirt that the demo's gates, holds and findings are there for.

It begins with a past: twelve days of the shop go through pipeline and platforms first, at the hours at which they happened,
because a rollout, what is usual and a drop from it need days. Then the traffic enters through the public HTTP intake like any
client's.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import partial
from itertools import count as turns
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import msgspec
from msgspec import Struct, field
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from signalpost import config, delivery, findings, gates, pipeline, report, watch
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.errors import SignalpostError
from signalpost.gates import REASONS
from signalpost.plan import Plan, Route
from signalpost.platforms.settings import Settings
from signalpost.processing import now_ms, plan_of
from signalpost.samples import traffic
from signalpost.serve import Serving, only_one, serving
from signalpost.sources import Received
from signalpost.store import batches, outbox, rollouts
from signalpost.store.database import Connection, Database
from signalpost.transport import Transport

ONCE_INVOICES = 1_600
"""Invoices of the bounded replay: about 15,000 messages, most of them the shop's past."""

PAST = 12 * traffic.DAY + 5 * traffic.HOUR
"""How much of the shop's year lies behind it when the demo begins: some 1,300 invoices, up to a Monday noon."""

LEAST_FOR_A_PAST = 1_400
"""Invoices that a replay must have to begin with it."""

UPDATED_AFTER = 1_100
"""Invoices after which the website's new client loses its keys: two days before the demo begins."""

PACKET = 15 * traffic.MINUTE
"""Of the past, what was sent within so long is received, decided and sent on at once."""

LOOKED_AT = 6 * traffic.HOUR
"""How often findings and rollouts are looked at in the past."""

COMPRESSION = 40_000
LONGEST_PAUSE = 2 * traffic.HOUR
"""The live replay shows the year in about five minutes, nights and holidays cut to two hours."""

KEYS = {"web": "demo-web-key", "shop": "demo-shop-key"}
"""Source -> its write key."""

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
  web: {{type: pipelines, write_key: ${{DEMO_WEB_KEY}}}}
  shop: {{type: pipelines, write_key: ${{DEMO_SHOP_KEY}}}}
events:
  canonical: {{Order Completed: shop}}
gates:
  - preset: zero_value
  - {{preset: employee, email_domains: [shop.example.test]}}
  - preset: test_order
  - preset: bot
  - preset: fraud_flag
  - preset: subscription_renewal
  - {{preset: heavily_discounted, mode: observing}}
  - {{preset: chronic_discounter, mode: observing}}
derived:
  First Purchase: {{nth_order: 1}}
  Second Purchase: {{nth_order: 2}}
  Lifetime Value Reached: {{lifetime_value: "1000"}}
holds: {{Order Completed: 3s}}
repeats: {{Product Added: 1m}}
rates: {{EUR: "0.87", USD: "0.79"}}
measurement:
  primary: The shop's own invoices
  success: Value accepted by each platform within 5 % of the orders that may be sent
  checked: Weekly, in the report
destinations:
  tiktok:
    type: tiktok
    endpoint: {platforms}
    pixel: {settings.tiktok_pixels[0]}
    advertiser: "{settings.tiktok_advertiser_id}"
    access_token: ${{DEMO_TIKTOK_TOKEN}}
    website: https://shop.example.test
    browser_pixel: {{events: [Order Completed], shares_id: true}}
    events:
      Order Completed: Purchase
      Checkout Started: InitiateCheckout
      Payment Info Entered: AddPaymentInfo
      Product Added: AddToCart
      Product Viewed: ViewContent
      Products Searched: Search
      Subscription Started: Subscribe
      First Purchase: FirstPurchase
      Second Purchase: SecondPurchase
      Lifetime Value Reached: LifetimeValueReached
  pinterest:
    type: pinterest
    endpoint: {platforms}
    ad_account: "{settings.pinterest_ad_account_id}"
    access_token: ${{DEMO_PINTEREST_TOKEN}}
    rollout:
      - {{send: [Order Completed], for: 48h, until: {{accepted: ">= 95%", with_order_id: ">= 90%", events: ">= 50"}}}}
      - {{send: [Checkout Started, First Purchase, Second Purchase], for: 72h, until: {{accepted: ">= 95%", coverage: ">= 20%"}}}}
      - send: [Product Added, Product Viewed, Products Searched, Payment Info Entered, Subscription Started]
        at_most: {{Product Viewed: 5}}
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
    stages: dict[str, str] = field(default_factory=dict)
    """Platform -> where its rollout stands."""
    found: Sequence[findings.Finding] = ()
    """What is wrong or doubtful at the moment, the worst first."""


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
    console = Console(stderr=as_json)
    with tempfile.TemporaryDirectory(prefix="signalpost-demo-") as folder:
        async with emulators() as platforms:
            file, environ = _written(Path(folder), port, platforms)
            workspace = config.load(file, environ, CATALOG)
            begun = now_ms()
            stream = _stream(begun, once=once, invoices=invoices)
            first = await _lived(workspace, platforms, stream, begun, stop, console)
            if stop.is_set():
                return not once
            async with serving(workspace, environ=environ, state=Path(folder)) as now_serving:
                replay = asyncio.create_task(_replay(now_serving, first, stream, once=once, stop=stop))
                shown = asyncio.create_task(_show(console, now_serving, platforms, file, once=once))
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
        console.print(_table(summary, workspace))
    return bool(summary["agree"])


def _written(folder: Path, port: int, platforms: str) -> tuple[Path, dict[str, str]]:
    """The demo's workspace file, and the environment that fills it in; its variables are also in `demo.env` beside it."""
    settings = Settings()
    file = folder / "signalpost.yaml"
    file.write_text(WORKSPACE.format(port=port, platforms=platforms, settings=settings), "utf-8")
    own = {
        "DEMO_WEB_KEY": KEYS["web"],
        "DEMO_SHOP_KEY": KEYS["shop"],
        "DEMO_TIKTOK_TOKEN": settings.tiktok_token,
        "DEMO_PINTEREST_TOKEN": settings.pinterest_token,
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in own.items()]
    (folder / "demo.env").write_text("".join(lines), "utf-8")
    return file, {**os.environ, **own}


def _stream(begun: int, *, once: bool, invoices: int | None) -> Iterator[traffic.Message]:
    """The shop's messages; those due before `begun` (epoch ms) are its past."""
    most = invoices or (ONCE_INVOICES if once else None)
    long = most is None or most >= LEAST_FOR_A_PAST
    return traffic.messages(
        start=begun,
        compression=COMPRESSION,
        longest_pause=None if once else LONGEST_PAUSE,
        invoice_limit=most,
        updated_after=UPDATED_AFTER if long else None,
        past=PAST if long else 0,
    )


async def _first(task: asyncio.Task[Any], stop: asyncio.Event) -> None:
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task in done:
        task.result()


# ---- the past --------------------------------------------------------------------------------------------------------------


async def _lived(
    workspace: Workspace,
    platforms: str,
    stream: Iterator[traffic.Message],
    begun: int,
    stop: asyncio.Event,
    console: Console,
) -> traffic.Message | None:
    """Take what is due before `begun` through pipeline and platforms at its own time; gives the first message that is not.

    The clocks of the hub and of the emulators stand at the end of each packet while it is worked on.
    """
    message = next(stream, None)
    if message is None or message.due_ms >= begun:
        return message
    console.print(
        "First the shop's last twelve days go through pipeline and platforms; that takes half a minute.", soft_wrap=True
    )
    packet: list[traffic.Message] = []
    with only_one(workspace.database):
        database = Database(workspace.database)
        past = _Past(database, workspace, platforms)
        try:
            await database.write(partial(watch.mark_revision, workspace=workspace, now=message.due_ms))
            while message is not None and message.due_ms < begun and not stop.is_set():
                if packet and message.due_ms >= packet[0].due_ms + PACKET:
                    await past.live(packet, packet[0].due_ms + PACKET)
                    packet = []
                packet.append(message)
                message = next(stream, None)
            if packet:
                await past.live(packet, begun)
        finally:
            await past.close()
            await asyncio.to_thread(database.close)
    return message


class _Past:
    """The shop's past: packets of messages, each received, decided and sent at one moment that is over."""

    def __init__(self, database: Database, workspace: Workspace, platforms: str) -> None:
        self.database, self.workspace = database, workspace
        self.plan: Plan = plan_of(database, workspace)
        self.transport = Transport(connections=1, timeout=20.0)
        self.emulators = httpx.AsyncClient(base_url=platforms, timeout=20, trust_env=False)
        self._looked_at = 0

    async def live(self, packet: Sequence[traffic.Message], now: int) -> None:
        """Receive a packet at `now` (epoch ms), decide it, send what is due, and look after everything now and then."""
        await self.database.write(partial(_received, packet=packet, now=now))
        while (made := await self.database.read(partial(pipeline.step, plan=self.plan, now=now, most=500))) is not None:
            await self.database.write(partial(pipeline.commit, made=made))
        later = now + max(self.plan.holds.values(), default=0)
        (await self.emulators.post("/control/clock", json={"now_ms": later, "frozen": True})).raise_for_status()
        for route in self.plan.routes:
            await self._send_all(route, later)
        if now - self._looked_at >= LOOKED_AT:
            self._looked_at = now
            await self.database.write(partial(rollouts.advance_all, workspace=self.workspace, now=now))
            await asyncio.to_thread(watch.once, self.database, self.workspace, now)

    async def _send_all(self, route: Route, now: int) -> None:
        most = route.platform.limits.batch
        while True:
            lease = partial(outbox.lease, destination=route.name, most=most, now=now, until=now + traffic.MINUTE)
            signals = await self.database.write(lease)
            if not signals:
                return
            await self._send(route, signals, now)

    async def _send(self, route: Route, signals: Sequence[delivery.Leased], now: int) -> None:
        """One request, as the dispatchers of a running hub make it; refused as a whole it is asked again in halves."""
        base = self.workspace.destinations[route.name].endpoint or route.platform.default_base
        request = route.platform.request(route.settings, base, [each.body for each in signals], route.test)
        response = await self.transport.send(request)
        outcomes = route.platform.outcomes(response, len(signals))
        if len(signals) > 1 and all(outcome.kind == "split" for outcome in outcomes):
            for half in delivery.halves(delivery.marked(signals, outcomes, now)):
                await self._send(route, half, now)
            return
        fates = [
            delivery.fate(each, outcome, limits=route.platform.limits, now=now, luck=0.5)
            for each, outcome in zip(signals, outcomes, strict=True)
        ]
        sent = outbox.Sent(
            destination=route.name,
            started_at=now,
            ended_at=now,
            signals=len(signals),
            status=response.status,
            summary=f"{len(fates)} of {len(fates)} settled",
            platform_request=route.platform.request_id(response),
        )
        await self.database.write(partial(outbox.settle, sent=sent, fates=fates, breaker=delivery.CLOSED))

    async def close(self) -> None:
        """Let the emulators follow the machine's clock again, and let go of the connections."""
        with suppress(httpx.HTTPError):
            await self.emulators.delete("/control/clock")
        await self.emulators.aclose()
        await self.transport.close()


def _received(connection: Connection, packet: Sequence[traffic.Message], now: int) -> None:
    """A packet in the journal: a request of each source and fifty messages, as if it had come by HTTP at `now`."""
    for source in KEYS:
        own = [message.body for message in packet if message.source == source]
        for place in range(0, len(own), BATCH):
            bodies = own[place : place + BATCH]
            request = Received(
                source=source,
                wire="pipelines",
                method="POST",
                path="/v1/batch",
                body=msgspec.json.encode({"batch": bodies}),
                received_at=now,
            )
            batches.append(connection, request, len(bodies))


# ---- the present -----------------------------------------------------------------------------------------------------------


async def _replay(
    now_serving: Serving,
    first: traffic.Message | None,
    stream: Iterator[traffic.Message],
    *,
    once: bool,
    stop: asyncio.Event,
) -> None:
    """Post the shop's messages in batches: as fast as they are taken (`once`), else when they are due."""
    messages = _after(first, stream)
    async with httpx.AsyncClient(base_url=now_serving.url, timeout=30, trust_env=False) as client:
        for source, batch in _batches(messages):
            if stop.is_set():
                return
            if not once and (early := batch[0].due_ms - now_ms()) > 0:
                await asyncio.sleep(early / 1000)
            body = msgspec.json.encode({"batch": [message.body for message in batch]})
            while True:
                answer = await client.post(
                    "/v1/batch", content=body, headers={"Content-Type": "application/json"}, auth=(KEYS[source], "")
                )
                if answer.status_code not in {429, 503}:
                    break
                await asyncio.sleep(float(answer.headers.get("retry-after", "1")))
            if answer.status_code != 200:
                raise SignalpostError(f"The intake refused a batch: {answer.text}")


def _after(first: traffic.Message | None, stream: Iterable[traffic.Message]) -> Iterator[traffic.Message]:
    if first is not None:
        yield first
    yield from stream


def _batches(stream: Iterable[traffic.Message]) -> Iterator[tuple[str, list[traffic.Message]]]:
    """A source and up to `BATCH` of its messages due within the same quarter of a second, as a busy client would group them."""
    waiting: dict[str, list[traffic.Message]] = {source: [] for source in KEYS}
    for message in stream:
        for source, batch in waiting.items():
            if batch and (len(batch) >= BATCH or message.due_ms - batch[0].due_ms > 250):
                yield source, batch
                waiting[source] = []
        waiting[message.source].append(message)
    for source, batch in waiting.items():
        if batch:
            yield source, batch


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


async def _show(console: Console, now_serving: Serving, platforms: str, file: Path, *, once: bool) -> None:
    head = Text.assemble(
        ("Real: ", "bold"),
        "a UK shop's year of orders and cancellations (UCI Online Retail, CC BY 4.0).  ",
        ("Derived: ", "bold"),
        "visitors, e-mails, click ids, carts, and the dirt.\n",
        ("Console    ", "bold cyan"),
        now_serving.console,
        "\n",
        ("Emulators  ", "bold cyan"),
        f"{platforms}/received\n",
        ("Workspace  ", "bold cyan"),
        f"{file}\n",
        ("" if once else f"In another terminal, while this runs:\n{_commands(file)}\n", "cyan"),
        ("" if once else "Ctrl-C stops everything.", "dim"),
    )
    if not console.is_terminal:
        console.print(head, soft_wrap=True)
        while not once:
            await asyncio.sleep(5)
            picture = await _look(now_serving)
            picture.found = await _found(now_serving)
            console.print(_line(picture), soft_wrap=True)
        return
    with Live(head, console=console, refresh_per_second=4, transient=once) as live:
        found: Sequence[findings.Finding] = ()
        for turn in turns():
            if turn % FINDINGS_EVERY == 0:
                found = await _found(now_serving)
            picture = await _look(now_serving)
            picture.found = found
            live.update(_drawn(head, picture, now_serving.worker.workspace))
            await asyncio.sleep(0.5)


FINDINGS_EVERY = 20
"""Looks at the picture for each look at the findings, which cost more."""


def _commands(file: Path) -> str:
    """What to type to see more of the demo's workspace; the variables it needs stand beside it."""
    place = shlex.quote(str(file))
    env = shlex.quote(str(file.parent / "demo.env"))
    return "\n".join(
        (
            f"  . {env}",
            f"  signalpost doctor {place}",
            f"  signalpost findings {place}",
            f"  signalpost rollout status {place}",
            f"  signalpost report {place}",
        )
    )


async def _found(now_serving: Serving) -> Sequence[findings.Finding]:
    """What is wrong or doubtful at the moment."""
    workspace = now_serving.worker.workspace
    return await now_serving.database.read(lambda connection: watch.look(connection, workspace, now_ms()))


async def _look(now_serving: Serving) -> Picture:
    picture = Picture()
    rows, waiting, events, standings = await now_serving.database.read(
        lambda connection: (
            connection.rows("rollups_since", 0),
            connection.rows("outbox_counts"),
            connection.rows("events_count")[0][0],
            rollouts.standings(connection),
        )
    )
    picture.events = events
    for name, destination in now_serving.worker.workspace.destinations.items():
        if destination.rollout and name in standings:
            stage = min(standings[name].stage, len(destination.rollout) - 1)
            told = f"stage {stage + 1} of {len(destination.rollout)}"
            picture.stages[name] = told + (f", held: {standings[name].held}" if standings[name].held else "")
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
    for destination, many, _ in waiting:
        picture.verdicts.setdefault(destination, {})["waiting"] = many
    return picture


def _line(picture: Picture) -> str:
    parts = [f"{picture.events:,} events"]
    for name, verdicts in picture.verdicts.items():
        told = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(verdicts.items()))
        parts.append(f"{name}: {told}; £{picture.value[name] / 1e6:,.2f} in purchases; p50 {picture.latency[name][0]} ms")
    parts.append(f"{len(picture.found)} findings" + (f", the worst: {picture.found[0].sentence}" if picture.found else ""))
    return "  |  ".join(parts)


VERDICT_STYLE = {
    "accepted": "green",
    "warned": "yellow",
    "withheld": "cyan",
    "waiting": "blue",
    "refused": "red",
    "unknown": "magenta",
}


def _sentences(workspace: Workspace) -> dict[str, str]:
    """Reason of withholding -> what it means; the workspace's own gates among them."""
    own = {f"gate:{rule.name}": rule.sentence for rule in gates.rules(workspace)}
    return {name: reason.sentence for name, reason in REASONS.items()} | own


def _drawn(head: Text, picture: Picture, workspace: Workspace) -> Group:
    table = Table(title=f"{picture.events:,} events in", expand=False)
    table.add_column("platform", style="bold")
    for verdict, style in VERDICT_STYLE.items():
        table.add_column(verdict, justify="right", style=style)
    table.add_column("purchases accepted", justify="right")
    table.add_column("intake to accepted", justify="right")
    table.add_column("rollout")
    for name, verdicts in picture.verdicts.items():
        middle, late = picture.latency.get(name, (0, 0))
        table.add_row(
            name,
            *(f"{verdicts.get(verdict, 0):,}" for verdict in VERDICT_STYLE),
            f"£{picture.value.get(name, 0) / 1e6:,.2f}",
            f"p50 {middle} ms, p95 {late} ms",
            picture.stages.get(name, "all at once"),
        )
    why = Table(title="withheld, and why", expand=False)
    why.add_column("reason")
    for name in picture.reasons:
        why.add_column(name, justify="right")
    reasons = sorted(
        {reason for each in picture.reasons.values() for reason in each},
        key=lambda reason: -sum(each.get(reason, 0) for each in picture.reasons.values()),
    )
    sentences = _sentences(workspace)
    for reason in reasons:
        why.add_row(sentences.get(reason, reason), *(f"{each.get(reason, 0):,}" for each in picture.reasons.values()))
    return Group(Panel(head, title="Signalpost demo", expand=False), table, why, _worst(picture.found, 6))


def _worst(found: Sequence[findings.Finding], most: int) -> Table:
    table = Table(title=f"{len(found)} findings: what is wrong or doubtful", expand=False, show_lines=False)
    table.add_column("")
    table.add_column("what")
    table.add_column("at stake", justify="right")
    for each in found[:most]:
        at_stake = "" if each.money is None else findings.money(each.money, each.currency)
        style = "bold red" if each.severity == "problem" else "yellow"
        table.add_row(Text(each.severity, style=style), each.sentence, at_stake)
    return table


# ---- the end of a bounded run ----------------------------------------------------------------------------------------------


async def summarise(now_serving: Serving, platforms: str) -> dict[str, Any]:
    """The ledger's totals beside what each emulator says it accepted; `agree` only when they are the same, id by id.

    Beside them what there was to see: orders known against value accepted, duplicates caught, what observing gates would cost,
    what was called off before or after sending, derived events, rollouts and findings.
    """
    workspace = now_serving.worker.workspace
    totals, events, identified, made = await now_serving.database.read(
        lambda connection: (
            connection.rows("ledger_totals"),
            connection.rows("events_count")[0][0],
            {name: connection.rows("ledger_platform_ids", name) for name in workspace.destinations},
            _reported(connection, workspace),
        )
    )
    opened = await asyncio.to_thread(watch.once, now_serving.database, workspace, now_ms())
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
            for destination, verdict, reason, many in totals:
                if destination == name:
                    of_platform[verdict] += many
                    if verdict == "withheld":
                        summary["withheld"][reason] = summary["withheld"].get(reason, 0) + many
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
    return summary | _seen(made, workspace) | {"findings": [_plain(each.finding) for each in opened]}


def _reported(connection: Connection, workspace: Workspace) -> report.Report:
    """The report of all that was replayed."""
    now = now_ms()
    return report.gather(connection, workspace, report.period_of_days(14, ZoneInfo(workspace.timezone), now), now)


def _seen(made: report.Report, workspace: Workspace) -> dict[str, Any]:
    """What the report says of each part, as plain data; money as exact text."""
    duplicates: dict[str, Counter[str]] = {}
    for each in made.duplicates:
        duplicates.setdefault(each.reason, Counter())[each.destination] += each.signals
    stopped: dict[str, Counter[str]] = {}
    for each in made.withheld:
        if each.reason.endswith("_before_sending"):
            stopped.setdefault(each.reason, Counter())[each.destination] += each.signals
    derived: dict[str, Counter[str]] = {}
    for volume in made.volumes:
        if volume.name in workspace.derived:
            taken = sum(volume.verdicts.get(verdict, 0) for verdict in ("accepted", "warned"))
            derived.setdefault(volume.name, Counter())[volume.destination] += taken
    return {
        "orders": [
            {
                "destination": each.destination,
                "currency": each.currency,
                "known": {"orders": each.known.orders, "value": str(each.known.value)},
                "accepted": {"orders": each.accepted.orders, "value": str(each.accepted.value)},
                "withheld": {"orders": each.withheld.orders, "value": str(each.withheld.value)},
            }
            for each in made.purchases
        ],
        "duplicates": duplicates,
        "stopped": stopped,
        "observed": [_noticed(each) for each in made.trials],
        "after_sending": [_noticed(each) for each in made.after],
        "derived": derived,
        "rollouts": [
            {"destination": each.destination, "stage": each.stage, "of": each.stages, "held": each.held} for each in made.rollouts
        ],
        "findings_opened": made.opened,
    }


def _noticed(each: Any) -> dict[str, Any]:
    return {
        "destination": each.destination,
        "what": each.gate or each.what,
        "event": each.name,
        "signals": each.signals,
        "value": str(each.value),
        "currency": each.currency,
        "share": None if each.share is None else f"{each.share:.4f}",
    }


def _plain(each: findings.Finding) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "subject": each.subject,
        "severity": each.severity,
        "sentence": each.sentence,
        "money": None if each.money is None else str(each.money),
        "currency": each.currency,
        "link": each.link,
    }


def _table(summary: dict[str, Any], workspace: Workspace) -> Group:
    table = Table(title=f"{summary['events']:,} events, {summary['signals']:,} signals")
    table.add_column("")
    for name in summary["platforms"]:
        table.add_column(name, justify="right")
    for verdict, style in VERDICT_STYLE.items():
        table.add_row(verdict, *(f"{each.get(verdict, 0):,}" for each in summary["platforms"].values()), style=style)
    table.add_row("received, says the platform", *(f"{many:,}" for many in summary["received"].values()), style="bold")
    by = {(each["destination"], part): each[part] for each in summary["orders"] for part in ("known", "accepted")}
    for part, words in (("known", "orders the shop told of"), ("accepted", "of them accepted as purchases")):
        told = (by.get((name, part)) for name in summary["platforms"])
        table.add_row(words, *("" if each is None else f"{each['orders']:,}: £{float(each['value']):,.2f}" for each in told))
    why = Table(title="withheld, and why")
    why.add_column("reason")
    why.add_column("signals", justify="right")
    sentences = _sentences(workspace)
    for reason, many in sorted(summary["withheld"].items(), key=lambda item: -item[1]):
        why.add_row(sentences.get(reason, reason), f"{many:,}")
    seen = Table(title="what else there was to see")
    seen.add_column("")
    seen.add_column("")
    for name in summary["platforms"]:
        seen.add_column(name, justify="right")
    for title, part in (
        ("caught twice", "duplicates"),
        ("called off before it left", "stopped"),
        ("derived, accepted", "derived"),
    ):
        for what, by_destination in summary[part].items():
            counts = (f"{by_destination.get(name, 0):,}" for name in summary["platforms"])
            seen.add_row(title, sentences.get(what, what), *counts)
    for title, part in (("would be withheld", "observed"), ("called off after it left", "after_sending")):
        rows: dict[str, dict[str, str]] = {}
        for each in summary[part]:
            words = f"{each['what']}: {each['event']}"
            rows.setdefault(words, {})[each["destination"]] = f"{each['signals']:,}: £{float(each['value']):,.2f}"
        for words, told_of in rows.items():
            seen.add_row(title, words, *(told_of.get(name, "") for name in summary["platforms"]))
    for each in summary["rollouts"]:
        stage = f"stage {each['stage']} of {each['of']}"
        seen.add_row("rollout", each["held"], *(stage if name == each["destination"] else "" for name in summary["platforms"]))
    found = Table(title=f"{len(summary['findings'])} findings: what is wrong or doubtful")
    for column in ("", "what", "at stake"):
        found.add_column(column, justify="right" if column == "at stake" else "left")
    for each in summary["findings"]:
        at_stake = "" if each["money"] is None else findings.money(Decimal(each["money"]), each["currency"])
        found.add_row(each["severity"], each["sentence"], at_stake)
    word = ("Ledger and emulators agree, id by id.", "bold green") if summary["agree"] else ("They do NOT agree.", "bold red")
    more = Text(
        "The demo's folder is gone. `signalpost demo` without --once goes on until Ctrl-C, and prints the commands by which "
        "doctor, findings and report look at its workspace meanwhile.",
        style="dim",
    )
    return Group(table, why, seen, found, Text(*word), more)
