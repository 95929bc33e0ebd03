"""Counted masks: several as one, as the share of each key, as a score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

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


def stairs(signals: int, having: Sequence[int]) -> dict[int, int]:
    """Masks that have together so many `signals`, and of them with each key (by its bit) so many: at most one more than keys.

    Which keys went together is lost; shares and scores are what they were.
    """
    found: dict[int, int] = {}
    mask, left = (1 << len(having)) - 1, 0
    for bit, many in sorted(enumerate(having), key=lambda each: each[1]):
        if many > left:
            found[mask] = many - left
            left = many
        mask &= ~(1 << bit)
    if signals > left:
        found[0] = signals - left
    return found


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
