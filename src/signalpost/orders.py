"""Canonical commerce: items, one order value for every platform, and what makes two purchases the same order.

**Gross** is what the buyer pays: goods after discounts, plus tax, plus shipping (the Segment spec's `total`).
**Net** is goods after discounts, without tax and shipping (the spec's `revenue`, or `subtotal`).
`docs/explain/order-value.md` tells both with examples; `VALUE_RULES` below is what is executed.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from signalpost.events import Event, Item, Order
from signalpost.iso import minor_units

JUNK = frozenset({"", "null", "none", "undefined", "nan", "(not set)", "(data deleted)", "n/a", "<obfuscated>"})
"""Texts that stand in for a value that is not there, in lower case."""

LONGEST_JUNK = max(map(len, JUNK))

LARGEST_QUANTITY = 2**31 - 1
LARGEST_AMOUNT = Decimal(10) ** 12
MOST_PLACES = 30
"""Decimals of an amount: "1e-999999" is a number, and writing it out would take a megabyte."""
LONGEST_NUMBER = 60
"""Characters of an amount sent as text."""
LONGEST_ID = 200
"""Characters of an order id; longer ones are no order id, and no database could look them up."""


@lru_cache(maxsize=65_536, typed=True)
def amount(value: Any) -> Decimal | None:
    """An exact decimal of a JSON number or plain decimal text; None for what is neither ("12,50", "free", NaN)."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        exact = Decimal(value.strip()) if isinstance(value, str) else Decimal(repr(value))
    except InvalidOperation:
        return None
    if not exact.is_finite() or abs(exact) > LARGEST_AMOUNT:
        return None
    places = exact.as_tuple().exponent
    return exact if isinstance(places, int) and places >= -MOST_PLACES else None


def _money(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return amount(value) if len(value) <= LONGEST_NUMBER else None
    return amount(value) if isinstance(value, (int, float)) else None


def money(properties: dict[str, Any], name: str) -> Decimal | None:
    """The amount under this name as an exact decimal, None when missing or no amount."""
    value = properties.get(name)
    return None if value is None else _money(value)


def text(value: Any) -> str | None:
    """A trimmed text of a JSON scalar, None when empty or a stand-in such as `(not set)`."""
    if isinstance(value, str):
        value = value.strip()
        return None if len(value) <= LONGEST_JUNK and value.lower() in JUNK else value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None


def order_id(properties: dict[str, Any]) -> str | None:
    """The shop's order id under the names clients use for it, None when missing or a stand-in."""
    for name in ("order_id", "orderId", "transaction_id", "order_number"):
        found = text(properties.get(name))
        if found is not None and len(found) <= LONGEST_ID:
            return found
    return None


def currency(properties: dict[str, Any], default: str) -> str | None:
    """The event's currency, the workspace's when the event names none, None when it names nonsense."""
    given = properties.get("currency")
    if given is None or given == "":
        return default
    if isinstance(given, str):
        code = given.strip().upper()
        if len(code) == 3 and code.isascii() and code.isalpha():
            return code
    return None


def _quantity(value: Any) -> int | None:
    if value is None:
        return 1
    if type(value) is int:
        return value if -LARGEST_QUANTITY <= value <= LARGEST_QUANTITY else None
    exact = _money(value) if isinstance(value, (float, str)) else None
    if exact is None or exact != exact.to_integral_value() or abs(exact) > LARGEST_QUANTITY:
        return None
    return int(exact)


def _read_item(item_id: Any, name: Any, category: Any, brand: Any, variant: Any, price: Any, quantity: Any) -> Item | None:
    if item_id is None and name is None and price is None:
        return None
    return Item(
        id=text(item_id),
        name=text(name),
        category=text(category),
        brand=text(brand),
        variant=text(variant),
        price=_money(price),
        quantity=_quantity(quantity),
    )


_known_item = lru_cache(maxsize=16_384, typed=True)(_read_item)
"""A shop has some thousand products and writes them in every event: each is read once."""


def _item(product: dict[str, Any]) -> Item | None:
    get = product.get
    parts = (
        get("product_id") or get("sku") or get("id") or get("variant_id") or get("item_id"),
        get("name") or get("title"),
        get("category"),
        get("brand") or get("vendor"),
        get("variant"),
        get("price"),
        get("quantity"),
    )
    try:
        return _known_item(*parts)
    except TypeError:  # a list or an object where a text belongs
        return _read_item(*parts)


def items(properties: dict[str, Any]) -> tuple[Item, ...]:
    """The lines of a cart or order; of a single-product event the one product its own properties describe."""
    products = properties.get("products")
    if isinstance(products, list):
        found = [_item(product) for product in products if isinstance(product, dict)]
        return tuple([item for item in found if item is not None])
    if "product_id" in properties or "sku" in properties:
        single = _item(properties)
        return () if single is None else (single,)
    return ()


VALUE_RULES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "gross": (
        ("total", 0, "total"),
        ("revenue", 1, "revenue + tax + shipping"),
        ("subtotal", 1, "subtotal + tax + shipping"),
        ("value", 0, "value as sent"),
    ),
    "net": (
        ("revenue", 0, "revenue"),
        ("subtotal", 0, "subtotal"),
        ("total", -1, "total - tax - shipping"),
        ("value", 0, "value as sent"),
    ),
}
"""Definition -> rules in order: (the part that must be present, how often tax and shipping are added, how it reads).

A missing tax or shipping counts as zero and the words say so; where no rule applies the items are summed, less the discount.
"""

_ZERO = Decimal(0)


def value(properties: dict[str, Any], lines: tuple[Item, ...], definition: str) -> tuple[Decimal | None, str]:
    """(order value under the definition, how it was found); (None, "") when nothing gives it."""
    for needs, extra, words in VALUE_RULES[definition]:
        worth = money(properties, needs)
        if worth is None:
            continue
        if extra == 0:
            return worth, words
        absent = []
        for part in ("tax", "shipping"):
            charged = money(properties, part)
            if charged is None:
                absent.append(part)
            else:
                worth += extra * charged
        if abs(worth) > LARGEST_AMOUNT:
            return None, ""
        return worth, words + (f" (no {' or '.join(absent)} given)" if absent else "")
    priced = [line.price * line.quantity for line in lines if line.price is not None and line.quantity is not None]
    if priced and len(priced) == len(lines):
        worth = sum(priced, _ZERO) - (money(properties, "discount") or _ZERO)
        if abs(worth) <= LARGEST_AMOUNT:
            return worth, "sum of items"
    return None, ""


def read(event: Event, *, definition: str, default_currency: str) -> Order:
    """The commerce of an event; an empty `Order` for an event that has none."""
    properties = event.properties
    if not properties:
        return NO_ORDER
    lines = items(properties)
    worth, found = value(properties, lines, definition)
    return Order(
        id=order_id(properties),
        value=worth,
        currency=currency(properties, default_currency),
        items=lines,
        coupon=text(properties.get("coupon")),
        value_from=found,
    )


NO_ORDER = Order()


def converted(order: Order, currency: str, rate: Decimal) -> Order:
    """The order in another currency, rounded to its smallest coin; `rate` is what one unit of the old one is worth in it."""
    coin = Decimal(1).scaleb(-minor_units(currency))

    def exchanged(price: Decimal | None) -> Decimal | None:
        return None if price is None else (price * rate).quantize(coin, ROUND_HALF_UP)

    return replace(
        order,
        value=exchanged(order.value),
        currency=currency,
        items=tuple([replace(item, price=exchanged(item.price)) for item in order.items]),
        value_from=f"{order.value_from}, {order.currency} at {rate:f}" if order.value is not None else order.value_from,
    )
