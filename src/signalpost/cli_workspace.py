"""The commands about the workspace file: write a first one, find what is wrong with one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from signalpost import config, starter
from signalpost.cli_say import AsJson, File, Misuse, complain, say, say_json, text_of
from signalpost.destinations import CATALOG


def init(
    file: File = Path(config.FILE),
    workspace: Annotated[str | None, typer.Option(help="Short name of the brand.")] = None,
    environment: Annotated[str | None, typer.Option(help="production or test.")] = None,
    currency: Annotated[str | None, typer.Option(help="Currency of amounts that name none.")] = None,
    country: Annotated[str | None, typer.Option(help="Country of phone numbers that name none.")] = None,
    order_value: Annotated[str | None, typer.Option(help="gross or net: what an order is worth.")] = None,
    platform: Annotated[list[str] | None, typer.Option(help="tiktok, pinterest; may be repeated.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the defaults.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask what a workspace needs and write its file, commented."""
    if file.exists() and not force:
        raise Misuse(f"{file} is there already; --force writes over it.")
    given = {
        "workspace": workspace,
        "environment": environment,
        "currency": currency,
        "country": country,
        "order_value": order_value,
        "platforms": ",".join(platform) if platform else None,
    }
    answers = starter.Answers()
    for name, answer in given.items():
        if answer is not None:
            try:
                answers = starter.answered(answers, name, answer, CATALOG)
            except ValueError as error:
                raise Misuse(str(error)) from error
    for question in starter.QUESTIONS if not (yes or as_json) else ():
        if given[question.name] is None:
            answers = _ask(answers, question)
    text = starter.write(answers, CATALOG)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Misuse(f"{file} cannot be written: {error.strerror}.") from error
    needed = starter.variables(text)
    if as_json:
        say_json({"file": str(file), "environment_variables": list(needed)})
        return
    say(f"Wrote {file}. It needs these environment variables:")
    say(*(f"  {name}" for name in needed))
    say(f"Then: signalpost check {file}")


def _ask(answers: starter.Answers, question: starter.Question) -> starter.Answers:
    usual = getattr(answers, question.name)
    shown = ",".join(usual) if isinstance(usual, tuple) else usual
    while True:
        try:
            answer = typer.prompt(question.text, default=shown)
        except typer.Abort as abort:
            raise Misuse("No answer came; `signalpost init --yes` takes the defaults.") from abort
        try:
            return starter.answered(answers, question.name, answer, CATALOG)
        except ValueError as error:
            complain(str(error))


def check(file: File = Path(config.FILE), as_json: AsJson = False) -> None:
    """Name every mistake of a workspace file with its line; exit code 1 if there is one."""
    workspace, notes = config.check(text_of(file), os.environ, CATALOG, file=str(file))
    if as_json:
        say_json(
            {
                "ok": workspace is not None,
                "workspace": workspace.workspace if workspace is not None else None,
                "mistakes": [_noted(note) for note in notes if note.severity == "mistake"],
                "warnings": [_noted(note) for note in notes if note.severity == "warning"],
            }
        )
    else:
        for note in notes:
            say(Text(str(note), style="red" if note.severity == "mistake" else "yellow"))
        say(_summary(file, workspace, notes))
    if workspace is None:
        raise typer.Exit(1)


def _noted(note: config.Mistake) -> dict[str, Any]:
    return {
        "file": note.file,
        "line": note.line,
        "column": note.column,
        "path": note.path,
        "sentence": note.sentence,
    }


def _summary(file: Path, workspace: config.Workspace | None, notes: tuple[config.Mistake, ...]) -> Text:
    wrong = sum(note.severity == "mistake" for note in notes)
    counted = f"{wrong} mistake{'' if wrong == 1 else 's'}"
    if workspace is None:
        return Text(f"{file}: {counted}.", style="bold red")
    sources, destinations = len(workspace.sources), len(workspace.destinations)
    return Text(
        f"{file}: workspace {workspace.workspace} ({workspace.environment}), {sources} "
        f"source{'' if sources == 1 else 's'}, {destinations} destination{'' if destinations == 1 else 's'}, "
        "no mistakes.",
        style="green",
    )
