"""TikTok Events API ("2.0", carried on v1.3): names, fields, request and answers.

Facts from TikTok's portal: report events (1771101303285761), parameters (1771101151059969), supported events
(1771101186666498). `/event/track/` answers HTTP 200 to nearly everything: the body's `code` decides.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from signalpost import normalize
from signalpost.destinations import readers, tiktok_audiences
from signalpost.destinations.answers import all_alike, body_of, by_status, counted, quoted, retry_after, split_or_refuse
from signalpost.destinations.authorisation import App, Authorisation, Granted
from signalpost.destinations.contract import (
    Counted,
    Custom,
    Destination,
    Field,
    Heard,
    Limits,
    Outcome,
    Places,
    Request,
    Response,
    Setting,
    Told,
    View,
)
from signalpost.destinations.tiktok_codes import BLOCKS, MAY_NOT, RETRIES, TROUBLES
from signalpost.errors import ConfigError
from signalpost.events import Person, Signal
from signalpost.mapping import matched

# ---------------------------------------------------------------------------------------------- names

EVENTS: Final = {
    "Order Completed": "Purchase",
    "Checkout Started": "InitiateCheckout",
    "Payment Info Entered": "AddPaymentInfo",
    "Product Added": "AddToCart",
    "Product Added to Wishlist": "AddToWishlist",
    "Product Viewed": "ViewContent",
    "Products Searched": "Search",
    "Page Viewed": "PageView",
    "Signed Up": "CompleteRegistration",
    "Lead Generated": "Lead",
    "Form Submitted": "Lead",
    "Contact Made": "Contact",
    "Download Link Clicked": "Download",
    "Location Searched": "FindLocation",
    "Product Customized": "CustomizeProduct",
    "Appointment Scheduled": "Schedule",
    "Application Submitted": "SubmitApplication",
    "Application Approved": "ApplicationApproval",
    "Trial Started": "StartTrial",
    "Subscription Started": "Subscribe",
    # Own names of ours: TikTok reports custom events and builds audiences of them, but does not optimise for them.
    "First Purchase": "FirstPurchase",
    "Second Purchase": "SecondPurchase",
    "Repeat Purchase": "RepeatPurchase",
}

EVENT_NAMES: Final = frozenset(
    {
        "AddPaymentInfo",
        "AddToCart",
        "AddToWishlist",
        "ApplicationApproval",
        "CompleteRegistration",
        "Contact",
        "CustomizeProduct",
        "Download",
        "FindLocation",
        "InitiateCheckout",
        "Lead",
        # TikTok's help page writes PageView, its own tag manager template Pageview; it does not say which deduplicates.
        "PageView",
        "Purchase",
        "Schedule",
        "Search",
        "StartTrial",
        "SubmitApplication",
        "Subscribe",
        "ViewContent",
        # Renamed or retired in May 2025, still taken.
        "ClickButton",
        "CompletePayment",
        "PlaceAnOrder",
        "SubmitForm",
    }
)

# TikTok lists what it takes; on another code it says nothing, so amounts in one are not sent (BUB track.go).
_CURRENCIES = """
    AED ARS AUD BDT BHD BIF BOB BRL CAD CHF CLP CNY COP CRC CZK DKK DZD EGP EUR GBP GTQ HKD HNL HUF IDR ILS INR
    ISK JPY KES KHR KRW KWD KZT MAD MOP MXN MYR NGN NIO NOK NZD OMR PEN PHP PKR PLN PYG QAR RON RUB SAR SEK SGD
    THB TRY TWD UAH USD VES VND ZAR
"""
CURRENCIES: Final = frozenset(_CURRENCIES.split())

# ---------------------------------------------------------------------------------------------- fields


def customer_type(signal: Signal) -> str | None:
    """`new` or `returning`: as the event says, as the person's orders say, or as the derived event's name implies."""
    return _said_customer_type(signal) or signal.customer_type or _IMPLIED.get(signal.name)


_said_customer_type = readers.one_of("customer_type", frozenset({"new", "returning"}))
_IMPLIED = {"First Purchase": "new", "Second Purchase": "returning", "Repeat Purchase": "returning"}


def content_type(signal: Signal) -> str | None:
    """`product`, unless the event says `product_group`; only with products' ids."""
    return (_said_content_type(signal) or "product") if readers.cart(signal.order).ids else None


_said_content_type = readers.one_of("content_type", frozenset({"product", "product_group"}))


