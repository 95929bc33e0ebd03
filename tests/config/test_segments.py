"""The options of segments: rules, tiers, audiences and journeys, right and wrong."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from signalpost import config
from signalpost.destinations import CATALOG

HEAD = """\
workspace: glow
environment: production
currency: USD
country: US
order_value: net
sources: {shop: {type: shopify, secret: "${SECRET}"}}
events: {Bought Something: Order Completed, Quiz Finished: Quiz Finished}
destinations:
  tiktok: {type: tiktok, pixel: p1, access_token: "${SECRET}"}
  pinterest: {type: pinterest, ad_account: '1', access_token: "${SECRET}"}
"""
ENVIRON = {"SECRET": "hush"}

GOOD = """\
segments:
  cart: {ladder: Checkout Started, until: Order Completed, tiers: [0h-6h reminder, 6h-24h social_proof, 1d-3d offer]}
  recent_buyers: {did: Order Completed, within: 14d}
  vip: {trait: {lifetime_value: {gt: 300}}}
  lapsed:
    all: [{did: Bought Something}, {did_not: Order Completed, within: 90d}, {not: {in_segment: vip}}]
  quizzed: {did: Quiz Finished, did_not: Order Completed}
tiers:
  states: {of: [recent_buyers, lapsed]}
  worth: {of: [ltv_low, ltv_high], covering: ltv_high}
value_tiers:
  ltv: {names: [low, mid, high], quantiles: [50%, 90%], hysteresis: 5%, every: 12h}
  basket: {of: average_order_value, names: [small, large], bounds: [79.90]}
journeys:
  recovery: {starts: Checkout Started, ends: [Order Completed], after: 24h, steps: [{at: 1h}, {at: 24h, offer: 10%}]}
  welcome: {starts: Signed Up, ends: [Customer Unsubscribed], after: 7d}
replenishment: 60d
audiences:
  - {segment: cart_reminder, to: tiktok, use: target, unless: recent_buyers, while_in: {recovery: 6h, welcome: none}, way: file}
  - {segment: recent_buyers, to: [tiktok, pinterest], use: suppress}
  - {segment: cart_reminder, name: cart on pinterest, to: pinterest, use: target, holdout: 10%, ad_groups: ['77'], offer: true}
  - {segment: ltv_high, to: tiktok, use: seed}
gates:
  - {reason: VIP, when: {segment: [vip, Lapsed], order.value: {gt: 5}}}
derived:
  VIP Order: {first: Order Completed, where: {segment: {not_in: [cart_offer]}}}
"""


def checked(more: str) -> tuple[config.Workspace | None, list[config.Mistake]]:
    workspace, notes = config.check(HEAD + more, ENVIRON, CATALOG)
    return workspace, list(notes)


def test_good_options_are_a_workspace() -> None:
    """Every option of segments is read, and comes through JSON as it was."""
    workspace, notes = checked(GOOD)
    assert {note.severity for note in notes} <= {"warning"}
    assert workspace is not None
    assert msgspec.json.decode(msgspec.json.encode(workspace), type=config.Workspace) == workspace
    first, second, third, _ = workspace.audiences
    assert (first.to, first.unless, first.title) == (("tiktok",), ("recent_buyers",), "cart_reminder")
    assert (second.to, third.title) == (("tiktok", "pinterest"), "cart on pinterest")
    assert workspace.journeys["recovery"].steps[1].offer == "10%"
    assert workspace.segments["vip"] == {"trait": {"lifetime_value": {"gt": "300"}}}


def test_the_schema_takes_what_check_takes() -> None:
    """An editor underlines nothing in a good file, and underlines a word that no rule has."""
    schema = config.schema(CATALOG)
    document = YAML(typ="safe", pure=True).load((HEAD + GOOD).replace("2026-", "x"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(document)))
    document["segments"]["vip"] = {"all": [{"dd": "Order Completed"}]}
    assert not jsonschema.Draft202012Validator(schema).is_valid(document)


def test_what_costs_money_is_told_where_it_is_mended() -> None:
    """What the segments, audiences and journeys of a right file cost is a warning at the line of the audience's option."""
    workspace, notes = checked(GOOD)
    assert workspace is not None
    lines = (HEAD + GOOD).splitlines()
    [early] = [note for note in notes if "offers one after 24 hours only" in note.sentence]
    assert (early.path, "cart on pinterest" in lines[early.line - 1]) == ("audiences[2].offer", True)
    [cycle] = [note for note in notes if "they need it again after 60 days" in note.sentence]
    assert (cycle.path, "use: suppress" in lines[cycle.line - 1]) == ("audiences[1].segment", True)


