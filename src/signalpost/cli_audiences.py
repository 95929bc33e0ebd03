"""The commands about audiences: how they stand at the platforms, and beginning one anew there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.text import Text

from signalpost import clocks, config
from signalpost.cli_say import AsJson, Misuse, WorkspaceOption, look_at, on_database, say, say_json, workspace_at
from signalpost.config import Workspace
from signalpost.findings import span
from signalpost.marked import did_you_mean
from signalpost.processing import now_ms
from signalpost.segments.explain import moment
from signalpost.store import audiences as store
from signalpost.store import owner, synced
from signalpost.store.audiences import Figures, Standing
from signalpost.store.database import Connection
from signalpost.store.synced import MAY_REBUILD, WORDS, Clock, Listed, Shown

WEEK = 7 * clocks.DAY
"""How far back the clocks are read."""

STYLES = {"ready": "green", "new": "blue", "stopped": "bold red", "gone": "bold red", "foreign": "bold red", "removed": "dim"}
application = typer.Typer(help="Audiences: how they stand at the platforms.", add_completion=False)

Name = Annotated[str, typer.Argument(help="An audience: its name, else its segment's.", metavar="AUDIENCE")]


@application.callback(invoke_without_command=True)
def about(context: typer.Context) -> None:
    """Audiences: how they stand at the platforms. Alone it lists them."""
    if context.invoked_subcommand is None:
        list_audiences()


@application.command("list")
def list_audiences(file: WorkspaceOption = Path(config.FILE), as_json: AsJson = False) -> None:
    """Tell of each audience whom it wants, what each platform has taken and matched, and how long purchases took to arrive."""
    workspace, now = workspace_at(file), now_ms()
    known = look_at(workspace, lambda one: (synced.listed(one, workspace, store.figures(one)), synced.took(one, now - WEEK))) or (
        [],
        {},
    )
    found = known[0] or synced.unmade(workspace)
    if as_json:
        say_json({"audiences": msgspec.to_builtins(found), "clocks": msgspec.to_builtins(known[1])})
        return
    if not found:
        say("The workspace file has no audiences. They stand under `audiences:`.")
        return
    zone = ZoneInfo(workspace.timezone)
    for each in found:
        say(*_lines(each, zone, now))
    say(*_clock_lines(known[1]))


@application.command()
def show(
    audience: Name,
    at: Annotated[str | None, typer.Option("--at", metavar="DESTINATION", help="Only at this destination.")] = None,
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Tell all that is known of an audience: identifiers, what a platform refused, which ad groups use it."""
    workspace, now = workspace_at(file), now_ms()
    places = _places(workspace, audience, at)
    found = look_at(
        workspace,
        lambda one: [
            synced.shown(one, workspace, each) for each in synced.listed(one, workspace, store.figures(one)) if _is(each, places)
        ],
    )
    if as_json:
        say_json(msgspec.to_builtins(found or []))
        return
    if not found:
        say(f"`{audience}` was not kept yet: `signalpost serve` makes it.")
        return
    zone = ZoneInfo(workspace.timezone)
    for each in found:
        say(*_lines(each.listed, zone, now), *_details(each, zone))


@application.command()
def rebuild(
    audience: Name,
    at: Annotated[str, typer.Option("--at", metavar="DESTINATION", help="The destination where it is lost.")],
    file: WorkspaceOption = Path(config.FILE),
    as_json: AsJson = False,
) -> None:
    """Begin a lost audience anew: a new one is made at the platform, with everybody who is wanted now."""
    workspace, now = workspace_at(file), now_ms()
    _places(workspace, audience, at)

    def work(connection: Connection) -> tuple[Standing, Figures] | None:
        owner.claim(connection, workspace.workspace, workspace.environment, now)
        return synced.rebuild(connection, audience, at, now)

    known = on_database(workspace, lambda database: database.submit(work).result())
    if known is None:
        raise Misuse(f"`{audience}` was not kept at {at} yet: `signalpost serve` makes it.")
    here, figures = known
    if here.state not in MAY_REBUILD:
        raise Misuse(synced.not_lost(here))
    if as_json:
        say_json({"audience": audience, "destination": at, "was": here.state, "wanted": figures.wanted})
        return
    say(
        Text(f"`{audience}` is made anew at {at}, with {figures.wanted:,} people, while `signalpost serve` runs.", style="green"),
        f"Give the new one to the ad groups that used {here.platform_name or 'the old one'}; those under `ad_groups` are told.",
    )


# ---- reading ---------------------------------------------------------------------------------------------------------------


