"""What is counted beside verdicts: notices, clocks, coverage, marks, tallies."""

from __future__ import annotations
