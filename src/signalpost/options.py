"""The options of the workspace file: each with its type, its default and its sentence."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

# Kinds of value that more than one option has; `is` names the function in `_CHECKS` that looks at it.
Secret = Annotated[str, Meta(extra={"secret": True})]
Duration = Annotated[str, Meta(extra={"is": "duration"}, extra_json_schema={"examples": ["50ms", "15m", "24h", "7d"]})]
Days = Annotated[int, Meta(ge=1, le=36500)]
Port = Annotated[int, Meta(ge=0, le=65535)]
EventPath = Annotated[str, Meta(extra={"is": "path"})]
EventName = Annotated[str, Meta(extra={"is": "event"})]
Happening = Annotated[str, Meta(extra={"is": "happening"})]
Share = Annotated[str, Meta(extra={"is": "share"}, extra_json_schema={"examples": ["40%", "2.5%"]})]
Amount = Annotated[str, Meta(extra={"is": "amount"}, extra_json_schema={"examples": ["300", "1.0842"]})]
CurrencyCode = Annotated[str, Meta(extra={"is": "currency"})]
Condition = Annotated[Any, Meta(extra={"is": "condition"})]
Rule = Annotated[Any, Meta(extra={"is": "rule"})]


UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
"""Milliseconds in each unit of a duration."""

_PART = r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d|w)"
_LONGEST = int(timedelta(days=36525).total_seconds() * 1000)
_SPELT = (("day", UNITS["d"]), ("hour", UNITS["h"]), ("minute", UNITS["m"]), ("second", UNITS["s"]), ("millisecond", 1))


def duration(text: str) -> int:
    """Return a duration such as `50ms`, `15m`, `1h30m`, `24h` or `7d` in milliseconds; raise `ValueError`."""
    compact = text.strip()
    if re.fullmatch(f"(?:{_PART})+", compact) is None:
        raise ValueError("a duration is a number and a unit, such as `50ms`, `15m`, `24h` or `7d`")
    milliseconds = int(sum(Decimal(number) * UNITS[unit] for number, unit in re.findall(_PART, compact)))
    if milliseconds > _LONGEST:
        raise ValueError("a duration is at most 100 years")
    return milliseconds


def spelt(milliseconds: int) -> str:
    """Return a duration in words: `30 days`, `1 hour 30 minutes`; hours up to two days."""
    if milliseconds == 0:
        return "0 seconds"
    said, left = [], milliseconds
    for word, unit in _SPELT:
        if unit == UNITS["d"] and milliseconds <= 2 * unit and milliseconds % unit == 0:
            continue  # people say 24 and 48 hours
        many, left = divmod(left, unit)
        if many:
            said.append(f"{many} {word}{'' if many == 1 else 's'}")
    return " ".join(said)


def number(text: str) -> Decimal:
    """Return the exact number that a plain decimal text is; raise `ValueError`."""
    if re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{1,12})?", text.strip(), re.ASCII) is None:
        raise ValueError("a number such as `0` or `49.90`")
    return Decimal(text.strip())


def share(text: str) -> Decimal:
    """Return a share such as `40%` as 0.4; raise `ValueError`: without the sign nobody knows whether 1 is all or a hundredth."""
    found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%", text.strip(), re.ASCII)
    exact = Decimal(found[1]) / 100 if found else Decimal(2)
    if exact > 1:
        raise ValueError("a share from `0%` to `100%`")
    return exact


ROLLOUT_MEASURES: dict[str, tuple[Literal["share", "duration", "count"], Literal[">=", "<="]]] = {
    "accepted": ("share", ">="),
    "with_value": ("share", ">="),
    "with_order_id": ("share", ">="),
    "duplicates": ("share", "<="),
    "coverage": ("share", ">="),
    "latency": ("duration", "<="),
    "events": ("count", ">="),
}
"""What a stage's `until` can ask for -> the kind of its number and which side is better; `rollout.MEASURES` has the words."""


