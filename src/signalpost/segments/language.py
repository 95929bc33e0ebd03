"""The words of the segment language: what each takes, and an example. `reading` reads them, the reference page prints them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

MOST_TIMES = 100
"""How often `times` may ask for: so many moments are remembered of each person."""


class Key(Struct, frozen=True, kw_only=True):
    """One word of the language, for its reference page."""

    takes: str
    doc: str
    example: Any
    """A whole rule as plain data."""


LINES: dict[str, Key] = {
    "did": Key(
        takes="an event, or a list: any of them",
        doc="It happened, within all the bounds beside it.",
        example={"did": "Product Viewed", "within": "14d", "times": {"gte": "3"}},
    ),
    "did_not": Key(
        takes="an event, or a list: none of them",
        doc="It did not happen within the bounds beside it.",
        example={"did_not": "Order Completed", "within": "90d"},
    ),
    "last": Key(
        takes="an event, with `age`",
        doc="When it happened last. The window moves on with each new event.",
        example={"last": "Checkout Started", "age": "6h..24h"},
    ),
    "first": Key(
        takes="an event, with `age`",
        doc="When it happened for the first time.",
        example={"first": "Order Completed", "age": "..30d"},
    ),
    "trait": Key(
        takes="a [condition](conditions.md) on the person",
        doc="What is known of the person: computed facts by name (`lifetime_value`), given traits as `traits.plan`.",
        example={"trait": {"lifetime_value": {"gt": "300"}, "traits.plan": "vip"}},
    ),
    "in_segment": Key(
        takes="a segment, or a list: any of them",
        doc="Members of another segment: one of `segments`, a tier of a ladder, a band of `value_tiers`.",
        example={"in_segment": "vip"},
    ),
    "customerio_segment": Key(
        takes="a segment's id or name",
        doc="Members of a segment of Customer.io, as far as it tells of them.",
        example={"customerio_segment": "7"},
    ),
    "split": Key(
        takes="a share, or `{share: 10%, from: 20%, salt: text}`",
        doc="A stable random share of people. The same `salt` draws the same lots; it is the segment's name where none is given.",
        example={"split": {"share": "10%", "salt": "spring"}},
    ),
    "all": Key(
        takes="a list of rules",
        doc="Every one of them holds. The lines of a mapping stand together so without it.",
        example={"all": [{"did": "Order Completed"}, {"did_not": "Order Completed", "within": "90d"}]},
    ),
    "any": Key(
        takes="a list of rules",
        doc="At least one of them holds.",
        example={"any": [{"did": "Product Added", "within": "1d"}, {"did": "Checkout Started", "within": "7d"}]},
    ),
    "not": Key(
        takes="a rule or a list of rules",
        doc="None of them holds.",
        example={"not": {"in_segment": "vip"}},
    ),
}
"""What a line of a rule may begin with."""

BOUNDS: dict[str, tuple[Key, tuple[str, ...]]] = {
    "within": (
        Key(
            takes="a duration",
            doc="Only in the last so long; at the end of it the person leaves (or, of `did_not`, enters).",
            example={"did": "Product Viewed", "within": "7d"},
        ),
        ("did", "did_not"),
    ),
    "times": (
        Key(
            takes=f"a number, or `{{gte: 2, lte: 5}}` (also `gt`, `lt`, `eq`), up to {MOST_TIMES}",
            doc="How often; a plain number is exactly so often.",
            example={"did": "Product Viewed", "times": {"gte": "2", "lte": "5"}},
        ),
        ("did", "did_not"),
    ),
    "since": (
        Key(
            takes="an event",
            doc="Only at or after the last event of this name. Nothing counts for people who never had one.",
            example={"did_not": "Email Opened", "since": "Checkout Started"},
        ),
        ("did", "did_not"),
    ),
    "between": (
        Key(
            takes="two dates or times",
            doc="Only from the first on and before the second; without an offset they are in the workspace's time zone.",
            example={"did": "Order Completed", "between": ["2026-11-01", "2026-12-01"]},
        ),
        ("did", "did_not"),
    ),
    "age": (
        Key(
            takes="`6h..24h`, `6h..`, `..24h`, or `{gte: 6h, lt: 24h}`",
            doc="How long ago: from the first on, and no longer at the second.",
            example={"last": "Order Completed", "age": "90d.."},
        ),
        ("last", "first"),
    ),
    "where": (
        Key(
            takes="a [condition](conditions.md) on the event",
            doc="Only events that meet it: paths of `event.` and `order.` that the event itself brings.",
            example={"did": "Order Completed", "where": {"order.value": {"gte": "100"}}},
        ),
        ("did", "did_not", "last", "first"),
    ),
}
"""What may stand beside a line -> and beside which."""

LADDER: dict[str, Key] = {
    "ladder": Key(takes="an event", doc="The event whose age makes the tiers: the last of each person.", example=None),
    "until": Key(takes="an event or a list", doc="Whoever did one of these since leaves every tier.", example=None),
    "tiers": Key(
        takes="a list such as `0h-6h reminder`",
        doc="From when to when and the tier's name. Each ends where the next begins: `1d-3d` before `4d-7d` reads days 1 to 3, "
        "and ends when day 4 begins.",
        example=None,
    ),
}
"""What a ladder holds; it is a whole segment."""
