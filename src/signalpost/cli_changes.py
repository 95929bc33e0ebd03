"""The commands that plan and apply a workspace file: plan, apply."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from signalpost import config, revising
from signalpost.cli_say import AsJson, Misuse, WorkspaceOption, nothing_yet, say, say_json, text_of, workspace_at
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.errors import ConfigError, SignalpostError
from signalpost.options import spelt
from signalpost.processing import now_ms
from signalpost.proposals import Cell, Comparison, Size, compare
from signalpost.proposals.comparison import Progress as Told
from signalpost.store import owner, revisions
from signalpost.store.database import Connection, Database

SHOWN_CELLS, SHOWN_EXAMPLES = 40, 10
"""Lines of a table, and examples, that are printed; `--json` has all."""


def plan(
    new: Annotated[Path, typer.Argument(help="The workspace file that is proposed.", metavar="NEW")],
    since: Annotated[str, typer.Option(help="How much of the past is replayed, as 36h or 7d.")] = "7d",
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Replay the last days through the present workspace file and a proposed one, and tell what would change.

    Nothing is changed by it: the database is only read.
    """
    present, proposed = workspace_at(file), workspace_at(new)
    until = now_ms()
    try:
        begins = until - config.duration(since)
    except ValueError as error:
        raise Misuse(f"--since {since}: write a time such as 36h or 7d.") from error
    if config.in_a_file(present.database) and not Path(present.database).is_file():
        raise Misuse(nothing_yet(present))
    with told("Replaying", quiet=as_json) as progress:
        found = compare(present.database, present, proposed, since=begins, until=until, progress=progress)
    if as_json:
        say_json({"same": found.same, **msgspec.to_builtins(found, str_keys=True)})
    else:
        show(found)


@contextmanager
def told(words: str, *, quiet: bool) -> Iterator[Told]:
    """A progress bar on the terminal, as what is told (done, of how much)."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _done, _total: None
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(words, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def show(found: Comparison) -> None:
    """Print a comparison for a person."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 140  # into a file or a pager: nothing is cut off
    span = spelt(found.until - found.since)
    if found.same:
        say(
            Text.assemble(
                ("Nothing would change", "bold green"), f": {found.events:,} events of the last {span} become the same."
            )
        )
    else:
        many = f"{found.examples_of:,} signal{'' if found.examples_of == 1 else 's'}"
        say(
            Text.assemble(
                (f"{many} would become something else", "bold yellow"), f", of {found.events:,} events of the last {span}."
            )
        )
    cells = [each for each in found.cells if _differs(each)]
    if cells:
        console.print(_signals(cells[:SHOWN_CELLS]))
        _more(len(cells) - SHOWN_CELLS, "outcomes")
    sizes = [each for each in (*found.segments, *found.audiences) if each.before != each.after]
    if sizes:
        console.print(_sizes(sizes[:SHOWN_CELLS]))
        _more(len(sizes) - SHOWN_CELLS, "segments and audiences")
    for each in found.examples[:SHOWN_EXAMPLES]:
        say("", Text.assemble((f"{each.event} -> {each.destination}", "bold"), f"  event {each.number}"))
        say(Text.assemble("  before: ", (each.before, "red")), Text.assemble("  after:  ", (each.after, "green")))
        for field in each.fields:
            if each.before != each.after and None in {field.before, field.after}:
                continue  # a whole payload comes or goes: the sentences have said so
            say(
                Text.assemble(
                    f"    {field.path}: ", (field.before or "absent", "red"), " -> ", (field.after or "absent", "green")
                )
            )
    _more(found.examples_of - min(SHOWN_EXAMPLES, len(found.examples)) if found.examples else 0, "signals that differ")
    say("", Text(found.way, "dim"), *(Text(f"- {note}", "dim") for note in found.notes))


def _more(many: int, of: str) -> None:
    if many > 0:
        say(Text(f"and {many:,} more {of}; --json has more.", "dim"))


def _differs(cell: Cell) -> bool:
    return cell.before != cell.after or cell.value_before != cell.value_after


def _signals(cells: Sequence[Cell]) -> Table:
    table = Table(title="Signals", title_justify="left")
    for name in ("event", "to", "becomes"):
        table.add_column(name)
    for name in ("before", "after", "change", "value before", "value after"):
        table.add_column(name, justify="right")
    for each in cells:
        change = each.after - each.before
        better = (change > 0) == (each.verdict == "sent")
        table.add_row(
            each.event,
            each.destination,
            each.reason or "sent",
            f"{each.before:,}",
            f"{each.after:,}",
            Text(f"{change:+,}", "" if not change else "green" if better else "red"),
            _money(each.value_before),
            _money(each.value_after),
        )
    return table


def _sizes(sizes: Sequence[Size]) -> Table:
    table = Table(title="People", title_justify="left")
    table.add_column("segment or audience")
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right")
    for each in sizes:
        change = (each.after or 0) - (each.before or 0)
        name = f"{each.name} -> {each.destination}" if each.destination else each.name
        table.add_row(name, _many(each.before), _many(each.after), Text(f"{change:+,}", "green" if change > 0 else "red"))
    return table


def _many(people: int | None) -> str:
    return "-" if people is None else f"{people:,}"


