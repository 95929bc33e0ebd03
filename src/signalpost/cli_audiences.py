"""The commands about audiences: how they stand at the platforms, and beginning one anew there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer
from msgspec import Struct
from rich.text import Text

from signalpost import clocks, config
from signalpost.cli_say import AsJson, Misuse, WorkspaceOption, look_at, on_database, say, say_json, workspace_at
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.destinations.audiences import AudiencePart
from signalpost.findings import span
from signalpost.marked import did_you_mean
from signalpost.processing import now_ms
from signalpost.segments.explain import moment
from signalpost.store import audiences as store
from signalpost.store import owner
from signalpost.store.audiences import Figures, Standing
from signalpost.store.database import Connection

WEEK = 7 * clocks.DAY
"""How far back the clocks are read."""

MAY_REBUILD = frozenset({"gone", "foreign"})

STYLES = {"ready": "green", "new": "blue", "stopped": "bold red", "gone": "bold red", "foreign": "bold red", "removed": "dim"}
WORDS = {
    "ready": "kept in sync",
    "new": "not made yet",
    "stopped": "STOPPED",
    "gone": "GONE at the platform",
    "foreign": "NOT OURS any more",
    "removed": "no longer in the workspace file",
}

application = typer.Typer(help="Audiences: how they stand at the platforms.", add_completion=False)

Name = Annotated[str, typer.Argument(help="An audience: its name, else its segment's.", metavar="AUDIENCE")]


class Clock(Struct, frozen=True, kw_only=True):
    """How long something took over the last seven days; times in ms."""

    count: int
    p50: int
    p99: int


class Listed(Struct, frozen=True, kw_only=True):
    """One audience at one destination; times in epoch ms."""

    audience: str
    destination: str
    segment: str
    use: str
    state: str
    sentence: str
    """What is wrong, and what to do; '' when nothing is."""
    wanted: int
    """People it is to hold."""
    acknowledged: int
    """Of those, people of whom the platform has taken all."""
    pending: int
    """People, in or out, of whom it has not."""
    urgent: int
    """Of those, people whom a purchase, refund or wish moved."""
    oldest: int | None
    """Since when the first of them waits."""
    size: int | None
    """People that the platform says it matched."""
    size_at: int | None
    needed: int
    """Below this size ads cannot use it."""
    needed_is: str
    status: str
    """The platform's word."""
    meaning: str
    usable: bool
    pace: str
    """How long the platform's own processing takes, which is not in any figure of ours."""
    platform_name: str
    """Its name at the platform."""
    synced_at: int | None
    loaded_at: int | None
    refusals: list[store.Refusal]
    """What the platform would not take or give back, the latest first; it is asked again after a day."""


class Shown(Struct, frozen=True, kw_only=True):
    """One audience at one destination with all that is known of it."""

    listed: Listed
    identifiers: dict[str, int]
    """State -> identifiers."""
    people: int
    """People who are to be found at the platform by at least one identifier."""
    ad_groups: list[str]
    """As the workspace file names them."""
    ad_groups_wrong: str
    used_by: list[tuple[str, str]] | None
    """(ad group, include or exclude), as the platform says; None where it does not say."""


@application.callback(invoke_without_command=True)
def about(context: typer.Context) -> None:
    """Audiences: how they stand at the platforms. Alone it lists them."""
    if context.invoked_subcommand is None:
        list_audiences()


