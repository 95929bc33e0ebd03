"""Small named readers, shared by the platforms' field tables: what a row reads from a signal.

Each gives a clean value or None, never something empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from signalpost import normalize
from signalpost.events import Item, Order, Signal
from signalpost.mapping import Read

DAY_MS = 86_400_000


# ---------------------------------------------------------------------------------------------- the event


platform_event: Read = attrgetter("platform_event")
"""What the platform calls the event."""

event_id: Read = attrgetter("event_id")
"""What the platform deduplicates on."""


def time_in_seconds(signal: Signal) -> int:
    """When it happened, Unix seconds; a clock that runs ahead is held to the time of receipt."""
    event = signal.event
    return (event.time if event.time < event.received_at else event.received_at) // 1000  # noqa: FURB136 (min is slow)


def nothing(signal: Signal) -> None:
    """For rows that only a setting can fill."""


def limited(value: Any) -> Read:
    """`value` for a person who asked for limited data use."""
    return lambda signal: value if signal.limited else None


# ---------------------------------------------------------------------------------------------- where and with what


def _context(name: str, clean: Callable[[str], str | None]) -> Read:
    def read(signal: Signal) -> str | None:
        found = signal.event.context.get(name)
        return clean(found) if found.__class__ is str else None

    return read


ip = _context("ip", normalize.ip_as_written)
"""The person's public address."""

user_agent = _context("userAgent", normalize.user_agent_as_written)
"""The browser's own line."""

locale = _context("locale", normalize.locale_as_written)
"""The browser's locale as BCP 47."""

language = _context("locale", normalize.language_as_written)
"""The browser's language, two letters."""


def page_url(signal: Signal) -> str | None:
    """The page's address: `context.page.url`, else `properties.url` or `properties.order_status_url`."""
    event = signal.event
    page = event.context.get("page")
    if page.__class__ is dict:
        found = normalize.url(page.get("url"))
        if found is not None:
            return found
    properties = event.properties
    return normalize.url(properties.get("url")) or normalize.url(properties.get("order_status_url"))


def referrer(signal: Signal) -> str | None:
    """Where the visitor came from: `context.page.referrer`."""
    page = signal.event.context.get("page")
    if page.__class__ is not dict:
        return None
    return normalize.url(page.get("referrer"))


def click(name: str, *, days: int) -> Read:
    """A click or browser id of the person, if it was seen before the event and at most `days` days before."""
    longest = days * DAY_MS
    clean = normalize.click_id_as_written

    def read(signal: Signal) -> str | None:
        seen = signal.person.clicks.get(name)
        if seen is None:
            return None
        value, when = seen
        # A click after the event did not lead to it (the browser's clock may run a minute ahead).
        age = signal.event.time - when
        return clean(value) if -60_000 <= age <= longest else None

    return read


# ---------------------------------------------------------------------------------------------- what was bought


MOST = Decimal(10) ** 15
"""No shop's amount is larger; what is came from a broken client."""


def amount(value: Any) -> Decimal | None:
    """An amount of money a platform can take, never written with an exponent; None for anything else.

    Finite, not negative, below 10^15. What Decimal can write only with an exponent (below a millionth) is rounded.
    """
    if value.__class__ is not Decimal:
        if value is None or isinstance(value, bool) or not isinstance(value, (str, int, float)):
            return None
        try:
            value = Decimal(str(value).strip())
        except InvalidOperation:
            return None
    if not value.is_finite() or value.is_signed() or value >= MOST:
        return None
    if "E" in str(value):
        return Decimal(format(value, "f")) if value > 1 else value.quantize(_MILLIONTH)
    return value  # type: ignore[no-any-return]


_MILLIONTH = Decimal("0.000001")


def currency(known: frozenset[str] | None = None) -> Read:
    """The order's currency, where there is an amount or a product; None where the platform does not list it."""

    def read(signal: Signal) -> str | None:
        order = signal.order
        code = order.currency
        if not code or (order.value is None and not order.items):
            return None
        return code if known is None or code in known else None

    return read


def value(known: frozenset[str] | None = None) -> Read:
    """The order value; None without a currency the platform lists, because it would be taken for another one."""

    def read(signal: Signal) -> Decimal | None:
        order = signal.order
        if order.value is None or not order.currency or (known is not None and order.currency not in known):
            return None
        worth = str(order.value)
        return order.value if worth[0].isdecimal() and "E" not in worth else amount(order.value)

    return read


def order_id(signal: Signal) -> str | None:
    """The order's number."""
    return signal.order.id or None


LARGEST_COUNT = 2**63 - 1
"""Both platforms' integers are 64 bits wide at most."""


def is_product(item: Item) -> bool:
    """Whether a line is a product: not a return (quantity below one), not a discount (a negative price), not nameless."""
    quantity = item.quantity
    price = item.price
    return (
        (quantity is None or quantity > 0)
        and (price is None or not price.is_signed())
        and (item.id is not None or item.name is not None)
    )


