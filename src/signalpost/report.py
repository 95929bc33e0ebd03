"""The week on one page for the paid team."""

from __future__ import annotations