@application.command("list")
def list_audiences(file: WorkspaceOption = Path(config.FILE), as_json: AsJson = False) -> None:
    """Tell of each audience whom it wants, what each platform has taken and matched, and how long purchases took to arrive."""
    workspace, now = workspace_at(file), now_ms()
    known = look_at(workspace, lambda one: (_listed(one, workspace), _clocks(one, now))) or ([], {})
    found = known[0] or _unmade(workspace)
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
        workspace, lambda one: [_shown(one, workspace, each) for each in _listed(one, workspace) if _is(each, places)]
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
    [place] = _places(workspace, audience, at)

    def work(connection: Connection) -> tuple[Standing, Figures] | None:
        owner.claim(connection, workspace.workspace, workspace.environment, now)
        here = next((each for each in store.standings(connection) if (each.name, each.destination) == place), None)
        if here is None:
            return None
        if here.state in MAY_REBUILD:
            store.rebuild(connection, here.slot, now)
        return here, store.figures(connection).get(here.slot, Figures())

    known = on_database(workspace, lambda database: database.submit(work).result())
    if known is None:
        raise Misuse(f"`{audience}` was not kept at {at} yet: `signalpost serve` makes it.")
    here, figures = known
    if here.state not in MAY_REBUILD:
        raise Misuse(
            f"`{audience}` at {at} is not lost ({WORDS[here.state]}), so there is nothing to rebuild: a second one would stand "
            "beside it with people in it whom nobody removes. Delete it at the platform first, if you want a new one."
        )
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


def _part(workspace: Workspace, destination: str) -> AudiencePart | None:
    chosen = workspace.destinations.get(destination)
    return None if chosen is None else CATALOG[chosen.type].audience


def _listed(connection: Connection, workspace: Workspace) -> list[Listed]:
    """Those of the file in its order, then those that left it."""
    figures, kept = store.figures(connection), {(each.name, each.destination): each for each in store.standings(connection)}
    found = []
    for audience, destination in store.pairs(workspace):
        here = kept.pop((audience.title, destination), None)
        if here is not None:
            numbers = figures.get(here.slot, Figures())
            refusals = store.refusals(connection, here.slot)
            found.append(_row(here, audience.segment, audience.use, numbers, _part(workspace, destination), refusals))
    gone = (_row(here, "", "", figures.get(here.slot, Figures()), _part(workspace, here.destination)) for here in kept.values())
    return [*found, *gone]


def _unmade(workspace: Workspace) -> list[Listed]:
    """Before anything has run: what the file says."""
    return [
        _row(store.unmade(audience, destination), audience.segment, audience.use, Figures(), _part(workspace, destination))
        for audience, destination in store.pairs(workspace)
    ]


def _row(
    here: Standing, segment: str, use: str, figures: Figures, part: AudiencePart | None, refusals: Sequence[store.Refusal] = ()
) -> Listed:
    return Listed(
        audience=here.name,
        destination=here.destination,
        segment=segment,
        use=use,
        state=here.state,
        sentence=here.sentence,
        wanted=figures.wanted,
        acknowledged=figures.acknowledged,
        pending=figures.pending,
        urgent=figures.urgent,
        oldest=figures.oldest,
        size=here.size,
        size_at=here.size_at,
        needed=0 if part is None else part.minimum,
        needed_is="" if part is None else part.minimum_is,
        status=here.status,
        meaning=here.meaning,
        usable=here.usable,
        pace="" if part is None else part.pace,
        platform_name=here.platform_name,
        synced_at=here.synced_at,
        loaded_at=here.loaded_at,
        refusals=list(refusals),
    )


def _shown(connection: Connection, workspace: Workspace, each: Listed) -> Shown:
    here = next(one for one in store.standings(connection) if (one.name, one.destination) == (each.audience, each.destination))
    return Shown(
        listed=each,
        identifiers=store.key_figures(connection, here.slot),
        people=store.reachable(connection, here.slot),
        ad_groups=[group for audience in workspace.audiences if audience.title == each.audience for group in audience.ad_groups],
        ad_groups_wrong=here.applied.sentence,
        used_by=None if here.used_by is None else list(here.used_by),
    )


def _clocks(connection: Connection, now: int) -> dict[str, dict[str, Clock]]:
    """Destination -> clock -> how long it took."""
    found: dict[str, dict[str, Clock]] = {}
    for (clock, destination), times in store.times(connection, now - WEEK).items():
        found.setdefault(destination, {})[clock] = Clock(
            count=sum(times.values()), p50=clocks.quantile(times, 0.5), p99=clocks.quantile(times, 0.99)
        )
    return found


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
