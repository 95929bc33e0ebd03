"""Pinterest Conversions API (v5): names, fields, request and answers.

Facts from Pinterest's own description (pinterest/api-description, 5.23) and its guides on tracking conversions. A 200
may hold events that failed: the answer has one entry an event, in the order of the request.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from signalpost import normalize
from signalpost.destinations import pinterest_audiences, readers
from signalpost.destinations.answers import (
    all_alike,
    body_of,
    by_status,
    list_of,
    quoted,
    redacted,
    retry_after,
    split_or_refuse,
)
from signalpost.destinations.authorisation import App, Authorisation, Granted
from signalpost.destinations.contract import (
    Custom,
    Destination,
    Field,
    Heard,
    Limits,
    Outcome,
    Places,
    Quality,
    Request,
    Response,
    Setting,
    Told,
    View,
)
from signalpost.events import Person, Signal
from signalpost.mapping import matched

# ---------------------------------------------------------------------------------------------- names

EVENTS: Final = {
    "Order Completed": "checkout",
    "Checkout Started": "initiate_checkout",
    "Payment Info Entered": "add_payment_info",
    "Product Added": "add_to_cart",
    "Product Added to Wishlist": "add_to_wishlist",
    # Not page_visit: a shop's tracker reports the page and the product of one visit, and both would count.
    "Product Viewed": "view_content",
    "Product List Viewed": "view_category",
    "Products Searched": "search",
    "Page Viewed": "page_visit",
    "Signed Up": "signup",
    "Lead Generated": "lead",
    "Form Submitted": "lead",
    "Contact Made": "contact",
    "Location Searched": "find_location",
    "Product Customized": "customize_product",
    "Appointment Scheduled": "schedule",
    "Application Submitted": "submit_application",
    "Trial Started": "start_trial",
    "Subscription Started": "subscribe",
    "Video Watched": "watch_video",
    "Application Installed": "app_install",
    "Application Opened": "app_open",
    # Pinterest has one name for all events of one's own.
    "First Purchase": "custom",
    "Second Purchase": "custom",
    "Repeat Purchase": "custom",
}

EVENT_NAMES: Final = frozenset(
    {
        "add_payment_info",
        "add_to_cart",
        "add_to_wishlist",
        "app_install",
        "app_open",
        "checkout",
        "contact",
        "custom",
        "customize_product",
        "find_location",
        "initiate_checkout",
        "lead",
        "page_visit",
        "schedule",
        "search",
        "signup",
        "start_trial",
        "submit_application",
        "subscribe",
        "view_category",
        "view_content",
        "watch_video",
    }
)

# ---------------------------------------------------------------------------------------------- fields


def action_source(signal: Signal) -> str:
    """`app_ios` or `app_android` for events of an app, `offline` where the event says so, else `web`."""
    event = signal.event
    context = event.context
    if "device" in context and (event.kind == "screen" or "app" in context):
        device = context["device"]
        kind = device.get("type") if isinstance(device, dict) else None
        source = _APPS.get(kind.lower()) if isinstance(kind, str) else None
        if source is not None:
            return source
    return "offline" if event.properties.get("action_source") == "offline" else "web"


_APPS = {"ios": "app_ios", "android": "app_android"}


def opted_out(signal: Signal) -> bool | None:
    """True where an app's user has switched tracking off on the device."""
    device = signal.event.context.get("device")
    if device.__class__ is dict and device.get("adTrackingEnabled") is False:
        return True
    return None


def _parts_of(name: str, parts: Mapping[str, tuple[str, int]]) -> Any:
    def read(signal: Signal) -> dict[str, str] | None:
        context = signal.event.context
        if name not in context or action_source(signal)[:3] != "app":
            return None
        found = context[name]
        if found.__class__ is not dict:
            return None
        made = {}
        for theirs, (ours, longest) in parts.items():
            value = normalize.text(found.get(ours))
            if value is not None and len(value) <= longest:
                made[theirs] = value
        return made or None

    return read


def maids(signal: Signal) -> list[str] | None:
    """The mobile advertising ids' digests, Apple's first."""
    keys = signal.person.keys
    if "idfa" not in keys and "gaid" not in keys:
        return None
    return [*keys.get("idfa", ()), *keys.get("gaid", ())] or None