class Cart(Struct, frozen=True):
    """What the rows of a table read of an order's lines."""

    products: Sequence[Item]
    """The lines that are products, with prices a platform can take."""
    ids: list[str]
    """The products' ids, each once, in order."""
    units: int
    """How many of all products; 0 when one of them does not say."""


_last: tuple[Order | None, Cart] = (None, Cart((), [], 0))


def cart(order: Order) -> Cart:
    """The products of an order. Several rows ask in turn for the same order, so the last one's answer is remembered."""
    global _last  # noqa: PLW0603
    of, found = _last
    if of is not order:
        found = _cart(order.items)
        _last = (order, found)
    return found


def _cart(items: Sequence[Item]) -> Cart:
    ids: dict[str, None] = {}
    units = 0
    counted = True
    for item in items:
        name, price, quantity = item.id, item.price, item.quantity
        # `is_product` written out, because every event of a shop comes by here; and no exponent, as in 1E+3
        if price is not None and ((written := str(price))[0] == "-" or "E" in written):
            return _cart(_only_products(items))
        if quantity is None:
            counted = False
        elif quantity > 0:
            units += quantity
        else:
            return _cart(_only_products(items))
        if name is not None:
            ids[name] = None
        elif item.name is None:
            return _cart(_only_products(items))
    return Cart(items, list(ids), units if counted and units <= LARGEST_COUNT else 0)


def _only_products(items: Sequence[Item]) -> list[Item]:
    return [replace(item, price=amount(item.price)) for item in items if is_product(item)]


def content_ids(signal: Signal) -> list[str] | None:
    """Each product's id once, in order."""
    return cart(signal.order).ids or None


def units(signal: Signal) -> int | None:
    """The number of units of all products; None when one of them does not say how many."""
    return cart(signal.order).units or None


def only_item(attribute: str) -> Read:
    """A fact of the event's product where there is exactly one."""
    get: Callable[[Item], str | None] = attrgetter(attribute)

    def read(signal: Signal) -> str | None:
        items = signal.order.items
        return get(items[0]) if len(items) == 1 and is_product(items[0]) else None

    return read


# ---------------------------------------------------------------------------------------------- what else it says


def said(*names: str) -> Read:
    """The first of these properties that has a text."""
    if len(names) == 1:
        only = names[0]

        def read_one(signal: Signal) -> str | None:
            found = signal.event.properties.get(only)
            return None if found is None else normalize.text(found)

        return read_one

    def read(signal: Signal) -> str | None:
        properties = signal.event.properties
        for name in names:
            found = properties.get(name)
            if found is not None:
                clean = normalize.text(found)
                if clean is not None:
                    return clean
        return None

    return read


def one_of(name: str, allowed: frozenset[str]) -> Read:
    """A property, if it has one of the words the platform knows."""

    def read(signal: Signal) -> str | None:
        found = signal.event.properties.get(name)
        return found if found.__class__ is str and found in allowed else None

    return read


def searched(signal: Signal) -> str | None:
    """What was searched for: `query`, `search_string`, `search_term` or `search`; not if it is an e-mail address."""
    properties = signal.event.properties
    if "query" in properties or "search_string" in properties or "search_term" in properties or "search" in properties:
        found = _searched(signal)
        return None if found is None or normalize.email(found) else found
    return None


_searched = said("query", "search_string", "search_term", "search")


# ---------------------------------------------------------------------------------------------- cleaners of own fields


def word(*allowed: str) -> Callable[[Any], str | None]:
    """A cleaner that lets only these words pass."""
    known = frozenset(allowed)
    return lambda given: given if isinstance(given, str) and given in known else None


def whole(given: Any) -> int | None:
    """A whole number from a number or its text; None for anything else."""
    if isinstance(given, bool):
        return None
    if isinstance(given, str):
        try:
            given = Decimal(given.strip())
        except InvalidOperation:
            return None
    if isinstance(given, (float, Decimal)):
        if given != given or given in (float("inf"), float("-inf")) or given != int(given):  # noqa: PLR0124
            return None
        given = int(given)
    return given if isinstance(given, int) and abs(given) <= LARGEST_COUNT else None


def texts(given: Any) -> list[str] | None:
    """A list of texts from a list or from one text; None when none is left."""
    parts = given if isinstance(given, list) else [given]
    found = [clean for part in parts if (clean := normalize.text(part)) is not None]
    return found or None


def scalar(given: Any) -> str | int | float | bool | list[Any] | None:
    """A single value, or a list of them, for a field the platform does not describe; None for empty ones."""
    if isinstance(given, bool):
        return given
    if isinstance(given, int):
        return given if abs(given) <= LARGEST_COUNT else None
    if isinstance(given, float):
        return given if abs(given) != float("inf") and given == given else None  # noqa: PLR0124
    if isinstance(given, str):
        return normalize.text(given)
    if isinstance(given, list):
        return [clean for part in given if not isinstance(part, list) and (clean := scalar(part)) is not None] or None
    return None
