"""All segments of a workspace: declared, ladders, value tiers, journeys."""

from __future__ import annotations