def _places(workspace: Workspace, audience: str, at: str | None) -> list[tuple[str, str]]:
    """The audience at its destinations, or at the one asked for; raises `Misuse` for what the file does not have."""
    found = [(each.title, destination) for each, destination in store.pairs(workspace) if each.title == audience]
    if not found:
        names = [each.title for each in workspace.audiences]
        raise Misuse(f"The workspace has no audience `{audience}`.{did_you_mean(audience, names)}")
    if at is None:
        return found
    places = [place for place in found if place[1] == at]
    if not places:
        names = [destination for _, destination in found]
        raise Misuse(f"`{audience}` is not kept at `{at}`, only at {', '.join(names)}.{did_you_mean(at, names)}")
    return places


def _is(each: Listed, places: list[tuple[str, str]]) -> bool:
    return (each.audience, each.destination) in places


# ---- how it looks ----------------------------------------------------------------------------------------------------------


def _lines(each: Listed, zone: ZoneInfo, now: int) -> Iterator[Text]:
    use = f"  {each.use} {each.segment}" if each.use else ""
    yield Text.assemble(
        (each.audience, "bold blue"),
        " at ",
        (each.destination, "bold"),
        (use, "dim"),
        "  ",
        (WORDS.get(each.state, each.state), STYLES.get(each.state, "")),
    )
    waits = ""
    if each.pending:
        since = "" if each.oldest is None else f", the first for {span(max(0, now - each.oldest))}"
        urgent = f" ({each.urgent:,} of them moved by a purchase, a refund or a wish)" if each.urgent else ""
        waits = f"; waiting {each.pending:,}{urgent}{since}"
    yield Text(f"  wanted {each.wanted:,}, taken by the platform {each.acknowledged:,}{waits}.")
    if each.state != "removed":
        yield _size(each, zone)
    for refusal in each.refusals:
        what = "would not add" if refusal.adding else "would not remove"
        said = f"the platform {what} {refusal.keys:,} identifiers, last {moment(refusal.at, zone)}: {refusal.sentence}"
        yield Text.assemble(("  ! ", "bold yellow"), said)
    if each.sentence:
        yield Text.assemble(("  ! ", "bold red"), each.sentence)
        if each.state in MAY_REBUILD:
            yield Text(f"    signalpost audiences rebuild '{each.audience}' --at {each.destination}", style="dim")


def _size(each: Listed, zone: ZoneInfo) -> Text:
    if each.size is None:
        said = f"The platform has not told its size yet: its own processing takes {each.pace}."
    elif each.size < each.needed:
        said = f"{each.size:,} of {each.needed:,} needed ({each.needed_is}) before ads can use it"
        said += f"; the platform's own processing of a change takes {each.pace}."
    else:
        said = f"{each.size:,} {each.needed_is}; the platform's own processing of a change takes {each.pace}."
    when = "" if each.size_at is None else f"  ({each.status}, {moment(each.size_at, zone)})"
    style = "yellow" if each.size is not None and each.size < each.needed else ""
    return Text.assemble("  ", (said, style), (when, "dim"))


def _clock_lines(found: dict[str, dict[str, Clock]]) -> Iterator[Text]:
    for destination, named in found.items():
        for clock, words in (("suppressed", "purchase to suppression"), ("audience", "any change")):
            if clock in named:
                took = named[clock]
                yield Text(
                    f"{destination}: {words} p50 {_short(took.p50)}, p99 {_short(took.p99)} over {took.count:,} in 7 days "
                    "(from intake until the platform took it)."
                )


def _short(ms: int) -> str:
    """A time with a digit of its fraction where that says something: `840 ms`, `1.4 s`, `2 minutes`."""
    if ms < clocks.SECOND:
        return f"{ms} ms"
    return f"{ms / 1000:.1f} s" if ms < clocks.MINUTE else span(ms)


def _details(each: Shown, zone: ZoneInfo) -> Iterator[Text]:
    listed = each.listed
    if listed.platform_name:
        yield Text(f"  At the platform it is called {listed.platform_name}.")
    if listed.synced_at is not None:
        yield Text(f"  The platform last took a change {moment(listed.synced_at, zone)}.")
    taken = each.identifiers.get("there", 0)
    yield Text(f"  It holds {taken:,} identifiers of {each.people:,} people.")
    nameless = listed.acknowledged - each.people
    if nameless > 0:
        yield Text(f"  {nameless:,} of those who are wanted have no identifier that the platform takes.")
    open_ = sum(each.identifiers.get(state, 0) for state in ("adding", "removing"))
    if open_:
        yield Text(f"  {open_:,} identifiers were asked for without an answer yet; they are asked again.")
    if each.ad_groups:
        yield Text(f"  The workspace file gives it to the ad groups {', '.join(each.ad_groups)}.")
    if each.ad_groups_wrong:
        yield Text.assemble(("  ! ", "bold red"), each.ad_groups_wrong)
    if each.used_by is not None:
        used = ", ".join(f"{group} ({use})" for group, use in each.used_by) or "none"
        yield Text(f"  Ad groups that use it, as the platform says: {used}.")