def test_tiers_that_do_not_hold_are_a_mistake() -> None:
    """A set of tiers in which somebody can be in two, or in none of those that cover all, is shown with that person."""
    text = """\
segments:
  recent: {last: Order Completed, age: ..31d}
  lapsing: {last: Order Completed, age: 30d..90d}
  buyers: {did: Order Completed}
tiers:
  by_age: {of: [recent, lapsing], covering: buyers}
"""
    workspace, notes = checked(text)
    assert workspace is None
    assert [(note.line, note.path) for note in notes] == [(16, "tiers.by_age")]
    assert "Order Completed" in notes[0].sentence
    assert checked(text.replace("31d", "30d").replace("30d..90d", "30d.."))[0] is not None


SEGMENT = "segments: {vip: {did: Order Completed}, lapsed: {did_not: Order Completed}}\n"


@pytest.mark.parametrize(
    ("more", "line", "said"),
    [
        ("segments:\n  VIP: {did: Order Completed}\n", 12, "The name of a segment is small letters"),
        ("segments:\n  a: {did: Order Complete}\n", 12, "Did you mean `Order Completed`?"),
        ("segments:\n  a: {in_segment: b}\n  bb: {did: Order Completed}\n", 12, "There is no segment `b`."),
        (
            "segments:\n  a: {in_segment: b}\n  b: {not: {in_segment: c}}\n  c: {any: [{in_segment: a}]}\n",
            12,
            "go round in a circle: `a` names `b` names `c` names `a`.",
        ),
        ("segments:\n  a: [x]\n", 12, "is a list; write `all:` or `any:` before it"),
        ("segments:\n  a:\n    ladder: Checkout Started\n    tiers: [0h-6h x, 7h-9h y, 9h-11h]\n", 14, "must be a tier such as"),
        (
            "segments:\n  a: {ladder: Checkout Started, tiers: [0h-6h x]}\n  a_x: {did: Order Completed}\n",
            12,
            "`a_x` is a tier of the ladder `a`, but there is a segment of that name already, on line 13.",
        ),
        (
            "segments:\n  a_x: {did: Order Completed}\nvalue_tiers:\n  a: {names: [x, y], bounds: [5]}\n",
            14,
            "`a_x` is a band of the value tiers `a`, but there is a segment of that name already, on line 12.",
        ),
        (SEGMENT + "tiers: {t: {of: [vip, lapse]}}\n", 12, "There is no segment `lapse`. Did you mean `lapsed`?"),
        (SEGMENT + "tiers: {t: {of: [vip]}}\n", 12, "must name two segments or more"),
        (SEGMENT + "tiers: {t: {of: [vip, vip]}}\n", 12, "`vip` stands twice in `tiers.t.of`."),
        (SEGMENT + "tiers: {t: {of: [vip, lapsed], covering: all}}\n", 12, "There is no segment `all`."),
        (SEGMENT + "tiers: {t: {off: [vip, lapsed]}}\n", 12, "Did you mean `of`?"),
        (
            "segments: {c: {ladder: Checkout Started, tiers: [0h-1h x, 1h-2h y]}}\ntiers: {c: {of: [c_x, c_y]}}\n",
            12,
            "The ladder `c` is a set of tiers already",
        ),
        ("value_tiers: {ltv: {names: [a, b]}}\n", 11, "needs `bounds` such as `[100, 300]` or `quantiles`"),
        ("value_tiers: {ltv: {names: [a, b], bounds: [1], quantiles: [5%]}}\n", 11, "and not both."),
        ("value_tiers: {ltv: {names: [a, b], bounds: [1, 2]}}\n", 11, "2 bands need 1 bounds"),
        ("value_tiers: {ltv: {names: [a, b, c], bounds: [2, 2]}}\n", 11, "must rise: `2` is not above the one before it."),
        ("value_tiers: {ltv: {names: [a, b, c], quantiles: [90%, 50%]}}\n", 11, "must rise"),
        ("value_tiers: {ltv: {names: [a, b], quantiles: [100%]}}\n", 11, "Nobody is above 100%"),
        ("value_tiers: {ltv: {names: [a, a], bounds: [1]}}\n", 11, "`a` stands twice in `value_tiers.ltv.names`."),
        ("value_tiers: {ltv: {names: [A, b], bounds: [1]}}\n", 11, "The name of a band"),
        ("value_tiers: {LTV: {names: [a, b], bounds: [1]}}\n", 11, "The name of value tiers"),
        ("value_tiers: {ltv: {names: [a, b], quantiles: [50%], every: 0s}}\n", 11, "must be longer than nothing"),
        ("value_tiers: {ltv: {names: [a, b], quantiles: [50%], hysteresis: 100%}}\n", 11, "would ever leave a band"),
        ("value_tiers: {ltv: {of: value, names: [a, b], bounds: [1]}}\n", 11, "must be `average_order_value`"),
        (SEGMENT + "audiences: [{segment: vp, to: tiktok, use: target}]\n", 12, "There is no segment `vp`. Did you mean `vip`?"),
        (SEGMENT + "audiences: [{segment: vip, to: tiktk, use: target}]\n", 12, "There is no destination `tiktk`."),
        (SEGMENT + "audiences: [{segment: vip, to: [], use: target}]\n", 12, "names no destination"),
        (SEGMENT + "audiences: [{segment: vip, to: [tiktok, tiktok], use: target}]\n", 12, "`tiktok` stands twice in"),
        (SEGMENT + "audiences: [{segment: vip, to: tiktok, use: show}]\n", 12, "must be `seed`, `suppress` or `target`"),
        (SEGMENT + "audiences: [{segment: vip, use: target}]\n", 12, "needs the option `to`"),
        (SEGMENT + "audiences: [vip]\n", 12, "must hold options of its own, such as `segment: vip`"),
        (SEGMENT + "audiences: [{segment: vip, to: tiktok, use: target, unless: vip}]\n", 12, "nobody would be in it"),
        (SEGMENT + "audiences: [{segment: vip, to: tiktok, use: target, unless: [lapse]}]\n", 12, "Did you mean `lapsed`?"),
        (SEGMENT + "audiences: [{segment: vip, to: pinterest, use: target, way: file}]\n", 12, "Only TikTok takes files"),
        (
            SEGMENT + "audiences: [{segment: vip, to: tiktok, use: target, holdout: 100%}]\n",
            12,
            "nobody would be in the audience",
        ),
        (SEGMENT + "audiences: [{segment: vip, to: tiktok, use: target, while_in: {x: none}}]\n", 12, "There is no journey `x`."),
        (
            SEGMENT + "audiences:\n  - {segment: vip, to: tiktok, use: target}\n  - {segment: vip, to: tiktok, use: suppress}\n",
            14,
            "Two audiences at `tiktok` are called `vip`; the other is on line 13.",
        ),
        (
            SEGMENT + "journeys: {j: {starts: Checkout Started, after: 6h}}\n"
            "audiences: [{segment: vip, to: tiktok, use: target, while_in: {j: never}}]\n",
            13,
            "must be `none` (left out while inside) or a duration",
        ),
        ("journeys: {j: {starts: Checkout Strted, after: 6h}}\n", 11, "Did you mean `Checkout Started`?"),
        ("journeys: {j: {starts: Bought Something, after: 6h}}\n", 11, "its canonical name is `Order Completed`"),
        ("journeys: {j: {starts: Checkout Started, ends: [Checkout Started], after: 6h}}\n", 11, "it cannot end it too"),
        ("journeys: {j: {starts: Checkout Started, after: 0s}}\n", 11, "must be longer than nothing"),
        ("journeys: {J: {starts: Checkout Started, after: 1h}}\n", 11, "The name of a journey"),
        ("journeys: {j: {starts: Checkout Started}}\n", 11, "needs the option `after`"),
        ("replenishment: 60\n", 11, "a duration is a number and a unit"),
        ("gates: [{reason: x, when: {segment: vip}}]\n", 11, "There is no segment `vip`. There are no segments in this file."),
        (SEGMENT + "gates: [{reason: x, when: {any: [{segment: {ne: vp}}]}}]\n", 12, "Did you mean `vip`?"),
        (SEGMENT + "gates: [{reason: x, when: {segment: [vip, lapse]}}]\n", 12, "Did you mean `lapsed`?"),
        (SEGMENT + "derived: {X: {nth_order: 2, where: {segment: vp}}}\n", 12, "Did you mean `vip`?"),
    ],
)
def test_each_mistake_has_its_line_and_sentence(more: str, line: int, said: str) -> None:
    """Each mistake is told once, at its line, with the nearest name or what to write, and there is no workspace."""
    workspace, notes = checked(more)
    assert workspace is None
    assert [(note.line, said in note.sentence) for note in notes if note.severity == "mistake"][:1] == [(line, True)], [
        str(note) for note in notes
    ]
    assert len(notes) <= 2


