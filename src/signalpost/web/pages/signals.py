"""Signals: the newest, filtered by the address, and the whole story of one."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import Response

from signalpost.store import report, story
from signalpost.store.database import Connection
from signalpost.web.routing import page
from signalpost.web.visit import Visit

LATEST = 100


class Listed(Struct, frozen=True, kw_only=True):
    """The list of signals, filtered."""

    destination: str
    verdict: str
    reason: str
    event: str
    """Canonical."""
    sentence: str
    among: int
    latest: list[story.Latest]


async def listed(visit: Visit) -> Response:
    """`/signals`: the newest signals, filtered by destination, verdict, reason and event."""
    destination, verdict, reason, event = (visit.query(name, most=100) for name in ("destination", "verdict", "reason", "event"))

    def look(connection: Connection) -> list[story.Latest]:
        return story.latest(
            connection, LATEST, destination=destination, verdict=verdict, reason=reason, name=event, workspace=visit.workspace
        )

    latest = await visit.read(look)
    facts = Listed(
        destination=destination,
        verdict=verdict,
        reason=reason,
        event=event,
        sentence=latest[0].marks[0].sentence if latest and reason else "",
        among=story.LATEST,
        latest=latest,
    )
    return visit.page("signals.html", facts, listed=facts)


async def told(visit: Visit) -> Response:
    """`/signals/{event}`: why this was, or was not, sent."""
    number = visit.number("event")
    found, orders = await visit.read(
        lambda connection: (
            story.story(connection, number, visit.workspace),
            report.orders_of(connection, number, visit.workspace),
        )
    )
    if found is None:
        raise HTTPException(404, "There is no such event; the ledger may have let go of it.")
    return visit.page("signal.html", {**msgspec.structs.asdict(found), "orders": orders}, story=found, orders=orders)


WAYS = (page("/signals", listed), page("/signals/{event:int}", told))
