"""What goes on: the flow of a window, where its money stays, and a day's headline figures.

Everything is read of counters and of small tables, so a month is read as fast as an hour. A signal is counted when it gets its
verdict, so a day's figures are those of the verdicts of that day; what waits is as of now. Money is exact, each currency apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from signalpost import clocks, gates, masking
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.gates import Sense
from signalpost.store import audiences, pauses, story, sums
from signalpost.store.database import Connection
from signalpost.store.pauses import Pause
from signalpost.store.sums import Cell

PURCHASE = "Order Completed"
HOUR = 3_600_000

TAKEN = frozenset({"accepted", "warned"})
"""Verdicts by which a platform has a signal."""

HEARD = "heard"
"""Stands as the verdict of what is counted once for each event: that it came."""

NEWEST = 2_000
"""Verdicts among which a platform's own words are looked for."""

WAITING = 10_000
"""Signals that wait, of which name and value are looked at."""

PRIORITIES = range(4)
ZERO = Decimal(0)


# ---- the flow of a window --------------------------------------------------------------------------------------------------


class Count(Struct, frozen=True, kw_only=True):
    """Signals of one destination with one verdict for one reason."""

    verdict: str
    reason: str
    sense: Sense
    """`lost` for what a platform refused or left unknown; `aside` for what it took."""
    signals: int
    sentence: str
    advice: str


class Money(Struct, frozen=True, kw_only=True):
    """What purchases that a platform accepted were worth, in one currency."""

    currency: str
    purchases: int
    value: str


class Resting(Struct, frozen=True, kw_only=True):
    """Why a destination is not sending, and when it tries again (epoch ms)."""

    since: int
    until: int
    failures: int
    sentence: str


class Flow(Struct, frozen=True, kw_only=True):
    """One destination: signals by verdict, why not, what was accepted, what waits."""

    destination: str
    platform: str
    verdicts: dict[str, int]
    """Signals by verdict, `waiting` as of now, all others since the start of the window."""
    counts: list[Count]
    """The same by reason, most first."""
    accepted_value: list[Money]
    average_ms: int | None
    """Intake to settled, over the window."""
    oldest_waiting: int | None
    """When the oldest waiting signal's event was received."""
    resting: Resting | None
    paused: Pause | None
    """Somebody said on the console that it shall wait."""
    switched_off: bool
    """The workspace file says `paused`."""


class Heard(Struct, frozen=True, kw_only=True):
    """Events of one name from one source."""

    source: str
    """Empty: made here, of other events."""
    name: str
    events: int


class Told(Struct, frozen=True, kw_only=True):
    """Signals of one event to one destination, by verdict and reason."""

    destination: str
    name: str
    verdict: str
    reason: str
    signals: int


class Overview(Struct, frozen=True, kw_only=True):
    """What happened since `since`, and how things stand now."""

    since: int
    events: int
    """Events that can become signals, and those made here."""
    unreadable: int
    """Messages refused because they could not be read."""
    backlog_requests: int
    backlog_events: int
    heard: list[Heard]
    told: list[Told]
    flows: list[Flow]


Sentences = Mapping[tuple[str, str, str], str]
"""(destination, verdict, reason) -> what the newest such signal was told."""


def sentences(connection: Connection, workspace: Workspace) -> Sentences:
    """What the newest signals were told by the platforms, and what the workspace's own gates say."""
    found: dict[tuple[str, str, str], str] = {}
    for destination, verdict, reason, sentence in connection.rows("today_sentences", NEWEST):
        found.setdefault((destination, verdict, reason), sentence)
    for rule in gates.rules(workspace):
        found |= {(destination, "withheld", rule.reason): rule.told for destination in workspace.destinations}
    return found


def sense(verdict: str, reason: str) -> Sense:
    """What a verdict that is settled is to the shop."""
    if verdict in TAKEN:
        return "aside"
    return gates.sense(reason) if verdict == "withheld" else "lost"


