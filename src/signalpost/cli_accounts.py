"""The commands about users of the console: for whoever keeps the server, with or without `serve` running."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from signalpost import accounts, config
from signalpost.accounts import Refused, User
from signalpost.cli_say import AsJson, Misuse, WorkspaceOption, nothing_yet, on_database, say, say_json, workspace_at
from signalpost.config import Workspace
from signalpost.processing import now_ms
from signalpost.segments.explain import moment
from signalpost.store import accounts as kept
from signalpost.store.database import Connection

Found = TypeVar("Found")

Email = Annotated[str, typer.Argument(help="The e-mail address they sign in by.", metavar="EMAIL")]
Role = Annotated[str, typer.Option(help=f"What they may: {', '.join(accounts.ROLES)}.")]

application = typer.Typer(help="Users of the console: who may come in.", add_completion=False)


@application.callback(invoke_without_command=True)
def about(context: typer.Context) -> None:
    """Users of the console: who may come in."""
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")
        raise typer.Exit(2)


@application.command("list")
def list_users(file: WorkspaceOption = Path(config.FILE), as_json: AsJson = False) -> None:
    """Everybody who may come in, with their role and when they were last seen."""
    workspace = workspace_at(file)
    found = _write(workspace, kept.everybody)
    if as_json:
        say_json(msgspec.to_builtins(found))
        return
    if not found:
        say("There is no user yet. `signalpost serve` prints a link that makes the first admin.")
        return
    table = Table()
    for column in ("person", "e-mail address", "role", "last seen"):
        table.add_column(column)
    for each in found:
        seen = moment(each.seen_at, ZoneInfo(workspace.timezone)) if each.seen_at else "not yet"
        table.add_row(each.name, each.email, each.role, seen)
    Console().print(table)


@application.command("invite")
def invite(
    email: Email, role: Role = accounts.VIEWER, file: WorkspaceOption = Path(config.FILE), as_json: AsJson = False
) -> None:
    """Make a new user and print the link that lets them in, once, within three days."""
    workspace, now = workspace_at(file), now_ms()

    def work(connection: Connection) -> tuple[User, str]:
        user, secret = kept.invite(connection, email=email, role=role, now=now)
        kept.note(connection, _whoever(), "user_invited", f"user {user.email}", f"as {role}, on the command line", now)
        return user, secret

    user, secret = _write(workspace, work)
    _say_link(workspace, f"{user.email} may come in as {user.role} by this link, once, within three days:", secret, as_json)


@application.command("reset")
def reset(email: Email, file: WorkspaceOption = Path(config.FILE), as_json: AsJson = False) -> None:
    """Print a link by which a user sets a new password, once, within three days."""
    workspace, now = workspace_at(file), now_ms()

    def work(connection: Connection) -> tuple[str, str]:
        user = _known(connection, email)
        what, secret = kept.way_in(connection, user.id, now)
        said = "an invitation" if what == "invite" else "for a new password"
        kept.note(connection, _whoever(), "link_made", f"user {user.email}", f"{said}, on the command line", now)
        return user.email, secret

    address, secret = _write(workspace, work)
    _say_link(workspace, f"{address} sets a password by this link, once, within three days:", secret, as_json)


@application.command("role")
def give_role(
    email: Email,
    role: Annotated[str, typer.Argument(help=f"What they may: {', '.join(accounts.ROLES)}.", metavar="ROLE")],
    file: WorkspaceOption = Path(config.FILE),
) -> None:
    """Give a user another role."""
    workspace, now = workspace_at(file), now_ms()

    def work(connection: Connection) -> User:
        user = kept.give_role(connection, _known(connection, email).id, role)
        kept.note(connection, _whoever(), "role_given", f"user {user.email}", f"now {role}, on the command line", now)
        return user

    user = _write(workspace, work)
    say(f"{user.email} is {user.role} now.")


@application.command("remove")
def remove(email: Email, file: WorkspaceOption = Path(config.FILE)) -> None:
    """Let a user in no more, at once; what they did stays in the audit."""
    workspace, now = workspace_at(file), now_ms()

    def work(connection: Connection) -> User:
        user = kept.remove(connection, _known(connection, email).id, now)
        kept.note(connection, _whoever(), "user_removed", f"user {user.email}", "on the command line", now)
        return user

    user = _write(workspace, work)
    say(f"{user.email} cannot come in any more.")


def _known(connection: Connection, email: str) -> User:
    user = kept.by_email(connection, email)
    if user is None:
        raise Refused(f"There is no user {email}. `signalpost users list` prints them all.")
    return user


def _whoever() -> User:
    """Whoever runs the command, for the audit."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "the command line"
    return User(id=0, name=name, email="", role=accounts.ADMIN)


def _write(workspace: Workspace, work: Callable[[Connection], Found]) -> Found:
    """Work in a transaction on the workspace's database; raises `Misuse` where there is none yet."""
    done = on_database(workspace, lambda database: (database.submit(work).result(),))
    if done is None:
        raise Misuse(f"{nothing_yet(workspace)} `signalpost serve` makes it, and prints a link for the first admin.")
    return done[0]


def _say_link(workspace: Workspace, sentence: str, secret: str, as_json: bool) -> None:
    server = workspace.server
    host = f"[{server.host}]" if ":" in server.host else server.host
    address = f"{(server.public_url or f'http://{host}:{server.port}').rstrip('/')}/enter/{secret}"
    if as_json:
        say_json({"link": address})
    else:
        say(sentence, address)
