"""How the commands speak: results to standard output, trouble to standard error, and what they all read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from signalpost import config, tokens
from signalpost.destinations import CATALOG
from signalpost.errors import SignalpostError
from signalpost.store.database import Connection, Database

Found = TypeVar("Found")

File = Annotated[Path, typer.Argument(help="The workspace file.", metavar="FILE")]
WorkspaceOption = Annotated[Path, typer.Option("--config", metavar="FILE", help="The workspace file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


class Misuse(SignalpostError):
    """The command was called in a way it cannot follow; exit code 2."""


def complain(sentence: str) -> None:
    """Print what went wrong to standard error, as it is: no markup, no wrapping."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(sentence))


def say(*lines: str | Text) -> None:
    """Print lines for a person to standard output."""
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(line if isinstance(line, Text) else Text(line))


def say_json(value: Any) -> None:
    """Print one JSON value for a program to standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def workspace_at(path: Path) -> config.Workspace:
    """Return the checked workspace of the file; raise `ConfigError` with all its mistakes, or `Misuse`."""
    if not path.is_file():
        raise Misuse(f"There is no workspace file {path}. `signalpost init` writes one.")
    return config.load(path, tokens.Environ(path, os.environ), CATALOG)


def on_database(workspace: config.Workspace, work: Callable[[Database], Found]) -> Found | None:
    """Work on the workspace's database; None where it is a file that is not there yet."""
    address = workspace.database
    if config.in_a_file(address) and not Path(address).expanduser().is_file():
        return None
    database = Database(address)
    try:
        return work(database)
    finally:
        database.close()


def look_at(workspace: config.Workspace, look: Callable[[Connection], Found]) -> Found | None:
    """Look at the workspace's database without changing it; None where it is a file that is not there yet."""
    return on_database(workspace, lambda database: database.look(look))


def nothing_yet(workspace: config.Workspace) -> str:
    """What is said where the workspace's database is not there yet."""
    return f"Nothing has happened in this workspace yet: there is no {workspace.shown_database}."


def text_of(file: Path) -> str:
    """Return the text of a file; raise `Misuse` when it cannot be read."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Misuse(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Misuse(f"{file} cannot be read: it is not UTF-8 text.") from error
