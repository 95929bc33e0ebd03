"""The loop that keeps audiences on the platforms as they should be."""

from __future__ import annotations
