"""The commands of a staged rollout: status, advance, back, restart."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from signalpost import config, rollout
from signalpost.cli_say import AsJson, File, Misuse, say, say_json, workspace_at
from signalpost.config import Destination, Workspace
from signalpost.marked import did_you_mean
from signalpost.options import Stage
from signalpost.processing import now_ms
from signalpost.rollout import Check, Standing
from signalpost.store import rollouts
from signalpost.store.database import Connection, Database
from signalpost.store.rollouts import Status

application = typer.Typer(help="Staged rollouts: where they stand, and moving them by hand.", add_completion=False)

Name = Annotated[str, typer.Argument(help="A destination of the workspace file.", metavar="DESTINATION")]
Note = Annotated[str, typer.Option("--note", help="Why, for the audit.")]
By = Annotated[str | None, typer.Option("--by", help="Who, for the audit; the system's user without it.")]


@application.callback(invoke_without_command=True)
def about(context: typer.Context) -> None:
    """Staged rollouts: where they stand, and moving them by hand."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")
        raise typer.Exit(2)


@application.command()
def status(file: File = Path(config.FILE), as_json: AsJson = False) -> None:
    """Show each rollout's stages, its figures against the bounds, and why it is held or when it may go on."""
    workspace, now = workspace_at(file), now_ms()
    staged = {name: destination for name, destination in workspace.destinations.items() if destination.rollout}

    def read(connection: Connection) -> list[Status]:
        known = rollouts.standings(connection)
        return [rollouts.status_of(connection, name, destination, known.get(name)) for name, destination in staged.items()]

    database = Database(workspace.database)
    try:
        found = database.look(read) if staged else []
    finally:
        database.close()
    if as_json:
        say_json(msgspec.to_builtins(found))
        return
    if not found:
        say("No destination has a rollout: everything is sent at once.")
    console = Console(highlight=False, soft_wrap=True)
    for each in found:
        for line in lines(each, staged[each.destination].rollout, ZoneInfo(workspace.timezone), now):
            console.print(line)
        console.print()


@application.command()
def advance(file: File, destination: Name, note: Note, by: By = None, as_json: AsJson = False) -> None:
    """Begin a destination's next stage now, whatever its bounds say, with a line in the audit."""
    _move(file=file, name=destination, steps=1, note=note, by=by, as_json=as_json)


@application.command()
def back(file: File, destination: Name, note: Note, by: By = None, as_json: AsJson = False) -> None:
    """Go back to a destination's stage before, with a line in the audit; its time begins anew."""
    _move(file=file, name=destination, steps=-1, note=note, by=by, as_json=as_json)


@application.command()
def restart(file: File, destination: Name, note: Note, by: By = None, as_json: AsJson = False) -> None:
    """Begin a destination's stage anew, after something was mended: its time and its figures count from now."""
    _move(file=file, name=destination, steps=0, note=note, by=by, as_json=as_json)


def _move(*, file: File, name: str, steps: int, note: str, by: str | None, as_json: bool) -> None:
    workspace = workspace_at(file)
    destination = _staged(workspace, name)
    who = by if by is not None else _user()
    if not note.strip() or not who.strip():
        raise Misuse("--note and --by are for the audit: neither may be empty.")
    stages = destination.rollout

    def work(connection: Connection) -> tuple[list[Check], rollouts.Change]:
        now = now_ms()
        before = rollouts.standings(connection).get(name, Standing(destination=name, since=now))
        here = rollouts.status_of(connection, name, destination, before)
        change = rollouts.move(connection, workspace, name, steps, who=who, note=note, now=now)
        return [check for check in here.checks if not check.holds], change

    database = Database(workspace.database)
    try:
        failing, change = database.submit(work).result()
    except ValueError as error:
        raise Misuse(f"{name} cannot be moved: {error}.") from error
    finally:
        database.close()
    sends = sorted(rollout.allowed(stages, change.stage) or ())
    if as_json:
        say_json({"destination": name, "stage": change.stage + 1, "stages": len(stages), "sends": sends, "by": who, "note": note})
        return
    say(Text(f"{name} is in stage {change.stage + 1} of {len(stages)} now. It sends {', '.join(sends)}.", style="green"))
    if steps > 0 and failing:
        say(Text(f"The stage before asked for more: {'; '.join(check.sentence for check in failing)}.", style="yellow"))
    say("A running server follows with its next batch.")


