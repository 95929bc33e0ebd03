"""Audiences in the database: whom they want, what the platforms hold, and who keeps them.

The pipeline writes whom an audience wants (`audience_people`) with the event that moved them. Whoever keeps the audience reads
from there (`page`), writes what is about to be asked before it is asked (`begin`) and what was answered after it (`settle`).
Between the two anything may happen: what was asked and not answered stands in `audience_keys` as `adding` or `removing`, and the
person is still stale, so it is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from signalpost import audiences, clocks
from signalpost.audiences import Asked, Change, Holder
from signalpost.destinations.audiences import Held, Seen
from signalpost.options import Audience, Workspace
from signalpost.store import trends
from signalpost.store.batches import time
from signalpost.store.database import Connection, Row

CHUNK = 1_000
"""People or identifiers that one statement names."""

Some = TypeVar("Some")

NO_LONGER_IN_FILE = (
    "It is no longer in the workspace file: what the platform holds of it stays as it is, and nothing is sent any more. "
    "Delete it at the platform, or put it back into the file."
)

_encode = msgspec.json.Encoder(order="deterministic").encode


# ---- the audiences of the workspace ------------------------------------------------------------------------------------------


class Slot(Struct, frozen=True):
    """An audience of the workspace file at one of its destinations, and its number in this database."""

    slot: int
    audience: Audience
    destination: str
    changed: bool
    """It is new, or wants others than before: everybody is to be looked at for it."""


def pairs(workspace: Workspace) -> Iterator[tuple[Audience, str]]:
    """Each audience with each of its destinations."""
    return ((audience, destination) for audience in workspace.audiences for destination in audience.to)


def digest(workspace: Workspace, audience: Audience) -> str:
    """A fingerprint of whom an audience wants, apart from the rules of the segments it names."""
    says = (
        audience.segment,
        sorted(audience.unless),
        audience.holdout,
        sorted(audience.while_in.items()),
        workspace.consent.unknown,
    )
    return sha256(_encode(says)).hexdigest()[:12]


def register(connection: Connection, workspace: Workspace) -> list[Slot]:
    """Give each audience at each destination its number; those that left the file are no longer kept.

    Says only once that one is new or changed: call it in the transaction that sees to it that everybody is looked at.
    """
    rows = connection.rows("audiences_registered")
    known = {(name, destination): (slot, was, state) for slot, name, destination, was, state in rows}
    found = []
    for audience, destination in pairs(workspace):
        now = digest(workspace, audience)
        row = known.pop((audience.title, destination), None)
        changed = row is None or row[1] != now or row[2] == "removed"
        if row is None:
            connection.run("audience_register", audience.title, destination, now)
        elif changed:
            connection.run("audience_redefine", now, row[0])
        found.append((audience, destination, changed))
    for slot, _, state in known.values():
        if state != "removed":
            connection.run("audience_removed", NO_LONGER_IN_FILE, slot)
    slots = {(name, destination): slot for slot, name, destination, _, _ in connection.rows("audiences_registered")}
    return [Slot(slots[audience.title, destination], audience, destination, changed) for audience, destination, changed in found]


class Applied(Struct, frozen=True, omit_defaults=True):
    """The ad groups that were told to use an audience."""

    use: str = ""
    """include, exclude."""
    groups: tuple[str, ...] = ()
    sentence: str = ""
    """What went wrong the last time, for people."""


class Standing(Struct, frozen=True, kw_only=True):
    """How an audience stands at a destination; as in `audiences`."""

    slot: int
    name: str
    destination: str
    state: str
    sentence: str = ""
    held: Held = Held()
    status: str = ""
    size: int | None = None
    size_at: int | None = None
    synced_at: int | None = None
    loaded_at: int | None = None
    platform_name: str = ""
    meaning: str = ""
    usable: bool = False
    way: str = ""
    applied: Applied = Applied()
    used_by: tuple[tuple[str, str], ...] | None = None
    """(ad group, include or exclude), as the platform says; None where it does not."""


def standing(connection: Connection, slot: int) -> Standing | None:
    """One of them; None when there is no such number."""
    rows = connection.rows("audience_standing", slot)
    return _standing(rows[0]) if rows else None


def standings(connection: Connection) -> list[Standing]:
    """All of them, those among them that left the workspace file."""
    return [_standing(row) for row in connection.rows("audiences_standing")]


def unmade(audience: Audience, destination: str) -> Standing:
    """How an audience stands that nobody has looked at yet."""
    return Standing(slot=0, name=audience.title, destination=destination, state="new")


def _standing(row: Row) -> Standing:
    return Standing(
        slot=row[0],
        name=row[1],
        destination=row[2],
        state=row[3],
        sentence=row[4],
        held=Held(id=row[5] or "", list_id=row[6] or ""),
        status=row[7],
        size=row[8],
        size_at=row[9],
        synced_at=row[10],
        loaded_at=row[11],
        platform_name=row[12],
        meaning=row[13],
        usable=bool(row[14]),
        way=row[15],
        applied=msgspec.json.decode(row[16], type=Applied),
        used_by=None if row[17] is None else msgspec.json.decode(row[17], type=tuple[tuple[str, str], ...]),
    )


# ---- who keeps them ----------------------------------------------------------------------------------------------------------


def hold(connection: Connection, slot: int, keeper: str, *, now: int, until: int) -> bool:
    """Take an audience in hand, or keep it there; False while another process has it."""
    return connection.run("audience_hold", keeper, until, slot, keeper, now) > 0


def release(connection: Connection, keeper: str) -> None:
    """Give back what this process has in hand."""
    connection.run("audience_release", keeper)


def keepers(connection: Connection, now: int) -> list[str]:
    """The processes that have some in hand."""
    return [keeper for (keeper,) in connection.rows("audience_keepers", now)]


def ours(connection: Connection, slot: int, keeper: str, held: Held) -> bool:
    """Whether it is still in our hand, still kept at all, and still the same at the platform."""
    return connection.rows("audience_held", slot, keeper) == [(held.id, held.list_id)]


def heads(connection: Connection) -> dict[int, int]:
    """Audience -> how urgent the next of its people is, of audiences that have any of whom something is open."""
    return dict(connection.rows("audience_heads"))


# ---- what is asked -----------------------------------------------------------------------------------------------------------


class _Known(Struct):
    """What of a person's record an audience needs."""

    id: int
    keys: dict[str, Any] = {}