class Line(Struct, frozen=True, omit_defaults=True):
    """One product, in Pinterest's words; the parts of `contents` below say what each is."""

    id: str | None = None
    item_name: str | None = None
    item_category: str | None = None
    item_brand: str | None = None
    item_price: Decimal | None = None
    quantity: int | None = None


def contents(signal: Signal) -> list[Line] | None:
    """One line a product."""
    products = readers.cart(signal.order).products
    return [Line(item.id, item.name, item.category, item.brand, item.price, item.quantity) for item in products] or None


FIELDS: Final = (
    Field(path="event_name", read=readers.platform_event, doc="Pinterest's name of the event."),
    Field(
        path="action_source",
        read=action_source,
        doc="web; app_ios or app_android for events of an app (context.app with context.device.type); offline where "
        "properties.action_source says so.",
    ),
    Field(
        path="event_time",
        read=readers.time_in_seconds,
        doc="When it happened, Unix seconds; never later than when Signalpost received it.",
    ),
    Field(
        path="event_id",
        read=readers.event_id,
        doc="What Pinterest deduplicates on between this API and its tag: share it with the tag.",
    ),
    Field(
        path="event_source_url",
        read=readers.page_url,
        doc="The page's address, without e-mail addresses in it: context.page.url, properties.url or order_status_url.",
    ),
    Field(
        path="opt_out",
        read=opted_out,
        doc="true where context.device.adTrackingEnabled is false; otherwise not sent.",
    ),
    Field(
        path="partner_name",
        read=readers.nothing,
        setting="partner_name",
        doc="The destination's partner_name, in the form ss-name, if Pinterest has agreed one with you.",
    ),
    Field(path="language", read=readers.language, doc="The browser's language, two letters: context.locale."),
    Field(
        path="app_info",
        read=_parts_of(
            "app",
            {"app_id": ("namespace", 200), "app_name": ("name", 200), "app_version": ("version", 100)},
        ),
        doc="The app, for events of an app.",
        parts={
            "app_id": "context.app.namespace.",
            "app_name": "context.app.name.",
            "app_version": "context.app.version.",
        },
    ),
    Field(
        path="device_info",
        read=_parts_of(
            "device",
            {"brand": ("manufacturer", 100), "model": ("model", 100), "type": ("type", 100)},
        ),
        doc="The device, for events of an app.",
        parts={
            "brand": "context.device.manufacturer.",
            "model": "context.device.model.",
            "type": "context.device.type.",
        },
    ),
    matched("user_data.em", "email"),
    matched("user_data.ph", "phone_digits"),
    matched("user_data.external_id", "external_id"),
    matched("user_data.fn", "first_name_as_written", many=True),
    matched("user_data.ln", "last_name_as_written", many=True),
    matched("user_data.ge", "gender", many=True),
    matched("user_data.db", "birthday", many=True),
    matched("user_data.ct", "city_hashed", many=True),
    matched("user_data.st", "state_hashed", many=True),
    matched("user_data.zp", "zip", many=True),
    matched("user_data.country", "country_hashed", many=True),
    Field(
        path="user_data.hashed_maids",
        read=maids,
        hashed=True,
        person=True,
        doc="The mobile advertising ids: Apple's in upper case, Google's in lower case.",
    ),
    Field(
        path="user_data.click_id",
        read=readers.click("epik", days=365),
        doc="Pinterest's click id (epik, _epik), from a page's address, properties or context; kept for a year.",
    ),
    Field(
        path="user_data.partner_id",
        read=readers.said("partner_id"),
        doc="A partner's id of the visitor, such as a RampID: properties.partner_id.",
    ),
    Field(path="user_data.client_ip_address", read=readers.ip, doc="The person's public IP address: context.ip."),
    Field(
        path="user_data.client_user_agent",
        read=readers.user_agent,
        doc="The browser's own line: context.userAgent.",
    ),
    Field(path="custom_data.currency", read=readers.currency(), doc="The order's currency."),
    Field(
        path="custom_data.value",
        read=readers.value(),
        doc="The order value under the workspace's one definition, as text; only with a currency.",
    ),
    Field(path="custom_data.order_id", read=readers.order_id, doc="The order's number."),
    Field(path="custom_data.content_ids", read=readers.content_ids, doc="The products' ids, each once."),
    Field(
        path="custom_data.contents",
        read=contents,
        doc="One line a product; returns and discount lines are left out.",
        parts={
            "id": "The product's id, the same as in the catalogue.",
            "item_name": "The product's name.",
            "item_category": "The product's category.",
            "item_brand": "The product's brand.",
            "item_price": "The price of one unit, as text.",
            "quantity": "How many.",
        },
    ),
    Field(path="custom_data.num_items", read=readers.units, doc="The number of units of all products."),
    Field(
        path="custom_data.content_name",
        read=readers.only_item("name"),
        doc="The product's name, where there is exactly one.",
    ),
    Field(
        path="custom_data.content_category",
        read=readers.said("category", "content_category"),
        doc="The category: properties.category.",
    ),
    Field(
        path="custom_data.content_brand",
        read=readers.only_item("brand"),
        doc="The product's brand, where there is exactly one.",
    ),
    Field(
        path="custom_data.search_string",
        read=readers.searched,
        doc="What was searched for: properties.query, search_string, search_term or search.",
    ),
    Field(
        path="custom_data.opt_out_type",
        read=readers.limited("LDP"),
        doc="LDP for people who asked for limited data use; Pinterest applies it by the state and country sent.",
    ),
)