def website(given: object) -> str | None:
    """The shop's address as a page address; `https://` is added where it is missing."""
    written = normalize.text(given)
    return normalize.url(written) or (normalize.url(f"https://{written}") if written and "://" not in written else None)


class Line(Struct, frozen=True, omit_defaults=True):
    """One product, in TikTok's words; the parts of `contents` below say what each is."""

    content_id: str | None = None
    content_name: str | None = None
    content_category: str | None = None
    brand: str | None = None
    price: Decimal | None = None
    quantity: int | None = None


def contents(signal: Signal) -> list[Line] | None:
    """One line a product."""
    products = readers.cart(signal.order).products
    return [Line(item.id, item.name, item.category, item.brand, item.price, item.quantity) for item in products] or None


FIELDS: Final = (
    Field(path="event", read=readers.platform_event, doc="TikTok's name of the event."),
    Field(
        path="event_time",
        read=readers.time_in_seconds,
        doc="When it happened, Unix seconds; never later than when Signalpost received it.",
    ),
    Field(
        path="event_id",
        read=readers.event_id,
        doc="What TikTok deduplicates on, together with the event's name: share it with the pixel.",
    ),
    Field(
        path="limited_data_use",
        read=readers.limited(True),
        doc="Sent for people who asked for limited data use; TikTok needs a public IP address with it.",
    ),
    matched("user.email", "email"),
    matched("user.phone", "phone"),
    matched("user.external_id", "external_id"),
    matched("user.first_name", "first_name"),
    matched("user.last_name", "last_name"),
    matched("user.city", "city"),
    matched("user.state", "state"),
    matched("user.zip_code", "zip"),
    matched("user.country", "country"),
    Field(
        path="user.ttclid",
        read=readers.click("ttclid", days=28),
        doc="TikTok's click id, from a page's address, properties or context; kept with the person for 28 days.",
    ),
    Field(
        path="user.ttp",
        read=readers.click("ttp", days=400),
        doc="The pixel's _ttp cookie, from properties or context; kept with the person for 13 months.",
    ),
    Field(path="user.ip", read=readers.ip, doc="The person's public IP address: context.ip."),
    Field(path="user.user_agent", read=readers.user_agent, doc="The browser's own line: context.userAgent."),
    Field(path="user.locale", read=readers.locale, doc="The browser's locale, such as en-GB: context.locale."),
    Field(
        path="page.url",
        read=readers.page_url,
        setting="website",
        clean_setting=website,
        doc="The page's address, without e-mail addresses in it: context.page.url, properties.url or "
        "order_status_url, else the destination's website.",
    ),
    Field(path="page.referrer", read=readers.referrer, doc="Where the visitor came from: context.page.referrer."),
    Field(
        path="properties.contents",
        read=contents,
        doc="One line a product; returns and discount lines are left out.",
        parts={
            "content_id": "The product's id, the same as in the catalogue.",
            "content_name": "The product's name.",
            "content_category": "The product's category.",
            "brand": "The product's brand.",
            "price": "The price of one unit.",
            "quantity": "How many.",
        },
    ),
    Field(path="properties.content_ids", read=readers.content_ids, doc="The products' ids, each once."),
    Field(
        path="properties.content_type",
        read=content_type,
        doc="product, or product_group where properties.content_type says so.",
    ),
    Field(
        path="properties.currency",
        read=readers.currency(CURRENCIES),
        doc="The order's currency, if TikTok lists it.",
    ),
    Field(
        path="properties.value",
        read=readers.value(CURRENCIES),
        doc="The order value under the workspace's one definition, an exact number; only with a currency.",
    ),
    Field(path="properties.num_items", read=readers.units, doc="The number of units of all products."),
    Field(path="properties.order_id", read=readers.order_id, doc="The order's number."),
    Field(
        path="properties.search_string",
        read=readers.searched,
        doc="What was searched for: properties.query, search_string, search_term or search.",
    ),
    Field(path="properties.description", read=readers.said("description"), doc="properties.description."),
    Field(path="properties.shop_id", read=readers.said("shop_id"), doc="properties.shop_id."),
    Field(
        path="properties.customer_type",
        read=customer_type,
        doc="new or returning: properties.customer_type, the person's orders (`orders.customer_type`), or what the names "
        "First, Second and Repeat Purchase imply.",
    ),
    Field(
        path="properties.delivery_category",
        read=readers.one_of("delivery_category", frozenset({"in_store", "curbside", "home_delivery"})),
        doc="in_store, curbside or home_delivery: properties.delivery_category.",
    ),
)

