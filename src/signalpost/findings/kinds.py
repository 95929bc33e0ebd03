"""How each kind of finding is called, which page tells of it, and how much of it there must be before anybody is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

Severity = Literal["warning", "problem"]
SEVERITIES: tuple[Severity, ...] = ("warning", "problem")

SURE = 5
"""So many must be affected for a share to make a problem of them: one order of two is no half."""


class Kind(Struct, frozen=True):
    """How one kind is called, where it is told of, and how much there must be of it."""

    title: str
    page: str
    """Of docs/leaks, without its ending."""
    least: int = 1
    """So many signals (orders, requests) must be affected."""
    of: int = 1
    """So many must have been looked at."""
    warns: str = "0"
    """From this share on it is a warning."""
    problem: str | None = None
    """From this share on it is a problem; None: never by its share."""


KINDS: dict[str, Kind] = {
    # one value
    "mixed_source": Kind("A source mixes gross and net", "mixed-values", least=3, of=20, warns="0.02", problem="0.2"),
    "mixed_order": Kind("Sources tell one order under different definitions", "mixed-values", least=3, warns="0.02"),
    "value_differs": Kind("Sources tell one order with different values", "mixed-values", least=3, warns="0.02", problem="0.1"),
    "told_differently": Kind("Platforms are told one order with different values", "mixed-values", least=3, problem="0.02"),
    "missing_value": Kind("Purchases without a value", "mixed-values", least=2, warns="0.005", problem="0.05"),
    "missing_currency": Kind("Amounts without a currency", "mixed-values", least=2, warns="0.005", problem="0.05"),
    "missing_order_id": Kind("Purchases without an order id", "duplicates", least=2, warns="0.005", problem="0.05"),
    "unsupported_currency": Kind("A currency the platform does not take", "mixed-values", problem="0.05"),
    # double sending
    "repeated_messages": Kind("Messages that come more than once", "duplicates", least=50, warns="0.05"),
    "repeated_orders": Kind("Orders that come more than once", "duplicates", least=5, of=10, warns="0.1"),
    "rival_sources": Kind("Two sources report the same purchases", "duplicates", least=3, warns="0.02"),
    "rival_events": Kind("Several events are sent as a purchase", "duplicates", least=3, problem="0.05"),
    "double_sending": Kind("The platform will count orders twice", "duplicates", least=3, warns="0.01", problem="0.1"),
    "double_sending_unknown": Kind("It cannot be told whether orders count twice", "duplicates", least=10, warns="0.2"),
    # time
    "late_source": Kind("A source tells late", "late-events", least=10, of=20, warns="0.05", problem="0.5"),
    "clock_skew": Kind("A source's clock runs ahead", "late-events", least=10, of=20, warns="0.05"),
    "in_future": Kind("Events from the future", "late-events", least=5, warns="0.005", problem="0.1"),
    "counted_offline": Kind("Pinterest counts events as offline", "late-events", least=10, of=20, warns="0.05", problem="0.5"),
    "too_old": Kind("Events too old to be sent", "late-events", least=5, warns="0.005", problem="0.1"),
    "hold_cost": Kind("A hold slows signals down", "late-events"),
    # match keys
    "keys_dropped": Kind("A match key has dropped", "match-keys"),
    "nobody": Kind("Signals that identify nobody", "match-keys", least=20, warns="0.05", problem="0.3"),
    # the platform's answers
    "refused": Kind("The platform refuses signals", "README", least=5, of=20, warns="0.02", problem="0.2"),
    "unanswered": Kind("The platform never answered clearly", "README", least=5, of=20, warns="0.01", problem="0.1"),
    "resting": Kind("A destination does not send", "README"),
    # what should not leave
    "test_events": Kind("Test events in production", "test-events", least=1),
    "junk_orders": Kind("Orders worth nothing are sent", "junk-orders", least=3, warns="0.01", problem="0.1"),
    "observed": Kind("What an observing gate would withhold", "junk-orders", least=3),
    "cancelled_after": Kind("Orders cancelled after they were sent", "refunds", least=5, warns="0.02", problem="0.2"),
    "refunded_after": Kind("Orders refunded after they were sent", "refunds", least=5, warns="0.05", problem="0.3"),
    "flagged_after": Kind("Fraudulent orders were sent", "refunds", least=2, warns="0.005", problem="0.1"),
    "low_intent": Kind("Many low-intent events for each purchase", "low-intent-events", least=1_000),
    "rollout_held": Kind("A rollout is held", "low-intent-events"),
    # buyers and ads
    "suppression_slow": Kind("Buyers are kept from ads too late", "no-suppression", of=20, warns="0.01", problem="0.1"),
    "suppression_overlap": Kind("People are shown ads and kept from them", "no-suppression", least=10, warns="0.01"),
    "no_suppression": Kind("Buyers stay in an audience of intent", "no-suppression"),
    "nothing_suppressed": Kind("Nobody is kept from ads after buying", "no-suppression"),
    "refunded_back": Kind("A refund brings buyers back to the ads", "no-suppression"),
    "refunded_seed": Kind("The best customers include refunded ones", "no-suppression"),
    "short_cooldown": Kind("Buyers see ads again too soon", "no-suppression"),
    "cooldown_cycle": Kind("Buyers see ads again at the wrong time", "no-suppression"),
    # ads beside messages
    "outlives_journey": Kind("Ads go on when the journey has ended", "audience-windows"),
    "beside_journey": Kind("Ads reach people who are being written to", "audience-windows"),
    "stays_after_exit": Kind("Who leaves a journey still sees its ads", "audience-windows"),
    "early_offer": Kind("The ad gives the discount before the message", "audience-windows"),
    "nobody_inside": Kind("Nobody can be in an audience", "audience-windows"),
    # audiences that are not what they should be
    "audience_stopped": Kind("An audience is no longer kept", "stale-audiences"),
    "audience_pending": Kind("An audience is behind", "stale-audiences"),
    "audience_small": Kind("An audience is too small to be used", "stale-audiences"),
    "seed_small": Kind("A lookalike seed has few people", "stale-audiences"),
    "audience_jumped": Kind("An audience changed its size suddenly", "stale-audiences", least=100, warns="0.3"),
    "audience_nameless": Kind("The platform cannot know an audience's people", "stale-audiences", least=50, warns="0.5"),
    "audience_unused": Kind("No ad uses an audience", "stale-audiences"),
    "unremembered": Kind("A segment's past is no longer there", "stale-audiences", warns="0.001"),
    # what never arrives
    "never_seen": Kind("Events that never come", "README", of=100),
    "unmapped_purchases": Kind("Events that sound like purchases are not sent", "duplicates", least=3),
    "unreadable": Kind("Messages that cannot be read", "README", least=5, warns="0.001", problem="0.05"),
    "set_aside": Kind("Requests set aside", "README"),
}


def severity_of(kind: Kind, part: int, whole: int) -> Severity | None:
    """How bad so many of so many are; None: not worth a word."""
    if part < kind.least or whole < kind.of or whole <= 0:
        return None
    share = Decimal(part) / whole
    if share < Decimal(kind.warns):
        return None
    return "problem" if kind.problem is not None and part >= SURE and share >= Decimal(kind.problem) else "warning"
