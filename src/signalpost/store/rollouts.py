"""Where each destination's rollout stands, and the audit of what was changed."""

from __future__ import annotations
