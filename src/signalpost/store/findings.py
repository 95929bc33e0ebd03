"""Findings, opened and closed by themselves: the figures they are decided from, and the table that keeps them.

Gathering is bounded whatever the database holds: counters of a span of time, the newest orders, the newest verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from signalpost import findings
from signalpost.config import Workspace
from signalpost.coverage import Alarm
from signalpost.findings import (
    DAY,
    DAYS,
    EXAMPLES,
    HOUR,
    Building,
    Count,
    Figures,
    Finding,
    Notice,
    Purchase,
    Rest,
    Sample,
    Synced,
    Told,
)
from signalpost.options import Audience
from signalpost.store import audiences, batches, quality, rollouts, sums, trends
from signalpost.store.database import Connection, Row

ORDERS = 2_000
"""The newest orders that are looked at."""

VERDICTS = 10_000
"""The newest verdicts among which examples are looked for."""

REFUSALS = 1_000
WAITING = 10_000
"""Signals that wait, the newest of all or the first purchases of a resting destination, that are counted."""

CHANGES = 10_000
"""Changes of an audience that wait, counted at most."""

MEMBERS = 20_000
"""The newest people of an audience among whom those without identifiers, and those who are suppressed too, are counted."""

SIZES_MS = 15 * DAY
"""How long sizes of audiences are looked back at; they are kept for four times as long."""

CLOSES_MS = 600_000
"""A finding not seen for so long is over: one that comes and goes within it stays open."""

MINUTE = 60_000


class Kept(Struct, frozen=True, kw_only=True):
    """A finding with its life; times in epoch ms."""

    id: int
    finding: Finding
    since: int
    seen_at: int
    """When it was last found to be so."""
    closed_at: int | None
    """None: it is open."""
    alerted_at: int | None
    """When somebody was last told of it."""

    @property
    def open(self) -> bool:
        """Whether it is so as far as known."""
        return self.closed_at is None


# ---- figures ---------------------------------------------------------------------------------------------------------------


class Usual(Struct, frozen=True, kw_only=True):
    """The costly part of the figures, which changes slowly: worth keeping for some minutes."""

    week: tuple[Count, ...]
    until: int
    """Up to this minute (epoch ms); what came since is counted at each look."""
    since: int
    """When the week's counters begin (epoch ms); 0: there are none."""
    alarms: tuple[Alarm, ...]
    audiences: dict[int, Synced] = {}
    """Number of an audience -> what is costly to know of it."""


def usual(connection: Connection, workspace: Workspace, now: int) -> Usual:
    """What is usual, and which match keys have dropped."""
    since, until = now - DAYS * DAY, now - now % MINUTE
    return Usual(
        week=_counts(connection, since, until),
        until=until,
        since=int(connection.rows("findings_counting_since", since)[0][0] or 0),
        alarms=tuple(quality.alarms(connection, workspace, now)),
        audiences=_counted(connection, workspace, now),
    )


def gather(connection: Connection, workspace: Workspace, now: int, known: Usual | None = None) -> Figures:
    """All that the rules look at; `known` is what `usual` gave some minutes ago, taken anew without it."""
    known = known or usual(connection, workspace, now)
    then, waiting = now - DAYS * DAY, _waiting(connection)
    return Figures(
        now=now,
        day=_counts(connection, now - DAY) + waiting,
        week=known.week + _counts(connection, known.until) + waiting,
        since=known.since,
        orders=_orders(connection, then),
        notices=tuple(
            [
                Notice(destination, what, detail, name, currency, int(signals), int(micros), event)
                for destination, what, detail, name, currency, signals, micros, event in connection.rows(
                    "findings_notices", then - then % HOUR
                )
            ]
        ),
        clocks=trends.times(connection, now - DAY - now % HOUR),
        resting=_resting(connection),
        rollouts=rollouts.standings(connection),
        alarms=known.alarms,
        samples=_samples(connection),
        set_aside=tuple([position for (position,) in connection.rows("findings_set_aside", REFUSALS, then)]),
        audiences=tuple(synced(connection, workspace, known.audiences)),
        building=tuple(
            [Building(_names(names), int(missing), int(done)) for names, missing, done in connection.rows("findings_building")]
        ),
    )


def _names(text: str) -> tuple[str, ...]:
    """One segment, or the JSON list of those that a backfill builds."""
    return tuple(msgspec.json.decode(text, type=list[str])) if text.startswith("[") else (text,)


def _counts(connection: Connection, since: int, until: int = sums.FOR_EVER) -> tuple[Count, ...]:
    """Verdicts and refused messages; that events were heard is no verdict."""
    return tuple(
        [
            Count(cell.destination, cell.name, cell.verdict, cell.reason, cell.currency, cell.signals, cell.micros)
            for cell in sums.read(connection, since, until)
            if cell.destination or cell.verdict == "refused"
        ]
    )


def _waiting(connection: Connection) -> tuple[Count, ...]:
    """Signals without a verdict yet, which the counters know nothing of."""
    return tuple(
        [
            Count(destination, name, "waiting", "", currency, int(signals), int(micros))
            for destination, name, currency, signals, micros in connection.rows("findings_pending", WAITING)
        ]
    )


