"""The platforms' own account of what they received, asked and kept."""

from __future__ import annotations
