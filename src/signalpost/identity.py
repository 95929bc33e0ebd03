"""Who an event belongs to: its keys, the person they name, when two people are one, and what is remembered of a person.

Strong kinds (user id, Customer.io id, e-mail, phone) name a human; an anonymous id names a browser, which several humans
may use, so it never joins two people who have ids of their own. Everything here is pure: facts in, decisions out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from signalpost import normalize
from signalpost.events import IDENTIFIER_KINDS, Event, Identifier, Person

BLOCKED = frozenset(
    {
        "",
        "null",
        "none",
        "undefined",
        "nan",
        "anonymous",
        "anon",
        "guest",
        "unknown",
        "test",
        "user",
        "id",
        "n/a",
        "na",
        "0",
        "-1",
        "true",
        "false",
        "(not set)",
        "(data deleted)",
        "<obfuscated>",
        "[object object]",
        "00000000-0000-0000-0000-000000000000",
    }
)
"""Values that never name a person, in lower case; the workspace's `identity.blocked` adds its own."""

LONGEST_BLOCKED = max(map(len, BLOCKED))

REFRESH_MS = 86_400_000
"""A fact heard again unchanged is noted at most this often, so that a busy person's record is not written for every event."""

MOST_KEPT = 5
"""E-mails, phones and ids kept as match keys, newest first; platforms take a few."""

STRENGTH = {kind: rank for rank, kind in enumerate(IDENTIFIER_KINDS)}

TRAITS: dict[str, tuple[str, ...]] = {
    "first_name": ("first_name", "firstName", "firstname"),
    "last_name": ("last_name", "lastName", "lastname"),
    "city": ("city", "address.city"),
    "state": ("state", "region", "address.state", "address.province_code", "address.province"),
    "zip": ("zip", "zip_code", "postal_code", "postalCode", "address.postal_code", "address.postalCode", "address.zip"),
    "country": ("country", "country_code", "address.country_code", "address.country"),
    "birthday": ("birthday", "birth_date", "birthdate", "date_of_birth", "dob"),
    "gender": ("gender",),
}
"""Fact -> where clients write it in a person's traits; the first present counts."""


PARTED = "they were joined once, and somebody undid that in the console"
"""Why two people are kept apart whatever they share."""


class Stitch(Struct, frozen=True, kw_only=True, gc=False):
    """Which person an event belongs to, and what that teaches about identifiers."""

    person: int | None
    """An existing person, or None: nobody known has any of these keys."""
    merged: tuple[tuple[int, str], ...] = ()
    """Other people who turn out to be the same, each with the why."""
    refused: tuple[tuple[int, str], ...] = ()
    """People who share a key but stay apart, each with the why."""
    attach: tuple[Identifier, ...] = ()
    """Keys that nobody had."""


def _clean(kind: str, value: str, country: str, blocked: tuple[str, ...]) -> str | None:
    value = value.strip()
    if len(value) <= LONGEST_BLOCKED and value.lower() in BLOCKED:
        return None
    if (blocked and value.lower() in blocked) or len(value) > 512:
        return None
    if kind == "email":
        return normalize.email(value)
    if kind == "phone":
        return normalize.phone(value, country)
    return value


def keys(identifiers: Iterable[Identifier], *, country: str, blocked: tuple[str, ...] = ()) -> tuple[Identifier, ...]:
    """The identifiers that can name a person, cleaned, strongest first, each once."""
    found: dict[Identifier, None] = {}
    strongest, ordered = 0, True
    for kind, value in identifiers:
        cleaned = _clean(kind, value, country, blocked)
        if cleaned is not None:
            found[kind, cleaned] = None
            strength = STRENGTH[kind]
            ordered = ordered and strength >= strongest
            strongest = strength
    return tuple(found) if ordered else tuple(sorted(found, key=_strength))


def _strength(key: Identifier) -> int:
    return STRENGTH[key[0]]


def named(event: Event) -> Iterable[Identifier]:
    """Every identifier an event carries: its own, and e-mail and phone in what it says about the person."""
    identifiers = event.identifiers
    extra: list[Identifier] = []
    for facts in (event.traits, event.context.get("traits"), event.properties):
        if facts and isinstance(facts, dict):
            for kind in ("email", "phone"):
                value = facts.get(kind)
                if value and isinstance(value, str):
                    extra.append((kind, value))
    return (*identifiers, *extra) if extra else identifiers


