"""What looks after itself: findings, alerts, rollout stages and the platforms' own figures, in a loop."""

from __future__ import annotations
