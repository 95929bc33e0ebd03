"""The one table of wires, and `read`: a request's bytes in, its events and refusals out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from signalpost.sources import memberships, pipelines, reporting, shopify, track_v1, track_v2, wishes

if TYPE_CHECKING:
    from signalpost.sources.wire import Reading, Received, Wire

WIRES: dict[Wire, Callable[[Received], Reading]] = {
    "pipelines": pipelines.read,
    "track_v1": track_v1.read,
    "track_v2": track_v2.read,
    "shopify": shopify.read,
    "reporting": reporting.read,
    "memberships": memberships.read,
    "wishes": wishes.read,
}


def read(received: Received) -> Reading:
    """The events of a request, what was refused of it, and notes; never raises, always the same for the same request."""
    return WIRES[received.wire](received)
