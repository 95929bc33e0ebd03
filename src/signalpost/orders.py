"""Canonical commerce: items, one order value for every platform, and what makes two purchases the same order.

**Gross** is what the buyer pays: goods after discounts, plus tax, plus shipping (the Segment spec's `total`).
**Net** is goods after discounts, without tax and shipping (the spec's `revenue`, or `subtotal`).
`docs/explain/order-value.md` tells both with examples; `VALUE_RULES` below is what is executed.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from signalpost.events import Event, Item, Order

JUNK = frozenset({"", "null", "none", "undefined", "nan", "(not set)", "(data deleted)", "n/a", "<obfuscated>"})
"""Texts that stand in for a value that is not there, in lower case."""

LONGEST_JUNK = max(map(len, JUNK))

LARGEST_QUANTITY = 2**31 - 1
LARGEST_AMOUNT = Decimal(10) ** 12


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
    return exact


def _amount(properties: dict[str, Any], name: str) -> Decimal | None:
    value = properties.get(name)
    return amount(value) if isinstance(value, (int, float, str)) else None


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
        if found is not None:
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


@lru_cache(maxsize=65_536)
def _label(value: str) -> str | None:
    """`text` of what repeats: a shop has some thousand product names, ids and categories, and writes them in every event."""
    return text(value)


def _words(value: Any) -> str | None:
    return None if value is None else _label(value) if type(value) is str else text(value)


def _quantity(value: Any) -> int | None:
    if value is None:
        return 1
    if type(value) is int:
        return value if -LARGEST_QUANTITY <= value <= LARGEST_QUANTITY else None
    exact = amount(value) if isinstance(value, (float, str)) else None
    if exact is None or exact != exact.to_integral_value() or abs(exact) > LARGEST_QUANTITY:
        return None
    return int(exact)


def _item(product: dict[str, Any]) -> Item | None:
    get = product.get
    price, name = get("price"), get("name")
    item_id = _words(get("product_id") or get("sku") or get("id") or get("variant_id") or get("item_id"))
    if item_id is None and price is None and name is None:
        return None
    return Item(
        id=item_id,
        name=_words(name or get("title")),
        category=_words(get("category")),
        brand=_words(get("brand") or get("vendor")),
        variant=_words(get("variant")),
        price=amount(price) if isinstance(price, (int, float, str)) else None,
        quantity=_quantity(get("quantity")),
    )


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


_Parts = dict[str, Decimal]
_PART_NAMES = ("total", "revenue", "subtotal", "tax", "shipping", "discount", "value")
_ZERO = Decimal(0)


def _plus(base: str) -> Callable[[_Parts], Decimal]:
    return lambda parts: parts[base] + parts.get("tax", _ZERO) + parts.get("shipping", _ZERO)


def _minus_tax_and_shipping(parts: _Parts) -> Decimal:
    return parts["total"] - parts.get("tax", _ZERO) - parts.get("shipping", _ZERO)


VALUE_RULES: dict[str, tuple[tuple[str, str, Callable[[_Parts], Decimal]], ...]] = {
    "gross": (
        ("total", "total", lambda parts: parts["total"]),
        ("revenue", "revenue + tax + shipping", _plus("revenue")),
        ("subtotal", "subtotal + tax + shipping", _plus("subtotal")),
        ("value", "value as sent", lambda parts: parts["value"]),
    ),
    "net": (
        ("revenue", "revenue", lambda parts: parts["revenue"]),
        ("subtotal", "subtotal", lambda parts: parts["subtotal"]),
        ("total", "total - tax - shipping", _minus_tax_and_shipping),
        ("value", "value as sent", lambda parts: parts["value"]),
    ),
}
"""Definition -> rules in order: (the part that must be present, how it reads, the sum). A missing tax or shipping counts as
zero and the words say so; with no rule left the items are summed, less the discount."""


def value(properties: dict[str, Any], lines: tuple[Item, ...], definition: str) -> tuple[Decimal | None, str]:
    """(order value under the definition, how it was found); (None, "") when nothing gives it."""
    parts = {}
    for name in _PART_NAMES:
        given = properties.get(name)
        if given is not None:
            exact = _amount(properties, name)
            if exact is not None:
                parts[name] = exact
    for needs, words, rule in VALUE_RULES[definition]:
        if needs in parts:
            absent = [part for part in ("tax", "shipping") if part in words and part not in parts]
            return rule(parts), words + (f" (no {' or '.join(absent)} given)" if absent else "")
    priced = [line.price * line.quantity for line in lines if line.price is not None and line.quantity is not None]
    if priced and len(priced) == len(lines):
        return sum(priced, _ZERO) - parts.get("discount", _ZERO), "sum of items"
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
