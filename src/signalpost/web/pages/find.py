"""Search: straight to a signal's story when there is only one."""

from __future__ import annotations

from msgspec import Struct
from starlette.responses import RedirectResponse, Response

from signalpost import masking
from signalpost.store import story
from signalpost.web.routing import page
from signalpost.web.visit import Visit


class Found(Struct, frozen=True, kw_only=True):
    """What a search gave."""

    query: str
    events: list[story.Related]


async def find(visit: Visit) -> Response:
    """`/find?q=`: events whose message id, order id or number was asked for."""
    query = visit.query("q")
    names = tuple(visit.workspace.sources)
    events = await visit.read(lambda connection: story.happened(connection, story.find(connection, query, names)))
    if len(events) == 1 and not visit.json:
        return RedirectResponse(f"/signals/{events[0].event}", 303)
    found = Found(query=masking.text(query), events=events)
    return visit.page("find.html", found, query=found.query)


WAYS = (page("/find", find),)
