"""The emulators' own time, so that a test can pass a deduplication window without waiting for it."""

from __future__ import annotations

import time


class Clock:
    """Epoch milliseconds; follows the machine's clock until it is moved or frozen."""

    def __init__(self) -> None:
        self._offset = 0
        self._frozen: int | None = None

    def now(self) -> int:
        """Return the emulators' time in epoch milliseconds UTC."""
        if self._frozen is not None:
            return self._frozen
        return time.time_ns() // 1_000_000 + self._offset

    @property
    def frozen(self) -> bool:
        """Whether time stands still."""
        return self._frozen is not None

    def move(self, *, now_ms: int | None = None, advance_ms: int = 0, frozen: bool | None = None) -> int:
        """Set the time, advance it, freeze or release it; return the new time in epoch milliseconds."""
        target = (self.now() if now_ms is None else now_ms) + advance_ms
        if self.frozen if frozen is None else frozen:
            self._frozen = target
            return target
        self._frozen = None
        self._offset = target - time.time_ns() // 1_000_000
        return target

    def reset(self) -> None:
        """Follow the machine's clock again."""
        self._offset = 0
        self._frozen = None
