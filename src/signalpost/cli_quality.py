"""The commands about the quality of signals: what is wrong or doubtful, and both platforms' checklists."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
import typer
from msgspec.structs import replace
from rich.text import Text

from signalpost import config
from signalpost import doctor as checklist
from signalpost import watch as watching
from signalpost.cli_say import AsJson, File, look_at, nothing_yet, on_database, say, say_json, workspace_at
from signalpost.config import Workspace
from signalpost.doctor import Checked, Evidence, State, keeping
from signalpost.findings import DAY, span
from signalpost.findings import money as money_text
from signalpost.processing import now_ms
from signalpost.store import findings as kept
from signalpost.store import owner
from signalpost.store.database import Database
from signalpost.store.findings import Kept

STYLES: dict[State, str] = {"pass": "green", "warn": "yellow", "fail": "bold red", "not yet known": "dim"}
SIGNS: dict[State, str] = {"pass": "pass", "warn": "warn", "fail": "FAIL", "not yet known": "?"}
SEVERITY = {"warning": "yellow", "problem": "bold red"}


# doctor


def doctor(
    file: File = Path(config.FILE),
    ask: Annotated[
        bool, typer.Option("--ask", help="Also ask each platform whether it knows the account; changes nothing there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Go through both platforms' checklists with live evidence; exit code 1 if a check fails."""
    workspace, now = workspace_at(file), now_ms()
    evidence = look_at(workspace, lambda connection: checklist.gather(connection, workspace, now)) or checklist.nothing(now)
    if ask:
        heard = asyncio.run(checklist.ask(workspace, now))
        evidence = replace(evidence, answers=evidence.answers | heard)
        on_database(workspace, lambda database: database.submit(partial(keeping.keep_answers, answers=heard)).result())
    checked = checklist.examine(workspace, evidence)
    counts = {state: sum(each.state == state for each in checked) for state in checklist.STATES}
    if as_json:
        say_json({"workspace": workspace.workspace, "at": now, "counts": counts, "checks": msgspec.to_builtins(checked)})
    else:
        say(*_checklist(workspace, evidence, checked))
        say(Text(", ".join(f"{count} {state}" for state, count in counts.items() if count) + ".", style="bold"))
    if counts["fail"]:
        raise typer.Exit(1)


def _checklist(workspace: Workspace, evidence: Evidence, checked: list[Checked]) -> list[Text]:
    lines: list[Text] = []
    if not evidence.figures.since and not evidence.last:
        lines.append(Text("Nothing has happened in this workspace yet: only the file is looked at.", style="dim"))
    for name in (*workspace.destinations, ""):
        lines.append(Text(name or f"workspace {workspace.workspace}", style="bold underline"))
        for each in checked:
            if each.destination == name:
                lines += _line(each)
        lines.append(Text())
    return lines


def _line(each: Checked) -> list[Text]:
    age = "" if each.age_ms is None else f"  ({span(each.age_ms)} ago)" if each.age_ms >= 120_000 else "  (just now)"
    lines = [
        Text.assemble(
            "  ",
            (f"{SIGNS[each.state]:<5}", STYLES[each.state]),
            (each.title, "bold"),
            (age, "dim"),
            "\n",
            f"       {each.sentence}",
        )
    ]
    if each.advice:
        lines.append(Text.assemble(("       What to do: ", "dim"), each.advice))
    if each.events:
        lines.append(Text.assemble(("       Events: ", "dim"), ", ".join(map(str, each.events))))
    return lines


# findings


def findings(
    file: File = Path(config.FILE),
    every: Annotated[bool, typer.Option("--all", help="Also those that closed in the last 30 days.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell everything wrong or doubtful, with money at stake, since when, and what to do."""
    workspace, now = workspace_at(file), now_ms()

    def work(database: Database) -> list[Kept]:
        database.submit(lambda one: owner.claim(one, workspace.workspace, workspace.environment, now)).result()
        opened = watching.once(database, workspace, now)
        if not every:
            return opened
        past = database.look(lambda connection: kept.between(connection, now - 30 * DAY, now + 1))
        return opened + [each for each in past if not each.open]

    found = on_database(workspace, work)
    if as_json:
        say_json([_plain(each) for each in found or []])
        return
    if found is None:
        say(nothing_yet(workspace))
        return
    zone = ZoneInfo(workspace.timezone)
    for each in found:
        say(*_finding(each, zone))
    opened = sum(each.open for each in found)
    say(Text(f"{opened} open." if opened else "Nothing is wrong, as far as is known.", style="bold"))


def _plain(each: Kept) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(each.finding)
    return {
        "id": each.id,
        **told,
        "title": each.finding.title,
        "open": each.open,
        "since": each.since,
        "seen_at": each.seen_at,
        "closed_at": each.closed_at,
    }


def _finding(each: Kept, zone: ZoneInfo) -> list[Text]:
    finding = each.finding
    moment = f"since {_moment(each.since, zone)}"
    if each.closed_at is not None:
        moment = f"{_moment(each.since, zone)} to {_moment(each.closed_at, zone)}"
    at_stake = "" if finding.money is None else f"  {money_text(finding.money, finding.currency)}"
    lines = [
        Text.assemble(
            (f"{finding.severity if each.open else 'closed':<8}", SEVERITY[finding.severity] if each.open else "dim"),
            (finding.title, "bold"),
            (at_stake, "bold"),
            (f"  {moment}", "dim"),
        ),
        Text(f"         {finding.sentence}"),
        Text.assemble(("         What to do: ", "dim"), finding.advice),
    ]
    if finding.examples:
        lines.append(Text.assemble(("         Events: ", "dim"), ", ".join(map(str, finding.examples))))
    lines.append(Text(f"         {finding.link}", style="dim"))
    return lines


def _moment(at: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at / 1000, tz=UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
