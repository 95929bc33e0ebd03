"""The commands about users of the console."""

from __future__ import annotations
