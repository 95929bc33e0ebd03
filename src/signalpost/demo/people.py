"""The demo's people: in which segments they are and will be, which audiences hold them, and how soon a buyer leaves these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import msgspec
from msgspec import Struct
from rich.table import Table
from rich.text import Text

from signalpost import clocks
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.segments import catalog, forecast, live
from signalpost.store import audiences, memberships, segments, valuing
from signalpost.store.audiences import Figures
from signalpost.store.database import Connection

DAY, HOUR = clocks.DAY, clocks.HOUR

AHEAD = 48
"""Hours of the forecast."""

DRAWN = 16
"""Of its hours, every third is drawn."""

PAGE = 500
"""People read at once."""

LOST = frozenset({"stopped", "gone", "foreign"})
"""States in which nobody keeps an audience."""

BLOCKS = "▁▂▃▄▅▆▇█"


class Tier(Struct, frozen=True, kw_only=True):
    """One segment: who is inside, who came and went in the last 24 hours, and who will be if nothing happens."""

    segment: str
    inside: int
    entered: int
    left: int
    ahead: tuple[int, ...]
    """How many are inside at the end of each of the next 48 hours."""
    will_enter: int
    """In the next 48 hours, by time alone; as `will_leave`."""
    will_leave: int


class Kept(Struct, frozen=True, kw_only=True):
    """One audience at one destination."""

    audience: str
    destination: str
    segment: str
    use: str
    state: str
    wanted: int
    """People it is to hold."""
    acknowledged: int
    """Of those, people of whom the platform has taken all."""
    pending: int
    size: int | None
    """People that the platform says it matched."""
    needed: int
    """Below this size ads cannot use it."""


class Clock(Struct, frozen=True, kw_only=True):
    """How long something took; times in ms."""

    count: int
    p50: int
    p99: int


class Crowd(Struct, kw_only=True):
    """All of it."""

    segments: Sequence[Tier] = ()
    ladders: frozenset[str] = frozenset()
    """Segments that are tiers of a ladder."""
    audiences: Sequence[Kept] = ()
    suppressed: Mapping[str, Clock] = {}
    """Destination -> from the intake of a purchase to the platform having taken the buyer out of an audience, or into one that
    is kept from ads."""


def look(connection: Connection, workspace: Workspace, now: int) -> Crowd:
    """How everything stands at a moment (epoch ms)."""
    every = catalog.of(workspace)
    return Crowd(
        segments=_segments(connection, workspace, every, now),
        ladders=frozenset(tier for tiers in every.ladders.values() for tier in tiers),
        audiences=_audiences(connection, workspace),
        suppressed={
            destination: Clock(count=sum(times.values()), p50=clocks.quantile(times, 0.5), p99=clocks.quantile(times, 0.99))
            for (clock, destination), times in audiences.times(connection, now - 7 * DAY).items()
            if clock == "suppressed"
        },
    )


def _segments(connection: Connection, workspace: Workspace, every: catalog.Catalog, now: int) -> list[Tier]:
    bands = valuing.present(connection, workspace)
    tests = {name: live.closure(every.rules[name], every.rules, bands) for name in every.shown}
    until = now + AHEAD * HOUR
    found = forecast.forecast(segments.due(connection, until), tests, now, until)
    slots, sizes = segments.slots(connection), segments.sizes(connection)
    made = []
    for name in _in_order(every):
        slot = slots.get(name, 0)
        entered, left = segments.moved(connection, slot, now - DAY, now + 1)
        line, inside = found.lines[name], sizes.get(slot, 0)
        ahead: list[int] = []
        for come, gone in zip(line.entered, line.left, strict=True):
            ahead.append((ahead[-1] if ahead else inside) + come - gone)
        made.append(
            Tier(
                segment=name,
                inside=inside,
                entered=entered,
                left=left,
                ahead=tuple(ahead),
                will_enter=sum(line.entered),
                will_leave=sum(line.left),
            )
        )
    return made


def _in_order(every: catalog.Catalog) -> Iterator[str]:
    """The tiers of each ladder under it, then the others."""
    tiers = [name for ladder, names in every.ladders.items() for name in (ladder, *names)]
    yield from tiers
    yield from (name for name in every.shown if name not in tiers)


def _audiences(connection: Connection, workspace: Workspace) -> list[Kept]:
    figures = audiences.figures(connection)
    standing = {(each.name, each.destination): each for each in audiences.standings(connection)}
    made = []
    for audience, destination in audiences.pairs(workspace):
        here = standing.get((audience.title, destination)) or audiences.unmade(audience, destination)
        numbers = figures.get(here.slot, Figures())
        part = CATALOG[workspace.destinations[destination].type].audience
        made.append(
            Kept(
                audience=audience.title,
                destination=destination,
                segment=audience.segment,
                use=audience.use,
                state=here.state,
                wanted=numbers.wanted,
                acknowledged=numbers.acknowledged,
                pending=numbers.pending,
                size=here.size,
                needed=0 if part is None else part.minimum,
            )
        )
    return made


# ---- what the platforms hold -------------------------------------------------------------------------------------------------


def held(connection: Connection, workspace: Workspace) -> dict[tuple[str, str], tuple[str, set[str]]]:
    """(audience, destination) -> its id at the platform ('': none), and all that its people are to be found by there."""
    standing = {each.slot: each for each in audiences.standings(connection)}
    parts = {name: CATALOG[chosen.type].audience for name, chosen in workspace.destinations.items()}
    keys: dict[int, set[str]] = {slot: set() for slot in standing}
    last = 0
    while page := memberships.people_page(connection, last, PAGE):
        last = page[-1].id
        people = {each.id: each for each in page}
        for slot, person, wanted in connection.rows("wanted_of_people", list(people)):
            part = parts.get(standing[slot].destination)
            if wanted and part is not None:
                keys[slot].update(key.partition(":")[2] for key in part.keys(people[person].keys))
    return {
        (here.name, here.destination): (here.held.id or here.held.list_id, keys[slot])
        for slot, here in standing.items()
        if here.state != "removed"
    }


async def different(client: httpx.AsyncClient, wished: Mapping[tuple[str, str], tuple[str, set[str]]]) -> dict[str, int]:
    """Audience and destination -> identifiers that only one of hub and platform has; only where there are any."""
    found = {}
    for (name, destination), (audience, keys) in wished.items():
        there: set[str] = set()
        if audience:
            answer = await client.get("/audiences/members", params={"id": audience})
            answer.raise_for_status()
            there = {key for some in answer.json().values() for key in some}
        if there != keys:
            found[f"{name} at {destination}"] = len(there ^ keys)
    return found


# ---- how it looks ------------------------------------------------------------------------------------------------------------


def plain(crowd: Crowd) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "segments": msgspec.to_builtins(crowd.segments),
        "ladders": sorted(crowd.ladders),
        "audiences": msgspec.to_builtins(crowd.audiences),
        "suppressed": msgspec.to_builtins(crowd.suppressed),
    }


def read(told: Mapping[str, Any]) -> Crowd:
    """What `plain` gave."""
    return msgspec.convert({name: told[name] for name in ("segments", "ladders", "audiences", "suppressed")}, Crowd)


def in_segments(crowd: Crowd) -> Table:
    """The ladder and the other segments: people, what flows, and what time alone will do."""
    table = Table(
        title="who is in which segment, and will be",
        caption=f"came, went: in the last 24 hours; next {AHEAD} h: people inside if nothing happens",
        expand=False,
    )
    table.add_column("segment", no_wrap=True)
    table.add_column("people", justify="right", style="bold", no_wrap=True)
    table.add_column("came", justify="right", style="green", no_wrap=True)
    table.add_column("went", justify="right", style="red", no_wrap=True)
    table.add_column(f"next {AHEAD} h", style="cyan", no_wrap=True)
    table.add_column("then", justify="right", no_wrap=True)
    for each in crowd.segments:
        tier = each.segment in crowd.ladders
        table.add_row(
            Text(f"  {each.segment}" if tier else each.segment, style="bold blue" if tier else ""),
            f"{each.inside:,}",
            f"+{each.entered:,}" if each.entered else "",
            f"−{each.left:,}" if each.left else "",
            spark(each.inside, each.ahead),
            f"{each.ahead[-1]:,}" if each.ahead else "",
        )
    return table


def spark(now: int, ahead: Sequence[int]) -> str:
    """The sizes of the coming hours as a line of blocks, the highest of them as high as a line is."""
    step = max(1, len(ahead) // DRAWN)
    drawn = [max(0, each) for each in ahead[step - 1 :: step]]
    most = max([now, *drawn], default=0)
    if not most:
        return "·" * len(drawn)
    return "".join(BLOCKS[round(each / most * (len(BLOCKS) - 1))] if each else "·" for each in drawn)


def in_audiences(crowd: Crowd, destinations: Sequence[str]) -> Table:
    """Each audience at each platform: people taken of those wanted, people matched of those that ads need."""
    table = Table(
        title="audiences: people taken / wanted, and matched (/ needed for ads)",
        caption="bought to suppressed: from the intake of an order until the platform has taken the change, p50 / p99",
        expand=False,
    )
    table.add_column("audience", no_wrap=True)
    for name in destinations:
        table.add_column(name, justify="right", no_wrap=True)
    rows: dict[tuple[str, str], dict[str, Kept]] = {}
    for each in crowd.audiences:
        rows.setdefault((each.use, each.segment), {})[each.destination] = each
    for (use, segment), by_destination in rows.items():
        title = Text.assemble((f"{use} ", "dim"), segment)
        table.add_row(title, *(_cell(by_destination.get(destination)) for destination in destinations))
    table.add_section()
    table.add_row("bought to suppressed", *(_clock(crowd.suppressed.get(name)) for name in destinations), style="bold")
    return table


def _cell(each: Kept | None) -> Text:
    if each is None:
        return Text("")
    if each.state in LOST:
        return Text(each.state, style="bold red")
    done = each.acknowledged == each.wanted and not each.pending
    said = Text(f"{each.acknowledged:,}/{each.wanted:,}", style="green" if done else "blue")
    if each.size is None:
        return said
    small = each.size < each.needed
    return said.append(f"  {each.size:,}/{each.needed:,}" if small else f"  {each.size:,}", style="yellow" if small else "green")


def _clock(took: Clock | None) -> str:
    return "-" if took is None else f"{short(took.p50)} / {short(took.p99)}"


def short(ms: int) -> str:
    """A time as it is read at a glance: `840 ms`, `1.4 s`."""
    return f"{ms} ms" if ms < clocks.SECOND else f"{ms / 1000:.1f} s"


def line(crowd: Crowd) -> str:
    """The ladder and the clocks in one line, where there is no terminal."""
    tiers = ", ".join(f"{each.inside:,} {each.segment}" for each in crowd.segments if each.segment in crowd.ladders)
    took = ", ".join(f"{name} p50 {short(each.p50)} p99 {short(each.p99)}" for name, each in crowd.suppressed.items())
    return tiers + (f"; purchase to suppression: {took}" if took else "")
