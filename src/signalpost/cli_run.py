"""The commands that run Signalpost: serve, demo, send-test, replay, bench."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from signalpost import config, neighbours, pipeline, replay, tokens, trial
from signalpost.cli_say import AsJson, File, Misuse, WorkspaceOption, complain, say, say_json, workspace_at
from signalpost.destinations import CATALOG
from signalpost.errors import StoreError
from signalpost.marked import did_you_mean, listed
from signalpost.processing import now_ms, quiet_logs
from signalpost.store import memberships, owner
from signalpost.store.database import Database

Found = TypeVar("Found")

DAY = 86_400_000

# serve


def serve(file: File = Path(config.FILE), as_json: AsJson = False) -> None:
    """Take events, send signals and show the console, until Ctrl-C."""
    from signalpost import serve as room  # noqa: PLC0415  (a web server takes its time to load)

    workspace = workspace_at(file)
    environ = tokens.Environ(file, os.environ)
    neighbours.refuse(file, environ, CATALOG)
    quiet_logs()

    def announce(running: room.Serving) -> None:
        if as_json:
            say_json({"url": running.url, "tls_url": running.tls_url, "console": running.console})
        else:
            say(
                Text(f"Signalpost serves {workspace.workspace} ({workspace.environment}).", style="bold green"),
                f"  intake   {running.url}" + (f" and {running.tls_url}" if running.tls_url else ""),
                f"  console  {running.console}",
                f"  store    {workspace.shown_database}",
                "Ctrl-C stops it; what waits is kept.",
            )
        sys.stdout.flush()

    if room.in_the_open(workspace.server):
        complain(
            f"Passwords of the console travel openly to {workspace.server.host}. Let a proxy do TLS and write its https address "
            "as `server.public_url`, or listen on 127.0.0.1."
        )
    asyncio.run(room.run(workspace, environ=environ, state=file.resolve().parent, file=file, announce=announce))


# demo


def demo(
    once: Annotated[bool, typer.Option("--once", help="A bounded replay, a summary, and the end.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where the console listens; 0 takes a free one.")] = 0,
    invoices: Annotated[int | None, typer.Option(min=1, help="Replay only so many invoices of the year.")] = None,
    as_json: AsJson = False,
) -> None:
    """Replay a real shop's year of orders against emulators of both platforms, with a live picture."""
    from signalpost import demo as room  # noqa: PLC0415  (only this command needs the samples)

    if as_json and not once:
        raise Misuse("--json needs --once: without it the demo has no end to sum up.")
    quiet_logs(logging.ERROR)  # the picture tells the rest
    agreed = asyncio.run(room.run(once=once, as_json=as_json, port=port, invoices=invoices))
    if not agreed:
        raise typer.Exit(1)


# send-test


