"""What a platform's file declares: event names, fields, gates, limits, how to ask and how to read the answer.

A platform is one module in this folder with a value `destination: Destination`. Its field table is executed by
`mapping.py`, printed by the console and turned into the platform's reference page; there is no second copy.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from signalpost import config
from signalpost.destinations.audiences import AudiencePart
from signalpost.destinations.authorisation import Authorisation
from signalpost.events import Person, Signal
from signalpost.mapping import Custom, Field

__all__ = [
    "Counted",
    "Custom",
    "Destination",
    "Field",
    "Heard",
    "Limits",
    "Outcome",
    "Places",
    "Quality",
    "Request",
    "Response",
    "Setting",
    "Told",
    "View",
    "request_settings",
]


class Setting(Struct, frozen=True, kw_only=True):
    """One option a destination needs in the workspace file."""

    name: str
    doc: str
    secret: bool = False
    required: bool = True
    default: str | None = None
    pattern: str | None = None
    """What the whole value must match, where only the right form can work."""


class Request(Struct, frozen=True, kw_only=True):
    """One HTTP request; built by a platform's file, sent by the transport."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""
    stamp: Callable[[int], dict[str, str]] | None = None
    """(epoch ms) -> headers that are made as it leaves, such as a signature over the time; made anew at each try."""
    public_only: bool = False
    """Whether only a public address may be reached: where it goes was written by people, and may point into our own network."""


class Response(Struct, frozen=True, kw_only=True):
    """One HTTP answer, read whole; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Outcome(Struct, frozen=True, kw_only=True, gc=False):
    """What an answer means for one event.

    `accepted` and `warned`: the platform took it (warned: and said something about it). `refused`: never again as it is.
    `retry`: later, after `after` seconds if the platform said so. `split`: the batch was refused for one of its events;
    ask again in halves. `blocked`: the whole destination cannot send (credentials, permission); keep the signals,
    tell the operator.
    """

    kind: Literal["accepted", "warned", "refused", "retry", "split", "blocked"]
    code: str = ""
    """The platform's own code, for support."""
    sentence: str = ""
    """What it means and what to do, for a marketer; never a raw identifier."""
    after: float | None = None
    reached: bool = True
    """False only when the platform surely did not process it (429, refused before reading)."""


class Limits(Struct, frozen=True, kw_only=True):
    """What the platform takes; the fact sheets say which are official."""

    batch: int
    requests_per_second: float
    oldest_ms: int
    """Events older than this are withheld: the platform no longer takes or counts them."""
    future_ms: int
    """Tolerated clock skew ahead of now."""
    oldest_possible_ms: int | None = None
    """How far the workspace's `oldest` may raise it; None: not above `oldest_ms`."""
    dedupe_ms: int
    """For this long after its first arrival a repeat of an event id is merged or dropped by the platform."""


class Counted(Struct, frozen=True, kw_only=True):
    """How many events the platform says it received, by who told it; None where it does not say."""

    server: int | None = None
    browser: int | None = None
    total: int | None = None


class Quality(Struct, frozen=True, kw_only=True):
    """The platform's own score of one event, over one time and one way it came in."""

    lookback: str
    """The time the score is about, counted back from the asking: `1d`, `14d`."""
    platform: str
    """Where the event happened, in the platform's word: `WEB`, `MOBILE`."""
    ingestion: str
    """How it came in, in the platform's word: `CONVERSIONS_API` is the server, `TAG` the browser."""
    status: str
    """The platform's word for the whole of that platform and way: `GOOD`, `FAIR`, `NEEDS_IMPROVEMENT`."""
    coverage: dict[str, float]
    """What the event carried -> in how many of a hundred events, by the platform's name of it."""
    overlap: float | None = None
    """Of a hundred ids, how many came by tag and by server: what the platform can deduplicate."""
    issues: tuple[str, ...] = ()
    """What the platform finds fault with, in its own words."""


class Told(Struct, frozen=True, kw_only=True):
    """What a platform says of one of its events on one day."""

    name: str
    """The platform's name of the event."""
    day: str
    """`YYYY-MM-DD`, UTC: the day it counts, or for a score the day it was asked."""
    value: Counted | tuple[Quality, ...]