def bound(measure: str, text: str) -> Fraction:
    """Return a bound such as `>= 99%`, `<= 60s` or `>= 50` as a share, milliseconds or a count.

    Raises `ValueError` with what is expected, `KeyError` when there is no such measure.
    """
    kind, better = ROLLOUT_MEASURES[measure]
    example = {"share": "99%", "duration": "60s", "count": "50"}[kind]
    sign, rest = text.strip()[:2], text.strip()[2:].strip()
    if sign == better and kind == "count" and re.fullmatch(r"[0-9]{1,12}", rest, re.ASCII):
        return Fraction(rest)
    if sign == better and kind != "count":
        return Fraction(share(rest) if kind == "share" else duration(rest))
    raise ValueError(f"a bound on `{measure}` is written `{better} {example}`")


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place events come from."""

    type: Annotated[
        Literal["pipelines", "track", "shopify", "reporting"],
        Meta(
            description="What speaks here: `pipelines` (Customer.io Data Pipelines and Segment clients), "
            "`track` (Customer.io Track API), `shopify` (webhooks) or "
            "`reporting` (Customer.io reporting webhooks)."
        ),
    ]
    write_key: Annotated[
        str | None,
        Meta(description="The key that the clients of a `pipelines` source send. A browser's is public."),
    ] = None
    site_id: Annotated[str | None, Meta(description="The site id of a `track` source (Basic user name).")] = None
    api_key: Annotated[Secret | None, Meta(description="The API key of a `track` source (Basic password).")] = None
    secret: Annotated[Secret | None, Meta(description="What a `shopify` or `reporting` source signs with.")] = None

    def __repr__(self) -> str:
        """Show no key: a record may end up in a log."""
        return f"Source(type={self.type!r})"


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How events are stitched to people."""

    blocked: Annotated[
        tuple[str, ...],
        Meta(description="Identifier values that never name a person, beside those always blocked."),
    ] = ()
    max_identifiers: Annotated[
        int,
        Meta(ge=2, le=10000, description="A person with more identifiers than this of one kind takes no more."),
    ] = 50
    merge_on: Annotated[
        tuple[Annotated[str, Meta(extra={"is": "identifier"})], ...],
        Meta(description="Kinds of identifier that may join two known people."),
    ] = ("user_id", "cio_id", "email", "phone", "anonymous_id")


class Retention(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long things are kept, in days."""

    journal: Annotated[Days, Meta(description="Accepted requests as they came.")] = 30
    ledger: Annotated[Days, Meta(description="Verdicts: what became of each signal, and why.")] = 400
    seen: Annotated[Days, Meta(description="Ids of messages and orders, by which repeats are recognised.")] = 60
    people: Annotated[Days, Meta(description="People of whom nothing was heard for so long.")] = 730


class Orders(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes two purchases the same order."""

    reused_after: Annotated[
        Duration,
        Meta(
            description="The same order id by another person so much later is a new order, no duplicate.",
        ),
    ] = "24h"
    customer_type: Annotated[
        bool,
        Meta(
            description="Tell platforms whether a buyer is new or returning; for when Signalpost knows the shop's history: "
            "without it every old customer's next order looks like a first one."
        ),
    ] = False


class Gate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule that withholds signals, or only counts what it would withhold."""

    preset: Annotated[
        str | None, Meta(description="A rule that Signalpost knows by name; `signalpost gates` prints them all.")
    ] = None
    reason: Annotated[str | None, Meta(description="For a rule of your own: what the ledger says, in a few words.")] = None
    when: Annotated[
        Condition | None, Meta(description="For a rule of your own: the condition under which a signal is withheld.")
    ] = None
    mode: Annotated[
        Literal["enforcing", "observing"],
        Meta(description="`observing` sends everything and counts what `enforcing` would withhold, with its value."),
    ] = "enforcing"
    events: Annotated[
        tuple[EventName, ...] | None,
        Meta(description="The canonical events it looks at; all, or those of the preset, without it."),
    ] = None
    destinations: Annotated[tuple[str, ...] | None, Meta(description="The destinations it is for; all of them without it.")] = (
        None
    )
    share: Annotated[Share | None, Meta(description="For presets that compare a share, such as `heavily_discounted`.")] = None
    coupons: Annotated[
        Annotated[int, Meta(ge=1, le=100)] | None, Meta(description="For `heavily_discounted`: so many coupons or more.")
    ] = None
    orders: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        Meta(description="For presets about a person's history: so many orders or more."),
    ] = None
    email_domains: Annotated[tuple[str, ...], Meta(description="For `employee`: domains of the brand's own addresses.")] = ()
    tags: Annotated[tuple[str, ...], Meta(description="For presets that look for a tag of the order or the person.")] = ()


class Derived(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event that Signalpost makes of a person's orders, at most once for each person; exactly one of the first four."""

    nth_order: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        Meta(description="The person's order of this number, by the time of the orders."),
    ] = None
    returned_after: Annotated[
        Duration | None, Meta(description="The first order that comes so long after the one before it.")
    ] = None
    lifetime_value: Annotated[
        Amount | None, Meta(description="The order by which the person's orders, less refunds, are worth so much.")
    ] = None
    first: Annotated[EventName | None, Meta(description="The person's first event of this name.")] = None
    where: Annotated[Condition | None, Meta(description="Only what meets this condition counts.")] = None


class Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage of a destination's rollout: the events it adds, and what must hold before the next one begins."""

    send: Annotated[tuple[EventName, ...], Meta(description="Canonical events that begin with this stage; earlier ones go on.")]
    lasts: Annotated[Duration | None, Meta(description="The least time it lasts (`for` in the file).")] = field(
        default=None, name="for"
    )
    until: Annotated[
        dict[str, str],
        Meta(description="What must hold before the next stage: a measure (see the guide) and a bound such as `>= 99%`."),
    ] = {}
    at_most: Annotated[
        dict[EventName, Annotated[int, Meta(ge=1, le=10000)]],
        Meta(description="Event -> signals sent for each purchase, at most (over a day)."),
    ] = {}


class Pixel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The platform's browser pixel, where the shop has one beside Signalpost."""

    events: Annotated[tuple[EventName, ...], Meta(description="Canonical events that the pixel sends too.")] = ()
    shares_id: Annotated[
        bool, Meta(description="Whether the pixel sends the same event id (the `event_id` option, or the order's id).")
    ] = False


class Alerts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told when something is wrong, and when not."""

    to: Annotated[
        dict[str, Annotated[str, Meta(extra={"is": "alert", "secret": True})]],
        Meta(description="Name -> address as Apprise writes it: `mailtos://...`, `slack://...`, `jsons://...` for a webhook."),
    ] = {}
    least: Annotated[Literal["warning", "problem"], Meta(description="The least that is told.")] = "warning"
    gather: Annotated[Duration, Meta(description="How long findings are gathered into one message.")] = "5m"
    again: Annotated[Duration, Meta(description="How soon the same open finding is told again.")] = "7d"
    quiet: Annotated[
        str | None,
        Meta(extra={"is": "hours"}, description="Hours in the workspace's zone without messages, such as `22:00-07:00`."),
    ] = None


class Measurement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The measurement plan, written down where everybody finds it."""

    primary: Annotated[str | None, Meta(description="The source of truth, such as `Shopify orders`.")] = None
    success: Annotated[str | None, Meta(description="What success is, with its number.")] = None
    checked: Annotated[str | None, Meta(description="How and how often it is checked, and by whom.")] = None


class Consent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where consent stands in an event, and what silence means."""

    advertising: Annotated[
        tuple[EventPath, ...],
        Meta(description="Paths that say whether advertising is allowed (first present counts)."),
    ] = (
        "context.consent.categoryPreferences.Advertising",
        "context.consent.categoryPreferences.advertising",
        "context.consent.advertising",
        "properties.consent.advertising",
        "properties.advertising_consent",
    )
    limited_data_use: Annotated[
        tuple[EventPath, ...], Meta(description="Paths that ask for limited data use (first present counts).")
    ] = (
        "context.consent.limited_data_use",
        "properties.limited_data_use",
        "context.limited_data_use",
    )
    unknown: Annotated[Literal["granted", "denied"], Meta(description="What it means when no path is present.")] = "granted"


class Tiers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Segments that exclude one another, proved when the file is checked."""

    of: Annotated[tuple[str, ...], Meta(description="The segments: nobody may be in two of them.")]
    covering: Annotated[
        str | None, Meta(description="A segment of which everybody must be in one of them: no gap between two tiers.")
    ] = None