def send_test(
    destination: Annotated[str, typer.Argument(help="A destination of the workspace file.")],
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Send a test person's cart and purchase in test mode and check what went out; exit code 1 when a check fails."""
    workspace = workspace_at(file)
    _known_destination(workspace, destination)
    told = asyncio.run(trial.run(workspace, destination, now_ms()))
    try:  # `doctor` shows when a destination was last tried
        _with_database(workspace, lambda database: database.submit(partial(trial.note, told=told, now=now_ms())).result())
    except StoreError as error:
        complain(f"The test is not noted for `doctor`: {error}")
    if as_json:
        say_json(msgspec.to_builtins(told))
    else:
        say(Text(f"Credentials: {told.credentials_sentence}", style="green" if told.credentials else "red"))
        _print_trial(told)
    if not told.passed:
        raise typer.Exit(1)


def _print_trial(told: trial.Trial) -> None:
    if not told.credentials:
        return
    for sent in told.sent:
        say(f"{sent.event}, sent in test mode:", json.dumps(sent.request, indent=2, ensure_ascii=False))
    table = Table(title=f"Test of {told.destination}")
    for column in ("event", "check", "", "what was found"):
        table.add_column(column)
    for check in told.checks:
        word, style = {True: ("pass", "green"), False: ("FAIL", "bold red"), None: ("note", "yellow")}[check.passed]
        table.add_row(check.event, check.what, Text(word, style=style), Text(check.sentence))
    Console().print(table)
    failed = sum(check.passed is False for check in told.checks)
    if failed:
        say(Text(f"{failed} of {len(told.checks)} checks failed.", style="bold red"))
    else:
        say(Text(f"All is as the workspace file promises; {told.destination} counts none of it.", style="green"))


def _known_destination(workspace: config.Workspace, name: str) -> None:
    if name not in workspace.destinations:
        raise Misuse(f"The workspace has no destination `{name}`.{did_you_mean(name, workspace.destinations)}")


# replay


def replay_signals(
    destination: Annotated[str, typer.Argument(help="A destination of the workspace file.")],
    file: WorkspaceOption = Path(config.FILE),
    verdict: Annotated[list[str] | None, typer.Option(help="refused, unknown; may be repeated. Both without it.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only signals with this reason or platform code.")] = None,
    since: Annotated[str, typer.Option(help="Only events of the last such time, as 36h or 3d.")] = "7d",
    risky: Annotated[bool, typer.Option("--risky", help="Also those the platform might count twice.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it, after showing what it means.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send again what a platform refused or never clearly answered, after showing age limits and dedupe risk."""
    workspace = workspace_at(file)
    _known_destination(workspace, destination)
    verdicts = verdict or ["refused", "unknown"]
    for each in verdicts:
        if each not in {"refused", "unknown"}:
            raise Misuse(f"Only refused and unknown signals can be replayed, not {each}.")
    try:
        earliest = now_ms() - config.duration(since)
    except ValueError as error:
        raise Misuse(f"--since {since}: write a time such as 90m, 36h or 3d.") from error

    def work(database: Database) -> tuple[list[replay.Candidate], int, int, pipeline.Route]:
        plan = pipeline.plan(workspace, database.submit(lambda connection: memberships.known(connection, workspace)).result())
        route = next(route for route in plan.routes if route.name == destination)
        found = database.look(
            lambda connection: replay.candidates(
                connection, route, verdicts=verdicts, reason=reason, since=earliest, now=now_ms()
            )
        )
        chosen = replay.safe(found, risky=risky)
        if not yes or not chosen:
            return found, 0, 0, route
        taken = 0
        for part in replay.portions(chosen):
            taken += database.submit(partial(replay.take_up, plan=plan, route=route, chosen=part, now=now_ms())).result()
        able = sum(each.risk not in {"too old", "request gone"} for each in chosen)
        return found, taken, able - taken, route

    found, taken, left_out, route = _with_database(workspace, work)
    counts = {risk: sum(each.risk == risk for each in found) for risk in replay.RISKS}
    limits = route.platform.limits
    if as_json:
        say_json({"destination": destination, "found": len(found), "risks": counts, "taken_up": taken, "left_out": left_out})
        return
    table = Table(title=f"{len(found)} signals of {destination}: {', '.join(verdicts)}")
    for column in ("risk", "signals", "meaning"):
        table.add_column(column, justify="right" if column == "signals" else "left")
    for risk, count in counts.items():
        if count:
            table.add_row(risk, f"{count:,}", replay.RISKS[risk])
    Console().print(table)
    say(
        f"{destination} sends events of up to {route.oldest_ms / DAY:g} days; {route.platform.title} "
        f"recognises repeats for {limits.dedupe_ms // 3_600_000} hours."
    )
    if yes:
        say(Text(f"{taken:,} signals wait to be sent again.", style="green"))
        if left_out:
            say(f"{left_out:,} stay out: a rule of today forbids them, such as consent, suppression or a paused destination.")
    elif found:
        say("Nothing was changed. --yes takes up the safe ones, --risky --yes those that may count twice as well.")


def _with_database(workspace: config.Workspace, work: Callable[[Database], Found]) -> Found:
    database = Database(workspace.database)
    try:
        database.submit(lambda one: owner.claim(one, workspace.workspace, workspace.environment, now_ms())).result()
        return work(database)
    finally:
        database.close()


# bench


def bench(
    which: Annotated[
        list[str] | None,
        typer.Argument(
            help="map, flow, latency (all three without it); timers, people, rescan, audiences, pages, plan.", metavar="[NAME]..."
        ),
    ] = None,
    events: Annotated[
        int | None, typer.Option(min=1_000, help="How many events, signals or people, instead of the usual.")
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="The flow with gates, derived events and repeats switched on.")] = False,
    segments: Annotated[bool, typer.Option("--segments", help="The flow with thirty segments.")] = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Pages: keep the store in this folder, and use it again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure on this machine: mapping alone, the whole flow beside the database's bare limit, latency at a steady rate;

    how late a membership change by time alone is, what an event costs in a store with a million people, and how long the
    console's pages take on a store with ten million rows in the ledger.
    """
    from signalpost.benchmarks import (  # noqa: PLC0415  (nobody else needs them)
        audiences,
        flow,
        latency,
        mapping,
        pages,
        people,
        plan,
        rescan,
        timers,
    )

    benches: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "map": lambda: [mapping.run(platform, signals=events or 60_000) for platform in mapping.SETTINGS],
        "flow": lambda: [asyncio.run(flow.run(events=events or 100_000, rules=rules, segments=segments))],
        "latency": lambda: [asyncio.run(latency.run(seconds=max(2, (events or 10_000) // 500)))],
        "timers": lambda: [asyncio.run(timers.run(people=events or 100_000))],
        "people": lambda: [people.run(many=events or 1_000_000)],
        "rescan": lambda: [rescan.run(people=events or 100_000, events=20 * (events or 100_000))],
        "plan": lambda: plan.run(events=events or 30_000),
        "audiences": lambda: asyncio.run(audiences.run(people=events or 1_000_000)),
        "pages": lambda: [pages.run(rows=events or 10_000_000, keep=keep)],
    }
    chosen = which or ["map", "flow", "latency"]
    for name in chosen:
        if name not in benches:
            raise Misuse(f"There is no bench `{name}`; there are {listed(benches)}.")
    for name in chosen:
        for result in benches[name]():
            if as_json:
                say_json(result)
            else:
                _print_figures(result)


def _print_figures(result: dict[str, Any]) -> None:
    table = Table(title=f"bench {result['bench']}" + (f" {result['platform']}" if "platform" in result else ""))
    table.add_column("figure")
    table.add_column("", justify="right")
    for name, value in result.items():
        if name in {"bench", "platform"}:
            continue
        if name == "pages":
            for page, times in value.items():
                words = "p50 {p50_ms:,} ms, p95 {p95_ms:,} ms, {cpu_ms:,} ms of processor, at first {first_ms:,} ms"
                table.add_row(page, words.format(**times))
        elif isinstance(value, dict):
            for part, each in value.items():
                table.add_row(f"{name.replace('_', ' ')}: {part}", f"{each:,}")
        elif isinstance(value, list):
            table.add_row(name.replace("_", " "), " ".join(f"{each:,}" for each in value))
        else:
            table.add_row(name.replace("_", " "), f"{value:,}")
    Console().print(table)