CUSTOM: Final = Custom(
    parent="properties",
    fields={
        "content_ids": readers.texts,
        "content_type": readers.word("product", "product_group"),
        "currency": readers.word(*CURRENCIES),
        "customer_type": readers.word("new", "returning"),
        "num_items": readers.whole,
        "value": readers.amount,
    },
    other=readers.scalar,  # TikTok takes names it does not know, and ignores them
)


def identified(person: Person, signal: Signal) -> bool:
    """Whether there is anything TikTok can match: a key of the person, a click id, or IP address and user agent."""
    keys = person.keys
    if "email" in keys or "phone" in keys or "external_id" in keys:
        return True
    if _ttclid(signal) or _ttp(signal):
        return True
    return readers.ip(signal) is not None and readers.user_agent(signal) is not None


_ttclid = readers.click("ttclid", days=28)
_ttp = readers.click("ttp", days=400)


def objection(signal: Signal, settings: Mapping[str, str]) -> tuple[str, str] | None:
    """TikTok's own reasons to withhold: no page address, or limited data use without a public IP address."""
    if signal.limited and readers.ip(signal) is None:
        return (
            "limited_without_ip",
            "The person asked for limited data use, which TikTok honours only with a public IP address; the event has none.",
        )
    if readers.page_url(signal) is None and website(settings.get("website")) is None:
        return (
            "no_page_url",
            "TikTok wants a page address on every web event; set the destination's website for events that have none.",
        )
    return None


# ---------------------------------------------------------------------------------------------- asking


def request(settings: dict[str, str], base: str, events: Sequence[bytes], test: bool) -> Request:
    """One request with up to 1,000 encoded events; in test mode they show only in the Test Events tab.

    Raises `ConfigError` in test mode without a `test_code`: such events would count as real ones.
    """
    envelope = [b'{"event_source":"web","event_source_id":', _text(settings["pixel"])]
    if test:
        if not settings.get("test_code"):
            raise ConfigError(("tiktok: test events need test_code (Events Manager, Test Events)",))
        envelope += [b',"test_event_code":', _text(settings["test_code"])]
    if settings.get("partner_name"):
        envelope += [b',"partner_name":', _text(settings["partner_name"])]
    envelope += [b',"data":[', b",".join(events), b"]}"]
    return Request(
        method="POST",
        url=f"{base.rstrip('/')}/open_api/v1.3/event/track/",  # without the trailing slash it is a 404
        headers=_headers(settings),
        body=b"".join(envelope),
    )


def _headers(settings: Mapping[str, str]) -> dict[str, str]:
    return {"access-token": settings["access_token"], "content-type": "application/json"}


_text = msgspec.json.encode


def check(settings: dict[str, str], base: str, now: int) -> Request:  # noqa: ARG001
    """With an advertiser: look the pixel up. Without: an event without a time, which TikTok must refuse as such."""
    if settings.get("advertiser") and not settings.get("reading_token"):
        return _pixel(settings, base)
    # A token made in Events Manager may send events and nothing else, so nothing harmless can be asked with it.
    # An event that cannot be taken tells all the same: 40105 bad token, 40001 no rights, 40002 token and pixel are good.
    body = msgspec.json.encode(
        {
            "event_source": "web",
            "event_source_id": settings["pixel"],
            "test_event_code": settings.get("test_code") or "TEST00000",
            "data": [{"event": "Signalpost check", "user": {}, "page": {"url": "https://example.com/"}}],
        }
    )
    return Request(method="POST", url=f"{base.rstrip('/')}/open_api/v1.3/event/track/", headers=_headers(settings), body=body)


def _pixel(settings: Mapping[str, str], base: str) -> Request:
    return _get(settings, base, "pixel/list/", {"advertiser_id": settings["advertiser"], "code": settings["pixel"]})


def _get(settings: Mapping[str, str], base: str, path: str, query: Mapping[str, str]) -> Request:
    return Request(
        method="GET",
        url=f"{base.rstrip('/')}/open_api/v1.3/{path}?{urlencode(query)}",
        headers={"access-token": settings.get("reading_token") or settings["access_token"]},
    )


# ---------------------------------------------------------------------------------------------- answers

REFUSALS: Final = {
    40000: "TikTok refused the event as malformed.",
    40002: "TikTok refused the event: a field is missing or has the wrong form.",
    40011: "TikTok takes fewer events at once.",
    40061: "TikTok takes fewer events at once.",
    40062: "TikTok says that a personal value was not hashed.",
}
"""One bad event makes TikTok refuse the whole batch, so a batch is halved until the bad one stands alone."""

