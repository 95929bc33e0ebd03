"""People as the console shows them: the newest, one whole, and what is written when one is erased or two are parted.

All but `raw` and `export` is masked. What is decided of a person goes into the journal as a wish (`sources.wishes`) and is
done by the pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from signalpost import facts, identity, masking, sources
from signalpost.config import Workspace
from signalpost.errors import SignalpostError
from signalpost.events import Identifier, Person
from signalpost.segments import catalog, explain
from signalpost.sources import wishes
from signalpost.sources.memberships import named
from signalpost.state import PLACES
from signalpost.store import batches, memberships, segments, valuing
from signalpost.store.database import Connection, Row

LOOKED = 3_000
"""People that one look at a filtered list goes through."""

CHUNK = 500
PAGE = 50
MOST_FORMER = 20
"""Former numbers of a person whose events are told with theirs."""

EXPORTED = 5_000
"""Events of an export, the newest."""

END = 1 << 62
"""After every moment and every number."""

_person = msgspec.json.Decoder(Person)


class NotPossible(SignalpostError):
    """What was asked cannot be done with this person; the text says why."""


# ---- the list --------------------------------------------------------------------------------------------------------------


class Listed(Struct, frozen=True, kw_only=True):
    """One person in a line; masked. Money in the workspace's currency."""

    id: int
    known_as: str
    identifiers: int
    seen_at: int
    """When something was last learned of them; of a segment's list, when they entered it."""
    orders: int
    lifetime_value: Decimal
    segments: list[str]
    advertising: bool | None
    """What they said of advertising; None: nothing."""
    suppressed_at: int


class Found(Struct, frozen=True, kw_only=True):
    """A page of people."""

    people: list[Listed]
    after: str
    """Where the next page begins; empty: this was the last."""
    looked: int
    """People that were looked at for it."""
    back_to: int
    """How far back that went (epoch ms); 0: to the end."""


def latest(
    connection: Connection, *, segment: str = "", consent: str = "", suppressed: str = "", after: str = "", most: int = PAGE
) -> Found:
    """The people of whom something was learned last, newest first; with a `segment` who entered it last and is inside.

    `consent`: yes, no, unsaid; `suppressed`: yes, no; `after`: where a page before ended.
    """
    number = 0
    if segment:
        known = segments.registered(connection).get(segment)
        if known is None:
            return Found(people=[], after="", looked=0, back_to=0)
        number = known.slot
    at, _, last = after.partition(".")
    cursor = (int(at), int(last)) if at.isdigit() and last.isdigit() and len(after) < 38 else (END, END)
    found: list[Listed] = []
    seen: set[int] = set()
    looked = 0
    while looked < LOOKED:
        if segment:
            rows = connection.rows("people_entered", number, *cursor, CHUNK)
            rows = [(person, record, entered) for person, record, entered in rows]
        else:
            rows = connection.rows("people_latest", *cursor, CHUNK)
        for person_id, record, moment in rows:
            cursor = (moment, person_id)
            looked += 1
            person = _person.decode(record)
            if person_id in seen or not _asked(person, consent, suppressed):
                continue
            seen.add(person_id)
            found.append(_listed(person, moment))
            if len(found) == most:
                return Found(people=found, after=f"{cursor[0]}.{cursor[1]}", looked=looked, back_to=moment)
        if len(rows) < CHUNK:
            return Found(people=found, after="", looked=looked, back_to=0)
    return Found(people=found, after=f"{cursor[0]}.{cursor[1]}", looked=looked, back_to=cursor[0])


def _asked(person: Person, consent: str, suppressed: str) -> bool:
    if suppressed and (suppressed == "yes") != bool(person.suppressed_at):
        return False
    if not consent:
        return True
    said = person.consent.get("advertising")
    return (said is None) if consent == "unsaid" else said is not None and said[0] == (consent == "yes")


def _listed(person: Person, moment: int) -> Listed:
    known = facts.of(person)
    said = person.consent.get("advertising")
    return Listed(
        id=person.id,
        known_as=known_as(person),
        identifiers=sum(map(len, (person.external_ids, person.emails, person.phones, person.anonymous_ids))),
        seen_at=moment,
        orders=known.orders,
        lifetime_value=known.lifetime_value,
        segments=sorted(person.inside),
        advertising=said[0] if said else None,
        suppressed_at=person.suppressed_at,
    )


def known_as(person: Person) -> str:
    """The strongest identifier, masked, with its kind in words."""
    for kind, value in named(person):
        return f"{WORDS[kind]} {shown(kind, value)}"
    return "nothing kept"


