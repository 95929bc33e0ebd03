"""`python -m signalpost.platforms`: the emulators without the rest of Signalpost."""

from __future__ import annotations

import argparse
import sys

import msgspec

from signalpost.platforms.app import announcement, describe
from signalpost.platforms.serve import run
from signalpost.platforms.settings import Settings


def main(arguments: list[str] | None = None) -> None:
    """Read the options, print where and how the emulators are reached, serve until stopped."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m signalpost.platforms", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one and prints it")
    parser.add_argument("--cheap", action="store_true", help="bench mode: only names and ids are looked at")
    parser.add_argument("--json", action="store_true", help="print one JSON line when ready")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--tiktok-token", default=defaults.tiktok_token)
    parser.add_argument("--tiktok-pixel", action="append", help="pixel code; may be given several times")
    parser.add_argument("--tiktok-advertiser-id", default=defaults.tiktok_advertiser_id)
    parser.add_argument("--pinterest-token", default=defaults.pinterest_token)
    parser.add_argument("--pinterest-ad-account-id", default=defaults.pinterest_ad_account_id)
    options = parser.parse_args(arguments)
    settings = Settings(
        cheap=options.cheap,
        seed=options.seed,
        tiktok_token=options.tiktok_token,
        tiktok_pixels=tuple(options.tiktok_pixel or defaults.tiktok_pixels),
        tiktok_advertiser_id=options.tiktok_advertiser_id,
        pinterest_token=options.pinterest_token,
        pinterest_ad_account_id=options.pinterest_ad_account_id,
    )

    def ready(url: str) -> None:
        described = msgspec.json.encode(describe(settings, url)).decode()
        sys.stdout.write((described if options.json else announcement(settings, url)) + "\n")
        sys.stdout.flush()

    run(settings, options.host, options.port, ready)


if __name__ == "__main__":
    main()