DUPLICATE: Final = 40050
PARTIAL: Final = 20001


def outcomes(response: Response, count: int) -> list[Outcome]:
    """One outcome an event. TikTok answers for the batch as a whole, by `code`, with HTTP 200 even for refusals."""
    body = body_of(response)
    code = body.get("code")
    said = body.get("message")
    if response.status >= 500 or response.status in {408, 429} or isinstance(code, bool) or not isinstance(code, int):
        return by_status("TikTok", response, count, said)
    name = str(code)
    if code == 0:
        if 200 <= response.status < 300:
            return all_alike(Outcome(kind="accepted", code=name, sentence="TikTok took the event."), count)
        return by_status("TikTok", response, count, said)
    if code == PARTIAL:
        # TikTok took some of the events and does not say which. Asked again in halves, with the same event ids inside
        # its 48 hours, it drops what it has and names the bad one in the end: the one that is never wholly taken alone.
        sentence = quoted("TikTok took only a part and does not say which.", said)
        return split_or_refuse(count, code=name, sentence=sentence)
    if code == DUPLICATE:
        return all_alike(Outcome(kind="warned", code=name, sentence="TikTok already has this request."), count)
    if code in {40101, 40102} and "frequen" in str(said).lower():  # an older meaning of these two, still seen
        return all_alike(
            Outcome(kind="retry", code=name, sentence=RETRIES[40100], after=retry_after(response), reached=False), count
        )
    if code in RETRIES:
        return all_alike(
            Outcome(kind="retry", code=name, sentence=RETRIES[code], after=retry_after(response), reached=False), count
        )
    if code in TROUBLES or 50000 <= code <= 59999:
        sentence = quoted(TROUBLES.get(code, "TikTok has trouble of its own."), said)
        return all_alike(Outcome(kind="retry", code=name, sentence=sentence, after=retry_after(response)), count)
    if code in BLOCKS:
        return all_alike(Outcome(kind="blocked", code=name, sentence=quoted(BLOCKS[code], said), reached=False), count)
    sentence = quoted(REFUSALS.get(code, "TikTok refused the event with a code we do not know."), said)
    return split_or_refuse(count, code=name, sentence=sentence)


def explain_check(response: Response) -> tuple[bool, str]:
    """Whether the credentials work, and a sentence that says what to do when not."""
    body = body_of(response)
    code = body.get("code")
    if isinstance(code, int) and not isinstance(code, bool):
        if code == 0:
            data = body.get("data")
            pixels = data.get("pixels") if isinstance(data, dict) else None
            if pixels == []:
                return False, "The access token works, but this advertiser has no such pixel: check the pixel code."
            return True, "The access token may send to this pixel."
        if code == 40002 and response.status < 500:
            return True, "The access token may send to this pixel (TikTok refused an event without a time, as it should)."
        if code == 40001:
            return False, f"{BLOCKS[code]} A token made in Events Manager can be checked only without `advertiser`."
    found = outcomes(response, 1)[0]
    return found.kind in {"accepted", "warned"}, f"{found.sentence} ({found.code})"


# ---------------------------------------------------------------------------------------------- what it received

HOUR = 3_600_000
DAY = 24 * HOUR

DAYS_ASKED: Final = 3
"""Today and the two days before it: TikTok counts with a delay and sets its figures right once a day, at 12:00 UTC."""

TYPES: Final = {
    "SHOPPING": "Purchase",
    "ON_WEB_ORDER": "PlaceAnOrder",
    "INITIATE_ORDER": "InitiateCheckout",
    "ADD_BILLING": "AddPaymentInfo",
    "ON_WEB_CART": "AddToCart",
    "ON_WEB_ADD_TO_WISHLIST": "AddToWishlist",
    "ON_WEB_DETAIL": "ViewContent",
    "ON_WEB_REGISTER": "CompleteRegistration",
    "ON_WEB_SEARCH": "Search",
    "ON_WEB_SUBSCRIBE": "Subscribe",
    "FORM": "Lead",
    "CONSULT": "Contact",
    "DOWNLOAD_START": "Download",
    "BUTTON": "ClickButton",
}
"""What the statistics call an event (the names of ad creation) -> what events are called when sent."""

_SPELT: Final = {name.upper(): name for name in EVENT_NAMES}


