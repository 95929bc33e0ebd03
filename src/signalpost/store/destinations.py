"""How a destination stands: what waits, what was refused and why, which requests were made; the reads behind its page.

Every read is bounded: sums for what was counted, an index and a limit for everything else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from signalpost import gates, masking
from signalpost.store import story, sums
from signalpost.store.database import Connection
from signalpost.store.sums import Cell

FOREVER = (1 << 63) - 1

MOST_WAITING = 100_000
"""So many waiting signals are counted; where there are more, that is said."""

AMONG = 2_000
"""Examples are looked for among so many: the newest refused and unknown signals of a destination, the newest verdicts of all."""

EXAMPLES = 3

PURCHASE = "Order Completed"

DAY = 86_400_000
HOUR = 3_600_000
MINUTE = 60_000

PROBLEMS = ("refused", "unknown", "warned")
"""Verdicts with a reason of the platform's own that somebody should read, the worst first."""


class Waiting(Struct, frozen=True, kw_only=True):
    """What waits for a destination."""

    signals: int
    more: bool
    """Whether there are more than were counted."""
    oldest: int | None
    """When the event of the oldest waiting signal happened (epoch ms), of each priority the first."""
    first: int | None
    """When the first waiting one was received."""


def waiting(connection: Connection, name: str) -> Waiting:
    """What waits for a destination."""
    counted = int(connection.rows("destination_waiting", name, MOST_WAITING + 1)[0][0])
    firsts = [row for priority in range(4) for row in connection.rows("destination_first", name, priority)] if counted else []
    return Waiting(
        signals=min(counted, MOST_WAITING),
        more=counted > MOST_WAITING,
        oldest=min((row[1] for row in firsts), default=None),
        first=min((row[2] for row in firsts), default=None),
    )


class Next(Struct, frozen=True, kw_only=True):
    """A signal that waits to be sent."""

    event: int
    name: str
    """Canonical."""
    time: int
    received_at: int
    due_at: int
    """Not before this moment: a hold, or the next try."""
    in_hand: bool
    """Whether it is being sent just now."""
    attempts: int
    value: Decimal | None
    currency: str | None


def next_ones(connection: Connection, name: str, most: int, now: int) -> list[Next]:
    """The signals that are sent next, in their order."""
    return [
        Next(
            event=event,
            name=event_name,
            time=time,
            received_at=received_at,
            due_at=due_at,
            in_hand=leased_until > now,
            attempts=attempts,
            value=None if micros is None else Decimal(micros) / 1_000_000,
            currency=currency,
        )
        for event, event_name, time, received_at, due_at, leased_until, attempts, micros, currency in connection.rows(
            "destination_next", name, most
        )
    ]


def last_accepted(connection: Connection, name: str, now: int) -> int | None:
    """When a signal was last accepted (epoch ms): to the minute within two hours, else to the hour; None: not in 30 days."""
    found: int | None = connection.rows("destination_last_accepted", now - 2 * HOUR, name)[0][0]
    if found is None:
        found = connection.rows("destination_last_accepted_hour", now - 30 * DAY, name)[0][0]
    if found is None:  # hours are summed up a while after they ended
        found = connection.rows("destination_last_accepted", now - DAY, name)[0][0]
    return found


# ---- what was counted ------------------------------------------------------------------------------------------------------


class Tally(Struct, frozen=True, kw_only=True):
    """Signals of one destination over a window."""

    verdicts: dict[str, int]
    value: dict[str, Decimal]
    """Currency -> accepted purchases."""

    @property
    def answered(self) -> int:
        """Signals that the platform answered."""
        return sum(self.verdicts.get(each, 0) for each in ("accepted", "warned", "refused", "unknown"))

    @property
    def taken(self) -> int:
        """Those of them that it took."""
        return self.verdicts.get("accepted", 0) + self.verdicts.get("warned", 0)


