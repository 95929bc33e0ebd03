"""What the shop's website and back office would have sent, message by message, in the year's order.

Real are the orders and cancellations: their numbers, times, customers, countries, lines, quantities and
prices (`shop`). Derived from them, by a hash and never by chance, is the rest: who the people are
(`people`), what they looked at before they bought, how they came, their browsers, their consent, and the
dirt of real tracking (`DIRT`).

Two sources speak. `web` is the website's own tracking in the browser: what was looked at and put into the cart, and the
thank-you page. `shop` is the server behind it: every order, what is taken back, and what nobody bought (write-offs,
replacements, renewals). So most orders are told twice, under one order id.

The year is compressed: a message's moment is `start + (moment in the year - first moment) / compression`,
so that a platform, which refuses what is older than seven days, sees fresh events. Order is kept, also
within a story.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec

from signalpost.samples import people, shop
from signalpost.samples.people import Browser, Shopper, draw, pick, token, unique
from signalpost.samples.shop import Invoice, Line

SHOP = f"https://{people.DOMAIN}"
WIRES = ("pipelines",)
"""The wires messages are written for; all of them are Segment-spec messages for `/v1/batch`."""

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
LEAD = HOUR
"""The longest time between the first message of a visit and its order."""
PRODUCTS_SENT = 150
"""A message may have 32 KB: of an invoice with more goods the first 150 are sent, with the whole total."""


class Kind(NamedTuple):
    """One kind of dirt."""

    share: float
    of: str
    """What it is a share of."""
    sentence: str
    withholds: bool
    """Whether a purchase with it cannot be sent as it is: no id, no value, no consent, a repeat, ..."""


# fmt: off
DIRT: dict[str, Kind] = {
    "double_fire": Kind(0.03, "orders", "again 1 to 9 minutes later: same order id, new message id", True),
    "retry": Kind(0.005, "messages", "the very same message again within seconds", True),
    "no_order_id": Kind(0.01, "orders", 'order id is null, "", "(not set)" or missing', True),
    "no_value": Kind(0.01, "orders", "no total, no revenue, no prices", True),
    "no_currency": Kind(0.005, "orders", "an amount without currency", False),
    "text_value": Kind(0.02, "orders", 'amounts and quantities as text: "139.12", "6"', False),
    "reused_order_id": Kind(0.002, "orders", "another visitor buys under this order id 3 weeks on", False),
    "long_past": Kind(0.004, "orders", "timestamp 30 days before it is sent", True),
    "future": Kind(0.002, "orders", "timestamp 3 days after it is sent", True),
    "milliseconds_text": Kind(0.005, "orders", "timestamp as text of epoch milliseconds", False),
    "offset_time": Kind(0.02, "orders", "timestamp with the offset +01:00 in place of Z", False),
    "no_timestamp": Kind(0.004, "orders", "no timestamp: the receiver's clock counts", False),
    "kiosk": Kind(0.004, "orders", "at the shop's own till: one anonymous id for many people", False),
    "consent_denied": Kind(0.06, "people", "advertising consent denied in context.consent", True),
    "hashed_email": Kind(0.03, "people", "the e-mail is a SHA-256 already", False),
    "shouted_email": Kind(0.025, "e-mails", "the e-mail in capitals, with spaces around it", False),
    "typed_phone": Kind(0.85, "phones", "0044, (0), national, brackets, spaces, no plus", False),
    "junk_traits": Kind(0.01, "checkouts", 'e-mail "null", phone "undefined", city "(not set)"', False),
    "junk_user": Kind(0.004, "checkouts", 'user id "undefined" or "null"', False),
    "huge_quantity": Kind(0.002, "visits", "2,343,434,535 pieces into the cart, as seen for real", False),
    "back_office": Kind(0.088, "invoices", "real: write-offs, fees, bad debts, booked like an order", True),
    "no_order_named": Kind(0.48, "cancellations", "names no order: several could be meant, or none", False),
    "reported_twice": Kind(0.75, "orders", "the shop's report after the website's: one order id, two messages", True),
    "net_total": Kind(0.14, "shop's reports", "`total` is the net amount; tax and shipping stand beside it", True),
    "late_batch": Kind(0.14, "shop's reports", "timestamp 2 to 5 hours before it is sent", False),
    "refund_first": Kind(0.004, "orders", "comes after the message that takes some of it back", True),
    "discounted": Kind(0.03, "customers", "60 % off all they ever buy, by two coupons on each order", False),
    "employee": Kind(0.01, "customers", "works for the shop: its own domain in the e-mail, a tag", True),
    "replacement": Kind(0.006, "orders", "3 days on, for what broke: a $0 order, tagged", True),
    "gift": Kind(0.004, "orders", "an influencer's parcel at 100 % discount, tagged", True),
    "renewal": Kind(0.01, "orders", "30 days on, a subscription's next charge, tagged", True),
    "test_order": Kind(0.003, "orders", "somebody of the shop tries the checkout: marked as a test", True),
    "fraud": Kind(0.008, "orders", "flagged by the shop 2 to 9 minutes later", True),
    "bot": Kind(0.026, "visits", "a crawler that looks and fills a cart", True),
    "repeat_add": Kind(0.04, "visits", "one product into the cart three times within half a minute", False),
    "lost_keys": Kind(0.32, "checkouts", "from 60 % of the stream on: a new client without e-mail, phone, user id", False),
    "pixel_other_id": Kind(0.25, "pixels", "the browser's pixel sent another event id than the server would", False),
    "pixel_no_id": Kind(0.15, "pixels", "the browser's pixel sent no event id", False),
}
# fmt: on
"""Every kind of dirt in the stream, with its share; those marked real are what the data holds."""

SEARCHED = 0.15
"""Share of visits with a search."""
PAID_AHEAD = 0.5
"""Share of orders with `Payment Info Entered` before them."""
KNOWN = 0.5
"""Share of customers' visits in which the browser still knows the user id; the others are anonymous until the
checkout form."""
SERVER_SIDE = 0.25
"""Share of orders that only the shop's server reports; of the others the browser told before."""
REFUNDED_FIRST = 0.5
"""Share of orders refunded within a day of which the shop reports the order after the refund."""
PIXEL_BESIDE = 0.3
"""Share of the browser's reports beside which the platforms' pixels fired and the script tag told so."""
LOST = 0.8
"""Share of visits with the new client that have no e-mail, phone or user id."""
UPDATED = 0.6
"""The share of the stream's invoices after which the website has a new client."""
INVOICES = 25_900
"""Invoices of the year."""
PASSED_BY = 0.5
"""Share of orders beside which somebody else looks and does not buy."""
CAME_BACK = 0.1
"""Share of customers' orders after which they leave another checkout unfinished."""
FROM_TIKTOK = 0.2
"""Share of visits that begin with an ad's `ttclid` in the address."""
FROM_PINTEREST = 0.14
"""Share of visits that begin with an ad's `epik` in the address."""
CANCELLED = 0.5
"""Share of cancellation documents sent as `Order Cancelled`: of those that take back a whole order or name none, so that it is
a quarter of all; the others are sent as `Order Refunded`. Made up."""

