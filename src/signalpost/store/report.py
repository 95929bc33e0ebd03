"""How well signals went over a period: the reads behind the week's report and the console's page about quality.

A period is [since, until) in epoch ms. Verdicts and orders are those of the events *received* in it, so that they add up: an
order known in a period is an order whose verdicts are counted in it. Clocks, coverage and notices are counted by the hour.
Nothing here is raw: what is told of people passes `masking`. Money is exact, each currency for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from signalpost import clocks, coverage, doubles, gates, masking, purchases
from signalpost.config import Workspace
from signalpost.destinations import CATALOG
from signalpost.store import findings, quality, rollouts, story, sums, views
from signalpost.store.database import Connection, Database, Row

Answer = TypeVar("Answer")

PURCHASE = "Order Completed"
TAKEN = frozenset({"accepted", "warned"})
"""Verdicts by which a platform has the signal."""

SETTLED = frozenset({"accepted", "warned", "refused", "unknown"})
"""Verdicts of signals that were sent."""

LEFT = SETTLED | {"waiting"}
"""Verdicts of signals that no gate withheld."""

DUPLICATES = ("duplicate_message", "duplicate_order", "repeat", "other_source")
"""Reasons that say: this was told already."""

STOPPED = {
    "cancelled_before_sending": "cancelled before it was sent",
    "refunded_before_sending": "refunded before it was sent",
    "flagged_before_sending": "found to be fraudulent before it was sent",
}
"""Reasons of orders that went wrong in time: what a hold is for, in words."""

AFTER = {
    "cancelled_after": "cancelled after it was sent",
    "refunded_after": "refunded after it was sent",
    "flagged_after": "found to be fraudulent after it was sent",
}
"""`notices.what` of orders that went wrong when the platform already had them, in words."""

TOGETHER = 500
"""Orders whose verdicts are read in one go."""

ZERO = Decimal(0)
HEAVY = 4
"""Match keys that weigh so much are worth a place on a page; the JSON has them all."""

_record = msgspec.json.Decoder(purchases.Record)


def steady(database: Database, work: Callable[[Connection], Answer]) -> Answer:
    """Run reading work on one picture of the database: what is written meanwhile would make its figures disagree."""

    def within(connection: Connection) -> Answer:
        connection.script("BEGIN" if database.embedded else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            return work(connection)
        finally:
            connection.script("ROLLBACK")

    return database.look(within)


def title(destination: str, workspace: Workspace) -> str:
    """What the platform of a destination is called."""
    configured = workspace.destinations.get(destination)
    platform = CATALOG.get(configured.type) if configured else None
    return platform.title if platform else destination


def kind(destination: str, workspace: Workspace) -> str | None:
    """The platform of a destination, as `coverage` and `doubles` name it; None when it is configured no more."""
    configured = workspace.destinations.get(destination)
    return configured.type if configured is not None and configured.type in CATALOG else None


# ---- verdicts --------------------------------------------------------------------------------------------------------------


class Verdicts(Struct, frozen=True, kw_only=True):
    """Signals of one destination and event with one verdict for one reason; of purchases with their value in one currency."""

    destination: str
    name: str
    """Canonical."""
    verdict: str
    reason: str
    currency: str
    """Empty for what is no purchase, or one without a value."""
    signals: int
    value: Decimal
    sentence: str
    """What the reason means; of a platform's own reason what it said of one of them."""


def verdicts(connection: Connection, since: int, until: int) -> list[Verdicts]:
    """What became of every signal of the events received in a period."""
    found: dict[tuple[str, str, str, str, str], tuple[int, Decimal, str | None]] = {}
    for destination, name, verdict, reason, currency, value, signals, sentence in connection.rows(
        "report_verdicts", since, until
    ):
        key = (destination, name, verdict, reason, currency)
        before, worth, said = found.get(key, (0, ZERO, None))
        amount = Decimal(value) * signals if value else ZERO
        found[key] = (before + signals, worth + amount, said or sentence)
    return [
        Verdicts(
            destination=destination,
            name=name,
            verdict=verdict,
            reason=reason,
            currency=currency,
            signals=signals,
            value=value,
            sentence=story.told_sentence(verdict, reason, None if reason in gates.REASONS else said),
        )
        for (destination, name, verdict, reason, currency), (signals, value, said) in sorted(found.items())
    ]