def shown(kind: str, value: str) -> str:
    """An identifier's value, masked; a browser's long id shortened."""
    return masking.digest(value) if kind == "anonymous_id" else masking.identifier((kind, value))


WORDS = {"user_id": "user id", "cio_id": "Customer.io id", "email": "e-mail", "phone": "phone", "anonymous_id": "browser"}
"""Kind of identifier -> how a page calls it."""


# ---- one person ------------------------------------------------------------------------------------------------------------


class Named(Struct, frozen=True, kw_only=True):
    """One identifier, masked."""

    kind: str
    """In words."""
    value: str
    heard_at: int
    """0: not known."""
    came_with: int
    """The former person it came with; 0: their own."""


class Merged(Struct, frozen=True, kw_only=True):
    """Two people who became one, or were kept apart."""

    event: int
    person: int
    other: int
    joined: bool
    undone: bool
    why: str
    at: int
    undoable: bool
    """The other's record of before is still kept."""


class Figures(Struct, frozen=True, kw_only=True):
    """What is computed of their orders; money in the workspace's currency."""

    orders: int
    cancelled: int
    gross: Decimal
    """Value of orders that were not cancelled."""
    net: Decimal
    """The same less refunds."""
    average_order_value: Decimal | None
    refund_rate: Decimal | None
    discount_rate: Decimal | None
    first_order_at: int | None
    last_order_at: int | None
    days_between_orders: Decimal | None


class Membership(Struct, frozen=True, kw_only=True):
    """A segment they are in."""

    segment: str
    since: int
    sentence: str
    leaves_at: int | None
    """When they leave if nothing happens; None: never by time alone."""
    because: str
    """What makes them leave then; may be empty."""


class Held(Struct, frozen=True, kw_only=True):
    """An audience at a platform, and how far it is with this person."""

    audience: str
    destination: str
    wanted: bool
    acknowledged: bool
    """The platform has taken all that was decided of them."""
    asked_at: int
    keys: dict[str, int]
    """Identifiers by state: adding, there, removing, refused, stuck."""

    @property
    def standing(self) -> str:
        """`removed`, `pending`, `stuck`, `held` or `waiting`, for an eye."""
        if self.keys.get("stuck"):
            return "stuck"
        if self.wanted:
            return "held" if self.acknowledged and self.keys.get("there") else "adding"
        return "removed" if self.acknowledged and not self.keys else "removing"


class Profile(Struct, frozen=True, kw_only=True):
    """One person, masked."""

    id: int
    since: int
    seen_at: int
    known_as: str
    suppressed_at: int
    identifiers: list[Named]
    match_keys: list[str]
    clicks: dict[str, int]
    """Click id's name -> when it was last heard."""
    consent: dict[str, tuple[bool, int]]
    figures: Figures
    memberships: list[Membership]
    audiences: list[Held]
    merges: list[Merged]
    waiting: int
    """Signals not sent yet, at most 100."""


def now_known_as(connection: Connection, number: int) -> int:
    """Who a person is today, following merges."""
    return memberships.last_known_as(connection, [number]).get(number, number)


def profile(connection: Connection, number: int, workspace: Workspace, now: int) -> Profile | None:
    """All that is known of a person but their history; None when nobody has this number."""
    rows = connection.rows("person_row", number)
    if not rows:
        return None
    person, seen_at = _person.decode(rows[0][0]), rows[0][1]
    own = merges(connection, number)
    return Profile(
        id=person.id,
        since=person.created_at,
        seen_at=seen_at,
        known_as=known_as(person),
        suppressed_at=person.suppressed_at,
        identifiers=_identifiers(connection, person),
        match_keys=sorted(person.keys),
        clicks={name: at for name, (_, at) in person.clicks.items()},
        consent=dict(person.consent),
        figures=_figures(person),
        memberships=_memberships(connection, person, workspace, now),
        audiences=held(connection, number),
        merges=own,
        waiting=len(connection.rows("person_waiting", number)),
    )


def _identifiers(connection: Connection, person: Person) -> list[Named]:
    brought: dict[Identifier, int] = {}
    for row in connection.rows("person_merges", person.id, person.id):
        if row[1] == person.id and row[3] == 1 and row[6] is not None:
            brought.update((key, int(row[2])) for key in _keys(_person.decode(row[6])))
    heard = _heard(person)
    found = [
        Named(
            kind=WORDS.get(kind, kind),
            value=shown(kind, value),
            heard_at=heard.get((kind, value), 0),
            came_with=brought.get((kind, value), 0),
        )
        for kind, value in segments.identifiers(connection, person.id)[:200]
    ]
    return sorted(found, key=lambda each: list(WORDS.values()).index(each.kind) if each.kind in WORDS.values() else 9)


