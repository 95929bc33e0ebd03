"""What the shop's website and back office would have sent, message by message, in the year's order.

Real are the orders and cancellations: their numbers, times, customers, countries, lines, quantities and
prices (`shop`). Derived from them, by a hash and never by chance, is the rest: who the people are
(`people`), what they looked at before they bought, how they came, their browsers, their consent, and the
dirt of real tracking (`DIRT`).

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
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from signalpost.samples import people, shop
from signalpost.samples.people import Browser, Shopper, draw, pick, token, unique
from signalpost.samples.shop import Invoice, Line

SHOP = "https://shop.example.test"
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
    "no_order_named": Kind(1.0, "cancellations", "real: a refund or cancellation names no order", False),
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
"""Share of orders that the shop's server reports; the others come from the browser."""
PASSED_BY = 0.5
"""Share of orders beside which somebody else looks and does not buy."""
CAME_BACK = 0.1
"""Share of customers' orders after which they leave another checkout unfinished."""
FROM_TIKTOK = 0.2
"""Share of visits that begin with an ad's `ttclid` in the address."""
FROM_PINTEREST = 0.14
"""Share of visits that begin with an ad's `epik` in the address."""
CANCELLED = 0.25
"""Share of cancellation documents sent as `Order Cancelled`, the others as `Order Refunded`: made up."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message, when to send it, and the truth about it that its receiver does not see."""

    due_ms: int
    """Epoch milliseconds at which it is to be sent; never before the message before it."""
    wire: str
    body: dict[str, Any]
    """A Segment-spec message; a JSON object."""
    invoice: str | None = None
    """The invoice a purchase, refund or cancellation comes from."""
    value: Decimal | None = None
    """That invoice's exact value in GBP; negative for a refund."""
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
    """`Order Completed` messages, double fires and reused order ids included, retries not."""
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
) -> Iterator[Message]:
    """Yield the year's messages by the moment they are due.

    `start` and `until` are epoch milliseconds: the first message is due within an hour of the year after
    `start`, and none at `until` or later. `compression` says how much faster than the year the stream runs:
    100,000 makes it five and a half minutes. `longest_pause` (milliseconds of the year, at least `LEAD`)
    shortens the shop's longer pauses, its nights, Saturdays and Christmas, to that. `invoice_limit` takes the
    first so many invoices with their whole stories. The same arguments give the same stream, byte for byte.
    Only what is due soon is held in memory.
    """
    if longest_pause is not None and longest_pause < LEAD:
        raise ValueError(f"longest_pause is {longest_pause} ms; a visit takes up to {LEAD} ms before its order")
    year = islice(shop.invoices() if invoices is None else invoices, invoice_limit)
    waiting: list[tuple[int, int, int, Message]] = []
    serial = 0
    before: int | None = None
    clock = Clock(first=0, start=start, compression=compression)
    for invoice in year:
        if before is None:
            clock = clock.shifted(invoice.time - LEAD)
        elif longest_pause is not None:
            clock = clock.shifted(max(0, invoice.time - before - longest_pause))
        before = invoice.time
        begun = clock.due(invoice.time - LEAD)
        while waiting and waiting[0][0] < begun:
            message = heapq.heappop(waiting)[-1]
            if until is not None and message.due_ms >= until:
                return
            yield message
        for moment, message in story(invoice, clock):
            serial += 1
            heapq.heappush(waiting, (message.due_ms, moment, serial, message))
    while waiting:
        message = heapq.heappop(waiting)[-1]
        if until is not None and message.due_ms >= until:
            return
        yield message


def summarise(stream: Iterable[Message]) -> Summary:
    """Count what is in a stream, in constant memory; the stream is consumed."""
    count = retries = purchases = orders = sound_orders = refunds = 0
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
            if "double_fire" in message.dirt or "reused_order_id" in message.dirt:
                continue
            orders += 1
            gross += value
            if not any(DIRT[kind].withholds for kind in message.dirt):
                sound_orders += 1
                sound_gross += value
        elif event in {"Order Refunded", "Order Cancelled"}:
            refunds += 1
            refunded += value
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
        dirt=dict(dirt),
    )


class Clock(msgspec.Struct, frozen=True):
    """From moments of the year to moments of the replay."""

    first: int
    """The moment of the year that is `start`."""
    start: int
    compression: float

    def shifted(self, skipped: int) -> Clock:
        """A clock that skips so many milliseconds of the year."""
        return Clock(self.first + skipped, self.start, self.compression)

    def due(self, moment: int) -> int:
        """Epoch milliseconds in the year -> epoch milliseconds in the replay."""
        return self.start + int((moment - self.first) / self.compression)


