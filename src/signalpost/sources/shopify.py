"""Shopify's webhooks: orders, refunds, checkouts and carts as Segment ecommerce events.

Choices a reader should know:

- `order_id` is the order's `id` as text: unique in a shop for ever, the same in every topic, and what a refund refers to.
  The number a buyer sees (`name`, `order_number`) can be prefixed, reset and shared by two shops; it stays in the properties.
- `user_id` is the Shopify customer's `id`; a guest has none and is known by e-mail, phone and cart.
- The cart's token is an anonymous id (`shopify-cart-…`): cart, checkout and order share it, so the cart joins its buyer.
- Amounts are the shop's own currency (`shop_money`), never what the buyer's currency shows, so that all orders add up.
- Shopify's prices may contain tax; `subtotal`, `revenue` and `shipping` here never do: total = subtotal + tax + shipping.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qs, urlsplit

from signalpost.events import Event, Identifier
from signalpost.sources.wire import (
    WEBHOOK_LIMIT,
    Reading,
    Received,
    Refused,
    check_size,
    decode_object,
    derived_message_id,
    identifier,
    mapping,
    milliseconds,
    refusal,
    text,
)

TOPIC, WEBHOOK_ID, EVENT_ID, SHOP = "x-shopify-topic", "x-shopify-webhook-id", "x-shopify-event-id", "x-shopify-shop-domain"

HEADERS = (TOPIC, WEBHOOK_ID, EVENT_ID, SHOP)
"""What the intake keeps of the request's headers."""

CLICK_PARAMETERS = {"ttclid": "ttclid", "ttp": "ttp", "epik": "epik"}
"""Names (without leading underscores) of note attributes and query parameters -> the property that carries the click id."""

ANONYMOUS_NOTES = frozenset(
    {"anonymous_id", "anonymousid", "ajs_anonymous_id", "cio_anonymous_id", "rudder_anonymous_id", "rl_anonymous_id"}
)
"""Note attributes in which a theme hands over the browser's anonymous id."""

BOUGHT = frozenset({"paid", "partially_refunded", "refunded"})
"""`financial_status` of an order whose money has come in (a refund came later)."""


def read(received: Received) -> Reading:
    """One webhook, at most one event; topics we have no use for are accepted with a note."""
    reading = Reading()
    topic = received.headers.get(TOPIC, "").strip().lower()
    try:
        check_size(received.body, WEBHOOK_LIMIT)
        body = decode_object(received.body)
        make = TOPICS.get(topic)
        if make is None:
            reading.notes.append(
                f"The topic `{topic[:60]}` is accepted and not used." if topic else "No X-Shopify-Topic header: not used."
            )
            return reading
        reading.events.append(make(received, body, topic))
    except (Refused, ValueError, RecursionError) as error:
        reading.refusals.append(refusal(error, None))
    return reading


def _order(received: Received, order: dict[str, Any], topic: str) -> Event:
    paid = topic == "orders/paid" or text(order.get("financial_status")).lower() in BOUGHT
    placed = order.get("processed_at") or order.get("created_at")
    match topic:
        case "orders/cancelled":
            return _event(
                received, "Order Cancelled", order, _order_properties(order), order.get("cancelled_at") or order.get("updated_at")
            )
        case "orders/updated":
            properties = _order_properties(order)
            for name in ("current_total_price", "current_subtotal_price", "current_total_tax", "current_total_discounts"):
                amount = _money(order, name)
                if amount is not None:
                    properties[name] = amount
            return _event(received, "Order Updated", order, properties, order.get("updated_at") or placed)
        case _:
            return _event(received, "Order Completed" if paid else "Order Placed", order, _order_properties(order), placed)


def _order_properties(order: dict[str, Any]) -> dict[str, Any]:
    id_ = identifier(order.get("id"))
    if id_ is None:
        raise Refused("An order needs an id.", path="$.id", code="required")
    properties = {"order_id": id_, **_amounts(order), **_common(order)}
    for name in ("name", "order_number", "financial_status", "cancel_reason", "order_status_url"):
        if order.get(name) is not None:
            properties["order_name" if name == "name" else name] = order[name]
    properties.pop("order_status_url", None)  # its token opens the buyer's order page
    if order.get("checkout_id") is not None:
        properties["checkout_id"] = text(order["checkout_id"])
    return properties


