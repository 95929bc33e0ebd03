"""What may be taken along as a table: signals, orders, findings and the moves of audiences, a page at a time.

People are numbers, order ids are masked where they are somebody's address, and every table is bounded by a period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, Literal

from msgspec import Struct

from signalpost import audiences as wanted
from signalpost import masking
from signalpost.config import Workspace
from signalpost.store import findings, report, segments, story
from signalpost.store.database import Connection

PAGE = 1_000
"""Rows read at once."""

Kind = Literal["text", "integer", "moment", "amount"]

Cell = str | int | Decimal | None
"""A moment is epoch ms."""

Reading = Callable[[Callable[[Connection], Any]], Any]
"""Runs reading work; a page is one piece of work, so that an export never holds a connection while it is sent."""


class Column(Struct, frozen=True):
    """One column."""

    name: str
    kind: Kind
    doc: str = ""


class Page(Struct, frozen=True):
    """Some rows, and where the next page begins; None: it was the last."""

    rows: list[tuple[Cell, ...]]
    after: tuple[Any, ...] | None


class Period(Struct, frozen=True):
    """[since, until) in epoch ms."""

    since: int
    until: int


class Table(Struct, frozen=True, kw_only=True):
    """One export."""

    name: str
    title: str
    doc: str
    columns: tuple[Column, ...]
    page: Callable[[Connection, Workspace, Period, tuple[Any, ...] | None], Page]


_sentence = lru_cache(4_096)(story.told_sentence)
"""The same few sentences stand with very many signals."""


def _signals(connection: Connection, workspace: Workspace, period: Period, after: tuple[Any, ...] | None) -> Page:  # noqa: ARG001
    at, number = after or (period.since, -1)
    found = connection.rows("export_signals", at, period.until, at, number, PAGE)
    rows: list[tuple[Cell, ...]] = []
    for received_at, event, destination, time, name, person, order_id, verdict, *rest in found:
        reason, sentence, platform_event, value, currency, decided_at, settled_at, attempts = rest
        if destination is None:
            continue
        rows.append(
            (
                event,
                time,
                received_at,
                name,
                destination,
                verdict,
                reason,
                _sentence(verdict, reason, sentence),
                platform_event,
                None if order_id is None else masking.text(order_id),
                person or None,
                None if value is None else Decimal(value),
                currency,
                decided_at,
                settled_at,
                attempts,
            )
        )
    return Page(rows, (found[-1][0], found[-1][1]) if found else None)


def _orders(connection: Connection, workspace: Workspace, period: Period, after: tuple[Any, ...] | None) -> Page:
    at, number, key = after or (period.since, -1, "")
    found = connection.rows("export_orders", at, period.until, at, number, number, key, PAGE)
    rows: list[tuple[Cell, ...]] = []
    for order in report.made_of(connection, found, workspace):
        common = (
            order.order_id,
            order.event,
            order.time,
            order.received_at,
            order.value,
            order.currency,
            order.returned,
            order.cancelled_at,
            order.flagged_at,
            order.disagreement or None,
        )
        for told in order.sent:
            said = (told.destination, told.verdict, told.reason or None, told.value, told.currency)
            rows.append((*common, *said))
        if not order.sent:
            rows.append((*common, None, None, None, None, None))
    return Page(rows, (found[-1][6], found[-1][2], found[-1][0]) if found else None)


def _findings(connection: Connection, workspace: Workspace, period: Period, after: tuple[Any, ...] | None) -> Page:  # noqa: ARG001
    return Page(
        [
            (
                each.id,
                each.finding.kind,
                each.finding.title,
                each.finding.subject or None,
                each.finding.severity,
                each.since,
                each.closed_at,
                each.alerted_at,
                each.finding.money,
                each.finding.currency,
                each.finding.share,
                masking.text(each.finding.sentence),
                each.finding.advice,
            )
            for each in findings.between(connection, period.since, period.until, 10_000)
        ],
        None,
    )


def _moves(connection: Connection, workspace: Workspace, period: Period, after: tuple[Any, ...] | None) -> Page:
    slots = segments.slots(connection)
    used: dict[str, list[str]] = {}
    for audience in wanted.of(workspace, {}):
        used.setdefault(audience.segment, []).append(audience.name)
    order = sorted((slots[name], name) for name in used if name in slots)
    slot, at, person, entered = after or (-1, period.since, -1, -1)
    for number, name in order:
        if number < slot:
            continue
        if number > slot:
            at, person, entered = period.since, -1, -1
        rows = connection.rows("export_moves", number, at, period.until, at, person, person, entered, PAGE)
        if rows:
            named = ", ".join(dict.fromkeys(used[name]))
            return Page(
                [
                    (moved, name, named, whose, "entered" if inside else "left", _why(event))
                    for moved, whose, inside, event in rows
                ],
                (number, rows[-1][0], rows[-1][1], rows[-1][2]),
            )
    return Page([], None)


def _why(event: int) -> str:
    return {0: "a window ended", -1: "the rule changed"}.get(event, f"event {event}")


TABLES: dict[str, Table] = {
    each.name: each
    for each in (
        Table(
            name="signals",
            title="Signals",
            doc="One row for each event and destination: what became of it and why.",
            columns=(
                Column("event", "integer", "Its number, as in the address of its page."),
                Column("happened_at", "moment"),
                Column("received_at", "moment"),
                Column("name", "text", "The canonical event."),
                Column("destination", "text"),
                Column("verdict", "text"),
                Column("reason", "text"),
                Column("sentence", "text", "The reason, or the platform's answer."),
                Column("platform_event", "text", "What the platform calls it."),
                Column("order_id", "text"),
                Column("person", "integer", "A number of ours, never a name or an address."),
                Column("value", "amount", "As it was sent."),
                Column("currency", "text"),
                Column("decided_at", "moment"),
                Column("settled_at", "moment", "When the platform's answer was read."),
                Column("attempts", "integer"),
            ),
            page=_signals,
        ),
        Table(
            name="orders",
            title="Orders",
            doc="The value ledger: one row for each order and destination that was told of it, with what the order is worth.",
            columns=(
                Column("order_id", "text"),
                Column("event", "integer", "The number of the event that first told of it."),
                Column("ordered_at", "moment"),
                Column("received_at", "moment"),
                Column("value", "amount", "Under the workspace's one definition."),
                Column("currency", "text"),
                Column("returned", "amount", "What went back."),
                Column("cancelled_at", "moment"),
                Column("flagged_at", "moment", "When it was flagged as fraud."),
                Column("disagreement", "text", "How the sources differ."),
                Column("destination", "text"),
                Column("verdict", "text"),
                Column("reason", "text"),
                Column("sent_value", "amount"),
                Column("sent_currency", "text"),
            ),
            page=_orders,
        ),
        Table(
            name="findings",
            title="Findings",
            doc="What was wrong or doubtful at some time of the period, with the money at stake.",
            columns=(
                Column("finding", "integer"),
                Column("kind", "text"),
                Column("title", "text"),
                Column("subject", "text"),
                Column("severity", "text"),
                Column("since", "moment"),
                Column("closed_at", "moment"),
                Column("alerted_at", "moment"),
                Column("money", "amount"),
                Column("currency", "text"),
                Column("share", "amount", "Of what was looked at, from 0 to 1."),
                Column("sentence", "text"),
                Column("advice", "text"),
            ),
            page=_findings,
        ),
        Table(
            name="moves",
            title="Audience moves",
            doc="Who entered and who left the segments of your audiences, when and why; people by their number.",
            columns=(
                Column("at", "moment"),
                Column("segment", "text"),
                Column("audiences", "text", "The audiences that this segment fills."),
                Column("person", "integer"),
                Column("moved", "text", "entered or left"),
                Column("why", "text", "The event that moved them, the end of a window, or a change of the rule."),
            ),
            page=_moves,
        ),
    )
}
"""Every export by its name."""


def pages(read: Reading, table: Table, workspace: Workspace, period: Period) -> Iterator[list[tuple[Cell, ...]]]:
    """The rows of an export, page by page."""
    after: tuple[Any, ...] | None = None
    while True:
        page: Page = read(partial(_page, table, workspace, period, after))
        if page.rows:
            yield page.rows
        if page.after is None:
            return
        after = page.after


def _page(table: Table, workspace: Workspace, period: Period, after: tuple[Any, ...] | None, connection: Connection) -> Page:
    return table.page(connection, workspace, period, after)


def begins(connection: Connection) -> int | None:
    """When the first event came that is still known (epoch ms); None: none is."""
    rows = connection.rows("export_begins")
    return int(rows[0][0]) if rows else None