Timed = tuple[int, Message]


def story(invoice: Invoice, clock: Clock) -> Iterator[Timed]:
    """Everything that is sent because of one invoice, each with its moment in the year; in no order."""
    for moment, message in _told(invoice, clock):
        yield moment, message
        if draw(str(message.body["messageId"]), "retry") < DIRT["retry"].share:
            again = moment + SECOND * (2 + pick(invoice.number, "retry after", 20))
            yield (
                again,
                msgspec.structs.replace(message, due_ms=clock.due(again), dirt=(*message.dirt, "retry")),
            )


def _told(invoice: Invoice, clock: Clock) -> Iterator[Timed]:
    if invoice.is_cancellation:
        yield _taken_back(invoice, clock)
    elif not is_bought(invoice):
        yield _booked(invoice, clock)
    else:
        yield from _bought(invoice, clock)


def is_bought(invoice: Invoice) -> bool:
    """Whether somebody bought something: goods in it, and money or a known customer behind it."""
    goods = any(line.quantity > 0 and line.stock_code not in _NO_GOODS for line in invoice.lines)
    return goods and invoice.number.isdigit() and (invoice.customer is not None or invoice.value > 0)


_NO_GOODS = shop.BOOKKEEPING | shop.SHIPPING | shop.DISCOUNT


def _bought(invoice: Invoice, clock: Clock) -> Iterator[Timed]:
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
    visit = Visit(number, shopper, used, clock, known=shopper.user_id is not None and draw(number, "known") < KNOWN)
    if kiosk:
        visit.dirt += ("kiosk",)
    order = order_properties(invoice)
    yield from _browsed(visit, invoice, order)
    yield from _ordered(visit, invoice, order)
    if draw(number, "passer-by") < PASSED_BY:
        yield from _passed_by(invoice, order, clock)
    if invoice.customer is not None and draw(number, "came back") < CAME_BACK:
        yield from _came_back(invoice, order, shopper, clock)
    if draw(number, "reused") < DIRT["reused_order_id"].share:
        yield _reused(invoice, order, clock)