CRAWLERS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "python-requests/2.32.3",
)
PIXELS = {"tiktok": "Purchase", "pinterest": "checkout"}
"""Platform -> what its pixel calls a purchase."""


class Client(NamedTuple):
    """One version of the website's tracking."""

    version: str
    landing: str
    """The address at which visits begin."""


BEFORE, AFTER = Client("2.11.1", SHOP), Client("2.12.0", f"https://start.{people.DOMAIN}")
"""The website's client until its update, and from then on: visits begin on another host, where nobody is known yet."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, when to send it, and the truth about it that its receiver does not see."""

    due_ms: int
    """Epoch milliseconds at which it is to be sent; never before the message before it."""
    wire: str
    source: Literal["web", "shop"] = "web"
    """Who sends it: the website in the browser, or the shop's server."""
    body: dict[str, Any]
    """A Segment-spec message; a JSON object."""
    invoice: str | None = None
    """The invoice a purchase, refund or cancellation comes from; None for orders made up (a replacement, a renewal)."""
    value: Decimal | None = None
    """Its exact value in GBP; negative for a refund."""
    dirt: tuple[str, ...] = ()
    """Which kinds of `DIRT` it has."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a bounded stream."""

    messages: int
    retries: int
    """Messages that repeat a message id."""
    events: dict[str, int]
    """Event name (or type, for identify and page) -> messages, retries left out."""
    purchases: int
    """`Order Completed` messages, double fires, second reports, reused order ids and made-up orders included, retries not."""
    orders: int
    """Distinct invoices among them."""
    gross: Decimal
    """The exact value of those invoices in GBP, tax and postage included."""
    sound_orders: int
    """Distinct invoices whose purchase has no dirt that must withhold it: what can be accepted at best."""
    sound_gross: Decimal
    refunds: int
    """Cancellation documents: `Order Refunded` and `Order Cancelled`."""
    refunded: Decimal
    """Their exact value in GBP; negative."""
    named: int
    """Those of them that name their order."""
    dirt: dict[str, int]
    """Kind -> messages that have it."""


def messages(
    *,
    start: int,
    compression: float = 1.0,
    until: int | None = None,
    longest_pause: int | None = None,
    invoice_limit: int | None = None,
    invoices: Iterable[Invoice] | None = None,
    updated_after: int | None = None,
    past: int = 0,
) -> Iterator[Message]:
    """Yield the year's messages by the moment they are due.

    `start` and `until` are epoch milliseconds: the first message is due within an hour of the year after
    `start`, and none at `until` or later. `compression` says how much faster than the year the stream runs:
    100,000 makes it five and a half minutes. `longest_pause` (milliseconds of the year, at least `LEAD`)
    shortens the shop's longer pauses, its nights, Saturdays and Christmas, to that. `invoice_limit` takes the
    first so many invoices with their whole stories. After `updated_after` of them (without it: `UPDATED` of the limit,
    or of the year) the website has its new client. `past` milliseconds of the year lie before `start`, at the year's own
    pace and with all its pauses: what a shop has behind it. The same arguments give the same stream, byte for byte. Only what
    is due soon is held in memory.
    """
    if longest_pause is not None and longest_pause < LEAD:
        raise ValueError(f"longest_pause is {longest_pause} ms; a visit takes up to {LEAD} ms before its order")
    year = islice(shop.invoices() if invoices is None else invoices, invoice_limit)
    waiting: list[tuple[int, int, int, Message]] = []
    serial = 0
    before: int | None = None
    if updated_after is None:
        updated_after = int(UPDATED * (invoice_limit or INVOICES))
    clock = Clock(first=0, start=start, compression=compression)
    for place, invoice in enumerate(year):
        if before is None:
            clock = clock.shifted(invoice.time - LEAD + past)
        elif longest_pause is not None and clock.due(invoice.time) > start:
            clock = clock.shifted(max(0, invoice.time - before - longest_pause))
        before = invoice.time
        begun = clock.due(invoice.time - LEAD)
        scene = Scene(clock, AFTER if place >= updated_after else BEFORE)
        while waiting and waiting[0][0] < begun:
            message = heapq.heappop(waiting)[-1]
            if until is not None and message.due_ms >= until:
                return
            yield message
        for moment, message in story(invoice, scene):
            serial += 1
            heapq.heappush(waiting, (message.due_ms, moment, serial, message))
    while waiting:
        message = heapq.heappop(waiting)[-1]
        if until is not None and message.due_ms >= until:
            return
        yield message


