"""Findings told to people: which, when, to whom."""

from __future__ import annotations