def _staged(workspace: Workspace, name: str) -> Destination:
    """The destination of this name, which must have a rollout."""
    if name not in workspace.destinations:
        raise Misuse(f"The workspace has no destination `{name}`.{did_you_mean(name, workspace.destinations)}")
    destination = workspace.destinations[name]
    if not destination.rollout:
        raise Misuse(f"{name} has no rollout: everything is sent at once. Stages stand under `destinations.{name}.rollout`.")
    return destination


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise Misuse("This system does not say who you are; say it with --by.") from error


# ---- how it looks ----------------------------------------------------------------------------------------------------------


def lines(told: Status, stages: tuple[Stage, ...], zone: ZoneInfo, now: int) -> list[Text]:
    """A rollout as lines: its stages one below the other, the figures under the one it is in, then what happened."""
    made = [Text.assemble((told.destination, "bold"), f"  {_place(told, zone, now)}")]
    for number, stage in enumerate(stages, 1):
        mark, style = ("✓", "green") if number < told.stage else ("●", "bold blue") if number == told.stage else ("○", "dim")
        made.append(Text.assemble("  ", (f"{mark} {number}", style), f"  {_stage(stage, number, told.stages)}"))
        if number == told.stage:
            made += [_check(check) for check in told.checks]
            made.append(Text.assemble("       ", _outlook(told, zone, now)))
    for reason, words in (("not_yet_rolled_out", "kept for a later stage"), ("over_cap", "over their cap")):
        events = told.withheld.get(reason)
        if events:
            many = ", ".join(f"{event} ({number:,})" for event, number in sorted(events.items()))
            made.append(Text.assemble("  ", ("withheld", "cyan"), f"  {words} since this stage began: {many}"))
    for change in told.changes:
        made.append(Text.assemble("  ", (_moment(change.at, zone), "dim"), f"  {change.who}: {change.what}. {change.note}"))
    return made


def _place(told: Status, zone: ZoneInfo, now: int) -> str:
    if told.since is None:
        return f"not begun: stage 1 of {told.stages} begins when `signalpost serve` runs next"
    return f"stage {told.stage} of {told.stages}, since {_moment(told.since, zone)} ({rollout.spell(now - told.since)})"


def _stage(stage: Stage, number: int, last: int) -> str:
    said = ("" if number == 1 else "+ ") + ", ".join(stage.send)
    said += "".join(f", at most {many} {event} for each purchase" for event, many in stage.at_most.items())
    return said + (f"; at least {stage.lasts}" if stage.lasts is not None and number < last else "")


def _check(check: Check) -> Text:
    mark, style = ("✓", "green") if check.holds else ("✗", "red") if check.figure is not None else ("?", "yellow")
    figure = check.figure or "not yet known"
    return Text.assemble("       ", (mark, style), f" {check.measure:<14}{figure:<15}", (f"wanted {check.wanted}", "dim"))


def _outlook(told: Status, zone: ZoneInfo, now: int) -> tuple[str, str]:
    """What comes next for the stage it is in, with its style."""
    if told.stage == told.stages:
        return "the last stage: everything it names is sent", "green"
    if told.may_advance_at is None:
        return f"goes on by hand: signalpost rollout advance FILE {told.destination} --note ...", "yellow"
    if now < told.may_advance_at:
        left = rollout.spell(told.may_advance_at - now)
        return f"may go on from {_moment(told.may_advance_at, zone)} (in {left}), if every bound holds then", "blue"
    failing = [check.sentence for check in told.checks if not check.holds]
    if failing:
        return f"held: {'; '.join(failing)}", "yellow"
    return "every bound holds: the next stage begins within a minute while `signalpost serve` runs", "green"


def _moment(at: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
