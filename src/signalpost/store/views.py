"""What platforms said they received."""

from __future__ import annotations
