"""Which segments people are in, within a batch being decided."""

from __future__ import annotations
