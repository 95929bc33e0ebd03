"""Counted masks: several as one, as the share of each key, as a score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from signalpost.coverage.keys import KEYS, READS

Masks = Mapping[int, int]
"""Mask -> how many signals."""


def merge(several: Iterable[Masks]) -> dict[int, int]:
    """Several as one."""
    return sum(map(Counter, several), Counter[int]())


def counts(masks: Masks) -> dict[str, int]:
    """Key -> how many signals carry it; every key of `KEYS` is there."""
    return {name: sum(many for each, many in masks.items() if each >> key.bit & 1) for name, key in KEYS.items()}


def shares(masks: Masks, platform: str | None = None) -> dict[str, float]:
    """Key -> the share (0 to 1) of signals that carry it; only keys the platform reads. Empty without signals."""
    total = sum(masks.values())
    reads = _all(platform)
    return {name: many / total for name, many in counts(masks).items() if reads >> KEYS[name].bit & 1} if total else {}


def score(masks: Masks, platform: str | None = None) -> float | None:
    """The weighted mean of the keys' shares, 0 to 100; None without signals.

    100 is every signal with every key the platform reads. TikTok says its Event Match Quality is a weighted mean of coverages
    too, but neither platform publishes weights or scale: this is a figure of ours, to be compared with itself only.
    """
    carried = shares(masks, platform)
    whole = sum(KEYS[name].weight for name in carried)
    return 100 * sum(KEYS[name].weight * share for name, share in carried.items()) / whole if carried else None


def _all(platform: str | None) -> int:
    return READS[platform] if platform is not None else (1 << len(KEYS)) - 1
