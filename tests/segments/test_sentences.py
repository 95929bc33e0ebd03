"""A segment's rule as a sentence."""

from __future__ import annotations

import itertools
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from signalpost.segments import reading
from signalpost.segments.operands import Known
from signalpost.segments.rules import All, Band
from signalpost.segments.sentences import sentence

ORDER, CHECKOUT, EMAIL = "Order Completed", "Checkout Started", "Email Opened"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"did": ORDER}, "Order Completed happened"),
        ({"did": ORDER, "times": 1}, "Order Completed happened exactly once"),
        ({"did": ORDER, "times": {"gte": 2}, "within": "14d"}, "Order Completed happened 2 times or more in the last 14 days"),
        ({"did": ORDER, "times": {"lte": 3}}, "Order Completed happened 1 to 3 times"),
        ({"did": ORDER, "where": {"order.value": {"gt": 100}}}, "Order Completed (order value is above 100) happened"),
        (
            {"did": ORDER, "between": ["2026-11-27", "2026-12-01T18:30"]},
            "Order Completed happened from 2026-11-27 until 2026-12-01 18:30",
        ),
        ({"did_not": ORDER, "within": "90d"}, "Order Completed did not happen in the last 90 days"),
        ({"did_not": EMAIL, "since": CHECKOUT}, "Email Opened did not happen since the last Checkout Started"),
        ({"last": CHECKOUT, "age": "6h..24h"}, "Checkout Started happened last between 6 hours and 24 hours ago"),
        ({"last": CHECKOUT, "age": "..6h"}, "Checkout Started happened last less than 6 hours ago"),
        ({"last": ORDER, "age": "90d.."}, "Order Completed happened last 90 days ago or longer"),
        ({"first": ORDER, "age": "30d..60d"}, "Order Completed happened first between 30 days and 60 days ago"),
        ({"trait": {"lifetime_value": {"gt": 300}}}, "person's lifetime value is above 300"),
        ({"in_segment": "vip"}, "they are in vip"),
        ({"not": {"in_segment": "vip"}}, "they are not in vip"),
        ({"in_segment": ["vip", "lapsed"]}, "either they are in vip, or they are in lapsed"),
        ({"split": "10%"}, "they are among 10% of people drawn by lot (preview)"),
        (
            {"split": {"share": "2.5%", "from": "10%", "salt": "spring sale"}},
            'they are among 2.5% of people drawn by lot ("spring sale", from 10% on)',
        ),
        (
            {"all": [{"last": CHECKOUT, "age": "6h..24h"}, {"did_not": ORDER, "since": CHECKOUT}]},
            "Checkout Started happened last between 6 hours and 24 hours ago, and Order Completed did not happen since then",
        ),
        (
            {"any": [{"did": ORDER, "within": "1d"}, {"all": [{"did": EMAIL}, {"in_segment": "vip"}]}]},
            "either Order Completed happened in the last 24 hours, or (Email Opened happened, and they are in vip)",
        ),
        (
            {"not": [{"did": EMAIL}, {"in_segment": "vip"}]},
            "it is not so that (either Email Opened happened, or they are in vip)",
        ),
    ],
)
def test_a_rule_reads_as_a_sentence(raw: Any, said: str) -> None:
    """The sentence is what a marketer would say."""
    assert sentence(reading.rule(raw)) == said


def test_dates_are_said_in_the_zone_they_are_meant_in() -> None:
    """A date of the workspace's zone comes back as the same date."""
    zone = ZoneInfo("America/Los_Angeles")
    rule = reading.rule({"did": ORDER, "between": ["2026-11-27", "2026-12-01"]}, Known(zone=zone))
    assert sentence(rule, zone) == "Order Completed happened from 2026-11-27 until 2026-12-01"
    assert sentence(rule) == "Order Completed happened from 2026-11-27 08:00 until 2026-12-01 08:00"


def test_what_no_file_writes_reads_too() -> None:
    """Bands of value tiers and the rule of everybody have words."""
    assert sentence(Band(tiers="ltv", index=2)) == "they are in band 3 of ltv, counted from the lowest"
    assert sentence(All(parts=())) == "everybody"


def some_rules() -> list[Any]:
    """Many rules that mean different things: each bound alone and with others, negated, paired."""
    bounds: list[dict[str, Any]] = [
        {},
        {"within": "1d"},
        {"within": "36h"},
        {"since": CHECKOUT},
        {"since": EMAIL},
        {"times": 1},
        {"times": 2},
        {"times": {"gte": 2}},
        {"times": {"lte": 2}},
        {"times": {"gte": 2, "lte": 3}},
        {"between": ["2026-11-01", "2026-12-01"]},
        {"between": ["2026-11-01", "2026-12-01 00:00:01"]},
        {"where": {"order.value": "1"}},
        {"where": {"order.value": "1", "order.currency": "USD"}},
        {"within": "1d", "since": CHECKOUT, "times": 2},
    ]
    found: list[Any] = [{word: ORDER, **bound} for bound in bounds for word in ("did", "did_not")]
    ages = ["..6h", "6h..", "6h..24h", "6h..1500m", "0h.."]
    found += [{word: CHECKOUT, "age": age} for age in ages for word in ("last", "first")]
    found += [
        {"last": CHECKOUT, "age": "..6h", "where": {"event.source": "shop"}},
        {"trait": {"orders": "2"}},
        {"trait": {"orders": "2", "lifetime_value": {"gt": "5"}}},
        {"trait": {"any": [{"orders": "2"}, {"lifetime_value": {"gt": "5"}}]}},
        {"in_segment": "vip"},
        {"in_segment": "vip and lapsed"},
        {"split": {"share": "10%", "salt": "a"}},
        {"split": {"share": "10%", "salt": "a, from 5% on"}},
        {"split": {"share": "10%", "salt": "a", "from": "5%"}},
        {"split": {"share": "10.5%", "salt": "a"}},
    ]
    few = [*found[:8:3], *found[30:46:3], *found[-9::2]]
    pairs = [[left, right] for left, right in itertools.product(few, few) if left is not right]
    found += [{word: pair} for pair in pairs for word in ("all", "any", "not")]
    found += [{"all": [{"any": pair}, few[0]]} for pair in pairs] + [{"any": [{"all": pair}, few[0]]} for pair in pairs]
    found += [{"all": [*pair, few[1]]} for pair in pairs] + [{"all": [few[1], {"all": pair}]} for pair in pairs]
    return found + [{"not": one} for one in found]


def test_what_reads_the_same_is_the_same() -> None:
    """No two rules that differ have the same sentence."""
    said: dict[str, Any] = {}
    for raw in some_rules():
        rule = reading.rule(raw)
        assert said.setdefault(sentence(rule), rule) == rule, sentence(rule)
    assert len(said) > 1500