class Visit:
    """One visit to the website: who, with what browser, and how its messages are written."""

    def __init__(self, key: str, shopper: Shopper, used: Browser, clock: Clock, *, known: bool) -> None:
        self.key = key
        self.shopper = shopper
        self.browser = used
        self.clock = clock
        self.user_id = shopper.user_id if known else None
        self.dirt: tuple[str, ...] = ()
        self.context: dict[str, Any] = {
            "library": {"name": "analytics.js", "version": "2.11.1"},
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
        dirt: tuple[str, ...] = (),
    ) -> Timed:
        """One browser message at `moment` of the year, from the page `path`."""
        self.steps += 1
        due = self.clock.due(moment)
        page = {
            "path": path,
            "referrer": referrer if referrer is not None else SHOP + "/",
            "search": query,
            "title": "The Shop",
            "url": f"{SHOP}{path}{query}",
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
    yield visit.say(end - began, kind="page", path=_path(seen[0]), query=query, referrer=referrer)
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
    visit.user_id = visit.shopper.user_id
    if traits:
        yield visit.say(moment, kind="identify", path="/checkout", traits=traits, dirt=dirt)


def _ordered(visit: Visit, invoice: Invoice, order: dict[str, Any]) -> Iterator[Timed]:
    """The purchase itself, in whatever state it reaches the receiver, and sometimes once more."""
    number = invoice.number
    properties, dirt = _soiled(number, order)
    if draw(number, "server side") < SERVER_SIDE:
        first = _from_server(visit, invoice, properties, dirt)
    else:
        first = visit.say(invoice.time, event="Order Completed", path="/checkout/thanks", properties=properties, dirt=dirt)
    moment, message = first
    body, time_dirt = _wrong_time(number, message)
    message = msgspec.structs.replace(message, body=body, invoice=number, value=invoice.value, dirt=message.dirt + time_dirt)
    yield moment, message
    if draw(number, "double fire") < DIRT["double_fire"].share:
        later = moment + MINUTE + pick(number, "double fire after", 8 * MINUTE)
        due = visit.clock.due(later)
        again = {**body, "messageId": unique(f"{number}/again", "message id"), "timestamp": iso(due)}
        yield (
            later,
            msgspec.structs.replace(message, due_ms=due, body=again, dirt=(*message.dirt, "double_fire")),
        )


def _from_server(visit: Visit, invoice: Invoice, properties: dict[str, Any], dirt: tuple[str, ...]) -> Timed:
    """The purchase as the shop's server reports it: no page and no browser, but what the account knows."""
    traits, more = traits_of(visit.shopper, visit.key)
    due = visit.clock.due(invoice.time)
    body = _server_body(f"{invoice.number}/order", due, "Order Completed", properties, traits)
    body["anonymousId"] = visit.browser.anonymous_id
    body["userId"] = visit.user_id
    if "consent" in visit.context:
        body["context"]["consent"] = visit.context["consent"]
    return invoice.time, Message(due_ms=due, wire="pipelines", body=body, dirt=visit.dirt + dirt + more)


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


def _passed_by(invoice: Invoice, order: dict[str, Any], clock: Clock) -> Iterator[Timed]:
    """Somebody else looks at the same things; some fill a cart, fewer start to check out, none buys."""
    key = f"p{invoice.number}"
    shopper = people.passer_by(key, invoice.country)
    visit = Visit(key, shopper, people.browser(shopper, 0), clock, known=False)
    line = _goods(invoice)[-1]
    moment = invoice.time - 50 * MINUTE + pick(key, "moment", 20 * MINUTE)
    query, referrer = _landing(key)
    product = {**product_of(line), "currency": order["currency"]}
    yield visit.say(moment, kind="page", path=_path(line), query=query, referrer=referrer)
    yield visit.say(moment + 3 * SECOND, event="Product Viewed", path=_path(line), properties={**product, "quantity": 1})
    interest = draw(key, "interest")
    if interest < 0.35:
        yield visit.say(moment + 2 * MINUTE, event="Product Added", path=_path(line), properties=product)
    if interest < 0.12:
        yield visit.say(moment + 5 * MINUTE, event="Checkout Started", path="/checkout", properties=_cart(key, [line]))
        yield from _identified(visit, moment + 6 * MINUTE)


def _came_back(invoice: Invoice, order: dict[str, Any], shopper: Shopper, clock: Clock) -> Iterator[Timed]:
    """The customer comes back within a day, fills a cart, starts to check out and leaves."""
    key = f"b{invoice.number}"
    visit = Visit(key, shopper, people.browser(shopper, 0), clock, known=True)
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


def _reused(invoice: Invoice, order: dict[str, Any], clock: Clock) -> Timed:
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
    visit = Visit(key, shopper, people.browser(shopper, 0), clock, known=False)
    visit.dirt += ("reused_order_id",)
    _, message = visit.say(moment, event="Order Completed", path="/checkout/thanks", properties=properties)
    return moment, msgspec.structs.replace(message, invoice=invoice.number, value=value)


def _taken_back(invoice: Invoice, clock: Clock) -> Timed:
    """A cancellation document: the shop's server tells what is given back, and cannot say for which order."""
    due = clock.due(invoice.time)
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
    if invoice.customer is not None:
        traits, dirt = traits_of(people.customer(invoice.customer, invoice.country), invoice.number)
    event = "Order Cancelled" if draw(invoice.number, "cancelled") < CANCELLED else "Order Refunded"
    body = _server_body(invoice.number, due, event, properties, traits)
    if invoice.customer is None:
        body["anonymousId"] = "anonymous"
    else:
        body["userId"] = str(invoice.customer)
    return invoice.time, Message(
        due_ms=due,
        wire="pipelines",
        body=body,
        invoice=invoice.number,
        value=invoice.value,
        dirt=(*dirt, "no_order_named"),
    )


def _booked(invoice: Invoice, clock: Clock) -> Timed:
    """A write-off, a fee, a bad debt: booked as an order by 'anonymous'."""
    due = clock.due(invoice.time)
    body = _server_body(invoice.number, due, "Order Completed", order_properties(invoice), {})
    body["anonymousId"] = "anonymous"
    return invoice.time, Message(
        due_ms=due,
        wire="pipelines",
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
    return traits, tuple(dirt for dirt in (email_dirt, phone_dirt) if dirt)


def iso(moment: int) -> str:
    """Epoch milliseconds -> `2026-11-22T05:24:44.123Z`."""
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _goods(invoice: Invoice) -> list[Line]:
    """The lines a visitor can have looked at."""
    return [line for line in invoice.lines if line.quantity > 0 and line.stock_code not in _NO_GOODS]


def _path(line: Line) -> str:
    """The address of a product's page, below the shop's."""
    return "/products/" + line.stock_code.lower().replace(" ", "-")
