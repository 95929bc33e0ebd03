"""The console's pages, one file each, and all their routes."""

from __future__ import annotations

from msgspec import Struct

from signalpost.web.pages import (
    audiences,
    changes,
    checklist,
    destinations,
    find,
    findings,
    health,
    journeys,
    login,
    people,
    quality,
    reports,
    rules,
    segments,
    settings,
    setup,
    signals,
    today,
)
from signalpost.web.routing import Way

WAYS: tuple[Way, ...] = (
    *today.WAYS,
    *signals.WAYS,
    *people.WAYS,
    *rules.WAYS,
    *segments.WAYS,
    *audiences.WAYS,
    *journeys.WAYS,
    *quality.WAYS,
    *findings.WAYS,
    *reports.WAYS,
    *setup.WAYS,
    *destinations.WAYS,
    *checklist.WAYS,
    *changes.WAYS,
    *find.WAYS,
    *settings.WAYS,
    *login.WAYS,
    *health.WAYS,
)
"""Every route of the console but the package's own files."""


class Entry(Struct, frozen=True):
    """A page in the menu: its path, what it is called, and the letter that opens it after `g`."""

    path: str
    title: str
    letter: str


GROUPS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    ("Flow", (Entry("/", "Today", "t"), Entry("/signals", "Signals", "s"), Entry("/people", "People", "p"))),
    (
        "Audiences",
        (Entry("/segments", "Segments", "m"), Entry("/audiences", "Audiences", "a"), Entry("/journeys", "Journeys", "o")),
    ),
    (
        "Proof",
        (
            Entry("/findings", "Findings", "f"),
            Entry("/quality", "Quality", "q"),
            Entry("/reports", "Reports", "r"),
            Entry("/checklist", "Checklist", "k"),
        ),
    ),
    (
        "Workspace",
        (
            Entry("/destinations", "Destinations", "d"),
            Entry("/setup", "Set-up", "u"),
            Entry("/changes", "Changes", "c"),
            Entry("/settings", "Settings", "e"),
        ),
    ),
)
"""The menu."""