def test_a_tool_of_the_shop_keeps_no_audience() -> None:
    """An audience goes to platforms of ads; a destination that only hears of segments takes none."""
    crm = '  crm: {type: customerio, site_id: s, api_key: "${SECRET}"}\n'
    workspace, notes = checked(crm + SEGMENT + "audiences: [{segment: vip, to: [tiktok, crm], use: target}]\n")
    assert workspace is None
    assert [(note.line, note.sentence) for note in notes if note.severity == "mistake"] == [
        (13, "`crm` keeps no audiences; it hears of segments by its own `events`.")
    ]


def test_what_an_account_lacks_for_audiences_is_a_warning() -> None:
    """A destination whose account cannot keep audiences yet is told once, at its line, with the option that is missing."""
    text = SEGMENT + "audiences: [{segment: vip, to: tiktok, use: seed}, {segment: lapsed, to: [pinterest, tiktok], use: seed}]\n"
    workspace, notes = checked(text)
    assert workspace is not None
    [note] = [note for note in notes if "cannot be kept" in note.sentence]
    assert (note.line, note.severity, "`advertiser`" in note.sentence) == (9, "warning", True)
    _, others = config.check((HEAD + text).replace("pixel: p1,", "pixel: p1, advertiser: '7',"), ENVIRON, CATALOG)
    assert not any("cannot be kept" in note.sentence for note in others)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("value_tiers: {ltv: {names: [a, b], bounds: [1], every: 1d}}\n", "`every` is for quantiles"),
        ("journeys: {j: {starts: Checkout Started, after: 6h, steps: [{at: 7h}]}}\n", "is after the end of the journey"),
    ],
)
def test_what_is_odd_is_a_warning(more: str, said: str) -> None:
    """What is allowed and probably not meant is told, and the workspace stands."""
    workspace, notes = checked(more)
    assert workspace is not None
    assert [(note.severity, said in note.sentence) for note in notes] == [("warning", True)]