def overview(connection: Connection, since: int, workspace: Workspace) -> Overview:
    """Counters since a moment (epoch ms, to the minute) and what waits or rests now, for every configured destination."""
    cells = sums.read(connection, since)
    per: dict[str, list[Cell]] = {name: [] for name in workspace.destinations}
    for cell in cells:
        if cell.destination:
            per.setdefault(cell.destination, []).append(cell)
    waiting = {destination: int(number) for destination, number in connection.rows("today_waiting")}
    resting = {
        destination: Resting(since=began, until=until, failures=failures, sentence=masking.text(sentence))
        for destination, began, until, failures, sentence in connection.rows("breakers")
    }
    held = pauses.paused(connection)
    said = sentences(connection, workspace)
    backlog_requests, backlog_events = connection.rows("backlog_count")[0]
    heard = [
        Heard(source=cell.reason, name=cell.name, events=cell.signals)
        for cell in cells
        if not cell.destination and cell.verdict == HEARD
    ]
    return Overview(
        since=since,
        events=sum(each.events for each in heard),
        unreadable=sum(cell.signals for cell in cells if not cell.destination and cell.verdict == "refused"),
        backlog_requests=int(backlog_requests),
        backlog_events=int(backlog_events),
        heard=sorted(heard, key=lambda each: (-each.events, each.source, each.name)),
        told=_told(cells, connection),
        flows=[
            _flow(
                name,
                rows,
                workspace,
                said,
                waiting=waiting.get(name, 0),
                oldest=_oldest(connection, name) if name in waiting else None,
                resting=resting.get(name),
                paused=held.get(name),
            )
            for name, rows in per.items()
        ],
    )


def _oldest(connection: Connection, destination: str) -> int | None:
    firsts = [connection.rows("today_waiting_first", destination, priority) for priority in PRIORITIES]
    return min((rows[0][0] for rows in firsts if rows), default=None)


def _told(cells: Iterable[Cell], connection: Connection) -> list[Told]:
    found: dict[tuple[str, str, str, str], int] = {}
    for cell in cells:
        if cell.destination:
            key = (cell.destination, cell.name, cell.verdict, cell.reason)
            found[key] = found.get(key, 0) + cell.signals
    for destination, name, number in connection.rows("today_waiting_names", WAITING):
        found[destination, name, "waiting", ""] = int(number)
    return [
        Told(destination=destination, name=name, verdict=verdict, reason=reason, signals=signals)
        for (destination, name, verdict, reason), signals in sorted(found.items(), key=lambda each: (-each[1], each[0]))
    ]


def _flow(
    destination: str,
    rows: Iterable[Cell],
    workspace: Workspace,
    said: Sentences,
    *,
    waiting: int,
    oldest: int | None,
    resting: Resting | None,
    paused: Pause | None,
) -> Flow:
    verdicts = dict.fromkeys(("accepted", "warned", "waiting", "withheld", "refused", "unknown"), 0)
    verdicts["waiting"] = waiting
    reasons: dict[tuple[str, str], int] = {}
    money: dict[str, list[int]] = {}
    settled = took = 0
    for cell in rows:
        verdicts[cell.verdict] = verdicts.get(cell.verdict, 0) + cell.signals
        if cell.verdict not in {"accepted", "waiting"}:
            reasons[cell.verdict, cell.reason] = reasons.get((cell.verdict, cell.reason), 0) + cell.signals
        if cell.verdict in TAKEN:
            settled, took = settled + cell.signals, took + cell.latency_ms
            if cell.name == PURCHASE and cell.currency:
                counter = money.setdefault(cell.currency, [0, 0])
                counter[0] += cell.signals
                counter[1] += cell.micros
    configured = workspace.destinations.get(destination)
    return Flow(
        destination=destination,
        platform=title(destination, workspace),
        verdicts=verdicts,
        counts=[
            Count(
                verdict=verdict,
                reason=reason,
                sense=sense(verdict, reason),
                signals=number,
                sentence=_sentence(said, destination, verdict, reason),
                advice=story.advice(verdict, reason),
            )
            for (verdict, reason), number in sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
        ],
        accepted_value=[
            Money(currency=currency, purchases=number, value=f"{Decimal(micros) / 1_000_000:.2f}")
            for currency, (number, micros) in sorted(money.items(), key=lambda each: -each[1][1])
        ],
        average_ms=took // settled if settled else None,
        oldest_waiting=oldest,
        resting=resting,
        paused=paused,
        switched_off=configured.paused if configured else False,
    )


