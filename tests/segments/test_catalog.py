"""All segments of a workspace: what there is, in which order, under which fingerprint."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalpost import config
from signalpost.destinations import CATALOG
from signalpost.options import UNITS, Workspace
from signalpost.segments import catalog
from signalpost.segments.rules import Age, All, Band, Happened, Inside, Not, Rule, Some

HEAD = """\
workspace: glow
environment: production
currency: USD
country: US
order_value: net
timezone: Europe/Berlin
sources: {web: {type: pipelines, write_key: k}}
destinations: {pin: {type: pinterest, ad_account: "1", access_token: "${TOKEN}"}}
"""

WHOLE = """\
segments:
  cart:
    ladder: Checkout Started
    until: Order Completed
    tiers: [0h-6h reminder, 6h-24h social_proof]
  top: {in_segment: best, trait: {traits.plan: gold}}
  best: {in_segment: [ltv_gold, cart_reminder]}
  sale: {did: Order Completed, between: [2026-11-27, 2026-12-01]}
tiers: {two: {of: [basket_small, basket_large]}}
value_tiers:
  ltv: {names: [low, mid, gold], quantiles: [50%, 90%]}
  basket: {of: average_order_value, names: [small, large], bounds: [79.90]}
journeys:
  recovery: {starts: Checkout Started, ends: [Order Completed], after: 24h}
audiences:
  - {segment: top, to: pin, use: target, while_in: {recovery: 6h}}
"""


def workspace(text: str) -> Workspace:
    found, notes = config.check(HEAD + text, {"TOKEN": "t"}, CATALOG)
    assert [str(note) for note in notes if note.severity == "mistake"] == []
    assert found is not None
    return found


def test_the_catalog_has_every_segment() -> None:
    """Declared segments, tiers, bands and journeys are all there, each after what it names, with its sentence."""
    found = catalog.of(workspace(WHOLE))
    assert set(found.rules) == {
        "cart", "cart_reminder", "cart_social_proof", "top", "best", "sale", "ltv_low", "ltv_mid", "ltv_gold", "basket_small",
        "basket_large", "journey:recovery", "journey:recovery>6h",
    }  # fmt: skip
    assert found.hidden == {"journey:recovery", "journey:recovery>6h"}
    assert list(found.rules).index("ltv_gold") < list(found.rules).index("best") < list(found.rules).index("top")
    assert set(found.shown) == set(found.rules) - found.hidden
    assert found.rules["ltv_gold"] == Band(tiers="ltv", index=2)
    left = Not(part=Happened(event="Order Completed", since="Checkout Started"))
    high = 24 * UNITS["h"]
    assert found.rules["journey:recovery"] == All(parts=(Age(event="Checkout Started", low=0, high=high), left))
    six = found.rules[catalog.journey_segment("recovery", "6h")]
    assert six == All(parts=(Age(event="Checkout Started", low=6 * UNITS["h"], high=high), left))
    assert found.ladders == {"cart": ("cart_reminder", "cart_social_proof")}
    assert {name: (tiers.of, tiers.covering) for name, tiers in found.tiers.items()} == {
        "cart": (("cart_reminder", "cart_social_proof"), "cart"),
        "two": (("basket_small", "basket_large"), None),
    }
    assert set(found.bands) == {"ltv", "basket"}
    assert found.traits == {"plan"}
    assert found.sentences["sale"] == "Order Completed happened from 2026-11-27 until 2026-12-01"
    assert found.sentences["ltv_mid"] == "their lifetime value is above that of 50%, and not of 90% of people who bought"
    assert found.sentences["basket_large"] == "they bought, and their average order value is 79.90 or more"
    assert set(found.sentences) == set(found.rules) == set(found.digests)


def test_a_pause_as_long_as_its_journey_leaves_nobody_out() -> None:
    """`while_in` with the journey's own length, or a longer one, says that both are meant: its hidden segment is empty."""
    found = catalog.of(workspace(WHOLE.replace("while_in: {recovery: 6h}", "while_in: {recovery: 2d}")))
    rule = found.rules[catalog.journey_segment("recovery", "2d")]
    assert isinstance(rule, All)
    assert rule.parts[0] == Age(event="Checkout Started", low=24 * UNITS["h"], high=24 * UNITS["h"])