LINES = [
    "segments:",
    "  a: {did: Order Completed, within: 14d}",
    "  b: {in_segment: [a, b, c]}",
    "  c: {ladder: Checkout Started, until: [a], tiers: [0h-6h x, 6h-7h y]}",
    "  d: {ladder: [], tiers: {x: 1}, until: {}}",
    "  e: ${NOT_SET}",
    "  a_x: {split: ${NOT_SET}, trait: {any: [1]}}",
    "tiers: {t: {of: [a, ${NOT_SET}, []], covering: {}}}",
    "value_tiers: {v: {names: [x, []], bounds: 5, quantiles: [a]}, w: 5}",
    "value_tiers: {c: {names: [x, y], quantiles: [50%], every: []}}",
    "journeys: {j: {starts: [x], ends: x, after: [], steps: [1, {at: x}]}, k: 5}",
    "audiences: [{segment: [a], to: {x: y}, unless: [a, {}], while_in: {j: [], k: 6h}, way: file}, 5]",
    "audiences: {segment: a}",
    "audiences: [{segment: a, to: tiktok, use: target, while_in: [j]}]",
    "gates: [{reason: x, when: {segment: {in: [a, []]}}}]",
    "derived: {x: {nth_order: 2, where: {segment: []}}}",
    "replenishment: []",
]


@given(st.lists(st.sampled_from(LINES), max_size=8))
def test_no_file_makes_the_check_raise(lines: list[str]) -> None:
    """However options are put together, there is a workspace or a sentence about what is wrong."""
    workspace, notes = checked("\n".join(lines) + "\n")
    mistakes: list[Any] = [note for note in notes if note.severity == "mistake"]
    assert (workspace is None) == bool(mistakes)