def _orders(connection: Connection, since: int) -> tuple[Purchase, ...]:
    known = [batches.known_order(row) for row in connection.rows("findings_orders", ORDERS)]
    known = [order for order in known if order.time >= since]
    sent = sorted({event for order in known for event in order.sent.values()})
    told = {
        (event, destination): Told(
            verdict, name or "", platform_id or "", None if value is None else Decimal(value), currency, settled_at
        )
        for event, destination, verdict, name, platform_id, value, currency, settled_at in (
            connection.rows("findings_told", sent) if sent else ()
        )
    }
    return tuple(
        [
            Purchase(
                order_id=order.order_id,
                event=order.event,
                time=order.time,
                record=order.record,
                told={
                    destination: told[event, destination]
                    for destination, event in order.sent.items()
                    if (event, destination) in told
                },
            )
            for order in known
        ]
    )


def _resting(connection: Connection) -> tuple[Rest, ...]:
    found = []
    for destination, since, until, failures, sentence in connection.rows("breakers"):
        waiting = connection.rows("findings_waiting", destination, WAITING)
        worth = {currency: Decimal(int(micros)) / 1_000_000 for currency, _, micros in waiting}
        found.append(Rest(destination, since, until, failures, sentence, sum(int(row[1]) for row in waiting), worth))
    return tuple(found)


def _samples(connection: Connection) -> dict[tuple[str, str, str], Sample]:
    found: dict[tuple[str, str, str], Sample] = {}
    for event, destination, verdict, reason, sentence in connection.rows("findings_samples", VERDICTS):
        known = found.get((destination, verdict, reason))
        if known is None:
            found[destination, verdict, reason] = Sample((event,), sentence)
        elif len(known.events) < EXAMPLES:
            found[destination, verdict, reason] = Sample((*known.events, event), known.sentence or sentence)
    return found


# ---- audiences -------------------------------------------------------------------------------------------------------------


def _kept_here(connection: Connection, workspace: Workspace) -> list[tuple[Audience, audiences.Standing]]:
    """The audiences of the workspace file that the database knows, each at each of its destinations."""
    chosen = {(audience.title, destination): audience for audience, destination in audiences.pairs(workspace)}
    return [
        (chosen[each.name, each.destination], each)
        for each in (audiences.standings(connection) if chosen else ())
        if each.state != "removed" and (each.name, each.destination) in chosen
    ]


def synced(connection: Connection, workspace: Workspace, counted: Mapping[int, Synced]) -> Iterator[Synced]:
    """The audiences of the workspace file as they stand; `counted` is the costly part of it, by their numbers."""
    for _, each in _kept_here(connection, workspace):
        [(pending, oldest, urgent)] = connection.rows("findings_changes", each.slot, CHANGES)
        yield replace(
            counted.get(each.slot, Synced(name=each.name, destination=each.destination)),
            state=each.state,
            sentence=each.sentence,
            size=each.size,
            size_at=each.size_at,
            usable=each.usable,
            loaded_at=each.loaded_at,
            synced_at=each.synced_at,
            misapplied=each.applied.sentence,
            used_by=None if each.used_by is None else len(each.used_by),
            pending=int(pending),
            oldest=oldest,
            urgent=urgent,
        )


def _counted(connection: Connection, workspace: Workspace, now: int) -> dict[int, Synced]:
    """What takes a walk through an audience's people."""
    here = _kept_here(connection, workspace)
    sizes: dict[int, dict[int, int]] = {}
    for slot, hour, people in connection.rows("findings_sizes", now - SIZES_MS) if here else ():
        sizes.setdefault(slot, {})[hour] = int(people)
    found = {}
    for audience, each in here:
        against = {
            other.slot: other.name
            for chosen, other in here
            if audience.use == "target" and chosen.use == "suppress" and other.destination == each.destination
        }
        [(among, nameless)] = connection.rows("findings_nameless", each.slot, MEMBERS)
        both = connection.rows("findings_overlap", each.slot, MEMBERS, list(against)) if against else []
        found[each.slot] = Synced(
            name=each.name,
            destination=each.destination,
            members=int(connection.rows("findings_members", each.slot)[0][0]),
            walked=MEMBERS,
            among=int(among),
            nameless=int(nameless),
            overlaps={against[slot]: int(people) for slot, people in both},
            sizes=sizes.get(each.slot, {}),
        )
    return found


def sizes(connection: Connection, workspace: Workspace) -> dict[int, int]:
    """Number of an audience -> how many people it wants now."""
    here = _kept_here(connection, workspace)
    return {each.slot: int(connection.rows("findings_members", each.slot)[0][0]) for _, each in here}


def remember_sizes(connection: Connection, counted: dict[int, int], now: int) -> None:
    """Keep the sizes of this hour; the same again changes nothing."""
    connection.run_many("findings_size", [(slot, now - now % HOUR, people) for slot, people in counted.items()])
    connection.run("findings_sizes_prune", now - 4 * SIZES_MS)


# ---- open, see, close ------------------------------------------------------------------------------------------------------


