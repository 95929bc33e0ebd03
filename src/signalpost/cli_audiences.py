"""Commands about audiences."""

from __future__ import annotations