def _event_of(row: Mapping[str, Any]) -> str | None:
    """The event's name as it is sent: the type of a standard event, or the custom name; None for a row without either."""
    kind, own = row.get("pixel_event_type"), row.get("custom_event_type")
    if isinstance(kind, str) and kind:
        return TYPES.get(kind) or _SPELT.get(kind.replace("_", "").upper()) or kind
    return own if isinstance(own, str) and own else None


def received(settings: Mapping[str, str], base: str, now: int) -> Generator[Request, Response, Heard]:
    """Ask for the events TikTok received, by day and by who told it: `GET /pixel/event/stats/` (1740858904557570).

    The statistics know the pixel by its number, so the number is looked up by its code first. Whether server counts are
    before or after deduplication is not documented.
    """
    if not settings.get("advertiser"):
        return Heard(state="not_allowed", sentence=f"TikTok was not asked what it received: {_NEEDED}")
    answer = yield _pixel(settings, base)
    wrong = _unheard(answer)
    if wrong is not None:
        return wrong
    pixels = _rows(answer, "pixels")
    pixel = next((str(row.get("pixel_id")) for row in pixels if row.get("pixel_code") == settings["pixel"]), None)
    if pixel is None:
        return Heard(state="failed", sentence="This advertiser has no such pixel: check the options `pixel` and `advertiser`.")
    told: list[Told] = []
    for ago in range(DAYS_ASKED):
        day = f"{datetime.fromtimestamp((now - ago * DAY) / 1000, UTC):%Y-%m-%d}"
        query = {
            "advertiser_id": settings["advertiser"],
            "pixel_ids": msgspec.json.encode([pixel]).decode(),
            "date_range": msgspec.json.encode({"start_date": day, "end_date": day}).decode(),
        }
        answer = yield _get(settings, base, "pixel/event/stats/", query)
        wrong = _unheard(answer)
        if wrong is not None:
            return Heard(state=wrong.state, sentence=wrong.sentence, told=tuple(told))
        told += _counts(answer, pixel, day)
    return Heard(state="told", sentence="TikTok tells how many events it received, by day and by who told it.", told=tuple(told))


def _rows(answer: Response, name: str) -> list[dict[str, Any]]:
    data = body_of(answer).get("data")
    rows = data.get(name) if isinstance(data, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _counts(answer: Response, pixel: str, day: str) -> list[Told]:
    """The counts of one pixel on one day, one row an event: the old and the new name of one event are one event."""
    sums: dict[str, Counted] = {}
    for one in _rows(answer, "list"):
        rows = one.get("statistics")
        if str(one.get("pixel_id")) != pixel or not isinstance(rows, list):
            continue
        for row in rows:
            name = _event_of(row) if isinstance(row, dict) else None
            if name is None:
                continue
            before = sums.get(name, Counted())
            sums[name] = Counted(
                server=_sum(before.server, counted(row.get("server_event_total_count"))),
                browser=_sum(before.browser, counted(row.get("browser_event_total_count"))),
                total=_sum(before.total, counted(row.get("total_count"))),
            )
    return [Told(name=name, day=day, value=value) for name, value in sums.items()]


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)


_NEEDED: Final = (
    "that takes the option `advertiser` and a developer app's access token with the permission Pixel Management "
    "(Pixel Level Reporting), as `access_token` or as `reading_token`. It is optional; sending does not need it."
)


def _unheard(answer: Response) -> Heard | None:
    """Why this answer tells nothing; None when it tells."""
    code = body_of(answer).get("code")
    if answer.status == 200 and code == 0 and not isinstance(code, bool):
        return None
    found = outcomes(answer, 1)[0]
    if isinstance(code, int) and code in MAY_NOT:
        return Heard(state="not_allowed", sentence=f"TikTok does not tell this access token what it received ({code}): {_NEEDED}")
    if found.kind in {"accepted", "warned"} or answer.status == 404:
        return Heard(state="failed", sentence=f"TikTok answered with something unreadable (HTTP {answer.status}).")
    return Heard(state="failed", sentence=quoted(f"TikTok did not tell what it received ({found.code}).", found.sentence))


# ---------------------------------------------------------------------------------------------- connecting


def _page(base: str, app: App, redirect: str, state: str) -> str:
    return f"{base}/portal/auth?{urlencode({'app_id': app.id, 'state': state, 'redirect_uri': redirect})}"


def _exchange(base: str, app: App, code: str, redirect: str) -> Request:  # noqa: ARG001  (TikTok asks for it only on its page)
    return Request(
        method="POST",
        url=f"{base}/open_api/v1.3/oauth2/access_token/",
        headers={"content-type": "application/json"},
        body=msgspec.json.encode({"app_id": app.id, "secret": app.secret, "auth_code": code, "return_advertiser_ids": True}),
    )


