"""Commands about segments."""

from __future__ import annotations