CUSTOM: Final = Custom(
    parent="custom_data",
    fields={
        "content_brand": normalize.text,
        "content_category": normalize.text,
        "content_ids": readers.texts,
        "content_name": normalize.text,
        "currency": lambda given: given if isinstance(given, str) and re.fullmatch("[A-Z]{3}", given) else None,
        "external_measurement_id": normalize.text,
        "external_measurement_vendor_id": readers.whole,
        "np": normalize.text,
        "num_items": readers.whole,
        "order_id": normalize.text,
        "predicted_ltv": readers.amount,
        "search_string": normalize.text,
        "value": readers.amount,
    },
    other=None,  # one unknown name, and Pinterest refuses the request (HTTP 400)
)


def identified(person: Person, signal: Signal) -> bool:
    """Pinterest's own rule: an e-mail, or a mobile advertising id, or IP address and user agent together."""
    keys = person.keys
    if "email" in keys or "idfa" in keys or "gaid" in keys:
        return True
    return readers.ip(signal) is not None and readers.user_agent(signal) is not None


def objection(signal: Signal, settings: Mapping[str, str]) -> tuple[str, str] | None:  # noqa: ARG001
    """Pinterest's own reason to withhold: its crawler's visits are no person's."""
    agent = signal.event.context.get("userAgent")
    if isinstance(agent, str) and "Pinterestbot" in agent:
        return "pinterest_crawler", "The visitor is Pinterest's own crawler."
    return None


# ---------------------------------------------------------------------------------------------- asking


def request(settings: dict[str, str], base: str, events: Sequence[bytes], test: bool) -> Request:
    """One request with up to 1,000 encoded events; in test mode Pinterest checks them and records nothing."""
    return Request(
        method="POST",
        url=f"{base.rstrip('/')}/v5/ad_accounts/{settings['ad_account']}/events{'?test=true' if test else ''}",
        headers={"authorization": f"Bearer {settings['access_token']}", "content-type": "application/json"},
        body=b"".join((b'{"data":[', b",".join(events), b"]}")),
    )


def check(settings: dict[str, str], base: str, now: int) -> Request:
    """One made-up event in test mode: a conversion token can be used for nothing else."""
    event = {
        "event_name": "custom",
        "action_source": "web",
        "event_time": now // 1000,
        "event_id": "signalpost-check",
        "user_data": {"em": [normalize.sha256("check@example.com")]},
    }
    return request(settings, base, [msgspec.json.encode(event)], True)


# ---------------------------------------------------------------------------------------------- answers

REFUSALS: Final = {
    4196: "Pinterest refused the event: a field is missing, unknown or has the wrong form.",
}
RETRIES: Final = {
    8: "Pinterest takes no more requests for the moment.",
    4197: "Pinterest has turned its event intake off for the moment.",
}
"""Pinterest did not look at the events."""

