"""A segment's rule as a sentence."""

from __future__ import annotations
