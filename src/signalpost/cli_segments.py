"""The commands about segments: who is inside, why, and who will be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import typer
from msgspec import Struct
from rich.bar import Bar
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from signalpost import config, masking
from signalpost.cli_say import AsJson, Misuse, WorkspaceOption, look_at, nothing_yet, say, say_json, workspace_at
from signalpost.conditions.scalars import moment_of
from signalpost.config import Workspace
from signalpost.events import Person
from signalpost.marked import Notes, did_you_mean, listed, parse
from signalpost.options import UNITS, duration
from signalpost.processing import now_ms
from signalpost.segments import catalog, explain, live, reading, tiers
from signalpost.segments import forecast as forecasting
from signalpost.segments.catalog import Catalog
from signalpost.segments.explain import Explanation, Part, moment
from signalpost.segments.forecast import Forecast
from signalpost.segments.rules import Rule
from signalpost.segments.sentences import sentence
from signalpost.store import memberships, valuing
from signalpost.store import segments as kept
from signalpost.store.database import Connection
from signalpost.store.segments import Move

Found = TypeVar("Found")

HOUR, DAY = UNITS["h"], UNITS["d"]
QUARTER = HOUR // 4
"""Every zone's days begin at a whole quarter of an hour."""

LONG = 5_000
"""People that are walked before a progress bar is worth its place."""

BY_THE_DAY = 96
"""Hours of a forecast beyond which it is drawn by the day."""

BAR = 24
"""Characters of the longest bar."""

application = typer.Typer(help="Segments: who is inside, why, and who will be.", add_completion=False)

Segment = Annotated[str, typer.Argument(help="A segment of the workspace file, a tier of a ladder or a band.", metavar="SEGMENT")]


@application.callback(invoke_without_command=True)
def about(context: typer.Context, file: WorkspaceOption = Path(config.FILE), as_json: AsJson = False) -> None:
    """Segments: who is inside, why, and who will be. Alone it lists them."""
    if context.invoked_subcommand is None:
        list_segments(file=file, as_json=as_json)
    elif as_json or file != Path(config.FILE):
        raise Misuse(f"Options stand after the command: signalpost segments {context.invoked_subcommand} --config FILE --json.")


# ---- list ------------------------------------------------------------------------------------------------------------------


class Listed(Struct, frozen=True, kw_only=True):
    """One segment as it is listed."""

    segment: str
    sentence: str
    size: int | None
    """People inside; None: nothing has been built yet."""
    ready: bool
    done: float | None
    """Of a segment that is being built, the share that is done (0 to 1)."""
    entered: int
    """In the last 24 hours, as `left`."""
    left: int
    hidden: bool
    problem: str = ""
    """Of a band: why its bounds are not what was asked for, such as too few people."""


