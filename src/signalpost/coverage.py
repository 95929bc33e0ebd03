"""Which match keys signals carry, how well that identifies people, and an alarm when it really drops."""

from __future__ import annotations
