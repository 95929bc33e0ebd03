"""The style: readable in light and dark, and nothing fetched from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from signalpost.web import console

STATIC = Path(console.__file__).parent / "static"
STYLE = (STATIC / "console.css").read_text("utf-8")

PAIRS = [
    *((ink, ground) for ink in ("ink", "soft", "accent") for ground in ("ground", "paper")),
    ("ink", "code"),
    ("paper", "accent"),
    ("ink", "withheld-paper"),
    ("ink", "warned-paper"),
    ("refused", "paper"),
    *((verdict, f"{verdict}-paper") for verdict in ("accepted", "warned", "waiting", "withheld", "refused", "unknown")),
]


def tokens(dark: bool) -> dict[str, str]:
    light, _, rest = STYLE.partition("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", light))
    if dark:
        found |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6});", rest.partition("\n}")[0]))
    return found


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_stands_out_from_its_ground(ink: str, ground: str, dark: bool) -> None:
    """Every text has the contrast that WCAG 2.2 AA asks for (4.5 to 1), in light and in dark."""
    colours = tokens(dark)
    darker, lighter = sorted((luminance(colours[ink]), luminance(colours[ground])))
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_the_console_fetches_nothing_from_elsewhere() -> None:
    """No style, template or script of ours names another host; every vendored file has its licence beside it."""
    ours = [STATIC / "console.css", *(STATIC.parent / "templates").glob("*.html")]
    for path in ours:
        text = path.read_text("utf-8")
        assert not re.search(r"(?:src|href|url\()\s*=?\s*[\"']?(?:https?:)?//", text), path.name
    for script in (STATIC / "vendor").glob("*.js"):
        assert script.with_name(script.name.replace(".min.js", ".LICENSE.txt")).exists()