def events(connection: Connection, since: int, until: int) -> int:
    """Events received in a period."""
    return int(connection.rows("report_events", since, until)[0][0])


Passed = Mapping[tuple[str, str, str], tuple[int, Decimal]]
"""(destination, canonical event, currency) -> signals that no gate withheld, and their value."""


def passed(cells: Iterable[Verdicts]) -> dict[tuple[str, str, str], tuple[int, Decimal]]:
    """What no gate withheld."""
    found: dict[tuple[str, str, str], tuple[int, Decimal]] = {}
    for each in cells:
        if each.verdict in LEFT:
            key = (each.destination, each.name, each.currency)
            signals, value = found.get(key, (0, ZERO))
            found[key] = (signals + each.signals, value + each.value)
    return found


def passed_lately(connection: Connection, since: int, until: int) -> dict[tuple[str, str, str], tuple[int, Decimal]]:
    """The same from the counters: what a destination settled in a period. Quick for any period."""
    found: dict[tuple[str, str, str], tuple[int, Decimal]] = {}
    for cell in sums.read(connection, since, until):
        if cell.destination and cell.verdict in SETTLED:
            key = (cell.destination, cell.name, cell.currency)
            signals, value = found.get(key, (0, ZERO))
            found[key] = (signals + cell.signals, value + cell.value)
    return found


def _money(units: Any, millionths: Any) -> Decimal:
    """An amount that was added up in two parts: no database adds decimals exactly without help."""
    return int(units) + Decimal(int(millionths)) / 1_000_000


# ---- what is counted beside verdicts ---------------------------------------------------------------------------------------


class Noticed(Struct, frozen=True, kw_only=True):
    """What an observing gate would have withheld, or what went wrong after it was sent, beside all that was not withheld."""

    destination: str
    platform: str
    what: str
    gate: str
    """The gate's name; empty for what happened after sending."""
    sentence: str
    """The gate's condition in words; empty when the workspace file has it no more."""
    name: str
    currency: str
    signals: int
    value: Decimal
    of_signals: int
    of_value: Decimal
    event: int
    """The latest example."""

    @property
    def share(self) -> Decimal | None:
        """Of the value of what was not withheld (of signals where there is no value), 0 to 1; None of nothing."""
        if self.of_value > 0:
            return self.value / self.of_value
        return Decimal(self.signals) / self.of_signals if self.of_signals else None


def noticed(connection: Connection, since: int, until: int, all_of: Passed, workspace: Workspace) -> list[Noticed]:
    """Notices of a period, the dearest first."""
    made = []
    conditions = {rule.name: rule.sentence for rule in gates.rules(workspace)}
    for destination, what, detail, name, currency, signals, units, millionths, last in connection.rows(
        "report_notices", since, until
    ):
        # Only of purchases is the value of all that passed known for each currency; of the rest how many they are.
        of_signals, of_value = all_of.get((destination, name, currency)) or all_of.get((destination, name, ""), (0, ZERO))
        made.append(
            Noticed(
                destination=destination,
                platform=title(destination, workspace),
                what=what,
                gate=detail,
                sentence=conditions.get(detail, ""),
                name=name,
                currency=currency,
                signals=int(signals),
                value=_money(units, millionths),
                of_signals=of_signals,
                of_value=of_value,
                event=int(last),
            )
        )
    return sorted(made, key=lambda each: (-each.value, -each.signals, each.destination, each.gate, each.name))


class Stopped(Struct, frozen=True, kw_only=True):
    """Purchases that never left because the order went wrong in time."""

    destination: str
    platform: str
    reason: str
    currency: str
    signals: int
    value: Decimal