def summarise(stream: Iterable[Message]) -> Summary:
    """Count what is in a stream, in constant memory; the stream is consumed."""
    count = retries = purchases = orders = sound_orders = refunds = named = 0
    gross = sound_gross = refunded = Decimal(0)
    events: Counter[str] = Counter()
    dirt: Counter[str] = Counter()
    for message in stream:
        count += 1
        dirt.update(message.dirt)
        if "retry" in message.dirt:
            retries += 1
            continue
        event = message.body.get("event") or message.body["type"]
        events[event] += 1
        value = message.value or Decimal(0)
        if event == "Order Completed":
            purchases += 1
            if message.invoice is None or not SAME_ORDER.isdisjoint(message.dirt):
                continue
            orders += 1
            gross += value
            if not any(DIRT[kind].withholds for kind in message.dirt):
                sound_orders += 1
                sound_gross += value
        elif event in {"Order Refunded", "Order Cancelled"}:
            refunds += 1
            refunded += value
            named += "no_order_named" not in message.dirt
    return Summary(
        messages=count,
        retries=retries,
        events=dict(events),
        purchases=purchases,
        orders=orders,
        gross=gross,
        sound_orders=sound_orders,
        sound_gross=sound_gross,
        refunds=refunds,
        refunded=refunded,
        named=named,
        dirt=dict(dirt),
    )


SAME_ORDER = frozenset({"double_fire", "reported_twice", "reused_order_id"})
"""Dirt of purchases that are not the first message of their invoice."""


class Clock(msgspec.Struct, frozen=True):
    """From moments of the year to moments of the replay."""

    first: int
    """The moment of the year that is `start`; what is before it keeps its pace."""
    start: int
    compression: float

    def shifted(self, skipped: int) -> Clock:
        """A clock that skips so many milliseconds of the year."""
        return Clock(self.first + skipped, self.start, self.compression)

    def due(self, moment: int) -> int:
        """Epoch milliseconds in the year -> epoch milliseconds in the replay."""
        after = moment - self.first
        return self.start + (int(after / self.compression) if after > 0 else after)


class Scene(msgspec.Struct, frozen=True):
    """When a story is told, and with which client of the website."""

    clock: Clock
    client: Client

    def due(self, moment: int) -> int:
        """Epoch milliseconds in the year -> epoch milliseconds in the replay."""
        return self.clock.due(moment)


Timed = tuple[int, Message]


def story(invoice: Invoice, scene: Scene) -> Iterator[Timed]:
    """Everything that is sent because of one invoice, each with its moment in the year; in no order."""
    for moment, message in _told(invoice, scene):
        yield moment, message
        if draw(str(message.body["messageId"]), "retry") < DIRT["retry"].share:
            again = moment + SECOND * (2 + pick(invoice.number, "retry after", 20))
            yield (
                again,
                msgspec.structs.replace(message, due_ms=scene.due(again), dirt=(*message.dirt, "retry")),
            )


def _told(invoice: Invoice, scene: Scene) -> Iterator[Timed]:
    if invoice.is_cancellation:
        yield _taken_back(invoice, scene)
    elif not shop.is_bought(invoice):
        yield _booked(invoice, scene)
    else:
        yield from _bought(invoice, scene)


def _bought(invoice: Invoice, scene: Scene) -> Iterator[Timed]:
    """A visit that ends in the order, and what follows from it."""
    number = invoice.number
    if invoice.customer is None:
        shopper = people.guest(number, invoice.country)
        used = people.browser(shopper, 0)
    else:
        shopper = people.customer(invoice.customer, invoice.country)
        used = people.browser(shopper, max(0, pick(number, "browser", 6) - 3))
    kiosk = draw(number, "kiosk") < DIRT["kiosk"].share
    if kiosk:
        used = msgspec.structs.replace(used, anonymous_id="kiosk-1", ttp=None)
    visit = Visit(number, shopper, used, scene, known=shopper.user_id is not None and draw(number, "known") < KNOWN)
    if kiosk:
        visit.dirt += ("kiosk",)
    order = order_properties(invoice)
    dirt: tuple[str, ...] = ("employee",) if shopper.tags else ()
    if invoice.customer is not None and draw(shopper.key, "coupons") < DIRT["discounted"].share:
        order, dirt = _discounted(invoice, order), (*dirt, "discounted")
    if draw(number, "fraud") < DIRT["fraud"].share:
        dirt += ("fraud",)
        yield _flagged(invoice, scene)
    yield from _browsed(visit, invoice, order)
    yield from _ordered(visit, invoice, order, dirt)
    yield from _not_bought(visit, invoice, scene)
    if draw(number, "passer-by") < PASSED_BY:
        yield from _passed_by(invoice, order, scene)
    if draw(number, "crawled") < DIRT["bot"].share * (1 + PASSED_BY):
        yield from _crawled(invoice, scene)
    if invoice.customer is not None and draw(number, "came back") < CAME_BACK:
        yield from _came_back(invoice, order, shopper, scene)
    if draw(number, "reused") < DIRT["reused_order_id"].share:
        yield _reused(invoice, order, scene)


