"""The commands of a staged rollout: status, advance, back."""

from __future__ import annotations
