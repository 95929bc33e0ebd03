"""The commands that plan and apply a workspace file: plan, apply."""

from __future__ import annotations
