"""Each preset withholds what it is for and nothing beside it; rules come out of the workspace file as they were written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.conditions.subjects import subject

from signalpost import conditions, config, gates
from signalpost.destinations import CATALOG
from signalpost.options import Gate
from signalpost.presets import PARAMETERS, PRESETS

HEAD = """\
workspace: glow
environment: production
currency: USD
country: US
order_value: net
destinations:
  tiktok: {type: tiktok, pixel: p1, access_token: "${SECRET}"}
  pinterest: {type: pinterest, ad_account: "1", access_token: "${SECRET}"}
"""


SHOP = 'sources: {shop: {type: shopify, secret: "${SECRET}"}}\n'


def workspace(more: str, *, sources: str = SHOP) -> config.Workspace:
    """A workspace that has no mistake, as the deciding process gets it: once through JSON."""
    found, notes = config.check(HEAD + sources + more, {"SECRET": "x"}, CATALOG)
    assert found is not None, [str(note) for note in notes]
    return msgspec.json.decode(msgspec.json.encode(found), type=config.Workspace)


def rule(gate: str) -> gates.Rule:
    (found,) = gates.rules(workspace(f"gates: [{gate}]\n"))
    return found


GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1"
PAID: dict[str, Any] = {"order.value": Decimal("49.90"), "order.source_name": "web", "order.tags": "first, newsletter"}
CHEAP = {"order.subtotal": Decimal(50), "order.discount_share": Decimal("0.5")}
DEAR = {"order.subtotal": Decimal(60), "order.discount_share": Decimal("0.4")}

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("preset: zero_value", {"order.value": Decimal(0)}, {"order.value": Decimal("0.01")}),
    ("preset: zero_value", {"order.value": Decimal(-5)}, {}),
    ("preset: replacement", {"order.tags": ["VIP", "Replacement"]}, {"order.tags": ["irreplaceable"]}),
    ("{preset: replacement, tags: [swap]}", {"order.tags": "swap"}, {"order.tags": "replacement"}),
    ("preset: warranty_claim", {"order.tags": "warranty, eu"}, {"order.tags": "eu"}),
    ("preset: gift_or_sample", {"order.tags": "sample"}, PAID),
    ("preset: gift_or_sample", {"order.tags": "gift", "order.value": Decimal(0)}, {**PAID, "order.tags": "gift"}),
    ("{preset: employee, email_domains: [glow.example]}", {"emails": ["a@glow.example"]}, {"emails": ["a@notglow.example"]}),
    ("{preset: employee, email_domains: ['@glow.example']}", {"emails": ["a@glow.example"]}, {"person.tags": ["employee"]}),
    ("{preset: employee, tags: [crew]}", {"person.tags": ["crew"]}, {"person.tags": ["employee"]}),
    ("preset: employee", {"person.tags": "staff"}, {"person.tags": "customer"}),
    ("preset: fraud_flag", {"order.flagged": True}, {**PAID, "order.flagged": False}),
    ("preset: fraud_flag", {"order.tags": "High Risk"}, {"order.tags": "high"}),
    ("preset: test_order", {"order.test": True}, PAID),
    ("preset: draft_or_pos_order", {"order.source_name": "pos"}, PAID),
    ("preset: draft_or_pos_order", {"order.source_name": "shopify_draft_order"}, {}),
    ("preset: heavily_discounted", CHEAP, DEAR),
    ("{preset: heavily_discounted, share: 40%}", DEAR, {**DEAR, "order.discount_share": Decimal("0.25")}),
    ("{preset: heavily_discounted, coupons: 2}", {"order.coupons": 2}, {**CHEAP, "order.coupons": 1}),
    (
        "{preset: chronic_discounter, orders: 2}",
        {"person.orders": 2, "person.discount_rate": Decimal("0.4")},
        {"person.orders": 1, "person.discount_rate": Decimal("0.4")},
    ),
    ("preset: chronic_discounter", {"person.orders": 3, "person.discount_rate": Decimal("0.5")}, {"person.orders": 9}),
    (
        "preset: high_refund_risk",
        {"person.orders": 2, "person.refund_rate": Decimal("0.5")},
        {"person.orders": 2, "person.refund_rate": Decimal("0.4")},
    ),
    ("preset: subscription_renewal", {"event.name": "Subscription Renewed"}, {"event.name": "Subscription Started"}),
    ("preset: subscription_renewal", {"order.source_name": "subscription_contract"}, PAID),
    (
        "preset: subscription_renewal",
        {"order.tags": "Subscription, Subscription Recurring Order"},
        {"order.tags": "Subscription, Subscription First Order"},
    ),
    ("preset: bot", {"event.user_agent": GOOGLE}, {"event.user_agent": SAFARI}),
]


@pytest.mark.parametrize(("gate", "withheld", "let_through"), CASES)
def test_a_preset_withholds_what_it_is_for(gate: str, withheld: dict[str, Any], let_through: dict[str, Any]) -> None:
    """Each preset has an event it withholds and one, near to it, that it does not."""
    found = rule(gate if gate.startswith("{") else f"{{{gate}}}")
    assert found.test(subject(withheld))
    assert not found.test(subject(let_through))


def test_every_preset_is_tried() -> None:
    """No preset is without a case above, and an ordinary paid order passes all of them."""
    assert {name for name in PRESETS if any(f"preset: {name}" in gate for gate, _, _ in CASES)} == set(PRESETS)
    ordinary = subject({**PAID, "event.user_agent": SAFARI, "emails": ["ada@gmail.com"], "person.orders": 1})
    for name in PRESETS:
        assert not rule(f"{{preset: {name}}}").test(ordinary), name


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_the_rule_it_prints(name: str) -> None:
    """The YAML that a preset stands for is a rule of one's own with the same sentence, on the same events."""
    found = rule(f"{{preset: {name}}}")
    written = conditions.written(gates.condition_of(Gate(preset=name)))
    own = rule(f"{{reason: {name} by hand, when: {written}}}")
    assert own.sentence == found.sentence
    assert own.name == f"{name}_by_hand"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_only_its_own_parameters(name: str) -> None:
    """A parameter that a preset knows changes its rule; any other is a mistake with its line."""
    given = {"share": "12%", "coupons": "3", "orders": "7", "email_domains": "[glow.example]", "tags": "[odd]"}
    for parameter in PARAMETERS:
        text = HEAD + SHOP + f"gates: [{{preset: {name}, {parameter}: {given[parameter]}}}]\n"
        found, notes = config.check(text, {"SECRET": "x"}, CATALOG)
        if parameter in PRESETS[name].takes:
            assert found is not None
            assert gates.rules(found)[0].sentence != rule(f"{{preset: {name}}}").sentence
        else:
            (note,) = notes
            assert (note.line, found) == (10, None)
            assert f"has no parameter `{parameter}`" in note.sentence