def _heard(person: Person) -> dict[Identifier, int]:
    kinds: Iterable[tuple[str, Mapping[str, int]]] = (
        ("user_id", person.external_ids),
        ("email", person.emails),
        ("phone", person.phones),
        ("anonymous_id", person.anonymous_ids),
    )
    return {(kind, value): at for kind, known in kinds for value, at in known.items()}


def _keys(person: Person) -> list[Identifier]:
    return list(_heard(person))


def _figures(person: Person) -> Figures:
    known = facts.of(person)
    standing = [order for order in person.orders.values() if not order.cancelled]
    return Figures(
        orders=known.orders,
        cancelled=len(person.orders) - len(standing),
        gross=sum((order.value for order in standing if order.value is not None), Decimal(0)),
        net=known.lifetime_value,
        average_order_value=None if known.average_order_value is None else round(known.average_order_value, 2),
        refund_rate=known.refund_rate,
        discount_rate=known.discount_rate,
        first_order_at=known.first_order_at,
        last_order_at=known.last_order_at,
        days_between_orders=known.days_between_orders,
    )


def _memberships(connection: Connection, person: Person, workspace: Workspace, now: int) -> list[Membership]:
    known, bands = catalog.of(workspace), valuing.present(connection, workspace)
    made = []
    for name, since in connection.rows("person_members", person.id):
        if name not in known.rules:
            continue  # it has left the workspace file
        told = explain.explain(name, known.rules, bands, person, now, ZoneInfo(workspace.timezone))
        made.append(
            Membership(
                segment=name,
                since=since,
                sentence=told.part.sentence,
                leaves_at=told.changes_at if told.inside else None,
                because=told.because,
            )
        )
    return made


def merges(connection: Connection, number: int) -> list[Merged]:
    """Who was joined with them or kept apart, newest first."""
    return [
        Merged(
            event=event,
            person=person,
            other=other,
            joined=joined == 1,
            undone=joined == 2,
            why=_in_words(why),
            at=at,
            undoable=joined == 1 and person == number and snapshot is not None,
        )
        for event, person, other, joined, why, at, snapshot, _ in connection.rows("person_merges", number, number)
    ]


def _in_words(why: str) -> str:
    for kind, word in WORDS.items():
        why = why.replace(f"same {kind}", f"same {word}")
    return masking.text(why)


def held(connection: Connection, number: int) -> list[Held]:
    """Every audience that wants this person, is to let go of them, or holds something of them."""
    keys: dict[tuple[str, str], dict[str, int]] = {}
    last: dict[tuple[str, str], int] = {}
    for _, name, destination, state, count, at in connection.rows("person_held", number):
        keys.setdefault((name, destination), {})[state] = int(count)
        last[name, destination] = max(at, last.get((name, destination), 0))
    made = {
        (name, destination): Held(
            audience=name,
            destination=destination,
            wanted=bool(wanted),
            acknowledged=not stale,
            asked_at=asked_at,
            keys=keys.get((name, destination), {}),
        )
        for _, name, destination, wanted, stale, asked_at in connection.rows("person_wanted", number)
    }
    for (name, destination), states in keys.items():
        if (name, destination) not in made:
            made[name, destination] = Held(
                audience=name,
                destination=destination,
                wanted=False,
                acknowledged=True,
                asked_at=last[name, destination],
                keys=states,
            )
    return [made[pair] for pair in sorted(made)]


# ---- their history ---------------------------------------------------------------------------------------------------------


class Entry(Struct, frozen=True, kw_only=True):
    """One thing that happened to a person."""

    at: int
    what: str
    """event, entered, left, joined, apart, parted"""
    title: str
    event: int
    """The event to look at; 0: none."""
    order_id: str | None = None
    source: str = ""
    verdicts: list[tuple[str, str, str]] = []
    """(destination, verdict, reason), of an event."""
    other: int = 0
    """The other person, of a merge."""
    segments: list[str] = []
    """What was entered or left at once."""


class History(Struct, frozen=True, kw_only=True):
    """A page of a person's history, newest first."""

    entries: list[Entry]
    after: str
    """Where the next page begins; empty: this was the last."""