def _facts_of(person: Person, kind: str) -> Mapping[str, int]:
    if kind in {"user_id", "cio_id"}:
        return person.external_ids
    if kind == "email":
        return person.emails
    if kind == "phone":
        return person.phones
    return person.anonymous_ids


def stitch(
    own: tuple[Identifier, ...],
    owners: Mapping[Identifier, int],
    people: Mapping[int, Person],
    *,
    explicit: bool,
    merge_on: tuple[str, ...],
    most: int,
) -> Stitch:
    """Decide whom the keys name.

    The strongest known key decides; further people found by the other keys are merged into that person unless the key is an
    anonymous id and both sides have user ids of their own (a shared browser), the kind is not in `merge_on`, or the result
    would hold more than `most` identifiers of a kind. `explicit` (alias, merge) overrides all but the last. Nothing joins
    two people whose merge was undone by hand.
    """
    owning = {owners.get(key) for key in own}
    if len(owning) == 1 and None not in owning:
        return Stitch(person=owning.pop())
    person: int | None = None
    user_ids = {value for kind, value in own if kind == "user_id"}
    merged: list[tuple[int, str]] = []
    refused: list[tuple[int, str]] = []
    attach: list[Identifier] = []
    for key in own:
        kind = key[0]
        owner = owners.get(key)
        if owner is None:
            attach.append(key)
            continue
        if owner == person or any(owner == other for other, _ in merged):
            continue
        known = people[owner]
        if known.apart and any(parted(known, people[other]) for other in (person, *(each for each, _ in merged)) if other):
            refused.append((owner, PARTED))
            continue
        if person is None:
            foreign = bool(known.external_ids) and bool(user_ids) and user_ids.isdisjoint(known.external_ids)
            if kind == "anonymous_id" and foreign and not explicit:
                refused.append((owner, "a shared browser: its owner has another user id"))
                continue
            if any(len(_facts_of(known, new[0])) >= most for new in attach):
                refused.append((owner, f"already holds {most} identifiers of one kind"))
                continue
            person = owner
            continue
        mine = people[person]
        apart = bool(known.external_ids) and bool(mine.external_ids) and known.external_ids.keys().isdisjoint(mine.external_ids)
        new_id_apart = bool(known.external_ids) and bool(user_ids) and user_ids.isdisjoint(known.external_ids)
        if not explicit and kind == "anonymous_id" and (apart or new_id_apart):
            refused.append((owner, "a shared browser: both people have user ids of their own"))
        elif not explicit and kind not in merge_on:
            refused.append((owner, f"{kind} may not join people (identity.merge_on)"))
        elif any(
            len({**_facts_of(known, each), **_facts_of(mine, each)}) > most
            for each in ("user_id", "email", "phone", "anonymous_id")
        ):
            refused.append((owner, f"together they would hold more than {most} identifiers of one kind"))
        else:
            merged.append((owner, "alias" if explicit else f"same {kind}"))
    return Stitch(person=person, merged=tuple(merged), refused=tuple(refused), attach=tuple(attach))


