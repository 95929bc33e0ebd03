"""The live picture: verdicts, reasons, people, audiences, findings."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count as turns
from pathlib import Path

from msgspec import Struct, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from signalpost import gates, watch
from signalpost.config import Workspace
from signalpost.demo import found, people
from signalpost.demo.people import Crowd
from signalpost.findings import Finding
from signalpost.gates import REASONS
from signalpost.processing import now_ms
from signalpost.serve import Serving
from signalpost.store import rollouts, sums

FINDINGS_EVERY = 20
"""Looks at the picture for each look at the findings, which cost more."""

PEOPLE_EVERY = 4
"""The same of segments and audiences."""

PAGE_TURNS = 16
"""Looks at the picture for which one page of it is shown, where a terminal is too low for all of it."""

FOUND = 6
"""Findings shown."""


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
    crowd: Crowd = field(default_factory=Crowd)
    """Segments and audiences."""
    found: Sequence[Finding] = ()
    """What is wrong or doubtful at the moment, the worst first."""


async def show(console: Console, now_serving: Serving, platforms: str, file: Path, *, once: bool) -> None:
    """Say where everything is, then draw the picture until cancelled; where there is no terminal, a line now and then."""
    console.print(_head(now_serving, platforms, file, once=once), soft_wrap=True)
    if not console.is_terminal:
        while not once:
            await asyncio.sleep(5)
            picture = await _look(now_serving)
            picture.found = await _found(now_serving)
            picture.crowd = await _people(now_serving)
            console.print(_line(picture), soft_wrap=True)
        return
    with Live(console=console, refresh_per_second=4, transient=once) as live:
        worst: Sequence[Finding] = ()
        crowd = Crowd()
        for turn in turns():
            if turn % FINDINGS_EVERY == 0:
                worst = await _found(now_serving)
            if turn % PEOPLE_EVERY == 0:
                crowd = await _people(now_serving)
            picture = await _look(now_serving)
            picture.found, picture.crowd = worst, crowd
            live.update(fitting(console, list(_drawn(picture, now_serving.worker.workspace)), turn // PAGE_TURNS))
            await asyncio.sleep(0.5)


def _head(now_serving: Serving, platforms: str, file: Path, *, once: bool) -> Text:
    return Text.assemble(
        ("Real: ", "bold"),
        "a UK shop's year of orders and cancellations (UCI Online Retail, CC BY 4.0).\n",
        ("Derived: ", "bold"),
        "visitors, e-mails, click ids, carts, and the dirt.\n",
        ("Console    ", "bold cyan"),
        now_serving.console,
        "\n",
        ("Emulators  ", "bold cyan"),
        f"{platforms}/received and {platforms}/audiences\n",
        ("Workspace  ", "bold cyan"),
        f"{file}\n",
        ("" if once else f"In another terminal, while this runs:\n{_commands(file)}\n", "cyan"),
        ("" if once else "Ctrl-C stops everything.", "dim"),
    )


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
            f"  signalpost segments list --config {place}",
            f"  signalpost segments forecast cart_reminder --config {place}",
            f"  signalpost audiences list --config {place}",
            f"  signalpost lift cart_offer --config {place}",
        )
    )


async def _found(now_serving: Serving) -> Sequence[Finding]:
    """What is wrong or doubtful at the moment."""
    workspace = now_serving.worker.workspace
    return await now_serving.database.read(lambda connection: watch.look(connection, workspace, now_ms()))


async def _people(now_serving: Serving) -> Crowd:
    """Who is where, and whom the platforms hold."""
    return await now_serving.database.read(partial(people.look, workspace=now_serving.worker.workspace, now=now_ms()))


async def _look(now_serving: Serving) -> Picture:
    picture = Picture()
    rows, waiting, events, standings = await now_serving.database.read(
        lambda connection: (
            sums.read(connection, 0),
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
    for each in rows:
        if each.destination in picture.verdicts:
            verdicts = picture.verdicts[each.destination]
            verdicts[each.verdict] = verdicts.get(each.verdict, 0) + each.signals
            if each.verdict == "withheld":
                reasons = picture.reasons[each.destination]
                reasons[each.reason] = reasons.get(each.reason, 0) + each.signals
            if each.verdict in {"accepted", "warned"} and each.name == "Order Completed":
                picture.value[each.destination] += each.micros
    for destination, many, _ in waiting:
        picture.verdicts.setdefault(destination, {})["waiting"] = many
    return picture


def _line(picture: Picture) -> str:
    parts = [f"{picture.events:,} events"]
    for name, verdicts in picture.verdicts.items():
        told = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(verdicts.items()))
        parts.append(f"{name}: {told}; £{picture.value[name] / 1e6:,.2f} in purchases; p50 {picture.latency[name][0]} ms")
    parts.append(people.line(picture.crowd))
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


def sentences(workspace: Workspace) -> dict[str, str]:
    """Reason of withholding -> what it means; the workspace's own gates among them."""
    own = {f"gate:{rule.name}": rule.sentence for rule in gates.rules(workspace)}
    return {name: reason.sentence for name, reason in REASONS.items()} | own


def fitting(console: Console, parts: Sequence[RenderableType], page: int) -> Group:
    """The whole picture, or where the terminal is too low for it, one page of it after the other, each with as much as fits."""
    height = console.height - 1
    pages: list[list[RenderableType]] = [[]]
    left = height
    for part in parts:
        needs = _lines(console, part)
        if pages[-1] and needs > left:
            pages.append([])
            left = height
        pages[-1].append(part)
        left -= needs
    return Group(*pages[page % len(pages)])


def _lines(console: Console, part: RenderableType) -> int:
    return len(console.render_lines(part, pad=False))


def _drawn(picture: Picture, workspace: Workspace) -> Iterator[RenderableType]:
    table = Table(title=f"{picture.events:,} events in", expand=False)
    table.add_column("")
    for name in picture.verdicts:
        table.add_column(name, justify="right")
    for verdict, style in VERDICT_STYLE.items():
        table.add_row(verdict, *(f"{each.get(verdict, 0):,}" for each in picture.verdicts.values()), style=style)
    table.add_row("purchases accepted", *(f"£{picture.value.get(name, 0) / 1e6:,.2f}" for name in picture.verdicts))
    took = (picture.latency.get(name, (0, 0)) for name in picture.verdicts)
    table.add_row("intake to accepted, p50 / p95", *(f"{people.short(middle)} / {people.short(late)}" for middle, late in took))
    table.add_row("rollout", *(picture.stages.get(name, "all at once") for name in picture.verdicts))
    why = Table(title="withheld, and why", expand=False)
    why.add_column("reason")
    for name in picture.reasons:
        why.add_column(name, justify="right")
    reasons = sorted(
        {reason for each in picture.reasons.values() for reason in each},
        key=lambda reason: -sum(each.get(reason, 0) for each in picture.reasons.values()),
    )
    words = sentences(workspace)
    for reason in reasons:
        why.add_row(words.get(reason, reason), *(f"{each.get(reason, 0):,}" for each in picture.reasons.values()))
    yield table
    yield people.in_segments(picture.crowd)
    yield people.in_audiences(picture.crowd, list(workspace.destinations))
    yield why
    yield found.table(picture.found, FOUND)
