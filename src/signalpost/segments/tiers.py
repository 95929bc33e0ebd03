"""Whether segments exclude one another and leave no gap: proved where decidable, sampled otherwise."""

from __future__ import annotations