def tally(cells: Iterable[Cell], name: str) -> Tally:
    """What these cells say of a destination."""
    verdicts: dict[str, int] = {}
    value: dict[str, Decimal] = {}
    for each in cells:
        if each.destination != name:
            continue
        verdicts[each.verdict] = verdicts.get(each.verdict, 0) + each.signals
        if each.verdict in {"accepted", "warned"} and each.currency and each.name == PURCHASE:
            value[each.currency] = value.get(each.currency, Decimal(0)) + each.value
    return Tally(verdicts=verdicts, value=value)


class Problem(Struct, frozen=True, kw_only=True):
    """Signals of a window that the platform refused, never clearly answered, or took with a warning, for one reason."""

    verdict: str
    reason: str
    """The platform's own code, or a key of `gates.REASONS`."""
    signals: int
    events: dict[str, int]
    """Canonical event -> signals."""
    value: dict[str, Decimal]
    """Currency -> the purchases among them."""
    sentence: str
    advice: str
    examples: tuple[int, ...]


class Dead(Struct, frozen=True, kw_only=True):
    """A signal that the platform refused or never clearly answered."""

    event: int
    name: str
    """Canonical."""
    verdict: str
    reason: str
    sentence: str
    order_id: str | None
    value: Decimal | None
    currency: str | None
    time: int
    settled_at: int | None
    request: int | None


def dead(
    connection: Connection, name: str, most: int, *, before: int = FOREVER, verdict: str = "", reason: str = ""
) -> list[Dead]:
    """The newest refused and unknown signals of a destination, before an event where one is given; those of a verdict or a
    reason are looked for among the newest `AMONG`.
    """
    among = AMONG if verdict or reason else most
    rows = connection.rows("destination_dead", name, before, among, verdict, verdict, reason, reason, most)
    return [_dead(*row) for row in rows]


def _dead(
    event: int,
    verdict: str,
    reason: str | None,
    sentence: str | None,
    value: str | None,
    currency: str | None,
    settled_at: int | None,
    request: int | None,
    name: str,
    time: int,
    order_id: str | None,
) -> Dead:
    return Dead(
        event=event,
        name=name,
        verdict=verdict,
        reason=reason or "",
        sentence=story.told_sentence(verdict, reason, sentence),
        order_id=masking.text(order_id) if order_id else None,
        value=None if value is None else Decimal(value),
        currency=currency,
        time=time,
        settled_at=settled_at,
        request=request,
    )


def problems(connection: Connection, cells: Iterable[Cell], name: str) -> list[Problem]:
    """Why signals of a window were refused, unknown or warned about, the worst and most first, with newest examples."""
    counted: dict[tuple[str, str], list[Cell]] = {}
    for each in cells:
        if each.destination == name and each.verdict in PROBLEMS and (each.verdict != "warned" or each.reason):
            counted.setdefault((each.verdict, each.reason), []).append(each)
    if not counted:
        return []
    seen = _seen(connection, name, {verdict for verdict, _ in counted})
    made = []
    for (verdict, reason), those in counted.items():
        events: dict[str, int] = {}
        value: dict[str, Decimal] = {}
        for each in those:
            events[each.name] = events.get(each.name, 0) + each.signals
            if each.currency and each.micros and each.name == PURCHASE:
                value[each.currency] = value.get(each.currency, Decimal(0)) + each.value
        sentence, examples = seen.get((verdict, reason), (None, ()))
        made.append(
            Problem(
                verdict=verdict,
                reason=reason,
                signals=sum(events.values()),
                events=dict(sorted(events.items(), key=lambda one: -one[1])),
                value=value,
                sentence=story.told_sentence(verdict, reason, None if reason in gates.REASONS else sentence),
                advice=story.advice(verdict, reason),
                examples=examples,
            )
        )
    return sorted(made, key=lambda each: (PROBLEMS.index(each.verdict), -each.signals, each.reason))