def reconcile(connection: Connection, found: Iterable[Finding], now: int) -> list[Kept]:
    """Open what is new, renew what is still so, close what has not been so for `CLOSES_MS`; gives what is open, worst first.

    In the caller's transaction. The same again at the same moment changes nothing.
    """
    known = {kept.finding.key: kept for kept in open_now(connection)}
    here = {finding.key: finding for finding in found}
    for key, finding in here.items():
        before = known.get(key)
        if before is None:
            connection.run("finding_open", key, finding.kind, finding.subject, *_told(finding), finding.link, now, now)
        else:
            # Examples that have left the newest verdicts still show what it is.
            shown = finding if finding.examples else replace(finding, examples=before.finding.examples)
            connection.run("finding_see", shown.severity, *_told(shown), finding.link, now, before.id)
    for key, kept in known.items():
        if key not in here and now - kept.seen_at >= CLOSES_MS:
            connection.run("finding_close", now, kept.id)
    return open_now(connection)


def _told(finding: Finding) -> tuple[Any, ...]:
    """severity ... examples, as columns."""
    return (
        finding.severity,
        finding.sentence,
        finding.advice,
        None if finding.share is None else f"{finding.share:f}",
        None if finding.money is None else f"{finding.money:f}",
        finding.currency,
        msgspec.json.encode(finding.examples).decode(),
    )


def prune(connection: Connection, workspace: Workspace, now: int) -> int:
    """Drop what closed longer ago than verdicts are kept (`retention.ledger`); gives how many."""
    return connection.run("findings_prune", now - workspace.retention.ledger * DAY)


# ---- reading ---------------------------------------------------------------------------------------------------------------


def open_now(connection: Connection) -> list[Kept]:
    """What is open: problems first, then by money at stake."""
    return sorted(map(_kept, connection.rows("findings_of_now")), key=lambda kept: findings.rank(kept.finding))


def between(connection: Connection, since: int, until: int, most: int = 1_000) -> list[Kept]:
    """What was open at some time from `since` (epoch ms) up to `until`, the latest first; closed ones among them."""
    return [_kept(row) for row in connection.rows("findings_between", until, since, most)]


def closed(connection: Connection, since: int, until: int, most: int) -> list[Kept]:
    """Those that ended from then to then (epoch ms), the last first."""
    return [_kept(row) for row in connection.rows("findings_closed", since, until, most)]


def earlier(connection: Connection, keys: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Key of a finding -> how often it was open before, and when that last ended."""
    asked = sorted(set(keys))
    return {row[0]: (int(row[1]), int(row[2])) for row in connection.rows("findings_earlier", asked)} if asked else {}


class Note(Struct, frozen=True, kw_only=True):
    """What somebody wrote about a finding."""

    at: int
    who: str
    note: str


def notes(connection: Connection, numbers: Iterable[int]) -> dict[int, list[Note]]:
    """Finding -> what people wrote about it, oldest first."""
    found: dict[int, list[Note]] = {}
    asked = list(numbers)
    for number, at, who, note in connection.rows("finding_notes_of", asked) if asked else ():
        found.setdefault(number, []).append(Note(at=at, who=who, note=note))
    return found


def write(connection: Connection, number: int, who: str, note: str, now: int) -> None:
    """Keep what somebody wrote about a finding."""
    connection.run("finding_note", number, now, who, note)


def one(connection: Connection, number: int) -> Kept | None:
    """A finding by its number."""
    rows = connection.rows("finding_by_id", number)
    return _kept(rows[0]) if rows else None


def tell(connection: Connection, numbers: Sequence[int], now: int) -> None:
    """Note that somebody has been told of these."""
    connection.run_many("finding_told", [(now, number) for number in numbers])


def _kept(row: Row) -> Kept:
    number, kind, subject, severity, sentence, advice, share, money, currency, examples, link, since, seen, closed, alerted = row
    return Kept(
        id=number,
        finding=Finding(
            kind=kind,
            subject=subject,
            severity=severity,
            sentence=sentence,
            advice=advice,
            link=link,
            share=None if share is None else Decimal(share),
            money=None if money is None else Decimal(money),
            currency=currency,
            examples=msgspec.json.decode(examples, type=tuple[int, ...]),
        ),
        since=since,
        seen_at=seen,
        closed_at=closed,
        alerted_at=alerted,
    )


# ---- for the doctor --------------------------------------------------------------------------------------------------------


def last_seen(connection: Connection, since: int) -> dict[tuple[str, str, str], int]:
    """(destination, event, verdict) -> when it was last counted (epoch ms): to the minute, long ago to the hour."""
    return {
        (destination, name, verdict): at
        for destination, name, verdict, at in connection.rows("doctor_last", since - since % HOUR, since - since % MINUTE)
    }


def trials(connection: Connection) -> dict[str, tuple[bool, str, int]]:
    """Destination -> (whether it was taken, what was said, when) of the last `send-test`, from the audit.

    Its note begins with the verdict: `accepted: TikTok took the test event.`
    """
    found = {}
    for subject, note, at in connection.rows("doctor_trials"):
        verdict, _, sentence = note.partition(": ")
        found[subject] = (verdict in {"accepted", "warned"}, sentence, at)
    return found
