"""Who the emulators let in: every token and id. The defaults may be printed, they open nothing real."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the emulators know. The defaults are the same at every start: a workspace file can name them."""

    # TikTok: a token with every scope, and one made in Events Manager, which may only report events.
    tiktok_token: str = "demo-tiktok-token"  # noqa: S105 - printed on purpose
    tiktok_events_token: str = "demo-tiktok-events-manager-token"  # noqa: S105
    tiktok_advertiser_id: str = "7000000000000000001"
    tiktok_pixels: tuple[str, ...] = ("CDEMOPIXEL0000000001",)
    tiktok_offline_event_sets: tuple[str, ...] = ("7000000000000000011",)
    tiktok_crm_event_sets: tuple[str, ...] = ("7000000000000000021",)
    tiktok_apps: tuple[str, ...] = ("7000000000000000031",)
    # Pinterest: an OAuth token, and a conversion token, which is only good for sending events.
    pinterest_token: str = "pina_demo0000000000000000000000000000001"  # noqa: S105
    pinterest_conversion_token: str = "pina_demo-conversion-token"  # noqa: S105
    pinterest_ad_account_id: str = "549755885175"
    # The currency of the ad account: what Pinterest assumes when an event has a value and no currency.
    pinterest_currency: str = "USD"
    # Bench mode: no schema, only names and ids are decoded and kept.
    cheap: bool = False
    # Decides every probability and every request id.
    seed: int = 1
    # How many of the last events `/received?detail=true` can show, per platform.
    keep: int = 1000
