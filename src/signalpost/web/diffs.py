"""What differs between two texts of the workspace file, as values a page can show line by line."""

from __future__ import annotations

from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

from msgspec import Struct

AROUND = 3
"""Lines shown around each difference."""


class Line(Struct, frozen=True):
    """A line; `before` and `after` are its numbers in the two texts, None where it is not in one."""

    kind: Literal["same", "added", "removed"]
    before: int | None
    after: int | None
    text: str


class Part(Struct, frozen=True):
    """Differences that stand close together."""

    section: str
    """The option at the left margin that they stand under, such as `destinations`; '' at the file's head."""
    lines: list[Line]


class Diff(Struct, frozen=True):
    """All differences."""

    added: int
    removed: int
    parts: list[Part]


@lru_cache(maxsize=256)
def diff(before: str, after: str) -> Diff:
    """What makes `after` of `before`."""
    old, new = before.splitlines(), after.splitlines()
    # Without its short cut for popular lines the comparison is better and, in long files, too slow.
    matching = SequenceMatcher(None, old, new, autojunk=len(old) > 2_000)
    parts = []
    for group in matching.get_grouped_opcodes(AROUND):
        lines: list[Line] = []
        for kind, i1, i2, j1, j2 in group:
            if kind == "equal":
                lines += [Line("same", i + 1, j1 + i - i1 + 1, old[i]) for i in range(i1, i2)]
                continue
            lines += [Line("removed", i + 1, None, old[i]) for i in range(i1, i2)]
            lines += [Line("added", None, j + 1, new[j]) for j in range(j1, j2)]
        parts.append(Part(_section(new, group[0][3]) or _section(old, group[0][1]), lines))
    kinds = [line.kind for part in parts for line in part.lines]
    return Diff(kinds.count("added"), kinds.count("removed"), parts)


def _section(lines: list[str], place: int) -> str:
    for line in reversed(lines[: place + 1]):
        if line[:1].isalpha():
            return line.partition(":")[0]
    return ""