BLOCKS: Final = {
    2: "Pinterest does not accept the access token: make a new one in Ads Manager, Conversions.",
    3: "The access token lacks the permission to send events (ads:write).",
    29: "The access token may not send to this ad account: check the ad account's number and who made the token.",
}
"""Nothing can be sent until a person acts; the signals are kept. The codes count with HTTP 401, 403 and 404."""

_TRANSIENT = re.compile(r"try again|tempora|timed? ?out|internal (?:server )?error|unavailable", re.IGNORECASE)


def outcomes(response: Response, count: int) -> list[Outcome]:
    """One outcome an event, read from the answer's list; without a list, from code and status."""
    body = body_of(response)
    status = response.status
    code = body.get("code")
    said = body.get("message")
    if 200 <= status < 300 or status == 422:
        # Which of the two a partly refused batch comes with is not documented; both are read alike.
        listed = _listed(body)
        if listed is not None and len(listed) == count:
            return [_outcome(entry) for entry in listed]
        if status == 422:
            sentence = quoted("Pinterest did not process all events and does not say which.", said)
            return split_or_refuse(count, code=str(code or 422), sentence=sentence)
        return by_status("Pinterest", response, count, said)
    known = code if isinstance(code, int) and not isinstance(code, bool) else None
    if status in {401, 403, 404} and known in BLOCKS:
        return all_alike(Outcome(kind="blocked", code=str(known), sentence=quoted(BLOCKS[known], said), reached=False), count)
    if (status == 429 or status >= 500) and known in RETRIES:
        return all_alike(
            Outcome(kind="retry", code=str(known), sentence=RETRIES[known], after=retry_after(response), reached=False),
            count,
        )
    if status == 400 and known in REFUSALS:
        return split_or_refuse(count, code=str(known), sentence=quoted(REFUSALS[known], said))
    return by_status("Pinterest", response, count, said)


def _listed(body: Mapping[str, Any]) -> list[Any] | None:
    listed = body.get("events")
    if listed is None and isinstance(body.get("details"), dict):
        listed = body["details"].get("events")
    return listed if isinstance(listed, list) else None


def _outcome(entry: Any) -> Outcome:
    said = entry if isinstance(entry, dict) else {}
    error = said.get("error_message")
    warning = said.get("warning_message")
    match said.get("status"):
        case "processed" if error or warning:
            sentence = quoted("Pinterest took the event with a remark.", warning or error)
            return Outcome(kind="warned", code="processed", sentence=sentence)
        case "processed":
            return Outcome(kind="accepted", code="processed", sentence="Pinterest took the event.")
        case "failed" if isinstance(error, str) and _TRANSIENT.search(error):
            sentence = quoted("Pinterest could not process the event for the moment.", error)
            return Outcome(kind="retry", code="failed", sentence=sentence)
        case "failed":
            return Outcome(kind="refused", code="failed", sentence=quoted("Pinterest refused the event.", error))
    return Outcome(kind="retry", code="unreadable", sentence="Pinterest's answer for the event is unreadable.")


def explain_check(response: Response) -> tuple[bool, str]:
    """Whether the credentials work, and a sentence that says what to do when not."""
    found = outcomes(response, 1)[0]
    if found.kind in {"accepted", "warned"}:
        return True, "The access token may send to this ad account."
    return False, f"{found.sentence} ({found.code})"


# ---------------------------------------------------------------------------------------------- what it received


def event_quality_score(settings: Mapping[str, str], base: str, now: int) -> Generator[Request, Response, Heard]:
    """Ask for the Event Quality Score over one day and over 14: `GET /ad_accounts/{id}/conversion_eqs`.

    The status is one of each platform and way in, not of each event; coverage is of each event. Pinterest tells no counts.
    """
    found: dict[str, list[Quality]] = {}
    for lookback in ("1d", "14d"):
        answer = yield Request(
            method="GET",
            url=f"{base.rstrip('/')}/v5/ad_accounts/{settings['ad_account']}/conversion_eqs?lookback_period={lookback}",
            headers={"authorization": f"Bearer {settings.get('reading_token') or settings['access_token']}"},
        )
        listed = list_of(answer)
        if answer.status != 200 or listed is None:
            return _unheard(answer)
        for entry in listed:
            for name, quality in _qualities(entry, lookback):
                found.setdefault(name, []).append(quality)
    day = f"{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d}"
    told = tuple(Told(name=name, day=day, value=tuple(each)) for name, each in found.items())
    if not told:
        return Heard(state="told", sentence="Pinterest has no Event Quality Score of this account yet.")
    return Heard(state="told", sentence="Pinterest tells its Event Quality Score.", told=told)


