"""Which match keys signals carry, how well that identifies people, and an alarm when it really drops.

A signal's keys are one number with a bit for each key (`mask`), so that an hour of signals is a few rows: mask -> how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from signalpost.destinations import CATALOG
from signalpost.destinations.contract import Destination, Field
from signalpost.events import Signal

# ---------------------------------------------------------------------------------------------- keys


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


def _reads(platform: Destination) -> int:
    """What this platform's field table has rows for."""
    rows = {row.key for row in platform.fields if row.key}
    # Rows that are made of several match keys (Pinterest's advertising ids) name none: they are hashed and of the person.
    rows |= {"idfa", "gaid"} if any(row.person for row in platform.fields) else set()
    return sum(1 << key.bit for key in KEYS.values() if rows & set(key.made_of) or platform.name in key.paths)


READS: dict[str, int] = {name: _reads(platform) for name, platform in CATALOG.items()}
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


# ---------------------------------------------------------------------------------------------- shares and score

Masks = Mapping[int, int]
"""Mask -> how many signals."""


def merge(several: Iterable[Masks]) -> dict[int, int]:
    """Several as one."""
    found: dict[int, int] = {}
    for masks in several:
        for each, many in masks.items():
            found[each] = found.get(each, 0) + many
    return found


def counts(masks: Masks) -> dict[str, int]:
    """Key -> how many signals carry it; every key of `KEYS` is there."""
    return {name: sum(many for each, many in masks.items() if each >> key.bit & 1) for name, key in KEYS.items()}


def shares(masks: Masks, platform: str | None = None) -> dict[str, float]:
    """Key -> the share (0 to 1) of signals that carry it; only keys the platform reads. Empty without signals."""
    total = sum(masks.values())
    reads = _all(platform)
    return {name: many / total for name, many in counts(masks).items() if reads >> KEYS[name].bit & 1} if total else {}


def score(masks: Masks, platform: str | None = None) -> float | None:
    """The weighted mean of the keys' shares, 0 to 100; None without signals.

    100 is every signal with every key the platform reads. TikTok says its Event Match Quality is a weighted mean of coverages
    too, but neither platform publishes weights or scale: this is a figure of ours, to be compared with itself only.
    """
    carried = shares(masks, platform)
    whole = sum(KEYS[name].weight for name in carried)
    return 100 * sum(KEYS[name].weight * share for name, share in carried.items()) / whole if carried else None


def _all(platform: str | None) -> int:
    return READS[platform] if platform is not None else (1 << len(KEYS)) - 1