class Visit:
    """One visit to the website: who, with what browser, and how its messages are written."""

    def __init__(self, key: str, shopper: Shopper, used: Browser, scene: Scene, *, known: bool) -> None:
        self.key = key
        self.shopper = shopper
        self.lost = False
        """Whether the new client forgets who the visitor is."""
        if scene.client is AFTER and used.anonymous_id != "kiosk-1":
            # Another host has other cookies: the browser begins anew there.
            ttp = people.token(used.anonymous_id, "ttp", 27).replace("-", "a").replace("_", "b") if used.ttp else None
            used = msgspec.structs.replace(used, anonymous_id=unique(used.anonymous_id, "on the new host"), ttp=ttp)
            self.lost = draw(key, "lost") < LOST
        self.browser = used
        self.scene = scene
        self.user_id = shopper.user_id if known and not self.lost else None
        self.dirt: tuple[str, ...] = ()
        self.context: dict[str, Any] = {
            "library": {"name": "analytics.js", "version": scene.client.version},
            "userAgent": used.user_agent,
            "ip": used.ip,
            "locale": used.locale,
        }
        if shopper.advertising is not None:
            self.context["consent"] = {"categoryPreferences": {"Advertising": shopper.advertising, "Analytics": True}}
            if not shopper.advertising:
                self.dirt += ("consent_denied",)
        self.steps = 0

    def say(
        self,
        moment: int,
        *,
        path: str,
        event: str | None = None,
        kind: str = "track",
        properties: dict[str, Any] | None = None,
        traits: dict[str, Any] | None = None,
        query: str = "",
        referrer: str | None = None,
        host: str = SHOP,
        dirt: tuple[str, ...] = (),
    ) -> Timed:
        """One browser message at `moment` of the year, from the page `path`."""
        self.steps += 1
        due = self.scene.due(moment)
        page = {
            "path": path,
            "referrer": referrer if referrer is not None else SHOP + "/",
            "search": query,
            "title": "The Shop",
            "url": f"{host}{path}{query}",
        }
        body: dict[str, Any] = {
            "type": kind,
            "messageId": unique(f"{self.key}/{self.steps}", "message id"),
            "anonymousId": self.browser.anonymous_id,
            "userId": self.user_id,
            "timestamp": iso(due),
            "context": {**self.context, "page": page},
            "integrations": {},
        }
        if event is not None:
            body["event"] = event
        if kind == "page":
            body["name"] = None
            properties = page
        if properties is not None:
            body["properties"] = {**properties, "ttp": self.browser.ttp} if self.browser.ttp else properties
        if traits is not None:
            body["traits"] = traits
        return moment, Message(due_ms=due, wire="pipelines", body=body, dirt=self.dirt + dirt)


def _landing(key: str) -> tuple[str, str | None]:
    """How a visit began: the query of its first page and the page before it."""
    way = draw(key, "landing")
    if way < FROM_TIKTOK:
        click = f"E.C.P.{token(key, 'ttclid', 80)}"
        return (
            f"?utm_source=tiktok&utm_medium=paid&utm_campaign=spring&ttclid={click}",
            "https://www.tiktok.com/",
        )
    if way < FROM_TIKTOK + FROM_PINTEREST:
        click = f"dj0y{token(key, 'epik', 60)}"
        return f"?utm_source=pinterest&utm_medium=social&epik={click}", "https://www.pinterest.co.uk/"
    if way < 0.5:
        return "?utm_source=newsletter&utm_medium=email&utm_campaign=weekly", ""
    return "", ("https://www.google.com/" if way < 0.8 else "")


def _browsed(visit: Visit, invoice: Invoice, order: dict[str, Any]) -> Iterator[Timed]:
    """From the first page to the payment, in the hour before the invoice."""
    key, end = visit.key, invoice.time
    goods = _goods(invoice)
    seen = goods[: 1 + pick(key, "views", 3)]
    began = 8 * MINUTE + pick(key, "length", 40 * MINUTE)
    query, referrer = _landing(key)
    yield visit.say(
        end - began, kind="page", path=_path(seen[0]), query=query, referrer=referrer, host=visit.scene.client.landing
    )
    if draw(key, "search") < SEARCHED:
        words = (seen[0].description or seen[0].stock_code).lower()
        yield visit.say(
            end - began + 20 * SECOND,
            event="Products Searched",
            path="/search",
            query="?q=" + "+".join(words.split()[:2]),
            properties={"query": " ".join(words.split()[:2])},
        )
    step = (began - 6 * MINUTE) // (2 * len(seen))
    for place, line in enumerate(seen):
        moment = end - began + 30 * SECOND + 2 * place * step
        product = {**product_of(line), "currency": shop.CURRENCY}
        yield visit.say(moment, event="Product Viewed", path=_path(line), properties={**product, "quantity": 1})
        dirt: tuple[str, ...] = ()
        if place == 0 and draw(key, "huge") < DIRT["huge_quantity"].share:
            product["quantity"] = 2_343_434_535
            dirt = ("huge_quantity",)
        yield visit.say(moment + step, event="Product Added", path=_path(line), properties=product, dirt=dirt)
        if place == 0 and not dirt and draw(key, "repeat add") < DIRT["repeat_add"].share * (1 + PASSED_BY):
            for later in (9 * SECOND, 24 * SECOND):
                again = moment + step + later
                yield visit.say(again, event="Product Added", path=_path(line), properties=product, dirt=("repeat_add",))
    yield visit.say(
        end - 4 * MINUTE,
        event="Checkout Started",
        path="/checkout",
        properties={
            "value": order["total"],
            "currency": order["currency"],
            "products": order["products"],
            "checkout_id": unique(key, "checkout"),
        },
    )
    yield from _identified(visit, end - 3 * MINUTE)
    if draw(key, "payment info") < PAID_AHEAD:
        yield visit.say(
            end - MINUTE,
            event="Payment Info Entered",
            path="/checkout/payment",
            properties={
                "checkout_id": unique(key, "checkout"),
                "value": order["total"],
                "currency": order["currency"],
                "payment_method": ("card", "paypal")[pick(key, "payment", 2)],
            },
        )


