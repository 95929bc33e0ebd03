"""The same rule as SQL."""

from __future__ import annotations
