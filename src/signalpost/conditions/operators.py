"""What may be asked: the kinds of what a path reads, and the operators of each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

Kind = Literal["amount", "share", "count", "text", "texts", "moment", "switch", "presence", "any"]

ORDERING = ("gt", "gte", "lt", "lte")
"""Those that compare a value with a bound."""

_EQUALS = ("eq", "ne", "in", "not_in")
_TEXT = (*_EQUALS, "contains", "contains_any", "starts_with", "ends_with", "exists")

OPERATORS: dict[Kind, tuple[str, ...]] = {
    "amount": (*_EQUALS, *ORDERING, "exists"),
    "share": (*_EQUALS, *ORDERING, "exists"),
    "count": (*_EQUALS, *ORDERING, "exists"),
    "text": _TEXT,
    "texts": _TEXT,
    "moment": (*ORDERING, "age", "exists"),
    "switch": ("eq", "ne"),
    "presence": ("exists",),
    "any": (*_EQUALS, *ORDERING, "contains", "contains_any", "starts_with", "ends_with", "age", "exists"),
}
"""Kind -> what may be asked of it."""

KINDS: dict[Kind, str] = {
    "amount": "a number",
    "share": "a share such as `40%`",
    "count": "a number",
    "text": "a text",
    "texts": "a list of texts",
    "moment": "a time",
    "switch": "`true` or `false`",
    "presence": "known or not",
    "any": "whatever the source sends",
}
"""Kind -> what it is, in a sentence."""

LISTS = frozenset({"in", "not_in", "contains_any"})
"""Those that take several values."""

EVERY_OPERATOR = tuple(dict.fromkeys(name for names in OPERATORS.values() for name in names))

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda left, right: left > right,
    "gte": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "lte": lambda left, right: left <= right,
}
