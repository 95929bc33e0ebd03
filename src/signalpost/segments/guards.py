"""What about segments, audiences and journeys costs money."""

from __future__ import annotations