def _checkout(received: Received, checkout: dict[str, Any], topic: str) -> Event:
    created = topic == "checkouts/create"
    id_ = identifier(checkout.get("token")) or identifier(checkout.get("id"))
    if id_ is None:
        raise Refused("A checkout needs an id or a token.", path="$.token", code="required")
    amounts = _amounts(checkout)
    properties = {"checkout_id": id_, **amounts, **_common(checkout)}
    if "total" in amounts:
        properties["value"] = amounts["total"]
    said = checkout.get("created_at") if created else checkout.get("updated_at") or checkout.get("created_at")
    return _event(received, "Checkout Started" if created else "Checkout Updated", checkout, properties, said)


def _cart(received: Received, cart: dict[str, Any], topic: str) -> Event:
    """A new cart is its first product added; an update is a snapshot, and only a comparison could say what was added."""
    token = identifier(cart.get("token")) or identifier(cart.get("id"))
    if token is None:
        raise Refused("A cart needs a token.", path="$.token", code="required")
    lines = _products(cart)
    properties: dict[str, Any] = {"cart_id": token, **_common(cart)}
    created = topic == "carts/create" and bool(lines)
    if created and len(lines) == 1:
        properties |= {name: value for name, value in lines[0].items() if name != "tax"}
    worth = [Decimal(line["price"]) * int(line["quantity"]) for line in lines if _decimal(line.get("price")) is not None]
    if worth:
        properties["value"] = str(sum(worth))
    currency = _cart_currency(cart)
    if currency:
        properties["currency"] = currency
    said = (cart.get("created_at") if created else cart.get("updated_at")) or cart.get("created_at")
    return _event(received, "Product Added" if created else "Cart Updated", {**cart, "cart_token": token}, properties, said)


def _cart_currency(cart: dict[str, Any]) -> str:
    for line in _list(cart, "line_items"):
        for name in ("price_set", "line_price_set"):
            code = text(mapping(mapping(line.get(name)).get("shop_money")).get("currency_code"))
            if code:
                return code
    return text(cart.get("currency"))


def _refund(received: Received, refund: dict[str, Any], _topic: str) -> Event:
    """A refund names its order and nobody else; its amount is what went back to the buyer, else what its lines were worth."""
    order = identifier(refund.get("order_id"))
    if order is None:
        raise Refused("A refund needs an order_id.", path="$.order_id", code="required")
    properties: dict[str, Any] = {"order_id": order}
    if refund.get("id") is not None:
        properties["refund_id"] = text(refund["id"])
    paid_back = [
        transaction
        for transaction in _list(refund, "transactions")
        if text(transaction.get("kind")).lower() == "refund" and text(transaction.get("status")).lower() in {"success", ""}
    ]
    amounts = [amount for each in paid_back if (amount := _decimal(_shop(each, "amount"))) is not None]
    lines = _list(refund, "refund_line_items")
    if amounts:
        properties["total"] = str(sum(amounts))
    elif lines:
        worth = [
            amount for line in lines for name in ("subtotal", "total_tax") if (amount := _decimal(_shop(line, name))) is not None
        ]
        properties["total"] = str(sum(worth))
    currency = next((text(each.get("currency")) for each in paid_back if each.get("currency")), text(refund.get("currency")))
    for each in paid_back:
        code = text(mapping(mapping(each.get("amount_set")).get("shop_money")).get("currency_code"))
        currency = code or currency
    if currency:
        properties["currency"] = currency
    products = [{**_product(mapping(line.get("line_item"))), "quantity": _quantity(line.get("quantity"))} for line in lines]
    if products:
        properties["products"] = products
    if text(refund.get("note")):
        properties["note"] = refund["note"]
    return _event(received, "Order Refunded", refund, properties, refund.get("processed_at") or refund.get("created_at"))


TOPICS: dict[str, Callable[[Received, dict[str, Any], str], Event]] = {
    "orders/create": _order,
    "orders/paid": _order,
    "orders/updated": _order,
    "orders/cancelled": _order,
    "refunds/create": _refund,
    "checkouts/create": _checkout,
    "checkouts/update": _checkout,
    "carts/create": _cart,
    "carts/update": _cart,
}
"""Topic -> what it becomes."""


def _list(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = body.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _shop(body: dict[str, Any], name: str) -> Any:
    """An amount in the shop's currency: of the `_set` when there is one, else the plain field, which is in it too."""
    amount = mapping(mapping(body.get(f"{name}_set")).get("shop_money")).get("amount")
    return body.get(name) if amount is None else amount


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount.adjusted()) < 40 else None


def _money(body: dict[str, Any], name: str) -> str | None:
    amount = _decimal(_shop(body, name))
    return None if amount is None else f"{amount:f}"