def stopped(connection: Connection, since: int, until: int, workspace: Workspace) -> list[Stopped]:
    """What waiting saved in a period, by the counters, the dearest first."""
    made = [
        Stopped(
            destination=cell.destination,
            platform=title(cell.destination, workspace),
            reason=cell.reason,
            currency=cell.currency,
            signals=cell.signals,
            value=cell.value,
        )
        for cell in sums.read(connection, since, until)
        if cell.verdict == "withheld" and cell.name == PURCHASE and cell.reason in STOPPED
    ]
    return sorted(made, key=lambda each: (-each.value, -each.signals, each.reason, each.destination))


def caught_by(connection: Connection, step: int, since: int, until: int) -> dict[tuple[int, str], int]:
    """(moment a step begins, reason) -> signals withheld because they were told already."""
    found: Counter[tuple[int, str]] = Counter()
    for at, cell in sums.steps(connection, step, since, until):
        if cell.verdict == "withheld" and cell.reason in DUPLICATES:
            found[at, cell.reason] += cell.signals
    return dict(found)


class Clock(Struct, frozen=True, kw_only=True):
    """How long something took, ms."""

    clock: str
    """`source`: event time to intake; `accepted`: intake to accepted; `held`: of that, our own hold."""
    name: str
    """Of the source or the destination."""
    signals: int
    p50: int
    p95: int
    p99: int
    late: int
    """An hour or longer."""
    ahead: int
    """From the future: a clock that runs ahead by a minute or more."""


Counted = dict[tuple[str, str], dict[int, int]]
"""Something counted: (clock, name) -> histogram, or (destination, event) -> mask -> signals."""

CLOCKS = {clock: place for place, clock in enumerate(("accepted", "held", "source", "audience", "suppressed"))}
"""The order in which clocks are told."""


def told(found: Counted) -> list[Clock]:
    """Clocks with their quantiles."""
    return [
        Clock(
            clock=clock,
            name=name,
            signals=sum(histogram.values()),
            p50=clocks.quantile(histogram, 0.5, exact=clock == "held"),
            p95=clocks.quantile(histogram, 0.95, exact=clock == "held"),
            p99=clocks.quantile(histogram, 0.99, exact=clock == "held"),
            late=clocks.at_least(histogram, clocks.HOUR),
            ahead=clocks.ahead(histogram, clocks.MINUTE),
        )
        for (clock, name), histogram in sorted(found.items(), key=lambda each: (CLOCKS.get(each[0][0], len(CLOCKS)), each[0]))
        if sum(histogram.values()) > 0
    ]


class Key(Struct, frozen=True, kw_only=True):
    """A match key and the share of signals (0 to 1) that carry it."""

    key: str
    title: str
    share: float
    weight: int
    """How much the score makes of it; the light ones only narrow what others found."""


class Matched(Struct, frozen=True, kw_only=True):
    """Which match keys the signals of one destination and event carried."""

    destination: str
    platform: str
    name: str
    signals: int
    score: float
    """0 to 100, to be compared with itself only."""
    keys: list[Key]
    """Those the platform reads, the heaviest first."""


def together(several: Iterable[Counted]) -> Counted:
    """Several times' histograms, or masks, as one."""
    found: Counted = {}
    for counted in several:
        for key, many in counted.items():
            found[key] = clocks.merge([found.get(key, {}), many])
    return found


def matched(found: Counted, workspace: Workspace) -> list[Matched]:
    """Coverage and score for each destination and event, the most signals first."""
    made = []
    for (destination, name), counted in found.items():
        platform = kind(destination, workspace)
        score = coverage.score(counted, platform)
        if score is None:
            continue
        made.append(
            Matched(
                destination=destination,
                platform=title(destination, workspace),
                name=name,
                signals=sum(counted.values()),
                score=score,
                keys=sorted(
                    (
                        Key(key=key, title=coverage.KEYS[key].title, share=share, weight=coverage.KEYS[key].weight)
                        for key, share in coverage.shares(counted, platform).items()
                    ),
                    key=lambda each: -each.weight,
                ),
            )
        )
    return sorted(made, key=lambda each: (each.name != PURCHASE, -each.signals, each.name, each.destination))


def scores(found: Counted, workspace: Workspace) -> dict[str, float]:
    """Destination -> the score of all its signals."""
    together: dict[str, list[dict[int, int]]] = {}
    for (destination, _), counted in found.items():
        together.setdefault(destination, []).append(counted)
    told = {
        destination: coverage.score(coverage.merge(several), kind(destination, workspace))
        for destination, several in together.items()
    }
    return {destination: score for destination, score in told.items() if score is not None}