def _seen(connection: Connection, name: str, verdicts: Collection[str]) -> Mapping[tuple[str, str], tuple[str, tuple[int, ...]]]:
    """(verdict, reason) -> what the newest was told, and the newest few."""
    rows = []
    if not {"refused", "unknown"}.isdisjoint(verdicts):
        rows += connection.rows("destination_seen", name, AMONG)
    if "warned" in verdicts:
        rows += connection.rows("destination_warned", AMONG, name)
    found: dict[tuple[str, str], list[tuple[int, str | None]]] = {}
    for event, verdict, reason, sentence in rows:
        newest = found.setdefault((verdict, reason), [])
        if len(newest) < EXAMPLES:
            newest.append((event, sentence))
    return {key: (masking.text(newest[0][1] or ""), tuple(event for event, _ in newest)) for key, newest in found.items()}


class Step(Struct, frozen=True, kw_only=True):
    """A step of a window: signals by verdict, `taken` of them by the platform."""

    at: int
    verdicts: dict[str, int]


def over_time(connection: Connection, name: str, step: int, since: int, until: int) -> list[Step]:
    """Signals of a destination by verdict for each step that the window touches, those without any signal too."""
    first, last = since - since % step, until - until % MINUTE + MINUTE
    found: dict[int, dict[str, int]] = {at: {} for at in range(first, last, step)}
    begun = {int(span): int(upto) for span, upto in connection.rows("sums_upto")}
    # Only spans that lie whole within a step.
    upto = [begun.get(span, 0) if step % span == 0 else 0 for span in (HOUR, DAY)]
    cut = sums.parts(first, last, *upto)
    bounds = [each for bound in (cut.days, *cut.hours, *cut.minutes) for each in (name, *bound)]
    for at, verdict, signals in connection.rows("destination_over_time", step, *bounds):
        if at in found:
            found[at][verdict] = int(signals)
    return [Step(at=at, verdicts=verdicts) for at, verdicts in found.items()]


# ---- requests --------------------------------------------------------------------------------------------------------------


class Asked(Struct, frozen=True, kw_only=True):
    """One request to the platform and how it ended."""

    id: int
    started_at: int
    ended_at: int
    signals: int
    status: int | None
    """HTTP; None: no answer."""
    summary: str
    platform_request: str | None
    """The platform's own id of it, which its support asks for."""

    @property
    def good(self) -> bool:
        """Whether the platform answered as it should."""
        return self.status is not None and self.status < 300


def requests(connection: Connection, name: str, most: int, before: int = FOREVER) -> list[Asked]:
    """The newest requests of a destination, before one where it is given."""
    return [
        Asked(
            id=number,
            started_at=started,
            ended_at=ended,
            signals=signals,
            status=status,
            summary=masking.text(summary),
            platform_request=platform_request,
        )
        for number, started, ended, signals, status, summary, platform_request in connection.rows(
            "destination_requests", name, before, most
        )
    ]


class Resting(Struct, frozen=True, kw_only=True):
    """Why a destination does not send at the moment, and when it tries again (epoch ms)."""

    since: int
    until: int
    failures: int
    sentence: str


def resting(connection: Connection) -> dict[str, Resting]:
    """The destinations that do not send at the moment."""
    return {
        name: Resting(since=since, until=until, failures=failures, sentence=masking.text(sentence))
        for name, since, until, failures, sentence in connection.rows("breakers")
    }


class Rested(Struct, frozen=True, kw_only=True):
    """A time in which the destination did not send because the platform did not take anything."""

    since: int
    until: int
    failures: int
    sentence: str


def rests(connection: Connection, name: str, most: int) -> list[Rested]:
    """The latest rests that are over."""
    return [
        Rested(since=since, until=until, failures=failures, sentence=masking.text(sentence))
        for since, until, failures, sentence in connection.rows("destination_rests", name, most)
    ]


def refused(asked: Sequence[Asked]) -> Asked | None:
    """The newest request when the platform answered it with 401 or 403: it does not accept the credentials."""
    return asked[0] if asked and asked[0].status in {401, 403} else None
