"""The commands that plan and apply a workspace file: plan, apply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from signalpost import config
from signalpost.cli_say import AsJson, Misuse, WorkspaceOption, nothing_yet, say, say_json, workspace_at
from signalpost.options import spelt
from signalpost.processing import now_ms
from signalpost.proposals import Cell, Comparison, Size, compare
from signalpost.proposals.comparison import Progress as Told

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
    if quiet:
        yield lambda _done, _total: None
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
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
