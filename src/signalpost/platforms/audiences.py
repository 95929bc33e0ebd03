"""An audience as a platform keeps it: its exact identifiers, its size, which comes late, and what changed it.

Identifiers are kept as bytes, a SHA-256 in 32 instead of 64 letters, so that a million people fit.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

Action = Literal["add", "remove", "replace"]
# Kind of identifier, in the platform's own word -> the identifiers themselves.
Keys = Mapping[str, Sequence[bytes]]


def move(of: dict[str, set[bytes]], action: Action, keys: Keys) -> None:
    """Take identifiers into `of` or out of it; a replacement takes everybody out first."""
    if action == "replace":
        of.clear()
    for kind, some in keys.items():
        if action == "remove":
            of.get(kind, set()).difference_update(some)
        else:
            of.setdefault(kind, set()).update(some)


class Change(msgspec.Struct, frozen=True):
    """One request that changed an audience; `at` in epoch milliseconds.

    `given` identifiers came with it and `changed` of them made a difference; `identifiers` names those that came,
    unless they came in a file.
    """

    at: int
    action: Action
    given: int
    changed: int
    request_id: str
    identifiers: tuple[bytes, ...] = ()


class Accounts:
    """Whose identifiers have an account at the platform, and how long it takes to find out (milliseconds)."""

    def __init__(self, rate: float, delay_ms: int) -> None:
        self.rate = rate
        self.delay_ms = delay_ms
        # Identifier -> the first one that stood beside it in a row: of two identifiers of one person one counts.
        self._first: dict[bytes, bytes] = {}

    @property
    def links(self) -> int:
        """How many identifiers are known to stand beside another."""
        return len(self._first)

    def link(self, row: Sequence[bytes]) -> None:
        """Remember that the identifiers of a row are one person's."""
        if len(row) > 1:
            first = self._first.get(row[0], row[0])
            for key in row[1:]:
                self._first.setdefault(key, first)

    def count(self, of: Mapping[str, set[bytes]]) -> int:
        """Return how many people with an account these identifiers are."""
        if self.rate >= 1 and not self._first:
            return sum(map(len, of.values()))
        first, bound = self._first, self.rate * 2**32
        return len({first.get(key, key) for keys in of.values() for key in keys if int.from_bytes(key[:4]) < bound})

    def reset(self) -> None:
        """Forget who is one person."""
        self._first.clear()


class Members:
    """Who is in an audience: sets of identifiers by kind, and the last `keep` changes; `due`, when its size is first told."""

    def __init__(self, keep: int, due: int) -> None:
        self.of: dict[str, set[bytes]] = {}
        self.changes: deque[Change] = deque(maxlen=keep)
        self.requests: Counter[str] = Counter()
        self.added = 0
        self.removed = 0
        self.size: int | None = None
        self._due: int | None = due
        # What `matched` last found, and the state of things it found it in.
        self._matched: tuple[tuple[int, int], int] = ((-1, -1), 0)

    def change(self, action: Action, keys: Keys, now: int, request_id: str, accounts: Accounts, *, named: bool = True) -> Change:
        """Take identifiers in or out; `named` remembers which they were with the change."""
        if accounts.delay_ms:
            # A computation that has ended tells of the members before this change.
            self.settle(now, accounts)
        before = self.total
        given = sum(map(len, keys.values()))
        if action == "replace":
            self.removed += before
            before = 0
        move(self.of, action, keys)
        changed = abs(self.total - before)
        self.added += 0 if action == "remove" else changed
        self.removed += changed if action == "remove" else 0
        self.requests[action] += 1
        told = tuple(key for some in keys.values() for key in some) if named else ()
        done = Change(now, action, given, changed, request_id, told)
        self.changes.append(done)
        if self._due is None:
            # While the size is computed anew the last one stands.
            self._due = now + accounts.delay_ms
        return done

    def settle(self, now: int, accounts: Accounts) -> int | None:
        """Return the number of people as the platform tells it now: None until it has once been computed."""
        if self._due is not None and self._due <= now:
            self.size, self._due = self.matched(accounts), None
        return self.size

    def matched(self, accounts: Accounts) -> int:
        """Return how many people with an account are in it, whatever the platform tells yet."""
        state = (sum(self.requests.values()), accounts.links)
        if self._matched[0] != state:
            self._matched = (state, accounts.count(self.of))
        return self._matched[1]

    def clear(self) -> None:
        """Lose everybody: the audience is gone."""
        self.of = {}
        self._matched = ((-1, -1), 0)

    @property
    def total(self) -> int:
        """How many identifiers are in it, of all kinds."""
        return sum(map(len, self.of.values()))

    def listed(self) -> dict[str, list[str]]:
        """Return the exact identifiers by kind, each in hexadecimal, sorted."""
        return {kind: sorted(map(bytes.hex, keys)) for kind, keys in self.of.items() if keys}

    def summary(self, now: int, accounts: Accounts, *, changes: bool = False) -> dict[str, Any]:
        """Return what a test asks as JSON-ready values."""
        told: dict[str, Any] = {
            "identifiers": {kind: len(keys) for kind, keys in self.of.items() if keys},
            "matched": self.matched(accounts),
            "size": self.settle(now, accounts),
            "requests": dict(self.requests),
            "added": self.added,
            "removed": self.removed,
        }
        if changes:
            told["changes"] = [
                {**msgspec.structs.asdict(each), "identifiers": [key.hex() for key in each.identifiers]} for each in self.changes
            ]
        return told