def _identified(visit: Visit, moment: int) -> Iterator[Timed]:
    """What the checkout form tells: from here on the visit has a name, if the person left one."""
    key = visit.key
    if draw(key, "junk traits") < DIRT["junk_traits"].share:
        junk = {"email": "null", "phone": "undefined", "firstName": "", "address": {"city": "(not set)"}}
        yield visit.say(moment - SECOND, kind="identify", path="/checkout", traits=junk, dirt=("junk_traits",))
    if draw(key, "junk user") < DIRT["junk_user"].share:
        true_id, visit.user_id = visit.user_id, ("undefined", "null")[pick(key, "junk", 2)]
        yield visit.say(moment - SECOND, kind="identify", path="/checkout", traits={}, dirt=("junk_user",))
        visit.user_id = true_id
    traits, dirt = traits_of(visit.shopper, key)
    if visit.lost:
        traits = {name: fact for name, fact in traits.items() if name not in {"email", "phone"}}
        yield visit.say(moment, kind="identify", path="/checkout", traits=traits, dirt=("lost_keys",))
        return
    visit.user_id = visit.shopper.user_id
    if traits:
        yield visit.say(moment, kind="identify", path="/checkout", traits=traits, dirt=dirt)


def _ordered(visit: Visit, invoice: Invoice, order: dict[str, Any], dirt: tuple[str, ...]) -> Iterator[Timed]:
    """The purchase itself: by the browser and then by the shop, or by the shop alone, in whatever state; sometimes once more.

    `dirt` is what is the matter with the order, whoever reports it.
    """
    number = invoice.number
    properties, soil = _soiled(number, order)
    refunded = soon_refunded().get(number)
    refund_first = refunded is not None and draw(number, "refunded first") < REFUNDED_FIRST
    alone = refund_first or draw(number, "server side") < SERVER_SIDE
    if alone:
        first = _from_shop(visit, invoice, properties, dirt + soil, invoice.time)
    else:
        first = visit.say(invoice.time, event="Order Completed", path="/checkout/thanks", properties=properties, dirt=dirt + soil)
        after = invoice.time + 2 * SECOND + pick(number, "shop after", 20 * SECOND)
        moment, second = _from_shop(visit, invoice, order, (*dirt, "reported_twice"), after)
        yield moment, msgspec.structs.replace(second, invoice=number, value=invoice.value)
        yield from _pixels(visit, invoice, properties)
    moment, message = first
    if refunded is not None and refund_first:
        moment += refunded + 5 * MINUTE
        message = msgspec.structs.replace(message, due_ms=visit.scene.due(moment), dirt=(*message.dirt, "refund_first"))
    elif "late_batch" not in message.dirt:
        body, time_dirt = _wrong_time(number, message)
        message = msgspec.structs.replace(message, body=body, dirt=message.dirt + time_dirt)
    message = msgspec.structs.replace(message, invoice=number, value=invoice.value)
    yield moment, message
    if draw(number, "double fire") < DIRT["double_fire"].share:
        later = moment + MINUTE + pick(number, "double fire after", 8 * MINUTE)
        due = visit.scene.due(later)
        again = {**message.body, "messageId": unique(f"{number}/again", "message id"), "timestamp": iso(due)}
        yield (
            later,
            msgspec.structs.replace(message, due_ms=due, body=again, dirt=(*message.dirt, "double_fire")),
        )


@lru_cache(maxsize=1)
def soon_refunded() -> dict[str, int]:
    """Orders of which something is known to be taken back within a day -> how many milliseconds later the first time."""
    soon: dict[str, int] = {}
    for taken in shop.taken_back().values():
        if taken.after < DAY:
            soon[taken.order] = min(taken.after, soon.get(taken.order, DAY))
    return soon


def _from_shop(visit: Visit, invoice: Invoice, properties: dict[str, Any], dirt: tuple[str, ...], moment: int) -> Timed:
    """The purchase as the shop's server reports it: no page and no browser, but what the account knows."""
    number = invoice.number
    if properties.get("tax") or properties.get("shipping"):
        soiled = "text_value" in dirt or "no_value" in dirt
        if not soiled and draw(number, "net total") < DIRT["net_total"].share:
            properties = {**properties, "total": properties["subtotal"]}
            dirt += ("net_total",)
    traits, more = traits_of(visit.shopper, visit.key)
    due = visit.scene.due(moment)
    stamp = due
    if "no_order_id" not in dirt and draw(number, "late batch") < DIRT["late_batch"].share:
        stamp = due - 2 * HOUR - pick(number, "late by", 3 * HOUR)
        dirt += ("late_batch",)
    body = _server_body(f"{number}/order", stamp, "Order Completed", properties, traits)
    body["anonymousId"] = visit.browser.anonymous_id
    body["userId"] = visit.shopper.user_id
    if "consent" in visit.context:
        body["context"]["consent"] = visit.context["consent"]
    return moment, Message(due_ms=due, wire="pipelines", source="shop", body=body, dirt=visit.dirt + dirt + more)


def _pixels(visit: Visit, invoice: Invoice, properties: dict[str, Any]) -> Iterator[Timed]:
    """What the script tag tells of the platforms' pixels on the thank-you page: which id each was given."""
    order_id = properties.get("order_id")
    if order_id in {None, "", "(not set)"} or draw(invoice.number, "pixel") >= PIXEL_BESIDE:
        return
    for platform, event in PIXELS.items():
        kind = _one_of(f"{platform}/{invoice.number}", "pixel's id", ("pixel_other_id", "pixel_no_id"))
        sent: dict[str, Any] = {"platform": platform, "event": event, "order_id": order_id}
        if kind is None:
            sent["event_id"] = f"{order_id}:order-completed"
        elif kind == "pixel_other_id":
            sent["event_id"] = unique(invoice.number, f"pixel of {platform}")
        yield visit.say(
            invoice.time + SECOND,
            event="Pixel Sent",
            path="/checkout/thanks",
            properties=sent,
            dirt=() if kind is None else (kind,),
        )