_known = msgspec.json.Decoder(_Known)


def asked(connection: Connection, slot: int, most: int) -> list[Asked]:
    """The next in turn: urgent ones first, then whoever waits longest."""
    rows = connection.rows("audience_asked", slot, most)
    return [Asked(person, wanted == 1, stale, priority, at) for person, wanted, stale, priority, at in rows]


def change(
    connection: Connection, slot: int, people: Sequence[Asked], keys: Callable[[Mapping[str, Any]], tuple[str, ...]]
) -> Change:
    """What these people ask of the platform, whose identifiers `keys` gives.

    Read after `asked`: whoever changes in between is stale again and comes back.
    """
    own: dict[int, tuple[str, ...]] = {}
    every: dict[str, None] = {}
    for part in _chunks(people):
        for (record,) in connection.rows("people_read", [each.person for each in part if each.wanted]):
            person = _known.decode(record)
            own[person.id] = keys(person.keys)
            every.update(dict.fromkeys(own[person.id]))
        every.update((key, None) for (key,) in connection.rows("audience_keys_of", [each.person for each in part], slot))
    held: list[Holder] = []
    for some in _chunks(every):
        for key, person, state, wanted in connection.rows("audience_holders", slot, some):
            held.append(Holder(key, person, state, wanted == 1))
    return audiences.change(people, own, held)


def begin(connection: Connection, slot: int, keeper: str, held: Held, people: Sequence[Asked], made: Change, now: int) -> bool:
    """Write what is about to be asked. False: it must not be, since the audience is not ours any more, or one of these people
    has become another since they were read."""
    if not ours(connection, slot, keeper, held) or not _present(connection, slot, people):
        return False
    _remember(connection, slot, made, now)
    if made.begin:
        connection.run_many("audience_key_set", [(slot, key, person, "adding", now) for key, person in made.begin])
    for keys in _chunks(key for some in made.remove.values() for key in some):
        connection.run("audience_keys_are", "removing", now, slot, keys)
    return True