def _money(sums: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{value:,.2f} {currency}" for currency, value in sums.items())


# apply

PATIENCE_S = 60.0
"""How long a running server may take to put a change in force."""

TAKEN_S = 5.0
"""How long nobody may have taken a change of a PostgreSQL database in hand before it is done here: no server runs then."""


def apply(
    new: Annotated[Path, typer.Argument(help="The workspace file that shall be in force.", metavar="NEW")],
    note: Annotated[str, typer.Option(help="Why; shown in the list of changes.")] = "",
    planned: Annotated[bool, typer.Option("--plan/--no-plan", help="First show what it would change.")] = True,
    since: Annotated[str, typer.Option(help="How much of the past that looks at, as 36h or 7d.")] = "7d",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Put a proposed workspace file in force: show what it would change, ask, and write it; a running server takes it up."""
    from signalpost import serve  # noqa: PLC0415  (a web server takes its time to load)

    if as_json and not yes:
        raise Misuse("--json needs --yes: there is nobody to ask.")
    workspace, text, there = workspace_at(file), text_of(new), text_of(file)
    database = Database(workspace.database)
    try:
        database.submit(lambda one: owner.claim(one, workspace.workspace, workspace.environment, now_ms())).result()
        last = database.look(revisions.latest)
        # Who wrote the new text over the file already means what was in force before.
        present = last.text if last is not None and there == text else there
        if text == present:
            raise Misuse(f"{new} is what is in force already.")
        before, after = _read(present, workspace, file), _read(text, workspace, file)
        found, result = None, None
        if planned:
            begins, until = _span(since)
            with told("Replaying", quiet=as_json) as progress:
                found = compare(workspace.database, before, after, since=begins, until=until, progress=progress)
            result = msgspec.json.encode(found)
            if not as_json:
                show(found)
        for name in revising.restarts(before, after) if not as_json else ():
            say(Text(f"`{name}` is read at the next start only.", "yellow"))
        if not yes and not typer.confirm(f"Put {new} in force for {workspace.workspace} ({workspace.environment})?"):
            say("Nothing was changed.")
            return
        now = now_ms()
        number = database.submit(
            partial(_wanted, present=present, text=text, note=note, found=found, result=result, now=now)
        ).result()
        try:
            with serve.only_one(database.address):
                # Nobody serves an embedded database now; one on a PostgreSQL server may be served from elsewhere.
                done = None if database.embedded else _taken_up(database, number, TAKEN_S)
                served = done is not None
                done = _write(database, file, number) if done is None else done
        except serve.AlreadyRunning:
            done, served = _taken_up(database, number, PATIENCE_S), True
    finally:
        database.close()
    if done is None:
        raise SignalpostError("The running server has not taken it up yet; its log says why. The page Changes shows how it goes.")
    if as_json:
        say_json({"applied": True, "revision": done, "taken_up_by_server": served})
    else:
        how = "The running server has taken it up." if served else "No server runs on this database; the next start reads it."
        say(Text(f"Revision {done} is in force.", "bold green"), how)


def _span(since: str) -> tuple[int, int]:
    until = now_ms()
    try:
        return until - config.duration(since), until
    except ValueError as error:
        raise Misuse(f"--since {since}: write a time such as 36h or 7d.") from error


def _read(text: str, present: Workspace, file: Path) -> Workspace:
    workspace, found = revising.read(text, present, os.environ, CATALOG, file)
    if workspace is None:
        raise ConfigError(tuple(each for each in found if each.severity == "mistake"))
    return workspace


def _wanted(
    connection: Connection, *, present: str, text: str, note: str, found: Comparison | None, result: bytes | None, now: int
) -> int:
    """The proposal, with its plan, that shall be applied."""
    who = f"{getpass.getuser()} on the command line"
    revisions.keep(connection, present, who="file", note="found before a change", origin="start", now=now)
    base = revisions.digest(present)
    number = revisions.propose(connection, text, base=base, who=who, note=note, origin="command", since=None, now=now)
    if found is not None and result is not None:
        revisions.compare(connection, number, base=base, since=found.since, now=now)
        revisions.progress(connection, number, found.events, found.events, now)
        revisions.compared(connection, number, result, now)
    revisions.want(connection, number, "draft" if found is None else "compared", who, now)
    connection.run("audit_add", now, who, "change_wanted", f"proposal {number}", "" if found is not None else "without a plan")
    return number


def _taken_up(database: Database, number: int, seconds: float) -> int | None:
    """The revision that a server made of the proposal; None when none took it in hand within so many seconds."""
    until = time.monotonic() + seconds
    while True:
        found = database.look(partial(revisions.proposal, number=number))
        if found is not None and found.state == "applied":
            return found.revision
        if found is not None and found.state in revisions.RESTING:
            raise SignalpostError(found.sentence or "It was not applied.")
        if time.monotonic() > until and (found is None or found.state == "wanted" or time.monotonic() > until + PATIENCE_S):
            return None
        time.sleep(0.2)


def _write(database: Database, file: Path, number: int) -> int:
    """Nobody serves the database: the file is written here."""
    taken = database.submit(partial(revisions.take, number=number, now=now_ms())).result()
    if taken is None:
        raise SignalpostError("A server took it up at this moment; the page Changes shows how it goes.")
    try:
        revising.write(file, taken.text)
    except revising.Refused as error:
        sentence = str(error)
        database.submit(lambda connection: revisions.back(connection, number, sentence, now_ms())).result()
        raise
    return database.submit(partial(revisions.apply, taken=taken, now=now_ms())).result().id
