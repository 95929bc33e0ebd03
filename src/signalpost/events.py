"""The records that travel through Signalpost, from what a source reported to what a platform is told.

Times are integers: milliseconds since the epoch, UTC. Money is `Decimal`. Records are frozen: change is a new value.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct

Kind = Literal[
    "track", "page", "screen", "identify", "merge", "unmerge", "group", "delete", "suppress", "unsuppress", "device", "engagement"
]

Identifier = tuple[str, str]
"""(kind, value), where kind is one of `IDENTIFIER_KINDS`; values as the source gave them, not yet normalised."""

IDENTIFIER_KINDS = ("user_id", "cio_id", "email", "phone", "anonymous_id")


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """What happened, in the shop's words, as one source reported it; the common shape of every wire.

    `properties`, `context` and `traits` follow the Segment spec whatever the wire was: sources translate into it.
    """

    kind: Kind
    source: str
    """The source's name in the workspace file."""
    message_id: str
    """What a client repeats when it sends the message again; derived from the content where a client sends none."""
    time: int
    """When it happened (epoch ms, UTC); the time of receipt where the source did not say."""
    received_at: int
    name: str = ""
    """The source's own event name; empty for identify, merge and the like."""
    identifiers: tuple[Identifier, ...] = ()
    previous: tuple[Identifier, ...] = ()
    """For `merge`: who turned out to be the same person."""
    traits: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}


class Item(Struct, frozen=True, kw_only=True, gc=False):
    """One line of a cart or an order; `price` is the unit price before order-level discounts."""

    id: str | None = None
    name: str | None = None
    category: str | None = None
    brand: str | None = None
    variant: str | None = None
    price: Decimal | None = None
    quantity: int | None = 1
    """None when what the client sent cannot be a quantity (past 32 bits, text)."""


class Order(Struct, frozen=True, kw_only=True, gc=False):
    """The commerce of one event: a cart, a checkout or an order, under the workspace's one definition of value."""

    id: str | None = None
    value: Decimal | None = None
    """The order value (gross or net as the workspace says); None when no part of the event gives it."""
    currency: str | None = None
    items: tuple[Item, ...] = ()
    coupon: str | None = None
    value_from: str = ""
    """How the value was found, for the operator: `total`, `revenue + tax + shipping`, `sum of items`, ..."""