class Marker(Struct, frozen=True, kw_only=True):
    """Something that was seen for the first time: what may stand behind a change."""

    at: int
    event: int
    sentence: str


def markers(connection: Connection, since: int, until: int) -> list[Marker]:
    """What was new in a period, newest first."""
    return [
        Marker(at=mark.at, event=mark.event, sentence=masking.text(f"{mark.sentence[:1].upper()}{mark.sentence[1:]}."))
        for mark in quality.marks(connection, since, until)
    ]


class Beside(Struct, frozen=True, kw_only=True):
    """What a platform says it received of one of its events, beside what it accepted from us."""

    destination: str
    platform: str
    event: str
    """The platform's name."""
    ours: int
    server: int | None
    browser: int | None
    total: int | None


def beside(connection: Connection, first: str, last: str, since: int, until: int, workspace: Workspace) -> list[Beside]:
    """The platforms' counts of some days (YYYY-MM-DD, UTC, both included), which are [since, until) in epoch ms."""
    ours = {(destination, event): int(many) for destination, event, many in connection.rows("report_taken", since, until)}
    theirs: dict[tuple[str, str], list[views.Received]] = {}
    for each in views.received(connection, first, last):
        theirs.setdefault((each.destination, each.event), []).append(each)
    return [
        Beside(
            destination=destination,
            platform=title(destination, workspace),
            event=event,
            ours=ours.get((destination, event), 0),
            server=_sum(each.server for each in days),
            browser=_sum(each.browser for each in days),
            total=_sum(each.total for each in days),
        )
        for (destination, event), days in sorted(theirs.items())
    ]


def _sum(counts: Iterable[int | None]) -> int | None:
    """None when the platform never said."""
    said = [each for each in counts if each is not None]
    return sum(said) if said else None


def qualities(connection: Connection, first: str, last: str) -> list[views.Score]:
    """The platforms' own scores, of each event as last asked in these days."""
    latest = {(each.destination, each.event): each for each in views.scores(connection, first, last)}
    return list(latest.values())


# ---- findings --------------------------------------------------------------------------------------------------------------


def at_stake(kept: Iterable[findings.Kept]) -> dict[str, Decimal]:
    """Currency -> money at stake in these findings, the most first; at most that, for one order may be in several of them."""
    stakes: dict[str, Decimal] = {}
    for each in (one.finding for one in kept):
        if each.money and each.currency:
            stakes[each.currency] = stakes.get(each.currency, ZERO) + each.money
    return dict(sorted(stakes.items(), key=lambda stake: -stake[1]))


# ---- rollouts --------------------------------------------------------------------------------------------------------------


class Standing(Struct, frozen=True, kw_only=True):
    """Where a destination's rollout stands."""

    destination: str
    platform: str
    stage: int
    """1 is the first."""
    stages: int
    since: int | None
    """None while it has not begun."""
    sends: list[str]
    held: str
    last: bool


def standings(connection: Connection, workspace: Workspace) -> list[Standing]:
    """Every destination that has a rollout."""
    known = rollouts.standings(connection)
    made = []
    for name, destination in workspace.destinations.items():
        if not destination.rollout:
            continue
        standing = known.get(name)
        stage = min(standing.stage, len(destination.rollout) - 1) if standing else 0
        made.append(
            Standing(
                destination=name,
                platform=title(name, workspace),
                stage=stage + 1,
                stages=len(destination.rollout),
                since=standing.since if standing else None,
                sends=[event for each in destination.rollout[: stage + 1] for event in each.send],
                held=masking.text(standing.held) if standing else "",
                last=stage + 1 == len(destination.rollout),
            )
        )
    return made


# ---- orders ----------------------------------------------------------------------------------------------------------------


class Claimed(Struct, frozen=True, kw_only=True):
    """What one source said an order is worth."""

    source: str
    event: int
    time: int
    value: Decimal | None
    """Under the workspace's definition."""
    currency: str | None
    value_from: str
    stated: str
    """The definition that the amount it calls the order's worth follows: gross, net, subtotal, or empty."""
    counts: bool
    """Whether this is the report that counts."""


