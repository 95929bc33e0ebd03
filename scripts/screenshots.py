"""Pictures of every page of the console, light, dark and as on a phone: `scripts/screenshots.py FOLDER [--docs]`.

The demo runs for a while first, so that pages have something to show. `--docs` also writes the few that README and docs hold,
of one window's size, to `docs/images`. Needs Chromium (set CHROMIUM to its path) and the test dependencies.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.web import crawl  # noqa: E402  (the repository is no package of this script's)

MODES = {"light": ("light", 1280, 900), "dark": ("dark", 1280, 900), "phone": ("light", 390, 844)}
DOCS = {
    "today": ("/", "light"),
    "person": ("/people/{person:int}", "light"),
    "journeys": ("/journeys", "light"),
    "plan": ("/changes/{proposal:int}", "light"),
}
"""The pictures of README and docs: name -> (the page's route, the mode)."""


def opened(browser: Browser, mode: str, enter: str) -> Page:
    """A page of this mode that is signed in."""
    scheme, width, height = MODES[mode]
    page = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": height},
        device_scale_factor=2 if mode == "phone" else 1,
        reduced_motion="reduce",
    ).new_page()
    page.goto(enter)
    return page


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", action="store_true")
    parser.add_argument("--seconds", type=int, default=60, help="how long the demo runs first")
    parser.add_argument("--only", nargs="*", default=[], help="routes that contain one of these")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with crawl.demo() as enter, sync_playwright() as playwright:
        time.sleep(asked.seconds)
        crawl.proposed(enter)
        found = {
            route: at for route, at in crawl.found(enter).items() if not asked.only or any(part in route for part in asked.only)
        }
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for mode in MODES:
            page = opened(browser, mode, enter)
            for route, address in found.items():
                page.goto(urljoin(enter, address))
                page.wait_for_timeout(700)  # charts draw themselves
                page.screenshot(path=str(asked.folder / f"{crawl.named(route)}-{mode}.png"), full_page=True)
                for name, where in DOCS.items():
                    if asked.docs and where == (route, mode):
                        page.screenshot(path=str(ROOT / "docs" / "images" / f"{name}.png"))
            page.context.close()
            sys.stdout.write(f"{mode}: {len(found)} pages\n")
        browser.close()


if __name__ == "__main__":
    main()
