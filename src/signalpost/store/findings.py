"""Findings: opened, seen again, closed; and the figures they are decided from."""

from __future__ import annotations
