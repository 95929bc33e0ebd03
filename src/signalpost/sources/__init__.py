"""From the bytes of a request to events: one file per wire, and one table (`reading.read`) that knows them.

Everything here is pure: the intake reads a request to answer it, the pipeline reads the journalled request again and must
find the very same events. So no clock, no randomness, no environment: what a message lacks is derived from what was received.
"""

from __future__ import annotations

from signalpost.sources.reading import read
from signalpost.sources.wire import Reading, Received, Refusal

__all__ = ["Reading", "Received", "Refusal", "read"]
