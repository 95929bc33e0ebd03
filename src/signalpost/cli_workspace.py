"""The commands about the workspace file: write a first one, find what is wrong with one, read its gates."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from signalpost import conditions, config, neighbours, starter
from signalpost.cli_say import AsJson, File, Misuse, complain, say, say_json, text_of, workspace_at
from signalpost.destinations import CATALOG
from signalpost.gates import Rule, condition_of, rules
from signalpost.options import UNITS, Gate
from signalpost.presets import PRESETS
from signalpost.store.database import Database
from signalpost.store.gates import Caught, caught


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
    shared = neighbours.mistakes(file, os.environ, CATALOG)
    if shared:
        workspace, notes = None, (*notes, *shared)
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


DAYS = 7
"""How far back `gates` counts what its rules caught."""


def gates(file: File = Path(config.FILE), as_json: AsJson = False) -> None:
    """Print the gates of a workspace as sentences, with what they caught in seven days, and the presets it does not use."""
    workspace = workspace_at(file)
    found = _caught(workspace, int(time.time() * 1000) - DAYS * UNITS["d"])
    switched_on = list(zip(workspace.gates, rules(workspace), strict=True))
    unused = [name for name in PRESETS if name not in {gate.preset for gate in workspace.gates}]
    if as_json:
        say_json(
            {
                "workspace": workspace.workspace,
                "gates": [_rule(gate, rule, found) for gate, rule in switched_on],
                "presets": [_preset(name) for name in unused],
            }
        )
        return
    for gate, rule in switched_on:
        say(Text.assemble((rule.name, "bold"), f"  {gate.mode}"), *(f"  {line}" for line in _lines(gate, rule, found)))
    say("No gate is switched on." if not switched_on else "", Text("Presets that are not switched on:", style="bold"))
    for name in unused:
        preset = _preset(name)
        say(f"  {name}: {preset['doc']}", f"      Withholds when {preset['sentence']}.")
    say("", "Add one under `gates` as `- preset: NAME`; with `mode: observing` it only counts what it would withhold.")


def _caught(workspace: config.Workspace, since: int) -> list[Caught] | None:
    """What the gates caught; None while there is no database file yet."""
    if "://" not in workspace.database and not Path(workspace.database).exists():
        return None
    database = Database(workspace.database)
    try:
        return database.look(lambda connection: caught(connection, since))
    finally:
        database.close()


def _lines(gate: Gate, rule: Rule, found: list[Caught] | None) -> list[str]:
    would = "Would withhold" if rule.observing else "Withholds"
    events = "every event" if rule.events is None else ", ".join(sorted(rule.events))
    where = "every destination" if rule.destinations is None else ", ".join(sorted(rule.destinations))
    lines = [f"{would} when {rule.sentence}.", f"Looks at {events}; for {where}."]
    if gate.preset is not None:
        lines.append(f"when: {conditions.written(condition_of(gate))}")
    if found is not None:
        own = [each for each in found if each.gate == rule.name]
        lines += [f"In {DAYS} days {_told(each)}." for each in own] or [f"In {DAYS} days nothing."]
    return lines


def _told(each: Caught) -> str:
    worth = f" worth {each.value:,.2f} {each.currency}" if each.currency else ""
    return (
        f"{each.signals:,} signal{'' if each.signals == 1 else 's'}{worth} {'would have been ' if each.observing else ''}withheld"
    )


def _rule(gate: Gate, rule: Rule, found: list[Caught] | None) -> dict[str, Any]:
    return {
        "name": rule.name,
        "preset": gate.preset,
        "mode": gate.mode,
        "sentence": rule.sentence,
        "advice": rule.advice,
        "when": condition_of(gate),
        "events": None if rule.events is None else sorted(rule.events),
        "destinations": None if rule.destinations is None else sorted(rule.destinations),
        "last_days": None if found is None else [_counted(each) for each in found if each.gate == rule.name],
    }


def _counted(each: Caught) -> dict[str, Any]:
    worth = f"{each.value:.2f}" if each.currency else None
    return {"observing": each.observing, "signals": each.signals, "value": worth, "currency": each.currency or None}


def _preset(name: str) -> dict[str, Any]:
    when = condition_of(Gate(preset=name))
    preset = PRESETS[name]
    sentence = conditions.compile(when).sentence
    return {"name": name, "doc": preset.doc, "sentence": sentence, "when": when, "takes": list(preset.takes)}