class Sent(Struct, frozen=True, kw_only=True):
    """What became of an order at one destination."""

    destination: str
    platform: str
    event: int
    verdict: str
    reason: str | None
    sentence: str
    value: Decimal | None
    currency: str | None
    pixel: doubles.Prediction

    @property
    def gate(self) -> str:
        """The name of the workspace's own gate that withheld it; empty for any other reason."""
        return (self.reason or "").partition("gate:")[2]


class Ordered(Struct, frozen=True, kw_only=True):
    """One order: what each source claimed, what went back, what each platform was told."""

    key: str
    order_id: str
    event: int
    time: int
    received_at: int
    value: Decimal | None
    """What the hub holds it to be worth."""
    currency: str | None
    claims: list[Claimed]
    returned: Decimal
    """Of that value: refunded or cancelled."""
    cancelled_at: int
    flagged_at: int
    disagreement: str
    """How the sources differ, in a sentence; empty when they agree."""
    sent: list[Sent]


def orders_between(connection: Connection, since: int, until: int, workspace: Workspace) -> list[Ordered]:
    """Orders first heard of in a period, oldest first."""
    rows = connection.rows("report_orders_between", since, until)
    return [
        made
        for start in range(0, len(rows), TOGETHER)
        for made in _ordered(connection, rows[start : start + TOGETHER], workspace)
    ]


def orders_latest(connection: Connection, most: int, workspace: Workspace) -> list[Ordered]:
    """The orders last heard of, newest first."""
    return _ordered(connection, connection.rows("report_orders_latest", most), workspace)


def orders_before(connection: Connection, event: int, most: int, workspace: Workspace) -> list[Ordered]:
    """Orders first heard of before an event (its number; 0: the newest), newest first."""
    return _ordered(connection, connection.rows("report_orders_before", event or (1 << 62), most), workspace)


def made_of(connection: Connection, rows: Sequence[Row], workspace: Workspace) -> list[Ordered]:
    """Orders of the rows that the statements of orders give, in their order."""
    return _ordered(connection, rows, workspace)


def orders_of(connection: Connection, number: int, workspace: Workspace) -> list[Ordered]:
    """The orders that an event is about, by its number; none for an event without an order id."""
    rows = connection.rows("event_by_id", number)
    return orders_named(connection, rows[0][5], workspace) if rows and rows[0][5] else []


def orders_named(connection: Connection, order_id: str, workspace: Workspace) -> list[Ordered]:
    """The orders that have this order id: one, or as many as the shop gave it to."""
    return _ordered(connection, connection.rows("report_orders_named", [order_id]), workspace)


def _ordered(connection: Connection, rows: Sequence[Row], workspace: Workspace) -> list[Ordered]:
    by_order: dict[str, list[Row]] = {}
    asked = list(dict.fromkeys(row[1] for row in rows))
    for found in connection.rows("report_purchases_told", asked) if asked else ():
        by_order.setdefault(found[0], []).append(found[1:])
    given = Counter(row[1] for row in rows)
    made = []
    for key, order_id, event, time, _, record, received_at in rows:
        known = _record.decode(bytes(record)) if record is not None else purchases.NOTHING
        counts = purchases.chosen(known, workspace.counted_source.get(PURCHASE))
        own = {event, *(claim.event for claim in known.claims.values())}
        # An id that the shop gave to two orders (the second has another key) says only by the events which report is whose.
        alone = key == order_id and given[order_id] == 1
        reports = [row for row in by_order.get(order_id, ()) if alone or row[0] in own]
        made.append(
            Ordered(
                key=masking.text(key),
                order_id=masking.text(order_id),
                event=event,
                time=time,
                received_at=received_at,
                value=counts.value if counts else None,
                currency=counts.currency if counts and counts.value is not None else None,
                claims=[
                    Claimed(
                        source=each.source,
                        event=each.event,
                        time=each.time,
                        value=each.value,
                        currency=each.currency,
                        value_from=each.value_from,
                        stated=each.stated,
                        counts=each is counts,
                    )
                    for each in sorted(known.claims.values(), key=lambda each: (each.time, each.source))
                ],
                returned=purchases.gone_back(known, counts) if counts else ZERO,
                cancelled_at=known.cancelled_at,
                flagged_at=known.flagged_at,
                disagreement=disagreement(known),
                sent=_sent(order_id, reports, known, workspace),
            )
        )
    return made