class Heard(Struct, frozen=True, kw_only=True):
    """How asking a platform went. `not_allowed`: these credentials may not ask, which is no fault; `failed`: they should."""

    state: Literal["told", "not_allowed", "failed"]
    sentence: str
    """For a marketer; where nothing was told, why and what to do."""
    told: tuple[Told, ...] = ()


class View(Struct, frozen=True, kw_only=True):
    """Something a platform tells of what it received, where the credentials allow to ask."""

    what: Literal["received", "event_quality_score"]
    doc: str
    """What it is and what it takes to be told, in sentences."""
    ask: Callable[[Mapping[str, str], str, int], Generator[Request, Response, Heard]]
    """(settings as `request_settings` gives them, base address, now) -> requests one after the other; each is answered with
    its response, and the end is what was heard. Nothing in it does input or output: who drives it sends."""


class Places(Struct, frozen=True, kw_only=True):
    """Where in the event's object the platform's fields for these stand, as paths of the field table."""

    name: str
    event_id: str
    time: str
    order_id: str
    value: str
    currency: str
    items: str


def request_settings(options: config.Destination) -> dict[str, str]:
    """All that `request` and `check` may need: the platform's own settings, `test_code` and `partner_name`."""
    settings = dict(options.settings)
    if options.test_code:
        settings["test_code"] = options.test_code
    if options.partner_name:
        settings["partner_name"] = options.partner_name
    return settings


def no_objection(signal: Signal, settings: Mapping[str, str]) -> tuple[str, str] | None:  # noqa: ARG001
    """For platforms without reasons of their own to withhold a signal."""
    return None


def no_request_id(response: Response) -> str | None:  # noqa: ARG001
    """For platforms that do not number their answers."""
    return None


class Destination(Struct, frozen=True, kw_only=True):
    """A platform, declared."""

    name: str
    title: str
    settings: tuple[Setting, ...]
    default_base: str
    """`https://host` of the platform; a destination's `endpoint` in the workspace file replaces it (emulators)."""
    events: dict[str, str]
    """Canonical event name -> the platform's name: what `events: standard` means, and which names are known."""
    event_names: frozenset[str]
    """Every standard event name of the platform."""
    custom_events: bool
    """Whether names outside `event_names` may be sent."""
    fields: tuple[Field, ...]
    custom: Custom
    """What `properties` of a destination in the workspace file may fill."""
    amounts: Literal["number", "text"]
    """How amounts are written: as JSON numbers or as JSON strings; exact decimals either way."""
    currencies: frozenset[str] | None
    limits: Limits
    purchase: str
    """The platform's name of a purchase; empty for the shop's own tools, which learn nothing from purchases."""
    advertising: bool = True
    """Whether what it is told serves advertising, so that people must allow that; False for the shop's own tools."""
    identified: Callable[[Person, Signal], bool]
    """Whether the platform would accept this signal's identifiers at all."""
    identifier_hint: str
    """The sentence shown when it would not."""
    objection: Callable[[Signal, Mapping[str, str]], tuple[str, str] | None] = no_objection
    """(signal, settings) -> the platform's own reason to withhold it, as (reason, sentence), or None."""
    request: Callable[[dict[str, str], str, Sequence[bytes], bool], Request]
    """(settings as `request_settings` gives them, base address, encoded events, test mode) -> one request."""
    outcomes: Callable[[Response, int], list[Outcome]]
    """(answer, number of events) -> exactly that many outcomes, read from the body."""
    check: Callable[[dict[str, str], str, int], Request]
    """(settings, base, now) -> a request without side effects that shows whether the credentials work."""
    explain_check: Callable[[Response], tuple[bool, str]]
    places: Places
    """Where the fields stand that every platform has."""
    answer_says: str
    """What the answer to an event tells and what not, as a sentence for those who compare."""
    views: tuple[View, ...] = ()
    """What the platform tells of what it received."""
    audience: AudiencePart | None = None
    """How audiences are kept there; None where there are none."""
    authorisation: Authorisation | None = None
    """How an account is connected by the platform's own page; None where a token is only made by hand."""
    request_id: Callable[[Response], str | None] = no_request_id
    """(answer) -> the platform's own id of the request, which its support asks for."""
