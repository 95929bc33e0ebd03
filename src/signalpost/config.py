"""The workspace file: every option with its type, default and sentence. The only place that reads the environment."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Doc = Meta


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place events come from."""

    type: Literal["pipelines", "track", "shopify", "reporting", "files"]
    write_key: Annotated[str | None, Meta(description="pipelines: the key the clients send.")] = None
    site_id: Annotated[str | None, Meta(description="track: the site id (Basic user name).")] = None
    api_key: Annotated[str | None, Meta(description="track: the API key (Basic password).")] = None
    secret: Annotated[str | None, Meta(description="shopify, reporting: the signing secret.")] = None


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How events are stitched to people."""

    blocked: Annotated[tuple[str, ...], Meta(description="Identifier values that never name a person.")] = ()
    max_identifiers: Annotated[int, Meta(ge=2, description="A person with more identifiers than this of one kind takes no more.")] = 50
    merge_on: Annotated[tuple[str, ...], Meta(description="Kinds of identifier that may join two known people.")] = (
        "user_id", "cio_id", "email", "phone", "anonymous_id",
    )


class Retention(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long things are kept, in days."""

    journal: int = 30
    ledger: int = 400
    seen: int = 60
    people: int = 730


class Orders(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes two purchases the same order."""

    reused_after: Annotated[str, Meta(description="The same order id by another person this long after is a new order, not a duplicate.")] = "24h"


class Consent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where consent stands in an event, and what silence means."""

    advertising: Annotated[tuple[str, ...], Meta(description="Paths that say whether advertising is allowed (first present counts).")] = (
        "context.consent.categoryPreferences.Advertising",
        "context.consent.categoryPreferences.advertising",
        "context.consent.advertising",
        "properties.consent.advertising",
        "properties.advertising_consent",
    )
    limited_data_use: Annotated[tuple[str, ...], Meta(description="Paths that ask for limited data use.")] = (
        "context.consent.limited_data_use",
        "properties.limited_data_use",
        "context.limited_data_use",
    )
    unknown: Annotated[Literal["granted", "denied"], Meta(description="What it means when no path is present.")] = "granted"


class Destination(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configured account on a platform."""

    type: str
    settings: dict[str, str] = {}
    """The platform's own options (pixel, access_token, ...): in the file they stand beside the others."""
    events: Annotated[dict[str, str] | Literal["standard"], Meta(description="Canonical event -> platform event, or `standard`.")] = "standard"
    endpoint: Annotated[str | None, Meta(description="Another base address than the platform's own (an emulator).")] = None
    paused: bool = False
    test_code: Annotated[str | None, Meta(description="TikTok test_event_code; test workspaces need it.")] = None
    partner_name: str | None = None
    event_id: Annotated[tuple[str, ...], Meta(description="Paths of an id shared with the browser pixel (first present counts).")] = (
        "properties.event_id", "context.event_id",
    )
    batch: Annotated[int | None, Meta(ge=1, description="Events a request, below the platform's limit.")] = None
    linger: Annotated[str, Meta(description="How long a batch waits for company.")] = "50ms"
    connections: Annotated[int, Meta(ge=1, le=64, description="Requests in flight at once.")] = 4
    oldest: Annotated[str | None, Meta(description="Withhold events older than this (at most the platform's limit).")] = None
    properties: Annotated[dict[str, str], Meta(description="Extra properties: platform field -> path in the event.")] = {}


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How Signalpost listens."""

    host: str = "127.0.0.1"
    port: int = 8377
    tls_port: Annotated[int | None, Meta(description="Also offer TLS here (Customer.io's Track clients insist on it).")] = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    trusted_proxies: Annotated[tuple[str, ...], Meta(description="Networks whose X-Forwarded-For is believed.")] = ()
    public_url: Annotated[str | None, Meta(description="How browsers reach this server.")] = None


class Workspace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One brand in one environment."""

    workspace: Annotated[str, Meta(min_length=1, pattern="^[a-z0-9][a-z0-9_-]*$")]
    environment: Literal["production", "test"]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="What amounts without a currency are in.")]
    order_value: Annotated[Literal["gross", "net"], Meta(description="One definition of value for every platform.")]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", description="Completes national phone numbers.")]
    timezone: str = "UTC"
    database: Annotated[str, Meta(description="sqlite path beside the file, or a postgresql:// address.")] = "signalpost.db"
    sources: dict[str, Source] = {}
    events: Annotated[dict[str, Any], Meta(description="The shop's event names -> canonical names.")] = {}
    identity: Identity = field(default_factory=Identity)
    orders: Orders = field(default_factory=Orders)
    consent: Consent = field(default_factory=Consent)
    retention: Retention = field(default_factory=Retention)
    destinations: dict[str, Destination] = {}
    server: Server = field(default_factory=Server)