def _newest(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Union where the fact heard last wins; equal times are settled by the value, so that the order of merging never matters."""
    joined = dict(left)
    for name, fact in right.items():
        other = joined.get(name)
        if other is None or (fact[1], str(fact[0])) > (other[1], str(other[0])):
            joined[name] = fact
    return joined


def _latest(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    joined = dict(left)
    for value, at in right.items():
        joined[value] = max(at, joined.get(value, at))
    return joined


def combine(left: Person, right: Person) -> Person:
    """Two people found to be one; commutative and associative, the older id stays."""
    joined = Person(
        id=min(left.id, right.id),
        created_at=min(left.created_at, right.created_at),
        external_ids=_latest(left.external_ids, right.external_ids),
        anonymous_ids=_latest(left.anonymous_ids, right.anonymous_ids),
        emails=_latest(left.emails, right.emails),
        phones=_latest(left.phones, right.phones),
        traits=_newest(left.traits, right.traits),
        clicks=_newest(left.clicks, right.clicks),
        devices=_newest(left.devices, right.devices),
        consent=_newest(left.consent, right.consent),
        suppressed_at=max(left.suppressed_at, right.suppressed_at),
        orders={**left.orders, **right.orders} if right.orders else left.orders,
        derived=_earliest(left.derived, right.derived),
        recent=_all_of(left.recent, right.recent),
        given=_newest(left.given, right.given),
        memory=_all_times(left.memory, right.memory),
        inside=_earliest(left.inside, right.inside),
        looked_at=max(left.looked_at, right.looked_at),
        forgotten=max(left.forgotten, right.forgotten),
        apart={**left.apart, **right.apart} if right.apart else left.apart,
    )
    return replace(joined, keys=match_keys(joined))


def parted(one: Person, other: Person) -> bool:
    """Whether a merge of these two, or of people who have become them, was undone by hand."""
    return any(other.apart.get(event, side) != side for event, side in one.apart.items())


def part(joined: Person, before: Person | None, other: Person, event: int) -> tuple[Person, Person]:
    """Two people out of one: (who keeps the number, who gets theirs back), as `event` undoes their merge.

    `before` and `other` are their records right before the merge; without `before` (a merge from before it was kept) what
    equals the other's is taken for the other's. What was learned since stays with who keeps the number, but for news of
    orders that the other had brought. Whoever gets the number back is asked about segments as a newcomer is.
    """
    own = Person(id=joined.id, created_at=joined.created_at) if before is None else before
    times = {name: _since(name, joined, own, other, known=before is not None) for name in joined.memory}
    kept = Person(
        id=joined.id,
        created_at=own.created_at if joined.created_at == min(own.created_at, other.created_at) else joined.created_at,
        external_ids=_own(joined.external_ids, own.external_ids, other.external_ids),
        anonymous_ids=_own(joined.anonymous_ids, own.anonymous_ids, other.anonymous_ids),
        emails=_own(joined.emails, own.emails, other.emails),
        phones=_own(joined.phones, own.phones, other.phones),
        traits=_without(joined.traits, own.traits, other.traits),
        clicks=_without(joined.clicks, own.clicks, other.clicks),
        devices=_without(joined.devices, own.devices, other.devices),
        consent=_without(joined.consent, own.consent, other.consent),
        orders={key: order for key, order in joined.orders.items() if key not in other.orders},
        derived=_without(joined.derived, own.derived, other.derived),
        recent={
            name: left
            for name, each in joined.recent.items()
            if (left := tuple(sorted({*each} - {*other.recent.get(name, ())} | {*own.recent.get(name, ())})))
        },
        given=_without(joined.given, own.given, other.given),
        memory={name: each for name, each in times.items() if each or name in own.memory},
        inside={name: own.inside.get(name, since) for name, since in joined.inside.items()},
        due=joined.due,
        looked_at=joined.looked_at,
        forgotten=own.forgotten if joined.forgotten == other.forgotten else joined.forgotten,
        apart={**joined.apart, event: 0},
    )
    gone = replace(
        other,
        external_ids=_theirs(joined.external_ids, own.external_ids, other.external_ids),
        anonymous_ids=_theirs(joined.anonymous_ids, own.anonymous_ids, other.anonymous_ids),
        emails=_theirs(joined.emails, own.emails, other.emails),
        phones=_theirs(joined.phones, own.phones, other.phones),
        orders={key: joined.orders[key] for key in other.orders if key in joined.orders},
        inside={},
        due={},
        looked_at=joined.looked_at,
        apart={**other.apart, event: 1},
    )
    return replace(kept, keys=match_keys(kept)), replace(gone, keys=match_keys(gone))


def _own(joined: dict[str, int], own: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """Identifiers without those that only the other had."""
    return {
        value: own[value] if value in own and at == max(own[value], other.get(value, 0)) else at
        for value, at in joined.items()
        if value in own or value not in other
    }


def _theirs(joined: dict[str, int], own: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """The other's identifiers, as they were last heard."""
    return {value: at if value in own else joined.get(value, at) for value, at in other.items()}


def _without(joined: dict[str, Any], own: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Facts without those that the other brought, and with what these had replaced."""
    left = {}
    for name, fact in joined.items():
        if name not in other or fact != other[name]:
            left[name] = fact
        elif name in own:
            left[name] = own[name]
    return left


def _since(name: str, joined: Person, own: Person, other: Person, *, known: bool) -> tuple[int, ...]:
    """When it happened, without the other's times; a memory keeps only so many, so one's own from before are put back."""
    left = list(joined.memory[name])
    for at in (*other.memory.get(name, ()), *own.memory.get(name, ())):
        if at in left:
            left.remove(at)
    return tuple(sorted((*own.memory.get(name, ()), *left))) if known else tuple(left)


def _earliest(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    return {name: min(left.get(name, at), right.get(name, at)) for name, at in {**left, **right}.items()}


def _all_of(left: dict[str, tuple[int, ...]], right: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(sorted({*left.get(name, ()), *right.get(name, ())})) for name in {**left, **right}}


def _ranked(values: dict[str, int]) -> tuple[str, ...]:
    if len(values) < 2:
        return tuple(values)
    return tuple(sorted(values, key=lambda value: (-values[value], value))[:MOST_KEPT])


def _all_times(left: dict[str, tuple[int, ...]], right: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Both memories; what is more than a slot keeps is dropped by those who know the slots (`live.trimmed`)."""
    joined = dict(left)
    for slot, times in right.items():
        joined[slot] = tuple(sorted((*joined[slot], *times))) if slot in joined else times
    return joined


def match_keys(person: Person) -> dict[str, Any]:
    """The person's match keys, ready to send; computed when a fact is learned, never when a signal is sent."""
    return normalize.match_keys(
        emails=_ranked(person.emails),
        phones=_ranked(person.phones),
        external_ids=_ranked(person.external_ids) or _ranked(person.anonymous_ids)[:1],
        traits={name: value for name, (value, _) in person.traits.items()},
        devices={name: value for name, (value, _) in person.devices.items()},
    )


_FLAT: dict[str, tuple[str, int]] = {}
_NESTED: dict[str, tuple[str, int]] = {}
for _fact, _paths in TRAITS.items():
    for _rank, _path in enumerate(_paths):
        if _path.startswith("address."):
            _NESTED[_path.removeprefix("address.")] = (_fact, _rank)
        else:
            _FLAT[_path] = (_fact, _rank)


def _hear_traits(known: dict[str, tuple[str, int]], facts: dict[str, Any], at: int) -> dict[str, tuple[str, int]]:
    """`known` after what a client says; the same object, quickly, when it says what is known already."""
    address = facts.get("address")
    for names, place in ((_FLAT, facts), (_NESTED, address)) if isinstance(address, dict) else ((_FLAT, facts),):
        for name, value in place.items():
            place_of = names.get(name)
            if place_of is not None:
                before = known.get(place_of[0])
                if before is None or before[0] != value or at > before[1] + REFRESH_MS:
                    return _told(known, _given_traits(facts), at)
    return known


def _given_traits(facts: dict[str, Any]) -> dict[str, str]:
    """The facts of `TRAITS` in what a client says of a person, trimmed; the earlier path of a fact beats the later."""
    found: dict[str, str] = {}
    ranks: dict[str, int] = {}
    address = facts.get("address")
    places = ((_FLAT, facts), (_NESTED, address)) if isinstance(address, dict) else ((_FLAT, facts),)
    for names, place in places:
        for name, value in place.items():
            place_of = names.get(name)
            if place_of is None or value is None:
                continue
            fact, rank = place_of
            if rank >= ranks.get(fact, 99) or isinstance(value, bool) or not isinstance(value, (str, int)):
                continue
            text = str(value).strip()
            if text and (len(text) > LONGEST_BLOCKED or text.lower() not in BLOCKED):
                found[fact] = text
                ranks[fact] = rank
    return found


def _devices(event: Event) -> dict[str, str]:
    device = event.context.get("device")
    if not isinstance(device, dict):
        return {}
    found = {}
    kind = str(device.get("type") or device.get("platform") or "").lower()
    apple = kind in {"ios", "ipados", "tvos"}
    advertising = device.get("advertisingId") or device.get("idfa")
    if isinstance(advertising, str) and advertising.strip("0- "):
        found["idfa" if apple else "gaid"] = advertising.strip()
    if apple and isinstance(device.get("id"), str) and device["id"].strip():
        found["idfv"] = device["id"].strip()
    return found


def _heard(known: dict[str, int], value: str, at: int) -> dict[str, int]:
    """`known` with `value` heard at `at`; the same object when that changes nothing worth writing."""
    before = known.get(value)
    if before is None or at > before + REFRESH_MS or (at > before and len(known) > 1 and before != max(known.values())):
        return {**known, value: at}
    return known


def _told(known: dict[str, tuple[Any, int]], facts: Mapping[str, Any], at: int) -> dict[str, tuple[Any, int]]:
    changed: dict[str, tuple[Any, int]] = {}
    for name, value in facts.items():
        before = known.get(name)
        if (
            before is None
            or (at > before[1] + REFRESH_MS)
            or (value != before[0] and (at, str(value)) > (before[1], str(before[0])))
        ):
            changed[name] = (value, at)
    return {**known, **changed} if changed else known


def _given(
    known: dict[str, tuple[Any, int]], facts: Mapping[str, Any], kept: frozenset[str], at: int
) -> dict[str, tuple[Any, int]]:
    if not kept or kept.isdisjoint(facts):
        return known
    return _told(known, {name: facts[name] for name in kept & facts.keys()}, at)


def given(person: Person, event: Event, kept: frozenset[str]) -> Person:
    """The person with the traits of these names that an event of the past gave; the same object when it gave nothing new."""
    found, at = person.given, min(event.time, event.received_at)
    for facts in (event.traits, event.context.get("traits")):
        if facts and isinstance(facts, dict):
            found = _given(found, facts, kept, at)
    return person if found is person.given else replace(person, given=found)


def learn(
    person: Person, event: Event, own: tuple[Identifier, ...], said: Mapping[str, bool], kept: frozenset[str] = frozenset()
) -> Person:
    """The person after this event: identifiers, traits, click ids, devices and consent; the same object when nothing is new.

    `kept` names the traits that a rule of the workspace reads; they are remembered as they were given.
    """
    at = min(event.time, event.received_at)
    external, anonymous, emails, phones = person.external_ids, person.anonymous_ids, person.emails, person.phones
    for kind, value in own:
        if kind == "anonymous_id":
            anonymous = _heard(anonymous, value, at)
        elif kind == "email":
            emails = _heard(emails, value, at)
        elif kind == "phone":
            phones = _heard(phones, value, at)
        elif kind == "user_id":
            external = _heard(external, value, at)
    traits, given = person.traits, person.given
    for facts in (event.traits, event.context.get("traits")):
        if facts and isinstance(facts, dict):
            traits = _hear_traits(traits, facts, at)
            given = _given(given, facts, kept, at)
    found = normalize.click_ids(event.properties, event.context)
    click_ids = _told(person.clicks, found, at) if found else person.clicks
    devices = _told(person.devices, _devices(event), at) if "device" in event.context else person.devices
    consent = _told(person.consent, said, at) if said else person.consent
    keys_stand = (
        external is person.external_ids
        and emails is person.emails
        and phones is person.phones
        and traits is person.traits
        and devices is person.devices
        and (bool(external) or anonymous is person.anonymous_ids)
    )
    if (
        keys_stand
        and anonymous is person.anonymous_ids
        and click_ids is person.clicks
        and consent is person.consent
        and given is person.given
    ):
        return person
    learned = Person(
        id=person.id,
        created_at=person.created_at,
        external_ids=external,
        anonymous_ids=anonymous,
        emails=emails,
        phones=phones,
        traits=traits,
        clicks=click_ids,
        devices=devices,
        consent=consent,
        suppressed_at=person.suppressed_at,
        orders=person.orders,
        derived=person.derived,
        recent=person.recent,
        given=given,
        memory=person.memory,
        inside=person.inside,
        due=person.due,
        looked_at=person.looked_at,
        forgotten=person.forgotten,
        apart=person.apart,
        keys=person.keys,
    )
    return learned if keys_stand else replace(learned, keys=match_keys(learned))
