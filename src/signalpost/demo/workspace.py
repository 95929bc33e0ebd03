"""The demo's workspace file: one shop on both platforms, with a bit of everything that there is to see."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

from signalpost.platforms.settings import Settings

KEYS = {"web": "demo-web-key", "shop": "demo-shop-key"}
"""Source -> its write key."""

WORKSPACE = """\
workspace: demo
environment: production
currency: GBP
country: GB
order_value: gross
timezone: Europe/London
database: demo.db
server: {{port: {port}}}
sources:
  web: {{type: pipelines, write_key: ${{DEMO_WEB_KEY}}}}
  shop: {{type: pipelines, write_key: ${{DEMO_SHOP_KEY}}}}
events:
  canonical: {{Order Completed: shop}}
gates:
  - preset: zero_value
  - {{preset: employee, email_domains: [shop.example.test]}}
  - preset: test_order
  - preset: bot
  - preset: fraud_flag
  - preset: subscription_renewal
  - {{preset: heavily_discounted, mode: observing}}
  - {{preset: chronic_discounter, mode: observing}}
derived:
  First Purchase: {{nth_order: 1}}
  Second Purchase: {{nth_order: 2}}
  Lifetime Value Reached: {{lifetime_value: "1000"}}
holds: {{Order Completed: 3s}}
repeats: {{Product Added: 1m}}
rates: {{EUR: "0.87", USD: "0.79"}}
segments:
  cart:
    ladder: Checkout Started
    until: Order Completed
    tiers: [0h-6h reminder, 6h-24h social_proof, 1d-3d offer, 4d-7d last_call]
  recent_buyers: {{did: Order Completed, within: 14d}}
  new_buyers: {{trait: {{orders: 1}}}}
  repeat_buyers: {{trait: {{orders: {{gte: 2}}}}}}
  refunded:
    any:
      - {{did: Order Refunded, within: 30d}}
      - {{did: Order Cancelled, within: 30d}}
  lapsed_10d:
    all:
      - did: Order Completed
      - {{did_not: Order Completed, within: 10d}}
value_tiers:
  worth: {{of: lifetime_value, names: [low, mid, top], quantiles: [50%, 90%], hysteresis: 5%}}
tiers:
  by_orders: {{of: [new_buyers, repeat_buyers]}}
journeys:
  cart_recovery:
    starts: Checkout Started
    ends: [Order Completed]
    after: 4d
    steps:
      - {{at: 1h, channel: email}}
      - {{at: 12h, channel: sms}}
      - {{at: 3d, channel: email, offer: 10%}}
audiences:
  - segment: cart_reminder
    to: [tiktok, pinterest]
    use: target
    unless: [recent_buyers]
    while_in: {{cart_recovery: 1h}}
  - segment: cart_social_proof
    to: [tiktok, pinterest]
    use: target
    unless: [recent_buyers]
    while_in: {{cart_recovery: 12h}}
  - segment: cart_offer
    to: [tiktok, pinterest]
    use: target
    unless: [recent_buyers]
    while_in: {{cart_recovery: 3d}}
    offer: true
    holdout: 10%
  - {{segment: cart_last_call, to: [tiktok, pinterest], use: target, unless: [recent_buyers], offer: true}}
  - segment: recent_buyers
    name: Recent buyers (TikTok)
    to: tiktok
    use: suppress
    ad_groups: [{tiktok_groups}]
  - segment: recent_buyers
    name: Recent buyers (Pinterest)
    to: pinterest
    use: suppress
    ad_groups: [{pinterest_groups}]
  - {{segment: repeat_buyers, to: [tiktok, pinterest], use: seed, unless: [refunded]}}
  - {{segment: worth_top, to: pinterest, use: seed}}
measurement:
  primary: The shop's own invoices
  success: Value accepted by each platform within 5 % of the orders that may be sent
  checked: Weekly, in the report
destinations:
  tiktok:
    type: tiktok
    endpoint: {platforms}
    pixel: {settings.tiktok_pixels[0]}
    advertiser: "{settings.tiktok_advertiser_id}"
    access_token: ${{DEMO_TIKTOK_TOKEN}}
    website: https://shop.example.test
    browser_pixel: {{events: [Order Completed], shares_id: true}}
    events:
      Order Completed: Purchase
      Checkout Started: InitiateCheckout
      Payment Info Entered: AddPaymentInfo
      Product Added: AddToCart
      Product Viewed: ViewContent
      Products Searched: Search
      Subscription Started: Subscribe
      First Purchase: FirstPurchase
      Second Purchase: SecondPurchase
      Lifetime Value Reached: LifetimeValueReached
  pinterest:
    type: pinterest
    endpoint: {platforms}
    ad_account: "{settings.pinterest_ad_account_id}"
    access_token: ${{DEMO_PINTEREST_TOKEN}}
    rollout:
      - {{send: [Order Completed], for: 48h, until: {{accepted: ">= 95%", with_order_id: ">= 90%", events: ">= 50"}}}}
      - {{send: [Checkout Started, First Purchase, Second Purchase], for: 72h, until: {{accepted: ">= 95%", coverage: ">= 20%"}}}}
      - send: [Product Added, Product Viewed, Products Searched, Payment Info Entered, Subscription Started]
        at_most: {{Product Viewed: 5}}
"""


def written(folder: Path, port: int, platforms: str) -> tuple[Path, dict[str, str]]:
    """The demo's workspace file, and the environment that fills it in; its variables are also in `demo.env` beside it."""
    settings = Settings()
    file = folder / "signalpost.yaml"
    groups = {
        "tiktok_groups": json.dumps(settings.tiktok_ad_groups)[1:-1],
        "pinterest_groups": json.dumps(settings.pinterest_ad_groups)[1:-1],
    }
    file.write_text(WORKSPACE.format(port=port, platforms=platforms, settings=settings, **groups), "utf-8")
    own = {
        "DEMO_WEB_KEY": KEYS["web"],
        "DEMO_SHOP_KEY": KEYS["shop"],
        "DEMO_TIKTOK_TOKEN": settings.tiktok_token,
        "DEMO_PINTEREST_TOKEN": settings.pinterest_token,
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in own.items()]
    (folder / "demo.env").write_text("".join(lines), "utf-8")
    return file, {**os.environ, **own}
