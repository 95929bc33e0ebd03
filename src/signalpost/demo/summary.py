"""The end of a bounded run: what the hub says beside what the emulators say, and what there was to see."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import msgspec
from rich.console import Group
from rich.table import Table
from rich.text import Text

from signalpost import findings, watch
from signalpost.config import Workspace
from signalpost.demo import found, people
from signalpost.demo.picture import VERDICT_STYLE, sentences
from signalpost.processing import now_ms
from signalpost.serve import Serving
from signalpost.store.database import Connection
from signalpost.web import report

TRIES = 50
"""How often audiences are held against the platforms: time goes on moving people while that is done."""


async def told(now_serving: Serving, platforms: str) -> dict[str, Any]:
    """The ledger's totals beside what each emulator says it accepted; `agree` only when they are the same, id by id, and when
    each audience has exactly the identifiers of the people whom it wants.

    Beside them what there was to see: orders known against value accepted, duplicates caught, what observing gates would cost,
    what was called off before or after sending, derived events, rollouts and findings.
    """
    workspace = now_serving.worker.workspace
    totals, events, identified, week = await now_serving.database.read(
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
        summary["different"] = await _different(now_serving, client)
    crowd = await now_serving.database.read(partial(people.look, workspace=workspace, now=now_ms()))
    summary["agree"] = summary["agree"] and summary["waiting"] == 0 and not summary["different"]
    return summary | people.plain(crowd) | _seen(week, workspace) | {"findings": [_plain(each.finding) for each in opened]}


async def _different(now_serving: Serving, client: httpx.AsyncClient) -> dict[str, int]:
    """Audiences that are not at the platform as they are here, and in how many identifiers. Who is being moved just now by time
    alone is on the way for a moment, so a difference counts only when it stays."""
    wished = partial(people.held, workspace=now_serving.worker.workspace)
    differ: dict[str, int] = {}
    for _ in range(TRIES):
        differ = await people.different(client, await now_serving.database.read(wished))
        if not differ:
            break
        await asyncio.sleep(0.2)
    return differ


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
        "advice": each.advice,
        "money": None if each.money is None else str(each.money),
        "currency": each.currency,
        "link": each.link,
    }


def drawn(summary: dict[str, Any], workspace: Workspace) -> Group:
    table = Table(title=f"{summary['events']:,} events, {summary['signals']:,} signals")
    table.add_column("")
    for name in summary["platforms"]:
        table.add_column(name, justify="right")
    for verdict, style in VERDICT_STYLE.items():
        table.add_row(verdict, *(f"{each.get(verdict, 0):,}" for each in summary["platforms"].values()), style=style)
    table.add_row("received, says the platform", *(f"{many:,}" for many in summary["received"].values()), style="bold")
    own = [each for each in summary["orders"] if each["currency"] == workspace.currency]
    by = {(each["destination"], part): each[part] for each in own for part in ("known", "accepted")}
    for part, words in (("known", "orders the shop told of"), ("accepted", "of them accepted as purchases")):
        told = (by.get((name, part)) for name in summary["platforms"])
        table.add_row(words, *("" if each is None else f"{each['orders']:,}: £{float(each['value']):,.2f}" for each in told))
    why = Table(title="withheld, and why")
    why.add_column("reason")
    why.add_column("signals", justify="right")
    known = sentences(workspace)
    for reason, many in sorted(summary["withheld"].items(), key=lambda item: -item[1]):
        why.add_row(known.get(reason, reason), f"{many:,}")
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
            seen.add_row(title, known.get(what, what), *counts)
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
    crowd = people.read(summary)
    opened = msgspec.convert(summary["findings"], list[findings.Finding])
    word = (
        ("Ledger and emulators agree, id by id, and so do the audiences.", "bold green")
        if summary["agree"]
        else ("They do NOT agree.", "bold red")
    )
    more = Text(
        "The demo's folder is gone. `signalpost demo` without --once goes on until Ctrl-C, and prints the commands by which "
        "doctor, findings and report look at its workspace meanwhile.",
        style="dim",
    )
    parts = (
        table,
        why,
        seen,
        people.in_segments(crowd),
        people.in_audiences(crowd, list(summary["platforms"])),
        found.table(opened),
    )
    return Group(*parts, Text(*word), more)
