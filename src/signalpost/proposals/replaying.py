"""Requests of the journal through a plan in memory, as the pipeline would take them, and what became of each signal.

The moment of deciding is that of the intake. A signal that waits for its order to be called off leaves when its time is over,
as if the platform took it at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

from msgspec import Struct

from signalpost import backfill, pipeline, sources, vocabulary
from signalpost.deciding import Arrived
from signalpost.events import Signal
from signalpost.pipeline import DERIVED_FROM, PAGE_NAMES, SIGNAL_KINDS
from signalpost.plan import Plan
from signalpost.proposals.beginning import World
from signalpost.proposals.sides import Lane, plainly
from signalpost.sources import Reading
from signalpost.state import PLACES, Decision, Gone, Withdrawn
from signalpost.store import batches
from signalpost.store.database import Connection

PAGE, PAGE_EVENTS = 200, 250
"""Requests read at once, and about how many events they have: so many stay in a processor's cache until they are decided."""

BATCH, TOGETHER_MS = 100, 1_000
"""Events decided at once, and how far apart they may have come in."""

TAUGHT = SIGNAL_KINDS | {"identify"}
"""Kinds of events that may be silent; all others are wishes about people."""

REPEAT_OF = "repeat of event "


class Outcome(Struct, gc=False):
    """What becomes of one event at one destination under one file; what waits may still be withdrawn."""

    number: int
    name: str
    reason: str
    """Empty: it goes out."""
    sentence: str
    platform_event: str
    value: str
    """Exact, as the ledger has it; empty: none."""
    currency: str
    signal: Signal | None
    due: int
    """When it leaves (epoch ms); 0: it does not wait."""
    person: int = 0
    order_id: str | None = None
    derived: bool = False


Key = tuple[int, str, str]
"""(event, or the one it was derived of; the derived event's name, else empty; destination)."""


class Replay:
    """One plan on its way through the requests."""

    def __init__(self, lane: Lane, world: World) -> None:
        self.lane, self.world = lane, world
        self._held: dict[tuple[int, str], Outcome] = {}

    def step(self, arrived: tuple[Arrived, ...], now: int) -> Iterator[tuple[Key, int, Outcome]]:
        """Decide these events; gives what became of each signal under which file."""
        world, lane = self.world, self.lane
        state = world.state(arrived, now)
        made = pipeline.decide(pipeline.Batch((), arrived, ()), state, lane.plan, now)
        if made.stops and self._held:
            self._stop(made, now)
        world.take(made, state)
        told = {row[0]: row for row in made.events}
        sent = {(row[3], row[1]): row for row in made.outbox}
        for number, route, verdict, reason, sentence, platform_event, _, value, currency, _ in made.ledger:
            destination, sides = lane.routes[route]
            event = told[number]
            name = event[3]
            note = event[8]
            derived = note is not None and note.startswith(DERIVED_FROM)
            outcome = Outcome(
                number, name, plainly(reason), plainly(sentence), platform_event or "", value or "", currency or "", None, 0
            )
            if verdict != "withheld":
                row = sent[number, route]
                outcome.signal, outcome.person, outcome.order_id, outcome.derived = row[14], row[4], event[5], derived
                if row[8] > now:
                    outcome.due = row[8]
                    self._held[number, route] = outcome
            key = (backfill.origin(number, note), name if derived else "", destination)
            for side in sides:
                yield key, side, outcome

    def _stop(self, made: Decision, now: int) -> None:
        """Withhold what still waits of people and orders, as `store.batches.commit` does."""
        self._held = {key: each for key, each in self._held.items() if each.due > now}
        for stop in made.stops:
            if isinstance(stop, Gone):
                found = [key for key, each in self._held.items() if each.derived and each.order_id == stop.order_id]
            elif isinstance(stop, Withdrawn):
                found = [key for key, each in self._held.items() if self.world.now_known_as(each.person) == stop.person]
            else:
                found = [(stop.event, stop.destination)] if (stop.event, stop.destination) in self._held else []
            for key in found:
                outcome = self._held.pop(key)
                outcome.reason, outcome.sentence = stop.reason or "", ""


def requests(connection: Connection, first: int, since: int, until: int) -> Iterator[list[tuple[int, Reading]]]:
    """The requests received in a time, in their order, page by page; `first` is the position of the first."""
    after = first - 1
    while page := connection.rows("replayed_next", after, since, until, PAGE):
        events = list(accumulate(messages for _, messages in page))
        page = page[: bisect_right(events, PAGE_EVENTS) or 1]
        after = page[-1][0]
        read = batches.requests(connection, [position for position, _ in page])
        yield [(position, sources.read(received)) for position, received in read]


def groups(arrived: Iterable[Arrived]) -> Iterator[tuple[Arrived, ...]]:
    """Events that came in together, about `BATCH` at once; those of one request stay together."""
    group: list[Arrived] = []
    for each in arrived:
        if group and each.id >> PLACES != group[-1].id >> PLACES:
            apart = abs(each.event.received_at - group[0].event.received_at)
            if len(group) >= BATCH or apart > TOGETHER_MS:
                yield tuple(group)
                group = []
        group.append(each)
    if group:
        yield tuple(group)


def numbered(page: list[tuple[int, Reading]], plan: Plan) -> tuple[Arrived, ...]:
    """The events of a page with their ids and keys."""
    return pipeline.number(page, plan).arrived


def lightened(arrived: tuple[Arrived, ...], lane: Lane) -> tuple[Arrived, ...]:
    """The same events, of which those that nothing looks at are silent."""
    looked_at = lane.looked_at
    if looked_at is None:
        return arrived
    aliases = lane.plan.aliases
    return tuple(
        [
            each
            if each.event.kind not in TAUGHT
            or (PAGE_NAMES.get(each.event.kind) or vocabulary.canonical(each.event.name, aliases)) in looked_at
            else Arrived(each.id, each.event, each.keys, each.previous, silent=True)
            for each in arrived
        ]
    )


def repeats(connection: Connection, page: tuple[Arrived, ...], first: int) -> dict[str, int]:
    """Messages of a page that came in before the replay's first event -> the event that had them."""
    if not page:
        return {}
    rows = connection.rows("replayed_repeats", page[0].id, page[-1].id + 1)
    before = {number: origin for number, note in rows if (origin := int(note.removeprefix(REPEAT_OF))) < first}
    return (
        {f"{each.event.source}:{each.event.message_id}": before[each.id] for each in page if each.id in before} if before else {}
    )