def _discounted(invoice: Invoice, order: dict[str, Any]) -> dict[str, Any]:
    """The same order at the same price, which two coupons made out of two and a half times as much: exact, since 2.5 is."""
    goods = invoice.value - Decimal(str(order["shipping"]))
    products = [{**product, "price": float(Decimal(str(product["price"])) * _LIST)} for product in order["products"]]
    discount = Decimal(str(order["discount"])) + goods * (_LIST - 1)
    return {**order, "products": products, "discount": float(discount), "coupon": "WELCOME40,FRIENDS33"}


_LIST = Decimal("2.5")


def _not_bought(visit: Visit, invoice: Invoice, scene: Scene) -> Iterator[Timed]:
    """Orders around this one that no advertisement led to: replacements, gifts, renewals and tests. Made up, all by the shop."""
    number, line = invoice.number, _goods(invoice)[0]
    one = msgspec.structs.replace(line, quantity=1)
    nothing = {"total": 0, "subtotal": 0, "revenue": 0, "tax": 0, "shipping": 0, "discount": 0, "currency": shop.CURRENCY}
    free = {**product_of(one), "price": 0}

    def told(kind: str, moment: int, properties: dict[str, Any], value: Decimal = Decimal(0)) -> Timed:
        due = scene.due(moment)
        traits, dirt = traits_of(visit.shopper, f"{number}/{kind}")
        body = _server_body(f"{number}/{kind}", due, "Order Completed", properties, traits)
        body["userId"], body["anonymousId"] = visit.shopper.user_id, visit.browser.anonymous_id
        made = Message(due_ms=due, wire="pipelines", source="shop", body=body, value=value, dirt=(*dirt, kind))
        return moment, made

    if draw(number, "replacement") < DIRT["replacement"].share:
        properties = {**nothing, "order_id": f"{number}-R", "tags": ["replacement"], "products": [free]}
        yield told("replacement", invoice.time + 3 * DAY, properties)
    if draw(number, "gift") < DIRT["gift"].share:
        worth = float(line.unit_price)
        properties = {**nothing, "order_id": f"{number}-G", "discount": worth, "coupon": "CREATOR100", "tags": ["influencer"]}
        yield told("gift", invoice.time + DAY, {**properties, "products": [product_of(one)]})
    if invoice.customer is not None and line.unit_price and draw(number, "renewal") < DIRT["renewal"].share * 1.07:
        value = line.unit_price
        charge = {
            **nothing,
            "total": float(value),
            "subtotal": float(value),
            "revenue": float(value),
            "products": [product_of(one)],
        }
        begun = scene.due(invoice.time + MINUTE)
        start = _server_body(f"{number}/subscription", begun, "Subscription Started", {**charge, "subscription_id": number}, {})
        start["userId"] = visit.shopper.user_id
        if "consent" in visit.context:
            start["context"]["consent"] = visit.context["consent"]
        yield invoice.time + MINUTE, Message(due_ms=begun, wire="pipelines", source="shop", body=start, dirt=visit.dirt)
        charge = {**charge, "order_id": f"{number}-S", "tags": ["Subscription Recurring Order"]}
        yield told("renewal", invoice.time + 30 * DAY, charge, value)
    if draw(number, "test order") < DIRT["test_order"].share:
        moment = invoice.time + 10 * MINUTE
        properties = {**order_properties(invoice), "order_id": f"TEST-{number}", "test": True}
        body = _server_body(f"{number}/test", scene.due(moment), "Order Completed", properties, {"email": f"qa@{people.DOMAIN}"})
        body["userId"] = "qa"
        due = scene.due(moment)
        made = Message(due_ms=due, wire="pipelines", source="shop", body=body, value=invoice.value, dirt=("test_order",))
        yield moment, made


def _flagged(invoice: Invoice, scene: Scene) -> Timed:
    """The shop finds the order fraudulent, some minutes later."""
    moment = invoice.time + 2 * MINUTE + pick(invoice.number, "flagged after", 7 * MINUTE)
    due = scene.due(moment)
    body = _server_body(f"{invoice.number}/flag", due, "Order Flagged", {"order_id": invoice.number, "reason": "fraud"}, {})
    if invoice.customer is None:
        body["anonymousId"] = "anonymous"
    else:
        body["userId"] = str(invoice.customer)
    return moment, Message(due_ms=due, wire="pipelines", source="shop", body=body)


def _crawled(invoice: Invoice, scene: Scene) -> Iterator[Timed]:
    """A crawler looks at what was bought and puts something into a cart."""
    key = f"c{invoice.number}"
    shopper = msgspec.structs.replace(people.passer_by(key, invoice.country), email=None, advertising=None)
    used = people.browser(shopper, 0)
    used = msgspec.structs.replace(used, user_agent=CRAWLERS[pick(key, "crawler", len(CRAWLERS))], ttp=None)
    visit = Visit(key, shopper, used, scene, known=False)
    visit.dirt += ("bot",)
    moment = invoice.time - 40 * MINUTE
    lines = _goods(invoice)[:3]
    yield visit.say(moment, kind="page", path=_path(lines[0]), referrer="", host=scene.client.landing)
    for place, line in enumerate(lines):
        product = {**product_of(line), "currency": shop.CURRENCY, "quantity": 1}
        yield visit.say(moment + (1 + place) * SECOND, event="Product Viewed", path=_path(line), properties=product)
    taken = {**product_of(lines[0]), "currency": shop.CURRENCY}
    yield visit.say(moment + 5 * SECOND, event="Product Added", path=_path(lines[0]), properties=taken)


