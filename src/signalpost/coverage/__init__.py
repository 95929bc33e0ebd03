"""Which match keys signals carry, how well that identifies people, and an alarm when it really drops.

A signal's keys are one number with a bit for each key (`mask`), so that an hour of signals is a few rows: mask -> how many.

    keys   the table of match keys, and the mask of a signal
    masks  counted masks as shares and as a score
    drops  whether a share really fell
    alarm  what a drop is told as
"""

from __future__ import annotations

from signalpost.coverage.alarm import Alarm, Mark, Row, alarms, explain
from signalpost.coverage.drops import (
    ALARM,
    BASELINE,
    DAY,
    HISTORY,
    HOUR,
    LEARNED,
    LEAST,
    RECOVERED,
    WATCHED,
    Counted,
    Drop,
    drop,
    evidence,
)
from signalpost.coverage.keys import KEYS, READS, Key, mask, names, rows_of
from signalpost.coverage.masks import Masks, counts, merge, score, shares, stairs

__all__ = [
    "ALARM",
    "BASELINE",
    "DAY",
    "HISTORY",
    "HOUR",
    "KEYS",
    "LEARNED",
    "LEAST",
    "READS",
    "RECOVERED",
    "WATCHED",
    "Alarm",
    "Counted",
    "Drop",
    "Key",
    "Mark",
    "Masks",
    "Row",
    "alarms",
    "counts",
    "drop",
    "evidence",
    "explain",
    "mask",
    "merge",
    "names",
    "rows_of",
    "score",
    "shares",
    "stairs",
]