class ValueTiers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People in bands of a computed fact: a segment `<name>_<band>` for each."""

    of: Annotated[
        Literal["lifetime_value", "average_order_value", "orders"], Meta(description="The fact, over people who bought.")
    ] = "lifetime_value"
    names: Annotated[tuple[str, ...], Meta(description="The bands, lowest first.")]
    bounds: Annotated[tuple[Amount, ...], Meta(description="Where each band but the first begins; or `quantiles` instead.")] = ()
    quantiles: Annotated[
        tuple[Share, ...], Meta(description="The share of people below each band but the first, such as `[50%, 90%]`.")
    ] = ()
    hysteresis: Annotated[
        Share | None, Meta(description="How far past a bound a person must be before they change band, so that they do not flap.")
    ] = None
    every: Annotated[Duration, Meta(description="How often quantiles are computed anew.")] = "1d"


class Audience(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A segment kept in sync on destinations."""

    segment: Annotated[str, Meta(description="Who belongs to it.")]
    to: Annotated[tuple[str, ...], Meta(description="The destination, or a list of them.")]
    use: Annotated[
        Literal["target", "suppress", "seed"],
        Meta(description="Ads are shown to them, kept from them, or shown to people like them (lookalike seed)."),
    ]
    name: Annotated[str | None, Meta(description="Its name here and on the platform; else the segment's.")] = None
    unless: Annotated[tuple[str, ...], Meta(description="Segments whose members are left out, at once.")] = ()
    holdout: Annotated[Share | None, Meta(description="A stable random share that is left out, so that `lift` can compare.")] = (
        None
    )
    while_in: Annotated[
        dict[str, str],
        Meta(
            description="Journey -> what holds for people inside it: `none` leaves them out, a duration such as `6h` "
            "keeps them in only so long after it began."
        ),
    ] = {}
    ad_groups: Annotated[
        tuple[str, ...], Meta(description="Ad groups that are to include it (target) or exclude it (suppress).")
    ] = ()
    offer: Annotated[bool, Meta(description="Whether the ads shown to it carry a discount.")] = False
    way: Annotated[
        Literal["stream", "file"],
        Meta(description="TikTok: `stream` sends changes as they come, `file` uploads files: fewer requests, slower changes."),
    ] = "stream"

    @property
    def title(self) -> str:
        """Its name here."""
        return self.name or self.segment


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One message of a journey."""

    at: Annotated[Duration, Meta(description="How long after the journey began.")]
    channel: Annotated[str | None, Meta(description="`email`, `sms`, `push` or what you call it.")] = None
    offer: Annotated[str | None, Meta(description="The discount it offers, such as `10%`.")] = None


class Journey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an owned channel does with a person, so that paid windows can be held against it."""

    starts: Annotated[Happening, Meta(description="The event with which a person begins it; a later one begins it anew.")]
    ends: Annotated[tuple[Happening, ...], Meta(description="Events with which they leave it.")] = ()
    after: Annotated[Duration, Meta(description="How long after its beginning they leave it anyway.")]
    steps: Annotated[tuple[Step, ...], Meta(description="Its messages.")] = ()


