"""How a condition reads: the phrase of each question, and what stands in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from signalpost.conditions.operators import Kind

PHRASES: dict[str, dict[str, str]] = {
    "number": {
        "eq": "is {x}", "ne": "is not {x}", "gt": "is above {x}", "gte": "is {x} or more", "lt": "is below {x}",
        "lte": "is {x} or less", "in": "is {x}", "not_in": "is not {x}", "exists": "is known", "missing": "is not known",
    },
    "count": {
        "eq": "{has} exactly {x}", "ne": "{has} more or fewer than {x}", "gt": "{has} more than {x}",
        "gte": "{has} {x} or more", "lt": "{has} fewer than {x}", "lte": "{has} {x} or fewer", "in": "{has} exactly {x}",
        "not_in": "{has} any number but {x}",
        "exists": "{has} a known number of {things}", "missing": "{has} an unknown number of {things}",
    },
    "text": {
        "eq": "is {x}", "ne": "is not {x}", "in": "is {x}", "not_in": "is not {x}", "contains": "contains {x}",
        "contains_any": "contains {x}", "starts_with": "begins with {x}", "ends_with": "ends with {x}",
        "exists": "is known", "missing": "is not known",
        "gt": "is above {x}", "gte": "is {x} or more", "lt": "is below {x}", "lte": "is {x} or less",
    },
    "texts": {
        "eq": "include {x}", "ne": "do not include {x}", "in": "include {x}", "not_in": "do not include {x}",
        "contains": "include {x}", "contains_any": "include {x}", "starts_with": "include one that begins with {x}",
        "ends_with": "include one that ends with {x}", "exists": "are known", "missing": "are not known",
    },
    "moment": {
        "gt": "was after {x}", "gte": "was at {x} or later", "lt": "was before {x}", "lte": "was at {x} or earlier",
        "exists": "is known", "missing": "is not known",
    },
    "age": {
        "gt": "was more than {x} ago", "gte": "was {x} ago or longer", "lt": "was less than {x} ago",
        "lte": "was {x} ago or less", "range": "was {x} ago",
    },
}  # fmt: skip
"""How each question reads after the words of its path."""

_WORD = re.compile(r"[\w@.+/-]+")


def phrases(kind: Kind) -> dict[str, str]:
    """How each question reads of a path of this kind."""
    return PHRASES[{"amount": "number", "share": "number", "any": "text", "presence": "text"}.get(kind, kind)]


def counting(phrase: str, thing: str) -> str:
    """Put the thing counted after the last number: `has 3 or more` -> `has 3 orders or more`."""
    numbers = list(re.finditer(r"-?[0-9]+(?:\.[0-9]+)?", phrase))
    if not numbers:
        return phrase
    last = numbers[-1]
    ending = "" if last[0] == "1" and len(numbers) == 1 else "s"
    return f"{phrase[: last.end()]} {thing}{ending}{phrase[last.end() :]}"


def quoted(text: str) -> str:
    """A text inside a sentence: as it is when it is one word, else in quotes."""
    return text if _WORD.fullmatch(text) else '"' + text.replace('"', '""') + '"'


def either(words: Iterable[str]) -> str:
    """`a, b or c`."""
    named = list(words)
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"
