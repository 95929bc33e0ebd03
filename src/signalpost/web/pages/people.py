"""People: the newest, and one whole: who they are and why, what happened, where they are held; parting, erasing, exporting.

Everything is masked but what somebody who may asks to be shown, once and with a line in the audit.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from signalpost.store import people, segments
from signalpost.store.database import Connection
from signalpost.web import charts, words
from signalpost.web.routing import ADMIN, act, page
from signalpost.web.visit import Visit

DRAWN = 24
"""Identifiers in the picture; the table beside it has all."""

COLOURS = {"user id": "a", "Customer.io id": "a", "e-mail": "c", "phone": "d", "browser": "f"}

WORD = "erase"
"""What has to be typed before a person is erased."""


# ---- the list --------------------------------------------------------------------------------------------------------------


class Listed(Struct, frozen=True, kw_only=True):
    """The list of people, filtered."""

    segment: str
    consent: str
    suppressed: str
    segments: list[str]
    """All there are, to choose from."""
    among: int
    found: people.Found


async def listed(visit: Visit) -> Response:
    """`/people`: who was seen last, filtered by segment, consent and suppression."""
    segment, consent, suppressed, after = (visit.query(name, most=100) for name in ("segment", "consent", "suppressed", "after"))

    def look(connection: Connection) -> tuple[list[str], people.Found]:
        return (
            sorted(segments.registered(connection)),
            people.latest(connection, segment=segment, consent=consent, suppressed=suppressed, after=after),
        )

    names, found = await visit.read(look)
    facts = Listed(segment=segment, consent=consent, suppressed=suppressed, segments=names, among=people.LOOKED, found=found)
    return visit.page("people.html", facts)


# ---- one person ------------------------------------------------------------------------------------------------------------


class Told(Struct, frozen=True, kw_only=True):
    """One person, masked, with a page of their history."""

    person: people.Profile
    history: people.History
    erased: people.Erased | None
    under_way: list[str]
    """Wishes about them that the pipeline has not taken yet: erase, part."""


async def _told(visit: Visit) -> Told | int:
    """The person of the address; the number of who they are today, when they were joined with another."""
    number = visit.number("person")

    def look(connection: Connection) -> Told | int | None:
        person = people.profile(connection, number, visit.workspace, visit.now)
        if person is None:
            today = people.now_known_as(connection, number)
            return None if today == number else today
        mine = {f"erase:{number}:", *(f"part:{each.event}:{each.other}" for each in person.merges)}
        wishes = people.open_wishes(connection)
        return Told(
            person=person,
            history=people.history(connection, number, visit.query("after", most=40)),
            erased=people.erased(connection, number) if person.suppressed_at else None,
            under_way=sorted({wish.partition(":")[0] for wish in wishes if any(wish.startswith(own) for own in mine)}),
        )

    found = await visit.read(look)
    if found is None:
        raise HTTPException(404, "Nobody has this number: they were erased, or never known.")
    return found


async def told(visit: Visit) -> Response:
    """`/people/{person}`: one person: who they are and why, what happened to them, where they are held."""
    found = await _told(visit)
    if isinstance(found, int):
        return RedirectResponse(f"/people/{found}{'.json' if visit.json else ''}", 303)
    return visit.page("people_one.html", found, graph=picture(visit, found.person), leaving=partial(leaving, visit))


def leaving(visit: Visit, at: int) -> str:
    """`Tue 14:03` within a week, else `3 Dec 14:03`."""
    local = datetime.fromtimestamp(at / 1000, UTC).astimezone(visit.console.zone)
    day = f"{local:%a}" if at - visit.now < 6 * 86_400_000 else f"{local.day} {local:%b}"
    return f"{day} {local:%H:%M}"


def picture(visit: Visit, person: people.Profile) -> charts.Chart | None:
    """Identifiers and former people, with why and when each was joined; None when there is nothing to draw."""

    def day(at: int) -> str:
        return words.moment(at, visit.console.zone).rpartition(" ")[0]

    nodes = [charts.Node(id="0", label="This person", colour="b", size=38, title=person.known_as)]
    edges: list[charts.Edge] = []
    rows: list[tuple[str, str, str]] = []
    for each in person.merges[:DRAWN]:
        other = each.other if each.person == person.id else each.person
        name = f"p{other}"
        if any(node.id == name for node in nodes):
            continue
        if each.joined and each.person == person.id:
            nodes.append(charts.Node(id=name, label=f"was {other}", colour="b", size=28))
            edges.append(charts.Edge(source="0", target=name, label=each.why, link=f"/signals/{each.event}"))
            rows.append(("This person", nodes[-1].label, f"{each.why}, {day(each.at)}"))
        else:
            nodes.append(charts.Node(id=name, label=f"Person {other}", colour="e", size=24, link=f"/people/{other}"))
            short = "merge undone" if each.undone else "kept apart"
            edges.append(charts.Edge(source="0", target=name, label=short, dashed=True))
            rows.append(("This person", nodes[-1].label, f"{short}: {each.why}, {day(each.at)}"))
    names = {node.id: node.label for node in nodes}
    for place, one in enumerate(person.identifiers[:DRAWN]):
        nodes.append(charts.Node(id=f"i{place}", label=one.value, colour=COLOURS.get(one.kind, "f"), size=18, title=one.kind))
        origin = f"p{one.came_with}" if f"p{one.came_with}" in names else "0"
        edges.append(charts.Edge(source=origin, target=f"i{place}"))
        rows.append((names[origin], one.value, f"{one.kind}, heard {day(one.heard_at)}" if one.heard_at else one.kind))
    if len(nodes) == 1:
        return None
    joined = sum(each.joined for each in person.merges)
    alt = f"{len(person.identifiers)} identifiers of this person" + (f", and {joined} people joined into them" if joined else "")
    drawn = charts.graph(nodes, edges, alt=alt, height=360)
    return msgspec.structs.replace(drawn, table=charts.Table(("From", "To", "Why"), rows))


# ---- what may be done ------------------------------------------------------------------------------------------------------


def _subject(number: int) -> str:
    return f"person {number}"


async def show(visit: Visit) -> Response:
    """A person's identifiers as they are, once, for who asks; noted in the audit."""
    number = visit.number("person")

    def work(connection: Connection) -> list[tuple[str, str]]:
        known = people.raw(connection, number)
        visit.note(connection, "unmask", _subject(number), f"{len(known)} identifiers")
        return known

    return visit.part("_people_raw.html", known=await visit.write(work))