def _sentence(said: Sentences, destination: str, verdict: str, reason: str) -> str:
    """Of a reason that everybody meets its own sentence, else what was last told of it."""
    known = None if not reason or reason in gates.REASONS else said.get((destination, verdict, reason))
    return story.told_sentence(verdict, reason, known)


def title(destination: str, workspace: Workspace) -> str:
    """What the platform of a destination is called."""
    configured = workspace.destinations.get(destination)
    platform = CATALOG.get(configured.type) if configured else None
    return platform.title if platform else destination


# ---- where the money stays -------------------------------------------------------------------------------------------------


class Why(Struct, frozen=True, kw_only=True):
    """Purchases that a destination did not accept, for one reason."""

    verdict: str
    reason: str
    sense: Sense
    """`meant` or `lost`."""
    purchases: int
    value: Decimal
    sentence: str
    advice: str


class Ledger(Struct, frozen=True, kw_only=True):
    """What became of the purchases known in a span of time at one destination, in one currency."""

    destination: str
    platform: str
    currency: str
    """Empty where no currency was named."""
    purchases: int
    known: Decimal
    """The sum of the four below."""
    accepted: Decimal
    waiting: Decimal
    """Received in that span, as of now."""
    meant: Decimal
    """Kept back on purpose."""
    lost: Decimal
    """Should have been accepted and was not."""
    lost_purchases: int
    """Those without a value among them, which no sum shows."""
    reasons: list[Why]
    """The dearest first, what is lost before what is meant."""


def ledgers(cells: Iterable[Cell], waiting: Iterable[Waiting], said: Sentences, workspace: Workspace) -> list[Ledger]:
    """Where purchases stay at each destination, in each currency; the largest sums first.

    Repeats, tests and corrections are no further purchases: they are not counted. A destination that is told of no purchase at
    all is left out.
    """
    parts: dict[tuple[str, str], dict[tuple[str, str], list[int]]] = {}
    for cell in cells:
        if cell.name != PURCHASE or cell.destination not in workspace.destinations:
            continue
        if cell.verdict == "withheld" and gates.sense(cell.reason) == "aside":
            continue
        told = parts.setdefault((cell.destination, cell.currency), {}).setdefault((cell.verdict, cell.reason), [0, 0])
        told[0] += cell.signals
        told[1] += cell.micros
    for each in waiting:
        told = parts.setdefault((each.destination, each.currency), {}).setdefault(("waiting", ""), [0, 0])
        told[0] += each.purchases
        told[1] += each.micros
    mapped = {destination for (destination, _), found in parts.items() if any(reason != "not_mapped" for _, reason in found)}
    made = [
        _ledger(destination, currency, found, said, workspace)
        for (destination, currency), found in parts.items()
        if destination in mapped
    ]
    return sorted(made, key=lambda each: (-each.known, each.currency, each.destination))


def _ledger(
    destination: str,
    currency: str,
    found: Mapping[tuple[str, str], Sequence[int]],
    said: Sentences,
    workspace: Workspace,
) -> Ledger:
    held = dict.fromkeys(("accepted", "waiting", "meant", "lost"), ZERO)
    reasons = []
    for (verdict, reason), (purchases, micros) in found.items():
        value = Decimal(micros) / 1_000_000
        if verdict in TAKEN or verdict == "waiting":
            held["waiting" if verdict == "waiting" else "accepted"] += value
            continue
        meaning = sense(verdict, reason)
        held[meaning] += value
        reasons.append(
            Why(
                verdict=verdict,
                reason=reason,
                sense=meaning,
                purchases=purchases,
                value=value,
                sentence=_sentence(said, destination, verdict, reason),
                advice=story.advice(verdict, reason),
            )
        )
    return Ledger(
        destination=destination,
        platform=title(destination, workspace),
        currency=currency,
        purchases=sum(purchases for purchases, _ in found.values()),
        known=sum(held.values(), ZERO),
        accepted=held["accepted"],
        waiting=held["waiting"],
        meant=held["meant"],
        lost=held["lost"],
        lost_purchases=sum(each.purchases for each in reasons if each.sense == "lost"),
        reasons=sorted(reasons, key=lambda each: (each.sense != "lost", -each.value, -each.purchases, each.reason)),
    )