def test_a_rule_says_where_it_applies() -> None:
    """Mode, events and destinations are those of the file; an order's preset also looks at the events derived of orders."""
    derived = "derived: {Third Purchase: {nth_order: 3}}\n"
    first, second, third = gates.rules(
        workspace(
            derived + "gates:\n  - {preset: zero_value}\n  - {preset: bot, mode: observing, destinations: [tiktok]}\n"
            "  - {reason: Not from us!, when: {event.source: shop}, events: [Order Completed]}\n"
        )
    )
    assert first.events is not None
    assert {"Order Completed", "First Purchase", "Third Purchase"} <= first.events
    assert "Product Added" not in first.events
    assert (first.observing, first.destinations) == (False, None)
    assert (second.name, second.observing, second.events, second.destinations) == ("bot", True, None, frozenset({"tiktok"}))
    assert (third.name, third.events) == ("not_from_us", frozenset({"Order Completed"}))
    assert third.sentence == "event source is shop"


def test_what_rules_read_of_people_is_kept() -> None:
    """Traits are kept for gates and for derived events alike, and none where no rule asks."""
    assert gates.kept_traits(workspace("")) == frozenset()
    found = gates.kept_traits(
        workspace(
            "gates: [{preset: employee}, {reason: Odd, when: {person.traits.plan.name: gold}}]\n"
            "derived: {Gold Purchase: {nth_order: 1, where: {person.traits.level: gold}}}\n"
        )
    )
    assert found == {"tags", "plan", "level"}
