"""What an audience brings: people who see the ads against those held out."""

from __future__ import annotations