async def part(visit: Visit) -> Response:
    """Undo a merge: two people again."""
    number = visit.number("person")
    event, other = await visit.field("event"), await visit.field("other")
    if not (event.isascii() and event.isdigit() and other.isascii() and other.isdigit() and len(event + other) < 38):
        raise HTTPException(400, "Choose the merge on the person's page.")

    def work(connection: Connection) -> int:
        joined = people.part(connection, int(event), int(other), visit.now)
        visit.note(connection, "undo merge", _subject(joined), f"with person {other}, joined by event {event}")
        return joined

    try:
        joined = await visit.write(work)
    except people.NotPossible as error:
        return visit.go(f"/people/{number}", said=str(error))
    return visit.go(f"/people/{joined}", said="The merge is being undone: in a moment they are two people again.")


async def asked(visit: Visit) -> Response:
    """What erasing this person means, and the form that does it."""
    found = await _told(visit)
    if isinstance(found, int):
        return RedirectResponse(f"/people/{found}/erase", 303)
    return visit.page("people_erase.html", found, word=WORD, wrong="")


async def erase(visit: Visit) -> Response:
    """Erase a person, when the word was typed."""
    number = visit.number("person")
    if (await visit.field("word")).strip().lower() != WORD:
        found = await _told(visit)
        if isinstance(found, int):
            return RedirectResponse(f"/people/{found}/erase", 303)
        return visit.page("people_erase.html", found, status=400, word=WORD, wrong=f"Type the word {WORD} to confirm.")

    def work(connection: Connection) -> None:
        holding = [f"{each.audience} at {each.destination}" for each in people.held(connection, number) if each.keys]
        people.erase(connection, number, visit.now)
        note = f"held by {', '.join(holding)}" if holding else "held by no audience"
        visit.note(connection, "erase", _subject(number), note)

    try:
        await visit.write(work)
    except people.NotPossible as error:
        return visit.go(f"/people/{number}", said=str(error))
    return visit.go(f"/people/{number}/erased")


class Progress(Struct, frozen=True, kw_only=True):
    """How far an erasure is."""

    id: int
    erased: people.Erased
    taken: bool
    """The pipeline has emptied the record."""
    waiting: int
    """Signals that still wait."""
    audiences: list[people.Held]
    """Those that hold something still, or were told to let go and have not answered."""


async def erased(visit: Visit) -> Response:
    """`/people/{person}/erased`: what is done of an erasure, by audience."""
    found = await _told(visit)
    if isinstance(found, int):
        return RedirectResponse(f"/people/{found}/erased{'.json' if visit.json else ''}", 303)
    wish = found.erased or await visit.read(lambda connection: people.erased(connection, found.person.id))
    if wish is None:
        raise HTTPException(404, "Nobody has erased this person here.")
    taken = bool(found.person.suppressed_at) and "erase" not in found.under_way
    facts = Progress(
        id=found.person.id,
        erased=wish,
        taken=taken,
        waiting=found.person.waiting,
        audiences=[each for each in found.person.audiences if each.standing != "removed"],
    )
    return visit.page("people_erased.html", facts)


async def export(visit: Visit) -> Response:
    """All that is kept of a person, as a file: for a person who asks what is known of them."""
    number = visit.number("person")

    def work(connection: Connection) -> dict[str, object] | None:
        found = people.export(connection, number, visit.now)
        if found is not None:
            visit.note(connection, "export person", _subject(number))
        return found

    found = await visit.write(work)
    if found is None:
        raise HTTPException(404, "Nobody has this number: they were erased, or never known.")
    day = datetime.fromtimestamp(visit.now / 1000, UTC).date().isoformat()
    return Response(
        msgspec.json.format(msgspec.json.encode(found), indent=2),
        media_type="application/json",
        headers={"content-disposition": f'attachment; filename="person-{number}-{day}.json"'},
    )


WAYS = (
    page("/people", listed),
    page("/people/{person:int}", told),
    act("/people/{person:int}/show", show),
    act("/people/{person:int}/part", part),
    page("/people/{person:int}/erase", asked, ADMIN),
    act("/people/{person:int}/erase", erase, ADMIN),
    page("/people/{person:int}/erased", erased),
    act("/people/{person:int}/export", export, ADMIN),
)