def _qualities(entry: Any, lookback: str) -> Iterator[tuple[str, Quality]]:
    """(event, its score) of one entry: one platform and one way in."""
    components = entry.get("quality_components") if isinstance(entry, dict) else None
    if not isinstance(components, dict):
        return
    coverage: dict[str, dict[str, float]] = {}
    overlap: dict[str, float] = {}
    issues: dict[str, list[str]] = {}
    for component, events in components.items():
        for written, said in events.items() if isinstance(events, dict) else ():
            name = written.lower()
            share = _percent(said.get("coverage")) if isinstance(said, dict) else None
            if share is None:
                continue
            coverage.setdefault(name, {})[component] = share
            both = _percent(said.get("overlap"))
            if both is not None:
                overlap[name] = both
            listed = said.get("issues")
            for issue in listed if isinstance(listed, list) else ():
                words = redacted(issue.get("reason")) or redacted(issue.get("name")) if isinstance(issue, dict) else ""
                if words:
                    issues.setdefault(name, []).append(f"{component}: {words}")
    for name, shares in coverage.items():
        yield (
            name,
            Quality(
                lookback=lookback,
                platform=redacted(entry.get("source_platform")),
                ingestion=redacted(entry.get("ingestion_source")),
                status=redacted(entry.get("overall_status")),
                coverage=shares,
                overlap=overlap.get(name),
                issues=tuple(issues.get(name, ())),
            ),
        )