class Destination(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configured account on a platform; the platform's own options stand beside these."""

    type: Annotated[
        str, Meta(description="The platform: `tiktok` or `pinterest`; or a tool of the shop's own: `customerio` or `webhook`.")
    ]
    settings: dict[str, str] = {}
    """The platform's own options (pixel, access_token, ...): in the file they stand beside the others."""
    events: Annotated[
        dict[str, str] | Literal["standard"],
        Meta(description="Canonical event -> platform event, or `standard` for the platform's whole table."),
    ] = "standard"
    endpoint: Annotated[
        str | None,
        Meta(extra={"is": "url"}, description="Another base address than the platform's own (an emulator)."),
    ] = None
    paused: Annotated[bool, Meta(description="Withhold everything, with the reason `paused`.")] = False
    test_code: Annotated[
        str | None,
        Meta(description="TikTok's test_event_code: a test workspace sends everything with it, production only `send-test`."),
    ] = None
    partner_name: Annotated[str | None, Meta(description="How Signalpost introduces itself to the platform.")] = None
    event_id: Annotated[
        tuple[EventPath, ...],
        Meta(description="Paths of an id shared with the browser pixel (first present counts)."),
    ] = ("properties.event_id", "context.event_id")
    batch: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Events a request, at most the platform's limit."),
    ] = None
    linger: Annotated[Duration, Meta(description="How long a batch waits for company.")] = "100ms"
    connections: Annotated[int, Meta(ge=1, le=64, description="Requests in flight at once.")] = 4
    oldest: Annotated[Duration | None, Meta(description="Withhold events older than this (at most the platform's limit).")] = None
    segments: Annotated[
        tuple[str, ...] | None,
        Meta(description="Segments whose coming and going one of the shop's own tools is told of; without it all of them."),
    ] = None
    properties: Annotated[dict[str, EventPath], Meta(description="Extra properties: platform field -> path in the event.")] = {}
    pixel: Annotated[
        Pixel | None,
        Meta(description="The platform's browser pixel beside Signalpost, if there is one (`browser_pixel` in the file)."),
    ] = field(default=None, name="browser_pixel")  # TikTok's own option `pixel` is the account
    rollout: Annotated[
        tuple[Stage, ...], Meta(description="Stages in which events are switched on; without it all are sent at once.")
    ] = ()
    shared_because: Annotated[
        str | None, Meta(description="Why a test and a production workspace may share this account; without it neither starts.")
    ] = None

    def __repr__(self) -> str:
        """Show no setting: a record may end up in a log."""
        return f"Destination(type={self.type!r}, settings={sorted(self.settings)!r})"


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Signalpost listens."""

    host: Annotated[str, Meta(description="The address to listen on; `0.0.0.0` is every one.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="The port of intake and console; 0 takes a free one.")] = 8377
    tls_port: Annotated[Port | None, Meta(description="Also offer TLS here (Customer.io's Track clients insist on it).")] = None
    tls_certificate: Annotated[str | None, Meta(description="The certificate's file (PEM), with its chain.")] = None
    tls_key: Annotated[str | None, Meta(description="The file of the certificate's private key (PEM).")] = None
    trusted_proxies: Annotated[
        tuple[Annotated[str, Meta(extra={"is": "network"})], ...],
        Meta(description="Networks whose X-Forwarded-For is believed."),
    ] = ()
    public_url: Annotated[str | None, Meta(extra={"is": "url"}, description="How browsers reach this server.")] = None


class SingleSignOn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Logging in to the console by a provider of OpenID Connect."""

    issuer: Annotated[
        str, Meta(extra={"is": "issuer"}, description="The provider's issuer address, such as `https://accounts.google.com`.")
    ]
    client_id: Annotated[str, Meta(min_length=1, description="The client id that the provider gave Signalpost.")]
    client_secret: Annotated[Secret, Meta(description="The client's secret.")]
    title: Annotated[str, Meta(min_length=1, max_length=40, description="What the button on the login page calls it.")] = (
        "single sign-on"
    )
    domains: Annotated[
        tuple[Annotated[str, Meta(extra={"is": "domain"})], ...],
        Meta(description="Mail domains from which anybody may come in; without one, only users whom an admin invited."),
    ] = ()
    role: Annotated[
        Literal["viewer", "operator"], Meta(description="The role of those who come in from `domains` for the first time.")
    ] = "viewer"


