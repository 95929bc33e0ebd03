"""Everything wrong or doubtful, decided from figures: sentence, what is at stake, what to do."""

from __future__ import annotations
