"""Staged rollout: which events a destination is sent now, and whether the next stage may begin."""

from __future__ import annotations