def test_a_workspace_without_segments_has_none() -> None:
    """Nothing is made of nothing."""
    assert catalog.of(workspace("")) == catalog.Catalog()


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("0h-6h reminder", "0h-7h reminder", None),
        ("6h-24h", "6h-25h", {"cart", "cart_social_proof"}),
        ("plan: gold", "plan: silver", {"top"}),
        ("50%, 90%", "50%, 95%", {"ltv_low", "ltv_mid", "ltv_gold", "best", "top"}),
        ("timezone: Europe/Berlin", "timezone: Europe/London", {"sale"}),
        ("while_in: {recovery: 6h}", "while_in: {recovery: none}", set()),
        ("after: 24h", "after: 25h", {"journey:recovery", "journey:recovery>6h"}),
        ("use: target", "use: seed", set()),
    ],
)
def test_a_fingerprint_follows_the_rule(before: str, after: str, changed: set[str] | None) -> None:
    """A segment's digest changes exactly when its rule or anything it names does."""
    text = HEAD + WHOLE
    if changed is None:  # the next tier begins an hour earlier: a mistake, so no workspace
        assert config.check(text.replace(before, after), {"TOKEN": "t"}, CATALOG)[0] is None
        return
    one = catalog.of(workspace(WHOLE))
    found, notes = config.check(text.replace(before, after), {"TOKEN": "t"}, CATALOG)
    assert found is not None, notes
    two = catalog.of(found)
    assert {name for name in one.digests.keys() & two.digests.keys() if one.digest(name) != two.digest(name)} == changed


def test_how_a_rule_is_written_does_not_change_its_fingerprint() -> None:
    """Spans in other units, shop's names of events, lists of one and the order of the file's segments change nothing."""
    one = catalog.of(workspace("segments: {a: {did: Order Completed, within: 1d}, b: {all: [{in_segment: [a]}]}}\n"))
    two = catalog.of(
        workspace("events: {Bought: Order Completed}\nsegments: {b: {in_segment: a}, a: {all: [{did: [Bought], within: 24h}]}}\n")
    )
    assert one.digests == two.digests


def test_rules_are_read_with_what_the_workspace_knows() -> None:
    """A rule from elsewhere may name what the workspace has: its events, its segments, its time zone."""
    known = catalog.knows(workspace(WHOLE))
    assert {"cart", "cart_reminder", "ltv_gold", "top"} <= set(known.segments or ())
    assert str(known.zone) == "Europe/Berlin"


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Rule]:
    """Segments that name others, some in circles."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 7)))]
    chosen = st.lists(st.sampled_from([*names, "elsewhere"]), max_size=2, unique=True)
    found: dict[str, Rule] = {}
    for name in draw(st.permutations(names)):
        parts: list[Any] = [Inside(segment=each) for each in draw(chosen) if each != name]
        found[name] = All(parts=(Happened(event="Order Completed"), Not(part=Some(parts=tuple(parts)))))
    return found


@given(graphs())
def test_each_rule_stands_after_those_it_names(rules: dict[str, Rule]) -> None:
    """Either every rule follows all that it names, or there is a circle and it is named, from one segment back to itself."""
    around = catalog.circle(rules)
    if around:
        assert around[0] == around[-1]
        assert all(after in catalog.named(rules[before]) for before, after in pairwise(around))
        with pytest.raises(ValueError, match="circle"):
            catalog.in_order(rules)
        return
    ordered = catalog.in_order(rules)
    assert ordered == rules
    places = {name: place for place, name in enumerate(ordered)}
    assert all(places.get(each, -1) < places[name] for name, rule in rules.items() for each in catalog.named(rule))