def _server_body(key: str, due: int, event: str, properties: dict[str, Any], traits: dict[str, Any]) -> dict[str, Any]:
    """A track message of the shop's server."""
    context: dict[str, Any] = {"library": {"name": "analytics-python", "version": "2.3.4"}}
    if traits:
        context["traits"] = traits
    return {
        "type": "track",
        "messageId": unique(key, "message id"),
        "timestamp": iso(due),
        "event": event,
        "properties": properties,
        "context": context,
        "integrations": {},
    }


def _soiled(number: str, order: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The purchase's properties with at most one thing wrong."""
    kind = _one_of(number, "soiled", ("no_order_id", "no_value", "no_currency", "text_value"))
    if kind is None:
        return order, ()
    if kind == "no_order_id":
        way = pick(number, "order id", 4)
        soiled = {**order, "order_id": (None, "(not set)", "", None)[way]}
        if way == 3:
            del soiled["order_id"]
    elif kind == "no_value":
        bare = [{name: product[name] for name in product if name != "price"} for product in order["products"]]
        soiled = {"order_id": order["order_id"], "currency": order["currency"], "products": bare}
    elif kind == "no_currency":
        soiled = {name: order[name] for name in order if name != "currency"}
    else:
        products = [
            {**product, "price": str(product["price"]), "quantity": str(product["quantity"])} for product in order["products"]
        ]
        soiled = {name: str(fact) if name in _AMOUNTS else fact for name, fact in order.items()}
        soiled["products"] = products
    return soiled, (kind,)


_AMOUNTS = ("total", "revenue", "subtotal", "tax", "shipping", "discount")


def _wrong_time(number: str, message: Message) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The purchase's body with its timestamp wrong or oddly written, or as it was."""
    kinds = ("long_past", "future", "milliseconds_text", "offset_time", "no_timestamp")
    kind = _one_of(number, "wrong time", kinds)
    body, due = message.body, message.due_ms
    if kind is None:
        return body, ()
    if kind == "long_past":
        return {**body, "timestamp": iso(due - 30 * DAY)}, (kind,)
    if kind == "future":
        return {**body, "timestamp": iso(due + 3 * DAY)}, (kind,)
    if kind == "milliseconds_text":
        return {**body, "timestamp": str(due)}, (kind,)
    if kind == "offset_time":
        return {**body, "timestamp": iso(due + HOUR).replace("Z", "+01:00")}, (kind,)
    return {name: body[name] for name in body if name != "timestamp"}, (kind,)


def _one_of(subject: str, about: str, kinds: tuple[str, ...]) -> str | None:
    """At most one of the kinds of dirt, each with its own share."""
    drawn = draw(subject, about)
    for kind in kinds:
        drawn -= DIRT[kind].share
        if drawn < 0:
            return kind
    return None


def _passed_by(invoice: Invoice, order: dict[str, Any], scene: Scene) -> Iterator[Timed]:
    """Somebody else looks at the same things; some fill a cart, fewer start to check out, none buys."""
    key = f"p{invoice.number}"
    shopper = people.passer_by(key, invoice.country)
    visit = Visit(key, shopper, people.browser(shopper, 0), scene, known=False)
    line = _goods(invoice)[-1]
    moment = invoice.time - 50 * MINUTE + pick(key, "moment", 20 * MINUTE)
    query, referrer = _landing(key)
    product = {**product_of(line), "currency": order["currency"]}
    yield visit.say(moment, kind="page", path=_path(line), query=query, referrer=referrer, host=scene.client.landing)
    yield visit.say(moment + 3 * SECOND, event="Product Viewed", path=_path(line), properties={**product, "quantity": 1})
    interest = draw(key, "interest")
    if interest < 0.35:
        yield visit.say(moment + 2 * MINUTE, event="Product Added", path=_path(line), properties=product)
    if interest < 0.12:
        yield visit.say(moment + 5 * MINUTE, event="Checkout Started", path="/checkout", properties=_cart(key, [line]))
        yield from _identified(visit, moment + 6 * MINUTE)


def _came_back(invoice: Invoice, order: dict[str, Any], shopper: Shopper, scene: Scene) -> Iterator[Timed]:
    """The customer comes back within a day, fills a cart, starts to check out and leaves."""
    key = f"b{invoice.number}"
    visit = Visit(key, shopper, people.browser(shopper, 0), scene, known=True)
    line = _goods(invoice)[0]
    moment = invoice.time + 2 * HOUR + pick(key, "moment", 18 * HOUR)
    product = {**product_of(line), "currency": order["currency"]}
    yield visit.say(moment, event="Product Viewed", path=_path(line), properties={**product, "quantity": 1})
    yield visit.say(moment + MINUTE, event="Product Added", path=_path(line), properties=product)
    yield visit.say(moment + 4 * MINUTE, event="Checkout Started", path="/checkout", properties=_cart(key, [line]))


def _cart(key: str, lines: list[Line]) -> dict[str, Any]:
    """The properties of a checkout that leads to nothing."""
    return {
        "checkout_id": unique(key, "checkout"),
        "value": float(sum((line.quantity * line.unit_price for line in lines), Decimal(0))),
        "currency": shop.CURRENCY,
        "products": [product_of(line) for line in lines],
    }


def _reused(invoice: Invoice, order: dict[str, Any], scene: Scene) -> Timed:
    """Three weeks on, another visitor's purchase of one thing comes with this invoice's number."""
    key = f"r{invoice.number}"
    moment = invoice.time + 21 * DAY
    line = _goods(invoice)[0]
    value = line.quantity * line.unit_price
    properties = {
        "order_id": order["order_id"],
        "total": float(value),
        "currency": order["currency"],
        "products": [product_of(line)],
    }
    shopper = people.passer_by(key, invoice.country)
    visit = Visit(key, shopper, people.browser(shopper, 0), scene, known=False)
    visit.dirt += ("reused_order_id",)
    _, message = visit.say(moment, event="Order Completed", path="/checkout/thanks", properties=properties)
    return moment, msgspec.structs.replace(message, invoice=invoice.number, value=value)


def _taken_back(invoice: Invoice, scene: Scene) -> Timed:
    """A cancellation document: the shop's server tells what is given back, and for which order where only one can be meant."""
    due = scene.due(invoice.time)
    taken = shop.taken_back().get(invoice.number)
    properties: dict[str, Any] = {
        "credit_note": invoice.number,
        "total": float(-invoice.value),
        "currency": shop.CURRENCY,
        "products": [
            {**product_of(line), "quantity": -line.quantity} for line in invoice.lines if line.stock_code not in shop.SHIPPING
        ][:PRODUCTS_SENT],
    }
    traits: dict[str, Any] = {}
    dirt: tuple[str, ...] = ()
    if taken is not None:
        properties["order_id"] = taken.order
    if invoice.customer is not None:
        traits, dirt = traits_of(people.customer(invoice.customer, invoice.country), invoice.number)
    partly = taken is not None and not taken.whole
    event = "Order Cancelled" if not partly and draw(invoice.number, "cancelled") < CANCELLED else "Order Refunded"
    body = _server_body(invoice.number, due, event, properties, traits)
    if invoice.customer is None:
        body["anonymousId"] = "anonymous"
    else:
        body["userId"] = str(invoice.customer)
    return invoice.time, Message(
        due_ms=due,
        wire="pipelines",
        source="shop",
        body=body,
        invoice=invoice.number,
        value=invoice.value,
        dirt=dirt if taken is not None else (*dirt, "no_order_named"),
    )


def _booked(invoice: Invoice, scene: Scene) -> Timed:
    """A write-off, a fee, a bad debt: booked as an order by 'anonymous'."""
    due = scene.due(invoice.time)
    body = _server_body(invoice.number, due, "Order Completed", order_properties(invoice), {})
    body["anonymousId"] = "anonymous"
    return invoice.time, Message(
        due_ms=due,
        wire="pipelines",
        source="shop",
        body=body,
        invoice=invoice.number,
        value=invoice.value,
        dirt=("back_office",),
    )


VAT = ((1_294_099_200_000, Decimal("0.175")), (None, Decimal("0.2")))
"""The United Kingdom's rate until a moment: 17.5 % until 2011-01-04, then 20 %."""
_PENNY = Decimal("0.01")


def order_properties(invoice: Invoice) -> dict[str, Any]:
    """The properties of `Order Completed` for an invoice; `total` is its exact value.

    total = all lines; shipping = lines with a postage code; discount = lines with a discount code, as a
    positive number; tax = the value added tax within total - shipping for the United Kingdom, rounded to
    pence, else 0; subtotal = revenue = total - shipping - tax. That the shop's prices include tax is our
    assumption; the data does not say.
    """
    total = shipping = discount = Decimal(0)
    products: list[dict[str, Any]] = []
    for line in invoice.lines:
        value = line.quantity * line.unit_price
        total += value
        if line.stock_code in shop.SHIPPING:
            shipping += value
        elif line.stock_code in shop.DISCOUNT:
            discount -= value
        elif len(products) < PRODUCTS_SENT:
            products.append(product_of(line))
    tax = Decimal(0)
    if invoice.country == "United Kingdom":
        rate = next(rate for until, rate in VAT if until is None or invoice.time < until)
        tax = ((total - shipping) * rate / (1 + rate)).quantize(_PENNY, ROUND_HALF_UP)
    subtotal = float(total - shipping - tax)
    return {
        "order_id": invoice.number,
        "total": float(total),
        "subtotal": subtotal,
        "revenue": subtotal,
        "tax": float(tax),
        "shipping": float(shipping),
        "discount": float(discount),
        "currency": shop.CURRENCY,
        "products": products,
    }


def product_of(line: Line) -> dict[str, Any]:
    """An invoice's line as a product of the Segment ecommerce spec."""
    product: dict[str, Any] = {
        "product_id": line.stock_code,
        "sku": line.stock_code,
        "price": float(line.unit_price),
        "quantity": line.quantity,
    }
    if line.description is not None:
        product["name"] = line.description
    return product


def traits_of(shopper: Shopper, subject: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the person's account or checkout form says, as it was typed, and the dirt in it."""
    email, email_dirt = people.typed_email(shopper, subject)
    phone, phone_dirt = people.typed_phone(shopper, subject)
    address = {
        name: fact
        for name, fact in (
            ("city", shopper.city),
            ("state", shopper.state),
            ("postalCode", shopper.postal_code),
            ("country", shopper.country if shopper.city else None),
        )
        if fact is not None
    }
    traits: dict[str, Any] = {
        name: fact
        for name, fact in (
            ("email", email),
            ("phone", phone),
            ("firstName", shopper.first_name),
            ("lastName", shopper.last_name),
            ("birthday", shopper.birthday),
            ("gender", shopper.gender),
        )
        if fact is not None
    }
    if address:
        traits["address"] = address
    if shopper.tags:
        traits["tags"] = list(shopper.tags)
    return traits, tuple(dirt for dirt in (email_dirt, phone_dirt) if dirt)


def iso(moment: int) -> str:
    """Epoch milliseconds -> `2026-11-22T05:24:44.123Z`."""
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _goods(invoice: Invoice) -> list[Line]:
    """The lines a visitor can have looked at."""
    return [line for line in invoice.lines if line.quantity > 0 and line.stock_code not in shop.NO_GOODS]


def _path(line: Line) -> str:
    """The address of a product's page, below the shop's."""
    return "/products/" + line.stock_code.lower().replace(" ", "-")