def _present(connection: Connection, slot: int, people: Sequence[Asked]) -> bool:
    """Whether these people are still known by these numbers: what is remembered of somebody else's would never be looked at."""
    parts = _chunks(each.person for each in people)
    return sum(int(connection.rows("audience_present", slot, part)[0][0]) for part in parts) == len(people)


def _remember(connection: Connection, slot: int, made: Change, now: int) -> None:
    """What needs no request."""
    kept = [(slot, key, person, "there", now) for key, person in made.keep]
    kept += [(slot, key, person, "refused", now) for key, person in made.refused]
    if kept:
        connection.run_many("audience_key_set", kept)
    if made.forget:
        connection.run_many("audience_key_forget", [(slot, key, person) for key, person in made.forget])


def _chunks(those: Iterable[Some]) -> Iterator[list[Some]]:
    every = list(those)
    return (every[start : start + CHUNK] for start in range(0, len(every), CHUNK))


# ---- what was answered -------------------------------------------------------------------------------------------------------


class Settling(Struct, frozen=True, kw_only=True):
    """What one answer settles."""

    slot: int
    keeper: str
    held: Held
    destination: str
    use: str
    adding: bool = True
    taken: Collection[str] = ()
    """Identifiers the platform has added, or removed."""
    refused: Collection[str] = ()
    """Identifiers it will not."""
    sentence: str = ""
    """Why not."""
    done: Sequence[Asked] = ()
    """People of whom nothing is open now."""
    silent: Change | None = None
    """What is only remembered: nothing was sent."""


def settle(connection: Connection, answer: Settling, now: int) -> bool:
    """Write what was answered. False: nothing was written, since the audience is not ours any more."""
    slot = answer.slot
    if not ours(connection, slot, answer.keeper, answer.held):
        return False
    if answer.silent is not None:
        if not _present(connection, slot, answer.done):
            return False
        _remember(connection, slot, answer.silent, now)
    for keys in _chunks(answer.taken):
        if answer.adding:
            connection.run("audience_keys_are", "there", now, slot, keys)
        else:
            connection.run("audience_keys_gone", slot, keys)
    for keys in _chunks(answer.refused):
        connection.run("audience_keys_are", "refused" if answer.adding else "stuck", now, slot, keys)
    if answer.refused:
        connection.run("audience_refusal", slot, int(answer.adding), answer.sentence, len(answer.refused), now)
    if answer.done:
        connection.run_many("audience_settled", [(slot, each.person, each.stale) for each in answer.done])
        out = [each.person for each in answer.done if not each.wanted]
        if out:
            connection.run("audience_forget", slot, out)
    if answer.taken or answer.refused:
        connection.run("audience_took", now, slot)
    if answer.taken:
        time(connection, now, _times(answer, now))
    return True


def _times(answer: Settling, now: int) -> dict[tuple[str, str, int], int]:
    """How long the people took whom this answer settles; `suppressed` is of those who are kept from ads from now on."""
    found: dict[tuple[str, str, int], int] = {}
    for each in answer.done:
        bucket = clocks.bucket(now - each.asked_at)
        names = ["audience"]
        if each.priority == audiences.URGENT and answer.use != "seed" and each.wanted == (answer.use == "suppress"):
            names.append("suppressed")
        for name in names:
            found[name, answer.destination, bucket] = found.get((name, answer.destination, bucket), 0) + 1
    return found


def named(connection: Connection, slot: int, keeper: str, held: Held, name: str, way: str) -> bool:
    """Write how an audience is to be called at the platform, before it is asked for. False: it is not ours any more."""
    if not ours(connection, slot, keeper, held):
        return False
    connection.run("audience_named", name, way, slot)
    return True


def made(connection: Connection, slot: int, keeper: str, before: Held, held: Held, answer: Settling | None, now: int) -> bool:
    """Write what the platform has of it now, and what else the same answer settles."""
    if not ours(connection, slot, keeper, before):
        return False
    connection.run("audience_made", held.id or None, held.list_id or None, held.id or None, slot)
    return True if answer is None else settle(connection, answer, now)


