"""`signalpost report`: the week on one page for the paid team."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.text import Text

from signalpost import alerts, config
from signalpost.cli_say import AsJson, File, Misuse, say, say_json, workspace_at
from signalpost.processing import now_ms
from signalpost.store import report as figures
from signalpost.store.database import Database
from signalpost.web import report


def with_its_week(arguments: list[str]) -> list[str]:
    """The command line with `report --week`, which names no week, as what it means: the last seven days."""
    if arguments[:1] != ["report"] or "--week" not in arguments:
        return arguments
    at = arguments.index("--week")
    named = arguments[at + 1 : at + 2]
    if named and not named[0].startswith("-") and not named[0].endswith((".yaml", ".yml")):
        return arguments
    return [*arguments[:at], "--days", "7", *arguments[at + 1 :]]


def report_week(
    file: File = Path(config.FILE),
    week: Annotated[
        str | None,
        typer.Option(metavar="WEEK", help="An ISO week such as 2026-W47, or `this` or `last`; alone, the last seven days."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=report.MOST_DAYS, help="The last days, today among them; 7 without either option.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it; signal-report-DAY.html without it.")
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="Also send it to each address under `alerts.to`.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the week's report for the paid team: one HTML page that needs nothing else, to mail or to print."""
    workspace = workspace_at(file)
    if week is not None and days is not None:
        raise Misuse("--week and --days both say which time: give one of them.")
    if send and as_json:
        raise Misuse("--json prints the facts and sends nothing: leave out --send.")
    if send and not workspace.alerts.to:
        raise Misuse(f"{file} has no address under `alerts.to`: there is nobody to send it to.")
    period = _period(week, days or 7, ZoneInfo(workspace.timezone))
    database = Database(workspace.database)
    try:
        made = figures.steady(database, lambda connection: report.gather(connection, workspace, period, now_ms()))
    finally:
        database.close()
    if as_json:
        say_json(msgspec.to_builtins(made))
        return
    path = out or Path(f"signal-report-{period.days[-1].day}.html")
    try:
        path.write_text(report.page(made), "utf-8")
    except OSError as error:
        raise Misuse(f"{path} cannot be written: {error.strerror}.") from error
    say(Text(made.summary), f"Written to {path}.")
    if send and not _sent(workspace, made, path):
        raise typer.Exit(1)


def _sent(workspace: config.Workspace, made: report.Report, path: Path) -> bool:
    """Send the page to each address; True when every one took it."""
    message = alerts.Message(
        title=f"{workspace.workspace}: signal report, {report.dates(made.period)}", body=made.summary, worst="over", findings=()
    )
    answers = {name: alerts.send(address, message, path) for name, address in workspace.alerts.to.items()}
    for name, why in answers.items():
        say(f"Sent to {name}." if why is None else Text(f"Not sent to {name}: {why}", style="red"))
    return not any(answers.values())


def _period(week: str | None, days: int, zone: ZoneInfo) -> report.Period:
    if week is None:
        return report.period_of_days(days, zone, now_ms())
    found = report.period_of_week(week, zone, now_ms())
    if found is None:
        raise Misuse(f"{week} is no week that has begun: write it as 2026-W47, or `this` or `last`.")
    return found
