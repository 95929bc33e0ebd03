"""The reference pages of the platforms are what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from signalpost.destinations import CATALOG

ROOT = Path(__file__).resolve().parents[2]


def test_the_pages_are_fresh() -> None:
    """Each platform has a page, and it is the one that its declaration gives."""
    checked = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write_destinations.py", "--check"], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
    assert {path.stem for path in (ROOT / "docs" / "reference" / "destinations").glob("*.md")} == set(CATALOG)