def nothing_there(connection: Connection, slot: int, keeper: str, held: Held) -> None:
    """The platform has nothing of this audience: so it holds nobody for it."""
    if ours(connection, slot, keeper, held):
        connection.run("audience_keys_clear", slot)


def says(connection: Connection, slot: int, keeper: str, held: Held, state: str, sentence: str) -> None:
    """Set its state, and what is wrong with it ('': nothing), unless it is not ours any more."""
    if ours(connection, slot, keeper, held):
        connection.run("audience_says", state, sentence, slot)


def seen(connection: Connection, slot: int, what: Seen, used_by: Sequence[tuple[str, str]] | None, now: int) -> None:
    """Write what the platform says of it."""
    groups = None if used_by is None else _encode(used_by).decode()
    connection.run("audience_seen", what.status, what.size, now, what.sentence, int(what.usable), groups, slot)


def applied(connection: Connection, slot: int, what: Applied) -> None:
    """Write which ad groups were told to use it."""
    connection.run("audience_applied", _encode(what).decode(), slot)


def loaded(connection: Connection, slot: int, now: int) -> bool:
    """Note that the first load is complete, if it is: nobody is open and nobody may still come of a backfill."""
    return connection.run("audience_loaded", now, slot) > 0


def ask_again(connection: Connection, slot: int, people: Sequence[int], now: int) -> None:
    """Take up what the platform refused of these people as if it were new; what is refused again is told again."""
    connection.run("audience_refusals_clear", slot)
    connection.run_many("audience_refused_forget", [(slot, person) for person in people])
    connection.run_many("audience_ask_again", [(now, slot, person) for person in people])


def unlucky(connection: Connection, slot: int, before: int) -> list[int]:
    """People with identifiers that the platform refused, the last time before this moment (epoch ms)."""
    return [person for (person,) in connection.rows("audience_unlucky", slot, before)]


def rebuild(connection: Connection, slot: int, now: int) -> None:
    """Begin anew at the platform: a new audience with everybody who is wanted; the old one is forgotten, not deleted."""
    connection.run("audience_rebuild", slot)
    for statement in ("audience_keys_clear", "audience_refusals_clear", "audience_people_gone"):
        connection.run(statement, slot)
    connection.run("audience_people_again", now, slot)


# ---- figures -----------------------------------------------------------------------------------------------------------------


class Figures(Struct, frozen=True, kw_only=True):
    """How many people an audience has here."""

    wanted: int = 0
    acknowledged: int = 0
    """Wanted people of whom the platform has taken all."""
    pending: int = 0
    """People, in or out, of whom it has not."""
    urgent: int = 0
    """Of those, how many a purchase, refund or wish moved."""
    oldest: int | None = None
    """Since when the first of them waits."""


def figures(connection: Connection) -> dict[int, Figures]:
    """Audience -> its figures; those without people are not named."""
    return {
        slot: Figures(wanted=int(wanted), acknowledged=int(taken), pending=int(pending), urgent=int(urgent), oldest=oldest)
        for slot, wanted, taken, pending, urgent, oldest in connection.rows("audience_figures")
    }


def key_figures(connection: Connection, slot: int) -> dict[str, int]:
    """State -> identifiers; one that several people have counts once."""
    return {state: int(keys) for state, keys in connection.rows("audience_key_figures", slot)}


def reachable(connection: Connection, slot: int) -> int:
    """How many people the platform holds by at least one identifier."""
    return int(connection.rows("audience_reachable", slot)[0][0])


class Refusal(Struct, frozen=True):
    """What a platform would not take or give back."""

    adding: bool
    sentence: str
    keys: int
    at: int


def refusals(connection: Connection, slot: int) -> list[Refusal]:
    """The latest first."""
    rows = connection.rows("audience_refusals_of", slot)
    return [Refusal(adding == 1, sentence, keys, at) for adding, sentence, keys, at in rows]


def times(connection: Connection, since: int) -> dict[tuple[str, str], dict[int, int]]:
    """(`suppressed` or `audience`, destination) -> histogram of how long changes took since an hour (epoch ms)."""
    return trends.times(connection, since - since % clocks.HOUR, only=("suppressed", "audience"))