class Claim(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one source said of an order, in its own parts; amounts are exact, in `currency`."""

    source: str
    event: int
    """Id of the event that said it."""
    time: int
    message_id: str
    value: Decimal | None = None
    """Under the workspace's definition; None when no part gives it."""
    currency: str | None = None
    value_from: str = ""
    stated: str = ""
    """The definition that the amount it calls the order's worth follows: gross, net, subtotal; "" where its parts do not show."""
    total: Decimal | None = None
    revenue: Decimal | None = None
    subtotal: Decimal | None = None
    tax: Decimal | None = None
    shipping: Decimal | None = None
    discount: Decimal | None = None
    worth: Decimal | None = None
    """The property `value`, which says nothing of its definition."""
    coupons: int = 0
    items: tuple[tuple[str | None, Decimal | None, int | None], ...] = ()
    """(product id, unit price, quantity) of the first fifty lines."""
    tags: tuple[str, ...] = ()

    @property
    def discount_share(self) -> Decimal | None:
        """The discount as a share (0 to 1) of the goods before it; None when the source names no discount or no goods."""
        if self.discount is None:
            return None
        goods = self.subtotal if self.subtotal is not None else self.revenue
        if goods is None and self.total is not None:
            goods = self.total - (self.tax or 0) - (self.shipping or 0)
        if goods is None:
            return None
        before = goods + self.discount
        return self.discount / before if before > 0 and self.discount >= 0 else None


class Bought(Struct, frozen=True, array_like=True, gc=False):
    """One order of a person, as small as it can be: what the computed facts need."""

    time: int
    value: Decimal | None
    """Under the workspace's definition, in the workspace's currency; None when it has none or no rate is known."""
    refunded: Decimal
    """Of that value; never more than it."""
    discount: Decimal
    list_value: Decimal
    """Goods before the discount."""
    cancelled: bool
    refunds: bool
    """Whether any money went back."""


class Facts(Struct, frozen=True, kw_only=True):
    """What is computed of a person's orders; money in the workspace's currency, times in epoch ms, rates from 0 to 1."""

    orders: int = 0
    """Orders that were not cancelled."""
    lifetime_value: Decimal = Decimal(0)
    """Their value less refunds."""
    average_order_value: Decimal | None = None
    refund_rate: Decimal | None = None
    """Orders cancelled or (in part) paid back, as a share of all orders ever."""
    discount_rate: Decimal | None = None
    """Discounts as a share of the goods' price before them, over all orders ever."""
    first_order_at: int | None = None
    last_order_at: int | None = None
    days_between_orders: Decimal | None = None
    """The mean; None with fewer than two orders."""


class Person(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One human as far as known: what later events need to remember, small because it is read for every event.

    Every fact carries when it was last heard (epoch ms), so that two records merge to the same result in any order.
    """

    id: int
    """0 for a person nobody can recognise again (an event without identifiers)."""
    created_at: int = 0
    external_ids: dict[str, int] = {}
    """The shop's own ids -> when last heard."""
    anonymous_ids: dict[str, int] = {}
    emails: dict[str, int] = {}
    """Normalised, or already SHA-256."""
    phones: dict[str, int] = {}
    """E.164 with the plus, or already SHA-256."""
    traits: dict[str, tuple[str, int]] = {}
    """Given facts used as match keys: first_name, last_name, city, state, zip, country, birthday, gender."""
    clicks: dict[str, tuple[str, int]] = {}
    """Click and browser ids: ttclid, ttp, epik."""
    devices: dict[str, tuple[str, int]] = {}
    """Mobile advertising ids: idfa, gaid, idfv."""
    consent: dict[str, tuple[bool, int]] = {}
    """What the person last said: advertising, limited_data_use."""
    suppressed_at: int = 0
    """Since when the person asked not to be processed; 0 = not."""
    orders: dict[str, Bought] = {}
    """Order key -> what is remembered of that order (`purchases`)."""
    derived: dict[str, int] = {}
    """Derived event -> the event that made it; it is never made again."""
    recent: dict[str, tuple[int, ...]] = {}
    """What was lately counted once -> when: event and product, for `repeats` of the workspace file."""
    given: dict[str, tuple[Any, int]] = {}
    """Traits that a rule of the workspace reads -> (value, when heard)."""
    memory: dict[str, tuple[int, ...]] = {}
    """Memory slot of a segment rule (`segments.live.Slot.key`) -> when it happened, oldest first."""
    inside: dict[str, int] = {}
    """Segments the person is in -> since when."""
    due: dict[str, int] = {}
    """Segment -> the next moment at which time alone may move the person in or out of it."""
    looked_at: int = 0
    """The latest moment at which membership was decided; the next one is never before it."""
    forgotten: int = 0
    """The event with which the person wished to be forgotten; what came before it is not remembered again."""
    apart: dict[int, int] = {}
    """Merge undone by hand, by the event that undid it -> which of the two this is; two that differ in one are never joined."""
    keys: dict[str, Any] = {}
    """Match keys ready to send (normalised, hashed where hashed), by the names of `normalize.MATCH_KEYS`."""


class Signal(Struct, frozen=True, kw_only=True, gc=False):
    """One canonical event on its way to one platform: all that a field table may read."""

    event: Event
    person: Person
    order: Order
    name: str = ""
    """The canonical event name."""
    platform_event: str = ""
    """What the platform calls it."""
    event_id: str = ""
    """What the platform deduplicates on; decided once, from the event, never at send time."""
    limited: bool = False
    """The person asked for limited data use."""
    customer_type: str | None = None
    """`new` or `returning`, for a purchase; None where it is not known or not to be sent."""
    test: bool = False


Verdict = Literal["withheld", "waiting", "accepted", "warned", "refused", "unknown"]