class Console(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may come into the console."""

    oidc: Annotated[SingleSignOn | None, Meta(description="Single sign-on by OpenID Connect, beside passwords.")] = None


class Workspace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One brand in one environment."""

    workspace: Annotated[
        str,
        Meta(
            min_length=1,
            pattern="^[a-z0-9][a-z0-9_-]*$",
            extra={"is": "name"},
            description="The brand's short name: small letters, digits, `-` and `_`.",
        ),
    ]
    environment: Annotated[
        Literal["production", "test"],
        Meta(description="`production`, or `test`: a test workspace can only ever send test events."),
    ]
    currency: Annotated[
        str,
        Meta(
            pattern="^[A-Z]{3}$",
            extra={"is": "currency"},
            description="What amounts without a currency are in (ISO 4217, such as `USD`).",
        ),
    ]
    order_value: Annotated[
        Literal["gross", "net"],
        Meta(description="One definition of value for every platform: `gross` or `net`."),
    ]
    country: Annotated[
        str,
        Meta(
            pattern="^[A-Z]{2}$",
            extra={"is": "country"},
            description="Completes national phone numbers (ISO 3166, such as `US`).",
        ),
    ]
    timezone: Annotated[
        str, Meta(extra={"is": "timezone"}, description="What times without an offset are in (an IANA name).")
    ] = "UTC"
    database: Annotated[
        str,
        Meta(
            extra={"is": "database"},
            description="An SQLite file, beginning at this file's folder, or a `postgresql://` address.",
        ),
    ] = "signalpost.db"
    sources: Annotated[dict[str, Source], Meta(description="Where events come from, each under its name.")] = {}
    events: Annotated[
        dict[str, Any],
        Meta(
            description="The shop's event names -> canonical names; under `canonical`, event -> the one "
            "source that counts when several report it.",
        ),
    ] = {}
    identity: Annotated[Identity, Meta(description="How events are stitched to people.")] = field(default_factory=Identity)
    orders: Annotated[Orders, Meta(description="What makes two purchases the same order.")] = field(default_factory=Orders)
    gates: Annotated[tuple[Gate, ...], Meta(description="Rules that withhold signals, or count what they would withhold.")] = ()
    derived: Annotated[dict[str, Derived], Meta(description="Events made of a person's orders, such as `Second Purchase`.")] = {}
    holds: Annotated[
        dict[EventName, Duration],
        Meta(description="Event -> how long its signals wait for a cancellation, a refund or a fraud flag before they leave."),
    ] = {}
    repeats: Annotated[
        dict[EventName, Duration],
        Meta(description="Event -> window in which the same event of one person about the same product is one."),
    ] = {}
    rates: Annotated[
        dict[CurrencyCode, Amount],
        Meta(description="Currency -> what one unit is worth in the workspace's currency, where a platform does not take it."),
    ] = {}
    segments: Annotated[dict[str, Rule], Meta(description="Rules over people's histories; membership is exact in time.")] = {}
    tiers: Annotated[dict[str, Tiers], Meta(description="Sets of segments that must exclude one another.")] = {}
    value_tiers: Annotated[dict[str, ValueTiers], Meta(description="People in bands of what they are worth.")] = {}
    audiences: Annotated[tuple[Audience, ...], Meta(description="Segments kept in sync on destinations.")] = ()
    journeys: Annotated[dict[str, Journey], Meta(description="What the owned channels do, so that windows can be compared.")] = {}
    replenishment: Annotated[
        Duration | None, Meta(description="After how long a customer usually needs the product again, where that is known.")
    ] = None
    alerts: Annotated[Alerts, Meta(description="Who is told when something is wrong.")] = field(default_factory=Alerts)
    measurement: Annotated[Measurement, Meta(description="The measurement plan.")] = field(default_factory=Measurement)
    consent: Annotated[Consent, Meta(description="Where consent stands in an event.")] = field(default_factory=Consent)
    retention: Annotated[Retention, Meta(description="How long things are kept.")] = field(default_factory=Retention)
    destinations: Annotated[dict[str, Destination], Meta(description="Where conversions go, each under its name.")] = {}
    server: Annotated[Server, Meta(description="How Signalpost listens.")] = field(default_factory=Server)
    console: Annotated[Console, Meta(description="Who may come into the console.")] = field(default_factory=Console)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """The shop's event names -> canonical names, for `vocabulary.canonical`."""
        return {name: target for name, target in self.events.items() if isinstance(target, str)}

    @cached_property
    def counted_source(self) -> dict[str, str]:
        """Canonical event -> the one source that counts when several report it."""
        chosen = self.events.get("canonical")
        return dict(chosen) if isinstance(chosen, dict) else {}

    @cached_property
    def shown_database(self) -> str:
        """The database as it may be shown: an address without its password and options."""
        scheme, mark, rest = self.database.partition("://")
        if not mark:
            return self.database
        user, at, place = rest.partition("?")[0].rpartition("@")
        return f"{scheme}://{user.partition(':')[0]}{at}{place}"

    def __repr__(self) -> str:
        """Show no secret: a record may end up in a log."""
        return f"Workspace(workspace={self.workspace!r}, environment={self.environment!r})"
