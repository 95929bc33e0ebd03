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
    # The developer apps that may ask for a token, and the redirect addresses entered for them; `*` is anything without `/`.
    tiktok_app_id: str = "7000000000000000401"
    tiktok_app_secret: str = "demo-tiktok-app-secret"  # noqa: S105
    pinterest_app_id: str = "1480001"
    pinterest_app_secret: str = "demo-pinterest-app-secret"  # noqa: S105
    redirects: tuple[str, ...] = ("http://127.0.0.1:*/setup/connect/*/callback", "http://localhost:*/setup/connect/*/callback")
    # Ad groups that audiences can be applied to.
    tiktok_ad_groups: tuple[str, ...] = ("7000000000000000301", "7000000000000000302", "7000000000000000303")
    pinterest_ad_groups: tuple[str, ...] = ("2680000000001", "2680000000002", "2680000000003")
    # Matched people that an audience needs before ads can use it (ads.tiktok.com on customer files; Pinterest's description).
    tiktok_minimum: int = 1000
    pinterest_minimum: int = 100
    # Rows of a streamed request. Doubt: no official number was found; a connector in production flushes at 1,000.
    tiktok_rows: int = 1000
    # Bytes of an uploaded file. Doubt: pages say 250 MB and, older, 50 MB.
    tiktok_file_bytes: int = 50_000_000
    # Records and bytes of one request. Doubt: the description has no number; a connector in production flushes at these.
    pinterest_records: int = 10_000
    pinterest_bytes: int = 1_000_000
    # How long a platform takes to match people and tell an audience's size, and whose identifiers have an account
    # there: this share, always the same ones. A real platform needs 24 to 48 hours.
    audience_delay_ms: int = 0
    match_rate: float = 1.0
    # Bench mode: no schema, only names and ids are decoded and kept.
    cheap: bool = False
    # Decides every probability and every request id.
    seed: int = 1
    # How many of the last events `/received?detail=true` can show, per platform, and of the changes of an audience.
    keep: int = 1000