class Waiting(Struct, frozen=True, kw_only=True):
    """Purchases that wait for a destination, in one currency."""

    destination: str
    currency: str
    purchases: int
    micros: int


def waiting_purchases(connection: Connection, since: int, workspace: Workspace) -> list[Waiting]:
    """What was received since a moment and waits now, of each destination among the newest `WAITING`."""
    return [
        Waiting(
            destination=destination,
            currency=currency,
            purchases=int(number),
            micros=int(units) * 1_000_000 + int(millionths),
        )
        for destination in workspace.destinations
        for currency, number, units, millionths in connection.rows("today_waiting_purchases", destination, WAITING, since)
    ]


# ---- headline figures ------------------------------------------------------------------------------------------------------


class Time(Struct, frozen=True, kw_only=True):
    """How long something took, ms."""

    signals: int
    p50: int
    p95: int


class Day(Struct, frozen=True, kw_only=True):
    """A day's figures, or those of a part of it."""

    since: int
    until: int
    orders: int
    """Purchases known, at the destination that is told of most."""
    known: dict[str, Decimal]
    """Currency -> what they are worth."""
    accepted: dict[str, dict[str, Decimal]]
    """Destination -> currency -> what accepted purchases are worth."""
    taken: int
    """Signals accepted, all events and destinations together."""
    sent: int
    """Signals sent and settled."""
    repeats: int
    """Signals that were not sent because they were told before."""
    speed: Time | None
    """Intake to accepted."""
    suppressing: Time | None
    """A buyer's purchase to the platform having taken them out of the ads."""


REPEATS = frozenset({"duplicate_message", "duplicate_order", "repeat", "other_source"})


def day(
    cells: Sequence[Cell],
    waiting: Sequence[Waiting],
    times: Mapping[tuple[str, str], Mapping[int, int]],
    workspace: Workspace,
    since: int,
    until: int,
) -> Day:
    """The figures of [since, until): of its counters, of what waits, and of its clocks, which are counted by the hour."""
    found = ledgers(cells, waiting, {}, workspace)
    orders: dict[str, int] = {}
    for each in found:
        orders[each.destination] = orders.get(each.destination, 0) + each.purchases
    most = max(orders, key=lambda name: (orders[name], name), default="")
    settled = [cell for cell in cells if cell.destination and cell.verdict in {"accepted", "warned", "refused", "unknown"}]
    return Day(
        since=since,
        until=until,
        orders=orders.get(most, 0),
        known={each.currency: each.known for each in found if each.destination == most and each.known},
        accepted={
            destination: {
                each.currency: each.accepted for each in found if each.destination == destination and each.accepted
            }
            for destination in orders
        },
        taken=sum(cell.signals for cell in settled if cell.verdict in TAKEN),
        sent=sum(cell.signals for cell in settled),
        repeats=sum(cell.signals for cell in cells if cell.verdict == "withheld" and cell.reason in REPEATS),
        speed=_time(times, "accepted"),
        suppressing=_time(times, "suppressed"),
    )  # fmt: skip


def _time(times: Mapping[tuple[str, str], Mapping[int, int]], clock: str) -> Time | None:
    histogram = clocks.merge(each for (name, _), each in times.items() if name == clock)
    if sum(histogram.values()) <= 0:
        return None
    return Time(signals=sum(histogram.values()), p50=clocks.quantile(histogram, 0.5), p95=clocks.quantile(histogram, 0.95))


def suppressed(connection: Connection, workspace: Workspace, at: int) -> dict[str, int]:
    """Destination -> people whom audiences of use `suppress` keep from ads there, as last counted up to a moment (hourly).

    Of several such audiences at one destination the largest: one person may be in all of them.
    """
    kept = {(audience.title, destination) for audience, destination in audiences.pairs(workspace) if audience.use == "suppress"}
    slots = {
        each.slot: each.destination
        for each in (audiences.standings(connection) if kept else ())
        if (each.name, each.destination) in kept and each.state != "removed"
    }
    found: dict[int, int] = {}
    for slot, _, people in connection.rows("today_sizes", at - 3 * HOUR, at) if slots else ():
        found[slot] = int(people)
    largest: dict[str, int] = {}
    for slot, people in found.items():
        if slot in slots:
            largest[slots[slot]] = max(largest.get(slots[slot], 0), people)
    return largest
