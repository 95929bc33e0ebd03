"""Gates that an operator switches on by name: one table. A preset is a rule like any other, `when` writes it out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from signalpost.options import Gate

ORDER_EVENTS = ("Order Completed", "Order Placed", "First Purchase", "Second Purchase", "Repeat Purchase")
"""What a preset about an order looks at where the operator says nothing else, beside the events derived of orders."""


class Preset(Struct, frozen=True, kw_only=True):
    """A rule with a name: why one would want it, what to do about what it finds, and how it is written out."""

    doc: str
    advice: str
    when: Callable[[Gate], dict[str, Any]]
    """The condition for the gate's parameters, their defaults filled in."""
    events: tuple[str, ...] | None = ORDER_EVENTS
    """Canonical events it looks at by default; None: all of them."""
    takes: tuple[str, ...] = ()
    """The parameters of a gate that it knows."""


def _one_or_any(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return conditions[0] if len(conditions) == 1 else {"any": conditions}


def _tagged(*usual: str) -> Callable[[Gate], dict[str, Any]]:
    return lambda gate: {"order.tags": list(gate.tags or usual)}


def _gift_or_sample(gate: Gate) -> dict[str, Any]:
    if gate.tags:
        return {"order.tags": list(gate.tags)}
    # A paid order that somebody tagged `gift` is a sale with a bow; one without a price is the brand's own gift.
    return {
        "any": [
            {"order.tags": ["sample", "samples", "gifting", "seeding", "influencer", "pr"]},
            {"order.tags": "gift", "order.value": {"lte": "0"}},
        ]
    }


def _employee(gate: Gate) -> dict[str, Any]:
    tags = list(gate.tags or (() if gate.email_domains else ("employee", "staff")))
    domains = [domain.removeprefix("@") for domain in gate.email_domains]
    conditions: list[dict[str, Any]] = [{"person.email_domain": domains}] if domains else []
    return _one_or_any([*conditions, *([{"person.tags": tags}, {"order.tags": tags}] if tags else [])])


def _fraud_flag(gate: Gate) -> dict[str, Any]:
    return {"any": [{"order.flagged": "true"}, {"order.tags": list(gate.tags or ("fraud", "high risk"))}]}


def _test_order(gate: Gate) -> dict[str, Any]:
    return {"any": [{"order.test": "true"}, {"order.tags": list(gate.tags or ("test", "test order"))}]}


def _heavily_discounted(gate: Gate) -> dict[str, Any]:
    share = gate.share or (None if gate.coupons is not None else "50%")
    conditions: list[dict[str, Any]] = [{"order.discount_share": {"gte": share}}] if share else []
    if gate.coupons is not None:
        conditions.append({"order.coupons": {"gte": str(gate.coupons)}})
    return _one_or_any(conditions)


def _rated(fact: str, share: str, orders: int) -> Callable[[Gate], dict[str, Any]]:
    return lambda gate: {
        f"person.{fact}": {"gte": gate.share or share},
        "person.orders": {"gte": str(orders if gate.orders is None else gate.orders)},
    }


def _renewal(gate: Gate) -> dict[str, Any]:
    """Shopify's `source_name` of a charge made by a contract (it is not documented, and changed in October 2025), and the tags of
    Recharge and its like; a first order comes through the ordinary checkout, as `web`.
    """
    return {
        "any": [
            {"event.name": "Subscription Renewed"},
            {"order.source_name": ["subscription_contract", "subscription_contract_checkout_one"]},
            {"order.tags": list(gate.tags or ("subscription recurring order", "recurring order"))},
        ]
    }


PRESETS: dict[str, Preset] = {
    "zero_value": Preset(
        doc="Orders worth nothing: they teach a platform to find people who do not pay.",
        advice="Nothing to do. If real sales end here, look at what the source sends as the order's value.",
        when=lambda _gate: {"order.value": {"lte": "0"}},
    ),
    "replacement": Preset(
        doc="Replacements and exchanges: the sale was counted when the first parcel left.",
        advice="Nothing to do, as long as the shop tags replacements so.",
        when=_tagged("replacement", "replacement order", "reship", "reshipment", "exchange"),
        takes=("tags",),
    ),
    "warranty_claim": Preset(
        doc="Orders that settle a warranty claim: no advertisement led to them.",
        advice="Nothing to do, as long as the shop tags warranty orders so.",
        when=_tagged("warranty", "warranty claim", "warranty replacement"),
        takes=("tags",),
    ),
    "gift_or_sample": Preset(
        doc="Samples and the brand's own gifts: nobody bought them.",
        advice="Nothing to do, as long as the shop tags gifts and samples so.",
        when=_gift_or_sample,
        takes=("tags",),
    ),
    "employee": Preset(
        doc="The brand's own people: they buy whatever the advertisement says.",
        advice="Nothing to do. Name the brand's mail domains in `email_domains`, or tag its people in the shop.",
        when=_employee,
        events=None,
        takes=("email_domains", "tags"),
    ),
    "fraud_flag": Preset(
        doc="Orders that the shop found fraudulent: a platform that learns from them finds more of the kind.",
        advice="Look at the order in the shop. With a hold (`holds`), a flag that comes late still stops the signal.",
        when=_fraud_flag,
        takes=("tags",),
    ),
    "test_order": Preset(
        doc="Orders that somebody made to try the shop.",
        advice="Nothing to do: test orders belong into a test workspace.",
        when=_test_order,
        takes=("tags",),
    ),
    "draft_or_pos_order": Preset(
        doc="Orders from the till or made by hand in the shop's back office: no visit led to them.",
        advice="Nothing to do. Leave this off where the till's sales should be measured as offline sales.",
        when=lambda _gate: {"order.source_name": ["shopify_draft_order", "pos"]},
    ),
    "heavily_discounted": Preset(
        doc="Orders at a deep discount: bidding for them buys people who wait for the next sale.",
        advice="Nothing to do. Run it as `observing` first: it says how much value it would take away.",
        when=_heavily_discounted,
        takes=("share", "coupons"),
    ),
    "chronic_discounter": Preset(
        doc="People who buy at a discount again and again.",
        advice="Nothing to do. Run it as `observing` first: it says how much value it would take away.",
        when=_rated("discount_rate", "40%", 3),
        takes=("share", "orders"),
    ),
    "high_refund_risk": Preset(
        doc="People who send back much of what they buy: their orders are worth less than they say.",
        advice="Nothing to do. Run it as `observing` first: it says how much value it would take away.",
        when=_rated("refund_rate", "50%", 2),
        takes=("share", "orders"),
    ),
    "subscription_renewal": Preset(
        doc="Renewals of a subscription: they happen by themselves and say nothing of today's advertisement.",
        advice="Nothing to do. Map `Subscription Started` to tell the platform of the first charge.",
        when=_renewal,
        events=(*ORDER_EVENTS, "Subscription Renewed"),
        takes=("tags",),
    ),
    "bot": Preset(
        doc="Crawlers and programs that say what they are in their user agent.",
        advice="If people end here, look which user agent the source sends: a server's own is no browser's.",
        when=lambda _gate: {"event.bot": "true"},
        events=None,
    ),
}
"""Name in the workspace file -> the preset."""


def slug(reason: str) -> str:
    """The name of an operator's own rule, made of its reason: `Zero-value order` -> `zero_value_order`."""
    return re.sub(r"[^a-z0-9]+", "_", reason.lower()).strip("_")


PARAMETERS = ("share", "coupons", "orders", "email_domains", "tags")
"""Options of a gate that only presets have."""