def history(connection: Connection, number: int, after: str = "", most: int = PAGE) -> History:
    """What happened to a person and to whom they were before they were joined: events, segments, merges."""
    at, _, last = after.partition(".")
    upto, before = (int(at), int(last)) if at.isdigit() and last.isdigit() and len(after) < 38 else (END, END)
    numbers = former(connection, number)
    rows = [row for each in numbers for row in connection.rows("person_events", each, before, most + 1)]
    rows.sort(key=lambda row: -row[0])
    rows = rows[: most + 1]
    verdicts: dict[int, list[tuple[str, str, str]]] = {}
    for event, destination, verdict, reason, *_ in connection.rows("ledger_of_events", [row[0] for row in rows]):
        verdicts.setdefault(event, []).append((destination, verdict, reason or ""))
    entries = [_event(row, verdicts.get(row[0], [])) for row in rows]
    together: dict[tuple[int, int, int], list[str]] = {}
    for moment, name, entered, event in connection.rows("person_moves", number, upto, 2 * most):
        together.setdefault((moment, entered, max(event, 0)), []).append(name)
    entries += [
        Entry(at=moment, what="entered" if entered else "left", title=", ".join(names), event=event, segments=names)
        for (moment, entered, event), names in together.items()
    ]
    entries += [
        Entry(
            at=each.at,
            what="joined" if each.joined else "parted" if each.undone else "apart",
            title=each.why,
            event=each.event,
            other=each.other if each.person == number else each.person,
        )
        for each in merges(connection, number)
        if each.at <= upto
    ]
    entries.sort(key=lambda entry: (-entry.at, -entry.event, entry.what))
    shown = entries[:most]
    if len(entries) <= most:
        return History(entries=shown, after="")
    # A page ends where a moment ends, so that nothing of one moment is told twice or never.
    shown = [entry for entry in entries if entry.at >= shown[-1].at]
    told = [entry.event for entry in shown if entry.what == "event"]
    return History(entries=shown, after=f"{shown[-1].at - 1}.{min(told, default=before)}")


def _event(row: Row, verdicts: list[tuple[str, str, str]]) -> Entry:
    number, message_key, kind, name, _, order_id, _, received_at, _ = row
    return Entry(
        at=received_at,
        what="event",
        title=KINDS.get(str(kind), str(name)),
        event=number,
        order_id=masking.text(order_id) if order_id else None,
        source=message_key.partition(":")[0],
        verdicts=verdicts,
    )


KINDS = {
    "identify": "Told who they are",
    "merge": "Told to be the same person",
    "unmerge": "A merge was undone",
    "suppress": "Wished to be forgotten",
    "unsuppress": "May be known again",
    "delete": "Asked to be deleted",
}
"""What events that are no signals say, in words."""


def former(connection: Connection, number: int) -> list[int]:
    """This person's number and those of everybody who was merged into them, at most `MOST_FORMER`."""
    found, waiting = [number], [number]
    while waiting and len(found) < MOST_FORMER:
        one = waiting.pop()
        for row in connection.rows("person_merges", one, one):
            if row[1] == one and row[3] == 1 and row[2] not in found:
                found.append(row[2])
                waiting.append(row[2])
    return found[:MOST_FORMER]


# ---- raw -------------------------------------------------------------------------------------------------------------------


def raw(connection: Connection, number: int) -> list[Identifier]:
    """(kind in words, value) of everything they are known by, as it is: only for who may see it, and noted in the audit."""
    return [(WORDS.get(kind, kind), value) for kind, value in segments.identifiers(connection, number)]


def export(connection: Connection, number: int, now: int) -> dict[str, Any] | None:
    """All that is kept of a person, raw, for a request of theirs; None when nobody has this number."""
    rows = connection.rows("person_row", number)
    if not rows:
        return None
    person = _person.decode(rows[0][0])
    numbers = former(connection, number)
    events = [row for each in numbers for row in connection.rows("person_events", each, END, EXPORTED)]
    events = sorted(events, key=lambda row: -row[0])[:EXPORTED]
    said = dict(_said(connection, [row[0] for row in events]))
    sent: dict[int, list[dict[str, Any]]] = {}
    for event, destination, verdict, reason, platform_event, _, value, currency, sent_at, _ in connection.rows(
        "ledger_of_events", [row[0] for row in events]
    ):
        sent.setdefault(event, []).append(
            {
                "destination": destination,
                "verdict": verdict,
                "reason": reason,
                "event": platform_event,
                "value": value,
                "currency": currency,
                "sent_at": sent_at,
            }
        )
    return {
        "person": number,
        "exported_at": now,
        "former_numbers": numbers[1:],
        "identifiers": [{"kind": kind, "value": value} for kind, value in segments.identifiers(connection, number)],
        "record": msgspec.to_builtins(person),
        "orders": [
            {"order_id": row[1], "time": row[4], "record": msgspec.json.decode(row[6]) if row[6] else None}
            for row in connection.rows("person_orders", list(person.orders))
        ],
        "segments": [{"segment": name, "since": since} for name, since in connection.rows("person_members", number)],
        "audiences": [msgspec.to_builtins(each) for each in held(connection, number)],
        "events": [
            {
                "id": row[0],
                "source": row[1].partition(":")[0],
                "message_id": row[1].partition(":")[2],
                "kind": row[2],
                "name": row[3],
                "order_id": row[5],
                "time": row[6],
                "received_at": row[7],
                "content": said.get(row[0]),
                "told": sent.get(row[0], []),
            }
            for row in events
        ],
    }


