"""The command that tries the addresses of alerts."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from rich.text import Text

from signalpost import alerts, config
from signalpost.cli_say import AsJson, File, Misuse, say, say_json, workspace_at

application = typer.Typer(help="Alerts: whether messages arrive.", add_completion=False)


@application.callback(invoke_without_command=True)
def about(context: typer.Context) -> None:
    """Alerts: whether messages arrive."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")
        raise typer.Exit(2)


@application.command("test")
def send_tests(file: File = Path(config.FILE), as_json: AsJson = False) -> None:
    """Send one test message to each address under `alerts.to`, quiet hours or not; exit code 1 if one did not take it."""
    workspace = workspace_at(file)
    if not workspace.alerts.to:
        raise Misuse(f"{file} has no address under `alerts.to`: nobody is told of findings.")
    answers = alerts.trial(workspace)
    if as_json:
        say_json({name: {"taken": why is None, "why": why} for name, why in answers.items()})
    else:
        longest = max(map(len, answers))
        for name, why in answers.items():
            mark, style = ("✓", "green") if why is None else ("✗", "red")
            say(Text.assemble((mark, style), f" {name:<{longest}}  {'took the test message' if why is None else why}"))
    if any(answers.values()):
        raise typer.Exit(1)