def _tax(lines: list[dict[str, Any]]) -> Decimal:
    return sum((_decimal(_shop(tax, "price")) or Decimal(0) for line in lines for tax in _list(line, "tax_lines")), Decimal(0))


def _amounts(order: dict[str, Any]) -> dict[str, Any]:
    """total, subtotal, revenue, tax, shipping, discount, currency and coupon, as Segment defines them, as exact decimal text."""
    found: dict[str, Any] = {}
    for name, theirs in (("total", "total_price"), ("tax", "total_tax"), ("discount", "total_discounts")):
        amount = _money(order, theirs)
        if amount is not None:
            found[name] = amount
    subtotal = _decimal(_shop(order, "subtotal_price"))
    shipping = _decimal(_shop(order, "total_shipping_price"))
    shipping_lines = _list(order, "shipping_lines")
    if shipping is None and shipping_lines:
        prices = [_decimal(_shop(line, "discounted_price")) or _decimal(_shop(line, "price")) for line in shipping_lines]
        shipping = sum((price for price in prices if price is not None), Decimal(0))
    if order.get("taxes_included") is True:
        on_shipping = _tax(shipping_lines)
        on_lines = _tax(_list(order, "line_items"))
        if not on_lines and not on_shipping:
            on_lines = _decimal(found.get("tax")) or Decimal(0)
        subtotal = None if subtotal is None else subtotal - on_lines
        shipping = None if shipping is None else shipping - on_shipping
    if subtotal is not None:
        found["subtotal"] = found["revenue"] = f"{subtotal:f}"
    if shipping is not None:
        found["shipping"] = f"{shipping:f}"
    currency = text(order.get("currency"))
    for each in ("total_price_set", "subtotal_price_set", "current_total_price_set"):
        currency = currency or text(mapping(mapping(order.get(each)).get("shop_money")).get("currency_code"))
    if currency:
        found["currency"] = currency
    codes = [text(code.get("code")) for code in _list(order, "discount_codes")]
    if any(codes):
        found["coupon"] = ",".join(code for code in codes if code)
    return found


def _quantity(value: Any) -> int:
    try:
        return int(value) if isinstance(value, (int, str, float)) and not isinstance(value, bool) else 1
    except (ValueError, OverflowError):
        return 1


def _product(line: dict[str, Any]) -> dict[str, Any]:
    ids = {name: text(line.get(name)) for name in ("product_id", "variant_id", "sku")}
    product: dict[str, Any] = {
        "product_id": ids["product_id"] or ids["sku"] or ids["variant_id"] or text(line.get("id")),  # custom items have none
        "sku": ids["sku"],
        "variant_id": ids["variant_id"],
        "variant": text(line.get("variant_title")),
        "name": text(line.get("title") or line.get("name")),
        "brand": text(line.get("vendor")),
        "category": text(line.get("product_type")),
    }
    product = {name: value for name, value in product.items() if value}
    price = _money(line, "price")
    if price is not None:
        product["price"] = price
    product["quantity"] = _quantity(line.get("quantity", 1))
    if line.get("gift_card") is True:
        product["gift_card"] = True
    return product


