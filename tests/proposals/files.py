"""Workspace files and edits of them, for Hypothesis; and a stream run for real, with what became of each signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace
from tests.laws.flow import NOW, Flow, Said, guarded, request

from signalpost.config import Consent, Identity, Workspace
from signalpost.options import Derived, Gate, Stage
from signalpost.pipeline import DERIVED_FROM
from signalpost.proposals import Cell
from signalpost.store import batches
from signalpost.store.database import Connection

Edit = Callable[[Workspace], Workspace]


def destination(name: str, **changes: Any) -> Edit:
    """Another option of one destination."""
    return lambda file: replace(file, destinations={**file.destinations, name: replace(file.destinations[name], **changes)})


def events(name: str, **changes: str | None) -> Edit:
    """Another event map of one destination; None takes an event out."""

    def edit(file: Workspace) -> Workspace:
        known = file.destinations[name].events
        made = {**(known if isinstance(known, dict) else {"Order Completed": "checkout", "Product Added": "add_to_cart"})}
        for each, target in changes.items():
            made.pop(each.replace("_", " "), None)
            if target is not None:
                made[each.replace("_", " ")] = target
        return destination(name, events=made)(file)

    return edit


def settings(name: str, **changes: str) -> Edit:
    """Other settings of one destination."""
    return lambda file: destination(name, settings={**file.destinations[name].settings, **changes})(file)


def gate(**options: Any) -> Edit:
    """One more gate, the first of all."""
    return lambda file: replace(file, gates=(Gate(**options), *file.gates))


def whole(**changes: Any) -> Edit:
    """Another option of the file."""
    return lambda file: replace(file, **changes)


def without_gate(place: int) -> Edit:
    """One gate less."""
    return lambda file: replace(file, gates=(*file.gates[:place], *file.gates[place + 1 :]))


PARTS: dict[str, Edit] = {
    "an event taken out": events("tiktok", Product_Viewed=None),
    "another name of an event": events("tiktok", Order_Completed="CompletePayment"),
    "an event more": events("pinterest", Product_Viewed="page_visit"),
    "purchases taken out": events("pinterest", Order_Completed=None),
    "paused": destination("pinterest", paused=True),
    "younger": destination("pinterest", oldest="1d"),
    "another website": settings("tiktok", website="https://other.example"),
    "a new token": settings("tiktok", access_token="another"),
    "a property more": destination("tiktok", properties={"description": "context.page.url"}),
    "a shared id": destination("tiktok", event_id=("properties.product_id",)),
    "no rollout": destination("tiktok", rollout=()),
    "a wider cap": destination(
        "tiktok", rollout=(Stage(send=("Order Completed", "Product Added"), at_most={"Product Added": 3}),)
    ),
    "a gate": gate(reason="small", when={"order.value": {"lt": "15"}}),
    "a gate for purchases": gate(reason="small", when={"order.value": {"lt": "15"}}, events=("Order Completed",)),
    "a gate on the person": gate(reason="buyers", when={"person.orders": {"gte": "1"}}, events=("Product Viewed",)),
    "a gate for one": gate(reason="small", when={"order.value": {"lt": "15"}}, destinations=("tiktok",)),
    "an observing gate": gate(preset="employee", email_domains=("shop.example",), mode="observing"),
    "a gate less": without_gate(0),
    "the last gate less": without_gate(-2),
    "gates the other way": lambda file: replace(file, gates=file.gates[::-1]),
    "an observing gate enforcing": lambda file: replace(
        file, gates=tuple(replace(each, mode="enforcing") for each in file.gates)
    ),
    "a destination less": lambda file: replace(
        file, destinations={name: each for name, each in file.destinations.items() if name != "pinterest"}, audiences=()
    ),
    "a destination more": lambda file: replace(
        file, destinations={**file.destinations, "second": replace(file.destinations["tiktok"], rollout=())}
    ),
    "another segment": lambda file: replace(
        file, segments={**file.segments, "buyers": {"did": "Order Completed", "within": "1h"}}
    ),
}
"""Edits that leave people and orders as they are."""

DEEP: dict[str, Edit] = {
    "net value": whole(order_value="net"),
    "another rate": whole(rates={"EUR": "2"}),
    "no repeats": whole(repeats={}),
    "other derived events": whole(derived={"Second Purchase": Derived(nth_order=1)}),
    "no holds": whole(holds={}),
    "silence denies": whole(consent=Consent(unknown="denied")),
    "fewer join": whole(identity=Identity(merge_on=("user_id",))),
    "the shop counts": whole(events={"canonical": {"Order Completed": "shop"}}),
    "another name for it": whole(events={"Product Viewed": "Product Added"}),
}
"""Edits that change what is known of people and orders."""


@st.composite
def edited(draw: st.DrawFn, edits: Mapping[str, Edit], most: int = 2) -> Workspace:
    """The guarded file with some edits, one after the other."""
    file = guarded()
    for name in draw(st.lists(st.sampled_from(sorted(edits)), min_size=1, max_size=most, unique=True)):
        if name in {"paused", "younger", "an event more", "purchases taken out"} and "pinterest" not in file.destinations:
            continue
        file = edits[name](file)
    return file


steps = st.lists(st.sampled_from((0, 0, 20_000, 5 * 60_000, 20 * 60_000)), min_size=30, max_size=30)
"""How long after the one before it each message comes in."""


class Became(Struct, frozen=True):
    """What became of one signal for real."""

    event: str
    reason: str
    platform_event: str
    value: str
    currency: str
    body: bytes
    """As it was decided."""


Signal = tuple[int, str, str]
"""(event by its place, or the one it was derived of; the derived event's name, else empty; destination)."""


def timed(stream: Sequence[Said], later: Sequence[int]) -> list[tuple[int, Said]]:
    """Each message with the moment at which it comes in."""
    at, made = NOW, []
    for place, said in enumerate(stream):
        at += later[place % len(later)]
        made.append((at, said))
    return made


def run(flow: Flow, stream: Sequence[tuple[int, Said]]) -> dict[Signal, Became]:
    """The stream through the real pipeline into an empty store whose positions begin anew; what is due leaves at once."""
    flow.clear()
    flow.write(_begin_anew)
    bodies: dict[tuple[int, str], bytes] = {}
    place = 0
    while place < len(stream):
        at = stream[place][0]
        flow.write(partial(_sent, now=at))
        while place < len(stream) and stream[place][0] == at:
            source, message = stream[place][1]
            flow.write(partial(batches.append, received=request(source, [message], at), messages=1))
            place += 1
        while (made := flow.step(500, at)) is not None:
            flow.commit(made)
            bodies |= {(row[3], row[1]): row[14] for row in made.outbox}
    events = {row[0]: row for row in flow.rows("SELECT id, name, note FROM events")}
    found: dict[Signal, Became] = {}
    for number, to, verdict, reason, platform_event, value, currency in flow.rows(
        "SELECT event, destination, verdict, reason, platform_event, value, currency FROM ledger"
    ):
        _, name, note = events[number]
        derived = (note or "").startswith(DERIVED_FROM)
        origin = int(note.removeprefix(DERIVED_FROM)) if derived else number
        withheld = verdict == "withheld"
        found[origin, name if derived else "", to] = Became(
            name, (reason or "") if withheld else "", platform_event or "", value or "", currency or "",
            b"" if withheld else bodies[number, to],
        )  # fmt: skip
    return found


def _begin_anew(connection: Any) -> None:
    """Positions of the journal begin at one."""
    if "sqlite" in type(connection.raw).__module__:
        connection.raw.execute("DELETE FROM sqlite_sequence WHERE name = 'journal'")
    else:
        connection.raw.execute("ALTER TABLE journal ALTER COLUMN position RESTART WITH 1")


def _sent(connection: Connection, now: int) -> None:
    """What is due has left by now, and was accepted."""
    raw: Any = connection
    for number, to in raw.raw.execute(f"SELECT event, destination FROM outbox WHERE due_at <= {now}").fetchall():
        connection.run("ledger_settle", "accepted", None, None, now, now, 1, None, number, to)
    raw.raw.execute(f"DELETE FROM outbox WHERE due_at <= {now}")


Counts = dict[tuple[str, str, str], tuple[int, dict[str, Decimal]]]


def counted(became: Mapping[Signal, Became]) -> Counts:
    """(event, destination, reason) -> signals, and their value by currency."""
    found: Counts = {}
    for (_, _, to), each in became.items():
        many, sums = found.get((each.event, to, each.reason), (0, {}))
        if each.value:
            sums = {**sums, each.currency: sums.get(each.currency, Decimal(0)) + Decimal(each.value)}
        found[each.event, to, each.reason] = (many + 1, sums)
    return found


def of_cells(cells: Sequence[Cell], *, after: bool) -> Counts:
    """The same, as a comparison has it."""
    return {
        (each.event, each.destination, each.reason): (
            (each.after, each.value_after) if after else (each.before, each.value_before)
        )
        for each in cells
        if (each.after if after else each.before)
    }


def differing(before: Mapping[Signal, Became], after: Mapping[Signal, Became]) -> int:
    """How many signals become something else; one that only one file makes counts where it goes out."""
    many = 0
    for key in {**before, **after}:
        one, other = before.get(key), after.get(key)
        if one is None or other is None:
            there = one or other
            many += there is not None and not there.reason
        else:
            many += one != other
    return many
