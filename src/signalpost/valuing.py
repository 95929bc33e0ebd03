"""Bounds of value tiers, computed over everybody on a schedule."""

from __future__ import annotations
