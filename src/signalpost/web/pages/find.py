"""Search: straight to a signal's story or to a person. What names a person is posted, and never stands in an address."""

from __future__ import annotations

from msgspec import Struct
from starlette.responses import RedirectResponse, Response

from signalpost import masking
from signalpost.store import people, segments, story
from signalpost.store.database import Connection
from signalpost.web.routing import VIEWER, act, page
from signalpost.web.visit import Visit, link


class Somebody(Struct, frozen=True, kw_only=True):
    """A person who was found, masked."""

    id: int
    known_as: str


class Found(Struct, frozen=True, kw_only=True):
    """What a search gave."""

    query: str
    """Masked."""
    events: list[story.Related]
    people: list[Somebody]


async def _found(visit: Visit, query: str) -> Found:
    sources = tuple(visit.workspace.sources)

    def look(connection: Connection) -> Found:
        number = query.isascii() and query.isdigit()
        events = [] if private(query) else story.happened(connection, story.find(connection, query, sources))
        # A bare number is an event's, an order's or somebody's user id; a person's own number only where it is nothing else.
        known = segments.find(connection, query, visit.workspace) if query and len(query) < 500 else []
        if number and events:
            known = [each for each in known if str(each.id) != query]
        return Found(
            query=masking.text(query),
            events=events,
            people=[Somebody(id=each.id, known_as=people.known_as(each)) for each in known],
        )

    return await visit.read(look)


def private(query: str) -> bool:
    """Whether this looks like what must not stand in an address: an e-mail address, a phone number."""
    return "@" in query or "%40" in query or masking.text(query) != query


async def find(visit: Visit) -> Response:
    """`/find?q=`: events whose message id, order id or number was asked for, and people by their user id."""
    query = visit.query("q")
    if private(query):
        sentence = (
            "An e-mail address or phone number must not stand in an address. Type it into the search field, which keeps it out."
        )
        if visit.json:
            return visit.page("find.html", {"error": sentence}, status=400)
        return visit.go("/find", said=sentence)
    found = await _found(visit, query)
    if not visit.json and (path := _straight(found)):
        return RedirectResponse(path, 303)
    return visit.page("find.html", found, query=found.query)


async def search(visit: Visit) -> Response:
    """The search field: to the one thing that was meant; people are looked for as the stitch looks for them."""
    query = (await visit.field("q")).strip()[:300]
    found = await _found(visit, query)
    if path := _straight(found):
        return RedirectResponse(path, 303)
    if found.events and not private(query):
        return RedirectResponse(link("/find", q=query), 303)
    return visit.page("find.html", found, query="")


def _straight(found: Found) -> str:
    """Where the only thing that was found stands."""
    if len(found.events) + len(found.people) != 1:
        return ""
    return f"/signals/{found.events[0].event}" if found.events else f"/people/{found.people[0].id}"


WAYS = (page("/find", find), act("/find", search, VIEWER))
