"""Thirty segments as a shop has them after a year: recent buyers, a cart ladder, lapsed, value, loyalty, interest."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from ruamel.yaml import YAML

from signalpost.config import Workspace

SEGMENTS = """\
segments:
  buyers_7d: {did: Order Completed, within: 7d}
  buyers_14d: {did: Order Completed, within: 14d}
  buyers_30d: {did: Order Completed, within: 30d}
  buyers_ever: {did: Order Completed}
  new_customers: {first: Order Completed, age: 0h..30d}
  second_order: {trait: {orders: {gte: 2}}}
  lapsed_60d: {all: [{did: Order Completed}, {did_not: Order Completed, within: 60d}]}
  lapsed_90d: {all: [{did: Order Completed}, {did_not: Order Completed, within: 90d}]}
  lapsed_180d: {all: [{did: Order Completed}, {did_not: Order Completed, within: 180d}]}
  replenish: {last: Order Completed, age: 25d..35d}
  cart:
    ladder: Checkout Started
    until: Order Completed
    tiers: [0h-6h reminder, 6h-24h social_proof, 1d-3d offer, 4d-7d last_call]
  basket_1d: {all: [{last: Product Added, age: 1h..24h}, {did_not: Order Completed, since: Product Added}]}
  lookers_3: {all: [{did: Product Viewed, times: {gte: 3}, within: 7d}, {did_not: Order Completed, within: 7d}]}
  lookers_1d: {all: [{did: Product Viewed, within: 1d}, {did_not: Product Added, since: Product Viewed}]}
  searched: {all: [{did: Products Searched, within: 3d}, {did_not: Order Completed, since: Products Searched}]}
  vip: {trait: {lifetime_value: {gt: 300}}}
  vip_early_access: {all: [{in_segment: vip}, {did_not: Order Completed, within: 30d}]}
  big_basket: {did: Order Completed, where: {order.value: {gte: 150}}, within: 90d}
  frequent: {did: Order Completed, times: {gte: 3}, within: 180d}
  refunded: {did: Order Refunded, within: 90d}
  discounters: {trait: {orders: {gte: 3}, discount_rate: {gt: 40%}}}
  refunders: {trait: {orders: {gte: 3}, refund_rate: {gt: 30%}}}
  e_mail_silent: {all: [{did: Email Sent, within: 30d}, {did_not: Email Opened, within: 30d}]}
  text_clickers: {did: SMS Clicked, within: 14d}
  californians: {trait: {traits.state: CA}}
  a_tenth: {split: 10%}
"""
"""Thirty with the four tiers of the ladder and the ladder itself."""


def rules() -> dict[str, Any]:
    """The same as plain data."""
    return dict(YAML(typ="safe").load(SEGMENTS)["segments"])


def workspace(beside: Workspace, **changes: Any) -> Workspace:
    """A workspace with them."""
    return replace(beside, segments=rules(), **changes)