RANK = {verdict: rank for rank, verdict in enumerate(("accepted", "warned", "waiting", "unknown", "refused", "withheld"))}
"""Of several reports of one order at one destination the first of these is what became of the order there."""


def _sent(order_id: str, reports: Iterable[Row], known: purchases.Record, workspace: Workspace) -> list[Sent]:
    best: dict[str, Row] = {}
    for row in reports:
        before = best.get(row[1])
        if before is None or RANK[row[2]] < RANK[before[2]]:
            best[row[1]] = row
    made = []
    for destination, row in sorted(best.items()):
        event, _, verdict, reason, sentence, platform_event, platform_id, value, currency, settled_at, time = row
        configured = workspace.destinations.get(destination)
        platform = configured.type if configured else destination
        made.append(
            Sent(
                destination=destination,
                platform=title(destination, workspace),
                event=event,
                verdict=verdict,
                reason=reason,
                sentence=story.told_sentence(verdict, reason, sentence),
                value=None if value is None else Decimal(value),
                currency=currency,
                pixel=doubles.predict_order(
                    platform=platform,
                    name=PURCHASE,
                    server=doubles.ServerSide(
                        event=platform_event or "",
                        event_id=platform_id or "",
                        verdict=verdict,
                        time=time,
                        arrived=settled_at,
                        order_id=order_id,
                    ),
                    pixel=configured.pixel if configured else None,
                    reported=known.pixels.get(platform),
                ),
            )
        )
    return made


def disagreement(known: purchases.Record) -> str:
    """How the sources of an order differ in its value or currency, in a sentence; empty when they agree or only one spoke."""
    said = [each for each in known.claims.values() if each.value is not None]
    currencies = {each.currency for each in said}
    if len(currencies) > 1:
        return "The sources name different currencies."
    values = sorted({each.value for each in said if each.value is not None})
    if len(values) < 2:
        return ""
    definitions = sorted({each.stated for each in said if each.stated})
    apart = f"The sources are {values[-1] - values[0]:f} {currencies.pop() or ''} apart".rstrip()
    return f"{apart}: one states {' and the other '.join(definitions[:2])}." if len(definitions) > 1 else f"{apart}."


class Radar(Struct, frozen=True, kw_only=True):
    """Pixel beside server at one destination: what will become of orders that both tell it."""

    destination: str
    platform: str
    orders: int
    merged: int
    dropped: int
    doubled: int
    single: int
    unknown: int
    inflation: Decimal | None
    """By what share its figures are too high, among the orders of which it is known."""
    sentences: list[str]
    """Of those that count twice or are unknown, an example of each cause."""


def radar(orders: Iterable[Ordered]) -> list[Radar]:
    """Predictions for these orders, for each destination."""
    by: dict[str, list[Sent]] = {}
    for order in orders:
        for each in order.sent:
            by.setdefault(each.destination, []).append(each)
    made = []
    for destination, told_there in sorted(by.items()):
        summary = doubles.summary(each.pixel for each in told_there)
        examples = {
            each.pixel.why: each.pixel.sentence
            for each in reversed(told_there)
            if each.pixel.verdict in {"will_double_count", "unknown"}
        }
        made.append(
            Radar(
                destination=destination,
                platform=told_there[0].platform,
                orders=summary.orders,
                merged=summary.verdicts.get("will_merge", 0),
                dropped=summary.verdicts.get("will_be_dropped", 0),
                doubled=summary.doubled,
                single=summary.verdicts.get("single", 0),
                unknown=summary.verdicts.get("unknown", 0),
                inflation=summary.inflation,
                sentences=[masking.text(sentence) for sentence in examples.values()],
            )
        )
    return made
