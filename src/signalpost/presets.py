"""Gates that an operator switches on by name: one table."""

from __future__ import annotations