def _products(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [_product(line) for line in _list(body, "line_items")]


def _notes(body: dict[str, Any]) -> dict[str, str]:
    """Note attributes (a list of name and value, or an object) by lower-case name without leading underscores."""
    given = body.get("note_attributes") or body.get("attributes")
    pairs: list[tuple[Any, Any]] = []
    if isinstance(given, dict):
        pairs = list(given.items())
    elif isinstance(given, list):
        pairs = [(each.get("name") or each.get("key"), each.get("value")) for each in given if isinstance(each, dict)]
    return {
        text(name).strip().lower().lstrip("_"): text(value).strip() for name, value in pairs if text(name) and text(value).strip()
    }


def _common(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    products = _products(body)
    if products:
        found["products"] = products
    if body.get("test") is True:
        found["test"] = True
    for name in ("source_name", "tags", "buyer_accepts_marketing", "customer_locale"):
        if body.get(name) not in (None, ""):
            found[name] = body[name]
    for name, value in (
        _landing_clicks(body) | {key: each for key, each in _notes(body).items() if key in CLICK_PARAMETERS}
    ).items():
        found[CLICK_PARAMETERS[name]] = value
    return found


def _landing_clicks(body: dict[str, Any]) -> dict[str, str]:
    landing = text(body.get("landing_site"))
    try:
        query = parse_qs(urlsplit(landing).query)
    except ValueError:
        return {}
    return {name.lstrip("_"): values[0] for name, values in query.items() if name.lstrip("_") in CLICK_PARAMETERS}


def _page(received: Received, body: dict[str, Any]) -> dict[str, Any]:
    """The landing page as the event's page: the order page's address would carry the token that opens it."""
    landing = text(body.get("landing_site"))
    page: dict[str, Any] = {}
    host = received.headers.get(SHOP, "").strip()
    try:
        host = urlsplit(text(body.get("order_status_url"))).netloc or host
        if landing.startswith("/") and host:
            page["url"] = f"https://{host}{landing}"
        elif "://" in landing:
            page["url"] = landing
        elif host:
            page["url"] = f"https://{host}/"
    except ValueError:
        pass  # an address nobody can read
    referrer = text(body.get("referring_site"))
    if referrer:
        page["referrer"] = referrer
    return page


def _context(received: Received, body: dict[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = {}
    client = mapping(body.get("client_details"))
    ip = text(client.get("browser_ip") or body.get("browser_ip"))
    if ip:
        context["ip"] = ip
    if text(client.get("user_agent")):
        context["userAgent"] = client["user_agent"]
    locale = text(body.get("customer_locale")) or text(client.get("accept_language")).partition(",")[0]
    if locale:
        context["locale"] = locale
    page = _page(received, body)
    if page:
        context["page"] = page
    shop = {
        name: received.headers[header]
        for name, header in (("domain", SHOP), ("topic", TOPIC), ("event_id", EVENT_ID))
        if header in received.headers
    }
    context["shopify"] = shop
    return context


ADDRESS = {
    "city": "city",
    "state": "province_code",
    "zip": "zip",
    "country": "country_code",
    "street": "address1",
    "company": "company",
}


def _traits(body: dict[str, Any]) -> dict[str, Any]:
    """Who the buyer is: e-mail, phone, name and address, the first place that says each counts."""
    customer = mapping(body.get("customer"))
    addresses = [
        mapping(body.get("billing_address")),
        mapping(body.get("shipping_address")),
        mapping(customer.get("default_address")),
    ]
    places = [body, customer, *addresses]
    traits: dict[str, Any] = {}
    for name, keys in (("email", ("email", "contact_email")), ("phone", ("phone",))):
        value = next((text(place.get(key)) for key in keys for place in places if text(place.get(key)).strip()), "")
        if value:
            traits[name] = value
    for name in ("first_name", "last_name"):
        value = next((text(place.get(name)) for place in (customer, *addresses) if text(place.get(name)).strip()), "")
        if value:
            traits[name] = value
    where = next((address for address in addresses if any(text(address.get(key)) for key in ("zip", "city", "country_code"))), {})
    address = {ours: text(where.get(theirs)) for ours, theirs in ADDRESS.items() if text(where.get(theirs)).strip()}
    if address:
        traits["address"] = {**address, **({"postal_code": address["zip"]} if "zip" in address else {})}
    tags = text(customer.get("tags"))
    if tags:
        traits["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
    return traits


def _identifiers(body: dict[str, Any], traits: dict[str, Any]) -> tuple[Identifier, ...]:
    found: dict[Identifier, None] = {}
    customer = _or_absent(mapping(body.get("customer")).get("id")) or _or_absent(body.get("customer_id"))
    if customer:
        found["user_id", customer] = None
    for kind in ("email", "phone"):
        if kind in traits:
            found[kind, traits[kind]] = None
    for name, value in _notes(body).items():
        if name in ANONYMOUS_NOTES:
            found["anonymous_id", value] = None
    cart = text(body.get("cart_token")).partition("?")[0]  # newer tokens carry a key after the question mark
    if cart:
        found["anonymous_id", f"shopify-cart-{cart}"] = None
    return tuple(found)


def _or_absent(value: Any) -> str | None:
    try:
        return identifier(value)
    except Refused:
        return None  # the order counts without it


def _event(received: Received, name: str, body: dict[str, Any], properties: dict[str, Any], said: Any) -> Event:
    stated = milliseconds(said)
    traits = _traits(body)
    webhook = received.headers.get(WEBHOOK_ID, "").strip()
    return Event(
        kind="track",
        source=received.source,
        message_id=f"shopify-{webhook[:200]}"
        if webhook
        else derived_message_id(received, 0, received.body, timed=stated is not None),
        time=received.received_at if stated is None else stated,
        received_at=received.received_at,
        name=name,
        identifiers=_identifiers(body, traits),
        traits=traits,
        properties=properties,
        context=_context(received, body),
    )
