"""The match keys: which there are, which of them a signal carries, which of them a platform reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from msgspec import Struct

from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Field
from signalpost.events import Signal


class Key(Struct, frozen=True, kw_only=True):
    """One thing by which a platform can match a signal to a person."""

    bit: int
    """Its place in a mask. Rows of the table `coverage` hold masks, so a bit is never given to another key."""
    title: str
    """For people, as in `share of signals with an ...`."""
    weight: int
    """How much the score makes of it, against the others."""
    why: str
    """Why it weighs that: one sentence. The platforms publish no weights, so these are ours."""
    margin: float = 0.05
    """How far its share may fall, relative to what it was, without being called a drop however certain: what shops live with."""
    made_of: tuple[str, ...] = ()
    """The `normalize.MATCH_KEYS` it stands for; empty for what comes with the event: click ids, address, browser."""
    paths: Mapping[str, str] = {}
    """For what comes with the event: platform -> the path of the row in its field table."""


KEYS: dict[str, Key] = {
    "email": Key(
        bit=0,
        title="e-mail address",
        weight=30,
        why="One person's, lasting, and both platforms ask people for it when they sign up.",
        made_of=("email",),
    ),
    "phone": Key(
        bit=1,
        title="phone number",
        weight=18,
        why="One person's and lasting; fewer people have given it to the platforms than their e-mail.",
        made_of=("phone", "phone_digits"),
    ),
    "external_id": Key(
        bit=2,
        title="customer id",
        weight=10,
        why="It ties a person's events to one another, and to a person only once another key did.",
        made_of=("external_id",),
    ),
    "first_name": Key(
        bit=3,
        title="first name",
        weight=1,
        why="It only narrows what other keys found.",
        made_of=("first_name", "first_name_as_written"),
    ),
    "last_name": Key(
        bit=4,
        title="last name",
        weight=2,
        why="It only narrows what other keys found.",
        made_of=("last_name", "last_name_as_written"),
    ),
    "city": Key(
        bit=5,
        title="city",
        weight=1,
        why="Shared by very many; it only narrows what other keys found.",
        made_of=("city", "city_hashed"),
    ),
    "state": Key(
        bit=6,
        title="state",
        weight=1,
        why="Shared by very many; Pinterest needs it for limited data use.",
        made_of=("state", "state_hashed"),
    ),
    "zip": Key(
        bit=7,
        title="postcode",
        weight=2,
        why="Shared by a street or a town; with a name it is nearly one person's.",
        made_of=("zip",),
    ),
    "country": Key(
        bit=8,
        title="country",
        weight=1,
        why="Shared by nearly everybody; it says how the other keys are to be read.",
        made_of=("country", "country_hashed"),
    ),
    "birthday": Key(
        bit=9, title="date of birth", weight=1, why="Strong with a name, but few shops know it.", made_of=("birthday",)
    ),
    "gender": Key(bit=10, title="gender", weight=1, why="Shared by half of all people.", made_of=("gender",)),
    "maid": Key(
        bit=11,
        title="mobile advertising id",
        weight=2,
        why="One device's, but only apps have it, and only where the person allowed tracking.",
        made_of=("idfa", "gaid"),
    ),
    "ttclid": Key(
        bit=12,
        title="TikTok click id",
        weight=12,
        why="It names the very click on the ad; only visits that began with an ad have one, so full coverage is not to be had.",
        margin=0.5,  # its share follows what is spent on ads
        paths={"tiktok": "user.ttclid"},
    ),
    "ttp": Key(
        bit=13,
        title="TikTok browser id",
        weight=10,
        why="It names the browser to TikTok; browsers and consent banners clear it.",
        paths={"tiktok": "user.ttp"},
    ),
    "epik": Key(
        bit=14,
        title="Pinterest click id",
        weight=12,
        why="It names the very click on the ad; only visits that began with an ad have one, so full coverage is not to be had.",
        margin=0.5,  # its share follows what is spent on ads
        paths={"pinterest": "user_data.click_id"},
    ),
    "ip": Key(
        bit=15,
        title="IP address",
        weight=8,
        why="Shared by a household or a mobile network and soon another's; together with the browser it is a usable guess.",
        paths={"tiktok": "user.ip", "pinterest": "user_data.client_ip_address"},
    ),
    "user_agent": Key(
        bit=16,
        title="browser line",
        weight=4,
        why="Shared by very many; it counts only together with the IP address.",
        paths={"tiktok": "user.user_agent", "pinterest": "user_data.client_user_agent"},
    ),
    "partner_id": Key(
        bit=17,
        title="partner's visitor id",
        weight=1,
        why="Only where the shop has agreed one with Pinterest.",
        paths={"pinterest": "user_data.partner_id"},
    ),
}
"""Everything a platform can match a signal by. A page's address and a browser's language are no keys: they name nobody."""


def _row(platform: str, path: str) -> Field:
    return next(row for row in CATALOG[platform].fields if row.path == path)


def rows_of(platform: str) -> tuple[tuple[int, Field], ...]:
    """The platform's rows that carry a key: (the key's bit as a mask, the row)."""
    found = []
    for row in CATALOG[platform].fields:
        # A row that is made of several match keys (Pinterest's advertising ids) names none; it is of the person all the same.
        made_of = {row.key} if row.key else {"idfa", "gaid"} if row.person else set()
        found += [
            (1 << key.bit, row) for key in KEYS.values() if made_of & set(key.made_of) or key.paths.get(platform) == row.path
        ]
    return tuple(found)


READS: dict[str, int] = {name: reduce(or_, (bit for bit, _ in rows_of(name)), 0) for name in CATALOG}
"""Platform -> the mask of the keys it reads."""

_BIT_OF = {name: 1 << key.bit for key in KEYS.values() for name in key.made_of}

_OF_EVENT: tuple[tuple[int, Callable[[Signal], Any]], ...] = tuple(
    (1 << key.bit, _row(*next(iter(key.paths.items()))).read) for key in KEYS.values() if key.paths
)
"""What comes with the event is asked of the platforms' own rows: a click id of last year is none to them either."""

_OF_CLICKS = tuple(pair for pair in _OF_EVENT if pair[0] in {1 << KEYS[name].bit for name in ("ttclid", "ttp", "epik")})
_OF_REST = tuple(pair for pair in _OF_EVENT if pair not in _OF_CLICKS)


@lru_cache(maxsize=4_096)
def _of_person(names: tuple[str, ...]) -> int:
    """The bits of a person's match keys; remembered, because a shop sees few combinations."""
    found = 0
    for name in names:
        found |= _BIT_OF.get(name, 0)
    return found


def mask(signal: Signal) -> int:
    """Which keys this signal carries, whatever the platform; `& READS[platform]` for what that platform reads of them."""
    person = signal.person
    found = _of_person(tuple(person.keys))
    if person.clicks:
        for bit, read in _OF_CLICKS:
            if read(signal) is not None:
                found |= bit
    for bit, read in _OF_REST:
        if read(signal) is not None:
            found |= bit
    return found


def names(mask: int) -> tuple[str, ...]:
    """A mask's keys, by the names of `KEYS`."""
    return tuple(name for name, key in KEYS.items() if mask >> key.bit & 1)