def _said(connection: Connection, numbers: list[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """What each event said, where the journal still holds its request."""
    positions = sorted({number >> PLACES for number in numbers})
    for start in range(0, len(positions), CHUNK):
        for position, received in batches.requests(connection, positions[start : start + CHUNK]):
            if received.wire == "wishes":
                continue
            for place, event in enumerate(sources.read(received).events):
                yield (
                    (position << PLACES) + place,
                    {
                        "identifiers": event.identifiers,
                        "properties": event.properties,
                        "traits": event.traits,
                        "context": event.context,
                    },
                )


# ---- wishes ----------------------------------------------------------------------------------------------------------------


def erase(connection: Connection, number: int, now: int) -> None:
    """Forget a person as they may ask for: their record is emptied, what waits is withdrawn, audiences let go of them.

    Their identifiers are kept only to be recognised and ignored. Raises `NotPossible`.
    """
    known = segments.identifiers(connection, number)
    if not known:
        raise NotPossible("This person has no identifier by which they could be recognised and ignored; nothing was changed.")
    _wish(connection, wishes.Wish(kind="suppress", id=f"erase:{number}:{now}", person=(_strongest(known),)), now)


def part(connection: Connection, event: int, other: int, now: int) -> int:
    """Undo the merge that an event made of `other`; gives the number of who they were joined with. Raises `NotPossible`."""
    row = next((row for row in connection.rows("person_merges", other, other) if row[0] == event and row[2] == other), None)
    if row is None or row[3] != 1:
        raise NotPossible("There is no such merge, or it was undone already.")
    if row[6] is None:
        raise NotPossible("What was known before this merge is no longer kept, so it cannot be undone.")
    record = _person.decode(row[6])
    kept = None if row[7] is None else _person.decode(row[7])
    number = now_known_as(connection, other)
    theirs = dict.fromkeys((*_keys(record), *_customer_io_ids(connection, other, event)))
    owned = segments.identifiers(connection, number)
    left = [key for key in owned if key not in theirs]
    if not left:
        raise NotPossible("They have no identifier that only one of them had before, so nobody could tell them apart.")
    parted = tuple(key for key in theirs if key in set(owned))
    if not parted:
        raise NotPossible("None of the other's identifiers is known any more, so there is nobody to part from.")
    wish = wishes.Wish(
        kind="unmerge", id=f"part:{event}:{other}", person=(_strongest(left),), parted=parted, record=record, kept=kept
    )
    _wish(connection, wish, now)
    return number


def _customer_io_ids(connection: Connection, other: int, event: int) -> list[Identifier]:
    """Customer.io's own ids that the other's events of before named: records do not keep them."""
    numbers = [row[0] for row in connection.rows("person_events", other, event, 200)]
    said = dict(_said(connection, numbers))
    return [
        (kind, value) for number in numbers if number in said for kind, value in said[number]["identifiers"] if kind == "cio_id"
    ]


def _strongest(known: list[Identifier]) -> Identifier:
    return min(known, key=lambda key: (identity.STRENGTH.get(key[0], 9), key[1]))


def _wish(connection: Connection, wish: wishes.Wish, now: int) -> None:
    batches.append(connection, wishes.request(wish, now), 1)


def open_wishes(connection: Connection) -> set[str]:
    """Ids of wishes that the pipeline has not taken yet."""
    return {msgspec.json.decode(body)["id"] for (body,) in connection.rows("wishes_waiting")}


class Erased(Struct, frozen=True, kw_only=True):
    """That somebody erased a person in the console."""

    at: int
    who: str
    note: str


def erased(connection: Connection, number: int) -> Erased | None:
    """When and by whom this person was erased in the console; None: never."""
    rows = connection.rows("person_erased", f"person {number}")
    return Erased(at=rows[0][0], who=rows[0][1], note=rows[0][2]) if rows else None
