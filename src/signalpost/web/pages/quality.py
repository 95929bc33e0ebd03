"""`/quality`: what leaks, for how much, since when, and what to do."""

from __future__ import annotations

from starlette.responses import Response

from signalpost.store import report
from signalpost.web import quality
from signalpost.web.routing import page
from signalpost.web.visit import WINDOWS, Visit


async def show(visit: Visit) -> Response:
    """The page, for the window asked for."""
    window = visit.window()
    facts = await visit.read(lambda connection: quality.quality(connection, visit.workspace, window, WINDOWS[window], visit.now))
    return visit.page(
        "quality.html",
        facts,
        quality=facts,
        charts=quality.drawn(facts, visit.workspace, visit.console.zone),
        colours=quality.colours_of(visit.workspace),
        platform=lambda name: report.title(name, visit.workspace),
        told_alike=quality.told_alike,
        stopped=report.STOPPED,
        after=report.AFTER,
        heavy=report.HEAVY,
    )


WAYS = (page("/quality", show),)