def _percent(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 100 else None


def _unheard(answer: Response) -> Heard:
    """Why this answer tells no score. A conversion token is refused with 401 or 403 and is good for sending all the same."""
    if answer.status in {401, 403}:
        return Heard(
            state="not_allowed",
            sentence="Pinterest tells its Event Quality Score only to an access token with the scope ads:read and a role in the "
            "ad account; a conversion token made in Ads Manager has not that scope. Put such a token into `reading_token`, "
            f"or leave it: it is optional, sending does not need it. (HTTP {answer.status})",
        )
    found = by_status("Pinterest", answer, 1, body_of(answer).get("message"))[0]
    return Heard(state="failed", sentence=f"Pinterest did not tell its Event Quality Score. {found.sentence}")


HOUR = 3_600_000
DAY = 24 * HOUR

# ---------------------------------------------------------------------------------------------- connecting

SCOPES: Final = ("ads:read", "ads:write")


def _page(base: str, app: App, redirect: str, state: str) -> str:
    asked = {
        "client_id": app.id,
        "redirect_uri": redirect,
        "response_type": "code",
        "scope": ",".join(SCOPES),
        "state": state,
    }
    return f"{base}/oauth/?{urlencode(asked)}"


def _token(base: str, app: App, **form: str) -> Request:
    basic = base64.b64encode(f"{app.id}:{app.secret}".encode()).decode()
    return Request(
        method="POST",
        url=f"{base}/v5/oauth/token",
        headers={"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
    )


def _exchange(base: str, app: App, code: str, redirect: str) -> Request:
    # continuous_refresh: apps of before 2025-09-25 get a refresh token that can be renewed without end only so.
    return _token(base, app, grant_type="authorization_code", code=code, redirect_uri=redirect, continuous_refresh="true")


def _renew(base: str, app: App, renews: str) -> Request:
    return _token(base, app, grant_type="refresh_token", refresh_token=renews)


def _granted(response: Response, now: int) -> Granted | str:
    body = body_of(response)
    if response.status in {200, 201} and isinstance(body.get("access_token"), str):
        lasts, renews, renewable = body.get("expires_in"), body.get("refresh_token"), body.get("refresh_token_expires_in")
        scopes = tuple(str(body.get("scope") or "").replace(",", " ").split())
        if scopes and (missing := [each for each in SCOPES if each not in scopes]):
            return f"Pinterest gave a token without {' and '.join(missing)}: allow both when its page asks, and connect again."
        return Granted(
            token=body["access_token"],
            until=now + lasts * 1000 if isinstance(lasts, int) else None,
            renews=renews if isinstance(renews, str) else "",
            renews_until=now + renewable * 1000 if isinstance(renewable, int) else None,
            scopes=scopes,
        )
    if response.status == 401:
        return "Pinterest does not know this app and secret: compare both with the app's page at developers.pinterest.com."
    if response.status in {400, 403}:
        return (
            "Pinterest does not take this code any more, or the redirect address is not the app's: compare it, and connect again."
        )
    return f"Pinterest gave no token (HTTP {response.status})."


AUTHORISATION: Final = Authorisation(
    app_id="PINTEREST_APP_ID",
    app_secret="PINTEREST_APP_SECRET",  # noqa: S106  (the variable's name)
    doc="Make an app at developers.pinterest.com, My apps, and enter the address below as its redirect address. Its page shows "
    "app id and secret. With trial access Pinterest takes 1,000 events a day from it: for events a conversion token made in Ads "
    "Manager is better, for audiences this one is needed.",
    lasts="It ends after 30 days and is renewed here, for as long as somebody renews it at least every 60 days.",
    code="code",
    default_page="https://www.pinterest.com",
    page=_page,
    exchange=_exchange,
    renew=_renew,
    granted=_granted,
)


destination: Final = Destination(
    name="pinterest",
    title="Pinterest",
    settings=(
        Setting(name="ad_account", doc="The ad account's number (digits, at most 18)."),
        Setting(
            name="access_token",
            doc="Ads Manager, Conversions, Set up API, Generate new token; it starts with pina_.",
            secret=True,
        ),
        Setting(
            name="reading_token",
            doc="A token with the scope ads:read, only to ask for the Event Quality Score; without it `access_token` asks.",
            secret=True,
            required=False,
        ),
        Setting(
            name="audience_token",
            doc="An OAuth access token with the scopes ads:read and ads:write, for audiences; without it `reading_token` is "
            "used, else `access_token`, which a conversion token made in Ads Manager is not good for.",
            secret=True,
            required=False,
        ),
    ),
    authorisation=AUTHORISATION,
    default_base="https://api.pinterest.com",
    events=EVENTS,
    event_names=EVENT_NAMES,
    custom_events=False,
    fields=FIELDS,
    custom=CUSTOM,
    amounts="text",
    # Pinterest lists currencies of ad accounts, but an event's currency is any ISO 4217 code.
    currencies=None,
    limits=Limits(
        batch=1_000,
        requests_per_second=83,  # 5,000 a minute and ad account
        # A third party's figure; Pinterest says only that events older than an hour count as offline.
        oldest_ms=7 * DAY,
        oldest_possible_ms=7 * DAY,
        future_ms=HOUR // 6,
        # Pinterest publishes no window. Segment's documentation says 24 hours.
        dedupe_ms=24 * HOUR,
    ),
    purchase="checkout",
    identified=identified,
    identifier_hint="Pinterest needs an e-mail, a mobile advertising id, or IP address and user agent together; a phone, "
    "an external id or a click id alone is not enough.",
    objection=objection,
    request=request,
    outcomes=outcomes,
    check=check,
    explain_check=explain_check,
    places=Places(
        name="event_name",
        event_id="event_id",
        time="event_time",
        order_id="custom_data.order_id",
        value="custom_data.value",
        currency="custom_data.currency",
        items="custom_data.contents",
    ),
    answer_says="Pinterest answers for each event whether it was processed and repeats nothing of it, so what is compared is "
    "the request it answered. Of a test event it stores nothing.",
    views=(
        View(
            what="event_quality_score",
            doc="Pinterest's Event Quality Score over one and over 14 days; it takes an access token with the scope ads:read, "
            "which a conversion token made in Ads Manager has not.",
            ask=event_quality_score,
        ),
    ),
    audience=pinterest_audiences.audience,
)