@application.command("list")
def list_segments(
    file: WorkspaceOption = Path(config.FILE),
    every: Annotated[bool, typer.Option("--all", help="Also those that journeys need.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell each segment's rule, how many are inside, and how many entered and left in the last 24 hours."""
    workspace, now = workspace_at(file), now_ms()
    segments = catalog.of(workspace)
    names = list(segments.rules) if every else list(segments.shown)
    found = look_at(workspace, lambda connection: _listed(connection, segments, names, now))
    if found is None:
        found = [_unbuilt(segments, name) for name in names]
    if as_json:
        say_json(msgspec.to_builtins(found))
        return
    if not found:
        say("The workspace file has no segments. They stand under `segments:`.")
        return
    say(*(line for each in found for line in _list_lines(each)))


def _listed(connection: Connection, segments: Catalog, names: Iterable[str], now: int) -> list[Listed]:
    known, sizes, troubles = kept.registered(connection), kept.sizes(connection), _band_troubles(connection, segments)
    progress = {
        name: each.done / each.total if each.total else 0.0
        for each in memberships.backfills(connection)
        for name in each.segments
    }
    made = []
    for name in names:
        own = known.get(name)
        if own is None or own.removed_at is not None:
            made.append(_unbuilt(segments, name))
            continue
        entered, left = kept.moved(connection, own.slot, now - DAY, now + 1)
        current = own.ready_at is not None and own.digest == segments.digest(name)
        made.append(
            Listed(
                segment=name,
                sentence=segments.sentences[name],
                size=sizes.get(own.slot, 0),
                ready=current,
                done=None if current else progress.get(name, 0.0),
                entered=entered,
                left=left,
                hidden=name in segments.hidden,
                problem=troubles.get(name, ""),
            )
        )
    return made


def _band_troubles(connection: Connection, segments: Catalog) -> dict[str, str]:
    """The segment of each band whose bounds could not be computed as asked -> the sentence that says why."""
    computed = valuing.computed(connection)
    return {
        catalog.band_segment(name, band): computed[name].sentence
        for name, tiers in segments.bands.items()
        if name in computed
        for band in tiers.names
    }


def _unbuilt(segments: Catalog, name: str) -> Listed:
    return Listed(
        segment=name,
        sentence=segments.sentences[name],
        size=None,
        ready=False,
        done=None,
        entered=0,
        left=0,
        hidden=name in segments.hidden,
    )


def _list_lines(each: Listed) -> Iterator[Text]:
    if each.size is None:
        state, style = "not built yet: `signalpost serve` does it", "dim"
    elif not each.ready:
        state, style = f"being built: {each.done or 0:.0%}", "yellow"
    else:
        state, style = "", ""
    size = "-" if each.size is None else f"{each.size:,}"
    moves = f"  +{each.entered:,} −{each.left:,} in 24 hours" if each.entered or each.left else ""
    yield Text.assemble(
        (f"{size:>9}  ", "bold"), (each.segment, "bold blue"), (moves, "dim"), f"  {state}" if state else "", style=style
    )
    yield Text(f"           {each.sentence}.", style="dim")
    if each.problem:
        yield Text(f"           {each.problem}", style="yellow")


# ---- explain ---------------------------------------------------------------------------------------------------------------


class Told(Struct, frozen=True, kw_only=True):
    """Why one person is in a segment or not, with what is written of it."""

    person: int
    identifiers: list[str]
    """Masked."""
    suppressed: bool
    """They asked not to be processed: they are in no segment whatever the rule says."""
    since: int | None
    """Since when they are inside, as it is written; None: they are not."""
    moved: Move | None
    """How they last entered or left."""
    ready: bool
    explanation: Explanation


@application.command("explain")
def explain_membership(
    segment: Segment,
    person: Annotated[
        str, typer.Argument(help="A person's number, e-mail address, phone, customer id or browser id.", metavar="PERSON")
    ],
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Tell why a person is in a segment or not, and what changes next, when."""
    workspace, now = workspace_at(file), now_ms()
    segments, zone = catalog.of(workspace), ZoneInfo(workspace.timezone)
    _there(segments, segment)

    def look(connection: Connection) -> list[Told]:
        bands = valuing.present(connection, workspace)
        return [
            _told(connection, segments, each, explain.explain(segment, segments.rules, bands, each, now, zone))
            for each in kept.find(connection, person, workspace)
        ]

    found = look_at(workspace, look) or []
    if as_json:
        say_json([_plain(each) for each in found])
    if not found:
        raise Misuse(
            f"Nobody is known by {masking.text(person)}: give a person's number, e-mail address, phone, customer id or browser "
            "id, as the sources tell it. `kind:value` says of which kind it is, such as `email:ann@example.test`."
        )
    if not as_json:
        for each in found:
            say(*_told_lines(each, segments, zone, now))


def _told(connection: Connection, segments: Catalog, person: Person, explanation: Explanation) -> Told:
    own = kept.registered(connection).get(explanation.segment)
    moves = [] if own is None else kept.moves_of(connection, person.id, own.slot, most=1)
    return Told(
        person=person.id,
        identifiers=[masking.identifier(each) for each in kept.identifiers(connection, person.id)],
        suppressed=person.suppressed_at > 0,
        since=None if own is None else kept.since(connection, own.slot, person.id),
        moved=moves[0] if moves else None,
        ready=own is not None and own.ready_at is not None and own.digest == segments.digest(explanation.segment),
        explanation=explanation,
    )


def _plain(told: Told) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(told)

    def shown(part: dict[str, Any]) -> None:
        for seen in part["seen"]:
            seen["value"] = masking.fact(seen["name"], seen["value"])
        for inner in part["parts"]:
            shown(inner)

    shown(plain["explanation"]["part"])
    return plain


def _told_lines(told: Told, segments: Catalog, zone: ZoneInfo, now: int) -> Iterator[Text]:
    one = told.explanation
    yield Text.assemble((f"Person {told.person}", "bold"), f": {', '.join(told.identifiers) or 'no identifier'}")
    state = ("inside", "bold green") if one.inside else ("not inside", "bold red")
    yield Text.assemble((one.segment, "bold blue"), ": ", state, _moved_words(told, zone))
    yield Text(f"  {segments.sentences[one.segment]}.", style="dim")
    if told.suppressed:
        yield Text("  This person asked not to be processed: they are in no segment, whatever the rule says.", style="yellow")
    elif not told.ready:
        yield Text("  The segment is not built yet: what is remembered of this person may lack what came before.", style="yellow")
    elif (told.since is not None) != one.inside:
        yield Text("  This is what the rule says now; the change has not been written yet.", style="yellow")
    yield Text(f"  {explain.next_words(one, zone, now)}", style="bold")
    yield from _part_lines(one.part, zone, now, 1)
    yield Text()


def _moved_words(told: Told, zone: ZoneInfo) -> str:
    if told.since is not None:
        said = f" since {moment(told.since, zone)}"
        return f"{said}, {kept.why(told.moved)}" if told.moved is not None and told.moved.at == told.since else said
    if told.moved is not None and not told.moved.entered:
        return f"; left at {moment(told.moved.at, zone)}, {kept.why(told.moved)}"
    return ""


_WORDS = {"all": "all of this:", "any": "at least one of this:"}


def _part_lines(part: Part, zone: ZoneInfo, now: int, depth: int) -> Iterator[Text]:
    indent = "  " * depth
    mark, style = ("✓", "green") if part.holds else ("✗", "red")
    until = ""
    if part.changes_at is not None:
        until = f"  {'until' if part.holds else 'from'} {moment(part.changes_at, zone)}"
    yield Text.assemble(indent, (mark, style), f" {_WORDS.get(part.word, part.sentence)}", (until, "cyan"))
    for seen in part.seen:
        yield Text(f"{indent}    {explain.seen_words(seen, masking.fact(seen.name, seen.value), zone, now)}", style="dim")
    for inner in part.parts:
        yield from _part_lines(inner, zone, now, depth + 1)


# ---- forecast --------------------------------------------------------------------------------------------------------------


class Outlook(Struct, frozen=True, kw_only=True):
    """How a segment's size goes on if nothing happens; times in epoch ms."""

    segment: str
    now: int
    until: int
    size: int
    """People inside now."""
    people: int
    """People whom time alone may move in any segment until then; they were looked at."""
    steps: list[dict[str, int]]
    """Hours, or days of the workspace's zone: `start`, `entered`, `left`, and `size` at its end."""


@application.command()
def forecast(
    segment: Segment,
    hours: Annotated[int, typer.Option("--hours", min=1, max=2160, help="How far to look ahead.")] = 48,
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Draw how many enter and leave a segment in the next hours if nothing happens: exact, from what is remembered of people."""
    workspace, now = workspace_at(file), now_ms()
    segments = catalog.of(workspace)
    _there(segments, segment)
    until, zone = now + hours * HOUR, ZoneInfo(workspace.timezone)

    def look(connection: Connection) -> Outlook:
        test = live.closure(segments.rules[segment], segments.rules, valuing.present(connection, workspace))
        own = kept.registered(connection).get(segment)
        if own is not None and (own.ready_at is None or own.digest != segments.digest(segment)):
            raise Misuse(
                f"`{segment}` is being built: `signalpost segments list` tells how far it has come. Try again when it is there."
            )
        size = 0 if own is None else kept.sizes(connection).get(own.slot, 0)
        many = kept.due_count(connection, until)
        people = _with_bar(kept.due(connection, until), many, quiet=as_json)
        by_the_day = hours > BY_THE_DAY
        found = forecasting.forecast(people, {segment: test}, now, until, QUARTER if by_the_day else HOUR)
        return _outlook(segment, size, found, zone if by_the_day else None)

    found = _looked(workspace, look)
    if as_json:
        say_json(msgspec.to_builtins(found))
    else:
        _draw(found, zone)


def _with_bar(people: Iterator[Person], many: int, *, quiet: bool) -> Iterator[Person]:
    """The same people, with a progress bar on a terminal when there are many."""
    if quiet or many < LONG:
        yield from people
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(people, total=many, description="Looking at people")


def _outlook(segment: str, size: int, found: Forecast, days_in: ZoneInfo | None) -> Outlook:
    """The forecast with the size that it leads to; by the day of a zone where one is given."""
    line, there = found.lines[segment], size
    steps: dict[str | int, dict[str, int]] = {}
    for start, entered, left in zip(found.starts, line.entered, line.left, strict=True):
        there += entered - left
        step = steps.setdefault(moment(start, days_in)[:10] if days_in else start, {"start": start, "entered": 0, "left": 0})
        step.update(entered=step["entered"] + entered, left=step["left"] + left, size=there)
    return Outlook(segment=segment, now=found.now, until=found.until, size=size, people=found.people, steps=list(steps.values()))


def _draw(found: Outlook, zone: ZoneInfo) -> None:
    entered, left = (sum(each[way] for each in found.steps) for way in ("entered", "left"))
    hours = (found.until - found.now) // HOUR
    say(
        Text.assemble(
            (found.segment, "bold blue"),
            f": {found.size:,} inside now. In the next {hours:,} hour{'' if hours == 1 else 's'}, if nothing happens,"
            f" {entered:,} enter and {left:,} leave; then {found.size + entered - left:,} are inside.",
        )
    )
    if not entered and not left:
        return
    longest = max(max(each["entered"], each["left"]) for each in found.steps)
    table = Table.grid(padding=(0, 1))
    for justify in ("left", "right", "left", "right", "left", "right"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_row("", Text("enter", style="green"), "", Text("leave", style="red"), "", Text("inside", style="bold"))
    for each in found.steps:
        at = moment(each["start"], zone)
        table.add_row(
            Text(at[5:16] if hours <= BY_THE_DAY else at[:10], style="dim"),
            f"{each['entered']:,}" if each["entered"] else "",
            Bar(longest, 0, each["entered"], width=BAR, color="green"),
            f"{each['left']:,}" if each["left"] else "",
            Bar(longest, 0, each["left"], width=BAR, color="red"),
            f"{each['size']:,}",
        )
    Console(highlight=False).print(table)


# ---- tiers -----------------------------------------------------------------------------------------------------------------


@application.command("tiers")
def prove_tiers(file: WorkspaceOption = Path(config.FILE), as_json: AsJson = False) -> None:
    """Prove that nobody is in two segments of a declared set, and that none falls between them; exit code 1 if somebody does."""
    workspace = workspace_at(file)
    segments = catalog.of(workspace)
    derived = tiers.made_of(workspace)
    found = {name: tiers.prove(segments.rules, each.of, each.covering, derived=derived) for name, each in segments.tiers.items()}
    if as_json:
        names = ("of", "covering", "holds", "way", "people", "sentence", "advice")
        say_json([{"tiers": name} | {key: getattr(proof, key) for key in names} for name, proof in found.items()])
    elif not found:
        say("No set of segments is declared to exclude one another: they stand under `tiers:`, and every ladder is one.")
    for name, proof in found.items() if not as_json else ():
        mark, style = ("✗", "red") if not proof.holds else ("✓", "green") if proof.way == "proved" else ("?", "yellow")
        say(Text.assemble((mark, style), f" {name}", (f" ({proof.way})", "dim"), f": {proof.sentence}"))
        if proof.advice:
            say(Text(f"  What to do: {proof.advice}", style="dim"))
    if not all(proof.holds for proof in found.values()):
        raise typer.Exit(1)


# ---- history ---------------------------------------------------------------------------------------------------------------


@application.command()
def history(
    segment: Segment,
    most: Annotated[int, typer.Option("--most", min=1, max=10_000, help="So many changes, newest first.")] = 20,
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Tell who entered and left a segment lately, and why."""
    workspace = workspace_at(file)
    segments, zone = catalog.of(workspace), ZoneInfo(workspace.timezone)
    _there(segments, segment)

    def look(connection: Connection) -> list[Move]:
        own = kept.registered(connection).get(segment)
        return [] if own is None else kept.latest(connection, own.slot, most=most)

    found = look_at(workspace, look) or []
    if as_json:
        say_json([{**msgspec.to_builtins(each), "why": kept.why(each)} for each in found])
        return
    if not found:
        say(f"Nobody has entered or left {segment} yet, as far as is remembered.")
    for each in found:
        word, style = ("entered", "green") if each.entered else ("left   ", "red")
        say(Text.assemble((moment(each.at, zone), "dim"), "  ", (word, style), f"  person {each.person}  {kept.why(each)}"))


# ---- sql and preview -------------------------------------------------------------------------------------------------------


@application.command("sql")
def say_sql(
    segment: Segment,
    dialect: Annotated[
        str, typer.Option("--dialect", help="duckdb, postgresql, bigquery, snowflake, databricks, spark or clickhouse.")
    ] = "duckdb",
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="The moment asked for; without it a parameter `now`.")] = "",
    file: WorkspaceOption = Path(config.FILE),
) -> None:
    """Print a segment's rule as one SQL statement over the exported history."""
    from signalpost.segments import sql  # noqa: PLC0415  (takes a moment to load, and no other command needs it)

    workspace = workspace_at(file)
    segments = catalog.of(workspace)
    _there(segments, segment)
    now = moment_of(at) if at else None
    if at and now is None:
        raise Misuse(f"`{at}` is no moment: write a date such as 2026-11-27 or 2026-11-27T18:00:00Z.")
    if dialect not in sql.DIALECTS:
        raise Misuse(f"There is no dialect `{dialect}`; there are {listed(sql.DIALECTS)}.")
    bands = look_at(workspace, lambda connection: valuing.present(connection, workspace)) or {}
    say(sql.select(segments.rules[segment], segments.rules, dialect=dialect, now=now, bands=bands))


@application.command()
def preview(
    rule: Annotated[str, typer.Argument(help="A segment's name, or a rule as YAML: `{did: Order Completed, within: 14d}`.")],
    since: Annotated[str, typer.Option("--since", metavar="SPAN", help="How far to look back, a figure for each day.")] = "30d",
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Ask a rule of the history before it is a segment: how many are inside now, how many were each day, and some of them."""
    from signalpost import plan, previews  # noqa: PLC0415  (as above)

    workspace, now = workspace_at(file), now_ms()
    segments, zone = catalog.of(workspace), ZoneInfo(workspace.timezone)
    chosen = segments.rules.get(rule.strip()) or _rule(rule, workspace)
    try:
        days = duration(since) // DAY
    except ValueError as error:
        raise Misuse(f"`--since {since}` is no span of time: {error}.") from error

    def look(connection: Connection) -> tuple[previews.Preview, dict[int, list[str]]]:
        bands = valuing.present(connection, workspace)
        with _bar("Reading the history", quiet=as_json) as progress:
            found = previews.preview(
                connection,
                plan.plan(workspace),
                chosen,
                segments.rules,
                now=now,
                days=days,
                zone=zone,
                bands=bands,
                progress=progress,
            )
        known = {each: [masking.identifier(one) for one in kept.identifiers(connection, each)] for each in found.sample}
        return found, known

    found, known = _looked(workspace, look)
    if as_json:
        people = [{"person": each, "identifiers": names} for each, names in known.items()]
        say_json({"sentence": sentence(chosen, zone), **msgspec.to_builtins(found), "sample": people})
        return
    say(Text(f"{sentence(chosen, zone)}.", style="dim"))
    share = f" ({found.inside / found.known:.1%})" if found.known else ""
    say(Text.assemble((f"{found.inside:,}", "bold"), f" of {found.known:,} people are inside now{share}."))
    if found.missing:
        gone = f"{found.missing:,} events are past the journal's retention: what a condition asks of them is not known."
        say(Text(gone, style="yellow"))
    most = max((day.inside for day in found.days), default=0)
    for day in found.days:
        share_of = round(BAR * day.inside / most) if most else 0
        say(Text.assemble((moment(day.at - 1, zone)[:10], "dim"), f" {day.inside:>9,} ", ("█" * share_of, "blue")))
    for each, names in known.items():
        say(f"  person {each}: {', '.join(names) or 'no identifier'}")


@application.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A folder for the files; it is made.", metavar="DIR")],
    csv: Annotated[bool, typer.Option("--csv", help="Write CSV instead of Parquet.")] = False,
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Write the history that `segments sql` asks to files, one for each table. They hold personal data: keep them as such."""
    from signalpost import plan, previews  # noqa: PLC0415  (as above)

    workspace = workspace_at(file)

    def look(connection: Connection) -> dict[str, int]:
        kind = "csv" if csv else "parquet"
        with _bar("Reading the history", quiet=as_json) as progress:
            return previews.export(connection, plan.plan(workspace), folder, kind=kind, progress=progress)

    rows = _looked(workspace, look)
    if as_json:
        say_json(rows)
        return
    for table, many in rows.items():
        say(f"{many:>12,} {table}")
    say(f"Written to {folder}. What the columns hold: docs/reference/warehouse.md.")


def _rule(text: str, workspace: Workspace) -> Rule:
    """A rule given as YAML; raise `Misuse` with every mistake."""
    if ":" not in text:
        _there(catalog.of(workspace), text)
    notes = Notes("RULE")
    value = parse(text, {}, notes)
    read = None if value is None else reading.read(value, notes, catalog.knows(workspace))
    if read is None:
        raise Misuse("\n".join(each.sentence for each in notes.found) or "The rule says nothing.")
    return read


@contextmanager
def _bar(words: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on the terminal, as a function that is told (done, of how much); None where nothing is to be shown."""
    if quiet:
        yield None
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(words, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


# ---- what they share -------------------------------------------------------------------------------------------------------


def _there(segments: Catalog, name: str) -> None:
    """Raise `Misuse` for a segment that is not there."""
    if name not in segments.rules:
        raise Misuse(f"The workspace has no segment `{name}`.{did_you_mean(name, segments.shown)}")


def _looked(workspace: Workspace, look: Callable[[Connection], Found]) -> Found:
    """Look at the workspace's database; raise `Misuse` where it is not there yet."""
    found = look_at(workspace, look)
    if found is None:
        raise Misuse(nothing_yet(workspace))
    return found