def _granted(response: Response, now: int) -> Granted | str:  # noqa: ARG001  (the token ends only when it is revoked)
    body = body_of(response)
    data = body.get("data")
    if body.get("code") == 0 and isinstance(data, dict) and isinstance(data.get("access_token"), str):
        accounts, scopes = data.get("advertiser_ids"), data.get("scope")
        return Granted(
            token=data["access_token"],
            accounts=tuple(map(str, accounts)) if isinstance(accounts, list) else (),
            scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else (),
        )
    code = body.get("code")
    if code == 40110:
        return "TikTok does not take this code any more: it is good once and for an hour. Connect again."
    if code in {40001, 40002, 40101, 40124, 40125}:
        return "TikTok does not know this app and secret: compare both with the app's page in TikTok's API portal."
    return f"TikTok gave no token (HTTP {response.status}{'' if code is None else f', code {code}'})."


AUTHORISATION: Final = Authorisation(
    app_id="TIKTOK_APP_ID",
    app_secret="TIKTOK_APP_SECRET",  # noqa: S106  (the variable's name)
    doc="Make a developer app in TikTok's API portal (business-api.tiktok.com, My Apps) with the scopes Measurement, Pixel "
    "Management and Audience Management, and enter the address below as its redirect address. Its page shows app id and secret.",
    lasts="It does not end by itself; TikTok ends it when somebody revokes the app.",
    code="auth_code",
    default_page="https://business-api.tiktok.com",
    page=_page,
    exchange=_exchange,
    renew=None,
    granted=_granted,
    account="advertiser",
)


destination: Final = Destination(
    name="tiktok",
    title="TikTok",
    settings=(
        Setting(name="pixel", doc="The pixel's code, such as C4A1B2C3D4E5F6G7H8I9 (not its numeric id)."),
        Setting(
            name="access_token",
            doc="Events Manager, the pixel, Settings, Generate Access Token.",
            secret=True,
        ),
        Setting(
            name="website",
            doc="The shop's address, sent as page address with events that have none (TikTok wants one).",
            required=False,
        ),
        Setting(
            name="advertiser",
            doc="The advertiser's id: lets `check` look the pixel up, and Signalpost ask what TikTok received, when the "
            "token belongs to a developer app. Audiences need it.",
            required=False,
        ),
        Setting(
            name="reading_token",
            doc="A developer app's token with Pixel Management, only to ask what TikTok received; without it "
            "`access_token` asks.",
            secret=True,
            required=False,
        ),
        Setting(
            name="audience_token",
            doc="A developer app's token with Audience Management, for audiences; without it `access_token` is used, which a "
            "token made in Events Manager is not good for.",
            secret=True,
            required=False,
        ),
    ),
    authorisation=AUTHORISATION,
    default_base="https://business-api.tiktok.com",
    events=EVENTS,
    event_names=EVENT_NAMES,
    custom_events=True,
    fields=FIELDS,
    custom=CUSTOM,
    amounts="number",
    currencies=CURRENCIES,
    limits=Limits(
        batch=1_000,  # more, and the whole request is refused
        requests_per_second=1_000,
        # TikTok names no oldest age for web events. Its longest click window is 28 days, its default 7: older events
        # match nothing by default. Raise `oldest` where the account's window is longer.
        oldest_ms=7 * DAY,
        oldest_possible_ms=28 * DAY,
        future_ms=HOUR // 6,
        dedupe_ms=48 * HOUR,
    ),
    purchase="Purchase",
    identified=identified,
    identifier_hint="TikTok needs an e-mail, a phone, an external id, a click id, or IP address and user agent together.",
    objection=objection,
    request=request,
    outcomes=outcomes,
    check=check,
    explain_check=explain_check,
    places=Places(
        name="event",
        event_id="event_id",
        time="event_time",
        order_id="properties.order_id",
        value="properties.value",
        currency="properties.currency",
        items="properties.contents",
    ),
    answer_says="TikTok answers for a request as a whole and repeats nothing of the event, so what is compared is the "
    "request it answered. The event also shows in Events Manager, Test events.",
    views=(
        View(
            what="received",
            doc="How many events TikTok received by day, by server and by browser; it takes the option `advertiser` and a "
            "developer app's token with the permission Pixel Management (Pixel Level Reporting).",
            ask=received,
        ),
    ),
    audience=tiktok_audiences.audience,
)
