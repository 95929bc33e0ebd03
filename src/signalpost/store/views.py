"""What the platforms said they received: kept by day as they were last asked, with how the asking went.

Beside the rows of events there is one row for each destination and view, without event and day: how the last asking went.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from signalpost.destinations.contract import Counted, Heard, Quality, Told
from signalpost.store.database import Connection

DAY = 86_400_000
KEPT_DAYS = 400
"""As long as counters are kept by default: a year and a month, so that a week can be compared with the same of last year."""

RECEIVED = "received"
QUALITY = "event_quality_score"


class Asked(Struct, frozen=True, kw_only=True):
    """How the last asking of a destination went."""

    destination: str
    what: str
    """`received` or `event_quality_score`."""
    state: Literal["told", "not_allowed", "failed"]
    sentence: str
    at: int
    """Epoch ms."""
    told_at: int | None = None
    """When it was last told anything (epoch ms); None when never."""


class Received(Struct, frozen=True, kw_only=True):
    """How many of an event a platform says it received on a day."""

    destination: str
    event: str
    """The platform's name."""
    day: str
    """`YYYY-MM-DD`, UTC."""
    at: int
    """When it was asked, epoch ms."""
    server: int | None
    browser: int | None
    total: int | None


class Score(Struct, frozen=True, kw_only=True):
    """A platform's own score of an event, as asked on a day."""

    destination: str
    event: str
    day: str
    at: int
    qualities: tuple[Quality, ...]
    """One for each time looked back, platform and way in."""


class _How(Struct):
    state: Literal["told", "not_allowed", "failed"]
    sentence: str
    told_at: int | None = None


def day_of(at: int) -> str:
    """The UTC day of an instant, `YYYY-MM-DD`."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"


def keep(connection: Connection, destination: str, what: str, heard: Heard, now: int) -> None:
    """Write what a platform said, or why it said nothing; what it said before stays until it says it anew."""
    rows: list[tuple[Any, ...]] = [
        (destination, what, told.name, told.day, now, msgspec.json.encode(told.value).decode()) for told in _whole(heard)
    ]
    before = next((each.told_at for each in asked(connection) if (each.destination, each.what) == (destination, what)), None)
    how = _How(state=heard.state, sentence=heard.sentence, told_at=now if heard.state == "told" else before)
    rows.append((destination, what, "", "", now, msgspec.json.encode(how).decode()))
    connection.run_many("view_set", rows)
    connection.run("views_prune", destination, day_of(now - KEPT_DAYS * DAY))


def _whole(heard: Heard) -> list[Told]:
    """The rows that have a name and a day: without them a row would be taken for how the asking went."""
    return [told for told in heard.told if told.name and told.day]


def asked(connection: Connection) -> list[Asked]:
    """How the last asking of each destination went."""
    found = []
    for destination, what, at, value in connection.rows("views_asked"):
        how = msgspec.json.decode(value, type=_How)
        found.append(
            Asked(destination=destination, what=what, state=how.state, sentence=how.sentence, at=at, told_at=how.told_at)
        )
    return found


def received(connection: Connection, first: str, last: str) -> list[Received]:
    """What platforms say they received from one day to another (`YYYY-MM-DD`, both included)."""
    found = []
    for destination, event, day, at, value in connection.rows("views_of", RECEIVED, first, last):
        counts = msgspec.json.decode(value, type=Counted)
        found.append(
            Received(
                destination=destination,
                event=event,
                day=day,
                at=at,
                server=counts.server,
                browser=counts.browser,
                total=counts.total,
            )
        )
    return found


def scores(connection: Connection, first: str, last: str) -> list[Score]:
    """The platforms' own scores as asked from one day to another (both included), by destination, event and day."""
    return [
        Score(
            destination=destination,
            event=event,
            day=day,
            at=at,
            qualities=msgspec.json.decode(value, type=tuple[Quality, ...]),
        )
        for destination, event, day, at, value in connection.rows("views_of", QUALITY, first, last)
    ]
